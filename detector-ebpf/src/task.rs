//! The only reader of `struct task_struct`: who is running now, in full.

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_get_current_task_btf};
use detector_ebpf::{
    COMM_LEN, EXE_NAME_LEN, Process, TRUNCATED_ANCESTORS, TRUNCATED_ARGS, TRUNCATED_CGROUP,
    TRUNCATED_CWD, TRUNCATED_EXE, Thread, offset,
};

use crate::{
    read::{self, known, member},
    text::Text,
};

/// Components of a path, and levels of a cgroup, that are followed.
const PATH_DEPTH: u32 = 32;
const CGROUP_DEPTH: u32 = 12;
/// Of the namespace of a mount that is mounted nowhere, since 6.18; 0 before (enum init_ns_ino in
/// include/uapi/linux/nsfs.h).
const MNT_NS_ANON_INO: u32 = 0xefff_fff7;
/// `PIDTYPE_PGID` and `PIDTYPE_SID` (include/linux/pid_types.h).
const PIDTYPE_PGID: usize = 2;
const PIDTYPE_SID: usize = 3;

/// With its type, where the kernel gives that.
#[inline(always)]
pub(crate) fn current() -> u64 {
    if read::is_typed() {
        unsafe { bpf_get_current_task_btf() as u64 }
    } else {
        unsafe { bpf_get_current_task() }
    }
}

#[inline(always)]
pub(crate) fn fill(thread: &mut Thread, task: u64) {
    thread.tid = known(task, offset::TASK_PID);
    thread.reserved = 0;
    thread.comm = known(task, offset::TASK_COMM);
}

/// Fills the process and writes the texts.
#[inline(always)]
pub(crate) fn snapshot(process: &mut Process, task: u64, text: &mut Text) {
    let leader: u64 = known(task, offset::TASK_LEADER);
    process.pid = known(task, offset::TASK_TGID);
    process.start_time_ns = known(leader, offset::TASK_START);
    read::copy(
        process.comm.as_mut_ptr(),
        COMM_LEN as u32,
        leader + read::offset(offset::TASK_COMM),
    );
    process.truncated = 0;
    credentials(process, task);
    identifiers(process, task, leader);
    let mm: u64 = known(task, offset::TASK_MM);
    let exe: u64 = member(mm, offset::MM_EXE_FILE);
    executable(process, exe);
    ancestors(process, leader);

    let (mnt, dentry) = (
        member(exe, offset::FILE_MNT),
        member(exe, offset::FILE_DENTRY),
    );
    if !path(text, mnt, dentry) {
        process.truncated |= TRUNCATED_EXE;
    }
    process.exe_len = text.end() as u16;
    let from: u64 = known(mm, offset::MM_ARG_START);
    let to: u64 = known(mm, offset::MM_ARG_END);
    if !text.push_user(from, to - from) {
        process.truncated |= TRUNCATED_ARGS;
    }
    process.args_len = text.end() as u16 - process.exe_len;
    let fs: u64 = known(task, offset::TASK_FS);
    let start = text.end();
    let (mnt, dentry) = (
        known(fs, offset::FS_PWD_MNT),
        known(fs, offset::FS_PWD_DENTRY),
    );
    if !path(text, mnt, dentry) {
        process.truncated |= TRUNCATED_CWD;
    }
    process.cwd_len = (text.end() - start) as u16;
    let start = text.end();
    if !cgroup(text, task) {
        process.truncated |= TRUNCATED_CGROUP;
    }
    process.cgroup_len = (text.end() - start) as u16;
}

#[inline(always)]
fn credentials(process: &mut Process, task: u64) {
    let cred: u64 = known(task, offset::TASK_CRED);
    process.uid = known(cred, offset::CRED_UID);
    process.gid = known(cred, offset::CRED_GID);
    process.euid = known(cred, offset::CRED_EUID);
    process.capabilities = member(cred, offset::CRED_CAP_EFFECTIVE);
    let user_ns: u64 = known(cred, offset::CRED_USER_NS);
    process.user_ns = known(user_ns, offset::USER_NS_INUM);
    process.login_uid = login_uid(task);
}

/// Of a kernel that has none it is as if it was never set.
#[inline(always)]
pub(crate) fn login_uid(task: u64) -> u32 {
    if read::offset(offset::TASK_LOGIN_UID) == offset::ABSENT as u64 {
        u32::MAX
    } else {
        known(task, offset::TASK_LOGIN_UID)
    }
}

