//! The log of the real binary: it tells what it leaves out, and holds nothing up.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, fcntl_setfl, mkfifoat},
    pipe::pipe,
};

const BINARY: &str = env!("CARGO_BIN_EXE_kubelet-detector");
const HEAD: &str = "{\"format\":\"kubelet-detector-trace\",\"version\":2,\"tool\":\"test\",\"host\":\
     {\"hostname\":\"n\",\"kernel\":\"k\",\"boot_time_ns\":1,\"utc_offset_s\":0,\"instance\":\
     \"1a394830-1fed-4604-bec4-21e10c32357a\"}}\n";
const LOSS: &str = "{\"drop\":{\"time_ns\":1,\"subject\":\"connect\",\"cause\":\
                    \"ring_buffer_full\",\"count\":3}}\n";
/// As docs/configuration.md has it.
const TOLD: usize = 20;
/// For whatever is waited for.
const LONG: Duration = Duration::from_secs(60);

fn replay(trace: &Path, options: &[&str], log: impl Into<Stdio>) -> Child {
    let mut command = Command::new(BINARY);
    command.args(options).args(["-c", "", "replay"]).arg(trace);
    let streams = command.stdout(Stdio::piped()).stderr(log);
    streams.spawn().unwrap()
}

/// A trace of so many losses, each of which is logged.
fn losses(count: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::with_suffix(".jsonl").unwrap();
    let end = format!("{{\"end\":{{\"items\":{count}}}}}\n");
    file.write_all((HEAD.to_owned() + &LOSS.repeat(count) + &end).as_bytes())
        .unwrap();
    file
}

#[test]
fn what_is_left_out_of_a_flood_is_counted_and_told_at_the_end() {
    const LOSSES: usize = 5000;
    let trace = losses(LOSSES);
    let replay = |options: &[&str]| {
        let output = replay(trace.path(), options, Stdio::piped()).wait_with_output();
        let output = output.unwrap();
        assert!(output.status.success());
        let alerts = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            alerts.lines().count(),
            LOSSES,
            "alerts are told in any case"
        );
        String::from_utf8(output.stderr).unwrap()
    };
    let log = replay(&[]);
    assert_eq!(log.matches(" events were lost subject=").count(), TOLD);
    let told = format!("WARN {} more lines like this in ", LOSSES - TOLD);
    let last: Vec<&str> = log.lines().skip(TOLD).collect();
    assert_eq!(last.len(), 2, "{last:?}");
    assert!(last.first().unwrap().contains(&told), "{last:?}");
    assert!(last.last().unwrap().contains("replayed"), "{last:?}");

    let lines: Vec<serde_json::Value> = replay(&["--log-format", "json"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let left_out = |line: &serde_json::Value| line.pointer("/fields/left_out")?.as_u64();
    let left_out: u64 = lines.iter().filter_map(left_out).sum();
    assert_eq!(left_out, (LOSSES - TOLD) as u64);
    assert_eq!(lines.len(), TOLD + 2);
}

/// Here nothing comes any more by which it could be told on the occasion.
#[test]
fn what_is_left_out_is_told_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.jsonl");
    mkfifoat(rustix::fs::CWD, &trace, Mode::RUSR | Mode::WUSR).unwrap();
    let mut child = replay(&trace, &[], Stdio::piped());
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut written = OpenOptions::new().write(true).open(&trace).unwrap();
    written
        .write_all((HEAD.to_owned() + &LOSS.repeat(100)).as_bytes())
        .unwrap();
    let begin = Instant::now();
    let told = log.by_ref().map(Result::unwrap).nth(TOLD).unwrap();
    // Later, where the machine is slow.
    assert!(told.contains("80 more lines like this in 1"), "{told}");
    assert!(told.contains(" s: events were lost left_out=80"), "{told}");
    assert!(
        begin.elapsed() > Duration::from_secs(9),
        "{:?}",
        begin.elapsed()
    );
    // The next begins anew.
    written.write_all(LOSS.as_bytes()).unwrap();
    let next = log.next().unwrap().unwrap();
    assert!(next.contains("events were lost subject="), "{next}");
    written.write_all(b"{\"end\":{\"items\":101}}\n").unwrap();
    drop(written);
    assert!(child.wait().unwrap().success());
    assert_eq!(log.count(), 1);
}

/// A pipe that takes nothing any more.
fn full_pipe() -> (File, OwnedFd) {
    let (read, write) = pipe().unwrap();
    fcntl_setfl(&write, OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&write, &[b'\n'; 4096]).is_ok() {}
    fcntl_setfl(&write, OFlags::empty()).unwrap();
    (File::from(read), write)
}

/// What watches is not held up by its log.
#[test]
fn a_log_that_nobody_reads_holds_no_run_up() {
    let run = |log: Stdio| {
        let mut command = Command::new(BINARY);
        let options = ["-c", "", "run", "--state=", "--duration", "100ms"];
        command.args(options).stdout(Stdio::null()).stderr(log);
        command.spawn().unwrap()
    };
    let output = run(Stdio::piped()).wait_with_output().unwrap();
    if !output.status.success() {
        let said = String::from_utf8(output.stderr).unwrap();
        let lacks = ["without the probes", "need capabilities"];
        assert!(lacks.iter().any(|what| said.contains(what)), "{said}");
        return println!("skipped: {}", said.trim());
    }
    println!("live: attached");
    let (log, full) = full_pipe();
    let mut child = run(full.into());
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begin.elapsed() < LONG, "the log is waited for");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(child.wait().unwrap().success());
    drop(log);
}
