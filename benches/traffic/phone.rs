//! Phones, made from their numbers wherever they are needed: a million of them take no room.

use std::net::SocketAddr;

use super::message::Exchange;
use super::random::Random;
use super::{Carrier, Plan};

const AGENTS: [&str; 10] = [
    "Yealink SIP-T46S 66.86.0.15",
    "snomD785/10.1.159.12",
    "Grandstream GXP2170 1.0.11.79",
    "Fanvil X6U 2.12.1",
    "LinphoneAndroid/5.2.5",
    "PolycomVVX-VVX_450-UA/6.4.3",
    "Cisco-CP7841-3PCC/11.3.7",
    "N510 IP PRO/42.259.00.000.000",
    "MicroSIP/3.21.6",
    "FRITZ!OS",
];
/// Phones of a site.
const SITE: u32 = 8;

/// A phone.
pub(super) struct Phone {
    pub(super) user: String,
    pub(super) agent: &'static str,
    /// The address it knows of itself.
    pub(super) inner: SocketAddr,
    /// The address it is seen at.
    pub(super) outer: SocketAddr,
    pub(super) carrier: Carrier,
    /// Of its registrations.
    pub(super) call_id: String,
    pub(super) tag: String,
    number: u32,
}

impl Phone {
    /// The phone of this number, which is below 16 million.
    pub(super) fn numbered(number: u32, plan: &Plan) -> Self {
        let (site, place) = (number / SITE, number % SITE);
        let [_, high, middle, low] = number.to_be_bytes();
        let own = SocketAddr::from(([10, high, middle, low], 5060));
        let (inner, outer) = if site % 100 < plan.nat {
            let [_, _, middle, low] = site.to_be_bytes();
            let inner = SocketAddr::from(([192, 168, (site % 250) as u8, 20 + place as u8], 5060));
            let port = 20_000 + (place * 1000 + site % 997) as u16;
            (inner, SocketAddr::from(([198, 18 + (site >> 16 & 1) as u8, middle, low], port)))
        } else {
            (own, own)
        };
        // Spread over the numbers: of each hundred phones in a row the share is on TCP.
        let carrier = if number * 37 % 100 < plan.tcp { Carrier::Tcp } else { Carrier::Udp };
        let mut random = Random::seeded(&number.to_string());
        Self {
            user: (1_000_000 + number).to_string(),
            agent: AGENTS[random.below(AGENTS.len() as u64) as usize],
            inner,
            outer,
            carrier,
            call_id: format!("{:016x}@{}", random.next(), inner.ip()),
            tag: random.hex(8),
            number,
        }
    }

    pub(super) fn is_behind_nat(&self) -> bool {
        self.inner != self.outer
    }

    pub(super) fn aor(&self) -> String {
        format!("<sip:{}@pbx.example.com>", self.user)
    }

    /// Where the PBX reaches it.
    pub(super) fn uri(&self) -> String {
        format!("sip:{}@{}", self.user, self.outer)
    }

    pub(super) fn contact(&self) -> String {
        let transport = if self.carrier == Carrier::Tcp { ";transport=tcp" } else { "" };
        format!(
            "<sip:{}@{};line={}{transport}>;+sip.instance=\"<urn:uuid:{:08x}-0000-4000-8000-{:012x}>\";reg-id=1;expires=3600",
            self.user, self.inner, self.tag, self.number, self.number
        )
    }

    /// Credentials for a request, in the header of that name.
    pub(super) fn digest(&self, random: &mut Random, header: &str, exchange: &Exchange<'_>, nonce: u64) -> String {
        format!(
            "{header}: Digest username=\"{}\", realm=\"pbx.example.com\", nonce=\"{nonce:032x}\", uri=\"{}\", response=\"{:016x}{:016x}\", \
             algorithm=MD5, cnonce=\"{}\", qop=auth, nc=00000001\r\n",
            self.user,
            exchange.uri,
            random.next(),
            random.next(),
            random.hex(8)
        )
    }
}
