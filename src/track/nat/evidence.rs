//! Evidence that a device sits behind a NAT (DETECTION §2.1).

use crate::decode::flow::{Flow, is_private};
use crate::track::reading::Reading;
use crate::track::vocabulary::BehindNat;

/// The tests of §2.1 with their weights. N64 (several devices behind one address) is a property of the site and is added by whoever
/// knows it.
const WEIGHTS: [(u16, u32); 9] = [(1, 40), (2, 20), (4, 40), (8, 40), (16, 20), (32, 10), (64, 30), (128, 10), (256, 5)];

/// Which tests were positive, by the numbers of Kamailio's `nat_uac_test` as §2.1 extends them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NatEvidence(u16);

impl NatEvidence {
    /// Several devices with internal contacts of their own share the public address.
    pub const SHARED_ADDRESS: Self = Self(64);

    /// The evidence in a request along `flow` from a peer to the PBX. Only the top Via counts: with more than one, a proxy or SBC stands
    /// between, and nothing is said of the phone.
    pub fn of(read: &Reading<'_>, flow: Flow) -> Self {
        let message = read.message();
        let source = flow.source.ip();
        let Some((sent_by, port)) = read.sent_by().filter(|_| message.via_count() <= 1) else { return Self::default() };
        let mut flags = 0;
        let public = !is_private(source);
        if sent_by.is_some_and(|ip| ip != source) {
            flags |= 1;
        }
        if !flow.transport.is_stream() && port.unwrap_or(5060) != flow.source.port() {
            flags |= 2;
        }
        if public && sent_by.is_some_and(is_private) {
            flags |= 4;
        }
        if let Some((host, port)) = read.contact() {
            if public && host.is_some_and(is_private) {
                flags |= 8;
            }
            if host == Some(source) && !flow.transport.is_stream() && port.unwrap_or(5060) != flow.source.port() {
                flags |= 128;
            }
        }
        if let Some(media) = read.sdp().and_then(|sdp| sdp.connection_ip()) {
            flags |= if public && is_private(media) { 16 } else { 0 };
            flags |= if media == source { 0 } else { 256 };
        }
        if is_private(source) && !is_private(flow.destination.ip()) {
            flags |= 32;
        }
        Self(flags)
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The sum of the weights.
    pub fn score(self) -> u32 {
        WEIGHTS.iter().filter(|(flag, _)| self.0 & flag != 0).map(|(_, weight)| weight).sum()
    }

    /// Whether a NAT is at least likely (DETECTION §2.1).
    pub fn is_behind(self) -> bool {
        self.verdict() >= BehindNat::Likely
    }

    /// How sure it is. A phone whose Via names its own address in the same private network as the PBX is on the LAN.
    pub fn verdict(self) -> BehindNat {
        match self.score() {
            0 => BehindNat::No,
            1..40 => BehindNat::Possible,
            40..70 => BehindNat::Likely,
            70.. => BehindNat::Certain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;
    use crate::sip::message::Message;
    use crate::sip::scan::{Context, scan};
    use crate::table::Digester;

    fn evidence(source: &str, via: &str, contact: &str) -> NatEvidence {
        let text = format!(
            "REGISTER sip:pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bKa;rport\r\nFrom: <sip:1@pbx.example.com>;tag=a\r\n\
             To: <sip:1@pbx.example.com>\r\nCall-ID: a\r\nCSeq: 1 REGISTER\r\nContact: <sip:1@{contact}>\r\nContent-Length: 0\r\n\r\n"
        );
        let scan = scan(text.as_bytes(), Context::Datagram).unwrap();
        let flow = Flow { transport: Transport::Udp, source: source.parse().unwrap(), destination: "203.0.113.10:5060".parse().unwrap() };
        NatEvidence::of(&Reading::new(Message::new(text.as_bytes(), &scan), Digester::new(0)), flow)
    }

    #[test]
    fn a_private_phone_at_a_public_address_is_certain() {
        let evidence = evidence("198.51.100.7:40001", "192.168.1.20:5060", "192.168.1.20:5060");
        assert_eq!((evidence.score(), evidence.verdict()), (140, BehindNat::Certain));
    }

    #[test]
    fn a_phone_that_names_its_own_address_is_not() {
        assert_eq!(evidence("203.0.113.60:5060", "203.0.113.60:5060", "203.0.113.60:5060").verdict(), BehindNat::No);
        assert_eq!(evidence("203.0.113.60:5060", "203.0.113.60", "203.0.113.60").verdict(), BehindNat::No);
    }
}
