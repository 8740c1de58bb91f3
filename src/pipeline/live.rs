//! Running the stages over live sources: one thread a source, frames dropped and counted where the stages cannot follow.

use std::thread;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::capture::{CaptureError, FrameSource, SourceEvent};
use crate::pipeline::lane::{Buffer, Gone, Offered, Outlet, lane};
use crate::pipeline::stage::{
    Captured, EngineStage, Finished, IngestStage, Kind, LossPlace, Notice, Observer, PipelineError, join, run_engine, run_ingest, spawn,
};
use crate::pipeline::stop::{Stop, StopHandle};
use crate::time::PacketTime;

/// Batches of frames that may wait for ingest: at most 128 frames or 1 MiB each.
const FRAMES_DEPTH: usize = 256;
/// Batches of messages that may wait for the engine.
const ENGINE_DEPTH: usize = 64;
/// The longest that a source that failed is left alone.
const LAST_RETRY: Duration = Duration::from_secs(30);

/// A source that can be opened again when it fails.
pub struct Feed {
    /// Its name, as in notices.
    pub name: String,
    /// How long it is left alone after it failed; doubled with each further failure, up to 30 s.
    pub retry: Duration,
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
        let _ends_all = EndsAll(handle);
        let engine = spawn(scope, "engine", move || {
            let _ends_all = EndsAll(handle);
            run_engine(engine, &inlet, queries)
        })?;
        let ingest = spawn(scope, "ingest", move || {
            let _ends_all = EndsAll(handle);
            run_ingest(ingest, &captured, batches)
        })?;
        let mut captures = Vec::with_capacity(sources.len());
        for (feed, source) in sources {
            let capture = CaptureThread::new(feed, frames.clone(), stop, observer);
            captures.push(spawn(scope, "capture", move || {
                let _ends_all = EndsAll(handle);
                capture.run(source);
            })?);
        }
        // The clones of the threads keep the lane open; this one would keep it open for ever.
        drop(frames);
        let captured: Result<Vec<()>, _> = captures.into_iter().map(|capture| join(capture, "capture")).collect();
        let (ingest, engine) = (join(ingest, "ingest"), join(engine, "engine"));
        captured.and(Ok(Finished { ingest: ingest?, engine: engine? }))
    })
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

impl<'a> CaptureThread<'a> {
    fn new(feed: Feed, outlet: Outlet<Captured>, stop: &'a Stop, observer: Observer<'a>) -> Self {
        Self { feed, outlet, stop, observer, lost: 0, seen: None, broken: None }
    }

    fn run(mut self, mut source: Box<dyn FrameSource>) {
        while let Ended::Failed(error) = self.capture(source.as_mut()) {
            self.broken = self.broken.or(self.seen);
            match self.reopen(error) {
                Some(reopened) => source = reopened,
                None => break,
            }
        }
        // Nobody is left to hear of it where this fails.
        let _ = self.tell_loss();
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
        let mut again = self.feed.retry;
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
        let (first, last) = captured.times().unzip();
        if let Some((from, to)) = self.broken.zip(first) {
            self.outlet.send(Captured { kind: Kind::Gap { from, to }, ..Captured::default() })?;
            self.broken = None;
        }
        self.seen = self.seen.max(last);
        match captured.kind {
            Kind::Frames => self.offer(captured),
            _ => {
                self.tell_loss()?;
                self.outlet.send(captured)
            }
        }
    }

