//! The executable of a process. A file system that hangs, such as one of FUSE or of a network, must
//! not hold the detector up: only what the kernel has at hand is asked for.

use std::os::fd::AsFd;

use procfs::process::Process as Entry;
use rustix::fs::{AtFlags, OFlags, Statx, StatxFlags, StatxTimestamp};

use super::process::read;
use crate::event::{Image, Process};

const NANOS: u64 = 1_000_000_000;
/// Bytes of the list of mounts.
const MAX_MOUNTS: usize = 1 << 20;
/// Inode of the host's own user namespace (include/linux/proc_ns.h).
const HOST_USERS: u32 = 0xefff_fffd;
/// CAP_DAC_OVERRIDE and CAP_FOWNER (include/uapi/linux/capability.h).
const MAY_WRITE_ALL: u64 = 1 << 1 | 1 << 3;

pub(super) fn image(entry: &Entry, process: &Process) -> Option<Image> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let about = at_hand(entry.open_relative_flags("exe", flags).ok()?)?;
    Some(Image {
        writable: is_writable(entry, process, &about)?,
        overlay: is_overlay(entry, about.stx_mnt_id)?,
        changed_ns: nanos(&about.stx_ctime),
        modified_ns: nanos(&about.stx_mtime),
    })
}

/// Whether no file system has the executable any more.
pub(super) fn is_deleted(entry: &Entry) -> bool {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let exe = entry.open_relative_flags("exe", flags).ok();
    exe.and_then(at_hand)
        .is_some_and(|about| about.stx_nlink == 0)
}

/// Without asking the file system.
pub(super) fn at_hand(file: impl AsFd) -> Option<Statx> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    rustix::fs::statx(file, "", flags, mask).ok()
}

fn nanos(time: &StatxTimestamp) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds
        .saturating_mul(NANOS)
        .saturating_add(time.tv_nsec.into())
}

/// By the type of its mount, in the process's own namespace.
fn is_overlay(entry: &Entry, mount: u64) -> Option<bool> {
    let (bytes, _) = read(entry, "mountinfo", MAX_MOUNTS)?;
    let text = String::from_utf8_lossy(&bytes);
    let id = mount.to_string();
    let row = text
        .lines()
        .find(|line| line.split(' ').next() == Some(&id))?;
    let (_, after) = row.split_once(" - ")?;
    Some(after.split(' ').next()? == "overlay")
}

/// By owner, group and mode, as Falco judges; capabilities count where ids are the host's.
fn is_writable(entry: &Entry, process: &Process, about: &Statx) -> Option<bool> {
    let status = entry.status().ok()?;
    let all = process.namespaces.user == HOST_USERS && process.capabilities & MAY_WRITE_ALL != 0;
    let in_group = status.egid == about.stx_gid || status.groups.contains(&about.stx_gid);
    Some(
        all || about.stx_uid == process.euid
            || (in_group && about.stx_mode & 0o020 != 0)
            || about.stx_mode & 0o002 != 0,
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    /// The file is of this process's user and group.
    #[test]
    fn who_may_write_is_told_by_owner_mode_and_capabilities() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let owner = std::fs::metadata(file.path()).unwrap().uid();
        let entry = Entry::myself().unwrap();
        let user = |euid, capabilities, user_namespace| {
            let mut process = Process {
                euid,
                capabilities,
                ..Process::default()
            };
            process.namespaces.user = user_namespace;
            process
        };
        let other = user(owner + 1, 0, HOST_USERS);
        for (mode, process, expected) in [
            (0o555, &user(owner, 0, HOST_USERS), true),
            (0o755, &other, false),
            (0o757, &other, true),
            (0o775, &other, true),
            (0o755, &user(owner + 1, MAY_WRITE_ALL, HOST_USERS), true),
            (0o755, &user(owner + 1, MAY_WRITE_ALL, 7), false),
        ] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), permissions).unwrap();
            let about = at_hand(file.as_file()).unwrap();
            let found = is_writable(&entry, process, &about);
            assert_eq!(found, Some(expected), "{mode:o} {process:?}");
        }
    }

    #[test]
    fn times_are_those_of_the_file() {
        let entry = Entry::myself().unwrap();
        let image = image(&entry, &Process::default()).unwrap();
        let about = std::fs::metadata("/proc/self/exe").unwrap();
        let modified = u64::try_from(about.mtime()).unwrap() * NANOS;
        assert_eq!(
            image.modified_ns,
            modified + u64::try_from(about.mtime_nsec()).unwrap()
        );
        assert!(image.changed_ns > 0);
    }
}
