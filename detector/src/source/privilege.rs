//! The capabilities that the probes need.

/// include/uapi/linux/capability.h; SYS_PTRACE is for listeners older than the probes, whose
/// descriptors are read from /proc.
const NEEDED: [(&str, u32); 3] = [("BPF", 39), ("PERFMON", 38), ("SYS_PTRACE", 19)];
/// Stands for the first two.
const SYS_ADMIN: u32 = 21;

/// Effective capabilities of this process, one bit each; none if they cannot be read.
pub fn effective() -> u64 {
    let status = procfs::process::Process::myself().and_then(|myself| myself.status());
    status.map_or(0, |status| status.capeff)
}

/// Names of those that are needed and not among `effective`.
pub fn missing(effective: u64) -> Vec<&'static str> {
    let has = |bit: u32| (effective >> bit) & 1 == 1;
    let stands_in = |name: &str| has(SYS_ADMIN) && name != "SYS_PTRACE";
    NEEDED
        .iter()
        .filter(|(name, bit)| !has(*bit) && !stands_in(name))
        .map(|(name, _)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_capabilities_are_named() {
        assert_eq!(missing(0), ["BPF", "PERFMON", "SYS_PTRACE"]);
        assert_eq!(missing(1 << SYS_ADMIN), ["SYS_PTRACE"]);
        assert_eq!(missing(1 << 39 | 1 << 38 | 1 << 19), [""; 0]);
    }
}
