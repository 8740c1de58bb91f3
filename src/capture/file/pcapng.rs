//! The block format (draft-ietf-opsawg-pcapng): sections, interfaces with their own link type and clock, packets.

use crate::capture::file::record::{ByteOrder, MAX_FRAME, Record, Stop, link_type};
use crate::capture::file::window::Window;
use crate::decode::frame::LinkType;
use crate::time::PacketTime;

/// The type of a section header block, the same in both byte orders.
pub(super) const SECTION_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// What stands in a block beside its body: type, length, and the length again.
const FRAMING: usize = 12;
/// Room for the fields and options around the frame of a packet block.
const MAX_PACKET_BLOCK: u32 = MAX_FRAME + (1 << 17);
/// Room for an interface description with its options.
const MAX_DESCRIPTION_BLOCK: u32 = 1 << 17;
/// Interfaces of a section beyond which the file is not believed.
const MAX_INTERFACES: usize = 4096;

const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// Where a pcapng file stands: its section and the interfaces described in it.
#[derive(Debug)]
pub(super) struct PcapNg {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    /// Interfaces of earlier sections.
    earlier: u32,
    /// Time of the packet before, which a block without time takes over.
    time: PacketTime,
}

#[derive(Debug)]
struct Interface {
    link: LinkType,
    snaplen: u32,
    clock: Clock,
}

/// How an interface counts time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    unit: Unit,
    /// Seconds to add to each time stamp.
    offset: i64,
}

#[derive(Clone, Copy, Debug)]
enum Unit {
    /// So many nanoseconds a tick.
    Nanos(u64),
    /// So many ticks a second, where a tick is no whole number of nanoseconds.
    PerSecond(u128),
}

/// The fields of a packet block, whichever kind it is.
struct Packet {
    interface: u32,
    ticks: Option<u64>,
    captured: u32,
    original: u32,
    /// Where in the block the frame begins.
    offset: usize,
}

impl PcapNg {
    /// A file of which the first section header is still to be read.
    pub(super) fn new() -> Self {
        Self { order: ByteOrder::Little, interfaces: Vec::new(), earlier: 0, time: PacketTime::default() }
    }

    /// Finds the next packet and brings it to the beginning of the window.
    pub(super) fn next(&mut self, window: &mut Window) -> Result<Record, Stop> {
        loop {
            let byte = window.position();
            let head = window.peek(FRAMING).map_err(|short| Stop::before(byte, short))?;
            if head.starts_with(&SECTION_MAGIC) {
                self.begin_section(byte, window)?;
                continue;
            }
            let (kind, length) = (self.order.u32(head, 0), self.order.u32(head, 4));
            if (length as usize) < FRAMING {
                return Err(Stop::damaged(byte, format!("a block of {length} bytes")));
            }
            match kind {
                INTERFACE_DESCRIPTION => {
                    let block = self.peek_block(byte, length, MAX_DESCRIPTION_BLOCK, window)?;
                    let interface = Interface::from_block(self.order, block);
                    if self.interfaces.len() == MAX_INTERFACES {
                        return Err(Stop::damaged(byte, format!("more than {MAX_INTERFACES} interfaces")));
                    }
                    self.interfaces.push(interface);
                    window.consume(padded(length));
                }
                ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET => {
                    let block = self.peek_block(byte, length, MAX_PACKET_BLOCK, window)?;
                    let packet = Packet::from_block(self.order, kind, block);
                    return self.record(byte, padded(length), packet);
                }
                _ => self.skip_block(byte, length, window)?,
            }
        }
    }

    /// A section header: the byte order and the interfaces begin anew.
    fn begin_section(&mut self, byte: u64, window: &mut Window) -> Result<(), Stop> {
        let head = window.peek(FRAMING).map_err(|short| Stop::within(byte, short))?;
        self.order = match head.last_chunk::<4>() {
            Some([0x4d, 0x3c, 0x2b, 0x1a]) => ByteOrder::Little,
            Some([0x1a, 0x2b, 0x3c, 0x4d]) => ByteOrder::Big,
            _ => return Err(Stop::damaged(byte, "a section header of unknown byte order")),
        };
        let length = self.order.u32(head, 4);
        if (length as usize) < FRAMING + 16 {
            return Err(Stop::damaged(byte, format!("a section header of {length} bytes")));
        }
        self.earlier += self.interfaces.len() as u32;
        self.interfaces.clear();
        self.skip_block(byte, length, window)
    }

