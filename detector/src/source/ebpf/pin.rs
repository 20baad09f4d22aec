//! Maps and links that outlive the daemon: a folder on a BPF file system, which its successor
//! adopts.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    hash::BuildHasher as _,
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use aya::{
    EbpfLoader,
    maps::{Array, Map, MapData},
    programs::links::{FdLink, PinnedLink},
};
use detector_ebpf as wire;
use foldhash::fast::FixedState;
use rustix::fs::{FlockOperation, flock, statfs};

use super::{EbpfError, attach::Link};

/// Every map of the probes that has state.
const MAPS: [&str; 16] = [
    "EVENTS",
    "SLEEPING",
    "PORTS",
    "ELSEWHERE",
    "PLACED",
    "PENDING",
    "UNACCEPTED",
    "CALLS",
    "BUDGETS",
    "COUNTERS",
    "COOKIES",
    "LET_OFF_NAMES",
    "LET_OFF_PORTS",
    "LET_OFF_COUNTS",
    "SCRATCH",
    TOLD,
];
const TOLD: &str = "TOLD";
const LINK: &str = "link_";
/// include/uapi/linux/magic.h
const BPF_FS: u64 = 0xcafe_4a11;

/// A point in what the probes tell: all records before a position of the ring buffer, and what was
/// due by a time since boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    pub position: u64,
    pub time_ns: u64,
}

/// What was told, as the map `TOLD` keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Of the probes that are pinned; 0 while they are not complete.
    pub(super) identity: u64,
    /// Up to here everything was told.
    pub(super) told: Mark,
    /// Up to here it was perhaps.
    pub(super) telling: Mark,
    /// Of each subject.
    pub(super) lost: [u64; 4],
    pub(super) suppressed: [u64; 2],
    pub(super) recursion: u64,
    pub(super) unjoined: u64,
    /// Process and port of the daemon's canary.
    pub(super) canary: (u32, u16),
}

impl Told {
    fn words(&self) -> [u64; wire::TOLD_WORDS] {
        let Self {
            identity,
            told,
            telling,
            lost: [connect, outcome, accept, listen],
            suppressed: [attempts, outcomes],
            recursion,
            unjoined,
            canary: (process, port),
        } = *self;
        [
            identity,
            told.position,
            told.time_ns,
            telling.position,
            telling.time_ns,
            connect,
            outcome,
            accept,
            listen,
            attempts,
            outcomes,
            recursion,
            unjoined,
            u64::from(process),
            u64::from(port),
            0,
        ]
    }

    fn of(words: [u64; wire::TOLD_WORDS]) -> Self {
        let [
            identity,
            told,
            told_ns,
            telling,
            telling_ns,
            connect,
            outcome,
            accept,
            listen,
            attempts,
            outcomes,
            recursion,
            unjoined,
            process,
            port,
            _,
        ] = words;
        let mark = |position, time_ns| Mark { position, time_ns };
        Self {
            identity,
            told: mark(told, told_ns),
            telling: mark(telling, telling_ns),
            lost: [connect, outcome, accept, listen],
            suppressed: [attempts, outcomes],
            recursion,
            unjoined,
            canary: (
                u32::try_from(process).unwrap_or(0),
                u16::try_from(port).unwrap_or(0),
            ),
        }
    }
}

/// Probes are adopted only by a daemon that would load the same ones.
pub(super) fn identity(object: &[u8], offsets: &[u32]) -> u64 {
    let hash = FixedState::with_seed(u64::from(wire::ABI_VERSION)).hash_one((object, offsets));
    hash.max(1)
}

