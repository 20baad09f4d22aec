//! Servers that tests talk to: programs of Debian, unpacked into target/peers, and started by the tests
//! alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

const PEERS: &str = "target/peers";

/// Scrapes the metrics, and has a checker of them.
pub(crate) fn prometheus() {
    let folder = Path::new(PEERS).join("prometheus");
    if folder.join("usr/bin/promtool").exists() {
        return;
    }
    println!(
        "setup: unpacking Prometheus into {} for the tests",
        folder.display()
    );
    if let Err(error) = unpacked("prometheus", &folder) {
        println!("setup: it cannot be had ({error:#}); tests with it will be skipped");
    }
}

/// Debian's package, with nothing installed or started.
fn unpacked(package: &str, folder: &Path) -> Result<()> {
    fs::create_dir_all(PEERS)?;
    crate::run(
        Command::new("apt-get")
            .args(["download", "-qq", package])
            .current_dir(PEERS),
    )?;
    let archive = archive(package)?;
    crate::run(Command::new("dpkg").arg("-x").arg(archive).arg(folder))
}

/// The file that was downloaded.
fn archive(package: &str) -> Result<PathBuf> {
    let begin = format!("{package}_");
    let mut files = fs::read_dir(PEERS)?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_it = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&begin) && name.ends_with(".deb"))
    };
    files
        .find(is_it)
        .with_context(|| format!("{package} was not downloaded"))
}
