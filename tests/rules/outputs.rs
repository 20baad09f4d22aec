//! Output templates.

use std::time::Instant;

use detector::{
    config::{self, Config, Origins},
    event::{Event, Kind, Loss},
    host::Host,
    pipeline::alerts::Alerts,
    rules::{fields::CATALOGUE, output::Template},
    sink::Stream,
};
use serde_json::{Value, json};

use crate::{events::event, ruleset};

fn config(settings: &[&str]) -> Result<Config, String> {
    let loaded = config::load(&Origins {
        settings: settings.iter().map(|one| (*one).to_owned()).collect(),
        ..Origins::default()
    });
    let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    loaded.config.ok_or(errors.join("\n"))
}

/// The line for an event that matches the rule of this output.
fn line(output: &str, event: &Event, settings: &[&str]) -> String {
    let text = format!(
        "- rule: r\n  desc: d\n  condition: fd.sport = 10250\n  priority: INFO\n  tags: [b, a]\n  output: |-\n    {output}\n"
    );
    let config = config(settings).unwrap();
    let rules = ruleset(&[&text]).with_outputs(&config.outputs).unwrap();
    let host = Host {
        hostname: "node-1".to_owned(),
        utc_offset_s: 3600,
        ..Host::default()
    };
    let mut line = Vec::new();
    let sink = Stream::new(config.style, &host, &mut line);
    let mut alerts = Alerts::new(host, sink);
    alerts.matched(&rules.rules()[0], event).unwrap();
    String::from_utf8(line).unwrap()
}

fn object(output: &str, settings: &[&str]) -> Value {
    let settings = [&["json_output=true"], settings].concat();
    serde_json::from_str(&line(output, &event(Kind::ConnectAttempt), &settings)).unwrap()
}

/// The message, and the fields.
fn render(output: &str) -> (String, Value) {
    let mut alert = object(output, &["json_include_message_property=true"]);
    let message = alert["message"].as_str().unwrap().to_owned();
    (message, alert["output_fields"].take())
}

#[test]
fn templates_take_the_longest_field() {
    for (output, expected) in [
        ("a %proc.name b", "a curl b"),
        ("%proc.nameand", "curland"),
        ("%proc.name.", "curl."),
        ("%proc.name[", "curl["),
        ("%evt.source[1]", "syscall[1]"),
        ("%proc.aname[2]", "sshd"),
        ("%proc.aname[9]", "<NA>"),
        ("%proc.aname", "bash sshd systemd"),
        ("%proc.apid", "42"),
        ("%toupper(proc.name)!", "CURL!"),
        ("%concat(proc.name, \"-\", proc.pname)", "curl-bash"),
        ("*%proc.name", "curl"),
        ("%proc.name *", "curl *"),
        ("%10proc.name|", "curl      |"),
        ("%2proc.name|", "cu|"),
        ("%fd.sip:%fd.sport", "10.0.0.5:10250"),
        ("%fd.snet %fd.net %fd.ip", "<IPNET> <NA> <NA>"),
        ("%proc.is_exe_upper_layer %user.uid", "true 1000"),
        ("%container.image.repository %proc.env[HOME]", "<NA> <NA>"),
        ("%evt.time %evt.res", "23:13:20.000000001 <NA>"),
        ("%container.info x", " x"),
        ("%container.info%proc.name", "curl"),
        ("%20proc.aname[9]|", "<NA>                |"),
        ("%3toupper(proc.name)|", "CUR|"),
        ("%0proc.name|", "curl|"),
        ("%user.loginuid %evt.is_io %fd.cip", "-1 false 10.0.0.9"),
        ("%getopt((proc.args[0], \"-x\"), \"kx\")", "(k,x)"),
        ("plain", "plain"),
    ] {
        assert_eq!(render(output).0, expected, "{output}");
    }
}

/// docs/fields.md marks them.
#[test]
fn what_cannot_be_printed_is_marked() {
    let marked: Vec<_> = CATALOGUE
        .iter()
        .filter_map(|field| Some((field.name, field.placeholder()?)))
        .collect();
    for (name, expected) in &marked {
        let name = name.replace("evt.type.is", "evt.type.is.connect");
        let printed = line(&format!("<%{name}>"), &event(Kind::ConnectOutcome), &[]);
        assert!(printed.contains(&format!("<{expected}>")), "{printed}");
    }
    for name in [
        "fd.ip",
        "fd.port",
        "fd.proto",
        "fd.net",
        "fd.snet",
        "evt.type.is",
    ] {
        assert!(marked.iter().any(|(marked, _)| *marked == name), "{name}");
    }
}

