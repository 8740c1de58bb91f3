//! What every source of frames has in common.

use std::fmt;

use crate::capture::error::CaptureError;
use crate::decode::frame::FrameBatch;
use crate::time::{PacketTime, Span};

/// Something that frames come from, in the order they were captured.
pub trait FrameSource: Send {
    /// Fills the empty `batch` until it is full or no further frame is to be had at once, and says what happened.
    ///
    /// The batch holds frames with [`SourceEvent::Frames`] and only then; what any other event says lies between the frames of the
    /// batch before and those of the batch after it.
    ///
    /// # Errors
    ///
    /// When the source is gone: no interface, no permission, no file. Whether to open it again is up to the caller.
    fn fill(&mut self, batch: &mut FrameBatch) -> Result<SourceEvent, CaptureError>;
}

/// What one call of [`FrameSource::fill`] brought.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SourceEvent {
    /// Frames, and perhaps more to come.
    Frames,
    /// No frame until `now`, by the clock that stamps the frames.
    Idle {
        /// The time of that clock.
        now: PacketTime,
    },
    /// Frames were lost since the last time this was said.
    Dropped(Drops),
    /// Nothing was captured between two files that follow each other.
    Gap {
        /// Time of the last frame before the gap.
        from: PacketTime,
        /// Time of the first frame after it.
        to: PacketTime,
    },
    /// The system's clock was set: it moved on by `by` more (or, negative, less) than time passed.
    ClockStep {
        /// How far the clock jumped.
        by: Span,
    },
    /// Something to tell the person who asked.
    Note(Note),
    /// There will be no further frame.
    End,
}

/// Frames lost before they reached the source, as deltas.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Drops {
    /// Lost because the kernel's buffer was full.
    pub kernel: u64,
    /// Lost by the network interface or its driver.
    pub interface: u64,
}

impl Drops {
    /// All of them.
    pub fn total(self) -> u64 {
        self.kernel.saturating_add(self.interface)
    }
}

/// What happened to an input that could not be read as a whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// The file ends in the middle of a record; what comes before it was read.
    Cut {
        /// The file.
        file: String,
        /// Where the incomplete record begins, in the unpacked capture.
        byte: u64,
        /// Frames read from this file.
        frames: u64,
    },
    /// The file contradicts itself; what comes before was read, the rest was not.
    Damaged {
        /// The file.
        file: String,
        /// Where the record that makes no sense begins, in the unpacked capture.
        byte: u64,
        /// Frames read from this file.
        frames: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was left out.
    Skipped {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
}

impl Note {
    /// Whether frames of a capture are missing from what was read.
    pub fn is_cut(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::Damaged { .. })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { file, byte, frames } => write!(f, "{file}: cut in the middle of a record at byte {byte}, after {frames} frames"),
            Self::Damaged { file, byte, frames, reason } => {
                write!(f, "{file}: unreadable from byte {byte} on, after {frames} frames: {reason}")
            }
            Self::Skipped { file, reason } => write!(f, "{file}: left out: {reason}"),
        }
    }
}
