//! Who writes public addresses into the messages of a phone: the phone itself, or a router that meddles (DETECTION §2.2).

use std::net::IpAddr;

use crate::decode::flow::is_private;
use crate::sip::method::Method;
use crate::track::world::Seen;

/// Changes back and forth that no phone makes by itself.
const ALTERNATIONS: u8 = 3;

/// What shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rewriting {
    /// Public addresses where the phone signs and private ones elsewhere, as of a phone that uses STUN.
    Consistent,
    /// A2: the body is not as long as the message says, as after a careless change of addresses.
    Length,
    /// A3: the Via was rewritten and the Contact was not.
    Partial,
    /// A5: some requests are rewritten and some are not.
    Alternating,
    /// A1 and A8: consistent in the headers, but the session description names the private address.
    HeadersOnly,
}

impl Rewriting {
    /// Whether only a router does this.
    pub fn is_routers(self) -> bool {
        self != Self::Consistent
    }

    /// What was seen, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consistent => "Via and Contact name the public address, other headers the private one",
            Self::Length => "Content-Length is not the length of the session description",
            Self::Partial => "the Via names the public address, the Contact a private one",
            Self::Alternating => "some REGISTERs name the public address, others the private one",
            Self::HeadersOnly => "Via and Contact name the public address, the session description a private one",
        }
    }
}

/// Which addresses a phone was seen to write.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rewrites {
    last: Option<Writes>,
    alternations: u8,
    told: u8,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Writes {
    Public,
    Private,
}

impl Rewrites {
    /// Forgets what a phone wrote before it restarted.
    pub(super) fn restart(&mut self) {
        (self.last, self.alternations) = (None, 0);
    }

    /// What a REGISTER or INVITE of the phone shows, once each.
    pub(super) fn note(&mut self, seen: &Seen<'_>) -> Option<Rewriting> {
        let found = self.read(seen)?;
        let bit = 1 << found as u8;
        let is_new = self.told & bit == 0;
        self.told |= bit;
        is_new.then_some(found)
    }

    fn read(&mut self, seen: &Seen<'_>) -> Option<Rewriting> {
        let message = &seen.message;
        let source = seen.flow.source.ip();
        if is_private(source) || message.via_count() > 1 || seen.flow.transport.is_stream() {
            return None;
        }
        if message.has_other_length() && message.has_sdp() {
            return Some(Rewriting::Length);
        }
        let via = writes(seen.read.sent_by()?.0?, source)?;
        let contact = writes(seen.read.contact()?.0?, source)?;
        if message.method() == Method::Register && self.alternates(contact) {
            return Some(Rewriting::Alternating);
        }
        match (via, contact) {
            (Writes::Public, Writes::Private) => Some(Rewriting::Partial),
            (Writes::Public, Writes::Public) => {
                let media = seen.read.sdp().and_then(|session| writes(session.connection_ip()?, source));
                match (media, names_private_host(message.call_id())) {
                    (Some(Writes::Private), true) => Some(Rewriting::HeadersOnly),
                    (_, true) => Some(Rewriting::Consistent),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn alternates(&mut self, contact: Writes) -> bool {
        if self.last.replace(contact).is_some_and(|last| last != contact) {
            self.alternations = self.alternations.saturating_add(1);
        }
        self.alternations >= ALTERNATIONS
    }
}

/// Whether an address that a phone writes is the public one or its private one; another public one says nothing.
fn writes(address: IpAddr, source: IpAddr) -> Option<Writes> {
    match address {
        address if address == source => Some(Writes::Public),
        address if is_private(address) => Some(Writes::Private),
        _ => None,
    }
}

/// Whether a Call-ID ends with a private address, as phones that do not know their public one make it.
fn names_private_host(call_id: &[u8]) -> bool {
    let host = call_id.rsplit(|&byte| byte == b'@').next().unwrap_or_default();
    let text = std::str::from_utf8(host).unwrap_or_default();
    call_id.contains(&b'@') && text.parse::<IpAddr>().is_ok_and(is_private)
}