/// What a folder holds.
pub(super) enum Found {
    Nothing,
    /// Complete, and of this daemon's probes.
    Probes(Told, Vec<Link>),
    /// Why it is of no use.
    Stale(&'static str),
}

/// The folder, locked as long as this lives.
pub(super) struct Pins {
    folder: PathBuf,
    _lock: File,
}

impl Pins {
    /// Makes the folder if there is none.
    pub(super) fn open(folder: &Path) -> Result<Self, EbpfError> {
        let refused = |reason: String| EbpfError::Pins {
            folder: folder.to_owned(),
            reason,
        };
        let parent = folder.parent().unwrap_or(folder);
        let place = statfs(parent).map_err(|error| refused(error.to_string()))?;
        if place.f_type.cast_unsigned() as u64 != BPF_FS {
            return Err(refused(format!(
                "{} is no BPF file system: run `mount -t bpf bpf /sys/fs/bpf`, or name a folder on one",
                parent.display()
            )));
        }
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(refused(error.to_string()));
            }
            _ => {}
        }
        Self::lock(folder).map_err(refused)
    }

    fn lock(folder: &Path) -> Result<Self, String> {
        let lock = File::open(folder).map_err(|error| error.to_string())?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => {
                "a detector that runs uses them: stop it, or name another folder".to_owned()
            }
            error => error.to_string(),
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether nobody else can have put something there.
    fn is_ours(&self) -> bool {
        let user = rustix::process::geteuid().as_raw();
        fs::symlink_metadata(&self.folder)
            .is_ok_and(|about| about.is_dir() && about.uid() == user && about.mode() & 0o022 == 0)
    }

    pub(super) fn find(&self, identity: u64) -> Found {
        let names = self.names();
        if !self.is_ours() {
            return Found::Stale("others may have written there");
        }
        if names.is_empty() {
            return Found::Nothing;
        }
        let Some(told) = self.told() else {
            return Found::Stale("they are damaged: what was told is missing");
        };
        if told.identity == 0 {
            return Found::Stale("they are incomplete: the daemon that made them did not get on");
        }
        if told.identity != identity {
            return Found::Stale("they are of another version of the detector");
        }
        let maps = MAPS.map(|name| MapData::from_pin(self.folder.join(name)).is_ok());
        let links: Option<Vec<Link>> = names
            .iter()
            .filter_map(|name| name.strip_prefix(LINK))
            .map(|name| self.link(name))
            .collect();
        match links {
            Some(links) if maps.iter().all(|is_there| *is_there) => Found::Probes(told, links),
            _ => Found::Stale("they are damaged: a map or a link is missing"),
        }
    }

    fn told(&self) -> Option<Told> {
        let map = Map::Array(MapData::from_pin(self.folder.join(TOLD)).ok()?);
        let map: Array<_, [u64; wire::TOLD_WORDS]> = Array::try_from(map).ok()?;
        map.get(&0, 0).ok().map(Told::of)
    }

    fn link(&self, name: &str) -> Option<Link> {
        let known = super::attach::PINNABLE.into_iter();
        let name = known.into_iter().find(|known| *known == name)?;
        let link = PinnedLink::from_pin(self.folder.join(format!("{LINK}{name}"))).ok()?;
        Some((name, FdLink::from(link)))
    }

    /// Maps of these names are opened from the folder, or pinned there when they are made.
    pub(super) fn name_maps(&self, loader: &mut EbpfLoader<'_>) {
        for name in MAPS {
            loader.map_pin_path(name, self.folder.join(name));
        }
    }

    pub(super) fn keep(&self, (name, link): Link) -> Result<Link, EbpfError> {
        let pinned = link.pin(self.folder.join(format!("{LINK}{name}")));
        let pinned = pinned.map_err(|error| self.refused(error.to_string()))?;
        Ok((name, pinned.into()))
    }

    /// Takes away what a detector pinned, links first; nothing else.
    pub(super) fn clear(&self) -> Result<(), EbpfError> {
        let mut names = self.names();
        names.sort_by_key(|name| !name.starts_with(LINK));
        for name in names {
            if name.starts_with(LINK) || MAPS.contains(&name.as_str()) {
                fs::remove_file(self.folder.join(&name))
                    .map_err(|error| self.refused(format!("{name}: {error}")))?;
            }
        }
        Ok(())
    }

    /// A folder that only the detector's user can write to, with nothing in it.
    pub(super) fn renew(self) -> Result<Self, EbpfError> {
        self.clear()?;
        fs::remove_dir(&self.folder).map_err(|error| {
            self.refused(format!("there is something else ({error}): name another"))
        })?;
        Self::open(&self.folder)
    }

    /// What is in the folder.
    pub(super) fn inodes(&self) -> BTreeMap<String, u64> {
        let inode = |name: String| {
            let about = fs::symlink_metadata(self.folder.join(&name)).ok()?;
            Some((name, about.ino()))
        };
        self.names().into_iter().filter_map(inode).collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    fn refused(&self, reason: String) -> EbpfError {
        EbpfError::Pins {
            folder: self.folder.clone(),
            reason,
        }
    }
}

/// Whether probes are pinned there.
pub fn is_pinned(folder: &Path) -> bool {
    folder.join(TOLD).exists()
}

/// Detaches the probes that are pinned in the folder, and takes it away; false if there is none.
pub fn remove(folder: &Path) -> Result<bool, EbpfError> {
    if !folder.exists() {
        return Ok(false);
    }
    let pins = Pins::open(folder)?;
    pins.clear()?;
    fs::remove_dir(folder).map_err(|error| pins.refused(error.to_string()))?;
    Ok(true)
}

/// The map `TOLD`, with what was last written to it.
pub(super) struct Memory {
    map: Array<MapData, [u64; wire::TOLD_WORDS]>,
    written: [u64; wire::TOLD_WORDS],
}

impl Memory {
    pub(super) fn new(map: Array<MapData, [u64; wire::TOLD_WORDS]>) -> Self {
        Self {
            map,
            written: [0; wire::TOLD_WORDS],
        }
    }

    /// The kernel copies it at once, as far as a signal can tell.
    pub(super) fn write(&mut self, told: &Told) -> Result<(), EbpfError> {
        let words = told.words();
        if words != self.written {
            let written = self.map.set(0, words, 0);
            written.map_err(super::map_error(TOLD))?;
            self.written = words;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_read_as_it_was_written() {
        let mark = |position, time_ns| Mark { position, time_ns };
        let told = Told {
            identity: 1,
            told: mark(2, 3),
            telling: mark(4, 5),
            lost: [6, 7, 8, 9],
            suppressed: [10, 11],
            recursion: 12,
            unjoined: 13,
            canary: (14, 15),
        };
        assert_eq!(Told::of(told.words()), told);
    }

    #[test]
    fn other_probes_have_another_identity() {
        let first = identity(b"object", &[1, 2]);
        assert_eq!(first, identity(b"object", &[1, 2]));
        assert_ne!(first, identity(b"objec2", &[1, 2]));
        assert_ne!(first, identity(b"object", &[1, 3]));
    }

    #[test]
    fn no_folder_outside_a_bpf_file_system_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Pins::open(&folder.path().join("pins")).err().unwrap();
        assert!(refused.to_string().contains("mount -t bpf"), "{refused}");
    }
}
