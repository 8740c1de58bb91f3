//! What was heard of a flow, as the packets that say it again.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::blank::blank_secrets;
use super::packets::{FILE_HEADER, Packets, Segment, Whole};
use crate::decode::flow::{Flow, Transport};
use crate::decode::signal::{KeepaliveKind, Signal};
use crate::sip::framing::{self, Framed, MAX_MESSAGE};
use crate::time::{PacketTime, Span};

/// Connections whose sequence numbers are remembered; beyond, all are begun again.
const CONNECTIONS: usize = 65_536;
/// Bytes of data of one TCP segment.
const SEGMENT: usize = 32 << 10;
/// A capture that is silent for longer counts as broken (DETECTION §13). Where it was not, a packet without meaning says so.
const SILENT: Span = Span::from_secs(500);

/// A handshake for SIP over WebSocket, RFC 7118 §4; its keys are those of RFC 6455 §1.3.
const UPGRADE: [&[u8]; 2] = [
    b"GET / HTTP/1.1\r\nHost: siphound.invalid\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
];
/// A request that is no upgrade.
const HTTP: &[u8] = b"GET / HTTP/1.1\r\nHost: siphound.invalid\r\n\r\n";
/// The alert with which TLS says good-bye.
const TLS: &[u8] = &[0x15, 3, 3, 0, 2, 1, 0];
/// A STUN binding request (RFC 8489 §5) without attributes.
const STUN: &[u8] = b"\0\x01\0\0\x21\x12\xa4\x42siphoundstun";
/// What the packet without meaning says.
const ALIVE: &[u8] = b"siphound: the capture goes on";

/// Turns what was heard into records of a pcap file. Secrets are blanked here, so that none reaches a file.
#[derive(Debug, Default)]
pub struct Frames {
    packets: Packets,
    connections: BTreeMap<(SocketAddr, SocketAddr), Connection>,
    /// Connections begun, for their sequence numbers.
    begun: u32,
    /// User messages of SCTP.
    sctp: u32,
    last: Option<PacketTime>,
    /// Whether the capture was broken since the last packet.
    broken: bool,
    message: Vec<u8>,
}

/// A TCP connection.
#[derive(Clone, Copy, Debug)]
struct Connection {
    client: SocketAddr,
    server: SocketAddr,
    transport: Transport,
    /// The next sequence numbers of the client and of the server.
    next: [u32; 2],
}

/// What a connection does next.
#[derive(Clone, Copy)]
struct Moment<'o> {
    time: PacketTime,
    /// Who does it.
    source: SocketAddr,
    bytes: &'o [u8],
    whole: Whole,
}

impl Frames {
    /// Begins a file. Where another went before, a packet at its end says that nothing is missing in between.
    pub fn begin_file(&mut self, out: &mut Vec<u8>) {
        out.extend(FILE_HEADER);
        // A reader that begins here must see what the connection speaks.
        self.connections.retain(|_, connection| connection.transport == Transport::Tcp);
        if let Some(last) = self.last {
            self.alive(out, last);
        }
    }

    /// Appends a message.
    pub fn message(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow, bytes: &[u8]) {
        self.go_on(out, time);
        let mut message = std::mem::take(&mut self.message);
        message.clear();
        message.extend_from_slice(bytes);
        blank_secrets(&mut message);
        match flow.transport {
            Transport::Udp => self.packets.udp(out, time, flow, &message),
            Transport::Sctp => {
                self.sctp = self.sctp.wrapping_add(1);
                self.packets.sctp(out, time, flow, self.sctp, &message);
            }
            Transport::Tcp => {
                // A message that the snap length cut off must not swallow those behind it.
                let is_cut = framing::frame(&message, MAX_MESSAGE) != Framed::Message { len: message.len() };
                self.stream(out, time, flow, &message, if is_cut { Whole::No } else { Whole::Yes });
            }
            Transport::Ws => self.websocket(out, time, flow, 1, &message),
        }
        self.message = message;
    }

