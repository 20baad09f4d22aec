//! The configuration of a command: files, environment, `--set`, and over them the options of its
//! own; and the commands that look into it.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};

use super::{Invalid, print, sinks, switches::Switches, this_host};
use crate::{
    config::{self, Config, Loaded, Origins, codes},
    pipeline::reload::Refused,
    rules::{Diagnostic, diagnostic::Severity},
    sink::{Format, Mistake, PlanError},
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

/// The warnings are for the log, which the configuration has a say in. `alerts`: they will go to the
/// sinks.
pub(super) fn load(
    file: Option<PathBuf>,
    settings: &Settings,
    format: Option<Format>,
    alerts: bool,
) -> Result<(Config, Vec<Diagnostic>)> {
    let mut loaded = read(file, &settings.sets);
    if alerts && let Some(config) = loaded.config.clone() {
        let config = settings.over(config, format);
        if let Err(error) = sinks::plan(&config, &this_host(&config)) {
            tell_of_sinks(&mut loaded, error);
        }
        tell_of_spool(&mut loaded, &config);
    }
    let config = valid(&loaded)?;
    Ok((settings.over(config, format), warnings(loaded)))
}

/// Each mistake at its place.
pub(super) fn tell_of_sinks(loaded: &mut Loaded, PlanError(mistakes): PlanError) {
    for Mistake { sink, text } in mistakes {
        loaded.tell(codes::SINK, &sink, text);
    }
}

fn tell_of_spool(loaded: &mut Loaded, config: &Config) {
    if let Some(text) = sinks::unusable_spool(config) {
        loaded.tell_of(codes::SINK, &["spool", "path"], text);
    }
}

/// For a run that goes on if this fails; `spoken` are the files that said something before. With what
/// places other mistakes.
pub(super) fn load_again(
    file: Option<PathBuf>,
    settings: &Settings,
    format: Option<Format>,
    spoken: Vec<PathBuf>,
) -> Result<(Config, Loaded), Refused> {
    let mut origins = Origins::of_process(file, settings.sets.settings.clone());
    origins.spoken = spoken;
    let loaded = config::load(&origins);
    let config = loaded.config.clone().ok_or_else(|| refused(&loaded))?;
    Ok((settings.over(config, format), loaded))
}

/// For its errors.
pub(super) fn refused(loaded: &Loaded) -> Refused {
    Refused::all(loaded.errors().map(Diagnostic::to_string))
}

pub(super) fn warnings(loaded: Loaded) -> Vec<Diagnostic> {
    let mut warnings = loaded.diagnostics;
    warnings.retain(|one| one.severity == Severity::Warning);
    warnings
}

impl Settings {
    /// These options decide over what is configured.
    fn over(&self, mut config: Config, format: Option<Format>) -> Config {
        // `--set rules_files` is of the command line, too.
        let mut typed = self.sets.settings.iter();
        let sets_rules = typed.any(|setting| setting.starts_with("rules_files"));
        if !sets_rules && !self.rules.is_empty() {
            config.rules_files.clear();
        }
        config.rules_files.extend(self.rules.iter().cloned());
        let switches = self.switches.0.iter().cloned();
        config.selection.switches.extend(switches);
        config.style.format = format.unwrap_or(config.style.format);
        config
    }
}

fn valid(loaded: &Loaded) -> Result<Config> {
    let config = loaded.config.clone();
    let report = || -> String { loaded.errors().map(|one| loaded.full(one) + "\n").collect() };
    Ok(config.ok_or_else(|| Invalid(format!("the configuration is invalid\n{}", report())))?)
}

pub(super) fn run(file: Option<PathBuf>, command: &ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Check(sets) => check(read(file, sets)),
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

fn check(mut loaded: Loaded) -> Result<()> {
    if let Some(config) = loaded.config.clone() {
        let host = this_host(&config);
        for (code, Mistake { sink, text }) in sinks::mistakes(&config, &host) {
            loaded.tell(code, &sink, text);
        }
        tell_of_spool(&mut loaded, &config);
    }
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
