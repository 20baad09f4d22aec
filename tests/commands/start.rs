//! A run that ends before its probes are attached.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::ExitStatusExt as _,
    },
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::detector;

/// Nor through a link.
#[test]
fn a_file_that_is_no_state_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("notes"), "mine\n").unwrap();
    symlink("elsewhere", at("link")).unwrap();
    for (name, told) in [("notes", "something else"), ("link", "a link")] {
        let (state, trace) = (at(name), at("no/trace"));
        let (code, _, error) = detector(&["-c", "", "record", "-o", &trace, "--state", &state]);
        assert_eq!(code, 1, "{error}");
        for part in [state.as_str(), told, "name a file of its own with --state"] {
            assert!(error.contains(part), "{error}");
        }
    }
    assert_eq!(fs::read_to_string(at("notes")).unwrap(), "mine\n");
    assert!(!Path::new(&at("elsewhere")).exists());
}

/// Rules that take a while to be read, and a sink without a folder: the run ends before its probes are
/// attached, and not by a signal.
#[test]
fn a_signal_does_not_end_a_run_that_starts() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut rules = String::new();
    for number in 0..3000 {
        let condition = format!(
            "evt.type = connect and fd.sport = {number} and proc.name startswith a{number}"
        );
        writeln!(
            rules,
            "- rule: r{number}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO"
        )
        .unwrap();
    }
    fs::write(at("rules.yaml"), rules).unwrap();
    let config = "log_syslog: true\nsinks: [{name: a, file: {path: /no/folder/alerts}}]\n";
    fs::write(at("config.yaml"), config).unwrap();
    for signal in [Signal::HUP, Signal::USR1] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kubelet-detector"))
            .args(["run", "--state=", "--status-socket="])
            .arg("-c")
            .arg(at("config.yaml"))
            .arg("-r")
            .arg(at("rules.yaml"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        log.read_line(&mut said).unwrap();
        assert!(said.contains("`log_syslog`"), "{said}");
        kill_process(Pid::from_child(&child), signal).unwrap();
        log.read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.signal(), status.code()), (None, Some(1)), "{said}");
        assert!(said.contains("/no/folder/alerts"), "{said}");
    }
}

#[test]
fn what_cannot_work_of_sinks_is_told_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    let spool = folder.path().join("spool");
    fs::create_dir(&spool).unwrap();
    fs::set_permissions(&spool, fs::Permissions::from_mode(0o777)).unwrap();
    let text = format!(
        "spool: {{path: {}}}\nsinks:\n  - name: a\n    http: {{url: 'https://a', bearer: {{file: /no/token}}}}\n",
        spool.display()
    );
    fs::write(&config, text).unwrap();
    let path = config.to_str().unwrap();
    let typed = ["-c", path, "run", "--state=", "--duration=1s"];
    let (code, _, error) = detector(&typed);
    assert_eq!(code, 3, "{error}");
    for part in [
        "config.yaml:1:",
        "spool cannot be kept",
        "config.yaml:3:5",
        "/no/token",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
