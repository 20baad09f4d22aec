//! A real Prometheus scrapes the server, and has an answer to every query of a dashboard.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use detector::metrics::Board;
use serde_json::Value;

use super::{filled, request, server};

pub(crate) const QUERIES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/dashboard-queries.txt"
);
const PEERS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/peers/prometheus/usr/bin"
);
const LOOK: Duration = Duration::from_millis(100);
/// For whatever is waited for.
const LONG: Duration = Duration::from_secs(60);

/// A program of Prometheus; `None`, and why, where it was not installed.
pub(crate) fn peer(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(PEERS).join(name);
    if !path.exists() {
        println!("skipped: {name} is not there: `cargo xtask setup` fetches it");
        return None;
    }
    Some(path)
}

/// One a line; what begins with # says what it is for.
pub(crate) fn queries() -> Vec<String> {
    let text = fs::read_to_string(QUERIES).unwrap();
    let lines = text.lines().map(str::trim);
    let queries = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    queries.map(str::to_owned).collect()
}

struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes the target every 200 ms.
    fn start(program: PathBuf, target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
             scrape_configs: [{{job_name: detector, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        fs::write(&config, text).unwrap();
        // It does not say which port it took: it is given one that was free a moment ago.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    /// What the query gives; nothing before it listens.
    fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let path = format!("/api/v1/query?query={encoded}");
        let Ok(answer) = request::send(self.address, "GET", &path) else {
            return Vec::new();
        };
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        if answer.status == 503 {
            return Vec::new();
        }
        assert_eq!(body["status"], "success", "{query}: {}", answer.body);
        body["data"]["result"].as_array().unwrap().clone()
    }

    /// Until there is a number.
    fn wait_for(&self, query: &str) -> Vec<Value> {
        let begin = Instant::now();
        loop {
            let found = self.query(query);
            let is_number = |one: &Value| one["value"][1].as_str().unwrap() != "NaN";
            if found.iter().any(is_number) {
                return found;
            }
            assert!(begin.elapsed() < LONG, "`{query}` has no data");
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_prometheus_has_data_for_every_query_of_a_dashboard() {
    let Some(program) = peer("prometheus") else {
        return;
    };
    let board = Board::default();
    let (_web, address) = server::start(&board);
    let ended = Arc::new(AtomicBool::new(false));
    let counting = {
        let ended = Arc::clone(&ended);
        std::thread::spawn(move || {
            let mut status = filled::status();
            while !ended.load(Relaxed) {
                // What is told of grows, as it does.
                status.alerts[0].count += 1;
                for times in [&mut status.evaluation, &mut status.sinks.each[1].requests] {
                    times.count += 1;
                    times.total_ns += 1_000_000;
                }
                status.updated_ns += 100_000_000;
                board.post(status.clone());
                std::thread::sleep(LOOK);
            }
        })
    };
    let prometheus = Prometheus::start(program, address);
    prometheus.wait_for("up == 1");
    for query in queries() {
        prometheus.wait_for(&query);
    }
    let rate = "sum(rate(detector_pipeline_alerts_total{priority=\"Critical\"}[1m])) > 0";
    prometheus.wait_for(rate);
    let rules = prometheus.wait_for("detector_pipeline_alerts_total");
    let is_odd = |one: &Value| one["metric"]["rule"] == filled::ODD;
    assert!(rules.iter().any(is_odd), "{rules:?}");
    ended.store(true, Relaxed);
    counting.join().unwrap();
    println!("{} queries have data in a real Prometheus", queries().len());
}
