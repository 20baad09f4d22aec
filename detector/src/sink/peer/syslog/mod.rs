//! RFC 5424 over a Unix socket, UDP, TCP and TLS.
//!
//! Syslog has no acknowledgement of its own. Over a Unix socket an alert counts as delivered when the
//! peer has read it; over TCP and TLS when the peer's kernel has acknowledged its bytes and the peer has
//! not closed the connection; over UDP when it is sent, which is why UDP is not for those who want every
//! alert.

mod message;
mod stream;

use std::{io, net::SocketAddr, time::Duration};

use rustix::io::Errno;
use tokio::{
    net::{UdpSocket, UnixDatagram, lookup_host},
    time::timeout,
};

use self::{
    message::{Facility, push},
    stream::Stream,
};
use super::{Fate, Letter, Reply, tls, unacked::acknowledged};
use crate::sink::settings::{SyslogSettings, TlsSettings};

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
        /// How often it failed: a name may have several addresses, and not all of them answer.
        failed: usize,
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
        let host = || rest.strip_prefix("//").and_then(host).ok_or_else(wrong);
        if scheme != "tls" && settings.tls != TlsSettings::default() {
            return Err(format!(
                "`tls` is given, but the address is {scheme}: write tls://"
            ));
        }
        let transport = match scheme {
            "unix" if rest.starts_with('/') => Transport::Unix {
                path: rest.to_owned(),
                socket: None,
            },
            "udp" => Transport::Udp {
                address: host()?.1,
                socket: None,
                failed: 0,
            },
            "tcp" => Transport::Stream(Stream::plain(host()?.1)),
            "tls" => {
                let (host, address) = host()?;
                let name = settings.tls.server_name.as_ref().unwrap_or(&host);
                let name = tls::server_name(name)?;
                Transport::Stream(Stream::encrypted(
                    address,
                    name,
                    tls::config(&settings.tls)?,
                ))
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
        let mut fates = Vec::with_capacity(messages.len());
        let outcome = timeout(self.timeout, self.transport.send(&messages, &mut fates)).await;
        let why = match outcome {
            Ok(Ok(())) => return Reply { fates, after: None },
            Ok(Err(error)) if Errno::from_io_error(&error) == Some(Errno::PROTOTYPE) => {
                "the socket takes a stream: give one that takes datagrams".to_owned()
            }
            Ok(Err(error)) => error.to_string(),
            Err(_elapsed) => format!("no answer within {:?}", self.timeout),
        };
        self.transport.close();
        fates.resize(letters.len(), Fate::Again(why.into()));
        Reply { fates, after: None }
    }
}

impl Transport {
    /// `fates`: of the first of them, also if it fails for the rest.
    async fn send(&mut self, messages: &[Vec<u8>], fates: &mut Vec<Fate>) -> io::Result<()> {
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
                let mut sent = Vec::with_capacity(messages.len());
                for message in messages {
                    sent.push(datagram(socket.send(message).await, message)?);
                }
                acknowledged(socket).await?;
                fates.append(&mut sent);
            }
            Self::Udp {
                address,
                socket,
                failed,
            } => {
                let socket = match socket {
                    Some(socket) => socket,
                    None => socket.insert(connect(address, *failed).await?),
                };
                for message in messages {
                    fates.push(datagram(socket.send(message).await, message)?);
                }
            }
            Self::Stream(stream) => {
                let mut bytes = Vec::new();
                for message in messages {
                    // RFC 6587, section 3.4.1: octet counting.
                    bytes.extend_from_slice(message.len().to_string().as_bytes());
                    bytes.push(b' ');
                    bytes.extend_from_slice(message);
                }
                stream.send(&bytes).await?;
                fates.resize(messages.len(), Fate::Delivered);
            }
        }
        Ok(())
    }

    /// The next alert begins with a new connection.
    fn close(&mut self) {
        match self {
            Self::Unix { socket, .. } => *socket = None,
            Self::Udp { socket, failed, .. } => {
                *socket = None;
                *failed = failed.wrapping_add(1);
            }
            Self::Stream(stream) => stream.close(),
        }
    }
}

/// The host, and the address as it is, of `host:port`; IPv6 is in brackets.
fn host(address: &str) -> Option<(String, String)> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = match host.strip_prefix('[') {
        Some(ip) => ip.strip_suffix(']').filter(|ip| ip.contains(':'))?,
        None => Some(host).filter(|host| !host.contains([':', '/', '@', ']']))?,
    };
    let port: u16 = port.parse().ok()?;
    (port > 0 && !bare.is_empty()).then(|| (bare.to_owned(), address.to_owned()))
}

/// To one of its addresses, each in its turn.
async fn connect(address: &str, turn: usize) -> io::Result<UdpSocket> {
    let servers: Vec<SocketAddr> = lookup_host(address).await?.collect();
    let server = turn.checked_rem(servers.len());
    let server = server.and_then(|index| servers.get(index));
    let server = server.ok_or(io::ErrorKind::NotFound)?;
    let any = match server.is_ipv4() {
        true => "0.0.0.0:0",
        false => "[::]:0",
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// What is too long stays so; whatever else there is will pass.
fn datagram(sent: io::Result<usize>, message: &[u8]) -> io::Result<Fate> {
    match sent {
        Ok(_) => Ok(Fate::Delivered),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::MSGSIZE) => {
            let length = message.len();
            Ok(Fate::Refused(
                format!("{length} bytes are too many for a datagram").into(),
            ))
        }
        Err(error) => Err(error),
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
            "unix:",
            "udp://host:",
            "udp://host:0",
            "tcp://host:65536",
            "tcp://:514",
            "tcp://::1:514",
            "tcp://[::1]",
            "tcp://host:1/path",
        ] {
            assert!(syslog(wrong).is_err(), "{wrong}");
        }
    }
}
