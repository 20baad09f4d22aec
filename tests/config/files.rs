//! What a configuration is read from: regular files of a bounded size.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    time::{Duration, Instant},
};

use detector::{
    config::{self, Origins, codes},
    rules::Diagnostic,
};
use proptest::prelude::{any, prop, proptest};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::{load, report, valid, written};

#[test]
fn what_is_no_file_or_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    symlink("nowhere", path("dangling.yaml")).unwrap();
    symlink("loop.yaml", path("loop.yaml")).unwrap();
    mknodat(CWD, path("pipe.yaml"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = UnixListener::bind(path("socket.yaml")).unwrap();
    fs::write(path("latin.yaml"), b"hostname: m\xfcller\n").unwrap();
    let huge = fs::File::create(path("huge.yaml")).unwrap();
    huge.set_len((1 << 20) + 1).unwrap();
    for (name, told) in [
        ("absent.yaml", "cannot be read: No such file"),
        ("dangling.yaml", "cannot be read: No such file"),
        ("loop.yaml", "cannot be read: Too many levels"),
        ("pipe.yaml", "this is a pipe, not a file"),
        ("socket.yaml", "this is a socket, not a file"),
        ("", "this is a folder, not a file"),
        ("/dev/zero", "this is a device, not a file"),
        ("latin.yaml", "this is no UTF-8"),
        ("huge.yaml", "the file has more than 1 MiB"),
    ] {
        let file = folder.path().join(name);
        let loaded = load(&file);
        assert!(loaded.config.is_none());
        let one = &loaded.diagnostics[0];
        assert_eq!((one.code, loaded.diagnostics.len()), (codes::FILE_READ, 1));
        assert!(one.message.contains(told), "{name}: {one}");
        assert!(report(&loaded).contains(&format!("--> {}", file.display())));
        // The same of a drop-in.
        if !name.is_empty() {
            let main = written(&format!("config_files: [{}]\n", file.display()));
            let loaded = load(&main.file);
            let expected = if name == "absent.yaml" {
                codes::VALUE
            } else {
                codes::FILE_READ
            };
            assert_eq!(loaded.diagnostics[0].code, expected, "{name}");
        }
    }
}

#[test]
fn a_drop_in_that_is_not_there_may_be_a_slip() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("drop-in.yaml"), "").unwrap();
    fs::create_dir(folder.path().join("config.d")).unwrap();
    for (name, meant) in [("dropin.yaml", "drop-in.yaml"), ("conf.d", "config.d")] {
        let path = folder.path().join(name);
        for entry in ["PATH", "{path: PATH, strategy: override}"] {
            let entry = entry.replace("PATH", path.to_str().unwrap());
            let main = written(&format!("config_files:\n- {entry}\n"));
            let loaded = load(&main.file);
            assert!(loaded.config.is_none());
            let told = report(&loaded);
            assert!(told.contains(&format!("did you mean `{meant}`?")), "{told}");
            assert!(told.contains(&"^".repeat(path.as_os_str().len())), "{told}");
        }
    }
}

#[test]
fn that_there_are_more_mistakes_is_told() {
    let wrong_keys: String = (0..101).map(|key| format!("k{key}: 1\n")).collect();
    let loaded = load(&written(&wrong_keys).file);
    let count = loaded.diagnostics.len();
    assert_eq!(count, 101);
    let more = |one: &&Diagnostic| one.message.starts_with("there are more mistakes");
    assert_eq!(loaded.diagnostics.iter().filter(more).count(), 1);
}

/// Nests deep, stands for many, or is long: refused, or taken in a moment.
#[test]
fn what_would_take_long_is_bounded() {
    let mut aliases = "a0: &a0 [x, x]\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        aliases.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}]\n"));
    }
    let wrong_keys: String = (0..50_000).map(|key| format!("k{key}: 1\n")).collect();
    let items = format!("rules_files: [{}]\n", "/x, ".repeat(50_000));
    for (text, good) in [
        (format!("sinks: {}", "[".repeat(100_000)), false),
        (
            format!("sinks: {}{}", "[".repeat(40), "]".repeat(40)),
            false,
        ),
        (aliases, false),
        (wrong_keys, false),
        (items, true),
        (format!("hostname: {}\n", "a".repeat(1 << 19)), true),
    ] {
        let file = written(&text);
        let start = Instant::now();
        let loaded = load(&file.file);
        let told = report(&loaded);
        let start_of = &text[..20];
        assert_eq!(loaded.config.is_some(), good, "{start_of}: {told}");
        assert!(loaded.diagnostics.len() <= 101, "{start_of}");
        // Without optimisation, on a machine that is shared.
        assert!(start.elapsed() < Duration::from_secs(60), "{start_of}");
    }
}

fn any_end(path: &Path) {
    let loaded = load(path);
    assert_eq!(loaded.config.is_none(), loaded.errors().next().is_some());
    assert!(
        loaded
            .diagnostics
            .iter()
            .all(|one| one.line > 0 && !one.message.is_empty())
    );
    report(&loaded);
    loaded.show().map(Result::unwrap);
}

proptest! {
    #[test]
    fn no_bytes_are_the_end_of_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let file = written("");
        fs::write(&file.file, bytes).unwrap();
        any_end(&file.file);
    }

    #[test]
    fn no_text_of_yaml_is_the_end_of_it(
        text in "([a-c:\\-\\[\\]{},'\"&*!|>#%@ ?\n\t]|sinks:|http:|ä|<<|enabled|rules|---\n){0,40}",
    ) {
        any_end(&written(&text).file);
    }

    /// A valid file with a part replaced.
    #[test]
    fn no_change_of_a_file_is_the_end_of_it(
        from in any::<prop::sample::Index>(),
        length in 0..20_usize,
        put in "[a-c:\\-\\[\\]{},'\"&*!|>#\n ]{0,6}",
    ) {
        let text = include_str!("valid/every_sink.yaml");
        let from = from.index(text.len());
        let end = (from + length).min(text.len());
        any_end(&written(&format!("{}{put}{}", &text[..from], &text[end..])).file);
    }
}

/// At a reload: what a file said goes when it says `{}`, not while it is written or replaced.
#[test]
fn a_drop_in_that_is_emptied_or_gone_is_a_mistake_until_it_said_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("config.d")).unwrap();
    let (main, drop_in) = (at("main.yaml"), at("config.d/a.yaml"));
    let load = |spoken: &[&std::path::PathBuf]| {
        config::load(&Origins {
            default: Some((main.clone(), at("config.d"))),
            spoken: spoken.iter().map(|&path| path.clone()).collect(),
            ..Origins::default()
        })
    };
    fs::write(&main, "hostname: a\n").unwrap();
    fs::write(&drop_in, "priority: error\n").unwrap();
    let both = [&main, &drop_in];
    assert_eq!(valid(load(&[])).spoken.iter().collect::<Vec<_>>(), both);
    assert_eq!(report(&load(&both)), "");
    fs::write(&drop_in, "").unwrap();
    assert_eq!(report(&load(&[&main])), "");
    let told = report(&load(&both));
    assert!(
        told.contains("the file is empty, and was not before"),
        "{told}"
    );
    for gone in [&drop_in, &main] {
        fs::remove_file(gone).unwrap();
        let told = report(&load(&[gone]));
        assert!(told.contains(gone.to_str().unwrap()), "{told}");
        assert!(told.contains("write `{}` to it before"), "{told}");
        assert_eq!(report(&load(&[])), "");
    }
    fs::remove_dir(at("config.d")).unwrap();
    assert!(load(&[&drop_in]).config.is_none());
}
