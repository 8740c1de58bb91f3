//! What the shell asks of the stages it runs, and how it runs them.

use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, never, select, tick};

use crate::capture::{CaptureError, Note, SourceEvent};
use crate::decode::frame::FrameBatch;
use crate::pipeline::lane::{Buffer, Inlet, Outlet, Received};
use crate::pipeline::pulse::{BEAT, Beat};
use crate::time::{PacketTime, Span};

/// Turns frames into batches of what the engine handles. Each call appends what has become ready.
pub trait IngestStage: Send {
    /// What is handed to the engine.
    type Batch: Buffer;

    /// Decodes frames, at once or when those that may still come before them have had their time.
    fn push(&mut self, frames: FrameBatch, ready: &mut Self::Batch);
    /// A batch of frames that it has done with.
    fn recycle(&mut self) -> Option<FrameBatch>;
    /// No further frame is older than `now`.
    fn tick(&mut self, now: PacketTime, ready: &mut Self::Batch);
    /// The capture lost `count` frames.
    fn dropped(&mut self, count: u64, ready: &mut Self::Batch);
    /// Nothing could be captured between `from` and `to`.
    fn gap(&mut self, from: PacketTime, to: PacketTime, ready: &mut Self::Batch);
    /// The clock that stamps the frames was set by `by`.
    fn clock_step(&mut self, by: Span, ready: &mut Self::Batch);
    /// There are no further frames: what is still held back is ready.
    fn finish(&mut self, ready: &mut Self::Batch);
}

/// Owns all state: handles batches in order and answers queries between them.
pub trait EngineStage: Send {
    /// What ingest hands over.
    type Batch: Buffer;
    /// A question with the means to answer it, such as a boxed closure.
    type Query: Send;

    /// Handles one batch.
    fn handle(&mut self, batch: &Self::Batch);
    /// Answers a query; must not wait for whoever asked.
    fn answer(&mut self, query: Self::Query);
    /// Nothing was handed over for a [`BEAT`], as while an interface is down.
    fn idle(&mut self) {}
    /// A live capture is over, whatever ended it: nothing further is handed over.
    fn end(&mut self) {}
}

/// The stages after the last batch, with all they counted and concluded.
#[derive(Debug)]
pub struct Finished<I, E> {
    /// Ingest.
    pub ingest: I,
    /// The engine.
    pub engine: E,
}

/// Why a pipeline ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A source failed for good.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A source must be opened anew, and the process has given up the right to.
    #[error("capturing on {name} must be begun anew, and the right to do so was given up when siphound started")]
    MustRestart {
        /// Its name.
        name: String,
    },
    /// A thread panicked; its message went to stderr.
    #[error("the {thread} thread failed")]
    Panicked {
        /// Which one.
        thread: &'static str,
    },
    /// A thread could not be started.
    #[error("the {thread} thread could not be started: {source}")]
    Spawn {
        /// Which one.
        thread: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Where frames were lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LossPlace {
    /// In the kernel's buffer.
    Kernel,
    /// In the network interface.
    Interface,
    /// Between capture and ingest.
    Queue,
}

impl LossPlace {
    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Interface => "interface",
            Self::Queue => "queue",
        }
    }
}

/// What a person or a counter should know of while the pipeline runs.
#[derive(Debug)]
pub enum Notice<'a> {
    /// An input could not be read as a whole.
    Note(&'a Note),
    /// Frames were lost.
    Lost(LossPlace, u64),
    /// A source failed; it is opened again after `again`.
    Failed {
        /// Its name.
        source: &'a str,
        /// What happened.
        error: &'a CaptureError,
        /// How long until the next attempt.
        again: Duration,
    },
    /// The clock that stamps the frames was set by so much.
    Stepped(Span),
    /// A source that had failed captures again.
    Recovered {
        /// Its name.
        source: &'a str,
    },
}

/// Is told of notices, from whichever thread they arise on; must not block.
pub type Observer<'a> = &'a (dyn Fn(Notice<'_>) + Sync);

/// What is on the way from a source to ingest.
#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) kind: Kind,
    /// Holds frames with [`Kind::Frames`] only.
    pub(super) frames: FrameBatch,
}

/// What a [`Captured`] tells.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Kind {
    #[default]
    Frames,
    Idle(PacketTime),
    Dropped(u64),
    Gap {
        from: PacketTime,
        to: PacketTime,
    },
    ClockStep(Span),
}

