//! The files that the settings of a sink name, beside the one that it writes.

use std::path::Path;

use super::{RequestSettings, Secret, SinkSettings, Target, TlsSettings};

impl SinkSettings {
    /// They are read when the sink is set up, and change what it does.
    pub fn files(&self) -> Vec<&Path> {
        let credentials = match self.target() {
            Ok(Target::Nats(nats)) => nats.credentials.as_deref(),
            Ok(_) | Err(_) => None,
        };
        let tls = self.tls().into_iter().flat_map(TlsSettings::files);
        let secrets = self.secrets().into_iter().filter_map(Secret::file);
        tls.chain(secrets).chain(credentials).collect()
    }

    pub(in crate::sink) fn tls(&self) -> Option<&TlsSettings> {
        match self.target().ok()? {
            Target::Syslog(syslog) => Some(&syslog.tls),
            Target::Http(http) => Some(&http.request.tls),
            Target::Elasticsearch(elasticsearch) => Some(&elasticsearch.request.tls),
            Target::Otlp(otlp) => Some(&otlp.request.tls),
            Target::Nats(nats) => Some(&nats.tls),
            Target::Kafka(kafka) => Some(&kafka.tls),
            Target::Stdout(_) | Target::File(_) => None,
        }
    }

    /// Those that the sink shows to its peer.
    pub(in crate::sink) fn secrets(&self) -> Vec<&Secret> {
        let (request, own) = match self.target() {
            Ok(Target::Http(http)) => (Some(&http.request), [None, None]),
            Ok(Target::Elasticsearch(elasticsearch)) => {
                let own = [&elasticsearch.api_key, &elasticsearch.password];
                (Some(&elasticsearch.request), own.map(Option::as_ref))
            }
            Ok(Target::Otlp(otlp)) => (Some(&otlp.request), [None, None]),
            Ok(Target::Nats(nats)) => (None, [nats.password.as_ref(), nats.token.as_ref()]),
            Ok(Target::Kafka(kafka)) => (None, [kafka.password.as_ref(), None]),
            Ok(Target::Syslog(_) | Target::Stdout(_) | Target::File(_)) | Err(_) => {
                (None, [None, None])
            }
        };
        let request = request.into_iter().flat_map(RequestSettings::secrets);
        request.chain(own.into_iter().flatten()).collect()
    }
}

impl RequestSettings {
    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.headers.values().chain(&self.bearer)
    }
}

impl TlsSettings {
    fn files(&self) -> impl Iterator<Item = &Path> {
        let all = [&self.ca, &self.certificate, &self.key];
        all.into_iter().flatten().map(AsRef::as_ref)
    }
}

impl Secret {
    fn file(&self) -> Option<&Path> {
        match self {
            Self::File { file } => Some(file),
            Self::Text(_) | Self::Environment { .. } => None,
        }
    }
}
