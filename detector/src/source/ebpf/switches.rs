//! Switches of the kernel that silence probes without detaching them.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::fd::OwnedFd,
};

use rustix::{
    fs::{Mode, OFlags, openat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

use crate::source::Attach;

/// Turned off, calls are not traced where ftrace patches them: the probes of a function are not run.
const FTRACE: &str = "/proc/sys/kernel/ftrace_enabled";
/// Turned off, no kprobe is run. In debugfs.
const KPROBES: &str = "kprobes/enabled";

/// Those that the mechanisms depend on.
pub(super) struct Switches {
    traced: bool,
    /// `None` where nothing depends on it, or the kernel does not show it to this process.
    debugfs: Option<OwnedFd>,
}

impl Switches {
    pub(super) fn of(mechanisms: &[Attach]) -> Self {
        let is_used = |wanted| mechanisms.contains(&wanted);
        let debugfs = is_used(Attach::Kprobe).then(debugfs);
        Self {
            traced: is_used(Attach::Kprobe) || is_used(Attach::Fentry),
            debugfs: debugfs.and_then(|opened| {
                let refused = |error: &io::Error| {
                    tracing::debug!(%error, "whether kprobes are enabled cannot be looked at");
                };
                opened.inspect_err(refused).ok()
            }),
        }
    }

    /// What is turned off, in words.
    pub(super) fn off(&self) -> impl Iterator<Item = String> {
        let ftrace = self.traced && fs::read_to_string(FTRACE).is_ok_and(|text| is_off(&text));
        let kprobes = self.debugfs.as_ref();
        let kprobes = kprobes.is_some_and(|at| read(at).is_ok_and(|text| is_off(&text)));
        let switches = [("ftrace", ftrace), ("kprobes", kprobes)];
        let off = switches.into_iter().filter(|(_, is_off)| *is_off);
        off.map(|(name, _)| format!("the kernel's {name} is turned off"))
    }
}

fn is_off(text: &str) -> bool {
    text.trim() == "0"
}

/// A mount of it that no path leads to: it need not be mounted, and nobody sees it.
fn debugfs() -> io::Result<OwnedFd> {
    let context = fsopen("debugfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let mount = fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_RDONLY,
    )?;
    Ok(mount)
}

fn read(debugfs: &OwnedFd) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(debugfs, KPROBES, flags, Mode::empty())?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text)?;
    Ok(text)
}
