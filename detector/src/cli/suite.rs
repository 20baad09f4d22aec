//! `rules test`: a users' file of events, or traces, and the rules that are to fire on them.

use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr, ops::Range, path::Path, sync::Arc};

use anyhow::{Result, bail};

use super::{Invalid, print, rules::load};
use crate::{
    config::Config,
    event::{
        Ancestor, Attribution, Counter, Elapsed, Endpoint, Event, Executable, Family, Item, Kind,
        Process, Socket, Thread,
    },
    host::Host,
    rules::{
        Ruleset,
        lines::Lines,
        yaml::{self, Node, Value},
    },
    trace::{Reader, TraceError},
};

const KEYS: [&str; 5] = ["test", "trace", "event", "fires", "silent"];
const FIELDS: [&str; 15] = [
    "evt.type",
    "evt.rawres",
    "fd.cip",
    "fd.cport",
    "fd.sip",
    "fd.sport",
    "proc.name",
    "proc.exepath",
    "proc.args",
    "proc.aname",
    "proc.cwd",
    "proc.pid",
    "user.uid",
    "user.name",
    "container.id",
];

/// TASK_COMM_LEN without its terminator (include/linux/sched.h).
const MAX_COMM: usize = 15;

/// A mistake of the test file, and its place.
type Mistake = (String, Range<usize>);

struct Case {
    name: String,
    events: Vec<Event>,
    /// Of the trace.
    host: Host,
    /// All that fire, no more.
    fires: Option<BTreeSet<String>>,
    silent: BTreeSet<String>,
}

pub(super) fn run(path: &Path, config: &Config) -> Result<()> {
    let mut ruleset = load(config)?;
    let text = std::fs::read_to_string(path).map_err(|error| {
        let file = path.display();
        Invalid(format!(
            "cannot read the tests `{file}`: {error}: name a YAML file"
        ))
    })?;
    let (cases, mistakes) = cases(&text, path, &ruleset);
    if !mistakes.is_empty() {
        let lines: Vec<String> = mistakes
            .iter()
            .map(|(message, span)| format!("{}: {message}", place(path, &text, span.start)))
            .collect();
        bail!(Invalid(format!(
            "the tests are invalid\n{}",
            lines.join("\n")
        )));
    }
    let mut report = String::new();
    let mut failed = 0;
    for case in &cases {
        ruleset = ruleset.on_host(case.host.clone());
        let differences = case.differences(&ruleset);
        failed += usize::from(!differences.is_empty());
        let verdict = if differences.is_empty() {
            "ok  "
        } else {
            "FAIL"
        };
        writeln!(report, "{verdict} {}", case.name)?;
        for difference in differences {
            writeln!(report, "     {difference}")?;
        }
    }
    writeln!(report, "{} passed, {failed} failed", cases.len() - failed)?;
    print(&report)?;
    if failed > 0 {
        bail!("{failed} tests failed: `rules explain` shows why a rule fires or does not");
    }
    Ok(())
}

fn place(path: &Path, text: &str, at: usize) -> String {
    let (line, column) = Lines::new(text).line_and_column(at);
    format!("{}:{line}:{column}", path.display())
}

impl Case {
    fn differences(&self, ruleset: &Ruleset) -> Vec<String> {
        let fired: BTreeSet<&str> = self
            .events
            .iter()
            .flat_map(|event| ruleset.evaluate(event))
            .map(|rule| rule.name.as_str())
            .collect();
        let mut differences = Vec::new();
        if let Some(fires) = &self.fires {
            for name in fires.iter().filter(|name| !fired.contains(name.as_str())) {
                differences.push(format!("`{name}` did not fire"));
            }
            for name in fired.iter().filter(|name| !fires.contains(**name)) {
                differences.push(format!("`{name}` fired"));
            }
        }
        for name in self
            .silent
            .iter()
            .filter(|name| fired.contains(name.as_str()))
        {
            differences.push(format!("`{name}` fired"));
        }
        differences
    }
}

