//! Loads and attaches the probes, reads their ring buffer and their counters.

use std::{io, path::Path};

use aya::{
    Btf, Ebpf as Object, EbpfLoader, include_bytes_aligned,
    maps::{Array, MapData, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, TracePoint},
};
use detector_ebpf as wire;
use tokio::io::unix::AsyncFd;

use super::{AcceptVia, Options, Ports, btf, decode};
use crate::event::{Event, Loss};

/// Empty where the build had no BPF toolchain.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/detector-probes"));

const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";
const TRACEFS: [&str; 2] = [
    "/sys/kernel/tracing/events",
    "/sys/kernel/debug/tracing/events",
];

#[derive(Debug, thiserror::Error)]
pub enum EbpfError {
    #[error("this binary was built without the probes: build it with `cargo xtask build`")]
    Stub,
    #[error(
        "the probes need root, or the capabilities BPF, PERFMON and SYS_PTRACE: run as root, or \
         grant them (the effective user id is {euid})"
    )]
    Privilege { euid: u32 },
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
    /// Counter values at the last call of `losses`.
    seen: [u64; 4],
    malformed: u64,
    malformed_seen: u64,
    boot_time_ns: u64,
    attached: Vec<(&'static str, &'static str)>,
    _object: Object,
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
        let euid = rustix::process::geteuid();
        if !euid.is_root() {
            return Err(EbpfError::Privilege {
                euid: euid.as_raw(),
            });
        }
        let via_syscall = options.accept_via == AcceptVia::Syscall;
        if via_syscall && !TRACEFS.iter().any(|path| Path::new(path).exists()) {
            return Err(EbpfError::Tracefs);
        }
        let offsets = btf::kernel_offsets(Path::new(BTF_PATH))?;
        let kernel = Btf::from_sys_fs().map_err(attach("inet_sock_set_state"))?;
        let via = u8::from(via_syscall);
        let mut object = EbpfLoader::new()
            .btf(Some(&kernel))
            .override_global("OFFSETS", &offsets, true)
            .override_global("ACCEPT_VIA_SYSCALL", &via, true)
            .load(OBJECT)
            .map_err(attach("inet_sock_set_state"))?;
        set_ports(&mut object, ports)?;

        let mut attached = Vec::new();
        let probe = "inet_sock_set_state";
        let program: &mut BtfTracePoint = program(&mut object, probe)?;
        program.load(probe, &kernel).map_err(attach(probe))?;
        program.attach().map_err(attach(probe))?;
        for subject in ["connect", "outcome", "listen"] {
            attached.push((subject, "tp_btf/inet_sock_set_state"));
        }
        if via_syscall {
            for probe in ["sys_exit_accept", "sys_exit_accept4"] {
                let program: &mut TracePoint = program_of(&mut object, probe)?;
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
        Ok(Self {
            ring,
            counters,
            seen: [0; 4],
            malformed: 0,
            malformed_seen: 0,
            boot_time_ns,
            attached,
            _object: object,
        })
    }

    /// Subject and mechanism.
    pub fn attached(&self) -> &[(&'static str, &'static str)] {
        &self.attached
    }

    /// Waits until the ring buffer has something to read.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.ring.readable_mut().await?.clear_ready();
        Ok(())
    }

    /// Decodes up to `max` records into `events`; returns how many were taken from the ring.
    pub fn drain(&mut self, max: usize, events: &mut Vec<Event>) -> usize {
        let ring = self.ring.get_mut();
        for taken in 0..max {
            let Some(record) = ring.next() else {
                return taken;
            };
            match decode::decode(&record, self.boot_time_ns) {
                Ok(event) => events.push(event),
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

    /// Generated and lost records of each subject since the start.
    pub fn summary(&self) -> [(&'static str, u64, u64); 4] {
        let mut slot = 0;
        wire::SUBJECTS.map(|subject| {
            let row = (subject, self.counter(slot), self.counter(slot + 1));
            slot += 2;
            row
        })
    }

    /// What was lost since the last call.
    pub fn losses(&mut self, time_ns: u64) -> Vec<Loss> {
        let mut losses = Vec::new();
        let rows = self.summary();
        for ((subject, _, lost), seen) in rows.into_iter().zip(&mut self.seen) {
            if lost > *seen {
                let count = lost - *seen;
                losses.push(loss(time_ns, subject, "ring_buffer_full", count));
                *seen = lost;
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

fn loss(time_ns: u64, subject: &str, cause: &str, count: u64) -> Loss {
    Loss {
        time_ns,
        subject: subject.to_owned(),
        cause: cause.to_owned(),
        count,
    }
}

fn set_ports(object: &mut Object, ports: &Ports<'_>) -> Result<(), EbpfError> {
    let map_data = object.map_mut("PORTS").ok_or_else(|| missing("PORTS"))?;
    let mut words: Array<_, u64> = Array::try_from(map_data).map_err(map("PORTS"))?;
    let rows = [
        (wire::PORTS_CONNECT, ports.connect),
        (wire::PORTS_ACCEPT, ports.accept),
        (wire::PORTS_LISTEN, ports.listen),
    ];
    for (direction, bits) in rows {
        for (index, word) in (direction * wire::PORT_WORDS..).zip(bits) {
            words.set(index, word, 0).map_err(map("PORTS"))?;
        }
    }
    Ok(())
}

fn program<'a>(
    object: &'a mut Object,
    probe: &'static str,
) -> Result<&'a mut BtfTracePoint, EbpfError> {
    let found = object.program_mut(probe).ok_or_else(|| missing(probe))?;
    found.try_into().map_err(attach(probe))
}

fn program_of<'a>(
    object: &'a mut Object,
    probe: &'static str,
) -> Result<&'a mut TracePoint, EbpfError> {
    let found = object.program_mut(probe).ok_or_else(|| missing(probe))?;
    found.try_into().map_err(attach(probe))
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
