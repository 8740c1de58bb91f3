//! Who takes part: phones of several brands, the PBX, a trunk, a scanner.

use std::net::{IpAddr, SocketAddr};

use super::message::{Message, Spelling};
use super::random::Random;

/// The SIP domain that phones register at.
pub(crate) const DOMAIN: &str = "pbx.example.com";

/// What software an agent runs; it shows in the shape of its messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Brand {
    Yealink,
    Snom,
    Grandstream,
    /// A DECT base that writes compact header names.
    Gigaset,
    /// The PBX.
    Asterisk,
    /// A proxy and registrar.
    Kamailio,
    /// The session border controller of a carrier.
    Carrier,
    /// The tool of a scanner.
    Scanner,
}

impl Brand {
    fn user_agent(self) -> &'static str {
        match self {
            Self::Yealink => "Yealink SIP-T46S 66.86.0.15",
            Self::Snom => "snomD785/10.1.73.14",
            Self::Grandstream => "Grandstream GXP2170 1.0.11.35",
            Self::Gigaset => "N510 IP PRO/42.250.00.000.000",
            Self::Asterisk => "Asterisk PBX 18.20.0",
            Self::Kamailio => "kamailio (5.7.4 (x86_64/linux))",
            Self::Carrier => "Carrier-SBC 9.2",
            Self::Scanner => "friendly-scanner",
        }
    }

    fn spelling(self) -> Spelling {
        if self == Self::Gigaset { Spelling::Compact } else { Spelling::Full }
    }

    fn is_server(self) -> bool {
        matches!(self, Self::Asterisk | Self::Kamailio | Self::Carrier)
    }
}

/// What carries the messages of an agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Carrier {
    Udp,
    Tcp,
}

/// One party, and what it remembers from one REGISTER to the next.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    /// The user part of its address-of-record.
    pub(crate) user: String,
    /// The host part of its address-of-record.
    pub(crate) domain: String,
    /// The address of its own interface: Call-ID host and SDP origin.
    pub(crate) local: SocketAddr,
    /// The address it writes into Via, Contact and SDP: its own, unless it learned its public one.
    pub(crate) written: SocketAddr,
    /// The address its packets come from where they are captured.
    pub(crate) outer: SocketAddr,
    pub(crate) brand: Brand,
    pub(crate) carrier: Carrier,
    /// The UUID of `+sip.instance`, if it sends one.
    pub(crate) instance: Option<String>,
    /// Seconds from a packet towards it to its answer, both as captured beside the PBX.
    pub(crate) delay: f64,
    /// Seconds that it asks its registrations to last.
    pub(crate) expires: u32,
    /// Call-ID of its REGISTERs; made at the first.
    pub(crate) register_call_id: Option<String>,
    /// CSeq of its last REGISTER.
    pub(crate) register_cseq: u32,
    /// The nonce it was challenged with last.
    pub(crate) nonce: Option<String>,
    /// How often it used that nonce.
    pub(crate) nonce_count: u32,
}

impl Agent {
    /// A phone at `local` whose packets come from `outer`.
    pub(crate) fn phone(user: &str, brand: Brand, local: &str, outer: &str) -> Self {
        let local = address(local);
        Self {
            user: user.to_owned(),
            domain: DOMAIN.to_owned(),
            local,
            written: local,
            outer: address(outer),
            brand,
            carrier: Carrier::Udp,
            instance: None,
            delay: 0.030,
            expires: 300,
            register_call_id: None,
            register_cseq: 0,
            nonce: None,
            nonce_count: 0,
        }
    }

    /// A server at `at`, which answers 5 ms later.
    pub(crate) fn server(user: &str, brand: Brand, at: &str) -> Self {
        let server = Self::phone(user, brand, at, at);
        Self { delay: 0.005, domain: server.outer.ip().to_string(), ..server }
    }

    /// The same phone with a `+sip.instance`.
    pub(crate) fn with_instance(mut self, uuid: &str) -> Self {
        self.instance = Some(uuid.to_owned());
        self
    }

    /// The same phone over TCP.
    pub(crate) fn over_tcp(mut self) -> Self {
        self.carrier = Carrier::Tcp;
        self
    }

    /// The same phone asking for registrations of that many seconds.
    pub(crate) fn expiring(mut self, seconds: u32) -> Self {
        self.expires = seconds;
        self
    }

    /// Its address-of-record as a URI.
    pub(crate) fn aor(&self) -> String {
        format!("sip:{}@{}", self.user, host(&self.domain))
    }

    /// The URI of its Contact.
    pub(crate) fn contact_uri(&self) -> String {
        let transport = if self.carrier == Carrier::Tcp { ";transport=TCP" } else { "" };
        format!("sip:{}@{}{transport}", self.user, self.written)
    }

    /// Its Contact as in requests that make a dialog.
    pub(crate) fn contact(&self) -> String {
        format!("<{}>", self.contact_uri())
    }

    /// Its Contact as in REGISTER.
    pub(crate) fn binding(&self) -> String {
        let mut contact = self.contact();
        if self.brand == Brand::Snom {
            contact.push_str(";reg-id=1;q=1.0");
        }
        if let Some(uuid) = &self.instance {
            contact.push_str(&format!(";+sip.instance=\"<urn:uuid:{uuid}>\""));
        }
        contact
    }

