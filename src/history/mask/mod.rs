//! Numbers, names, addresses and digests replaced by others: the same everywhere, so that a masked trace tells the same story.
//!
//! What a header may hold is listed, not what it may not: the value of a header that is not known is blotted out. Lengths stay but for those
//! of addresses. Numbers that end alike end alike afterwards, since that is how the legs of a call are told to be one.

mod addresses;
mod body;
mod header;
mod words;

use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::decode::signal::Signal;
use addresses::Addresses;
use words::Words;

/// Replaces everything that says who somebody is.
#[derive(Debug)]
pub struct Mask {
    words: Words,
    addresses: Addresses,
}

/// What a word is; the same bytes may be masked otherwise as another class.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Class {
    /// The user part of an address, or a number.
    User,
    /// The name of a host or a realm.
    Host,
    /// A name for people.
    Name,
    /// What only has to be told from others: Call-IDs, tags, branches, nonces.
    Opaque,
}

impl Mask {
    /// A mask with a key that nobody else should know.
    pub fn new(key: u64) -> Self {
        Self { words: Words::new(key), addresses: Addresses::new(key) }
    }

    /// A message with its Content-Length put right.
    pub fn message(&mut self, message: &[u8]) -> Vec<u8> {
        // Line ends may stand before a message (RFC 3261 §7.5).
        let before = message.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let (before, message) = message.split_at(before);
        let (head, body) = halves(message);
        let kind = header::content_type(head);
        let masked = body::mask(self, &kind, body);
        let head = header::head(self, head, masked.len() as i64 - body.len() as i64);
        [before, &head, &masked].concat()
    }

    /// Who sends to whom.
    pub fn flow(&mut self, flow: Flow) -> Flow {
        Flow { source: self.socket(flow.source), destination: self.socket(flow.destination), ..flow }
    }

    /// An address with its port, which stays.
    pub fn socket(&mut self, address: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.ip(address.ip()), address.port())
    }

    /// An address of the same kind: public ones stay public, private ones private, those of one IPv6 site in one.
    pub fn ip(&mut self, address: IpAddr) -> IpAddr {
        self.addresses.ip(address)
    }

    /// A sign of a flow.
    pub fn signal(&mut self, signal: Signal) -> Signal {
        match signal {
            Signal::Keepalive(flow, kind) => Signal::Keepalive(self.flow(flow), kind),
            Signal::Closed(flow) => Signal::Closed(self.flow(flow)),
            Signal::Refused(flow) => Signal::Refused(self.flow(flow)),
            Signal::Unopened(flow) => Signal::Unopened(self.flow(flow)),
            Signal::Tls(flow) => Signal::Tls(self.flow(flow)),
            Signal::Http(flow) => Signal::Http(self.flow(flow)),
            Signal::Unreachable(flow) => Signal::Unreachable(self.flow(flow)),
            Signal::StreamGap(flow) => Signal::StreamGap(self.flow(flow)),
            Signal::FragmentsLost { flow, bytes } => Signal::FragmentsLost { flow: self.flow(flow), bytes },
            Signal::Dropped(_) | Signal::Hole { .. } | Signal::ClockStep { .. } => signal,
        }
    }

    /// The user part of an address.
    pub fn user(&mut self, user: &[u8]) -> Vec<u8> {
        // That somebody does not say who they are is no secret.
        if user.eq_ignore_ascii_case(b"anonymous") { user.to_vec() } else { self.words.mask(Class::User, user) }
    }

    /// A host: a name or an address.
    pub fn host(&mut self, host: &[u8]) -> Vec<u8> {
        let bare = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
        let text = std::str::from_utf8(bare.unwrap_or(host)).unwrap_or_default();
        match text.parse::<IpAddr>() {
            Ok(address) => match self.ip(address) {
                IpAddr::V6(v6) if bare.is_some() => format!("[{v6}]").into_bytes(),
                address => address.to_string().into_bytes(),
            },
            Err(_) if matches!(text, "anonymous.invalid" | "localhost") => host.to_vec(),
            Err(_) => self.words.mask(Class::Host, &host.to_ascii_lowercase()),
        }
    }

    /// `host`, `host:port`, `[v6]:port`.
    fn host_and_port(&mut self, text: &[u8]) -> Vec<u8> {
        let end = match text.first() {
            Some(b'[') => text.iter().position(|byte| *byte == b']').map_or(text.len(), |end| end + 1),
            // A bare IPv6 address has more than one colon, and no port.
            _ if text.iter().filter(|byte| **byte == b':').count() > 1 => text.len(),
            _ => text.iter().position(|byte| *byte == b':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(end);
        [self.host(host), port.to_vec()].concat()
    }

    fn opaque(&mut self, text: &[u8]) -> Vec<u8> {
        self.words.mask(Class::Opaque, text)
    }

    fn name(&mut self, text: &[u8]) -> Vec<u8> {
        self.words.mask(Class::Name, text)
    }
}

/// A message up to and with its empty line, and its body.
fn halves(message: &[u8]) -> (&[u8], &[u8]) {
    // Of a line end with CR and one without, either may come first.
    let crlf = memchr::memmem::find(message, b"\n\r\n").map(|at| at + 3);
    let lf = memchr::memmem::find(message, b"\n\n").map(|at| at + 2);
    message.split_at(crlf.into_iter().chain(lf).min().unwrap_or(message.len()))
}

/// Letters and digits blotted out.
fn blot(text: &[u8]) -> Vec<u8> {
    text.iter().map(|byte| if byte.is_ascii_alphanumeric() || !byte.is_ascii() { b'x' } else { *byte }).collect()
}

#[cfg(test)]
mod tests;
