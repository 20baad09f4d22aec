//! Connects as fast as one process can make them, to its own listener.

use std::{
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use rustix::net::sockopt;

use crate::Result;

/// Each connection is reset, so that none is left in TIME_WAIT. One that is reset before the server
/// took it may never come to the server, so nobody waits for that: it ends with the process.
pub(crate) fn flood(port: u16, count: u32) -> Result {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    std::thread::spawn(move || {
        loop {
            drop(listener.accept());
        }
    });
    let begin = Instant::now();
    for _ in 0..count {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    }
    let took = begin.elapsed().as_secs_f64();
    println!("{count} connects in {took:.2} s");
    Ok(())
}
