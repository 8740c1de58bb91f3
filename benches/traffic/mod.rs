//! Ordinary traffic of a PBX, of any size, the same bytes for the same plan: what the benches and the scripts feed siphound with.
//!
//! Each phone registers (REGISTER 401 REGISTER 200), refreshes, is qualified (OPTIONS 200) and, behind a NAT, sends keep-alives. Calls go
//! from phone to PBX to phone in two legs, a share of them busy or cancelled. 1 % of the requests over UDP are sent twice. On request a
//! share goes over TCP, in fragments, or is bent out of shape.
#![allow(dead_code, reason = "each bench uses its own part of the traffic")]

mod call;
mod message;
pub(crate) mod pcap;
mod phone;
#[path = "../../tests/support/random.rs"]
mod random;
mod stream;
mod torture;
#[path = "../../tests/support/wire.rs"]
mod wire;

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddr};

use message::{Exchange, SERVER};
use phone::Phone;
use random::Random;
use stream::Stream;

/// The PBX.
pub(crate) const PBX: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)), 5060);
/// When all traffic begins, in microseconds since the Unix epoch: 2025-10-09T08:53:20Z.
pub(crate) const START: u64 = 1_760_000_000_000_000;
/// Microseconds of a second.
const SECOND: u64 = 1_000_000;
/// Messages of a call through the PBX in the mean: 18 of one that is answered, 12 and 14 of the others.
const PER_CALL: f64 = 17.6;

/// What the traffic is like. Shares are in percent, times in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Phones, each at an address of its own.
    pub(crate) phones: u32,
    /// Number of the first of them: two plans whose numbers differ share no phone.
    pub(crate) first: u32,
    /// How long all of them take to register.
    pub(crate) ramp: f64,
    /// When the traffic ends; what began before is not ended properly. May be infinite.
    pub(crate) span: f64,
    /// Between two registrations of a phone.
    pub(crate) refresh: f64,
    /// Between two OPTIONS to a phone.
    pub(crate) qualify: f64,
    /// Between two keep-alives of a phone behind a NAT.
    pub(crate) keepalive: f64,
    /// When the first call begins.
    pub(crate) calls_from: f64,
    /// After this no call begins.
    pub(crate) calls_until: f64,
    /// Calls that begin in a second, of two legs each.
    pub(crate) calls: f64,
    /// How long they last in the mean, from the answer on.
    pub(crate) talk: f64,
    /// Calls that are busy or cancelled.
    pub(crate) failed: u32,
    /// Sites of eight phones behind one NAT address.
    pub(crate) nat: u32,
    /// Phones on TCP.
    pub(crate) tcp: u32,
    /// Calls whose INVITE takes several IP fragments.
    pub(crate) large: u32,
    /// Messages that are legal but odd, or broken.
    pub(crate) torture: u32,
    /// What all that is random depends on.
    pub(crate) seed: u64,
}

impl Plan {
    /// About `messages` messages of `phones` phones within `span` seconds: registrations and qualifies first, calls fill up the rest.
    pub(crate) fn ordinary(messages: u64, phones: u32, span: f64) -> Self {
        let (refresh, qualify, ramp) = (1700.0, 360.0, 850_f64.min(span / 2.0));
        let times = |every: f64| 1.0 + ((span - ramp / 2.0) / every).floor().max(0.0);
        let upkeep = f64::from(phones) * (4.0 * times(refresh) + 2.0 * times(qualify));
        let calls_from = ramp.min(30.0).min(span / 10.0);
        let calls = (messages as f64 - upkeep).max(0.0) / PER_CALL / (span - calls_from);
        Self {
            phones,
            first: 0,
            ramp,
            span,
            refresh,
            qualify,
            keepalive: 85.0,
            calls_from,
            calls_until: f64::INFINITY,
            calls,
            talk: 120_f64.min(span / 20.0),
            failed: 10,
            nat: 10,
            tcp: 0,
            large: 0,
            torture: 0,
            seed: 1,
        }
    }

    /// Phones that register evenly over `ramp` seconds and are let alone.
    pub(crate) fn idle(phones: u32, ramp: f64) -> Self {
        Self { ramp, qualify: f64::INFINITY, calls: 0.0, nat: 0, ..Self::ordinary(0, phones, ramp + 1.0) }
    }

    /// The traffic that few people see: a third of the phones on TCP, a third of the calls fragmented, a tenth of all messages torture.
    pub(crate) fn mixed(self) -> Self {
        Self { tcp: 33, large: 33, torture: 10, ..self }
    }
}

/// A frame on Ethernet.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Microseconds since the Unix epoch.
    pub(crate) micros: u64,
    /// What was captured, all of it.
    pub(crate) bytes: Vec<u8>,
}

