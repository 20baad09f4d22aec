//! The files that the settings of a sink name, beside the one that it writes.

use std::path::Path;

use super::{RequestSettings, Secret, SinkSettings, Target, TlsSettings};

impl SinkSettings {
    /// They are read when the sink is set up, and change what it does.
    pub fn files(&self) -> Vec<&Path> {
        match self.target() {
            Ok(Target::Syslog(syslog)) => syslog.tls.files().collect(),
            Ok(Target::Http(http)) => http.request.files().collect(),
            Ok(Target::Elasticsearch(elasticsearch)) => {
                let secrets = [&elasticsearch.api_key, &elasticsearch.password];
                let secrets = secrets.into_iter().flatten().filter_map(Secret::file);
                elasticsearch.request.files().chain(secrets).collect()
            }
            Ok(Target::Otlp(otlp)) => otlp.request.files().collect(),
            Ok(Target::Nats(nats)) => {
                let secrets = [&nats.password, &nats.token];
                let secrets = secrets.into_iter().flatten().filter_map(Secret::file);
                let secrets = secrets.chain(nats.credentials.as_deref());
                nats.tls.files().chain(secrets).collect()
            }
            Ok(Target::Kafka(kafka)) => {
                let secret = kafka.password.iter().filter_map(Secret::file);
                kafka.tls.files().chain(secret).collect()
            }
            Ok(Target::Stdout(_) | Target::File(_)) | Err(_) => Vec::new(),
        }
    }
}

impl RequestSettings {
    fn files(&self) -> impl Iterator<Item = &Path> {
        let secrets = self.headers.values().chain(&self.bearer);
        self.tls.files().chain(secrets.filter_map(Secret::file))
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
