//! One alert in a segment: a head, and what is kept of the alert.
//!
//! ```text
//! magic u32 | length u32 | position u64 | order u64 | crc32c u32 | length bytes
//! ```
//!
//! All little-endian; the checksum is of length, position, order and bytes. A segment whose bytes were
//! changed is read on from the next frame that is whole.

use crate::alert::Priority;

const MAGIC: [u8; 4] = *b"kd01";
pub(super) const HEAD: usize = 28;
/// Bytes of one alert; no rule's output comes near.
pub(super) const MAX_LENGTH: usize = 1 << 20;

/// The priorities that alerts are kept apart by.
pub(super) const LEVELS: usize = Priority::ALL.len();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Among those of its priority, gapless from 1.
    pub(super) position: u64,
    /// Among all.
    pub(super) order: u64,
    pub(super) kept: &'a [u8],
}

impl Frame<'_> {
    pub(super) fn size(&self) -> usize {
        HEAD + self.kept.len()
    }
}

/// What bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Frame(Frame<'a>),
    /// A frame that goes on behind these bytes, or nothing.
    More,
    /// This many bytes are no frame.
    Damaged(usize),
}

pub(super) fn push(frame: Frame<'_>, out: &mut Vec<u8>) {
    let length = u32::try_from(frame.kept.len())
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    let (position, order) = (frame.position.to_le_bytes(), frame.order.to_le_bytes());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&length);
    out.extend_from_slice(&position);
    out.extend_from_slice(&order);
    let sum = checksum([&length, &position, &order, frame.kept]);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(frame.kept);
}

fn checksum(parts: [&[u8]; 4]) -> u32 {
    parts.into_iter().fold(0, crc32c::crc32c_append)
}

/// `complete`: nothing will follow the bytes.
pub(super) fn next(bytes: &[u8], complete: bool) -> Next<'_> {
    match parse(bytes) {
        Parsed::Frame(frame) => Next::Frame(frame),
        Parsed::More if !complete || bytes.is_empty() => Next::More,
        Parsed::More | Parsed::Damaged => {
            let whole = |at: &usize| {
                let rest = bytes.get(*at..).unwrap_or_default();
                match parse(rest) {
                    Parsed::Frame(_) => true,
                    Parsed::More => !complete,
                    Parsed::Damaged => false,
                }
            };
            Next::Damaged((1..bytes.len()).find(whole).unwrap_or(bytes.len()))
        }
    }
}

enum Parsed<'a> {
    Frame(Frame<'a>),
    More,
    Damaged,
}

fn parse(bytes: &[u8]) -> Parsed<'_> {
    let begins = bytes.iter().zip(MAGIC).all(|(byte, magic)| *byte == magic);
    if !begins {
        return Parsed::Damaged;
    }
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else {
        return Parsed::More;
    };
    let [length, position, order, sum] = [(4, 4), (8, 8), (16, 8), (24, 4)].map(|(at, size)| {
        let bytes = head.get(at..at + size).unwrap_or_default();
        let digit = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        bytes.iter().rev().fold(0, digit)
    });
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_LENGTH {
        return Parsed::Damaged;
    }
    let Some(kept) = rest.get(..length) else {
        return Parsed::More;
    };
    let named = head.get(4..24).unwrap_or_default();
    if u64::from(checksum([named, kept, &[], &[]])) != sum {
        return Parsed::Damaged;
    }
    Parsed::Frame(Frame {
        position,
        order,
        kept,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(texts: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, kept) in texts.iter().enumerate() {
            let position = index as u64 + 1;
            push(
                Frame {
                    position,
                    order: position * 2,
                    kept,
                },
                &mut out,
            );
        }
        out
    }

    /// What is read of bytes, by position.
    fn read(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let size = match next(bytes, true) {
                Next::Frame(frame) => {
                    assert_eq!(frame.order, frame.position * 2);
                    found.push((frame.position, frame.kept.to_vec()));
                    frame.size()
                }
                Next::Damaged(size) => size,
                Next::More => break,
            };
            bytes = &bytes[size..];
        }
        found
    }

    #[test]
    fn a_frame_that_is_not_whole_yet_is_waited_for() {
        let bytes = framed(&[b"one".to_vec()]);
        for end in 0..bytes.len() {
            assert_eq!(next(&bytes[..end], false), Next::More, "{end}");
        }
        assert!(matches!(next(&bytes, false), Next::Frame(_)));
        assert_eq!(next(&bytes[..9], true), Next::Damaged(9));
    }

    proptest! {
        #[test]
        fn one_changed_bit_costs_one_frame(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..8),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let mut bytes = framed(&texts);
            let whole = read(&bytes);
            prop_assert_eq!(whole.len(), texts.len());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let rest = read(&bytes);
            prop_assert_eq!(rest.len(), texts.len() - 1);
            prop_assert!(rest.iter().all(|one| whole.contains(one)));
        }

        #[test]
        fn a_cut_costs_what_is_behind_it(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..8),
            at in any::<prop::sample::Index>(),
        ) {
            let bytes = framed(&texts);
            let at = at.index(bytes.len());
            let rest = read(&bytes[..at]);
            prop_assert!(read(&bytes).starts_with(&rest));
        }

        #[test]
        fn any_bytes_come_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            read(&bytes);
        }
    }
}
