//! Priorities, versions, redefinition, append and override.

use super::{
    FileRow,
    Outcome::{Errors, Fires, Warns},
};

const SHAPE: &str = "LOAD_ERR_YAML_VALIDATE";
const VALIDATE: &str = "LOAD_ERR_VALIDATE";
const CONDITION: &str = "LOAD_ERR_COMPILE_CONDITION";

pub(super) const ROWS: &[FileRow] = &[
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: EMERGENCY\n",
        Fires(&["r"]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: alert\n",
        Fires(&["r"]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: Critical\n",
        Fires(&["r"]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: eRRor\n",
        Fires(&["r"]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: warning\n",
        Fires(&["r"]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: NOTICE\n",
        Fires(&["r"]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: Informational\n",
        Fires(&["r"]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: info\n",
        Fires(&["r"]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: debug\n",
        Fires(&["r"]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: WARN\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: 4\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: none\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: ' INFO'\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: [INFO]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.3",
        "- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: EMERG\n",
        Errors(&[SHAPE]),
    ),
    ("1.4", "- required_engine_version: 10\n", Warns(&[])),
    ("1.4", "- required_engine_version: 0.63.0\n", Warns(&[])),
    ("1.4", "- required_engine_version: 63\n", Warns(&[])),
    ("1.4", "- required_engine_version: 0.57.0\n", Warns(&[])),
    ("1.4", "- required_engine_version: 0\n", Warns(&[])),
    (
        "1.4",
        "- required_engine_version: 64\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.4",
        "- required_engine_version: 0.64.0\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.4",
        "- required_engine_version: 1.0.0\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.4",
        "- required_engine_version: 0.63.1\n",
        Errors(&[VALIDATE]),
    ),
    ("1.4", "- required_engine_version: 0.5\n", Errors(&[SHAPE])),
    ("1.4", "- required_engine_version: abc\n", Errors(&[SHAPE])),
    ("1.4", "- required_engine_version: 0.5.0.1\n", Warns(&[])),
    ("1.4", "- required_engine_version: ~\n", Errors(&[SHAPE])),
    ("1.4", "- required_engine_version: [1]\n", Errors(&[SHAPE])),
    ("1.4", "- required_engine_version: -1\n", Errors(&[SHAPE])),
    (
        "1.4",
        "- required_engine_version: 10\n- required_engine_version: 0.57.0\n",
        Warns(&[]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: 1.0.0}]\n",
        Warns(&[]),
    ),
    ("1.5", "- required_plugin_versions: []\n", Warns(&[])),
    ("1.5", "- required_plugin_versions: x\n", Errors(&[SHAPE])),
    (
        "1.5",
        "- required_plugin_versions: {name: a}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{version: 1.0.0}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: x}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: 1.0}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: [{name: b, version: 2.0.0}]}]\n",
        Warns(&[]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: [{name: a, version: 2.0.0}]}]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: [{name: b}]}]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.5",
        "- required_plugin_versions: [{name: a, version: 1.0.0}, {name: a, version: 2.0.0}]\n",
        Warns(&[]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  enabled: false\n  override: ~\n",
        Fires(&[]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  enabled: false\n  override: {}\n",
        Warns(&["LOAD_DEPRECATED_ITEM"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  append: false\n  enabled: false\n",
        Fires(&[]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  enabled: false\n",
        Warns(&["LOAD_DEPRECATED_ITEM"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n- rule: x\n  enabled: false\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  tags: [a]\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  condition: proc.name = x\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  desc: d\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@a evt.type = connect and proc.name = curl\n  enabled: false\n@b evt.type = connect and proc.name = curl\n===\n@a evt.type = connect and proc.name = curl\n",
        Fires(&["a", "b"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n@r evt.type = connect and proc.name = wget\n",
        Fires(&[]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  source: k8s_audit\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: INFO\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  source: k8s_audit\n  enabled: false\n",
        Fires(&[]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  source: ''\n  condition: and fd.sport = 1\n  append: true\n",
        Fires(&[]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  source: ~\n  condition: and fd.sport = 1\n  append: true\n",
        Fires(&[]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  append: true\n  condition: and fd.sport = 10250\n",
        Warns(&["LOAD_DEPRECATED_ITEM"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  append: true\n  condition: and fd.sport = 1\n",
        Fires(&[]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  append: true\n  enabled: false\n  condition: and fd.sport = 10250\n",
        Fires(&["r"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  append: true\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  append: true\n  tags: [a]\n",
        Errors(&["LOAD_ERR_VALIDATE"]),
    ),
    (
        "1.6",
        "- rule: x\n  append: true\n  condition: and fd.sport = 1\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.6",
        "- macro: m\n  append: true\n  condition: and fd.sport = 1\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.6",
        "- list: l\n  append: true\n  items: [a]\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.6",
        "- list: l\n  items: [a]\n- list: l\n  append: true\n  items: [curl]\n@r evt.type = connect and proc.name in (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.6",
        "- macro: m\n  condition: proc.name = x\n- macro: m\n  append: true\n  condition: or proc.name = curl\n@r evt.type = connect and m\n",
        Fires(&["r"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  append: true\n  condition: and fd.sport = 1\n  override: {condition: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  condition: and fd.sport = 1\n  override: {condition: append}\n",
        Fires(&[]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  condition: fd.sport = 1\n  override: {condition: append}\n",
        Errors(&[CONDITION]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  condition: evt.type = connect\n  override: {condition: replace}\n",
        Fires(&["r"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  condition: or fd.sport = 1\n  output: x\n  override: {condition: append, output: replace}\n",
        Fires(&["r"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  tags: [a]\n  desc: x\n  output: y\n  override: {tags: append, desc: append, output: append}\n",
        Fires(&["r"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  priority: ERROR\n  enabled: false\n  capture: true\n  capture_duration: 1\n  warn_evttypes: false\n  skip-if-unknown-filter: true\n  override: {priority: replace, enabled: replace, capture: replace, capture_duration: replace, warn_evttypes: replace, skip-if-unknown-filter: replace}\n",
        Fires(&[]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  priority: ERROR\n  override: {priority: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  enabled: true\n  override: {enabled: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  capture: true\n  override: {capture: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  capture_duration: 1\n  override: {capture_duration: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  warn_evttypes: true\n  override: {warn_evttypes: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  skip-if-unknown-filter: true\n  override: {skip-if-unknown-filter: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  source: syscall\n  override: {source: replace}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  override: {rule: replace}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  condition: x\n  override: {conditions: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  condition: and fd.sport = 1\n  override: {condition: APPEND}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  condition: and fd.sport = 1\n  override: {condition: merge}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  condition: and fd.sport = 1\n  override: {condition: ~}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  override: {condition: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  condition: and fd.sport = 1\n  desc: x\n  override: {condition: append}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  source: syscall\n  condition: and fd.sport = 1\n  override: {condition: append}\n",
        Fires(&[]),
    ),
    (
        "1.6",
        "- rule: x\n  condition: and fd.sport = 1\n  override: {condition: append}\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.6",
        "- rule: x\n  condition: fd.sport = 1\n  override: {condition: replace}\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.6",
        "- macro: m\n  condition: proc.name = curl\n  override: {condition: replace}\n@r evt.type = connect and m\n",
        Fires(&["r"]),
    ),
    (
        "1.6",
        "- list: l\n  items: [curl]\n  override: {items: replace}\n@r evt.type = connect and proc.name in (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.6",
        "- macro: m\n  condition: or fd.sport = 1\n  override: {condition: append}\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.6",
        "- list: l\n  items: [a]\n  override: {items: append}\n",
        Errors(&[VALIDATE]),
    ),
    (
        "1.6",
        "- list: l\n  items: [a]\n- list: l\n  items: [curl]\n  override: {items: replace}\n@r evt.type = connect and proc.name in (l)\n",
        Fires(&["r"]),
    ),
    (
        "1.6",
        "- list: l\n  items: [a]\n  override: {condition: replace}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "- macro: m\n  condition: evt.num = 1\n  override: {items: replace}\n",
        Errors(&[SHAPE]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl or evt.type = connect and fd.sport = 10250\n===\n- rule: r\n  condition: and fd.sport = 1\n  override: {condition: append}\n",
        Fires(&["r"]),
    ),
    (
        "1.6",
        "@r evt.type = connect and proc.name = curl\n===\n- rule: r\n  desc: d\n  condition: evt.type = connect and proc.name = curl\n  output: o\n  priority: INFO\n  overide: {condition: append}\n",
        Warns(&["LOAD_UNKNOWN_KEY"]),
    ),
];
