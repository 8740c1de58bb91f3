//! Why a call does not come about or does not end as it should (DETECTION §4.3, §4.5, §6.1).

use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Reason, Subject, sent};
use crate::detect::legs::overbilled;
use crate::detect::nat;
use crate::detect::parties::{call_subject, called, related_parties};
use crate::detect::registration::{placed, status_text};
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::call::{Call, Reliable};
use crate::track::event::{Event, Sighting, Unanswered};
use crate::track::registration::addresses::Occupant;
use crate::track::vocabulary::{Confidence, Direction, Outcome};

/// How soon a 483 is passed on to who asked before.
const PASSED_ON: Span = Span::from_secs(2);

/// What to do where the PBX acknowledges no answer: where its ACK would go to a wrong address, it would have been captured on its way.
pub(super) const NO_ACK_OF_PBX: &str = "Look in the log of the PBX {pbx} why it sends no ACK for the answers of {side}: a process that hangs, or a \
    route, a proxy or a firewall by which its ACK goes another way than its INVITE.";

/// What to do where the answer says rightly where its ACK is to go.
pub(super) const ANSWER_OR_ACK_LOST: &str = "Find what loses the answer of {side} or its ACK on the way: SIP ALG, a NAT or a firewall, or an end \
    that had gone; the Contact/Record-Route address that {side} offers is right.";

/// What to do where the ACK is sent to where the answer comes from.
const ACK_LOST: &str = "Find what keeps the ACK from {side}: a firewall, a NAT or SIP ALG on the way there, or its own filter.";

/// Begins the fact that an end of a call had left the address that a hang-up was sent to.
pub const MOVED: &str = "the other end of the call comes from";

/// What to do about a hang-up without an answer where the other leg of the call stays up.
const BILLED_ON: &str =
    "Clear channel {call} on the PBX, correct the CDR when its other leg has ended, enable session timers on both legs.";

/// Watches calls. It keeps little state of its own: tracking tells each happening once.
#[derive(Debug, Default)]
pub(super) struct CallDetector {
    /// Who was told last that a call has no hops left, and when.
    told_of_loop: Option<(IpAddr, PacketTime)>,
}

