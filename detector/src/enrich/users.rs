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
        Some(self.passwd.rows.get(&uid)?.name.clone())
    }

    pub(super) fn home(&self, uid: u32) -> Option<String> {
        Some(self.passwd.rows.get(&uid)?.home.clone())
    }

    pub(super) fn shell(&self, uid: u32) -> Option<String> {
        Some(self.passwd.rows.get(&uid)?.shell.clone())
    }

    pub(super) fn group(&self, gid: u32) -> Option<String> {
        Some(self.group.rows.get(&gid)?.name.clone())
    }
}

struct Table {
    path: PathBuf,
    read: Option<SystemTime>,
    rows: HashMap<u32, Row>,
}

/// A user; a group has a name only.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    name: String,
    home: String,
    shell: String,
}

impl Table {
    fn new(path: PathBuf) -> Self {
        let mut table = Self {
            path,
            read: None,
            rows: HashMap::new(),
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
        self.rows = std::fs::read(&self.path)
            .map(|bytes| rows(&String::from_utf8_lossy(&bytes)))
            .unwrap_or_default();
        true
    }
}

/// By the third column, as in passwd(5) and group(5); the first line of an id counts.
fn rows(text: &str) -> HashMap<u32, Row> {
    let mut rows = HashMap::new();
    for line in text.lines() {
        let mut columns = line.split(':');
        if let (Some(name), Some(Ok(id))) = (columns.next(), columns.nth(1).map(str::parse)) {
            let mut text = |skipped| columns.nth(skipped).unwrap_or_default().to_owned();
            let (home, shell) = (text(2), text(0));
            rows.entry(id).or_insert_with(|| Row {
                name: name.to_owned(),
                home,
                shell,
            });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_by_id() {
        let table = rows("root:x:0:0:root:/root:/bin/sh\nbroken\nops:x:1000:1000::/:\n");
        let row = |name: &str, home: &str, shell: &str| Row {
            name: name.to_owned(),
            home: home.to_owned(),
            shell: shell.to_owned(),
        };
        assert_eq!(table.get(&0), Some(&row("root", "/root", "/bin/sh")));
        assert_eq!(table.get(&1000), Some(&row("ops", "/", "")));
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
