//! One phone as its NAT sees it: where it is, when it was heard, and the requests to it whose fate is not known yet.

use std::net::SocketAddr;

use crate::config::Thresholds;
use crate::decode::flow::Flow;
use crate::sip::method::Method;
use crate::table::{Handle, append};
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::flows::LastTimes;
use crate::track::nat::proven::Proven;
use crate::track::nat::rewrite::Rewrites;
use crate::track::nat::rhythm::{Experiment, Gaps, Regular, Rhythm};
use crate::track::nat::stage::Binding;

/// Requests to one phone that are waited on at a time.
const ASKED: usize = 16;

/// A request of the PBX to a phone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) transaction: Handle,
    /// Whom it is for, of those that come from the same port.
    pub(super) device: Handle,
    pub(super) method: Method,
    pub(super) flow: Flow,
    /// First transmission.
    pub(super) sent: Sighting,
    /// How long the phone had been silent.
    pub(super) silence: Span,
    /// How long the flow had been idle in both directions.
    pub(super) idle: Span,
    pub(super) binding: Binding,
    pub(super) wait: Wait,
    /// Whether an answer must have come that the capture missed: its sender sends again what nobody answers, and has not so far.
    pub(super) is_never_repeated: bool,
    /// Whether the silence began with a request that was lost for another reason than the NAT.
    pub(super) is_cut_off: bool,
    /// How the others were at that time.
    pub(super) others: Others,
    /// When something is next to be decided about it.
    pub(super) due: PacketTime,
}

/// How the PBX and the rest of the site were when a request was sent (DETECTION §2.5, condition c).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Others {
    /// It is too early to tell.
    Unknown,
    /// Another site was served, and the rest of this one was heard.
    Well,
    /// Nobody proves that the trouble is this phone's alone.
    Unwell,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wait {
    /// An answer, or a sign of life of the phone.
    Sign,
    /// Whether the rest agrees with a request that was lost: the phone came back at this time.
    Lost(PacketTime),
    /// The same, where a repeat was answered after the phone had come back.
    Late(PacketTime),
    /// Whether the port that the phone came back on is evidence.
    NewPort,
}

impl Asked {
    /// The silence it fell into, as a number.
    pub(super) fn gap(&self) -> u32 {
        gap_of(self.flow.destination, self.sent.time - self.silence)
    }
}

/// A silence as a number: who was silent since when.
pub(super) fn gap_of(phone: SocketAddr, since: PacketTime) -> u32 {
    let since = since.as_nanos();
    (since ^ (since >> 32)) as u32 ^ u32::from(phone.port()).rotate_left(16)
}

/// A change of the public port that is not yet believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) old: Flow,
    /// The new port.
    pub(super) to: SocketAddr,
    /// The last packet from there.
    pub(super) heard: PacketTime,
    /// The first packet from the new port.
    pub(super) at: Sighting,
    /// Whether the old one was kept through as long a silence before.
    pub(super) survives: bool,
    pub(super) due: PacketTime,
}

/// A keep-alive from an unknown port that may be the phone's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) flow: Flow,
    pub(super) at: Sighting,
}

/// Where a phone was before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub(super) address: SocketAddr,
    /// When it was first heard from elsewhere.
    pub(super) at: Sighting,
}

/// A phone.
#[derive(Debug)]
pub(super) struct Phone {
    pub(super) device: Handle,
    pub(super) number: u32,
    /// Its way to the PBX.
    pub(super) flow: Flow,
    /// Since when it comes from there.
    pub(super) since: PacketTime,
    pub(super) heard: PacketTime,
    /// Where its last packet to a PBX came from, and when.
    pub(super) spoke: (SocketAddr, PacketTime),
    pub(super) left: Option<Box<Left>>,
    pub(super) binding: Binding,
    pub(super) rhythm: Rhythm,
    pub(super) gaps: Gaps,
    /// The way that the PBX knows: where it registered from.
    pub(super) contact: Contact,
    pub(super) calm: Calm,
    pub(super) experiment: Option<Box<Experiment>>,
    pub(super) asked: Vec<Asked>,
    pub(super) change: Option<Box<Change>>,
    pub(super) candidate: Option<Box<Candidate>>,
    pub(super) probes: Probes,
    /// Probes that it left unanswered although they reached it, while it never answered any.
    pub(super) ignored: u32,
    /// The longest silence after which it answered another request at once.
    pub(super) reached: Option<Span>,
    pub(super) rewrites: Rewrites,
    pub(super) proven: Proven,
    /// Whether it was said that it keeps its binding open.
    pub(super) keeps: bool,
}

/// What the PBX's OPTIONS do to a phone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Probes {
    /// It answered one.
    Answered,
    /// None was answered so far.
    Unanswered,
    /// It gets them and answers none. Whether it is known to answer other requests was told or not.
    Unsupported { told: bool },
}

/// The address that a phone registered from, and the silences there: when it comes from elsewhere the PBX reaches nobody until it
/// registers again.
#[derive(Debug)]
pub(super) struct Contact {
    pub(super) address: SocketAddr,
    heard: PacketTime,
    pub(super) gaps: Gaps,
}

impl Contact {
    fn new(address: SocketAddr, now: PacketTime) -> Self {
        Self { address, heard: now, gaps: Gaps::default() }
    }

    /// A packet from `source`.
    pub(super) fn note(&mut self, source: SocketAddr, now: PacketTime) {
        if source == self.address {
            self.gaps.note(now.since(std::mem::replace(&mut self.heard, now)));
        }
    }

