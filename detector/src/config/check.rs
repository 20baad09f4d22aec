//! A tree to settings that can be put in force: every mistake, not the first.

use std::{collections::BTreeSet, time::Duration};

use serde::Deserialize as _;

use super::{
    codes, falco,
    node::Place,
    one_file::OneFile,
    read::{Mistake, Told},
    settings::{Output, Settings},
    sources::Gathered,
    texts::{addresses, names_user},
};
use crate::{
    rules::{diagnostic::Severity, spelling},
    sink::settings::{NO_KAFKA, SinkSettings, Size, SpoolSettings, Target},
};

/// More mistakes are not looked for.
const MAX_MISTAKES: usize = 100;

/// Bytes of a sink's name: with what the spool adds to it, it is a file's.
const MAX_NAME: usize = 100;

/// Less than this would hold an alert or two, or none.
const LEAST_SPOOL: Size = Size(1 << 20);
const LEAST_MEMORY: Size = Size(64 << 10);
/// More often, heartbeats would drown the alerts.
const LEAST_HEARTBEAT: Duration = Duration::from_secs(1);
/// Bytes of the path of a Unix socket, for the kernel.
const MAX_SOCKET: usize = 107;

/// What is served beside the health.
const ENDPOINTS: [&str; 3] = ["/metrics", "/readyz", "/version"];

impl Gathered {
    pub(super) fn told(
        &mut self,
        code: &'static str,
        place: &Place,
        message: String,
        help: Option<String>,
    ) {
        let severity = codes::severity(code);
        let one = self.texts.diagnostic(severity, code, place, message, help);
        self.diagnostics.push(one);
    }

    fn has_error(&self) -> bool {
        let mut severities = self.diagnostics.iter().map(|one| one.severity);
        severities.any(|severity| severity == Severity::Error)
    }

    /// None if there is a mistake.
    pub(super) fn settings(&mut self) -> Option<Settings> {
        self.unused();
        let settings = self.read();
        let mut settings = settings.filter(|_| !self.has_error())?;
        self.outputs(&mut settings);
        self.sinks(&settings);
        self.files_of_sinks(&settings);
        self.users();
        self.rest(&settings);
        Some(settings).filter(|_| !self.has_error())
    }

    /// Falco's keys that mean nothing here.
    fn unused(&mut self) {
        for (key, instead) in falco::UNUSED {
            let path: Vec<&str> = key.split('.').collect();
            if let Some(entry) = self.tree.take(&path) {
                let message = format!("`{key}` of Falco is not used here");
                self.texts.hide_within(&entry.value, true);
                self.told(
                    codes::NOT_USED,
                    &entry.key_place,
                    message,
                    Some(instead.to_owned()),
                );
            }
        }
    }

    /// Type by type: what is mistaken is taken out, until the rest can be read.
    fn read(&mut self) -> Option<Settings> {
        let mut tree = self.tree.clone();
        let mut last = tree.place.clone();
        for _ in 0..MAX_MISTAKES {
            let mistake = match Settings::deserialize(&tree) {
                Ok(settings) => return Some(settings),
                Err(mistake) => mistake,
            };
            let path = mistake.path();
            let node = tree.at(&path);
            let follows = match (&mistake.told, node) {
                (Told::Missing(key), Some(node)) => {
                    let mut refused = node.refused().iter();
                    refused.any(|one| one == key || spelling::did_you_mean(one, [*key]).is_some())
                }
                _ => false,
            };
            if let (Told::Unknown { .. } | Told::Shape(_), Some(node)) = (&mistake.told, node) {
                // It may be a slip for the key of a secret, or have that in it.
                let node = node.clone();
                self.texts
                    .hide_within(&node, matches!(mistake.told, Told::Unknown { .. }));
            }
            if !follows {
                self.mistake(&mistake);
            }
            if !tree.refuse(&path) {
                return None;
            }
            last = mistake.place.unwrap_or(last);
        }
        let message = "there are more mistakes: they are not looked for".to_owned();
        self.told(codes::VALUE, &last, message, None);
        None
    }

