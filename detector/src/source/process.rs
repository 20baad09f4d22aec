//! Processes seen before: the same bytes give the same `Arc`, so that a process is decoded and
//! enriched once, however often it connects. A brief record names the one that has its process.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use detector_ebpf::BRIEF_SPAN;

use crate::event::Process;

/// Distinct processes that are remembered; beyond, all are forgotten and learnt anew.
const MAX_PROCESSES: usize = 1024;
/// Full records whose processes brief ones may name; beyond, the oldest is forgotten. The probes name
/// one that is half as far back at most, but may take their time to send what names it.
const MAX_TOLD: usize = 2 * BRIEF_SPAN as usize;

#[derive(Debug, Default)]
pub struct Processes {
    known: HashMap<Box<[u8]>, Arc<Process>>,
    key: Vec<u8>,
    /// By the cookie of the record.
    told: HashMap<u64, Arc<Process>>,
    /// The cookies, as they came.
    told_order: VecDeque<u64>,
    /// How many records named a process that is forgotten.
    pub forgotten: u64,
}

impl Processes {
    /// The process whose record has these `parts`; `decode` makes it when it is new.
    pub fn intern<E>(
        &mut self,
        parts: &[&[u8]],
        decode: impl FnOnce() -> Result<Process, E>,
    ) -> Result<Arc<Process>, E> {
        self.key.clear();
        for part in parts {
            self.key.extend_from_slice(part);
        }
        if let Some(process) = self.known.get(self.key.as_slice()) {
            return Ok(Arc::clone(process));
        }
        let process = Arc::new(decode()?);
        if self.known.len() >= MAX_PROCESSES {
            self.known.clear();
        }
        let key = self.key.clone().into_boxed_slice();
        self.known.insert(key, Arc::clone(&process));
        Ok(process)
    }

    /// The full record with this cookie has this process.
    pub fn tell(&mut self, cookie: u64, process: &Arc<Process>) {
        if self.told.insert(cookie, Arc::clone(process)).is_none() {
            self.told_order.push_back(cookie);
        }
        if self.told_order.len() > MAX_TOLD
            && let Some(oldest) = self.told_order.pop_front()
        {
            self.told.remove(&oldest);
        }
    }

    /// The process of the full record with this cookie.
    pub fn told(&mut self, cookie: u64) -> Option<Arc<Process>> {
        let process = self.told.get(&cookie).cloned();
        self.forgotten += u64::from(process.is_none());
        process
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_the_same_process_and_the_table_is_bounded() {
        let mut processes = Processes::default();
        let mut made = 0;
        let mut intern = |byte: u32| {
            processes
                .intern::<()>(&[&byte.to_ne_bytes(), b"x"], || {
                    made += 1;
                    Ok(Process::default())
                })
                .unwrap()
        };
        assert!(Arc::ptr_eq(&intern(1), &intern(1)));
        assert!(!Arc::ptr_eq(&intern(1), &intern(2)));
        for byte in 0..u32::try_from(MAX_PROCESSES).unwrap() + 10 {
            intern(byte);
        }
        assert!(processes.known.len() <= MAX_PROCESSES);
        assert_eq!(made, MAX_PROCESSES + 10);
    }

    #[test]
    fn the_last_records_are_named_by_their_cookies() {
        let mut processes = Processes::default();
        let first = Arc::new(Process::default());
        processes.tell(7, &first);
        assert!(Arc::ptr_eq(&processes.told(7).unwrap(), &first));
        assert_eq!(processes.told(8), None);
        assert_eq!(processes.forgotten, 1);
        for cookie in 8..8 + u64::try_from(MAX_TOLD).unwrap() {
            processes.tell(cookie, &first);
        }
        assert_eq!(processes.told(7), None);
        assert_eq!(processes.told.len(), MAX_TOLD);
        assert!(processes.told(8).is_some());
    }
}
