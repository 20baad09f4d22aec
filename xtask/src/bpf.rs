//! Builds the kernel object with the toolchain that `setup` found.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::setup::Toolchain;

const TARGET: &str = "bpfel-unknown-none";
const TARGET_DIR: &str = "target/bpf";

/// Returns the object's absolute path.
pub(crate) fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    let root = env::current_dir().context("no current folder")?;
    let tools = root.join("target/tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(tools).chain(env::split_paths(&path)))
        .context("PATH cannot be extended")?;
    let target_dir = root.join(TARGET_DIR);
    let flags = [
        "--cfg=bpf_target_arch=\"x86_64\"",
        "-Cdebuginfo=2",
        "-Clink-arg=--btf",
    ]
    .join("\x1f");
    crate::run(
        Command::new("rustup")
            .args([
                "run",
                &toolchain.name,
                "cargo",
                "build",
                "--locked",
                "--release",
            ])
            .args(["--package", "detector-ebpf", "--bins", "--target", TARGET])
            .args(["-Z", "build-std=core", "--target-dir"])
            .arg(&target_dir)
            .env("PATH", path)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", flags)
            .env_remove("RUSTC")
            .env_remove("CARGO")
            .env_remove("RUSTUP_TOOLCHAIN"),
    )
    .context("the probes do not build")?;
    Ok(root.join(object()))
}

/// Where the object is, once it was built; from the project's root.
fn object() -> PathBuf {
    [TARGET_DIR, TARGET, "release/detector-probes"]
        .iter()
        .collect()
}

/// The object's absolute path, if it was built.
pub(crate) fn built() -> Option<PathBuf> {
    object().canonicalize().ok()
}
