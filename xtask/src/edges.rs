//! Which module of `detector` may import which: a new edge is an edit of this table, so that it
//! shows in review.

use anyhow::{Result, bail};

/// A module, and those that it may import.
const MODULES: [(&str, &[&str]); 16] = [
    ("causes", &[]),
    ("files", &[]),
    ("event", &[]),
    ("alert", &["event"]),
    ("host", &[]),
    ("metrics", &["alert", "event", "host"]),
    ("time", &["host"]),
    ("trace", &["event", "host"]),
    ("source", &["event", "files"]),
    ("enrich", &["event"]),
    ("rules", &["alert", "event", "host", "time"]),
    (
        "sink",
        &[
            "alert", "causes", "event", "files", "host", "metrics", "time",
        ],
    ),
    ("web", &["metrics"]),
    ("config", &["alert", "files", "rules", "sink"]),
    (
        "pipeline",
        &[
            "alert", "causes", "enrich", "event", "host", "metrics", "rules", "sink", "source",
            "trace",
        ],
    ),
    (
        "cli",
        &[
            "config", "enrich", "event", "files", "host", "metrics", "pipeline", "rules", "sink",
            "source", "trace", "web",
        ],
    ),
];

/// Crates, and the places that may name them.
const CRATES: [(&str, &[&str]); 8] = [
    (
        "aya",
        &[
            "detector/src/source/ebpf/",
            "detector-ebpf/src/",
            "tests/bench/",
            // It meddles with the maps from outside.
            "tests/live_health.rs",
            "tests/live_let_off.rs",
            "tests/live_pins.rs",
            "tests/live_tampering.rs",
        ],
    ),
    ("saphyr_parser", &["detector/src/rules/yaml.rs"]),
    ("serde_saphyr", &["detector/src/config/"]),
    (
        "detector_ebpf",
        &["detector/src/source/", "detector-ebpf/src/"],
    ),
    (
        "procfs",
        &[
            "detector/src/enrich/",
            "detector/src/source/inventory.rs",
            "detector/src/source/procfs.rs",
            "detector/src/source/privilege.rs",
        ],
    ),
    ("netlink_packet", &["detector/src/enrich/conntrack.rs"]),
    ("indicatif", &["detector/src/cli/"]),
    (
        "anyhow",
        &["detector/src/cli/", "detector/build.rs", "xtask/src/"],
    ),
];

pub(crate) fn check(file: &str, text: &str) -> Result<()> {
    for (name, places) in CRATES {
        let used = imports(text, &format!("use {name}"));
        if !used.is_empty() && !places.iter().any(|place| file.starts_with(place)) {
            bail!("{file} imports `{name}`: only {} may", places.join(", "));
        }
    }
    let Some(inside) = file.strip_prefix("detector/src/") else {
        return Ok(());
    };
    let module = inside.split(['/', '.']).next().unwrap_or_default();
    let Some((_, allowed)) = MODULES.iter().find(|(name, _)| *name == module) else {
        return Ok(());
    };
    for import in imports(text, "use crate::") {
        for name in heads(&import) {
            if name != module && !allowed.contains(&name) {
                bail!("{file} imports `crate::{name}`: `{module}` may not (xtask/src/edges.rs)");
            }
        }
    }
    Ok(())
}

/// What follows `start` up to its semicolon, for each line that begins with it.
fn imports(text: &str, start: &str) -> Vec<String> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(number, line)| {
            let first = line.strip_prefix(start)?;
            let whole = first.starts_with([':', ';', ' ', '{']) || start.ends_with(':');
            let rest = text.lines().skip(number + 1).collect::<Vec<_>>().join(" ");
            let import = format!("{first} {rest}");
            whole.then(|| import.split(';').next().unwrap_or_default().to_owned())
        })
        .collect()
}

/// The first name of each path of an import, groups included.
fn heads(import: &str) -> Vec<&str> {
    let inner = match import.trim().strip_prefix('{') {
        Some(group) => group,
        None => return import.split([':', ' ']).take(1).collect(),
    };
    let (mut depth, mut begin, mut heads) = (0_i32, 0, Vec::new());
    for (at, next) in inner.char_indices() {
        match next {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (next == ',' && depth == 0) || depth < 0 {
            let path = inner.get(begin..at).unwrap_or_default().trim();
            heads.extend(path.split(':').next().filter(|head| !head.is_empty()));
            begin = at + 1;
        }
        if depth < 0 {
            break;
        }
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_edges_are_refused() {
        let file = "detector/src/rules/mod.rs";
        for (text, good) in [
            ("use crate::event::Event;", true),
            (
                "use crate::{\n    event::{Event, Kind},\n    host::Host,\n};",
                true,
            ),
            ("use crate::{event::Event, sink::Format};", false),
            ("use crate::trace;", false),
            ("use saphyr_parser::Parser;", false),
            ("use aya_log::EbpfLogger;", true),
        ] {
            assert_eq!(check(file, text).is_ok(), good, "{text}");
        }
        assert!(check("detector/src/rules/yaml.rs", "use saphyr_parser::Parser;").is_ok());
    }
}
