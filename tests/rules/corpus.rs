//! Falco's own rules.

use crate::{files::errors, ruleset};

/// Falco's own rules are not part of this repository: `FALCO_RULES` names a folder that has them.
#[test]
#[expect(clippy::print_stdout, reason = "tells what was looked at")]
fn falcos_own_rules_load_unmodified() {
    let Some(folder) = std::env::var_os("FALCO_RULES") else {
        println!("skipped: FALCO_RULES does not name a folder with Falco's rules");
        return;
    };
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(errors(&[&text]), Vec::<&str>::new(), "{}", path.display());
        for rule in ruleset(&[&text]).rules() {
            let state = rule.inactive().unwrap_or("active");
            println!("{}: {state}", rule.name);
        }
    }
}

/// What the network rules of Falco's files come to here.
#[test]
fn rules_that_cannot_match_say_why() {
    for (condition, reason) in [
        (
            "evt.type in (open, openat)",
            "only connect, accept and listen are observed, not open, openat",
        ),
        (
            "evt.type in (accept, accept4) and fd.l4proto = udp",
            "no connect, accept or listen of TCP can match: `fd.l4proto` is always tcp",
        ),
        (
            "evt.type = connect and fd.filename = x",
            "no connect, accept or listen of TCP can match: they have no `fd.filename`",
        ),
        (
            "evt.type = connect and fd.sip.name = x",
            "`fd.sip.name` is not known: names are not resolved: set `resolve_names` to true",
        ),
        (
            "evt.type = connect and fd.num = 3",
            "`fd.num` is not known: the file descriptor is not recorded",
        ),
        (
            "container.id != host and k8s.ns.name = x",
            "`k8s.ns.name` of a container is not known: the container runtime is not asked",
        ),
    ] {
        let rules = ruleset(&[&crate::rule("r", condition)]);
        assert_eq!(rules.rules()[0].inactive(), Some(reason), "{condition}");
    }
    // What is decided without the field does not need it.
    for condition in [
        "evt.type = connect or evt.type = open and fd.num = 1",
        "not fd.filename = x",
    ] {
        let rules = ruleset(&[&crate::rule("r", condition)]);
        assert_eq!(rules.rules()[0].inactive(), None, "{condition}");
    }
}
