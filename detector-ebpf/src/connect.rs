//! Connects: the attempt with its process, and the outcome that is joined to it.
//!
//! The attempt is told where the connect function returns, if that can be probed: the source port
//! is known there, and so is the error of a connect that never was under way. Else it is told where
//! the state becomes SYN_SENT, in the midst of that function.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::bpf_get_current_pid_tgid,
    macros::{fexit, kprobe, kretprobe},
    programs::{
        BtfTracePointContext, FExitContext, ProbeContext, RawTracePointContext, RetProbeContext,
    },
};
use aya_log_ebpf::debug;
use detector_ebpf::{ELSEWHERE_CONNECT, KIND_CONNECT, KIND_OUTCOME, PORTS_CONNECT, offset};

use crate::{
    fair,
    let_off::is_let_off,
    maps::{CALLS, SLOT_CONNECT_V4, SLOT_CONNECT_V6, SLOT_PERF, SLOT_STATE, is_elsewhere},
    pending::{COOKIE, ENDED, Entry, LET_OFF, SUPPRESSED, UNTOLD, flag},
    read,
    record::{
        Notice, count_lost, count_suppressed, count_unjoined, ending, next_cookie, send_full,
        send_short,
    },
    sock::{AF_INET, At, Readable, Sock, is_watched, named_port},
};

/// A socket that closes in SYN_SENT without an error was given up by its own side.
const ECONNABORTED: i32 = 103;

/// What `tcp_v4_connect` or `tcp_v6_connect` was called with.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Call {
    sock: u64,
    /// The kernel's copy of the address that was asked for.
    name: u64,
    length: i32,
    reserved: u32,
}

impl Call {
    #[inline(always)]
    fn new(sock: u64, name: u64, length: i32) -> Self {
        Self {
            sock,
            name,
            length,
            reserved: 0,
        }
    }
}

/// `tcp_v4_connect` and `tcp_v6_connect` set SYN_SENT in the connecting process, before the source
/// port is chosen.
#[inline(always)]
pub(crate) fn attempt(ctx: &BtfTracePointContext, sock: Sock) {
    if !is_watched(PORTS_CONNECT, sock.remote_port()) || !sock.is_tcp() {
        return;
    }
    let Some(entry) = Entry::of(sock.address(), SLOT_STATE) else {
        return;
    };
    let elsewhere = is_elsewhere(ELSEWHERE_CONNECT);
    if is_let_off(sock.remote_port(), SLOT_STATE) {
        entry.remember(ctx, LET_OFF | flag(UNTOLD, elsewhere));
        return;
    }
    let cookie = next_cookie(SLOT_STATE);
    if elsewhere {
        entry.remember(ctx, cookie | UNTOLD);
    } else {
        let suppressed = fair::is_over_budget();
        entry.remember(ctx, cookie | flag(SUPPRESSED, suppressed));
        if suppressed {
            count_suppressed(SLOT_STATE, KIND_CONNECT);
            return;
        }
        send_full(
            &Notice::new(SLOT_STATE, KIND_CONNECT, cookie).made(sock),
            sock,
        );
    }
}

/// Whether the socket connects to a watched port and its outcome is still to come.
#[inline(always)]
pub(crate) fn is_pending(sock: Sock) -> bool {
    is_watched(PORTS_CONNECT, sock.remote_port())
        && Entry::of(sock.address(), SLOT_STATE).is_some_and(|entry| entry.pending().is_some())
}

/// A connection begins at its server: what is known of its address is of a connect whose end was not
/// seen, because its port was not watched any more then.
#[inline(always)]
pub(crate) fn forget(sock: Sock) {
    if is_watched(PORTS_CONNECT, sock.remote_port())
        && let Some(entry) = Entry::of(sock.address(), SLOT_STATE)
        && entry.pending().is_some()
    {
        entry.forget();
        count_unjoined(SLOT_STATE);
    }
}

#[inline(always)]
pub(crate) fn outcome(ctx: &BtfTracePointContext, sock: Sock, established: bool) {
    if !is_watched(PORTS_CONNECT, sock.remote_port()) || !sock.is_tcp() {
        return;
    }
    let Some(entry) = Entry::of(sock.address(), SLOT_STATE) else {
        return;
    };
    let Some(pending) = entry.pending() else {
        count_unjoined(SLOT_STATE);
        debug!(
            ctx,
            "an outcome at port {} has no attempt",
            sock.remote_port()
        );
        return;
    };
    if pending & UNTOLD == 0 {
        entry.forget();
    } else {
        entry.change(ctx, pending | ENDED);
    }
    if pending & LET_OFF != 0 {
        return;
    }
    if pending & SUPPRESSED != 0 {
        count_suppressed(SLOT_STATE, KIND_OUTCOME);
        return;
    }
    let errno = if established {
        0
    } else {
        match sock.member::<i32>(offset::SOCK_ERR) {
            0 => ECONNABORTED,
            errno => errno,
        }
    };
    send_short(
        &Notice {
            errno,
            ..Notice::new(SLOT_STATE, KIND_OUTCOME, pending & COOKIE)
        },
        sock,
    );
}

