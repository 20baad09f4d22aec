//! `rules test`: a users' file of events, or traces, and the rules that are to fire on them.

mod inline;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt::Write as _,
    ops::Range,
    path::Path,
};

use anyhow::{Result, bail};

use super::{Invalid, print, rules::load};
use crate::{
    config::Config,
    event::{Counter, Event, Item},
    host::Host,
    rules::{
        Rule, Ruleset,
        lines::Lines,
        yaml::{self, Node, Value},
    },
    trace::{Reader, TraceError},
};

const KEYS: [&str; 5] = ["test", "trace", "event", "fires", "silent"];
/// A mistake of the test file, and its place.
type Mistake = (String, Range<usize>);

/// The names of all.
type Rules<'r> = HashSet<&'r str>;

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
        let lines = Lines::new(&text);
        let told = |(message, span): &Mistake| {
            let (line, column) = lines.line_and_column(span.start);
            format!("{}:{line}:{column}: {message}", path.display())
        };
        let lines: Vec<String> = mistakes.iter().map(told).collect();
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
        let tests = if failed == 1 { "test" } else { "tests" };
        bail!("{failed} {tests} failed: `rules explain` shows why a rule fires or does not");
    }
    Ok(())
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
                let rule = ruleset.rules().iter().find(|rule| rule.name == *name);
                let why = rule.and_then(out_of_force);
                let why = why.map_or_else(String::new, |why| format!(": it is {why}"));
                differences.push(format!("`{name}` did not fire{why}"));
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

/// Why a rule fires for no event.
fn out_of_force(rule: &Rule) -> Option<String> {
    if !rule.enabled {
        return Some("disabled".to_owned());
    }
    rule.inactive().map(|why| format!("inactive: {why}"))
}

fn cases(text: &str, path: &Path, ruleset: &Ruleset) -> (Vec<Case>, Vec<Mistake>) {
    let mut cases = Vec::new();
    let mut mistakes = Vec::new();
    let mut names = BTreeMap::new();
    let lines = Lines::new(text);
    let rules = ruleset.rules().iter().map(|rule| rule.name.as_str());
    let rules: Rules<'_> = rules.collect();
    let documents = yaml::parse(text).unwrap_or_else(|(message, at)| {
        mistakes.push((message, at..at));
        Vec::new()
    });
    for document in &documents {
        match &document.value {
            Value::Null => {}
            Value::Sequence(items) => {
                for item in items {
                    match case(item, path, &rules) {
                        Ok(case) => {
                            mistakes.extend(known_already(item, &case, &mut names, &lines));
                            cases.push(case);
                        }
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
    if cases.is_empty() && mistakes.is_empty() {
        let message = "nothing is tested: begin each test with `- test: name`";
        mistakes.push((message.to_owned(), 0..0));
    }
    (cases, mistakes)
}

/// A report of two tests of one name does not tell which of them failed.
fn known_already(
    item: &Node,
    case: &Case,
    names: &mut BTreeMap<String, usize>,
    lines: &Lines<'_>,
) -> Option<Mistake> {
    let span = item.get("test")?.span.clone();
    let (line, _) = lines.line_and_column(span.start);
    let before = names.insert(case.name.clone(), line)?;
    let name = &case.name;
    let message = format!("the test of line {before} is called `{name}` too: name one otherwise");
    Some((message, span))
}

fn known(node: &Node, keys: &[&str]) -> Result<(), Mistake> {
    let Value::Map(pairs) = &node.value else {
        return Err((
            format!("write a map of {}", keys.join(", ")),
            node.span.clone(),
        ));
    };
    let mut given = BTreeSet::new();
    for (key, _) in pairs {
        let name = key.text().unwrap_or_default();
        if !keys.contains(&name) {
            let message = format!("`{name}` is not known here: known are {}", keys.join(", "));
            return Err((message, key.span.clone()));
        }
        if !given.insert(name) {
            let message = format!("`{name}` is given twice: leave one out");
            return Err((message, key.span.clone()));
        }
    }
    Ok(())
}

fn case(item: &Node, path: &Path, known_rules: &Rules<'_>) -> Result<Case, Mistake> {
    known(item, &KEYS)?;
    let lacks = |what: &str| (format!("this test lacks {what}"), item.span.clone());
    let name = item.get("test").and_then(Node::text);
    let name = name.ok_or_else(|| lacks("its name: add `test: name`"))?;
    let (events, host) = match (item.get("trace"), item.get("event")) {
        (Some(trace), None) => recorded(trace, path)?,
        (None, Some(event)) => (inline::events(event)?, Host::default()),
        (Some(_), Some(event)) => {
            let message = "a test has one source of events: leave out `event` or `trace`, or make \
                           two tests of it";
            return Err((message.to_owned(), event.span.clone()));
        }
        (None, None) => return Err(lacks("`trace: FILE` or `event: {...}`, one of them")),
    };
    let fires = item
        .get("fires")
        .map(|node| rules(node, known_rules))
        .transpose()?;
    let silent = item
        .get("silent")
        .map(|node| rules(node, known_rules))
        .transpose()?;
    if fires.is_none() && silent.is_none() {
        return Err(lacks(
            "an expectation: add `fires: [...]` or `silent: [...]`",
        ));
    }
    if let (Some(fires), Some(silent)) = (&fires, &silent)
        && let Some(both) = fires.intersection(silent).next()
    {
        let message = format!("`{both}` cannot fire and be silent: leave it out of one");
        let place = item.get("silent").unwrap_or(item);
        return Err((message, place.span.clone()));
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

fn rules(node: &Node, known: &Rules<'_>) -> Result<BTreeSet<String>, Mistake> {
    let names = texts(node)?;
    if let Some(unknown) = names.iter().find(|name| !known.contains(name.as_str())) {
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
