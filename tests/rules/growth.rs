//! Loading takes time in proportion to what is loaded, whatever it is: mistakes, lists, exceptions,
//! deep nesting, long texts.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::{load, rule};

/// How many times more is loaded, and how many times longer that may take: in proportion it is as
/// many, squared it would be 64.
const MORE: usize = 8;
const LONGER: u32 = 28;
/// The least of some runs is what the load takes when nothing else runs.
const RUNS: usize = 2;
/// Shorter runs are not told apart.
const LEAST: Duration = Duration::from_millis(2);

fn repeated(count: usize, of: impl Fn(usize) -> String) -> String {
    (0..count).map(of).collect()
}

fn joined(count: usize, between: &str, of: impl Fn(usize) -> String) -> String {
    let parts: Vec<String> = (0..count).map(of).collect();
    parts.join(between)
}

type Make = fn(usize) -> String;

#[rustfmt::skip]
const FILES: &[(&str, Make)] = &[
    ("rules", |n| repeated(n, |i| rule(&format!("r{i}"), &format!("evt.type = connect and fd.sport = {i}")))),
    ("rules alike", |n| repeated(n, |i| rule(&format!("r{i}"), "evt.type = connect and fd.sport = 1"))),
    ("mistakes", |n| repeated(n, |i| rule(&format!("r{i}"), "fd.sprt = 1 and"))),
    ("undefined macros", |n| repeated(4 * n, |i| rule(&format!("r{i}"), &format!("macro_{i} and name_{i}")))),
    ("appends to nothing", |n| repeated(2 * n, |i| format!("- list: list{i}\n  items: [a]\n- list: lost{i}\n  items: [a]\n  override: {{items: append}}\n"))),
    ("macros in a row", |n| repeated(n, |i| format!("- macro: m{i}\n  condition: evt.num = {i}\n")) + &rule("r", &joined(n, " and ", |i| format!("m{i}")))),
    ("a list's items", |n| format!("- list: l\n  items: [{}]\n", joined(4 * n, ", ", |i| format!("a{i}"))) + &rule("r", "proc.name in (l) and proc.name in (b, c)")),
    ("lists in a row", |n| repeated(10 * n, |i| format!("- list: l{i}\n  items: [x{i}]\n")) + &rule("r", &format!("proc.name in ({})", joined(10 * n, ", ", |i| format!("l{i}"))))),
    ("empty lists in a row", |n| repeated(10 * n, |i| format!("- list: l{i}\n  items: []\n")) + &rule("r", &format!("proc.name in ({})", joined(10 * n, ", ", |i| format!("l{i}"))))),
    ("lists in lists", |n| repeated(10 * n, |i| format!("- list: l{i}\n  items: [l{}, x{i}]\n", i + 1)) + &rule("r", "proc.name in (l0)")),
    ("lists in lists, at the end", |n| repeated(10 * n, |i| format!("- list: l{i}\n  items: [x{i}, l{}]\n", i + 1)) + &rule("r", "proc.name in (l0)")),
    ("a mistake in lists", |n| repeated(10 * n, |i| format!("- list: l{i}\n  items: [l{}, x{i}]\n", i + 1)) + &rule("r", "proc.name in (l0) and")),
    ("a list many times", |n| "- list: l\n  items: [a]\n".to_owned() + &rule("r", &joined(n, " or ", |_| "proc.name in (l)".to_owned()))),
    ("an empty list many times", |n| "- list: l\n  items: []\n".to_owned() + &rule("r", &format!("proc.name in ({})", joined(4 * n, ", ", |_| "l".to_owned())))),
    ("ranges", |n| rule("r", &joined(n, " and ", |i| format!("proc.pid > {i}")))),
    ("beginnings", |n| rule("r", &joined(n, " and ", |_| "proc.exepath startswith /usr".to_owned()))),
    ("values", |n| rule("r", &joined(n, " and ", |_| "proc.name in (a, b, c)".to_owned()))),
    ("texts, any of", |n| rule("r", &joined(10 * n, " or ", |i| format!("proc.name = a{i}")))),
    ("texts, none of", |n| rule("r", &joined(10 * n, " and ", |i| format!("proc.name != a{i}")))),
    ("ends", |n| rule("r", &joined(10 * n, " or ", |i| format!("proc.exepath endswith /a{i}")))),
    ("numbers, any of", |n| rule("r", &joined(10 * n, " or ", |i| format!("proc.pid = {}", 2 * i)))),
    ("numbers, none of", |n| rule("r", &joined(10 * n, " and ", |i| format!("proc.pid != {}", 2 * i)))),
    ("ports", |n| rule("r", &joined(10 * n, " or ", |i| format!("fd.sport = {}", 2 * i)))),
    ("ancestors", |n| rule("r", &joined(10 * n, " and ", |i| format!("proc.aname[{i}] != a")))),
    ("exceptions by name", |n| rule("r", "evt.type = connect") + "  exceptions:\n" + &repeated(5 * n, |i| format!("  - name: e{i}\n    fields: [proc.pid]\n    values: [[{i}]]\n"))),
    ("appended exceptions", |n| rule("r", "evt.type = connect") + "  exceptions:\n  - name: e\n    fields: [proc.exepath]\n" + &repeated(5 * n, |i| format!("- rule: r\n  exceptions:\n  - name: e\n    values: [[/a{i}]]\n  override: {{exceptions: append}}\n"))),
    ("exceptions", |n| rule("r", "evt.type = connect") + &format!("  exceptions:\n  - name: e\n    fields: proc.exepath\n    values: [{}]\n", joined(2 * n, ", ", |i| format!("/a{i}")))),
    ("tuples", |n| rule("r", "evt.type = connect") + "  exceptions:\n  - name: e\n    fields: [proc.exepath, fd.sport]\n    values:\n" + &repeated(n, |i| format!("    - [/a{i}, {}]\n", i % 60_000))),
    ("a folded text", |n| format!("- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  condition: >\n    evt.type = connect\n{}", repeated(n, |i| format!("    and proc.pid != {i}\n")))),
    ("blanks", |n| rule("r", &format!("evt.type = connect and{}evt.num = 1", " ".repeat(100 * n)))),
    ("blanks in quotes", |n| rule("r", &format!("\"evt.type = connect and{}evt.num = 1\"", " ".repeat(100 * n)))),
    ("escapes", |n| format!("- rule: r\n  desc: \"{}\"\n  output: o\n  priority: INFO\n  condition: evt.type = connect\n", "\\u0041\\n".repeat(8 * n))),
    ("quotes", |n| rule("r", &format!("proc.name = {}", "\"a\\".repeat(4 * n)))),
    ("words", |n| rule("r", &joined(8 * n, " ", |_| "NOT".to_owned()))),
    ("nesting", |n| rule("r", &("(".repeat(n) + "evt.num = 1" + &")".repeat(n)))),
    ("brackets", |n| "- a: ".to_owned() + &"[".repeat(n)),
];

