//! rsyslog, and what it makes of RFC 5424.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::peers::{Lines, Server, fetched};

/// A message as rsyslog took it apart.
pub(crate) struct Message {
    pub(crate) raw: String,
    parts: Value,
}

impl Message {
    pub(crate) fn part(&self, name: &str) -> &str {
        self.parts[name].as_str().unwrap()
    }
}

pub(crate) struct Rsyslog {
    server: Server,
}

impl Rsyslog {
    /// `None` if it is not there. `input` is its configuration of where messages come from.
    pub(crate) fn start(folder: &Path, input: &str) -> Option<Self> {
        let root = fetched("peers/rsyslog")?;
        let libraries = root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
        let out = folder.join("received");
        let configuration = folder.join("rsyslog.conf");
        let text = format!(
            r#"global(workDirectory="{folder}" maxMessageSize="64k" net.enableDNS="off"
                parser.escapeControlCharactersOnReceive="off"
                parser.dropTrailingLFOnReception="off")
{input}
template(name="parts" type="list" option.jsonf="on") {{
    property(outname="raw" name="rawmsg" format="jsonf")
    property(outname="pri" name="pri" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="app" name="app-name" format="jsonf")
    property(outname="id" name="msgid" format="jsonf")
    property(outname="data" name="structured-data" format="jsonf")
    property(outname="message" name="msg" format="jsonf")
}}
action(type="omfile" file="{out}" template="parts")
"#,
            folder = folder.display(),
            out = out.display(),
        );
        fs::write(&configuration, text).unwrap();
        let mut command = Command::new(root.join("usr/sbin/rsyslogd"));
        command
            .arg("-n")
            .arg("-f")
            .arg(&configuration)
            .arg("-i")
            .arg(folder.join("pid"))
            .arg("-M")
            .arg(libraries.join("rsyslog"))
            .env("LD_LIBRARY_PATH", libraries);
        let server = Server::start(&mut command, folder, "rsyslog");
        Some(Self { server })
    }

    pub(crate) fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    pub(crate) fn stop(self) {
        self.server.stop();
    }
}

/// What it received so far.
pub(crate) fn received(folder: &Path) -> Lines {
    Lines::of(folder.join("received"))
}

/// Waits for as many.
pub(crate) fn messages(folder: &Path, expected: usize) -> Vec<Message> {
    let mut lines = received(folder);
    lines.wait(expected);
    let messages = lines.all().into_iter().map(|line| {
        let parts: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Message {
            raw: parts["raw"].as_str().unwrap().to_owned(),
            parts,
        }
    });
    messages.collect()
}
