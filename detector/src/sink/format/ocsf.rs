//! OCSF 1.8, class Detection Finding (2004): what the schema has no attribute for is in `unmapped`.

use std::net::IpAddr;

use serde::Serialize;
use uuid::Uuid;

use super::facts::{self, Fields, PRODUCT, VERSION};
use crate::{
    alert::{Alert, Priority},
    event::{Endpoint, Event, Kind, Process},
    host::Host,
    time::Clock,
};

const SCHEMA: &str = "1.8.0";
const NANOSECONDS: u64 = 1_000_000;

#[derive(Serialize)]
struct Finding<'a> {
    action_id: u8,
    activity_id: u8,
    activity_name: &'static str,
    category_name: &'static str,
    category_uid: u32,
    class_name: &'static str,
    class_uid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Device<'a>>,
    disposition_id: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidences: Option<[Evidence<'a>; 1]>,
    finding_info: FindingInfo<'a>,
    is_alert: bool,
    message: &'a str,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    observables: Vec<Observable<'a>>,
    severity: &'static str,
    severity_id: u8,
    status: &'static str,
    status_id: u8,
    time: u64,
    type_name: &'static str,
    type_uid: u32,
    unmapped: Unmapped<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    labels: &'a [String],
    log_name: &'a str,
    original_time: &'a str,
    product: Product,
    profiles: &'static [&'static str],
    reporter: Reporter<'a>,
    sequence: u64,
    uid: Uuid,
    version: &'static str,
}

#[derive(Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
}

/// The run of the detector.
#[derive(Serialize)]
struct Reporter<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
    name: &'static str,
    uid: Uuid,
}

#[derive(Serialize)]
struct FindingInfo<'a> {
    analytic: Analytic<'a>,
    created_time: u64,
    data_sources: [&'a str; 1],
    desc: &'a str,
    title: &'a str,
    uid: Uuid,
}

#[derive(Serialize)]
struct Analytic<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    type_id: u8,
    uid: Uuid,
}

#[derive(Serialize)]
struct Device<'a> {
    hostname: &'a str,
    name: &'a str,
    os: System<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
    type_id: u8,
}

#[derive(Serialize)]
struct System<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel_release: Option<&'a str>,
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    type_id: u16,
}

#[derive(Serialize)]
struct Evidence<'a> {
    connection_info: Connection,
    data: Call,
    dst_endpoint: End,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<End>,
}

#[derive(Serialize)]
struct Connection {
    direction: &'static str,
    direction_id: u8,
    protocol_name: &'static str,
    protocol_num: u8,
    protocol_ver_id: u8,
    uid: String,
}

/// Free of the schema.
#[derive(Serialize)]
struct Call {
    syscall: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errno: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The socket was open before the detector watched it.
    found: bool,
    network_namespace: u32,
    /// Where the client of an accept connected to, before a filter redirected it.
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<Endpoint>,
}

#[derive(Serialize)]
struct End {
    ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

#[derive(Serialize)]
struct ProcessObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd_line: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Container<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process: Option<Parent<'a>>,
    pid: u32,
    ptid: u32,
    user: User<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_directory: Option<&'a str>,
}

#[derive(Serialize)]
struct Container<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestrator: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_uuid: Option<&'a str>,
    uid: &'a str,
}

#[derive(Serialize)]
struct File<'a> {
    name: &'a str,
    path: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    type_id: u8,
}

#[derive(Serialize)]
struct Parent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    pid: u32,
}

#[derive(Serialize)]
struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    uid: String,
}

/// What others can look for without knowing the class.
#[derive(Serialize)]
struct Observable<'a> {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    type_id: u8,
    value: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct Unmapped<'a> {
    output_fields: Fields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_uid: Option<&'a str>,
    priority: &'static str,
}

pub(super) fn object(alert: &Alert<'_>, host: &Host, clock: &mut Clock, out: &mut Vec<u8>) {
    let mut original = Vec::with_capacity(30);
    clock.utc(alert.time_ns, &mut original);
    original.push(b'Z');
    let process = alert.event.and_then(Event::actor);
    let contained = process.is_some_and(|process| process.container_id.is_some());
    let (severity_id, severity) = severity(alert.priority);
    let hostname = facts::filled(alert.hostname);
    let uid = alert.uuid();
    let time = alert.time_ns / NANOSECONDS;
    let finding = Finding {
        action_id: 3,
        activity_id: 1,
        activity_name: "Create",
        category_name: "Findings",
        category_uid: 2,
        class_name: "Detection Finding",
        class_uid: 2004,
        device: hostname.map(|hostname| device(hostname, host)),
        disposition_id: 15,
        evidences: alert.event.map(|event| [evidence(event, host)]),
        finding_info: FindingInfo {
            analytic: Analytic {
                name: alert.rule,
                kind: "Rule",
                type_id: 1,
                uid: facts::rule_id(alert),
            },
            created_time: time,
            data_sources: [alert.source],
            desc: alert.message,
            title: alert.rule,
            uid,
        },
        is_alert: true,
        message: alert.message,
        metadata: Metadata {
            labels: alert.tags,
            log_name: alert.source,
            original_time: str::from_utf8(&original).unwrap_or_default(),
            product: Product {
                name: PRODUCT,
                vendor_name: PRODUCT,
                version: VERSION,
            },
            profiles: if contained {
                &["container", "security_control"]
            } else {
                &["security_control"]
            },
            reporter: Reporter {
                hostname,
                name: PRODUCT,
                uid: alert.instance,
            },
            sequence: alert.sequence,
            uid,
            version: SCHEMA,
        },
        observables: alert.event.map(observables).unwrap_or_default(),
        severity,
        severity_id,
        status: "New",
        status_id: 1,
        time,
        type_name: "Detection Finding: Create",
        type_uid: 200_401,
        unmapped: Unmapped {
            output_fields: Fields(alert.fields),
            pod_uid: process
                .and_then(Process::pod_uid)
                .filter(|uid| !is_uuid(uid)),
            priority: alert.priority.as_str(),
        },
    };
    facts::push_json(&finding, out);
}

