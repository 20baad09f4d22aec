//! What the probes could not tell: the counters of the kernel, each told once.

use std::os::fd::{AsFd as _, AsRawFd as _};

use aya::programs::ProgramFd;
use detector_ebpf as wire;

use super::{Ebpf, kretprobe, tracefs};
use crate::{
    event::{FORGOTTEN, Loss, MISSED, RECURSION, SUPPRESSED},
    source::Summary,
};

/// How often is told what the kernel skipped, watched or not.
const SKIPPED_PERIOD_NS: u64 = 60_000_000_000;

impl Ebpf {
    /// Of all programs and CPUs.
    fn counter(&self, counter: u32) -> u64 {
        let of = |program: u32| {
            let values = self
                .counters
                .get(&(program * wire::COUNTER_SLOTS + counter), 0);
            values.map_or(0, |values| values.iter().sum::<u64>())
        };
        (0..wire::PROGRAM_SLOTS).map(of).sum()
    }

    /// Outcomes whose attempt the probes do not know, since the last call.
    pub fn unjoined(&mut self) -> u64 {
        let unjoined = self.counter(wire::COUNTER_UNJOINED);
        let new = unjoined.saturating_sub(self.told.unjoined);
        self.told.unjoined = unjoined;
        new
    }

    fn recursion(&self) -> u64 {
        let programs = self.object.programs();
        programs
            .filter_map(|(_, program)| program.fd().ok())
            .chain(&self.adopted)
            .map(recursion_misses)
            .sum()
    }

    /// What became of each subject's records.
    pub fn summary(&self) -> [Summary; 4] {
        let mut slots = (0..).step_by(2);
        let mut suppressed = self.suppressed().into_iter();
        let mut delivered = self.delivered.into_iter();
        wire::SUBJECTS.map(|subject| {
            let slot = slots.next().unwrap_or_default();
            Summary {
                subject,
                generated: self.counter(slot),
                delivered: delivered.next().unwrap_or_default(),
                lost: self.counter(slot + 1),
                suppressed: suppressed.next().unwrap_or_default(),
            }
        })
    }

    /// Of attempts and of outcomes.
    fn suppressed(&self) -> [u64; 2] {
        [0, 1].map(|kind| self.counter(wire::COUNTER_SUPPRESSED + kind))
    }

    /// What the kernel skipped since it was told last: mostly not of watched sockets.
    fn skipped(&mut self, time_ns: u64, losses: &mut Vec<Loss>) {
        let recursion = self.recursion();
        if recursion > self.told.recursion {
            let count = recursion - self.told.recursion;
            losses.push(loss(time_ns, "probe", RECURSION, count));
            self.told.recursion = recursion;
        }
        if let Some(tracefs) = tracefs().filter(|_| !self.kprobes.is_empty()) {
            let profile = kretprobe::profile(tracefs);
            for subject in ["connect", "accept"] {
                let probes = self.kprobes.iter().filter(|(of, _)| *of == subject);
                let missed: u64 = probes.map(|(_, probe)| probe.misses(&profile)).sum();
                let seen = self.missed_seen.entry(subject).or_default();
                if missed > *seen {
                    losses.push(loss(time_ns, subject, MISSED, missed - *seen));
                    *seen = missed;
                }
            }
        }
    }

    /// What was lost since the last call. What the kernel skipped, which seldom was of a watched
    /// socket, is told once a minute, unless this call is the `last`.
    pub fn losses(&mut self, time_ns: u64, last: bool) -> Vec<Loss> {
        let mut losses = Vec::new();
        let rows = self.summary();
        for (row, seen) in rows.iter().zip(&mut self.told.lost) {
            if row.lost > *seen {
                let count = row.lost - *seen;
                losses.push(loss(time_ns, row.subject, "ring_buffer_full", count));
                *seen = row.lost;
            }
        }
        for (row, seen) in rows.iter().zip(&mut self.told.suppressed) {
            if row.suppressed > *seen {
                let count = row.suppressed - *seen;
                losses.push(loss(time_ns, row.subject, SUPPRESSED, count));
                *seen = row.suppressed;
            }
        }
        if last || time_ns >= self.skipped_due_ns {
            let before = losses.len();
            self.skipped(time_ns, &mut losses);
            if losses.len() > before {
                self.skipped_due_ns = time_ns.saturating_add(SKIPPED_PERIOD_NS);
            }
        }
        if self.malformed > self.malformed_seen {
            let count = self.malformed - self.malformed_seen;
            losses.push(loss(time_ns, "record", "malformed", count));
            self.malformed_seen = self.malformed;
        }
        let forgotten = std::mem::take(&mut self.processes.forgotten);
        if forgotten > 0 {
            losses.push(loss(time_ns, "process", FORGOTTEN, forgotten));
        }
        losses
    }
}

fn loss(time_ns: u64, subject: &str, cause: &str, count: u64) -> Loss {
    Loss {
        time_ns,
        subject: subject.to_owned(),
        cause: cause.to_owned(),
        count,
    }
}

/// How often the kernel skipped the program because it interrupted itself on the same CPU
/// (Documentation/filesystems/proc.rst does not list it; kernel/bpf/syscall.c,
/// `bpf_prog_show_fdinfo`, does).
fn recursion_misses(program: &ProgramFd) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
    let about = std::fs::read_to_string(path).unwrap_or_default();
    about
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}
