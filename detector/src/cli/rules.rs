//! Rules files and folders to a ruleset, and the commands that look into rules.

use anyhow::{Result, bail};

use super::{Invalid, files::Files, print};
use crate::{
    config::Config,
    pipeline::reload::Refused,
    rules::{
        self, Diagnostic, Loaded, Options, Ruleset, SourceFile, diagnostic::Severity, fields,
        load_result, select::Which,
    },
};

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

fn full(one: &Diagnostic, files: &[SourceFile]) -> String {
    let text = files.iter().find(|file| file.name == one.file);
    one.full(text.map_or("", |file| &file.text))
}

fn read(config: &Config) -> (Vec<SourceFile>, Loaded) {
    let Files { sources, unread } = Files::read(&config.rules_files);
    let options = Options {
        resolve_names: config.resolve_names,
    };
    let loaded = rules::load_read(&sources, &unread, options);
    (sources, loaded)
}

/// Warnings go to the log.
pub(super) fn load(config: &Config) -> Result<Ruleset> {
    let (files, loaded) = read(config);
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
    let (_, loaded) = read(config);
    let mistakes: Vec<String> = errors(&loaded).map(Diagnostic::to_string).collect();
    let ruleset = loaded.ruleset.ok_or_else(|| Refused::all(mistakes))?;
    let ruleset = selected(ruleset, config).map_err(|error| Refused::one(format!("{error:#}")))?;
    // Here, and not while events wait.
    ruleset.let_off();
    Ok(ruleset)
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

pub(super) fn check(config: &Config, style: Style) -> Result<()> {
    let (files, loaded) = read(config);
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
    if !machine {
        let count = |wanted: &str| {
            let states = ruleset.rules().iter().map(state);
            states.filter(|state| *state == wanted).count()
        };
        let active = count(ACTIVE);
        let plural = if active == 1 { "" } else { "s" };
        let (disabled, inactive) = (count(DISABLED), count(INACTIVE));
        report = format!(
            "{report}{active} rule{plural} active, {disabled} disabled, {inactive} inactive, no error\n"
        );
    }
    print(&report)
}

const ACTIVE: &str = "active";
const DISABLED: &str = "disabled";
const INACTIVE: &str = "inactive";

fn state(rule: &rules::Rule) -> &'static str {
    match (rule.enabled, rule.inactive()) {
        (false, _) => DISABLED,
        (true, Some(_)) => INACTIVE,
        (true, None) => ACTIVE,
    }
}

pub(super) fn list(config: &Config) -> Result<()> {
    let ruleset = load(config)?;
    let row = |rule: &rules::Rule| {
        let state = state(rule);
        let reason = rule.inactive().filter(|_| state == INACTIVE);
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        format!("{state:<8} {:<13} {}{reason}\n", rule.priority, rule.name)
    };
    print(&ruleset.rules().iter().map(row).collect::<String>())
}

pub(super) fn fields() -> Result<()> {
    let row = |f: &fields::Field| format!("{:<26} {}\n", f.name, f.description);
    print(&fields::CATALOGUE.iter().map(row).collect::<String>())
}
