//! What loading rules takes, on one core, printed with the limits: `cargo xtask bench rules`.
//! Arguments are rule files to load as well.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{fmt::Write as _, hint::black_box, time::Instant};

use detector::rules::{SourceFile, load};

const RUNS: usize = 9;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let generated = SourceFile {
        name: "generated".to_owned(),
        text: whole_file(1000),
    };
    loaded("1000 generated rules", &[generated], 100)?;
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    paths.sort();
    let files = paths
        .into_iter()
        .map(|name| {
            let text = std::fs::read_to_string(&name)?;
            Ok(SourceFile { name, text })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    if !files.is_empty() {
        loaded("the files named", &files, 50)?;
    }
    Ok(())
}

/// From text to rules in force; the median.
fn loaded(what: &str, files: &[SourceFile], limit_ms: u32) -> Result<(), Failure> {
    let mut count = 0;
    let mut took = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let loaded = load(black_box(files));
        took.push(start.elapsed().as_secs_f64() * 1e3);
        let first = loaded.diagnostics.first().map(ToString::to_string);
        let ruleset = loaded.ruleset.ok_or_else(|| first.unwrap_or_default())?;
        count = ruleset.rules().len();
    }
    took.sort_by(f64::total_cmp);
    let median = took.get(RUNS / 2).copied().unwrap_or_default();
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    println!(
        "rules: loading {what}: {median:.1} ms (limit {limit_ms}); {count} rules of {bytes} bytes"
    );
    Ok(())
}

/// As people write them: lists of lists, macros of macros, exceptions in both forms.
pub(crate) fn whole_file(count: usize) -> String {
    let mut text = "- macro: kubelet_port\n  condition: fd.sport in (10250, 10255)\n\
                    - list: trusted\n  items: [kubelet, kube-apiserver, metrics-server]\n"
        .to_owned();
    for n in 0..count {
        let _written = writeln!(
            text,
            "- list: clients_{n}\n  items: [trusted, agent-{n}, \"agent {n}\"]\n\
             - macro: clients_of_{n}\n  condition: (proc.name in (clients_{n}) or proc.pname = agent-{n})\n\
             - rule: rule {n}\n  desc: generated\n  \
             condition: >\n    evt.type = connect and kubelet_port\n    and not clients_of_{n}\n  \
             output: >\n    access (process=%proc.name parent=%proc.pname exe=%proc.exepath\n    \
             connection=%fd.name user=%user.name)\n  \
             priority: NOTICE\n  tags: [network, generated]\n  exceptions:\n    \
             - name: programs\n      fields: [proc.exepath, fd.sip]\n      comps: [startswith, in]\n      \
             values:\n        - [/opt/vendor-{n}/, [10.0.0.1, 10.0.0.2]]\n        - [/srv/{n}/, [10.0.0.3]]\n    \
             - name: users\n      fields: user.name\n      values: [user-{n}, root]"
        );
    }
    text
}
