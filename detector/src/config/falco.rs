//! What falco.yaml has and this configuration has not, and what its outputs are here.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::settings::{HttpOutput, Settings};
use crate::sink::{
    Format,
    settings::{
        Body, FileSettings, HttpSettings, RequestSettings, Secret, SinkSettings, Size,
        StdoutSettings, SyslogSettings, TlsSettings, WhenFull,
    },
};

/// Keys of falco.yaml that mean nothing here, by their paths, and what is used instead.
pub(super) const UNUSED: [(&str, &str); 29] = [
    ("base_syscalls", "no system call is traced"),
    ("buffer_format_base64", "no event has a buffer"),
    ("buffered_outputs", "set `when_full` of a sink, and `spool`"),
    ("capture", "use the command `record`"),
    ("engine", "use the options --attach and --accept-via"),
    ("falco_libs", "there is no table of threads"),
    ("grpc", "use a sink with `otlp`, `nats` or `http`"),
    ("grpc_output", "use a sink with `otlp`, `nats` or `http`"),
    ("http_output.echo", "what the peer refuses is in the log"),
    (
        "http_output.max_consecutive_timeouts",
        "use a sink with `http`: it has `timeout`",
    ),
    ("libs_logger", "set `log_level`"),
    ("load_plugins", "there are no plugins"),
    ("log_stderr", "the log goes to stderr"),
    ("log_syslog", "the log goes to stderr: let systemd take it"),
    ("metrics", "set `webserver`: it has /metrics"),
    ("modern_bpf", "there is no such engine"),
    ("output_timeout", "set `timeout` of a sink"),
    ("outputs", "set `spool`"),
    ("outputs_queue", "set `spool`"),
    ("plugins", "containers are known without a plugin"),
    ("plugins_hostinfo", "there are no plugins"),
    ("program_output", "use a sink with `http`, or read stdout"),
    ("static_fields", "use `extra_fields` of `append_output`"),
    ("syscall_buf_size_preset", "no system call is traced"),
    ("syscall_drop_failed_exit", "no system call is traced"),
    (
        "syscall_event_drops",
        "lost events are an alert in any case",
    ),
    ("syscall_event_timeouts", "no system call is traced"),
    ("webserver.ssl_certificate", "TLS is not served"),
    ("webserver.threadiness", "one thread serves it"),
];

/// Where most systems have their authorities, and falco.yaml's own value.
pub(super) const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs";

/// The names that these outputs have among the sinks.
pub(super) const NAMES: [&str; 4] = ["stdout", "file", "syslog", "http"];

/// The outputs that are on, as sinks.
pub(super) fn sinks(settings: &Settings, format: Format) -> Vec<SinkSettings> {
    let [stdout, file, syslog, http] = NAMES;
    let mut sinks = Vec::new();
    if settings
        .stdout_output
        .as_ref()
        .is_some_and(|one| one.enabled)
    {
        sinks.push(SinkSettings {
            stdout: Some(StdoutSettings::default()),
            ..named(stdout, format)
        });
    }
    if settings.file_output.enabled {
        sinks.push(SinkSettings {
            file: Some(FileSettings {
                path: settings.file_output.filename.clone(),
                max_bytes: Size(0),
                max_age: None,
                keep: 0,
                when_full: WhenFull::default(),
            }),
            ..named(file, format)
        });
    }
    if settings.syslog_output.enabled {
        sinks.push(SinkSettings {
            syslog: Some(SyslogSettings {
                facility: "user".to_owned(),
                ..SyslogSettings::new("unix:/dev/log")
            }),
            ..named(syslog, format)
        });
    }
    if settings.http_output.enabled {
        sinks.push(SinkSettings {
            http: Some(posted(&settings.http_output)),
            ..named(http, format)
        });
    }
    sinks
}

fn named(name: &str, format: Format) -> SinkSettings {
    SinkSettings {
        format: Some(format),
        ..SinkSettings::new(name)
    }
}

fn posted(output: &HttpOutput) -> HttpSettings {
    let given = |path: &PathBuf| Some(path).filter(|path| !is_empty(path)).cloned();
    let own = |path: &PathBuf| given(path).filter(|_| output.mtls);
    let mut headers = BTreeMap::new();
    if !output.user_agent.is_empty() {
        let agent = Secret::Text(output.user_agent.clone());
        headers.insert("User-Agent".to_owned(), agent);
    }
    HttpSettings {
        body: Body::One,
        request: RequestSettings {
            headers,
            gzip: output.compress_uploads,
            tls: TlsSettings {
                // The later of the two counts in Falco.
                ca: given(&output.ca_bundle).or(given(&output.ca_cert)),
                certificate: own(&output.client_cert),
                key: own(&output.client_key),
                server_name: None,
            },
            ..RequestSettings::default()
        },
        ..HttpSettings::new(&output.url)
    }
}

pub(super) fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}
