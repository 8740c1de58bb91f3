//! Where a proxy sends a call on to: to one place, or to several at once or in turn. One of them has the call when it is answered (RFC 3261
//! §16.7, DETECTION §4.1).

use std::net::SocketAddr;

use crate::decode::ends::ip_digest;
use crate::decode::flow::Flow;
use crate::sip::uri::Uri;
use crate::table::{Handle, append};
use crate::time::{PacketTime, Span};
use crate::track::call::outcome::{Cancelled, Credentials, Facts, outcome};
use crate::track::call::packed::PackedForks;
use crate::track::call::setup::{Passes, is_taken_elsewhere};
use crate::track::call::{Calls, tag_hash};
use crate::track::event::Event;
use crate::track::transaction::Transaction;
use crate::track::vocabulary::Outcome;
use crate::track::world::{Seen, World, user_text};

/// Branches of a call that are told apart; of more, the last one is the latest.
const MOST: usize = 16;
/// Transmissions of an INVITE without a word in return from which on it is no accident: the fourth comes after 3.5 s (RFC 3261 §17.1.1.2).
const UNHEEDED: u16 = 4;

/// The hops behind the one next to the caller, where a proxy passed the INVITE on.
#[derive(Clone, Debug)]
pub struct Further {
    /// The way of the INVITE on the last hop: to who answered, or else the one that was tried last.
    pub flow: Flow,
    /// INVITE transactions there: forks and retries.
    pub branches: u16,
    /// From which hops it came back to the proxy, a bit each as their addresses fall.
    pub returned: u64,
    /// CSeq of the INVITE that they belong to.
    cseq: u32,
    /// The places that it was sent to, the last hop of each way.
    places: Vec<Branch>,
}

/// An INVITE at the last hop of its way.
#[derive(Clone, Debug)]
pub struct Branch {
    invite: Handle,
    /// The device that it names, where several are behind the address.
    phone: Option<Handle>,
    pub(super) fork: Fork<Box<str>>,
}

/// What became of a call at one of the places that a proxy sent it to.
#[derive(Clone, Copy, Debug)]
pub struct Fork<Text> {
    /// Where.
    pub place: SocketAddr,
    /// User of the request there.
    pub user: Text,
    /// The INVITE.
    pub started: PacketTime,
    /// The first 180, 181, 182 or 183.
    pub rang: Option<PacketTime>,
    /// The final response, or the CANCEL.
    pub ended: Option<PacketTime>,
    /// The final status; 0 without one.
    pub status: u16,
    /// How it came out, once that is known.
    pub outcome: Option<Outcome>,
}

/// The places that a call was sent to, if they were several.
#[derive(Clone, Copy, Debug)]
pub enum Forks<'a> {
    /// Of a call in progress.
    Held(&'a [Branch]),
    /// Of a finished one.
    Packed(PackedForks<'a>),
}

impl<'a> Forks<'a> {
    /// No places to tell apart.
    pub(super) const NONE: Self = Self::Held(&[]);

    /// The places, in the order in which they were called.
    pub fn iter(self) -> impl Iterator<Item = Fork<&'a str>> {
        let (held, packed) = match self {
            Self::Held(held) => (held, None),
            Self::Packed(packed) => (&[][..], Some(packed)),
        };
        held.iter().map(|branch| branch.fork.view()).chain(packed.into_iter().flatten())
    }
}

impl Fork<Box<str>> {
    fn view(&self) -> Fork<&str> {
        let &Self { place, ref user, started, rang, ended, status, outcome } = self;
        Fork { place, user, started, rang, ended, status, outcome }
    }
}

#[cfg(test)]
impl Branch {
    /// A branch of which no more is known.
    pub(super) fn of(fork: Fork<Box<str>>) -> Self {
        let invite = Handle::MIN;
        Self { invite, phone: None, fork }
    }
}

impl<Text> Fork<Text> {
    /// First ringing to final response or CANCEL.
    pub fn ring(&self) -> Option<Span> {
        Some(self.ended?.since(self.rang?))
    }

    /// Takes note of its end with what was said then.
    fn end(&mut self, at: PacketTime, facts: Facts) {
        self.ended.get_or_insert(at);
        let facts = Facts { ring: self.ring(), progressed: self.rang.is_some(), ..facts };
        self.outcome = Some(outcome(&facts));
    }
}

impl Further {
    fn new(flow: Flow) -> Self {
        Self { flow, branches: 0, returned: 0, cseq: 0, places: Vec::new() }
    }

