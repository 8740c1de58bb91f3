//! Packets for tests, built from the inside out.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::decode::frame::{FrameBatch, FrameHeader, LinkType};
use crate::time::PacketTime;

pub(crate) const FIN: u8 = 0x11;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const SYN_ACK: u8 = 0x12;
pub(crate) const RST: u8 = 0x14;
pub(crate) const ACK: u8 = 0x10;

pub(crate) fn address(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}

/// An IPv4 packet.
pub(crate) fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, ident: u16, body: &[u8]) -> Vec<u8> {
    ipv4_part(source, destination, protocol, ident, 0x4000, body)
}

fn ipv4_part(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, ident: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + body.len() as u16).to_be_bytes());
    packet.extend(ident.to_be_bytes());
    packet.extend(flags.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    packet.extend(body);
    packet
}

/// Cuts the body of an IPv4 packet into fragments of at most `size` bytes, a multiple of eight.
pub(crate) fn fragments(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (source, destination) = (packet[12..16].try_into().unwrap(), packet[16..20].try_into().unwrap());
    let (source, destination): ([u8; 4], [u8; 4]) = (source, destination);
    let ident = u16::from_be_bytes([packet[4], packet[5]]);
    let body = &packet[20..];
    let count = body.len().div_ceil(size);
    let flags = |number: usize| (number * size / 8) as u16 | if number + 1 < count { 0x2000 } else { 0 };
    let part = |(number, bytes)| ipv4_part(source.into(), destination.into(), packet[9], ident, flags(number), bytes);
    body.chunks(size).enumerate().map(part).collect()
}

/// A UDP datagram in an IPv4 packet.
pub(crate) fn udp(source: &str, destination: &str, ident: u16, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = (address(source), address(destination));
    let mut body = Vec::new();
    body.extend(source.port().to_be_bytes());
    body.extend(destination.port().to_be_bytes());
    body.extend((8 + payload.len() as u16).to_be_bytes());
    body.extend([0, 0]);
    body.extend(payload);
    ipv4(*source.ip(), *destination.ip(), 17, ident, &body)
}

/// A TCP segment in an IPv4 packet.
pub(crate) fn tcp(source: &str, destination: &str, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = (address(source), address(destination));
    let mut body = Vec::new();
    body.extend(source.port().to_be_bytes());
    body.extend(destination.port().to_be_bytes());
    body.extend(sequence.to_be_bytes());
    body.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    body.extend(payload);
    ipv4(*source.ip(), *destination.ip(), 6, 0, &body)
}

/// An Ethernet frame with the tags.
pub(crate) fn ethernet(tags: &[u16], kind: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 7]);
    }
    frame.extend(kind.to_be_bytes());
    frame.extend(body);
    frame
}

/// A request with a body of the length.
pub(crate) fn request(method: &str, number: u32, body: usize) -> Vec<u8> {
    let head = format!(
        "{method} sip:1001@pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.168.1.20:5060;branch=z9hG4bK{number}\r\n\
         From: <sip:1001@pbx.example.com>;tag=a\r\nTo: <sip:1001@pbx.example.com>\r\nCall-ID: c{number}\r\n\
         CSeq: {number} {method}\r\nContent-Length: {body}\r\n\r\n"
    );
    [head.as_bytes(), &vec![b'x'; body]].concat()
}

/// Frames of raw IP with their times in microseconds, numbered in order.
pub(crate) fn batches(frames: &[(i64, Vec<u8>)], per_batch: usize) -> Vec<FrameBatch> {
    let mut number = 0;
    let mut fill = |frames: &[(i64, Vec<u8>)]| {
        let mut batch = FrameBatch::default();
        for (micros, bytes) in frames {
            number += 1;
            batch.push(header(number, PacketTime::from_nanos(micros * 1_000), LinkType::RAW), bytes);
        }
        batch
    };
    frames.chunks(per_batch).map(&mut fill).collect()
}

/// The header of a frame; the batch fills in where its bytes are.
pub(crate) fn header(number: u64, time: PacketTime, link: LinkType) -> FrameHeader {
    FrameHeader { number, time, link, interface: 0, original_len: 0, offset: 0, len: 0 }
}
