//! Ingest as a stage of the pipeline.

use crate::decode::frame::FrameBatch;
use crate::pipeline::engine::Delivery;
use crate::pipeline::ingest::Ingest;
use crate::pipeline::stage::IngestStage;
use crate::time::{PacketTime, Span};

impl IngestStage for Ingest {
    type Batch = Delivery;

    fn push(&mut self, frames: FrameBatch, ready: &mut Delivery) {
        Self::push(self, frames, &mut ready.batch);
        ready.counts = Some(self.counts());
    }

    fn recycle(&mut self) -> Option<FrameBatch> {
        Self::recycle(self)
    }

    fn tick(&mut self, now: PacketTime, ready: &mut Delivery) {
        Self::tick(self, now, &mut ready.batch);
        ready.counts = Some(self.counts());
    }

    fn dropped(&mut self, count: u64, _ready: &mut Delivery) {
        Self::dropped(self, count);
    }

    fn gap(&mut self, from: PacketTime, to: PacketTime, _ready: &mut Delivery) {
        Self::gap(self, from, to);
    }

    fn clock_step(&mut self, _by: Span, _ready: &mut Delivery) {
        // A step back shows in the timestamps themselves; a step forward looks like time in which nothing was captured.
        Self::gap(self, PacketTime::MIN, PacketTime::MIN);
    }

    fn finish(&mut self, ready: &mut Delivery) {
        Self::finish(self, &mut ready.batch);
        ready.counts = Some(self.counts());
    }
}
