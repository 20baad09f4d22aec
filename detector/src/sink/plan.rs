//! What a configuration asks of the sinks: checked, the files that it names are read, and nothing of
//! it is in force yet.

use std::{
    error::Error,
    fmt::{self, Display, Formatter},
    sync::Arc,
};

use super::{
    Style,
    delivery::Means,
    filter::Filter,
    format::Encoder,
    local::{Local, Place},
    peer::{Peer, tls},
    settings::{SinkSettings, SpoolSettings, Target},
};
use crate::host::Host;

/// A mistake of a sink's settings, or of the files that they name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub sink: String,
    pub text: String,
}

impl Display for Mistake {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { sink, text } = self;
        write!(f, "the sink `{sink}`: {text}")
    }
}

/// Every mistake of the sinks.
#[derive(Debug)]
pub struct PlanError(pub Vec<Mistake>);

impl Display for PlanError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.0.iter().map(Mistake::to_string).collect();
        f.write_str(&each.join("; "))
    }
}

impl Error for PlanError {}

pub struct Plan {
    pub(super) each: Vec<Planned>,
    pub(super) spool: SpoolSettings,
}

pub(super) struct Planned {
    pub(super) name: String,
    /// `stdout`, `http` and the like.
    pub(super) kind: &'static str,
    pub(super) way: Way,
}

pub(super) enum Way {
    Local(Local),
    /// Through the spool.
    Remote {
        filter: Arc<Filter>,
        means: Means,
    },
}

impl Plan {
    /// `style` is of every sink, but for its format.
    pub fn new(
        sinks: &[SinkSettings],
        spool: &SpoolSettings,
        style: Style,
        host: &Host,
    ) -> Result<Self, PlanError> {
        let planned = |settings: &SinkSettings| {
            let (name, filter) = (settings.name.clone(), Filter::new(settings));
            let target = settings.target()?;
            let format = settings.format();
            let encoder = Encoder::new(Style { format, ..style }, host);
            let place = match target {
                Target::Stdout(stdout) => Some(Place::Stdout(stdout.clone())),
                Target::File(file) => Some(Place::File(file.clone())),
                _ => None,
            };
            let way = match place {
                Some(place) => Way::Local(Local {
                    name: name.clone(),
                    place,
                    filter,
                    encoder,
                }),
                None => {
                    let peer = Peer::new(settings, host)?;
                    Way::Remote {
                        filter: Arc::new(filter),
                        means: Means { encoder, peer },
                    }
                }
            };
            Ok(Planned {
                name,
                kind: target.kind(),
                way,
            })
        };
        let (mut each, mut mistakes) = (Vec::new(), Vec::new());
        for settings in sinks {
            match planned(settings) {
                Ok(one) => each.push(one),
                Err(first) => mistakes.extend(all(settings, first)),
            }
        }
        match mistakes.is_empty() {
            true => Ok(Self {
                each,
                spool: spool.clone(),
            }),
            false => Err(PlanError(mistakes)),
        }
    }
}

/// The first of a sink; and its secrets that cannot be read, and what is wrong with its certificates: it
/// may be one of them, or hide them.
fn all(settings: &SinkSettings, first: String) -> impl Iterator<Item = Mistake> {
    let secrets = settings.secrets().into_iter();
    let secrets = secrets.filter_map(|secret| secret.read().err());
    let tls = settings.tls().and_then(|tls| tls::config(tls).err());
    let mut texts = vec![first];
    for text in secrets.chain(tls) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let sink = settings.name.clone();
    texts.into_iter().map(move |text| Mistake {
        sink: sink.clone(),
        text,
    })
}
