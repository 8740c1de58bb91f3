//! TCP headers.

use super::{Completeness, missing};
use crate::decode::outcome::Skip;
use crate::decode::read::{u8_at, u16_at, u32_at};

/// The flags of a segment that matter here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpFlags(u8);

impl TcpFlags {
    const FIN: u8 = 0x01;
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;

    /// The flags as the header has them.
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The sender has nothing more to send.
    pub fn fin(self) -> bool {
        self.0 & Self::FIN != 0
    }

    /// The sender opens the connection or accepts it.
    pub fn syn(self) -> bool {
        self.0 & Self::SYN != 0
    }

    /// The sender knows no such connection, or gave it up.
    pub fn rst(self) -> bool {
        self.0 & Self::RST != 0
    }

    /// The acknowledgement number counts.
    pub fn ack(self) -> bool {
        self.0 & Self::ACK != 0
    }
}

/// A TCP segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment<'a> {
    /// Port of the sender.
    pub source_port: u16,
    /// Port of the receiver.
    pub destination_port: u16,
    /// Sequence number of the first byte (of the SYN, if it is one).
    pub sequence: u32,
    /// Flags.
    pub flags: TcpFlags,
    /// What was captured of the payload.
    pub payload: &'a [u8],
    /// Whether that is all of it.
    pub completeness: Completeness,
}

/// Reads a segment.
pub(super) fn segment(bytes: &[u8], completeness: Completeness) -> Result<Segment<'_>, Skip> {
    let (Some(source_port), Some(destination_port), Some(sequence), Some(offset), Some(flags)) =
        (u16_at(bytes, 0), u16_at(bytes, 2), u32_at(bytes, 4), u8_at(bytes, 12), u8_at(bytes, 13))
    else {
        return Err(missing(completeness));
    };
    let header = usize::from(offset >> 4) * 4;
    if header < 20 {
        return Err(Skip::Malformed);
    }
    let payload = bytes.get(header..).ok_or_else(|| missing(completeness))?;
    Ok(Segment { source_port, destination_port, sequence, flags: TcpFlags(flags), payload, completeness })
}
