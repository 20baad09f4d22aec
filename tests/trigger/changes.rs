//! Two refused connects of a process that changes in between: at once, and on one CPU.
#![expect(
    unsafe_code,
    reason = "ids are changed below what the standard library knows of"
)]

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::{fs::FileExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
    time::Duration,
};

use rustix::{
    process::{getppid, setsid},
    thread::{CapabilitySet, CpuSet, UnshareFlags, sched_setaffinity},
};

use crate::{
    Lacks, Result, fact, in_a_thread, in_folder, raw, renamed,
    spoof::{self, NOBODY, refused},
};

/// `BRIEF_NS`: what was told of a process so long before is told again. There is nothing else to wait for.
const OLD: Duration = Duration::from_millis(100);

/// Each CPU has its own memory of the processes that were told there.
fn stay() -> Result {
    let mut first = CpuSet::new();
    first.set(0);
    Ok(sched_setaffinity(None, &first)?)
}

fn twice(port: u16, change: impl FnOnce() -> Result) -> Result {
    stay()?;
    refused(port)?;
    change()?;
    refused(port)
}

pub(crate) fn name(port: u16) -> Result {
    twice(port, || Ok(rustix::thread::set_name(c"kubelet")?))
}

pub(crate) fn user(port: u16) -> Result {
    twice(port, || {
        // SAFETY: the process has one thread, and the call takes a number.
        Ok(raw::checked(unsafe { libc::setuid(NOBODY) })?)
    })
}

pub(crate) fn group(port: u16) -> Result {
    twice(port, || {
        // SAFETY: the process has one thread, and the call takes a number.
        Ok(raw::checked(unsafe { libc::setgid(NOBODY) })?)
    })
}

pub(crate) fn capabilities(port: u16) -> Result {
    twice(port, || {
        let mut sets = rustix::thread::capabilities(None)?;
        sets.effective = CapabilitySet::empty();
        Ok(rustix::thread::set_capabilities(None, sets)?)
    })
}

pub(crate) fn working_folder(port: u16) -> Result {
    twice(port, || Ok(std::env::set_current_dir("/proc")?))
}

pub(crate) fn working_folder_name(port: u16) -> Result {
    in_folder(|folder| {
        let (before, after) = (folder.join("before"), folder.join("after"));
        fs::create_dir(&before)?;
        std::env::set_current_dir(&before)?;
        twice(port, || Ok(fs::rename(&before, &after)?))
    })
}

pub(crate) fn session(port: u16) -> Result {
    raw::forked(|| {
        fact("client", std::process::id());
        twice(port, || Ok(setsid().map(drop)?))
    })
}

pub(crate) fn mounts(port: u16) -> Result {
    twice(port, || {
        raw::unshare(UnshareFlags::NEWNS, "mount namespaces")
    })?;
    fact("mnt_ns", spoof::namespace("mnt")?);
    Ok(())
}

pub(crate) fn cgroup(port: u16) -> Result {
    const PROCESSES: &str = "cgroup.procs";
    // Of the first version where both are.
    let roots = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].map(Path::new);
    let mut usable = roots.iter().filter(|root| root.join(PROCESSES).exists());
    let root = usable.next().ok_or(Lacks("cgroups"))?;
    let own = root.join(format!("changed-{}", std::process::id()));
    fs::create_dir(&own)?;
    let enter = |group: &Path| fs::write(group.join(PROCESSES), "0");
    let outcome = twice(port, || Ok(enter(&own)?));
    enter(root)?;
    fs::remove_dir(&own)?;
    outcome
}

/// Another thread, which has a name of its own.
pub(crate) fn thread(port: u16) -> Result {
    stay()?;
    refused(port)?;
    in_a_thread(move || refused(port))
}

pub(crate) fn forked(port: u16) -> Result {
    stay()?;
    refused(port)?;
    raw::forked(|| {
        fact("client", std::process::id());
        refused(port)
    })
}

/// Its parent ends.
pub(crate) fn orphaned(port: u16) -> Result {
    let (mut until_done, done) = io::pipe()?;
    raw::forked(|| {
        let (mut until_told, mut told) = io::pipe()?;
        raw::fork(move || {
            fact("client", std::process::id());
            let parent = getppid();
            twice(port, || {
                told.write_all(&[0])?;
                while getppid() == parent {
                    std::thread::yield_now();
                }
                Ok(())
            })
        })?;
        Ok(until_told.read_exact(&mut [0])?)
    })?;
    drop(done);
    until_done.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The process becomes another program.
pub(crate) fn program(port: u16) -> Result {
    in_folder(|folder| {
        let path = folder.join("kubelet");
        fs::copy(std::env::current_exe()?, &path)?;
        spoof::tell(&path)?;
        raw::forked(|| {
            fact("client", std::process::id());
            stay()?;
            refused(port)?;
            let mut command = Command::new(&path);
            Err(command.args(["refused", &port.to_string()]).exec().into())
        })
    })
}

pub(crate) fn removed(port: u16) -> Result {
    renamed("kubelet", "changed-removed-inner", port)
}

pub(crate) fn removed_inner(port: u16) -> Result {
    let path = std::env::current_exe()?;
    twice(port, || Ok(fs::remove_file(&path)?))
}

/// Of an overlay whose lower layer has the executable: it is copied to the upper one.
pub(crate) fn layer_inner(port: u16) -> Result {
    let path = std::env::current_exe()?;
    twice(port, || {
        Ok(std::os::unix::fs::chown(&path, Some(NOBODY), None)?)
    })
}

pub(crate) fn moved(port: u16) -> Result {
    renamed("kubelet", "changed-moved-inner", port)
}

pub(crate) fn moved_inner(port: u16) -> Result {
    let path = std::env::current_exe()?;
    twice(port, || {
        Ok(fs::rename(&path, path.with_file_name("moved"))?)
    })
}

/// The process writes over its own arguments, and connects once more when that is old.
pub(crate) fn arguments(port: u16) -> Result {
    const START: usize = 48;
    let stat = fs::read_to_string("/proc/self/stat")?;
    // After the name, which may have spaces, comes the third number (proc_pid_stat(5)).
    let (_, numbers) = stat.rsplit_once(") ").ok_or("no name")?;
    let start = numbers.split(' ').nth(START - 3).ok_or("too few numbers")?;
    let start: u64 = start.parse()?;
    let memory = File::options().write(true).open("/proc/self/mem")?;
    twice(port, || Ok(memory.write_all_at(b"kubelet\0", start)?))?;
    std::thread::sleep(OLD);
    refused(port)
}
