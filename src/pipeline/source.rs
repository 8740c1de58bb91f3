//! What a command may know of the sources that it hands to the pipeline: how to open them, and why that failed.

pub use crate::capture::bpf::{check as check_filter, filter_text};
pub use crate::capture::live::{ANY, FrameNumbers, Live, LiveOptions, host_addresses};
pub use crate::capture::{CaptureError, CaptureFiles, FrameSource, Note};