/// Of this thread alone: other tests run beside it.
fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

fn taken(work: impl Fn()) -> Duration {
    let run = || {
        let start = now();
        work();
        now() - start
    };
    (0..RUNS).map(|_| run()).min().unwrap_or_default()
}

/// Of what is made of so much, in proportion.
fn grows<T>(name: &str, make: impl Fn(usize) -> T, work: impl Fn(&T)) {
    let (little, much) = (make(100), make(100 * MORE));
    let (short, long) = (taken(|| work(&little)), taken(|| work(&much)));
    assert!(
        long < short.max(LEAST) * LONGER,
        "{name}: {short:?}, {MORE} times more {long:?}"
    );
}

#[test]
fn the_time_of_a_load_grows_with_its_length() {
    for (name, make) in FILES {
        grows(name, make, |text| drop(load(&[text])));
    }
}

/// Mistakes that stand on one line.
#[rustfmt::skip]
const LINES: &[(&str, Make)] = &[
    ("items", |n| format!("[{}]", joined(10 * n, ",", |i| format!("{{list: \"r {i}\", items: [a]}}")))),
    ("fields", |n| format!("- rule: r\n  desc: d\n  output: \"{}\"\n  priority: INFO\n  condition: evt.num = 1\n", "%evt.dir ".repeat(10 * n))),
    ("names", |n| rule("r", &format!("proc.name in ({})", joined(10 * n, ",", |i| format!("much_longer_than_comm{i}"))))),
    ("lists in quotes", |n| "- list: l\n  items: [x]\n".to_owned() + &rule("r", &joined(10 * n, " or ", |_| "proc.name = \"x l y\"".to_owned()))),
    ("line ends", |n| rule("r", "evt.num = 1") + &repeated(10 * n, |i| format!("  k{i}: a\r"))),
];

#[test]
fn the_time_of_a_report_grows_with_its_mistakes() {
    for (name, make) in LINES {
        let told = |n: usize| {
            let text = make(n);
            let diagnostics = load(&[&text]).diagnostics;
            assert!(diagnostics.len() > n, "{name}: {}", diagnostics.len());
            (text, diagnostics)
        };
        grows(name, told, |(text, diagnostics)| {
            for one in diagnostics {
                assert!(!one.full(text).is_empty() && !one.to_string().is_empty());
            }
        });
    }
}
