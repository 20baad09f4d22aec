//! Loads the object, and attaches its programs or adopts those that are pinned.

use std::collections::HashMap;

use aya::{
    Btf as Types, Ebpf as Object, EbpfLoader,
    maps::{Array, Map, MapData, PerCpuArray},
    programs::{ProgramFd, loaded_programs},
};
use aya_log::EbpfLogger;
use detector_ebpf::offset;
use tokio::io::unix::AsyncFd;

use super::{
    Adopted, Ebpf, EbpfError, OBJECT, Pinned, WORDS,
    attach::{self, Kernel, Link, Probes, attach},
    attach_error,
    audit::Audit,
    let_off::LetOffs,
    map_error, missing,
    pin::{Memory, Pins, Told},
    ring::Ring,
    search::Search,
    set_ports, trim_heap,
};
use crate::source::{Options, Ports, btf, process::Processes};

/// What the probes are loaded with.
pub(super) struct Load<'a> {
    pub(super) options: &'a Options,
    pub(super) ports: &'a Ports<'a>,
    pub(super) boot_time_ns: u64,
    pub(super) kernel: Types,
    pub(super) types: btf::Btf,
    pub(super) offsets: [u32; offset::COUNT],
}

/// Probes of a daemon before, and what it told.
pub(super) type Before = (Told, Vec<Link>);

impl Load<'_> {
    /// Adopts, or attaches anew and pins; what is pinned and not complete is taken away.
    pub(super) fn start(
        self,
        pins: Option<Pins>,
        before: Option<Before>,
        why: Option<&'static str>,
    ) -> Result<Ebpf, EbpfError> {
        let is_new = before.is_none();
        let typed = self.types.is_typed();
        let mut loaded = self.load(pins.as_ref(), before, why, typed);
        if let Err(error @ EbpfError::Attach { .. }) = &loaded
            && typed
            && is_new
        {
            // A kernel to come may take another view of its types.
            let reason = attach::reason(error);
            tracing::warn!(
                reason,
                "the probes read by helpers alone, which takes longer"
            );
            tracing::debug!("{error:?}");
            loaded = self.load(pins.as_ref(), None, why, false);
        }
        drop(self);
        trim_heap();
        match loaded {
            Ok(mut started) => {
                started.pins = pins;
                Ok(started)
            }
            Err(error) => {
                if let Some(pins) = pins.filter(|_| is_new)
                    && let Err(error) = pins.clear()
                {
                    tracing::error!("{error}");
                }
                Err(error)
            }
        }
    }

    /// `typed` if the probes are to load through the types that the verifier knows.
    fn load(
        &self,
        pins: Option<&Pins>,
        before: Option<Before>,
        why: Option<&'static str>,
        typed: bool,
    ) -> Result<Ebpf, EbpfError> {
        let Self {
            options,
            ports,
            boot_time_ns,
            kernel,
            types,
            offsets,
        } = self;
        let boot_time_ns = *boot_time_ns;
        let flag = u32::from(typed);
        // A daemon after this one has not read what this one was told before.
        let in_full = u32::from(pins.is_some());
        let log_level = if options.probe_log { u8::MAX } else { 0 };
        let mut loader = EbpfLoader::new();
        loader
            .btf(Some(kernel))
            .override_global("OFFSETS", offsets, true)
            .override_global("TYPED", &flag, true)
            .override_global("IN_FULL", &in_full, true)
            .override_global("AYA_LOG_LEVEL", &log_level, true);
        if let Some(pins) = pins {
            pins.name_maps(&mut loader);
        }
        let mut object = loader
            .load(OBJECT)
            .map_err(attach_error("inet_sock_set_state"))?;
        let mut watched = match before {
            Some(_) => watched(&object)?,
            None => vec![0; WORDS].into_boxed_slice(),
        };
        let old = watched.clone();
        set_ports(&mut object, &mut watched, ports, |_, new| new)?;
        let (probes, told, pinned) = match before {
            Some((told, links)) => {
                let adopted = Adopted {
                    told: told.told,
                    telling: told.telling,
                    canary: told.canary,
                    watched: old,
                };
                let probes = attach::adopt(&mut object, links)?;
                (probes, told, Pinned::Adopted(adopted))
            }
            None => {
                let known = Kernel {
                    types: kernel,
                    btf: types,
                    typed,
                };
                let mut probes = attach(&mut object, &known, options)?;
                let pinned = match pins {
                    None => Pinned::No,
                    Some(pins) => {
                        let links = probes.links.into_iter().map(|link| pins.keep(link));
                        probes.links = links.collect::<Result<_, _>>()?;
                        Pinned::Anew(why)
                    }
                };
                (probes, Told::default(), pinned)
            }
        };
        let Probes {
            attached,
            links,
            kprobes,
        } = probes;
        let adopted = match &pinned {
            Pinned::Adopted(_) => programs(&links),
            _ => Vec::new(),
        };
        let audit = Audit::new(&object, links, &attached, pins);
        let memory = pins.map(|_| {
            take(&mut object, "TOLD").and_then(|map| {
                let map = Array::try_from(map).map_err(map_error("TOLD"))?;
                Ok(Memory::new(map))
            })
        });
        let log = if options.probe_log {
            Some(EbpfLogger::init(&mut object).map_err(map_error("AYA_LOGS"))?)
        } else {
            None
        };
        let search = Search::new(&mut object, kernel).inspect_err(|error| {
            tracing::warn!("creators of sockets are not looked for: {error:?}");
        });
        Ok(Ebpf {
            ring: ring(&mut object)?,
            counters: PerCpuArray::try_from(take(&mut object, "COUNTERS")?)
                .map_err(map_error("COUNTERS"))?,
            sleeping: Array::try_from(take(&mut object, "SLEEPING")?)
                .map_err(map_error("SLEEPING"))?,
            told,
            memory: memory.transpose()?,
            pins: None,
            pinned,
            adopted,
            delivered: [0; 4],
            malformed: 0,
            malformed_seen: 0,
            missed_seen: HashMap::new(),
            skipped_due_ns: 0,
            boot_time_ns,
            attached,
            audit,
            kprobes,
            watched,
            let_offs: LetOffs::new(&mut object)?,
            processes: Processes::default(),
            search: search.ok(),
            log,
            object,
        })
    }
}

