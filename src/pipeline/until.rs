//! A source that ends at a moment: what a question about the past may know.

use crate::capture::{CaptureError, FrameSource, SourceEvent};
use crate::decode::frame::FrameBatch;
use crate::time::PacketTime;

/// Passes on a source's frames up to the first one after a moment, and ends there.
#[derive(Debug)]
pub struct Until<S> {
    source: S,
    last: PacketTime,
    ended: bool,
}

impl<S: FrameSource> Until<S> {
    /// The frames of `source` up to and including those of the moment `last`.
    pub fn new(source: S, last: PacketTime) -> Self {
        Self { source, last, ended: false }
    }
}

impl<S: FrameSource> FrameSource for Until<S> {
    fn fill(&mut self, batch: &mut FrameBatch) -> Result<SourceEvent, CaptureError> {
        if self.ended {
            return Ok(SourceEvent::End);
        }
        let event = self.source.fill(batch)?;
        match event {
            SourceEvent::Frames => {
                let within = batch.headers().iter().take_while(|header| header.time <= self.last).count();
                self.ended = within < batch.len();
                batch.truncate(within);
                Ok(if within == 0 { SourceEvent::End } else { SourceEvent::Frames })
            }
            SourceEvent::Gap { to, .. } if to > self.last => {
                self.ended = true;
                Ok(SourceEvent::End)
            }
            event => Ok(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::scripted::Scripted;
    use crate::pipeline::fakes::{frame, seconds};

    /// The numbers of the frames that come before the end.
    fn seen(last: i64) -> Vec<u64> {
        let source = (1..=3).fold(Scripted::new(), |source, second| source.frame(frame(second, second as i64), [0; 60]));
        let source = source.event(SourceEvent::Gap { from: seconds(3), to: seconds(9) }).frame(frame(4, 9), [0; 60]);
        let mut until = Until::new(source, seconds(last));
        let (mut numbers, mut batch) = (Vec::new(), FrameBatch::default());
        while until.fill(&mut batch).expect("a scripted source") != SourceEvent::End {
            numbers.extend(batch.headers().iter().map(|header| header.number));
            batch.clear();
        }
        numbers
    }

    #[test]
    fn it_ends_before_the_first_frame_after_its_moment() {
        assert_eq!(seen(0), [] as [u64; 0]);
        assert_eq!(seen(2), [1, 2]);
        assert_eq!(seen(5), [1, 2, 3]);
        assert_eq!(seen(100), [1, 2, 3, 4]);
    }
}
