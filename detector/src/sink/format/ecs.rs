//! Elastic Common Schema 9.4. Fields of its own are below `falco`.

use std::net::IpAddr;

use serde::Serialize;
use uuid::Uuid;

use super::{
    facts::{self, Outcome, PRODUCT, VERSION},
    flat::Flat,
};
use crate::{
    alert::Alert,
    event::{Endpoint, Event, Family, Kind, Process},
    host::Host,
    time::Clock,
};

const SCHEMA: &str = "9.4.0";
const MODULE: &str = "kubelet_detector";

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: &'a str,
    agent: Agent,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Id<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<End>,
    ecs: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Code>,
    event: EventFields<'a>,
    falco: Falco<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<HostFields<'a>>,
    log: Log,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<Network>,
    observer: Observer,
    #[serde(skip_serializing_if = "Option::is_none")]
    orchestrator: Option<Orchestrator<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessFields<'a>>,
    related: Related<'a>,
    rule: Rule<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<End>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

#[derive(Serialize)]
struct Agent {
    /// Of this run of the detector.
    ephemeral_id: Uuid,
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Id<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct Code {
    code: String,
}

#[derive(Serialize)]
struct End {
    address: IpAddr,
    ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
}

#[derive(Serialize)]
struct EventFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    category: &'static [&'static str],
    dataset: &'static str,
    id: Uuid,
    kind: &'static str,
    module: &'static str,
    outcome: &'static str,
    provider: &'a str,
    sequence: i64,
    severity: u8,
    #[serde(rename = "type")]
    kinds: &'static [&'static str],
}

#[derive(Serialize)]
struct Falco<'a> {
    output_fields: Flat<'a>,
    priority: &'static str,
}

#[derive(Serialize)]
struct HostFields<'a> {
    hostname: &'a str,
    name: &'a str,
    os: System<'a>,
}

#[derive(Serialize)]
struct System<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Log {
    level: String,
    logger: &'static str,
}

#[derive(Serialize)]
struct Network {
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<&'static str>,
    transport: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Observer {
    product: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    vendor: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Orchestrator<'a> {
    resource: Resource<'a>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Resource<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct ProcessFields<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    args: &'a [String],
    args_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_line: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    executable: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Parent<'a>>,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
    thread: Thread<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_directory: Option<&'a str>,
}

#[derive(Serialize)]
struct Parent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<String>,
}

#[derive(Serialize)]
struct Thread<'a> {
    id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// What others can look for, in whichever field it is.
#[derive(Serialize)]
struct Related<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ip: Vec<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    user: Vec<&'a str>,
}

#[derive(Serialize)]
struct Rule<'a> {
    name: &'a str,
    uuid: Uuid,
}

#[derive(Serialize)]
struct User<'a> {
    effective: NumericId,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Group<'a>>,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// Ids of users are texts.
#[derive(Serialize)]
struct NumericId {
    id: String,
}

#[derive(Serialize)]
struct Group<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

pub(super) fn object(alert: &Alert<'_>, host: &Host, clock: &mut Clock, out: &mut Vec<u8>) {
    let timestamp = moment(alert.time_ns, clock);
    let event = alert.event;
    let process = event.and_then(Event::actor);
    let hostname = facts::filled(alert.hostname);
    let socket = event.map(|event| &event.socket);
    let document = Document {
        timestamp: &timestamp,
        agent: Agent {
            ephemeral_id: alert.instance,
            name: PRODUCT,
            kind: PRODUCT,
            version: VERSION,
        },
        container: process
            .and_then(|process| process.container_id.as_deref())
            .map(|id| Id { id }),
        destination: socket.map(|socket| end(socket.server)),
        ecs: Version { version: SCHEMA },
        error: event.and_then(facts::failure).map(|code| Code { code }),
        event: event_fields(alert),
        falco: Falco {
            output_fields: Flat(alert.fields),
            priority: alert.priority.as_str(),
        },
        host: hostname.map(|hostname| HostFields {
            hostname,
            name: hostname,
            os: System {
                kernel: facts::filled(&host.kernel),
                kind: "linux",
            },
        }),
        log: Log {
            level: alert.priority.as_str().to_ascii_lowercase(),
            logger: PRODUCT,
        },
        message: alert.message,
        network: event.map(network),
        observer: Observer {
            product: PRODUCT,
            kind: "ids",
            vendor: PRODUCT,
            version: VERSION,
        },
        orchestrator: process.and_then(Process::pod_uid).map(|id| Orchestrator {
            resource: Resource { id, kind: "pod" },
            kind: "kubernetes",
        }),
        process: event.and_then(|event| Some(process_fields(event, event.actor()?, host, clock))),
        related: related(event, hostname),
        rule: Rule {
            name: alert.rule,
            uuid: facts::rule_id(alert),
        },
        source: socket.and_then(|socket| socket.client).map(end),
        tags: alert.tags,
        user: process.map(user),
    };
    facts::push_json(&document, out);
}

