//! The command line: what was typed, and the loop of each command.

use std::{
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};

use crate::{
    enrich::Enrich,
    event::Item,
    host::Host,
    pipeline::Pipeline,
    rules::{self, Ruleset, SourceFile, diagnostic::Severity, fields},
    sink::Format,
    source::{AcceptVia, Attach, Options, Ports, ebpf::Ebpf, join::Join},
    trace,
};

const SHIPPED: &str = include_str!("../../rules/kubelet_rules.yaml");
const BATCH: usize = 4096;

#[derive(Parser)]
#[command(
    name = "kubelet-detector",
    version,
    about = "Sees who talks to the kubelet's API"
)]
pub struct Cli {
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
}

#[derive(Subcommand)]
enum RulesCommand {
    /// Report every mistake.
    Check(Common),
    /// One line a rule.
    List(Common),
    /// The fields of conditions and outputs.
    Fields,
}

#[derive(Args)]
struct Common {
    /// Rules file or folder; repeatable. Default: the shipped rules.
    #[arg(short, long = "rules", value_name = "FILE|DIR")]
    rules: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Args)]
struct Live {
    #[command(flatten)]
    common: Common,
    /// Stop after this time, for example 10s, 500ms or 2m.
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    #[arg(long, value_enum, default_value = "auto")]
    attach: Attach,
    #[arg(long, value_enum, default_value = "listener")]
    accept_via: AcceptVia,
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let amount: u64 = digits
        .parse()
        .map_err(|error| format!("{error}: write 10s, 500ms or 2m"))?;
    match text.get(digits.len()..) {
        Some("ms") => Ok(Duration::from_millis(amount)),
        Some("s") => Ok(Duration::from_secs(amount)),
        Some("m") => Ok(Duration::from_secs(amount.saturating_mul(60))),
        _ => Err("the unit is missing: write 10s, 500ms or 2m".to_owned()),
    }
}

/// Rules that are wrong: exit code 3.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Invalid(String);

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let code = if error.is::<Invalid>() { 3 } else { 1 };
            // One paragraph: the whole chain of causes.
            let _ignored = writeln!(std::io::stderr(), "error: {error:#}").is_ok();
            ExitCode::from(code)
        }
    }
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Run(live) => watch(&live, None),
        Command::Record { output, live } => watch(&live, Some(&output)),
        Command::Replay { files, common } => replay(&files, &common),
        Command::Rules(RulesCommand::Check(common)) => {
            let ruleset = load(&common.rules)?;
            print(&format!("{} rules, no error\n", ruleset.rules().len()))
        }
        Command::Rules(RulesCommand::List(common)) => {
            let ruleset = load(&common.rules)?;
            let row = |rule: &rules::Rule| format!("{:<13} {}\n", rule.priority, rule.name);
            print(&ruleset.rules().iter().map(row).collect::<String>())
        }
        Command::Rules(RulesCommand::Fields) => {
            let row = |f: &fields::Field| format!("{:<26} {}\n", f.name, f.description);
            print(&fields::CATALOGUE.iter().map(row).collect::<String>())
        }
    }
}

fn print(text: &str) -> Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn load(paths: &[PathBuf]) -> Result<Ruleset> {
    let mut files = Vec::new();
    for path in paths {
        let missing = |error| {
            let path = path.display();
            Invalid(format!(
                "cannot read the rules `{path}`: {error}: name a file or folder (-r)"
            ))
        };
        if path.is_dir() {
            let mut names: Vec<PathBuf> = std::fs::read_dir(path)
                .map_err(missing)?
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|name| {
                    name.extension()
                        .is_some_and(|end| end == "yaml" || end == "yml")
                })
                .collect();
            names.sort();
            for name in names {
                files.push(file(&name).map_err(missing)?);
            }
        } else {
            files.push(file(path).map_err(missing)?);
        }
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
    loaded
        .ruleset
        .ok_or_else(|| Invalid(format!("the rules are invalid\n{report}")).into())
}

fn file(path: &Path) -> std::io::Result<SourceFile> {
    let text = std::fs::read_to_string(path)?;
    Ok(SourceFile {
        name: path.display().to_string(),
        text,
    })
}

fn now_ns() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

