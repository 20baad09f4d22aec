//! Finds or installs what the build of the probes and the tests need. Idempotent; says what it does and why.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

const LINKED: &str = "kubelet-detector-bpf";
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "llvm-22-dev"];
const LLVM: &str = "/usr/lib/llvm-22";
const FUZZ: &str = "0.13.2";
const TRACEFS: &str = "/sys/kernel/tracing";

/// A Rust toolchain with the source of `core`, by its rustup name.
pub(crate) struct Toolchain {
    pub(crate) name: String,
}

pub(crate) fn run() -> Result<Toolchain> {
    let toolchain = match nightly_with_source() {
        Some(name) => Toolchain { name },
        None => debian()?,
    };
    bpf_linker(&toolchain)?;
    curl()?;
    tracefs();
    Ok(toolchain)
}

pub(crate) fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn nightly_with_source() -> Option<String> {
    let sysroot = output("rustup", &["run", "nightly", "rustc", "--print", "sysroot"])?;
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core");
    source.exists().then(|| "nightly".to_owned())
}

/// Debian's `rustc-web` has the source of `core` beside it; linked as a toolchain it builds BPF.
fn debian() -> Result<Toolchain> {
    let missing: Vec<&str> = PACKAGES
        .into_iter()
        .filter(|package| output("dpkg", &["-s", package]).is_none())
        .collect();
    if !missing.is_empty() {
        apt(
            &missing,
            "the probes need a Rust with the source of `core`, and LLVM 22",
        )?;
    }
    let linked = output("rustup", &["toolchain", "list"]).unwrap_or_default();
    if !linked.lines().any(|line| line.starts_with(LINKED)) {
        println!("setup: linking Debian's Rust as the toolchain `{LINKED}`");
        crate::run(Command::new("rustup").args(["toolchain", "link", LINKED, "/usr"]))?;
    }
    Ok(Toolchain {
        name: LINKED.to_owned(),
    })
}

pub(crate) fn apt(packages: &[&str], why: &str) -> Result<()> {
    let command = format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    if output("id", &["-u"]).is_none_or(|uid| uid.trim() != "0")
        || output("apt-get", &["-v"]).is_none()
    {
        bail!(
            "{why}: as root on Debian run `{command}`, or `rustup component add rust-src \
               --toolchain nightly` where rustup can download"
        );
    }
    println!("setup: installing {} ({why})", packages.join(", "));
    crate::run(Command::new("apt-get").args(["update", "-qq"]))?;
    crate::run(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .with_context(|| format!("`{command}` failed"))
}

fn bpf_linker(toolchain: &Toolchain) -> Result<()> {
    if Path::new("target/tools/bin/bpf-linker").exists() {
        return Ok(());
    }
    println!("setup: building bpf-linker into target/tools (it links the probes; once)");
    let mut command = Command::new("cargo");
    command.args([
        "install",
        "bpf-linker",
        "--version",
        "0.13.0",
        "--locked",
        "--quiet",
    ]);
    command.args(["--root", "target/tools"]);
    if toolchain.name == LINKED {
        command
            .args(["--no-default-features", "--features", "llvm-22"])
            .env("LLVM_PREFIX", LLVM);
    }
    crate::run(&mut command)
}

/// For `cargo xtask coverage`: where `llvm-cov` is, of the LLVM that the compiler is built on.
pub(crate) fn llvm() -> Result<PathBuf> {
    let folder = Path::new(LLVM).join("bin");
    if !folder.join("llvm-cov").exists() {
        apt(&["llvm-22"], "the profiles of the tests are read with it")?;
    }
    Ok(folder)
}

/// For `cargo xtask fuzz`: what is missing and cannot be had, if anything.
pub(crate) fn cargo_fuzz() -> Option<String> {
    if output("c++", &["--version"]).is_none() {
        return Some("libFuzzer needs a C++ compiler (apt-get install g++)".to_owned());
    }
    if Path::new("target/tools/bin/cargo-fuzz").exists()
        || output("cargo", &["fuzz", "--version"]).is_some()
    {
        return None;
    }
    println!("setup: building cargo-fuzz into target/tools (once)");
    let installed = crate::run(Command::new("cargo").args([
        "install",
        "cargo-fuzz",
        "--version",
        FUZZ,
        "--locked",
        "--quiet",
        "--root",
        "target/tools",
    ]));
    let error = installed.err()?;
    Some(format!("cargo-fuzz cannot be installed: {error}"))
}

/// Commands of `target/tools` first.
pub(crate) fn path_with_tools() -> Result<OsString> {
    let tools = env::current_dir()?.join("target/tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(tools).chain(env::split_paths(&path));
    Ok(env::join_paths(all)?)
}

/// For `cargo xtask vm`.
pub(crate) fn qemu() -> Result<()> {
    if output("qemu-system-x86_64", &["--version"]).is_some() {
        return Ok(());
    }
    apt(
        &["qemu-system-x86"],
        "the live tests run on other kernels in it",
    )
}

/// The live tests and the README's example call it.
fn curl() -> Result<()> {
    if output("curl", &["--version"]).is_some() {
        return Ok(());
    }
    apt(&["curl"], "the tests make requests with it")
}

/// Only for the tests of `--accept-via=syscall`; the detector itself mounts nothing.
fn tracefs() {
    if Path::new(TRACEFS).join("events").exists() {
        return;
    }
    println!("setup: mounting tracefs at {TRACEFS} for the tests");
    let mounted = Command::new("mount")
        .args(["-t", "tracefs", "tracefs", TRACEFS])
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("setup: it cannot be mounted; tests of --accept-via=syscall will be skipped");
    }
}
