//! Kafka: an alert is delivered when every replica in sync has it (`acks=all`). Its key is the node's
//! name, so that the alerts of a node are in one partition, in order.

mod partitioner;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use rskafka::{
    BackoffConfig, BackoffError, ConnectionError,
    chrono::DateTime,
    client::{
        Client, ClientBuilder, Credentials, SaslConfig,
        error::{Error, ProtocolError},
        partition::{Compression, PartitionClient, UnknownTopicHandling},
    },
    record::Record,
};
use tokio::time::timeout;

use self::partitioner::partition;
use super::{Fate, Letter, Reply, halves::Halves, tls};
use crate::sink::settings::{KafkaCompression, KafkaSettings, Mechanism, TlsSettings};

/// What a record has beside the alert itself, about.
const HEADER_BYTES: u64 = 250;
/// Of an answer of a broker: the longest is that with all its topics.
const MAX_ANSWER: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Kafka {
    /// `host:port` each.
    servers: Vec<String>,
    tls: Option<Arc<rustls::ClientConfig>>,
    settings: KafkaSettings,
    /// `None` before the first connection, and after a failure: brokers are then looked for anew,
    /// from the first ones, and so is the leader of a partition.
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    client: Client,
    partitions: usize,
    leaders: BTreeMap<i32, PartitionClient>,
}

/// Why a request was not taken.
enum Refusal {
    /// For what is in it, now and later.
    Content(String),
    /// To be tried again.
    Moment(String),
}

impl Kafka {
    pub(super) fn new(settings: &KafkaSettings) -> Result<Self, String> {
        let (servers, encrypted) = servers(&settings.bootstrap_servers)?;
        if !encrypted && settings.tls != TlsSettings::default() {
            return Err(
                "`tls` is given, but `bootstrap_servers` are tcp://, not tls://".to_owned(),
            );
        }
        let tls = encrypted.then(|| tls::config(&settings.tls)).transpose()?;
        let topic = &settings.topic;
        let is_of_topic =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        if topic.is_empty() || !topic.chars().all(is_of_topic) {
            return Err(format!("`{topic}` is no topic"));
        }
        // What cannot be read now is told now.
        credentials(settings)?;
        Ok(Self {
            servers,
            tls: tls.map(Arc::new),
            settings: settings.clone(),
            connection: None,
        })
    }

    pub(super) fn batch(&self) -> usize {
        self.settings.batch.max(1)
    }

    pub(super) async fn send(&mut self, letters: &[Letter]) -> Reply {
        let mut halves = Halves::new(letters);
        while let Some(some) = halves.next() {
            let some = self.of_one_request(some);
            let (fate, is_of_all) = match self.produce(some).await {
                Ok(()) => (Fate::Delivered, false),
                Err(Refusal::Content(why)) => (Fate::Refused(why.into()), true),
                Err(Refusal::Moment(why)) => {
                    self.connection = None;
                    (Fate::Again(why.into()), false)
                }
            };
            halves.told((Reply::all(some.len(), fate), is_of_all));
        }
        halves.reply()
    }

    /// The first ones that go to the same partition, and fit.
    fn of_one_request<'a>(&self, letters: &'a [Letter]) -> &'a [Letter] {
        let host = letters.first().map(|letter| &letter.kept.hostname);
        let mut bytes = 0;
        let fit = letters.iter().take_while(|letter| {
            bytes += letter.body.len() as u64 + HEADER_BYTES;
            Some(&letter.kept.hostname) == host && bytes <= self.settings.max_request_size.0
        });
        let count = fit.count().max(1);
        letters.get(..count).unwrap_or(letters)
    }

    /// In one request.
    async fn produce(&mut self, letters: &[Letter]) -> Result<(), Refusal> {
        let limit = self.settings.timeout;
        match timeout(limit.0, self.hand_over(letters)).await {
            Ok(done) => done,
            Err(_) => Err(Refusal::Moment(format!("no answer within {limit}"))),
        }
    }

    async fn hand_over(&mut self, letters: &[Letter]) -> Result<(), Refusal> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await.map_err(Refusal::Moment)?,
        };
        let connection = self.connection.insert(connection);
        let key = letters
            .first()
            .map_or("", |letter| letter.kept.hostname.as_str());
        let number = partition(key.as_bytes(), connection.partitions);
        let leader = match connection.leaders.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let handling = UnknownTopicHandling::Error;
                let topic = self.settings.topic.as_str();
                let found = connection.client.partition_client(topic, number, handling);
                unknown.insert(found.await.map_err(|error| refusal(&error))?)
            }
        };
        let compression = match self.settings.compression {
            KafkaCompression::None => Compression::NoCompression,
            KafkaCompression::Gzip => Compression::Gzip,
            KafkaCompression::Snappy => Compression::Snappy,
            KafkaCompression::Zstd => Compression::Zstd,
        };
        let records = letters.iter().map(record).collect();
        match leader.produce(records, compression).await {
            Ok(_offsets) => Ok(()),
            Err(error) => Err(refusal(&error)),
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let mut builder = ClientBuilder::new(self.servers.clone())
            .client_id("kubelet-detector")
            .max_message_size(MAX_ANSWER)
            // It is the delivery that tries again.
            .backoff_config(BackoffConfig {
                deadline: Some(Duration::ZERO),
                ..BackoffConfig::default()
            });
        if let Some(tls) = &self.tls {
            builder = builder.tls_config(Arc::clone(tls));
        }
        if let Some(credentials) = credentials(&self.settings)? {
            builder = builder.sasl_config(credentials);
        }
        let client = builder.build().await.map_err(|error| told(&error))?;
        let topics = client.list_topics().await.map_err(|error| told(&error))?;
        let topic = &self.settings.topic;
        let found = topics.iter().find(|one| one.name == *topic);
        let partitions = found.map_or(0, |topic| topic.partitions.len());
        if partitions == 0 {
            return Err(format!(
                "there is no topic `{topic}`, or it may not be seen: make it, alerts wait"
            ));
        }
        Ok(Connection {
            client,
            partitions,
            leaders: BTreeMap::new(),
        })
    }
}

