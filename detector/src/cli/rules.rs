//! Rules files and folders to a ruleset, and the commands that look into rules.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{Invalid, print};
use crate::{
    config::Config,
    pipeline::reload::Refused,
    rules::{
        self, Diagnostic, Loaded, Options, Ruleset, SourceFile, diagnostic::Severity, fields,
        load_result, select::Which,
    },
};

const SHIPPED: &str = include_str!("../../../rules/kubelet_rules.yaml");

/// How `rules check` writes what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Style {
    /// With the excerpt, underlined.
    Full,
    /// One line each.
    Line,
    /// One object each.
    Json,
    /// The object that `falco -V` writes.
    FalcoJson,
}

/// The shipped rules when no path is named.
fn sources(paths: &[PathBuf]) -> Result<Vec<SourceFile>> {
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
    Ok(files)
}

fn full(one: &Diagnostic, files: &[SourceFile]) -> String {
    let text = files.iter().find(|file| file.name == one.file);
    one.full(text.map_or("", |file| &file.text))
}

fn options(config: &Config) -> Options {
    Options {
        resolve_names: config.resolve_names,
    }
}

/// Warnings go to the log.
pub(super) fn load(config: &Config) -> Result<Ruleset> {
    let files = sources(&config.rules_files)?;
    let loaded = rules::load_with(&files, options(config));
    let report: String = errors(&loaded)
        .map(|one| full(one, &files) + "\n")
        .collect();
    let ruleset = loaded
        .ruleset
        .ok_or_else(|| Invalid(format!("the rules are invalid\n{report}")))?;
    selected(ruleset, config)
}

/// For a run that goes on if this fails: every mistake goes to the log, the first to the caller.
pub(super) fn load_again(config: &Config) -> Result<Ruleset, Refused> {
    let refused = |error: anyhow::Error| Refused::one(format!("{error:#}"));
    let files = sources(&config.rules_files).map_err(refused)?;
    let loaded = rules::load_with(&files, options(config));
    let mut mistakes = 0;
    let mut first = None;
    for one in errors(&loaded) {
        tracing::error!("{one}");
        mistakes += 1;
        first.get_or_insert_with(|| one.to_string());
    }
    let ruleset = loaded.ruleset.ok_or_else(|| Refused {
        first: first.unwrap_or_default(),
        mistakes,
    })?;
    selected(ruleset, config).map_err(refused)
}

/// The warnings are told.
fn errors(loaded: &Loaded) -> impl Iterator<Item = &Diagnostic> {
    loaded.diagnostics.iter().filter(|one| match one.severity {
        Severity::Error => true,
        Severity::Advice => false,
        Severity::Warning => {
            tracing::warn!("{one}");
            false
        }
    })
}

fn selected(ruleset: Ruleset, config: &Config) -> Result<Ruleset> {
    let (ruleset, idle) = ruleset.select(&config.selection);
    for which in idle {
        let none = match which {
            Which::Rule(name) => format!("no rule is called `{name}`"),
            Which::Tag(tag) => format!("no rule has the tag `{tag}`"),
        };
        tracing::warn!("{none}: nothing is switched by it");
    }
    let completed = ruleset.with_outputs(&config.outputs);
    Ok(completed.map_err(|error| Invalid(error.to_string()))?)
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
        files.push(text_of(path, std::fs::read(path).map_err(unreadable)?)?);
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
        let bytes = std::fs::read(&name).map_err(unreadable)?;
        files.push(text_of(&name, bytes)?);
    }
    Ok(())
}

fn text_of(path: &Path, bytes: Vec<u8>) -> Result<SourceFile, Invalid> {
    let name = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(good);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        Invalid(format!(
            "{name}:{line}: this is no UTF-8: save the file as UTF-8"
        ))
    })?;
    Ok(SourceFile { name, text })
}

pub(super) fn check(config: &Config, style: Style) -> Result<()> {
    let files = sources(&config.rules_files)?;
    let loaded = rules::load_with(&files, options(config));
    let each = |line: &dyn Fn(&Diagnostic) -> String| -> String {
        let lines = loaded.diagnostics.iter().map(|one| line(one) + "\n");
        lines.collect()
    };
    let mut report = match style {
        Style::Full => each(&|one| full(one, &files)),
        Style::Line => each(&Diagnostic::to_string),
        Style::Json => each(&|one| one.json().to_string()),
        Style::FalcoJson => format!("{}\n", load_result::falco(&files, &loaded.diagnostics)),
    };
    let machine = matches!(style, Style::Json | Style::FalcoJson);
    let Some(ruleset) = loaded.ruleset else {
        print(&report)?;
        let error = |one: &&Diagnostic| one.severity == Severity::Error;
        let errors = loaded.diagnostics.iter().filter(error).count();
        let plural = if errors == 1 { "" } else { "s" };
        bail!(Invalid(format!("the rules have {errors} error{plural}")));
    };
    let ruleset = selected(ruleset, config)?;
    let rules = ruleset.rules();
    let inactive = rules
        .iter()
        .filter(|rule| rule.inactive().is_some())
        .count();
    if !machine {
        let active = rules.len() - inactive;
        report = format!("{report}{active} rules active, {inactive} inactive, no error\n");
    }
    print(&report)
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
