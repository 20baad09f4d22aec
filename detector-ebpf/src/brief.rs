//! A process that was told a moment ago and has not changed is not told again: the record names the one
//! that has it, at a fraction of the cost and of the room.
//!
//! What can change without a sign here is as old as that record, `BRIEF_NS` at most: the names of
//! folders and mounts above a file, ancestors beyond the parent, and arguments that a process writes
//! over its own.

use aya_ebpf::helpers::generated::bpf_get_current_pid_tgid;
use detector_ebpf::{BRIEF_NS, BRIEF_SPAN, COMM_LEN, Header, offset};

use crate::{
    maps::{FULLS, SENT, SENT_PLACES, add},
    read::known,
    task::{groups, login_uid, namespaces, upper},
};

/// Set where each record is to tell its process: a daemon may come that has not read those before.
#[unsafe(no_mangle)]
static IN_FULL: u32 = 0;

const WORDS: usize = 31;
const COMM_WORDS: usize = COMM_LEN / 8;
/// include/uapi/linux/magic.h
const OVERLAYFS_MAGIC: u64 = 0x794c_7630;

/// What the current process is told with, as far as it costs little. Beside an address is a value that it
/// leads to wherever one is at hand: what is freed may have another in its place at once.
#[repr(C)]
pub(crate) struct Witness([u64; WORDS]);

impl Witness {
    /// To be taken before the process is read: what changes meanwhile is seen the next time.
    #[inline(always)]
    pub(crate) fn fill(&mut self, task: u64) {
        let leader: u64 = known(task, offset::TASK_LEADER);
        let [comm, comm_end]: [u64; COMM_WORDS] = known(leader, offset::TASK_COMM);
        let cred: u64 = known(task, offset::TASK_CRED);
        let user_ns: u64 = known(cred, offset::CRED_USER_NS);
        let cgroups: u64 = known(task, offset::TASK_CGROUPS);
        let cgroup: u64 = known(cgroups, offset::CSS_SET_DFL);
        let node: u64 = known(cgroup, offset::CGROUP_KN);
        let mm: u64 = known(task, offset::TASK_MM);
        let exe: u64 = known(mm, offset::MM_EXE_FILE);
        let inode: u64 = known(exe, offset::FILE_INODE);
        let name: u64 = known(exe, offset::FILE_DENTRY);
        let fs: u64 = known(task, offset::TASK_FS);
        let folder: u64 = known(fs, offset::FS_PWD_DENTRY);
        let signal: u64 = known(leader, offset::TASK_SIGNAL);
        let forked: u64 = known(leader, offset::TASK_PARENT);
        let parent: u64 = known(forked, offset::TASK_LEADER);
        let [parent_comm, parent_comm_end]: [u64; COMM_WORDS] = known(parent, offset::TASK_COMM);
        let parent_mm: u64 = known(forked, offset::TASK_MM);
        let parent_exe: u64 = known(parent_mm, offset::MM_EXE_FILE);
        let parent_name: u64 = known(parent_exe, offset::FILE_DENTRY);
        // One by one: together they would be more than the stack of the oldest kernels has room for.
        let words = self.0.as_mut_ptr();
        let mut index = 0;
        let mut put = |word: u64| {
            unsafe { words.add(index).write_volatile(word) };
            index += 1;
        };
        put(known(leader, offset::TASK_START));
        put(pair([known(task, offset::TASK_TGID), login_uid(task)]));
        put(comm);
        put(comm_end);
        put(cred);
        put(pair([
            known(cred, offset::CRED_UID),
            known(cred, offset::CRED_EUID),
        ]));
        put(pair([
            known(cred, offset::CRED_GID),
            known(user_ns, offset::USER_NS_INUM),
        ]));
        put(known(cred, offset::CRED_CAP_EFFECTIVE));
        put(pair(namespaces(task, leader)));
        put(pair(groups(signal)));
        put(known(signal, offset::SIGNAL_TTY));
        put(cgroups);
        put(known(node, offset::KN_ID));
        // Of the executable.
        put(pair([
            known(task, offset::TASK_EXECS),
            known(inode, offset::INODE_NLINK),
        ]));
        put(exe);
        put(known(inode, offset::INODE_INO));
        put(upper_of_overlay(inode));
        put(name);
        put(known(name, offset::DENTRY_PARENT));
        put(hashed(name));
        put(known(mm, offset::MM_ARG_START));
        put(known(mm, offset::MM_ARG_END));
        // Of the working folder.
        put(folder);
        put(known(fs, offset::FS_PWD_MNT));
        put(known(folder, offset::DENTRY_PARENT));
        put(hashed(folder));
        // Of the parent.
        put(pair([
            known(parent, offset::TASK_TGID),
            known(parent, offset::TASK_EXECS),
        ]));
        put(parent_comm);
        put(parent_comm_end);
        put(parent_name);
        put(hashed(parent_name));
    }
}

/// Where the kernel's table has the name of a dentry: elsewhere after a change of the name, nowhere
/// after its end.
#[inline(always)]
fn hashed(dentry: u64) -> u64 {
    known(dentry, offset::DENTRY_HASHED)
}

/// A helper has to read it: it costs nothing but on an overlay.
#[inline(always)]
fn upper_of_overlay(inode: u64) -> u64 {
    let superblock: u64 = known(inode, offset::INODE_SB);
    if known::<u64>(superblock, offset::SB_MAGIC) == OVERLAYFS_MAGIC {
        upper(inode)
    } else {
        0
    }
}

#[inline(always)]
fn pair([first, second]: [u32; 2]) -> u64 {
    first as u64 | (second as u64) << 32
}

/// The last full record of a process, by one program on one CPU.
#[repr(C)]
pub(crate) struct Sent {
    pub(crate) cookie: u64,
    /// How many full records there were before.
    number: u64,
    time_ns: u64,
    witness: Witness,
}

impl Sent {
    /// Whether it has the process that `witness` is of, and user space still knows it.
    #[inline(always)]
    pub(crate) fn holds(&self, witness: &Witness, time_ns: u64) -> bool {
        if unsafe { core::ptr::read_volatile(&raw const IN_FULL) } != 0 {
            return false;
        }
        let mut differing = 0;
        for index in 0..WORDS {
            differing |= self.witness.0[index] ^ witness.0[index];
        }
        differing == 0 && time_ns < self.time_ns + BRIEF_NS && fulls() < self.number + BRIEF_SPAN
    }

    /// The record was sent, when there were so many full ones.
    #[inline(always)]
    pub(crate) fn keep(&mut self, header: &Header, witness: &Witness, number: u64) {
        if let Some(count) = FULLS.get_ptr_mut(0) {
            add(count, 1);
        }
        self.cookie = header.cookie;
        self.number = number;
        self.time_ns = header.time_ns;
        self.witness.0 = witness.0;
    }
}

#[inline(always)]
pub(crate) fn fulls() -> u64 {
    FULLS.get(0).copied().unwrap_or(u64::MAX)
}

/// Where the current process is kept; another that has the same place takes its turn.
#[inline(always)]
pub(crate) fn place(slot: u32) -> Option<*mut Sent> {
    let process = (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32;
    SENT.get_ptr_mut(slot * SENT_PLACES + (process & (SENT_PLACES - 1)))
}
