//! Accepts: the handshake's end in softirq context, or the exit of the accept syscalls.

use aya_ebpf::{
    EbpfContext as _, helpers::generated::bpf_get_current_task, macros::tracepoint,
    programs::TracePointContext,
};
use detector_ebpf::{KIND_ACCEPT, PORTS_ACCEPT, offset};

use crate::{
    read::{self, member},
    record::{next_cookie, send_full, send_short},
    sock::{Sock, is_watched},
};

/// 1 when the accept syscalls are traced: the state tracepoint then leaves accepts to them.
#[unsafe(no_mangle)]
static ACCEPT_VIA_SYSCALL: u8 = 0;

/// Runs under whatever process the softirq interrupted, so the record names none.
#[inline(always)]
pub(crate) fn established(sock: Sock) {
    let via_syscall = unsafe { core::ptr::read_volatile(&raw const ACCEPT_VIA_SYSCALL) };
    if via_syscall != 0 || !is_watched(PORTS_ACCEPT, sock.local_port()) || !sock.is_tcp() {
        return;
    }
    send_short(KIND_ACCEPT, next_cookie(), sock.address(), 0);
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
    let protocol: u16 = member(sock, offset::SOCK_PROTOCOL);
    let port: u16 = member(sock, offset::SOCK_NUM);
    if (family == 2 || family == 10) && protocol == 6 && is_watched(PORTS_ACCEPT, port) {
        send_full(KIND_ACCEPT, next_cookie(), sock, 1);
    }
    0
}