impl Kind {
    /// What a source's event means for ingest, if anything. What it means for people is told to the observer.
    pub(super) fn of(event: SourceEvent, observer: Observer<'_>) -> Option<Self> {
        Some(match event {
            SourceEvent::Frames => Self::Frames,
            SourceEvent::Idle { now } => Self::Idle(now),
            SourceEvent::Gap { from, to } => Self::Gap { from, to },
            SourceEvent::ClockStep { by } => {
                observer(Notice::Stepped(by));
                Self::ClockStep(by)
            }
            SourceEvent::Dropped(drops) => {
                for (place, count) in [(LossPlace::Kernel, drops.kernel), (LossPlace::Interface, drops.interface)] {
                    if count > 0 {
                        observer(Notice::Lost(place, count));
                    }
                }
                Self::Dropped(drops.total())
            }
            SourceEvent::Note(note) => {
                observer(Notice::Note(&note));
                return None;
            }
            SourceEvent::End => return None,
        })
    }
}

impl Buffer for Captured {
    fn clear(&mut self) {
        self.kind = Kind::Frames;
        self.frames.clear();
    }

    fn len(&self) -> usize {
        match self.kind {
            Kind::Frames => self.frames.len(),
            _ => 1,
        }
    }
}

/// Starts a named thread of a pipeline.
pub(super) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    thread: &'static str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, PipelineError> {
    Builder::new().name(thread.to_owned()).spawn_scoped(scope, work).map_err(|source| PipelineError::Spawn { thread, source })
}

/// Waits for a thread of a pipeline to end.
pub(super) fn join<T>(handle: ScopedJoinHandle<'_, T>, thread: &'static str) -> Result<T, PipelineError> {
    handle.join().map_err(|_| PipelineError::Panicked { thread })
}

/// Has ingest take one step and leaves the buffer empty.
pub(super) fn ingest_one<I: IngestStage>(ingest: &mut I, captured: &mut Captured, ready: &mut I::Batch) {
    match captured.kind {
        Kind::Frames => {
            ingest.push(std::mem::take(&mut captured.frames), ready);
            captured.frames = ingest.recycle().unwrap_or_default();
        }
        Kind::Idle(now) => ingest.tick(now, ready),
        Kind::Dropped(count) => ingest.dropped(count, ready),
        Kind::Gap { from, to } => ingest.gap(from, to, ready),
        Kind::ClockStep(by) => ingest.clock_step(by, ready),
    }
    captured.clear();
}

/// Runs ingest until its sources end, or the engine does.
pub(super) fn run_ingest<I: IngestStage>(mut ingest: I, captured: &Inlet<Captured>, mut engine: Outlet<I::Batch>, beat: &Beat) -> I {
    loop {
        beat.beat();
        let mut item = match captured.recv_within(BEAT) {
            Received::Full(item) => item,
            Received::Nothing => continue,
            Received::End => break,
        };
        let mut ready = engine.buffer();
        ingest_one(&mut ingest, &mut item, &mut ready);
        captured.give_back(item);
        if engine.send(ready).is_err() {
            return ingest;
        }
    }
    let mut ready = engine.buffer();
    ingest.finish(&mut ready);
    // Without an engine nobody is left to hear of the rest; its failure is reported by whoever joins it.
    let _ = engine.send(ready);
    ingest
}

/// Runs the engine until ingest ends.
pub(super) fn run_engine<E: EngineStage>(mut engine: E, batches: &Inlet<E::Batch>, mut queries: Receiver<E::Query>, beat: &Beat) -> E {
    // A default arm would never run while queries come more often than it is due.
    let ticks = tick(BEAT);
    let mut is_idle = false;
    loop {
        beat.beat();
        select! {
            recv(batches.full()) -> batch => match batch {
                Ok(batch) => {
                    is_idle = false;
                    engine.handle(&batch);
                    batches.give_back(batch);
                }
                Err(_) => return engine,
            },
            recv(queries) -> query => match query {
                Ok(query) => engine.answer(query),
                // Nobody is left to ask.
                Err(_) => queries = never(),
            },
            recv(ticks) -> _ => {
                if std::mem::replace(&mut is_idle, true) {
                    engine.idle();
                }
            }
        }
    }
}
