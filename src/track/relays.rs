//! Whose calls are the second legs of others (DETECTION §6.3): a PBX that serves its phones at one address and calls its carrier from
//! another. Until that is known, the carrier looks like a PBX, and that other address like its only phone.

use std::net::IpAddr;

use crate::decode::flow::Flow;
use crate::sip::uri::{Uri, plain_user};
use crate::table::{Digest, append};
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::Event;
use crate::track::world::Seen;

/// INVITEs remembered.
const ASKED: usize = 64;
/// Addresses whose calls are compared.
const COMPARED: usize = 64;
/// How soon a PBX goes on with a call.
const WITHIN: Span = Span::from_secs(2);
/// Digits at the end of a number that are compared.
const NUMBER: usize = 7;
/// By how many such calls must exceed those that nobody made before. One may be two people who dial the same number.
const ENOUGH: u16 = 2;

#[derive(Clone, Copy, Debug)]
struct Asked {
    flow: Flow,
    callee: Digest,
    at: PacketTime,
}

/// How many calls of an address were those of others just before, and how many were its own.
#[derive(Clone, Copy, Debug)]
struct Tally {
    address: IpAddr,
    relayed: u16,
    own: u16,
}

/// The latest calls, and whose go on elsewhere.
#[derive(Debug)]
pub struct Relays {
    asked: [Option<Asked>; ASKED],
    next: usize,
    tallies: Vec<Tally>,
}

impl Relays {
    /// No call yet.
    pub fn new() -> Self {
        Self { asked: [None; ASKED], next: 0, tallies: Vec::new() }
    }

    /// Takes note of a call to `callee` along `flow`.
    pub fn note(&mut self, flow: Flow, callee: Digest, at: PacketTime) {
        self.asked[self.next] = Some(Asked { flow, callee, at });
        self.next = (self.next + 1) % ASKED;
    }

    /// Compares a call with those that were noted before. Whether its source goes on with the calls of others: those of another source,
    /// at another server, to the same callee, just before. Whom the call itself was sent to goes on with it as a proxy.
    pub fn goes_on(&mut self, flow: Flow, callee: Digest, at: PacketTime) -> bool {
        let address = flow.source.ip();
        let just_before = || self.asked.iter().flatten().filter(|asked| asked.callee == callee && at.since(asked.at) <= WITHIN);
        let is_relayed = just_before()
            .any(|asked| asked.flow.source.ip() != address && asked.flow.destination.ip() != flow.destination.ip())
            && !just_before().any(|asked| asked.flow.destination.ip() == address);
        if !self.tallies.iter().any(|tally| tally.address == address) && self.tallies.len() < COMPARED {
            append(&mut self.tallies, Tally { address, relayed: 0, own: 0 });
        }
        let Some(tally) = self.tallies.iter_mut().find(|tally| tally.address == address) else { return false };
        let count = if is_relayed { &mut tally.relayed } else { &mut tally.own };
        *count = count.saturating_add(1);
        tally.relayed >= tally.own.saturating_add(ENOUGH)
    }
}

impl Default for Relays {
    fn default() -> Self {
        Self::new()
    }
}

impl Tracker {
    /// Learns the address at which a PBX calls its carrier from whose calls go on there.
    pub(super) fn look_for_relay(&mut self, seen: &Seen<'_>) {
        let Some(callee) = seen.message.request_uri().map(|uri| plain_user(Uri::parse(uri).user)) else { return };
        if callee.is_empty() {
            return;
        }
        // A PBX may dial a prefix before the number.
        let number = callee.get(callee.len().saturating_sub(NUMBER)..).unwrap_or(&callee);
        let (flow, callee, now) = (seen.flow, self.world.digester.bytes(number), seen.at.time);
        if self.world.peers.may_be_carrier(flow)
            && self.relays.goes_on(flow, callee, now)
            && let Some(address) = self.world.peers.note_relay(flow, now)
        {
            self.note_called(seen);
            self.world.tell(Event::PbxLearned { address, at: seen.at });
            self.legs.learned(&self.world, &mut self.calls);
        }
        self.relays.note(flow, callee, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;
    use crate::table::Digester;

    fn flow(source: &str, destination: &str) -> Flow {
        Flow { transport: Transport::Udp, source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    /// Calls of a phone, each with what the outer address does `later` milliseconds later; whether it goes on with them.
    fn goes_on(calls: &[i64], server: &str) -> bool {
        let callee = Digester::new(0).bytes(b"0170");
        let mut relays = Relays::new();
        let mut goes_on = false;
        for (index, later) in calls.iter().enumerate() {
            let at = PacketTime::from_parts(100 * index as i64, 0);
            relays.note(flow("10.0.0.30:5060", "10.0.0.1:5060"), callee, at);
            goes_on = relays.goes_on(flow("203.0.113.10:5060", server), callee, at + Span::from_millis(*later));
        }
        goes_on
    }

    #[test]
    fn a_proxy_is_sent_the_calls_that_it_goes_on_with() {
        let callee = Digester::new(0).bytes(b"0170");
        let mut relays = Relays::new();
        for second in [0, 100, 200] {
            let at = PacketTime::from_parts(second, 0);
            relays.note(flow("10.0.0.30:5060", "10.0.0.1:5060"), callee, at);
            relays.note(flow("10.0.0.1:5060", "203.0.113.10:5060"), callee, at);
            assert!(!relays.goes_on(flow("203.0.113.10:5060", "192.0.2.50:5060"), callee, at));
        }
    }

    #[test]
    fn who_calls_whom_others_just_called_elsewhere_goes_on_with_their_calls() {
        assert!(goes_on(&[50, 60], "192.0.2.50:5060"));
        assert!(!goes_on(&[50], "192.0.2.50:5060"), "chance");
        assert!(!goes_on(&[50, 60], "10.0.0.1:5060"), "at the same server");
        assert!(!goes_on(&[50, 60, 5_000], "192.0.2.50:5060"), "it calls by itself too");
    }
}
