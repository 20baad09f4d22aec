//! One message: `<PRI>1 TIME HOST APP PROCID MSGID [SD] BOM MSG` (RFC 5424, section 6).

use jiff::Timestamp;

use crate::sink::kept::Kept;

/// RFC 5424, table 1, by the names of syslog.conf(5).
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
const APPLICATION: &str = "kubelet-detector";
/// Of the message's kind: it is an alert, or of the detector itself.
const MESSAGE_ID: &str = "alert";
/// Names our structured data. The number is the one that RFC 5612 sets aside for examples: the
/// project has none of its own.
const DATA_ID: &str = "alert@32473";
const MAX_HOST: usize = 255;
const BOM: &[u8] = "\u{feff}".as_bytes();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facility(u8);

impl Facility {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let number = FACILITIES.iter().position(|known| *known == name);
        let number = number.and_then(|number| u8::try_from(number).ok());
        number.map(Self).ok_or_else(|| {
            format!(
                "`{name}` is no facility: write one of {}",
                FACILITIES.join(", ")
            )
        })
    }
}

/// Appends it; Falco's priorities are syslog's severities.
pub(super) fn push(kept: &Kept, body: &[u8], facility: Facility, out: &mut Vec<u8>) {
    let severity = kept.priority as u8;
    let priority = u16::from(facility.0) * 8 + u16::from(severity);
    let host = host(&kept.hostname);
    let pid = std::process::id();
    let time = time(kept.time_ns);
    let head = format!("<{priority}>1 {time} {host} {APPLICATION} {pid} {MESSAGE_ID} ");
    out.extend_from_slice(head.as_bytes());
    let mut data = format!("[{DATA_ID}");
    for (name, value) in [
        ("uuid", &*kept.uuid().to_string()),
        ("sequence", &*kept.sequence.to_string()),
        ("rule", &*kept.rule),
        ("priority", kept.priority.as_str()),
    ] {
        data.push(' ');
        data.push_str(name);
        data.push_str("=\"");
        for letter in value.chars() {
            if matches!(letter, '"' | '\\' | ']') {
                data.push('\\');
            }
            data.push(if letter.is_control() { ' ' } else { letter });
        }
        data.push('"');
    }
    data.push_str("] ");
    out.extend_from_slice(data.as_bytes());
    out.extend_from_slice(BOM);
    out.extend_from_slice(body);
}

/// At most six digits of a second are allowed.
fn time(time_ns: u64) -> String {
    let micros = i64::try_from(time_ns / 1000).unwrap_or(0);
    let time = Timestamp::from_microsecond(micros).unwrap_or_default();
    format!("{time:.6}")
}

/// Printable ASCII; `-` stands for none.
fn host(name: &str) -> String {
    let printable = |letter: &char| letter.is_ascii_graphic();
    let name: String = name.chars().filter(printable).take(MAX_HOST).collect();
    if name.is_empty() {
        "-".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{Alert, Priority};

    #[test]
    fn a_message_has_every_part() {
        let alert = Alert {
            sequence: 7,
            instance: uuid::Uuid::nil(),
            time_ns: 1_700_000_000_123_456_789,
            rule: "a \"rule\" [\\]\n",
            priority: Priority::Warning,
            source: "syscall",
            hostname: "node 1\u{e9}",
            message: "m",
            fields: &[],
            tags: &[],
            event: None,
        };
        let kept = Kept::of(&alert);
        let mut out = Vec::new();
        push(&kept, b"{}", Facility::parse("local0").unwrap(), &mut out);
        let expected = format!(
            "<132>1 2023-11-14T22:13:20.123456Z node1 kubelet-detector {} alert \
             [alert@32473 uuid=\"{}\" sequence=\"7\" rule=\"a \\\"rule\\\" [\\\\\\] \" \
             priority=\"Warning\"] \u{feff}{{}}",
            std::process::id(),
            alert.uuid(),
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn facilities_are_known_by_their_names() {
        assert_eq!(Facility::parse("kern"), Ok(Facility(0)));
        assert_eq!(Facility::parse("authpriv"), Ok(Facility(10)));
        assert_eq!(Facility::parse("local7"), Ok(Facility(23)));
        assert!(Facility::parse("local8").is_err());
    }
}
