//! The load of `cargo xtask bench overhead`: `connects PORT COUNT`. One thread connects to a
//! listener of its own and accepts, so that nothing waits for another thread; both ends are closed
//! by a reset, so that no port is left in TIME_WAIT. Prints what a connect() took, mean and median
//! in nanoseconds, and connects a second.
//!
//! Mean and rate are of the fastest 99 of 100: of others' work on a shared machine the rest tells
//! more than of a connect.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SocketType, accept, bind, connect, listen, socket, sockopt};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().ok_or("name a port")?.parse()?;
    let count: u32 = arguments.next().ok_or("name a count")?.parse()?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let stream = || socket(AddressFamily::INET, SocketType::STREAM, None);
    let listener = stream()?;
    sockopt::set_socket_reuseaddr(&listener, true)?;
    bind(&listener, &address)?;
    listen(&listener, 16)?;
    let (mut took, mut turns) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let turn = Instant::now();
        let client = stream()?;
        let start = Instant::now();
        connect(&client, &address)?;
        took.push(start.elapsed());
        let server = accept(&listener)?;
        for end in [client, server] {
            sockopt::set_socket_linger(&end, Some(Duration::ZERO))?;
        }
        turns.push(turn.elapsed());
    }
    let mean = mean_ns(&mut took);
    let rate = 1e9 / mean_ns(&mut turns);
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    println!("{mean} {} {rate}", median.as_nanos());
    Ok(())
}

/// Sorts.
fn mean_ns(durations: &mut [Duration]) -> f64 {
    durations.sort();
    let counted = (durations.len() * 99).div_ceil(100);
    let sum: Duration = durations.iter().take(counted).sum();
    sum.as_secs_f64() * 1e9 / counted.max(1) as f64
}
