//! Running the stages over a source that waits.

use std::num::NonZero;
use std::thread;

use crossbeam_channel::never;

use crate::capture::{FrameSource, SourceEvent};
use crate::pipeline::lane::{Buffer, Outlet, lane};
use crate::pipeline::stage::{
    Captured, EngineStage, Finished, IngestStage, Kind, Observer, PipelineError, ingest_one, run_engine, run_ingest,
};

/// Batches that may wait between two threads: enough to even out their pace, few enough to stay in the cache.
const DEPTH: usize = 16;

/// How the stages of a replay are spread. The result is the same whichever is chosen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Threads {
    /// All on the caller's thread.
    One,
    /// Reading and ingest on the caller's thread, the engine on its own.
    Two,
    /// Reading, ingest and engine on a thread each.
    Three,
}

impl Threads {
    /// What suits the processors this process may use.
    pub fn available() -> Self {
        match thread::available_parallelism().map_or(1, NonZero::get) {
            1 => Self::One,
            2 => Self::Two,
            _ => Self::Three,
        }
    }
}

/// Reads the source to its end and returns the stages.
///
/// # Errors
///
/// When the source fails or a stage panics.
pub fn replay<I, E>(
    source: &mut dyn FrameSource,
    ingest: I,
    engine: E,
    threads: Threads,
    observer: Observer<'_>,
) -> Result<Finished<I, E>, PipelineError>
where
    I: IngestStage,
    E: EngineStage<Batch = I::Batch>,
{
    match threads {
        Threads::One => on_one_thread(source, ingest, engine, observer),
        Threads::Two => on_two_threads(source, ingest, engine, observer),
        Threads::Three => on_three_threads(source, ingest, engine, observer),
    }
}

fn on_one_thread<I, E>(
    source: &mut dyn FrameSource,
    mut ingest: I,
    mut engine: E,
    observer: Observer<'_>,
) -> Result<Finished<I, E>, PipelineError>
where
    I: IngestStage,
    E: EngineStage<Batch = I::Batch>,
{
    let (mut captured, mut ready) = (Captured::default(), I::Batch::default());
    while read_one(source, &mut captured, observer)? == Reading::Captured {
        ingest_one(&mut ingest, &captured, &mut ready);
        captured.clear();
        engine.handle(&ready);
        ready.clear();
    }
    ingest.finish(&mut ready);
    engine.handle(&ready);
    Ok(Finished { ingest, engine })
}

fn on_two_threads<I, E>(
    source: &mut dyn FrameSource,
    mut ingest: I,
    engine: E,
    observer: Observer<'_>,
) -> Result<Finished<I, E>, PipelineError>
where
    I: IngestStage,
    E: EngineStage<Batch = I::Batch>,
{
    let (mut outlet, inlet) = lane(DEPTH);
    thread::scope(|scope| {
        let engine = scope.spawn(move || run_engine(engine, &inlet, never()));
        let read = read_and_ingest(source, &mut ingest, &mut outlet, observer);
        drop(outlet);
        let engine = engine.join().map_err(|_| PipelineError::Panicked { thread: "engine" })?;
        read.map(|()| Finished { ingest, engine })
    })
}

fn read_and_ingest<I: IngestStage>(
    source: &mut dyn FrameSource,
    ingest: &mut I,
    outlet: &mut Outlet<I::Batch>,
    observer: Observer<'_>,
) -> Result<(), PipelineError> {
    let mut captured = Captured::default();
    loop {
        let reading = read_one(source, &mut captured, observer)?;
        let mut ready = outlet.buffer();
        match reading {
            Reading::Captured => ingest_one(ingest, &captured, &mut ready),
            Reading::Ended => ingest.finish(&mut ready),
        }
        captured.clear();
        // When the engine is gone there is no use in reading on; joining it tells why.
        if outlet.send(ready).is_err() || reading == Reading::Ended {
            return Ok(());
        }
    }
}

fn on_three_threads<I, E>(
    source: &mut dyn FrameSource,
    ingest: I,
    engine: E,
    observer: Observer<'_>,
) -> Result<Finished<I, E>, PipelineError>
where
    I: IngestStage,
    E: EngineStage<Batch = I::Batch>,
{
    let (mut frames, captured) = lane(DEPTH);
    let (outlet, inlet) = lane(DEPTH);
    thread::scope(|scope| {
        let engine = scope.spawn(move || run_engine(engine, &inlet, never()));
        let ingest = scope.spawn(move || run_ingest(ingest, &captured, outlet));
        let read = read_all(source, &mut frames, observer);
        drop(frames);
        let ingest = ingest.join().map_err(|_| PipelineError::Panicked { thread: "ingest" });
        let engine = engine.join().map_err(|_| PipelineError::Panicked { thread: "engine" });
        read.and(Ok(Finished { ingest: ingest?, engine: engine? }))
    })
}

fn read_all(source: &mut dyn FrameSource, outlet: &mut Outlet<Captured>, observer: Observer<'_>) -> Result<(), PipelineError> {
    loop {
        let mut captured = outlet.buffer();
        if read_one(source, &mut captured, observer)? == Reading::Ended || outlet.send(captured).is_err() {
            return Ok(());
        }
    }
}

/// What one reading of a source brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reading {
    /// Something for ingest.
    Captured,
    /// Nothing more.
    Ended,
}

/// Reads until there is something for ingest or the source ends.
fn read_one(source: &mut dyn FrameSource, captured: &mut Captured, observer: Observer<'_>) -> Result<Reading, PipelineError> {
    loop {
        let event = source.fill(&mut captured.frames)?;
        if event == SourceEvent::End {
            return Ok(Reading::Ended);
        }
        if let Some(kind) = Kind::of(event, observer) {
            captured.kind = kind;
            return Ok(Reading::Captured);
        }
    }
}
