//! Reliable provisional responses and their PRACK (RFC 3262, DETECTION §4.6).

use crate::decode::flow::Flow;
use crate::sip::message::Message;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::call::dialog::GIVE_UP;
use crate::track::call::{Call, Calls};
use crate::track::event::{Event, Sighting};
use crate::track::world::{Seen, World};

/// T1 unless the repeats show another (RFC 3262 §3).
const T1: Span = Span::from_millis(500);
/// Gaps from which T1 is inferred (DETECTION §0.8).
const T1_RANGE: (Span, Span) = (Span::from_millis(80), Span::from_secs(4));
/// Repeats after which the PRACK is suspected to be missing, as for the ACK (DETECTION §4.5).
const PRACK_SUSPECT: u16 = 3;

/// A provisional response that asks to be acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Reliable {
    /// Its status.
    pub status: u16,
    /// Its way.
    pub flow: Flow,
    /// First transmission.
    pub first: Sighting,
    /// Last transmission so far.
    pub last: Sighting,
    /// How often it was sent.
    pub transmissions: u16,
    number: u32,
    gap: Span,
    acknowledged: bool,
}

impl Reliable {
    /// T1 of its sender: the gap between the first two transmissions.
    fn t1(&self) -> Span {
        if self.gap >= T1_RANGE.0 && self.gap <= T1_RANGE.1 { self.gap } else { T1 }
    }

    fn repeated(&mut self, at: Sighting) {
        if self.transmissions == 1 {
            self.gap = at.time.since(self.first.time);
        }
        self.transmissions = self.transmissions.saturating_add(1);
        self.last = at;
    }

    /// Whether it was repeated often enough, and for long enough, that a PRACK would have been there.
    fn is_suspect(&self) -> bool {
        !self.acknowledged && self.transmissions > PRACK_SUSPECT && self.last.time.since(self.first.time) >= self.t1().times(3)
    }

    /// Whether its sender gives up at `end`: after 64·T1 (RFC 3262 §3).
    fn is_given_up(&self, end: PacketTime) -> bool {
        let (waited, patience) = (end.since(self.first.time), self.t1().times(64));
        waited >= patience - GIVE_UP.0 && waited <= patience + GIVE_UP.1
    }
}

impl Calls {
    /// Handles a provisional response to the INVITE of a call, repeats too.
    pub fn reliable(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, status: u16) {
        let Some(number) = sequence(&seen.message).filter(|_| status > 100) else { return };
        let Some(call) = self.table.get_mut(handle).filter(|call| call.answer.is_none()) else { return };
        match &mut call.reliable {
            Some(known) if known.number == number && known.flow == seen.flow => known.repeated(seen.at),
            // A proxy passes each on: it counts at the hop where it was seen first.
            Some(known) if known.number == number => return,
            known => {
                let (flow, at) = (seen.flow, seen.at);
                let t1 = Span::ZERO;
                let first = Reliable { status, flow, first: at, last: at, transmissions: 1, number, gap: t1, acknowledged: false };
                *known = Some(Box::new(first));
            }
        }
        if let Some(reliable) = call.reliable.as_deref().copied().filter(Reliable::is_suspect)
            && world.would_see_answer(reliable.flow, reliable.first.time, reliable.last.time)
        {
            world.tell(Event::PrackMissing { call: handle, reliable, end: Sighting::default() });
        }
    }

    /// Handles a PRACK: what it names, and all before it, arrived.
    pub fn prack(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>) {
        let number = acknowledged(&seen.message);
        let reliable = self.table.get_mut(handle).and_then(|call| call.reliable.as_mut());
        let Some(reliable) = reliable.filter(|known| number.is_none_or(|number| number >= known.number)) else { return };
        if reliable.is_suspect() {
            world.tell(Event::AckArrived { call: handle, at: seen.at });
        }
        reliable.acknowledged = true;
    }
}

impl Call {
    /// The response over which the callee gives the call up with a 5xx at `end`, if it does.
    pub(super) fn given_up_for_prack(&self, status: u16, end: PacketTime) -> Option<Reliable> {
        let reliable = self.reliable.as_deref().copied().filter(|_| (500..600).contains(&status))?;
        (reliable.is_suspect() && reliable.is_given_up(end)).then_some(reliable)
    }
}

/// RSeq of a response that requires 100rel.
fn sequence(message: &Message<'_>) -> Option<u32> {
    if !message.has_option_tag("Require", b"100rel") {
        return None;
    }
    number(message.header("RSeq")?)
}

/// The RSeq that a PRACK names: the first number of RAck.
fn acknowledged(message: &Message<'_>) -> Option<u32> {
    number(message.header("RAck")?)
}

fn number(value: &[u8]) -> Option<u32> {
    std::str::from_utf8(value).ok()?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;
    use crate::sip::scan::{Context, scan};

    fn at(millis: i64) -> Sighting {
        Sighting { time: PacketTime::from_nanos(millis * 1_000_000), frame: 1 }
    }

    /// A 183 that was sent at those times.
    fn sent(millis: &[i64]) -> Reliable {
        let flow = Flow {
            transport: Transport::Udp,
            source: "198.51.100.7:40001".parse().unwrap(),
            destination: "203.0.113.10:5060".parse().unwrap(),
        };
        let first = at(millis[0]);
        let mut reliable =
            Reliable { status: 183, flow, first, last: first, transmissions: 1, number: 1, gap: Span::ZERO, acknowledged: false };
        millis[1..].iter().for_each(|&later| reliable.repeated(at(later)));
        reliable
    }

    #[test]
    fn three_repeats_without_prack_are_suspect() {
        assert!(sent(&[0, 500, 1500, 3500]).is_suspect());
        assert!(!sent(&[0, 500, 1500]).is_suspect(), "may be loss");
        assert!(!Reliable { acknowledged: true, ..sent(&[0, 500, 1500, 3500]) }.is_suspect());
    }

    #[test]
    fn only_a_failure_after_64_times_t1_is_due_to_it() {
        let reliable = sent(&[0, 500, 1500, 3500, 7500, 15_500, 31_500]);
        assert!(reliable.is_given_up(at(32_000).time));
        assert!(!reliable.is_given_up(at(12_000).time), "another reason");
        assert!(sent(&[0, 100, 300, 700]).is_given_up(at(6400).time), "T1 of 100 ms");
    }

    #[test]
    fn only_a_response_that_requires_it_is_reliable() {
        let sequence = |headers: &str| {
            let text = format!("SIP/2.0 183 Session Progress\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{headers}\r\n");
            let found = scan(text.as_bytes(), Context::Datagram).expect("is a message");
            sequence(&Message::new(text.as_bytes(), &found))
        };
        assert_eq!(sequence("Require: 100rel\r\nRSeq: 988\r\n"), Some(988));
        assert_eq!(sequence("Supported: 100rel\r\nRSeq: 988\r\n"), None);
        assert_eq!(sequence("Require: 100rel\r\n"), None);
    }
}
