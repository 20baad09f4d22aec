//! `doctor`: what this node has and lacks, and what to do about it.

use std::path::Path;

use anyhow::{Result, bail};

use super::{print, runtime};
use crate::source::{
    AcceptVia, Attach, Options, Ports,
    btf::{Btf, KERNEL_BTF},
    ebpf::{self, EbpfError},
    live::Live,
    privilege,
};

/// Ring buffers came with 5.8.
const OLDEST_KERNEL: (u32, u32) = (5, 8);
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
enum Verdict {
    Good,
    /// Only an option needs it.
    Optional(&'static str),
    Bad(String),
}

struct Row {
    what: &'static str,
    found: String,
    verdict: Verdict,
}

pub(super) fn run(attach: Attach) -> Result<()> {
    let mut rows = vec![kernel(), types(), capabilities(), lockdown(), tracefs()];
    rows.extend(runtime()?.block_on(async { probes(attach) }));
    let mut text = String::new();
    for Row {
        what,
        found,
        verdict,
    } in &rows
    {
        let (mark, remedy) = match verdict {
            Verdict::Good => ("ok", String::new()),
            Verdict::Optional(remedy) => ("--", format!("; {remedy}")),
            Verdict::Bad(remedy) => ("NO", format!("; {remedy}")),
        };
        text.push_str(&format!("{mark}  {what:<13} {found}{remedy}\n"));
    }
    print(&text)?;
    if rows
        .iter()
        .any(|row| matches!(row.verdict, Verdict::Bad(_)))
    {
        bail!("kubelet-detector cannot run here: see the lines marked NO");
    }
    Ok(())
}

fn row(what: &'static str, found: impl Into<String>, verdict: Verdict) -> Row {
    Row {
        what,
        found: found.into(),
        verdict,
    }
}

fn kernel() -> Row {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(|next: char| !next.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let verdict = if version >= OLDEST_KERNEL {
        Verdict::Good
    } else {
        Verdict::Bad("5.8 or later is needed".to_owned())
    };
    row("kernel", release, verdict)
}

fn types() -> Row {
    match Btf::read(Path::new(KERNEL_BTF)).and_then(|types| types.offsets()) {
        Ok(offsets) => {
            let found = format!("{KERNEL_BTF}, all {} members found", offsets.len());
            row("BTF", found, Verdict::Good)
        }
        Err(error) => row("BTF", KERNEL_BTF, Verdict::Bad(error.to_string())),
    }
}

fn capabilities() -> Row {
    let effective = privilege::effective();
    let missing = privilege::missing(effective);
    let verdict = if missing.is_empty() {
        Verdict::Good
    } else {
        Verdict::Bad(format!("run as root, or grant {}", missing.join(", ")))
    };
    row("capabilities", format!("{effective:#x}"), verdict)
}

/// Documentation of kernel_lockdown(7): confidentiality forbids probes to read kernel memory.
fn lockdown() -> Row {
    let Ok(modes) = std::fs::read_to_string(LOCKDOWN) else {
        return row("lockdown", "not in this kernel", Verdict::Good);
    };
    let mode = modes
        .split_whitespace()
        .find_map(|mode| mode.strip_prefix('[')?.strip_suffix(']'))
        .unwrap_or("none");
    let verdict = if mode == "confidentiality" {
        Verdict::Bad("boot with lockdown=integrity, or without it".to_owned())
    } else {
        Verdict::Good
    };
    row("lockdown", mode, verdict)
}

fn tracefs() -> Row {
    if ebpf::tracefs().is_some() {
        row("tracefs", "mounted", Verdict::Good)
    } else {
        let remedy = "only kprobes and --accept-via=syscall need it: mount -t tracefs tracefs \
                      /sys/kernel/tracing";
        row("tracefs", "not mounted", Verdict::Optional(remedy))
    }
}

/// Attaches the probes for real, to no port.
fn probes(attach: Attach) -> Vec<Row> {
    let none = [0; 1024];
    let ports = Ports {
        connect: &none,
        accept: &none,
        listen: &none,
    };
    let options = Options {
        attach,
        accept_via: AcceptVia::Auto,
        probe_log: false,
        pin: None,
    };
    match Live::start(&options, &ports, 0) {
        Ok(live) => live
            .attached()
            .iter()
            .map(|one| row(one.subject, one.to_string(), Verdict::Good))
            .collect(),
        Err(error) => vec![row("probes", "not attached", Verdict::Bad(chain(&error)))],
    }
}

fn chain(error: &EbpfError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
