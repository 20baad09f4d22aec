//! Kprobes and kretprobes made through tracefs (Documentation/trace/kprobetrace.rst): the only
//! interface that lets a kretprobe have more instances than the default, of which every thread that
//! waits in accept, of any process of the node, holds one; and that tells its misses.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
    path::Path,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::source::live::since_boot_ns;

/// Of the events; no other program uses it.
const GROUP: &str = "kubelet_detector";
/// Calls of one function that may be under way: `KRETPROBE_MAXACTIVE_MAX` of
/// kernel/trace/trace_kprobe.c.
const MAX_ACTIVE: u32 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Entry,
    Return,
}

/// An attached probe. Dropping it takes it away.
pub(super) struct Probe {
    tracefs: &'static Path,
    name: String,
    /// `None` only while it is dropped.
    event: Option<OwnedFd>,
}

impl Probe {
    /// Runs `program`, which must be a kprobe, at the entry or return of the kernel's `function`.
    pub(super) fn attach(
        tracefs: &'static Path,
        function: &str,
        at: At,
        program: BorrowedFd<'_>,
    ) -> io::Result<Self> {
        let (kind, suffix) = match at {
            At::Entry => ("p".to_owned(), "enter"),
            At::Return => (format!("r{MAX_ACTIVE}"), "return"),
        };
        let name = format!("{function}_{suffix}_{}", identity());
        command(tracefs, &format!("{kind}:{GROUP}/{name} {function}"))?;
        let mut probe = Self {
            tracefs,
            name,
            event: None,
        };
        let id = tracefs.join(format!("events/{GROUP}/{}/id", probe.name));
        let id = fs::read_to_string(id)?;
        let id = id.trim().parse().map_err(io::Error::other)?;
        let event = perf_event(id)?;
        request(&event, SET_BPF, program.as_raw_fd())?;
        request(&event, ENABLE, 0)?;
        probe.event = Some(event);
        Ok(probe)
    }

    /// How often the kernel passed over the probe: all its instances were in use.
    pub(super) fn misses(&self, profile: &str) -> u64 {
        misses(profile, &self.name)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        drop(self.event.take());
        if let Err(error) = command(self.tracefs, &format!("-:{GROUP}/{}", self.name)) {
            tracing::debug!(%error, "the probe {} cannot be taken away", self.name);
        }
    }
}

fn misses(profile: &str, probe: &str) -> u64 {
    let of = |line: &str| -> Option<u64> {
        let mut fields = line.split_whitespace();
        let (name, _hits, misses) = (fields.next()?, fields.next()?, fields.next()?);
        (name == probe).then(|| misses.parse().ok())?
    };
    profile.lines().find_map(of).unwrap_or(0)
}

/// Hits and misses of every probe.
pub(super) fn profile(tracefs: &Path) -> String {
    fs::read_to_string(tracefs.join("kprobe_profile")).unwrap_or_default()
}

/// In the names of this process's probes, after its id: a process id may come again, in a container
/// at every start.
static STARTED: LazyLock<u64> = LazyLock::new(since_boot_ns);
static MADE: AtomicU64 = AtomicU64::new(0);

fn identity() -> String {
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    format!("{}_{:x}_{made:x}", std::process::id(), *STARTED)
}

/// Takes away what a detector left that was killed. The kernel keeps those that are in use.
pub(super) fn clean(tracefs: &Path) {
    let events = fs::read_to_string(tracefs.join("kprobe_events")).unwrap_or_default();
    let own = std::process::id().to_string();
    let started = format!("{:x}", *STARTED);
    let is_alive = |pid: &str, since: &str| {
        if pid == own {
            since == started
        } else {
            Path::new("/proc").join(pid).exists()
        }
    };
    for event in events.lines().filter_map(left) {
        let mut parts = event.rsplit('_').skip(1);
        let (since, pid) = (parts.next(), parts.next());
        if !is_alive(pid.unwrap_or_default(), since.unwrap_or_default()) {
            let taken = command(tracefs, &format!("-:{GROUP}/{event}"));
            tracing::debug!(?taken, "a probe was left: {event}");
        }
    }
}

/// The name of a probe of a detector, from a line as `r4096:kubelet_detector/NAME FUNCTION`.
fn left(line: &str) -> Option<&str> {
    let (_, event) = line.split_whitespace().next()?.split_once(':')?;
    event.strip_prefix(GROUP)?.strip_prefix('/')
}

fn command(tracefs: &Path, text: &str) -> io::Result<()> {
    let events = OpenOptions::new()
        .append(true)
        .open(tracefs.join("kprobe_events"));
    let mut events = events.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::other("the kernel was built without them (CONFIG_KPROBE_EVENTS)")
        }
        _ => error,
    })?;
    events.write_all(text.as_bytes())
}

/// The first version of `struct perf_event_attr` (include/uapi/linux/perf_event.h), which every
/// kernel takes.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    rest: [u64; 5],
}

const _: () = assert!(size_of::<Attributes>() == 64);

const TYPE_TRACEPOINT: u32 = 2;
const FLAG_CLOEXEC: libc::c_ulong = 8;
/// `PERF_EVENT_IOC_SET_BPF` and `PERF_EVENT_IOC_ENABLE`.
const SET_BPF: libc::c_ulong = 0x4004_2408;
const ENABLE: libc::c_ulong = 0x2400;

/// A program on it runs on every CPU, whichever the event is opened for.
#[expect(unsafe_code, reason = "the C library has no binding for it")]
fn perf_event(id: u64) -> io::Result<OwnedFd> {
    let attributes = Attributes {
        kind: TYPE_TRACEPOINT,
        size: 64,
        config: id,
        sample_period: 1,
        ..Attributes::default()
    };
    let (any_process, cpu, no_group) = (-1, 0, -1);
    // SAFETY: perf_event_open(2) reads the attributes, of the size that they say, and no more.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            any_process,
            cpu,
            no_group,
            FLAG_CLOEXEC,
        )
    };
    let opened = RawFd::try_from(opened).map_err(io::Error::other)?;
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for this call alone.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

#[expect(
    unsafe_code,
    reason = "the requests of perf events have no safe binding"
)]
fn request(event: &OwnedFd, request: libc::c_ulong, argument: RawFd) -> io::Result<()> {
    // SAFETY: both requests take a number, no memory.
    if unsafe { libc::ioctl(event.as_raw_fd(), request, argument) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_are_read_from_the_profile() {
        // As Debian's 5.10 writes it.
        let profile = "  acc                          1               3\n  \
                       accept                       9               0\n";
        assert_eq!(misses(profile, "acc"), 3);
        assert_eq!(misses(profile, "accept"), 0);
        assert_eq!(misses(profile, "other"), 0);
    }

    #[test]
    fn only_probes_of_detectors_are_taken_away() {
        let own = "r4096:kubelet_detector/tcp_v4_connect_return_1_f00_0 tcp_v4_connect";
        assert_eq!(left(own), Some("tcp_v4_connect_return_1_f00_0"));
        assert_eq!(left("p:kubelet_detectors/a b"), None);
        assert_eq!(left("r2:foo/acc inet_csk_accept"), None);
    }
}
