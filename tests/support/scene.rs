//! The stage: packets at seconds counted from the start, as a sniffer beside the PBX captures them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::agent::{Agent, Carrier, cast};
use super::capture::{CaptureFile, EPOCH, Record};
use super::message::Message;
use super::random::Random;
use super::stream::Stream;
use super::wire::{self, Link, Protocol};

/// When a request without answer is sent over UDP, by RFC 3261 §17.1 with T1 = 500 ms.
pub(crate) mod schedule {
    /// INVITE: seven times until Timer B.
    pub(crate) const INVITE: [f64; 7] = [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5];
    /// Any other request until Timer F, and a 2xx to INVITE until its ACK (§13.3.1.4): eleven times.
    pub(crate) const CAPPED: [f64; 11] = [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5];
    /// INVITE of chan_sip with T1 = 100 ms.
    pub(crate) const INVITE_QUICK: [f64; 7] = [0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3];
    /// A 2xx of chan_sip with T1 = 100 ms, until 64·T1.
    pub(crate) const ANSWER_QUICK: [f64; 8] = [0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 4.7, 6.3];
    /// A qualify of PJSIP until its timeout of 3 s.
    pub(crate) const QUALIFY: [f64; 3] = [0.0, 0.5, 1.5];
    /// A qualify of chan_sip until its timeout of 4 s.
    pub(crate) const QUALIFY_CHAN_SIP: [f64; 4] = [0.0, 0.5, 1.5, 3.5];
}

/// A captured packet before it is written.
pub(crate) struct Shot {
    /// Seconds from the start of the scene.
    pub(crate) at: f64,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// The IP packet.
    pub(crate) packet: Vec<u8>,
}

/// Something that a side does on a TCP connection.
struct Pending {
    at: f64,
    source: SocketAddr,
    destination: SocketAddr,
    action: Action,
}

enum Action {
    Push(Vec<u8>),
    Close,
}

/// A capture in the making.
pub(crate) struct Scene {
    pub(crate) random: Random,
    /// The PBX of the scene.
    pub(crate) pbx: Agent,
    pub(crate) link: Link,
    /// What has been captured, in no order.
    pub(crate) shots: Vec<Shot>,
    pending: Vec<Pending>,
    streams: BTreeMap<(SocketAddr, SocketAddr), Stream>,
    steps: Vec<(f64, f64)>,
    snap_length: usize,
    cut_bytes: usize,
    next_ip_id: u16,
}

impl Scene {
    /// An empty stage; `name` seeds all that is random.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            random: Random::seeded(name),
            pbx: cast::pbx(),
            link: Link::Ethernet,
            shots: Vec::new(),
            pending: Vec::new(),
            streams: BTreeMap::new(),
            steps: Vec::new(),
            snap_length: usize::MAX,
            cut_bytes: 0,
            next_ip_id: 0,
        }
    }

    /// Sends a message over what carries the messages of both.
    pub(crate) fn send(&mut self, at: f64, from: &Agent, to: &Agent, message: &Message) {
        let bytes = message.to_bytes(from.spelling());
        if from.carrier == Carrier::Tcp || to.carrier == Carrier::Tcp {
            self.stream(at, from.outer, to.outer, &[&bytes]);
        } else {
            self.udp(at, from.outer, to.outer, &bytes);
        }
    }

    /// Sends a message again and again, at `offsets` from `at`.
    pub(crate) fn repeat(&mut self, at: f64, offsets: &[f64], from: &Agent, to: &Agent, message: &Message) {
        for offset in offsets {
            self.send(at + offset, from, to, message);
        }
    }

    /// A datagram, in fragments where it is larger than a frame.
    pub(crate) fn udp(&mut self, at: f64, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        let datagram = wire::datagram(source, destination, payload);
        self.ip(at, source, destination, Protocol::Udp, &datagram);
    }

    /// Bytes on the TCP connection between both, one segment per part; the connection is opened when there is none.
    pub(crate) fn stream(&mut self, at: f64, source: SocketAddr, destination: SocketAddr, parts: &[&[u8]]) {
        for (index, part) in parts.iter().enumerate() {
            let at = at + index as f64 * 0.000_5;
            self.pending.push(Pending { at, source, destination, action: Action::Push(part.to_vec()) });
        }
    }

    /// Ends the TCP connection between both; `source` says so first.
    pub(crate) fn hang_up(&mut self, at: f64, source: SocketAddr, destination: SocketAddr) {
        self.pending.push(Pending { at, source, destination, action: Action::Close });
    }

    /// Turns what was sent over TCP into segments. Sequence numbers count in the order of time, scripts are written in any order.
    fn segment_streams(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_by(|a, b| a.at.total_cmp(&b.at));
        for Pending { at, source, destination, action } in pending {
            let key = (source.min(destination), source.max(destination));
            let mut stream = match self.streams.remove(&key) {
                Some(stream) => stream,
                None => Stream::open(self, at - 0.06, source, destination),
            };
            match action {
                Action::Close => stream.close(self, at, source),
                Action::Push(bytes) => {
                    stream.push(self, at, source, &bytes);
                    self.streams.insert(key, stream);
                }
            }
        }
    }

    /// An IP packet, or its fragments, 12 µs apart.
    pub(crate) fn ip(&mut self, at: f64, source: SocketAddr, destination: SocketAddr, protocol: Protocol, payload: &[u8]) {
        self.next_ip_id = self.next_ip_id.wrapping_add(1).max(1);
        let packets = wire::ip_packets(source.ip(), destination.ip(), protocol, self.next_ip_id, payload);
        for (index, packet) in packets.into_iter().enumerate() {
            self.shots.push(Shot { at: at + index as f64 * 0.000_012, source, destination, packet });
        }
    }

    /// Keeps only the packets that `seen` accepts: what a capture with a blind side holds.
    pub(crate) fn keep(&mut self, seen: impl Fn(&Shot) -> bool) {
        self.segment_streams();
        self.shots.retain(seen);
    }

    /// Lets the capture begin at `at`.
    pub(crate) fn begin(&mut self, at: f64) {
        self.keep(|shot| shot.at >= at);
    }

    /// Lets the capture end at `at`.
    pub(crate) fn end(&mut self, at: f64) {
        self.keep(|shot| shot.at <= at);
    }

    /// Sets the clock of the capturing host by `seconds` at `at`.
    pub(crate) fn step_clock(&mut self, at: f64, seconds: f64) {
        self.steps.push((at, seconds));
    }

    /// Captures no more than that many bytes of each frame.
    pub(crate) fn snap(&mut self, bytes: usize) {
        self.snap_length = bytes;
    }

    /// Takes that many bytes off the end of the file.
    pub(crate) fn cut(&mut self, bytes: usize) {
        self.cut_bytes = bytes;
    }

    /// The capture file.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.segment_streams();
        self.shots.sort_by(|a, b| a.at.total_cmp(&b.at));
        let records = self.shots.iter().map(|shot| self.record(shot)).collect();
        let file = CaptureFile { link: self.link.number(), records, tail: Vec::new() };
        let mut bytes = file.to_bytes();
        bytes.truncate(bytes.len() - self.cut_bytes);
        bytes
    }

    fn record(&self, shot: &Shot) -> Record {
        let step: f64 = self.steps.iter().filter(|(at, _)| shot.at >= *at).map(|(_, seconds)| seconds).sum();
        let mut bytes = self.link.frame(&shot.packet);
        let original_len = bytes.len() as u32;
        bytes.truncate(self.snap_length);
        Record { micros: EPOCH * 1_000_000 + ((shot.at + step) * 1e6).round() as i64, original_len, bytes }
    }
}
