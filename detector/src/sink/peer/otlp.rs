//! OTLP's logs over HTTP: protobuf or JSON.

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use prost::Message as _;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::{
    Fate, Letter, Reply,
    halves::Halves,
    http::{Answer, Client, Tells},
    secrets::Secrets,
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
    /// Not to be in what the log has of a collector's warnings.
    secrets: Box<Secrets>,
}

impl Otlp {
    pub(super) fn new(
        settings: &OtlpSettings,
        host: &Host,
        secrets: Box<Secrets>,
    ) -> Result<Self, String> {
        Ok(Self {
            client: Client::new(
                &settings.url,
                &settings.request,
                HeaderMap::new(),
                Tells::Fates,
            )?,
            encoding: settings.encoding,
            host: host.clone(),
            batch: settings.batch.max(1),
            secrets,
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
            429 | 502 | 503 | 504 => return Fate::Again(answer.reason().into()),
            500.. => return Fate::Refused(answer.reason().into()),
            _ => return answer.fate(),
        }
        if let Some(why) = &answer.cut {
            return Fate::Again(why.as_str().into());
        }
        match partial(answer, self.encoding) {
            // A proxy or a portal answers for the collector, perhaps.
            Err(why) => Fate::Again(format!("{why}: {}", answer.reason()).into()),
            Ok(Some(partial)) if partial.rejected_log_records > 0 => {
                let (rejected, why) = (partial.rejected_log_records, partial.error_message);
                Fate::Refused(format!("{rejected} of {count} were rejected: {why}").into())
            }
            Ok(Some(partial)) if !partial.error_message.is_empty() => {
                let warning = self.secrets.shown(&partial.error_message);
                tracing::warn!("the collector warns: {warning}");
                Fate::Delivered
            }
            Ok(Some(_) | None) => Fate::Delivered,
        }
    }
}

/// What a collector says beside its 2xx: nothing, mostly. An error if that is no collector's reply;
/// `asked` is how it is written if the server does not say.
fn partial(
    answer: &Answer,
    asked: OtlpEncoding,
) -> Result<Option<ExportLogsPartialSuccess>, String> {
    // Of protobuf this is a whole reply, and some servers leave out that of JSON too.
    if answer.body.is_empty() {
        return Ok(None);
    }
    let encoding = match answer.content.as_str() {
        "" => asked,
        "application/x-protobuf" | "application/protobuf" => OtlpEncoding::Protobuf,
        "application/json" => OtlpEncoding::Json,
        other => return Err(format!("the reply is `{other}`, which is none of OTLP")),
    };
    let partial = match encoding {
        OtlpEncoding::Protobuf => ExportLogsServiceResponse::decode(&answer.body[..])
            .map(|reply| reply.partial_success)
            .map_err(|error| error.to_string()),
        OtlpEncoding::Json => json_partial(&answer.body),
    };
    partial.map_err(|why| format!("the reply is none of OTLP: {why}"))
}

/// A count is a text in JSON, and some servers write a number.
fn json_partial(body: &[u8]) -> Result<Option<ExportLogsPartialSuccess>, String> {
    let reply: serde_json::Map<_, _> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let partial = match reply.get("partialSuccess") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(partial)) => partial,
        Some(_) => return Err("`partialSuccess` is no object".to_owned()),
    };
    let count = match partial.get("rejectedLogRecords") {
        None | Some(Value::Null) => Some(0),
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_i64(),
    };
    let message = partial.get("errorMessage").and_then(Value::as_str);
    Ok(Some(ExportLogsPartialSuccess {
        rejected_log_records: count.ok_or("`rejectedLogRecords` is no number")?,
        error_message: message.unwrap_or_default().to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(content: &str, body: &[u8], asked: OtlpEncoding) -> Result<Option<i64>, String> {
        let answer = Answer {
            status: 200,
            after: None,
            content: content.into(),
            body: body.into(),
            cut: None,
        };
        let partial = partial(&answer, asked)?;
        Ok(partial.map(|one| one.rejected_log_records))
    }

    #[test]
    fn rejected_records_are_found_in_a_reply() {
        let reply = ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess {
                rejected_log_records: 3,
                error_message: String::new(),
            }),
        };
        let (protobuf, asked) = (reply.encode_to_vec(), OtlpEncoding::Protobuf);
        for content in ["", "application/x-protobuf", "application/protobuf"] {
            assert_eq!(told(content, &protobuf, asked), Ok(Some(3)), "{content}");
            assert_eq!(told(content, b"", asked), Ok(None), "{content}");
        }
        for (body, count) in [
            ("{}", None),
            (r#"{"partialSuccess":{}}"#, Some(0)),
            (r#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#, Some(3)),
            (r#"{"partialSuccess":{"rejectedLogRecords":3}}"#, Some(3)),
        ] {
            let (body, json) = (body.as_bytes(), "application/json");
            assert_eq!(told("", body, OtlpEncoding::Json), Ok(count));
            // It may answer as it was not asked.
            assert_eq!(told(json, body, asked), Ok(count));
            assert_eq!(
                told("application/x-protobuf", &protobuf, OtlpEncoding::Json),
                Ok(Some(3))
            );
        }
        assert_eq!(told("", b"", OtlpEncoding::Json), Ok(None));
    }

    #[test]
    fn what_is_no_reply_of_otlp_delivers_nothing() {
        let (page, protobuf) = ("<html>Sign in</html>", "application/x-protobuf");
        for (content, body) in [
            ("text/html", page),
            ("text/html", "{}"),
            (protobuf, page),
            (protobuf, "\n\x7f"),
            ("application/json", page),
            ("application/json", "[]"),
            ("application/json", r#"{"partialSuccess":[]}"#),
            (
                "application/json",
                r#"{"partialSuccess":{"rejectedLogRecords":"few"}}"#,
            ),
        ] {
            let why = told(content, body.as_bytes(), OtlpEncoding::Protobuf).unwrap_err();
            assert!(why.contains("none of OTLP"), "{why}");
        }
        for asked in [OtlpEncoding::Protobuf, OtlpEncoding::Json] {
            told("", page.as_bytes(), asked).unwrap_err();
        }
    }
}