impl CallDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::InviteUnanswered { call, request } => callee_silent(tracker, call, &request, findings),
            Event::ByeUnanswered { call, request } => bye_unanswered(tracker, call, &request, findings),
            Event::CancelUnanswered { call, request } => cancel_unanswered(tracker, call, &request, findings),
            Event::AckSuspected { call, first, last, transmissions, .. } => {
                let detail = format!("200 OK sent {transmissions}× without ACK so far");
                if let Some(raise) = ack_raise(tracker, call, first, &detail) {
                    // One repeat proves it; how many there were by now is in the message.
                    let known = findings.is_open(raise.id, &raise.subject);
                    let fact = format!("200 OK sent again, transmission {transmissions}, and still no ACK");
                    let raise = if known { raise } else { raise.evidence(last.time, last.frame, fact) };
                    findings.raise(raise.confidence(Confidence::Suspected), last.time);
                }
            }
            Event::AckMissing { call, first, bye, transmissions, flow, ack } => {
                let waited = bye.time.since(first.time);
                let why = ack.map_or_else(|| "without ACK".to_owned(), |_| format!("though an ACK was sent to {} each time", flow.source));
                let detail = format!("200 OK sent {transmissions}× {why}, dropped after {waited}");
                if let Some(raise) = ack_raise(tracker, call, first, &detail) {
                    let raise = match ack {
                        Some(ack) => raise.evidence(ack.time, ack.frame, "the last ACK, which does not arrive either").remedy(ACK_LOST),
                        None => raise,
                    };
                    findings.raise(raise.evidence(bye.time, bye.frame, "BYE from the side that waited for the ACK"), bye.time);
                }
            }
            Event::AckMisrouted { call, first, last, ack_flow, ack, transmissions } => {
                if let Some(raise) = misrouted_ack(tracker, call, first, ack_flow.destination, transmissions) {
                    let known = findings.is_open(raise.id, &raise.subject);
                    let raise = raise.evidence(ack.time, ack.frame, format!("ACK to {}", ack_flow.destination));
                    let fact = format!("200 OK sent again, transmission {transmissions}, although an ACK was sent");
                    let raise = if known { raise } else { raise.evidence(last.time, last.frame, fact) };
                    findings.raise(raise, last.time);
                }
            }
            Event::PrackMissing { call, reliable, end } => {
                if let Some(raise) = prack_raise(tracker, call, &reliable, end) {
                    findings.raise(raise, end.time.max(reliable.last.time));
                }
            }
            Event::Looping { call, flow, passes, again: true, at } => came_round(tracker, call, flow, passes, at, findings),
            Event::AckArrived { call, at } => {
                if let Some(subject) = call_subject(tracker, call) {
                    findings.clear(FindingId::AckMissing, &subject, at.time);
                }
            }
            Event::CallOutcome { call, outcome: Outcome::Loop, status, at } => self.loops(tracker, call, status, at, findings),
            Event::CallOutcome { call, outcome: Outcome::Answered, at, .. } => {
                callee_answered(tracker, call, at.time, findings);
                arrived(tracker, call, at.time, findings);
            }
            _ => {}
        }
    }

    /// A call that ran out of hops; 482 alone may as well be a request that came by two ways of a fork.
    fn loops(&mut self, tracker: &Tracker, call: Handle, status: u16, at: Sighting, findings: &mut FindingStore) {
        let Some(entry) = tracker.calls.get(call).filter(|entry| !tracker.world.peers.scans(entry.record.source.ip())) else { return };
        let hops = entry.further.as_ref().map_or(0, |further| further.branches);
        if !went_round(status, hops, tracker.thresholds().loop_passes) {
            return;
        }
        let Flow { source: asker, destination: by, .. } = entry.flow();
        let told = self.told_of_loop.replace((asker.ip(), at.time));
        // Who was told so just before passes it on: the loop is that of the call which it had made.
        if hops == 0 && told.is_some_and(|(ip, time)| ip == by.ip() && at.time.since(time) <= PASSED_ON) {
            return;
        }
        let Some(subject) = call_subject(tracker, call) else { return };
        let answer = status_text(status);
        let (message, from, to) = match &entry.further {
            Some(further) => {
                let Flow { source, destination, .. } = further.flow;
                let message = format!("{subject}: {answer}, passed on {hops}× between {source} and {destination}");
                (message, source, Some(destination))
            }
            None => (format!("{subject}: {answer} from {by}, so it goes round there or behind it"), by, None),
        };
        let raise = Raise::new(FindingId::RoutingLoop, subject, message)
            .evidence(entry.first.time, entry.first.frame, format!("INVITE from {asker} to {by}"))
            .evidence(at.time, at.frame, format!("answered {answer}"))
            .fill(Slot::LoopFrom, from.to_string());
        let raise = to.into_iter().fold(raise, |raise, to| raise.fill(Slot::LoopTo, to.to_string()));
        findings.raise(related_parties(tracker, raise, call), at.time);
    }
}

/// The PBX called a phone, and nothing came back. A trunk that is silent is another matter.
fn callee_silent(tracker: &Tracker, call: Handle, request: &Unanswered, findings: &mut FindingStore) {
    if tracker.world.peers.direction(request.flow) != Direction::Out {
        return;
    }
    let Some(entry) = tracker.calls.get(call) else { return };
    let Some((aor, device)) = callee(tracker, entry, request.flow.destination) else { return };
    let destination = request.flow.destination;
    let heard = tracker.world.flows.last_seen(request.flow.reversed());
    let idle = if heard > PacketTime::MIN && heard < request.first.time {
        format!("idle {}", request.first.time.since(heard))
    } else {
        "idle time unknown".to_owned()
    };
    let registered = device.and_then(|device| tracker.registrations.device(device)?.registered_at).map_or_else(
        || "not registered in this capture".to_owned(),
        |since| format!("registered {} before", request.first.time.since(since.time)),
    );
    let message = format!("INVITE to {aor} at {destination}: {} without an answer ({idle}, {registered})", sent(request.transmissions));
    let raise = Raise::new(FindingId::CalleeNoResponse, Subject::Aor(aor.clone()), message)
        .evidence(request.first.time, request.first.frame, format!("INVITE sent to {destination}"))
        .absence(request.deadline, format!("{} and not answered within {}", sent(request.transmissions), request.patience))
        .related(Subject::Call(entry.record.call_id.clone()))
        .fill(Slot::Aor, aor.to_string())
        .advice(device.and_then(|device| nat::advice(tracker, FindingId::CalleeNoResponse, device, request.deadline, findings)));
    findings.raise(placed(tracker, raise, destination), request.deadline);
}

