//! Processes seen before: the same bytes give the same `Arc`, so that a process is decoded and
//! enriched once, however often it connects.

use std::{collections::HashMap, sync::Arc};

use crate::event::Process;

/// Distinct processes that are remembered; beyond, all are forgotten and learnt anew.
const MAX_PROCESSES: usize = 1024;

#[derive(Debug, Default)]
pub struct Processes {
    known: HashMap<Box<[u8]>, Arc<Process>>,
    key: Vec<u8>,
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
}
