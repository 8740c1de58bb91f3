//! One capture in every container and on every data link.

use std::io::Write as _;

use super::capture::{CaptureFile, Record};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const SNAP_LENGTH: u32 = 262_144;
/// Bytes of an Ethernet header without tags.
const ETHERNET_HEADER: usize = 14;

/// How numbers are written.
type Word = fn(u32) -> [u8; 4];
type Half = fn(u16) -> [u8; 2];

/// The classic format, big-endian.
pub(crate) fn big_endian(file: &CaptureFile) -> Vec<u8> {
    classic(file, MICROSECONDS, 1, u32::to_be_bytes)
}

/// The classic format with nanoseconds.
pub(crate) fn nanoseconds(file: &CaptureFile) -> Vec<u8> {
    classic(file, NANOSECONDS, 1_000, u32::to_le_bytes)
}

/// pcapng, little-endian.
pub(crate) fn pcapng(file: &CaptureFile) -> Vec<u8> {
    blocks(file, u32::to_le_bytes, u16::to_le_bytes)
}

/// pcapng, big-endian.
pub(crate) fn pcapng_big_endian(file: &CaptureFile) -> Vec<u8> {
    blocks(file, u32::to_be_bytes, u16::to_be_bytes)
}

/// Packed with gzip.
pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

/// Packed with Zstandard.
pub(crate) fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).expect("memory takes all")
}

/// The frames of an Ethernet capture on another data link.
pub(crate) fn on_link(file: &CaptureFile, link: u32, header: fn([u8; 2]) -> Vec<u8>) -> CaptureFile {
    assert_eq!(file.link, 1, "only Ethernet can be translated");
    let translate = |record: &Record| {
        let (ethernet, packet) = record.bytes.split_at(ETHERNET_HEADER);
        let mut bytes = header([ethernet[12], ethernet[13]]);
        bytes.extend_from_slice(packet);
        let original_len = record.original_len - record.bytes.len() as u32 + bytes.len() as u32;
        Record { micros: record.micros, original_len, bytes }
    };
    CaptureFile { link, records: file.records.iter().map(translate).collect(), tail: Vec::new() }
}

/// A data link: its name, its number, and the header before a packet of that EtherType.
pub(crate) type Link = (&'static str, u32, fn([u8; 2]) -> Vec<u8>);

/// The data links beside plain Ethernet.
pub(crate) const LINKS: [Link; 7] = [
    ("802.1Q", 1, |protocol| [&[2; 12][..], &[0x81, 0, 0, 42], &protocol].concat()),
    ("QinQ", 1, |protocol| [&[2; 12][..], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 42], &protocol].concat()),
    ("Linux cooked", 113, |protocol| [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &protocol].concat()),
    ("Linux cooked 2", 276, |protocol| [&protocol[..], &[0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]].concat()),
    ("raw IP", 101, |_| Vec::new()),
    ("BSD loopback", 0, |protocol| family(protocol).to_le_bytes().to_vec()),
    ("OpenBSD loopback", 108, |protocol| family(protocol).to_be_bytes().to_vec()),
];

/// The address family of BSD for an EtherType.
fn family(protocol: [u8; 2]) -> u32 {
    if protocol == [0x86, 0xdd] { 30 } else { 2 }
}

fn classic(file: &CaptureFile, magic: u32, fractions: u32, word: Word) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Version 2.4 is two halves; written as words they stand in the order of the file.
    let version = if word(1) == [0, 0, 0, 1] { 0x0002_0004 } else { 0x0004_0002 };
    bytes.extend([magic, version, 0, 0, SNAP_LENGTH, file.link].iter().flat_map(|number| word(*number)));
    for record in &file.records {
        let fraction = record.micros.rem_euclid(1_000_000) as u32 * fractions;
        let header = [record.micros.div_euclid(1_000_000) as u32, fraction, record.bytes.len() as u32, record.original_len];
        bytes.extend(header.iter().flat_map(|number| word(*number)));
        bytes.extend_from_slice(&record.bytes);
    }
    bytes
}

fn blocks(file: &CaptureFile, word: Word, half: Half) -> Vec<u8> {
    let mut bytes = Vec::new();
    let section = [&word(0x1a2b_3c4d)[..], &half(1), &half(0), &[0xff; 8]].concat();
    block(&mut bytes, word, 0x0a0d_0d0a, &section);
    let interface = [&half(file.link as u16)[..], &half(0), &word(SNAP_LENGTH)].concat();
    block(&mut bytes, word, 1, &interface);
    for record in &file.records {
        let micros = record.micros as u64;
        let header = [0, (micros >> 32) as u32, micros as u32, record.bytes.len() as u32, record.original_len];
        let mut body: Vec<u8> = header.iter().flat_map(|number| word(*number)).collect();
        body.extend_from_slice(&record.bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        block(&mut bytes, word, 6, &body);
    }
    bytes
}

fn block(bytes: &mut Vec<u8>, word: Word, kind: u32, body: &[u8]) {
    let length = word(12 + body.len() as u32);
    bytes.extend_from_slice(&word(kind));
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&length);
}
