//! The language as a table: one row for each thing that a paragraph of its description says, with
//! the verdict that Falco gives (what differs is in docs/falco-compat.md). The numbers are those of
//! the paragraphs: 1 files, 2 conditions, 3 fields, 4 output.

mod details;
mod events;
mod exceptions;
mod items;
mod language;
mod messages;
mod names;
mod operators;
mod values;
mod warnings;

use std::collections::{BTreeMap, BTreeSet};

use detector::{
    event::{Event, Kind},
    host::Host,
    pipeline::alerts::Alerts,
    rules::diagnostic::Severity,
    sink::{Format, Stream, Style},
};

use crate::{codes, events as given, load, rule, ruleset};

/// Fewer rows would leave paragraphs out.
const LEAST: usize = 400;
/// Every paragraph that says something of a rule file, a condition, an event or an output; 1.11,
/// the loader's result, is held by the snapshots of `diagnostics`.
const PARAGRAPHS: [&str; 39] = [
    "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "1.10", "1.12", "2.1", "2.2",
    "2.3", "2.4", "2.5", "2.6", "2.7", "2.8", "2.9", "2.10", "2.11", "2.12", "2.13", "2.14", "3.1",
    "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10", "4.1", "4.2", "4.3", "4.4",
];

/// Rows of a paragraph about one event.
struct Group {
    paragraph: &'static str,
    about: &'static str,
    on: On,
    rows: &'static [(&'static str, Verdict)],
}

