//! What a flood puts on the wire: one packet after another, made when it is due.

use std::net::SocketAddr;

use crate::support::agent::address;
use crate::support::capture::{EPOCH, Record};
use crate::support::wire::{self, Link, Protocol};

/// Where the PBX listens.
pub(crate) fn pbx() -> SocketAddr {
    address("203.0.113.10:5060")
}

/// One of 64,000 addresses of strangers.
pub(crate) fn stranger(number: usize) -> SocketAddr {
    address(&format!("198.{}.{}.{}:5060", 18 + number / 64_000 % 2, number / 250 % 256, 1 + number % 250))
}

/// One of a few million sockets of strangers.
pub(crate) fn socket(number: usize) -> SocketAddr {
    let mut source = stranger(number % 1_000);
    source.set_port(1_024 + (number / 1_000 % 60_000) as u16);
    source
}

/// The packets of one step.
#[derive(Default)]
pub(crate) struct Packets {
    pub(crate) records: Vec<Record>,
    now: f64,
    ids: u16,
}

impl Packets {
    /// Begins the step at `now` seconds; packets of it come a millisecond apart.
    pub(crate) fn begin(&mut self, now: f64) {
        self.records.clear();
        self.now = now;
    }

    pub(crate) fn udp(&mut self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        for packet in self.datagram(source, destination, payload) {
            self.push(&packet);
        }
    }

    /// The IP packets of a datagram, not sent.
    pub(crate) fn datagram(&mut self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<Vec<u8>> {
        self.ids = self.ids.wrapping_add(1).max(1);
        wire::ip_packets(source.ip(), destination.ip(), Protocol::Udp, self.ids, &wire::datagram(source, destination, payload))
    }

    /// What the PBX answers.
    pub(crate) fn answer(&mut self, to: SocketAddr, payload: &[u8]) {
        self.udp(pbx(), to, payload);
    }

    pub(crate) fn tcp(&mut self, source: SocketAddr, seq: u32, flags: u8, payload: &[u8]) {
        let segment = wire::segment(source, pbx(), seq, 1, flags, payload);
        self.ip(source, pbx(), Protocol::Tcp, &segment);
    }

    pub(crate) fn ip(&mut self, source: SocketAddr, destination: SocketAddr, protocol: Protocol, payload: &[u8]) {
        self.ids = self.ids.wrapping_add(1).max(1);
        for packet in wire::ip_packets(source.ip(), destination.ip(), protocol, self.ids, payload) {
            self.push(&packet);
        }
    }

    pub(crate) fn push(&mut self, packet: &[u8]) {
        let bytes = Link::Ethernet.frame(packet);
        let micros = EPOCH * 1_000_000 + (self.now * 1e6) as i64 + self.records.len() as i64 * 100;
        self.records.push(Record { micros, original_len: bytes.len() as u32, bytes });
    }
}
