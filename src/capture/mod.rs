//! Where frames come from: live interfaces and capture files.
//!
//! Each source is a [`FrameSource`]: it fills batches and says in between what a reader of the capture must know of it (drops, gaps,
//! cut files). Nothing here looks into a frame.

pub mod bpf;
mod clock;
pub mod error;
pub mod file;
pub mod live;
pub mod progress;
pub mod scripted;
pub mod source;

pub use error::CaptureError;
pub use file::CaptureFiles;
pub use live::{Live, LiveOptions};
pub use progress::Progress;
pub use source::{Drops, FrameSource, Note, SourceEvent};
