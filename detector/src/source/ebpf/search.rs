//! Looks through all tasks for the one with given credentials: exact while the socket holds them.

use std::{io::Read as _, time::Instant};

use aya::{
    Btf as Types, Ebpf as Object,
    maps::{Array, MapData},
    programs::Iter,
};
use detector_ebpf as wire;

use super::{EbpfError, attach_error, load::take, map_error, program};
use crate::source::{
    creator::{Budget, Found, Wanted},
    procfs,
};

const PROBE: &str = "find_creator";
const MAP: &str = "SEARCH";

pub(super) struct Search {
    words: Array<MapData, [u64; wire::SEARCH_WORDS]>,
    budget: Budget,
    /// An iterator shows the tasks of the reader's own namespace of process ids.
    sees_all: bool,
}

impl Search {
    pub(super) fn new(object: &mut Object, types: &Types) -> Result<Self, EbpfError> {
        let iter: &mut Iter = program(object, PROBE)?;
        iter.load("task", types).map_err(attach_error(PROBE))?;
        Ok(Self {
            words: Array::try_from(take(object, MAP)?).map_err(map_error(MAP))?,
            budget: Budget::default(),
            sees_all: procfs::is_in_host_pids(),
        })
    }

    pub(super) fn find(&mut self, object: &mut Object, wanted: Wanted) -> Found {
        if !self.budget.allows(Instant::now()) {
            return Found::Late;
        }
        self.run(object, wanted).unwrap_or_else(|error| {
            tracing::warn!(%error, "the creator of a socket cannot be looked for");
            Found::Late
        })
    }

    fn run(&mut self, object: &mut Object, wanted: Wanted) -> Result<Found, EbpfError> {
        let mut words = [0; wire::SEARCH_WORDS];
        words[wire::SEARCH_SOCK] = wanted.sock;
        words[wire::SEARCH_CRED] = wanted.cred;
        self.words.set(0, words, 0).map_err(map_error(MAP))?;
        let iter: &mut Iter = program(object, PROBE)?;
        let link = iter.attach().map_err(attach_error(PROBE))?;
        let link = iter.take_link(link).map_err(attach_error(PROBE))?;
        let mut file = link.into_file().map_err(attach_error(PROBE))?;
        // The program writes nothing: there is the end of the file only, behind the last task.
        file.read(&mut [0]).map_err(attach_error(PROBE))?;
        let words = self.words.get(&0, 0).map_err(map_error(MAP))?;
        let pid = u32::try_from(words[wire::SEARCH_PID]).unwrap_or(0);
        Ok(match (pid, words[wire::SEARCH_HELD]) {
            (0, _) if self.sees_all => Found::Nobody,
            (0, _) | (_, 0) => Found::Late,
            (pid, _) => Found::Process {
                pid,
                start_time_ns: words[wire::SEARCH_START],
            },
        })
    }
}
