//! Exceptions of rules.

use crate::{
    files::{CONDITION, CURL, SHAPE, VALIDATE, errors, fires, matches, warnings},
    rule,
};

#[test]
fn exceptions_narrow_a_rule() {
    for (exceptions, expected) in [
        ("[{name: e, fields: proc.name, values: [curl]}]", false),
        ("[{name: e, fields: proc.name, values: [wget]}]", true),
        ("[{name: e, fields: proc.name}]", true),
        (
            "[{name: e, fields: proc.exepath, comps: pmatch, values: [/usr]}]",
            false,
        ),
        (
            "[{name: e, fields: proc.name, comps: startswith anyof, values: [w, c]}]",
            false,
        ),
        (
            "[{name: e, fields: [proc.name, fd.sport], values: [[curl, 10250]]}]",
            false,
        ),
        (
            "[{name: e, fields: [proc.name, fd.sport], values: [[curl, 1]]}]",
            true,
        ),
        (
            "[{name: e, fields: [proc.name, fd.sport], comps: [=, in], values: [[curl, [1, 10250]]]}]",
            false,
        ),
        (
            "[{name: e, fields: [proc.name, fd.sport], comps: [=, in], values: [[curl, 10250]]}]",
            false,
        ),
        (
            "[{name: e, fields: [proc.cmdline], comps: [startswith], values: [[curl -k]]}]",
            false,
        ),
        (
            "[{name: a, fields: proc.name, values: [x]}, {name: b, fields: proc.name, values: [curl]}]",
            false,
        ),
        ("~", true),
    ] {
        let text = format!("{}  exceptions: {exceptions}\n", rule("r", CURL));
        assert_eq!(matches(&text), expected, "{exceptions}");
    }
}

#[test]
fn exceptions_are_appended_and_replaced() {
    let base = format!(
        "{}  exceptions: [{{name: e, fields: proc.name, values: [x]}}]\n",
        rule("r", CURL)
    );
    for (more, expected) in [
        (
            "[{name: e, values: [curl]}]\n  override: {exceptions: append}",
            false,
        ),
        ("[{name: e, values: [curl]}]\n  append: true", false),
        (
            "[{name: n, fields: fd.sport, values: [10250]}]\n  override: {exceptions: append}",
            false,
        ),
        (
            "[{name: n, fields: [fd.sport], values: [[10250]]}]\n  override: {exceptions: replace}",
            false,
        ),
        (
            "[{name: e, values: [y]}]\n  override: {exceptions: append}",
            true,
        ),
    ] {
        let more = format!("- rule: r\n  exceptions: {more}\n");
        assert_eq!(fires(&[&base, &more]) == ["r"], expected, "{more}");
    }
    for (more, code) in [
        ("[{name: e, fields: proc.name, values: [y]}]", VALIDATE),
        ("[{name: n, values: [y]}]", VALIDATE),
        ("[{name: n, fields: proc.name}]", VALIDATE),
        ("[{values: [y]}]", SHAPE),
    ] {
        let more = format!("- rule: r\n  exceptions: {more}\n  override: {{exceptions: append}}\n");
        assert_eq!(errors(&[&base, &more]), [code], "{more}");
    }
}

#[test]
fn exceptions_that_are_wrong_are_refused() {
    for (exceptions, code) in [
        ("x", SHAPE),
        ("[x]", SHAPE),
        ("[{fields: proc.name}]", SHAPE),
        ("[{name: e}]", SHAPE),
        ("[{name: e, fields: proc.nam, values: [x]}]", VALIDATE),
        (
            "[{name: e, fields: proc.name, comps: =, values: [x]}]",
            VALIDATE,
        ),
        (
            "[{name: e, fields: proc.name, comps: is, values: [x]}]",
            VALIDATE,
        ),
        (
            "[{name: e, fields: proc.name, comps: in anyof, values: [x]}]",
            VALIDATE,
        ),
        (
            "[{name: e, fields: fd.sport, comps: < anyof, values: [1]}]",
            VALIDATE,
        ),
        (
            "[{name: e, fields: [proc.name], comps: [=, =], values: [[x]]}]",
            VALIDATE,
        ),
        (
            "[{name: e, fields: [proc.name], comps: in, values: [[x]]}]",
            VALIDATE,
        ),
        (
            "[{name: e, fields: 'val(proc.name)', values: [x]}]",
            VALIDATE,
        ),
        ("[{name: e, fields: proc.name, values: [[x]]}]", VALIDATE),
        (
            "[{name: e, fields: [proc.name, fd.sport], values: [[x]]}]",
            VALIDATE,
        ),
        ("[{name: e, fields: [fd.sport], values: [[x]]}]", CONDITION),
        ("[{name: e, fields: proc.name, values: x}]", SHAPE),
    ] {
        let text = format!("{}  exceptions: {exceptions}\n", rule("r", CURL));
        assert_eq!(errors(&[&text]), [code], "{exceptions}");
    }
    let twice = format!(
        "{}  exceptions: [{{name: e, fields: proc.name, values: [x]}}, {{name: e, fields: proc.name, values: [y]}}]\n",
        rule("r", CURL)
    );
    assert_eq!(warnings(&[&twice]), ["LOAD_EXCEPTION_NAME_NOT_UNIQUE"]);
}
