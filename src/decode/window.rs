//! The reorder window: frames wait for others that were captured before them and handed over after them.

use std::collections::VecDeque;

use crate::decode::frame::{FrameBatch, FrameHeader};
use crate::time::PacketTime;

/// Frames that may wait; beyond, the oldest goes early.
const MAX_FRAMES: usize = 65_536;
/// Bytes of frames that may be held; beyond, the oldest frames go early.
const MAX_BYTES: usize = 64 << 20;
/// Emptied batches that are kept to be handed back.
const MAX_SPARE: usize = 16;

/// Frames in order of time, in the batches they came in. No frame is copied: a batch is held until its last frame is gone, then handed
/// back empty.
#[derive(Debug, Default)]
pub struct Window {
    batches: VecDeque<Held>,
    /// Number of the batch at the front.
    first: u64,
    /// Bytes of the frames in the batches.
    bytes: usize,
    waiting: VecDeque<Waiting>,
    /// The batch of the frame that was taken last, whose bytes are still lent out.
    lent: Option<u64>,
    spare: Vec<FrameBatch>,
    released: Option<PacketTime>,
}

#[derive(Debug)]
struct Held {
    batch: FrameBatch,
    bytes: usize,
    waiting: usize,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    time: PacketTime,
    batch: u64,
    index: u32,
}

impl Window {
    /// Holds a batch and returns its number; each of its frames must then be [entered](Self::enter).
    pub fn hold(&mut self, batch: FrameBatch) -> u64 {
        let waiting = batch.len();
        let bytes = batch.headers().iter().map(|header| header.len as usize).sum();
        self.bytes += bytes;
        self.batches.push_back(Held { batch, bytes, waiting });
        let number = self.first + self.batches.len() as u64 - 1;
        self.free_front();
        number
    }

    /// The header of a frame of a held batch.
    pub fn header(&self, batch: u64, index: usize) -> Option<&FrameHeader> {
        self.held(batch)?.batch.headers().get(index)
    }

    /// Puts a frame where its time belongs, behind frames of the same time; later than what was released already.
    pub fn enter(&mut self, batch: u64, index: usize, time: PacketTime) {
        let time = self.released.map_or(time, |released| released.max(time));
        let entry = Waiting { time, batch, index: index as u32 };
        // Nearly all frames come in order.
        if self.waiting.back().is_none_or(|last| last.time <= time) {
            return self.waiting.push_back(entry);
        }
        let later = self.waiting.iter().rev().take_while(|other| other.time > time).count();
        self.waiting.insert(self.waiting.len() - later, entry);
    }

    /// Takes the next frame at or before `until`, or the oldest when too many wait.
    pub fn next(&mut self, until: PacketTime) -> Option<(PacketTime, &FrameHeader, &[u8])> {
        self.settle_lent();
        let crowded = self.waiting.len() > MAX_FRAMES || self.bytes > MAX_BYTES;
        let next = *self.waiting.front().filter(|next| crowded || next.time <= until)?;
        self.waiting.pop_front();
        self.released = Some(next.time);
        self.lent = Some(next.batch);
        let batch = &self.held(next.batch)?.batch;
        let header = batch.headers().get(next.index as usize)?;
        Some((next.time, header, batch.bytes_of(header)))
    }

    /// Declares that nothing before `time` will be released any more.
    pub fn close_before(&mut self, time: PacketTime) {
        self.released = Some(self.released.map_or(time, |released| released.max(time)));
    }

    /// An empty batch whose frames are all gone.
    pub fn recycle(&mut self) -> Option<FrameBatch> {
        self.spare.pop()
    }

    /// Frames that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn held(&self, batch: u64) -> Option<&Held> {
        self.batches.get(usize::try_from(batch.checked_sub(self.first)?).ok()?)
    }

    fn settle_lent(&mut self) {
        let Some(batch) = self.lent.take() else { return };
        let place = batch.saturating_sub(self.first) as usize;
        if let Some(held) = self.batches.get_mut(place) {
            held.waiting = held.waiting.saturating_sub(1);
        }
        self.free_front();
    }

    fn free_front(&mut self) {
        while self.batches.front().is_some_and(|held| held.waiting == 0) {
            let Some(Held { mut batch, bytes, .. }) = self.batches.pop_front() else { return };
            self.first += 1;
            self.bytes -= bytes;
            batch.clear();
            if self.spare.len() < MAX_SPARE {
                self.spare.push(batch);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::frame::LinkType;

    fn batch(times: &[i64]) -> FrameBatch {
        let mut batch = FrameBatch::default();
        for (number, &time) in times.iter().enumerate() {
            let header = FrameHeader {
                number: number as u64 + 1,
                time: PacketTime::from_nanos(time),
                link: LinkType::RAW,
                interface: 0,
                original_len: 1,
                offset: 0,
                len: 0,
            };
            batch.push(header, &[number as u8]);
        }
        batch
    }

    fn enter_all(window: &mut Window, times: &[i64]) {
        let number = window.hold(batch(times));
        for (index, &time) in times.iter().enumerate() {
            window.enter(number, index, PacketTime::from_nanos(time));
        }
    }

    fn drain(window: &mut Window, until: i64) -> Vec<(i64, u8)> {
        let mut seen = Vec::new();
        while let Some((time, _, bytes)) = window.next(PacketTime::from_nanos(until)) {
            seen.push((time.as_nanos(), bytes[0]));
        }
        seen
    }

    #[test]
    fn frames_leave_in_order_of_time_and_ties_in_order_of_arrival() {
        let mut window = Window::default();
        enter_all(&mut window, &[10, 30, 20, 20, 10]);
        assert_eq!(drain(&mut window, 20), [(10, 0), (10, 4), (20, 2), (20, 3)]);
        assert_eq!(drain(&mut window, 30), [(30, 1)]);
    }

    #[test]
    fn a_frame_that_comes_too_late_takes_the_time_of_the_last_released() {
        let mut window = Window::default();
        enter_all(&mut window, &[10, 30]);
        assert_eq!(drain(&mut window, 30).len(), 2);
        enter_all(&mut window, &[5]);
        assert_eq!(drain(&mut window, 30), [(30, 0)]);
    }

    #[test]
    fn a_batch_is_handed_back_empty_once_its_frames_are_gone() {
        let mut window = Window::default();
        enter_all(&mut window, &[10, 20]);
        assert_eq!(drain(&mut window, 10).len(), 1);
        assert!(window.recycle().is_none());
        assert_eq!(drain(&mut window, 20).len(), 1);
        assert!(window.recycle().is_some_and(|batch| batch.is_empty()));
    }

    #[test]
    fn a_flood_at_one_instant_keeps_the_cap() {
        let mut window = Window::default();
        let mut released = 0;
        for _ in 0..(MAX_FRAMES / 64 + 50) {
            enter_all(&mut window, &[7; 64]);
            released += drain(&mut window, 0).len();
            assert!(window.len() <= MAX_FRAMES);
        }
        assert!(released > 0);
    }
}