/// What the traffic held so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Truth {
    pub(crate) frames: u64,
    /// SIP messages, repeats and torture among them.
    pub(crate) messages: u64,
    /// Torture messages.
    pub(crate) torture: u64,
    pub(crate) keepalives: u64,
    /// Calls begun: each has a Call-ID of its own on both sides of the PBX.
    pub(crate) legs: u64,
}

/// Something that is due.
#[derive(Debug)]
enum Event {
    /// The phone of this place registers for the first time, and the next one after it.
    Arrive(u32),
    Refresh(u32, u32),
    Qualify(u32),
    Keepalive(u32),
    Call,
    Send(Packet),
    Frame(Vec<u8>),
}

/// A payload on its way.
#[derive(Debug)]
struct Packet {
    source: SocketAddr,
    destination: SocketAddr,
    carrier: Carrier,
    payload: Vec<u8>,
}

/// What carries the messages of a phone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Carrier {
    Udp,
    Tcp,
}

impl Carrier {
    fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

/// An event at its moment; what falls on one moment stays in order.
#[derive(Debug)]
struct Entry {
    at: u64,
    order: u64,
    event: Event,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

/// The traffic of a plan, frame by frame in order of time; holds no more of it than is under way.
pub(crate) struct Traffic {
    plan: Plan,
    random: Random,
    due: BinaryHeap<Reverse<Entry>>,
    order: u64,
    streams: BTreeMap<SocketAddr, Stream>,
    ip_id: u16,
    truth: Truth,
}

impl Traffic {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut traffic = Self {
            plan,
            random: Random::seeded(&plan.seed.to_string()),
            due: BinaryHeap::new(),
            order: 0,
            streams: BTreeMap::new(),
            ip_id: 0,
            truth: Truth::default(),
        };
        if plan.phones > 0 {
            traffic.schedule(0, Event::Arrive(0));
        }
        if plan.calls > 0.0 {
            traffic.schedule(micros(plan.calls_from), Event::Call);
        }
        traffic
    }

    /// What was in the frames handed out so far.
    pub(crate) fn truth(&self) -> Truth {
        self.truth
    }

    fn schedule(&mut self, at: u64, event: Event) {
        if (at as f64) < self.plan.span * 1e6 {
            self.push(at, event);
        }
    }

    fn push(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.due.push(Reverse(Entry { at, order: self.order, event }));
    }

    /// Does what is due and returns the frame that it was, if it was one.
    fn handle(&mut self, at: u64, event: Event) -> Option<Frame> {
        match event {
            Event::Arrive(place) => self.arrive(at, place),
            Event::Refresh(place, round) => self.refresh(at, place, round),
            Event::Qualify(place) => self.qualify(at, place),
            Event::Keepalive(place) => self.keepalive(at, place),
            Event::Call => self.call(at),
            Event::Send(packet) => self.emit(at, &packet),
            Event::Frame(bytes) => {
                self.truth.frames += 1;
                return Some(Frame { micros: START + at, bytes });
            }
        }
        None
    }

    fn phone(&self, place: u32) -> Phone {
        Phone::numbered(self.plan.first + place, &self.plan)
    }

    fn arrive(&mut self, at: u64, place: u32) {
        self.refresh(at, place, 0);
        self.schedule(at + 2 * SECOND, Event::Qualify(place));
        if self.phone(place).is_behind_nat() {
            self.schedule(at + SECOND, Event::Keepalive(place));
        }
        if place + 1 < self.plan.phones {
            let next = f64::from(place + 1) * self.plan.ramp / f64::from(self.plan.phones);
            self.schedule(micros(next), Event::Arrive(place + 1));
        }
    }

    fn refresh(&mut self, at: u64, place: u32, round: u32) {
        let phone = self.phone(place);
        let nonce = self.random.next();
        let contact = phone.contact();
        for step in 0..2 {
            let at = at + step * 50_000;
            let exchange = Exchange {
                method: "REGISTER",
                uri: "sip:pbx.example.com",
                carrier: phone.carrier,
                sent_by: phone.inner,
                seen: phone.outer,
                branch: self.random.next(),
                call_id: &phone.call_id,
                from: &format!("{};tag={}", phone.aor(), phone.tag),
                to: &phone.aor(),
                cseq: 1 + round * 2 + step as u32,
            };
            let extra = if step == 0 { String::new() } else { phone.digest(&mut self.random, "Authorization", &exchange, nonce) };
            let request = exchange.request(phone.agent, &contact, &format!("{extra}Expires: 3600\r\n"), "");
            let tagged = format!("{};tag=as{:08x}", exchange.to, self.random.next() as u32);
            let response = if step == 0 {
                exchange.response("401 Unauthorized", &tagged, &message::challenge("WWW-Authenticate", nonce), "")
            } else {
                let binding =
                    format!("Contact: <sip:{}@{}>;expires=3600\r\nDate: Thu, 09 Oct 2025 10:00:00 GMT\r\n", phone.user, phone.inner);
                exchange.response("200 OK", &tagged, &binding, "")
            };
            self.request(at, &phone, Way::FromPhone, request);
            self.send(at + 4_000, &phone, Way::ToPhone, response);
        }
        self.schedule(at.saturating_add(micros(self.plan.refresh)), Event::Refresh(place, round + 1));
    }