fn callee_answered(tracker: &Tracker, call: Handle, at: PacketTime, findings: &mut FindingStore) {
    let Some(entry) = tracker.calls.get(call) else { return };
    let destination = entry.further.as_ref().map_or(entry.record.destination, |further| further.flow.destination);
    findings.clear_of(FindingId::CalleeNoResponse, at, || Some(Subject::Aor(callee(tracker, entry, destination)?.0)));
}

/// A call that comes by the same server again and again.
fn came_round(tracker: &Tracker, call: Handle, flow: Flow, passes: u16, at: Sighting, findings: &mut FindingStore) {
    if u32::from(passes) < tracker.thresholds().loop_passes {
        return;
    }
    let Some(entry) = tracker.calls.get(call).filter(|entry| !tracker.world.peers.scans(entry.record.source.ip())) else { return };
    let Some(subject) = call_subject(tracker, call) else { return };
    let Flow { source: from, destination: to, .. } = flow;
    let message = format!("{subject}: passed {to} {passes}×, each time with fewer hops left, the last time from {from}");
    let raise = Raise::new(FindingId::RoutingLoop, subject, message)
        .evidence(entry.first.time, entry.first.frame, format!("INVITE from {} to {to}", entry.record.source))
        .evidence(at.time, at.frame, format!("the same INVITE comes by {to} again, from {from}, pass {passes}"))
        .fill(Slot::LoopFrom, from.to_string())
        .fill(Slot::LoopTo, to.to_string());
    findings.raise(related_parties(tracker, raise, call), at.time);
}

/// A call that came by the same server again and again and was answered all the same: it was no loop, whatever hops it took.
fn arrived(tracker: &Tracker, call: Handle, at: PacketTime, findings: &mut FindingStore) {
    let came_back = tracker.calls.get(call).and_then(|call| call.further.as_ref()).is_some_and(|further| further.returned != 0);
    if let Some(subject) = call_subject(tracker, call).filter(|_| came_back) {
        findings.take_back(FindingId::RoutingLoop, &subject, at);
    }
}

/// Whether a request that was passed on so often went round.
fn went_round(status: u16, hops: u16, least: u32) -> bool {
    status == 483 || u32::from(hops) >= least
}

/// The AoR that is called at `destination`: the device that is there, of several the one that the Request-URI names, or the called user
/// where it is a known AoR. Of several that nobody tells apart it is the first one that was there.
pub(super) fn callee(tracker: &Tracker, call: &Call, destination: SocketAddr) -> Option<(Box<str>, Option<Handle>)> {
    let registrations = &tracker.registrations;
    let [_, named] = call.phones;
    let (device, first) = match registrations.occupant(&tracker.world, destination) {
        Some(Occupant::Only(device)) => (Some(device), None),
        Some(Occupant::Several(first)) => (named.filter(|named| registrations.device(*named).is_some()), Some(first)),
        None => (None, None),
    };
    let called = || called(tracker, call).map(|aor| (aor, registrations.device_of_at(aor, destination)));
    // Phones of different sites write the same private address into their Contacts.
    let is_there = |device: &Handle| registrations.device(*device).is_some_and(|device| device.has_been_at(destination));
    if let Some((aor, writer @ Some(_))) = device.filter(|device| !is_there(device)).and_then(|_| called()) {
        return Some((registrations.aor(aor)?.name.clone(), writer));
    }
    let of_device = |device: Handle| Some((registrations.device(device)?.aor, Some(device)));
    let (aor, device) = device.and_then(of_device).or_else(called).or_else(|| first.and_then(of_device))?;
    Some((registrations.aor(aor)?.name.clone(), device))
}

