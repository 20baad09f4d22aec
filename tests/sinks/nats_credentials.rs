//! JetStream of a server whose accounts and users are of an operator: who a client is, a file of
//! credentials (`.creds`) tells, as `nsc` writes it.

use std::{collections::BTreeMap, fs, path::Path};

use async_nats::ConnectOptions;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use detector::sink::Format;
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::{
    alerts::{ALERTS, Alerts},
    delivery::{Delivery, settings},
    nats::{Nats, SUBJECT, Stream},
    peers::{free_port, wait_until},
};

/// When tokens are issued, and after that.
const NOW: u64 = 1_790_000_000;
const LATER: u64 = NOW + 1;

/// What the server is told, and who may log in.
struct Operator {
    key: KeyPair,
    account: KeyPair,
}

impl Operator {
    fn new() -> Self {
        Self {
            key: KeyPair::new_operator(),
            account: KeyPair::new_account(),
        }
    }

    /// Of the server: the operator, its account, and one that the server needs for itself. One user
    /// may not log in any more.
    fn configuration(&self, revoked: Option<&str>) -> String {
        let unlimited = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
            "wildcards": true, "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1,
            "streams": -1, "consumer": -1});
        let mut without_streams = unlimited.clone();
        for key in ["mem_storage", "disk_storage", "streams", "consumer"] {
            without_streams[key] = json!(0);
        }
        let system = KeyPair::new_account();
        let users: BTreeMap<_, _> = revoked.map(|user| (user, LATER)).into_iter().collect();
        let account = |key: &KeyPair, limits: &Value| {
            let claims =
                json!({"type": "account", "version": 2, "limits": limits, "revocations": users});
            token(&self.key, key, &claims)
        };
        format!(
            "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n  {}: {}\n  \
             {}: {}\n}}",
            token(
                &self.key,
                &self.key,
                &json!({"type": "operator", "version": 2})
            ),
            system.public_key(),
            system.public_key(),
            account(&system, &without_streams),
            self.account.public_key(),
            account(&self.account, &unlimited),
        )
    }

    /// Writes a new user's file, and names the user.
    fn credentials(&self, path: &Path) -> String {
        let user = KeyPair::new_user();
        let claims = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            token(&self.account, &user, &claims),
            user.seed().unwrap()
        );
        fs::write(path, text).unwrap();
        user.public_key()
    }
}

/// Signed by one, about another.
fn token(issuer: &KeyPair, subject: &KeyPair, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(&json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let name = subject.public_key();
    let body = part(
        &json!({"jti": name, "iat": NOW, "iss": issuer.public_key(), "name": name, "sub": name,
            "nats": claims}),
    );
    let signed = format!("{head}.{body}");
    let signature = issuer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Waits until the server has refused the credentials.
fn refused(delivery: &Delivery, what: &str) {
    wait_until(what, || {
        let why = delivery.stats().failing?;
        why.contains("authorization violation").then_some(())
    });
}

/// Credentials of another operator are refused; those that take their place are used, also when a
/// user that was logged in may not be any more.
#[test]
fn a_stream_gets_alerts_from_who_has_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let operator = Operator::new();
    let Some(nats) = Nats::start(folder.path(), free_port(), &operator.configuration(None)) else {
        return;
    };
    let port = nats.port;
    // Another user each time, whom nobody revokes.
    let login = || {
        let reader = folder.path().join("reader.creds");
        operator.credentials(&reader);
        ConnectOptions::with_credentials(&fs::read_to_string(reader).unwrap()).unwrap()
    };
    Stream::make(login(), port);
    let file = folder.path().join("user.creds");
    Operator::new().credentials(&file);
    let yaml = format!(
        "sinks:\n- name: nats\n  nats:\n    url: nats://127.0.0.1:{port}\n    subject: {SUBJECT}\n    \
         credentials: {}\n",
        file.display()
    );
    let alerts = Alerts::new(ALERTS);
    let (before, after) = alerts.all.split_at(ALERTS / 2);
    let spool = folder.path().join("spool");
    let mut delivery = Delivery::start(&settings(&yaml), &spool, &alerts.host);
    delivery.write(before);
    refused(&delivery, "credentials that are refused");
    let user = operator.credentials(&file);
    delivery.wait(before.len());

    nats.server.stop();
    let configuration = operator.configuration(Some(&user));
    let nats = Nats::start(folder.path(), port, &configuration).unwrap();
    delivery.write(after);
    refused(&delivery, "a user that is refused");
    operator.credentials(&file);
    let stats = delivery.finish();
    assert_eq!(stats.refused, 0);
    Stream::make(login(), port).check(&alerts, Format::Json);
    nats.server.stop();
}
