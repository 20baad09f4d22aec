//! Offsets of kernel members from BTF (Documentation/bpf/btf.rst), for the probes' `OFFSETS`.
//!
//! A total reader of the few kinds that lead from a struct to a member: hostile bytes give an
//! error, never a panic.

use std::{collections::HashMap, path::Path};

use detector_ebpf::offset;

/// Where the running kernel shows its types.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_FUNCTION: u32 = 12;
const KIND_PROTOTYPE: u32 = 13;
/// Embedded structs and type qualifiers that are followed.
const MAX_DEPTH: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    #[error(
        "cannot read the kernel's type information `{path}`: run a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y (5.8 or later; every current distribution has it)"
    )]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the kernel's type information is damaged at byte {at}: {what}")]
    Damaged { at: usize, what: &'static str },
    #[error(
        "this kernel has no member `{member}` in struct `{structure}`: report the kernel version \
         so that its spelling can be added to `detector-ebpf/src/offset.rs`"
    )]
    Missing {
        structure: &'static str,
        member: &'static str,
    },
}

#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    count: u32,
    bitfields: bool,
    /// Size of a struct, or the type that a qualifier refers to.
    size_or_type: u32,
    /// Where the kind's own data begin.
    data: usize,
}

pub struct Btf {
    bytes: Vec<u8>,
    strings: usize,
    types: Vec<Type>,
    structs: HashMap<Vec<u8>, u32>,
}

impl Btf {
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        let bytes = std::fs::read(path).map_err(|source| BtfError::Read {
            path: path.display().to_string(),
            source,
        })?;
        Self::parse(bytes)
    }

    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        if read_u16(&bytes, 0)? != MAGIC {
            return Err(BtfError::Damaged {
                at: 0,
                what: "not BTF of this byte order",
            });
        }
        let header = read_u32(&bytes, 4)? as usize;
        let types_at = header.saturating_add(read_u32(&bytes, 8)? as usize);
        let types_end = types_at.saturating_add(read_u32(&bytes, 12)? as usize);
        let strings = header.saturating_add(read_u32(&bytes, 16)? as usize);
        let mut btf = Self {
            bytes,
            strings,
            types: Vec::new(),
            structs: HashMap::new(),
        };
        let mut at = types_at;
        while at < types_end {
            at = btf.push_type(at)?;
        }
        Ok(btf)
    }

    fn push_type(&mut self, at: usize) -> Result<usize, BtfError> {
        let info = read_u32(&self.bytes, at.saturating_add(4))?;
        let entry = Type {
            name: read_u32(&self.bytes, at)?,
            kind: (info >> 24) & 0x1f,
            count: info & 0xffff,
            bitfields: info >> 31 == 1,
            size_or_type: read_u32(&self.bytes, at.saturating_add(8))?,
            data: at.saturating_add(12),
        };
        let count = entry.count as usize;
        let extra = match entry.kind {
            1 | 14 | 17 => 4,
            3 => 12,
            KIND_STRUCT | KIND_UNION | 15 | 19 => 12 * count,
            KIND_ENUM | KIND_PROTOTYPE => 8 * count,
            2 | 7..=11 | KIND_FUNCTION | 16 | 18 => 0,
            _ => {
                return Err(BtfError::Damaged {
                    at,
                    what: "a kind of type that is not known",
                });
            }
        };
        self.types.push(entry);
        if entry.kind == KIND_STRUCT && count > 0 {
            let id = u32::try_from(self.types.len()).unwrap_or(u32::MAX);
            let name = self.string(entry.name).to_vec();
            self.structs.entry(name).or_insert(id);
        }
        Ok(entry.data.saturating_add(extra))
    }

    fn string(&self, offset: u32) -> &[u8] {
        let rest = self
            .bytes
            .get(self.strings.saturating_add(offset as usize)..)
            .unwrap_or(&[]);
        rest.split(|byte| *byte == 0).next().unwrap_or(&[])
    }

    fn get(&self, id: u32) -> Option<Type> {
        self.types.get((id as usize).checked_sub(1)?).copied()
    }

    /// Through typedefs and qualifiers to the type itself.
    fn resolve(&self, mut id: u32) -> Option<Type> {
        for _ in 0..MAX_DEPTH {
            let entry = self.get(id)?;
            match entry.kind {
                8..=11 | 18 => id = entry.size_or_type,
                _ => return Some(entry),
            }
        }
        None
    }

    /// Bytes from the start of `structure` to the member at the dotted `path`.
    pub fn offset_of(&self, structure: &str, path: &str) -> Option<u32> {
        let mut entry = self.get(*self.structs.get(structure.as_bytes())?)?;
        let mut bits = 0_u32;
        for name in path.split('.') {
            let (at, id) = self.find(entry, name.as_bytes(), 0)?;
            bits = bits.checked_add(at)?;
            entry = self.resolve(id)?;
        }
        Some(bits / 8)
    }

    /// Looks into anonymous structs and unions as C does.
    fn find(&self, entry: Type, name: &[u8], depth: usize) -> Option<(u32, u32)> {
        if depth > MAX_DEPTH || !matches!(entry.kind, KIND_STRUCT | KIND_UNION) {
            return None;
        }
        for index in 0..entry.count as usize {
            let at = entry.data + 12 * index;
            let member = read_u32(&self.bytes, at).ok()?;
            let id = read_u32(&self.bytes, at + 4).ok()?;
            let raw = read_u32(&self.bytes, at + 8).ok()?;
            let bits = if entry.bitfields {
                raw & 0xff_ffff
            } else {
                raw
            };
            let found = self.string(member);
            if found == name {
                return Some((bits, id));
            }
            if found.is_empty()
                && let Some(inner) = self.resolve(id)
                && let Some((more, id)) = self.find(inner, name, depth + 1)
            {
                return Some((bits.checked_add(more)?, id));
            }
        }
        None
    }

    fn size_of(&self, structure: &str) -> Option<u32> {
        Some(
            self.get(*self.structs.get(structure.as_bytes())?)?
                .size_or_type,
        )
    }

    fn enumerator(&self, name: &[u8]) -> Option<u32> {
        self.types
            .iter()
            .filter(|entry| entry.kind == KIND_ENUM)
            .find_map(|entry| {
                (0..entry.count as usize).find_map(|index| {
                    let at = entry.data + 8 * index;
                    (self.string(read_u32(&self.bytes, at).ok()?) == name)
                        .then(|| read_u32(&self.bytes, at + 4).ok())?
                })
            })
    }

    /// Whether the probes may load through the current task's type: from Linux 5.17 on. Before, a
    /// fault of a load in a function that a program calls is fatal on some kernels.
    pub fn is_typed(&self) -> bool {
        self.enumerator(b"BPF_FUNC_loop").is_some()
    }

    /// How many arguments a function takes; `None` if the kernel has none of that name.
    pub fn arguments(&self, function: &str) -> Option<u32> {
        let entry = self.types.iter().find(|entry| {
            entry.kind == KIND_FUNCTION && self.string(entry.name) == function.as_bytes()
        })?;
        let prototype = self.get(entry.size_or_type)?;
        (prototype.kind == KIND_PROTOTYPE).then_some(prototype.count)
    }

    /// In the order of `detector_ebpf::offset`.
    pub fn offsets(&self) -> Result<[u32; offset::COUNT], BtfError> {
        let mut offsets = [offset::ABSENT; offset::COUNT];
        let mut slots = offsets.iter_mut();
        for row in offset::MEMBERS {
            let found = row
                .paths
                .iter()
                .find_map(|path| self.offset_of(row.structure, path));
            let value = found.or(row.fallback).ok_or(BtfError::Missing {
                structure: row.structure,
                member: row.paths.first().copied().unwrap_or_default(),
            })?;
            if let Some(slot) = slots.next() {
                *slot = value;
            }
        }
        let size = |structure: &'static str| {
            self.size_of(structure).ok_or(BtfError::Missing {
                structure,
                member: "(its size)",
            })
        };
        let rest = [
            size("upid")?,
            size("inode")?,
            self.enumerator(b"pids_cgrp_id").unwrap_or(offset::ABSENT),
        ];
        for (slot, value) in slots.zip(rest) {
            *slot = value;
        }
        Ok(offsets)
    }
}

