//! A source that hands out its frames one by one, at the pace of the person who watches, until that person has seen enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::capture::{CaptureError, FrameSource, SourceEvent};
use crate::decode::frame::FrameBatch;
use crate::time::{PacketTime, Span};

/// While no frame comes, time passes in steps of this length, so that what is due shows in time.
const STEP: Span = Span::from_secs(1);

/// Ends a source from outside.
#[derive(Clone, Debug, Default)]
pub struct Enough(Arc<AtomicBool>);

impl Enough {
    /// No further frame is wanted.
    pub fn say(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How fast packet time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as possible.
    Unbound,
    /// So many times as fast as it did; more than zero.
    Times(f64),
}

/// The frames of a source, one at a time.
#[derive(Debug)]
pub struct Paced<S> {
    source: S,
    pace: Pace,
    enough: Enough,
    waiting: FrameBatch,
    next: usize,
    now: Option<PacketTime>,
}

impl<S: FrameSource> Paced<S> {
    /// The frames of `source`, from `start` on at `pace` and before as fast as possible, until `enough` is said.
    pub fn new(source: S, start: Option<PacketTime>, pace: Pace, enough: Enough) -> Self {
        Self { source, pace, enough, waiting: FrameBatch::default(), next: 0, now: start }
    }

    /// Waits until the frame of `time` is due; tells of a moment before that where it is far off.
    fn wait(&mut self, time: PacketTime) -> Option<PacketTime> {
        let Pace::Times(factor) = self.pace else { return None };
        let now = *self.now.get_or_insert(time);
        let left = time.since(now);
        let passes = left.min(STEP);
        if passes > Span::ZERO {
            thread::sleep(Duration::try_from_secs_f64(passes.as_secs_f64() / factor).unwrap_or_default());
            self.now = Some(now + passes);
        }
        (left > STEP).then_some(now + passes)
    }
}

impl<S: FrameSource> FrameSource for Paced<S> {
    fn fill(&mut self, batch: &mut FrameBatch) -> Result<SourceEvent, CaptureError> {
        if self.enough.0.load(Ordering::Relaxed) {
            return Ok(SourceEvent::End);
        }
        if self.next == self.waiting.len() {
            self.waiting.clear();
            self.next = 0;
            match self.source.fill(&mut self.waiting)? {
                SourceEvent::Frames => {}
                event => return Ok(event),
            }
        }
        let Some(header) = self.waiting.headers().get(self.next).copied() else { return Ok(SourceEvent::End) };
        if let Some(now) = self.wait(header.time) {
            return Ok(SourceEvent::Idle { now });
        }
        batch.push(header, self.waiting.bytes_of(&header));
        self.next += 1;
        Ok(SourceEvent::Frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::scripted::Scripted;
    use crate::pipeline::fakes::{frame, seconds};

    fn told(pace: Pace, enough_after: usize) -> Vec<String> {
        let source = [1, 2, 5].into_iter().fold(Scripted::new(), |source, second| source.frame(frame(second, second as i64), [0; 60]));
        let enough = Enough::default();
        let mut paced = Paced::new(source, Some(seconds(2)), pace, enough.clone());
        let (mut told, mut batch) = (Vec::new(), FrameBatch::default());
        loop {
            match paced.fill(&mut batch).expect("a scripted source") {
                SourceEvent::Frames => told.extend(batch.headers().iter().map(|header| format!("frame {}", header.number))),
                SourceEvent::Idle { now } => told.push(format!("idle {}", now.since(seconds(0)).as_secs())),
                _ => return told,
            }
            batch.clear();
            if told.len() == enough_after {
                enough.say();
            }
        }
    }

    #[test]
    fn frames_come_one_by_one_and_silence_passes_in_steps() {
        assert_eq!(told(Pace::Unbound, 9), ["frame 1", "frame 2", "frame 5"]);
        assert_eq!(told(Pace::Times(1e6), 9), ["frame 1", "frame 2", "idle 3", "idle 4", "frame 5"]);
    }

    #[test]
    fn it_ends_when_enough_was_seen() {
        assert_eq!(told(Pace::Unbound, 1), ["frame 1"]);
    }
}