pub(super) fn take(object: &mut Object, map: &'static str) -> Result<Map, EbpfError> {
    object.take_map(map).ok_or_else(|| missing(map))
}

fn ring(object: &mut Object) -> Result<AsyncFd<Ring>, EbpfError> {
    let Map::RingBuf(map) = take(object, "EVENTS")? else {
        return Err(missing("EVENTS"));
    };
    let ring = Ring::new(map).map_err(map_error("EVENTS"))?;
    #[expect(
        deprecated,
        reason = "the successor is unsafe; the ring owns its descriptor"
    )]
    AsyncFd::new(ring).map_err(map_error("EVENTS"))
}

/// The words of `PORTS` as the daemon before left them.
fn watched(object: &Object) -> Result<Box<[u64]>, EbpfError> {
    let map = object.map("PORTS").ok_or_else(|| missing("PORTS"))?;
    let words: Array<&MapData, u64> = Array::try_from(map).map_err(map_error("PORTS"))?;
    let words = words.iter().collect::<Result<Vec<u64>, _>>();
    Ok(words.map_err(map_error("PORTS"))?.into_boxed_slice())
}

/// The programs of these links.
fn programs(links: &[Link]) -> Vec<ProgramFd> {
    let ids = links.iter().filter_map(|(_, link)| link.info().ok());
    let ids: Vec<u32> = ids.map(|info| info.program_id()).collect();
    loaded_programs()
        .flatten()
        .filter(|program| ids.contains(&program.id()))
        .filter_map(|program| program.fd().ok())
        .collect()
}
