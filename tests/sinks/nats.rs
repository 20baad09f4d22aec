//! JetStream of a real NATS server.

use std::{fs, path::Path, process::Command, time::Duration};

use async_nats::{
    ConnectOptions,
    jetstream::{
        self,
        consumer::{DeliverPolicy, pull},
        stream::Config,
    },
};
use detector::sink::{Format, settings::SinkSettings};
use futures_util::StreamExt as _;
use tokio::runtime::{Builder, Runtime};

use crate::{
    alerts::{ALERTS, Alerts, assert_same},
    certificates::Certificates,
    delivery::{Delivery, documented, settings},
    peers::{Server, fetched, free_port, wait_for_port, wait_until},
};

pub(crate) const SUBJECT: &str = "alerts.kubelet";
/// The largest message that the stream takes.
const MAX_MESSAGE: usize = 100_000;

pub(crate) struct Nats {
    pub(crate) server: Server,
    pub(crate) port: u16,
}

impl Nats {
    /// `None` if it is not there. `more` is configuration.
    pub(crate) fn start(folder: &Path, port: u16, more: &str) -> Option<Self> {
        let program = fetched("tools/python/bin/nats-server")?;
        let path = folder.join("nats.conf");
        let store = folder.join("jetstream");
        let text =
            format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {store:?} }}\n{more}\n");
        fs::write(&path, text).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(&path);
        let mut server = Server::start(&mut command, folder, "nats");
        wait_for_port(&mut server, port);
        server.wait_until("a server that is ready", |said| {
            said.contains("Server is ready").then_some(())
        });
        Some(Self { server, port })
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Of the administrator, by other means than the sink's.
pub(crate) struct Stream {
    runtime: Runtime,
    stream: jetstream::stream::Stream,
}

impl Stream {
    pub(crate) fn make(options: ConnectOptions, port: u16) -> Self {
        let runtime = runtime();
        let stream = runtime.block_on(async {
            let client = options.connect(format!("127.0.0.1:{port}")).await.unwrap();
            let config = Config {
                name: "ALERTS".to_owned(),
                subjects: vec![SUBJECT.to_owned()],
                max_message_size: i32::try_from(MAX_MESSAGE).unwrap(),
                ..Config::default()
            };
            jetstream::new(client)
                .get_or_create_stream(config)
                .await
                .unwrap()
        });
        Self { runtime, stream }
    }

    fn messages(&self) -> Vec<(String, Vec<u8>)> {
        self.runtime.block_on(async {
            let count = self.stream.get_info().await.unwrap().state.messages;
            let config = pull::OrderedConfig {
                deliver_policy: DeliverPolicy::All,
                ..pull::OrderedConfig::default()
            };
            let consumer = self.stream.create_consumer(config).await.unwrap();
            let mut messages = consumer.messages().await.unwrap();
            let mut all = Vec::new();
            while all.len() < usize::try_from(count).unwrap() {
                let next = tokio::time::timeout(Duration::from_secs(30), messages.next());
                let message = next.await.unwrap().unwrap().unwrap();
                let id = message
                    .headers
                    .as_ref()
                    .unwrap()
                    .get("Nats-Msg-Id")
                    .unwrap();
                all.push((id.to_string(), message.payload.to_vec()));
            }
            all
        })
    }

    pub(crate) fn check(&self, alerts: &Alerts, format: Format) {
        let (ids, bodies): (Vec<String>, Vec<_>) = self.messages().into_iter().unzip();
        assert_same(&bodies, &alerts.bodies(format));
        let expected: Vec<String> = alerts
            .all
            .iter()
            .map(|kept| kept.uuid().to_string())
            .collect();
        assert_eq!(ids, expected);
    }
}

fn deliver(sink: SinkSettings, alerts: &Alerts, spool: &Path) {
    let mut delivery = Delivery::start(&[sink], spool, &alerts.host);
    delivery.write(&alerts.all);
    let stats = delivery.finish();
    assert_eq!(stats.refused, 0);
}