    /// Appends what says the signal again; nothing where a pcap cannot say it.
    pub fn signal(&mut self, out: &mut Vec<u8>, time: PacketTime, signal: &Signal) {
        match signal {
            Signal::Hole { .. } => self.broken = true,
            Signal::Dropped(_) | Signal::ClockStep { .. } => {}
            _ => self.go_on(out, time),
        }
        match signal {
            Signal::Keepalive(flow, kind) => self.keepalive(out, time, flow, *kind),
            Signal::Closed(flow) => self.close(out, time, flow),
            Signal::Refused(flow) => self.refuse(out, time, flow),
            Signal::Unopened(flow) => self.ask(out, time, flow),
            Signal::Tls(flow) => self.once(out, time, flow, TLS),
            Signal::Http(flow) => self.once(out, time, flow, HTTP),
            Signal::Unreachable(flow) => self.packets.unreachable(out, time, flow),
            Signal::StreamGap(flow) => self.lack(out, time, flow),
            Signal::FragmentsLost { flow, bytes } => self.packets.fragments(out, time, flow, *bytes),
            Signal::Dropped(_) | Signal::Hole { .. } | Signal::ClockStep { .. } => {}
        }
    }

    /// Says that the capture went on where there was nothing to tell for long.
    fn go_on(&mut self, out: &mut Vec<u8>, time: PacketTime) {
        while let Some(last) = self.last.filter(|last| time - *last > SILENT && !self.broken) {
            self.alive(out, last + SILENT);
            self.last = Some(last + SILENT);
        }
        self.last = Some(time);
        self.broken = false;
    }

    /// A datagram from this host to itself, to the port on which everything is discarded (RFC 863).
    fn alive(&mut self, out: &mut Vec<u8>, time: PacketTime) {
        let own = SocketAddr::from(([127, 0, 0, 1], 9));
        self.packets.udp(out, time, &Flow { transport: Transport::Udp, source: own, destination: own }, ALIVE);
    }

    fn keepalive(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow, kind: KeepaliveKind) {
        let bytes: &[u8] = match kind {
            KeepaliveKind::Zero => b"",
            KeepaliveKind::Crlf => b"\r\n",
            KeepaliveKind::CrlfCrlf => b"\r\n\r\n",
            KeepaliveKind::Nul4 => &[0; 4],
            KeepaliveKind::Short => b"\0",
            KeepaliveKind::Stun => STUN,
        };
        match (flow.transport, kind) {
            (Transport::Udp | Transport::Sctp, _) => self.packets.udp(out, time, flow, bytes),
            (Transport::Tcp, _) => self.stream(out, time, flow, bytes, Whole::Yes),
            (Transport::Ws, KeepaliveKind::Crlf | KeepaliveKind::CrlfCrlf) => self.websocket(out, time, flow, 1, bytes),
            (Transport::Ws, _) => self.websocket(out, time, flow, 9, b""),
        }
    }

    /// Bytes of a stream.
    fn stream(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow, bytes: &[u8], whole: Whole) {
        let mut connection = self.connection(out, time, flow);
        let pieces = bytes.len().div_ceil(SEGMENT);
        for (nth, piece) in bytes.chunks(SEGMENT).enumerate() {
            let is_last = nth + 1 == pieces;
            if is_last && whole == Whole::No {
                // The missing byte is one that is not there.
                let piece = [piece, b"\0"].concat();
                connection.data(&mut self.packets, out, Moment { time, source: flow.source, bytes: &piece, whole });
            } else {
                connection.data(&mut self.packets, out, Moment { time, source: flow.source, bytes: piece, whole: Whole::Yes });
            }
        }
        self.connections.insert(pair(flow), connection);
    }

    /// A WebSocket message in frames (RFC 6455 §5.2); the mask of a client is zero, so that its text can be read.
    fn websocket(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow, opcode: u8, bytes: &[u8]) {
        let client = self.connection(out, time, flow).client == flow.source;
        let mut frames = Vec::with_capacity(bytes.len() + 16);
        let mut rest = bytes;
        let mut code = opcode;
        loop {
            let (piece, behind) = rest.split_at(rest.len().min(SEGMENT));
            frames.push(code | if behind.is_empty() { 0x80 } else { 0 });
            let mask = if client { 0x80 } else { 0 };
            match u8::try_from(piece.len()) {
                Ok(length @ ..=125) => frames.push(mask | length),
                _ => {
                    frames.push(mask | 126);
                    frames.extend((piece.len() as u16).to_be_bytes());
                }
            }
            frames.extend(if client { &[0; 4][..] } else { &[] });
            frames.extend(piece);
            (rest, code) = (behind, 0);
            if rest.is_empty() {
                break;
            }
        }
        self.stream(out, time, flow, &frames, Whole::Yes);
    }

    /// A connection that says one thing and is of no further interest.
    fn once(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow, bytes: &[u8]) {
        self.connections.remove(&pair(flow));
        let flow = Flow { transport: Transport::Tcp, ..*flow };
        let mut connection = self.open(out, time, flow, flow.source);
        connection.data(&mut self.packets, out, Moment { time, source: flow.source, bytes, whole: Whole::Yes });
    }

