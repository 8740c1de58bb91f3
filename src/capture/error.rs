//! Why a source cannot be opened or cannot go on.

use std::io;

use thiserror::Error;

/// Why a source cannot be opened or cannot go on. Files that are only cut are no error but a [`crate::capture::Note`].
#[derive(Debug, Error)]
pub enum CaptureError {
    /// A file or directory that was named does not exist or may not be read.
    #[error("{file}: {source}")]
    Open {
        /// The file.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds something else than a capture.
    #[error("{file}: not a capture file: {reason} at byte {byte}")]
    NotACapture {
        /// The file.
        file: String,
        /// Where that was found, in the unpacked file.
        byte: u64,
        /// What was found.
        reason: String,
    },
    /// A directory holds no capture file.
    #[error("{directory}: no capture file in it")]
    NoFiles {
        /// The directory.
        directory: String,
    },
}
