//! Notices that files of the configuration or of rules changed: by looking at them, so that the
//! swapped link of a ConfigMap, a mounted file and a network's file system are seen alike.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Files of a folder that are looked at.
const MAX_FILES: usize = 1000;

/// What of a file changes when it is written or replaced.
type Stamp = (PathBuf, u64, u64, i64, i64, u64);

/// Files, and folders of them.
#[derive(Debug, Default)]
pub struct WatchedFiles {
    /// As they were read.
    known: BTreeMap<PathBuf, Vec<Stamp>>,
    /// As they were at the last look.
    seen: BTreeMap<PathBuf, Vec<Stamp>>,
}

impl WatchedFiles {
    /// As they are now, they are known.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let stamped = paths.into_iter().map(|path| (stamps(&path), path));
        let known: BTreeMap<_, _> = stamped.map(|(stamps, path)| (path, stamps)).collect();
        Self {
            seen: known.clone(),
            known,
        }
    }

    /// These from now on; one that was watched before is known as it was then.
    pub fn turn(&mut self, others: Self) {
        let before = std::mem::replace(self, others);
        for (path, stamps) in &mut self.known {
            if let Some(known) = before.known.get(path) {
                stamps.clone_from(known);
            }
        }
    }

    /// Whether they are to be read again: they changed, and were the same at two looks, so that what
    /// is half written is not read.
    pub fn changed(&mut self) -> bool {
        let now: BTreeMap<_, _> = self
            .known
            .keys()
            .map(|path| (path.clone(), stamps(path)))
            .collect();
        let settled = now == self.seen;
        let changed = settled && now != self.known;
        if changed {
            self.known.clone_from(&now);
        }
        self.seen = now;
        changed
    }
}

/// None of what is not there.
fn stamps(path: &Path) -> Vec<Stamp> {
    let Ok(metadata) = fs::metadata(path) else {
        return Vec::new();
    };
    let mut stamps = vec![stamp(path, &metadata)];
    if metadata.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        for entry in entries.take(MAX_FILES) {
            let inside = entry.path();
            // Through its link.
            let metadata = fs::metadata(&inside);
            stamps.extend(metadata.ok().map(|metadata| stamp(&inside, &metadata)));
        }
    }
    stamps.sort();
    stamps
}

fn stamp(path: &Path, metadata: &Metadata) -> Stamp {
    (
        path.to_owned(),
        metadata.dev(),
        metadata.ino(),
        metadata.ctime(),
        metadata.ctime_nsec(),
        metadata.size(),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_change_is_told_once_when_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules.yaml");
        fs::write(&rules, "one").unwrap();
        let mut files = WatchedFiles::new([rules.clone()]);
        assert!(!files.changed());
        fs::write(&rules, "two of them").unwrap();
        assert!(!files.changed(), "it may still be written");
        assert!(files.changed());
        assert!(!files.changed());
        fs::remove_file(&rules).unwrap();
        assert!(!files.changed());
        assert!(files.changed(), "it is gone");
    }

    #[test]
    fn a_change_while_others_are_chosen_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("old"), "one").unwrap();
        let mut files = WatchedFiles::new([at("old"), at("given up")]);
        fs::write(at("old"), "changed").unwrap();
        files.turn(WatchedFiles::new([at("old"), at("new")]));
        assert!(files.changed(), "it changed after it was read");
        fs::write(at("given up"), "nobody looks").unwrap();
        assert!(!files.changed() && !files.changed());
        fs::write(at("new"), "it is there").unwrap();
        assert!(!files.changed() && files.changed());
    }

    #[test]
    fn the_swapped_link_of_a_config_map_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for version in ["v1", "v2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("rules.yaml"), "same").unwrap();
        }
        symlink("v1", at("..data")).unwrap();
        symlink("..data/rules.yaml", at("rules.yaml")).unwrap();
        let mut by_name = WatchedFiles::new([at("rules.yaml")]);
        let mut by_folder = WatchedFiles::new([folder.path().to_owned()]);
        symlink("v2", at("..tmp")).unwrap();
        fs::rename(at("..tmp"), at("..data")).unwrap();
        for files in [&mut by_name, &mut by_folder] {
            assert!(!files.changed());
            assert!(files.changed());
            assert!(!files.changed());
        }
    }
}
