//! What this process needs of the node.

use rustix::{
    param::page_size,
    time::{ClockId, clock_gettime},
};

use super::Process;

impl Process {
    /// Now; 0 where the kernel does not tell.
    pub fn now() -> Self {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let seconds = u64::try_from(cpu.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(cpu.tv_nsec).unwrap_or(0);
        Self {
            resident_bytes: resident_bytes().unwrap_or(0),
            cpu_ns: seconds.saturating_mul(1_000_000_000).saturating_add(nanos),
        }
    }
}

/// Documentation/filesystems/proc.rst, `statm`: the second number is of resident pages.
fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(page_size() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_needs_memory_and_time() {
        let Process {
            resident_bytes,
            cpu_ns,
        } = Process::now();
        assert!(
            (1 << 20..1 << 40).contains(&resident_bytes),
            "{resident_bytes}"
        );
        assert!(cpu_ns > 0);
    }
}
