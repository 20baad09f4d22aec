//! The host's users and groups, by its own files: a container's NSS would give other names.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub(super) struct Users {
    passwd: Table,
    group: Table,
}

impl Users {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            passwd: Table::new(root.join("etc/passwd")),
            group: Table::new(root.join("etc/group")),
        }
    }

    /// Whether a file changed, and was read again.
    pub(super) fn refresh(&mut self) -> bool {
        let passwd = self.passwd.refresh();
        self.group.refresh() || passwd
    }

    pub(super) fn user(&self, uid: u32) -> Option<String> {
        self.passwd.names.get(&uid).cloned()
    }

    pub(super) fn group(&self, gid: u32) -> Option<String> {
        self.group.names.get(&gid).cloned()
    }
}

struct Table {
    path: PathBuf,
    read: Option<SystemTime>,
    names: HashMap<u32, String>,
}

impl Table {
    fn new(path: PathBuf) -> Self {
        let mut table = Self {
            path,
            read: None,
            names: HashMap::new(),
        };
        table.refresh();
        table
    }

    fn refresh(&mut self) -> bool {
        let modified = std::fs::metadata(&self.path)
            .and_then(|about| about.modified())
            .ok();
        if modified == self.read {
            return false;
        }
        self.read = modified;
        self.names = std::fs::read(&self.path)
            .map(|bytes| names(&String::from_utf8_lossy(&bytes)))
            .unwrap_or_default();
        true
    }
}

/// Third column to first, as in passwd(5) and group(5); the first line of an id counts.
fn names(text: &str) -> HashMap<u32, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut columns = line.split(':');
        if let (Some(name), Some(Ok(id))) = (columns.next(), columns.nth(1).map(str::parse)) {
            names.entry(id).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_by_id() {
        let table = names("root:x:0:0:root:/root:/bin/sh\nbroken\nops:x:1000:1000::/:\n");
        assert_eq!(table.get(&0).map(String::as_str), Some("root"));
        assert_eq!(table.get(&1000).map(String::as_str), Some("ops"));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let mut users = Users::new(root.path());
        assert_eq!(users.user(7), None);
        std::fs::write(root.path().join("etc/passwd"), "ops:x:7:7::/:\n").unwrap();
        assert!(users.refresh());
        assert_eq!(users.user(7).as_deref(), Some("ops"));
        assert!(!users.refresh());
    }
}
