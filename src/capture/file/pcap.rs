//! The classic format: a header of 24 bytes, then records (draft-ietf-opsawg-pcap).

use crate::capture::file::record::{ByteOrder, MAX_FRAME, Record, Stop, link_type};
use crate::capture::file::window::Window;
use crate::decode::frame::LinkType;
use crate::time::PacketTime;

/// Length of the file header.
pub(super) const HEADER: usize = 24;

/// What the header of a classic capture file says.
#[derive(Debug)]
pub(super) struct Pcap {
    layout: Layout,
    link: LinkType,
}

/// What the magic number says of the records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    order: ByteOrder,
    /// Nanoseconds in one unit of a record's fraction of a second.
    fraction: i64,
    /// Length of a record's header.
    record_header: usize,
}

impl Layout {
    /// The layout that a magic number stands for.
    pub(super) fn from_magic(magic: &[u8]) -> Option<Self> {
        let (order, fraction, record_header) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (ByteOrder::Little, 1_000, 16),
            [0xa1, 0xb2, 0xc3, 0xd4] => (ByteOrder::Big, 1_000, 16),
            [0x4d, 0x3c, 0xb2, 0xa1] => (ByteOrder::Little, 1, 16),
            [0xa1, 0xb2, 0x3c, 0x4d] => (ByteOrder::Big, 1, 16),
            // Kuznetzov's variant: eight more bytes of interface, protocol and packet type before each frame.
            [0x34, 0xcd, 0xb2, 0xa1] => (ByteOrder::Little, 1_000, 24),
            [0xa1, 0xb2, 0xcd, 0x34] => (ByteOrder::Big, 1_000, 24),
            _ => return None,
        };
        Some(Self { order, fraction, record_header })
    }
}

impl Pcap {
    /// Understands the [`HEADER`] bytes at the beginning of a file.
    pub(super) fn new(layout: Layout, header: &[u8]) -> Self {
        Self { layout, link: link_type(layout.order.u32(header, 20)) }
    }

    /// Finds the record at the beginning of the window.
    pub(super) fn next(&self, window: &mut Window) -> Result<Record, Stop> {
        let Layout { order, fraction: unit, record_header } = self.layout;
        let byte = window.position();
        let header = window.peek(record_header).map_err(|short| Stop::before(byte, short))?;
        let [seconds, fraction, captured, original] = [0, 4, 8, 12].map(|at| order.u32(header, at));
        if captured > MAX_FRAME {
            return Err(Stop::damaged(byte, format!("a frame of {captured} bytes")));
        }
        let len = captured as usize;
        let size = record_header + len;
        window.peek(size).map_err(|short| Stop::within(byte, short))?;
        Ok(Record {
            time: PacketTime::from_nanos(i64::from(seconds) * 1_000_000_000 + i64::from(fraction) * unit),
            link: self.link,
            interface: 0,
            original_len: original.max(captured),
            offset: record_header,
            len,
            size,
        })
    }
}
