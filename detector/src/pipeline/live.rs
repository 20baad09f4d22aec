//! Follows the probes until told to stop: events go through `enrich` into the pipeline.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior},
};

use super::{
    Pipeline, PipelineError,
    reload::{Fresh, Load, Read, Refused, Reload},
    status::{self, Verdict},
    watched_files::WatchedFiles,
};
use crate::{
    enrich::Enrich,
    event::{Event, Item},
    metrics::Board,
    rules::{
        Ruleset,
        let_off::{self, LetOff},
        ports::WatchedPorts,
    },
    sink::{Sink, Sinks},
    source::{
        Ports,
        beat::{Heart, PERIOD},
        ebpf::EbpfError,
        live::{Live, since_boot_ns},
    },
};

/// How often the ring buffer is looked into unasked: an attempt does not wake its reader.
const LOOK: Duration = Duration::from_millis(100);
/// How often the loss counters and the host's files are looked at, in looks.
const SLOW: u32 = 10;

/// What acts on a run from outside. To be made before the run says that it watches: a signal that
/// comes earlier ends the process.
pub struct Control {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
    /// When a heartbeat is told.
    heartbeat: Option<Interval>,
    duration: Option<Duration>,
    /// When `duration` is over; it begins with the run.
    end: Option<Instant>,
    reload: Reload,
    files: WatchedFiles,
    heart: Option<Heart>,
    board: Board,
}

/// What to do next.
enum Next {
    Look,
    Read,
    Swap(Box<Read>),
    Reopen,
    Heartbeat,
    Stop,
}

impl Control {
    /// Ends after `duration`, or at SIGTERM or SIGINT, which set `ending` too; SIGHUP puts in force what
    /// `load` gives, and SIGUSR1 opens files anew. Must be called within a tokio runtime.
    pub fn new(
        duration: Option<Duration>,
        load: Load,
        ending: &Arc<AtomicBool>,
    ) -> Result<Self, PipelineError> {
        let listen = |kind| signal(kind).map_err(PipelineError::Wait);
        let (terminate, interrupt) = (
            listen(SignalKind::terminate())?,
            listen(SignalKind::interrupt())?,
        );
        // Who waits for a sink does not look at signals. After the others: none comes to this alone.
        for signal in [SIGTERM, SIGINT] {
            flag::register(signal, Arc::clone(ending)).map_err(PipelineError::Wait)?;
        }
        Ok(Self {
            terminate,
            interrupt,
            hangup: listen(SignalKind::hangup())?,
            user1: listen(SignalKind::user_defined1())?,
            heartbeat: None,
            duration,
            end: None,
            reload: Reload::new(load),
            files: WatchedFiles::default(),
            heart: None,
            board: Board::default(),
        })
    }

    /// Where the last moment watched is kept.
    pub fn keep(&mut self, heart: Option<Heart>) {
        self.heart = heart;
    }

    /// When one of these changes, it is as if SIGHUP had come.
    pub fn watch(&mut self, files: WatchedFiles) {
        self.files = files;
    }

    /// A heartbeat is told that often, and when the run ends.
    pub fn heartbeat(&mut self, every: Option<Duration>) {
        if self.heartbeat.as_ref().map(Interval::period) != every {
            self.heartbeat = every.map(interval);
        }
    }

    /// What the run has done is posted there about once a second.
    pub fn show(&mut self, board: Board) {
        self.board = board;
    }

    /// What was seen until `time_ns` since boot is told.
    fn beat(&mut self, time_ns: u64) {
        let beat = |heart: &mut Heart| heart.beat(time_ns);
        self.with_heart(beat);
    }

    fn with_heart(&mut self, step: impl Fn(&mut Heart) -> std::io::Result<()>) {
        let Some(heart) = &mut self.heart else {
            return;
        };
        if let Err(error) = step(heart) {
            tracing::warn!(%error, "the last moment watched is not kept any more");
            self.heart = None;
        }
    }

    async fn next(&mut self) -> Next {
        // A signal that comes while rules are read waits: it is about the files as they are then.
        let idle = self.reload.is_idle();
        tokio::select! {
            _ = self.terminate.recv() => Next::Stop,
            _ = self.interrupt.recv() => Next::Stop,
            () = until(self.end) => Next::Stop,
            _ = self.user1.recv() => Next::Reopen,
            () = tick(&mut self.heartbeat) => Next::Heartbeat,
            _ = self.hangup.recv(), if idle => Next::Read,
            read = self.reload.finished() => Next::Swap(Box::new(read)),
        }
    }
}