fn record(Letter { kept, body }: &Letter) -> Record {
    let time_ns = i64::try_from(kept.time_ns).unwrap_or(i64::MAX);
    let headers = [
        ("uuid", kept.uuid().to_string()),
        ("sequence", kept.sequence.to_string()),
        ("rule", kept.rule.clone()),
        ("priority", kept.priority.as_str().to_owned()),
    ];
    Record {
        key: Some(kept.hostname.clone().into_bytes()),
        value: Some(body.clone()),
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.into_bytes()))
            .into(),
        timestamp: DateTime::from_timestamp_nanos(time_ns),
    }
}

/// All of them over TLS, or none.
fn servers(text: &str) -> Result<(Vec<String>, bool), String> {
    let mut servers = Vec::new();
    let mut encrypted = Vec::new();
    for url in text.split(',').map(str::trim) {
        let wrong = || format!("`{url}` is no server: write tcp://host:9092 or tls://host:9093");
        let (scheme, server) = url.split_once("://").ok_or_else(wrong)?;
        let (host, port) = server.rsplit_once(':').ok_or_else(wrong)?;
        if host.is_empty() || port.parse::<u16>().is_err() || !matches!(scheme, "tcp" | "tls") {
            return Err(wrong());
        }
        encrypted.push(scheme == "tls");
        servers.push(server.to_owned());
    }
    let all = encrypted.iter().all(|one| *one);
    if !all && encrypted.contains(&true) {
        return Err("`bootstrap_servers` are all tcp:// or all tls://".to_owned());
    }
    Ok((servers, all))
}

fn credentials(settings: &KafkaSettings) -> Result<Option<SaslConfig>, String> {
    let (user, password) = match (&settings.user, &settings.password) {
        (None, None) => return Ok(None),
        (Some(user), Some(password)) => (user.clone(), password.read()?),
        _ => return Err("`user` and `password` need each other".to_owned()),
    };
    let credentials = Credentials::new(user, password);
    Ok(Some(match settings.mechanism {
        Mechanism::Plain => SaslConfig::Plain(credentials),
        Mechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
        Mechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
    }))
}

fn refusal(error: &Error) -> Refusal {
    let why = told(error);
    match error {
        Error::ServerError {
            protocol_error:
                ProtocolError::MessageTooLarge
                | ProtocolError::RecordListTooLarge
                | ProtocolError::InvalidRecord
                | ProtocolError::InvalidTimestamp,
            ..
        } => Refusal::Content(why),
        _ => Refusal::Moment(why),
    }
}

/// Without the attempts that it was found in.
fn told(error: &Error) -> String {
    match error {
        Error::ServerError { protocol_error, .. } => format!("the broker says {protocol_error:?}"),
        Error::RetryFailed(BackoffError::DeadlineExceded { source, .. })
        | Error::Connection(ConnectionError::RetryFailed(BackoffError::DeadlineExceded {
            source,
            ..
        })) => {
            let source: &(dyn std::error::Error + 'static) = source.as_ref();
            source
                .downcast_ref::<Error>()
                .map_or_else(|| source.to_string(), told)
        }
        // It names its causes itself.
        _ => error.to_string(),
    }
}
