//! The system calls of 32-bit programs, made by a 64-bit one.
#![expect(
    unsafe_code,
    reason = "the calls are made by their own instruction, with addresses below 4 GiB"
)]

use std::{arch::asm, mem::size_of, net::SocketAddrV4};

use rustix::{
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap_anonymous},
};

use crate::{Lacks, Result, raw};

/// arch/x86/entry/syscalls/syscall_32.tbl
const SOCKETCALL: u32 = 102;
const SOCKET: u32 = 359;
const CONNECT: u32 = 362;
/// include/uapi/linux/net.h
const SYS_SOCKET: u32 = 1;
const SYS_CONNECT: u32 = 3;

const PAGE: usize = 4096;
const LENGTH: u32 = 16;

pub(crate) enum Calls {
    Direct,
    /// Through `socketcall`, with the arguments in memory.
    Multiplexed,
}

/// Through a copy of this process: without the calls the instruction ends it.
pub(crate) fn refused(port: u16, calls: Calls) -> Result {
    let outcome = raw::forked(|| {
        crate::fact("client", std::process::id());
        connect(port, &calls)
    });
    match outcome {
        Err(error)
            if error
                .downcast_ref::<raw::Ended>()
                .is_some_and(|ended| ended.by_signal(libc::SIGSEGV)) =>
        {
            Err(Lacks("32-bit system calls").into())
        }
        other => other,
    }
}

fn connect(port: u16, calls: &Calls) -> Result {
    let page = low_page()?;
    let address = raw::sockaddr(SocketAddrV4::new([127, 0, 0, 1].into(), port));
    // SAFETY: the page is this function's, writable and larger than the address.
    unsafe { page.cast::<libc::sockaddr_in>().write(address) };
    assert_eq!(size_of::<libc::sockaddr_in>(), 16);
    let place = u32::try_from(page.addr())?;
    let call = |number: u32, which: u32, arguments: [u32; 3]| match calls {
        Calls::Direct => system_call(number, arguments),
        Calls::Multiplexed => {
            let after = LENGTH as usize;
            // SAFETY: it is the same page, behind the address.
            unsafe { page.add(after).cast::<[u32; 3]>().write(arguments) };
            system_call(SOCKETCALL, [which, place + LENGTH, 0])
        }
    };
    let (family, kind) = (libc::AF_INET, libc::SOCK_STREAM);
    let arguments = [family.cast_unsigned(), kind.cast_unsigned(), 0];
    let socket = call(SOCKET, SYS_SOCKET, arguments);
    let Ok(socket) = u32::try_from(socket) else {
        return Err(Lacks("32-bit system calls").into());
    };
    match call(CONNECT, SYS_CONNECT, [socket, place, LENGTH]) {
        result if result == -Errno::CONNREFUSED.raw_os_error() => Ok(()),
        other => Err(format!("the connect returned {other}").into()),
    }
}

fn low_page() -> Result<*mut u8> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    let flags = MapFlags::PRIVATE | MapFlags::from_bits_retain(libc::MAP_32BIT.cast_unsigned());
    // SAFETY: nothing else is mapped over: the kernel chooses the place.
    let page = unsafe { mmap_anonymous(std::ptr::null_mut(), PAGE, protection, flags)? };
    Ok(page.cast())
}

fn system_call(number: u32, [first, second, third]: [u32; 3]) -> i32 {
    let result: u32;
    // SAFETY: the calls read the low page alone; rbx, which the compiler keeps for itself, is put
    // back, and the kernel clears no others than r8 to r11.
    unsafe {
        asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) u64::from(first) => _,
            inout("eax") number => result,
            in("ecx") second,
            in("edx") third,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
        );
    }
    result.cast_signed()
}
