//! One alert in every encoding, and what all encodings have in common.

use std::sync::Arc;

use clap::ValueEnum as _;
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Encoder, Format, Style};
use crate::{
    alert::{Alert, Field, Name, Priority, Value},
    event::{
        Ancestor, Attribution, Elapsed, Endpoint, Event, Executable, Family, Kind, Process, Socket,
        Thread,
    },
    host::Host,
};

const POD: &str = "1a2b3c4d-0000-1111-2222-333344445555";
const SECOND: u64 = 1_000_000_000;

pub(super) fn host() -> Host {
    Host {
        hostname: "node-1".to_owned(),
        kernel: "6.12.1".to_owned(),
        boot_time_ns: 1_700_000_000 * SECOND,
        utc_offset_s: 0,
        instance: Uuid::from_u128(7),
    }
}

pub(super) fn event(kind: Kind) -> Event {
    let container = "0123456789abcdef".repeat(4);
    let slice = POD.replace('-', "_");
    Event {
        number: 1,
        time_ns: 1_700_000_100 * SECOND + 5,
        cpu: 0,
        kind,
        socket: Socket {
            cookie: 9,
            family: Family::Ipv4,
            mapped: false,
            client: (kind != Kind::Listen).then_some(Endpoint {
                ip: [10, 0, 0, 9].into(),
                port: 50_312,
            }),
            server: Endpoint {
                ip: [10, 0, 0, 5].into(),
                port: 10_250,
            },
            netns: 4_026_531_840,
        },
        errno: (kind == Kind::ConnectOutcome).then_some(111),
        attribution: Attribution::Caller,
        thread: Thread {
            tid: 43,
            comm: "curl".to_owned(),
        },
        found: false,
        elapsed: Elapsed::default(),
        names: None,
        original: None,
        creator: None,
        process: Arc::new(Process {
            pid: 42,
            start_time_ns: 90 * SECOND,
            comm: "curl".to_owned(),
            exe: Executable {
                path: "/usr/bin/curl".to_owned(),
                ..Executable::default()
            },
            args: ["curl", "-k", "a=b|c"].map(str::to_owned).to_vec(),
            cwd: "/root".to_owned(),
            cgroup: format!("/kubepods.slice/kubepods-pod{slice}.slice/crio-{container}.scope"),
            container_id: Some(container),
            uid: 1000,
            gid: 100,
            euid: 0,
            user_name: Some("ann".to_owned()),
            ancestors: vec![Ancestor {
                pid: 41,
                start_time_ns: 80 * SECOND,
                comm: "sh".to_owned(),
                exe_name: "dash".to_owned(),
            }],
            ..Process::default()
        }),
    }
}

/// Of the texts given, wherever an alert has texts.
pub(super) fn encode(format: Format, text: &str, event: Option<&Event>) -> String {
    let names = [Name::new("proc.name"), Name::new(text), Name::new("list")];
    let [first, second, third] = &names;
    let list = vec![Value::Text(text.into()), Value::Double(f64::NAN)];
    let fields = [
        (first, Some(Value::Text(text.into()))),
        (second, None),
        (third, Some(Value::List(list))),
    ]
    .map(|(name, value)| Field { name, value });
    let tags = [text.to_owned()];
    let host = Host {
        hostname: text.to_owned(),
        ..host()
    };
    let alert = Alert {
        sequence: 3,
        instance: host.instance,
        time_ns: 1_700_000_100 * SECOND + 5,
        rule: text,
        priority: Priority::Warning,
        source: "syscall",
        hostname: &host.hostname,
        message: text,
        fields: &fields,
        tags: &tags,
        event,
    };
    let style = Style {
        format,
        ..Style::default()
    };
    let mut out = Vec::new();
    Encoder::new(style, &host).encode(&alert, &mut out);
    String::from_utf8(out).unwrap()
}

