//! Opens a spool: finds what an earlier run kept, and how far each sink was.

use std::{
    collections::VecDeque,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{
    Reader, Shared, Spool,
    frame::LEVELS,
    keeper::Keeper,
    mark::Mark,
    progress::Progress,
    segment::{self, Segment},
    state::{Ends, Limits, State},
};
use crate::sink::{filter::Filter, settings::SpoolSettings};

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("the spool {} cannot be used: {doing}", path.display())]
    Folder {
        path: PathBuf,
        doing: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("another detector uses the spool {}: give each its own `spool.path`", path.display())]
    Locked { path: PathBuf },
    #[error("cannot start the thread that keeps the spool")]
    Thread(#[source] io::Error),
}

/// What an earlier run left.
#[derive(Default)]
struct Found {
    levels: [VecDeque<Segment>; LEVELS],
    ends: Ends,
}

impl Spool {
    /// With a reader for each sink, in their order. A sink that was not known before gets what is
    /// kept for others too.
    pub fn open(
        settings: &SpoolSettings,
        sinks: &[(String, Arc<Filter>)],
    ) -> Result<(Self, Vec<Reader>), SpoolError> {
        let limits = Limits {
            folder: settings.path.clone(),
            max_bytes: settings.max_bytes.0,
            memory_bytes: settings.memory_bytes.0,
            max_age: settings.max_age.map(|age| age.0),
            fsync: settings.fsync,
        };
        let progress = |(name, filter): &(String, Arc<Filter>)| Progress::new(name, filter.clone());
        let mut readers: Vec<Progress> = sinks.iter().map(progress).collect();
        let (mut lock, mut mark, mut found) = (None, None, Found::default());
        if let Some(folder) = &limits.folder {
            let failed = |doing| {
                move |source| SpoolError::Folder {
                    path: folder.clone(),
                    doing,
                    source,
                }
            };
            create(folder).map_err(failed("cannot make the folder"))?;
            lock = Some(self::lock(folder)?);
            let (file, ends) = Mark::open(&folder.join("end")).map_err(failed("cannot read it"))?;
            found = find(folder, ends.unwrap_or_default()).map_err(failed("cannot read it"))?;
            mark = Some(file);
            let cursors = folder.join("sinks");
            create(&cursors).map_err(failed("cannot make the folder of the sinks"))?;
            readers = readers
                .into_iter()
                .map(|reader| {
                    let path = cursors.join(reader.name());
                    let (mark, levels) = Mark::open(&path).map_err(failed("cannot read a mark"))?;
                    Ok(reader.marked(mark, levels))
                })
                .collect::<Result<_, _>>()?;
        }
        for reader in &mut readers {
            reader.start(
                &found
                    .levels
                    .each_ref()
                    .map(|level| level.front().map(|one| one.first)),
                &found.ends.positions,
            );
        }
        let Found { levels, ends } = found;
        let mut state = State::new(limits, levels, ends, readers, mark);
        state.trim();
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            grown: watch::Sender::new(ends.order),
        });
        let readers = sinks.iter().enumerate();
        let readers = readers
            .map(|(id, (_, filter))| Reader::new(Arc::clone(&shared), id, Arc::clone(filter)))
            .collect();
        let spool = Self {
            _keeper: Keeper::start(Arc::clone(&shared)).map_err(SpoolError::Thread)?,
            shared,
            pending: Default::default(),
            ends,
            kept: Vec::new(),
            _lock: lock,
        };
        Ok((spool, readers))
    }
}

fn create(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn lock(folder: &Path) -> Result<File, SpoolError> {
    let path = folder.to_owned();
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(folder.join("lock"));
    match file.map(|file| (file.try_lock(), file)) {
        Ok((Ok(()), file)) => Ok(file),
        Ok((Err(TryLockError::WouldBlock), _)) => Err(SpoolError::Locked { path }),
        Ok((Err(TryLockError::Error(source)), _)) | Err(source) => Err(SpoolError::Folder {
            path,
            doing: "cannot lock it",
            source,
        }),
    }
}

/// A segment without a frame is no use to anybody, and is removed.
fn find(folder: &Path, ends: Ends) -> io::Result<Found> {
    let mut found = Found {
        ends,
        ..Found::default()
    };
    for (priority, path) in segment::files(folder)? {
        let (segment, damaged) = Segment::open(path.clone())?;
        if damaged > 0 {
            tracing::error!(
                "{} bytes of {} are no alert: the file was changed, or cut off by a loss of power",
                damaged,
                path.display()
            );
        }
        let Some(segment) = segment else {
            fs::remove_file(&path)?;
            continue;
        };
        found.ends.order = found.ends.order.max(segment.order);
        if let Some(end) = found.ends.positions.get_mut(priority as usize) {
            *end = (*end).max(segment.last);
        }
        if let Some(level) = found.levels.get_mut(priority as usize) {
            level.push_back(segment);
        }
    }
    Ok(found)
}
