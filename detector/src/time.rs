//! Times as Falco prints them: local in the host's offset, or UTC.

use jiff::{Timestamp, civil::DateTime, tz::Offset};

use crate::host::Host;

const SECOND: u64 = 1_000_000_000;

/// Writes the times of a stream of events: what is the same within a second is made once.
#[derive(Debug)]
pub struct Clock {
    offset_s: i32,
    /// Of the texts below; `None` before the first event.
    second: Option<u64>,
    local: String,
    utc: String,
}

impl Clock {
    pub fn new(host: &Host) -> Self {
        Self {
            offset_s: host.utc_offset_s,
            second: None,
            local: String::new(),
            utc: String::new(),
        }
    }

    /// `HH:MM:SS.nnnnnnnnn` in the host's time zone.
    pub fn local(&mut self, time_ns: u64, out: &mut Vec<u8>) {
        self.turn_to(time_ns);
        out.extend_from_slice(self.local.as_bytes());
        push_nanoseconds(time_ns, out);
    }

    /// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn`.
    pub fn utc(&mut self, time_ns: u64, out: &mut Vec<u8>) {
        self.turn_to(time_ns);
        out.extend_from_slice(self.utc.as_bytes());
        push_nanoseconds(time_ns, out);
    }

    fn turn_to(&mut self, time_ns: u64) {
        let second = time_ns / SECOND;
        if self.second != Some(second) {
            self.second = Some(second);
            self.local = local_second(time_ns, self.offset_s);
            self.utc = utc_second(time_ns);
        }
    }
}

/// `.nnnnnnnnn`.
fn push_nanoseconds(time_ns: u64, out: &mut Vec<u8>) {
    let mut digits = *b".000000000";
    let mut rest = time_ns % SECOND;
    for digit in digits.iter_mut().skip(1).rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

fn shifted(time_ns: u64, offset_s: i32) -> DateTime {
    let seconds = i64::try_from(time_ns / SECOND).unwrap_or(0);
    let timestamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset = Offset::from_seconds(offset_s).unwrap_or(Offset::UTC);
    offset.to_datetime(timestamp)
}

/// `HH:MM:SS` in the host's time zone.
pub fn local_seconds(time_ns: u64, host: &Host) -> String {
    local_second(time_ns, host.utc_offset_s)
}

fn local_second(time_ns: u64, offset_s: i32) -> String {
    let seconds = i64::try_from(time_ns / SECOND).unwrap_or(0);
    let day = (seconds + i64::from(offset_s)).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", day / 3600, day / 60 % 60, day % 60)
}

/// `HH:MM:SS.nnnnnnnnn` in the host's time zone, as Falco's `evt.time`.
pub fn local_time(time_ns: u64, host: &Host) -> String {
    format!("{}.{:09}", local_seconds(time_ns, host), time_ns % SECOND)
}

fn date(time: DateTime) -> String {
    format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.day())
}

/// `YYYY-MM-DD HH:MM:SS` in the host's time zone.
pub fn local_datetime_seconds(time_ns: u64, host: &Host) -> String {
    let day = date(shifted(time_ns, host.utc_offset_s));
    format!("{day} {}", local_seconds(time_ns, host))
}

pub fn local_datetime(time_ns: u64, host: &Host) -> String {
    let seconds = local_datetime_seconds(time_ns, host);
    format!("{seconds}.{:09}", time_ns % SECOND)
}

/// `YYYY-MM-DDTHH:MM:SS`.
fn utc_second(time_ns: u64) -> String {
    let day = date(shifted(time_ns, 0));
    format!("{day}T{}", local_second(time_ns, 0))
}

/// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn+0000`.
pub fn iso8601(time_ns: u64) -> String {
    format!("{}.{:09}+0000", utc_second(time_ns), time_ns % SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_falcos() {
        let host = Host {
            utc_offset_s: -5400,
            ..Host::default()
        };
        let time = 1_700_000_000_000_000_007;
        assert_eq!(local_time(time, &host), "20:43:20.000000007");
        assert_eq!(local_datetime(time, &host), "2023-11-14 20:43:20.000000007");
        assert_eq!(iso8601(time), "2023-11-14T22:13:20.000000007+0000");
        let early = local_datetime_seconds(1_000_000_000, &host);
        assert_eq!(early, "1969-12-31 22:30:01");
        assert!(!iso8601(u64::MAX).is_empty());
    }

    #[test]
    fn a_clock_says_the_same() {
        let host = Host {
            utc_offset_s: 3600,
            ..Host::default()
        };
        let mut clock = Clock::new(&host);
        for time in [
            0,
            999_999_999,
            1_000_000_000,
            1_700_000_000_000_000_007,
            1_700_000_000_123_456_789,
            1_700_000_001_000_000_000,
            1_700_000_000_000_000_000,
            u64::MAX,
        ] {
            let (mut local, mut utc) = (Vec::new(), Vec::new());
            clock.local(time, &mut local);
            clock.utc(time, &mut utc);
            utc.extend_from_slice(b"+0000");
            assert_eq!(String::from_utf8(local).unwrap(), local_time(time, &host));
            assert_eq!(String::from_utf8(utc).unwrap(), iso8601(time));
        }
    }
}
