//! Documents, items and their keys.

use super::{
    FileRow,
    Outcome::{Errors, Fires, Warns},
};

const SHAPE: &str = "LOAD_ERR_YAML_VALIDATE";

pub(super) const ROWS: &[FileRow] = &[
    ("1.1", "", Warns(&[])),
    ("1.1", "# only a comment\n", Warns(&[])),
    ("1.1", "---\n---\n~\n", Warns(&[])),
    ("1.1", "-\n- ~\n", Warns(&[])),
    (
        "1.1",
        "@a evt.type = connect and proc.name = curl\n---\n@b evt.type = connect and proc.name = curl\n",
        Fires(&["a", "b"]),
    ),
    ("1.1", "text\n", Errors(&[SHAPE])),
    ("1.1", "a: b\n", Errors(&[SHAPE])),
    ("1.1", "- text\n", Errors(&[SHAPE])),
    ("1.1", "- [a]\n", Errors(&[SHAPE])),
    ("1.1", "- a: [\n", Errors(&["LOAD_ERR_YAML_PARSE"])),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n- thing: x\n",
        Warns(&["LOAD_UNKNOWN_ITEM"]),
    ),
    (
        "1.1",
        "- list: l\n  macro: m\n  items: [curl]\n@r evt.type = connect and proc.name in (l)\n",
        Warns(&["LOAD_UNKNOWN_KEY"]),
    ),
    (
        "1.1",
        "- macro: m\n  rule: m\n  condition: proc.name = curl\n@r evt.type = connect and m\n",
        Warns(&["LOAD_UNKNOWN_KEY"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  wrong: key\n",
        Warns(&["LOAD_UNKNOWN_KEY"]),
    ),
    (
        "1.1",
        "- list: l\n  items: [curl]\n  priority: INFO\n@r evt.type = connect and proc.name in (l)\n",
        Warns(&["LOAD_UNKNOWN_KEY"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: true\n  enabled: false\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: true\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: True\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: TRUE\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: yes\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: on\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: 'on'\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: no\n",
        Fires(&[]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: Off\n",
        Fires(&[]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: \"FALSE\"\n",
        Fires(&[]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: 1\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: 0\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: tRue\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: ~\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: maybe\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: [true]\n",
        Errors(&[SHAPE]),
    ),
    ("1.2", "- list: l\n", Errors(&[SHAPE])),
    ("1.2", "- list:\n  items: []\n", Errors(&[SHAPE])),
    ("1.2", "- list: ''\n  items: []\n", Errors(&[SHAPE])),
    ("1.2", "- list: l\n  items: a\n", Errors(&[SHAPE])),
    ("1.2", "- list: l\n  items: {a: b}\n", Errors(&[SHAPE])),
    ("1.2", "- list: l\n  items: [~]\n", Errors(&[SHAPE])),
    ("1.2", "- list: l\n  items: [[a]]\n", Errors(&[SHAPE])),
    (
        "1.2",
        "- list: l\n  items: [10250, 1]\n@r evt.type = connect and fd.sport in (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.2",
        "- list: a b\n  items: [curl]\n@r evt.type = connect and proc.name in (a b)\n",
        Warns(&["LOAD_INVALID_LIST_NAME"]),
    ),
    (
        "1.2",
        "- list: a=b\n  items: []\n@r evt.type = connect and proc.name in (a=b)\n",
        Warns(&["LOAD_INVALID_LIST_NAME", "RULE_NEVER_MATCHES"]),
    ),
    ("1.2", "- macro: m\n", Errors(&[SHAPE])),
    ("1.2", "- macro: m\n  condition: ''\n", Errors(&[SHAPE])),
    ("1.2", "- macro: m\n  condition: [a]\n", Errors(&[SHAPE])),
    (
        "1.2",
        "- macro: 1m\n  condition: evt.num = 1\n@r evt.type = connect and proc.name = curl\n",
        Warns(&["LOAD_INVALID_MACRO_NAME", "LOAD_UNUSED_MACRO"]),
    ),
    (
        "1.2",
        "- macro: a-b\n  condition: evt.num = 1\n@r evt.type = connect and proc.name = curl\n",
        Warns(&["LOAD_INVALID_MACRO_NAME", "LOAD_UNUSED_MACRO"]),
    ),
    (
        "1.2",
        "- rule: r\n  output: o\n  desc: d\n  priority: INFO\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "- rule: r\n  condition: ~\n  output: o\n  desc: d\n  priority: INFO\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "- rule: r\n  condition: evt.type = connect and proc.name = curl\n  desc: d\n  priority: INFO\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "- rule: r\n  condition: evt.type = connect and proc.name = curl\n  output: ~\n  desc: d\n  priority: INFO\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "- rule: r\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: INFO\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "- rule: r\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  desc: ~\n  priority: INFO\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "- rule: r\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  desc: d\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "- rule: r\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  desc: d\n  priority: ~\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "- rule: r\n  condition: evt.type = connect and proc.name = curl\n  output: ''\n  desc: d\n  priority: INFO\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "- rule: r\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  desc: ''\n  priority: INFO\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "- rule: r\n  condition: evt.type = connect and proc.name = curl\n  output: {a: b}\n  desc: d\n  priority: INFO\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  capture: true\n  capture_duration: 5000\n",
        Fires(&["r"]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  capture: 1\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  capture_duration: -1\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  capture_duration: 4294967296\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  capture_duration: x\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  warn_evttypes: maybe\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  skip-if-unknown-filter: 2\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  tags: foo\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  tags: [~]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  tags: [[a]]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  tags: {a: b}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  append: maybe\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  exceptions: x\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  exceptions: {a: b}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  override: x\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  override: [x]\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  tags: [a, b, a]\n",
        Fires(&["r"]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  tags: []\n  exceptions: ~\n  source: ~\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: y\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: N\n",
        Fires(&[]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  enabled: yES\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  source: ''\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  source: [syscall]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n- rule: r\n  source: ~\n  enabled: false\n",
        Fires(&[]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  capture_duration: 0x10\n",
        Fires(&["r"]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  capture_duration: 08\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n  capture_duration: ' 5'\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.2",
        "@r evt.type = connect and proc.name = curl\n- rule: r\n  desc: x\n  override: {desc: [append]}\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
    ("1.6", "- rule: r\n", Errors(&[SHAPE])),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n- rule: r\n  source: a\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n- rule: r\n  condition: or proc.name = wget\n  append: yes\n  override: {condition: append}\n",
        Errors(&[SHAPE]),
    ),
    ("1.4", "- required_engine_version: 0.57.0-rc1\n", Warns(&[])),
    ("1.4", "- required_engine_version: 0x10\n", Warns(&[])),
    ("1.4", "- required_engine_version: 08\n", Errors(&[SHAPE])),
    ("1.4", "- required_engine_version: ' 0.5. 1'\n", Warns(&[])),
    (
        "1.4",
        "- required_engine_version: 0.64.0-rc1\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
    (
        "1.4",
        "- required_engine_version: 0.5.x\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: 0.1.0-x}]\n",
        Warns(&[]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: 0.1.0, alternatives: ~}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: 0.1.0, alternatives: x}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: ''}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  source:\tsyscall\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "- list: l\n  items: ['a\nb',\n\"curl\"]\n@r evt.type = connect and proc.name in (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  tags: ['x\n\n- y'\n  ]\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "- list: l\n  items: [\n\ta,\n\tcurl\n\t]\n@r evt.type = connect and proc.name in (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n\ttags: [a]\n",
        Errors(&["LOAD_ERR_YAML_PARSE"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  tags:\n\t- a\n",
        Errors(&["LOAD_ERR_YAML_PARSE"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  [a]: b\n",
        Errors(&["LOAD_ERR_YAML_PARSE"]),
    ),
    (
        "1.1",
        "@r evt.type = connect and proc.name = curl\n  ~: b\n",
        Warns(&["LOAD_UNKNOWN_KEY"]),
    ),
];
