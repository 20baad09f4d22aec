//! A listener that is older than the probes: its process, from /proc.

use std::{
    collections::HashSet,
    fs::Metadata,
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use procfs::{
    net::TcpState,
    process::{self, FDTarget, Process as Entry},
};

use super::owner::Owner;
use crate::event::{Ancestor, Endpoint, Executable, HOST_PIDS, Namespaces, Process, Thread};

const NANOS: u64 = 1_000_000_000;
/// As in the probes' records.
const MAX_ANCESTORS: usize = 8;
/// Suffix of the link to an executable that has no name any more (fs/d_path.c).
const DELETED: &str = " (deleted)";

/// Who listens at `server` in the network namespace with this inode: the first process, by id,
/// that has the listener open.
pub fn find_listener(netns: u32, server: Endpoint) -> Option<Owner> {
    let mut entries: Vec<Entry> = process::all_processes().ok()?.flatten().collect();
    entries.sort_by_key(Entry::pid);
    let (inside, outside): (Vec<Entry>, Vec<Entry>) = entries
        .into_iter()
        .partition(|entry| namespace(entry, "net") == netns);
    let sockets = listeners(inside.first()?, server);
    // The listener may have been passed to a process that lives elsewhere.
    inside
        .iter()
        .chain(&outside)
        .find(|entry| holds(entry, &sockets))
        .and_then(describe)
}

/// Inodes of the sockets that listen there, or on all addresses.
fn listeners(entry: &Entry, server: Endpoint) -> HashSet<u64> {
    let serves = |local: SocketAddr| {
        let ip = local.ip().to_canonical();
        local.port() == server.port && (ip == server.ip || ip.is_unspecified())
    };
    [entry.tcp(), entry.tcp6()]
        .into_iter()
        .flatten()
        .flatten()
        .filter(|row| row.state == TcpState::Listen && serves(row.local_address))
        .map(|row| row.inode)
        .collect()
}

fn holds(entry: &Entry, sockets: &HashSet<u64>) -> bool {
    entry.fd().is_ok_and(|descriptors| {
        descriptors
            .flatten()
            .any(|one| matches!(one.target, FDTarget::Socket(inode) if sockets.contains(&inode)))
    })
}

/// Whether this process sees all processes of the node.
pub(super) fn is_in_host_pids() -> bool {
    Entry::myself().is_ok_and(|myself| namespace(&myself, "pid") == HOST_PIDS)
}

pub(super) fn namespace(entry: &Entry, kind: &str) -> u32 {
    let path = format!("/proc/{}/ns/{kind}", entry.pid());
    let inode = std::fs::metadata(path).map(|about| about.ino());
    inode.map_or(0, |inode| u32::try_from(inode).unwrap_or(0))
}

/// What the kernel's record would say; what cannot be read stays empty.
pub(super) fn describe(entry: &Entry) -> Option<Owner> {
    let stat = entry.stat().ok()?;
    let status = entry.status().ok()?;
    let id = |pid: i32| u32::try_from(pid).unwrap_or(0);
    let inside = status.nspid.as_ref().and_then(|pids| pids.last().copied());
    let cgroups = entry.cgroups().map(|groups| groups.0).unwrap_or_default();
    let cgroup = cgroups
        .iter()
        .find(|group| group.hierarchy == 0 && group.pathname != "/")
        .or_else(|| {
            cgroups
                .iter()
                .find(|group| group.controllers.iter().any(|c| c == "pids"))
        });
    let process = Process {
        pid: id(entry.pid()),
        vpid: id(inside.unwrap_or(entry.pid())),
        start_time_ns: start_time_ns(stat.starttime),
        comm: stat.comm.clone(),
        exe: executable(entry),
        args: entry.cmdline().unwrap_or_default(),
        cwd: entry
            .cwd()
            .map(|path| path.to_string_lossy().into_owned())
            .unwrap_or_default(),
        cgroup: cgroup.map_or_else(|| "/".to_owned(), |group| group.pathname.clone()),
        uid: status.ruid,
        gid: status.rgid,
        euid: status.euid,
        login_uid: entry.loginuid().ok().filter(|uid| *uid != u32::MAX),
        session: id(stat.session),
        process_group: id(stat.pgrp),
        tty: u32::try_from(stat.tty_nr).unwrap_or(0),
        capabilities: status.capeff,
        namespaces: Namespaces {
            pid: namespace(entry, "pid"),
            mnt: namespace(entry, "mnt"),
            net: namespace(entry, "net"),
            user: namespace(entry, "user"),
        },
        ancestors: ancestors(stat.ppid),
        ..Process::default()
    };
    Some(Owner {
        thread: Thread {
            tid: process.pid,
            comm: stat.comm,
        },
        process: Arc::new(process),
        creator: None,
    })
}

/// Name and executable of a process, if it is still the one that was started then.
pub(super) fn name(pid: u32, since_boot_ns: u64) -> Option<(String, String)> {
    let entry = Entry::new(i32::try_from(pid).ok()?).ok()?;
    let stat = entry.stat().ok()?;
    let is_same = start_time_ns(stat.starttime) == start_time_ns(ticks(since_boot_ns));
    is_same.then(|| (stat.comm, executable(&entry).path))
}

fn ticks(since_boot_ns: u64) -> u64 {
    since_boot_ns / (NANOS / procfs::ticks_per_second().max(1))
}

fn start_time_ns(ticks: u64) -> u64 {
    let per_second = procfs::ticks_per_second().max(1);
    (ticks / per_second) * NANOS + (ticks % per_second) * (NANOS / per_second)
}

fn executable(entry: &Entry) -> Executable {
    let link = entry.exe().unwrap_or_default();
    let shown = link.to_string_lossy();
    let about = std::fs::metadata(format!("/proc/{}/exe", entry.pid())).ok();
    // A file that is there may have that name.
    let named = |about: &Metadata| shown.ends_with(DELETED) && !is_at(entry, &link, about);
    let deleted = about
        .as_ref()
        .is_some_and(|about| about.nlink() == 0 || named(about));
    let plain = shown.strip_suffix(DELETED).filter(|_| deleted);
    let path = plain.unwrap_or(&shown).to_owned();
    let device = about.as_ref().map_or(0, |about| {
        let device = about.dev();
        (rustix::fs::major(device) << 20) | rustix::fs::minor(device)
    });
    Executable {
        memfd: path.starts_with("/memfd:"),
        path,
        device,
        inode: about.as_ref().map_or(0, Metadata::ino),
        deleted,
        upper_layer: false,
    }
}

/// Whether this file has that path, for this process or for the process of the entry.
fn is_at(entry: &Entry, path: &Path, about: &Metadata) -> bool {
    let inner = path.strip_prefix("/").unwrap_or(path);
    let theirs = PathBuf::from(format!("/proc/{}/root", entry.pid())).join(inner);
    [path, &theirs].into_iter().any(|path| {
        let found = std::fs::metadata(path);
        found.is_ok_and(|found| (found.dev(), found.ino()) == (about.dev(), about.ino()))
    })
}

fn ancestors(parent: i32) -> Vec<Ancestor> {
    let mut ancestors = Vec::new();
    let mut pid = parent;
    while pid > 0
        && ancestors.len() < MAX_ANCESTORS
        && let Ok(entry) = Entry::new(pid)
        && let Ok(stat) = entry.stat()
    {
        let exe = entry.exe().unwrap_or_default();
        let name = exe.file_name().unwrap_or_default().to_string_lossy();
        ancestors.push(Ancestor {
            pid: u32::try_from(pid).unwrap_or(0),
            start_time_ns: start_time_ns(stat.starttime),
            comm: stat.comm,
            exe_name: name.strip_suffix(DELETED).unwrap_or(&name).to_owned(),
        });
        pid = stat.ppid;
    }
    ancestors
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_older_listener_has_an_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Endpoint {
            ip: [127, 0, 0, 1].into(),
            port: listener.local_addr().unwrap().port(),
        };
        let myself = Entry::myself().unwrap();
        let owner = find_listener(namespace(&myself, "net"), server).unwrap();
        assert_eq!(owner.process.pid, std::process::id());
        let exe = std::env::current_exe().unwrap();
        assert_eq!(owner.process.exe.path, exe.to_string_lossy());
        assert_eq!(
            owner.process.exe.inode,
            std::fs::metadata(exe).unwrap().ino()
        );
        assert_eq!(owner.process.args, std::env::args().collect::<Vec<_>>());
        assert!(!owner.process.ancestors.is_empty());
        drop(listener);
        assert!(find_listener(namespace(&myself, "net"), server).is_none());
    }
}
