//! A device: one phone as the registrar could tell it from others (DETECTION §0.2), with what the PBX knows of its reachability.

use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::nat::NatEvidence;
use crate::track::registration::changes::{Changes, Refreshes};
use crate::track::vocabulary::{Reachability, RegistrationState};

/// Round trips that the median is taken over (REPORT `rtt_s`).
const ROUND_TRIPS: usize = 20;
/// Probe intervals that the median is taken over.
const INTERVALS: usize = 8;

/// One phone of an AoR.
#[derive(Debug)]
pub struct Device {
    /// Its AoR.
    pub aor: Handle,
    /// The Contact URI as the phone writes it.
    pub contact: Box<str>,
    /// User-Agent of its REGISTER.
    pub user_agent: Box<str>,
    /// `+sip.instance`, without quotes and angle brackets.
    pub instance: Option<Box<str>>,
    /// The way of its last REGISTER, towards the registrar.
    pub flow: Flow,
    /// Where its registration stands.
    pub state: RegistrationState,
    /// The first packet of it.
    pub first_seen: PacketTime,
    /// First acceptance of the present unbroken registration.
    pub registered_at: Option<Sighting>,
    /// The last acceptance.
    pub last_accepted: Sighting,
    /// The acceptance before that; frame 0 without one.
    pub accepted_before: Sighting,
    /// Where it registered from when it was last accepted.
    pub accepted_from: Option<IpAddr>,
    /// What the last 2xx granted.
    pub granted: Span,
    /// When the binding runs out.
    pub expires_at: Option<PacketTime>,
    /// The last REGISTER of it.
    pub last_register: PacketTime,
    /// When the phone began a new REGISTER Call-ID, as it does after a restart; [`PacketTime::MIN`] for never.
    pub restarted: PacketTime,
    /// Whether the registrar dropped its binding in favour of another device.
    pub evicted: bool,
    /// Whether the answer to a REGISTER was missed by the capture since the last acceptance.
    pub answer_missed: bool,
    /// Whether the registrar keeps the address that it saw in place of the Contact as written.
    pub rewritten: bool,
    /// Signs of a NAT.
    pub nat: NatEvidence,
    /// Consecutive rejections of credentials made with a fresh nonce.
    pub credential_rejections: u16,
    /// Consecutive challenges without credentials in return.
    pub ignored_challenges: u16,
    /// What changed about it.
    pub changes: Changes,
    /// How regularly it registers.
    pub refreshes: Refreshes,
    /// What the PBX's probes say.
    pub probes: Probes,
    /// Where it was last seen.
    pub place: SocketAddr,
    /// How its last REGISTER goes on from the one before.
    pub continuity: Continuity,
    /// What is followed of its NAT.
    pub(in crate::track) phone: Option<Handle>,
    /// The address that the Contact names, if it names one.
    pub contact_address: Option<SocketAddr>,
    pub(super) address_key: u64,
    pub(super) instance_key: u64,
    pub(super) call_id_key: u64,
    pub(super) cseq: u32,
    pub(super) agent_key: u64,
}

impl Device {
    /// The public address of the device.
    pub fn source(&self) -> SocketAddr {
        self.flow.source
    }

    /// Whether it is, or writes that it is, at `address`.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        [Some(self.flow.source), Some(self.place), self.contact_address].contains(&Some(address))
    }

    /// Whether it registered from `address` last, or was seen there last.
    pub fn has_been_at(&self, address: SocketAddr) -> bool {
        [self.flow.source, self.place].contains(&address)
    }

    /// Whether the registrar ever accepted it.
    pub fn was_accepted(&self) -> bool {
        self.last_accepted.frame != 0
    }

    /// Whether it is known by its answers alone, and none of its registrations was captured.
    pub fn is_inferred(&self) -> bool {
        self.is_registered() && !self.was_accepted() && self.call_id_key == 0
    }

    /// Whether its binding was taken back.
    pub fn is_logged_off(&self) -> bool {
        self.state == RegistrationState::Unregistered
    }

    /// Whether the registrar holds a binding of it.
    pub fn is_registered(&self) -> bool {
        self.state == RegistrationState::Registered
    }
}

