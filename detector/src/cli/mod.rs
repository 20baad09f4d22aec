//! The command line: what was typed, and what each command does with it.

mod again;
mod config;
mod doctor;
mod early;
mod explain;
mod files;
mod judge;
mod log;
mod pins;
mod rules;
mod sinks;
mod status;
mod suite;
mod switches;

use std::{
    ffi::OsString,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};

use again::Again;
use config::{ConfigCommand, Settings};
use early::Early;
use log::LogFormat;

use crate::{
    config::Config,
    enrich::Enrich,
    host::Host,
    metrics::Board,
    pipeline::{
        Pipeline,
        live::{Control, follow, ports},
        watched_files::WatchedFiles,
    },
    rules::Ruleset,
    sink::{Format, settings::Period},
    source::{
        AcceptVia, Attach, Options, PINS, Summary,
        live::{Live as Source, since_boot_ns},
    },
    trace,
};

#[derive(Parser)]
#[command(
    name = "kubelet-detector",
    version,
    about = "Sees who talks to the kubelet's API"
)]
pub struct Cli {
    /// How the log on stderr is written.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace; RUST_LOG refines it. Default: `log_level`
    /// of the configuration, else info.
    #[arg(long, global = true)]
    log_level: Option<tracing::Level>,
    /// The configuration; none if empty. Default: /etc/kubelet-detector/kubelet-detector.yaml, if
    /// it is there.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "KUBELET_DETECTOR_CONFIG"
    )]
    config: Option<OsString>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch this node; alerts go to stdout.
    Run(Live),
    /// Watch, and write the events to a trace.
    Record {
        /// The trace; compressed if its name ends in .zst.
        #[arg(short, long)]
        output: PathBuf,
        #[command(flatten)]
        live: Live,
    },
    /// Judge recorded events.
    Replay {
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Look into rules.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Look into the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show what the running detector has done.
    Status(status::Asked),
    /// Detach the probes that a run with --pin left attached.
    Unpin {
        #[arg(default_value = PINS)]
        folder: PathBuf,
    },
    /// Say what this node lacks, and which mechanism each subject gets.
    Doctor {
        #[arg(long, value_enum, default_value = "auto")]
        attach: Attach,
    },
}

#[derive(Subcommand)]
enum RulesCommand {
    /// Report every mistake.
    Check {
        #[command(flatten)]
        settings: Settings,
        /// How mistakes are written.
        #[arg(long = "format", value_enum, default_value = "full")]
        style: rules::Style,
    },
    /// Show why rules match an event of a trace, or do not.
    Explain {
        trace: PathBuf,
        /// The event's number in the trace, from 1.
        #[arg(long, default_value = "1")]
        event: u64,
        /// Only rules whose name this is; * stands for any text.
        #[arg(long, default_value = "*")]
        rule: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// Run a test file: events or traces, and the rules that are to fire on them.
    Test {
        file: PathBuf,
        #[command(flatten)]
        settings: Settings,
    },
    /// One line a rule.
    List(Settings),
    /// The fields of conditions and outputs.
    Fields,
}

#[derive(Args)]
struct Common {
    #[command(flatten)]
    settings: Settings,
    /// How alerts are written; default: text, or as the configuration says.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Args)]
struct Live {
    #[command(flatten)]
    common: Common,
    /// Stop after this time, for example 10s, 500ms or 2m.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// The kernel mechanism of the probes.
    #[arg(long, value_enum, default_value = "auto")]
    attach: Attach,
    /// Where accepts are seen.
    #[arg(long, value_enum, default_value = "auto")]
    accept_via: AcceptVia,
    /// Pin the probes in a folder of a BPF file system: they outlive the process, and the next run
    /// adopts them and what they saw meanwhile.
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, default_missing_value = PINS)]
    pin: Option<PathBuf>,
    /// Where the last moment watched is kept, so that the next start tells from when on nobody
    /// watched; nowhere if empty.
    #[arg(
        long,
        value_name = "FILE",
        env = "KUBELET_DETECTOR_STATE",
        default_value = "/var/lib/kubelet-detector/state"
    )]
    state: OsString,
    #[command(flatten)]
    shown: status::Shown,
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse().map(|Period(duration)| duration)
}

