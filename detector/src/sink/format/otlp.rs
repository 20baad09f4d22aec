//! OTLP: an alert is a log record, by the semantic conventions where they have a name. Fields of an
//! output are attributes below `falco.output_fields`, with their types.

use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber},
    resource::v1::Resource,
};

use super::facts::{self, PRODUCT, VERSION};
use crate::{
    alert::{Alert, Priority, Value},
    event::{Endpoint, Event, Process},
    host::Host,
};

/// As the event that a record tells of is called.
const EVENT: &str = "kubelet_detector.alert";

/// A request with one record, in OTLP's JSON.
pub(super) fn object(alert: &Alert<'_>, host: &Host, out: &mut Vec<u8>) {
    push_json(&request(vec![record(alert)], host), out);
}

/// OTLP's JSON of a request: keys are in lowerCamelCase, enums numbers, and 64-bit integers texts.
pub(in crate::sink) fn push_json(request: &ExportLogsServiceRequest, out: &mut Vec<u8>) {
    facts::push_json(request, out);
}

/// All of them are of this host.
pub(in crate::sink) fn request(records: Vec<LogRecord>, host: &Host) -> ExportLogsServiceRequest {
    let mut resource = Attributes::default();
    resource.text("service.name", PRODUCT);
    resource.text("service.version", VERSION);
    resource.text("service.instance.id", &host.instance.to_string());
    resource.text("host.name", &host.hostname);
    resource.text("k8s.node.name", &host.hostname);
    resource.text("os.type", "linux");
    resource.text("os.version", &host.kernel);
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: resource.0,
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                scope: Some(InstrumentationScope {
                    name: PRODUCT.to_owned(),
                    version: VERSION.to_owned(),
                    ..InstrumentationScope::default()
                }),
                log_records: records,
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

pub(in crate::sink) fn record(alert: &Alert<'_>) -> LogRecord {
    let mut attributes = Attributes::default();
    attributes.text("log.record.uid", &alert.uuid().to_string());
    attributes.text("security_rule.name", alert.rule);
    attributes.text("security_rule.uuid", &facts::rule_id(alert).to_string());
    attributes.number("kubelet_detector.alert.sequence", alert.sequence);
    attributes.text("kubelet_detector.alert.source", alert.source);
    attributes.texts("kubelet_detector.alert.tags", alert.tags);
    if let Some(event) = alert.event {
        call(event, &mut attributes);
    }
    for field in alert.fields {
        if let Some(value) = &field.value {
            let name = format!("falco.output_fields.{}", field.name.as_str());
            attributes.push(name, any(value));
        }
    }
    LogRecord {
        time_unix_nano: alert.time_ns,
        observed_time_unix_nano: alert.time_ns,
        severity_number: severity(alert.priority).into(),
        severity_text: alert.priority.as_str().to_owned(),
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(alert.message.to_owned())),
        }),
        attributes: attributes.0,
        event_name: EVENT.to_owned(),
        ..LogRecord::default()
    }
}

/// As syslog's (OpenTelemetry, logs data model, appendix B).
fn severity(priority: Priority) -> SeverityNumber {
    match priority {
        Priority::Debug => SeverityNumber::Debug,
        Priority::Informational => SeverityNumber::Info,
        Priority::Notice => SeverityNumber::Info2,
        Priority::Warning => SeverityNumber::Warn,
        Priority::Error => SeverityNumber::Error,
        Priority::Critical => SeverityNumber::Error2,
        Priority::Alert => SeverityNumber::Error3,
        Priority::Emergency => SeverityNumber::Fatal,
    }
}

fn call(event: &Event, attributes: &mut Attributes) {
    attributes.text("kubelet_detector.syscall", event.kind.name());
    attributes.text("network.transport", "tcp");
    attributes.text("network.type", facts::family(event));
    if let Some(client) = event.socket.client {
        end("client", client, attributes);
    }
    end("server", event.socket.server, attributes);
    attributes.text("error.type", &facts::failure(event).unwrap_or_default());
    if let Some(actor) = event.actor() {
        process(event, actor, attributes);
    }
}

fn end(name: &str, end: Endpoint, attributes: &mut Attributes) {
    attributes.text(format!("{name}.address"), &end.ip.to_string());
    if let Some(port) = facts::port(end) {
        attributes.number(format!("{name}.port"), port.into());
    }
}

fn process(event: &Event, process: &Process, attributes: &mut Attributes) {
    attributes.number("process.pid", process.pid.into());
    if let Some(parent) = process.ancestors.first() {
        attributes.number("process.parent_pid", parent.pid.into());
    }
    let path = process.exe.path.as_str();
    attributes.text("process.executable.path", path);
    attributes.text(
        "process.executable.name",
        facts::file_name(path).unwrap_or_default(),
    );
    attributes.text("process.command_line", &event.command_line());
    attributes.texts("process.command_args", &process.args);
    attributes.text("process.working_directory", &process.cwd);
    attributes.number("process.real_user.id", process.uid.into());
    attributes.text(
        "process.real_user.name",
        facts::user_name(process).unwrap_or_default(),
    );
    attributes.number("process.user.id", process.euid.into());
    attributes.number("thread.id", event.thread.tid.into());
    attributes.text("thread.name", &event.thread.comm);
    let container = process.container_id.as_deref().unwrap_or_default();
    attributes.text("container.id", container);
    attributes.text("k8s.pod.uid", process.pod_uid().unwrap_or_default());
}

/// Each key once.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn push(&mut self, key: impl Into<String>, value: AnyValue) {
        self.0.push(KeyValue {
            key: key.into(),
            value: Some(value),
            ..KeyValue::default()
        });
    }

    /// What is empty is left out.
    fn text(&mut self, key: impl Into<String>, text: &str) {
        if !text.is_empty() {
            self.push(key, of_text(text));
        }
    }

    fn texts(&mut self, key: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.push(key, list(texts.iter().map(|text| of_text(text))));
        }
    }

    fn number(&mut self, key: impl Into<String>, number: u64) {
        self.push(key, any(&Value::Unsigned(number)));
    }
}

fn of_text(text: &str) -> AnyValue {
    AnyValue {
        value: Some(any_value::Value::StringValue(text.to_owned())),
    }
}

fn list(values: impl Iterator<Item = AnyValue>) -> AnyValue {
    AnyValue {
        value: Some(any_value::Value::ArrayValue(ArrayValue {
            values: values.collect(),
        })),
    }
}

/// A number that the type has no place for is a text.
fn any(value: &Value<'_>) -> AnyValue {
    let value = match value {
        Value::Signed(number) => any_value::Value::IntValue(*number),
        Value::Unsigned(number) => match i64::try_from(*number) {
            Ok(number) => any_value::Value::IntValue(number),
            Err(_) => return of_text(&number.to_string()),
        },
        // JSON has no other doubles, and a record is the same in both encodings.
        Value::Double(number) if number.is_finite() => any_value::Value::DoubleValue(*number),
        Value::Bool(value) => any_value::Value::BoolValue(*value),
        Value::List(items) => return list(items.iter().map(any)),
        Value::Text(text) => return of_text(text),
        Value::Double(_) | Value::Ip(_) => {
            let mut text = String::new();
            value.push_to(&mut text);
            return of_text(&text);
        }
    };
    AnyValue { value: Some(value) }
}
