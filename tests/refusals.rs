//! Machines on which the probes cannot run: one paragraph that says what to do, exit code 1. Each
//! is made in a mount namespace of its own, or by another user; both need root.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    process::{Command, Output},
};

const DETECTOR: &str = env!("CARGO_BIN_EXE_kubelet-detector");
const NOBODY: u32 = 65_534;

/// Whether the probes run here unless something is taken away.
fn can_run() -> bool {
    let doctor = Command::new(DETECTOR).arg("doctor").output().unwrap();
    if doctor.status.success() {
        println!("live: attached by the doctor");
        return true;
    }
    println!(
        "skipped: {}",
        String::from_utf8_lossy(&doctor.stdout).trim()
    );
    false
}

/// One paragraph with `message`, no backtrace, exit code 1.
fn refused(output: &Output, message: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
    assert!(output.stdout.is_empty());
}

/// In a mount namespace where `change` was done.
fn after(change: &str, arguments: &str) -> Output {
    let script = format!("{change} && exec {DETECTOR} run --duration 1s {arguments}");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]);
    command.output().unwrap()
}

#[test]
fn without_privileges() {
    if !can_run() {
        return;
    }
    // The build folder may be closed to others.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("kubelet-detector");
    fs::copy(DETECTOR, &copy).unwrap();
    let output = Command::new(copy)
        .args(["run", "--duration", "1s"])
        .uid(NOBODY)
        .output()
        .unwrap();
    refused(&output, "run as root, or grant BPF, PERFMON");
}

#[test]
fn without_kernel_types() {
    if can_run() {
        let output = after("mount -t tmpfs none /sys/kernel/btf", "");
        refused(&output, "CONFIG_DEBUG_INFO_BTF=y");
    }
}

#[test]
fn without_tracefs() {
    if can_run() {
        let change =
            "mount -t tmpfs none /sys/kernel/tracing && mount -t tmpfs none /sys/kernel/debug";
        let output = after(change, "--accept-via=syscall");
        refused(&output, "mount -t tracefs tracefs /sys/kernel/tracing");
    }
}

#[test]
fn by_a_mechanism_that_is_not_there() {
    if can_run() {
        refused(&after("true", "--attach=fentry"), "--attach=tracepoint");
    }
}
