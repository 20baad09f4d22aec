//! Loads: connects to loopback, closed by a reset so that no port is left in TIME_WAIT.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::net::sockopt;

/// A listener whose connections are accepted and dropped until it is.
pub(super) struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn start(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))
            .with_context(|| format!("cannot listen on port {port}"))?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                drop(listener.accept());
            }
        });
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accept.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// One connect; how long connect() took. A refused one counts as well.
pub(super) fn connect(port: u16) -> Result<Duration> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let start = Instant::now();
    let stream = TcpStream::connect(address);
    let took = start.elapsed();
    match stream {
        Ok(stream) => sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        Err(error) => return Err(error).context("a connect of the load failed"),
    }
    Ok(took)
}

/// The durations of `count` connects, sorted.
pub(super) fn connects(port: u16, count: usize) -> Result<Vec<Duration>> {
    let mut took = (0..count)
        .map(|_| connect(port))
        .collect::<Result<Vec<_>>>()?;
    took.sort();
    Ok(took)
}

/// Of sorted durations; `per_mille` 500 is the median.
pub(super) fn quantile(sorted: &[Duration], per_mille: usize) -> Duration {
    let index = (sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}
