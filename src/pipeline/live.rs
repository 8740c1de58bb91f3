//! Running the stages over live sources: one thread a source, frames dropped and counted where the stages cannot follow.

use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::capture::{CaptureError, FrameSource, SourceEvent};
use crate::pipeline::lane::{Buffer, Gone, Offered, Outlet, lane};
use crate::pipeline::stage::{
    Captured, EngineStage, Finished, IngestStage, Kind, LossPlace, Notice, Observer, PipelineError, run_engine, run_ingest,
};
use crate::pipeline::stop::{Stop, StopHandle};
use crate::time::PacketTime;

/// Batches of frames that may wait for ingest: at most 128 frames or 1 MiB each.
const FRAMES_DEPTH: usize = 256;
/// Batches of messages that may wait for the engine.
const ENGINE_DEPTH: usize = 64;
/// How long a source that failed is left alone; doubled with each further failure.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest that it is left alone.
const LAST_RETRY: Duration = Duration::from_secs(30);

/// A source that can be opened again when it fails.
pub struct Feed {
    /// Its name, as in notices.
    pub name: String,
    /// How it is opened.
    pub open: Box<dyn FnMut() -> Result<Box<dyn FrameSource>, CaptureError> + Send>,
}

/// Runs until the end is asked for and returns the stages, which have then handled all that was captured.
///
/// The first failure to open a source is an error; later ones are told and tried again, and ingest learns of the gap.
///
/// # Errors
///
/// When a source cannot be opened at first, or a thread fails. Then all other threads are ended, so that no half of a daemon stays.
pub fn run<I, E>(
    feeds: Vec<Feed>,
    ingest: I,
    engine: E,
    queries: Receiver<E::Query>,
    stop: &Stop,
    handle: &StopHandle,
    observer: Observer<'_>,
) -> Result<Finished<I, E>, PipelineError>
where
    I: IngestStage,
    E: EngineStage<Batch = I::Batch>,
{
    let mut sources = Vec::with_capacity(feeds.len());
    for mut feed in feeds {
        let source = (feed.open)()?;
        sources.push((feed, source));
    }
    let (frames, captured) = lane(FRAMES_DEPTH);
    let (batches, inlet) = lane(ENGINE_DEPTH);
    thread::scope(|scope| {
        let engine = scope.spawn(move || {
            let _ends_all = EndsAll(handle);
            run_engine(engine, &inlet, queries)
        });
        let ingest = scope.spawn(move || {
            let _ends_all = EndsAll(handle);
            run_ingest(ingest, &captured, batches)
        });
        let captures: Vec<_> = sources
            .into_iter()
            .map(|(feed, source)| {
                let capture = CaptureThread { feed, outlet: frames.clone(), stop, observer, lost: 0, seen: None, broken: None };
                scope.spawn(move || {
                    let _ends_all = EndsAll(handle);
                    capture.run(source);
                })
            })
            .collect();
        // The clones of the threads keep the lane open; this one would keep it open for ever.
        drop(frames);
        let captured: Result<Vec<()>, _> = captures.into_iter().map(|capture| join(capture, "capture")).collect();
        let ingest = join(ingest, "ingest");
        let engine = join(engine, "engine");
        captured.and(Ok(Finished { ingest: ingest?, engine: engine? }))
    })
}

fn join<T>(thread: ScopedJoinHandle<'_, T>, name: &'static str) -> Result<T, PipelineError> {
    thread.join().map_err(|_| PipelineError::Panicked { thread: name })
}

/// Ends the whole pipeline when a thread of it ends, for whatever reason.
struct EndsAll<'a>(&'a StopHandle);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What captures from one source, reopening it when it fails.
struct CaptureThread<'a> {
    feed: Feed,
    outlet: Outlet<Captured>,
    stop: &'a Stop,
    observer: Observer<'a>,
    /// Frames lost for lack of room since ingest was last told.
    lost: u64,
    /// Up to when everything was seen.
    seen: Option<PacketTime>,
    /// Since when a failed source has seen nothing.
    broken: Option<PacketTime>,
}

/// Why a source is no longer read.
enum Ended {
    /// It failed.
    Failed(CaptureError),
    /// The end was asked for, or nobody takes its frames.
    Done,
}

impl CaptureThread<'_> {
    fn run(mut self, mut source: Box<dyn FrameSource>) {
        while let Ended::Failed(error) = self.capture(source.as_mut()) {
            self.broken = self.broken.or(self.seen);
            match self.reopen(error) {
                Some(reopened) => source = reopened,
                None => return,
            }
        }
    }

    /// Captures until the source fails or ends, or the end is asked for.
    fn capture(&mut self, source: &mut dyn FrameSource) -> Ended {
        while !self.stop.requested() {
            let mut captured = self.outlet.buffer();
            let handed_on = match source.fill(&mut captured.frames) {
                Ok(SourceEvent::End) => return Ended::Done,
                Ok(event) => match Kind::of(event, self.observer) {
                    Some(kind) => {
                        captured.kind = kind;
                        self.hand_on(captured)
                    }
                    None => Ok(()),
                },
                Err(error) => return Ended::Failed(error),
            };
            if handed_on.is_err() {
                return Ended::Done;
            }
        }
        Ended::Done
    }

    /// Tries until the source opens; `None` when the end is asked for.
    fn reopen(&mut self, mut error: CaptureError) -> Option<Box<dyn FrameSource>> {
        let mut again = FIRST_RETRY;
        loop {
            (self.observer)(Notice::Failed { source: &self.feed.name, error: &error, again });
            if self.stop.requested_within(again) {
                return None;
            }
            match (self.feed.open)() {
                Ok(source) => {
                    (self.observer)(Notice::Recovered { source: &self.feed.name });
                    return Some(source);
                }
                Err(failure) => error = failure,
            }
            again = (again * 2).min(LAST_RETRY);
        }
    }

    /// Hands on what was captured: frames only where there is room, everything else in any case.
    fn hand_on(&mut self, captured: Captured) -> Result<(), Gone> {
        let time = captured.newest();
        if let Some((from, to)) = self.broken.zip(time) {
            self.tell(Kind::Gap { from, to })?;
            self.broken = None;
        }
        self.seen = self.seen.max(time);
        match captured.kind {
            Kind::Frames => self.offer(captured),
            _ => self.outlet.send(captured),
        }
    }

    fn offer(&mut self, captured: Captured) -> Result<(), Gone> {
        let frames = captured.len() as u64;
        // The loss lies before these frames, so it is told before them or they are lost too.
        if self.lost > 0 {
            let loss = Captured { kind: Kind::Dropped(self.lost), ..Captured::default() };
            match self.outlet.offer(loss)? {
                Offered::Taken => self.lost = 0,
                Offered::Refused => {
                    self.lose(frames);
                    return Ok(());
                }
            }
        }
        if self.outlet.offer(captured)? == Offered::Refused {
            self.lose(frames);
        }
        Ok(())
    }

    fn lose(&mut self, frames: u64) {
        self.lost += frames;
        (self.observer)(Notice::Lost(LossPlace::Queue, frames));
    }

    fn tell(&mut self, kind: Kind) -> Result<(), Gone> {
        self.outlet.send(Captured { kind, ..Captured::default() })
    }
}

impl Captured {
    /// The newest time it tells of.
    fn newest(&self) -> Option<PacketTime> {
        match self.kind {
            Kind::Frames => self.frames.headers().last().map(|header| header.time),
            Kind::Idle(now) => Some(now),
            _ => None,
        }
    }
}
