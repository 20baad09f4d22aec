//! Loads the probes, reads their ring buffer and their counters.

mod attach;
mod audit;
mod kretprobe;
mod let_off;
mod load;
mod losses;
mod pin;
mod ring;
mod search;
mod switches;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use aya::{
    Btf, Ebpf as Object, include_bytes_aligned,
    maps::{Array, MapData, PerCpuArray},
    programs::{Program, ProgramError, ProgramFd, RawTracePointRunOptions, TestRun as _},
};
use aya_log::EbpfLogger;
use detector_ebpf as wire;
use log::Log;
use tokio::io::unix::AsyncFd;

pub use self::pin::{Mark, is_pinned, remove};
use self::{
    audit::Audit,
    kretprobe::Probe,
    let_off::LetOffs,
    load::Load,
    pin::{Found, Memory, Pins, Told},
    ring::Ring,
    search::Search,
};
use super::{
    AcceptVia, Attached, Options, Ports, btf, creator, decode, privilege, process::Processes,
};

/// Empty where the build had no BPF toolchain.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/detector-probes"));

/// Words of `PORTS` for one kind of event, and for all three.
const ROW: usize = wire::PORT_WORDS as usize;
const WORDS: usize = 3 * ROW;
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
    #[error("the probes cannot be pinned in {}: {reason}", folder.display())]
    Pins { folder: PathBuf, reason: String },
    #[error(
        "--accept-via=syscall and --pin exclude each other: probes of system calls do not outlive \
         the process; leave one of both out"
    )]
    Unpinnable,
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

/// What became of the probes of the daemon before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pinned {
    /// There are none, and these are not pinned.
    No,
    /// There were none; why they were taken away, where there were.
    Anew(Option<&'static str>),
    Adopted(Adopted),
}

/// Where the daemon before stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    /// Up to here it told everything, and up to there it perhaps did.
    pub told: Mark,
    pub telling: Mark,
    /// Process and port of its canary.
    pub canary: (u32, u16),
    /// The words of `PORTS`: what it watched.
    pub watched: Box<[u64]>,
}

/// The attached probes. Dropping it detaches them, unless they are pinned.
pub struct Ebpf {
    ring: AsyncFd<Ring>,
    counters: PerCpuArray<MapData, u64>,
    sleeping: Array<MapData, u32>,
    /// What was told: of the ring buffer, and of each counter at the last call of `losses`.
    told: Told,
    /// Where `told` is kept for the next daemon, if the probes are pinned.
    memory: Option<Memory>,
    pins: Option<Pins>,
    pinned: Pinned,
    /// Programs that a daemon before attached.
    adopted: Vec<ProgramFd>,
    /// Records that were read, of each subject.
    delivered: [u64; 4],
    malformed: u64,
    malformed_seen: u64,
    missed_seen: HashMap<&'static str, u64>,
    skipped_due_ns: u64,
    boot_time_ns: u64,
    attached: Vec<Attached>,
    audit: Audit,
    /// With their subjects.
    kprobes: Vec<(&'static str, Probe)>,
    /// The words of `PORTS`.
    watched: Box<[u64]>,
    let_offs: LetOffs,
    processes: Processes,
    /// `None` where the kernel refuses it.
    search: Option<Search>,
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
        if options.pin.is_some() && options.accept_via == AcceptVia::Syscall {
            return Err(EbpfError::Unpinnable);
        }
        let pins = options.pin.as_deref().map(Pins::open).transpose()?;
        let types = btf::Btf::read(Path::new(btf::KERNEL_BTF))?;
        let offsets = types.offsets()?;
        let load = Load {
            options,
            ports,
            boot_time_ns,
            kernel: Btf::from_sys_fs().map_err(attach_error("inet_sock_set_state"))?,
            types,
            offsets,
        };
        let Some(pins) = pins else {
            return load.start(None, None, None);
        };
        let identity = pin::identity(OBJECT, &load.offsets);
        let why = match pins.find(identity) {
            Found::Nothing => None,
            Found::Stale(why) => Some(why),
            Found::Probes(told, links) => match attach::wanted(&links, options) {
                Err(why) => Some(why),
                Ok(()) => return load.start(Some(pins), Some((told, links)), None),
            },
        };
        let pins = match why {
            None => pins,
            Some(why) => {
                tracing::warn!(
                    "the pins in {} are taken away: {why}",
                    pins.folder().display()
                );
                pins.renew()?
            }
        };
        let folder = pins.folder().to_owned();
        let mut started = load.start(Some(pins), None, why)?;
        // Last: what is not complete is not adopted.
        started.told.identity = identity;
        started.remember()?;
        tracing::info!("the probes are pinned in {}", folder.display());
        Ok(started)
    }

