//! Elasticsearch's and OpenSearch's `_bulk`: an alert's UUID is its document's id, so that one that
//! was sent twice is there once.

use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde::Deserialize;

use super::{
    Fate, Letter, Reply,
    halves::Halves,
    http::{Answer, Client, Tells, basic, refuses_content, secret},
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
    #[serde(rename = "_id")]
    id: Option<String>,
    status: u16,
    #[serde(default)]
    error: serde_json::Value,
}

impl Elasticsearch {
    pub(super) fn new(settings: &ElasticsearchSettings) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        let credentials = match (&settings.api_key, &settings.user, &settings.password) {
            (Some(key), None, None) => Some(format!("ApiKey {}", key.read()?)),
            (None, Some(user), Some(password)) => {
                Some(format!("Basic {}", basic(user, &password.read()?)))
            }
            (None, None, None) => None,
            _ => return Err("give `api_key`, or `user` and `password`".to_owned()),
        };
        if let Some(credentials) = credentials {
            headers.insert(AUTHORIZATION, secret(&AUTHORIZATION, &credentials)?);
        }
        let url = format!("{}/_bulk", settings.url.trim_end_matches('/'));
        Ok(Self {
            client: Client::new(&url, &settings.request, headers, Tells::Fates)?,
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
                let ids = letters.iter().map(|letter| letter.kept.uuid().to_string());
                let fates = fates(&answer, &ids.collect::<Vec<_>>());
                let after = answer.after;
                (Reply { fates, after }, answer.is_of_all())
            }
            Err(why) => (Reply::again(letters.len(), why), false),
        }
    }
}

/// A reply of 200 may hide that some were refused.
fn fates(answer: &Answer, ids: &[String]) -> Vec<Fate> {
    let count = ids.len();
    if answer.fate() != Fate::Delivered {
        return vec![answer.fate(); count];
    }
    if let Some(why) = &answer.cut {
        return vec![Fate::Again(why.as_str().into()); count];
    }
    match serde_json::from_slice::<Bulk>(&answer.body) {
        Ok(Bulk { items }) if items.len() != count => {
            let why = format!("the reply is of {} alerts instead of {count}", items.len());
            vec![Fate::Again(why.into()); count]
        }
        Ok(Bulk { items }) => match items.iter().zip(ids).find_map(|(item, id)| other(item, id)) {
            None => items.iter().map(fate).collect(),
            Some(why) => vec![Fate::Again(why.into()); count],
        },
        Err(error) => {
            vec![Fate::Again(format!("the reply is none of _bulk: {error}").into()); count]
        }
    }
}

/// They are told apart by their places: if one is at that of another, none of them counts.
fn other(Item { create }: &Item, id: &str) -> Option<String> {
    let told = create.id.as_deref().filter(|told| *told != id)?;
    Some(format!(
        "the reply has the alert `{told}` at the place of `{id}`"
    ))
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
        // The index has all the shards that it may have.
        400 if create.error.get("type") == Some(&"validation_exception".into()) => {
            Fate::Again(reason())
        }
        status if refuses_content(status) => Fate::Refused(reason()),
        _ => Fate::Again(reason()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status,
            after: None,
            content: String::new(),
            body: body.into(),
            cut: None,
        }
    }

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    #[test]
    fn each_alert_has_its_own_fate() {
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
        assert_eq!(fates(&answer(200, items), &ids(4)), expected);
        assert!(matches!(
            fates(&answer(200, items), &ids(3))[..],
            [Fate::Again(_), ..]
        ));
        assert!(matches!(
            fates(&answer(200, "<html>"), &ids(1))[..],
            [Fate::Again(_)]
        ));
        let cut = Answer {
            cut: Some("the server is gone".into()),
            ..answer(200, items)
        };
        assert_eq!(
            fates(&cut, &ids(4)),
            vec![Fate::Again("the server is gone".into()); 4]
        );
        let none = r#"{"errors": false, "items": []}"#;
        assert!(matches!(
            fates(&answer(200, none), &ids(1))[..],
            [Fate::Again(_)]
        ));
        assert!(matches!(
            fates(&answer(503, ""), &ids(1))[..],
            [Fate::Again(_)]
        ));
        assert!(matches!(
            fates(&answer(413, ""), &ids(1))[..],
            [Fate::Refused(_)]
        ));
    }

    #[test]
    fn only_what_refuses_the_document_itself_is_final() {
        let fate = |status: u16, kind: &str| {
            let item = format!(r#"{{"status": {status}, "error": {{"type": "{kind}"}}}}"#);
            let body = format!(r#"{{"items": [{{"create": {item}}}]}}"#);
            fates(&answer(200, &body), &ids(1)).remove(0)
        };
        let statuses = (100..1000).filter(|status| !matches!(status, 200..=299 | 409));
        for status in statuses {
            let is_final = matches!(fate(status, "mapper_parsing_exception"), Fate::Refused(_));
            assert_eq!(is_final, [400, 413, 422].contains(&status), "{status}");
        }
        assert!(matches!(fate(400, "validation_exception"), Fate::Again(_)));
    }

    #[test]
    fn nothing_counts_of_a_reply_whose_items_are_at_other_places() {
        let told = |first: &str, second: &str| {
            let items = [first, second]
                .map(|id| format!(r#"{{"create": {{"_id": "{id}", "status": 201}}}}"#));
            let body = format!(r#"{{"items": [{}]}}"#, items.join(","));
            fates(&answer(200, &body), &ids(2))
        };
        assert_eq!(told("0", "1"), [Fate::Delivered, Fate::Delivered]);
        let why = "the reply has the alert `1` at the place of `0`";
        assert_eq!(told("1", "0"), vec![Fate::Again(why.into()); 2]);
        let why = "the reply has the alert `2` at the place of `1`";
        assert_eq!(told("0", "2"), vec![Fate::Again(why.into()); 2]);
    }
}
