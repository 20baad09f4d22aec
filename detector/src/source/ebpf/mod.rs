//! Loads the probes, reads their ring buffer and their counters.

mod attach;
mod audit;
mod kretprobe;

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
};

use aya::{
    Btf, Ebpf as Object, EbpfLoader, include_bytes_aligned,
    maps::{Array, MapData, PerCpuArray, RingBuf},
    programs::{Program, ProgramError, ProgramFd, RawTracePointRunOptions, TestRun as _},
};
use aya_log::EbpfLogger;
use detector_ebpf as wire;
use log::Log;
use tokio::io::unix::AsyncFd;

use self::{
    attach::{Kernel, attach},
    audit::Audit,
    kretprobe::Probe,
};
use super::{Attached, Options, Ports, btf, decode, privilege, process::Processes};
use crate::event::{Loss, MISSED, RECURSION, SUPPRESSED};

/// Empty where the build had no BPF toolchain.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/detector-probes"));

/// Words of `PORTS` for one kind of event, and for all three.
const ROW: usize = wire::PORT_WORDS as usize;
const WORDS: usize = 3 * ROW;
/// How often is told what the kernel skipped, watched or not.
const SKIPPED_PERIOD_NS: u64 = 60_000_000_000;
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

#[derive(Debug, thiserror::Error)]
pub enum EbpfError {
    #[error(
        "this kernel attaches no probe of {subject} ({refused}): leave `--attach` out, or write \
         --attach=tracepoint"
    )]
    Subject {
        subject: &'static str,
        refused: String,
    },
    #[error("this binary was built without the probes: build it with `cargo xtask build`")]
    Stub,
    #[error(
        "the probes need capabilities that this process lacks: run as root, or grant {}",
        missing.join(", ")
    )]
    Privilege { missing: Vec<&'static str> },
    #[error(
        "tracefs is not mounted, and `--attach=kprobe` and `--accept-via=syscall` need it: run \
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
    suppressed_seen: [u64; 2],
    malformed: u64,
    malformed_seen: u64,
    recursion_seen: u64,
    missed_seen: HashMap<&'static str, u64>,
    skipped_due_ns: u64,
    boot_time_ns: u64,
    attached: Vec<Attached>,
    audit: Audit,
    /// With their subjects.
    kprobes: Vec<(&'static str, Probe)>,
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
        let types = btf::Btf::read(Path::new(btf::KERNEL_BTF))?;
        let offsets = types.offsets()?;
        let kernel = Btf::from_sys_fs().map_err(attach_error("inet_sock_set_state"))?;
        let log_level = if options.probe_log { u8::MAX } else { 0 };
        let mut object = EbpfLoader::new()
            .btf(Some(&kernel))
            .override_global("OFFSETS", &offsets, true)
            .override_global("AYA_LOG_LEVEL", &log_level, true)
            .load(OBJECT)
            .map_err(attach_error("inet_sock_set_state"))?;
        let mut watched = vec![0; WORDS].into_boxed_slice();
        set_ports(&mut object, &mut watched, ports, |_, new| new)?;
        let known = Kernel {
            types: &kernel,
            btf: &types,
        };
        let attach::Probes {
            attached,
            links,
            kprobes,
        } = attach(&mut object, &known, options)?;
        let audit = Audit::new(&object, links);

        let ring = object.take_map("EVENTS").ok_or_else(|| missing("EVENTS"))?;
        let ring = RingBuf::try_from(ring).map_err(map_error("EVENTS"))?;
        #[expect(
            deprecated,
            reason = "the successor is unsafe; the ring owns its descriptor"
        )]
        let ring = AsyncFd::new(ring).map_err(map_error("EVENTS"))?;
        let counters = object
            .take_map("COUNTERS")
            .ok_or_else(|| missing("COUNTERS"))?;
        let counters = PerCpuArray::try_from(counters).map_err(map_error("COUNTERS"))?;
        let sleeping = object
            .take_map("SLEEPING")
            .ok_or_else(|| missing("SLEEPING"))?;
        let sleeping = Array::try_from(sleeping).map_err(map_error("SLEEPING"))?;
        let log = if options.probe_log {
            Some(EbpfLogger::init(&mut object).map_err(map_error("AYA_LOGS"))?)
        } else {
            None
        };
        drop((kernel, types));
        trim_heap();
        Ok(Self {
            ring,
            counters,
            sleeping,
            seen: [0; 4],
            suppressed_seen: [0; 2],
            malformed: 0,
            malformed_seen: 0,
            recursion_seen: 0,
            missed_seen: HashMap::new(),
            skipped_due_ns: 0,
            boot_time_ns,
            attached,
            audit,
            kprobes,
            watched,
            processes: Processes::default(),
            log,
            object,
        })
    }

    /// One for each subject.
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// How many instructions the verifier processed for each program that is loaded.
    pub fn verified(&self) -> Vec<(String, u32)> {
        let programs = self.object.programs();
        let mut verified: Vec<(String, u32)> = programs
            .filter_map(|(name, program)| {
                let count = program.info().ok()?.verified_instruction_count()?;
                Some((name.to_owned(), count))
            })
            .collect();
        verified.sort();
        verified
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

    /// What is not as it was attached and written, in words.
    pub fn changes(&self) -> Vec<String> {
        self.audit.changes(&self.object, &self.watched)
    }

    /// Asks the probes to wake this reader; to be followed by a last look, then by `readable`.
    pub fn arm(&mut self) -> Result<(), EbpfError> {
        self.sleeping.set(0, 1, 0).map_err(map_error("SLEEPING"))
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

    /// Of all programs and CPUs.
    fn counter(&self, counter: u32) -> u64 {
        let of = |program: u32| {
            let values = self
                .counters
                .get(&(program * wire::COUNTER_SLOTS + counter), 0);
            values.map_or(0, |values| values.iter().sum::<u64>())
        };
        (0..wire::PROGRAM_SLOTS).map(of).sum()
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

    /// What the kernel skipped since it was told last: mostly not of watched sockets.
    fn skipped(&mut self, time_ns: u64, losses: &mut Vec<Loss>) {
        let recursion = self.recursion();
        if recursion > self.recursion_seen {
            let count = recursion - self.recursion_seen;
            losses.push(loss(time_ns, "probe", RECURSION, count));
            self.recursion_seen = recursion;
        }
        if let Some(tracefs) = tracefs().filter(|_| !self.kprobes.is_empty()) {
            let profile = kretprobe::profile(tracefs);
            for subject in ["connect", "accept"] {
                let probes = self.kprobes.iter().filter(|(of, _)| *of == subject);
                let missed: u64 = probes.map(|(_, probe)| probe.misses(&profile)).sum();
                let seen = self.missed_seen.entry(subject).or_default();
                if missed > *seen {
                    losses.push(loss(time_ns, subject, MISSED, missed - *seen));
                    *seen = missed;
                }
            }
        }
    }

    /// What was lost since the last call. What the kernel skipped, which seldom was of a watched
    /// socket, is told once a minute, unless this call is the `last`.
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
        let suppressed = [0, 1].map(|kind| self.counter(wire::COUNTER_SUPPRESSED + kind));
        let subjects = wire::SUBJECTS.into_iter().zip(suppressed);
        for ((subject, suppressed), seen) in subjects.zip(&mut self.suppressed_seen) {
            if suppressed > *seen {
                losses.push(loss(time_ns, subject, SUPPRESSED, suppressed - *seen));
                *seen = suppressed;
            }
        }
        if last || time_ns >= self.skipped_due_ns {
            let before = losses.len();
            self.skipped(time_ns, &mut losses);
            if losses.len() > before {
                self.skipped_due_ns = time_ns.saturating_add(SKIPPED_PERIOD_NS);
            }
        }
        if self.malformed > self.malformed_seen {
            let count = self.malformed - self.malformed_seen;
            losses.push(loss(time_ns, "record", "malformed", count));
            self.malformed_seen = self.malformed;
        }
        losses
    }
}

/// Where it is mounted.
pub fn tracefs() -> Option<&'static Path> {
    let mut places = TRACEFS.iter().map(Path::new);
    places.find(|path| path.join("events").exists())
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
    let mut words: Array<_, u64> = Array::try_from(map_data).map_err(map_error("PORTS"))?;
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
                words.set(index, word, 0).map_err(map_error("PORTS"))?;
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
    found.try_into().map_err(attach_error(probe))
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

fn attach_error<E: std::error::Error + Send + Sync + 'static>(
    probe: &'static str,
) -> impl FnOnce(E) -> EbpfError {
    move |source| EbpfError::Attach {
        probe,
        source: Box::new(source),
    }
}

fn map_error<E: std::error::Error + Send + Sync + 'static>(
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