/// match-proto: `int tcp_v4_connect(struct sock *sk, struct sockaddr *uaddr, int addr_len)`, up to
/// 7.2 but for the name of the second argument's type.
#[fexit(function = "tcp_v4_connect")]
pub(crate) fn connect_exit_v4(ctx: FExitContext) -> i32 {
    let sock = Sock(ctx.arg(0));
    // A mapped address: `tcp_v6_connect` called, and its own exit tells of it.
    if sock.family() == AF_INET {
        let call = Call::new(sock.address(), ctx.arg(1), ctx.arg(2));
        returned(&ctx, &call, sock, ctx.arg(3), SLOT_CONNECT_V4);
    }
    0
}

/// match-proto: as `tcp_v4_connect`.
#[fexit(function = "tcp_v6_connect")]
pub(crate) fn connect_exit_v6(ctx: FExitContext) -> i32 {
    let sock = Sock(ctx.arg(0));
    let call = Call::new(sock.address(), ctx.arg(1), ctx.arg(2));
    returned(&ctx, &call, sock, ctx.arg(3), SLOT_CONNECT_V6);
    0
}

/// For both functions. Where `tcp_v6_connect` calls `tcp_v4_connect` for a mapped address, that is
/// no address of the sock's family, so the outer call is the one that is kept.
#[kprobe]
pub(crate) fn connect_enter(ctx: ProbeContext) -> u32 {
    let (Some(sock), Some(name), Some(length)) = (ctx.arg(0), ctx.arg(1), ctx.arg(2)) else {
        return 0;
    };
    let Some(port) = named_port(sock, name, length) else {
        return 0;
    };
    let thread = unsafe { bpf_get_current_pid_tgid() };
    if !is_watched(PORTS_CONNECT, port) {
        // Left where the kernel missed a return: it is not this call's.
        let _ = CALLS.remove(thread);
    } else if CALLS
        .insert(thread, Call::new(sock, name, length), 0)
        .is_err()
    {
        count_lost(SLOT_PERF, KIND_CONNECT);
    }
    0
}

/// For both functions. The inner of two returns first, with the result of both.
#[kretprobe]
pub(crate) fn connect_return(ctx: RetProbeContext) -> u32 {
    let thread = unsafe { bpf_get_current_pid_tgid() };
    let Some(call) = (unsafe { CALLS.get(thread) }).copied() else {
        return 0;
    };
    let _ = CALLS.remove(thread);
    returned(&ctx, &call, At(call.sock), ctx.ret(), SLOT_PERF);
    0
}

/// The sock is locked from before the call until after its end: what the peer answers is processed
/// later. Within the call are only failures after SYN_SENT, and the end of a connect that is
/// restored (`TCP_REPAIR`).
#[inline(always)]
fn returned(ctx: &impl EbpfContext, call: &Call, sock: impl Readable, result: i32, slot: u32) {
    let failed = result != 0;
    let port = if failed {
        // Taken back from the sock, or never put there.
        match named_port(call.sock, call.name, call.length) {
            Some(port) => port,
            None => return,
        }
    } else {
        u16::from_be(sock.member(offset::SOCK_DPORT))
    };
    if !is_watched(PORTS_CONNECT, port) {
        return;
    }
    let Some(entry) = Entry::of(call.sock, slot) else {
        return;
    };
    let pending = entry.pending().filter(|pending| pending & UNTOLD != 0);
    let ended = pending.is_some_and(|pending| pending & ENDED != 0);
    // None before SYN_SENT, and where the tracepoint skipped that or was not attached yet.
    let let_off = match pending {
        Some(pending) => pending & LET_OFF != 0,
        None => is_let_off(port, slot),
    };
    let keep = |told: u64| {
        if failed || ended {
            entry.forget();
        } else if pending.is_some() {
            entry.change(ctx, told);
        } else {
            entry.remember(ctx, told);
        }
    };
    if let_off {
        keep(LET_OFF);
        return;
    }
    let cookie = match pending {
        Some(pending) => pending & COOKIE,
        None => next_cookie(slot),
    };
    let suppressed = fair::is_over_budget();
    keep(cookie | flag(SUPPRESSED, suppressed));
    if suppressed {
        count_suppressed(slot, KIND_CONNECT);
        if failed && !ended {
            count_suppressed(slot, KIND_OUTCOME);
        }
        return;
    }
    let notice = Notice {
        errno: -result,
        name: if failed { call.name } else { 0 },
        ends: failed && !ended,
        ..Notice::new(slot, KIND_CONNECT, cookie)
    };
    send_full(&notice.made(sock), sock);
    if let Some(attempt) = ending(slot) {
        let outcome = Notice {
            kind: KIND_OUTCOME,
            ..attempt
        };
        send_short(&outcome, sock);
    }
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
    if Entry::of_number(sock).and_then(|entry| entry.pending()) != Some(cookie) {
        return 0;
    }
    u32::from(read::member::<u16>(sock, offset::SOCK_NUM))
}
