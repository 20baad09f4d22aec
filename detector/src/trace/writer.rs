//! Items to a file.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use serde::Serialize;

use super::{
    Beside, FORMAT, Header, RecordOut, TraceError, VERSION, encoding::Encoding, is_compressed,
};
use crate::{
    event::{Asked, Item, Process},
    host::Host,
};

/// Processes that the writer remembers; beyond, all are forgotten and defined anew.
const MAX_REMEMBERED: usize = 4096;

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

pub struct Writer {
    out: Out,
    encoding: Encoding,
    buffer: Vec<u8>,
    /// By address; the `Arc` keeps the address taken.
    defined: HashMap<usize, (u32, Arc<Process>)>,
    next: u32,
    items: u64,
}

impl Writer {
    /// `asked` is what the rules asked `enrich` for.
    pub fn create(path: &Path, host: &Host, asked: &Asked) -> Result<Self, TraceError> {
        let open = |source| TraceError::Open {
            path: path.display().to_string(),
            source,
        };
        // It has the arguments of processes in it.
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(path).map_err(open)?;
        let out = if is_compressed(path) {
            Out::Zstd(zstd::Encoder::new(file, 0).map_err(open)?)
        } else {
            Out::Plain(BufWriter::new(file))
        };
        let mut writer = Self {
            out,
            encoding: Encoding::of(path),
            buffer: Vec::new(),
            defined: HashMap::new(),
            next: 0,
            items: 0,
        };
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: concat!("kubelet-detector ", env!("CARGO_PKG_VERSION")).to_owned(),
            host: host.clone(),
            asked: asked.clone(),
        };
        Encoding::JsonLines
            .write(writer.out.get(), &mut writer.buffer, &header)
            .map_err(TraceError::Write)?;
        writer.flush()?;
        Ok(writer)
    }

    pub fn write(&mut self, item: &Item) -> Result<(), TraceError> {
        self.items += 1;
        match item {
            Item::Event(event) => {
                let id = self.define(&event.process)?;
                let beside = Beside::of(event);
                if beside == Beside::default() {
                    self.record(&RecordOut::Event(id, event))
                } else {
                    self.record(&RecordOut::More(id, event, &beside))
                }
            }
            Item::Drop(loss) => self.record(&RecordOut::Drop(loss)),
        }
    }

    /// The process's number in this trace; a new one is written first.
    fn define(&mut self, process: &Arc<Process>) -> Result<u32, TraceError> {
        let address = Arc::as_ptr(process).addr();
        if let Some((id, _)) = self.defined.get(&address) {
            return Ok(*id);
        }
        let id = self.next;
        self.record(&RecordOut::Process(id, process))?;
        if let Some(details) = &process.details {
            self.record(&RecordOut::Details(id, details))?;
        }
        self.next += 1;
        if self.defined.len() >= MAX_REMEMBERED {
            self.defined.clear();
        }
        self.defined.insert(address, (id, Arc::clone(process)));
        Ok(id)
    }

    fn record(&mut self, record: &impl Serialize) -> Result<(), TraceError> {
        self.encoding
            .write(self.out.get(), &mut self.buffer, record)
            .map_err(TraceError::Write)
    }

    pub fn flush(&mut self) -> Result<(), TraceError> {
        self.out.get().flush().map_err(TraceError::Write)
    }

    /// Writes the end marker: a trace without it is truncated.
    pub fn finish(mut self) -> Result<(), TraceError> {
        self.record(&RecordOut::End { items: self.items })?;
        match self.out {
            Out::Plain(mut out) => out.flush(),
            Out::Zstd(out) => out.finish().and_then(|mut file| file.flush()),
        }
        .map_err(TraceError::Write)
    }
}
