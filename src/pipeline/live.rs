//! Running the stages over live sources: one thread a source, frames dropped and counted where the stages cannot follow.

use std::thread;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::capture::{CaptureError, FrameSource, SourceEvent};
use crate::pipeline::lane::{Buffer, Gone, Offered, Outlet, lane};
use crate::pipeline::pulse::{BEAT, Beat, Pulse};
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
const LAST_RETRY: Duration = Duration::from_secs(10);

/// A source that can be opened again when it fails.
pub struct Feed {
    /// Its name, as in notices.
    pub name: String,
    /// How long it is left alone after it failed; doubled with each further failure, up to 10 s.
    pub retry: Duration,
    /// How it is opened.
    pub open: Box<dyn FnMut() -> Result<Box<dyn FrameSource>, CaptureError> + Send>,
}

/// A feed whose source is open.
pub struct Opened {
    feed: Feed,
    source: Box<dyn FrameSource>,
}

/// Opens all feeds. The kernel keeps what comes until they are read, as far as its buffer reaches.
///
/// # Errors
///
/// When one cannot be opened.
pub fn open(feeds: Vec<Feed>) -> Result<Vec<Opened>, CaptureError> {
    let open = |mut feed: Feed| Ok(Opened { source: (feed.open)()?, feed });
    feeds.into_iter().map(open).collect()
}

/// How a pipeline is ended and heard.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// What its threads look at to learn whether they should end.
    pub stop: &'a Stop,
    /// What ends all of them when one ends.
    pub handle: &'a StopHandle,
    /// What each of them beats with.
    pub pulse: &'a Pulse,
    /// Who is told of notices.
    pub observer: Observer<'a>,
}

