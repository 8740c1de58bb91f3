//! What one direction of a connection says: SIP, SIP in WebSocket frames, or something else.

use super::websocket::{self, FrameHead, Http, Opcode, Parsed};
use crate::decode::copies::Marks;
use crate::decode::flow::{Flow, Transport};
use crate::decode::framer::{Framer, Framing, Headers, Opening, Progress};
use crate::decode::outcome::Skip;
use crate::decode::outlet::{Current, Outlet};
use crate::decode::payload;
use crate::decode::ports::Interest;
use crate::decode::signal::{KeepaliveKind, Signal};

/// The longest incomplete message that is kept; what is longer is given up.
const MAX_BUFFER: usize = 1 << 20;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    /// Not known yet.
    Unknown,
    /// SIP.
    Sip,
    /// SIP over WebSocket.
    WebSocket,
    /// TLS.
    Encrypted,
    /// Something else.
    Other,
}

impl Protocol {
    /// The transport of the SIP messages it carries, if any.
    pub(super) fn transport(self) -> Option<Transport> {
        match self {
            Self::Sip => Some(Transport::Tcp),
            Self::WebSocket => Some(Transport::Ws),
            Self::Unknown | Self::Encrypted | Self::Other => None,
        }
    }
}

/// One direction: the bytes that wait for more, and how many frames wait with them.
#[derive(Debug, Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// How far it was read.
    progress: Progress,
    /// A WebSocket message whose last frame has not come.
    message: Vec<u8>,
    /// Frames not settled yet.
    frames: u64,
    /// What the bytes of those frames were, as far as they are no message.
    seen: Seen,
    /// The frame whose keep-alive was told last.
    told: Option<u64>,
    footing: Footing,
    handshake: Handshake,
}

/// Whether it is known where messages begin.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Footing {
    #[default]
    Sure,
    /// In the middle of a message whose beginning is missing: a line end there ends its headers and is no keep-alive.
    Lost,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Seen {
    #[default]
    Junk,
    Keepalive,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Handshake {
    #[default]
    Expected,
    Done,
}

/// Where bytes are read.
#[derive(Clone, Copy)]
pub(in crate::decode) struct Scene<'a, F> {
    /// Finds the messages.
    pub(in crate::decode) framer: &'a F,
    /// Who sends to whom.
    pub(in crate::decode) flow: Flow,
    /// What its ports say.
    pub(in crate::decode) interest: Interest,
    /// The frame in hand.
    pub(in crate::decode) current: Current,
}

/// What was done with the front of the bytes.
enum Step {
    Used(usize),
    Wait,
}

impl Reader {
    /// Reads the next bytes of the stream.
    pub(super) fn feed<F: Framer>(&mut self, bytes: &[u8], protocol: &mut Protocol, scene: &Scene<'_, F>, outlet: &mut Outlet) {
        self.frames += scene.current.frames;
        if self.buffer.is_empty() {
            let used = self.consume(bytes, protocol, scene, outlet);
            self.buffer.extend_from_slice(bytes.get(used..).unwrap_or_default());
        } else {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.extend_from_slice(bytes);
            let used = self.consume(&buffer, protocol, scene, outlet);
            // An idle connection holds no memory.
            if used < buffer.len() {
                buffer.drain(..used);
                self.buffer = buffer;
            }
        }
        if self.buffer.is_empty() && self.message.is_empty() {
            self.settle(*protocol, outlet);
        }
    }

    /// Gives up what waits, because bytes behind it are missing.
    pub(super) fn give_up(&mut self, reason: Skip, outlet: &mut Outlet) {
        outlet.skip(reason, std::mem::take(&mut self.frames));
        self.buffer = Vec::new();
        self.progress = Progress::default();
        self.message = Vec::new();
        self.seen = Seen::Junk;
    }

    /// Ends a message whose last bytes the snap length cut off: it is passed on if its headers are there.
    pub(super) fn cut<F: Framer>(&mut self, protocol: &mut Protocol, scene: &Scene<'_, F>, outlet: &mut Outlet) {
        let framer = scene.framer;
        if let (Opening::Start, Headers::Sufficient { lines }) = (framer.opening(&self.buffer), framer.headers(&self.buffer)) {
            let buffer = std::mem::take(&mut self.buffer);
            self.pass(buffer.get(..lines).unwrap_or_default(), Transport::Tcp, scene, outlet);
            *protocol = Protocol::Sip;
        }
        self.give_up(Skip::Truncated, outlet);
    }

    /// Bytes kept.
    pub(super) fn held(&self) -> usize {
        self.buffer.len() + self.message.len()
    }

