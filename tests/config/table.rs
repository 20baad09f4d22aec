//! Every file of `tests/config/invalid` with what is told of it, as `tests/snapshots/config` has it
//! (`cargo xtask bless` writes them), and every file of `tests/config/valid`.

use std::{fs, path::PathBuf};

use detector::config::codes;

use crate::{ROOT, TESTS, load, report, valid};

fn files(folder: &str) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(PathBuf::from(TESTS).join("config").join(folder)).unwrap();
    let mut files: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, path)
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The report of a file, named without its folder.
fn told(path: &std::path::Path) -> String {
    let folder = format!("{}/", path.parent().unwrap().display());
    report(&load(path)).replace(&folder, "")
}

fn as_in_snapshot(name: &str, found: &str, wrong: &mut Vec<String>) {
    let folder = PathBuf::from(TESTS).join("snapshots/config");
    let path = folder.join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(folder).unwrap();
        fs::write(path, found).unwrap();
    } else if fs::read_to_string(&path).unwrap_or_default() != found {
        wrong.push(format!("{}\n{found}", path.display()));
    }
}

#[test]
fn mistakes_are_told_as_in_their_snapshots() {
    let mut wrong = Vec::new();
    for (name, path) in files("invalid") {
        assert!(load(&path).config.is_none(), "{name} is valid");
        as_in_snapshot(&name, &told(&path), &mut wrong);
    }
    assert!(
        wrong.is_empty(),
        "not as in the snapshots; if that is right, `cargo xtask bless`:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn what_is_valid_is_taken_without_a_word() {
    let mut paths = files("valid");
    let example = PathBuf::from(ROOT).join("deploy/kubelet-detector.yaml");
    paths.push(("example".to_owned(), example));
    for (name, path) in paths {
        let loaded = load(&path);
        assert_eq!(report(&loaded), "", "{name}");
        let shown = loaded.show().unwrap().unwrap();
        valid(loaded);
        // What is shown is a configuration itself, if no secret is in it.
        let again = crate::written(&shown);
        assert_eq!(report(&load(&again.file)), "", "{name}\n{shown}");
    }
}

/// The keys of the file that Falco 0.44 is shipped with, with its values.
#[test]
fn falcos_own_file_is_taken_with_warnings() {
    let path = PathBuf::from(TESTS).join("config/falco.yaml");
    let loaded = load(&path);
    let names: Vec<&str> = loaded.diagnostics.iter().map(|one| one.code).collect();
    assert!(names.iter().all(|code| *code == codes::NOT_USED));
    assert!(names.len() > 15, "{names:?}");
    assert!(
        loaded
            .diagnostics
            .iter()
            .skip(1)
            .all(|one| one.help.is_some())
    );
    let mut wrong = Vec::new();
    as_in_snapshot("falco", &told(&path), &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let config = valid(loaded);
    let sinks: Vec<String> = config.sinks().into_iter().map(|sink| sink.name).collect();
    assert_eq!(sinks, ["stdout", "syslog"]);
    assert!(config.webserver.enabled && config.watch_config_files);
    assert_eq!(config.rules_files.len(), 3);
    assert!(config.outputs.append[0].suggested_output);
}
