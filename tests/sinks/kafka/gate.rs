//! Stands before a broker and answers some requests in its place, for the one that the tests have
//! takes batches of any length, and never stops to lead a partition.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Kafka's codes.
const NOT_LEADER: i16 = 6;
const TOO_LARGE: i16 = 10;
/// Of requests.
const PRODUCE: i16 = 0;

/// What it refuses.
#[derive(Default)]
pub(super) struct Gate {
    /// Requests that are longer.
    pub(super) max_bytes: usize,
    /// So many of the others, because the broker does not lead the partition any more.
    pub(super) moved: AtomicUsize,
    pub(super) refused: AtomicUsize,
}

impl Gate {
    /// Returns its port.
    pub(super) fn open(self: &Arc<Self>, broker: u16) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate = Arc::clone(self);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (gate, client) = (Arc::clone(&gate), client.unwrap());
                thread::spawn(move || gate.pass(client, broker));
            }
        });
        port
    }

    /// One connection, a request at a time, as the sink sends them.
    fn pass(&self, mut client: TcpStream, broker: u16) {
        let mut server = TcpStream::connect(("127.0.0.1", broker)).unwrap();
        while let Some(request) = message(&mut client) {
            let answer = match self.refusal(&request) {
                Some(code) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    Some(refused(&request, code))
                }
                None => {
                    send(&mut server, &request);
                    message(&mut server)
                }
            };
            let Some(answer) = answer else { break };
            send(&mut client, &answer);
        }
        drop(client.shutdown(Shutdown::Both));
    }

    fn refusal(&self, request: &[u8]) -> Option<i16> {
        let mut fields = Fields(request);
        if fields.short() != PRODUCE {
            return None;
        }
        if request.len() > self.max_bytes {
            return Some(TOO_LARGE);
        }
        let one_less = |left: usize| left.checked_sub(1);
        let moved = self
            .moved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        moved.is_ok().then_some(NOT_LEADER)
    }
}

/// Without its length.
fn message(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    from.read_exact(&mut message).ok()?;
    Some(message)
}

/// The other end may be gone: then there is no next message.
fn send(to: &mut TcpStream, message: &[u8]) {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    drop(to.write_all(&[&length[..], message].concat()));
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn short(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    /// With its length; null is of length -1.
    fn text(&mut self) -> &'a [u8] {
        let whole = self.0;
        let length = usize::try_from(self.short()).unwrap_or(0);
        self.take(length);
        &whole[..2 + length]
    }
}

/// The answer to a request of one topic and one partition, of the versions 5 to 7.
fn refused(request: &[u8], code: i16) -> Vec<u8> {
    let mut fields = Fields(request);
    let (_produce, version) = (fields.short(), fields.short());
    assert!((5..=7).contains(&version), "version {version}");
    let correlation = fields.take(4);
    let (_client, _transaction) = (fields.text(), fields.text());
    // Acknowledgements, the timeout, one topic.
    fields.take(2 + 4 + 4);
    let topic = fields.text();
    fields.take(4);
    let partition = fields.take(4);
    let one = 1_u32.to_be_bytes();
    let none = (-1_i64).to_be_bytes();
    [
        correlation,
        &one,
        topic,
        &one,
        partition,
        &code.to_be_bytes(),
        // The offset, the time of the log, the log's first offset; how long to hold back.
        &none,
        &none,
        &none,
        &0_u32.to_be_bytes(),
    ]
    .concat()
}
