//! Lists and macros, several files, warnings, order.

use super::{
    FileRow,
    Outcome::{Errors, Fires, Warns},
};

const VALIDATE: &str = "LOAD_ERR_VALIDATE";
const CONDITION: &str = "LOAD_ERR_COMPILE_CONDITION";

pub(super) const ROWS: &[FileRow] = &[
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in (x, l, y)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in (x,l)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in ( l )\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in (\"l\")\n",
        Fires(&[]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in (ll)\n",
        Fires(&[]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in (empty)\n",
        Fires(&[]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in (empty, curl)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in (curl, empty)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in (x, empty, curl)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name in (empty, empty)\n",
        Fires(&[]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and not proc.name in (empty)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name = anyof (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name contains anyof (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name = l\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.name=l\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.cmdline != \"x l y\"\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and proc.cmdline != \"x-l-y\"\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n@r evt.type = connect and l\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.8",
        "@r evt.type = connect and proc.name in (l)\n- list: l\n  items: [curl]\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- macro: m\n  condition: proc.name in (l)\n@r evt.type = connect and m\n- list: l\n  items: [curl]\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [\"a(b\"]\n@r evt.type = connect and proc.name in (l)\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.8",
        "- list: l\n  items: ['\"a(b\"', curl]\n@r evt.type = connect and proc.name in (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: m\n  items: [curl]\n- macro: m\n  condition: proc.name = curl\n@r evt.type = connect and m\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.8",
        "- list: a\n  items: [curl]\n- list: b\n  items: [a]\n- list: c\n  items: [b]\n@r evt.type = connect and proc.name in (a)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: a\n  items: [curl]\n- list: b\n  items: [a]\n- list: c\n  items: [b]\n@r evt.type = connect and proc.name in (b)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: a\n  items: [curl]\n- list: b\n  items: [a]\n- list: c\n  items: [b]\n@r evt.type = connect and proc.name in (c)\n",
        Fires(&[]),
    ),
    (
        "1.8",
        "- list: c\n  items: [b]\n- list: b\n  items: [a]\n- list: a\n  items: [curl]\n@r evt.type = connect and proc.name in (c)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: c\n  items: [b]\n- list: b\n  items: [a]\n- list: a\n  items: [curl]\n@r evt.type = connect and proc.name in (b)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- macro: m\n  condition: proc.name = x or proc.name = curl\n@r evt.type = connect and m and fd.sport = 1\n",
        Fires(&[]),
    ),
    (
        "1.8",
        "@r evt.type = connect and m\n- macro: m\n  condition: proc.name = curl\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- macro: a\n  condition: b\n- macro: b\n  condition: evt.num = 1\n@r evt.type = connect and a\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.8",
        "- macro: a\n  condition: not a\n@r evt.type = connect and a\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.8",
        "- macro: a\n  condition: evt.num = 1\n- macro: b\n  condition: a\n- macro: a\n  condition: b\n@r evt.type = connect and a\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.8",
        "- macro: b\n  condition: proc.name = x\n- macro: a\n  condition: b\n- macro: b\n  condition: proc.name = curl\n@r evt.type = connect and a\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "@r evt.type = connect and nosuch\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.8",
        "- macro: m\n  condition: a b\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.8",
        "- macro: m\n  condition: fd.nosuch = 1\n",
        Warns(&["LOAD_UNUSED_MACRO"]),
    ),
    (
        "1.8",
        "- macro: m\n  condition: fd.nosuch = 1\n@r evt.type = connect and m\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.8",
        "- macro: proc\n  condition: proc.name = curl\n@r evt.type = connect and concat(proc.name, \"\") = curl and proc\n",
        Fires(&["r"]),
    ),
    (
        "1.9",
        "@r evt.type = connect and m\n===\n- macro: m\n  condition: proc.name = curl\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.9",
        "- macro: m\n  condition: proc.name = curl\n===\n@r evt.type = connect and m\n",
        Fires(&["r"]),
    ),
    (
        "1.9",
        "- list: l\n  items: [curl]\n===\n@r evt.type = connect and proc.name in (l)\n",
        Warns(&[]),
    ),
    (
        "1.9",
        "@r evt.type = connect and fd.nosuch = 1\n  enabled: false\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.9",
        "@r anything at all\n  source: k8s_audit\n",
        Warns(&["LOAD_UNKNOWN_SOURCE"]),
    ),
    (
        "1.9",
        "@r fd.nosuch = 1\n  skip-if-unknown-filter: true\n",
        Warns(&["LOAD_UNKNOWN_FILTER"]),
    ),
    (
        "1.9",
        "@r evt.type = nosuch\n  skip-if-unknown-filter: true\n",
        Warns(&["LOAD_UNKNOWN_FILTER"]),
    ),
    (
        "1.9",
        "@r proc.name[1] = x\n  skip-if-unknown-filter: true\n",
        Warns(&["LOAD_UNKNOWN_FILTER"]),
    ),
    (
        "1.9",
        "@r evt.arg.nosuch = 1\n  skip-if-unknown-filter: true\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.9",
        "@r fd.sport = nosuch\n  skip-if-unknown-filter: true\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.9",
        "@r proc.name =\n  skip-if-unknown-filter: true\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.10",
        "@r evt.type = connect and evt.dir = <\n",
        Warns(&["LOAD_DEPRECATED_ITEM"]),
    ),
    ("1.10", "@r fd.sport = 1\n", Warns(&["LOAD_NO_EVTTYPE"])),
    ("1.10", "@r evt.num = 0\n", Warns(&[])),
    (
        "1.10",
        "@r evt.type != connect\n",
        Warns(&["LOAD_NO_EVTTYPE"]),
    ),
    (
        "1.10",
        "@r evt.type = connect and proc.name = val(proc.exe)\n",
        Warns(&[]),
    ),
    (
        "1.10",
        "@r evt.type = connect and ka.x = <NA>\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.10",
        "@r fd.sport = 1\n  warn_evttypes: false\n",
        Warns(&[]),
    ),
    (
        "1.10",
        "@r evt.type = connect and proc.name = curl\n- macro: m\n  condition: evt.num = 1\n",
        Warns(&["LOAD_UNUSED_MACRO"]),
    ),
    (
        "1.10",
        "@r evt.type = connect and proc.name = curl\n- list: l\n  items: [a]\n",
        Warns(&["LOAD_UNUSED_LIST"]),
    ),
    (
        "1.12",
        "@b evt.type = connect and proc.name = curl\n@a evt.type = connect and proc.name = curl and fd.sport = 10250\n@c evt.type = connect\n",
        Fires(&["b", "a", "c"]),
    ),
    (
        "1.12",
        "@b evt.type = connect and proc.name = curl\n@a evt.type = connect and proc.name = curl\n===\n@b evt.type = connect and proc.name = curl\n",
        Fires(&["b", "a"]),
    ),
    (
        "1.12",
        "@a evt.type = connect and proc.name = curl\n  enabled: false\n@b evt.type = connect and proc.name = curl\n",
        Fires(&["b"]),
    ),
    (
        "3.7",
        "@r evt.type = connect and fd.sip.name = example.org\n",
        Warns(&["RULE_INACTIVE"]),
    ),
    (
        "3.7",
        "@r evt.type = connect and (proc.name = curl or fd.sip.name = example.org)\n",
        Warns(&["RULE_INACTIVE"]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name = proc.pname\n",
        Warns(&["LOAD_COMPILE_CONDITION"]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name in (a, proc.pname)\n",
        Warns(&["LOAD_COMPILE_CONDITION"]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name = proc.nosuch\n",
        Warns(&[]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name = val(proc.pname)\n",
        Warns(&[]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.exe = \"tolower(proc.pname)\"\n",
        Warns(&["LOAD_COMPILE_CONDITION"]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.exe = \"nosuch(proc.pname)\"\n",
        Warns(&[]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name regex \"curl\"\n",
        Warns(&["LOAD_COMPILE_CONDITION"]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name regex \"^curl$\"\n",
        Warns(&["LOAD_COMPILE_CONDITION"]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name regex \".*curl\"\n",
        Warns(&["LOAD_COMPILE_CONDITION"]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name regex \"curl.+\"\n",
        Warns(&["LOAD_COMPILE_CONDITION"]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name regex \"cu.l\"\n",
        Warns(&[]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name regex \"cu(r|l)\"\n",
        Warns(&[]),
    ),
    (
        "2.13",
        "@r evt.type = connect and proc.name regex \"[a-z]+\"\n",
        Warns(&[]),
    ),
    (
        "1.8",
        "- macro: m\n  condition: nosuch and proc.name = x\n@r evt.type = connect and proc.name = curl\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
    (
        "1.8",
        "- macro: m\n  condition: proc.name = x\n- macro: m\n  condition: m\n@r evt.type = connect and proc.name = curl\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
    (
        "1.8",
        "- macro: a\n  condition: b\n- macro: b\n  condition: proc.name = x\n@r evt.type = connect and proc.name = curl\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
    (
        "1.8",
        "- macro: a\n  condition: proc.name = x\n- macro: b\n  condition: a\n- macro: a\n  condition: b\n@r evt.type = connect and proc.name = curl\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
    (
        "1.8",
        "- macro: m\n  condition: proc.nme = x\n@r evt.type = connect and proc.name = curl\n",
        Warns(&["LOAD_UNUSED_MACRO"]),
    ),
    (
        "1.8",
        "- list: l\n  items: ['', curl]\n@r evt.type = connect and proc.name in (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: ['', curl]\n@r evt.type = connect and proc.name in (x, l)\n",
        Fires(&["r"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [curl, '']\n@r evt.type = connect and proc.name in (l)\n",
        Errors(&["LOAD_ERR_COMPILE_CONDITION"]),
    ),
    (
        "1.8",
        "- list: l\n  items: [\"a\\tb\", curl]\n@r evt.type = connect and proc.name in (l)\n",
        Errors(&["LOAD_ERR_COMPILE_CONDITION"]),
    ),
    (
        "1.8",
        "- list: a\u{a0}b\n  items: [curl]\n@r evt.type = connect and proc.name = curl\n",
        Warns(&["LOAD_UNUSED_LIST"]),
    ),
    (
        "1.9",
        "@r evt.type = connect and proc.name = curl\n===\n- macro: x\n  condition: proc.name = curl\n@r evt.type = connect and x\n",
        Fires(&["r"]),
    ),
    (
        "1.9",
        "@r evt.type = connect and proc.name = curl\n===\n- macro: x\n  condition: proc.name = wget\n- rule: r\n  condition: and x\n  override: {condition: append}\n",
        Fires(&[]),
    ),
    (
        "1.9",
        "- macro: m\n  condition: proc.name = x\n@r evt.type = connect and m\n===\n- macro: x\n  condition: proc.name = curl\n- macro: m\n  condition: x\n",
        Fires(&["r"]),
    ),
    (
        "1.9",
        "- macro: m\n  condition: x\n===\n- macro: x\n  condition: proc.name = curl\n@r evt.type = connect and proc.name = curl\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
    (
        "1.9",
        "@r evt.type = connect and x\n===\n- macro: x\n  condition: proc.name = curl\n- rule: r\n  condition: or x\n  override: {condition: append}\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
];
