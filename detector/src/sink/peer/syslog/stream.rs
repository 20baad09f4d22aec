//! A connection to a syslog server, of which nothing but its closing is read.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use rustix::net::sockopt::set_tcp_user_timeout;
use rustls::{ClientConfig, ProtocolVersion, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::super::unacked::acknowledged;

/// After it a peer that does not acknowledge is gone (`TCP_USER_TIMEOUT`).
const SILENCE_MS: u32 = 10_000;
/// A server that refuses our certificate does so within it.
const VERDICT: Duration = Duration::from_secs(1);

pub(super) struct Stream {
    address: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connection: Option<Connection>,
}

enum Connection {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

impl Stream {
    pub(super) fn plain(address: String) -> Self {
        Self {
            address,
            tls: None,
            connection: None,
        }
    }

    pub(super) fn encrypted(
        address: String,
        name: ServerName<'static>,
        config: ClientConfig,
    ) -> Self {
        Self {
            address,
            tls: Some((TlsConnector::from(Arc::new(config)), name)),
            connection: None,
        }
    }

    /// Returns when the peer's kernel has the bytes.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Bytes that are written to a peer which has closed are gone.
        if let Some(connection) = &mut self.connection
            && connection.is_closed().await
        {
            self.connection = None;
        }
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => {
                let open = self.connect().await?;
                self.connection.insert(open)
            }
        };
        match connection {
            Connection::Plain(stream) => write(stream, bytes).await?,
            Connection::Encrypted(stream) => write(stream, bytes).await?,
        }
        acknowledged(connection.tcp()).await?;
        if connection.is_closed().await {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    pub(super) async fn finish(&mut self) {
        let ended = match self.connection.take() {
            Some(Connection::Plain(mut stream)) => stream.shutdown().await,
            Some(Connection::Encrypted(mut stream)) => stream.shutdown().await,
            None => Ok(()),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the end of the connection is not told");
        }
    }

    async fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        set_tcp_user_timeout(&stream, SILENCE_MS)?;
        let Some((connector, name)) = &self.tls else {
            return Ok(Connection::Plain(stream));
        };
        let mut stream = connector.connect(name.clone(), stream).await?;
        if connector.config().client_auth_cert_resolver.has_certs() {
            timeout(VERDICT, welcome(&mut stream))
                .await
                .unwrap_or(Ok(()))?;
        }
        Ok(Connection::Encrypted(Box::new(stream)))
    }
}

impl Connection {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Encrypted(stream) => stream.get_ref().0,
        }
    }

    async fn is_closed(&mut self) -> bool {
        match self {
            Self::Plain(stream) => ended(stream).await,
            Self::Encrypted(stream) => ended(stream.as_mut()).await,
        }
    }
}

/// TLS 1.3 ends for a client before the server has looked at its certificate: what is written until
/// then may never be read. That it is accepted is told by a ticket, of most servers.
async fn welcome(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    if stream.get_ref().1.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Ok(());
    }
    poll_fn(|context| {
        let mut said = [0; 256];
        loop {
            if stream.get_ref().1.tls13_tickets_received() > 0 {
                return Poll::Ready(Ok(()));
            }
            let mut said = ReadBuf::new(&mut said);
            let read = Pin::new(&mut *stream).poll_read(context, &mut said);
            if read.is_pending() && stream.get_ref().1.tls13_tickets_received() > 0 {
                return Poll::Ready(Ok(()));
            }
            ready!(read)?;
            if said.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
        }
    })
    .await
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Whether there is an end, or an error, to be read now. What a server says is not of interest.
async fn ended(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut said = [0; 256];
    loop {
        let read = stream.read(&mut said);
        tokio::select! {
            biased;
            read = read => match read {
                Ok(0) | Err(_) => return true,
                Ok(_) => {}
            },
            () = std::future::ready(()) => return false,
        }
    }
}