    fn mistake(&mut self, mistake: &Mistake) {
        let place = mistake.place.as_ref().unwrap_or(&self.tree.place).clone();
        let (code, help) = match &mistake.told {
            Told::Unknown { key, known } => {
                let near = spelling::did_you_mean(key, known.iter().copied());
                let list = || format!("known are {}", known.join(", "));
                (codes::UNKNOWN_KEY, Some(near.unwrap_or_else(list)))
            }
            Told::Choice { word, known } => {
                let near = spelling::did_you_mean(word, known.iter().copied());
                let list = || format!("write one of {}", known.join(", "));
                (codes::VALUE, Some(near.unwrap_or_else(list)))
            }
            Told::Missing(_) => (codes::MISSING_KEY, None),
            Told::Value(_) | Told::Shape(_) => (codes::VALUE, None),
        };
        self.told(code, &place, mistake.to_string(), help);
    }

    /// The place of a value, or of what is around it.
    fn place(&self, path: &[&str]) -> Place {
        let mut lengths = (0..=path.len()).rev();
        let node = lengths.find_map(|length| self.tree.find(path.get(..length)?));
        node.unwrap_or(&self.tree).place.clone()
    }

    fn wrong(&mut self, path: &[&str], message: impl Into<String>, help: &str) {
        let place = self.place(path);
        self.told(codes::VALUE, &place, message.into(), Some(help.to_owned()));
    }

    /// Falco's outputs.
    fn outputs(&mut self, settings: &mut Settings) {
        let others = settings.file_output.enabled
            || settings.syslog_output.enabled
            || settings.http_output.enabled
            || !settings.sinks.is_empty();
        let stdout = settings
            .stdout_output
            .get_or_insert(Output { enabled: !others });
        if !stdout.enabled && !others {
            let help = "enable it, or another output, or add one to `sinks`";
            self.wrong(&["stdout_output", "enabled"], "alerts go nowhere", help);
        }
        let file = &settings.file_output;
        if file.enabled && falco::is_empty(&file.filename) {
            let help = "name the file with `filename`";
            self.wrong(&["file_output"], "the output has no file", help);
        }
        let http = settings.http_output.clone();
        if !http.enabled {
            return;
        }
        if http.insecure {
            let help = "name the peer's authority with `ca_bundle`";
            let message = "a peer's certificate is verified in any case";
            self.wrong(&["http_output", "insecure"], message, help);
        }
        if http.mtls && (falco::is_empty(&http.client_cert) || falco::is_empty(&http.client_key)) {
            let help = "name both with `client_cert` and `client_key`";
            let message = "a client certificate and its key are needed";
            self.wrong(&["http_output", "mtls"], message, help);
        }
        let path = http.ca_path.to_string_lossy();
        if !path.is_empty() && path.trim_end_matches('/') != falco::SYSTEM_AUTHORITIES {
            let place = self.place(&["http_output", "ca_path"]);
            let message = "`ca_path` is not used here".to_owned();
            let help = "name a file of certificates with `ca_bundle`".to_owned();
            self.told(codes::NOT_USED, &place, message, Some(help));
        }
        let url_at = ["http_output", "url"];
        if http.url.is_empty() {
            let place = self.place(&url_at);
            let message = "the key `url` is missing".to_owned();
            let help = "write the address that alerts go to, such as https://host:2801".to_owned();
            return self.told(codes::MISSING_KEY, &place, message, Some(help));
        }
        self.address(&url_at, &http.url, &["http://", "https://"]);
    }