/// The ports that the probes are to watch.
pub fn ports(watched: &WatchedPorts) -> Ports<'_> {
    Ports {
        connect: watched.connect.words(),
        accept: watched.accept.words(),
        listen: watched.listen.words(),
    }
}

/// Runs until told to stop; what the probes saw until then is processed.
pub async fn follow(
    source: &mut Live,
    enrich: &mut Enrich,
    pipeline: &mut Pipeline<Sinks>,
    control: &mut Control,
) -> Result<(), PipelineError> {
    let end = |duration| Instant::now().checked_add(duration);
    control.end = control.duration.and_then(end);
    let mut events = Vec::new();
    let (mut look, mut beat) = (interval(LOOK), interval(PERIOD));
    let mut looks = 0_u32;
    let (mut more, mut proven) = (false, None);
    let started_ns = source.now_ns();
    let watched = pipeline.watched_ports().clone();
    if source.repeated() > 0 {
        pipeline.repeats(source.now_ns(), source.repeated())?;
    }
    let mut behind = source.succeeds(&ports(&watched));
    while behind {
        let now_ns = source.now_ns();
        behind = take(source, enrich, pipeline, &mut events, now_ns)?;
        settle(source, pipeline)?;
    }
    inventory(source, enrich, pipeline, &watched)?;
    settle(source, pipeline)?;
    let_off(source, pipeline.let_off())?;
    loop {
        let held = source.deadline_ns().map(|deadline_ns| {
            Instant::now() + Duration::from_nanos(deadline_ns.saturating_sub(source.now_ns()))
        });
        let beats = control.heart.is_some();
        let next = tokio::select! {
            next = control.next() => next,
            _ = beat.tick(), if beats => Next::Look,
            _ = look.tick() => {
                looks = looks.wrapping_add(1);
                Next::Look
            }
            () = until(held) => Next::Look,
            ready = async { if more { Ok(()) } else { source.readable().await } } => {
                ready.map_err(PipelineError::Wait)?;
                Next::Look
            }
        };
        match next {
            Next::Look => {}
            Next::Read => control.reload.start(),
            Next::Swap(read) => swap(source, enrich, pipeline, control, *read)?,
            Next::Reopen => pipeline.reopen(),
            Next::Heartbeat => pipeline.heartbeat(source.now_ns(), false)?,
            Next::Stop => break,
        }
        let (seen_ns, now_ns) = (since_boot_ns(), source.now_ns());
        more = take(source, enrich, pipeline, &mut events, now_ns)?;
        settle(source, pipeline)?;
        prove(source, pipeline, &mut proven)?;
        if looks.is_multiple_of(SLOW) {
            looks = 1;
            enrich.refresh();
            report_losses(source, pipeline, false)?;
            pipeline.news(source.now_ns(), false)?;
            pipeline.suppressed(source.now_ns(), false)?;
            if control.reload.is_idle() && control.files.changed() {
                tracing::info!("files changed: they are read again");
                control.reload.start();
            }
            let mut made = pipeline.status();
            status::of_source(source, &proven, started_ns, &mut made);
            control.board.post(made);
        }
        settle(source, pipeline)?;
        if !more {
            control.beat(seen_ns);
        }
    }
    while take(source, enrich, pipeline, &mut events, u64::MAX)? {
        settle(source, pipeline)?;
    }
    report_losses(source, pipeline, true)?;
    pipeline.news(source.now_ns(), true)?;
    pipeline.suppressed(source.now_ns(), true)?;
    if control.heartbeat.is_some() {
        pipeline.heartbeat(source.now_ns(), true)?;
    }
    settle(source, pipeline)?;
    control.with_heart(Heart::stop);
    Ok(())
}

/// Connects that no rule can match, because of who makes them, are only counted from now on.
fn let_off(source: &mut Live, names: &[LetOff]) -> Result<(), EbpfError> {
    let names: Vec<(&str, &[u64; 1024])> = names
        .iter()
        .map(|one| (one.name.as_str(), one.ports.words()))
        .collect();
    source.let_off(&names)
}

/// What was processed is told from now on, whatever becomes of this process.
fn settle<S: Sink>(source: &mut Live, pipeline: &mut Pipeline<S>) -> Result<(), PipelineError> {
    pipeline.flush()?;
    Ok(source.told()?)
}

/// What is open on these ports already.
fn inventory<S: Sink>(
    source: &mut Live,
    enrich: &mut Enrich,
    pipeline: &mut Pipeline<S>,
    watched: &WatchedPorts,
) -> Result<(), PipelineError> {
    let mut events = Vec::new();
    let omitted = source.inventory(&ports(watched), &mut events)?;
    for mut event in events {
        enrich.complete(&mut event);
        pipeline.process(Item::Event(event))?;
    }
    omitted.map_or(Ok(()), |loss| pipeline.process(Item::Drop(loss)))
}

