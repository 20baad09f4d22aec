//! What outlives a run: pinned probes, and the last moment watched.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::print;
use crate::source::{
    PINS,
    beat::{Blind, Heart},
    ebpf::{Pinned, is_pinned, remove},
    live::Live as Source,
};

/// Detaches the probes that a daemon left attached.
pub(super) fn unpin(folder: &Path) -> Result<()> {
    let folder_text = folder.display();
    print(&match remove(folder)? {
        true => format!("the probes pinned in {folder_text} are detached\n"),
        false => format!("no probes are pinned in {folder_text}\n"),
    })
}

/// What is somebody else's was named by mistake: that ends a start before it makes anything.
pub(super) fn check_state(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    Heart::check(path).with_context(|| {
        format!(
            "{} cannot keep the state: name a file of its own with --state, or none with --state=",
            path.display()
        )
    })
}

/// None without a path, and where the file cannot be used: then a gap before this run goes untold.
pub(super) fn heart(path: &Path) -> Option<Heart> {
    if path.as_os_str().is_empty() {
        return None;
    }
    let path_text = path.display();
    Heart::open(path)
        .inspect_err(|error| {
            tracing::warn!(
                "the state file {path_text} cannot be used ({error}): the next start will not tell \
                 from when on nobody watched; name another with --state, or none with --state="
            );
        })
        .ok()
}

/// What the start tells of the daemon before; the time since nobody watched.
pub(super) fn told(source: &Source, pin: Option<&Path>, heart: Option<&Heart>) -> Option<Blind> {
    match source.pinned() {
        Pinned::Adopted(_) => {
            tracing::info!("the pinned probes are adopted, and what they saw meanwhile");
            return None;
        }
        Pinned::No if pin.is_none() && is_pinned(Path::new(PINS)) => tracing::warn!(
            "probes of another run are pinned in {PINS} and cost what these do: adopt them with \
             --pin, or run `kubelet-detector unpin`"
        ),
        Pinned::No | Pinned::Anew(_) => {}
    }
    heart.and_then(Heart::blind)
}

/// That pinned probes stay.
pub(super) fn stay(pin: Option<&Path>) {
    if let Some(folder) = pin {
        let folder = folder.display();
        tracing::info!(
            "the probes stay attached for the next run with --pin {folder}; to detach them run \
             `kubelet-detector unpin {folder}`"
        );
    }
}