    /// One for each subject.
    pub fn attached(&self) -> &[Attached] {
        &self.attached
    }

    /// Whether accepts are seen where a process makes them, and not only where handshakes end.
    pub fn sees_accepts(&self) -> bool {
        let mut attached = self.attached.iter();
        attached.any(|one| one.subject == "accept" && one.place != attach::BY_OWNER)
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

    /// Connects of threads of these names, and no others, are only counted at these ports.
    pub fn let_off(&mut self, names: &[(&str, &[u64; ROW])]) -> Result<(), EbpfError> {
        self.let_offs.set(names)
    }

    /// How often each name was let off since the probes were loaded.
    pub fn let_offs(&self) -> Vec<(String, u64)> {
        self.let_offs.counts()
    }

    /// What is not as it was attached and written, in words.
    pub fn changes(&self) -> Vec<String> {
        let pins = self.pins.as_ref();
        let mut changes = self.audit.changes(&self.object, &self.watched, pins);
        if !self.let_offs.are_unchanged() {
            changes.push("the maps of LET_OFF are not what the detector wrote".to_owned());
        }
        changes
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

    /// Decodes up to `max` records, each with its position, of those before `end`; returns how many
    /// were taken from the ring. They keep their room until `release`, if the probes are pinned.
    pub fn drain(
        &mut self,
        max: usize,
        end: u64,
        decoded: &mut Vec<(u64, decode::Decoded)>,
    ) -> usize {
        if let Some(log) = &mut self.log {
            log.flush();
        }
        let ring = self.ring.get_mut();
        let mut taken = 0;
        while taken < max && ring.position() < end {
            let position = ring.position();
            let Some(record) = ring.next() else {
                break;
            };
            taken += 1;
            match decode::decode(record, self.boot_time_ns, &mut self.processes) {
                Ok(mut one) => {
                    look_for_creator(&mut self.object, self.search.as_mut(), &mut one);
                    if let Some(delivered) = self.delivered.get_mut(one.event.kind as usize) {
                        *delivered += 1;
                    }
                    decoded.push((position, one));
                }
                Err(error) => {
                    self.malformed += 1;
                    tracing::error!(%error, "a record from the kernel was passed over");
                }
            }
        }
        if self.memory.is_none() {
            ring.release(ring.position());
        }
        taken
    }

    /// Up to where records were taken.
    pub fn position(&self) -> u64 {
        self.ring.get_ref().position()
    }

    /// Up to where the probes wrote.
    pub fn end(&self) -> u64 {
        self.ring.get_ref().end()
    }

    /// Bytes in use, and in all.
    pub fn ring_buffer(&self) -> (u64, u64) {
        (self.ring.get_ref().used(), wire::RING_BYTES.into())
    }

    /// Whether what was taken and not released leaves the probes little room.
    pub fn is_crowded(&self) -> bool {
        self.ring.get_ref().unreleased() > u64::from(wire::RING_BYTES) / 4
    }

    /// What was due by `time_ns` since boot, of all that was taken, is told from now on.
    pub fn telling(&mut self, time_ns: u64) -> Result<(), EbpfError> {
        let position = self.position();
        self.told.telling = Mark { position, time_ns };
        self.remember()
    }

    /// It is told, and so are the losses; records before `needed` are not needed any more.
    pub fn told(&mut self, needed: u64) -> Result<(), EbpfError> {
        self.told.told = self.told.telling;
        self.remember()?;
        self.ring.get_mut().release(needed);
        Ok(())
    }

    fn remember(&mut self) -> Result<(), EbpfError> {
        match &mut self.memory {
            Some(memory) => memory.write(&self.told),
            None => Ok(()),
        }
    }

    /// The canary of this process, for the next daemon.
    pub fn set_canary(&mut self, port: u16) -> Result<(), EbpfError> {
        self.told.canary = (std::process::id(), port);
        self.remember()
    }

    pub fn pinned(&self) -> &Pinned {
        &self.pinned
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
}

/// At once: while the socket is open, whoever is found is its creator.
fn look_for_creator(
    object: &mut Object,
    search: Option<&mut Search>,
    decoded: &mut decode::Decoded,
) {
    let event = &mut decoded.event;
    if let (Some(search), Some(wanted), Some(creator)) =
        (search, decoded.wanted, &mut event.creator)
    {
        let found = search.find(object, wanted);
        creator.who = creator::name(found, &event.process);
    }
}

/// Where it is mounted.
pub fn tracefs() -> Option<&'static Path> {
    let mut places = TRACEFS.iter().map(Path::new);
    places.find(|path| path.join("events").exists())
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
