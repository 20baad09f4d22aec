//! What /proc tells of a process beyond the kernel's snapshot. A process is looked at only if it is
//! still the one of the snapshot, by its start time; else nothing is told of it. What it did since,
//! such as another exec, shows.

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::{Path, PathBuf},
};

use procfs::{
    ProcError,
    process::{LimitValue, Process as Entry, Stat, Task},
};

use super::{image, streams};
use crate::event::{Details, Environment, Files, Leader, Leaders, Part, Process, Relative, Status};

const NANOS: u64 = 1_000_000_000;
/// Bytes of an environment.
const MAX_ENVIRONMENT: usize = 8 << 10;
/// Bytes of an ancestor's arguments, as of the process's own in the kernel's record.
const MAX_ARGUMENTS: usize = 1 << 10;
/// Bytes of the list of cgroups: a dozen hierarchies at most.
const MAX_CGROUPS: usize = 16 << 10;
const MAX_THREADS: usize = 256;
/// Suffix of the link to an executable that has no name any more (fs/d_path.c).
const DELETED: &str = " (deleted)";
/// The host's /proc.
pub(super) struct Proc(PathBuf);

impl Proc {
    pub(super) fn new(root: &Path) -> Self {
        Self(mounted(root))
    }

    /// `None` if the process has ended.
    pub(super) fn details(&self, process: &Process, parts: &BTreeSet<Part>) -> Option<Details> {
        let entry = self.verified(process.pid, process.start_time_ns)?;
        let asked = |part| parts.contains(&part);
        let mut details = Details::default();
        if asked(Part::Environment) {
            details.environment = environment(&entry);
        }
        if asked(Part::Status) {
            details.status = status(&entry);
        }
        if asked(Part::Files) {
            details.files = files(&entry);
        }
        if asked(Part::Streams) {
            details.streams = Some([0, 1, 2].map(|number| streams::stream(&entry, number)));
        }
        if asked(Part::Executable) {
            details.image = image::image(&entry, process);
        }
        if asked(Part::Cgroups) {
            details.cgroups = cgroups(&entry);
        }
        if asked(Part::Threads) {
            details.threads = threads(&entry);
        }
        if asked(Part::Leaders) {
            details.leaders = self.leaders(&entry, process);
        }
        if asked(Part::ParentId) {
            details.parent_vpid = self.parent_vpid(process);
        }
        let environments = asked(Part::AncestorEnvironments);
        if environments || asked(Part::Ancestors) {
            details.ancestors = process
                .ancestors
                .iter()
                .map(|one| relative(&self.verified(one.pid, one.start_time_ns)?, environments))
                .collect();
        }
        Some(details)
    }

    /// Whatever is read through the entry is of this process: it holds the folder open. An ancestor's
    /// time is that of the thread that forked (`real_parent`, kernel/fork.c).
    fn verified(&self, pid: u32, start_time_ns: u64) -> Option<Entry> {
        let entry = self.entry(pid)?;
        let wanted = ticks(start_time_ns);
        if entry.stat().ok()?.starttime == wanted {
            return Some(entry);
        }
        let started = |task: Task| task.stat().is_ok_and(|stat| stat.starttime == wanted);
        let mut tasks = entry.tasks().ok()?.flatten().take(MAX_THREADS);
        tasks.any(started).then_some(entry)
    }

    fn entry(&self, pid: u32) -> Option<Entry> {
        Entry::new_with_root(self.0.join(pid.to_string())).ok()
    }

    /// An id is not given away while a session or a group has it: who has it, leads.
    fn leaders(&self, entry: &Entry, process: &Process) -> Option<Leaders> {
        let leaders = Leaders {
            session: self.leader(process, process.session, |stat| stat.session),
            group: self.leader(process, process.process_group, |stat| stat.pgrp),
        };
        let now = entry.stat().ok()?;
        let same = id(now.session) == process.session && id(now.pgrp) == process.process_group;
        same.then_some(leaders)
    }

    /// The leader, or the oldest ancestor in a row that is of its session or group.
    fn leader(&self, process: &Process, leader: u32, of: fn(&Stat) -> i32) -> Option<Leader> {
        if leader == process.pid {
            return Some(Leader {
                comm: process.comm.clone(),
                exe: process.args.first().cloned().unwrap_or_default(),
                path: process.exe.path.clone(),
            });
        }
        if leader == 0 {
            return None;
        }
        if let Some(entry) = self.entry(leader)
            && let Some(found) = described(&entry)
        {
            return Some(found);
        }
        let ancestors = process.ancestors.iter();
        let row = ancestors.map_while(|one| {
            let entry = self.verified(one.pid, one.start_time_ns)?;
            let stat = entry.stat().ok()?;
            (id(of(&stat)) == leader).then_some(entry)
        });
        described(&row.last()?)
    }

    fn parent_vpid(&self, process: &Process) -> Option<u32> {
        let parent = process.ancestors.first()?;
        let entry = self.verified(parent.pid, parent.start_time_ns)?;
        entry.status().ok()?.nspid?.last().copied().map(id)
    }
}