#[test]
fn fields_have_their_types_and_names_as_written() {
    let (_, fields) = render(
        "%proc.aname[1] %fd.sport %fd.sip %proc.aname[9] %evt.time %toupper(proc.exe) %proc.is_exe_upper_layer",
    );
    let expected = json!({
        "evt.time": 1_700_000_000_000_000_001_u64,
        "proc.aname[1]": "bash",
        "fd.sport": 10250,
        "fd.sip": "10.0.0.5",
        "proc.aname[9]": null,
        "proc.exe": "curl",
        "proc.is_exe_upper_layer": true,
    });
    assert_eq!(fields, expected);
}

#[test]
fn lines_of_text_are_escaped_as_in_json() {
    let mut odd = event(Kind::ConnectAttempt);
    odd.thread.comm = "a\"b\\c\n\u{1}\u{7f}é".to_owned();
    let message =
        r#"Informational "#.to_owned() + r"a\" + "\"" + r"b\\c\n\u0001" + "\u{7f}é \\\"\n";
    let found = line("%proc.name \"", &odd, &[]);
    assert_eq!(found, format!("23:13:20.000000001: {message}"));
    let found = line("%proc.name \"", &odd, &["time_format_iso_8601=true"]);
    let time = "2023-11-14T22:13:20.000000001+0000";
    assert_eq!(found, format!("{time}: {message}"));
}

#[test]
fn objects_have_the_keys_that_are_asked_for() {
    let all = [
        "hostname",
        "output",
        "output_fields",
        "priority",
        "rule",
        "sequence",
        "source",
        "tags",
        "time",
        "uuid",
    ];
    let without =
        |key: &str| -> Vec<&str> { all.iter().copied().filter(|one| *one != key).collect() };
    let mut with_message = all.to_vec();
    with_message.insert(1, "message");
    for (settings, expected) in [
        (&[][..], all.to_vec()),
        (&["json_include_message_property=true"], with_message),
        (&["json_include_output_property=false"], without("output")),
        (
            &["json_include_output_fields_property=false"],
            without("output_fields"),
        ),
        (&["json_include_tags_property=false"], without("tags")),
    ] {
        let found = object("o", settings);
        let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
        assert_eq!(keys, expected, "{settings:?}");
    }
    let alert = object("o %proc.name", &["json_include_message_property=true"]);
    assert_eq!(alert["message"], "o curl");
    assert_eq!(alert["output"], "23:13:20.000000001: Informational o curl");
    assert_eq!(alert["time"], "2023-11-14T22:13:20.000000001Z");
    assert_eq!(alert["priority"], "Informational");
    assert_eq!(alert["source"], "syscall");
    assert_eq!(alert["tags"], json!(["a", "b"]));
    assert_eq!(alert["hostname"], "node-1");
}

#[test]
fn an_iso_time_is_named_so() {
    const NS: u64 = 1_700_000_000_000_000_001;
    let iso = ["time_format_iso_8601=true"];
    for (output, settings, fields) in [
        ("o", &[][..], json!({"evt.time": NS})),
        ("o", &iso, json!({"evt.time.iso8601": NS})),
        ("%evt.time", &[], json!({"evt.time": NS})),
        (
            "%evt.time",
            &iso,
            json!({"evt.time.iso8601": NS, "evt.time": NS}),
        ),
        (
            "%evt.datetime",
            &[],
            json!({"evt.time": NS, "evt.datetime": NS}),
        ),
        (
            "%toupper(evt.time)",
            &iso,
            json!({"evt.time.iso8601": NS, "evt.time": NS}),
        ),
        (
            "%evt.datetime.s",
            &[],
            json!({"evt.time": NS, "evt.datetime.s": NS}),
        ),
    ] {
        assert_eq!(
            object(output, settings)["output_fields"],
            fields,
            "{output} {settings:?}"
        );
    }
}

