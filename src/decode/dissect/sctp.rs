//! SCTP (RFC 9260): the common header and DATA chunks.

use super::{Completeness, Content, missing};
use crate::decode::outcome::Skip;
use crate::decode::read::{u8_at, u16_at, u32_at};

/// Bytes of the common header.
const COMMON: usize = 12;
/// Bytes of a DATA chunk before its user data.
const DATA_HEADER: usize = 16;
/// Chunk type of DATA.
const DATA: u8 = 0;

/// A DATA chunk: all or a piece of one user message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DataChunk<'a> {
    /// Transmission sequence number; pieces of one message are numbered without a gap.
    pub tsn: u32,
    /// Whether the user message begins here.
    pub first: bool,
    /// Whether the user message ends here.
    pub last: bool,
    /// User data.
    pub data: &'a [u8],
}

/// Reads the common header.
pub(super) fn content(bytes: &[u8], completeness: Completeness) -> Result<Content<'_>, Skip> {
    let (Some(source_port), Some(destination_port), Some(chunks)) = (u16_at(bytes, 0), u16_at(bytes, 2), bytes.get(COMMON..)) else {
        return Err(missing(completeness));
    };
    Ok(Content::Sctp { source_port, destination_port, chunks })
}

/// The DATA chunks of a packet, as far as its lengths hold.
pub fn data_chunks(mut chunks: &[u8]) -> impl Iterator<Item = DataChunk<'_>> {
    std::iter::from_fn(move || {
        loop {
            let kind = u8_at(chunks, 0)?;
            let flags = u8_at(chunks, 1)?;
            let length = usize::from(u16_at(chunks, 2)?);
            if length < 4 {
                return None;
            }
            let chunk = chunks.get(..length.min(chunks.len()))?;
            chunks = chunks.get(length.next_multiple_of(4)..).unwrap_or_default();
            if kind == DATA {
                let tsn = u32_at(chunk, 4)?;
                let data = chunk.get(DATA_HEADER..)?;
                return Some(DataChunk { tsn, first: flags & 2 != 0, last: flags & 1 != 0, data });
            }
        }
    })
}
