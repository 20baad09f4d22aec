//! A file to items: hostile bytes give an error that names the record, never a panic.

use std::{
    fs::File,
    io::{BufRead, BufReader, ErrorKind, Read},
    path::Path,
    sync::Arc,
};

use super::{
    FORMAT, Header, Kind, OLDEST, RecordIn, TraceError, VERSION,
    encoding::{BoxError, Encoding},
    is_compressed,
};
use crate::{
    event::{Asked, Details, Event, Item, Process},
    host::Host,
};

/// Processes of a trace that are kept; a file that defines more is refused.
const MAX_PROCESSES: usize = 1 << 20;
const BUFFER: usize = 1 << 16;

pub struct Reader {
    input: Box<dyn BufRead>,
    encoding: Encoding,
    path: String,
    /// Of the record read last, from 1: its line in a file of lines.
    number: u64,
    buffer: Vec<u8>,
    processes: Vec<Arc<Process>>,
    items: u64,
    ended: bool,
    pub host: Host,
    /// What the rules of the recording asked for: a replay knows no more.
    pub asked: Asked,
}

impl Reader {
    /// `watch` may wrap the file, to follow how far it is read.
    pub fn open(
        path: &Path,
        watch: impl FnOnce(File) -> Box<dyn Read>,
    ) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        let open = |source| TraceError::Open {
            path: name.clone(),
            source,
        };
        let file = watch(File::open(path).map_err(open)?);
        let input: Box<dyn BufRead> = if is_compressed(path) {
            Box::new(BufReader::with_capacity(
                BUFFER,
                zstd::Decoder::new(file).map_err(open)?,
            ))
        } else {
            Box::new(BufReader::with_capacity(BUFFER, file))
        };
        let mut reader = Self {
            input,
            encoding: Encoding::JsonLines,
            path: name.clone(),
            number: 0,
            buffer: Vec::new(),
            processes: Vec::new(),
            items: 0,
            ended: false,
            host: Host::default(),
            asked: Asked::default(),
        };
        let format = || TraceError::Format { path: name.clone() };
        // A file of another kind may have no line at all.
        if !reader.fill().map_err(|_error| format())? {
            return Err(format());
        }
        let kind: Kind = serde_json::from_slice(&reader.buffer).map_err(|_error| format())?;
        if kind.format != FORMAT {
            return Err(format());
        }
        if !(u64::from(OLDEST)..=u64::from(VERSION)).contains(&kind.version) {
            return Err(TraceError::Version {
                path: name,
                found: kind.version,
            });
        }
        let header: Header =
            serde_json::from_slice(&reader.buffer).map_err(|error| reader.damaged(error))?;
        reader.host = header.host;
        reader.asked = header.asked;
        reader.encoding = Encoding::of(path);
        Ok(reader)
    }

    /// The next item; `None` at the end.
    pub fn next_item(&mut self) -> Result<Option<Item>, TraceError> {
        while self.fill()? {
            if self.ended {
                return Err(self.damaged("there is more after the end marker"));
            }
            let record = self
                .encoding
                .parse(&self.buffer)
                .map_err(|error| self.damaged(error))?;
            match record {
                RecordIn::Process(id, process) => self.define(id, *process)?,
                RecordIn::Details(id, details) => self.detail(id, details)?,
                RecordIn::Event(id, event) => return self.event(id, event).map(Some),
                RecordIn::Named(id, mut event, names) => {
                    event.names = Some(names);
                    return self.event(id, event).map(Some);
                }
                RecordIn::Found(id, mut event, names) => {
                    (event.found, event.names) = (true, names);
                    return self.event(id, event).map(Some);
                }
                RecordIn::More(id, mut event, beside) => {
                    beside.put(&mut event);
                    return self.event(id, event).map(Some);
                }
                RecordIn::Drop(loss) => {
                    self.items += 1;
                    return Ok(Some(Item::Drop(loss)));
                }
                RecordIn::End { items } => {
                    if items != self.items {
                        let found = self.items;
                        return Err(self.damaged(format!("{items} items expected, {found} found")));
                    }
                    self.ended = true;
                }
            }
        }
        if self.ended {
            Ok(None)
        } else {
            Err(self.truncated())
        }
    }

    fn define(&mut self, id: u32, process: Process) -> Result<(), TraceError> {
        if usize::try_from(id) != Ok(self.processes.len()) || self.processes.len() >= MAX_PROCESSES
        {
            return Err(self.damaged(format!("process {id} is out of order")));
        }
        self.processes.push(Arc::new(process));
        Ok(())
    }

    /// They follow the process, before any event of it.
    fn detail(&mut self, id: u32, details: Box<Details>) -> Result<(), TraceError> {
        let process = usize::try_from(id)
            .ok()
            .and_then(|id| self.processes.get_mut(id))
            .and_then(Arc::get_mut)
            .filter(|process| process.details.is_none());
        match process {
            Some(process) => {
                process.details = Some(details);
                Ok(())
            }
            None => Err(self.damaged(format!("details of process {id} are out of order"))),
        }
    }

    fn event(&mut self, id: u32, mut event: Event) -> Result<Item, TraceError> {
        self.items += 1;
        event.process = usize::try_from(id)
            .ok()
            .and_then(|id| self.processes.get(id))
            .map(Arc::clone)
            .ok_or_else(|| self.damaged(format!("process {id} is not defined")))?;
        Ok(Item::Event(event))
    }

    fn damaged(&self, source: impl Into<BoxError>) -> TraceError {
        TraceError::Damaged {
            path: self.path.clone(),
            number: self.number,
            source: source.into(),
        }
    }

    fn truncated(&self) -> TraceError {
        TraceError::Truncated {
            path: self.path.clone(),
            number: self.number,
        }
    }

    /// Reads one record into the buffer; false at the end of the file.
    fn fill(&mut self) -> Result<bool, TraceError> {
        self.number += 1;
        match self.encoding.fill(&mut self.input, &mut self.buffer) {
            Ok(more) => Ok(more),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(self.truncated()),
            Err(error) => Err(self.damaged(error)),
        }
    }
}