/// With a password; and the server goes away for a while.
#[test]
fn a_stream_gets_every_alert_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let (port, users) = (
        free_port(),
        "authorization { user: detector, password: \"p w\" }",
    );
    let Some(nats) = Nats::start(folder.path(), port, users) else {
        return;
    };
    let password = folder.path().join("password");
    fs::write(&password, "p w\n").unwrap();
    let alerts = Alerts::new(ALERTS);
    let sink = || {
        documented(
            "nats",
            &[
                ("nats.example:4222", &format!("127.0.0.1:{}", nats.port)),
                ("/etc/kubelet-detector/password", password.to_str().unwrap()),
            ],
        )
    };
    let login = || ConnectOptions::with_user_and_password("detector".into(), "p w".into());
    Stream::make(login(), port);
    let mut delivery = Delivery::start(&[sink()], &folder.path().join("spool"), &alerts.host);
    let (before, after) = alerts.all.split_at(ALERTS / 2);
    delivery.write(before);
    delivery.wait(before.len());
    nats.server.stop();
    delivery.write(after);
    wait_until("a server that is missed", || delivery.stats().failing);
    let nats = Nats::start(folder.path(), port, users).unwrap();
    let stats = delivery.finish();
    assert_eq!(stats.refused, 0);
    let stream = Stream::make(login(), port);
    stream.check(&alerts, Format::Json);

    // Once more, as after a crash before the spool knew: the stream has each of them once.
    deliver(sink(), &alerts, &folder.path().join("again"));
    stream.check(&alerts, Format::Json);
    nats.server.stop();
}

#[test]
fn a_stream_gets_alerts_over_mutual_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::new(&folder.path().join("tls"));
    let tls = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
        certificates.server, certificates.server_key, certificates.ca
    );
    // The stream is made, and read, over a plain connection.
    let Some(plain) = Nats::start(folder.path(), free_port(), "") else {
        return;
    };
    Stream::make(ConnectOptions::new(), plain.port);
    plain.server.stop();
    let nats = Nats::start(folder.path(), plain.port, &tls).unwrap();
    let alerts = Alerts::new(ALERTS);
    let address = format!("127.0.0.1:{}", nats.port);
    let mut words = certificates.words();
    words.push(("nats.example:4222", &address));
    let sink = documented("nats_tls", &words);
    deliver(sink, &alerts, &folder.path().join("spool"));
    nats.server.stop();
    let plain = Nats::start(folder.path(), nats.port, "").unwrap();
    Stream::make(ConnectOptions::new(), plain.port).check(&alerts, Format::Ocsf);
}

/// With a token. One that is too long for the stream, or for the server, is refused.
#[test]
fn a_message_that_is_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let token = "authorization { token: \"t0ken\" }\nmax_payload: 500000";
    let Some(nats) = Nats::start(folder.path(), free_port(), token) else {
        return;
    };
    let mut alerts = Alerts::new(100);
    alerts.all[20].message = "long ".repeat(MAX_MESSAGE / 5);
    alerts.all[40].message = "long ".repeat(100_000);
    let yaml = format!(
        "sinks:\n- name: nats\n  nats:\n    url: nats://127.0.0.1:{}\n    subject: {SUBJECT}\n    \
         token: t0ken\n    batch: 7\n",
        nats.port
    );
    let mut delivery = Delivery::start(&settings(&yaml), folder.path(), &alerts.host);
    delivery.write(&alerts.all);
    // Before there is a stream, nobody has them.
    let why = wait_until("a stream that is missed", || delivery.stats().failing);
    assert!(why.contains("no stream found"), "{why}");
    let stream = Stream::make(ConnectOptions::with_token("t0ken".into()), nats.port);
    let stats = delivery.finish();
    assert_eq!((stats.delivered, stats.refused), (98, 2));
    let dead = fs::read_to_string(folder.path().join("dead/nats.jsonl")).unwrap();
    for (reason, line) in ["message size exceeds", "Payload size limit"]
        .iter()
        .zip(dead.lines())
    {
        assert!(line.contains(reason), "{line}");
    }
    drop(alerts.all.remove(40));
    drop(alerts.all.remove(20));
    stream.check(&alerts, Format::Json);
}

/// It waits for an answer that does not come; the server says why beside.
#[test]
fn a_subject_that_is_not_allowed_is_told_by_the_server_s_words() {
    let folder = tempfile::tempdir().unwrap();
    let user = format!(
        "{{user: cleo, password: hunter2, permissions: {{publish: {{deny: \"{SUBJECT}\"}}}}}}"
    );
    let more = format!("authorization {{ users: [{user}] }}");
    let Some(nats) = Nats::start(folder.path(), free_port(), &more) else {
        return;
    };
    let alerts = Alerts::new(1);
    let yaml = format!(
        "sinks: [{{name: nats, nats: {{url: 'nats://127.0.0.1:{}', subject: {SUBJECT}, user: cleo, \
         password: hunter2, timeout: 1s}}}}]",
        nats.port
    );
    let mut delivery = Delivery::start(&settings(&yaml), folder.path(), &alerts.host);
    delivery.write(&alerts.all);
    let why = wait_until("a reason", || delivery.stats().failing);
    assert!(
        why.to_lowercase().contains("permissions violation"),
        "{why}"
    );
    delivery.end();
}
