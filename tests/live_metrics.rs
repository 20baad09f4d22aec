//! The status of a real run: what is told of it happened.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

#[path = "metrics/request.rs"]
mod request;

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use detector::metrics::{Status, Subject};
use rustix::process::{Pid, Signal, kill_process};

const BINARY: &str = env!("CARGO_BIN_EXE_kubelet-detector");
const PORT: u16 = 23260;
const CONNECTS: u64 = 10;
/// For whatever is waited for.
const LONG: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
const RULES: &str = "- rule: Watched\n  desc: d\n  priority: NOTICE\n  output: o\n  \
                     condition: evt.type = connect and fd.sport = 23260\n";

struct Run {
    child: Child,
    folder: tempfile::TempDir,
    web: SocketAddr,
}

impl Run {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let web = free.local_addr().unwrap();
        drop(free);
        let attach = std::env::var("KUBELET_DETECTOR_ATTACH");
        let child = Command::new(BINARY)
            .args([
                "run",
                "--state=",
                "--set",
                "webserver.enabled=true",
                "--attach",
            ])
            .arg(attach.as_deref().unwrap_or("auto"))
            .arg("--set")
            .arg(format!("webserver.listen_port={}", web.port()))
            .arg("--status-socket")
            .arg(folder.path().join("status.sock"))
            .arg("-r")
            .arg(folder.path().join("rules.yaml"))
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, folder, web }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// False, and why, where the probes cannot run.
    fn is_attached(&mut self) -> bool {
        let begin = Instant::now();
        while !self.said().contains("watching") {
            if self.child.try_wait().unwrap().is_some() {
                let said = self.said();
                let said = said.trim();
                let lacks = ["without the probes", "need capabilities"];
                assert!(lacks.iter().any(|what| said.contains(what)), "{said}");
                println!("skipped: {said}");
                return false;
            }
            assert!(begin.elapsed() < LONG, "{}", self.said());
            std::thread::sleep(LOOK);
        }
        true
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("status.sock")
    }

    fn status(&self) -> Status {
        serde_json::from_str(&detector::web::read(&self.socket()).unwrap()).unwrap()
    }

    /// A status of which this is true.
    fn wait_for(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        let begin = Instant::now();
        loop {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
            assert!(begin.elapsed() < LONG, "{what}: {status:#?}");
            std::thread::sleep(LOOK);
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

/// A test that failed leaves no detector behind.
impl Drop for Run {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn alerts(status: &Status, rule: &str) -> u64 {
    let of_rule = status.alerts.iter().filter(|one| one.rule == rule);
    of_rule.map(|one| one.count).sum()
}

fn shown(socket: &Path) -> String {
    let output = Command::new(BINARY)
        .args(["status", "--socket"])
        .arg(socket)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_told_of_a_run_happened() {
    let mut run = Run::start();
    if !run.is_attached() {
        return;
    }
    println!("live: attached, and served at {}", run.web);
    let begin = Instant::now();
    while request::get(run.web, "/readyz").status != 200 {
        assert!(begin.elapsed() < LONG, "{}", run.said());
        std::thread::sleep(LOOK);
    }
    println!("ready after {:?}", begin.elapsed());
    assert_eq!(request::get(run.web, "/healthz").status, 200);
    let first = run.status();
    let is_whole = |one: &Subject| one.proven && !one.place.is_empty() && one.delivered > 0;
    assert_eq!(first.probes.subjects.len(), 4);
    assert!(first.probes.subjects.iter().all(is_whole), "{first:#?}");
    assert_eq!(alerts(&first, "Watched"), 0);

    let server = TcpListener::bind(("127.0.0.1", PORT)).unwrap();
    for _ in 0..CONNECTS {
        drop(TcpStream::connect(("127.0.0.1", PORT)).unwrap());
        drop(server.accept().unwrap());
    }
    let told = run.wait_for("alerts", |status| alerts(status, "Watched") >= CONNECTS);
    assert_eq!(alerts(&told, "Watched"), CONNECTS);
    let kind = |status: &Status, kind: &str| {
        let of_kind = status.events.iter().find(|one| one.kind == kind);
        of_kind.map_or(0, |one| one.count)
    };
    assert_eq!(kind(&told, "connect_attempt"), CONNECTS);
    assert!(told.updated_ns > first.updated_ns);
    assert_eq!(told.started_ns, first.started_ns);
    assert!(told.probes.ring.size > 0 && told.process.resident_bytes > 1 << 20);
    for subject in &told.probes.subjects {
        let Subject {
            generated,
            delivered,
            lost,
            suppressed,
            ..
        } = *subject;
        // What waits in the ring buffer is not delivered yet.
        assert!(generated >= delivered + lost + suppressed, "{subject:?}");
    }
    let scraped = request::get(run.web, "/metrics");
    assert!(scraped.head.contains("text/plain"), "{}", scraped.head);
    let text = scraped.body;
    let line = format!(
        "detector_pipeline_alerts_total{{rule=\"Watched\",priority=\"Notice\",source=\"syscall\"}} \
         {CONNECTS}\n"
    );
    assert!(text.contains(&line), "{text}");
    assert!(shown(&run.socket()).contains("ready: every subject is proven"));

    run.signal(Signal::HUP);
    run.wait_for("a reload", |status| status.reloads.applied == 1);
    fs::write(run.folder.path().join("rules.yaml"), "- rule: broken\n").unwrap();
    run.signal(Signal::HUP);
    let refused = run.wait_for("a refusal", |status| status.reloads.refused == 1);
    assert_eq!(alerts(&refused, "Hot reload failure"), 1);
    assert_eq!(alerts(&refused, "Watched"), CONNECTS, "counts stay");
    println!(
        "resident: {} bytes; {} ns to judge an event ({} sampled)",
        refused.process.resident_bytes,
        refused.evaluation.total_ns / refused.evaluation.count.max(1),
        refused.evaluation.count
    );

    run.signal(Signal::TERM);
    assert_eq!(run.child.wait().unwrap().code(), Some(0), "{}", run.said());
    assert!(!run.socket().exists(), "the socket is left behind");
}
