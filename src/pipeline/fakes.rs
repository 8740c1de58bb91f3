//! Stages that write down what they are given.

use std::sync::{Arc, Mutex};

use crate::capture::CaptureError;
use crate::decode::frame::{FrameBatch, FrameHeader, LinkType};
use crate::pipeline::lane::Buffer;
use crate::pipeline::stage::{EngineStage, IngestStage};
use crate::time::{PacketTime, Span};

/// A moment that is easy to write.
pub(super) fn seconds(seconds: i64) -> PacketTime {
    PacketTime::from_parts(seconds, 0)
}

/// The header of a frame.
pub(super) fn frame(number: u64, time: i64) -> FrameHeader {
    FrameHeader { number, time: seconds(time), link: LinkType::RAW, interface: 0, original_len: 60, offset: 0, len: 0 }
}

/// An interface that has gone.
pub(super) fn failure() -> CaptureError {
    CaptureError::Interface { name: "eth0".to_owned(), reason: "gone".to_owned() }
}

impl Buffer for Vec<String> {
    fn clear(&mut self) {
        self.clear();
    }
    fn len(&self) -> usize {
        self.len()
    }
}

/// Makes a line of everything.
#[derive(Debug)]
pub(super) struct Listing;

impl IngestStage for Listing {
    type Batch = Vec<String>;

    fn push(&mut self, frames: FrameBatch, ready: &mut Vec<String>) {
        ready.extend(frames.headers().iter().map(|header| format!("frame {}", header.number)));
    }
    fn recycle(&mut self) -> Option<FrameBatch> {
        None
    }
    fn tick(&mut self, now: PacketTime, ready: &mut Vec<String>) {
        ready.push(format!("idle {now}"));
    }
    fn dropped(&mut self, count: u64, ready: &mut Vec<String>) {
        ready.push(format!("dropped {count}"));
    }
    fn gap(&mut self, from: PacketTime, to: PacketTime, ready: &mut Vec<String>) {
        ready.push(format!("gap {}", to - from));
    }
    fn clock_step(&mut self, by: Span, ready: &mut Vec<String>) {
        ready.push(format!("step {by}"));
    }
    fn finish(&mut self, ready: &mut Vec<String>) {
        ready.push("end".to_owned());
    }
}

/// Keeps every line.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) seen: Vec<String>,
    /// Where the lines are found when the recorder itself is lost.
    outside: Arc<Mutex<Vec<String>>>,
    panics: bool,
}

impl Recorder {
    /// One that fails at the first batch.
    pub(super) fn panicking() -> Self {
        Self { panics: true, ..Self::default() }
    }

    /// One that also writes elsewhere.
    pub(super) fn sharing(outside: Arc<Mutex<Vec<String>>>) -> Self {
        Self { outside, ..Self::default() }
    }
}

impl EngineStage for Recorder {
    type Batch = Vec<String>;
    type Query = Box<dyn FnOnce(&Self) + Send>;

    fn handle(&mut self, batch: &Vec<String>) {
        assert!(!self.panics, "asked to fail");
        self.seen.extend_from_slice(batch);
        self.outside.lock().expect("lock").extend_from_slice(batch);
    }
    fn answer(&mut self, query: Self::Query) {
        query(self);
    }
    fn end(&mut self) {
        self.outside.lock().expect("lock").push("over".to_owned());
    }
}