#[derive(Clone, Copy, Debug)]
enum On {
    Attempt,
    Refused,
    Connected,
    InProgress,
    Accept,
    Listen,
    Ipv6,
    Unattributed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Matches(bool),
    Refused(&'static str),
}

const TRUE: Verdict = Verdict::Matches(true);
const FALSE: Verdict = Verdict::Matches(false);
const WRONG: Verdict = Verdict::Refused("LOAD_ERR_COMPILE_CONDITION");
const UNDEFINED: Verdict = Verdict::Refused("LOAD_ERR_VALIDATE");

impl On {
    fn event(self) -> Event {
        let outcome = |errno: i32| Event {
            errno: Some(errno),
            ..given::event(Kind::ConnectOutcome)
        };
        match self {
            Self::Attempt => given::event(Kind::ConnectAttempt),
            Self::Refused => outcome(111),
            Self::Connected => outcome(0),
            Self::InProgress => outcome(115),
            Self::Accept => given::event(Kind::Accept),
            Self::Listen => given::event(Kind::Listen),
            Self::Ipv6 => given::ipv6(),
            Self::Unattributed => given::unattributed(),
        }
    }
}

fn host() -> Host {
    Host {
        hostname: "node-1".to_owned(),
        boot_time_ns: 1_699_999_990_000_000_000,
        ..Host::default()
    }
}

fn verdict(condition: &str, event: &Event) -> Verdict {
    let loaded = load(&[&rule("r", condition)]);
    match codes(&loaded, Severity::Error).as_slice() {
        [] => {
            let rules = loaded.ruleset.unwrap().on_host(host());
            Verdict::Matches(rules.evaluate(event).next().is_some())
        }
        [first, ..] => Verdict::Refused(first),
    }
}

fn check(groups: &[Group]) {
    let mut wrong = Vec::new();
    for group in groups {
        let event = group.on.event();
        for (condition, expected) in group.rows {
            let found = verdict(condition, &event);
            if found != *expected {
                let Group { paragraph, on, .. } = group;
                wrong.push(format!("{paragraph} {on:?}: {condition}: {found:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn conditions_give_falcos_verdicts() {
    check(language::GROUPS);
    check(operators::GROUPS);
    check(details::GROUPS);
}

#[test]
fn events_show_what_falcos_show() {
    check(events::GROUPS);
}

/// As a connect can end; a number that has no name here is told as it is.
#[test]
fn results_have_their_names() {
    for (errno, name) in [
        (0, "SUCCESS"),
        (1, "EPERM"),
        (4, "EINTR"),
        (11, "EAGAIN"),
        (12, "ENOMEM"),
        (13, "EACCES"),
        (22, "EINVAL"),
        (24, "EMFILE"),
        (98, "EADDRINUSE"),
        (99, "EADDRNOTAVAIL"),
        (100, "ENETDOWN"),
        (101, "ENETUNREACH"),
        (103, "ECONNABORTED"),
        (104, "ECONNRESET"),
        (105, "ENOBUFS"),
        (106, "EISCONN"),
        (110, "ETIMEDOUT"),
        (111, "ECONNREFUSED"),
        (112, "EHOSTDOWN"),
        (113, "EHOSTUNREACH"),
        (114, "EALREADY"),
        (115, "EINPROGRESS"),
    ] {
        let event = Event {
            errno: Some(errno),
            ..given::event(Kind::ConnectOutcome)
        };
        assert_eq!(
            verdict(&format!("evt.res = {name}"), &event),
            TRUE,
            "{errno}"
        );
        let failed = format!("evt.failed = {}", errno != 0);
        assert_eq!(verdict(&failed, &event), TRUE, "{errno}");
        let raw = format!("evt.rawres = -{errno}");
        assert_eq!(verdict(&raw, &event), TRUE, "{errno}");
    }
}

/// What comes of files: `@name condition` is a rule in one line, `===` parts files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The rules that match curl connecting to 10250.
    Fires(&'static [&'static str]),
    /// Codes of all errors.
    Errors(&'static [&'static str]),
    /// Codes of all warnings; no error.
    Warns(&'static [&'static str]),
}

/// Paragraph, files, outcome.
type FileRow = (&'static str, &'static str, Outcome);

fn file_rows() -> impl Iterator<Item = &'static FileRow> {
    let sections = [
        items::ROWS,
        values::ROWS,
        exceptions::ROWS,
        names::ROWS,
        warnings::ROWS,
    ];
    sections.into_iter().flatten()
}

fn written(text: &str) -> Vec<String> {
    let line = |line: &str| match line.strip_prefix('@').and_then(|rest| rest.split_once(' ')) {
        Some((name, condition)) => rule(name, condition),
        None => format!("{line}\n"),
    };
    let file = |file: &str| file.lines().map(line).collect();
    text.split("===\n").map(file).collect()
}

#[test]
fn files_come_to_what_falcos_loader_makes_of_them() {
    let mut wrong = Vec::new();
    for (paragraph, text, expected) in file_rows() {
        let files = written(text);
        let texts: Vec<&str> = files.iter().map(String::as_str).collect();
        let loaded = load(&texts);
        let good = match expected {
            Outcome::Errors(expected) => codes(&loaded, Severity::Error) == *expected,
            Outcome::Warns(expected) => {
                loaded.ruleset.is_some() && codes(&loaded, Severity::Warning) == *expected
            }
            Outcome::Fires(expected) => loaded.ruleset.as_ref().is_some_and(|rules| {
                let event = On::Attempt.event();
                let fired: Vec<&str> = rules
                    .evaluate(&event)
                    .map(|one| one.name.as_str())
                    .collect();
                fired == *expected
            }),
        };
        if !good {
            let found: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
            wrong.push(format!("{paragraph}: {text}{expected:?}: {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn outputs_are_rendered_as_falcos() {
    for (_, output, expected) in messages::ROWS {
        let text = rule("r", "evt.type = connect")
            .replace("output: o", &format!("output: |-\n    {output}"));
        let loaded = load(&[&text]);
        let Some(rules) = &loaded.ruleset else {
            assert_eq!(
                codes(&loaded, Severity::Error),
                ["LOAD_ERR_COMPILE_OUTPUT"],
                "{output}"
            );
            assert_eq!(*expected, None, "{output}: {:?}", loaded.diagnostics);
            continue;
        };
        let event = On::Attempt.event();
        let mut message = String::new();
        rules.rules()[0].render(&event, &host(), &mut message);
        assert_eq!(Some(message.as_str()), *expected, "{output}");
    }
    for (_, output, key, expected) in messages::FIELDS {
        let text = rule("r", "evt.type = connect")
            .replace("output: o", &format!("output: |-\n    {output}"));
        let rules = ruleset(&[&text]);
        let style = Style {
            format: Format::Json,
            ..Style::default()
        };
        let mut line = Vec::new();
        let sink = Stream::new(style, &host(), &mut line);
        let mut alerts = Alerts::new(host(), sink);
        alerts
            .matched(&rules.rules()[0], &On::Attempt.event())
            .unwrap();
        let alert: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let found = alert["output_fields"].get(*key).map(ToString::to_string);
        assert_eq!(found.as_deref(), *expected, "{output} {key}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "tells how many rows there are")]
fn every_paragraph_has_rows() {
    let mut rows: BTreeMap<char, usize> = BTreeMap::new();
    let mut paragraphs = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut count = |paragraph: &'static str, row: String| {
        assert!(seen.insert(row.clone()), "written twice: {row}");
        *rows.entry(paragraph.chars().next().unwrap()).or_default() += 1;
        paragraphs.insert(paragraph);
    };
    let groups = [
        language::GROUPS,
        operators::GROUPS,
        details::GROUPS,
        events::GROUPS,
    ];
    for group in groups.into_iter().flatten() {
        assert!(!group.about.is_empty());
        for (condition, _) in group.rows {
            count(group.paragraph, format!("{:?} {condition}", group.on));
        }
    }
    for (paragraph, text, _) in file_rows() {
        count(paragraph, (*text).to_owned());
    }
    for (paragraph, output, _) in messages::ROWS {
        count(paragraph, (*output).to_owned());
    }
    for (paragraph, output, key, _) in messages::FIELDS {
        count(paragraph, format!("{output} {key}"));
    }
    let all: usize = rows.values().sum();
    println!("{all} rows: {rows:?} of sections 1 to 4");
    assert!(all >= LEAST, "{all}");
    assert_eq!(paragraphs, BTreeSet::from(PARAGRAPHS));
}
