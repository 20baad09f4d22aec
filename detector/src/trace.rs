//! Recorded items: JSON Lines, `.zst` compressed by extension. The first line is the header, the
//! last the end marker, so that a truncated file is noticed:
//!
//! ```text
//! {"format":"kubelet-detector-trace","version":2,"tool":"...","host":{...}}
//! {"process":[0,{...}]}      defines process 0
//! {"event":[0,{...}]}        an event of process 0
//! {"drop":{...}}
//! {"end":{"items":2}}
//! ```

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    event::{Event, Item, Loss, Process},
    host::Host,
};

const FORMAT: &str = "kubelet-detector-trace";
pub const VERSION: u32 = 2;
/// Processes of a trace that are kept; a file that defines more is refused.
const MAX_PROCESSES: usize = 1 << 20;
/// Bytes of a line; a longer one is refused.
const MAX_LINE: u64 = 1 << 20;
/// Processes that the writer remembers; beyond, all are forgotten and defined anew.
const MAX_REMEMBERED: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("cannot open the trace `{path}`")]
    Open {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write the trace: free some space, or name another file with -o")]
    Write(#[source] std::io::Error),
    #[error(
        "{path}:{line}: the trace is damaged: what precedes was replayed; record it again, or go \
         on with that"
    )]
    Damaged {
        path: String,
        line: u64,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "{path}:{line}: the trace is truncated, its end marker is missing: what precedes was \
         replayed; record it again, or go on with that"
    )]
    Truncated { path: String, line: u64 },
    #[error(
        "{path}:1: no kubelet-detector trace: name a file that `kubelet-detector record` wrote"
    )]
    Format { path: String },
    #[error(
        "{path}:1: trace version {found} is not known, this program reads {VERSION}: record the \
         trace again, or use the program that wrote it"
    )]
    Version { path: String, found: u64 },
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    tool: String,
    host: Host,
}

/// What is looked at before the rest of a header: other versions may have other headers.
#[derive(Deserialize)]
struct Kind {
    format: String,
    version: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum LineOut<'a> {
    Process(u32, &'a Process),
    Event(u32, &'a Event),
    Drop(&'a Loss),
    End { items: u64 },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LineIn {
    Process(u32, Box<Process>),
    Event(u32, Event),
    Drop(Loss),
    End { items: u64 },
}

enum Out {
    Plain(BufWriter<File>),
    Zstd(zstd::Encoder<'static, File>),
}

impl Out {
    fn get(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(out) => out,
            Self::Zstd(out) => out,
        }
    }
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "zst")
}

pub struct Writer {
    out: Out,
    buffer: Vec<u8>,
    /// By address; the `Arc` keeps the address taken.
    defined: HashMap<usize, (u32, Arc<Process>)>,
    next: u32,
    items: u64,
}

impl Writer {
    pub fn create(path: &Path, host: &Host) -> Result<Self, TraceError> {
        let open = |source| TraceError::Open {
            path: path.display().to_string(),
            source,
        };
        let file = File::create(path).map_err(open)?;
        let out = if is_compressed(path) {
            Out::Zstd(zstd::Encoder::new(file, 0).map_err(open)?)
        } else {
            Out::Plain(BufWriter::new(file))
        };
        let mut writer = Self {
            out,
            buffer: Vec::new(),
            defined: HashMap::new(),
            next: 0,
            items: 0,
        };
        writer.line(&Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: concat!("kubelet-detector ", env!("CARGO_PKG_VERSION")).to_owned(),
            host: host.clone(),
        })?;
        writer.flush()?;
        Ok(writer)
    }

    pub fn write(&mut self, item: &Item) -> Result<(), TraceError> {
        self.items += 1;
        match item {
            Item::Event(event) => {
                let id = self.define(&event.process)?;
                self.line(&LineOut::Event(id, event))
            }
            Item::Drop(loss) => self.line(&LineOut::Drop(loss)),
        }
    }

    /// The process's number in this trace; a new one is written first.
    fn define(&mut self, process: &Arc<Process>) -> Result<u32, TraceError> {
        let address = Arc::as_ptr(process).addr();
        if let Some((id, _)) = self.defined.get(&address) {
            return Ok(*id);
        }
        let id = self.next;
        self.line(&LineOut::Process(id, process))?;
        self.next += 1;
        if self.defined.len() >= MAX_REMEMBERED {
            self.defined.clear();
        }
        self.defined.insert(address, (id, Arc::clone(process)));
        Ok(id)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), TraceError> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, value).map_err(|e| TraceError::Write(e.into()))?;
        self.buffer.push(b'\n');
        let out = self.out.get();
        out.write_all(&self.buffer).map_err(TraceError::Write)
    }