    /// The whole block at the beginning of the window, of which the two lengths agree.
    fn peek_block<'w>(&self, byte: u64, length: u32, most: u32, window: &'w mut Window) -> Result<&'w [u8], Stop> {
        if length > most {
            return Err(Stop::damaged(byte, format!("a block of {length} bytes")));
        }
        let block = window.peek(padded(length)).map_err(|short| Stop::within(byte, short))?;
        let trailer = self.order.u32(block, block.len() - 4);
        if trailer != length { Err(disagreeing(byte, length, trailer)) } else { Ok(block) }
    }

    /// Passes over a block of any length.
    fn skip_block(&self, byte: u64, length: u32, window: &mut Window) -> Result<(), Stop> {
        let within = |short| Stop::within(byte, short);
        window.skip(padded(length) as u64 - 4).map_err(within)?;
        let trailer = self.order.u32(window.peek(4).map_err(within)?, 0);
        window.consume(4);
        if trailer != length { Err(disagreeing(byte, length, trailer)) } else { Ok(()) }
    }

    fn record(&mut self, byte: u64, size: usize, packet: Packet) -> Result<Record, Stop> {
        let Some(interface) = self.interfaces.get(packet.interface as usize) else {
            return Err(Stop::damaged(byte, format!("a packet of interface {}, which is not described", packet.interface)));
        };
        let room = (size - 4).saturating_sub(packet.offset);
        let len = packet.captured as usize;
        let len = match packet.ticks {
            // A simple packet tells its captured length by the snap length alone.
            None if interface.snaplen > 0 => len.min(interface.snaplen as usize).min(room),
            None => len.min(room),
            Some(_) => len,
        };
        if len > room || len > MAX_FRAME as usize {
            return Err(Stop::damaged(byte, format!("a frame of {len} bytes in a block of {size}")));
        }
        if let Some(ticks) = packet.ticks {
            self.time = interface.clock.time(ticks);
        }
        Ok(Record {
            time: self.time,
            link: interface.link,
            interface: self.earlier + packet.interface,
            original_len: packet.original.max(len as u32),
            offset: packet.offset,
            len,
            size,
        })
    }
}

impl Packet {
    /// Reads the fields of a packet block; fields beyond its end read as zero, which leaves the frame empty.
    fn from_block(order: ByteOrder, kind: u32, block: &[u8]) -> Self {
        let u32_at = |at| order.u32(block, at);
        let ticks = || (u64::from(u32_at(12)) << 32) | u64::from(u32_at(16));
        match kind {
            SIMPLE_PACKET => Self { interface: 0, ticks: None, captured: u32_at(8), original: u32_at(8), offset: 12 },
            OBSOLETE_PACKET => Self {
                interface: u32::from(order.u16(block, 8)),
                ticks: Some(ticks()),
                captured: u32_at(20),
                original: u32_at(24),
                offset: 28,
            },
            _ => Self { interface: u32_at(8), ticks: Some(ticks()), captured: u32_at(20), original: u32_at(24), offset: 28 },
        }
    }
}

impl Interface {
    fn from_block(order: ByteOrder, block: &[u8]) -> Self {
        let mut clock = Clock { unit: Unit::Nanos(1_000), offset: 0 };
        let mut at = 16;
        // The last four bytes repeat the length of the block.
        while at + 4 <= block.len().saturating_sub(4) {
            let (code, length) = (order.u16(block, at), usize::from(order.u16(block, at + 2)));
            at += 4;
            match code {
                OPTION_END => break,
                OPTION_RESOLUTION => clock.unit = Unit::from_option(block.get(at).copied().unwrap_or(6)),
                OPTION_OFFSET => clock.offset = order.u64(block, at).cast_signed(),
                _ => {}
            }
            at += length.next_multiple_of(4);
        }
        Self { link: link_type(u32::from(order.u16(block, 8))), snaplen: order.u32(block, 12), clock }
    }
}

