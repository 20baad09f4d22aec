//! The folder of a spool, and what somebody does to it.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use rustix::fs::{CWD, Mode, mkfifoat};

use super::*;
use crate::causes::chain;

/// The folder as a SIGKILL would leave it.
fn copied(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("sinks")).unwrap();
    for place in ["", "sinks"] {
        for entry in fs::read_dir(folder.join(place)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let to = copy.path().join(place).join(entry.file_name());
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    copy
}

/// Twenty-five alerts of which the sink has four; something is done to the folder after twenty. What
/// another run finds, if this one is killed then.
fn done_to(change: impl Fn(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let (mut spool, mut reader) = open(&settings(Some(&path)));
    fill(&mut spool, 1..=20, Priority::Warning);
    assert_eq!(reader.batch(4, EVERY).len(), 4);
    reader.ack();
    change(&path);
    fill(&mut spool, 21..=22, Priority::Warning);
    fill(&mut spool, 23..=23, Priority::Notice);
    let told = said(|| keeper::keep(&spool.shared));
    fill(&mut spool, 24..=25, Priority::Warning);
    keeper::keep(&spool.shared);

    // Its own keeper may have been first.
    let news = spool.news();
    let mended = |news: &News| matches!(news, News::Mended { count, .. } if *count > 0);
    assert!(news.iter().any(mended), "{news:?}");
    assert!(
        told.is_empty() || told.contains(path.to_str().unwrap()),
        "{told}"
    );
    let again = said(|| keeper::keep(&spool.shared));
    assert_eq!((again.as_str(), spool.news()), ("", vec![]));

    let copy = copied(&path);
    let (other, mut found) = open(&settings(Some(copy.path())));
    assert_eq!(drain(&mut found), (5..=25).collect::<Vec<_>>());
    assert_eq!(other.news(), []);
    assert_eq!(drain(&mut reader), (5..=25).collect::<Vec<_>>());
    assert_eq!(spool.news(), []);
    let locked = Spool::open(&settings(Some(&path)), &[]);
    assert!(matches!(locked, Err(SpoolError::Locked { .. })));
}

#[test]
fn what_is_removed_while_it_is_open_is_made_anew() {
    done_to(|spool| fs::remove_dir_all(spool).unwrap());
    done_to(|spool| fs::rename(spool, spool.with_extension("away")).unwrap());
    done_to(|spool| {
        fs::remove_dir_all(spool).unwrap();
        fs::create_dir(spool).unwrap();
        fs::set_permissions(spool, fs::Permissions::from_mode(0o755)).unwrap();
    });
    for name in ["end", "lock", "sinks/sink0"] {
        done_to(|spool| fs::remove_file(spool.join(name)).unwrap());
    }
    done_to(|spool| fs::remove_dir_all(spool.join("sinks")).unwrap());
}

#[test]
fn what_is_replaced_while_it_is_open_is_made_anew() {
    let by_file = |path: &Path| {
        let other = path.with_extension("other");
        fs::write(&other, "nothing").unwrap();
        fs::rename(other, path).unwrap();
    };
    done_to(|spool| segments(spool).iter().for_each(|path| by_file(path)));
    done_to(|spool| {
        for path in segments(spool).into_iter().chain([spool.join("end")]) {
            fs::remove_file(&path).unwrap();
            symlink("/dev/null", &path).unwrap();
        }
    });
    done_to(|spool| by_file(&spool.join("end")));
    done_to(|spool| by_file(&spool.join("sinks/sink0")));
}

#[test]
fn a_mark_that_is_removed_between_two_runs_is_told_and_hides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(Some(folder.path()));
    let (mut spool, mut reader) = open(&settings);
    assert_eq!(spool.news(), [], "of a new spool none is missing");
    fill(&mut spool, 1..=5, Priority::Warning);
    drain(&mut reader);
    let mut next = 6;
    for (name, content) in [
        ("end", None),
        ("end", Some("garbage")),
        ("sinks/sink0", None),
        ("sinks/sink0", Some("garbage")),
        ("other", None),
    ] {
        drop((spool, reader));
        match content {
            Some(content) => fs::write(folder.path().join(name), content).unwrap(),
            None => drop(fs::remove_file(folder.path().join(name))),
        }
        (spool, reader) = open(&settings);
        let mended = News::Mended {
            folder: folder.path().display().to_string(),
            count: 1,
        };
        let told = Vec::from_iter((name != "other").then_some(mended));
        assert_eq!(spool.news(), told, "{name}");
        fill(&mut spool, next..=next + 1, Priority::Warning);
        // What a sink had may come again to one whose mark is gone.
        assert_eq!(drain(&mut reader)[..].last(), Some(&(next + 1)));
        next += 2;
    }
}

#[test]
fn what_is_no_file_is_told_by_name_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    fs::write(&other, "of somebody else").unwrap();
    let path = folder.path().join("spool");
    let settings = settings(Some(&path));
    let (mut spool, reader) = open(&settings);
    fill(&mut spool, 1..=5, Priority::Warning);
    drop((spool, reader));
    let fifo = |name: &str| mkfifoat(CWD, path.join(name), Mode::RUSR | Mode::WUSR).unwrap();
    let name = |level: Priority, first: u64| format!("{level}-{first:020}.spool");
    let number = |number| name(Priority::Warning, number);
    fifo(&number(0));
    // As one that will be made.
    let next = name(Priority::Notice, 1);
    fifo(&next);
    fifo("sinks/gone");
    fs::create_dir(path.join(number(3))).unwrap();
    fs::create_dir(path.join("sinks/odd")).unwrap();
    symlink(&other, path.join(number(9))).unwrap();
    fs::remove_file(path.join("end")).unwrap();
    fifo("end");
    fs::remove_file(path.join("sinks/sink0")).unwrap();
    symlink(&other, path.join("sinks/sink0")).unwrap();
    let mut opened = None;
    let told = said(|| opened = Some(open(&settings)));
    for (name, kind) in [
        (number(0).as_str(), "a pipe"),
        (&next, "a pipe"),
        (number(3).as_str(), "a folder"),
        (number(9).as_str(), "a link"),
        ("sinks/gone", "a pipe"),
        ("sinks/odd", "a folder"),
        ("end", "a pipe"),
        ("sinks/sink0", "a link"),
    ] {
        let expected = format!("{}/{name} is {kind}, not a", path.display());
        assert!(told.contains(&expected), "{expected}: {told}");
    }
    let (mut spool, mut reader) = opened.unwrap();
    fill(&mut spool, 6..=7, Priority::Notice);
    assert!(fs::metadata(path.join(&next)).is_ok_and(|about| about.is_file()));
    assert_eq!(drain(&mut reader), (1..=7).collect::<Vec<_>>());
    let folder = path.display().to_string();
    assert_eq!(spool.news(), [News::Mended { folder, count: 1 }], "`end`");
    assert_eq!(fs::read(&other).unwrap(), b"of somebody else");
}

/// Why it is not opened.
fn refused(folder: &Path) -> String {
    match Spool::open(&settings(Some(folder)), &[]) {
        Ok(_) => "opened".to_owned(),
        Err(error) => chain(&error),
    }
}

#[test]
fn a_folder_in_which_others_can_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    assert_eq!(refused(&path), "opened");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join("sinks"))), (0o700, 0o700));
    let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let shown = path.display();
    for mode in [0o777, 0o1777, 0o770, 0o702] {
        set(mode);
        let expected = format!(
            "the spool {shown} cannot be used: cannot make the folder its own: others can write to \
             {shown}: run `chmod 700 {shown}`"
        );
        assert_eq!(refused(&path), expected);
    }
    set(0o755);
    assert_eq!(refused(&path), "opened");
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(refused(&link), "opened");
    if chown(&path, Some(65_534), None).is_ok() {
        let expected = format!("run `chown 0 {shown}`");
        assert!(refused(&path).ends_with(&expected), "{}", refused(&path));
        let expected = format!("run `chown 0 {}`", link.display());
        assert!(refused(&link).ends_with(&expected), "{}", refused(&link));
    }
}