fn severity(priority: Priority) -> (u8, &'static str) {
    match priority {
        Priority::Emergency => (6, "Fatal"),
        Priority::Alert | Priority::Critical => (5, "Critical"),
        Priority::Error => (4, "High"),
        Priority::Warning => (3, "Medium"),
        Priority::Notice => (2, "Low"),
        Priority::Informational | Priority::Debug => (1, "Informational"),
    }
}

fn device<'a>(hostname: &'a str, host: &'a Host) -> Device<'a> {
    Device {
        hostname,
        name: hostname,
        os: System {
            kernel_release: facts::filled(&host.kernel),
            name: "Linux",
            kind: "Linux",
            type_id: 200,
        },
        kind: "Server",
        type_id: 1,
    }
}

fn evidence<'a>(event: &'a Event, host: &Host) -> Evidence<'a> {
    let socket = &event.socket;
    let (direction_id, direction) = direction(event);
    Evidence {
        connection_info: Connection {
            direction,
            direction_id,
            protocol_name: "tcp",
            protocol_num: 6,
            protocol_ver_id: if socket.server.ip.is_ipv4() { 4 } else { 6 },
            uid: socket.cookie.to_string(),
        },
        data: Call {
            syscall: event.kind.name(),
            errno: event.errno,
            error: facts::failure(event),
            found: event.found,
            network_namespace: socket.netns,
            original: event.original,
        },
        dst_endpoint: end(socket.server),
        process: event.actor().map(|actor| process(event, actor, host)),
        src_endpoint: socket.client.map(end),
    }
}

/// A listener has none.
fn direction(event: &Event) -> (u8, &'static str) {
    let socket = &event.socket;
    let local = socket.server.ip.is_loopback()
        || socket
            .client
            .is_some_and(|client| client.ip == socket.server.ip);
    match event.kind {
        Kind::Listen => (0, "Unknown"),
        _ if local => (4, "Local"),
        Kind::Accept => (1, "Inbound"),
        Kind::ConnectAttempt | Kind::ConnectOutcome => (2, "Outbound"),
    }
}

fn end(end: Endpoint) -> End {
    End {
        ip: end.ip,
        port: facts::port(end),
    }
}

fn process<'a>(event: &'a Event, process: &'a Process, host: &Host) -> ProcessObject<'a> {
    let path = process.exe.path.as_str();
    let milliseconds = |since_boot_ns| Some(facts::started(since_boot_ns, host)? / NANOSECONDS);
    ProcessObject {
        cmd_line: facts::filled(&event.command_line()).map(str::to_owned),
        container: process.container_id.as_deref().map(|uid| Container {
            orchestrator: process.pod_uid().map(|_| "kubernetes"),
            pod_uuid: process.pod_uid().filter(|uid| is_uuid(uid)),
            uid,
        }),
        created_time: milliseconds(process.start_time_ns),
        file: facts::file_name(path).map(|name| File {
            name,
            path,
            kind: "Executable File",
            type_id: 8,
        }),
        name: facts::filled(&process.comm),
        parent_process: process.ancestors.first().map(|parent| Parent {
            created_time: milliseconds(parent.start_time_ns),
            name: facts::filled(&parent.comm),
            pid: parent.pid,
        }),
        pid: process.pid,
        ptid: event.thread.tid,
        user: User {
            name: facts::user_name(process),
            uid: process.uid.to_string(),
        },
        working_directory: facts::filled(&process.cwd),
    }
}

/// A pod of a file on the node has a hash for its uid.
fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

fn observables(event: &Event) -> Vec<Observable<'_>> {
    let mut all = Vec::with_capacity(4);
    if let Some(client) = event.socket.client {
        all.push(address("evidences[].src_endpoint.ip", client.ip));
    }
    all.push(address(
        "evidences[].dst_endpoint.ip",
        event.socket.server.ip,
    ));
    let Some(process) = event.actor() else {
        return all;
    };
    if let Some(name) = facts::filled(&process.comm) {
        all.push(Observable {
            name: "evidences[].process.name",
            kind: "Process Name",
            type_id: 9,
            value: name.into(),
        });
    }
    if let Some(name) = facts::user_name(process) {
        all.push(Observable {
            name: "evidences[].process.user.name",
            kind: "User Name",
            type_id: 4,
            value: name.into(),
        });
    }
    all
}

fn address(name: &'static str, ip: IpAddr) -> Observable<'static> {
    Observable {
        name,
        kind: "IP Address",
        type_id: 2,
        value: ip.to_string().into(),
    }
}