    /// The phone registers from `address`.
    pub(super) fn registered(&mut self, address: SocketAddr, now: PacketTime) {
        self.note(self.address, now);
        self.address = address;
    }
}

/// What a phone did since it last missed a request for its NAT.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calm {
    /// Keep-alives in a row that came before a binding dies.
    pub(super) intervals: u32,
    /// Requests that arrived at once.
    pub(super) delivered: u32,
}

impl Phone {
    pub(super) fn new(device: Handle, number: u32, flow: Flow, now: PacketTime) -> Self {
        Self {
            device,
            number,
            flow,
            since: now,
            heard: now,
            spoke: (flow.source, PacketTime::MIN),
            left: None,
            binding: Binding::new(now),
            rhythm: Rhythm::new(),
            gaps: Gaps::default(),
            contact: Contact::new(flow.source, now),
            calm: Calm::default(),
            experiment: None,
            asked: Vec::new(),
            change: None,
            candidate: None,
            probes: Probes::Unanswered,
            ignored: 0,
            reached: None,
            rewrites: Rewrites::default(),
            proven: Proven::default(),
            keeps: false,
        }
    }

    /// The longest regular silence: between its keep-alives, or where it sends none between any of its packets.
    pub(super) fn silence(&self, thresholds: &Thresholds) -> Option<Regular> {
        let deviation = thresholds.ka_periodic_mad;
        if self.rhythm.has_begun() { self.rhythm.regular(deviation) } else { self.gaps.regular(deviation) }
    }

    /// How often it sends keep-alives while it is on.
    pub(super) fn beat(&self, thresholds: &Thresholds) -> Option<Span> {
        self.rhythm.beat(thresholds.ka_periodic_mad)
    }

    /// When it last sent a PBX something from `source`.
    pub(super) fn spoke_from(&self, source: SocketAddr) -> Option<PacketTime> {
        Some(self.spoke).filter(|(from, _)| *from == source).map(|(_, at)| at)
    }

    /// Takes note of a packet to a PBX: whether the NAT kept the port meanwhile; `before` is of the flow of the packet.
    pub(super) fn note_kept_port(&mut self, source: SocketAddr, before: LastTimes, now: PacketTime) {
        if source == self.flow.source && before.along > PacketTime::MIN {
            self.proven.kept_port(now.since(before.along.max(before.against)));
        }
    }

    /// When a PBX, at whichever of its addresses, last heard the port that a packet comes from (DETECTION §2.3), or else the phone;
    /// `before` is of the flow of the packet.
    pub(super) fn heard_before(&self, source: SocketAddr, before: LastTimes) -> PacketTime {
        let latest = self.spoke_from(source).unwrap_or(PacketTime::MIN).max(before.along);
        if latest > PacketTime::MIN { latest } else { self.heard }
    }

    /// Whether it sends nothing over UDP that would keep a binding open.
    pub(super) fn lacks_keepalive(&self) -> bool {
        !self.rhythm.has_begun() && !self.flow.transport.is_stream()
    }

    /// How soon it must be heard again to count as alive all the time; without keep-alive its registration must be refreshed in time.
    pub(super) fn reappears(&self, granted: Span, thresholds: &Thresholds) -> Span {
        let longest = self.silence(thresholds).map_or(granted, |regular| regular.longest);
        thresholds.reappear_min.max(longest.times(i64::from(thresholds.reappear_intervals)))
    }

    /// Adds a request; where there are too many the oldest will not be decided.
    pub(super) fn ask(&mut self, asked: Asked) {
        if self.asked.len() >= ASKED {
            self.asked.remove(0);
        }
        append(&mut self.asked, asked);
    }

    /// Takes note of a packet that nobody asked the phone for: what was asked before and is not answered was lost, if the rest agrees.
    pub(super) fn came_back(&mut self, now: PacketTime, grace: Span) {
        let binding = self.binding;
        for asked in self.asked.iter_mut().filter(|asked| asked.wait == Wait::Sign && asked.flow.destination == self.flow.source) {
            if asked.sent.time == now {
                // At the same instant neither is the earlier one; the packet refreshed the binding.
                (asked.silence, asked.idle, asked.binding) = (Span::ZERO, Span::ZERO, binding);
                continue;
            }
            asked.wait = Wait::Lost(now);
            asked.due = asked.due.min(now + grace);
        }
    }

    /// The next moment at which something about it is to be decided.
    pub(super) fn deadline(&self) -> PacketTime {
        let change = self.change.as_ref().map_or(PacketTime::MAX, |change| change.due);
        self.asked.iter().map(|asked| asked.due).min().unwrap_or(PacketTime::MAX).min(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;

    #[test]
    fn how_soon_a_phone_must_be_heard_again_is_configured() {
        let digester = crate::table::Digester::new(0);
        let (handle, _) =
            crate::table::ExpiringTable::new(1).insert(digester.bytes(b"phone"), (), PacketTime::MAX, crate::table::Rank::Ordinary);
        let flow = Flow {
            transport: Transport::Udp,
            source: "198.51.100.7:40001".parse().unwrap(),
            destination: "203.0.113.10:5060".parse().unwrap(),
        };
        let phone = Phone::new(handle, 1, flow, PacketTime::from_parts(0, 0));
        let within = |reappear_min, reappear_intervals| {
            let thresholds = Thresholds { reappear_min: Span::from_secs(reappear_min), reappear_intervals, ..Thresholds::default() };
            phone.reappears(Span::from_secs(30), &thresholds).as_secs()
        };
        assert_eq!((within(120, 2), within(10, 2), within(10, 3)), (120, 60, 90));
    }
}
