//! Connects as fast as one process can make them, or at a pace.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{self, AddressFamily, SocketType, sockopt},
};

use crate::{Result, fact, traffic};

/// A process that is ahead of its pace by less goes on: to sleep takes longer.
const AHEAD: Duration = Duration::from_micros(200);

/// To its own listener, by one thread, `rate` a second: a server that an idle CPU wakes late has its
/// queue full after 128 connections, and each further one takes a second. Each connection is reset,
/// so that none is left in TIME_WAIT.
pub(crate) fn flood(port: u16, count: u32, rate: u32) -> Result {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    let mut pace = Pace::new(rate);
    for _ in 0..count {
        pace.wait();
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        drop(listener.accept()?);
        sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    }
    let took = pace.begin.elapsed().as_secs_f64();
    println!("{count} connects in {took:.2} s");
    Ok(())
}

/// Refused connects of a thread that has another name for each.
pub(crate) fn renamed(port: u16, count: u32) -> Result {
    for number in 0..count {
        let name = std::ffi::CString::new(format!("name-{number}"))?;
        rustix::thread::set_name(&name)?;
        traffic::refused(([127, 0, 0, 1], port))?;
    }
    Ok(())
}

/// Refused connects by two threads, each of one socket, which is the cheapest there is: `rate` a
/// second, or as many as the machine can.
pub(crate) fn refused(port: u16, count: u32, rate: u32) -> Result {
    let begin = Instant::now();
    let half = move |count: u32| move || paced(port, count, rate / 2).map_err(|e| e.to_string());
    let second = std::thread::spawn(half(count / 2));
    half(count - count / 2)()?;
    second.join().map_err(|_panic| "a thread panicked")??;
    fact("milliseconds", begin.elapsed().as_millis());
    Ok(())
}

fn paced(port: u16, count: u32, rate: u32) -> Result {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let mut pace = Pace::new(rate);
    for _ in 0..count {
        pace.wait();
        match net::connect(&socket, &address) {
            Err(Errno::CONNREFUSED) => {}
            other => return Err(format!("a connect returned {other:?}").into()),
        }
    }
    Ok(())
}

/// So many connects a second at most.
struct Pace {
    begin: Instant,
    interval: Duration,
    connects: u32,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self {
            begin: Instant::now(),
            interval: Duration::from_secs(1) / rate.max(1),
            connects: 0,
        }
    }

    /// Until it is time for the next.
    fn wait(&mut self) {
        let ahead = (self.interval * self.connects).saturating_sub(self.begin.elapsed());
        if ahead > AHEAD {
            std::thread::sleep(ahead);
        }
        self.connects += 1;
    }
}

/// One refused connect a second.
pub(crate) fn steady(port: u16, count: u32) -> Result {
    for _ in 0..count {
        traffic::refused((Ipv4Addr::LOCALHOST, port))?;
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}
