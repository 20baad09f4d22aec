//! Exceptions, defined, appended and replaced.

use super::{
    FileRow,
    Outcome::{Errors, Fires, Warns},
};

const SHAPE: &str = "LOAD_ERR_YAML_VALIDATE";
const VALIDATE: &str = "LOAD_ERR_VALIDATE";
const CONDITION: &str = "LOAD_ERR_COMPILE_CONDITION";

pub(super) const ROWS: &[FileRow] = &[
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [curl]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [wget]}]\n",
        Fires(&["r"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name}]\n",
        Fires(&["r"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: []}]\n",
        Fires(&["r"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: ~}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: in, values: [a, curl]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.exepath, comps: pmatch, values: [/usr]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: intersects, values: [curl]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: startswith anyof, values: [w, cu]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: \"= allof\", values: [curl, wget]}]\n",
        Fires(&["r"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: \" in \", values: [curl]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name, fd.sport], values: [[curl, 10250]]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name, fd.sport], values: [[curl, 1]]}]\n",
        Fires(&["r"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name, fd.sport], values: [[wget, 1], [curl, 10250]]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name, fd.sport], comps: [=, in], values: [[curl, [1, 10250]]]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name, fd.sport], comps: [=, in], values: [[curl, 10250]]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.cmdline], comps: [startswith], values: [[curl -k]]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.cmdline], comps: [startswith], values: [['\"curl -k']]}]\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], values: [['\"curl\"']]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.exepath], comps: [endswith], values: [[tolower(proc.name)]]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.exepath], comps: [endswith], values: [[\"tolower( proc.name)\"]]}]\n",
        Fires(&["r"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: tolower(proc.name), values: [curl]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [fd.sport], comps: [\">=\"], values: [[10250]]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: a, fields: proc.name, values: [x]}, {name: b, fields: fd.sport, values: [10250]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "- list: l\n  items: [a, curl]\n@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [l]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl or fd.sport = 10250\n  exceptions: [{name: e, fields: proc.name, values: [curl]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [x]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{fields: proc.name, values: [a]}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: ~, fields: proc.name}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, values: [a]}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: a}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.nosuch, values: [a]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: \"val(proc.name)\", values: [a]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name fd.sport, values: [a]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: =, values: [a]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: is, values: [a]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: in anyof, values: [a]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: fd.sport, comps: \"> anyof\", values: [1]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: anyof, values: [a]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], comps: [=, =], values: [[a]]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], comps: =, values: [[a]]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: [in], values: [a]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [[a]]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], values: [a]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name, fd.sport], values: [[a]]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], values: [[a, b]]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [fd.sport], values: [[a]]}]\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], values: [[[[a]]]]}]\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: [{name: e, values: [curl]}]\n  override: {exceptions: append}\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: [{name: e, values: [curl]}]\n  append: true\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: [{name: n, fields: fd.sport, values: [10250]}]\n  override: {exceptions: append}\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: [{name: n, fields: [fd.sport], values: [[10250]]}]\n  override: {exceptions: replace}\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: [{name: n, fields: fd.sport, values: [1]}]\n  override: {exceptions: replace}\n",
        Fires(&["r"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: ~\n  override: {exceptions: replace}\n",
        Fires(&["r"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: [{name: e, fields: proc.name, values: [y]}]\n  override: {exceptions: append}\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: [{name: e, comps: in, values: [y]}]\n  override: {exceptions: append}\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: [{name: n, values: [y]}]\n  override: {exceptions: append}\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: [{name: n, fields: proc.name}]\n  override: {exceptions: append}\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n===\n- rule: r\n  exceptions: [{name: e}]\n  override: {exceptions: append}\n",
        Warns(&["LOAD_APPEND_NO_VALUES"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}, {name: e, fields: proc.name, values: [curl]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}, {name: e, fields: proc.name, values: [y]}]\n",
        Warns(&["LOAD_EXCEPTION_NAME_NOT_UNIQUE"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x], comment: why}]\n",
        Warns(&["RULE_EXCEPTION_KEY"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: ['']}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], values: [['']]}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: '', values: [x]}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, comps: '', values: [x]}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: {a: b}}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [~]}]\n",
        Warns(&["RULE_EXCEPTION_VALUE"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], comps: [in], values: [[~]]}]\n",
        Warns(&["RULE_EXCEPTION_VALUE"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], comps: [in], values: [[[~, curl]]]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], comps: [in], values: [[[curl, ~]]]}]\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], comps: [in], values: [[[[curl]]]]}]\n",
        Fires(&["r"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [~, curl]}]\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], values: [[~]]}]\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], comps: [in], values: [[a b]]}]\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], comps: [in], values: [['\"a b\"']]}]\n",
        Fires(&["r"]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], comps: [in], values: [['a, curl']]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [\"a\\tb\"]}]\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: []}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: ~}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [~]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: [proc.name], comps: [], values: [[curl]]}]\n",
        Fires(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n- rule: r\n  exceptions: [{name: e, values: []}]\n  override: {exceptions: append}\n",
        Warns(&[]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n- rule: r\n  exceptions: [{name: e, values: ~}]\n  override: {exceptions: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.7",
        "@r evt.type = connect and proc.name = curl\n  exceptions: [{name: e, fields: proc.name, values: [x]}]\n- rule: r\n  exceptions: [{name: e, fields: [], values: [curl]}]\n  override: {exceptions: append}\n",
        Fires(&[]),
    ),
];
