//! Output templates.

use detector::{event::Kind, host::Host};
use serde_json::json;

use crate::{events::event, ruleset};

fn render(output: &str) -> (String, serde_json::Value) {
    let text = format!(
        "- rule: r\n  desc: d\n  condition: fd.sport = 10250\n  priority: INFO\n  output: |-\n    {output}\n"
    );
    let rules = ruleset(&[&text]);
    let host = Host::default();
    let rendered = rules.rules()[0].render(&event(Kind::ConnectAttempt), &host);
    (rendered.message, rendered.fields.into())
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