    /// A Via of its own with a new branch.
    pub(crate) fn via(&self, random: &mut Random) -> String {
        let carrier = if self.carrier == Carrier::Tcp { "TCP" } else { "UDP" };
        format!("SIP/2.0/{carrier} {};branch=z9hG4bK{};rport", self.written, random.hex(12))
    }

    /// A new tag in the manner of its brand.
    pub(crate) fn tag(&self, random: &mut Random) -> String {
        match self.brand {
            Brand::Yealink => (1_000_000_000 + random.below(3_000_000_000)).to_string(),
            Brand::Asterisk => format!("as{}", random.hex(8)),
            _ => random.hex(10),
        }
    }

    /// A new Call-ID in the manner of its brand.
    pub(crate) fn call_id(&self, random: &mut Random) -> String {
        let host = host(&self.local.ip().to_string());
        match self.brand {
            Brand::Yealink => format!("0_{}@{host}", random.below(4_000_000_000)),
            Brand::Snom => format!("{}-{}", random.hex(12), random.hex(12)),
            Brand::Grandstream => format!("{}-5060-{}@BJC.BGI.B.CA", random.below(2_000_000_000), 1 + random.below(9)),
            Brand::Asterisk => format!("{}{}@{host}:5060", random.hex(16), random.hex(16)),
            _ => format!("{}@{host}", random.hex(16)),
        }
    }

    /// The headers that tell what it is and what it can.
    pub(crate) fn introduce(&self, message: Message) -> Message {
        let name = if self.brand.is_server() { "Server" } else { "User-Agent" };
        let allow = "INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, UPDATE, PRACK";
        message.with(name, self.brand.user_agent()).with("Allow", allow)
    }

    /// How it writes header names.
    pub(crate) fn spelling(&self) -> Spelling {
        self.brand.spelling()
    }

    /// Its answer to the challenge it holds. The digest is random: who does not know the password cannot tell it from a good one.
    pub(crate) fn credentials(&mut self, uri: &str, random: &mut Random) -> String {
        self.nonce_count += 1;
        let nonce = self.nonce.as_deref().unwrap_or("none");
        format!(
            "Digest username=\"{}\", realm=\"asterisk\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{}{}\", algorithm=MD5, \
             cnonce=\"{}\", qop=auth, nc={:08x}",
            self.user,
            random.hex(16),
            random.hex(16),
            random.hex(8),
            self.nonce_count
        )
    }

    /// Takes a new nonce from a challenge.
    pub(crate) fn take_nonce(&mut self, nonce: String) {
        self.nonce = Some(nonce);
        self.nonce_count = 0;
    }

    /// Switches it off and on: a new Call-ID, CSeq from the start, no nonce.
    pub(crate) fn reboot(&mut self) {
        self.register_call_id = None;
        self.register_cseq = 0;
        self.nonce = None;
    }

    /// A session description that offers G.711 at the address it writes.
    pub(crate) fn sdp(&self, version: u32) -> String {
        let family = |ip: IpAddr| if ip.is_ipv4() { "IP4" } else { "IP6" };
        let (local, written) = (self.local.ip(), self.written.ip());
        format!(
            "v=0\r\no=- 20083 {version} IN {} {local}\r\ns=call\r\nc=IN {} {written}\r\nt=0 0\r\nm=audio 11780 RTP/AVP 8 0 101\r\n\
             a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n",
            family(local),
            family(written)
        )
    }
}

/// The parties of the scenarios.
pub(crate) mod cast {
    use super::{Agent, Brand};

    /// The PBX.
    pub(crate) fn pbx() -> Agent {
        Agent::server("pbx", Brand::Asterisk, "203.0.113.10:5060")
    }
    /// A carrier.
    pub(crate) fn trunk() -> Agent {
        Agent { delay: 0.030, ..Agent::server("trunk", Brand::Carrier, "192.0.2.50:5060") }
    }
    /// The first phone of site A.
    pub(crate) fn a1() -> Agent {
        Agent::phone("1001", Brand::Yealink, "192.168.1.20:5060", "198.51.100.7:40001")
    }
    /// The second phone of site A.
    pub(crate) fn a2() -> Agent {
        Agent::phone("1002", Brand::Grandstream, "192.168.1.21:5060", "198.51.100.7:40002")
    }
    /// The phone of site B.
    pub(crate) fn b1() -> Agent {
        Agent::phone("2001", Brand::Snom, "10.0.0.5:5060", "198.51.100.80:35060").with_instance("5f1b6a9e-2001-4c5e-9c4e-0000000b0001")
    }
    /// The phone of site C.
    pub(crate) fn c1() -> Agent {
        Agent::phone("2101", Brand::Gigaset, "172.16.4.9:5060", "198.51.100.90:51200")
    }
    /// A phone beside the PBX, without NAT.
    pub(crate) fn l1() -> Agent {
        Agent { delay: 0.002, ..Agent::phone("3001", Brand::Snom, "203.0.113.60:5060", "203.0.113.60:5060") }
    }
    /// Somebody who looks for passwords.
    pub(crate) fn scanner() -> Agent {
        Agent::phone("100", Brand::Scanner, "192.0.2.66:5070", "192.0.2.66:5070")
    }
}

/// An address as text, checked.
pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is not an address"))
}

/// A host as it stands in a URI: IPv6 addresses in brackets.
fn host(text: &str) -> String {
    if text.contains(':') { format!("[{text}]") } else { text.to_owned() }
}
