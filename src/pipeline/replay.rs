//! Running the stages over a source that waits.

use std::num::NonZero;
use std::thread;

use crossbeam_channel::never;

use crate::capture::{FrameSource, SourceEvent};
use crate::pipeline::lane::{Buffer, Outlet, lane};
use crate::pipeline::pulse::Beat;
use crate::pipeline::stage::{
    Captured, EngineStage, Finished, IngestStage, Kind, Observer, PipelineError, ingest_one, join, run_engine, run_ingest, spawn,
};

/// Batches that may wait between two threads: enough to even out their pace, few enough to stay in the cache.
const DEPTH: usize = 16;
/// Records after which a batch goes to the engine where one thread reads and ingests, four times what is read at once: each batch that is
/// handed over may wake the other thread, and most do.
const HANDED: usize = 512;
/// As [`DEPTH`], for batches of [`HANDED`] records.
const HANDED_DEPTH: usize = 4;

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
        ingest_one(&mut ingest, &mut captured, &mut ready);
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
    let (mut outlet, inlet) = lane(HANDED_DEPTH);
    thread::scope(|scope| {
        let engine = spawn(scope, "engine", move || run_engine(engine, &inlet, never(), &Beat::default()))?;
        let read = read_and_ingest(source, &mut ingest, &mut outlet, observer);
        drop(outlet);
        let engine = join(engine, "engine")?;
        read.map(|()| Finished { ingest, engine })
    })
}

/// Runs everything before the engine.
fn read_and_ingest<I: IngestStage>(
    source: &mut dyn FrameSource,
    ingest: &mut I,
    outlet: &mut Outlet<I::Batch>,
    observer: Observer<'_>,
) -> Result<(), PipelineError> {
    let mut captured = Captured::default();
    let mut ready = outlet.buffer();
    while read_one(source, &mut captured, observer)? == Reading::Captured {
        // A source that gives less than it can has a moment to tell of, such as that of a sample of the metrics.
        let is_moment = !captured.frames.is_full();
        ingest_one(ingest, &mut captured, &mut ready);
        if ready.len() >= HANDED || is_moment {
            // When the engine is gone there is no use in reading on; joining it tells why.
            if outlet.send(ready).is_err() {
                return Ok(());
            }
            ready = outlet.buffer();
        }
    }
    ingest.finish(&mut ready);
    // A failure of the engine is told by joining it.
    let _ = outlet.send(ready);
    Ok(())
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
        let engine = spawn(scope, "engine", move || run_engine(engine, &inlet, never(), &Beat::default()))?;
        let ingest = spawn(scope, "ingest", move || run_ingest(ingest, &captured, outlet, &Beat::default()))?;
        let read = read_all(source, &mut frames, observer);
        drop(frames);
        let (ingest, engine) = (join(ingest, "ingest"), join(engine, "engine"));
        read.and(Ok(Finished { ingest: ingest?, engine: engine? }))
    })
}

/// Runs everything before ingest.
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::capture::scripted::Scripted;
    use crate::capture::{CaptureError, Drops, Note};
    use crate::pipeline::fakes::{Listing, Recorder, failure, frame, seconds};
    use crate::time::Span;

    const ALL: [Threads; 3] = [Threads::One, Threads::Two, Threads::Three];

    fn source() -> Scripted {
        let early = (1..=300).fold(Scripted::new(), |source, number| source.frame(frame(number, 1), [0; 60]));
        early
            .event(SourceEvent::Dropped(Drops { kernel: 2, interface: 3 }))
            .event(SourceEvent::Note(Note::Skipped { file: "b".to_owned(), reason: "text".to_owned() }))
            .event(SourceEvent::Gap { from: seconds(1), to: seconds(9) })
            .frame(frame(301, 9), [0; 60])
            .event(SourceEvent::ClockStep { by: Span::from_secs(-5) })
            .event(SourceEvent::Idle { now: seconds(12) })
    }

    #[test]
    fn the_engine_gets_the_same_in_the_same_order_on_any_number_of_threads() {
        let mut expected: Vec<String> = (1..=300).map(|number| format!("frame {number}")).collect();
        expected.extend(["dropped 5", "gap 8 s", "frame 301", "step -5 s", "idle 1970-01-01T00:00:12.000000Z", "end"].map(str::to_owned));
        for threads in ALL {
            let finished = replay(&mut source(), Listing, Recorder::default(), threads, &|_| {}).expect("a replay");
            assert_eq!(finished.engine.seen, expected, "{threads:?}");
        }
    }

    #[test]
    fn notes_and_losses_are_told_to_the_observer() {
        for threads in ALL {
            let told = Mutex::new(Vec::new());
            let observer = |notice: crate::pipeline::stage::Notice<'_>| told.lock().expect("lock").push(format!("{notice:?}"));
            replay(&mut source(), Listing, Recorder::default(), threads, &observer).expect("a replay");
            let told = told.into_inner().expect("lock");
            assert_eq!(told.len(), 4, "{told:?}");
            assert_eq!(told[..2], ["Lost(Kernel, 2)", "Lost(Interface, 3)"]);
            assert!(told[3].starts_with("Stepped("), "{told:?}");
        }
    }

    #[test]
    fn a_source_that_fails_is_an_error() {
        for threads in ALL {
            let mut source = Scripted::new().frame(frame(1, 1), [0; 60]).error(failure());
            let result = replay(&mut source, Listing, Recorder::default(), threads, &|_| {});
            assert!(matches!(result, Err(PipelineError::Capture(CaptureError::Interface { .. }))), "{threads:?}");
        }
    }

    #[test]
    fn a_stage_that_panics_ends_the_replay_with_an_error() {
        for threads in [Threads::Two, Threads::Three] {
            let result = replay(&mut source(), Listing, Recorder::panicking(), threads, &|_| {});
            assert!(matches!(result, Err(PipelineError::Panicked { thread: "engine" })), "{threads:?}");
        }
    }
}