    /// Reads messages off the front; returns how many bytes are done with.
    fn consume<F: Framer>(&mut self, bytes: &[u8], protocol: &mut Protocol, scene: &Scene<'_, F>, outlet: &mut Outlet) -> usize {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let step = match *protocol {
                Protocol::Unknown => self.explore(rest, protocol, scene, outlet),
                Protocol::Sip => self.sip(rest, protocol, scene, outlet),
                Protocol::WebSocket => self.web_socket(rest, protocol, scene, outlet),
                Protocol::Encrypted | Protocol::Other => Step::Used(rest.len()),
            };
            match step {
                Step::Used(used) => at += used,
                Step::Wait if rest.len() > MAX_BUFFER => at = bytes.len(),
                Step::Wait => break,
            }
            self.progress = Progress::default();
        }
        at
    }

    /// Finds out what is spoken.
    fn explore<F: Framer>(&mut self, rest: &[u8], protocol: &mut Protocol, scene: &Scene<'_, F>, outlet: &mut Outlet) -> Step {
        match rest {
            [0x14..=0x17, 0x03, 0..=4, ..] if scene.interest == Interest::Watched => {
                *protocol = Protocol::Encrypted;
                outlet.signal(scene.current, Signal::Tls(scene.flow));
                return Step::Used(rest.len());
            }
            [0x14..=0x17] | [0x14..=0x17, 0x03] => return Step::Wait,
            _ => {}
        }
        match websocket::http(rest) {
            Parsed::Found(Http::Upgrade(used)) => {
                *protocol = Protocol::WebSocket;
                self.handshake = Handshake::Done;
                Step::Used(used)
            }
            Parsed::Found(Http::Request | Http::Response) => {
                *protocol = Protocol::Other;
                if scene.interest == Interest::Watched {
                    outlet.signal(scene.current, Signal::Http(scene.flow));
                }
                Step::Used(rest.len())
            }
            Parsed::NeedMore => Step::Wait,
            Parsed::Other => self.sip(rest, protocol, scene, outlet),
        }
    }

    fn sip<F: Framer>(&mut self, rest: &[u8], protocol: &mut Protocol, scene: &Scene<'_, F>, outlet: &mut Outlet) -> Step {
        match scene.framer.frame(rest, &mut self.progress) {
            Framing::NeedMore => Step::Wait,
            Framing::Junk(used) => {
                self.footing = Footing::Lost;
                Step::Used(used)
            }
            Framing::Message(used) => {
                *protocol = Protocol::Sip;
                self.footing = Footing::Sure;
                self.pass(rest.get(..used).unwrap_or(rest), Transport::Tcp, scene, outlet);
                Step::Used(used)
            }
            Framing::Keepalive(used, _) if self.footing == Footing::Lost => Step::Used(used),
            Framing::Keepalive(used, kind) => {
                // A lone line end next to a message is a sender's slip, not a pong.
                if kind == KeepaliveKind::CrlfCrlf || (used == rest.len() && self.frames > 0) {
                    self.keepalive(kind, Transport::Tcp, scene, outlet);
                }
                Step::Used(used)
            }
        }
    }

    fn web_socket<F: Framer>(&mut self, rest: &[u8], protocol: &mut Protocol, scene: &Scene<'_, F>, outlet: &mut Outlet) -> Step {
        if self.handshake == Handshake::Expected {
            match websocket::http(rest) {
                Parsed::Found(Http::Upgrade(used)) => {
                    self.handshake = Handshake::Done;
                    return Step::Used(used);
                }
                Parsed::Found(Http::Request | Http::Response) => {
                    *protocol = Protocol::Other;
                    return Step::Used(rest.len());
                }
                Parsed::NeedMore => return Step::Wait,
                Parsed::Other => self.handshake = Handshake::Done,
            }
        }
        match websocket::frame(rest) {
            Parsed::NeedMore => Step::Wait,
            Parsed::Other => Step::Used(rest.len()),
            Parsed::Found(head) => {
                let payload = rest.get(head.header..head.header + head.payload).unwrap_or_default();
                self.web_socket_frame(head, payload, scene, outlet);
                Step::Used(head.header + head.payload)
            }
        }
    }

    fn web_socket_frame<F: Framer>(&mut self, head: FrameHead, payload: &[u8], scene: &Scene<'_, F>, outlet: &mut Outlet) {
        match head.opcode {
            Opcode::Probe => return self.keepalive(KeepaliveKind::Short, Transport::Ws, scene, outlet),
            Opcode::Close => return,
            Opcode::Data => self.message.clear(),
            Opcode::Continuation => {}
        }
        websocket::unmask(&mut self.message, payload, head.mask);
        if !head.is_final && self.message.len() <= MAX_BUFFER {
            return;
        }
        let message = std::mem::take(&mut self.message);
        if scene.framer.opening(&message) == Opening::Start {
            self.pass(&message, Transport::Ws, scene, outlet);
        } else if let Some(kind @ (KeepaliveKind::Crlf | KeepaliveKind::CrlfCrlf)) = payload::keepalive(&message) {
            self.keepalive(kind, Transport::Ws, scene, outlet);
        }
    }

    /// Passes a message on, and with it the frames that brought it.
    fn pass<F>(&mut self, message: &[u8], transport: Transport, scene: &Scene<'_, F>, outlet: &mut Outlet) {
        let current = Current { frames: std::mem::take(&mut self.frames), ..scene.current };
        outlet.payload(current, Flow { transport, ..scene.flow }, Marks::Stream, message);
    }

    /// Tells of a keep-alive. Several in one segment say no more than one, and a segment has room for thousands.
    fn keepalive<F>(&mut self, kind: KeepaliveKind, transport: Transport, scene: &Scene<'_, F>, outlet: &mut Outlet) {
        self.seen = Seen::Keepalive;
        if self.told == Some(scene.current.frame) {
            return;
        }
        self.told = Some(scene.current.frame);
        outlet.keepalive(scene.current, Flow { transport, ..scene.flow }, kind);
    }

    /// Settles frames whose bytes are all read and were no message.
    fn settle(&mut self, protocol: Protocol, outlet: &mut Outlet) {
        let frames = std::mem::take(&mut self.frames);
        match (std::mem::take(&mut self.seen), protocol) {
            (Seen::Keepalive, _) => outlet.frames.keepalive += frames,
            (Seen::Junk, Protocol::Encrypted) => outlet.skip(Skip::Encrypted, frames),
            (Seen::Junk, Protocol::Sip) => outlet.skip(Skip::IncompleteStream, frames),
            (Seen::Junk, _) => outlet.skip(Skip::NotSip, frames),
        }
    }
}
