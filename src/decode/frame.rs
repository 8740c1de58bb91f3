//! Frames as a source hands them over: bytes in one buffer per batch, headers beside them.

use crate::time::PacketTime;

/// The data link of a frame, as the `DLT_`/`LINKTYPE_` registry of tcpdump.org numbers it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: four bytes of address family in host byte order.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// Raw IPv4 or IPv6, by the version nibble (the number in files).
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: as [`Self::NULL`], in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// What a source knows of one frame; the bytes are in the batch that holds it.
#[derive(Clone, Copy, Debug)]
pub struct FrameHeader {
    /// Number of the frame in the capture, from 1, over all files in merged order.
    pub number: u64,
    /// When the frame was captured, as written in the capture.
    pub time: PacketTime,
    /// How the bytes begin.
    pub link: LinkType,
    /// Which source (interface or file section) it came from; frames of one interface share a number.
    pub interface: u16,
    /// Bytes on the wire; more than were captured when the snap length cut the frame.
    pub original_len: u32,
    /// Where the frame's bytes begin in the batch.
    pub offset: u32,
    /// How many bytes were captured.
    pub len: u32,
}

/// At most [`FrameBatch::FRAMES`] frames and the buffer that holds their bytes; emptied and reused, so a steady stream allocates nothing.
#[derive(Debug, Default)]
pub struct FrameBatch {
    bytes: Vec<u8>,
    frames: Vec<FrameHeader>,
}

impl FrameBatch {
    /// Frames after which a batch is full.
    pub const FRAMES: usize = 128;
    /// Bytes after which a batch takes no further frame.
    pub const BYTES: usize = 1 << 20;

    /// Appends a frame; its `offset` and `len` are set from `bytes`.
    pub fn push(&mut self, header: FrameHeader, bytes: &[u8]) {
        let offset = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        self.frames.push(FrameHeader { offset, len: bytes.len() as u32, ..header });
    }

    /// Whether the batch should be handed on.
    pub fn is_full(&self) -> bool {
        self.frames.len() >= Self::FRAMES || self.bytes.len() >= Self::BYTES
    }

    /// Whether the batch holds no frame.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// How many frames the batch holds.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Lets go of all but the first `count` frames.
    pub fn truncate(&mut self, count: usize) {
        self.frames.truncate(count);
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.frames.clear();
    }

    /// The headers in order of arrival.
    pub fn headers(&self) -> &[FrameHeader] {
        &self.frames
    }

    /// The bytes of a frame of this batch.
    pub fn bytes_of(&self, header: &FrameHeader) -> &[u8] {
        let start = header.offset as usize;
        self.bytes.get(start..start + header.len as usize).unwrap_or_default()
    }
}
