//! A receiver of alerts over HTTP that behaves as it is told to, and remembers what it got.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Takes,
    /// Answers after this time.
    Slow(Duration),
    /// Resets the connection when it has read half of the body.
    Resets,
    /// Answers with a status, and `Retry-After` in seconds.
    Answers(u16, Option<u32>),
    /// Closes its side without an answer, and reads on.
    HalfCloses,
    /// Takes all alerts but those with a sequence that ten divides: a request with one of them is
    /// refused with 400.
    Refuses,
}

/// Alerts whose times are measured: a map that grows meanwhile touches all of its new pages at once,
/// which is a stall of the peer where a virtual machine has to ask for each.
const ROOM: usize = 1 << 14;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
}

struct Shared {
    manner: Mutex<Manner>,
    /// How often each alert came, by its UUID.
    got: Mutex<HashMap<String, u32>>,
    /// Each as it came first, if they are asked for.
    alerts: Mutex<Option<Vec<Value>>>,
    /// When each came first, by its sequence.
    times: Mutex<HashMap<u64, Instant>>,
    tls: Mutex<Option<Arc<ServerConfig>>>,
}

impl Server {
    /// On a port of loopback; `tls` if it is to speak it.
    pub(crate) fn start(manner: Manner, port: u16, tls: Option<Arc<ServerConfig>>) -> Self {
        let shared = Shared {
            manner: Mutex::new(manner),
            got: Mutex::new(HashMap::with_capacity(ROOM)),
            alerts: Mutex::default(),
            times: Mutex::new(HashMap::with_capacity(ROOM)),
            tls: Mutex::new(tls),
        };
        Self::serve(Arc::new(shared), port)
    }

    /// It is gone, and its connections with it, while something is done.
    pub(crate) fn down(self, meanwhile: impl FnOnce()) -> Self {
        let (shared, port) = (Arc::clone(&self.shared), self.address.port());
        drop(self);
        meanwhile();
        Self::serve(shared, port)
    }

    fn serve(shared: Arc<Shared>, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            shared,
            stop: Arc::default(),
        };
        let (shared, stop) = (Arc::clone(&server.shared), Arc::clone(&server.stop));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(SeqCst) {
                    return;
                }
                let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
                // A connection that breaks is what is tested.
                std::thread::spawn(move || stream.and_then(|stream| shared.serve(stream, &stop)));
            }
        });
        server
    }

    /// A port that nobody listens on.
    pub(crate) fn free_port() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    pub(crate) fn renew(&self, tls: Arc<ServerConfig>) {
        *self.shared.tls.lock().unwrap() = Some(tls);
    }

    /// How many different alerts came, and how many came again.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let got = self.shared.got.lock().unwrap();
        let all: u64 = got.values().map(|count| u64::from(*count)).sum();
        (got.len() as u64, all - got.len() as u64)
    }

    /// From now on it keeps what it gets.
    pub(crate) fn keep(&self) {
        *self.shared.alerts.lock().unwrap() = Some(Vec::new());
    }

    /// Every alert that was kept, once.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        self.shared.alerts.lock().unwrap().clone().unwrap()
    }

    pub(crate) fn times(&self) -> HashMap<u64, Instant> {
        self.shared.times.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        // Wakes the one who listens.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream, stop: &AtomicBool) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let tls = self.tls.lock().unwrap().clone();
        match tls {
            None => {
                let raw = stream.try_clone()?;
                self.talk(stream, &raw, stop)
            }
            Some(config) => {
                let raw = stream.try_clone()?;
                let session = ServerConnection::new(config).map_err(std::io::Error::other)?;
                self.talk(StreamOwned::new(session, stream), &raw, stop)
            }
        }
    }

    fn talk(
        &self,
        stream: impl Read + Write,
        raw: &TcpStream,
        stop: &AtomicBool,
    ) -> std::io::Result<()> {
        let mut stream = BufReader::with_capacity(1 << 16, stream);
        while !stop.load(SeqCst) {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let line = line.trim_end().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            if stop.load(SeqCst) {
                return Ok(());
            }
            let manner = *self.manner.lock().unwrap();
            let mut body = vec![0; length];
            if manner == Manner::Resets {
                stream.read_exact(&mut body[..length / 2])?;
                // Unread bytes make a reset of the close.
                return Ok(());
            }
            stream.read_exact(&mut body)?;
            let (status, after) = match manner {
                Manner::Takes | Manner::Resets => self.take(&body),
                Manner::Slow(time) => {
                    std::thread::sleep(time);
                    self.take(&body)
                }
                Manner::Answers(status, after) => (status, after),
                Manner::HalfCloses => {
                    raw.shutdown(Shutdown::Write)?;
                    continue;
                }
                Manner::Refuses if sequences(&body).iter().any(|one| one % 10 == 0) => (400, None),
                Manner::Refuses => self.take(&body),
            };
            let after = after.map_or(String::new(), |after| format!("Retry-After: {after}\r\n"));
            let head = format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n{after}\r\n");
            stream.get_mut().write_all(head.as_bytes())?;
            stream.get_mut().flush()?;
        }
        Ok(())
    }

    fn take(&self, body: &[u8]) -> (u16, Option<u32>) {
        let now = Instant::now();
        let mut got = self.got.lock().unwrap();
        let mut times = self.times.lock().unwrap();
        for alert in alerts(body) {
            let uuid = alert["uuid"].as_str().unwrap().to_owned();
            let count = got.entry(uuid).or_default();
            *count += 1;
            times
                .entry(alert["sequence"].as_u64().unwrap())
                .or_insert(now);
            if *count == 1
                && let Some(alerts) = &mut *self.alerts.lock().unwrap()
            {
                alerts.push(alert);
            }
        }
        (200, None)
    }
}

fn alerts(body: &[u8]) -> Vec<Value> {
    let lines = body.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn sequences(body: &[u8]) -> Vec<u64> {
    let alerts = alerts(body);
    alerts
        .iter()
        .map(|one| one["sequence"].as_u64().unwrap())
        .collect()
}
