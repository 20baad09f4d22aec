//! Follows the probes until told to stop: events go through `enrich` into the pipeline.

use std::{io::Write, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior},
};

use super::{Pipeline, PipelineError};
use crate::{
    enrich::Enrich,
    event::{Event, Item},
    source::live::Live,
};

/// How often the ring buffer is looked into unasked: an attempt does not wake its reader.
const LOOK: Duration = Duration::from_millis(100);
/// How often the loss counters and the host's files are looked at, in looks.
const SLOW: u32 = 10;

/// Runs for `duration`, or until SIGTERM or SIGINT; what the probes saw until then is processed.
pub async fn follow<W: Write>(
    source: &mut Live,
    enrich: &mut Enrich,
    pipeline: &mut Pipeline<W>,
    duration: Option<Duration>,
) -> Result<(), PipelineError> {
    let mut stops = Stops::new(duration)?;
    let mut events = Vec::new();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = 0_u32;
    let mut more = false;
    loop {
        let held = source.deadline_ns().map(|deadline_ns| {
            Instant::now() + Duration::from_nanos(deadline_ns.saturating_sub(source.now_ns()))
        });
        let stop = tokio::select! {
            () = stops.wait() => true,
            _ = look.tick() => {
                looks = looks.wrapping_add(1);
                false
            }
            () = until(held) => false,
            ready = async { if more { Ok(()) } else { source.readable().await } } => {
                ready.map_err(PipelineError::Wait)?;
                false
            }
        };
        if stop {
            break;
        }
        let now_ns = source.now_ns();
        more = take(source, enrich, pipeline, &mut events, now_ns)?;
        if looks.is_multiple_of(SLOW) {
            looks = 1;
            enrich.refresh();
            report_losses(source, pipeline)?;
        }
        pipeline.flush()?;
    }
    while take(source, enrich, pipeline, &mut events, u64::MAX)? {}
    report_losses(source, pipeline)?;
    pipeline.flush()
}

/// One batch; false when the ring buffer is empty.
fn take<W: Write>(
    source: &mut Live,
    enrich: &mut Enrich,
    pipeline: &mut Pipeline<W>,
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

fn report_losses<W: Write>(
    source: &mut Live,
    pipeline: &mut Pipeline<W>,
) -> Result<(), PipelineError> {
    let losses = source.losses(source.now_ns());
    losses
        .into_iter()
        .try_for_each(|loss| pipeline.process(Item::Drop(loss)))
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Whatever ends a run.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
    end: Option<Instant>,
}

impl Stops {
    fn new(duration: Option<Duration>) -> Result<Self, PipelineError> {
        let listen = |kind| signal(kind).map_err(PipelineError::Wait);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            end: duration.and_then(|duration| Instant::now().checked_add(duration)),
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = until(self.end) => {}
        }
    }
}
