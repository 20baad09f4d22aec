//! Loads and attaches the probes, reads their ring buffer and their counters.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
};

use aya::{
    Btf, Ebpf as Object, EbpfLoader, include_bytes_aligned,
    maps::{Array, MapData, PerCpuArray, RingBuf},
    programs::{
        BtfTracePoint, Program, ProgramError, ProgramFd, RawTracePoint, RawTracePointRunOptions,
        TestRun as _, TracePoint,
    },
};
use aya_log::EbpfLogger;
use detector_ebpf as wire;
use log::Log;
use tokio::io::unix::AsyncFd;

use super::{AcceptVia, Attach, Options, Ports, btf, decode, privilege, process::Processes};
use crate::event::{Loss, RECURSION};

/// Empty where the build had no BPF toolchain.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/detector-probes"));

/// Words of `PORTS` for one kind of event, and for all three.
const ROW: usize = wire::PORT_WORDS as usize;
const WORDS: usize = 3 * ROW;
const RECURSION_PERIOD_NS: u64 = 60_000_000_000;
const TRACEFS: [&str; 2] = [
    "/sys/kernel/tracing/events",
    "/sys/kernel/debug/tracing/events",
];

#[derive(Debug, thiserror::Error)]
pub enum EbpfError {
    #[error(
        "`--attach={mechanism}` is not in this version: leave it out, or write --attach=tracepoint"
    )]
    Mechanism { mechanism: &'static str },
    #[error("this binary was built without the probes: build it with `cargo xtask build`")]
    Stub,
    #[error(
        "the probes need capabilities that this process lacks: run as root, or grant {}",
        missing.join(", ")
    )]
    Privilege { missing: Vec<&'static str> },
    #[error(
        "tracefs is not mounted, and `--accept-via=syscall` needs it: run \
         `mount -t tracefs tracefs /sys/kernel/tracing`, or leave the option out"
    )]
    Tracefs,
    #[error(transparent)]
    Btf(#[from] btf::BtfError),
    #[error("the kernel refused the probe `{probe}`: run `kubelet-detector doctor`")]
    Attach {
        probe: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the probes' map `{map}` cannot be used: rebuild with `cargo xtask build`")]
    Map {
        map: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The attached probes. Dropping it detaches them.
pub struct Ebpf {
    ring: AsyncFd<RingBuf<MapData>>,
    counters: PerCpuArray<MapData, u64>,
    sleeping: Array<MapData, u32>,
    /// Counter values at the last call of `losses`.
    seen: [u64; 4],
    malformed: u64,
    malformed_seen: u64,
    recursion_seen: u64,
    recursion_due_ns: u64,
    boot_time_ns: u64,
    attached: Vec<(&'static str, &'static str)>,
    /// The words of `PORTS`.
    watched: Box<[u64]>,
    processes: Processes,
    /// The probes' own diagnostics, where they were asked for.
    log: Option<EbpfLogger<&'static dyn Log>>,
    object: Object,
}

impl Ebpf {
    /// Must be called within a tokio runtime.
    pub fn start(
        options: &Options,
        ports: &Ports<'_>,
        boot_time_ns: u64,
    ) -> Result<Self, EbpfError> {
        if OBJECT.is_empty() {
            return Err(EbpfError::Stub);
        }
        let lacking = privilege::missing(privilege::effective());
        if !lacking.is_empty() {
            return Err(EbpfError::Privilege { missing: lacking });
        }
        let mechanism = match options.attach {
            Attach::Auto | Attach::Tracepoint => None,
            Attach::Fentry => Some("fentry"),
            Attach::Kprobe => Some("kprobe"),
        };
        if let Some(mechanism) = mechanism {
            return Err(EbpfError::Mechanism { mechanism });
        }
        let via_syscall = options.accept_via == AcceptVia::Syscall;
        if via_syscall && !has_tracefs() {
            return Err(EbpfError::Tracefs);
        }
        let offsets = btf::kernel_offsets(Path::new(btf::KERNEL_BTF))?;
        let kernel = Btf::from_sys_fs().map_err(attach("inet_sock_set_state"))?;
        let via = u8::from(via_syscall);
        let log_level = if options.probe_log { u8::MAX } else { 0 };
        let mut object = EbpfLoader::new()
            .btf(Some(&kernel))
            .override_global("OFFSETS", &offsets, true)
            .override_global("ACCEPT_VIA_SYSCALL", &via, true)
            .override_global("AYA_LOG_LEVEL", &log_level, true)
            .load(OBJECT)
            .map_err(attach("inet_sock_set_state"))?;
        let mut watched = vec![0; WORDS].into_boxed_slice();
        set_ports(&mut object, &mut watched, ports, |_, new| new)?;

        let mut attached = Vec::new();
        let probe = "inet_sock_set_state";
        let state: &mut BtfTracePoint = program(&mut object, probe)?;
        state.load(probe, &kernel).map_err(attach(probe))?;
        state.attach().map_err(attach(probe))?;
        for subject in ["connect", "outcome", "listen"] {
            attached.push((subject, "tp_btf/inet_sock_set_state"));
        }
        let probe = "source_port";
        let port: &mut RawTracePoint = program(&mut object, probe)?;
        port.load().map_err(attach(probe))?;
        if via_syscall {
            for probe in ["sys_exit_accept", "sys_exit_accept4"] {
                let program: &mut TracePoint = program(&mut object, probe)?;
                program.load().map_err(attach(probe))?;
                program.attach("syscalls", probe).map_err(attach(probe))?;
            }
            attached.push(("accept", "tracepoint/syscalls/sys_exit_accept{,4}"));
        } else {
            attached.push((
                "accept",
                "tp_btf/inet_sock_set_state, by the listener's owner",
            ));
        }

        let ring = object.take_map("EVENTS").ok_or_else(|| missing("EVENTS"))?;
        let ring = RingBuf::try_from(ring).map_err(map("EVENTS"))?;
        #[expect(
            deprecated,
            reason = "the successor is unsafe; the ring owns its descriptor"
        )]
        let ring = AsyncFd::new(ring).map_err(map("EVENTS"))?;
        let counters = object
            .take_map("COUNTERS")
            .ok_or_else(|| missing("COUNTERS"))?;
        let counters = PerCpuArray::try_from(counters).map_err(map("COUNTERS"))?;
        let sleeping = object
            .take_map("SLEEPING")
            .ok_or_else(|| missing("SLEEPING"))?;
        let sleeping = Array::try_from(sleeping).map_err(map("SLEEPING"))?;
        let log = if options.probe_log {
            Some(EbpfLogger::init(&mut object).map_err(map("AYA_LOGS"))?)
        } else {
            None
        };
        drop(kernel);
        trim_heap();
        Ok(Self {
            ring,
            counters,
            sleeping,
            seen: [0; 4],
            malformed: 0,
            malformed_seen: 0,
            recursion_seen: 0,
            recursion_due_ns: 0,
            boot_time_ns,
            attached,
            watched,
            processes: Processes::default(),
            log,
            object,
        })
    }

    /// Subject and mechanism.
    pub fn attached(&self) -> &[(&'static str, &'static str)] {
        &self.attached
    }

    /// These ports are watched too from now on; none ceases to be.
    pub fn watch_also(&mut self, ports: &Ports<'_>) -> Result<(), EbpfError> {
        set_ports(&mut self.object, &mut self.watched, ports, |old, new| {
            old | new
        })
    }

    /// No other ports are watched any more.
    pub fn watch_only(&mut self, ports: &Ports<'_>) -> Result<(), EbpfError> {
        set_ports(&mut self.object, &mut self.watched, ports, |_, new| new)
    }

    /// Asks the probes to wake this reader; to be followed by a last look, then by `readable`.
    pub fn arm(&mut self) -> Result<(), EbpfError> {
        self.sleeping.set(0, 1, 0).map_err(map("SLEEPING"))
    }

    /// Waits until the probes wake this reader.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.ring.readable_mut().await?.clear_ready();
        Ok(())
    }

    /// Decodes up to `max` records; returns how many were taken from the ring.
    pub fn drain(&mut self, max: usize, events: &mut Vec<decode::Decoded>) -> usize {
        if let Some(log) = &mut self.log {
            log.flush();
        }
        let ring = self.ring.get_mut();
        for taken in 0..max {
            let Some(record) = ring.next() else {
                return taken;
            };
            match decode::decode(&record, self.boot_time_ns, &mut self.processes) {
                Ok(decoded) => events.push(decoded),
                Err(error) => {
                    self.malformed += 1;
                    tracing::error!(%error, "a record from the kernel was passed over");
                }
            }
        }
        max
    }

    fn counter(&self, slot: u32) -> u64 {
        self.counters
            .get(&slot, 0)
            .map_or(0, |values| values.iter().sum())
    }

    /// The source port of a connect under way; 0 if it is over, or the kernel cannot say.
    pub fn source_port(&self, sock: u64, cookie: u64) -> u16 {
        let Some(Program::RawTracePoint(program)) = self.object.program("source_port") else {
            return 0;
        };
        let mut options = RawTracePointRunOptions::new();
        for (slot, value) in options.args.iter_mut().zip([sock, cookie]) {
            *slot = value;
        }
        match program.test_run(options) {
            Ok(result) => u16::try_from(result.return_value).unwrap_or(0),
            Err(error) => {
                tracing::debug!(%error, "the source port of a connect cannot be asked for");
                0
            }
        }
    }

    /// Outcomes whose attempt the probes do not know.
    pub fn unjoined(&self) -> u64 {
        self.counter(wire::COUNTER_UNJOINED)
    }

    fn recursion(&self) -> u64 {
        let programs = self.object.programs();
        programs
            .filter_map(|(_, program)| program.fd().ok())
            .map(recursion_misses)
            .sum()
    }

    /// Generated and lost records of each subject since the start.
    pub fn summary(&self) -> [(&'static str, u64, u64); 4] {
        let mut slot = 0;
        wire::SUBJECTS.map(|subject| {
            let row = (subject, self.counter(slot), self.counter(slot + 1));
            slot += 2;
            row
        })
    }

    /// What was lost since the last call. Recursion, which seldom hits a watched socket, is told
    /// once a minute, unless this call is the `last`.
    pub fn losses(&mut self, time_ns: u64, last: bool) -> Vec<Loss> {
        let mut losses = Vec::new();
        let rows = self.summary();
        for ((subject, _, lost), seen) in rows.into_iter().zip(&mut self.seen) {
            if lost > *seen {
                let count = lost - *seen;
                losses.push(loss(time_ns, subject, "ring_buffer_full", count));
                *seen = lost;
            }
        }
        let due = last || time_ns >= self.recursion_due_ns;
        let recursion = if due { self.recursion() } else { 0 };
        if recursion > self.recursion_seen {
            self.recursion_due_ns = time_ns.saturating_add(RECURSION_PERIOD_NS);
            let count = recursion - self.recursion_seen;
            losses.push(loss(time_ns, "probe", RECURSION, count));
            self.recursion_seen = recursion;
        }
        if self.malformed > self.malformed_seen {
            let count = self.malformed - self.malformed_seen;
            losses.push(loss(time_ns, "record", "malformed", count));
            self.malformed_seen = self.malformed;
        }
        losses
    }
}

pub fn has_tracefs() -> bool {
    TRACEFS.iter().any(|path| Path::new(path).exists())
}

fn loss(time_ns: u64, subject: &str, cause: &str, count: u64) -> Loss {
    Loss {
        time_ns,
        subject: subject.to_owned(),
        cause: cause.to_owned(),
        count,
    }
}

/// Writes each word of which `join` makes another of what is watched and the new. A bit that is set
/// in both is set at every moment, however the kernel copies the word.
fn set_ports(
    object: &mut Object,
    watched: &mut [u64],
    ports: &Ports<'_>,
    join: fn(u64, u64) -> u64,
) -> Result<(), EbpfError> {
    let map_data = object.map_mut("PORTS").ok_or_else(|| missing("PORTS"))?;
    let mut words: Array<_, u64> = Array::try_from(map_data).map_err(map("PORTS"))?;
    let rows = [
        (wire::PORTS_CONNECT, ports.connect),
        (wire::PORTS_ACCEPT, ports.accept),
        (wire::PORTS_LISTEN, ports.listen),
    ];
    for ((direction, bits), watched) in rows.into_iter().zip(watched.chunks_mut(ROW)) {
        let indices = direction * wire::PORT_WORDS..;
        for ((index, new), old) in indices.zip(bits).zip(watched) {
            let word = join(*old, *new);
            if word != *old {
                words.set(index, word, 0).map_err(map("PORTS"))?;
                *old = word;
            }
        }
    }
    Ok(())
}

fn program<'a, T>(object: &'a mut Object, probe: &'static str) -> Result<&'a mut T, EbpfError>
where
    &'a mut T: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let found = object.program_mut(probe).ok_or_else(|| missing(probe))?;
    found.try_into().map_err(attach(probe))
}

/// How often the kernel skipped the program because it interrupted itself on the same CPU
/// (Documentation/filesystems/proc.rst does not list it; kernel/bpf/syscall.c,
/// `bpf_prog_show_fdinfo`, does).
fn recursion_misses(program: &ProgramFd) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
    let about = std::fs::read_to_string(path).unwrap_or_default();
    about
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

/// Gives back the pages that reading the kernel's types needed: several times of what is used
/// from here on.
#[expect(unsafe_code, reason = "the C library has no safe binding for it")]
fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) touches only pages that the allocator knows to be free.
    unsafe {
        libc::malloc_trim(0);
    }
}

fn attach<E: std::error::Error + Send + Sync + 'static>(
    probe: &'static str,
) -> impl FnOnce(E) -> EbpfError {
    move |source| EbpfError::Attach {
        probe,
        source: Box::new(source),
    }
}

fn map<E: std::error::Error + Send + Sync + 'static>(
    map: &'static str,
) -> impl FnOnce(E) -> EbpfError {
    move |source| EbpfError::Map {
        map,
        source: Box::new(source),
    }
}

fn missing(map: &'static str) -> EbpfError {
    EbpfError::Map {
        map,
        source: Box::new(io::Error::other("it is not in the object")),
    }
}