/// Rules or settings that are wrong: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Invalid(String);

pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return mistyped(&error),
    };
    // Whoever closes a pipe has read enough; but of what watches, nobody would read the next alert.
    let (watches, log_format) = (cli.command.watches(), cli.log_format);
    match start(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if broken_pipe(&error) && !watches => ExitCode::SUCCESS,
        Err(error) => {
            let code = if error.is::<Invalid>() { 3 } else { 1 };
            // The whole chain of causes.
            let _ignored = log::last_word(&format!("{error:#}"), log_format, watches).is_ok();
            ExitCode::from(code)
        }
    }
}

/// Also what is asked for in place of a command: help, or the version.
fn mistyped(error: &clap::Error) -> ExitCode {
    let format = LogFormat::asked(std::env::args_os());
    if !error.use_stderr() || format == LogFormat::Text {
        error.exit();
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let _ignored = log::last_word(text, format, false).is_ok();
    ExitCode::from(2)
}

impl Command {
    fn watches(&self) -> bool {
        matches!(self, Self::Run(_) | Self::Record { .. })
    }

    /// Of those that have a configuration.
    fn settings(&self) -> Option<(&Settings, Option<Format>)> {
        match self {
            Self::Run(live) | Self::Record { live, .. } => {
                Some((&live.common.settings, live.common.format))
            }
            Self::Replay { common, .. } => Some((&common.settings, common.format)),
            Self::Rules(
                RulesCommand::Check { settings, .. }
                | RulesCommand::Explain { settings, .. }
                | RulesCommand::Test { settings, .. }
                | RulesCommand::List(settings),
            ) => Some((settings, None)),
            Self::Rules(RulesCommand::Fields)
            | Self::Config(_)
            | Self::Status(_)
            | Self::Unpin { .. }
            | Self::Doctor { .. } => None,
        }
    }
}

fn start(cli: Cli) -> Result<()> {
    let early = cli.command.watches().then(Early::catch).transpose()?;
    let file = cli.config.map(PathBuf::from);
    let (config, warnings) = match cli.command.settings() {
        Some((settings, format)) => {
            config::load(file.clone(), settings, format, cli.command.watches())?
        }
        None => (Config::default(), Vec::new()),
    };
    let level = cli.log_level.unwrap_or_else(|| config.log_level.into());
    let limit = log::start(cli.log_format, level, cli.command.watches());
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    run(cli.command, &config, file, &limit, early)
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn run(
    command: Command,
    config: &Config,
    file: Option<PathBuf>,
    log: &log::Limit,
    early: Option<Early>,
) -> Result<()> {
    match command {
        Command::Run(live) => watch(&live, config, file, None, log, early),
        Command::Record { output, live } => watch(&live, config, file, Some(&output), log, early),
        Command::Replay { files, .. } => judge::run(&files, config, log),
        Command::Rules(RulesCommand::Check { style, .. }) => rules::check(config, style),
        Command::Rules(RulesCommand::Explain {
            trace, event, rule, ..
        }) => explain::run(&trace, event, &rule, config),
        Command::Rules(RulesCommand::Test { file, .. }) => suite::run(&file, config),
        Command::Rules(RulesCommand::List(_)) => rules::list(config),
        Command::Rules(RulesCommand::Fields) => rules::fields(),
        Command::Config(command) => config::run(file, &command),
        Command::Status(asked) => status::run(&asked),
        Command::Unpin { folder } => pins::unpin(&folder),
        Command::Doctor { attach } => doctor::run(attach),
    }
}

fn print(text: &str) -> Result<()> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.context("cannot write to stdout")
}

fn this_host(config: &Config) -> Host {
    let uname = rustix::system::uname();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let hostname = config.hostname.clone();
    Host {
        hostname: hostname.unwrap_or_else(|| uname.nodename().to_string_lossy().into_owned()),
        kernel: uname.release().to_string_lossy().into_owned(),
        boot_time_ns: now_ns.saturating_sub(since_boot_ns()),
        utc_offset_s: jiff::tz::TimeZone::system()
            .to_offset(jiff::Timestamp::now())
            .seconds(),
        instance: uuid::Uuid::new_v4(),
    }
}

/// Rules that are read anew nest as deep as those of the start, on the main thread.
const STACK: usize = 8 << 20;

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build()
        .context("cannot start the runtime")
}