    /// Hands frames on unless there is no room for them.
    fn offer(&mut self, captured: Captured) -> Result<(), Gone> {
        let frames = captured.len() as u64;
        // An earlier loss is told before these frames, or they are lost too.
        if self.lost > 0 {
            let loss = Captured { kind: Kind::Dropped(self.lost), ..Captured::default() };
            match self.outlet.offer(loss)? {
                Offered::Taken => self.lost = 0,
                Offered::Refused => {
                    self.outlet.keep(captured);
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

    /// Tells of what was lost, and waits for room to do so.
    fn tell_loss(&mut self) -> Result<(), Gone> {
        match std::mem::take(&mut self.lost) {
            0 => Ok(()),
            lost => self.outlet.send(Captured { kind: Kind::Dropped(lost), ..Captured::default() }),
        }
    }

    fn lose(&mut self, frames: u64) {
        self.lost += frames;
        (self.observer)(Notice::Lost(LossPlace::Queue, frames));
    }
}

impl Captured {
    /// The first and the last time it tells of.
    fn times(&self) -> Option<(PacketTime, PacketTime)> {
        match (self.kind, self.frames.headers()) {
            (Kind::Frames, [first, .., last]) => Some((first.time, last.time)),
            (Kind::Frames, [only]) => Some((only.time, only.time)),
            (Kind::Idle(now), _) => Some((now, now)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use crossbeam_channel::{bounded, never};

    use super::*;
    use crate::capture::scripted::Scripted;
    use crate::decode::frame::FrameBatch;
    use crate::pipeline::fakes::{Listing, Recorder, failure, frame, seconds};
    use crate::pipeline::lane::Inlet;
    use crate::pipeline::stage::ingest_one;
    use crate::pipeline::stop::stop;

    type Opened = Result<Box<dyn FrameSource>, CaptureError>;

    /// A feed that opens these one after the other.
    fn feed(opened: impl IntoIterator<Item = Opened>) -> Feed {
        let mut opened: Vec<_> = opened.into_iter().collect();
        opened.reverse();
        let open = Box::new(move || opened.pop().unwrap_or_else(|| Err(failure())));
        Feed { name: "eth0".to_owned(), retry: Duration::ZERO, open }
    }

    fn scripted(source: Scripted) -> Opened {
        Ok(Box::new(source))
    }

    #[test]
    fn a_source_that_fails_is_opened_again_and_leaves_a_gap() {
        let before = Scripted::new().frame(frame(1, 10), [0]).event(SourceEvent::Idle { now: seconds(11) }).error(failure());
        let after = Scripted::new().frame(frame(2, 40), [0]);
        let feed = feed([scripted(before), Err(failure()), scripted(after)]);
        let (handle, stop) = stop();
        let told = Mutex::new(Vec::new());
        let observer = |notice: Notice<'_>| {
            told.lock().expect("lock").push(match notice {
                Notice::Failed { .. } => "failed",
                Notice::Recovered { .. } => "recovered",
                _ => "other",
            });
        };
        let finished = run(vec![feed], Listing, Recorder::default(), never(), &stop, &handle, &observer).expect("a run");
        assert_eq!(finished.engine.seen, ["frame 1", "idle 1970-01-01T00:00:11.000000Z", "gap 29.0s", "frame 2", "end"]);
        assert_eq!(told.into_inner().expect("lock"), ["failed", "failed", "recovered"]);
    }

    #[test]
    fn a_source_that_cannot_be_opened_at_first_is_an_error() {
        let (handle, stop) = stop();
        let result = run(vec![feed([Err(failure())])], Listing, Recorder::default(), never(), &stop, &handle, &|_| {});
        assert!(matches!(result, Err(PipelineError::Capture(_))));
    }

    #[test]
    fn an_engine_that_panics_ends_all_threads() {
        let (handle, stop) = stop();
        let endless = Box::new(Endless);
        let result = run(vec![feed([Ok(endless as _)])], Listing, Recorder::panicking(), never(), &stop, &handle, &|_| {});
        assert!(matches!(result, Err(PipelineError::Panicked { thread: "engine" })));
    }

    #[test]
    fn queries_are_answered_while_no_frame_comes() {
        let (ask, queries) = bounded::<Box<dyn FnOnce(&Recorder) + Send>>(1);
        let (answer, answered) = bounded(1);
        ask.send(Box::new(move |engine| answer.send(engine.seen.len()).expect("someone waits"))).expect("room");
        drop(ask);
        let (handle, stop) = stop();
        let source = Ok(Box::new(Waiting(answered)) as Box<dyn FrameSource>);
        run(vec![feed([source])], Listing, Recorder::default(), queries, &stop, &handle, &|_| {}).expect("a run");
    }

    #[test]
    fn frames_that_find_no_room_are_counted_and_the_loss_is_told_in_its_place() {
        let (outlet, inlet) = lane(2);
        let (_handle, stop) = stop();
        let lost = Mutex::new(0);
        let observer = |notice: Notice<'_>| {
            if let Notice::Lost(LossPlace::Queue, count) = notice {
                *lost.lock().expect("lock") += count;
            }
        };
        let mut capture = CaptureThread::new(feed([]), outlet, &stop, &observer);
        let mut send = |number| assert!(capture.hand_on(captured(number)).is_ok());
        (1..=4).for_each(&mut send);
        assert_eq!(received(&inlet, 2), ["frame 1", "frame 2"]);
        send(5);
        assert_eq!(received(&inlet, 2), ["dropped 2", "frame 5"]);
        assert_eq!(*lost.lock().expect("lock"), 2);
    }

    #[test]
    fn a_loss_is_told_even_when_no_frame_follows() {
        let (outlet, inlet) = lane(1);
        let (_handle, stop) = stop();
        let mut capture = CaptureThread::new(feed([]), outlet, &stop, &|_| {});
        for number in 1..=3 {
            assert!(capture.hand_on(captured(number)).is_ok());
        }
        assert_eq!(received(&inlet, 1), ["frame 1"]);
        capture.run(Box::new(Scripted::new()));
        assert_eq!(received(&inlet, 1), ["dropped 2"]);
    }

    #[test]
    fn what_was_captured_before_the_end_was_asked_for_is_handled() {
        let (handle, stop) = stop();
        handle.stop();
        let endless = Ok(Box::new(Endless) as Box<dyn FrameSource>);
        let finished = run(vec![feed([endless])], Listing, Recorder::default(), never(), &stop, &handle, &|_| {}).expect("a run");
        assert_eq!(finished.engine.seen, ["end"]);
    }

    fn captured(number: u64) -> Captured {
        let mut captured = Captured::default();
        captured.frames.push(frame(number, 1), &[0]);
        captured
    }

    fn received(inlet: &Inlet<Captured>, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for mut captured in (0..count).filter_map(|_| inlet.recv()) {
            ingest_one(&mut Listing, &mut captured, &mut lines);
        }
        lines
    }

    /// Has a frame whenever it is asked.
    struct Endless;

    impl FrameSource for Endless {
        fn fill(&mut self, batch: &mut FrameBatch) -> Result<SourceEvent, CaptureError> {
            batch.push(frame(1, 1), &[0]);
            Ok(SourceEvent::Frames)
        }
    }

    /// Ends when it hears of something.
    struct Waiting(Receiver<usize>);

    impl FrameSource for Waiting {
        fn fill(&mut self, _: &mut FrameBatch) -> Result<SourceEvent, CaptureError> {
            self.0.recv().expect("an answer");
            Ok(SourceEvent::End)
        }
    }
}