    /// The places, if there are several.
    pub(super) fn forks(&self) -> &[Branch] {
        if self.places.len() > 1 { &self.places } else { &[] }
    }

    fn is_answered(&self) -> bool {
        self.places.iter().any(|branch| branch.fork.outcome == Some(Outcome::Answered))
    }

    fn branch(&mut self, invite: Handle) -> Option<&mut Branch> {
        self.places.iter_mut().find(|branch| branch.invite == invite)
    }

    /// Takes note of where an INVITE goes that came to the first proxy at `proxy`. What goes on from a place takes that one's place.
    fn add(&mut self, branch: Branch, source: SocketAddr, proxy: SocketAddr) {
        let goes_on = |from: SocketAddr| from == source || (from.ip() == source.ip() && source.ip() != proxy.ip());
        let is_same = |known: &Fork<Box<str>>| known.place == branch.fork.place && known.user == branch.fork.user;
        let earlier = self.places.iter().position(|known| goes_on(known.fork.place) || is_same(&known.fork));
        match earlier.or_else(|| (self.places.len() >= MOST).then_some(MOST - 1)).and_then(|index| self.places.get_mut(index)) {
            Some(known) => *known = branch,
            None => append(&mut self.places, branch),
        }
    }
}

impl Calls {
    /// Takes note of an INVITE that a proxy passed on.
    pub(super) fn note_further(&mut self, world: &mut World, handle: Handle, seen: &Seen<'_>, invite: Handle) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let hops_left = seen.message.max_forwards().unwrap_or(0);
        let mut further = call.further.take().unwrap_or_else(|| Box::new(Further::new(seen.flow)));
        // Forks leave a proxy with as many hops left as each other, and do not come back to it.
        if seen.flow.destination == call.record.destination && hops_left < call.passes.hops_left {
            call.passes = Passes { count: call.passes.count.saturating_add(1), hops_left };
            let hop = 1 << (ip_digest(world.digester, seen.flow.source.ip()).low64() % u64::from(u64::BITS));
            let again = further.returned & hop != 0;
            further.returned |= hop;
            world.tell(Event::Looping { call: handle, flow: seen.flow, passes: call.passes.count, again, at: seen.at });
        }
        call.credentials = Credentials::None;
        further.branches = further.branches.saturating_add(1);
        if further.cseq != call.cseq {
            further.cseq = call.cseq;
            further.places.clear();
        }
        if !further.is_answered() {
            further.flow = seen.flow;
            call.record.passed_on_to = Some(seen.flow.destination);
        }
        let fork = Fork {
            place: seen.flow.destination,
            user: user_text(seen.message.request_uri().map_or(&b""[..], |uri| Uri::parse(uri).user)),
            started: seen.at.time,
            rang: None,
            ended: None,
            status: 0,
            outcome: None,
        };
        further.add(Branch { invite, phone: None, fork }, seen.flow.source, call.record.destination);
        call.further = Some(further);
    }

    /// Takes note of the device that the INVITE of a branch names.
    pub(super) fn name_phone_of_branch(&mut self, handle: Handle, invite: Handle, phone: Option<Handle>) {
        let further = self.table.get_mut(handle).and_then(|call| call.further.as_mut());
        if let Some(branch) = further.and_then(|further| further.branch(invite)) {
            branch.phone = phone;
        }
    }

    /// Handles a response, the first of its kind, to an INVITE that was passed on.
    pub(in crate::track) fn branch_responded(&mut self, world: &World, handle: Handle, seen: &Seen<'_>, status: u16, invite: Handle) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let Some(further) = &mut call.further else { return };
        let has_call = || call.answer.is_none_or(|answer| answer.tag == tag_hash(world, seen.message.to_tag()));
        let wins = (200..300).contains(&status) && !further.is_answered() && has_call();
        let Some(branch) = further.branch(invite) else { return };
        let fork = &mut branch.fork;
        match status {
            ..200 => {
                if matches!(status, 180..=183) {
                    fork.rang.get_or_insert(seen.at.time);
                }
            }
            200..300 if wins => {
                (fork.status, fork.ended, fork.outcome) = (status, Some(seen.at.time), Some(Outcome::Answered));
                call.record.passed_on_to = Some(fork.place);
                let [_, callee] = &mut call.phones;
                *callee = branch.phone;
                further.flow = Flow { destination: fork.place, ..seen.flow.reversed() };
            }
            200..300 if fork.outcome == Some(Outcome::Answered) => {}
            200..300 => fork.outcome = Some(Outcome::CompletedElsewhere),
            // What was cancelled says no more than that.
            _ if fork.outcome.is_some_and(|known| known == Outcome::CompletedElsewhere || status == 487) => fork.status = status,
            401 | 407 => {}
            _ => {
                fork.status = status;
                fork.end(seen.at.time, Facts { status, cause: seen.message.hangup_cause(), ..Facts::nothing(call.ring_min) });
            }
        }
    }

