//! What the two formats of capture files have in common.

use crate::capture::file::window::Short;
use crate::decode::frame::LinkType;
use crate::time::PacketTime;

/// The longest frame that is believed: four times libpcap's largest snap length. A longer one is a damaged length field.
pub(super) const MAX_FRAME: u32 = 1 << 20;

/// A frame that lies at the beginning of the window, not yet consumed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Record {
    pub(super) time: PacketTime,
    pub(super) link: LinkType,
    /// Number of the interface within the file, over all its sections.
    pub(super) interface: u32,
    pub(super) original_len: u32,
    /// Where in the window its bytes begin.
    pub(super) offset: usize,
    /// How many were captured.
    pub(super) len: usize,
    /// Bytes of the file it takes with all that surrounds them.
    pub(super) size: usize,
}

/// Why there is no further record.
#[derive(Debug)]
pub(super) enum Stop {
    /// The file is over.
    End,
    /// The file ends within the record at `byte`.
    Cut { byte: u64 },
    /// The record at `byte` makes no sense.
    Damaged { byte: u64, reason: String },
}

impl Stop {
    pub(super) fn damaged(byte: u64, reason: impl Into<String>) -> Self {
        Self::Damaged { byte, reason: reason.into() }
    }

    /// What a short read within the record at `byte` means.
    pub(super) fn within(byte: u64, short: Short) -> Self {
        match short {
            Short::End(_) => Self::Cut { byte },
            Short::Failed(error) => Self::damaged(byte, error.to_string()),
        }
    }

    /// What a short read at the very beginning of a record at `byte` means.
    pub(super) fn before(byte: u64, short: Short) -> Self {
        match short {
            Short::End(0) => Self::End,
            other => Self::within(byte, other),
        }
    }
}

/// The byte order of a file or section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// The 16-bit number at `at`; zero where `bytes` is too short.
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let field = bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        match self {
            Self::Little => u16::from_le_bytes(field),
            Self::Big => u16::from_be_bytes(field),
        }
    }

    /// The 32-bit number at `at`; zero where `bytes` is too short.
    #[inline]
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let field = bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        match self {
            Self::Little => u32::from_le_bytes(field),
            Self::Big => u32::from_be_bytes(field),
        }
    }

    /// The 64-bit number at `at`; zero where `bytes` is too short.
    pub(super) fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let field = bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        match self {
            Self::Little => u64::from_le_bytes(field),
            Self::Big => u64::from_be_bytes(field),
        }
    }
}

/// The link type as this program numbers it: files of some systems carry their own `DLT_RAW`, and the upper bits of the field tell
/// the length of the frame check sequence.
pub(super) fn link_type(field: u32) -> LinkType {
    match (field & 0xffff) as u16 {
        12 | 14 => LinkType::RAW,
        other => LinkType(other),
    }
}