/// In UTC.
fn moment(time_ns: u64, clock: &mut Clock) -> String {
    let mut text = Vec::with_capacity(30);
    clock.utc(time_ns, &mut text);
    text.push(b'Z');
    String::from_utf8(text).unwrap_or_default()
}

fn event_fields<'a>(alert: &Alert<'a>) -> EventFields<'a> {
    let (category, kinds): (&[_], &[_]) = match alert.event.map(|event| event.kind) {
        // Of the detector itself.
        None => (&["host"], &["info"]),
        Some(Kind::Listen) => (&["intrusion_detection", "network"], &["info"]),
        Some(_) => (
            &["intrusion_detection", "network"],
            &["connection", "start"],
        ),
    };
    EventFields {
        action: alert.event.map(|event| event.kind.name()),
        category,
        dataset: "kubelet_detector.alert",
        id: alert.uuid(),
        kind: "alert",
        module: MODULE,
        outcome: match alert.event.map(facts::outcome) {
            None | Some(Outcome::Unknown) => "unknown",
            Some(Outcome::Success) => "success",
            Some(Outcome::Failure(_)) => "failure",
        },
        provider: alert.source,
        sequence: i64::try_from(alert.sequence).unwrap_or(i64::MAX),
        severity: facts::severity(alert.priority),
        kinds,
    }
}

fn end(end: Endpoint) -> End {
    End {
        address: end.ip,
        ip: end.ip,
        port: facts::port(end),
    }
}

fn network(event: &Event) -> Network {
    Network {
        direction: match event.kind {
            Kind::ConnectAttempt | Kind::ConnectOutcome => Some("egress"),
            Kind::Accept => Some("ingress"),
            Kind::Listen => None,
        },
        transport: "tcp",
        kind: match event.socket.family {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        },
    }
}

fn process_fields<'a>(
    event: &'a Event,
    process: &'a Process,
    host: &Host,
    clock: &mut Clock,
) -> ProcessFields<'a> {
    let mut start = |since_boot_ns| Some(moment(facts::started(since_boot_ns, host)?, clock));
    ProcessFields {
        args: &process.args,
        args_count: process.args.len(),
        command_line: facts::filled(&event.command_line()).map(str::to_owned),
        executable: facts::filled(&process.exe.path),
        name: facts::filled(&process.comm),
        parent: process.ancestors.first().map(|parent| Parent {
            name: facts::filled(&parent.comm),
            pid: parent.pid,
            start: start(parent.start_time_ns),
        }),
        pid: process.pid,
        start: start(process.start_time_ns),
        thread: Thread {
            id: event.thread.tid,
            name: facts::filled(&event.thread.comm),
        },
        working_directory: facts::filled(&process.cwd),
    }
}

fn user(process: &Process) -> User<'_> {
    User {
        effective: NumericId {
            id: process.euid.to_string(),
        },
        group: Some(Group {
            id: process.gid.to_string(),
            name: process.group_name.as_deref().and_then(facts::filled),
        }),
        id: process.uid.to_string(),
        name: facts::user_name(process),
    }
}

fn related<'a>(event: Option<&'a Event>, hostname: Option<&'a str>) -> Related<'a> {
    let ends = event.map(|event| (event.socket.client, event.socket.server));
    let mut ip: Vec<IpAddr> = ends
        .into_iter()
        .flat_map(|(client, server)| client.into_iter().chain([server]))
        .map(|end| end.ip)
        .collect();
    ip.dedup();
    Related {
        hosts: hostname.into_iter().collect(),
        ip,
        user: event
            .and_then(Event::actor)
            .and_then(facts::user_name)
            .into_iter()
            .collect(),
    }
}
