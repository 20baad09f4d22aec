//! What `rules explain` shows of a verdict.

use detector::{event::Kind, host::Host, rules::explain::Node};

use crate::{events::event, rule, ruleset};

fn lines(node: &Node, depth: usize, shown: &mut Vec<String>) {
    let mark = if node.verdict { '+' } else { '-' };
    let value = node.value.as_deref().unwrap_or("nothing");
    let value = if node.children.is_empty() {
        format!(": {value}")
    } else {
        String::new()
    };
    shown.push(format!("{}{mark} {}{value}", " ".repeat(depth), node.text));
    for child in &node.children {
        lines(child, depth + 1, shown);
    }
}

#[test]
fn each_node_has_its_verdict_and_what_the_event_has() {
    let macros = "- macro: m\n  condition: fd.port in (1, 2) or proc.aname = sshd\n";
    for (condition, expected) in [
        ("proc.name = curl", &["+ proc.name = \"curl\": curl"][..]),
        ("fd.sport > 20000", &["- fd.sport > 20000: 10250"]),
        (
            "fd.sip != 10.0.0.5",
            &["- fd.sip != \"10.0.0.5\": 10.0.0.5"],
        ),
        ("fd.filename exists", &["- fd.filename exists: nothing"]),
        ("len(proc.name) = 4", &["+ len(proc.name) = \"4\": 4"]),
        (
            "not m and evt.type = connect",
            &[
                "- and",
                " - not",
                "  + or",
                "   - fd.port in (\"1\", \"2\"): 5002 | 10250",
                "   + proc.aname = \"sshd\": bash | sshd | systemd",
                " + evt.type = \"connect\": connect",
            ],
        ),
        (
            "proc.aname[1] = sh or proc.name = val(proc.exe)",
            &[
                "+ or",
                " - proc.aname[1] = \"sh\": bash",
                " + proc.name = val(proc.exe): curl",
            ],
        ),
    ] {
        let rules = ruleset(&[macros, &rule("r", condition)]);
        let tree = rules.rules()[0].explain(&event(Kind::ConnectAttempt), &Host::default());
        let mut shown = Vec::new();
        lines(&tree, 0, &mut shown);
        assert_eq!(shown, expected, "{condition}");
    }
}