#[inline(always)]
fn identifiers(process: &mut Process, task: u64, leader: u64) {
    let own: u64 = member(leader, offset::TASK_THREAD_PID);
    let level: u32 = member(own, offset::PID_LEVEL);
    let number = own
        + read::offset(offset::PID_NUMBERS)
        + (level & 0x3f) as u64 * read::offset(offset::SIZE_UPID);
    process.vpid = read::read(number);
    let pid_ns: u64 = member(number, offset::UPID_NS);
    process.pid_ns = member(pid_ns, offset::PID_NS_INUM);

    let signal: u64 = known(leader, offset::TASK_SIGNAL);
    [process.process_group, process.session] = groups(signal);
    let tty: u64 = known(signal, offset::SIGNAL_TTY);
    let driver: u64 = known(tty, offset::TTY_DRIVER);
    let index: u32 = known(tty, offset::TTY_INDEX);
    let first: u32 = known(driver, offset::TTY_DRIVER_MINOR);
    process.tty_major = known(driver, offset::TTY_DRIVER_MAJOR);
    process.tty_minor = first + index;

    [process.mnt_ns, process.net_ns] = namespaces(task, leader);
}

/// Of the process group and of the session.
#[inline(always)]
pub(crate) fn groups(signal: u64) -> [u32; 2] {
    let pids: [u64; PIDTYPE_SID + 1] = known(signal, offset::SIGNAL_PIDS);
    [
        known(pids[PIDTYPE_PGID], offset::PID_NUMBERS),
        known(pids[PIDTYPE_SID], offset::PID_NUMBERS),
    ]
}

/// Of mounts and of the network.
#[inline(always)]
pub(crate) fn namespaces(task: u64, leader: u64) -> [u32; 2] {
    // A leader that has ended is in no namespaces any more, its process still is.
    let mut nsproxy: u64 = known(leader, offset::TASK_NSPROXY);
    if nsproxy == 0 {
        nsproxy = known(task, offset::TASK_NSPROXY);
    }
    let mnt_ns: u64 = known(nsproxy, offset::NSPROXY_MNT);
    let net_ns: u64 = known(nsproxy, offset::NSPROXY_NET);
    [
        known(mnt_ns, offset::MNT_NS_INUM),
        known(net_ns, offset::NET_INUM),
    ]
}

#[inline(always)]
fn executable(process: &mut Process, file: u64) {
    let inode: u64 = member(file, offset::FILE_INODE);
    process.exe_inode = member(inode, offset::INODE_INO);
    process.exe_links = if is_unlinked(member(file, offset::FILE_DENTRY)) {
        0
    } else {
        member(inode, offset::INODE_NLINK)
    };
    let superblock: u64 = member(inode, offset::INODE_SB);
    process.exe_device = member(superblock, offset::SB_DEV);
    process.exe_fs_magic = member(superblock, offset::SB_MAGIC);
    process.exe_upper = upper(inode);
}

/// `struct ovl_inode` (fs/overlayfs/ovl_entry.h) embeds the inode; the upper dentry follows it.
#[inline(always)]
pub(crate) fn upper(inode: u64) -> u64 {
    read::read(inode + read::offset(offset::SIZE_INODE))
}

/// `d_unlinked` (include/linux/dcache.h): this name of the file is gone, whether it has others or not.
#[inline(always)]
fn is_unlinked(dentry: u64) -> bool {
    let hashed: u64 = member(dentry, offset::DENTRY_HASHED);
    let above: u64 = member(dentry, offset::DENTRY_PARENT);
    hashed == 0 && above != dentry
}

