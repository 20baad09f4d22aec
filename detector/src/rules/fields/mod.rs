//! The typed catalogue of fields, under Falco's names: what a connect, accept or listen shows.
//! A new family is a file here and a row in `CATALOGUE`.

mod ancestors;
mod capabilities;
mod container;
mod creator;
mod event;
mod flow;
mod known;
mod lookup;
mod parameters;
mod process;
mod resources;
mod short;
mod socket;
mod user;

use std::{borrow::Cow, sync::LazyLock};

pub use crate::alert::Value;
pub(super) use container::METADATA;
pub(super) use lookup::is_dotted;
pub use lookup::{Argument, find, resolve, suggestion};
pub use short::Short;

use crate::{
    event::{Event, Kind, Part, Process},
    host::Host,
    time,
};

/// Falco's text for what an unknown thread, or an unknown user, would say.
pub const NOT_AVAILABLE: &str = "<NA>";

/// Falco's text for a network.
const NETWORK: &str = "<IPNET>";

/// Two fields can be compared only if they are of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Text,
    Bytes,
    Bool,
    Int16,
    Int64,
    Uint32,
    Uint64,
    Double,
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
    /// A socket's address or addresses, which nothing is compared with.
    Socket,
}

impl Type {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Bool => "bool",
            Self::Int16 => "int16",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Double => "double",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Port => "port",
            Self::Ip => "ip",
            Self::Net => "net",
            Self::List => "list",
            Self::Socket => "socket",
        }
    }

    pub fn is_number(self) -> bool {
        use Type::{Double, Duration, Int16, Int64, Port, Time, Uint32, Uint64};
        matches!(
            self,
            Int16 | Int64 | Uint32 | Uint64 | Double | Time | Duration | Port
        )
    }
}

/// What a field is read from.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub event: &'a Event,
    pub host: &'a Host,
}

type Extracted<'a> = Option<Value<'a>>;