    pub fn flush(&mut self) -> Result<(), TraceError> {
        self.out.get().flush().map_err(TraceError::Write)
    }

    /// Writes the end marker: a trace without it is truncated.
    pub fn finish(mut self) -> Result<(), TraceError> {
        self.line(&LineOut::End { items: self.items })?;
        match self.out {
            Out::Plain(mut out) => out.flush(),
            Out::Zstd(out) => out.finish().and_then(|mut file| file.flush()),
        }
        .map_err(TraceError::Write)
    }
}

pub struct Reader {
    lines: Box<dyn BufRead>,
    path: String,
    line: u64,
    buffer: Vec<u8>,
    processes: Vec<Arc<Process>>,
    items: u64,
    ended: bool,
    pub host: Host,
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
        let lines: Box<dyn BufRead> = if is_compressed(path) {
            Box::new(BufReader::new(zstd::Decoder::new(file).map_err(open)?))
        } else {
            Box::new(BufReader::with_capacity(1 << 16, file))
        };
        let mut reader = Self {
            lines,
            path: name.clone(),
            line: 0,
            buffer: Vec::new(),
            processes: Vec::new(),
            items: 0,
            ended: false,
            host: Host::default(),
        };
        let format = || TraceError::Format { path: name.clone() };
        if !reader.read_line()? {
            return Err(format());
        }
        let kind: Kind = serde_json::from_slice(&reader.buffer).map_err(|_error| format())?;
        if kind.format != FORMAT {
            return Err(format());
        }
        if kind.version != u64::from(VERSION) {
            return Err(TraceError::Version {
                path: name,
                found: kind.version,
            });
        }
        let header: Header =
            serde_json::from_slice(&reader.buffer).map_err(|error| reader.damaged(error))?;
        reader.host = header.host;
        Ok(reader)
    }

    /// The next item; `None` at the end.
    pub fn next_item(&mut self) -> Result<Option<Item>, TraceError> {
        while self.read_line()? {
            if self.ended {
                return Err(self.damaged("there is more after the end marker"));
            }
            let line = serde_json::from_slice(&self.buffer).map_err(|error| {
                // A line without its newline is the last of a file that was cut.
                if self.buffer.ends_with(b"\n") {
                    self.damaged(error)
                } else {
                    self.truncated()
                }
            })?;
            self.items += 1;
            match line {
                LineIn::Process(id, process) => {
                    self.items -= 1;
                    self.define(id, *process)?;
                }
                LineIn::Event(id, mut event) => {
                    let known = usize::try_from(id).ok();
                    event.process = known
                        .and_then(|id| self.processes.get(id))
                        .map(Arc::clone)
                        .ok_or_else(|| self.damaged(format!("process {id} is not defined")))?;
                    return Ok(Some(Item::Event(event)));
                }
                LineIn::Drop(loss) => return Ok(Some(Item::Drop(loss))),
                LineIn::End { items } => {
                    self.items -= 1;
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

    fn damaged(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> TraceError {
        TraceError::Damaged {
            path: self.path.clone(),
            line: self.line,
            source: source.into(),
        }
    }

    fn truncated(&self) -> TraceError {
        TraceError::Truncated {
            path: self.path.clone(),
            line: self.line,
        }
    }

    /// Reads one line into the buffer; false at the end of the file.
    fn read_line(&mut self) -> Result<bool, TraceError> {
        self.buffer.clear();
        self.line += 1;
        let mut lines = Read::take(&mut self.lines, MAX_LINE);
        match lines.read_until(b'\n', &mut self.buffer) {
            Ok(read) => Ok(read > 0),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.truncated())
            }
            Err(error) => Err(self.damaged(error)),
        }
    }
}