#[inline(always)]
fn ancestors(process: &mut Process, leader: u64) {
    let mut task = leader;
    for ancestor in &mut process.ancestors {
        // The parent is the thread that forked: its process's name and start are the leader's.
        let forked: u64 = known(task, offset::TASK_PARENT);
        let parent: u64 = known(forked, offset::TASK_LEADER);
        let pid: u32 = known(parent, offset::TASK_TGID);
        ancestor.pid = pid;
        if pid == 0 {
            return;
        }
        ancestor.reserved = 0;
        ancestor.start_time_ns = known(parent, offset::TASK_START);
        read::copy(
            ancestor.comm.as_mut_ptr(),
            COMM_LEN as u32,
            parent + read::offset(offset::TASK_COMM),
        );
        // Of the thread that forked: a leader that has ended has none.
        let mm: u64 = known(forked, offset::TASK_MM);
        let exe: u64 = member(mm, offset::MM_EXE_FILE);
        let dentry: u64 = member(exe, offset::FILE_DENTRY);
        // All of it: user space recognises a process by the bytes of its record.
        read::clear(&mut ancestor.exe_name);
        read::copy_str(
            ancestor.exe_name.as_mut_ptr(),
            EXE_NAME_LEN as u32,
            member(dentry, offset::DENTRY_NAME),
        );
        task = parent;
    }
    let beyond: u64 = known(task, offset::TASK_PARENT);
    let pid: u32 = known(beyond, offset::TASK_TGID);
    if pid != 0 {
        process.truncated |= TRUNCATED_ANCESTORS;
    }
}

/// Walks from a dentry to the root of its mount tree, as `d_absolute_path` (fs/d_path.c) does;
/// false if it was cut, or does not begin at a root.
#[inline(always)]
fn path(text: &mut Text, vfsmount: u64, dentry: u64) -> bool {
    let mut dentry = dentry;
    let mut mount = vfsmount - read::offset(offset::MOUNT_MNT);
    let mut root = root_of(mount);
    // A file in no folder, as a memfd: its name is the whole path.
    let above: u64 = member(dentry, offset::DENTRY_PARENT);
    if dentry == above && dentry != root {
        return text.push_name(member(dentry, offset::DENTRY_NAME));
    }
    for _ in 0..PATH_DEPTH {
        let (above, name) = parent_and_name(dentry);
        if dentry == root || dentry == above {
            let parent: u64 = member(mount, offset::MOUNT_PARENT);
            if parent == mount || parent == 0 {
                return parent == 0 || is_in_namespace(mount);
            }
            dentry = member(mount, offset::MOUNT_MOUNTPOINT);
            mount = parent;
            root = root_of(mount);
        } else {
            if !text.push_name(name) {
                return false;
            }
            dentry = above;
        }
    }
    false
}

/// Of a dentry: one read where they are close to each other, as in all kernels so far.
#[inline(always)]
fn parent_and_name(dentry: u64) -> (u64, u64) {
    if read::offset(offset::DENTRY_NAME) == read::offset(offset::DENTRY_PARENT) + 16 {
        let [parent, _, name]: [u64; 3] = member(dentry, offset::DENTRY_PARENT);
        (parent, name)
    } else {
        (
            member(dentry, offset::DENTRY_PARENT),
            member(dentry, offset::DENTRY_NAME),
        )
    }
}

/// A mount that was taken away, or never mounted anywhere, is in no namespace that processes are in:
/// what is below it has no path.
#[inline(always)]
fn is_in_namespace(mount: u64) -> bool {
    let namespace: u64 = member(mount, offset::MOUNT_NS);
    let inode: u32 = member(namespace, offset::MNT_NS_INUM);
    inode != 0 && inode != MNT_NS_ANON_INO
}

#[inline(always)]
fn root_of(mount: u64) -> u64 {
    read::read(mount + read::offset(offset::MOUNT_MNT) + read::offset(offset::VFSMOUNT_ROOT))
}

/// The unified hierarchy's path; where that is its root, the one of the pids controller. False if
/// it was cut.
#[inline(always)]
fn cgroup(text: &mut Text, task: u64) -> bool {
    let set: u64 = member(task, offset::TASK_CGROUPS);
    let mut cgroup: u64 = member(set, offset::CSS_SET_DFL);
    let level: u32 = member(cgroup, offset::CGROUP_LEVEL);
    if level == 0 && read::offset(offset::PIDS_CGRP_ID) != offset::ABSENT as u64 {
        let css: u64 = read::read(
            set + read::offset(offset::CSS_SET_SUBSYS) + 8 * read::offset(offset::PIDS_CGRP_ID),
        );
        cgroup = member(css, offset::CSS_CGROUP);
    }
    let mut node: u64 = member(cgroup, offset::CGROUP_KN);
    for _ in 0..CGROUP_DEPTH {
        let parent: u64 = member(node, offset::KN_PARENT);
        if parent == 0 {
            return true;
        }
        if !text.push_name(member(node, offset::KN_NAME)) {
            return false;
        }
        node = parent;
    }
    false
}
