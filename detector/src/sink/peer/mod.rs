//! Who alerts are handed to over a network: one file a protocol. A peer is asked once; when it is
//! asked again, and what becomes of an alert that it does not want, is the delivery's business.

mod elasticsearch;
mod escapes;
mod halves;
mod http;
#[cfg_attr(not(feature = "kafka"), path = "kafka/left_out.rs")]
mod kafka;
mod nats;
mod otlp;
mod proxy;
mod reply;
mod secrets;
mod syslog;
pub(super) mod tls;
mod unacked;

use self::{
    elasticsearch::Elasticsearch, http::Http, kafka::Kafka, nats::Nats, otlp::Otlp,
    secrets::Secrets, syslog::Syslog,
};
use super::{
    Format,
    kept::Kept,
    settings::{SinkSettings, Target},
};
use crate::host::Host;

pub(super) use reply::{Fate, Reply};

/// An alert on its way: what is kept of it, and what the sink's encoding makes of that.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) kept: Kept,
    pub(super) body: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Peer {
    protocol: Protocol,
    secrets: Box<Secrets>,
}

#[derive(Debug)]
enum Protocol {
    Http(Http),
    Elasticsearch(Elasticsearch),
    Otlp(Otlp),
    Syslog(Syslog),
    Nats(Box<Nats>),
    Kafka(Box<Kafka>),
}

impl Peer {
    pub(super) fn new(settings: &SinkSettings, host: &Host) -> Result<Self, String> {
        let (format, secrets) = (settings.format(), Box::new(Secrets::new(settings)));
        let protocol = match settings.target()? {
            Target::Stdout(_) | Target::File(_) => {
                return Err("it goes to nobody else".to_owned());
            }
            target if target.timeout().is_some_and(|time| time.0.is_zero()) => {
                return Err("nothing is answered within a `timeout` of 0s".to_owned());
            }
            Target::Http(settings) => Protocol::Http(Http::new(settings, format)?),
            Target::Elasticsearch(_) if !format.is_json() => {
                return Err("documents are JSON: choose an encoding that is".to_owned());
            }
            Target::Elasticsearch(settings) => {
                Protocol::Elasticsearch(Elasticsearch::new(settings)?)
            }
            Target::Otlp(_) if format != Format::Otlp => {
                return Err("OTLP is an encoding of its own: leave `format` out".to_owned());
            }
            Target::Otlp(settings) => Protocol::Otlp(Otlp::new(settings, host, secrets.clone())?),
            Target::Syslog(settings) => Protocol::Syslog(Syslog::new(settings)?),
            Target::Nats(settings) => Protocol::Nats(Box::new(Nats::new(settings)?)),
            Target::Kafka(settings) => Protocol::Kafka(Box::new(Kafka::new(settings)?)),
        };
        Ok(Self { protocol, secrets })
    }

    /// What the sink's encoding makes of an alert is used; OTLP puts records together itself.
    pub(super) fn takes_bodies(&self) -> bool {
        !matches!(self.protocol, Protocol::Otlp(_))
    }

    /// Alerts of one batch at most.
    pub(super) fn batch(&self) -> usize {
        match &self.protocol {
            Protocol::Http(http) => http.batch(),
            Protocol::Elasticsearch(elasticsearch) => elasticsearch.batch(),
            Protocol::Otlp(otlp) => otlp.batch(),
            Protocol::Syslog(_) => Syslog::BATCH,
            Protocol::Nats(nats) => nats.batch(),
            Protocol::Kafka(kafka) => kafka.batch(),
        }
    }

    /// No more letters follow.
    pub(super) async fn close(&mut self) {
        if let Protocol::Syslog(syslog) = &mut self.protocol {
            syslog.finish().await;
        }
    }

    /// Hands the letters over, each at most once. The reasons may be shown.
    pub(super) async fn send(&mut self, letters: &[Letter]) -> Reply {
        let mut reply = match &mut self.protocol {
            Protocol::Http(http) => http.send(letters).await,
            Protocol::Elasticsearch(elasticsearch) => elasticsearch.send(letters).await,
            Protocol::Otlp(otlp) => otlp.send(letters).await,
            Protocol::Syslog(syslog) => syslog.send(letters).await,
            Protocol::Nats(nats) => nats.send(letters).await,
            Protocol::Kafka(kafka) => kafka.send(letters).await,
        };
        if reply.fates.iter().any(|fate| *fate != Fate::Delivered) {
            self.secrets.renew();
            self.secrets.hide_in(&mut reply.fates);
        }
        reply
    }
}
