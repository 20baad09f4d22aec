//! Accepts: the handshake's end in softirq context, or what `inet_csk_accept` or the accept
//! syscalls give to the accepting process.

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::bpf_get_current_task,
    macros::{fexit, kretprobe, tracepoint},
    programs::{FExitContext, RetProbeContext, TracePointContext},
};
use detector_ebpf::{ELSEWHERE_ACCEPT, KIND_ACCEPT, PORTS_ACCEPT, offset};

use crate::{
    fair,
    maps::{SLOT_ACCEPT, SLOT_PERF, SLOT_STATE, UNACCEPTED, is_elsewhere},
    read::{self, member},
    record::{Notice, count_lost, next_cookie, send_full, send_short},
    sock::{AF_INET, AF_INET6, At, IPPROTO_TCP, Readable as _, Sock, is_watched},
    state::SYN_RECV,
};

/// include/uapi/linux/bpf.h
const BPF_ANY: u64 = 0;
const BPF_NOEXIST: u64 = 1;

/// Beside the cookie in `UNACCEPTED`: a process took the connection before it was established.
const TAKEN: u64 = 1 << 63;

/// A connection begins: what is known of its address is of one that is gone.
#[inline(always)]
pub(crate) fn begun(sock: Sock) {
    if is_watched(PORTS_ACCEPT, sock.local_port()) && is_elsewhere(ELSEWHERE_ACCEPT) {
        let _ = UNACCEPTED.remove(sock.address());
    }
}

/// Runs under whatever process the softirq interrupted, so the record names none. Where the accept
/// is told too, both have the cookie.
#[inline(always)]
pub(crate) fn established(sock: Sock) {
    if !is_watched(PORTS_ACCEPT, sock.local_port()) || !sock.is_tcp() {
        return;
    }
    if fair::is_closed_to_accepts() {
        count_lost(SLOT_STATE, KIND_ACCEPT);
        return;
    }
    let cookie = next_cookie(SLOT_STATE);
    let notice = Notice::new(SLOT_STATE, KIND_ACCEPT, cookie);
    if !is_elsewhere(ELSEWHERE_ACCEPT) {
        send_short(&notice, sock);
        return;
    }
    // Of this and `taken` on another CPU one is the first.
    let address = sock.address();
    if UNACCEPTED.insert(address, cookie, BPF_NOEXIST).is_err() {
        let known = (unsafe { UNACCEPTED.get(address) }).copied().unwrap_or(0);
        if known & TAKEN != 0 {
            let _ = UNACCEPTED.remove(address);
            return;
        }
        let _ = UNACCEPTED.insert(address, cookie, BPF_ANY);
    }
    if !send_short(&notice, sock) {
        // The accept is the first that is told of it.
        let _ = UNACCEPTED.remove(address);
    }
}

/// match-proto: `struct sock *inet_csk_accept(struct sock *sk, int flags, int *err, bool kern)`,
/// up to 6.9. The result follows the arguments; two programs, because a branch on their number
/// would make the offset into the context a variable, which the verifier refuses.
#[fexit(function = "inet_csk_accept")]
pub(crate) fn accept_exit_of_4(ctx: FExitContext) -> i32 {
    taken(ctx.arg(4), ctx.arg(0), SLOT_ACCEPT);
    0
}

/// match-proto: `struct sock *inet_csk_accept(struct sock *sk, struct proto_accept_arg *arg)`,
/// from 6.10 on.
#[fexit(function = "inet_csk_accept")]
pub(crate) fn accept_exit_of_2(ctx: FExitContext) -> i32 {
    taken(ctx.arg(2), ctx.arg(0), SLOT_ACCEPT);
    0
}

#[kretprobe]
pub(crate) fn accept_return(ctx: RetProbeContext) -> u32 {
    taken(ctx.ret(), 0, SLOT_PERF);
    0
}

#[tracepoint(category = "syscalls", name = "sys_exit_accept")]
pub(crate) fn sys_exit_accept(ctx: TracePointContext) -> u32 {
    accepted(&ctx)
}

#[tracepoint(category = "syscalls", name = "sys_exit_accept4")]
pub(crate) fn sys_exit_accept4(ctx: TracePointContext) -> u32 {
    accepted(&ctx)
}

/// Walks from the new descriptor to its sock.
#[inline(always)]
fn accepted(ctx: &TracePointContext) -> u32 {
    // common fields 8, syscall number 8, then the result (events/syscalls/sys_exit_accept/format).
    let fd: i64 = unsafe { *ctx.as_ptr().cast::<i64>().add(2) };
    if fd < 0 {
        return 0;
    }
    let task = unsafe { bpf_get_current_task() };
    let files: u64 = member(task, offset::TASK_FILES);
    let table: u64 = member(files, offset::FILES_FDT);
    let slots: u64 = member(table, offset::FDT_FD);
    let file: u64 = read::read(slots + 8 * (fd as u64 & 0xffff_ffff));
    let socket: u64 = member(file, offset::FILE_PRIVATE);
    let sock: u64 = member(socket, offset::SOCKET_SK);
    let family: u16 = member(sock, offset::SOCK_FAMILY);
    if family == AF_INET || family == AF_INET6 {
        taken(sock, 0, SLOT_PERF);
    }
    0
}

/// None is taken from an empty queue. Read by helpers, though the type of a function's result is
/// known: 5.10 dies of a load through a null pointer in a program that calls another of its own.
#[inline(always)]
fn taken(sock: u64, listener: u64, slot: u32) {
    if sock == 0 {
        return;
    }
    let protocol: u16 = member(sock, offset::SOCK_PROTOCOL);
    // One that was reset in the queue has its port on the wire only.
    let port = match member::<u16>(sock, offset::SOCK_NUM) {
        0 => u16::from_be(member(sock, offset::INET_SPORT)),
        bound => bound,
    };
    if is_watched(PORTS_ACCEPT, port) && protocol == IPPROTO_TCP {
        if fair::is_closed_to_accepts() {
            count_lost(slot, KIND_ACCEPT);
            return;
        }
        let notice = Notice::new(slot, KIND_ACCEPT, cookie_of(sock, slot));
        send_full(&notice.made(At(listener)), At(sock));
    }
}

/// The cookie that the handshake was told with, or a new one if it was not told: it ended before the
/// probes were attached, or it has not ended. The latter is so of Fast Open, and for a moment of any
/// connection: it is in the queue before it is established.
#[inline(always)]
fn cookie_of(sock: u64, slot: u32) -> u64 {
    let cookie = next_cookie(slot);
    let state: u8 = member(sock, offset::SOCK_STATE);
    if i32::from(state) == SYN_RECV && UNACCEPTED.insert(sock, cookie | TAKEN, BPF_NOEXIST).is_ok()
    {
        return cookie;
    }
    match (unsafe { UNACCEPTED.get(sock) }).copied() {
        Some(told) if told & TAKEN == 0 => {
            let _ = UNACCEPTED.remove(sock);
            told
        }
        _ => cookie,
    }
}
