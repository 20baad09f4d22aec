//! Recorded events: JSON Lines, the first line the header; `.zst` compresses by extension.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{event::Item, host::Host};

const FORMAT: &str = "kubelet-detector-trace";
pub const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("cannot open the trace `{path}`")]
    Open {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write the trace")]
    Write(#[source] std::io::Error),
    #[error("{path}:{line}: damaged or truncated; what precedes it was replayed: record it again")]
    Damaged {
        path: String,
        line: u64,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "{path}:1: no kubelet-detector trace: name a file that `kubelet-detector record` wrote"
    )]
    Format { path: String },
    #[error("{path}:1: trace version {found} is not known (this is {VERSION}): record it again")]
    Version { path: String, found: u32 },
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
    tool: String,
    host: Host,
}

pub struct Writer {
    out: Box<dyn Write>,
}

impl Writer {
    pub fn create(path: &Path, host: &Host) -> Result<Self, TraceError> {
        let open = |source| TraceError::Open {
            path: path.display().to_string(),
            source,
        };
        let file = File::create(path).map_err(open)?;
        let out: Box<dyn Write> = if path.extension().is_some_and(|end| end == "zst") {
            Box::new(zstd::Encoder::new(file, 0).map_err(open)?.auto_finish())
        } else {
            Box::new(std::io::BufWriter::new(file))
        };
        let mut writer = Self { out };
        writer.line(&Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            tool: concat!("kubelet-detector ", env!("CARGO_PKG_VERSION")).to_owned(),
            host: host.clone(),
        })?;
        Ok(writer)
    }

    pub fn write(&mut self, item: &Item) -> Result<(), TraceError> {
        self.line(item)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), TraceError> {
        let mut line = serde_json::to_vec(value).map_err(|e| TraceError::Write(e.into()))?;
        line.push(b'\n');
        self.out.write_all(&line).map_err(TraceError::Write)
    }

    pub fn flush(&mut self) -> Result<(), TraceError> {
        self.out.flush().map_err(TraceError::Write)
    }
}

pub struct Reader {
    lines: Box<dyn BufRead>,
    path: String,
    line: u64,
    buffer: Vec<u8>,
    pub host: Host,
}

impl Reader {
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let name = path.display().to_string();
        let open = |source| TraceError::Open {
            path: name.clone(),
            source,
        };
        let file = File::open(path).map_err(open)?;
        let lines: Box<dyn BufRead> = if path.extension().is_some_and(|end| end == "zst") {
            Box::new(BufReader::new(zstd::Decoder::new(file).map_err(open)?))
        } else {
            Box::new(BufReader::new(file))
        };
        let mut reader = Self {
            lines,
            path: name,
            line: 0,
            buffer: Vec::new(),
            host: Host::default(),
        };
        let first: serde_json::Value = reader.read().and_then(|line| {
            line.ok_or_else(|| TraceError::Format {
                path: reader_path(path),
            })
        })?;
        if first.get("format").and_then(serde_json::Value::as_str) != Some(FORMAT) {
            return Err(TraceError::Format {
                path: reader_path(path),
            });
        }
        let found = first
            .get("version")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_default();
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        if found != VERSION {
            return Err(TraceError::Version {
                path: reader_path(path),
                found,
            });
        }
        let header: Header =
            serde_json::from_value(first).map_err(|_error| TraceError::Format {
                path: reader_path(path),
            })?;
        reader.host = header.host;
        Ok(reader)
    }

    /// The next item; `None` at the end.
    pub fn next_item(&mut self) -> Result<Option<Item>, TraceError> {
        self.read()
    }

    fn read<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, TraceError> {
        self.buffer.clear();
        self.line += 1;
        let read = self.lines.read_until(b'\n', &mut self.buffer);
        let parsed = match read {
            Ok(0) => return Ok(None),
            Ok(_) => serde_json::from_slice(&self.buffer).map_err(Into::into),
            Err(error) => Err(error.into()),
        };
        parsed.map(Some).map_err(|source| TraceError::Damaged {
            path: self.path.clone(),
            line: self.line,
            source,
        })
    }
}

fn reader_path(path: &Path) -> String {
    path.display().to_string()
}
