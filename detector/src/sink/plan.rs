//! What a configuration asks of the sinks: checked, the files that it names are read, and nothing of
//! it is in force yet.

use std::sync::Arc;

use super::{
    Style,
    delivery::Means,
    filter::Filter,
    format::Encoder,
    local::{Local, Place},
    peer::{Peer, PeerError},
    settings::{SinkSettings, SpoolSettings, Target},
};
use crate::host::Host;

/// A mistake of the settings, or of the files that they name.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("{0}")]
    Target(String),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

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
            let target = settings.target().map_err(PlanError::Target)?;
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
        Ok(Self {
            each: sinks
                .iter()
                .map(planned)
                .collect::<Result<_, PlanError>>()?,
            spool: spool.clone(),
        })
    }
}
