//! A process that was told a moment ago and has not changed is not told again: the record names the one
//! that has it, at a tenth of the cost and of the room.
//!
//! What can change without a sign here is as old as that record, `BRIEF_NS` at most: the names of
//! folders and mounts above a file, the layer of an overlay that it is in, ancestors beyond the parent,
//! and arguments that a process writes over its own.

use aya_ebpf::helpers::generated::bpf_get_current_pid_tgid;
use detector_ebpf::{BRIEF_NS, COMM_LEN, Header, offset};

use crate::{
    maps::{SENT, SENT_PLACES},
    read::{self, known},
    task::pids,
};

/// Set where each record is to tell its process: a daemon may come that has not read those before.
#[unsafe(no_mangle)]
static IN_FULL: u32 = 0;

const WORDS: usize = 26;
const COMM_WORDS: usize = COMM_LEN / 8;

/// What the current process is told with, as far as it costs little: its values, and the addresses of
/// what its texts and ancestors are read from.
#[repr(C)]
pub(crate) struct Witness([u64; WORDS]);

impl Witness {
    /// To be taken before the process is read: what changes meanwhile is seen the next time.
    #[inline(always)]
    pub(crate) fn fill(&mut self, task: u64) {
        let leader: u64 = known(task, offset::TASK_LEADER);
        let forked: u64 = known(leader, offset::TASK_PARENT);
        let parent: u64 = known(forked, offset::TASK_LEADER);
        let [comm, comm_end]: [u64; COMM_WORDS] = known(leader, offset::TASK_COMM);
        let [parent_comm, parent_comm_end]: [u64; COMM_WORDS] = known(parent, offset::TASK_COMM);
        let cred: u64 = known(task, offset::TASK_CRED);
        let ids = [
            known(cred, offset::CRED_UID),
            known(cred, offset::CRED_EUID),
        ];
        let mm: u64 = known(task, offset::TASK_MM);
        let exe: u64 = known(mm, offset::MM_EXE_FILE);
        let inode: u64 = known(exe, offset::FILE_INODE);
        let dentry: u64 = known(exe, offset::FILE_DENTRY);
        let fs: u64 = known(task, offset::TASK_FS);
        let signal: u64 = known(leader, offset::TASK_SIGNAL);
        let [group, session] = pids(signal);
        let login_uid: u32 = if read::offset(offset::TASK_LOGIN_UID) == offset::ABSENT as u64 {
            0
        } else {
            known(task, offset::TASK_LOGIN_UID)
        };
        self.0 = [
            known(leader, offset::TASK_START),
            pair([known(task, offset::TASK_TGID), login_uid]),
            pair([
                known(task, offset::TASK_EXECS),
                known(cred, offset::CRED_GID),
            ]),
            comm,
            comm_end,
            cred,
            pair(ids),
            known(cred, offset::CRED_CAP_EFFECTIVE),
            known(task, offset::TASK_CGROUPS),
            known(leader, offset::TASK_NSPROXY),
            exe,
            inode,
            known::<u32>(inode, offset::INODE_NLINK) as u64,
            dentry,
            known(dentry, offset::DENTRY_PARENT),
            // Another where the name has changed, none where it is gone.
            known(dentry, offset::DENTRY_HASHED),
            known(mm, offset::MM_ARG_START),
            known(mm, offset::MM_ARG_END),
            known(fs, offset::FS_PWD_DENTRY),
            known(fs, offset::FS_PWD_MNT),
            group,
            session,
            known(signal, offset::SIGNAL_TTY),
            pair([
                known(parent, offset::TASK_TGID),
                known(parent, offset::TASK_EXECS),
            ]),
            parent_comm,
            parent_comm_end,
        ];
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
    time_ns: u64,
    witness: Witness,
}

impl Sent {
    /// Whether it has the process that `witness` is of.
    #[inline(always)]
    pub(crate) fn holds(&self, witness: &Witness, time_ns: u64) -> bool {
        if unsafe { core::ptr::read_volatile(&raw const IN_FULL) } != 0 {
            return false;
        }
        let mut differing = 0;
        for index in 0..WORDS {
            differing |= self.witness.0[index] ^ witness.0[index];
        }
        differing == 0 && time_ns < self.time_ns + BRIEF_NS
    }

    #[inline(always)]
    pub(crate) fn keep(&mut self, header: &Header, witness: &Witness) {
        self.cookie = header.cookie;
        self.time_ns = header.time_ns;
        self.witness.0 = witness.0;
    }
}

/// Where the current process is kept; another that has the same place takes its turn.
#[inline(always)]
pub(crate) fn place(slot: u32) -> Option<*mut Sent> {
    let process = (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32;
    SENT.get_ptr_mut(slot * SENT_PLACES + (process & (SENT_PLACES - 1)))
}