/// Where the host's /proc is: below its root if it is there; else this one's own, which shows the host's
/// processes where it can.
pub(super) fn mounted(root: &Path) -> PathBuf {
    let mounted = root.join("proc");
    if mounted.join("1/stat").exists() {
        mounted
    } else {
        PathBuf::from("/proc")
    }
}

fn id(pid: i32) -> u32 {
    u32::try_from(pid).unwrap_or(0)
}

/// /proc tells start times in ticks since boot.
fn ticks(since_boot_ns: u64) -> u64 {
    since_boot_ns / (NANOS / procfs::ticks_per_second().max(1))
}

/// At most so many bytes, and whether there were more.
pub(super) fn read(entry: &Entry, name: &str, limit: usize) -> Option<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let file = entry.open_relative(name).ok()?;
    let more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(more).read_to_end(&mut bytes).ok()?;
    let cut = bytes.len() > limit;
    bytes.truncate(limit);
    Some((bytes, cut))
}

/// Texts that each end in a NUL byte.
fn texts(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes
        .split(|byte| *byte == 0)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

fn environment(entry: &Entry) -> Option<Environment> {
    let (bytes, cut) = read(entry, "environ", MAX_ENVIRONMENT)?;
    let mut variables = texts(&bytes);
    if cut {
        // The last one is probably not whole.
        variables.pop();
    }
    Some(Environment {
        variables,
        cut,
        ..Environment::default()
    })
}

fn arguments(entry: &Entry) -> Option<Vec<String>> {
    Some(texts(&read(entry, "cmdline", MAX_ARGUMENTS)?.0))
}

/// A thread of the kernel has no executable.
fn path(entry: &Entry) -> Option<String> {
    let link = match entry.exe() {
        Ok(link) => link,
        Err(ProcError::NotFound(_)) => PathBuf::new(),
        Err(_) => return None,
    };
    let shown = link.to_string_lossy();
    // A file that is there may have that name.
    let plain = shown
        .strip_suffix(DELETED)
        .filter(|_| image::is_deleted(entry));
    Some(plain.unwrap_or(&shown).to_owned())
}

fn relative(entry: &Entry, environments: bool) -> Option<Relative> {
    Some(Relative {
        path: path(entry)?,
        args: arguments(entry)?,
        environment: environments.then(|| environment(entry)).flatten(),
        ..Relative::default()
    })
}

fn described(entry: &Entry) -> Option<Leader> {
    Some(Leader {
        comm: entry.stat().ok()?.comm,
        path: path(entry)?,
        exe: arguments(entry)?.into_iter().next().unwrap_or_default(),
    })
}

fn status(entry: &Entry) -> Option<Status> {
    let status = entry.status().ok()?;
    Some(Status {
        threads: status.threads,
        vm_size_kib: status.vmsize.unwrap_or(0),
        vm_rss_kib: status.vmrss.unwrap_or(0),
        vm_swap_kib: status.vmswap.unwrap_or(0),
        permitted: status.capprm,
        inheritable: status.capinh,
        process_group: id(*status.nspgid?.last()?),
        ..Status::default()
    })
}

fn files(entry: &Entry) -> Option<Files> {
    let limit = entry.limits().ok()?.max_open_files.soft_limit;
    Some(Files {
        open: u64::try_from(entry.fd_count().ok()?).ok()?,
        limit: match limit {
            LimitValue::Value(limit) => Some(limit),
            LimitValue::Unlimited => None,
        },
    })
}

/// `hierarchy:controllers:path`, as in cgroups(7).
fn cgroups(entry: &Entry) -> Option<Vec<(String, String)>> {
    let (bytes, _) = read(entry, "cgroup", MAX_CGROUPS)?;
    let text = String::from_utf8_lossy(&bytes);
    let row = |line: &str| {
        let mut columns = line.splitn(3, ':').skip(1);
        Some((columns.next()?.to_owned(), columns.next()?.to_owned()))
    };
    Some(text.lines().filter_map(row).collect())
}

fn threads(entry: &Entry) -> Option<Vec<(u32, u32)>> {
    let tasks = entry.tasks().ok()?.flatten().take(MAX_THREADS);
    let inside = |task: Task| {
        let ids = task.status().ok()?.nspid?;
        Some((id(task.tid), id(*ids.last()?)))
    };
    Some(tasks.filter_map(inside).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn myself() -> Process {
        let stat = Entry::myself().unwrap().stat().unwrap();
        let per_tick = NANOS / procfs::ticks_per_second();
        let parent = Entry::new(stat.ppid).unwrap().stat().unwrap();
        Process {
            pid: std::process::id(),
            // Within the tick, as the kernel's own clock has it.
            start_time_ns: stat.starttime * per_tick + 7,
            comm: stat.comm,
            session: id(stat.session),
            process_group: id(stat.pgrp),
            ancestors: vec![crate::event::Ancestor {
                pid: id(stat.ppid),
                start_time_ns: parent.starttime * per_tick,
                ..crate::event::Ancestor::default()
            }],
            ..Process::default()
        }
    }

    fn all() -> BTreeSet<Part> {
        [
            Part::Account,
            Part::Ancestors,
            Part::AncestorEnvironments,
            Part::Cgroups,
            Part::Environment,
            Part::Executable,
            Part::Files,
            Part::Leaders,
            Part::ParentId,
            Part::Status,
            Part::Streams,
            Part::Threads,
        ]
        .into()
    }

    #[test]
    fn each_part_is_read() {
        let proc = Proc::new(Path::new("/"));
        let details = proc.details(&myself(), &all()).unwrap();
        let path = std::env::var("PATH").unwrap();
        let environment = details.environment.unwrap();
        assert!(environment.cut || environment.variables.contains(&format!("PATH={path}")));
        assert!(details.status.unwrap().threads >= 1);
        assert!(details.files.unwrap().open >= 3);
        assert_eq!(details.streams.unwrap().map(|one| one.is_some()), [true; 3]);
        let image = details.image.unwrap();
        assert!(image.changed_ns > 0 && image.modified_ns > 0);
        assert!(!details.cgroups.unwrap().is_empty());
        assert!(!details.threads.unwrap().is_empty());
        assert!(details.leaders.is_some());
        assert!(details.parent_vpid.is_some());
        let parent = details.ancestors[0].as_ref().unwrap();
        assert!(parent.path.starts_with('/') && !parent.args.is_empty());
        assert!(parent.environment.is_some());
    }

    #[test]
    fn nothing_is_read_that_nobody_asks_for() {
        let proc = Proc::new(Path::new("/"));
        let details = proc.details(&myself(), &BTreeSet::new()).unwrap();
        assert_eq!(details, Details::default());
    }

    /// No thread of the test has started by then.
    const AGES_NS: u64 = 1 << 60;

    /// A process with the same id that was started at another time is another process.
    #[test]
    fn an_id_that_was_given_away_tells_nothing() {
        let proc = Proc::new(Path::new("/"));
        let mut process = myself();
        process.ancestors[0].start_time_ns += AGES_NS;
        let details = proc.details(&process, &all()).unwrap();
        assert_eq!(details.ancestors, [None]);
        assert_eq!(details.parent_vpid, None);
        process.start_time_ns += AGES_NS;
        assert_eq!(proc.details(&process, &all()), None);
    }

    /// The time of any of its threads tells a process from others.
    #[test]
    fn a_thread_that_forked_stands_for_its_process() {
        let proc = Proc::new(Path::new("/"));
        let own = Entry::myself().unwrap().stat().unwrap().starttime;
        let (tells, told) = std::sync::mpsc::channel();
        // A thread of the process's first tick would show nothing.
        let (starttime, stop, thread) = loop {
            let (stop, stopped) = std::sync::mpsc::channel::<()>();
            let tells = tells.clone();
            let thread = std::thread::spawn(move || {
                let stat: Stat = procfs::FromRead::from_file("/proc/thread-self/stat").unwrap();
                tells.send(stat.starttime).unwrap();
                stopped.recv().ok();
            });
            let starttime = told.recv().unwrap();
            if starttime != own {
                break (starttime, stop, thread);
            }
        };
        let start_time_ns = starttime * (NANOS / procfs::ticks_per_second());
        assert!(proc.verified(std::process::id(), start_time_ns).is_some());
        drop(stop);
        thread.join().unwrap();
    }

    #[test]
    fn only_what_is_deleted_loses_the_suffix() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sleep (deleted)");
        std::fs::copy("/bin/sleep", &file).unwrap();
        let mut child = std::process::Command::new(&file).arg("60").spawn().unwrap();
        let entry = Entry::new(i32::try_from(child.id()).unwrap()).unwrap();
        let name = file.to_str().unwrap();
        // Until its exec the child is this process.
        let found = std::iter::repeat_with(|| path(&entry).unwrap())
            .take(10_000)
            .inspect(|_| std::thread::yield_now())
            .find(|found| found == name);
        std::fs::remove_file(&file).unwrap();
        let deleted = path(&entry);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.is_some());
        assert_eq!(deleted.as_deref(), Some(name));
    }

    #[test]
    fn long_environments_are_cut() {
        let long = "x".repeat(MAX_ENVIRONMENT);
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .env_clear()
            .env("A", "1")
            .env("B", long)
            .spawn()
            .unwrap();
        let entry = Entry::new(i32::try_from(child.id()).unwrap()).unwrap();
        // Until its exec the child has the environment of this process.
        let cut = std::iter::repeat_with(|| environment(&entry).unwrap())
            .take(10_000)
            .inspect(|_| std::thread::yield_now())
            .find(|found| found.variables == ["A=1"]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(cut.unwrap().cut);
    }
}
