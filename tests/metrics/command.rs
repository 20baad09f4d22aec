//! `status`: a served status for people and for programs.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
        process::ExitStatusExt as _,
    },
    path::Path,
    process::{Command, Output, Stdio},
};

use detector::{
    metrics::{Board, Status},
    web::{Socket, Web, WebError},
};
use rustix::process::{Pid, Signal, kill_process};

use super::filled;

const BINARY: &str = env!("CARGO_BIN_EXE_kubelet-detector");

fn status(socket: &Path, format: &str) -> Output {
    Command::new(BINARY)
        .args(["status", "--format", format, "--socket"])
        .arg(socket)
        .output()
        .unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code();
    (code, text(&output.stdout), text(&output.stderr))
}

const SHOWN: &str = "\
kubelet-detector 1.2.3 on node-1 (6.12.0), run 00000000-0000-0000-0000-000000001234, up 1 h 0 min
NOT READY: the probes told nothing: no accept
NOT READY: not proven yet: accept
15.0 MiB of memory, 2.5 s of processor time, 1.2 µs to judge an event
rules read anew: 2 times, refused 1 times

subject  proven         generated         delivered  lost  suppressed  seen through
connect  yes                   15                10     3           2  sock:inet_sock_set_state
outcome  yes                   14                 9     3           2  sock:inet_sock_set_state
accept   NO      9007199254740997  9007199254740992     3           2  sock:inet_sock_set_state
listen   yes                    5                 0     3           2  sock:inet_sock_set_state
events: 10 connect_attempt, 9 connect_outcome, 18446744073709551615 accept, 0 listen
ring buffer: 64.0 KiB of 16.0 MiB
LOST: 3 of accept (ring_buffer_full)
let off: 12345 connects of kube-apiserver

alerts  priority       rule
     4  Critical       a \"rule\" \\ of\\ntwo \u{fffd}\\u{1b}[2J lines
    60  Informational  Heartbeat

sink  kind  delivered  refused  retried  dropped  behind   queued  a request  state
log   file         41        0        0        0       0  2.0 KiB          -  ok
siem  http         30        1       12        7       3      0 B     2.5 ms  FAILING: connection refused \\u{1b}]0;title\\u{7}
spool: 4.0 KiB on disk, 512 B in memory, of 1.0 GiB; 3 segments, the oldest 12 s, THE DISK CANNOT BE WRITTEN
";

#[test]
fn a_status_is_shown_as_text_and_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new").join("status.sock");
    let board = Board::default();
    let socket = Socket::bind(&path).unwrap();
    let web = Web::start(&board, None, Some(socket)).unwrap();
    let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let (code, out, error) = said(&status(&path, "text"));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.contains("the detector is starting"), "{error}");

    board.post(filled::status());
    let (code, out, error) = said(&status(&path, "text"));
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(out, SHOWN);

    let (code, out, _) = said(&status(&path, "json"));
    assert_eq!(code, Some(0));
    let told: Status = serde_json::from_str(&out).unwrap();
    assert_eq!(told, filled::status());

    drop(web);
    assert!(!path.exists(), "the socket is removed in the end");
    let (code, out, error) = said(&status(&path, "text"));
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let expected = format!("no detector shows its status at {}", path.display());
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn a_status_is_followed_until_sigint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.sock");
    let board = Board::default();
    board.post(filled::status());
    let _web = Web::start(&board, None, Some(Socket::bind(&path).unwrap())).unwrap();
    // Whoever runs the tests in the background has it ignored.
    let mut child = Command::new("env")
        .args(["--default-signal=INT", BINARY])
        .args(["status", "--watch", "--format", "json", "--socket"])
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Status>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next(), filled::status());
    let mut later = filled::status();
    later.reloads.applied += 1;
    board.post(later.clone());
    assert_eq!(next(), later, "a second later");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.signal(), Some(Signal::INT.as_raw()));
}

