//! Opens a spool: finds what an earlier run kept, and how far each sink was.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{
    REMOVED, Reader, Shared, Spool,
    folder::{END, MARKS, claim},
    frame::LEVELS,
    keeper::Keeper,
    mark::Mark,
    progress::{Marked, Progress},
    segment::{self, Segment},
    state::{Ends, Limits, State},
};
use crate::{
    alert::Priority,
    files::{self, Unreadable},
    sink::{News, filter::Filter, settings::SpoolSettings},
};

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
        let (mut forgotten, mut gone) = (Vec::new(), 0);
        if let Some(folder) = &limits.folder {
            let failed = |doing| {
                move |source| SpoolError::Folder {
                    path: folder.clone(),
                    doing,
                    source,
                }
            };
            lock = Some(claim(folder)?);
            let (file, ends) = Mark::open(&folder.join(END)).map_err(failed("cannot read it"))?;
            found = find(folder, ends.unwrap_or_default()).map_err(failed("cannot read it"))?;
            mark = Some(file);
            let marks = folder.join(MARKS);
            let known = known(&marks).map_err(failed("cannot read the marks"))?;
            let whole = known.iter().filter(|one| one.levels.is_some()).count() as u64;
            gone = match ends {
                Some(ends) => ends.marks.saturating_sub(whole),
                None => u64::from(whole > 0 || found.ends != Ends::default()),
            };
            forgotten =
                forget(known, sinks, &found.ends).map_err(failed("cannot read the marks"))?;
        }
        let Found { levels, ends } = found;
        let segment_bytes = limits.least_segment_bytes();
        let mut state = State::new(limits, lock, levels, ends, mark);
        state.news = forgotten;
        if gone > 0 {
            state.tell_mended(gone);
        }
        for (id, (name, filter)) in sinks.iter().enumerate() {
            let added = state.add(id, name, filter);
            added.map_err(|source| SpoolError::Folder {
                path: settings.path.clone().unwrap_or_default(),
                doing: "cannot read a mark",
                source,
            })?;
        }
        // A mark that somebody removed: no position is given again that a sink has.
        for level in Priority::ALL {
            let acked = state.readers.values().map(|reader| reader.acked(level));
            let acked = acked.max().unwrap_or(0);
            if let Some(end) = state.ends.positions.get_mut(level as usize) {
                *end = acked.max(*end);
            }
        }
        state.trim();
        if let Err(error) = state.write_mark() {
            state.disk(Err(error));
        }
        let ends = state.ends;
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
        let name = reader.name().to_owned();
        // First, for one that is missing is told.
        if let Err(error) = self.write_mark() {
            self.disk(Err(error));
        }
        if let Some(folder) = &self.limits.folder {
            let path = folder.join(MARKS).join(name);
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, "{} cannot be removed", path.display());
            }
        }
    }
}

/// The mark of a sink of an earlier run.
struct Known {
    path: PathBuf,
    sink: String,
    mark: Mark,
    /// `None` if nothing is marked that is whole.
    levels: Option<Marked>,
}

fn known(marks: &Path) -> io::Result<Vec<Known>> {
    let mut known = Vec::new();
    for entry in fs::read_dir(marks)? {
        let entry = entry?;
        let (path, of) = (entry.path(), entry.file_type()?);
        if !of.is_file() {
            let (path, kind) = (path.display(), files::kind(of));
            tracing::error!("{path} is {kind}, not a mark: it is passed over");
            continue;
        }
        let (mark, levels) = Mark::open(&path)?;
        known.push(Known {
            path,
            sink: entry.file_name().to_string_lossy().into_owned(),
            mark,
            levels,
        });
    }
    Ok(known)
}

/// Sinks that are no more: nothing is kept for them any longer.
fn forget(
    known: Vec<Known>,
    sinks: &[(String, Arc<Filter>)],
    ends: &Ends,
) -> io::Result<Vec<News>> {
    let mut news = Vec::new();
    for Known {
        path,
        sink,
        mark,
        levels,
    } in known
    {
        if sinks.iter().any(|(name, _)| *name == sink) {
            continue;
        }
        let every = Progress::new(&sink, Arc::new(Filter::every()));
        let count = match levels {
            Some(levels) => every.marked(mark, Some(levels)).behind(&ends.positions),
            None => 0,
        };
        if count > 0 {
            news.push(News::Dropped {
                sink,
                cause: REMOVED,
                count,
            });
        }
        fs::remove_file(&path)?;
    }
    Ok(news)
}

/// A segment without a frame is no use to anybody, and is removed.
fn find(folder: &Path, ends: Ends) -> io::Result<Found> {
    let mut found = Found {
        ends,
        ..Found::default()
    };
    for (priority, path) in segment::files(folder)? {
        let (segment, damaged) = match Segment::open(path.clone()) {
            Ok(opened) => opened,
            Err(Unreadable::NoFile(kind)) => {
                let path = path.display();
                tracing::error!("{path} is {kind}, not a file of the spool: it is passed over");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
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