/// How a REGISTER goes on from the one before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Continuity {
    /// There was none before.
    First,
    /// The same Call-ID, and CSeq that much higher: the phone was on all the time (RFC 3261 §10.2).
    Continued(u32),
    /// The phone began anew.
    Restarted,
}

/// The probe that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outstanding {
    pub(super) sent: Sighting,
    pub(super) transaction: Handle,
    pub(super) give_up: Span,
    /// How long the device had been silent before.
    pub(super) silence: Span,
    pub(super) concluded: bool,
}

/// The OPTIONS that the PBX sends to a device, and what it concludes from them.
#[derive(Debug)]
pub struct Probes {
    /// The PBX's picture.
    pub reachability: Reachability,
    /// The last round trip.
    pub last_rtt: Option<Span>,
    /// Probes sent.
    pub sent: u32,
    /// Probes answered.
    pub answered: u32,
    /// Apart, because many devices are never probed.
    probed: Option<Box<Probed>>,
}

/// The last probes of a device.
#[derive(Debug)]
struct Probed {
    outstanding: Option<Outstanding>,
    /// At most [`ROUND_TRIPS`], in microseconds.
    round_trips: Vec<u32>,
    /// In milliseconds.
    intervals: [u32; INTERVALS],
    last_sent: PacketTime,
}

impl Default for Probed {
    fn default() -> Self {
        Self { outstanding: None, round_trips: Vec::new(), intervals: [0; INTERVALS], last_sent: PacketTime::MIN }
    }
}

impl Probes {
    pub(super) fn new() -> Self {
        Self { reachability: Reachability::Unknown, last_rtt: None, sent: 0, answered: 0, probed: None }
    }

    /// The probe that waits for its answer, or was concluded to be lost.
    pub(super) fn outstanding(&self) -> Option<Outstanding> {
        self.probed.as_ref()?.outstanding
    }

    /// When the last one was sent; the beginning of time without one.
    pub fn last_sent(&self) -> PacketTime {
        self.probed.as_ref().map_or(PacketTime::MIN, |probed| probed.last_sent)
    }

    /// Takes note that the probe that waits is lost.
    pub(super) fn give_up(&mut self) {
        if let Some(outstanding) = self.probed.as_mut().and_then(|probed| probed.outstanding.as_mut()) {
            outstanding.concluded = true;
        }
    }

    pub(super) fn note_sent(&mut self, outstanding: Outstanding) {
        let now = outstanding.sent.time;
        let probed = self.probed.get_or_insert_default();
        if self.sent > 0 {
            probed.intervals[(self.sent as usize - 1) % INTERVALS] = millis(now.since(probed.last_sent));
        }
        self.sent = self.sent.saturating_add(1);
        probed.last_sent = now;
        probed.outstanding = Some(outstanding);
    }

    /// Takes note of the answer, after `rtt`, to the probe that was sent at `sent`. Returns that one, if it was the last.
    pub(super) fn note_answer(&mut self, sent: Sighting, rtt: Span) -> Option<Outstanding> {
        let probed = self.probed.get_or_insert_default();
        let micros = (rtt.as_nanos() / 1000).clamp(0, i64::from(u32::MAX)) as u32;
        match probed.round_trips.get_mut(self.answered as usize % ROUND_TRIPS) {
            Some(oldest) => *oldest = micros,
            None => probed.round_trips.push(micros),
        }
        self.answered = self.answered.saturating_add(1);
        self.last_rtt = Some(rtt);
        probed.outstanding.take_if(|probe| probe.sent == sent)
    }

    /// Median of the last twenty round trips.
    pub fn median_rtt(&self) -> Option<Span> {
        median(&self.probed.as_ref()?.round_trips, self.answered as usize).map(|micros| Span::from_micros(i64::from(micros)))
    }

    /// Median of the last intervals between probes; needs three.
    pub fn interval(&self) -> Option<Span> {
        let count = (self.sent as usize).saturating_sub(1);
        median(&self.probed.as_ref()?.intervals, count).filter(|_| count >= 3).map(|millis| Span::from_millis(i64::from(millis)))
    }
}

fn median(ring: &[u32], count: usize) -> Option<u32> {
    let mut values: Vec<_> = ring.iter().take(count).copied().collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn millis(span: Span) -> u32 {
    (span.as_nanos() / 1_000_000).clamp(0, i64::from(u32::MAX)) as u32
}
