//! `inet_sock_set_state`: every change of a TCP socket's state. An unwatched socket leaves after
//! two loads.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{accept, connect, listen, sock::Sock};

/// include/net/tcp_states.h
const ESTABLISHED: i32 = 1;
const SYN_SENT: i32 = 2;
pub(crate) const SYN_RECV: i32 = 3;
const CLOSE: i32 = 7;
const LISTEN: i32 = 10;

/// match-proto: `void inet_sock_set_state(const struct sock *sk, const int oldstate, const int
/// newstate)`, the same from 4.16 to 7.2.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    let sock = Sock(ctx.arg(0));
    let old: i32 = ctx.arg(1);
    let new: i32 = ctx.arg(2);
    match (old, new) {
        (_, SYN_SENT) => connect::attempt(&ctx, sock),
        (SYN_SENT, ESTABLISHED | CLOSE) => connect::outcome(&ctx, sock, new == ESTABLISHED),
        // Of two sockets that connect to one another, or one to itself, each comes by SYN_RECV too. Its
        // own side may close it there, which is FIN_WAIT1.
        (SYN_RECV, _) if connect::is_pending(sock) => {
            connect::outcome(&ctx, sock, new == ESTABLISHED);
        }
        (SYN_SENT, SYN_RECV) => accept::begun(sock),
        (_, SYN_RECV) => {
            connect::forget(sock);
            accept::begun(sock);
        }
        (SYN_RECV, ESTABLISHED) => accept::established(sock),
        (_, LISTEN) => listen::listening(sock),
        _ => {}
    }
    0
}

/// Attached only by `cargo xtask bench`, to measure what the tracepoint costs by itself.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn baseline(_ctx: BtfTracePointContext) -> i32 {
    0
}