fn bye_unanswered(tracker: &Tracker, call: Handle, request: &Unanswered, findings: &mut FindingStore) {
    let (Some(subject), Some(entry)) = (call_subject(tracker, call), tracker.calls.get(call)) else { return };
    let call_id = subject.to_string();
    let (side, target) = (request.flow.source, request.flow.destination);
    let message = format!("{call_id}: BYE from {side} to {target}, {}, got no answer", sent(request.transmissions));
    let raise = Raise::new(FindingId::ByeUnanswered, subject, message)
        .evidence(request.first.time, request.first.frame, format!("BYE from {side} to {target}"))
        .absence(request.deadline, format!("no answer that ends it within {}", request.patience))
        .fill(Slot::Call, call_id)
        .fill(Slot::Overbilled, overbilled(tracker, request.patience));
    // How much too long the call is billed is told of the leg that stays up, until it ends.
    let is_billed_on = tracker.calls.partners(call).any(|(_, partner)| partner.is_up());
    let raise = if is_billed_on { raise.remedy(BILLED_ON) } else { raise };
    let raise = match (left_before(tracker, entry, request), missed_peer(tracker, entry, request)) {
        (Some((peer, since)), _) => raise
            .reason(Reason::ByeMisrouted)
            .absence(request.deadline, format!("{MOVED} {peer} since {}, not from {target}", tracker.clock(since)))
            .remedy(
                "Clear the channel of {call} and correct the CDR by {overbilled}; keep the phone at {side} from changing its address in \
                 calls (keep-alive, NAT timeout of the router), and enable session timers on both legs.",
            )
            .fill(Slot::Side, peer.to_string()),
        (None, Some(peer)) => raise
            .reason(Reason::ByeMisrouted)
            .absence(request.deadline, format!("the other end of the call is at {peer}, not at {target}"))
            .remedy("Correct the Contact/Record-Route address offered by {side} and disable SIP ALG.")
            .fill(Slot::Side, peer.to_string()),
        (None, None) => raise,
    };
    findings.raise(related_parties(tracker, raise, call), request.deadline);
}

/// The caller gave up, and where it rings nobody takes note.
fn cancel_unanswered(tracker: &Tracker, call: Handle, request: &Unanswered, findings: &mut FindingStore) {
    let Some(subject) = call_subject(tracker, call) else { return };
    let (side, target) = (request.flow.source, request.flow.destination);
    let message =
        format!("{subject}: CANCEL from {side} to {target}, {}, got no answer: it may ring on there", sent(request.transmissions));
    let raise = Raise::new(FindingId::ByeUnanswered, subject, message)
        .evidence(request.first.time, request.first.frame, format!("CANCEL from {side} to {target}"))
        .absence(request.deadline, format!("neither CANCEL nor INVITE was answered within {}", request.patience))
        .remedy("Check why {side} takes no note when a caller gives up: SIP ALG or a firewall on the way to it, or its firmware.")
        .fill(Slot::Side, target.to_string());
    findings.raise(related_parties(tracker, raise, call), request.deadline);
}

/// Where the phone that a BYE is for comes from, and since when, if it had left the target of the BYE before that was sent. Of several
/// behind the target it is the one that the INVITE tells.
fn left_before(tracker: &Tracker, call: &Call, request: &Unanswered) -> Option<(SocketAddr, PacketTime)> {
    let target = request.flow.destination;
    let [caller, callee] = call.phones;
    let device = match tracker.registrations.occupant(&tracker.world, target)? {
        Occupant::Only(device) => device,
        Occupant::Several(_) if call.record.source == target => caller?,
        Occupant::Several(_) => callee?,
    };
    tracker.nat.left(&tracker.world, &tracker.registrations, device, target).filter(|(_, since)| *since < request.first.time)
}

