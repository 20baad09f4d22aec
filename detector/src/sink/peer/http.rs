//! POST requests: Falco's `http_output`, with one alert each, or many in one.

use std::{io::Write as _, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use futures_util::future::join_all;
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    Url,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap,
        HeaderName, HeaderValue, TRANSFER_ENCODING,
    },
    redirect::Policy,
};

use super::{Fate, Letter, Reply, halves::Halves, proxy, tls};
use crate::{
    causes::chain,
    sink::{
        Format,
        settings::{Body, HttpSettings, RequestSettings, TlsSettings, without_secrets},
    },
};

/// Of a reply that tells of each alert, what is read: more than any receiver says of a batch.
const MAX_REPLY: usize = 8 << 20;
/// Of others, so that the connection can be used again, and what is kept: their first words are shown.
const MAX_WORDS: usize = 64 << 10;
const KEPT_WORDS: usize = 4 << 10;
/// Nobody is waited for longer, whatever it asks for.
const LONGEST: Duration = Duration::from_secs(300);

/// Headers that a request has by what it is.
const OWN: [HeaderName; 6] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    TRANSFER_ENCODING,
];

#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    content: &'static str,
    body: Body,
    concurrency: usize,
    batch: usize,
}

impl Http {
    pub(super) fn new(settings: &HttpSettings, format: Format) -> Result<Self, String> {
        let content = match (settings.body, format.is_json()) {
            (Body::Array, false) => {
                return Err("`body: array` needs an encoding in JSON".to_owned());
            }
            (Body::One | Body::Array, true) => "application/json",
            (Body::Lines, true) => "application/x-ndjson",
            (Body::One | Body::Lines, false) => "text/plain; charset=utf-8",
        };
        Ok(Self {
            client: Client::new(
                &settings.url,
                &settings.request,
                HeaderMap::new(),
                Tells::Nothing,
            )?,
            content,
            body: settings.body,
            concurrency: settings.concurrency.max(1),
            batch: settings.batch.max(1),
        })
    }

    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    pub(super) async fn send(&self, letters: &[Letter]) -> Reply {
        let (open, between, close): (&[u8], &[u8], &[u8]) = match self.body {
            Body::One => return self.one_by_one(letters).await,
            Body::Array => (b"[", b",", b"]"),
            Body::Lines => (b"", b"\n", b"\n"),
        };
        let mut halves = Halves::new(letters);
        while let Some(some) = halves.next() {
            let bodies: Vec<&[u8]> = some.iter().map(|letter| &letter.body[..]).collect();
            let body = [open, &bodies.join(between), close].concat();
            halves.told(self.together(some.len(), body).await);
        }
        halves.reply()
    }

    async fn together(&self, count: usize, body: Vec<u8>) -> (Reply, bool) {
        match self.client.post(self.content, body).await {
            Ok(answer) => {
                let (fates, after) = (vec![answer.fate(); count], answer.after);
                (Reply { fates, after }, answer.is_of_all())
            }
            Err(why) => (Reply::again(count, why), false),
        }
    }

    /// Some at a time; when one is to be tried again, those behind it are not tried first.
    async fn one_by_one(&self, letters: &[Letter]) -> Reply {
        let mut reply = Reply {
            fates: Vec::with_capacity(letters.len()),
            after: None,
        };
        for some in letters.chunks(self.concurrency) {
            let posts = some
                .iter()
                .map(|letter| self.client.post(self.content, letter.body.clone()));
            for answer in join_all(posts).await {
                reply.fates.push(match answer {
                    Ok(answer) => {
                        reply.after = reply.after.max(answer.after);
                        answer.fate()
                    }
                    Err(why) => Fate::Again(why.into()),
                });
            }
            if let Some(Fate::Again(why)) = reply.fates.last().cloned() {
                reply.fates.resize(letters.len(), Fate::Again(why));
                break;
            }
        }
        reply
    }
}

/// What the body of a 2xx is to whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tells {
    Nothing,
    /// What became of the alerts.
    Fates,
}

/// Posts to one address.
#[derive(Debug)]
pub(super) struct Client {
    tells: Tells,
    client: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    gzip: bool,
}

/// What the server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `Retry-After`.
    pub(super) after: Option<Duration>,
    /// `Content-Type` without its parameters, in lower case; empty if there is none.
    pub(super) content: String,
    pub(super) body: Vec<u8>,
    /// Why the body is not all that the server had to say.
    pub(super) cut: Option<String>,
}