    fn files_of_sinks(&mut self, settings: &Settings) {
        let file = |sink: &SinkSettings| match sink.target() {
            Ok(Target::File(to)) => Some(OneFile::of(to)),
            Ok(_) | Err(_) => None,
        };
        let outputs = falco::sinks(settings, crate::sink::Format::default());
        let mut before: Vec<OneFile> = outputs.iter().filter_map(file).collect();
        for (number, sink) in settings.sinks.iter().enumerate() {
            let Some(file) = file(sink) else {
                continue;
            };
            if let Some(why) = before.iter().find_map(|other| file.clash(other)) {
                let number = number.to_string();
                let help = "write the path of a file of its own";
                self.wrong(&["sinks", number.as_str(), "file", "path"], why, help);
            }
            before.push(file);
        }
    }

    fn sinks(&mut self, settings: &Settings) {
        let format = crate::sink::Format::default();
        let reserved = falco::sinks(settings, format);
        let mut names: BTreeSet<String> = reserved.into_iter().map(|sink| sink.name).collect();
        for (number, sink) in settings.sinks.iter().enumerate() {
            let number = number.to_string();
            let at = ["sinks", number.as_str()];
            let [list, item] = at;
            let name_at = [list, item, "name"];
            let name = sink.name.as_str();
            if !is_name(name) {
                let help = format!(
                    "write letters, digits, `-`, `_` and `.`, {MAX_NAME} at most, and not dots alone"
                );
                self.wrong(&name_at, "this is no name for a sink", &help);
            } else if !names.insert(sink.name.clone()) {
                let help = "each sink has a name of its own; stdout, file, syslog and http are \
                            those of the outputs";
                let message = format!("another sink is called `{name}`");
                self.wrong(&name_at, message, help);
            }
            self.sink(at, sink);
        }
    }

    fn sink(&mut self, at: [&str; 2], sink: &SinkSettings) {
        let [list, number] = at;
        let target = match sink.target() {
            Ok(target) => target,
            Err(message) => {
                let place = self.place(&at);
                return self.told(codes::VALUE, &place, message, None);
            }
        };
        let http: &[&str] = &["http://", "https://"];
        let (kind, key, address, schemes) = match target {
            Target::File(to) if falco::is_empty(&to.path) => {
                let help =
                    "write the path of a file, such as /var/log/kubelet-detector/alerts.jsonl";
                return self.wrong(&[list, number, "file", "path"], "the path is empty", help);
            }
            Target::Stdout(_) | Target::File(_) => return,
            Target::Syslog(to) => {
                let schemes: &[&str] = &["unix:", "udp://", "tcp://", "tls://"];
                ("syslog", "address", &to.address, schemes)
            }
            Target::Http(to) => ("http", "url", &to.url, http),
            Target::Elasticsearch(to) => ("elasticsearch", "url", &to.url, http),
            Target::Otlp(to) => ("otlp", "url", &to.url, http),
            Target::Nats(to) => {
                let schemes: &[&str] = &["nats://", "tls://"];
                ("nats", "url", &to.url, schemes)
            }
            Target::Kafka(to) => {
                let schemes: &[&str] = &["tcp://", "tls://"];
                ("kafka", "bootstrap_servers", &to.bootstrap_servers, schemes)
            }
        };
        self.address(&[list, number, kind, key], address, schemes);
        if let Some(socket) = address.strip_prefix("unix:") {
            let at = [list, number, kind, key];
            let help = "write an absolute path, such as unix:/dev/log";
            if !socket.starts_with('/') {
                self.wrong(&at, "this is no absolute path of a socket", help);
            } else if socket.len() > MAX_SOCKET {
                let message = format!("the path of a socket has at most {MAX_SOCKET} bytes");
                self.wrong(&at, message, "bind it at a shorter one");
            }
        }
        if matches!(target, Target::Kafka(_)) && !cfg!(feature = "kafka") {
            let (what, remedy) = NO_KAFKA;
            self.wrong(&[list, number, kind], what, remedy);
        }
        let amounts = match target {
            Target::Http(to) => vec![("batch", to.batch), ("concurrency", to.concurrency)],
            Target::Elasticsearch(to) => vec![("batch", to.batch)],
            Target::Otlp(to) => vec![("batch", to.batch)],
            Target::Nats(to) => vec![("batch", to.batch)],
            Target::Kafka(to) => vec![("batch", to.batch)],
            Target::Stdout(_) | Target::File(_) | Target::Syslog(_) => Vec::new(),
        };
        for (key, amount) in amounts {
            if amount == 0 {
                let help = "write 1 or more";
                self.wrong(&[list, number, kind, key], "this cannot be 0", help);
            }
        }
    }