    /// Handles the CANCEL of an INVITE that was passed on: another phone answered, the caller gave up, or the proxy did.
    pub(in crate::track) fn branch_cancelled(&mut self, handle: Handle, seen: &Seen<'_>, invite: Handle) {
        let Some(call) = self.table.get_mut(handle) else { return };
        let Some(further) = &mut call.further else { return };
        let is_answered = call.answer.is_some() || further.is_answered() || is_taken_elsewhere(&seen.message);
        let cancelled = match (is_answered, call.cancelled) {
            (true, _) => Cancelled::AnsweredElsewhere,
            (false, Cancelled::No) => Cancelled::ByPbx,
            (false, by) => by,
        };
        if let Some(branch) = further.branch(invite).filter(|branch| branch.fork.outcome.is_none()) {
            branch.fork.end(seen.at.time, Facts { cancelled, ..Facts::nothing(call.ring_min) });
        }
    }

    /// Handles an INVITE that was passed on and waited in vain.
    pub fn further_unanswered(&mut self, world: &mut World, handle: Handle, invite: &Transaction, transaction: Handle) {
        let request = invite.unanswered();
        let Some(call) = self.table.get_mut(handle) else { return };
        let is_visible = world.would_see_answer(request.flow, request.first.time, request.deadline);
        if invite.provisional > 0 || world.is_heard(&request) || !is_visible {
            return;
        }
        let branch = call.further.as_mut().and_then(|further| further.branch(transaction));
        if let Some(branch) = branch.filter(|branch| branch.fork.outcome.is_none() && request.transmissions >= UNHEEDED) {
            branch.fork.outcome = Some(Outcome::NoResponse);
        }
        if call.answer.is_none() {
            world.tell(Event::InviteUnanswered { call: handle, request });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::flow::Transport;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// The places after INVITEs from the first of each pair to the second, where the caller's went to `proxy`.
    fn places(proxy: &str, hops: &[(&str, SocketAddr)]) -> Vec<SocketAddr> {
        let proxy = address(proxy);
        let mut further = Further::new(Flow { transport: Transport::Udp, source: proxy, destination: proxy });
        for (source, place) in hops {
            let fork =
                Fork { place: *place, user: "2001".into(), started: PacketTime::MIN, rang: None, ended: None, status: 0, outcome: None };
            further.add(Branch::of(fork), address(source), proxy);
        }
        further.places.iter().map(|branch| branch.fork.place).collect()
    }

    #[test]
    fn what_goes_on_from_a_place_is_no_fork() {
        let [edge, one, other] = ["203.0.113.20:5060", "198.51.100.7:40001", "198.51.100.8:40002"].map(address);
        let from_proxy = "203.0.113.10:5060";
        assert_eq!(places(from_proxy, &[(from_proxy, edge), ("203.0.113.20:5060", one)]), [one]);
        // Over TCP from a port of its own.
        assert_eq!(places(from_proxy, &[(from_proxy, edge), ("203.0.113.20:61000", one)]), [one]);
        assert_eq!(places(from_proxy, &[(from_proxy, edge), ("203.0.113.20:5060", one), ("203.0.113.20:5060", other)]), [one, other]);
        assert_eq!(places(from_proxy, &[(from_proxy, one), (from_proxy, other), (from_proxy, one)]), [one, other]);
        // A server beside the proxy, on its host, is a place as any.
        let beside = address("203.0.113.10:5080");
        assert_eq!(places(from_proxy, &[(from_proxy, beside), (from_proxy, one)]), [beside, one]);
    }

    #[test]
    fn of_many_forks_the_last_one_is_the_latest() {
        let proxy = "203.0.113.10:5060";
        let hops: Vec<_> = (1..=40_u16).map(|port| (proxy, SocketAddr::from(([198, 51, 100, 7], port)))).collect();
        let places = places(proxy, &hops);
        assert_eq!((places.len(), places.last().map(SocketAddr::port)), (MOST, Some(40)));
    }
}