impl Client {
    /// `headers`: beside those of the settings.
    pub(super) fn new(
        url: &str,
        settings: &RequestSettings,
        mut headers: HeaderMap,
        tells: Tells,
    ) -> Result<Self, String> {
        let shown = without_secrets(url);
        let url = Url::parse(url).map_err(|error| format!("`{shown}` is no URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("`{shown}` is neither http:// nor https://"));
        }
        if url.scheme() == "http" && settings.tls != TlsSettings::default() {
            return Err("`tls` is given, but the URL is http://: write https://".to_owned());
        }
        if let Some(bearer) = &settings.bearer {
            if headers.contains_key(AUTHORIZATION) {
                return Err("give `bearer`, or another way to log in, not both".to_owned());
            }
            headers.insert(
                AUTHORIZATION,
                secret(&AUTHORIZATION, &format!("Bearer {}", bearer.read()?))?,
            );
        }
        for (name, value) in &settings.headers {
            let known = HeaderName::try_from(name)
                .map_err(|error| format!("`{name}` is no name of a header: {error}"))?;
            if OWN.contains(&known) || headers.contains_key(&known) {
                return Err(format!(
                    "the header `{name}` is set by other settings: leave it out"
                ));
            }
            let value = secret(&known, &value.read()?)?;
            headers.insert(known, value);
        }
        let builder = match proxy::of(&url)? {
            None => reqwest::Client::builder().no_proxy(),
            Some(proxy) => {
                let host = url.host_str().unwrap_or_default();
                tracing::info!("{host} is reached through the proxy {proxy} of the environment");
                reqwest::Client::builder()
            }
        };
        let client = builder
            .tls_backend_preconfigured(tls::config(&settings.tls)?)
            .user_agent(concat!("kubelet-detector/", env!("CARGO_PKG_VERSION")))
            .timeout(settings.timeout.0)
            .connect_timeout(settings.timeout.0)
            // A server that sends us elsewhere would get the alerts, and the token.
            .redirect(Policy::none())
            .build()
            .map_err(|error| chain(&error))?;
        Ok(Self {
            tells,
            client,
            url,
            headers,
            gzip: settings.gzip,
        })
    }

    /// An error is of the way to the server: it may have got the request.
    pub(super) async fn post(&self, content: &str, body: Vec<u8>) -> Result<Answer, String> {
        let mut request = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone());
        request = request.header(CONTENT_TYPE, content);
        request = match self.gzip.then(|| compressed(&body)) {
            Some(Ok(body)) => request.header(CONTENT_ENCODING, "gzip").body(body),
            Some(Err(_)) | None => request.body(body),
        };
        let again = request.try_clone();
        let sent = match (request.send().await, again) {
            // A server closes connections when it likes, and this one just before it was used again.
            (Err(error), Some(again)) if !error.is_connect() && !error.is_timeout() => {
                again.send().await
            }
            (sent, _) => sent,
        };
        let mut response = sent.map_err(|error| chain(&error.without_url()))?;
        let after = response.headers().get("retry-after").and_then(retry_after);
        let content = media_type(response.headers().get(CONTENT_TYPE));
        let (most, kept) = match self.tells {
            Tells::Fates if response.status().is_success() => (MAX_REPLY, MAX_REPLY),
            Tells::Fates | Tells::Nothing => (MAX_WORDS, KEPT_WORDS),
        };
        let (mut body, mut length) = (Vec::new(), 0);
        // Of one that is longer the connection is given up.
        let cut = loop {
            match response.chunk().await {
                Ok(None) => break None,
                Ok(Some(chunk)) => {
                    length += chunk.len();
                    let room = kept - body.len();
                    body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
                }
                Err(error) => {
                    let why = chain(&error.without_url());
                    break Some(format!("the reply breaks off: {why}"));
                }
            }
            if length > most {
                break Some(format!("the reply has more than {most} bytes"));
            }
        };
        Ok(Answer {
            status: response.status().as_u16(),
            after,
            content,
            body,
            cut,
        })
    }
}

fn media_type(value: Option<&HeaderValue>) -> String {
    let text = value.and_then(|value| value.to_str().ok());
    let name = text.and_then(|text| text.split(';').next());
    name.unwrap_or_default().trim().to_ascii_lowercase()
}

impl Answer {
    /// Of every alert of the request, as the status has it, whatever becomes of the body.
    pub(super) fn fate(&self) -> Fate {
        match self.status {
            200..=299 => Fate::Delivered,
            status if refuses_content(status) => Fate::Refused(self.reason().into()),
            // What is refused is the sender, or the moment, and not the alert.
            _ => Fate::Again(self.reason().into()),
        }
    }

    /// Whether it may be about one alert of the request alone, or about their number.
    pub(super) fn is_of_all(&self) -> bool {
        refuses_content(self.status)
    }

    /// The status, and the words of the body.
    pub(super) fn reason(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text = text.trim();
        match text.is_empty() {
            true => format!("HTTP {}", self.status),
            false => format!("HTTP {}: {text}", self.status),
        }
    }
}

/// Whether it is what was sent that is refused, now and later: nothing else is final.
pub(super) fn refuses_content(status: u16) -> bool {
    matches!(status, 400 | 413 | 422)
}

/// The credentials of RFC 7617, behind the scheme.
pub(super) fn basic(user: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("{user}:{password}"))
}

/// The value of a header that no log shows.
pub(super) fn secret(header: &HeaderName, value: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::try_from(value).map_err(|_error| {
        format!("the value of the header `{header}` has control characters: a secret is one line")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            // RFC 2822 writes the zone of HTTP's dates as it is.
            let date = rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(date.duration_since(Timestamp::now())).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_whether_the_alert_or_the_sender_is_refused() {
        let fate = |status| {
            let answer = Answer {
                status,
                after: None,
                content: String::new(),
                body: b"a\nreason".to_vec(),
                cut: Some("the server is gone".into()),
            };
            answer.fate()
        };
        for status in [200, 202, 204] {
            assert_eq!(fate(status), Fate::Delivered);
        }
        let others = (100..200).chain(300..1000);
        for status in others.filter(|status| ![400, 413, 422].contains(status)) {
            assert_eq!(
                fate(status),
                Fate::Again(format!("HTTP {status}: a\nreason").into())
            );
        }
        for status in [400, 413, 422] {
            assert_eq!(
                fate(status),
                Fate::Refused(format!("HTTP {status}: a\nreason").into())
            );
        }
    }

    #[test]
    fn the_time_to_wait_is_seconds_or_a_date() {
        let wait = |text: &str| retry_after(&HeaderValue::try_from(text).unwrap());
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("99999999"), Some(LONGEST));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("Wed, 21 Oct 2099 07:28:00 GMT"), Some(LONGEST));
        assert_eq!(wait("soon"), None);
    }
}
