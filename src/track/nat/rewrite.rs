//! Who writes public addresses into the messages of a phone: the phone itself, or a router that meddles (DETECTION §2.2).

use std::net::IpAddr;

use crate::decode::flow::is_private;
use crate::sip::method::Method;
use crate::track::world::Seen;

/// Changes back and forth that no phone makes by itself.
const ALTERNATIONS: u8 = 3;

/// REGISTERs in which a phone that learns its public address from the answers has learned it: the first one, with credentials, and once
/// more for a registrar that asks twice.
const LEARNING: u8 = 3;

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
    beginning: Beginning,
}

/// How a phone began since it was switched on. A router rewrites its first REGISTER too; a phone that learns its public address from the
/// answers (`received` and `rport` of RFC 3581) cannot write it there.
#[derive(Clone, Copy, Debug, Default)]
enum Beginning {
    /// Its first REGISTER was not seen.
    #[default]
    Unseen,
    /// So many REGISTERs, all with its private address in Via and Contact.
    Private(u8),
    /// The first REGISTERs had its private address, and with the answers to them it learned the public one.
    Learned,
    /// The public address cannot be from the first answers.
    Other,
}

impl Beginning {
    /// With one more REGISTER, the `first` one of the phone or not.
    fn after(self, first: bool, is_authorized: bool, writes: [Writes; 2]) -> Self {
        match (self, writes) {
            (Self::Unseen, [Writes::Private, Writes::Private]) if first && !is_authorized => Self::Private(1),
            (Self::Private(count), [Writes::Private, Writes::Private]) if count < LEARNING => Self::Private(count + 1),
            (Self::Private(_), [_, Writes::Public] | [Writes::Public, _]) => Self::Learned,
            (Self::Learned, [_, Writes::Public] | [Writes::Public, _]) => Self::Learned,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Writes {
    Public,
    Private,
}

impl Rewrites {
    /// Forgets what a phone wrote before it restarted.
    pub(super) fn restart(&mut self) {
        (self.last, self.alternations, self.beginning) = (None, 0, Beginning::Unseen);
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
        if message.method() == Method::Register {
            self.beginning = self.beginning.after(self.last.is_none(), message.is_authorized(), [via, contact]);
            if self.alternates(contact) {
                return Some(Rewriting::Alternating);
            }
        }
        let has_learned = matches!(self.beginning, Beginning::Learned);
        match (via, contact) {
            (Writes::Public, Writes::Private) => (!has_learned).then_some(Rewriting::Partial),
            (Writes::Public, Writes::Public) => {
                let media = seen.read.sdp().and_then(|session| writes(session.connection_ip()?, source));
                match (media, names_private_host(message.call_id())) {
                    (Some(Writes::Private), true) if !has_learned => Some(Rewriting::HeadersOnly),
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

#[cfg(test)]
mod tests {
    use super::*;
    use Writes::{Private, Public};

    fn beginning(registers: &[[Writes; 2]]) -> Beginning {
        let after = |(index, so_far): (usize, Beginning), writes: &[Writes; 2]| (index + 1, so_far.after(index == 0, index > 0, *writes));
        registers.iter().fold((0, Beginning::default()), after).1
    }

    #[test]
    fn who_begins_with_the_private_address_and_goes_on_with_the_public_one_has_learned_it() {
        let own = [Private, Private];
        assert!(matches!(beginning(&[own, own, [Public, Public], [Public, Public]]), Beginning::Learned));
        assert!(matches!(beginning(&[own, [Public, Private], [Public, Public]]), Beginning::Learned), "the Via first");
        assert!(matches!(beginning(&[[Public, Public], [Public, Public]]), Beginning::Other), "a router, or STUN");
        assert!(matches!(beginning(&[own, own, own, own, [Public, Public]]), Beginning::Other), "a router that was set so later");
        assert!(matches!(beginning(&[own, [Public, Public], own, [Public, Public]]), Beginning::Other), "a router that forgets to");
        let refresh = Beginning::default().after(true, true, own);
        assert!(matches!(refresh, Beginning::Other), "it had been on for long");
    }
}
