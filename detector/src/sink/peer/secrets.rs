//! What peers say is shown: in the log, in alerts, in `status` and with dead letters. Here it is cut, and
//! what the sink shows to its peer alone is taken out of it, for some peers say what they were asked.

use std::{
    fmt::{self, Formatter},
    ops::Range,
};

use percent_encoding::percent_decode_str;
use reqwest::Url;

use super::{
    Fate,
    escapes::{Letter, readings},
    http::basic,
    nats::credentials,
};
use crate::sink::settings::{MASK, SinkSettings, Target};

/// Of what is said, in bytes: most of it may be secrets.
const LOOKED_AT: usize = 16 << 10;
/// Of what is shown, in bytes.
const SHOWN: usize = 300;
/// A text that is shorter hides nothing, and may be anywhere.
const SHORTEST: usize = 4;
/// At the end of what was said, so much of a secret is one that was cut off.
const CUT_OFF: usize = 8;

#[derive(Clone)]
pub(super) struct Secrets {
    settings: SinkSettings,
    /// As they were when they were last read, and the time before: a request may have the older ones.
    read: [Vec<String>; 2],
}

impl Secrets {
    pub(super) fn new(settings: &SinkSettings) -> Self {
        Self {
            settings: settings.clone(),
            read: [texts(settings), Vec::new()],
        }
    }

    /// As they are now: NATS and Kafka read them anew for each connection.
    pub(super) fn renew(&mut self) {
        let now = texts(&self.settings);
        if self.read[0] != now {
            let before = std::mem::replace(&mut self.read[0], now);
            self.read[1] = before;
        }
    }

    pub(super) fn hide_in(&self, fates: &mut [Fate]) {
        for fate in fates {
            if let Fate::Refused(why) | Fate::Again(why) = fate {
                *why = self.shown(why).into();
            }
        }
    }

    /// The beginning of a text, without secrets and without what does something to a terminal.
    pub(super) fn shown(&self, text: &str) -> String {
        let text = text
            .get(..text.floor_char_boundary(LOOKED_AT))
            .unwrap_or_default();
        let mut secrets = self.within(text).into_iter().peekable();
        let (mut shown, mut hidden) = (String::new(), 0);
        for (at, letter) in text.char_indices() {
            while let Some(secret) = secrets.next_if(|secret| secret.start <= at) {
                if secret.start >= hidden {
                    shown.push_str(MASK);
                }
                hidden = hidden.max(secret.end);
            }
            if at < hidden {
                continue;
            }
            if shown.len() >= SHOWN {
                shown.truncate(shown.floor_char_boundary(SHOWN));
                shown.push('…');
                break;
            }
            shown.push(if is_harmless(letter) { letter } else { ' ' });
        }
        shown
    }

    /// Where secrets are, however they are written, by where they begin.
    fn within(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for reading in readings(text) {
            for at in 0..reading.len() {
                let rest = reading.get(at..).unwrap_or_default();
                let said = self.hides(rest).and_then(|length| rest.get(..length));
                if let Some((first, last)) = said.and_then(|it| it.first().zip(it.last())) {
                    found.push(first.bytes.start..last.bytes.end);
                }
            }
        }
        found.sort_unstable_by_key(|secret| secret.start);
        found
    }

    /// Letters of the longest secret that a text begins with.
    fn hides(&self, text: &[Letter]) -> Option<usize> {
        let begins = |secret: &String| {
            let mut letters = secret.chars();
            let mut same = 0;
            for it in text {
                match letters.next() {
                    Some(letter) if letter == it.letter => same += 1,
                    Some(_) => return None,
                    None => return Some(same),
                }
            }
            let is_cut_off = same >= CUT_OFF;
            (is_cut_off || letters.next().is_none()).then_some(same)
        };
        self.read.iter().flatten().filter_map(begins).max()
    }
}

