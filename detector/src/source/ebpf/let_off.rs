//! The names of threads whose connects the probes only count, as the rules in force allow it.

use std::collections::BTreeMap;

use aya::{
    Ebpf as Object, Pod,
    maps::{Array, HashMap, MapData, PerCpuArray},
};
use detector_ebpf as wire;

use super::{EbpfError, ROW, load::take, map_error};

const NAMES: &str = "LET_OFF_NAMES";
const PORTS: &str = "LET_OFF_PORTS";
const COUNTS: &str = "LET_OFF_COUNTS";

/// As the kernel keeps it: with zeroes at its end.
type Name = [u8; wire::COMM_LEN];
type Bits = [u64; ROW];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
struct Entry(wire::LetOff);

#[expect(unsafe_code, reason = "the layout is shared with the probes")]
// SAFETY: two integers, without padding.
unsafe impl Pod for Entry {}

/// Names are never taken out, only let off nowhere, so that what was counted is not forgotten.
pub(super) struct LetOffs {
    names: HashMap<MapData, Name, Entry>,
    ports: Array<MapData, u64>,
    counts: PerCpuArray<MapData, u64>,
    entries: BTreeMap<Name, wire::LetOff>,
    /// The sets that are written; the first stays empty.
    rows: Vec<Box<Bits>>,
}

impl LetOffs {
    /// What a daemon before let off is let off no more.
    pub(super) fn new(object: &mut Object) -> Result<Self, EbpfError> {
        let mut names: HashMap<_, Name, Entry> =
            HashMap::try_from(take(object, NAMES)?).map_err(map_error(NAMES))?;
        let mut entries = BTreeMap::new();
        for entry in names.iter() {
            let (name, Entry(entry)) = entry.map_err(map_error(NAMES))?;
            entries.insert(name, wire::LetOff { row: 0, ..entry });
        }
        for (name, entry) in &entries {
            names
                .insert(name, Entry(*entry), 0)
                .map_err(map_error(NAMES))?;
        }
        let ports = Array::try_from(take(object, PORTS)?).map_err(map_error(PORTS))?;
        let mut let_offs = Self {
            names,
            ports,
            counts: PerCpuArray::try_from(take(object, COUNTS)?).map_err(map_error(COUNTS))?,
            entries,
            rows: Vec::new(),
        };
        for row in 0..wire::LET_OFF_SETS {
            let mut bits = Box::new([0; ROW]);
            for (index, word) in indices(row).zip(bits.iter_mut()) {
                *word = let_offs.ports.get(&index, 0).map_err(map_error(PORTS))?;
            }
            let_offs.rows.push(bits);
        }
        let_offs.write(0, &[0; ROW])?;
        Ok(let_offs)
    }

    /// These, each at its ports, and no others. What the maps have no room for is not let off.
    pub(super) fn set(&mut self, wanted: &[(&str, &Bits)]) -> Result<(), EbpfError> {
        let wanted: BTreeMap<Name, &Bits> = wanted
            .iter()
            .filter_map(|(text, bits)| Some((name(text)?, *bits)))
            .collect();
        let mut used: Vec<u32> = self.entries.values().map(|entry| entry.row).collect();
        let known = self
            .entries
            .keys()
            .filter(|name| !wanted.contains_key(*name));
        let idle: Vec<Name> = known.copied().collect();
        for name in idle {
            self.point(name, 0)?;
        }
        for (name, bits) in wanted {
            let row = self.row(bits, &mut used)?;
            self.point(name, row)?;
        }
        Ok(())
    }

    /// The set with these ports; an unused one is written, if there is any.
    fn row(&mut self, bits: &Bits, used: &mut Vec<u32>) -> Result<u32, EbpfError> {
        let same = (0..).zip(&self.rows).find(|(_, row)| ***row == *bits);
        let row = match same {
            Some((row, _)) => row,
            None => {
                let free = (1..wire::LET_OFF_SETS).find(|row| !used.contains(row));
                let Some(row) = free else { return Ok(0) };
                self.write(row, bits)?;
                row
            }
        };
        used.push(row);
        Ok(row)
    }

