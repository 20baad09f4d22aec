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

/// To its own listener. Each connection is reset, so that none is left in TIME_WAIT. One that is
/// reset before the server took it may never come to the server, so nobody waits for that: it ends
/// with the process.
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
    let interval = 2 * Duration::from_secs(1) / rate.max(1);
    let half = move |count: u32| move || paced(port, count, interval).map_err(|e| e.to_string());
    let second = std::thread::spawn(half(count / 2));
    half(count - count / 2)()?;
    second.join().map_err(|_panic| "a thread panicked")??;
    fact("milliseconds", begin.elapsed().as_millis());
    Ok(())
}

fn paced(port: u16, count: u32, interval: Duration) -> Result {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let begin = Instant::now();
    for connect in 0..count {
        let ahead = (interval * connect).saturating_sub(begin.elapsed());
        if ahead > AHEAD {
            std::thread::sleep(ahead);
        }
        match net::connect(&socket, &address) {
            Err(Errno::CONNREFUSED) => {}
            other => return Err(format!("a connect returned {other:?}").into()),
        }
    }
    Ok(())
}

/// One refused connect a second.
pub(crate) fn steady(port: u16, count: u32) -> Result {
    for _ in 0..count {
        traffic::refused((Ipv4Addr::LOCALHOST, port))?;
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}
