//! OTLP's logs over HTTP: protobuf or JSON.

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use prost::Message as _;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::{
    Fate, Letter, Reply,
    halves::Halves,
    http::{Answer, Client},
};
use crate::{
    host::Host,
    sink::{
        format::otlp,
        settings::{OtlpEncoding, OtlpSettings},
    },
};

#[derive(Debug)]
pub(super) struct Otlp {
    client: Client,
    encoding: OtlpEncoding,
    host: Host,
    batch: usize,
}

/// JSON of a reply: a count is a text there, and some servers write a number.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonReply {
    partial_success: Option<JsonPartial>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonPartial {
    rejected_log_records: serde_json::Value,
    error_message: String,
}

impl Otlp {
    pub(super) fn new(settings: &OtlpSettings, host: &Host) -> Result<Self, String> {
        Ok(Self {
            client: Client::new(&settings.url, &settings.request, HeaderMap::new())?,
            encoding: settings.encoding,
            host: host.clone(),
            batch: settings.batch.max(1),
        })
    }

    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    pub(super) async fn send(&self, letters: &[Letter]) -> Reply {
        let mut halves = Halves::new(letters);
        while let Some(some) = halves.next() {
            halves.told(self.ask(some).await);
        }
        halves.reply()
    }

    async fn ask(&self, letters: &[Letter]) -> (Reply, bool) {
        let records = letters.iter().map(|letter| {
            let fields = letter.kept.fields();
            otlp::record(&letter.kept.alert(&fields))
        });
        let request = otlp::request(records.collect(), &self.host);
        let (content, body) = match self.encoding {
            OtlpEncoding::Protobuf => ("application/x-protobuf", request.encode_to_vec()),
            OtlpEncoding::Json => {
                let mut body = Vec::new();
                otlp::push_json(&request, &mut body);
                ("application/json", body)
            }
        };
        match self.client.post(content, body).await {
            Ok(answer) => {
                let fates = vec![self.fate(&answer, letters.len()); letters.len()];
                let after = answer.after;
                (Reply { fates, after }, answer.is_of_all())
            }
            Err(why) => (Reply::again(letters.len(), why), false),
        }
    }

    /// Of a batch of which the collector rejected some, nobody can tell which, and none may be sent
    /// again: all of them are kept as refused.
    fn fate(&self, answer: &Answer, count: usize) -> Fate {
        match answer.status {
            200..=299 => {}
            // What the specification lets try again.
            429 | 502 | 503 | 504 => return Fate::Again(answer.reason()),
            500.. => return Fate::Refused(answer.reason()),
            _ => return answer.fate(),
        }
        let partial = match self.encoding {
            OtlpEncoding::Protobuf => ExportLogsServiceResponse::decode(&answer.body[..])
                .ok()
                .and_then(|reply| reply.partial_success),
            OtlpEncoding::Json => json_partial(&answer.body),
        };
        match partial {
            Some(partial) if partial.rejected_log_records > 0 => Fate::Refused(format!(
                "{} of {count} were rejected: {}",
                partial.rejected_log_records, partial.error_message
            )),
            Some(partial) if !partial.error_message.is_empty() => {
                tracing::warn!("the collector warns: {}", partial.error_message);
                Fate::Delivered
            }
            Some(_) | None => Fate::Delivered,
        }
    }
}

fn json_partial(body: &[u8]) -> Option<ExportLogsPartialSuccess> {
    let reply: JsonReply = serde_json::from_slice(body).ok()?;
    let partial = reply.partial_success?;
    let count = match &partial.rejected_log_records {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    };
    Some(ExportLogsPartialSuccess {
        rejected_log_records: count.unwrap_or(0),
        error_message: partial.error_message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_records_are_found_in_a_reply() {
        let count = |body: &str| json_partial(body.as_bytes()).map(|one| one.rejected_log_records);
        assert_eq!(count("{}"), None);
        assert_eq!(count(r#"{"partialSuccess":{}}"#), Some(0));
        assert_eq!(
            count(r#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#),
            Some(3)
        );
        assert_eq!(
            count(r#"{"partialSuccess":{"rejectedLogRecords":3}}"#),
            Some(3)
        );
        assert_eq!(count("<html>"), None);
    }
}
