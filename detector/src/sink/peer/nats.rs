//! NATS JetStream: an alert is delivered when the stream has acknowledged it, and its UUID is the
//! message's id, so that the stream keeps one that was sent twice once.

use std::time::Duration;

use async_nats::{
    Client, ConnectOptions, HeaderMap,
    connection::State,
    header::NATS_MESSAGE_ID,
    jetstream::{self, Context},
};
use futures_util::future::join_all;

use super::{Fate, Letter, Reply, chain, tls};
use crate::sink::settings::NatsSettings;

#[derive(Debug)]
pub(super) struct Nats {
    settings: NatsSettings,
    tls: rustls::ClientConfig,
    /// `None` before the first connection.
    connection: Option<(Client, Context)>,
}

impl Nats {
    pub(super) fn new(settings: &NatsSettings) -> Result<Self, String> {
        Ok(Self {
            tls: tls::config(&settings.tls)?,
            settings: settings.clone(),
            connection: None,
        })
    }

    pub(super) fn batch(&self) -> usize {
        self.settings.batch.max(1)
    }

    pub(super) async fn send(&mut self, letters: &[Letter]) -> Reply {
        match self.publish(letters).await {
            Ok(fates) => Reply { fates, after: None },
            Err(why) => Reply::again(letters.len(), why),
        }
    }

    async fn publish(&mut self, letters: &[Letter]) -> Result<Vec<Fate>, String> {
        let (client, context) = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        // It connects again by itself; what it was handed meanwhile would wait in memory.
        let connected = client.connection_state() == State::Connected;
        let (_, context) = self.connection.insert((client, context));
        if !connected {
            return Err("the server is not connected".to_owned());
        }
        let mut acknowledgements = Vec::with_capacity(letters.len());
        for letter in letters {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_MESSAGE_ID, letter.kept.uuid().to_string());
            let (subject, body) = (self.settings.subject.clone(), letter.body.clone());
            let sent = context.publish_with_headers(subject, headers, body.into());
            acknowledgements.push(sent.await.map_err(|error| chain(&error))?);
        }
        let fates = acknowledgements.into_iter().map(|acknowledged| async {
            match acknowledged.await {
                Ok(_) => Fate::Delivered,
                Err(error) => Fate::Again(chain(&error)),
            }
        });
        Ok(join_all(fates).await)
    }

    async fn connect(&self) -> Result<(Client, Context), String> {
        let settings = &self.settings;
        let timeout = settings.timeout.0;
        let mut options = ConnectOptions::new()
            .name("kubelet-detector")
            .connection_timeout(timeout)
            .reconnect_delay_callback(|attempt| Duration::from_millis(100 << attempt.min(8)))
            .tls_client_config(self.tls.clone());
        if let Some(path) = &settings.credentials {
            options = options.credentials_file(path).await.map_err(|error| {
                format!("no credentials can be read of {}: {error}", path.display())
            })?;
        }
        if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
            options = options.user_and_password(user.clone(), password.read()?);
        }
        if let Some(token) = &settings.token {
            options = options.token(token.read()?);
        }
        let servers: Vec<&str> = settings.url.split(',').map(str::trim).collect();
        let client = options
            .connect(&servers[..])
            .await
            .map_err(|error| chain(&error))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(timeout);
        Ok((client, context))
    }
}