#[test]
fn outputs_are_completed_where_they_fit() {
    for (append, expected) in [
        (r#"[{"extra_output": "pid=%proc.pid"}]"#, "o curl pid=42"),
        (
            r#"[{"extra_output": "1"}, {"extra_output": "* 2"}]"#,
            "o curl 1 * 2",
        ),
        (r#"[{"match": {}, "extra_output": "x"}]"#, "o curl x"),
        (
            r#"[{"match": {"rule": "r"}, "extra_output": "x"}]"#,
            "o curl x",
        ),
        (
            r#"[{"match": {"rule": "R"}, "extra_output": "x"}]"#,
            "o curl",
        ),
        (
            r#"[{"match": {"tags": ["a"]}, "extra_output": "x"}]"#,
            "o curl x",
        ),
        (
            r#"[{"match": {"tags": ["a", "b"]}, "extra_output": "x"}]"#,
            "o curl x",
        ),
        (
            r#"[{"match": {"tags": ["a", "c"]}, "extra_output": "x"}]"#,
            "o curl",
        ),
        (
            r#"[{"match": {"source": "syscall"}, "extra_output": "x"}]"#,
            "o curl x",
        ),
        (
            r#"[{"match": {"source": "k8s_audit"}, "extra_output": "x"}]"#,
            "o curl",
        ),
        (
            r#"[{"match": {"source": "syscall", "rule": "x"}, "extra_output": "x"}]"#,
            "o curl",
        ),
        (
            r#"[{"extra_output": "x", "suggested_output": true}]"#,
            "o curl x container_id=0123456789ab container_name=<NA> container_image_repository=<NA> \
             container_image_tag=<NA> k8s_pod_name=<NA> k8s_ns_name=<NA>",
        ),
        (r#"[{"suggested_output": false}]"#, "o curl"),
        (r#"[{"extra_output": "[%container.info]"}]"#, "o curl []"),
        ("[]", "o curl"),
    ] {
        let setting = format!("append_output={append}");
        let found = object(
            "o %proc.name",
            &[&setting, "json_include_message_property=true"],
        );
        assert_eq!(found["message"], expected, "{append}");
    }
}

#[test]
fn fields_are_added_with_their_types_or_as_texts() {
    const NS: u64 = 1_700_000_000_000_000_001;
    for (extra, expected) in [
        (
            r#"["proc.pid"]"#,
            json!({"proc.name": "curl", "proc.pid": 42}),
        ),
        (
            r#"["proc.aname[2]"]"#,
            json!({"proc.name": "curl", "proc.aname[2]": "sshd"}),
        ),
        (
            r#"["container.name"]"#,
            json!({"proc.name": "curl", "container.name": null}),
        ),
        (
            r#"[{"who": "%user.name (%user.uid)", "n": "%evt.num"}]"#,
            json!({"proc.name": "curl", "who": "ann (1000)", "n": "3"}),
        ),
        // Another text under the name of a field that the output has.
        (
            r#"[{"proc.name": "<%toupper(proc.name)>"}]"#,
            json!({"proc.name": "<CURL>"}),
        ),
        (r#"["proc.name"]"#, json!({"proc.name": "curl"})),
        (
            r#"["evt.datetime"]"#,
            json!({"proc.name": "curl", "evt.datetime": NS}),
        ),
    ] {
        let setting = format!(r#"append_output=[{{"extra_fields": {extra}}}]"#);
        let found = object(
            "o %proc.name",
            &[&setting, "json_include_message_property=true"],
        );
        let mut expected = expected;
        expected["evt.time"] = NS.into();
        assert_eq!(found["output_fields"], expected, "{extra}");
        assert_eq!(found["message"], "o curl", "{extra}");
    }
}

#[test]
fn settings_that_do_not_fit_are_explained() {
    for (setting, expected) in [
        (
            r#"append_output=[{"extra_output": "pid=%proc.pdi"}]"#,
            "--set:1:16: CONFIG_VALUE: `pid=%proc.pdi`, which is to be appended to outputs, does not \
             compile: invalid formatting token: nonexistent field `proc.pdi`: \
             did you mean `%proc.pid`?",
        ),
        (
            r#"append_output=[{"extra_output": "50%"}]"#,
            "invalid formatting token `%`: write a field after `%`",
        ),
        (
            r#"append_output=[{"extra_fields": ["proc.nam"]}]"#,
            "the extra field `proc.nam` is not known: invalid formatting token: nonexistent field \
             `proc.nam`: did you mean `%proc.name`?",
        ),
        (
            r#"append_output=[{"extra_fields": ["proc.name and more"]}]"#,
            "the extra field `proc.name and more` is not known: write the name of one field",
        ),
        (
            r#"append_output=[{"extra_fields": ["toupper(proc.name)"]}]"#,
            "write the name of one field, or {\"name\": \"text with %fields\"}",
        ),
        (
            r#"append_output=[{"extra_fields": [{"a": "%nope"}]}]"#,
            "`%nope`, which is to be appended to outputs, does not compile",
        ),
        (
            r#"append_output=[{"extra_fields": [7]}]"#,
            "an element of `extra_fields` is the name of a field",
        ),
        (
            r#"append_output=[{"extra_otput": "x"}]"#,
            "unknown key `extra_otput` (did you mean `extra_output`?)",
        ),
        (
            r#"append_output=[{"match": {"rules": "x"}}]"#,
            "unknown key `rules` (did you mean `rule`?)",
        ),
        (
            "append_output=x",
            "--set:1:15: CONFIG_VALUE: expected a list, found a text",
        ),
        (
            "json_include_tags_property=yes",
            "expected true or false, found a text",
        ),
        (
            "time_format_iso_8601=1",
            "expected true or false, found a number",
        ),
        (
            "json_include_tags=true",
            "unknown key `json_include_tags` (did you mean `json_include_tags_property`?)",
        ),
    ] {
        let error = config(&[setting]).unwrap_err();
        assert!(error.contains(expected), "{setting}: {error}");
    }
}

#[test]
fn the_detectors_own_alerts_have_falcos_keys() {
    let style = |settings: &[&str]| config(settings).unwrap().style;
    let loss = Loss {
        time_ns: 5,
        subject: "connect".to_owned(),
        cause: "ring_buffer_full".to_owned(),
        count: 3,
    };
    let every = [
        "json_output=true",
        "json_include_message_property=true",
        "json_include_output_property=false",
        "json_include_output_fields_property=false",
        "json_include_tags_property=true",
        "time_format_iso_8601=true",
    ];
    let mut line = Vec::new();
    let host = Host::default();
    let sink = Stream::new(style(&every), &host, &mut line);
    let mut alerts = Alerts::new(host, sink);
    alerts.lost(&loss).unwrap();
    let mut alert: Value = serde_json::from_slice(&line).unwrap();
    alert.as_object_mut().unwrap().remove("uuid");
    let expected = json!({
        "hostname": "",
        "output": "1970-01-01T00:00:00.000000005+0000: Critical 3 connect events were lost (ring_buffer_full)",
        "output_fields": {"cause": "ring_buffer_full", "count": 3, "subject": "connect"},
        "priority": "Critical",
        "rule": "Events lost",
        "sequence": 1,
        "source": "internal",
        "time": "1970-01-01T00:00:00.000000005Z",
    });
    assert_eq!(alert, expected);
}

#[test]
fn the_mistakes_of_an_output_are_told_up_to_a_number() {
    for (text, more) in [("%x %proc.name %y", 1), (&"%% ".repeat(100), 32)] {
        let mistakes = Template::parse(text).unwrap_err();
        assert_eq!(mistakes.more.len(), more, "{text}");
    }
}

#[test]
fn hostile_templates_take_time_in_proportion_to_their_length() {
    const SIZE: usize = 1 << 18;
    let begin = Instant::now();
    for piece in [
        "%proc.nameandsoonforaverylongtime ",
        "%proc.name[%proc.name[",
        "%proc.name[[[[",
        "%proc.name((((",
        "%99999999999999999999proc.name",
        "%toupper(proc.name)",
        "%toupper(toupper(toupper(",
        "x",
        "%",
    ] {
        let text = piece.repeat(SIZE / piece.len());
        for text in [
            &text,
            &format!("{text}]"),
            &format!("%{}", "a".repeat(SIZE)),
        ] {
            drop(Template::parse(text));
        }
    }
    let names: String = (0..SIZE / 16)
        .map(|index| format!("%proc.aname[{index}]"))
        .collect();
    assert!(Template::parse(&names).is_ok());
    let took = begin.elapsed();
    assert!(took.as_secs() < 60, "{took:?}");
}
