//! What a process changes between two connects is told with the second, however soon that comes: the
//! probes do not tell all of a process again that is the same. Each test prints its line of the table
//! of ways.
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

use detector::event::{Event, Kind};
use watched::{Row, Told, Trigger, kind};

const NOBODY: u32 = 65_534;

/// The attempts that a scenario makes.
fn attempts(name: &'static str, port: u16, count: usize) -> Option<(Row, Trigger, Vec<Event>)> {
    let Told {
        row,
        made,
        mut events,
        ..
    } = Told::of(name, name, port)?;
    let kinds: Vec<&str> = events.iter().map(kind).collect();
    assert_eq!(kinds, ["attempt", "outcome"].repeat(count), "{events:#?}");
    events.retain(|event| event.kind == Kind::ConnectAttempt);
    Some((row, made, events))
}

/// Of two connects of one process the second is as `check` says, and the first is not.
fn changed(name: &'static str, port: u16, check: impl Fn(&Event, &Trigger) -> bool) {
    let Some((row, made, events)) = attempts(name, port, 2) else {
        return;
    };
    let pid = made.fact("client").map(|pid| pid.parse().unwrap());
    let pid = pid.unwrap_or_else(|| made.pid());
    let told: Vec<(u32, bool)> = events
        .iter()
        .map(|event| (event.process.pid, check(event, &made)))
        .collect();
    assert_eq!(told, [(pid, false), (pid, true)], "{events:#?}");
    row.pass();
}

#[tokio::test]
async fn its_name() {
    changed("changed-name", 24_000, |event, _| {
        event.process.comm == "kubelet" && event.thread.comm == "kubelet"
    });
}

#[tokio::test]
async fn its_user() {
    changed("changed-user", 24_010, |event, _| {
        event.process.uid == NOBODY
    });
}

#[tokio::test]
async fn its_group() {
    changed("changed-group", 24_140, |event, _| {
        event.process.gid == NOBODY
    });
}

#[tokio::test]
async fn its_capabilities() {
    changed("changed-capabilities", 24_020, |event, _| {
        event.process.capabilities == 0
    });
}

#[tokio::test]
async fn its_working_folder() {
    changed("changed-folder", 24_030, |event, _| {
        event.process.cwd == "/proc"
    });
}

#[tokio::test]
async fn the_name_of_its_working_folder() {
    changed("changed-folder-name", 24_150, |event, _| {
        event.process.cwd.ends_with("/after")
    });
}

#[tokio::test]
async fn its_session() {
    changed("changed-session", 24_040, |event, _| {
        let process = &event.process;
        process.session == process.pid && process.process_group == process.pid
    });
}

#[tokio::test]
async fn its_mounts() {
    changed("changed-mounts", 24_050, |event, made| {
        event.process.namespaces.mnt.to_string() == made.fact("mnt_ns").unwrap()
    });
}

#[tokio::test]
async fn its_cgroup() {
    changed("changed-cgroup", 24_060, |event, _| {
        event.process.cgroup.contains("/changed-")
    });
}

#[tokio::test]
async fn its_thread() {
    changed("changed-thread", 24_070, |event, _| {
        event.thread.comm == "worker" && event.thread.tid != event.process.pid
    });
}

#[tokio::test]
async fn its_parent() {
    let Some((row, _, events)) = attempts("changed-parent", 24_080, 2) else {
        return;
    };
    let parents: Vec<u32> = events
        .iter()
        .map(|event| event.process.ancestors[0].pid)
        .collect();
    assert_ne!(parents[0], parents[1], "{events:#?}");
    row.pass();
}

#[tokio::test]
async fn its_program() {
    changed("changed-program", 24_090, |event, made| {
        let (process, path) = (&event.process, made.fact("path").unwrap());
        process.exe.path == path && process.args[0] == path && process.args[1] == "refused"
    });
}

#[tokio::test]
async fn its_file_is_removed() {
    changed("changed-removed", 24_100, |event, _| {
        event.process.exe.deleted
    });
}

#[tokio::test]
async fn the_layer_of_its_file() {
    changed("changed-layer", 24_160, |event, _| {
        event.process.exe.upper_layer
    });
}

#[tokio::test]
async fn its_file_is_moved() {
    changed("changed-moved", 24_110, |event, _| {
        event.process.exe.path.ends_with("/moved")
    });
}

#[tokio::test]
async fn a_child_is_another_process() {
    let Some((row, made, events)) = attempts("changed-by-fork", 24_120, 2) else {
        return;
    };
    let pids: Vec<u32> = events.iter().map(|event| event.process.pid).collect();
    let child = made.fact("client").unwrap().parse().unwrap();
    assert_eq!(pids, [made.pid(), child]);
    row.pass();
}

/// Arguments that a process writes over its own are seen when what was told of it is old.
#[tokio::test]
async fn its_arguments() {
    let Some((row, _, events)) = attempts("changed-arguments", 24_130, 3) else {
        return;
    };
    let told: Vec<bool> = events
        .iter()
        .map(|event| event.process.args[0] == "kubelet")
        .collect();
    assert_eq!((told[0], told[2]), (false, true), "{events:#?}");
    row.pass();
}