/// Where the end opposite to `side` is, if the BYE of `side` went elsewhere: neither to where that end's messages of the call came from nor
/// to where a phone registered since.
fn missed_peer(tracker: &Tracker, call: &Call, request: &Unanswered) -> Option<SocketAddr> {
    let (side, target) = (request.flow.source, request.flow.destination);
    let (caller, answerer) = (call.record.source, call.answer?.flow.source);
    let peer = if side == answerer || (side != caller && side.ip() == answerer.ip()) { caller } else { answerer };
    let device = tracker.registrations.at_address(&tracker.world, target).and_then(|device| tracker.registrations.device(device));
    let is_there = peer == target || device.is_some_and(|device| device.source() == target);
    let is_known = [caller, answerer].iter().any(|end| end.ip() == side.ip());
    (is_known && !is_there && call.further.is_none()).then_some(peer)
}

fn ack_raise(tracker: &Tracker, call: Handle, first: Sighting, detail: &str) -> Option<Raise> {
    let answer = tracker.calls.get(call)?.answer?;
    let subject = call_subject(tracker, call)?;
    let message = format!("{subject}: {detail}");
    let raise = Raise::new(FindingId::AckMissing, subject, message).evidence(
        first.time,
        first.frame,
        format!("200 OK from {} to {}", answer.flow.source, answer.flow.destination),
    );
    let raise = match tracker.world.peers.direction(answer.flow) {
        Direction::In => raise
            .remedy(NO_ACK_OF_PBX)
            .fill(Slot::Side, answer.flow.source.to_string())
            .fill(Slot::Pbx, answer.flow.destination.to_string()),
        _ if answer.leads_back => raise.remedy(ANSWER_OR_ACK_LOST).fill(Slot::Side, answer.flow.source.to_string()),
        _ => raise.fill(Slot::Side, answer.flow.source.to_string()),
    };
    Some(related_parties(tracker, raise, call))
}

/// A provisional response was repeated without PRACK, until `end` where its sender gave up.
fn prack_raise(tracker: &Tracker, call: Handle, reliable: &Reliable, end: Sighting) -> Option<Raise> {
    let subject = call_subject(tracker, call)?;
    let Reliable { status, flow, first, last, transmissions, .. } = *reliable;
    let answer = status_text(status);
    let (confidence, detail) = match end.frame {
        0 => (Confidence::Suspected, "so far".to_owned()),
        _ => (Confidence::Confirmed, format!("given up after {}", end.time.since(first.time))),
    };
    let message = format!("{subject}: {answer} sent {transmissions}× without PRACK, {detail}");
    let raise = Raise::new(FindingId::AckMissing, subject, message)
        .reason(Reason::PrackMissing)
        .confidence(confidence)
        .evidence(first.time, first.frame, format!("{answer} that requires PRACK from {} to {}", flow.source, flow.destination))
        .remedy("Turn 100rel off at {side} or make its Contact/Record-Route reachable, and disable SIP ALG.")
        .fill(Slot::Side, flow.source.to_string());
    let raise = match end.frame {
        0 => raise.evidence(last.time, last.frame, format!("sent again, transmission {transmissions}, and still no PRACK")),
        frame => raise.evidence(end.time, frame, "the side that waited for PRACK gives the call up"),
    };
    Some(related_parties(tracker, raise, call))
}

fn misrouted_ack(tracker: &Tracker, call: Handle, first: Sighting, to: SocketAddr, transmissions: u16) -> Option<Raise> {
    let from = tracker.calls.get(call)?.answer?.flow.source;
    let subject = call_subject(tracker, call)?;
    let message = format!("{subject}: 200 OK from {from} sent {transmissions}×, its ACK went to {to}");
    let raise = Raise::new(FindingId::AckMisrouted, subject, message)
        .evidence(first.time, first.frame, format!("200 OK from {from}"))
        .fill(Slot::Side, from.to_string());
    Some(related_parties(tracker, raise, call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_how_many_hops_on_a_call_went_round_is_configured() {
        assert!(went_round(482, 3, 3) && !went_round(482, 3, 4));
        assert!(went_round(483, 0, 4), "the hops ran out");
    }
}
