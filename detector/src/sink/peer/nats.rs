//! NATS JetStream: an alert is delivered when the stream has acknowledged it, and its UUID is the
//! message's id, so that the stream keeps one that was sent twice once.

use std::{
    fmt::Display,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, ConnectOptions, Event, HeaderMap, ServerAddr,
    connection::State,
    header::NATS_MESSAGE_ID,
    jetstream::{
        self, Context, ErrorCode,
        context::{PublishError, PublishErrorKind},
    },
};
use futures_util::future::join_all;

use super::{Fate, Letter, Reply, tls};
use crate::{
    causes::chain,
    files::{self, MAX_SIZE},
    sink::settings::{NatsSettings, without_secrets},
};

#[derive(Debug)]
pub(super) struct Nats {
    servers: Vec<ServerAddr>,
    settings: NatsSettings,
    tls: rustls::ClientConfig,
    /// `None` before the first connection, and after a failure to connect.
    connection: Option<(Client, Context)>,
    /// What the server said last, beside its answers: why there is none, perhaps.
    said: Arc<Mutex<Option<String>>>,
}

impl Nats {
    pub(super) fn new(settings: &NatsSettings) -> Result<Self, String> {
        let servers = settings.url.split(',').map(|url| {
            let parsed = url.trim().parse();
            parsed.map_err(|error| {
                format!(
                    "`{}` is no URL of a NATS server: {error}",
                    without_secrets(url)
                )
            })
        });
        let subject = &settings.subject;
        if subject.is_empty() || subject.contains(|letter: char| " \t\r\n*>".contains(letter)) {
            return Err(format!("`{subject}` is no subject to publish to"));
        }
        let nats = Self {
            servers: servers.collect::<Result<_, String>>()?,
            tls: tls::config(&settings.tls)?,
            settings: settings.clone(),
            connection: None,
            said: Arc::default(),
        };
        // What cannot be read now is told now.
        nats.options()?;
        Ok(nats)
    }

    pub(super) fn batch(&self) -> usize {
        self.settings.batch.max(1)
    }

    pub(super) async fn send(&mut self, letters: &[Letter]) -> Reply {
        self.said();
        let mut fates = match self.publish(letters).await {
            Ok(fates) => fates,
            Err(why) => Reply::again(letters.len(), why).fates,
        };
        let mut failed = fates.iter_mut().filter_map(|fate| match fate {
            Fate::Again(why) => Some(why),
            Fate::Delivered | Fate::Refused(_) => None,
        });
        if let Some(why) = failed.next()
            && let Some(said) = self.said()
        {
            *why = format!("{why}, and the server says: {said}").into();
        }
        Reply { fates, after: None }
    }

    /// Since it was looked at.
    fn said(&self) -> Option<String> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.take()
    }

    async fn publish(&mut self, letters: &[Letter]) -> Result<Vec<Fate>, String> {
        // It would connect again by itself, but with the credentials that it has; and what it was handed
        // meanwhile would wait in memory.
        let is_connected =
            |(client, _): &(Client, Context)| client.connection_state() == State::Connected;
        let connection = match self.connection.take().filter(is_connected) {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let (_, context) = self.connection.insert(connection);
        let mut acknowledgements = Vec::with_capacity(letters.len());
        for letter in letters {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, letter.kept.uuid().to_string());
            let (subject, body) = (self.settings.subject.clone(), letter.body.clone());
            let sent = context.publish_with_headers(subject, headers, body.into());
            acknowledgements.push(match sent.await {
                Ok(acknowledgement) => Ok(acknowledgement),
                Err(error) if is_too_long(&error) => Err(error),
                Err(error) => return Err(chain(&error)),
            });
        }
        let fates = acknowledgements.into_iter().map(|sent| async {
            let acknowledged = match sent {
                Ok(acknowledgement) => acknowledgement.await,
                Err(error) => Err(error),
            };
            match acknowledged {
                Ok(_) => Fate::Delivered,
                Err(error) if is_too_long(&error) => Fate::Refused(chain(&error).into()),
                Err(error) => Fate::Again(chain(&error).into()),
            }
        });
        Ok(join_all(fates).await)
    }

    async fn connect(&self) -> Result<(Client, Context), String> {
        let client = self
            .options()?
            .connect(&self.servers[..])
            .await
            .map_err(|error| chain(&error))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(self.settings.timeout.0);
        Ok((client, context))
    }

    fn options(&self) -> Result<ConnectOptions, String> {
        let (settings, said) = (&self.settings, Arc::clone(&self.said));
        let hear = move |event| {
            if let Event::ServerError(error) = event {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                *said = Some(error.to_string());
            }
            std::future::ready(())
        };
        let options = ConnectOptions::new()
            .event_callback(hear)
            .name("kubelet-detector")
            .connection_timeout(settings.timeout.0)
            .reconnect_delay_callback(|attempt| Duration::from_millis(100 << attempt.min(8)))
            .tls_client_config(self.tls.clone());
        match (
            &settings.credentials,
            &settings.user,
            &settings.password,
            &settings.token,
        ) {
            (None, None, None, None) => Ok(options),
            (Some(path), None, None, None) => {
                let text = credentials(path)?;
                options
                    .credentials(&text)
                    .map_err(|error| unreadable(path, &error))
            }
            (None, Some(user), Some(password), None) => {
                Ok(options.user_and_password(user.clone(), password.read()?))
            }
            (None, None, None, Some(token)) => Ok(options.token(token.read()?)),
            _ => Err("give `credentials`, or `user` and `password`, or `token`".to_owned()),
        }
    }
}

/// What a file of credentials has.
pub(super) fn credentials(path: &Path) -> Result<String, String> {
    let bytes = files::read(path, MAX_SIZE).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &dyn Display) -> String {
    let path = path.display();
    format!("no credentials can be read of {path}, give a file of `nsc`: {error}")
}

/// For the server or the stream: it stays so.
fn is_too_long(error: &PublishError) -> bool {
    let cause = std::error::Error::source(error);
    let answer = cause.and_then(|cause| cause.downcast_ref::<jetstream::Error>());
    error.kind() == PublishErrorKind::MaxPayloadExceeded
        || answer
            .is_some_and(|answer| answer.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}
