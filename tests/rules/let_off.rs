//! Whose connects the probes need not tell of.

use crate::{rule, ruleset};

#[test]
fn a_name_is_let_off_where_no_rule_can_match_it() {
    let let_off = |rules: &[(&str, &str)]| -> Vec<(String, Vec<u16>)> {
        let text: String = rules
            .iter()
            .map(|(name, condition)| rule(name, condition))
            .collect();
        let rules = ruleset(&[&text]);
        let found = rules.let_off().iter();
        found
            .map(|one| (one.name.clone(), one.ports.ports()))
            .collect()
    };
    let at = |name: &str, ports: &[u16]| (name.to_owned(), ports.to_vec());
    let kubelet = (
        "a",
        "evt.type = connect and fd.sport = 7 and not proc.name in (kubelet, x)",
    );
    assert_eq!(let_off(&[kubelet]), [at("kubelet", &[7]), at("x", &[7])]);
    let also = "evt.type = connect and fd.sport in (7, 8) and proc.name != kubelet";
    assert_eq!(let_off(&[kubelet, ("b", also)]), [at("kubelet", &[7, 8])]);
    for (other, left) in [
        // It can match them.
        (
            "evt.type = connect and fd.sport = 7 and user.name = a",
            vec![],
        ),
        (
            "evt.type = connect and fd.sport = 7 and proc.name startswith kube",
            vec![at("x", &[7])],
        ),
        (
            "evt.type = connect and fd.sport = 7 and proc.pname != kubelet",
            vec![],
        ),
        (
            "evt.type = connect and fd.sport = 7 and (proc.name != x or user.name = a)",
            vec![],
        ),
        (
            "evt.type = connect and fd.sport = 7 and tolower(proc.name) != kubelet",
            vec![],
        ),
        // It cannot.
        (
            "evt.type = connect and fd.sport = 8",
            vec![at("kubelet", &[7]), at("x", &[7])],
        ),
        (
            "evt.type = accept and fd.sport = 7",
            vec![at("kubelet", &[7]), at("x", &[7])],
        ),
    ] {
        assert_eq!(let_off(&[kubelet, ("b", other)]), left, "{other}");
    }
    let cut = "evt.type = connect and fd.sport = 7 and proc.name != sixteen-letters!";
    assert_eq!(let_off(&[("a", cut)]), [], "no thread has that name");
    let excepted = "- rule: a\n  desc: d\n  condition: evt.type = connect and fd.sport = 7\n  \
                    output: o\n  priority: WARNING\n  exceptions:\n  - name: e\n    fields: \
                    [proc.name, proc.exepath]\n    comps: [=, =]\n    values: [[kubelet, /k]]\n";
    assert!(
        ruleset(&[excepted]).let_off().is_empty(),
        "another executable of that name is none"
    );
}
