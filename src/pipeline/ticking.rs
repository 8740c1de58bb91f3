//! A source that also says when time has passed, at the same moments of every capture.

use crate::capture::{CaptureError, FrameSource, SourceEvent};
use crate::decode::frame::FrameBatch;
use crate::time::{PacketTime, Span};

/// A silence for longer is a hole in the capture (DETECTION §13): of what may have happened in it no moment is told.
const LONGEST_SILENCE: Span = Span::from_secs(600);
/// Frames further back than this do not only come out of order: the clock was set (DETECTION §13).
const OUT_OF_ORDER: Span = Span::from_secs(2);

/// The frames of a source, and between them the multiples of `step` that lie there. There is none before the first frame or after the
/// last one, in a gap between two files, or late in a long silence.
#[derive(Debug)]
pub struct Ticking<S> {
    source: S,
    step: Span,
    waiting: FrameBatch,
    next: usize,
    /// The time of the last frame, and the moment that is told next.
    clock: Option<(PacketTime, PacketTime)>,
}

impl<S: FrameSource> Ticking<S> {
    /// The frames of `source` and the multiples of `step`, which is more than zero.
    pub fn new(source: S, step: Span) -> Self {
        Self { source, step, waiting: FrameBatch::default(), next: 0, clock: None }
    }

    /// The moment that is to be told before a frame of `time`.
    fn tick(&mut self, time: PacketTime) -> Option<PacketTime> {
        let upcoming = time.floor(self.step) + self.step;
        let (last, due) = *self.clock.get_or_insert((time, upcoming));
        // A clock that was set back goes on from where it stands.
        let was_set_back = due.since(time) > self.step + OUT_OF_ORDER;
        let moment = if due.since(last) > LONGEST_SILENCE { due.max(time.floor(self.step)) } else { due };
        if was_set_back || time < moment {
            self.clock = Some((time, if was_set_back { upcoming } else { moment }));
            return None;
        }
        self.clock = Some((last, moment + self.step));
        Some(moment)
    }

    /// The next batch of the source, or what it says instead.
    fn refill(&mut self) -> Result<SourceEvent, CaptureError> {
        self.waiting.clear();
        self.next = 0;
        let event = self.source.fill(&mut self.waiting)?;
        if let SourceEvent::Gap { to, .. } = event {
            self.clock = Some((to, to.floor(self.step) + self.step));
        }
        Ok(event)
    }
}

impl<S: FrameSource> FrameSource for Ticking<S> {
    fn fill(&mut self, batch: &mut FrameBatch) -> Result<SourceEvent, CaptureError> {
        if self.next == self.waiting.len() {
            match self.refill()? {
                SourceEvent::Frames => {}
                event => return Ok(event),
            }
        }
        while let Some(header) = self.waiting.headers().get(self.next).copied() {
            let due = self.clock.map(|(_, due)| due);
            if due.is_none_or(|due| header.time >= due) && !batch.is_empty() {
                break;
            }
            if let Some(now) = self.tick(header.time) {
                return Ok(SourceEvent::Idle { now });
            }
            batch.push(header, self.waiting.bytes_of(&header));
            self.next += 1;
        }
        Ok(SourceEvent::Frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::scripted::Scripted;
    use crate::pipeline::fakes::{frame, seconds};

    /// What a source says with a step of ten seconds: the seconds of frames in batches, and the moments between them.
    fn told(source: Scripted) -> Vec<String> {
        let mut ticking = Ticking::new(source, Span::from_secs(10));
        let (mut lines, mut batch) = (Vec::new(), FrameBatch::default());
        loop {
            match ticking.fill(&mut batch).expect("a scripted source") {
                SourceEvent::End => return lines,
                SourceEvent::Frames => {
                    assert!(!batch.is_empty(), "a batch without frames");
                    lines.push(format!("{:?}", batch.headers().iter().map(|header| header.time.as_secs_f64() as i64).collect::<Vec<_>>()));
                }
                SourceEvent::Idle { now } => lines.push(format!("at {}", now.as_secs_f64())),
                event => lines.push(format!("{event:?}").chars().take(3).collect()),
            }
            batch.clear();
        }
    }

    fn frames(times: &[i64]) -> Scripted {
        (1..).zip(times).fold(Scripted::new(), |source, (number, time)| source.frame(frame(number, *time), [0; 60]))
    }

    #[test]
    fn moments_lie_between_the_frames_before_and_after_them() {
        assert_eq!(told(frames(&[1, 9, 10, 11, 35])), ["[1, 9]", "at 10", "[10, 11]", "at 20", "at 30", "[35]"]);
        assert_eq!(told(frames(&[20, 29])), ["[20, 29]"], "none before the first frame, none after the last");
        assert_eq!(told(frames(&[])), [] as [&str; 0]);
    }

    #[test]
    fn a_long_silence_is_not_filled() {
        let lines = told(frames(&[1, 3_000, 3_011]));
        assert_eq!(lines.len(), 1 + 60 + 1 + 3, "ten minutes of moments, then the one before the next frame: {lines:?}");
        assert_eq!(lines[60..], ["at 600", "at 3000", "[3000]", "at 3010", "[3011]"]);
    }

    #[test]
    fn nothing_is_told_of_a_gap_between_two_files() {
        let source = frames(&[1]).event(SourceEvent::Gap { from: seconds(1), to: seconds(45) }).frame(frame(2, 45), [0; 60]);
        assert_eq!(told(source.frame(frame(3, 51), [0; 60])), ["[1]", "Gap", "[45]", "at 50", "[51]"]);
    }

    #[test]
    fn a_clock_that_was_set_back_goes_on_from_there() {
        assert_eq!(told(frames(&[101, 111, 51, 61, 59])), ["[101]", "at 110", "[111, 51]", "at 60", "[61, 59]"]);
    }
}