fn this_host() -> Host {
    let uname = rustix::system::uname();
    let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let boot = Duration::new(
        u64::try_from(boot.tv_sec).unwrap_or(0),
        u32::try_from(boot.tv_nsec).unwrap_or(0),
    );
    let since_boot = u64::try_from(boot.as_nanos()).unwrap_or(u64::MAX);
    Host {
        hostname: uname.nodename().to_string_lossy().into_owned(),
        kernel: uname.release().to_string_lossy().into_owned(),
        boot_time_ns: now_ns().saturating_sub(since_boot),
        utc_offset_s: jiff::tz::TimeZone::system()
            .to_offset(jiff::Timestamp::now())
            .seconds(),
        instance: uuid::Uuid::new_v4(),
    }
}

fn watch(live: &Live, record: Option<&Path>) -> Result<()> {
    let ruleset = load(&live.common.rules)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(follow(live, record, ruleset))
}

async fn follow(live: &Live, record: Option<&Path>, ruleset: Ruleset) -> Result<()> {
    let host = this_host();
    let options = Options {
        attach: live.attach,
        accept_via: live.accept_via,
        probe_log: false,
    };
    let watched = ruleset.watched_ports();
    let ports = Ports {
        connect: watched.connect.words(),
        accept: watched.accept.words(),
        listen: watched.listen.words(),
    };
    let mut source = Ebpf::start(&options, &ports, host.boot_time_ns)?;
    let count = watched.connect.ports().len();
    let first: Vec<u16> = watched.connect.ports().into_iter().take(8).collect();
    tracing::info!(connect_ports = count, ?first, mechanisms = ?source.attached(), "watching");
    let recorder = record
        .map(|path| trace::Writer::create(path, &host))
        .transpose()?;
    let enrich = Enrich::new(Path::new(
        &std::env::var_os("HOST_ROOT").unwrap_or("/".into()),
    ));
    let mut pipeline = Pipeline {
        ruleset,
        host,
        format: live.common.format,
        out: BufWriter::new(std::io::stdout()),
        recorder,
        events: 0,
        alerts: 0,
    };
    let mut join = Join::default();
    let mut terminate = signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut interrupt = signal(tokio::signal::unix::SignalKind::interrupt())?;
    let end = tokio::time::sleep(live.duration.unwrap_or(Duration::MAX));
    tokio::pin!(end);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        let hold = Duration::from_millis(if join.is_holding() { 10 } else { 3_600_000 });
        let stop = tokio::select! {
            ready = source.readable() => { ready.context("the ring buffer cannot be waited for")?; false }
            _ = tick.tick() => false,
            () = tokio::time::sleep(hold) => false,
            _ = terminate.recv() => true,
            _ = interrupt.recv() => true,
            () = &mut end => true,
        };
        drain(
            &mut source,
            &mut join,
            &enrich,
            &mut pipeline,
            if stop { u64::MAX } else { now_ns() },
        )?;
        if stop {
            break;
        }
    }
    for (subject, generated, lost) in source.summary() {
        tracing::info!(subject, generated, lost, "stopped");
    }
    Ok(())
}

fn signal(kind: tokio::signal::unix::SignalKind) -> Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(kind).context("cannot listen for signals")
}

/// Takes all that the ring buffer holds, in batches, and all that was lost.
fn drain<W: std::io::Write>(
    source: &mut Ebpf,
    join: &mut Join,
    enrich: &Enrich,
    pipeline: &mut Pipeline<W>,
    now_ns: u64,
) -> Result<()> {
    loop {
        let (mut raw, mut complete) = (Vec::new(), Vec::new());
        let taken = source.drain(BATCH, &mut raw);
        for event in raw {
            join.push(event, &mut complete);
        }
        if taken < BATCH {
            join.expire(now_ns, &mut complete);
        }
        for mut event in complete {
            enrich.complete(&mut event);
            pipeline.process(Item::Event(event))?;
        }
        if taken < BATCH {
            break;
        }
    }
    let time_ns = self::now_ns();
    for loss in source.losses(time_ns) {
        pipeline.process(Item::Drop(loss))?;
    }
    Ok(pipeline.flush()?)
}

fn replay(files: &[PathBuf], common: &Common) -> Result<()> {
    for path in files {
        let mut reader = trace::Reader::open(path)?;
        let mut pipeline = Pipeline {
            ruleset: load(&common.rules)?,
            host: reader.host.clone(),
            format: common.format,
            out: BufWriter::new(std::io::stdout()),
            recorder: None,
            events: 0,
            alerts: 0,
        };
        let outcome = loop {
            match reader.next_item() {
                Ok(Some(item)) => pipeline.process(item)?,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        pipeline.flush()?;
        outcome?;
    }
    Ok(())
}