/// Writes a text that an event does not hold; nothing if there is none.
pub type Write = fn(Context<'_>, &mut Short) -> Option<()>;

#[derive(Clone, Copy)]
pub enum Get {
    /// The same for every event of a kind: a check of it is decided before any event comes.
    Kind(fn(Kind) -> Option<&'static str>),
    One(for<'a> fn(Context<'a>) -> Extracted<'a>),
    /// A text that no event holds: written anew for each.
    Written(Write),
    /// With `[n]`, or without where the field allows it.
    Indexed(for<'a> fn(Context<'a>, Option<usize>) -> Extracted<'a>),
    /// With `[name]`, or without where the field allows it.
    Keyed(for<'a> fn(Context<'a>, Option<&'a str>) -> Extracted<'a>),
    /// `[0]` is the process, `[1]` its parent; without an index any ancestor.
    Ancestors(for<'a> fn(Context<'a>, usize) -> Extracted<'a>),
    /// Client and server: a comparison looks at both.
    Ends(for<'a> fn(Context<'a>) -> [Extracted<'a>; 2]),
    /// The names of an address, of those that conditions ask for: a comparison looks at all.
    /// Nothing if there is no such end. Given only if names are resolved.
    Names(for<'a> fn(Context<'a>) -> Option<&'a [String]>),
    /// Falco has no value either, for these kinds of events.
    Absent,
    /// Falco would have a value. The text says what is missing here.
    Unavailable(&'static str),
}

/// What a field's brackets may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    Nothing,
    Number,
    Text,
}

/// Whether events of a kind have a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Given,
    /// As `Get::Absent`.
    Absent,
    /// As `Get::Unavailable`.
    Unavailable(&'static str),
}

pub struct Field {
    pub name: &'static str,
    pub kind: Type,
    pub description: &'static str,
    pub get: Get,
    pub takes: Takes,
    /// The brackets cannot be left out.
    pub needs_argument: bool,
    /// Only the outcome of a connect has it.
    pub of_result: bool,
    pub deprecated: bool,
    /// An output fills it up to nine digits.
    pub padded: bool,
    /// What must be read from the host for it.
    pub part: Option<Part>,
    /// A bool that says whether an event tells the field at all; it always does without one.
    pub told_by: Option<&'static Field>,
    /// Where it differs by kind of event or argument.
    states: Option<fn(Kind, &Argument) -> State>,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Field {
    const fn new(name: &'static str, kind: Type, description: &'static str, get: Get) -> Self {
        let takes = match get {
            Get::Indexed(_) | Get::Ancestors(_) => Takes::Number,
            Get::Keyed(_) => Takes::Text,
            _ => Takes::Nothing,
        };
        Self {
            name,
            kind,
            description,
            get,
            takes,
            needs_argument: false,
            of_result: false,
            deprecated: false,
            padded: false,
            part: None,
            told_by: None,
            states: None,
        }
    }

    const fn takes(mut self, takes: Takes) -> Self {
        self.takes = takes;
        self
    }

    const fn needs_argument(mut self) -> Self {
        self.needs_argument = true;
        self
    }

    const fn of_result(mut self) -> Self {
        self.of_result = true;
        self
    }

    const fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    const fn padded(mut self) -> Self {
        self.padded = true;
        self
    }

    const fn of(mut self, part: Part) -> Self {
        self.part = Some(part);
        self
    }

    const fn told_by(mut self, field: &'static Field) -> Self {
        self.told_by = Some(field);
        self
    }

    const fn by_kind(mut self, states: fn(Kind, &Argument) -> State) -> Self {
        self.states = Some(states);
        self
    }

    pub fn state(&self, kind: Kind, argument: &Argument) -> State {
        match (self.states, self.get) {
            (Some(states), _) => states(kind, argument),
            (None, Get::Absent) => State::Absent,
            (None, Get::Unavailable(reason)) => State::Unavailable(reason),
            (None, _) => State::Given,
        }
    }

    /// What an output prints of a field that can be compared and not printed, as Falco does.
    pub fn placeholder(&self) -> Option<&'static str> {
        match (self.get, self.kind) {
            (Get::Ends(_), _) | (_, Type::Socket) => Some(NOT_AVAILABLE),
            (_, Type::Net) => Some(NETWORK),
            _ if self.name == "evt.type.is" => Some(NOT_AVAILABLE),
            _ => None,
        }
    }

    /// Falco refuses transformers on these, and `val()` of these.
    pub fn is_plain(&self) -> bool {
        !matches!(self.get, Get::Ends(_) | Get::Ancestors(_) | Get::Names(_))
            && !matches!(self.kind, Type::Net | Type::Socket)
            && !self.name.starts_with("evt.rawarg")
            && self.name != "proc.aenv"
    }
}

/// What Falco has and this detector does not give, with the reason where Falco would have a value.
pub fn not_given() -> impl Iterator<Item = &'static Field> {
    known::FIELDS.iter()
}

/// What this detector gives, family by family.
pub static CATALOGUE: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let mut fields: Vec<Field> = [
        event::fields(),
        parameters::fields(),
        socket::fields(),
        process::fields(),
        ancestors::fields(),
        resources::fields(),
        user::fields(),
        container::fields(),
        container::kubernetes(),
        flow::fields(),
        creator::fields(),
    ]
    .into_iter()
    .flatten()
    .collect();
    // Several files may give fields of one family.
    fields.sort_by_key(|field| {
        let family = field.name.split('.').next();
        FAMILIES.iter().position(|one| Some(*one) == family)
    });
    fields
});

const FAMILIES: [&str; 10] = [
    "evt",
    "syscall",
    "fd",
    "proc",
    "thread",
    "user",
    "group",
    "container",
    "k8s",
    "flow",
];

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

/// The process, if one is known.
fn process(context: Context<'_>) -> Option<&Process> {
    context.event.actor()
}

/// Whether a process is known at all.
fn is_known(context: Context<'_>) -> bool {
    process(context).is_some()
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
