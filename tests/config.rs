//! The configuration: what is taken, what is told of mistakes, what decides over what, and that no
//! secret is shown.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "config/commands.rs"]
mod commands;
#[path = "config/documents.rs"]
mod documents;
#[path = "config/files.rs"]
mod files;
#[path = "config/order.rs"]
mod order;
#[path = "config/secrets.rs"]
mod secrets;
#[path = "config/sinks.rs"]
mod sinks;
#[path = "config/table.rs"]
mod table;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use detector::config::{self, Config, Loaded, Origins};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn load(file: &Path) -> Loaded {
    config::load(&Origins {
        file: Some(file.to_owned()),
        ..Origins::default()
    })
}

/// What is told, each with its excerpt.
fn report(loaded: &Loaded) -> String {
    let mut report = String::new();
    for one in &loaded.diagnostics {
        writeln!(report, "{}\n", loaded.full(one)).unwrap();
    }
    report
}

fn valid(loaded: Loaded) -> Config {
    let report = report(&loaded);
    loaded.config.unwrap_or_else(|| panic!("{report}"))
}

/// A file in a folder of its own.
struct Written {
    folder: tempfile::TempDir,
    file: PathBuf,
}

fn written(text: &str) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, text).unwrap();
    Written { folder, file }
}

/// The real binary, with no configuration of this machine's.
fn detector(args: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubelet-detector"))
        .args(args)
        .env("KUBELET_DETECTOR_CONFIG", "")
        .envs(environment.iter().copied())
        .current_dir(TESTS)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
