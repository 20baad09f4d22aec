//! Sinks that post over HTTP: what each has of its own, and what is the same of all.

use std::{collections::BTreeMap, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Period, Secret, TlsSettings};

/// What is the same of every sink that posts over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSettings {
    pub headers: BTreeMap<String, Secret>,
    /// Of `Authorization: Bearer`.
    pub bearer: Option<Secret>,
    /// The body is compressed.
    pub gzip: bool,
    pub tls: TlsSettings,
    pub timeout: Period,
}

impl Default for RequestSettings {
    fn default() -> Self {
        Self {
            headers: BTreeMap::new(),
            bearer: None,
            gzip: false,
            tls: TlsSettings::default(),
            timeout: timeout(),
        }
    }
}

/// Of a request, or until something is acknowledged.
pub(super) fn timeout() -> Period {
    Period(Duration::from_secs(10))
}

/// A struct whose keys stand beside those of its `request`. It is written out here, and not with
/// serde's `flatten`, which forgets where a mistake is and which keys are known.
macro_rules! posts {
    (
        $(#[doc = $about:expr])*
        $name:ident {
            $($(#[doc = $doc:expr])* $(#[serde($($how:tt)*)])? $field:ident: $type:ty,)*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $doc])* pub $field: $type,)*
            pub request: RequestSettings,
        }

        const _: () = {
            $(#[doc = $about])*
            #[derive(Serialize, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            struct Written {
                $($(#[doc = $doc])* $(#[serde($($how)*)])? $field: $type,)*
                #[serde(default)]
                headers: BTreeMap<String, Secret>,
                /// Of `Authorization: Bearer`.
                #[serde(default)]
                bearer: Option<Secret>,
                /// The body is compressed.
                #[serde(default)]
                gzip: bool,
                #[serde(default)]
                tls: TlsSettings,
                #[serde(default = "timeout")]
                timeout: Period,
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let Written { $($field,)* headers, bearer, gzip, tls, timeout } =
                        Written::deserialize(deserializer)?;
                    let request = RequestSettings { headers, bearer, gzip, tls, timeout };
                    Ok(Self { $($field,)* request })
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    let Self { $($field,)* request } = self.clone();
                    let RequestSettings { headers, bearer, gzip, tls, timeout } = request;
                    let written = Written { $($field,)* headers, bearer, gzip, tls, timeout };
                    written.serialize(serializer)
                }
            }

            impl JsonSchema for $name {
                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                    Written::json_schema(generator)
                }
            }
        };
    };
}

/// What one request carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// One alert, as Falco's `http_output`.
    #[default]
    One,
    /// A JSON array.
    Array,
    /// Lines.
    Lines,
}

posts! {
    /// POST requests.
    HttpSettings {
        url: String,
        #[serde(default)]
        body: Body,
        /// Requests under way at once, where each has one alert.
        #[serde(default = "http_concurrency")]
        concurrency: usize,
        /// Alerts of one request at most, where it may have more.
        #[serde(default = "batch")]
        batch: usize,
    }
}

impl HttpSettings {
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            body: Body::default(),
            concurrency: http_concurrency(),
            batch: batch(),
            request: RequestSettings::default(),
        }
    }
}

fn http_concurrency() -> usize {
    8
}

/// Alerts that go together.
pub(super) fn batch() -> usize {
    500
}

posts! {
    /// Elasticsearch's or OpenSearch's `_bulk`.
    ElasticsearchSettings {
        /// Of the server; `/_bulk` is added.
        url: String,
        /// A data stream or an index.
        #[serde(default = "elasticsearch_index")]
        index: String,
        /// Of `Authorization: ApiKey`.
        #[serde(default)]
        api_key: Option<Secret>,
        #[serde(default)]
        user: Option<String>,
        #[serde(default)]
        password: Option<Secret>,
        #[serde(default = "batch")]
        batch: usize,
    }
}

fn elasticsearch_index() -> String {
    "logs-kubelet_detector-default".to_owned()
}

posts! {
    /// OTLP's logs over HTTP.
    OtlpSettings {
        /// Such as `http://collector:4318/v1/logs`.
        url: String,
        #[serde(default)]
        encoding: OtlpEncoding,
        #[serde(default = "batch")]
        batch: usize,
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OtlpEncoding {
    #[default]
    Protobuf,
    Json,
}
