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
        let number = |at| order.u32(header, at);
        let (seconds, fraction, captured, original) = (number(0), number(4), number(8), number(12));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capture::file::record::MAX_FRAME;
    use crate::capture::file::testing::{Files, MICROS, Writer};
    use crate::capture::{CaptureError, CaptureFiles, Note, SourceEvent};

    const NANOS: u32 = 0xa1b2_3c4d;
    const KUZNETZOV: u32 = 0xa1b2_cd34;

    #[test]
    fn reads_both_byte_orders_and_both_fractions() {
        for (magic, nanos) in [(MICROS, 5_000), (NANOS, 5)] {
            for writer in [Writer::little(), Writer::big()] {
                let all = Files::new().read(&writer.pcap(magic, 1).record(7, 5, b"frame").bytes);
                let (header, bytes) = all.frames.first().expect("a frame");
                assert_eq!((header.number, header.time), (1, PacketTime::from_nanos(7_000_000_000 + nanos)));
                assert_eq!((header.link, header.len, header.original_len), (LinkType::ETHERNET, 5, 9));
                assert_eq!(bytes, b"frame");
            }
        }
    }

    #[test]
    fn reads_the_records_of_kuznetzov() {
        for writer in [Writer::little(), Writer::big()] {
            let file = writer.pcap(KUZNETZOV, 113).u32(1).u32(2).u32(3).u32(3).raw(&[9; 8]).raw(b"abc");
            let all = Files::new().read(&file.bytes);
            assert_eq!(all.frames.iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>(), [b"abc"]);
        }
    }

    #[test]
    fn the_length_of_a_check_sequence_is_no_part_of_the_link_type() {
        let all = Files::new().read(&Writer::little().pcap(MICROS, 0x5400_0001).record(1, 0, b"x").bytes);
        assert_eq!(all.frames.first().map(|(header, _)| header.link), Some(LinkType::ETHERNET));
    }

    #[test]
    fn large_frames_are_read_across_the_window() {
        let frames: Vec<Vec<u8>> = [262_144, 70_000, 0, 300_000, 1].iter().map(|len| vec![*len as u8; *len]).collect();
        let file = frames.iter().fold(Writer::little().pcap(MICROS, 1), |file, frame| file.record(1, 0, frame));
        let all = Files::new().read(&file.bytes);
        assert_eq!(all.frames.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(), frames);
    }

    #[test]
    fn a_capture_without_packets_is_one() {
        let all = Files::new().read(&Writer::little().pcap(MICROS, 1).bytes);
        assert!(all.frames.is_empty() && all.events.is_empty());
    }

    #[test]
    fn a_length_that_cannot_be_is_named_with_its_byte() {
        let file = Writer::little().pcap(MICROS, 1).record(1, 0, b"good").u32(2).u32(0).u32(MAX_FRAME + 1).u32(4);
        let all = Files::new().read(&file.raw(&[0; 100]).bytes);
        assert_eq!(all.frames.len(), 1);
        let [(1, SourceEvent::Note(Note::Damaged { byte: 44, frames: 1, reason, .. }))] = all.events.as_slice() else {
            panic!("{:?}", all.events)
        };
        assert_eq!(reason, "a frame of 1048577 bytes");
    }

    #[test]
    fn what_is_no_capture_is_an_error_with_file_and_byte() {
        let files = Files::new();
        for (content, reason) in [
            (&b""[..], "input: not a capture file: it holds nothing that can be read at byte 0"),
            (b"\xd4\xc3\xb2\xa1rest", "input: not a capture file: the file ends within its header at byte 8"),
            (b"INVITE sip:a@b SIP/2.0", "input: not a capture file: no capture begins with [49, 4e, 56, 49] at byte 0"),
            (b"\x0a\x0d\x0d\x0a", "input: not a capture file: the file ends within its header at byte 0"),
        ] {
            let error = CaptureFiles::open(&[files.write("input", content)]).map(|_| ()).expect_err("no capture");
            assert!(error.to_string().ends_with(reason), "{error}");
            assert!(matches!(error, CaptureError::NotACapture { .. }));
        }
    }

    proptest! {
        #[test]
        fn a_file_cut_anywhere_gives_the_frames_before_the_cut(
            lengths in proptest::collection::vec(0_usize..200, 1..20),
            cut in 24_usize..2_000,
        ) {
            let file = lengths.iter().fold(Writer::little().pcap(MICROS, 1), |file, len| file.record(1, 0, &vec![7; *len]));
            let cut = cut.min(file.bytes.len());
            let mut ends = Vec::from([24]);
            for len in &lengths {
                ends.push(ends.last().copied().unwrap_or_default() + 16 + len);
            }
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let all = Files::new().read(&file.bytes[..cut]);
            prop_assert_eq!(all.frames.len(), whole);
            let notes: Vec<_> = all.events.iter().map(|(_, event)| event).collect();
            if ends.contains(&cut) {
                prop_assert!(notes.is_empty());
            } else {
                let begins = ends[whole] as u64;
                let expected = matches!(&notes[..], [SourceEvent::Note(Note::Cut { byte, frames, .. })]
                    if *byte == begins && *frames == whole as u64);
                prop_assert!(expected, "{:?}", notes);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            Files::new().read(&[Writer::big().pcap(MICROS, 1).bytes, bytes].concat());
        }
    }
}