    fn address(&mut self, path: &[&str], address: &str, schemes: &[&str]) {
        let of_scheme = |one: &str| schemes.iter().any(|scheme| one.trim().starts_with(scheme));
        if !address.split(',').all(of_scheme) {
            let help = format!("write an address that begins with {}", schemes.join(" or "));
            self.wrong(path, "this is no address for this output", &help);
        }
    }

    /// Also where the output is off: it would be shown.
    fn users(&mut self) {
        let mut places = Vec::new();
        addresses(&self.tree, names_user, &mut places);
        for place in places {
            let message = "an address must not have a user or password in it".to_owned();
            let help = "set `user`, `password` or `token` where the sink has them, or `headers`";
            self.told(codes::SECRET, &place, message, Some(help.to_owned()));
        }
    }

    /// Bounds below which nothing is delivered, or nothing but heartbeats is.
    fn least(&mut self, spool: &SpoolSettings, heartbeat: Option<Duration>) {
        for (key, size, least) in [
            ("max_bytes", spool.max_bytes, LEAST_SPOOL),
            ("memory_bytes", spool.memory_bytes, LEAST_MEMORY),
        ] {
            if size < least {
                let help = format!("write {least} or more, or leave it out");
                self.wrong(&["spool", key], "alerts have no room in this", &help);
            }
        }
        if heartbeat.is_some_and(|every| !every.is_zero() && every < LEAST_HEARTBEAT) {
            let help = "write 1s or more, or 0s for none";
            self.wrong(&["heartbeat", "interval"], "this is too often", help);
        }
    }

    fn rest(&mut self, settings: &Settings) {
        let heartbeat = settings.heartbeat.interval.map(|every| every.0);
        self.least(&settings.spool, heartbeat);
        let webserver = &settings.webserver;
        if webserver.enabled && webserver.ssl_enabled {
            let help = "put a proxy before it, or bind it to loopback";
            self.wrong(&["webserver", "ssl_enabled"], "TLS is not served", help);
        }
        let healthz = webserver.k8s_healthz_endpoint.as_str();
        let healthz_at = ["webserver", "k8s_healthz_endpoint"];
        let of_path = |one: char| !matches!(one, '?' | '#') && !one.is_whitespace();
        if webserver.enabled && !(healthz.starts_with('/') && healthz.chars().all(of_path)) {
            let help = "write a path such as /healthz, without `?`, `#` and spaces";
            self.wrong(&healthz_at, "this is no path", help);
        }
        if webserver.enabled && ENDPOINTS.contains(&healthz) {
            let message = format!("`{healthz}` is another endpoint");
            self.wrong(&healthz_at, message, "write a path of its own, or /healthz");
        }
        for (number, append) in settings.append_output.iter().enumerate() {
            let number = number.to_string();
            let path = ["append_output", number.as_str()];
            let place = self.place(&path);
            match append.check() {
                Err(error) => self.told(codes::VALUE, &place, error.to_string(), None),
                Ok(warnings) => {
                    for warning in warnings {
                        self.told(codes::NOT_USED, &place, warning, None);
                    }
                }
            }
        }
    }
}

/// It names files of the spool and labels of metrics.
fn is_name(name: &str) -> bool {
    let of_name = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    name.len() <= MAX_NAME && name.chars().all(of_name) && !name.chars().all(|one| one == '.')
}
