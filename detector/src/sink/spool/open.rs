//! Opens a spool: finds what an earlier run kept, and how far each sink was.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{
    REMOVED, Reader, Shared, Spool,
    frame::LEVELS,
    keeper::Keeper,
    mark::Mark,
    progress::Progress,
    segment::{self, Segment},
    state::{Ends, Limits, State},
};
use crate::sink::{News, filter::Filter, settings::SpoolSettings};

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
        let limits = Limits::new(settings, settings.path.clone());
        let (mut lock, mut mark, mut found) = (None, None, Found::default());
        let mut forgotten = Vec::new();
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
            let marks = folder.join(MARKS);
            create(&marks).map_err(failed("cannot make the folder of the sinks"))?;
            forgotten =
                forget(&marks, sinks, &found.ends).map_err(failed("cannot read the marks"))?;
        }
        let Found { levels, ends } = found;
        let segment_bytes = limits.least_segment_bytes();
        let mut state = State::new(limits, levels, ends, mark);
        state.news = forgotten;
        for (id, (name, filter)) in sinks.iter().enumerate() {
            let added = state.add(id, name, filter);
            added.map_err(|source| SpoolError::Folder {
                path: settings.path.clone().unwrap_or_default(),
                doing: "cannot read a mark",
                source,
            })?;
        }
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
            keeper: Keeper::start(Arc::clone(&shared)).map_err(SpoolError::Thread)?,
            shared,
            pending: Default::default(),
            ends,
            kept: Vec::new(),
            readers: sinks.len(),
            segment_bytes,
            _lock: lock,
        };
        Ok((spool, readers))
    }
}

impl State {
    /// A reader of this number. With an error it is there, without a mark.
    pub(super) fn add(&mut self, id: usize, name: &str, filter: &Arc<Filter>) -> io::Result<()> {
        let mut reader = Progress::new(name, Arc::clone(filter));
        let mut opened = Ok(());
        if let Some(folder) = &self.limits.folder {
            match Mark::open(&folder.join(MARKS).join(name)) {
                Ok((mark, levels)) => reader = reader.marked(mark, levels),
                Err(error) => opened = Err(error),
            }
        }
        let first = |level: &VecDeque<Segment>| level.front().map(|segment| segment.first);
        reader.start(&self.levels.each_ref().map(first), &self.ends.positions);
        self.readers.insert(id, reader);
        opened
    }

    /// From now on no later run knows how far this sink was.
    pub(super) fn unmark(&mut self, id: usize) {
        let Some(reader) = self.readers.get_mut(&id) else {
            return;
        };
        reader.unmark();
        if let Some(folder) = &self.limits.folder {
            let path = folder.join(MARKS).join(reader.name());
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, "{} cannot be removed", path.display());
            }
        }
    }
}

/// Sinks of an earlier run that are no more: nothing is kept for them any longer.
fn forget(marks: &Path, sinks: &[(String, Arc<Filter>)], ends: &Ends) -> io::Result<Vec<News>> {
    let mut news = Vec::new();
    for entry in fs::read_dir(marks)? {
        let name = entry?.file_name();
        if sinks.iter().any(|(sink, _)| name == *OsStr::new(sink)) {
            continue;
        }
        let path = marks.join(&name);
        if let (mark, Some(levels)) = Mark::open(&path)? {
            let sink = name.to_string_lossy().into_owned();
            let filter = Arc::new(Filter::every());
            let count = Progress::new(&sink, filter)
                .marked(mark, Some(levels))
                .behind(&ends.positions);
            if count > 0 {
                news.push(News::Dropped {
                    sink,
                    cause: REMOVED,
                    count,
                });
            }
        }
        fs::remove_file(&path)?;
    }
    Ok(news)
}

/// The folder in which each sink has its mark, under its name.
const MARKS: &str = "sinks";

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
