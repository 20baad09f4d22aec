//! Mistakes in conditions: each with its code, its place and its help.

use std::time::{Duration, Instant};

use detector::rules::{Diagnostic, diagnostic::Severity};

use crate::{load, rule, ruleset};

fn only(texts: &[&str]) -> Diagnostic {
    let loaded = load(texts);
    let errors: Vec<_> = loaded
        .diagnostics
        .into_iter()
        .filter(|one| one.severity == Severity::Error)
        .collect();
    let [one] = errors.as_slice() else {
        panic!("{texts:?}: {errors:#?}")
    };
    one.clone()
}

#[test]
fn each_names_the_cause_and_the_place() {
    for (condition, underlined, message) in [
        ("fd.sprt = 1", "fd.sprt", "nonexistent field `fd.sprt`"),
        (
            "proc.name[1] = x",
            "proc.name[1]",
            "nonexistent field `proc.name[1]`",
        ),
        ("proc.aname[x] = y", "proc.aname[x]", "nonexistent field"),
        (
            "evt.arg.nosuch = 1",
            "evt.arg.nosuch",
            "unknown event argument",
        ),
        ("evt.type = conect", "conect", "unknown event type `conect`"),
        (
            "evt.type != conect",
            "conect",
            "unknown event type `conect`",
        ),
        (
            "evt.type in (connect, conect)",
            "conect",
            "unknown event type",
        ),
        ("fd.sport = x", "x", "`x` is no port"),
        ("fd.sip = 10.0.0.0/8", "10.0.0.0/8", "is no ip"),
        ("fd.snet = 10.0.0.1", "10.0.0.1", "is no net"),
        ("fd.connected = yes", "yes", "is no bool"),
        ("evt.num = 0x10", "0x10", "is no uint64"),
        ("evt.rawres >= 1.5", "1.5", "is no int64"),
        ("fd.sport contains 1", "contains", "does not apply"),
        ("fd.sip > 1", ">", "does not apply"),
        ("fd.connected < 1", "<", "does not apply"),
        ("proc.name bcontains aa", "bcontains", "does not apply"),
        ("proc.name regex 'a('", "'a('", "invalid regex"),
        (
            "proc.name regex '[0-9]+\\\\d'",
            "'[0-9]+\\\\d'",
            "no POSIX regex",
        ),
        (
            "proc.name = val(fd.sport)",
            "fd.sport",
            "cannot be compared with",
        ),
        ("evt.num = val(evt.rawres)", "evt.rawres", "a uint64 cannot"),
        (
            "fd.ip = val(fd.sip)",
            "fd.sip",
            "cannot be compared with another",
        ),
        (
            "proc.aname = val(proc.name)",
            "proc.name",
            "cannot be compared with another",
        ),
        (
            "proc.name pmatch val(proc.exe)",
            "proc.exe",
            "constants only",
        ),
        (
            "tolower(fd.sport) = x",
            "tolower(fd.sport)",
            "takes one text",
        ),
        (
            "tolower(evt.type) = connect",
            "tolower(evt.type)",
            "takes no transformer",
        ),
        (
            "tolower(proc.aname) = x",
            "proc.aname",
            "takes no transformer",
        ),
        (
            "tolower(proc.name)[1] = x",
            "tolower(proc.name)[1]",
            "takes no argument",
        ),
        (
            "join(proc.name) = x",
            "join(proc.name)",
            "a separator and a list",
        ),
        ("concat(proc.name) = x", "concat(proc.name)", "two or more"),
        (
            "fd.sip startswith anyof (1)",
            "startswith",
            "does not apply",
        ),
        ("proc.name = x and", "and", "expected"),
        ("proc.name is x", "is", "an operator expected"),
        ("proc.name = x && fd.sport = 1", "&&", "expected"),
        ("proc.name = (x", "(", "a value expected"),
        ("(proc.name = x", "(", "is not closed"),
        ("proc.name = \"x", "\"x", "does not end"),
        ("proc.name = \"\\q\"", "\\q", "escape is not known"),
    ] {
        let text = rule("r", condition);
        let one = only(&[&text]);
        assert_eq!(
            text.get(one.span.clone()),
            Some(underlined),
            "{condition}: {one}"
        );
        assert!(one.message.contains(message), "{condition}: {one}");
        assert_eq!(one.line, 4, "{condition}");
    }
}

