//! Output templates.

use detector::{
    event::{Event, Kind},
    host::Host,
    pipeline::alerts::Alerts,
    sink::Format,
};
use serde_json::{Value, json};

use crate::{events::event, ruleset};

/// The line for an event that matches the rule of this output.
fn line(output: &str, event: &Event, format: Format) -> String {
    let text = format!(
        "- rule: r\n  desc: d\n  condition: fd.sport = 10250\n  priority: INFO\n  output: |-\n    {output}\n"
    );
    let rules = ruleset(&[&text]);
    let mut line = Vec::new();
    let mut alerts = Alerts::new(Host::default(), format, &mut line);
    alerts.matched(&rules.rules()[0], event).unwrap();
    String::from_utf8(line).unwrap()
}

/// The message, and the fields.
fn render(output: &str) -> (String, Value) {
    let line = line(output, &event(Kind::ConnectAttempt), Format::Json);
    let mut alert: Value = serde_json::from_str(&line).unwrap();
    let output = alert["output"].as_str().unwrap();
    let message = output.strip_prefix("22:13:20.000000001: Informational ");
    (message.unwrap().to_owned(), alert["output_fields"].take())
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
        ("%evt.time %evt.res", "22:13:20.000000001 <NA>"),
        ("%container.info x", " x"),
        ("plain", "plain"),
    ] {
        assert_eq!(render(output).0, expected, "{output}");
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
