//! Processes that seem to be the kubelet, on this machine's kernel: whatever they call themselves,
//! their events say which file they run. Each test prints its line of the table of ways.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

#[expect(dead_code, reason = "the tests of ways need more of it")]
mod watched;

use std::{fs, os::unix::fs::MetadataExt as _};

use detector::event::{Event, Kind};
use watched::{Row, Told, Trigger, drain, kind, trigger, watch};

/// include/uapi/linux/capability.h
const CAP_SYS_ADMIN: u64 = 1 << 21;
const NOBODY: u32 = 65_534;

/// What the flags of an executable say.
#[derive(Default)]
struct Flags {
    memfd: bool,
    deleted: bool,
    upper_layer: bool,
}

/// The refused connect of a scenario, by the process that the trigger names; its executable is the
/// file that the trigger says, with these flags. `further` says what else is true.
fn identity(name: &'static str, port: u16, flags: &Flags, further: impl FnOnce(&Event, &Trigger)) {
    let Some(Told {
        made, row, events, ..
    }) = Told::of(name, name, port)
    else {
        return;
    };
    let kinds: Vec<&str> = events.iter().map(kind).collect();
    assert_eq!(kinds, ["attempt", "outcome"], "{events:#?}");
    let (attempt, outcome) = (&events[0], &events[1]);
    assert_eq!(attempt.kind, Kind::ConnectAttempt);
    assert_eq!(attempt.process, outcome.process);
    assert_eq!(outcome.errno, Some(111));
    check(attempt, &made, flags);
    further(attempt, &made);
    row.pass();
}

/// The event's process is the one that the trigger names, and its executable the file that the
/// trigger says.
fn check(event: &Event, made: &Trigger, flags: &Flags) {
    let process = &event.process;
    let pid = made.fact("client").map(|pid| pid.parse().unwrap());
    assert_eq!(process.pid, pid.unwrap_or_else(|| made.pid()));
    let exe = &process.exe;
    if let Some(path) = made.fact("path") {
        assert_eq!(exe.path, path);
        assert_eq!(exe.inode.to_string(), made.fact("inode").unwrap());
        assert_eq!(exe.device.to_string(), made.fact("device").unwrap());
    }
    assert_eq!(exe.memfd, flags.memfd, "memfd: {exe:?}");
    assert_eq!(exe.deleted, flags.deleted, "deleted: {exe:?}");
    assert_eq!(exe.upper_layer, flags.upper_layer, "upper layer: {exe:?}");
    // A path that was cut does not begin as a whole one does.
    assert_eq!(process.truncated.exe, exe.path.starts_with("..."));
}

/// The accept of a listener that is older than the probes.
fn older(name: &'static str, port: u16, flags: &Flags) {
    let row = Row::new(name);
    let mut server = Trigger::start(name, port);
    if let Err(what) = server.wait_for("ready") {
        return row.lacks(&what);
    }
    server.wait_until_it_sleeps();
    let mut live = match watch(port) {
        Ok(live) => live,
        Err(why) => return row.lacks(&why),
    };
    Trigger::start("client", port).end().unwrap();
    let mut events = drain(&mut live);
    server.go_on();
    server.end().unwrap();
    events.extend(drain(&mut live));
    events.retain(|event| event.kind == Kind::Accept);
    assert_eq!(events.len(), 1, "{events:#?}");
    check(&events[0], &server, flags);
    row.pass();
}

fn own_namespace(kind: &str) -> u64 {
    fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino()
}

#[tokio::test]
async fn a_name_by_prctl() {
    identity("named", 23_300, &Flags::default(), |event, _| {
        assert_eq!(event.thread.comm, "kubelet");
        assert_eq!(event.process.comm, "kubelet");
        assert_eq!(event.process.exe.path, trigger().to_str().unwrap());
    });
}

#[tokio::test]
async fn an_argument_in_place_of_the_name() {
    identity("argv0", 23_310, &Flags::default(), |event, _| {
        assert_eq!(event.process.args[0], "/usr/bin/kubelet");
        assert_eq!(event.process.exe.path, trigger().to_str().unwrap());
    });
}

#[tokio::test]
async fn a_copy() {
    identity("copied", 23_320, &Flags::default(), |event, _| {
        assert_eq!(event.process.comm, "kubelet");
        assert!(event.process.exe.path.ends_with("/kubelet"));
        let original = fs::metadata(trigger()).unwrap().ino();
        assert_ne!(event.process.exe.inode, original);
    });
}

#[tokio::test]
async fn a_symbolic_link() {
    identity("linked", 23_330, &Flags::default(), |event, _| {
        assert_eq!(event.process.comm, "kubelet");
        assert_eq!(event.process.exe.path, trigger().to_str().unwrap());
    });
}

#[tokio::test]
async fn a_hard_link() {
    identity("hard-linked", 23_340, &Flags::default(), |event, _| {
        assert!(event.process.exe.path.ends_with("/kubelet"));
        let original = fs::metadata(trigger()).unwrap().ino();
        assert_eq!(event.process.exe.inode, original);
    });
}

#[tokio::test]
async fn a_file_in_no_file_system() {
    let flags = Flags {
        memfd: true,
        deleted: true,
        ..Flags::default()
    };
    identity("memfd", 23_350, &flags, |_, _| {});
}

#[tokio::test]
async fn a_file_that_was_replaced() {
    let flags = Flags {
        deleted: true,
        ..Flags::default()
    };
    identity("replaced", 23_360, &flags, |_, _| {});
}

#[tokio::test]
async fn a_file_of_an_upper_layer() {
    let flags = Flags {
        upper_layer: true,
        ..Flags::default()
    };
    identity("overlay-upper", 23_370, &flags, |_, _| {});
}