fn read_u16(bytes: &[u8], at: usize) -> Result<u16, BtfError> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>());
    found
        .map(|raw| u16::from_ne_bytes(*raw))
        .ok_or(BtfError::Damaged {
            at,
            what: "it ends early",
        })
}

fn read_u32(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    found
        .map(|raw| u32::from_ne_bytes(*raw))
        .ok_or(BtfError::Damaged {
            at,
            what: "it ends early",
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_every_member() {
        let path = Path::new("/sys/kernel/btf/vmlinux");
        if !path.exists() {
            return;
        }
        let btf = Btf::parse(std::fs::read(path).unwrap()).unwrap();
        let offsets = btf.offsets().unwrap();
        assert_eq!(offsets[offset::SOCK_DADDR], 0);
        assert_eq!(offsets[offset::SOCK_FAMILY], 16);
        assert_eq!(btf.offset_of("sock", "no_such_member"), None);
        assert_eq!(btf.arguments("tcp_v4_connect"), Some(3));
        assert_eq!(btf.arguments("no_such_function"), None);
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        assert!(matches!(
            Btf::parse(Vec::new()),
            Err(BtfError::Damaged { at: 0, .. })
        ));
        assert!(Btf::parse(vec![0; 64]).is_err());
        let mut short = 0xeb9f_u16.to_ne_bytes().to_vec();
        short.extend([1, 0, 24, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0]);
        assert!(Btf::parse(short).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 24..400)) {
            bytes[..8].copy_from_slice(&[0x9f, 0xeb, 1, 0, 24, 0, 0, 0]);
            if let Ok(btf) = Btf::parse(bytes) {
                let _ = btf.offsets().is_ok();
                let _ = btf.arguments("tcp_v4_connect").is_some();
            }
        }
    }
}
