//! Times as Falco prints them: local in the host's offset, or UTC.

use jiff::{Timestamp, civil::DateTime, tz::Offset};

use crate::host::Host;

const SECOND: u64 = 1_000_000_000;

fn shifted(time_ns: u64, offset_s: i32) -> DateTime {
    let seconds = i64::try_from(time_ns / SECOND).unwrap_or(0);
    let timestamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset = Offset::from_seconds(offset_s).unwrap_or(Offset::UTC);
    offset.to_datetime(timestamp)
}

/// `HH:MM:SS` in the host's time zone.
pub fn local_seconds(time_ns: u64, host: &Host) -> String {
    let seconds = i64::try_from(time_ns / SECOND).unwrap_or(0);
    let day = (seconds + i64::from(host.utc_offset_s)).rem_euclid(86_400);
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

/// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn+0000`.
pub fn iso8601(time_ns: u64) -> String {
    let time = shifted(time_ns, 0);
    format!(
        "{}T{:02}:{:02}:{:02}.{:09}+0000",
        date(time),
        time.hour(),
        time.minute(),
        time.second(),
        time_ns % SECOND
    )
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
}