impl Clock {
    fn time(self, ticks: u64) -> PacketTime {
        let nanos = match self.unit {
            Unit::Nanos(nanos) => i128::from(ticks) * i128::from(nanos),
            Unit::PerSecond(units) => (u128::from(ticks) * 1_000_000_000 / units).cast_signed(),
        };
        let nanos = nanos + i128::from(self.offset) * 1_000_000_000;
        PacketTime::from_nanos(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl Unit {
    /// `if_tsresol`: a negative power of ten or, with the highest bit, of two.
    fn from_option(option: u8) -> Self {
        let exponent = u32::from(option & 0x7f);
        match option & 0x80 {
            0 if exponent <= 9 => Self::Nanos(10_u64.pow(9 - exponent)),
            // Ten to the 38th is the largest power that fits; finer clocks would run out of 64 bits in no time at all.
            0 => Self::PerSecond(10_u128.pow(exponent.min(38))),
            _ => Self::PerSecond(1 << exponent),
        }
    }
}

/// Blocks are aligned to 32 bits; some writers leave the padding out of the length.
fn padded(length: u32) -> usize {
    (length as usize).next_multiple_of(4)
}

fn disagreeing(byte: u64, length: u32, trailer: u32) -> Stop {
    Stop::damaged(byte, format!("a block that says {length} bytes at its beginning and {trailer} at its end"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capture::file::testing::{All, Files, MICROS, Writer};
    use crate::capture::{Note, SourceEvent};

    /// Ticks of a microsecond in the second 1,700,000,000.
    const TICKS: u64 = 1_700_000_000_000_000;

    fn damage(all: &All) -> Option<(u64, &str)> {
        match all.events.as_slice() {
            [(_, SourceEvent::Note(Note::Damaged { byte, reason, .. }))] => Some((*byte, reason)),
            _ => None,
        }
    }

    #[test]
    fn interfaces_have_their_own_link_type_and_clock() {
        for writer in [Writer::little(), Writer::big()] {
            let offset = if writer.body().u16(1).bytes == [0, 1] { 3600_i64.to_be_bytes() } else { 3600_i64.to_le_bytes() };
            let file = writer
                .section()
                .interface(1, 0, &[])
                .interface(276, 0, &[(2, b"any"), (9, &[9]), (14, &offset), (0, b"")])
                .interface(113, 0, &[(9, &[0x80 | 10])])
                .packet(1, TICKS * 1_000 + 7, b"nanoseconds")
                .packet(0, TICKS, b"micro")
                .packet(2, 1_536, b"1024 a second");
            let all = Files::new().read(&file.bytes);
            let seen: Vec<_> = all.frames.iter().map(|(header, _)| (header.link.0, header.interface, header.time.as_nanos())).collect();
            let micros = TICKS as i64 * 1_000;
            assert_eq!(seen, [(276, 0, micros + 7 + 3_600_000_000_000), (1, 1, micros), (113, 2, 1_500_000_000)]);
        }
    }

    #[test]
    fn a_section_has_its_own_byte_order_and_interfaces() {
        let first = Writer::little().section().interface(1, 0, &[]).packet(0, TICKS, b"first");
        let second = Writer::big().section().interface(101, 0, &[]).packet(0, TICKS + 1, b"second");
        let all = Files::new().read(&[first.bytes, second.bytes].concat());
        let seen: Vec<_> = all.frames.iter().map(|(header, bytes)| (header.link.0, header.interface, bytes.as_slice())).collect();
        assert_eq!(seen, [(1, 0, &b"first"[..]), (101, 1, b"second")]);
    }

    #[test]
    fn simple_packets_take_the_snap_length_of_the_interface_and_the_time_before() {
        let body = |file: &Writer, original, data: &[u8]| file.body().u32(original).raw(data);
        let file = Writer::little().section().interface(1, 6, &[]).packet(0, TICKS, b"timed");
        let (cut, whole) = (body(&file, 9, b"abcdef"), body(&file, 3, b"xyz"));
        let all = Files::new().read(&file.block(3, cut).block(3, whole).bytes);
        let seen: Vec<_> = all.frames.iter().map(|(header, bytes)| (header.original_len, bytes.as_slice())).collect();
        assert_eq!(seen, [(5, &b"timed"[..]), (9, b"abcdef"), (3, b"xyz")]);
        assert!(all.frames.iter().all(|(header, _)| header.time == PacketTime::from_nanos(TICKS as i64 * 1_000)));
    }

    #[test]
    fn obsolete_packets_and_blocks_of_no_interest_are_passed_over_or_read() {
        let file = Writer::big().section().interface(1, 0, &[]);
        let body = file.body().u16(0).u16(0).u32((TICKS >> 32) as u32).u32(TICKS as u32).u32(3).u32(3).raw(b"old");
        let names = file.body().raw(&vec![0; 3 << 20]);
        let all = Files::new().read(&file.block(4, names).block(2, body).bytes);
        assert_eq!(all.frames.iter().map(|(_, bytes)| bytes.as_slice()).collect::<Vec<_>>(), [b"old"]);
        assert!(all.events.is_empty(), "{:?}", all.events);
    }

    #[test]
    fn blocks_that_contradict_themselves_are_named_with_their_byte() {
        let good = || Writer::little().section().interface(1, 0, &[]).packet(0, TICKS, b"good");
        let at = good().bytes.len() as u64;
        let packet = |captured| good().body().u32(0).u32(0).u32(0).u32(captured).u32(captured).raw(b"four");
        for (file, reason) in [
            (good().packet(7, TICKS, b"x"), "a packet of interface 7, which is not described"),
            (good().block(6, packet(5)), "a frame of 5 bytes in a block of 36"),
            (good().block(6, packet(u32::MAX)), "a frame of 4294967295 bytes in a block of 36"),
            (good().u32(6).u32(8).u32(0), "a block of 8 bytes"),
            (good().u32(6).u32(u32::MAX).u32(0), "a block of 4294967295 bytes"),
            (good().u32(9).u32(12).u32(16), "a block that says 12 bytes at its beginning and 16 at its end"),
            (good().u32(0x0a0d_0d0a).u32(28).u32(5), "a section header of unknown byte order"),
        ] {
            let all = Files::new().read(&file.bytes);
            assert_eq!((all.frames.len(), damage(&all)), (1, Some((at, reason))));
        }
    }

    #[test]
    fn a_file_cut_in_a_block_gives_the_frames_before_it() {
        let file = Writer::little().section().interface(1, 0, &[]).packet(0, TICKS, b"one").packet(0, TICKS, b"two").bytes;
        let all = Files::new().read(&file[..file.len() - 1]);
        assert_eq!(all.frames.len(), 1);
        assert!(matches!(all.events.as_slice(), [(1, SourceEvent::Note(Note::Cut { byte: 84, frames: 1, .. }))]), "{:?}", all.events);
    }

    #[test]
    fn the_finest_and_coarsest_clocks_saturate() {
        for resolution in [19, 38, 127, 0x80, 0xff] {
            let unit = Unit::from_option(resolution);
            let clock = |offset| Clock { unit, offset };
            assert!(clock(0).time(u64::MAX) >= PacketTime::default());
            assert_eq!(clock(i64::MAX).time(u64::MAX), PacketTime::MAX);
            assert_eq!(clock(i64::MIN).time(0), PacketTime::MIN);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0_u32..8) {
            let file = Writer::little().section().interface(1, 0, &[]);
            let body = file.body().raw(&bytes);
            Files::new().read(&file.block(kind, body).raw(&bytes).bytes);
        }

        #[test]
        fn a_changed_byte_never_makes_it_panic(at in 28_usize..200, byte in any::<u8>()) {
            let mut file = Writer::big().section().interface(1, 0, &[(9, &[6])]).packet(0, TICKS, b"one").packet(0, TICKS, b"two").bytes;
            if let Some(changed) = file.get_mut(at) {
                *changed = byte;
            }
            Files::new().read(&file);
        }
    }

    #[test]
    fn a_classic_file_is_told_apart() {
        let all = Files::new().read(&Writer::little().pcap(MICROS, 1).record(1, 0, b"classic").bytes);
        assert_eq!(all.frames.len(), 1);
    }
}