#[test]
fn the_help_says_what_to_write() {
    for (condition, help) in [
        ("fd.sprt = 1", "did you mean `fd.sport`?"),
        ("proc.name = x && a", "write `and` and `or` in words"),
        (
            "proc.name = x AND a",
            "keywords are lower-case: write `and`",
        ),
        (
            "proc.name contains(x)",
            "a blank is missing after `contains`",
        ),
        ("fd.sport in 443", "write `in (443)`"),
        (
            "evt.arg = 1",
            "name the parameter: `evt.arg.res`, `evt.arg[0]`",
        ),
        (
            "fd.sip = 10.0.0.0/8",
            "write an IPv4 or IPv6 address; networks are compared with `fd.snet` and the like",
        ),
    ] {
        let one = only(&[&rule("r", condition)]);
        assert_eq!(one.help.as_deref(), Some(help), "{condition}");
    }
}

#[test]
fn places_go_through_folded_scalars_lists_and_macros() {
    let folded = "- rule: r\n  desc: d\n  condition: >\n    evt.type = connect and\n    fd.sprt = 1\n  output: o\n  priority: INFO\n";
    let one = only(&[folded]);
    assert_eq!((one.line, one.column), (5, 5), "{one}");
    assert_eq!(folded.get(one.span), Some("fd.sprt"));

    let list = format!(
        "- list: ports\n  items: [1, x]\n{}",
        rule("r", "fd.sport in (ports)")
    );
    let one = only(&[&list]);
    assert_eq!(list.get(one.span), Some("x"));
    assert!(one.message.contains("`x` is no port"));
    assert_eq!(one.notes, ["through the list `ports`, used at 0.yaml:6:18"]);

    let inner = "- macro: m\n  condition: fd.sprt = 1\n";
    let two = format!("{}{}", rule("a", "m"), rule("b", "m"));
    let one = only(&[inner, &two]);
    assert_eq!((one.file.as_str(), one.line), ("0.yaml", 2));
    assert_eq!(one.notes, ["through the macro `m`, used at 1.yaml:4:5"]);
    assert!(one.full(inner).contains("through the macro `m`"));

    let appended = [
        rule("r", "evt.type = connect"),
        "- rule: r\n  condition: and fd.sprt = 1\n  override: {condition: append}\n".to_owned(),
    ];
    let one = only(&[&appended[0], &appended[1]]);
    assert_eq!((one.file.as_str(), one.line, one.column), ("1.yaml", 2, 18));
}

#[test]
fn outputs_are_placed_too() {
    for (output, underlined, message) in [
        ("a %nope.x b", "%nope.x", "nonexistent field `nope.x`"),
        ("50% of", "%", "invalid formatting token"),
        ("x %%", "%%", "invalid formatting token"),
        ("%", "%", "invalid formatting token"),
        (" ", " ", "prints nothing"),
        ("%container.info", "%container.info", "prints nothing"),
        ("%proc.name[1", "", ""),
    ] {
        let text =
            rule("r", "evt.type = connect").replace("output: o", &format!("output: '{output}'"));
        if underlined.is_empty() {
            assert!(load(&[&text]).ruleset.is_some(), "{output}");
            continue;
        }
        let one = only(&[&text]);
        assert_eq!(one.code, "LOAD_ERR_COMPILE_OUTPUT");
        assert_eq!(
            text.get(one.span.clone()),
            Some(underlined),
            "{output}: {one}"
        );
        assert!(one.message.contains(message), "{output}: {one}");
    }
}

#[test]
fn limits_are_errors() {
    let deep = format!("{}evt.num = 1{}", "(".repeat(300), ")".repeat(300));
    assert!(only(&[&rule("r", &deep)]).message.contains("too deeply"));
    let mut macros = "- macro: m0\n  condition: evt.num = 1\n".to_owned();
    for level in 1..600 {
        let below = level - 1;
        macros.push_str(&format!("- macro: m{level}\n  condition: not m{below}\n"));
    }
    assert!(
        only(&[&macros, &rule("r", "m599")])
            .message
            .contains("too deeply")
    );
    let doubled = (1..40).fold(
        "- macro: m0\n  condition: evt.num = 1\n".to_owned(),
        |text, level| {
            let below = level - 1;
            format!("{text}- macro: m{level}\n  condition: m{below} and m{below}\n")
        },
    );
    let one = only(&[&doubled, &rule("r", "m39")]);
    assert!(one.message.contains("more than 100000 parts"), "{one}");
    assert!(load(&[&doubled, &rule("r", "m10")]).ruleset.is_some());
    let long = format!("proc.name = {}", "a".repeat(256));
    assert!(only(&[&rule("r", &long)]).message.contains("at most 255"));
}

