//! A source that plays what a test wrote down.

use std::collections::VecDeque;

use crate::capture::error::CaptureError;
use crate::capture::source::{FrameSource, SourceEvent};
use crate::decode::frame::{FrameBatch, FrameHeader};

/// Plays frames, events and errors in the order they were given, then ends.
#[derive(Debug, Default)]
pub struct Scripted {
    steps: VecDeque<Step>,
}

#[derive(Debug)]
enum Step {
    Frame(FrameHeader, Vec<u8>),
    Event(SourceEvent),
    Error(CaptureError),
}

impl Scripted {
    /// A source without frames.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a frame.
    pub fn frame(mut self, header: FrameHeader, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push_back(Step::Frame(header, bytes.into()));
        self
    }

    /// Adds an event between frames.
    pub fn event(mut self, event: SourceEvent) -> Self {
        self.steps.push_back(Step::Event(event));
        self
    }

    /// Adds a failure; the next call after it goes on with what follows.
    pub fn error(mut self, error: CaptureError) -> Self {
        self.steps.push_back(Step::Error(error));
        self
    }
}

impl FrameSource for Scripted {
    fn fill(&mut self, batch: &mut FrameBatch) -> Result<SourceEvent, CaptureError> {
        while !batch.is_full()
            && let Some(Step::Frame(header, bytes)) = self.steps.pop_front_if(|step| matches!(step, Step::Frame(..)))
        {
            batch.push(header, &bytes);
        }
        if !batch.is_empty() {
            return Ok(SourceEvent::Frames);
        }
        match self.steps.pop_front() {
            Some(Step::Event(event)) => Ok(event),
            Some(Step::Error(error)) => Err(error),
            Some(Step::Frame(..)) | None => Ok(SourceEvent::End),
        }
    }
}
