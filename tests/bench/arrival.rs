//! From a connect that returned to the bytes of its alert at an HTTP peer on loopback, by the real
//! detector with its spool on disk: `arrival DETECTOR PORT`. Prints how many connects there were and,
//! in nanoseconds, the median, the 99th percentile and the longest; then the KiB that are resident.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "it fails by panicking, and prints what it measured"
)]

#[path = "../faults/server.rs"]
#[expect(dead_code, reason = "tests of faults use the rest of it")]
mod server;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use server::{Manner, Server};

const RATE: u32 = 500;
const CONNECTS: u32 = RATE * 10;
const RULE: &str = "Unauthorized Kubelet API Access";
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, detector, port] = &arguments[..] else {
        return println!("arrival DETECTOR PORT");
    };
    let port: u16 = port.parse().unwrap();
    let server = Server::start(Manner::Takes, 0, None);
    server.keep();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let text = format!(
        "stdout_output: {{enabled: false}}\n\
         spool: {{path: {}}}\n\
         sinks: [{{name: peer, http: {{url: 'http://{}/', body: lines}}}}]\n",
        folder.path().join("spool").display(),
        server.address
    );
    fs::write(&config, text).unwrap();
    let mut daemon = start(detector, config.to_str().unwrap());

    let mut returned = Vec::new();
    let begin = Instant::now();
    for number in 0..CONNECTS {
        let due = begin + Duration::from_secs(1) / RATE * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        returned.push(Instant::now());
    }
    let end = Instant::now() + PATIENCE;
    while server.counts().0 < u64::from(CONNECTS) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    kill_process(Pid::from_child(&daemon), Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());

    // One thread connects: alerts have its order.
    let alerts = server.alerts();
    let of_connects = alerts.iter().filter(|alert| alert["rule"] == RULE);
    let mut sequences: Vec<u64> = of_connects
        .map(|alert| alert["sequence"].as_u64().unwrap())
        .collect();
    sequences.sort_unstable();
    assert_eq!(sequences.len(), returned.len(), "an alert for each connect");
    let (times, both) = (server.times(), sequences.iter().zip(&returned));
    let mut took: Vec<Duration> = both
        .map(|(sequence, returned)| times[sequence].saturating_duration_since(*returned))
        .collect();
    took.sort_unstable();
    println!(
        "{CONNECTS} {} {} {} {}",
        took[took.len() / 2].as_nanos(),
        took[took.len() * 99 / 100].as_nanos(),
        took[took.len() - 1].as_nanos(),
        resident.unwrap().trim().trim_end_matches(" kB")
    );
}

/// Watching.
fn start(detector: &str, config: &str) -> Child {
    let mut child = Command::new(detector)
        .args(["-c", config, "run"])
        .env("KUBELET_DETECTOR_STATE", "")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("the probes are proven") {
        assert!(log.read_line(&mut said).unwrap() > 0, "{said}");
    }
    std::thread::spawn(move || log.lines().for_each(drop));
    child
}