/// One batch; false when the ring buffer is empty.
fn take<S: Sink>(
    source: &mut Live,
    enrich: &mut Enrich,
    pipeline: &mut Pipeline<S>,
    events: &mut Vec<Event>,
    now_ns: u64,
) -> Result<bool, PipelineError> {
    let more = source.drain(now_ns, events)?;
    for mut event in events.drain(..) {
        enrich.complete(&mut event);
        pipeline.process(Item::Event(event))?;
    }
    Ok(more)
}

/// Says once that the probes see, and each time that they do not, or were changed.
fn prove<S: Sink>(
    source: &mut Live,
    pipeline: &mut Pipeline<S>,
    proven: &mut Verdict,
) -> Result<(), PipelineError> {
    let now_ns = source.now_ns();
    if let Some(fault) = source.audit(now_ns) {
        pipeline.fault(now_ns, &fault)?;
    }
    match source.prove(now_ns) {
        None => {}
        Some(Ok(())) => {
            if *proven != Some(Ok(())) {
                tracing::info!(
                    "the probes are proven: each subject saw the detector's own connection"
                );
            }
            *proven = Some(Ok(()));
        }
        Some(Err(fault)) => {
            pipeline.fault(now_ns, &fault)?;
            *proven = Some(Err(fault));
        }
    }
    Ok(())
}

fn report_losses<S: Sink>(
    source: &mut Live,
    pipeline: &mut Pipeline<S>,
    last: bool,
) -> Result<(), PipelineError> {
    let losses = source.losses(source.now_ns(), last);
    losses
        .into_iter()
        .try_for_each(|loss| pipeline.process(Item::Drop(loss)))
}

/// Puts what was read in force between two events. While rules change, the ports of the old and of the
/// new ones are watched, and let off is only who both let off.
fn swap(
    source: &mut Live,
    enrich: &mut Enrich,
    pipeline: &mut Pipeline<Sinks>,
    control: &mut Control,
    Read { files, fresh }: Read,
) -> Result<(), PipelineError> {
    if let Some(files) = files {
        control.files.turn(files);
    }
    // What was told so far is for the sinks of before.
    settle(source, pipeline)?;
    let outcome = fresh.and_then(
        |Fresh {
             ruleset,
             sinks,
             limit,
             heartbeat,
         }| {
            let turned = widen(source, pipeline, &ruleset)
                .and_then(|()| pipeline.sink().turn(sinks).map_err(Refused::of));
            if turned.is_err() {
                narrow(source, pipeline);
            }
            turned.map(|()| (ruleset, limit, heartbeat))
        },
    );
    let (ruleset, limit, heartbeat) = match outcome {
        Ok(fresh) => fresh,
        Err(refused) => return pipeline.not_reloaded(source.now_ns(), &refused),
    };
    let watched = ruleset.watched_ports().clone();
    let new = watched.without(pipeline.watched_ports());
    let rules = ruleset.rules().len();
    enrich.ask(ruleset.asked());
    pipeline.reload(ruleset);
    pipeline.turn_limit(limit);
    control.heartbeat(heartbeat);
    if !new.is_empty() {
        inventory(source, enrich, pipeline, &new)?;
    }
    narrow(source, pipeline);
    tracing::info!(
        rules,
        connect = watched.connect.len(),
        accept = watched.accept.len(),
        listen = watched.listen.len(),
        "reloaded; ports watched"
    );
    Ok(())
}

/// As these rules and those in force need.
fn widen(source: &mut Live, pipeline: &Pipeline<Sinks>, ruleset: &Ruleset) -> Result<(), Refused> {
    let common = let_off::common(pipeline.let_off(), ruleset.let_off());
    let widened = source.watch_also(&ports(ruleset.watched_ports()));
    widened
        .and_then(|()| let_off(source, &common))
        .map_err(Refused::of)
}

/// As the rules in force need.
fn narrow(source: &mut Live, pipeline: &Pipeline<Sinks>) {
    if let Err(error) = source.watch_only(&ports(pipeline.watched_ports())) {
        // More is seen than any rule asks for: that costs, and changes no verdict.
        tracing::warn!(%error, "ports that no rule is about any more are still watched");
    }
    if let Err(error) = let_off(source, pipeline.let_off()) {
        tracing::warn!(%error, "connects that no rule can match are told still");
    }
}

fn interval(every: Duration) -> Interval {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