    fn qualify(&mut self, at: u64, place: u32) {
        let phone = self.phone(place);
        let from = format!("\"asterisk\" <sip:asterisk@{}>;tag=as{:08x}", PBX.ip(), self.random.next() as u32);
        let (uri, call_id) = (phone.uri(), format!("{:016x}{:016x}@{PBX}", self.random.next(), self.random.next()));
        let exchange = Exchange {
            method: "OPTIONS",
            uri: &uri,
            carrier: phone.carrier,
            sent_by: PBX,
            seen: PBX,
            branch: self.random.next(),
            call_id: &call_id,
            from: &from,
            to: &format!("<{uri}>"),
            cseq: 102,
        };
        let request = exchange.request(SERVER, &format!("<sip:asterisk@{PBX}>"), "", "");
        let tagged = format!("<{uri}>;tag={:08x}", self.random.next() as u32);
        self.request(at, &phone, Way::ToPhone, request);
        self.send(at + 30_000, &phone, Way::FromPhone, exchange.response("200 OK", &tagged, "Accept: application/sdp\r\n", ""));
        self.schedule(at.saturating_add(micros(self.plan.qualify)), Event::Qualify(place));
    }

    fn keepalive(&mut self, at: u64, place: u32) {
        let phone = self.phone(place);
        self.send(at, &phone, Way::FromPhone, b"\r\n\r\n".to_vec());
        self.schedule(at.saturating_add(micros(self.plan.keepalive)), Event::Keepalive(place));
    }

    /// A request, in one of a hundred cases sent again although it arrived.
    fn request(&mut self, at: u64, phone: &Phone, way: Way, payload: Vec<u8>) {
        if phone.carrier == Carrier::Udp && self.random.below(100) == 0 {
            self.send(at + SECOND / 2, phone, way, payload.clone());
        }
        self.send(at, phone, way, payload);
    }

    fn send(&mut self, at: u64, phone: &Phone, way: Way, payload: Vec<u8>) {
        let (source, destination) = match way {
            Way::FromPhone => (phone.outer, PBX),
            Way::ToPhone => (PBX, phone.outer),
        };
        self.schedule(at, Event::Send(Packet { source, destination, carrier: phone.carrier, payload }));
    }

    /// Puts a payload into frames.
    fn emit(&mut self, at: u64, packet: &Packet) {
        match packet.payload.as_slice() {
            b"\r\n\r\n" => self.truth.keepalives += 1,
            _ => self.truth.messages += 1,
        }
        match packet.carrier {
            Carrier::Udp => self.datagram(at, packet.source, packet.destination, &packet.payload),
            Carrier::Tcp => self.segments(at, packet),
        }
        // So many torture messages for each other one that they make up their share of all.
        let share = u64::from(self.plan.torture);
        if share > 0 && packet.payload.len() > 4 && self.random.below(100 - share) < share {
            let payload = torture::message(&mut self.random);
            self.truth.messages += 1;
            self.truth.torture += 1;
            let stranger = SocketAddr::from(([198, 51, 100, 1 + self.random.below(250) as u8], 5060));
            self.datagram(at + 1, stranger, PBX, &payload);
        }
    }

    fn datagram(&mut self, at: u64, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        self.ip(at, source, destination, wire::Protocol::Udp, &wire::datagram(source, destination, payload));
    }

    fn ip(&mut self, at: u64, source: SocketAddr, destination: SocketAddr, protocol: wire::Protocol, payload: &[u8]) {
        self.ip_id = self.ip_id.wrapping_add(1).max(1);
        for packet in wire::ip_packets(source.ip(), destination.ip(), protocol, self.ip_id, payload) {
            self.push(at, Event::Frame(wire::Link::Ethernet.frame(&packet)));
        }
    }
}

impl Iterator for Traffic {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        loop {
            let Reverse(Entry { at, event, .. }) = self.due.pop()?;
            if let Some(frame) = self.handle(at, event) {
                return Some(frame);
            }
        }
    }
}

/// Which way a message goes between a phone and the PBX.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    FromPhone,
    ToPhone,
}

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}
