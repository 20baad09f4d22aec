//! The typed catalogue of fields, under Falco's names: what a connect, accept or listen shows.
//! A new family is a file here and a row in `CATALOGUE`.

mod container;
mod event;
mod flow;
mod known;
mod lookup;
mod process;
mod socket;
pub mod time;
mod user;

use std::{borrow::Cow, net::IpAddr, sync::LazyLock};

pub use event::event_type;
pub use lookup::{Argument, find, resolve, suggestion};

use crate::{
    event::{Attribution, Event, Kind},
    host::Host,
};

/// Falco's text for what an unknown thread, or an unknown user, would say.
pub const NOT_AVAILABLE: &str = "<NA>";

/// Two fields can be compared only if they are of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Text,
    Bytes,
    Bool,
    Int64,
    Uint32,
    Uint64,
    /// Nanoseconds since the Unix epoch.
    Time,
    /// Nanoseconds.
    Duration,
    Port,
    Ip,
    /// An address that is compared with networks.
    Net,
    /// Texts.
    List,
}

impl Type {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Bool => "bool",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Port => "port",
            Self::Ip => "ip",
            Self::Net => "net",
            Self::List => "list",
        }
    }

    pub fn is_number(self) -> bool {
        use Type::{Duration, Int64, Port, Time, Uint32, Uint64};
        matches!(self, Int64 | Uint32 | Uint64 | Time | Duration | Port)
    }
}

/// Missing (`None` of an option), empty and the text `<NA>` are three values.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
    Ip(IpAddr),
    List(Vec<Value<'a>>),
}

/// What a field is read from.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub event: &'a Event,
    pub host: &'a Host,
}

type Extracted<'a> = Option<Value<'a>>;

#[derive(Clone, Copy)]
pub enum Get {
    /// The same for every event of a kind: a check of it is decided before any event comes.
    Kind(fn(Kind) -> Option<&'static str>),
    One(for<'a> fn(Context<'a>) -> Extracted<'a>),
    /// With `[n]`, or without where the field allows it.
    Indexed(for<'a> fn(Context<'a>, Option<usize>) -> Extracted<'a>),
    /// `[0]` is the process, `[1]` its parent; without an index any ancestor.
    Ancestors(for<'a> fn(Context<'a>, usize) -> Extracted<'a>),
    /// Client and server: a comparison looks at both.
    Ends(for<'a> fn(Context<'a>) -> [Extracted<'a>; 2]),
    /// Falco has no value either, for these kinds of events.
    Absent,
    /// Falco would have a value. The text says what is missing here.
    Unavailable(&'static str),
}

pub struct Field {
    pub name: &'static str,
    pub kind: Type,
    pub description: &'static str,
    pub get: Get,
    /// Only the outcome of a connect has it.
    pub of_result: bool,
    pub deprecated: bool,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Field {
    const fn new(name: &'static str, kind: Type, description: &'static str, get: Get) -> Self {
        Self {
            name,
            kind,
            description,
            get,
            of_result: false,
            deprecated: false,
        }
    }

    const fn of_result(mut self) -> Self {
        self.of_result = true;
        self
    }

    const fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    /// Falco refuses transformers on these, and `val()` of these.
    pub fn is_plain(&self) -> bool {
        !matches!(self.get, Get::Ends(_) | Get::Ancestors(_))
            && self.kind != Type::Net
            && !(self.name.starts_with("fd.") && self.name.ends_with("ip.name"))
    }
}

/// What this detector gives, family by family.
pub static CATALOGUE: LazyLock<Vec<Field>> = LazyLock::new(|| {
    [
        event::fields(),
        socket::fields(),
        process::fields(),
        user::fields(),
        container::fields(),
        flow::fields(),
    ]
    .into_iter()
    .flatten()
    .collect()
});

fn text(value: &str) -> Extracted<'_> {
    Some(Value::Text(Cow::Borrowed(value)))
}

fn owned<'a>(value: String) -> Extracted<'a> {
    Some(Value::Text(Cow::Owned(value)))
}

fn signed<'a>(value: impl Into<i64>) -> Extracted<'a> {
    Some(Value::Signed(value.into()))
}

fn unsigned<'a>(value: impl Into<u64>) -> Extracted<'a> {
    Some(Value::Unsigned(value.into()))
}

fn flag<'a>(value: bool) -> Extracted<'a> {
    Some(Value::Bool(value))
}

/// Whether a process is known at all.
fn is_known(context: Context<'_>) -> bool {
    context.event.attribution != Attribution::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = CATALOGUE.iter().map(|field| field.name).collect();
        names.extend(known::FIELDS.iter().map(|field| field.name));
        names.sort_unstable();
        let count = names.len();
        let twice: Vec<_> = names
            .windows(2)
            .filter(|pair| pair[0] == pair[1])
            .map(|pair| pair[0])
            .collect();
        assert_eq!(twice, Vec::<&str>::new(), "of {count}");
    }
}
