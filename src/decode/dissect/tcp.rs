//! TCP headers.

use etherparse::TcpSlice;
use etherparse::err::tcp::HeaderSliceError;

use super::{Completeness, missing};
use crate::decode::outcome::Skip;

/// The flags of a segment that matter here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpFlags {
    /// The sender has nothing more to send.
    pub fin: bool,
    /// The sender opens the connection or accepts it.
    pub syn: bool,
    /// The sender knows no such connection, or gave it up.
    pub rst: bool,
    /// The acknowledgement number counts.
    pub ack: bool,
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
    /// The next byte that the sender expects; `None` where it does not say.
    pub acknowledgement: Option<u32>,
    /// Flags.
    pub flags: TcpFlags,
    /// What was captured of the payload.
    pub payload: &'a [u8],
    /// Whether that is all of it.
    pub completeness: Completeness,
}

/// Reads a segment.
pub(super) fn segment(bytes: &[u8], completeness: Completeness) -> Result<Segment<'_>, Skip> {
    let tcp = TcpSlice::from_slice(bytes).map_err(|error| match error {
        HeaderSliceError::Len(_) => missing(completeness),
        HeaderSliceError::Content(_) => Skip::Malformed,
    })?;
    Ok(Segment {
        source_port: tcp.source_port(),
        destination_port: tcp.destination_port(),
        sequence: tcp.sequence_number(),
        acknowledgement: tcp.ack().then(|| tcp.acknowledgment_number()),
        flags: TcpFlags { fin: tcp.fin(), syn: tcp.syn(), rst: tcp.rst(), ack: tcp.ack() },
        payload: tcp.payload(),
        completeness,
    })
}