#[test]
fn a_rule_that_lacks_keys_has_its_condition_looked_at() {
    let loaded = load(&["- rule: r\n  condition: fd.sprt = 1\n  priority: INFO\n"]);
    let messages: Vec<&str> = loaded
        .diagnostics
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    let expected = [
        "the key `output` is missing",
        "the key `desc` is missing",
        "nonexistent field `fd.sprt`",
    ];
    assert_eq!(messages, expected);
}

#[test]
fn of_a_long_way_to_a_mistake_the_ends_are_told() {
    let chain = |macros: usize| {
        let mut text = "- macro: m0\n  condition: fd.sprt = 1\n".to_owned();
        for number in 1..macros {
            let before = number - 1;
            text.push_str(&format!("- macro: m{number}\n  condition: m{before}\n"));
        }
        text + &rule("r", &format!("m{}", macros - 1))
    };
    let notes = |macros: usize| {
        let loaded = load(&[&chain(macros)]);
        let mut found = loaded.diagnostics.into_iter();
        found
            .find(|one| one.severity == Severity::Error)
            .unwrap()
            .notes
    };
    assert_eq!(notes(8).len(), 8);
    let told: Vec<String> = notes(200)
        .iter()
        .map(|note| note.split(',').next().unwrap().to_owned())
        .collect();
    let way = [199, 198, 197, 196];
    let mut expected: Vec<String> = way.map(|one| format!("through the macro `m{one}`")).into();
    expected.push("through 193 more".to_owned());
    expected.extend([2, 1, 0].map(|one| format!("through the macro `m{one}`")));
    assert_eq!(told, expected);
}

/// Each doubles the one before, but for every hundredth.
fn doubling(macros: usize) -> String {
    let one = |number: usize| match number % 100 {
        0 => format!("- macro: m{number}\n  condition: proc.name = a\n"),
        _ => format!(
            "- macro: m{number}\n  condition: m{0} or m{0}\n",
            number - 1
        ),
    };
    (0..macros).map(one).collect()
}

#[test]
fn macros_that_no_rule_uses_are_looked_into_once() {
    let text = doubling(2000).replacen("proc.name = a", "nowhere and m1", 1);
    let start = Instant::now();
    let loaded = load(&[&text]);
    assert!(start.elapsed() < Duration::from_secs(10));
    let errors: Vec<&str> = loaded
        .diagnostics
        .iter()
        .filter(|one| one.severity == Severity::Error)
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(
        errors,
        ["undefined macro `nowhere`", "undefined macro `m1`"]
    );
}

#[test]
fn the_parts_of_all_conditions_are_bounded() {
    let rules = |count: usize| {
        let of = |number: usize| rule(&format!("r{number}"), "evt.type = connect and m13");
        doubling(14) + &(0..count).map(of).collect::<String>()
    };
    assert!(load(&[&rules(20)]).ruleset.is_some());
    let one = only(&[&rules(60)]);
    assert!(one.message.contains("more than 1000000 parts"), "{one}");
    assert_eq!(one.code, "LOAD_ERR_COMPILE_CONDITION");
}

#[test]
fn what_lists_bring_and_what_regexes_weigh_is_bounded() {
    let items: Vec<String> = (0..5_000).map(|item| format!("item{item}")).collect();
    let list = format!("- list: big\n  items: [{}]\n", items.join(", "));
    let using = |count: usize| -> String {
        let each = |number| rule(&format!("r{number}"), "proc.name in (big)");
        (0..count).map(each).collect()
    };
    let errors = |text: &str| -> Vec<String> {
        let loaded = load(&[text]);
        let errors = loaded
            .diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error);
        errors.map(|one| one.message.clone()).collect()
    };
    assert_eq!(errors(&(list.clone() + &using(50))), [""; 0]);
    let many = errors(&(list + &using(300)));
    let bound = "lists bring more than 8388608 bytes into all conditions together";
    assert_eq!(many, [bound], "told once, not at each rule");
    let regexes = |count: usize| -> String {
        let one = |number| format!("proc.exepath regex \"a{number}(.{{1,50}}){{1,10}}b\"");
        let all: Vec<String> = (0..count).map(one).collect();
        rule("r", &all.join(" or "))
    };
    assert_eq!(errors(&regexes(20)), [""; 0]);
    let bound = "with its macros the condition has more than 100000 parts";
    assert_eq!(errors(&regexes(100)), [bound]);
}

#[test]
fn an_output_that_shows_the_result_waits_for_it() {
    let asks = |output: &str| {
        let text = rule("r", "evt.type = connect").replace("output: o", output);
        ruleset(&[&text]).rules()[0].asks_result
    };
    assert!(!asks("output: o %fd.name"));
    assert!(asks("output: o %evt.res"));
    assert!(asks("output: o %evt.rawres"));
}

