//! How much of each program the kernel's verifier processes, by every mechanism: what the kernel
//! says in the log of a load, as all kernels do, and what it says of a program, as those from 5.16 on do.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    collections::BTreeMap,
    ffi::CStr,
    sync::{LazyLock, Mutex},
};

use detector::source::{AcceptVia, Attach, Options, Ports, ebpf::EbpfError, live::Live};

/// What the verifier may process of one program; it gives up at four times as much.
const LIMIT: u32 = 250_000;

const ATTACHED: [(Attach, AcceptVia, &str); 4] = [
    (Attach::Fentry, AcceptVia::Auto, "fentry"),
    (Attach::Kprobe, AcceptVia::Auto, "kprobe"),
    (Attach::Tracepoint, AcceptVia::Auto, "tracepoint"),
    (Attach::Tracepoint, AcceptVia::Syscall, "accept-via=syscall"),
];

const NONE: [u64; 1024] = [0; 1024];
const PORTS: Ports<'static> = Ports {
    connect: &NONE,
    accept: &NONE,
    listen: &NONE,
};

/// `BPF_PROG_LOAD`, and what of its attributes (include/uapi/linux/bpf.h) is needed here.
const LOAD: libc::c_long = 5;
#[repr(C)]
struct Attributes {
    _program: [u64; 3],
    log_level: u32,
    log_size: u32,
    log: u64,
    _version_and_flags: u64,
    name: [u8; 16],
}
/// `BPF_LOG_STATS`: no more than how many instructions were processed.
const STATISTICS: u32 = 4;

/// By the names that the kernel has, of up to 15 characters.
static PROCESSED: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

type Call = unsafe extern "C" fn(libc::c_long, ...) -> libc::c_long;

#[expect(
    unsafe_code,
    reason = "the C library's function is looked up by its name"
)]
static SYSCALL: LazyLock<Call> = LazyLock::new(|| {
    // SAFETY: the name is a text of C.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"syscall".as_ptr()) };
    assert!(!found.is_null());
    // SAFETY: it is this function.
    unsafe { std::mem::transmute::<*mut libc::c_void, Call>(found) }
});

/// In place of the C library's function, by which the loader of the probes calls the kernel: asks
/// the verifier for its statistics, which the loader does not hand out.
#[expect(unsafe_code, reason = "it stands for a function of C")]
#[unsafe(no_mangle)]
extern "C" fn syscall(
    number: libc::c_long,
    a: libc::c_long,
    b: libc::c_long,
    c: libc::c_long,
    d: libc::c_long,
    e: libc::c_long,
    f: libc::c_long,
) -> libc::c_long {
    let call = *SYSCALL;
    // SAFETY: what the caller says of its arguments is true of the same ones.
    let pass = || unsafe { call(number, a, b, c, d, e, f) };
    let is_load = number == libc::SYS_bpf && a == LOAD;
    if !is_load || usize::try_from(c).is_ok_and(|size| size < size_of::<Attributes>()) {
        return pass();
    }
    // SAFETY: bpf(2) has the attributes at its second argument, of the size at its third.
    let attributes = unsafe { &mut *(b as *mut Attributes) };
    if attributes.log_level != 0 {
        return pass();
    }
    let mut log = [0_u8; 4096];
    attributes.log_level = STATISTICS;
    attributes.log_size = 4096;
    attributes.log = log.as_mut_ptr() as u64;
    let result = pass();
    (attributes.log_level, attributes.log_size, attributes.log) = (0, 0, 0);
    if result >= 0 {
        let name = text(&attributes.name);
        if let Some(count) = processed(&text(&log)) {
            let mut processed = PROCESSED.lock().unwrap();
            // Names that are cut may be the same.
            let most = processed.entry(name).or_insert(count);
            *most = count.max(*most);
        }
    }
    result
}

fn text(bytes: &[u8]) -> String {
    let text = CStr::from_bytes_until_nul(bytes).unwrap_or_default();
    text.to_string_lossy().into_owned()
}

fn processed(log: &str) -> Option<u32> {
    let (_, after) = log.split_once("processed ")?;
    after.split_whitespace().next()?.parse().ok()
}

#[tokio::test]
async fn each_program_leaves_the_verifier_room() {
    for (attach, accept_via, by) in ATTACHED {
        let options = Options {
            attach,
            accept_via,
            ..Options::default()
        };
        PROCESSED.lock().unwrap().clear();
        let live = match Live::start(&options, &PORTS, 0) {
            Ok(live) => live,
            Err(error @ (EbpfError::Stub | EbpfError::Privilege { .. } | EbpfError::Tracefs)) => {
                println!("skipped: {error}");
                continue;
            }
            Err(error @ EbpfError::Subject { .. }) if attach != Attach::Tracepoint => {
                println!("skipped: {by}: {error}");
                continue;
            }
            Err(error) => panic!("{by}: {error}"),
        };
        println!("live: attached by {by}");
        let mut processed = PROCESSED.lock().unwrap().clone();
        // What the loader tries the kernel's features with.
        processed.retain(|name, _| !name.is_empty() && !name.starts_with("aya_"));
        assert!(
            processed
                .keys()
                .any(|name| name.starts_with("inet_sock_set"))
        );
        for (program, count) in &processed {
            println!("verifier: {by}: {program}: {count} instructions");
            assert!(*count < LIMIT, "{by}: {program}: {count}");
        }
        for (program, count) in live.verified() {
            let known = processed.get(program.get(..15).unwrap_or(&program));
            assert!(
                known.is_some_and(|known| *known >= count),
                "{by}: {program}: {known:?}"
            );
        }
    }
}
