//! Elasticsearch's and OpenSearch's `_bulk`: an alert's UUID is its document's id, so that one that
//! was sent twice is there once.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde::Deserialize;

use super::{
    Fate, Letter, Reply,
    halves::Halves,
    http::{Answer, Client, secret},
};
use crate::sink::settings::ElasticsearchSettings;

#[derive(Debug)]
pub(super) struct Elasticsearch {
    client: Client,
    /// As a JSON string.
    index: String,
    batch: usize,
}

/// What is read of the reply.
#[derive(Debug, Deserialize)]
struct Bulk {
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    create: Created,
}

#[derive(Debug, Deserialize)]
struct Created {
    status: u16,
    #[serde(default)]
    error: serde_json::Value,
}

impl Elasticsearch {
    pub(super) fn new(settings: &ElasticsearchSettings) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        let credentials = match (&settings.api_key, &settings.user, &settings.password) {
            (Some(key), None, None) => Some(format!("ApiKey {}", key.read()?)),
            (None, Some(user), Some(password)) => Some(basic(user, &password.read()?)),
            (None, None, None) => None,
            _ => return Err("give `api_key`, or `user` and `password`".to_owned()),
        };
        if let Some(credentials) = credentials {
            headers.insert(AUTHORIZATION, secret(&credentials)?);
        }
        let url = format!("{}/_bulk", settings.url.trim_end_matches('/'));
        Ok(Self {
            client: Client::new(&url, &settings.request, headers)?,
            index: serde_json::Value::from(settings.index.as_str()).to_string(),
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
        let mut body = Vec::new();
        for Letter {
            kept,
            body: document,
        } in letters
        {
            // Data streams take nothing but `create`.
            let head = format!(
                "{{\"create\":{{\"_index\":{},\"_id\":\"{}\"}}}}\n",
                self.index,
                kept.uuid()
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(document);
            body.push(b'\n');
        }
        match self.client.post("application/x-ndjson", body).await {
            Ok(answer) => {
                let fates = fates(&answer, letters.len());
                let after = answer.after;
                (Reply { fates, after }, answer.is_of_all())
            }
            Err(why) => (Reply::again(letters.len(), why), false),
        }
    }
}

/// A reply of 200 may hide that some were refused.
fn fates(answer: &Answer, count: usize) -> Vec<Fate> {
    if answer.fate() != Fate::Delivered {
        return vec![answer.fate(); count];
    }
    if let Some(why) = &answer.cut {
        return vec![Fate::Again(why.as_str().into()); count];
    }
    match serde_json::from_slice::<Bulk>(&answer.body) {
        Ok(Bulk { items }) if items.len() == count => items.iter().map(fate).collect(),
        Ok(Bulk { items }) => {
            let why = format!("the reply is of {} alerts instead of {count}", items.len());
            vec![Fate::Again(why.into()); count]
        }
        Err(error) => {
            vec![Fate::Again(format!("the reply is none of _bulk: {error}").into()); count]
        }
    }
}

fn fate(Item { create }: &Item) -> Fate {
    let reason = || {
        let told = create.error.get("reason").unwrap_or(&create.error);
        match told.as_str() {
            Some(text) => format!("status {}: {text}", create.status).into(),
            None => format!("status {}: {told}", create.status).into(),
        }
    };
    match create.status {
        // It is there already.
        200..=299 | 409 => Fate::Delivered,
        401 | 403 | 404 | 408 | 429 | 500.. => Fate::Again(reason()),
        _ => Fate::Refused(reason()),
    }
}

/// RFC 7617.
fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{password}"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alert_has_its_own_fate() {
        let answer = |status, body: &str| Answer {
            status,
            after: None,
            content: String::new(),
            body: body.into(),
            cut: None,
        };
        let items = r#"{"errors": true, "took": 1, "items": [
            {"create": {"status": 201}},
            {"create": {"status": 409, "error": {"reason": "exists"}}},
            {"create": {"status": 429, "error": {"reason": "busy"}}},
            {"create": {"status": 400, "error": {"reason": "no date"}}}]}"#;
        let expected = [
            Fate::Delivered,
            Fate::Delivered,
            Fate::Again("status 429: busy".into()),
            Fate::Refused("status 400: no date".into()),
        ];
        assert_eq!(fates(&answer(200, items), 4), expected);
        assert!(matches!(
            fates(&answer(200, items), 3)[..],
            [Fate::Again(_), ..]
        ));
        assert!(matches!(
            fates(&answer(200, "<html>"), 1)[..],
            [Fate::Again(_)]
        ));
        let cut = Answer {
            cut: Some("the server is gone".into()),
            ..answer(200, items)
        };
        assert_eq!(
            fates(&cut, 4),
            vec![Fate::Again("the server is gone".into()); 4]
        );
        let none = r#"{"errors": false, "items": []}"#;
        assert!(matches!(fates(&answer(200, none), 1)[..], [Fate::Again(_)]));
        assert!(matches!(fates(&answer(503, ""), 1)[..], [Fate::Again(_)]));
        assert!(matches!(fates(&answer(413, ""), 1)[..], [Fate::Refused(_)]));
    }
}