/// However long its line is.
#[test]
fn an_excerpt_is_short_and_tells_the_true_place() {
    let names: Vec<String> = (0..1000).map(|i| format!("name{i}")).collect();
    let condition = format!("proc.name in ({}) and fd.sprt = 1", names.join(", "));
    let text = rule("r", &condition);
    let loaded = load(&[&text]);
    let one = &loaded.diagnostics[0];
    let column = text
        .lines()
        .nth(one.line - 1)
        .unwrap()
        .find("fd.sprt")
        .unwrap()
        + 1;
    assert_eq!(one.column, column);
    let full = one.full(&text);
    assert!(
        full.contains(&format!(":{}:{column}\n", one.line)),
        "{full}"
    );
    assert!(
        full.contains("fd.sprt = 1") && !full.contains("name900"),
        "{full}"
    );
}

#[test]
fn helps_name_the_remedy() {
    for (condition, remedy) in [
        ("proc.args [1] = a", "without a blank: `proc.args[...]`"),
        ("evt.args contains res=0", "needs quotes: `\"res=0\"`"),
        ("proc.name=a=b", "needs quotes: `\"a=b\"`"),
        ("proc.name = a'b", "needs quotes: `\"a'b\"`"),
        ("proc-name = d", "did you mean `proc.name`?"),
        ("procname=d", "did you mean `proc.name`?"),
        ("xyz = d", "`xyz` is no field"),
        ("\"proc.name\" = a", "without quotes"),
        ("evt.num = 1 # one", "no comments"),
        ("fd.snet = ::/0", "IPv6 network are 1 to 128"),
        ("fd.snet = 10.0.0.0/33", "IPv4 network are 0 to 32"),
        ("proc.pid = 99999999999999999999", "too large"),
        ("proc.aname[99999999999999999999] = a", "too large"),
        ("proc.name regex \"a{2000}\"", "POSIX"),
        ("fd.sport in (80-90)", "`fd.sport >= 80 and fd.sport <= 90`"),
        ("proc.name != in (a)", "write `not proc.name in (...)`"),
        ("proc.name = in (a)", "write `proc.name in (...)`"),
    ] {
        let help = only(&[&rule("r", condition)]).help.unwrap_or_default();
        assert!(help.contains(remedy), "{condition}: {help}");
    }
    let far = only(&[&rule("r", "kube.name = d")])
        .help
        .unwrap_or_default();
    assert!(!far.contains("user.name"), "{far}");
    let text = rule("r", "evt.num = 1").replace("output: o", "output: \"%foo(proc.name)\"");
    let help = only(&[&text]).help.unwrap_or_default();
    assert!(
        help.contains("transformers are") && help.contains("tolower"),
        "{help}"
    );
}

#[test]
fn numbers_that_are_cut_are_told() {
    for (condition, told) in [
        ("evt.type = connect and fd.sport = 75786", true),
        ("evt.type = connect and fd.sport >= 70000", true),
        ("evt.type = connect and user.uid = 5000000000", true),
        ("evt.type = connect and fd.sport = 65535", false),
        ("evt.type = connect and user.loginuid != -1", false),
    ] {
        let loaded = load(&[&rule("r", condition)]);
        let found = (loaded.diagnostics.iter()).any(|one| one.code == "RULE_VALUE_WRAPS");
        assert_eq!(found, told, "{condition}");
    }
}

#[test]
fn mistakes_of_exceptions_do_not_hide_each_other() {
    let text = rule("r", "evt.type = connect and and")
        + "  exceptions:\n  - name: a\n    fields: [proc.name, proc.nme]\n    comps: [=, like]\n    values: [[a, b]]\n"
        + "  - name: b\n    fields: [proc.name]\n    values: [[a, b], c, [d], ['e f', g]]\n";
    let errors: Vec<usize> = (load(&[&text]).diagnostics.iter())
        .filter(|one| one.severity == Severity::Error)
        .map(|one| one.line)
        .collect();
    let lines = |part: &str| text.lines().position(|line| line.contains(part)).unwrap() + 1;
    let (condition, first) = (lines("condition") + 1, lines("name: a"));
    let values = first + 6;
    assert_eq!(
        errors,
        [condition, first + 1, first + 2, values, values, values]
    );
    let items = "- list: l\n  items: [a, {a: b}, ~, [c]]\n";
    assert_eq!(load(&[items]).diagnostics.len(), 3);
}