/// Runs until the end is asked for and returns the stages, which have then handled all that was captured.
///
/// A source that fails is told of and tried again, and ingest learns of the gap.
///
/// # Errors
///
/// When a source cannot be opened again for lack of permission, or a thread fails. Then all other threads are ended in order, so that no
/// half of a daemon stays.
pub fn run<I, E>(
    opened: Vec<Opened>,
    ingest: I,
    engine: E,
    queries: Receiver<E::Query>,
    control: Control<'_>,
) -> Result<Finished<I, E>, PipelineError>
where
    I: IngestStage,
    E: EngineStage<Batch = I::Batch>,
{
    let Control { handle, pulse, .. } = control;
    let (frames, captured) = lane(FRAMES_DEPTH);
    let (batches, inlet) = lane(ENGINE_DEPTH);
    thread::scope(|scope| {
        let _ends_all = EndsAll(handle);
        let beat = pulse.register("engine");
        let engine = spawn(scope, "engine", move || {
            let _ends_all = EndsAll(handle);
            let mut engine = run_engine(engine, &inlet, queries, &beat);
            // Here and not with the caller, who gets no engine back when another thread failed.
            engine.end();
            engine
        })?;
        let beat = pulse.register("ingest");
        let ingest = spawn(scope, "ingest", move || {
            let _ends_all = EndsAll(handle);
            run_ingest(ingest, &captured, batches, &beat)
        })?;
        let mut captures = Vec::with_capacity(opened.len());
        for Opened { feed, source } in opened {
            let capture = CaptureThread::new(feed, frames.clone(), control);
            captures.push(spawn(scope, "capture", move || {
                let _ends_all = EndsAll(handle);
                capture.run(source)
            })?);
        }
        // The clones of the threads keep the lane open; this one would keep it open for ever.
        drop(frames);
        // All are waited for, whatever the first of them says.
        let captured: Vec<_> = captures.into_iter().map(|capture| join(capture, "capture").flatten()).collect();
        let (ingest, engine) = (join(ingest, "ingest"), join(engine, "engine"));
        captured.into_iter().collect::<Result<Vec<()>, _>>().and(Ok(Finished { ingest: ingest?, engine: engine? }))
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
    beat: Beat,
    /// Whether the interface is down, which has been told.
    down: bool,
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
    fn new(feed: Feed, outlet: Outlet<Captured>, control: Control<'a>) -> Self {
        let Control { stop, observer, pulse, .. } = control;
        let beat = pulse.register(format!("capture on {}", feed.name));
        Self { feed, outlet, stop, observer, beat, down: false, lost: 0, seen: None, broken: None }
    }

    fn run(mut self, mut source: Box<dyn FrameSource>) -> Result<(), PipelineError> {
        let ended = loop {
            let Ended::Failed(error) = self.capture(source.as_mut()) else { break Ok(()) };
            self.broken = self.broken.or(self.seen);
            match self.reopen(error) {
                Ok(Some(reopened)) => source = reopened,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // Nobody is left to hear of it where this fails.
        let _ = self.tell_loss();
        ended
    }

    /// Captures until the source fails or ends, or the end is asked for.
    fn capture(&mut self, source: &mut dyn FrameSource) -> Ended {
        while !self.stop.requested() {
            self.beat.beat();
            let mut captured = self.outlet.buffer();
            let filled = source.fill(&mut captured.frames);
            self.note(&filled);
            let handed_on = match filled {
                Ok(SourceEvent::End) => return Ended::Done,
                Ok(event) => match Kind::of(event, self.observer) {
                    Some(kind) => {
                        captured.kind = kind;
                        self.hand_on(captured)
                    }
                    None => Ok(()),
                },
                Err(error) if error.is_passing() => match self.rest(self.feed.retry) {
                    true => return Ended::Done,
                    false => Ok(()),
                },
                Err(error) => return Ended::Failed(error),
            };
            if handed_on.is_err() {
                return Ended::Done;
            }
        }
        Ended::Done
    }

    /// Tells once that an interface went down, and once that it came up again.
    fn note(&mut self, filled: &Result<SourceEvent, CaptureError>) {
        match filled {
            Err(error) if error.is_passing() => {
                self.broken = self.broken.or(self.seen);
                if !std::mem::replace(&mut self.down, true) {
                    (self.observer)(Notice::Failed { source: &self.feed.name, error, again: self.feed.retry });
                }
            }
            // That it has gone is told in its own words.
            Err(_) => self.down = false,
            Ok(_) => {
                if std::mem::take(&mut self.down) {
                    (self.observer)(Notice::Recovered { source: &self.feed.name });
                }
            }
        }
    }

    /// Tries until the source opens; `None` when the end is asked for.
    fn reopen(&mut self, mut error: CaptureError) -> Result<Option<Box<dyn FrameSource>>, PipelineError> {
        let mut again = self.feed.retry;
        loop {
            (self.observer)(Notice::Failed { source: &self.feed.name, error: &error, again });
            if self.rest(again) {
                return Ok(None);
            }
            match (self.feed.open)() {
                Ok(source) => {
                    (self.observer)(Notice::Recovered { source: &self.feed.name });
                    return Ok(Some(source));
                }
                // The interface is there again. Whoever starts siphound anew gives it the right that it gave up.
                Err(CaptureError::NoPermission { name, .. }) => return Err(PipelineError::MustRestart { name }),
                Err(failure) => error = failure,
            }
            again = (again * 2).min(LAST_RETRY);
        }
    }

    /// Waits, and beats meanwhile; says whether the end was asked for.
    fn rest(&self, time: Duration) -> bool {
        let mut left = time;
        loop {
            self.beat.beat();
            let part = left.min(BEAT);
            if self.stop.requested_within(part) {
                return true;
            }
            left -= part;
            if left.is_zero() {
                return false;
            }
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
    use std::sync::{Arc, Mutex};

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
        let told = Told::default();
        let finished = shell(vec![feed], Recorder::default(), never(), &|notice| told.note(&notice)).expect("a run");
        assert_eq!(finished.engine.seen, ["frame 1", "idle 1970-01-01T00:00:11.000000Z", "gap 29 s", "frame 2", "end"]);
        assert_eq!(told.all(), ["failed", "failed", "recovered"]);
    }

    #[test]
    fn a_source_that_is_only_down_stays_open_and_leaves_a_gap() {
        let down = || CaptureError::Down { name: "eth0".to_owned() };
        let source = Scripted::new().frame(frame(1, 10), [0]).error(down()).error(down()).frame(frame(2, 40), [0]);
        let told = Told::default();
        let finished = shell(vec![feed([scripted(source)])], Recorder::default(), never(), &|notice| told.note(&notice)).expect("a run");
        assert_eq!(finished.engine.seen, ["frame 1", "gap 30 s", "frame 2", "end"]);
        assert_eq!(told.all(), ["failed", "recovered"]);
    }

    #[test]
    fn a_source_that_may_not_be_opened_again_ends_all_in_order() {
        let source = Scripted::new().frame(frame(1, 10), [0]).error(failure());
        let forbidden = CaptureError::NoPermission { name: "eth0".to_owned(), program: "siphound".to_owned() };
        let (handle, stop) = stop();
        let pulse = Pulse::default();
        let ended = Arc::new(Mutex::new(Vec::new()));
        let engine = Recorder::sharing(Arc::clone(&ended));
        let opened = open(vec![feed([scripted(source), Err(failure()), Err(forbidden)])]).expect("open");
        let control = Control { stop: &stop, handle: &handle, pulse: &pulse, observer: &|_| {} };
        let result = run(opened, Listing, engine, never(), control);
        assert!(matches!(result, Err(PipelineError::MustRestart { name }) if name == "eth0"));
        assert_eq!(*ended.lock().expect("lock"), ["frame 1", "end", "over"], "what was captured is handled and settled all the same");
    }

    #[test]
    fn a_source_that_cannot_be_opened_at_first_is_an_error() {
        assert!(matches!(open(vec![feed([Err(failure())])]), Err(CaptureError::Interface { .. })));
    }

    /// The watchdog is told only what this says.
    #[test]
    fn an_engine_that_is_stuck_does_not_beat() {
        let (handle, stop) = stop();
        let pulse = Pulse::default();
        let (release, stuck) = bounded::<()>(0);
        let (ask, queries) = bounded::<Box<dyn FnOnce(&Recorder) + Send>>(1);
        let (began, begun) = bounded(1);
        ask.send(Box::new(move |_| {
            began.send(()).expect("someone waits");
            let _ = stuck.recv();
        }))
        .expect("room");
        thread::scope(|scope| {
            let opened = open(vec![feed([Ok(Box::new(Silent) as Box<dyn FrameSource>)])]).expect("open");
            let control = Control { stop: &stop, handle: &handle, pulse: &pulse, observer: &|_| {} };
            let running = scope.spawn(move || run(opened, Listing, Recorder::default(), queries, control));
            begun.recv().expect("the engine is asked");
            let engine = "engine".to_owned();
            pulse.stalled();
            assert!(pulse.stalled().contains(&engine), "it does nothing between two looks");
            drop(release);
            while pulse.stalled().contains(&engine) {
                thread::yield_now();
            }
            handle.stop();
            running.join().expect("the pipeline").expect("a run");
        });
    }

    #[test]
    fn an_engine_that_panics_ends_all_threads() {
        let endless = Box::new(Endless);
        let result = shell(vec![feed([Ok(endless as _)])], Recorder::panicking(), never(), &|_| {});
        assert!(matches!(result, Err(PipelineError::Panicked { thread: "engine" })));
    }

    #[test]
    fn queries_are_answered_while_no_frame_comes() {
        let (ask, queries) = bounded::<Box<dyn FnOnce(&Recorder) + Send>>(1);
        let (answer, answered) = bounded(1);
        ask.send(Box::new(move |engine| answer.send(engine.seen.len()).expect("someone waits"))).expect("room");
        drop(ask);
        let source = Ok(Box::new(Waiting(answered)) as Box<dyn FrameSource>);
        shell(vec![feed([source])], Recorder::default(), queries, &|_| {}).expect("a run");
    }

    #[test]
    fn frames_that_find_no_room_are_counted_and_the_loss_is_told_in_its_place() {
        let (outlet, inlet) = lane(2);
        let lost = Mutex::new(0);
        let observer = |notice: Notice<'_>| {
            if let Notice::Lost(LossPlace::Queue, count) = notice {
                *lost.lock().expect("lock") += count;
            }
        };
        let (handle, stop) = stop();
        let pulse = Pulse::default();
        let control = Control { stop: &stop, handle: &handle, pulse: &pulse, observer: &observer };
        let mut capture = CaptureThread::new(feed([]), outlet, control);
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
        let (handle, stop) = stop();
        let pulse = Pulse::default();
        let control = Control { stop: &stop, handle: &handle, pulse: &pulse, observer: &|_| {} };
        let mut capture = CaptureThread::new(feed([]), outlet, control);
        for number in 1..=3 {
            assert!(capture.hand_on(captured(number)).is_ok());
        }
        assert_eq!(received(&inlet, 1), ["frame 1"]);
        capture.run(Box::new(Scripted::new())).expect("a source that ends");
        assert_eq!(received(&inlet, 1), ["dropped 2"]);
    }

    #[test]
    fn what_was_captured_before_the_end_was_asked_for_is_handled() {
        let (handle, stop) = stop();
        handle.stop();
        let endless = Ok(Box::new(Endless) as Box<dyn FrameSource>);
        let opened = open(vec![feed([endless])]).expect("open");
        let pulse = Pulse::default();
        let control = Control { stop: &stop, handle: &handle, pulse: &pulse, observer: &|_| {} };
        let finished = run(opened, Listing, Recorder::default(), never(), control).expect("a run");
        assert_eq!(finished.engine.seen, ["end"]);
    }

    /// Runs feeds that end by themselves.
    fn shell<'a>(
        feeds: Vec<Feed>,
        engine: Recorder,
        queries: Receiver<<Recorder as EngineStage>::Query>,
        observer: Observer<'a>,
    ) -> Result<Finished<Listing, Recorder>, PipelineError> {
        let (handle, stop) = stop();
        let pulse = Pulse::default();
        run(open(feeds)?, Listing, engine, queries, Control { stop: &stop, handle: &handle, pulse: &pulse, observer })
    }

    /// The notices there were.
    #[derive(Default)]
    struct Told(Mutex<Vec<&'static str>>);

    impl Told {
        fn note(&self, notice: &Notice<'_>) {
            self.0.lock().expect("lock").push(match notice {
                Notice::Failed { .. } => "failed",
                Notice::Recovered { .. } => "recovered",
                _ => "other",
            });
        }

        fn all(self) -> Vec<&'static str> {
            self.0.into_inner().expect("lock")
        }
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

    /// Has nothing to tell but that.
    struct Silent;

    impl FrameSource for Silent {
        fn fill(&mut self, _: &mut FrameBatch) -> Result<SourceEvent, CaptureError> {
            thread::yield_now();
            Ok(SourceEvent::Idle { now: seconds(1) })
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