#[tokio::test]
async fn a_file_of_a_lower_layer() {
    identity("overlay-lower", 23_380, &Flags::default(), |_, _| {});
}

#[tokio::test]
async fn a_file_that_was_copied_up() {
    let flags = Flags {
        upper_layer: true,
        ..Flags::default()
    };
    identity("overlay-copied-up", 23_390, &flags, |_, _| {});
}

/// The path is the one that was mounted over: device, inode and mount namespace tell.
#[tokio::test]
async fn a_file_mounted_over_another() {
    identity("bind-mounted", 23_400, &Flags::default(), |event, _| {
        assert!(event.process.exe.path.ends_with("/kubelet"));
        let mounts = u64::from(event.process.namespaces.mnt);
        assert_ne!(mounts, own_namespace("mnt"));
    });
}

#[tokio::test]
async fn an_interpreter_of_a_script() {
    identity("script", 23_410, &Flags::default(), |event, _| {
        let shell = fs::canonicalize("/bin/bash").unwrap();
        assert_eq!(event.process.exe.path, shell.to_str().unwrap());
        let inode = fs::metadata(shell).unwrap().ino();
        assert_eq!(event.process.exe.inode, inode);
        assert_eq!(event.process.comm, "check.sh");
        assert_eq!(event.process.args[0], "/bin/bash");
        assert!(event.process.args[1].ends_with("/check.sh"));
    });
}

#[tokio::test]
async fn a_long_name() {
    identity("long-name", 23_420, &Flags::default(), |event, _| {
        assert_eq!(event.process.comm, "kubelet-imperso");
        assert!(event.process.exe.path.ends_with("/kubelet-impersonator"));
    });
}

#[tokio::test]
async fn another_root() {
    identity("chrooted", 23_430, &Flags::default(), |event, made| {
        assert_eq!(event.process.args[0], "/kubelet");
        let folder = made.fact("path").unwrap().strip_suffix("/kubelet");
        assert_eq!(event.process.cwd, folder.unwrap());
    });
}

#[tokio::test]
async fn root_of_a_user_namespace() {
    identity(
        "user-namespace",
        23_440,
        &Flags::default(),
        |event, made| {
            let process = &event.process;
            assert_eq!(
                (process.uid, process.euid, process.gid),
                (NOBODY, NOBODY, NOBODY)
            );
            assert_eq!(
                process.namespaces.user.to_string(),
                made.fact("user_ns").unwrap()
            );
            assert_ne!(u64::from(process.namespaces.user), own_namespace("user"));
            // Of its own namespace alone, which is why the namespace must be told.
            assert_ne!(process.capabilities & CAP_SYS_ADMIN, 0);
        },
    );
}

#[tokio::test]
async fn another_program_between_socket_and_connect() {
    identity("exec-between", 23_450, &Flags::default(), |event, _| {
        assert_eq!(event.process.comm, "kubelet");
        assert_eq!(event.process.args[1], "inherited");
    });
}

#[tokio::test]
async fn a_process_without_its_first_thread() {
    identity(
        "without-leader",
        23_460,
        &Flags::default(),
        |event, made| {
            assert_ne!(event.thread.tid, event.process.pid);
            assert_eq!(event.process.comm, "trigger");
            assert_eq!(
                event.process.namespaces.mnt.to_string(),
                made.fact("mnt_ns").unwrap()
            );
            assert_eq!(
                u64::from(event.process.namespaces.net),
                own_namespace("net")
            );
        },
    );
}

#[tokio::test]
async fn a_child_of_a_process_without_its_first_thread() {
    identity(
        "parent-without-leader",
        23_470,
        &Flags::default(),
        |event, made| {
            let parent = &event.process.ancestors[0];
            assert_eq!(parent.pid, made.pid());
            assert_eq!(parent.comm, "trigger");
            assert_eq!(parent.exe_name, "trigger");
        },
    );
}

#[tokio::test]
async fn an_older_listener_in_no_file_system() {
    let flags = Flags {
        memfd: true,
        deleted: true,
        ..Flags::default()
    };
    older("older-memfd", 23_480, &flags);
}

#[tokio::test]
async fn an_older_listener_that_seems_to_be_deleted() {
    older("older-named-deleted", 23_490, &Flags::default());
}

/// Its path would be the one of a well-known file.
#[tokio::test]
async fn a_file_whose_mount_was_taken_away() {
    identity("unmounted", 23_500, &Flags::default(), |_, _| {});
}

#[tokio::test]
async fn a_file_that_is_mounted_nowhere() {
    identity("never-mounted", 23_510, &Flags::default(), |_, _| {});
}

#[tokio::test]
async fn a_path_that_is_too_long() {
    identity("deep", 23_520, &Flags::default(), |_, _| {});
}

#[tokio::test]
async fn the_first_process_of_a_namespace() {
    identity("pid-namespace", 23_530, &Flags::default(), |event, _| {
        assert_eq!(event.process.vpid, 1);
        let processes = u64::from(event.process.namespaces.pid);
        assert_ne!(processes, own_namespace("pid"));
    });
}

/// The file has another name, so that its links are not what tells.
#[tokio::test]
async fn a_name_that_was_removed() {
    let flags = Flags {
        deleted: true,
        ..Flags::default()
    };
    identity("unlinked", 23_540, &flags, |_, _| {});
}

#[tokio::test]
async fn an_older_listener_whose_name_was_removed() {
    let flags = Flags {
        deleted: true,
        ..Flags::default()
    };
    older("older-unlinked", 23_550, &flags);
}
