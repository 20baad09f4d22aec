//! Values of settings that have a unit, or that nobody is to read.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{
    alert::Priority,
    files::{self, MAX_SIZE},
};

/// A priority as Falco takes it: of any case, `info` too.
pub fn any_case<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Priority, D::Error> {
    const KNOWN: &[&str] = &[
        "emergency",
        "alert",
        "critical",
        "error",
        "warning",
        "notice",
        "informational",
        "debug",
    ];
    let text = String::deserialize(deserializer)?;
    Priority::parse(&text).ok_or_else(|| Error::unknown_variant(&text, KNOWN))
}

/// A length of time: `10s`, `500ms`, `2m`, `1h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "write 10s, 500ms, 2m, 1h or 7d";
        let (amount, unit) = amount(text).ok_or_else(|| format!("no number: {EXPECTED}"))?;
        let seconds = |each: u64| Duration::from_secs(amount.saturating_mul(each));
        match unit {
            "ms" => Ok(Self(Duration::from_millis(amount))),
            "s" => Ok(Self(seconds(1))),
            "m" => Ok(Self(seconds(60))),
            "h" => Ok(Self(seconds(3600))),
            "d" => Ok(Self(seconds(86_400))),
            _ => Err(format!("the unit is missing: {EXPECTED}")),
        }
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis if !millis.is_multiple_of(1000) => write!(f, "{millis}ms"),
            millis => write!(f, "{}s", millis / 1000),
        }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A number of bytes: `512`, `64KiB`, `10MiB` or `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "Amount")]
#[schemars(with = "Amount")]
pub struct Size(pub u64);

/// YAML writes a bare number of bytes as a number.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number of bytes, or a text such as 10MiB")]
enum Amount {
    Bytes(u64),
    Text(String),
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "write 512, 64KiB, 10MiB or 1GiB";
        let (amount, unit) = amount(text).ok_or_else(|| format!("no number: {EXPECTED}"))?;
        let shift = match unit {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(format!("`{unit}` is no unit: {EXPECTED}")),
        };
        let bytes = amount.checked_mul(1 << shift);
        bytes
            .map(Self)
            .ok_or_else(|| format!("too much: {EXPECTED}"))
    }
}

impl TryFrom<Amount> for Size {
    type Error = String;

    fn try_from(amount: Amount) -> Result<Self, String> {
        match amount {
            Amount::Bytes(bytes) => Ok(Self(bytes)),
            Amount::Text(text) => text.parse(),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let whole = units
            .into_iter()
            .find(|(shift, _)| bytes != 0 && bytes.trailing_zeros() >= *shift);
        match whole {
            Some((shift, unit)) => write!(f, "{}{unit}", bytes >> shift),
            None => write!(f, "{bytes}"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The digits that a text begins with, and what follows them.
fn amount(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let unit = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let digits = text.strip_suffix(unit)?;
    Some((digits.parse().ok()?, unit.trim_start()))
}

/// What is shown of a secret.
pub(in crate::sink) const MASK: &str = "***";

/// Where a password or a token is: never the text itself in a command line or a log.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Secret {
    /// The text itself.
    Text(String),
    /// A file that has it, read anew at each reload; a line feed at its end is no part of it.
    File { file: PathBuf },
    /// A variable of the environment.
    Environment { env: String },
}

/// The places of a secret; one is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretPlace {
    #[serde(default)]
    file: Option<PathBuf>,
    #[serde(default)]
    env: Option<String>,
}

/// By hand: serde's `untagged` would forget where a mistake is.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or `file` with a path, or `env` with a variable's name")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
                match text.is_empty() {
                    true => Err(Error::custom(
                        "the secret is empty: write it, or where it is with `file` or `env`, or leave \
                         the key out",
                    )),
                    false => Ok(Secret::Text(text.to_owned())),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
                let place = SecretPlace::deserialize(MapAccessDeserializer::new(map))?;
                match (place.file, place.env) {
                    (Some(file), None) => Ok(Secret::File { file }),
                    (None, Some(env)) => Ok(Secret::Environment { env }),
                    (None, None) => Err(Error::missing_field("file")),
                    (Some(_), Some(_)) => {
                        Err(Error::custom("a secret has one of `file` and `env`"))
                    }
                }
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl Secret {
    /// The secret itself.
    pub fn read(&self) -> Result<String, String> {
        let text = match self {
            Self::Text(text) => return Ok(text.clone()),
            Self::File { file } => {
                let path = file.display();
                let bytes = files::read(file, MAX_SIZE)
                    .map_err(|error| format!("cannot read the secret in {path}: {error}"))?;
                String::from_utf8(bytes)
                    .map_err(|error| format!("cannot read the secret in {path}: {error}"))?
            }
            Self::Environment { env } => std::env::var(env)
                .map_err(|error| format!("no secret in the environment variable {env}: {error}"))?,
        };
        let text = text.trim_end_matches(['\r', '\n']);
        match text.is_empty() {
            true => Err(format!("the {self:?} has an empty secret")),
            false => Ok(text.to_owned()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str(MASK),
            Self::File { file } => write!(f, "file {}", file.display()),
            Self::Environment { env } => write!(f, "environment variable {env}"),
        }
    }
}

/// As it was written, but masked.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let (key, value) = match self {
            Self::Text(_) => return serializer.serialize_str(MASK),
            Self::File { file } => ("file", file.to_string_lossy()),
            Self::Environment { env } => ("env", env.into()),
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, &value)?;
        map.end()
    }
}

/// An address to be shown: of its user and its query nothing but the names in that.
pub fn without_secrets(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let host = match host.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => host.to_owned(),
    };
    let mut shown = format!("{scheme}://{host}{path}");
    for (number, part) in query.into_iter().flat_map(|it| it.split('&')).enumerate() {
        shown.push(if number == 0 { '?' } else { '&' });
        if let Some((name, _)) = part.split_once('=') {
            shown.push_str(name);
            shown.push('=');
        }
        shown.push_str(MASK);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_and_sizes_are_read_and_printed() {
        for (text, millis) in [
            ("10s", 10_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.0, Duration::from_millis(millis), "{text}");
            assert_eq!(period.to_string().parse(), Ok(period));
        }
        for (text, bytes) in [
            ("512", 512),
            ("64KiB", 65_536),
            ("10 MiB", 10 << 20),
            ("1GiB", 1 << 30),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        for text in [
            "",
            "s",
            "10",
            "10 weeks",
            "-1s",
            "1.5s",
            "99999999999999999999s",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        for text in ["", "MiB", "10MB", "-1", "99999999999GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (address, shown) in [
            ("https://a.example:443/in/b", "https://a.example:443/in/b"),
            ("https://u:p@a/in", "https://***@a/in"),
            ("https://u:p@x@a", "https://***@a"),
            ("https://a/in?key=x&b=y#z", "https://a/in?key=***&b=***"),
            ("https://a?x@y/z", "https://a?***"),
            ("unix:/dev/log", "unix:/dev/log"),
        ] {
            assert_eq!(without_secrets(address), shown);
        }
    }

    #[test]
    fn secrets_are_masked() {
        let secret = Secret::Text("hunter2".into());
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""***""#);
        let file = Secret::File {
            file: "/token".into(),
        };
        assert_eq!(
            serde_json::to_string(&file).unwrap(),
            r#"{"file":"/token"}"#
        );
        assert_eq!(secret.read().unwrap(), "hunter2");
        assert!(file.read().unwrap_err().contains("/token"));
    }
}