fn cases(text: &str, path: &Path, ruleset: &Ruleset) -> (Vec<Case>, Vec<Mistake>) {
    let mut cases = Vec::new();
    let mut mistakes = Vec::new();
    let documents = yaml::parse(text).unwrap_or_else(|(message, at)| {
        mistakes.push((message, at..at));
        Vec::new()
    });
    for document in &documents {
        match &document.value {
            Value::Null => {}
            Value::Sequence(items) => {
                for item in items {
                    match case(item, path, ruleset) {
                        Ok(case) => cases.push(case),
                        Err(mistake) => mistakes.push(mistake),
                    }
                }
            }
            _ => {
                let message = "a test file is a sequence: begin each test with `- test: name`";
                mistakes.push((message.to_owned(), document.span.clone()));
            }
        }
    }
    (cases, mistakes)
}

fn known(node: &Node, keys: &[&str]) -> Result<(), Mistake> {
    let Value::Map(pairs) = &node.value else {
        return Err((
            format!("write a map of {}", keys.join(", ")),
            node.span.clone(),
        ));
    };
    for (key, _) in pairs {
        let name = key.text().unwrap_or_default();
        if !keys.contains(&name) {
            let message = format!("`{name}` is not known here: known are {}", keys.join(", "));
            return Err((message, key.span.clone()));
        }
    }
    Ok(())
}

fn case(item: &Node, path: &Path, ruleset: &Ruleset) -> Result<Case, Mistake> {
    known(item, &KEYS)?;
    let lacks = |what: &str| (format!("this test lacks {what}"), item.span.clone());
    let name = item.get("test").and_then(Node::text);
    let name = name.ok_or_else(|| lacks("its name: add `test: name`"))?;
    let (events, host) = match (item.get("trace"), item.get("event")) {
        (Some(trace), None) => recorded(trace, path)?,
        (None, Some(event)) => (inline(event)?, Host::default()),
        _ => return Err(lacks("`trace: FILE` or `event: {...}`, one of them")),
    };
    let fires = item
        .get("fires")
        .map(|node| rules(node, ruleset))
        .transpose()?;
    let silent = item
        .get("silent")
        .map(|node| rules(node, ruleset))
        .transpose()?;
    if fires.is_none() && silent.is_none() {
        return Err(lacks(
            "an expectation: add `fires: [...]` or `silent: [...]`",
        ));
    }
    Ok(Case {
        name: name.to_owned(),
        events,
        host,
        fires,
        silent: silent.unwrap_or_default(),
    })
}

fn texts(node: &Node) -> Result<Vec<String>, Mistake> {
    let Value::Sequence(items) = &node.value else {
        return Err(("write a sequence: [a, b]".to_owned(), node.span.clone()));
    };
    let text = |item: &Node| {
        let text = item.text().map(str::to_owned);
        text.ok_or_else(|| ("write a text".to_owned(), item.span.clone()))
    };
    items.iter().map(text).collect()
}

fn rules(node: &Node, ruleset: &Ruleset) -> Result<BTreeSet<String>, Mistake> {
    let names = texts(node)?;
    let is_rule = |name: &&String| ruleset.rules().iter().any(|rule| rule.name == **name);
    if let Some(unknown) = names.iter().find(|name| !is_rule(name)) {
        let message = format!("no rule is called `{unknown}`: `rules list` shows the names");
        return Err((message, node.span.clone()));
    }
    Ok(names.into_iter().collect())
}

/// The path is relative to the test file.
fn recorded(node: &Node, tests: &Path) -> Result<(Vec<Event>, Host), Mistake> {
    let trace = tests.with_file_name(node.text().unwrap_or_default());
    events(&trace).map_err(|error| {
        let message = format!("{:#}", anyhow::Error::from(error));
        (message, node.span.clone())
    })
}

fn events(trace: &Path) -> Result<(Vec<Event>, Host), TraceError> {
    let mut reader = Reader::open(trace, |file| -> Box<dyn std::io::Read> { Box::new(file) })?;
    let mut events = Vec::new();
    let mut counter = Counter::default();
    while let Some(item) = reader.next_item()? {
        if let Item::Event(mut event) = item {
            counter.number(&mut event);
            events.push(event);
        }
    }
    Ok((events, reader.host))
}

