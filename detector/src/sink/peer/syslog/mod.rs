//! RFC 5424 over a Unix socket, UDP, TCP and TLS.
//!
//! Syslog has no acknowledgement of its own. Over TCP and TLS an alert counts as delivered when the
//! peer's kernel has acknowledged its bytes and the peer has not closed the connection; over UDP when
//! it is sent, which is why UDP is not for those who want every alert.

mod message;
mod stream;

use std::time::Duration;

use tokio::{
    net::{UdpSocket, UnixDatagram},
    time::timeout,
};

use self::{
    message::{Facility, push},
    stream::Stream,
};
use super::{Fate, Letter, Reply, tls};
use crate::sink::settings::SyslogSettings;

#[derive(Debug)]
pub(super) struct Syslog {
    facility: Facility,
    timeout: Duration,
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Unix {
        path: String,
        socket: Option<UnixDatagram>,
    },
    Udp {
        address: String,
        socket: Option<UdpSocket>,
    },
    Stream(Stream),
}

impl Syslog {
    pub(super) const BATCH: usize = 500;

    pub(super) fn new(settings: &SyslogSettings) -> Result<Self, String> {
        const EXPECTED: &str =
            "write unix:/dev/log, udp://host:514, tcp://host:601 or tls://host:6514";
        let address = &settings.address;
        let wrong = || format!("`{address}` is no address of a syslog server: {EXPECTED}");
        let (scheme, rest) = address.split_once(':').ok_or_else(wrong)?;
        let host = || {
            let host = rest.strip_prefix("//").filter(|host| host.contains(':'));
            host.map(str::to_owned).ok_or_else(wrong)
        };
        let transport = match scheme {
            "unix" => Transport::Unix {
                path: rest.to_owned(),
                socket: None,
            },
            "udp" => Transport::Udp {
                address: host()?,
                socket: None,
            },
            "tcp" => Transport::Stream(Stream::plain(host()?)),
            "tls" => {
                let config = tls::config(&settings.tls)?;
                let name = settings.tls.server_name.as_deref();
                Transport::Stream(Stream::encrypted(host()?, name, config)?)
            }
            _ => return Err(wrong()),
        };
        Ok(Self {
            facility: Facility::parse(&settings.facility)?,
            timeout: settings.timeout.0,
            transport,
        })
    }

    /// RFC 5425, section 4.4: the end is told.
    pub(super) async fn finish(&mut self) {
        if let Transport::Stream(stream) = &mut self.transport {
            drop(timeout(self.timeout, stream.finish()).await);
        }
    }

    pub(super) async fn send(&mut self, letters: &[Letter]) -> Reply {
        let messages = letters.iter().map(|letter| {
            let mut message = Vec::with_capacity(letter.body.len() + 256);
            push(&letter.kept, &letter.body, self.facility, &mut message);
            message
        });
        let messages: Vec<Vec<u8>> = messages.collect();
        let mut sent = 0;
        let outcome = timeout(self.timeout, self.transport.send(&messages, &mut sent)).await;
        let why = match outcome {
            Ok(Ok(())) => return Reply::all(letters.len(), Fate::Delivered),
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no answer within {:?}", self.timeout),
        };
        self.transport.close();
        let mut reply = Reply::again(letters.len(), why);
        reply
            .fates
            .iter_mut()
            .take(sent)
            .for_each(|fate| *fate = Fate::Delivered);
        reply
    }
}

impl Transport {
    /// `sent`: how many of them are delivered, also if the rest is not.
    async fn send(&mut self, messages: &[Vec<u8>], sent: &mut usize) -> std::io::Result<()> {
        match self {
            Self::Unix { path, socket } => {
                let socket = match socket {
                    Some(socket) => socket,
                    None => {
                        let open = UnixDatagram::unbound()?;
                        open.connect(&*path)?;
                        socket.insert(open)
                    }
                };
                for message in messages {
                    socket.send(message).await?;
                    *sent += 1;
                }
                Ok(())
            }
            Self::Udp { address, socket } => {
                let socket = match socket {
                    Some(socket) => socket,
                    None => {
                        let server = tokio::net::lookup_host(&*address).await?.next();
                        let server = server.ok_or(std::io::ErrorKind::NotFound)?;
                        let any = if server.is_ipv4() {
                            "0.0.0.0:0"
                        } else {
                            "[::]:0"
                        };
                        let open = UdpSocket::bind(any).await?;
                        open.connect(server).await?;
                        socket.insert(open)
                    }
                };
                for message in messages {
                    socket.send(message).await?;
                    *sent += 1;
                }
                Ok(())
            }
            Self::Stream(stream) => {
                let mut bytes = Vec::new();
                for message in messages {
                    // RFC 6587, section 3.4.1: octet counting.
                    bytes.extend_from_slice(message.len().to_string().as_bytes());
                    bytes.push(b' ');
                    bytes.extend_from_slice(message);
                }
                stream.send(&bytes).await
            }
        }
    }

    /// The next alert begins with a new connection.
    fn close(&mut self) {
        match self {
            Self::Unix { socket, .. } => *socket = None,
            Self::Udp { socket, .. } => *socket = None,
            Self::Stream(stream) => stream.close(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        let syslog = |address: &str| {
            let text = format!(r#"{{"address": "{address}"}}"#);
            Syslog::new(&serde_json::from_str(&text).unwrap())
        };
        for good in [
            "unix:/dev/log",
            "udp://[::1]:514",
            "tcp://host:601",
            "tls://host:6514",
        ] {
            assert!(syslog(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "host:514",
            "tcp://host",
            "http://host:1",
            "tls:///",
            "/dev/log",
        ] {
            assert!(syslog(wrong).is_err(), "{wrong}");
        }
    }
}
