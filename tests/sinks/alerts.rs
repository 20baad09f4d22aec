//! The alerts that a test sends, and what must arrive of them.

use std::{collections::HashMap, path::Path};

use detector::{
    alert::{Alert, Field, Name, Priority, Value},
    event::{Event, Item},
    host::Host,
    sink::{Format, Style, format::Encoder, kept::Kept},
    trace::Reader,
};
use uuid::Uuid;

/// As many as are sent to each peer.
pub(crate) const ALERTS: usize = 10_000;

/// Of four rules and every priority, with real events and texts that are hard to carry.
pub(crate) struct Alerts {
    pub(crate) host: Host,
    pub(crate) all: Vec<Kept>,
}

const RULES: [(&str, &[&str]); 4] = [
    ("Kubelet exec", &["T1609", "kubelet", "network"]),
    ("Kubelet read-only port", &["T1613", "network"]),
    (r#"An odd "rule" [with] \ and é"#, &["odd"]),
    ("Detector heartbeat", &[]),
];
const TEXTS: [&str; 8] = [
    "curl",
    "/usr/bin/python3 -c 'import os'",
    "quotes \" and \\ and ] and = and | and <5>1 -",
    "two\nlines\r\n\tand a tab",
    "\0\u{1}\u{7f}\u{85}",
    "Käse 猫 \u{1f980} \u{2028}",
    "%m %s {} ${jndi:x} </script>",
    "",
];
/// Of the alerts that are longer than a datagram of Ethernet, and than 8 KiB.
const LONG: usize = 9_000;

impl Alerts {
    pub(crate) fn new(count: usize) -> Self {
        let host = Host {
            hostname: "node-1".to_owned(),
            kernel: "6.12.0".to_owned(),
            instance: Uuid::new_v4(),
            ..Host::default()
        };
        let events = events();
        let names = [
            "proc.cmdline",
            "fd.name",
            "evt.num",
            "fd.sip",
            "k8s.ns.name",
            "evt.rawres",
        ];
        let names = names.map(Name::new);
        let all = (0..count)
            .map(|index| alert(index, &host, &names, &events))
            .collect();
        Self { host, all }
    }

    /// What an encoding makes of each.
    pub(crate) fn bodies(&self, format: Format) -> Vec<Vec<u8>> {
        bodies(&self.all, format, &self.host)
    }
}

pub(crate) fn bodies<'a>(
    alerts: impl IntoIterator<Item = &'a Kept>,
    format: Format,
    host: &Host,
) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(
        Style {
            format,
            ..Style::default()
        },
        host,
    );
    let encoded = alerts.into_iter().map(|kept| {
        let mut body = Vec::new();
        encoder.encode(&kept.alert(&kept.fields()), &mut body);
        body
    });
    encoded.collect()
}

fn alert(index: usize, host: &Host, names: &[Name; 6], events: &[Event]) -> Kept {
    let text = TEXTS[index % TEXTS.len()];
    let command = match index % 100 {
        7 => text.repeat(1 + LONG / text.len().max(1)),
        _ => format!("{text} {index}"),
    };
    let values = [
        Some(Value::Text(command.as_str().into())),
        Some(Value::Text("10.0.0.9:50312->10.0.0.1:10250".into())),
        Some(Value::Unsigned(u64::MAX - index as u64)),
        Some(Value::Ip("2001:db8::1".parse().unwrap())),
        index
            .is_multiple_of(3)
            .then(|| Value::Text("kube-system".into())),
        Some(Value::Signed(-(index as i64))),
    ];
    let fields: Vec<Field<'_>> = names
        .iter()
        .zip(values)
        .map(|(name, value)| Field { name, value })
        .collect();
    let (rule, tags) = RULES[index % RULES.len()];
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    Kept::of(&Alert {
        sequence: index as u64 + 1,
        instance: host.instance,
        time_ns: 1_790_000_000_000_000_000 + index as u64 * 1_000_000_007,
        rule,
        // Not in step with the rules.
        priority: Priority::ALL[index / 3 % Priority::ALL.len()],
        source: "syscall",
        hostname: &host.hostname,
        message: &format!("a kubelet was asked by {command}"),
        fields: &fields,
        tags: &tags,
        event: (index % 4 != 3).then(|| &events[index % events.len()]),
    })
}

/// Of the recorded traces.
fn events() -> Vec<Event> {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/traces");
    let mut events = Vec::new();
    for name in ["accept", "allowlisted", "ipv6", "listen", "refused"] {
        let path = traces.join(format!("{name}.jsonl"));
        let mut reader = Reader::open(&path, |file| Box::new(file)).unwrap();
        while let Some(item) = reader.next_item().unwrap() {
            if let Item::Event(event) = item {
                events.push(event);
            }
        }
    }
    assert!(!events.is_empty());
    events
}

/// Every one, byte for byte, once, and in order.
pub(crate) fn assert_same(received: &[Vec<u8>], expected: &[Vec<u8>]) {
    for (index, (received, expected)) in received.iter().zip(expected).enumerate() {
        assert!(
            received == expected,
            "number {index} arrived as\n{}\ninstead of\n{}",
            String::from_utf8_lossy(received),
            String::from_utf8_lossy(expected)
        );
    }
    assert_eq!(received.len(), expected.len());
}

/// Every one, byte for byte, once.
pub(crate) fn assert_same_in_any_order(received: &[Vec<u8>], expected: &[Vec<u8>]) {
    let mut counts: HashMap<&[u8], i64> = HashMap::new();
    for body in expected {
        *counts.entry(body).or_default() += 1;
    }
    for body in received {
        *counts.entry(body).or_default() -= 1;
    }
    for (body, count) in counts {
        let body = String::from_utf8_lossy(body);
        assert_eq!(count, 0, "(lost, or received too often if negative) {body}");
    }
}
