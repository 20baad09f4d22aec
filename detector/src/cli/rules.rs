//! Rules files and folders to a ruleset, and the commands that look into rules.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{Invalid, print};
use crate::{
    config::Config,
    rules::{self, Ruleset, SourceFile, diagnostic::Severity, fields},
};

const SHIPPED: &str = include_str!("../../../rules/kubelet_rules.yaml");

/// The shipped rules when no path is named; warnings go to the log.
pub(super) fn load(config: &Config) -> Result<Ruleset> {
    let paths = &config.rules_files;
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files)?;
    }
    if paths.is_empty() {
        files.push(SourceFile {
            name: "kubelet_rules.yaml".to_owned(),
            text: SHIPPED.to_owned(),
        });
    }
    let loaded = rules::load(&files);
    let mut report = String::new();
    for one in &loaded.diagnostics {
        let text = files.iter().find(|file| file.name == one.file);
        let full = one.full(text.map_or("", |file| &file.text));
        match one.severity {
            Severity::Warning => tracing::warn!("{one}"),
            Severity::Error => report = format!("{report}{full}\n"),
        }
    }
    let ruleset = loaded
        .ruleset
        .ok_or_else(|| Invalid(format!("the rules are invalid\n{report}")))?;
    let (ruleset, idle) = ruleset.select(&config.selection);
    for which in idle {
        tracing::warn!("no rule has the {which}: nothing is switched by it");
    }
    Ok(ruleset)
}

/// A folder gives its .yaml and .yml files, by name.
fn collect(path: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    let unreadable = |error| {
        Invalid(format!(
            "cannot read the rules `{}`: {error}: name a file or folder with -r",
            path.display()
        ))
    };
    if !path.is_dir() {
        files.push(read(path).map_err(unreadable)?);
        return Ok(());
    }
    let mut names: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.path());
    }
    names.retain(|name| {
        name.extension()
            .is_some_and(|end| end == "yaml" || end == "yml")
    });
    names.sort();
    if names.is_empty() {
        bail!(Invalid(format!(
            "the rules folder `{}` has no .yaml or .yml file: name another with -r, or leave it \
             out for the shipped rules",
            path.display()
        )));
    }
    for name in names {
        files.push(read(&name).map_err(unreadable)?);
    }
    Ok(())
}

fn read(path: &Path) -> std::io::Result<SourceFile> {
    Ok(SourceFile {
        name: path.display().to_string(),
        text: std::fs::read_to_string(path)?,
    })
}

pub(super) fn check(config: &Config) -> Result<()> {
    let ruleset = load(config)?;
    let rules = ruleset.rules();
    let inactive = rules
        .iter()
        .filter(|rule| rule.inactive().is_some())
        .count();
    print(&format!(
        "{} rules, {inactive} of them inactive, no error\n",
        rules.len()
    ))
}

pub(super) fn list(config: &Config) -> Result<()> {
    let ruleset = load(config)?;
    let row = |rule: &rules::Rule| {
        let state = match (rule.enabled, rule.inactive()) {
            (false, _) => "disabled",
            (true, Some(_)) => "inactive",
            (true, None) => "active",
        };
        format!("{state:<8} {:<13} {}\n", rule.priority, rule.name)
    };
    print(&ruleset.rules().iter().map(row).collect::<String>())
}

pub(super) fn fields() -> Result<()> {
    let row = |f: &fields::Field| format!("{:<26} {}\n", f.name, f.description);
    print(&fields::CATALOGUE.iter().map(row).collect::<String>())
}