fn watch(
    live: &Live,
    config: &Config,
    file: Option<PathBuf>,
    record: Option<&Path>,
    log: &log::Limit,
    early: Option<Early>,
) -> Result<()> {
    // Before they are read: a change meanwhile is one.
    let files = again::watched(config);
    let ruleset = rules::load(config)?;
    sinks::warn_of_silent(config, &ruleset);
    let again = Again::new(file, &live.common, this_host(config), config);
    pins::check_state(Path::new(&live.state))?;
    let started = Started {
        ruleset,
        again,
        files,
        early,
    };
    runtime()?.block_on(watch_with(live, config, started, record, log))
}

/// What a run has before its probes are attached.
struct Started {
    ruleset: Ruleset,
    again: Again,
    files: WatchedFiles,
    early: Option<Early>,
}

async fn watch_with(
    live: &Live,
    config: &Config,
    started: Started,
    record: Option<&Path>,
    log: &log::Limit,
) -> Result<()> {
    let Started {
        ruleset,
        again,
        files,
        early,
    } = started;
    let host = again.host.clone();
    let options = Options {
        attach: live.attach,
        accept_via: live.accept_via,
        probe_log: tracing::enabled!(tracing::Level::DEBUG),
        pin: live.pin.clone(),
    };
    let pin = live.pin.as_deref();
    let ending = Arc::default();
    let sinks = sinks::open(config, &host, pin.is_some(), &ending)?;
    let board = Board::default();
    let showing = live.shown.serve(&config.webserver, &board)?;
    let watched = ruleset.watched_ports().clone();
    let load = Arc::new(move || again.read());
    let mut control = Control::new(live.duration, load, &ending)?;
    early.map_or(Ok(()), Early::pass_on)?;
    control.watch(files);
    control.show(board);
    let asked = ruleset.asked();
    let recorder = record
        .map(|path| trace::Writer::create(path, &host, &asked))
        .transpose()?;
    let mut source = Source::start(&options, &ports(&watched), host.boot_time_ns)?;
    showing.warn();
    let heart = pins::heart(Path::new(&live.state));
    let blind = pins::told(&source, pin, heart.as_ref());
    control.keep(heart);
    control.heartbeat(config.heartbeat());
    for attached in source.attached() {
        tracing::info!("{} through {attached}", attached.subject);
    }
    tracing::info!(
        "watching {} (connect), {} (accept), {} (listen)",
        named(&watched.connect.ports()),
        named(&watched.accept.ports()),
        named(&watched.listen.ports())
    );
    let names: Vec<&str> = ruleset
        .let_off()
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    if !names.is_empty() && record.is_none() {
        tracing::info!("only counting connects of {}", names.join(", "));
    }
    let mut enrich = Enrich::new(&config.host_root, asked);
    let mut pipeline = Pipeline::new(ruleset, host, sinks).limit(sinks::limit(config));
    if let Some(recorder) = recorder {
        pipeline = pipeline.record(recorder);
    }
    if let Some(blind) = blind {
        pipeline.blind(&blind)?;
        pipeline.flush()?;
    }
    let limited = log.begin();
    follow(&mut source, &mut enrich, &mut pipeline, &mut control).await?;
    drop(limited);
    let (events, alerts) = pipeline.finish()?;
    for Summary {
        subject,
        generated,
        delivered,
        lost,
        suppressed,
    } in source.summary()
    {
        tracing::info!(subject, generated, delivered, lost, suppressed, "stopped");
    }
    for (name, connects) in source.let_offs() {
        tracing::info!(name, connects, "let off: no rule can match it");
    }
    tracing::info!(events, alerts, "stopped");
    pins::stay(pin);
    Ok(())
}

/// Ports for people: the first few, or their number.
fn named(ports: &[u16]) -> String {
    const SHOWN: usize = 8;
    if ports.is_empty() {
        return "no port".to_owned();
    }
    if ports.len() > SHOWN {
        return format!("{} ports", ports.len());
    }
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    ports.join(", ")
}
