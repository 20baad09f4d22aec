//! Modules of the kernel that a way in needs: the guest loads them, in an order in which each comes
//! after those that it depends on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// Tracked connections, rules of nftables, sockets of SMC, and overlays. A kernel that has one built
/// in, or not at all, has no file of it.
const WANTED: [&str; 6] = [
    "nf_conntrack_netlink",
    "nft_chain_nat",
    "nft_nat",
    "nft_reject_ipv4",
    "overlay",
    "smc",
];
/// The names of the files, in order.
const ORDER: &str = "order";

/// Puts those of the kernel's packages in `folder` into `to`.
pub(super) fn put(folder: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let listed = Command::new("find")
        .arg(folder)
        .args(["-type", "f", "-name", "*.ko*"])
        .output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let files: Vec<PathBuf> = listed.lines().map(PathBuf::from).collect();
    let mut order = Vec::new();
    for name in WANTED {
        add(name, &files, to, &mut order)?;
    }
    Ok(fs::write(to.join(ORDER), order.join("\n"))?)
}

fn add(name: &str, files: &[PathBuf], to: &Path, order: &mut Vec<String>) -> Result<()> {
    // A name has `_` where its file may have `-`.
    let is_named = |path: &&PathBuf| {
        let file = path.file_name().map(|file| file.to_string_lossy());
        file.is_some_and(|file| file.replace('-', "_").starts_with(&format!("{name}.ko")))
    };
    let copy = format!("{name}.ko");
    let Some(path) = files.iter().find(is_named) else {
        return Ok(());
    };
    if order.contains(&copy) {
        return Ok(());
    }
    let module = read(path)?;
    for other in depends(&module)
        .split(',')
        .filter(|other| !other.is_empty())
    {
        add(&other.replace('-', "_"), files, to, order)?;
    }
    fs::write(to.join(&copy), module)?;
    order.push(copy);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if path.extension().is_none_or(|end| end == "ko") {
        return Ok(fs::read(path)?);
    }
    let output = Command::new("xz").arg("-dc").arg(path).output();
    let output = output.context("cannot start xz")?;
    if !output.status.success() {
        bail!("cannot unpack {}", path.display());
    }
    Ok(output.stdout)
}

/// The names that the module's section `.modinfo` has.
fn depends(module: &[u8]) -> String {
    let entries = module.split(|byte| *byte == 0);
    let mut found = entries.filter_map(|entry| entry.strip_prefix(b"depends="));
    String::from_utf8_lossy(found.next().unwrap_or_default()).into_owned()
}
