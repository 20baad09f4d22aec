//! Recorded items, compressed if the name ends in `.zst`. The first line is the header, the last
//! record the end marker, so that a truncated file is noticed:
//!
//! ```text
//! {"format":"kubelet-detector-trace","version":5,"tool":"...","host":{...},"asked":{...}}
//! {"process":[0,{...}]}      defines process 0
//! {"details":[0,{...}]}      what rules asked for beyond the kernel's record of it
//! {"event":[0,{...}]}        an event of process 0
//! {"more":[0,{...},{...}]}   the same, and what is known beside it: who made the socket, names
//! {"drop":{...}}
//! {"end":{"items":2}}
//! ```
//!
//! A `.kdt` file has the same header line, then each record in postcard's encoding behind its
//! length (four bytes, little endian): several times as fast to read. Version 2 lacks `asked`,
//! `details` and names, version 3 lacks sockets that were found, version 4 who made a socket; all are read
//! too. Up to version 4 `named` and `found` stand for `more`.

mod encoding;
mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

use std::{borrow::Cow, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    event::{Asked, Creator, Details, Endpoint, Event, Loss, Names, Process},
    host::Host,
};

const FORMAT: &str = "kubelet-detector-trace";
pub const VERSION: u32 = 5;
/// The oldest version that is read.
const OLDEST: u32 = 2;

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
        "{path}:{number}: the trace is damaged: what precedes was replayed; record it again, or go \
         on with that"
    )]
    Damaged {
        path: String,
        number: u64,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "{path}:{number}: the trace is truncated, its end marker is missing: what precedes was \
         replayed; record it again, or go on with that"
    )]
    Truncated { path: String, number: u64 },
    #[error(
        "{path}:1: no kubelet-detector trace: name a file that `kubelet-detector record` wrote"
    )]
    Format { path: String },
    #[error(
        "{path}:1: trace version {found} is not known, this program reads {OLDEST} to {VERSION}: record the \
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
    /// What the rules of the recording asked for.
    #[serde(default, skip_serializing_if = "Asked::is_empty")]
    asked: Asked,
}

/// What is looked at before the rest of a header: other versions may have other headers.
#[derive(Deserialize)]
struct Kind {
    format: String,
    version: u64,
}

/// New kinds are added at the end: postcard writes a kind as its place here.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum RecordOut<'a> {
    Process(u32, &'a Process),
    Event(u32, &'a Event),
    Drop(&'a Loss),
    End {
        items: u64,
    },
    Details(u32, &'a Details),
    #[expect(
        dead_code,
        reason = "up to version 4: it keeps the places of what follows"
    )]
    Named,
    #[expect(dead_code, reason = "as above")]
    Found,
    More(u32, &'a Event, &'a Beside<'a>),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum RecordIn {
    Process(u32, Box<Process>),
    Event(u32, Event),
    Drop(Loss),
    End { items: u64 },
    Details(u32, Box<Details>),
    Named(u32, Event, Box<Names>),
    Found(u32, Event, Option<Box<Names>>),
    More(u32, Event, Beside<'static>),
}

/// What is known beside an event.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
struct Beside<'a> {
    found: bool,
    names: Option<Cow<'a, Names>>,
    original: Option<Endpoint>,
    creator: Option<Cow<'a, Creator>>,
}

impl<'a> Beside<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            found: event.found,
            names: event.names.as_deref().map(Cow::Borrowed),
            original: event.original,
            creator: event.creator.as_ref().map(Cow::Borrowed),
        }
    }

    fn put(self, event: &mut Event) {
        event.found = self.found;
        event.names = self.names.map(|names| Box::new(names.into_owned()));
        event.original = self.original;
        event.creator = self.creator.map(Cow::into_owned);
    }
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "zst")
}