    fn write(&mut self, row: u32, bits: &Bits) -> Result<(), EbpfError> {
        let Some(written) = self.rows.get_mut(row as usize) else {
            return Ok(());
        };
        for ((index, new), old) in indices(row).zip(bits).zip(written.iter_mut()) {
            if new != old {
                self.ports.set(index, new, 0).map_err(map_error(PORTS))?;
                *old = *new;
            }
        }
        Ok(())
    }

    /// One that no set of ports was found for is let off nowhere.
    fn point(&mut self, name: Name, row: u32) -> Result<(), EbpfError> {
        let known = self.entries.get(&name).copied();
        let next = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let entry = wire::LetOff {
            name: known.map_or(next, |entry| entry.name),
            row,
        };
        if known == Some(entry) || (known.is_none() && (row == 0 || next >= wire::LET_OFF_NAMES)) {
            return Ok(());
        }
        self.names
            .insert(name, Entry(entry), 0)
            .map_err(map_error(NAMES))?;
        self.entries.insert(name, entry);
        Ok(())
    }

    /// How often each was let off since the probes were loaded.
    pub(super) fn counts(&self) -> Vec<(String, u64)> {
        let count = |entry: &wire::LetOff| {
            let first = entry.name * wire::PROGRAM_SLOTS;
            let values = (first..).take(wire::PROGRAM_SLOTS as usize);
            let values = values.filter_map(|index| self.counts.get(&index, 0).ok());
            values.flat_map(|values| values.to_vec()).sum()
        };
        let of = |(name, entry): (&Name, _)| {
            let end = name
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(name.len());
            let text = String::from_utf8_lossy(name.get(..end).unwrap_or(name));
            (text.into_owned(), count(entry))
        };
        self.entries.iter().map(of).collect()
    }

    /// Whether the maps are what was written: root can write to them.
    pub(super) fn are_unchanged(&self) -> bool {
        let listed = self.names.iter().collect::<Result<BTreeMap<_, _>, _>>();
        let names = listed.is_ok_and(|listed| {
            let pairs = listed.into_iter().map(|(name, Entry(entry))| (name, entry));
            pairs.eq(self.entries.iter().map(|(name, entry)| (*name, *entry)))
        });
        // The first is what nobody is let off by.
        let in_use = |row: &u32| *row == 0 || self.entries.values().any(|entry| entry.row == *row);
        let rows = (0..).zip(&self.rows).filter(|(row, _)| in_use(row));
        let unchanged = |(row, bits): (u32, &Bits)| {
            let mut pairs = indices(row).zip(bits.iter());
            pairs.all(|(index, word)| self.ports.get(&index, 0).ok() == Some(*word))
        };
        names && rows.map(|(row, bits)| (row, &**bits)).all(unchanged)
    }
}

/// `None` for one that no thread can have.
fn name(text: &str) -> Option<Name> {
    let mut name = [0; wire::COMM_LEN];
    let (start, _) = name.split_at_mut_checked(text.len())?;
    start.copy_from_slice(text.as_bytes());
    let fits = !text.is_empty() && text.len() < wire::COMM_LEN && !text.contains('\0');
    fits.then_some(name)
}

/// Of `LET_OFF_PORTS`.
fn indices(row: u32) -> impl Iterator<Item = u32> {
    (row * wire::PORT_WORDS..).take(ROW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_a_thread_can_have() {
        assert_eq!(name("kubelet"), Some(*b"kubelet\0\0\0\0\0\0\0\0\0"));
        assert_eq!(name("fifteen-letters"), Some(*b"fifteen-letters\0"));
        for text in ["", "sixteen-letters!", "more-than-sixteen-letters", "a\0b"] {
            assert_eq!(name(text), None, "{text:?}");
        }
    }
}
