//! Connects: the attempt with its process, and the outcome that is joined to it.

use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};
use aya_log_ebpf::{debug, warn};
use detector_ebpf::{KIND_CONNECT, KIND_OUTCOME, PORTS_CONNECT, offset};

use crate::{
    maps::PENDING,
    read,
    record::{count_unjoined, next_cookie, send_full, send_short},
    sock::{Sock, is_watched},
};

/// A socket that closes in SYN_SENT without an error was given up by its own side.
const ECONNABORTED: i32 = 103;

/// `tcp_v4_connect` and `tcp_v6_connect` set SYN_SENT in the connecting process, before the source
/// port is chosen.
#[inline(always)]
pub(crate) fn attempt(ctx: &BtfTracePointContext, sock: Sock) {
    if !is_watched(PORTS_CONNECT, sock.remote_port()) || !sock.is_tcp() {
        return;
    }
    let cookie = next_cookie();
    // A full LRU map evicts; the outcome of the evicted attempt counts as unjoined.
    if PENDING.insert(sock.address(), cookie, 0).is_err() {
        warn!(
            ctx,
            "attempt {} is not remembered: its outcome will be unjoined", cookie
        );
    }
    send_full(KIND_CONNECT, cookie, sock.address(), 0);
}

/// Whether the socket connects to a watched port and its outcome is still to come.
#[inline(always)]
pub(crate) fn is_pending(sock: Sock) -> bool {
    is_watched(PORTS_CONNECT, sock.remote_port())
        && unsafe { PENDING.get(sock.address()) }.is_some()
}

#[inline(always)]
pub(crate) fn outcome(ctx: &BtfTracePointContext, sock: Sock, established: bool) {
    if !is_watched(PORTS_CONNECT, sock.remote_port()) || !sock.is_tcp() {
        return;
    }
    let Some(cookie) = (unsafe { PENDING.get(sock.address()) }).copied() else {
        count_unjoined();
        debug!(
            ctx,
            "an outcome at port {} has no attempt",
            sock.remote_port()
        );
        return;
    };
    let _ = PENDING.remove(sock.address());
    let errno = if established {
        0
    } else {
        match read::member::<i32>(sock.address(), offset::SOCK_ERR) {
            0 => ECONNABORTED,
            errno => errno,
        }
    };
    send_short(KIND_OUTCOME, cookie, sock.address(), errno);
}

/// Never attached: user space runs it (`BPF_PROG_TEST_RUN`) with a sock and its cookie, to learn
/// the source port of a connect that gets no answer. 0 if that connect is over.
///
/// Without the macro of its type, which makes every result 0.
#[unsafe(link_section = "raw_tracepoint/sys_enter")]
#[unsafe(no_mangle)]
extern "C" fn source_port(ctx: *mut core::ffi::c_void) -> u32 {
    let ctx = RawTracePointContext::new(ctx);
    let (sock, cookie): (u64, u64) = (ctx.arg(0), ctx.arg(1));
    let pending = unsafe { PENDING.get(sock) };
    if pending.copied() != Some(cookie) {
        return 0;
    }
    u32::from(read::member::<u16>(sock, offset::SOCK_NUM))
}
