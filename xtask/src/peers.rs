//! What tests talk to and read alerts with: programs of Debian and of other registries, unpacked into
//! `target` and started by the tests alone. Without them those tests skip a part.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::setup::{apt, output};

const PEERS: &str = "target/peers";
const PYTHON: &str = "target/tools/python";
/// What reads alerts, with its versions.
const READERS: &str = "tests/peers/requirements.txt";
/// A syslog server with TLS, and what it is linked to.
const RSYSLOG: [&str; 5] = [
    "rsyslog",
    "rsyslog-openssl",
    "libestr0",
    "libfastjson4",
    "liblognorm5",
];

const ECS: &str = "@elastic/ecs@9.4.0";

/// Fetches all of them.
pub(crate) fn fetch() {
    if let Err(error) = python() {
        println!("setup: tests of encodings and sinks will be skipped: {error:#}");
    }
    if let Err(error) = rsyslog() {
        println!("setup: tests of syslog will be skipped: {error:#}");
    }
    prometheus();
    if let Err(error) = ecs() {
        println!("setup: tests/peers/ecs.json will not be compared with {ECS}: {error:#}");
    }
}

/// A virtual environment with the versions that are asked for.
fn python() -> Result<()> {
    let wanted = fs::read_to_string(READERS)?;
    let installed = Path::new(PYTHON).join("requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if output("python3", &["-c", "import ensurepip"]).is_none() {
        apt(
            &["python3-venv"],
            "the tests read alerts with programs in it",
        )?;
    }
    println!("setup: installing what reads alerts into {PYTHON}");
    crate::run(Command::new("python3").args(["-m", "venv", PYTHON]))?;
    crate::run(
        // Not `bin/pip`: that names the folder in which it was installed, and a clone may be moved.
        Command::new(Path::new(PYTHON).join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(["--requirement", READERS]),
    )?;
    Ok(fs::write(installed, wanted)?)
}

/// Elastic's list of fields.
fn ecs() -> Result<()> {
    let folder = Path::new("target/tools/ecs");
    if folder.join("package").exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let packed = output(
        "npm",
        &[
            "pack",
            ECS,
            "--silent",
            "--pack-destination",
            "target/tools/ecs",
        ],
    )
    .context("npm cannot fetch it")?;
    crate::run(
        Command::new("tar")
            .current_dir(folder)
            .args(["-xzf", packed.trim()]),
    )
}

/// Debian's, unpacked: nothing of the system is changed, and apt checks what it downloads.
fn rsyslog() -> Result<()> {
    let (folder, new) = (
        Path::new("target/peers/rsyslog"),
        Path::new("target/peers/new"),
    );
    if folder.exists() {
        return Ok(());
    }
    println!("setup: unpacking rsyslog into {}", folder.display());
    if new.exists() {
        fs::remove_dir_all(new)?;
    }
    fs::create_dir_all(new)?;
    let download = || {
        crate::run(
            Command::new("apt-get")
                .current_dir(new)
                .args(["download", "-qq"])
                .args(RSYSLOG),
        )
    };
    if download().is_err() {
        // The lists may be older than what the archive has.
        crate::run(Command::new("apt-get").args(["update", "-qq"]))?;
        download()?;
    }
    for entry in fs::read_dir(new)? {
        let package = entry?.path();
        if package.extension().is_some_and(|kind| kind == "deb") {
            crate::run(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .args([&package, new]),
            )?;
            fs::remove_file(package)?;
        }
    }
    Ok(fs::rename(new, folder)?)
}

/// Scrapes the metrics, and has a checker of them.
fn prometheus() {
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
