//! Which tests run on a kernel, and the script that runs them.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use anyhow::{Result, bail};

/// As `--attach` names them.
pub(super) const MECHANISMS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];
/// Whether all of them give the same events, and what needs no mechanism of its own.
pub(super) const ALL: &str = "any";
/// In the guest's output, before the name of a part.
pub(super) const PART: &str = "== ";
/// Before what a mechanism is refused for.
pub(super) const LACKS: &str = "lacks: ";
/// Before what failed.
pub(super) const FAILED: &str = "failed: ";

/// A test program.
struct Test {
    program: &'static str,
    /// Of its tests, those that have one of these words in their names; all by default.
    words: &'static str,
    /// Runs for each change too.
    ci: bool,
}

const fn test(program: &'static str, words: &'static str, ci: bool) -> Test {
    Test { program, words, ci }
}

/// Run once for each mechanism.
const TESTS: [Test; 13] = [
    test("live", "", false),
    test("live_ways", "", true),
    test("live_identity", "", true),
    test("live_changes", "", true),
    test("live_creators", "", true),
    test("live_original", "", true),
    test("live_let_off", "", true),
    test("live_metrics", "", false),
    test("live_flood", "", false),
    test("live_scenarios", "", false),
    test("live_tampering", "", false),
    test("live_pins", "when_connects_and_kills", false),
    test("reload", "reloads_amid_a_flood reloaded_rules_watch", false),
];
const TESTS_OF_ALL: [Test; 5] = [
    test("live_attach", "", true),
    test("live_verifier", "", true),
    test("live_inventory", "", false),
    test("live_health", "", false),
    test("live_faults", "", false),
];
/// Connects of a flood, here and where each change is tested: emulation is slow.
const FLOOD: [&str; 2] = ["12000", "1000"];
/// Seconds that a test program may take. One that hangs costs no more, and those after it run.
const LIMIT: u32 = 600;

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TESTS.iter().chain(&TESTS_OF_ALL).map(|test| test.program)
}

/// What runs on each kernel.
pub(super) struct Plan {
    pub(super) parts: Vec<Part>,
    flood: &'static str,
}

/// One mechanism, or what needs none of its own.
pub(super) struct Part {
    pub(super) name: &'static str,
    /// Programs, and the words that choose tests.
    pub(super) calls: Vec<(&'static str, String)>,
}

impl Plan {
    /// All of `attach`'s parts and `only`'s programs, where these are not empty.
    pub(super) fn new(attach: &[String], only: &[String], ci: bool) -> Result<Self> {
        for name in attach {
            if name != ALL && !MECHANISMS.contains(&name.as_str()) {
                bail!("`{name}` is none of {}, {ALL}", MECHANISMS.join(", "));
            }
        }
        for one in only {
            let program = one.split("::").next().unwrap_or_default();
            if !names().any(|name| name == program) {
                let names: Vec<&str> = names().collect();
                bail!("`{program}` is none of {}", names.join(", "));
            }
        }
        let calls = |tests: &[Test]| {
            let chosen = tests.iter().filter(|test| test.ci || !ci);
            chosen.filter_map(|test| call(test, only)).collect()
        };
        let parts = MECHANISMS.into_iter().chain([ALL]);
        let parts = parts.filter(|name| attach.is_empty() || attach.iter().any(|one| one == name));
        let parts = parts.map(|name| Part {
            name,
            calls: match name {
                ALL => calls(&TESTS_OF_ALL),
                _ => calls(&TESTS),
            },
        });
        let [all, small] = FLOOD;
        Ok(Self {
            parts: parts.filter(|part| !part.calls.is_empty()).collect(),
            flood: if ci { small } else { all },
        })
    }

    /// One after the other: emulated CPUs are few. The last status that is not 0 counts.
    pub(super) fn script(&self, tests: &BTreeMap<String, PathBuf>, detector: &str) -> String {
        let mut script = format!(
            "export KUBELET_DETECTOR_FLOOD={} RUST_BACKTRACE=0\nstatus=0\n\
             run() {{\n\
             echo \"running: $*\"\n\
             began=$(cut -d. -f1 /proc/uptime)\n\
             timeout {LIMIT} \"$@\" --test-threads 1 --nocapture\n\
             last=$?\n\
             took=$(($(cut -d. -f1 /proc/uptime) - began))\n\
             echo \"ran: ${{1##*/}} $took s\"\n\
             [ $last = 0 ] && return\n\
             status=$last\n\
             [ $took -lt {LIMIT} ] || last=\"its {LIMIT} seconds are over\"\n\
             echo \"{FAILED}${{1##*/}} in $part: $last\"\n\
             }}\n",
            self.flood
        );
        for Part { name, calls } in &self.parts {
            let _ = writeln!(script, "part={name}\necho \"{PART}$part\"");
            if *name == ALL {
                script.push_str("unset KUBELET_DETECTOR_ATTACH\nif true; then\n");
            } else {
                let _ = write!(
                    script,
                    "export KUBELET_DETECTOR_ATTACH=$part\n\
                     if ! {detector} doctor --attach $part >/tmp/doctor 2>&1; then\n\
                     echo \"{LACKS}$(cat /tmp/doctor)\"\nelse\n"
                );
            }
            for (program, words) in calls {
                let path = tests.get(*program).map(|path| path.display());
                let path = path.map_or_else(|| (*program).to_owned(), |path| path.to_string());
                let _ = writeln!(script, "run {path} {words}");
            }
            script.push_str("fi\n");
        }
        script.push_str("exit $status\n");
        script
    }
}

/// The program, and the tests of it that `only` names as `PROGRAM` or `PROGRAM::TEST`.
fn call(test: &Test, only: &[String]) -> Option<(&'static str, String)> {
    if only.is_empty() {
        return Some((test.program, test.words.to_owned()));
    }
    let mut words = Vec::new();
    for one in only {
        match one.split_once("::") {
            Some((program, word)) if program == test.program => words.push(word),
            None if one == test.program => words.push(test.words),
            _ => {}
        }
    }
    (!words.is_empty()).then(|| (test.program, words.join(" ")))
}