#[test]
fn a_detector_that_is_not_there_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.sock");
    let mut child = Command::new(BINARY)
        .args(["status", "--watch", "--format", "json", "--socket"])
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut gone = || {
        let line = log.next().unwrap().unwrap();
        assert!(line.contains("no detector shows its status at"), "{line}");
        assert!(line.contains("kubelet-detector run"), "the remedy: {line}");
    };
    let board = Board::default();
    board.post(filled::status());
    for _ in 0..2 {
        gone();
        let web = Web::start(&board, None, Some(Socket::bind(&path).unwrap())).unwrap();
        let told: Status = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(told, filled::status());
        drop(web);
    }
    gone();
    assert_eq!(child.try_wait().unwrap(), None, "it goes on");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
}

#[test]
fn a_status_of_another_version_is_read_as_far_as_it_is_known() {
    let told: Status = serde_json::from_str(r#"{"node":"n","from_the_future":[1]}"#).unwrap();
    assert_eq!((told.node.as_str(), told.sinks.each.len()), ("n", 0));
}

#[test]
fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a process that is killed leaves it");
    // A process that another test just began has a copy of it until its `exec`.
    while UnixStream::connect(&path).is_ok() {
        std::thread::yield_now();
    }
    let socket = Socket::bind(&path).unwrap();
    assert!(UnixStream::connect(&path).is_ok());

    let error = Socket::bind(&path).unwrap_err();
    assert!(matches!(error, WebError::Alive { .. }));
    let shown = format!("another detector shows its status at {}", path.display());
    assert_eq!(error.to_string(), shown);
    drop(socket);

    fs::write(&path, "somebody's").unwrap();
    assert!(matches!(
        Socket::bind(&path).unwrap_err(),
        WebError::Socket { .. }
    ));
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody's");
}

/// Before anything is attached.
#[test]
fn a_run_that_cannot_show_itself_where_it_is_to_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.sock");
    let _socket = Socket::bind(&path).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let run = |args: &[&str]| {
        let mut command = Command::new(BINARY);
        command
            .args(["run", "--duration", "1s", "--state="])
            .args(args);
        said(&command.output().unwrap())
    };
    let port = format!("webserver.listen_port={port}");
    let web = [
        "--status-socket=",
        "--set",
        "webserver.enabled=true",
        "--set",
        &port,
    ];
    let (code, _, error) = run(&web);
    assert_eq!(code, Some(1), "{error}");
    assert!(
        error.contains("set another `webserver.listen_port`"),
        "{error}"
    );

    let (code, _, error) = run(&["--status-socket", path.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{error}");
    let alive = "see --status-socket: another detector shows its status at";
    assert!(error.contains(alive), "{error}");
}

#[test]
fn many_who_do_not_read_stop_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.sock");
    let board = Board::default();
    board.post(filled::status());
    let _web = Web::start(&board, None, Some(Socket::bind(&path).unwrap())).unwrap();
    let idle: Vec<UnixStream> = (0..200)
        .map(|_| UnixStream::connect(&path).unwrap())
        .collect();
    let (code, out, _) = said(&status(&path, "json"));
    assert_eq!((code, out.is_empty()), (Some(0), false));
    drop(idle);
}

/// Where a run is told to show its status, and what asks for it looks.
#[test]
fn the_variable_of_a_run_names_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let asked = |socket: &Path| {
        let output = Command::new(BINARY)
            .arg("status")
            .env("KUBELET_DETECTOR_STATUS", socket)
            .output()
            .unwrap();
        said(&output)
    };
    let socket = folder.path().join("elsewhere.sock");
    let (code, _, error) = asked(&socket);
    assert_eq!(code, Some(1));
    assert!(error.contains(socket.to_str().unwrap()), "{error}");
    let (code, _, error) = asked(Path::new(""));
    assert_eq!(code, Some(1));
    assert!(
        error.contains("KUBELET_DETECTOR_STATUS is empty"),
        "{error}"
    );
}
