//! Puts the kernel object where `source::ebpf` embeds it: the one that `cargo xtask` built, whose
//! path is in `KUBELET_DETECTOR_PROBES`, else an empty stub that is refused at run time. So plain
//! cargo commands and rust-analyzer need no BPF toolchain.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::Context as _;

const PROBES: &str = "KUBELET_DETECTOR_PROBES";

fn main() -> anyhow::Result<()> {
    let target = PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set")?)
        .join("detector-probes");
    let built = env::var_os(PROBES);
    let object = match &built {
        Some(path) => fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => Vec::new(),
    };
    fs::write(&target, object).with_context(|| format!("cannot write {}", target.display()))?;
    tell_build()?;
    use_instructions(built)
}

/// For what tells of itself: the target, and the compiler.
fn tell_build() -> anyhow::Result<()> {
    let target = env::var("TARGET")?;
    let rustc = env::var_os("RUSTC").context("RUSTC is not set")?;
    let version = Command::new(rustc).arg("--version").output()?.stdout;
    let version = String::from_utf8(version)?;
    let number = version.split(' ').nth(1).context("rustc has no version")?;
    println!("cargo::rustc-env=DETECTOR_TARGET={target}");
    println!("cargo::rustc-env=DETECTOR_RUSTC={number}");
    Ok(())
}

fn use_instructions(built: Option<std::ffi::OsString>) -> anyhow::Result<()> {
    println!("cargo::rerun-if-env-changed={PROBES}");
    if let Some(path) = built {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(())
}
