//! Who made a socket. Its file keeps the credentials (`f_cred`) that the process had which opened it,
//! and no two processes share theirs: a fork, an exec and a change of ids make others
//! (kernel/cred.c). So nothing need be done where sockets are made.

use detector_ebpf::{
    ANCESTORS, CREATOR_ANCESTOR, CREATOR_OTHER, CREATOR_OWN, CREATOR_UNKNOWN, Creator, SEARCH_CRED,
    SEARCH_HELD, SEARCH_PID, SEARCH_SOCK, SEARCH_START, offset,
};

use crate::{
    maps::SEARCH,
    read::{known, member},
    record::Notice,
    sock::{At, Readable},
};

/// Of the socket that the notice names; where that is none, nothing is known.
#[inline(always)]
pub(crate) fn fill(creator: &mut Creator, notice: &Notice, task: u64) {
    let Notice { made, cred, .. } = *notice;
    creator.sock = made;
    creator.cred = cred;
    let own: u64 = known(task, offset::TASK_REAL_CRED);
    // Read in any case: where both are equal, the compiler would read it from the one without a type.
    let own_uid = known(own, offset::CRED_UID);
    (creator.uid, creator.relation) = if cred == own {
        (own_uid, CREATOR_OWN)
    } else {
        (member(cred, offset::CRED_UID), relation(cred, task))
    };
}

/// 0 of a socket of the kernel's own, and of one that nobody has accepted yet.
#[inline(always)]
pub(crate) fn credentials<S: Readable>(sock: S) -> u64 {
    let socket: u64 = sock.member(offset::SOCK_SOCKET);
    let file: u64 = S::beyond(socket, offset::SOCKET_FILE);
    S::beyond(file, offset::FILE_CRED)
}

#[inline(always)]
fn relation(cred: u64, task: u64) -> u32 {
    if cred == 0 {
        return CREATOR_UNKNOWN;
    }
    // A worker of io_uring acts with the credentials of another.
    if cred == known(task, offset::TASK_CRED) {
        return CREATOR_OWN;
    }
    // Threads that set their ids one by one have their own.
    let leader: u64 = known(task, offset::TASK_LEADER);
    if holds(leader, cred) {
        return CREATOR_OWN;
    }
    let mut task = leader;
    for index in 0..ANCESTORS as u32 {
        // As `task::ancestors`.
        let forked: u64 = known(task, offset::TASK_PARENT);
        task = known(forked, offset::TASK_LEADER);
        if holds(forked, cred) || holds(task, cred) {
            return CREATOR_ANCESTOR + index;
        }
    }
    CREATOR_OTHER
}

#[inline(always)]
fn holds(task: u64, cred: u64) -> bool {
    cred == known(task, offset::TASK_REAL_CRED)
}

/// An iterator (Documentation/bpf/bpf_iterators.rst): user space reads a file of it to look through all
/// tasks for the one whose credentials `SEARCH` names. The last call has no task.
///
/// match-proto: `int bpf_iter__task(struct bpf_iter_meta *meta, struct task_struct *task)`.
#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
extern "C" fn find_creator(ctx: *const u64) -> i32 {
    let task = unsafe { core::ptr::read_volatile(ctx.add(1)) };
    let Some(words) = SEARCH.get_ptr_mut(0) else {
        return 0;
    };
    let words = unsafe { &mut *words };
    if task == 0 {
        // The socket holds its credentials: nobody else got their address while it was looked for.
        let held = credentials(At(words[SEARCH_SOCK])) == words[SEARCH_CRED];
        words[SEARCH_HELD] = u64::from(held);
    } else if words[SEARCH_PID] == 0
        && member::<u64>(task, offset::TASK_REAL_CRED) == words[SEARCH_CRED]
    {
        let leader: u64 = member(task, offset::TASK_LEADER);
        words[SEARCH_PID] = u64::from(member::<u32>(task, offset::TASK_TGID));
        words[SEARCH_START] = member(leader, offset::TASK_START);
    }
    0
}
