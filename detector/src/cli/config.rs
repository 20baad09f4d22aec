//! The configuration of a command: files, environment, `--set`, and over them the options of its
//! own; and the commands that look into it.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};

use super::{Invalid, print, switches::Switches};
use crate::{
    config::{self, Config, Loaded, Origins},
    rules::{Diagnostic, diagnostic::Severity},
    sink::Format,
};

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Report every mistake.
    Check(Sets),
    /// Show what is in force, and where it was written; secrets are masked.
    Show(Sets),
    /// Print the JSON schema of the file.
    Schema,
}

#[derive(Args, Clone)]
pub(super) struct Sets {
    /// A setting over those of the files, for example json_output=true or
    /// http_output.url=http://host:2801; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

/// Which rules, and how they are set.
#[derive(Args, Clone)]
pub(super) struct Settings {
    /// Rules file or folder, in place of those of the configuration; repeatable. Default: the
    /// shipped rules.
    #[arg(short, long = "rules", value_name = "FILE|DIR")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    sets: Sets,
    #[command(flatten)]
    switches: Switches,
}

/// What can be written of the files, the environment and `--set`.
fn read(file: Option<PathBuf>, sets: &Sets) -> Loaded {
    config::load(&Origins::of_process(file, sets.settings.clone()))
}

/// The warnings are for the log, which the configuration has a say in.
pub(super) fn load(
    file: Option<PathBuf>,
    settings: &Settings,
    format: Option<Format>,
) -> Result<(Config, Vec<Diagnostic>)> {
    let loaded = read(file, &settings.sets);
    let mut config = valid(&loaded)?;
    // `--set rules_files` is of the command line, too.
    let typed = settings.sets.settings.iter();
    let mut typed = typed.filter(|setting| setting.starts_with("rules_files"));
    if typed.next().is_none() && !settings.rules.is_empty() {
        config.rules_files.clear();
    }
    config.rules_files.extend(settings.rules.iter().cloned());
    let switches = settings.switches.0.iter().cloned();
    config.selection.switches.extend(switches);
    config.style.format = format.unwrap_or(config.style.format);
    let warning = |one: &Diagnostic| one.severity == Severity::Warning;
    let mut warnings = loaded.diagnostics;
    warnings.retain(warning);
    Ok((config, warnings))
}

fn valid(loaded: &Loaded) -> Result<Config> {
    let config = loaded.config.clone();
    let report = || -> String { loaded.errors().map(|one| loaded.full(one) + "\n").collect() };
    Ok(config.ok_or_else(|| Invalid(format!("the configuration is invalid\n{}", report())))?)
}

pub(super) fn run(file: Option<PathBuf>, command: &ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Check(sets) => check(&read(file, sets)),
        ConfigCommand::Show(sets) => {
            let loaded = read(file, sets);
            valid(&loaded)?;
            let shown = loaded.show().unwrap_or_else(|| Ok(String::new()));
            print(&shown.map_err(|error| anyhow!("cannot show the configuration: {error}"))?)
        }
        ConfigCommand::Schema => {
            let schema = serde_json::to_string_pretty(&config::schema())?;
            print(&format!("{schema}\n"))
        }
    }
}

fn check(loaded: &Loaded) -> Result<()> {
    let told = loaded.diagnostics.iter();
    let report: String = told.map(|one| loaded.full(one) + "\n").collect();
    let Some(config) = &loaded.config else {
        print(&report)?;
        let errors = loaded.errors().count();
        let plural = if errors == 1 { "" } else { "s" };
        bail!(Invalid(format!(
            "the configuration has {errors} error{plural}"
        )));
    };
    let sinks: Vec<String> = config.sinks().into_iter().map(|sink| sink.name).collect();
    let sinks = sinks.join(", ");
    print(&format!("{report}alerts go to {sinks}; no error\n"))
}