pub(super) fn hostile() -> Vec<String> {
    let every: String = (0..=0x2ff).filter_map(char::from_u32).collect();
    [
        "",
        " ",
        "\n",
        "a\r\nb",
        "a|b=c\\d",
        "\\",
        "cs1=x dst=1.2.3.4",
        "\u{fffd}",
        "\"quoted\" 'text' </script>",
        "\u{2028}\u{85}\u{202e}\u{1f600}",
        &every,
        &"x=|\\\n".repeat(1000),
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The same event of texts and numbers that nobody expects.
pub(super) fn odd(text: &str) -> Vec<Event> {
    let mut all = Vec::new();
    for kind in [
        Kind::ConnectAttempt,
        Kind::ConnectOutcome,
        Kind::Accept,
        Kind::Listen,
    ] {
        let mut event = event(kind);
        event.thread.comm = text.to_owned();
        event.errno = Some(i32::MAX);
        event.socket.family = Family::Ipv6;
        event.socket.client = None;
        event.socket.server = Endpoint {
            ip: "fe80::1".parse().unwrap(),
            port: 0,
        };
        let mut process = Process::clone(&event.process);
        process.pid = u32::MAX;
        process.start_time_ns = u64::MAX;
        process.exe.path = format!("/{text}");
        process.args = vec![text.to_owned(); 3];
        process.user_name = Some(text.to_owned());
        process.container_id = Some(text.to_owned());
        process.ancestors.clear();
        event.process = Arc::new(process);
        all.push(event.clone());
        event.attribution = Attribution::Unknown;
        event.process = Arc::default();
        all.push(event);
    }
    all
}

#[test]
fn no_text_breaks_a_line_or_a_document() {
    for text in hostile() {
        let events = odd(&text);
        let events = events.iter().map(Some).chain([None]);
        for event in events {
            for format in Format::value_variants() {
                let line = encode(*format, &text, event);
                assert!(!line.contains(['\n', '\r', '\0']), "{format:?}: {line}");
                if !matches!(format, Format::Text | Format::Cef) {
                    serde_json::from_str::<Json>(&line).unwrap();
                }
            }
        }
    }
}

/// The part of a document that a pointer names (RFC 6901).
fn at(document: &Json, pointer: &str) -> Json {
    document.pointer(pointer).cloned().unwrap_or_default()
}

fn check(format: Format, kind: Option<Kind>, expected: &[(&str, Json)]) {
    let event = kind.map(event);
    let line = encode(format, "a\"b", event.as_ref());
    let document = serde_json::from_str(&line).unwrap();
    for (pointer, value) in expected {
        assert_eq!(at(&document, pointer), *value, "{pointer} of {line}");
    }
}

#[test]
fn ocsf_has_each_thing_in_its_place() {
    let format = Format::Ocsf;
    let end = "/evidences/0";
    check(
        format,
        Some(Kind::ConnectOutcome),
        &[
            ("/class_uid", 2004.into()),
            ("/type_uid", 200_401.into()),
            ("/time", 1_700_000_100_000_u64.into()),
            ("/severity_id", 3.into()),
            ("/metadata/sequence", 3.into()),
            (
                "/metadata/original_time",
                "2023-11-14T22:15:00.000000005Z".into(),
            ),
            ("/metadata/profiles/0", "container".into()),
            ("/finding_info/title", "a\"b".into()),
            ("/device/hostname", "a\"b".into()),
            (&format!("{end}/src_endpoint/ip"), "10.0.0.9".into()),
            (&format!("{end}/dst_endpoint/port"), 10_250.into()),
            (&format!("{end}/connection_info/direction_id"), 2.into()),
            (&format!("{end}/data/error"), "ECONNREFUSED".into()),
            (&format!("{end}/process/pid"), 42.into()),
            (&format!("{end}/process/cmd_line"), "curl -k a=b|c".into()),
            (
                &format!("{end}/process/created_time"),
                1_700_000_090_000_u64.into(),
            ),
            (&format!("{end}/process/container/pod_uuid"), POD.into()),
            (&format!("{end}/process/parent_process/pid"), 41.into()),
            (&format!("{end}/process/user/uid"), "1000".into()),
            ("/unmapped/output_fields/proc.name", "a\"b".into()),
            ("/unmapped/output_fields/list/1", Json::Null),
        ],
    );
    let listens = Some(Kind::Listen);
    check(
        format,
        listens,
        &[
            ("/evidences/0/src_endpoint", Json::Null),
            ("/evidences/0/connection_info/direction_id", 0.into()),
        ],
    );
    check(format, None, &[("/evidences", Json::Null)]);
}

#[test]
fn ecs_has_each_thing_in_its_place() {
    check(
        Format::Ecs,
        Some(Kind::ConnectOutcome),
        &[
            ("/@timestamp", "2023-11-14T22:15:00.000000005Z".into()),
            ("/event/sequence", 3.into()),
            ("/event/outcome", "failure".into()),
            ("/error/code", "ECONNREFUSED".into()),
            ("/source/ip", "10.0.0.9".into()),
            ("/source/port", 50_312.into()),
            ("/destination/ip", "10.0.0.5".into()),
            ("/network/direction", "egress".into()),
            ("/process/executable", "/usr/bin/curl".into()),
            ("/process/start", "2023-11-14T22:14:50.000000000Z".into()),
            ("/process/parent/name", "sh".into()),
            ("/user/id", "1000".into()),
            ("/user/effective/id", "0".into()),
            ("/orchestrator/resource/id", POD.into()),
            ("/related/ip", serde_json::json!(["10.0.0.9", "10.0.0.5"])),
            ("/falco/output_fields/proc_name", "a\"b".into()),
        ],
    );
    check(
        Format::Ecs,
        None,
        &[
            ("/event/category/0", "host".into()),
            ("/process", Json::Null),
        ],
    );
}

#[test]
fn otlp_has_each_thing_in_its_place() {
    let record = "/resourceLogs/0/scopeLogs/0/logRecords/0";
    check(
        Format::Otlp,
        Some(Kind::ConnectOutcome),
        &[
            (
                &format!("{record}/timeUnixNano"),
                "1700000100000000005".into(),
            ),
            (&format!("{record}/severityNumber"), 13.into()),
            (&format!("{record}/body/stringValue"), "a\"b".into()),
        ],
    );
    let line = encode(Format::Otlp, "a\"b", Some(&event(Kind::Accept)));
    for attribute in [
        r#"{"key":"client.port","value":{"intValue":"50312"}}"#,
        r#"{"key":"server.address","value":{"stringValue":"10.0.0.5"}}"#,
        r#"{"key":"process.parent_pid","value":{"intValue":"41"}}"#,
        r#"{"key":"falco.output_fields.proc.name","value":{"stringValue":"a\"b"}}"#,
        r#"{"key":"falco.output_fields.list","value":{"arrayValue":{"values":[{"stringValue":"a\"b"},{"stringValue":"NaN"}]}}}"#,
    ] {
        assert!(line.contains(attribute), "{attribute} in {line}");
    }
}

#[test]
fn otlps_json_is_that_of_the_record() {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use prost::Message as _;
    for text in hostile() {
        for event in odd(&text).iter().map(Some).chain([None]) {
            let line = encode(Format::Otlp, &text, event);
            let request: ExportLogsServiceRequest = serde_json::from_str(&line).unwrap();
            let bytes = request.encode_to_vec();
            assert_eq!(
                ExportLogsServiceRequest::decode(&*bytes),
                Ok(request.clone())
            );
            let mut again = Vec::new();
            super::otlp::push_json(&request, &mut again);
            assert_eq!(again, line.into_bytes());
        }
    }
}
