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
    /// There is no such interface.
    #[error("no interface {name}; there are: {}", .present.join(", "))]
    NoInterface {
        /// The interface that was named.
        name: String,
        /// Those there are.
        present: Vec<String>,
    },
    /// The process may not capture.
    #[error(
        "no permission to capture on {name}; grant it with\n  sudo setcap cap_net_raw=ep {program}\n\
         or in the unit with\n  AmbientCapabilities=CAP_NET_RAW"
    )]
    NoPermission {
        /// The interface that was named.
        name: String,
        /// The path of this program, as a shell takes it.
        program: String,
    },
    /// The interface is down. A capture that is open stays so, and goes on once the interface is up.
    #[error("cannot capture on {name}: the interface is down")]
    Down {
        /// The interface.
        name: String,
    },
    /// The interface has gone, or fails otherwise; it may come back.
    #[error("cannot capture on {name}: {reason}")]
    Interface {
        /// The interface.
        name: String,
        /// What libpcap says.
        reason: String,
    },
    /// libpcap does not accept a filter.
    #[error("the filter {text:?} is not accepted: {reason}")]
    Filter {
        /// The filter.
        text: String,
        /// What libpcap says.
        reason: String,
    },
}

impl CaptureError {
    /// Whether the source stays open and goes on by itself.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Down { .. })
    }

    /// libpcap's refusal of a filter.
    pub(super) fn filter(text: &str, error: &pcap::Error) -> Self {
        Self::Filter { text: text.to_owned(), reason: libpcap_reason(error) }
    }
}

/// What libpcap says, without the prefix of the crate.
pub(super) fn libpcap_reason(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    }
}