/// Nobody is to read them here either.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Not those that end a line, move the cursor, or turn the order of the letters around.
fn is_harmless(letter: char) -> bool {
    !letter.is_control() && !matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The secrets of a sink, as they may come back; how they are escaped is no matter. What cannot be read is
/// told by whoever needs it.
fn texts(settings: &SinkSettings) -> Vec<String> {
    let secrets = settings.secrets().into_iter();
    let mut texts: Vec<String> = secrets.filter_map(|secret| secret.read().ok()).collect();
    match settings.target() {
        Ok(Target::Http(http)) => texts.extend(of_url(&http.url)),
        Ok(Target::Otlp(otlp)) => texts.extend(of_url(&otlp.url)),
        Ok(Target::Elasticsearch(search)) => {
            texts.extend(of_url(&search.url));
            let password = search.password.as_ref().and_then(|it| it.read().ok());
            if let (Some(user), Some(password)) = (&search.user, password) {
                texts.push(basic(user, &password));
            }
        }
        Ok(Target::Nats(nats)) => {
            texts.extend(nats.user.clone());
            texts.extend(nats.url.split(',').flat_map(|url| of_url(url.trim())));
            let path = nats.credentials.as_deref();
            let file = path.and_then(|path| credentials(path).ok());
            // Its JWT is shown to the server; of its other lines none can come back.
            texts.extend(file.iter().flat_map(|file| file.lines().map(str::to_owned)));
        }
        Ok(Target::Kafka(_) | Target::Syslog(_) | Target::Stdout(_) | Target::File(_)) | Err(_) => {
        }
    }
    // `Splunk TOKEN`, as a header has it.
    let rests = texts.iter().filter_map(|text| text.split_once(' '));
    let mut rests: Vec<String> = rests.map(|(_, rest)| rest.to_owned()).collect();
    texts.append(&mut rests);
    texts.retain(|text| text.len() >= SHORTEST);
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// What `without_secrets` hides of it: HTTP's servers get user and password as a header.
fn of_url(url: &str) -> Vec<String> {
    let Ok(url) = Url::parse(url) else {
        return Vec::new();
    };
    let mut texts: Vec<String> = url.query_pairs().map(|(_, value)| value.into()).collect();
    let query = url.query().unwrap_or_default();
    let values = query.split('&').map(|pair| match pair.split_once('=') {
        Some((_, value)) => value.to_owned(),
        None => pair.to_owned(),
    });
    texts.extend(values);
    let (user, password) = (url.username(), url.password());
    let plain = [user, password.unwrap_or_default()]
        .map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned());
    if !user.is_empty() || password.is_some() {
        let [user, password] = &plain;
        texts.push(basic(user, password));
    }
    texts.extend(plain);
    texts.extend([user.to_owned(), password.unwrap_or_default().to_owned()]);
    texts
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// `kind` is the key of its place.
    fn secrets(kind: &str, place: &Value) -> Secrets {
        Secrets::new(&serde_json::from_value(json!({"name": "a", kind: place})).unwrap())
    }

    #[test]
    fn a_reason_is_short_and_harmless() {
        let secrets = secrets("http", &json!({"url": "http://h/"}));
        let long = "ä".repeat(5 << 20);
        let mut fates = [
            Fate::Delivered,
            Fate::Again(format!("x{long}").into()),
            Fate::Refused("a\nb\u{1b}[2Jc\u{202e}d".into()),
        ];
        secrets.hide_in(&mut fates);
        let cut = format!("x{}…", "ä".repeat(149));
        let expected = [
            Fate::Delivered,
            Fate::Again(cut.into()),
            Fate::Refused("a b [2Jc d".into()),
        ];
        assert_eq!(fates, expected);
        let whole = "ä".repeat(150);
        assert_eq!(secrets.shown(&whole), whole);
    }

    #[test]
    fn what_a_peer_says_back_of_what_it_is_shown_is_hidden() {
        let check = |kind: &str, place: Value, said: &str, expected: &str| {
            assert_eq!(secrets(kind, &place).shown(said), expected, "{place}");
        };
        let url = "http://h/?key=k%2Bk1&ABCD";
        check(
            "http",
            json!({"url": url, "bearer": "hunter2", "headers": {"A": "Splunk t0ken"}}),
            "hunter2hunter2, Splunk t0ken, t0ken, key=k%2Bk1 k+k1 ABCD",
            "******, ***, ***, key=*** *** ***",
        );
        check(
            "http",
            json!({"url": "http://user:p%40ss@h/"}),
            "user:p%40ss p@ss dXNlcjpwQHNz",
            "***:*** *** ***",
        );
        check(
            "elasticsearch",
            json!({"url": "http://h", "user": "ann", "password": "pa\"ss"}),
            r#"Basic YW5uOnBhInNz {"ann": "pa\"ss"} pa"ss"#,
            r#"Basic *** {"ann": "***"} ***"#,
        );
        check(
            "http",
            json!({"url": "http://h/", "bearer": "a/B&c+D="}),
            r#"{"a": "Bearer a\/B&c+D=", "b": "a/B\u0026c+D=", "c": "{\"d\": \"a\\/B&c\\u002BD=\"}"}"#,
            r#"{"a": "Bearer ***", "b": "***", "c": "{\"d\": \"***\"}"}"#,
        );
        check(
            "http",
            json!({"url": "http://h/", "bearer": "a/B&c+D="}),
            "a%2FB%26c%2BD%3d, a/B&amp;c&#x2B;D=",
            "***, ***",
        );
        check(
            "elasticsearch",
            json!({"url": "http://h", "api_key": "aWQ6a2V5"}),
            "ApiKey aWQ6a2V5",
            "ApiKey ***",
        );
        // It was cut off.
        check(
            "otlp",
            json!({"url": "http://h/", "bearer": "hunter2hunter2"}),
            "Bearer hunter2hu",
            "Bearer ***",
        );
        let url = "nats://root:t0ken@h";
        check(
            "nats",
            json!({"url": url, "subject": "s", "user": "cleo", "password": "hunter2"}),
            "cleo/hunter2, root:t0ken",
            "***/***, ***:***",
        );
        check(
            "nats",
            json!({"url": "nats://h", "subject": "s", "token": "t0ken"}),
            "t0ken",
            "***",
        );
        let servers = "tcp://h:9092";
        check(
            "kafka",
            json!({"bootstrap_servers": servers, "topic": "t", "user": "cleo", "password": "hunter2"}),
            "cleo: hunter2",
            "cleo: ***",
        );
        // It would hide everything.
        check(
            "http",
            json!({"url": "http://h/", "headers": {"A": "1"}}),
            "HTTP 401",
            "HTTP 401",
        );
    }

    #[test]
    fn a_secret_is_hidden_before_the_text_is_cut() {
        let secrets = secrets("otlp", &json!({"url": "http://h/", "bearer": "hunter2"}));
        let before = "x".repeat(SHOWN - 3);
        assert_eq!(
            secrets.shown(&format!("{before}hunter2")),
            format!("{before}***")
        );
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }

    #[test]
    fn secrets_that_overlap_leave_nothing_over() {
        let headers = json!({"A": "abcdef", "B": "defghi"});
        let secrets = secrets("http", &json!({"url": "http://h/", "headers": headers}));
        assert_eq!(secrets.shown("-abcdefghi-"), "-***-");
    }

    #[test]
    fn a_secret_that_was_renewed_is_hidden_and_so_is_the_one_before() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "hunter1\n").unwrap();
        let place = json!({"url": "nats://h", "subject": "s", "token": {"file": file.path()}});
        let mut secrets = secrets("nats", &place);
        std::fs::write(&file, "hunter2\n").unwrap();
        secrets.renew();
        secrets.renew();
        assert_eq!(secrets.shown("hunter1 hunter2"), "*** ***");
    }
}