/// What is not given is as of a root process of the host that connects to 10.0.0.5:10250. A connect
/// is an attempt and an outcome.
fn inline(node: &Node) -> Result<Vec<Event>, Mistake> {
    known(node, &FIELDS)?;
    let kind = match node.get("evt.type").and_then(Node::text) {
        None | Some("connect") => Kind::ConnectAttempt,
        Some("accept") => Kind::Accept,
        Some("listen") => Kind::Listen,
        Some(_) => {
            let place = node.get("evt.type").unwrap_or(node);
            let message = "`evt.type` is connect, accept or listen".to_owned();
            return Err((message, place.span.clone()));
        }
    };
    let server = Endpoint {
        ip: parsed(node, "fd.sip", [10, 0, 0, 5].into())?,
        port: parsed(node, "fd.sport", 10250)?,
    };
    let near = if server.ip.is_ipv4() {
        IpAddr::from([10, 0, 0, 9])
    } else {
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 9])
    };
    let client = Endpoint {
        ip: parsed(node, "fd.cip", near)?,
        port: parsed(node, "fd.cport", 40000)?,
    };
    let result: i32 = parsed(node, "evt.rawres", 0)?;
    if result > 0 {
        let place = node.get("evt.rawres").unwrap_or(node);
        let message = "`evt.rawres` is 0 or a negative errno, such as -111".to_owned();
        return Err((message, place.span.clone()));
    }
    let process = process(node)?;
    let attempt = Event {
        number: 1,
        time_ns: 0,
        cpu: 0,
        kind,
        socket: Socket {
            cookie: 1,
            family: if server.ip.is_ipv4() {
                Family::Ipv4
            } else {
                Family::Ipv6
            },
            mapped: false,
            client: (kind != Kind::Listen).then_some(client),
            server,
            netns: 1,
        },
        errno: (kind != Kind::ConnectAttempt).then_some(result.saturating_neg()),
        attribution: Attribution::Caller,
        thread: Thread {
            tid: process.pid,
            comm: process.comm.clone(),
        },
        elapsed: Elapsed::default(),
        names: None,
        process: Arc::new(process),
    };
    if kind != Kind::ConnectAttempt {
        return Ok(vec![attempt]);
    }
    let outcome = Event {
        kind: Kind::ConnectOutcome,
        errno: Some(result.saturating_neg()),
        ..attempt.clone()
    };
    Ok(vec![attempt, outcome])
}

fn process(node: &Node) -> Result<Process, Mistake> {
    let comm = parsed(node, "proc.name", "curl".to_owned())?;
    if comm.len() > MAX_COMM {
        let place = node.get("proc.name").unwrap_or(node);
        let message = format!("the kernel keeps {MAX_COMM} bytes of `proc.name`: shorten it");
        return Err((message, place.span.clone()));
    }
    let path = parsed(node, "proc.exepath", format!("/usr/bin/{comm}"))?;
    let mut args = vec![comm.clone()];
    if let Some(more) = node.get("proc.args") {
        args.extend(texts(more)?);
    }
    let names = node.get("proc.aname").map(texts).transpose()?;
    let ancestor = |comm: String| Ancestor {
        exe_name: comm.clone(),
        comm,
        ..Ancestor::default()
    };
    let container = parsed(node, "container.id", "host".to_owned())?;
    Ok(Process {
        pid: parsed(node, "proc.pid", 1000)?,
        comm,
        exe: Executable {
            path,
            ..Executable::default()
        },
        args,
        cwd: parsed(node, "proc.cwd", "/".to_owned())?,
        uid: parsed(node, "user.uid", 0)?,
        user_name: Some(parsed(node, "user.name", "root".to_owned())?),
        container_id: (container != "host").then_some(container),
        ancestors: names
            .unwrap_or_default()
            .into_iter()
            .map(ancestor)
            .collect(),
        ..Process::default()
    })
}

fn parsed<T>(node: &Node, field: &str, default: T) -> Result<T, Mistake>
where
    T: std::str::FromStr,
{
    let Some(value) = node.get(field) else {
        return Ok(default);
    };
    let text = value.text().unwrap_or_default();
    text.parse().map_err(|_error| {
        (
            format!("`{text}` is no value of `{field}`"),
            value.span.clone(),
        )
    })
}