    fn close(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow) {
        if let Some(connection) = self.connections.remove(&pair(flow)) {
            let (ends, [sent, heard]) = connection.seen_from(flow.source);
            self.packets.tcp(out, time, ends, (Segment::Fin, sent, heard), (&[], Whole::Yes));
        }
    }

    /// Of a connection that is known, the receiver has a byte that is not there.
    fn lack(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow) {
        if let Some(connection) = self.connections.get_mut(&pair(flow)) {
            connection.advance(flow.source, 1);
            connection.data(&mut self.packets, out, Moment { time, source: flow.destination, bytes: b"", whole: Whole::Yes });
        }
    }

    /// A connection that is asked for: the last time stands for all.
    fn ask(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow) {
        let sequence = self.sequence();
        self.packets.tcp(out, time, (flow.source, flow.destination), (Segment::Syn, sequence, 0), (&[], Whole::Yes));
    }

    fn refuse(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow) {
        self.connections.remove(&pair(flow));
        let sequence = self.sequence();
        let (client, server) = (flow.source, flow.destination);
        self.packets.tcp(out, time, (client, server), (Segment::Syn, sequence, 0), (&[], Whole::Yes));
        self.packets.tcp(out, time, (server, client), (Segment::Reset, 0, sequence.wrapping_add(1)), (&[], Whole::Yes));
    }

    /// The connection of a flow, which is opened where it is not known.
    fn connection(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: &Flow) -> Connection {
        if let Some(known) = self.connections.get(&pair(flow)).filter(|known| known.transport == flow.transport) {
            return *known;
        }
        if self.connections.len() >= CONNECTIONS {
            self.connections.clear();
        }
        // Servers have the small ports.
        let client = if flow.destination.port() <= flow.source.port() { flow.source } else { flow.destination };
        let mut connection = self.open(out, time, *flow, client);
        if flow.transport == Transport::Ws {
            for (source, bytes) in [connection.client, connection.server].into_iter().zip(UPGRADE) {
                connection.data(&mut self.packets, out, Moment { time, source, bytes, whole: Whole::Yes });
            }
        }
        self.connections.insert(pair(flow), connection);
        connection
    }

    /// The handshake of a connection.
    fn open(&mut self, out: &mut Vec<u8>, time: PacketTime, flow: Flow, client: SocketAddr) -> Connection {
        let server = if client == flow.source { flow.destination } else { flow.source };
        let [sent, heard] = [self.sequence(), self.sequence()];
        let next = [sent.wrapping_add(1), heard.wrapping_add(1)];
        self.packets.tcp(out, time, (client, server), (Segment::Syn, sent, 0), (&[], Whole::Yes));
        self.packets.tcp(out, time, (server, client), (Segment::SynAck, heard, next[0]), (&[], Whole::Yes));
        Connection { client, server, transport: flow.transport, next }
    }

    /// A sequence number far from those before, so that the connection is another one.
    fn sequence(&mut self) -> u32 {
        self.begun = self.begun.wrapping_add(1);
        self.begun.wrapping_mul(0x9e37_79b1)
    }
}

impl Connection {
    fn data(&mut self, packets: &mut Packets, out: &mut Vec<u8>, moment: Moment<'_>) {
        let (ends, [sent, heard]) = self.seen_from(moment.source);
        packets.tcp(out, moment.time, ends, (Segment::Data, sent, heard), (moment.bytes, moment.whole));
        self.advance(moment.source, moment.bytes.len());
    }

    /// What `source` sends next stands behind `bytes` more.
    fn advance(&mut self, source: SocketAddr, bytes: usize) {
        if let Some(next) = self.next.get_mut(usize::from(source != self.client)) {
            *next = next.wrapping_add(bytes as u32);
        }
    }

    /// Both ends and their next sequence numbers, those of `source` first.
    fn seen_from(&self, source: SocketAddr) -> ((SocketAddr, SocketAddr), [u32; 2]) {
        let [client, server] = self.next;
        if source == self.client { ((self.client, self.server), [client, server]) } else { ((self.server, self.client), [server, client]) }
    }
}

/// The ends of a flow, in the same order for both directions.
fn pair(flow: &Flow) -> (SocketAddr, SocketAddr) {
    (flow.source.min(flow.destination), flow.source.max(flow.destination))
}
