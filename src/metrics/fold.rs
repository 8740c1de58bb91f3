//! From what tracking and detection tell to the counters.
//!
//! Which way a packet goes is only known once the PBX is. What is seen before it is learned waits, up to a bound, and is counted then.

use std::collections::BTreeMap;

use crate::decode::flow::Flow;
use crate::decode::signal::KeepaliveKind;
use crate::sip::message::Kind;
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::Span;
use crate::track::call::record::{Beginning, CallRecord};
use crate::track::event::{AttemptEnd, AttemptReport, Event, ProbeResult, ServerClass};
use crate::track::nat::Stage;
use crate::track::nat::event::{NatEvent, NatOutcome, NatProbe};
use crate::track::vocabulary::{Direction, Outcome, PeerClass};
use crate::track::{Novelty, Tracker};

use super::labels::{
    self, BindingChange, CodeLabel, DelayResult, Dir, FailureReason, MessageKind, MethodLabel, QualifyResult, ServerResponse,
    SessionResult, Unanswered,
};
use super::{KeepaliveLabel, Tally};

/// Kinds of messages and calls that wait for a PBX address to be learned.
const WAITING: usize = 65_536;

/// Seconds by which legs may end apart before anything was billed too long (DETECTION §9.2).
const BILL_TOLERANCE: Span = Span::from_secs(2);

/// A message as the counters see it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Counted {
    kind: CountedKind,
    novelty: bool,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum CountedKind {
    Request(MethodLabel),
    Response(u16, MethodLabel),
}

/// A call that waits for its direction.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    Started,
    Ended(Ending),
}

/// What the counters need of a call that got its outcome.
#[derive(Clone, Copy, Debug)]
struct Ending {
    outcome: Outcome,
    status: Option<u16>,
    setup: Option<Span>,
    audible: Option<Span>,
    unanswered: Option<Unanswered>,
}

/// The counters, and what cannot be counted yet.
#[derive(Debug, Default)]
pub struct Fold {
    /// The counters.
    pub tally: Tally,
    messages: BTreeMap<(Flow, Counted), u64>,
    calls: Vec<(Flow, Waiting)>,
    uncounted: u64,
}

impl Fold {
    /// Kinds of messages and calls that wait for one of their ends to turn out to be a PBX, and what could not wait for lack of room and
    /// is never counted.
    pub fn waiting(&self) -> (usize, u64) {
        (self.messages.len() + self.calls.len(), self.uncounted)
    }

    /// Counts a message.
    pub fn message(&mut self, tracker: &Tracker, kind: Kind, method: Method, novelty: Novelty, flow: Flow) {
        let label = MethodLabel::from(method);
        let kind = match kind {
            Kind::Request(_) => CountedKind::Request(label),
            Kind::Response(status) => CountedKind::Response(status, label),
        };
        let counted = Counted { kind, novelty: novelty == Novelty::Distinct };
        match dir(tracker, flow) {
            Some(dir) => count_message(&mut self.tally, counted, dir, flow, 1),
            None if self.messages.len() < WAITING => *self.messages.entry((flow, counted)).or_default() += 1,
            None => self.uncounted += 1,
        }
    }

    /// Counts what tracking told.
    pub fn event(&mut self, tracker: &Tracker, event: &Event) {
        match *event {
            Event::RegistrationAttempt { flow, .. } => self.tally.registration_attempt(peer_class(tracker, flow)),
            Event::RegistrationEnded(ref report) => registration_ended(&mut self.tally, tracker, report),
            Event::RegistrationState { from, to, .. } => self.tally.registration_transition(from, to),
            Event::Probe { device, result, rtt, .. } => self.probe(tracker, device, result, rtt),
            Event::Reachability { to, .. } => self.tally.peer_state_change(to),
            Event::KeepaliveInterval { flow, kind, interval } => self.keepalive(tracker, flow, kind, interval),
            Event::BindingChange { old, new, .. } => {
                self.tally.nat_binding_change(if old.ip() == new.ip() { BindingChange::Port } else { BindingChange::Ip });
            }
            Event::Nat(NatEvent::Probe(ref probe)) => nat_probe(&mut self.tally, probe),
            Event::CallStarted { call } => self.call_started(tracker, call),
            Event::CallOutcome { call, outcome, status, .. } => self.call_outcome(tracker, call, outcome, status),
            Event::ByeAnswered { call, delay } => self.bye_answered(tracker, call, delay),
            Event::ByeUnanswered { call, .. } => self.bye_unanswered(tracker, call),
            Event::ServerResponse { class, delay, transmissions: 1, .. } => self.tally.server_response(server_class(class), delay),
            Event::PbxLearned { .. } => self.classify(tracker),
            Event::LegEnded { end, at, .. } => self.tally.overbilled(at.time.since(end.time + BILL_TOLERANCE)),
            Event::CallEnded { .. }
            | Event::SessionLapsed(_)
            | Event::DialogLost { .. }
            | Event::CallAged { .. }
            | Event::MediaRefused { .. }
            | Event::PrivateMedia { .. }
            | Event::AckMisrouted { .. }
            | Event::LegLeftUp { .. }
            | Event::LegGoesOn { .. }
            | Event::InviteUnanswered { .. }
            | Event::AckSuspected { .. }
            | Event::AckMissing { .. }
            | Event::AckArrived { .. }
            | Event::Nat(_)
            | Event::ServerResponse { .. }
            | Event::BindingsCleared { .. }
            | Event::AnswerLost(_)
            | Event::AnswerTaken { .. }
            | Event::Noticed { .. }
            | Event::DeviceRestarted { .. }
            | Event::OldNonce { .. }
            | Event::PrackMissing { .. }
            | Event::Looping { .. }
            | Event::TlsWanted { .. }
            | Event::ScannerFound { .. } => {}
        }
    }

    /// Counts calls whose outcome is open at the end of a capture (DETECTION §0.1), and what still waits where no PBX was found: all of it
    /// as going towards one.
    pub fn finish(&mut self, tracker: &Tracker) {
        for (handle, call) in tracker.calls.iter().filter(|(_, call)| call.record.outcome.is_none()) {
            self.call_outcome(tracker, handle, call.outcome_at_end(), call.record.status);
        }
        if tracker.world.peers.knows_pbx() {
            return;
        }
        for ((flow, counted), n) in std::mem::take(&mut self.messages) {
            count_message(&mut self.tally, counted, Dir::In, flow, n);
        }
        for (flow, waiting) in std::mem::take(&mut self.calls) {
            self.count_call(tracker, flow, Dir::In, waiting);
        }
    }

    fn classify(&mut self, tracker: &Tracker) {
        for ((flow, counted), n) in std::mem::take(&mut self.messages) {
            match dir(tracker, flow) {
                Some(dir) => count_message(&mut self.tally, counted, dir, flow, n),
                None => drop(self.messages.insert((flow, counted), n)),
            }
        }
        for (flow, waiting) in std::mem::take(&mut self.calls) {
            match dir(tracker, flow) {
                Some(dir) => self.count_call(tracker, flow, dir, waiting),
                None => self.calls.push((flow, waiting)),
            }
        }
    }

    fn call(&mut self, tracker: &Tracker, flow: Flow, waiting: Waiting) {
        match dir(tracker, flow) {
            Some(dir) => self.count_call(tracker, flow, dir, waiting),
            None if self.calls.len() < WAITING => self.calls.push((flow, waiting)),
            None => self.uncounted += 1,
        }
    }

    fn count_call(&mut self, tracker: &Tracker, flow: Flow, dir: Dir, waiting: Waiting) {
        let class = peer_class(tracker, flow);
        let Waiting::Ended(ending) = waiting else {
            self.tally.session_attempt(dir, class);
            return;
        };
        self.tally.session_outcome(dir, class, ending.outcome, ending.status);
        let counts = class != PeerClass::Scan && !matches!(ending.outcome, Outcome::Unknown | Outcome::CompletedElsewhere);
        if !counts {
            return;
        }
        let result = if ending.outcome == Outcome::Answered { DelayResult::Success } else { DelayResult::Failure };
        if let Some(setup) = ending.setup {
            self.tally.request_delay(dir, result, setup);
        }
        if let Some(audible) = ending.audible {
            self.tally.post_dial_delay(dir, audible);
        }
        if let Some(kind) = ending.unanswered {
            self.tally.unanswered_call(kind);
        }
    }

    fn call_started(&mut self, tracker: &Tracker, call: Handle) {
        let Some(call) = tracker.calls.get(call) else { return };
        if call.record.beginning == Beginning::Captured {
            self.call(tracker, call.flow, Waiting::Started);
        }
    }

    fn call_outcome(&mut self, tracker: &Tracker, call: Handle, outcome: Outcome, status: u16) {
        let Some(call) = tracker.calls.get(call) else { return };
        if call.record.beginning == Beginning::Missed {
            return;
        }
        let at_callee = call.further.is_some() || tracker.world.peers.direction(call.flow) == Direction::Out;
        let ending = Ending {
            outcome,
            status: (status > 0).then_some(status),
            setup: call.record.setup(),
            audible: call.record.audible.map(|at| at.since(call.record.started)),
            unanswered: unanswered(&call.record, outcome, at_callee, tracker.thresholds().ring_min),
        };
        self.call(tracker, call.flow, Waiting::Ended(ending));
    }

    fn bye_answered(&mut self, tracker: &Tracker, call: Handle, delay: Span) {
        let Some(call) = tracker.calls.get(call) else { return };
        self.tally.disconnect_delay(DelayResult::Success, delay);
        let (Some(talk), Some(dir)) = (call.record.talk(), dir(tracker, call.flow)) else { return };
        if call.record.completed {
            self.tally.session_duration(dir, SessionResult::Completed, talk);
            self.tally.session_completed(dir, talk);
        }
    }

    fn bye_unanswered(&mut self, tracker: &Tracker, call: Handle) {
        let Some(call) = tracker.calls.get(call) else { return };
        let Some(dir) = dir(tracker, call.flow) else { return };
        self.tally.disconnect_timeout(dir);
        if let Some((gave_up, ended)) = call.record.gave_up.zip(call.record.ended) {
            self.tally.overbilled(gave_up.since(ended + BILL_TOLERANCE).max(Span::ZERO));
        }
        if let Some(duration) = call.record.duration() {
            self.tally.session_duration(dir, SessionResult::Failed, duration);
        }
    }

    fn probe(&mut self, tracker: &Tracker, device: Handle, result: ProbeResult, rtt: Option<Span>) {
        let Some(device) = tracker.registrations.device(device) else { return };
        let label = match result {
            ProbeResult::Ok => QualifyResult::Ok,
            ProbeResult::Lagged => QualifyResult::Lagged,
            ProbeResult::Late => QualifyResult::Late,
            ProbeResult::Lost => QualifyResult::Lost,
        };
        self.tally.qualify_probe(label);
        if let (Some(rtt), ProbeResult::Ok | ProbeResult::Lagged) = (rtt, result) {
            self.tally.qualify_rtt(tracker.world.peers.class(device.source().ip()), rtt);
        }
    }

    fn keepalive(&mut self, tracker: &Tracker, flow: Flow, kind: KeepaliveKind, interval: Span) {
        if let Some(dir) = dir(tracker, flow) {
            self.tally.keepalive_interval(KeepaliveLabel::from(kind), dir, interval);
        }
    }
}

/// Which way, where that is known.
fn dir(tracker: &Tracker, flow: Flow) -> Option<Dir> {
    match tracker.world.peers.direction(flow) {
        Direction::In => Some(Dir::In),
        Direction::Out => Some(Dir::Out),
        Direction::Through => None,
    }
}

/// What the end of a flow is that is not the PBX.
fn peer_class(tracker: &Tracker, flow: Flow) -> PeerClass {
    let peer = if tracker.world.peers.direction(flow) == Direction::Out { flow.destination } else { flow.source };
    tracker.world.peers.class(peer.ip())
}

fn count_message(tally: &mut Tally, counted: Counted, dir: Dir, flow: Flow, n: u64) {
    for _ in 0..n {
        let (kind, method) = match counted.kind {
            CountedKind::Request(method) => (MessageKind::Request(method), method),
            CountedKind::Response(status, method) => (MessageKind::Response(CodeLabel::of(Some(status))), method),
        };
        tally.message(kind, dir, flow.transport);
        if !counted.novelty {
            tally.retransmission(method, dir);
        }
    }
}

fn registration_ended(tally: &mut Tally, tracker: &Tracker, report: &AttemptReport) {
    let class = peer_class(tracker, report.flow);
    let status = (report.status > 0).then_some(report.status);
    let reason = match report.end {
        AttemptEnd::Accepted => {
            tally.registration_delay(report.last.time.since(report.first.time));
            return;
        }
        AttemptEnd::Unknown => return,
        AttemptEnd::CredentialsRejected if report.status != 403 => FailureReason::Auth,
        AttemptEnd::ChallengeIgnored => FailureReason::Auth,
        AttemptEnd::NoAnswer => FailureReason::Timeout,
        AttemptEnd::ContactDropped | AttemptEnd::Rejected | AttemptEnd::CredentialsRejected => match report.status {
            500..600 => FailureReason::ServerError,
            600.. => FailureReason::GlobalFailure,
            _ => FailureReason::ClientError,
        },
    };
    tally.registration_failure(class, reason, status);
}

/// The kind of call that nobody answered, counted at the leg where it says most (DETECTION §4.4).
fn unanswered(record: &CallRecord, outcome: Outcome, at_callee: bool, ring_min: Span) -> Option<Unanswered> {
    let rang_long = record.ring().is_some_and(|ring| ring >= ring_min);
    match outcome {
        Outcome::NoAnswer | Outcome::Cancelled if rang_long && at_callee => Some(Unanswered::Ring),
        Outcome::Cancelled if record.rang.is_none() && !at_callee => Some(Unanswered::Abandoned),
        Outcome::NoResponse | Outcome::Unavailable if at_callee => Some(Unanswered::Undelivered),
        _ => None,
    }
}

fn nat_probe(tally: &mut Tally, probe: &NatProbe) {
    let result = match probe.outcome {
        NatOutcome::Delivered => labels::NatProbe::Delivered,
        NatOutcome::Undelivered => labels::NatProbe::Undelivered,
        NatOutcome::Late => labels::NatProbe::Late,
        NatOutcome::NewPort => return,
    };
    let stage = match probe.stage {
        Stage::Oneway => labels::NatStage::Oneway,
        Stage::Stream => labels::NatStage::Stream,
    };
    tally.nat_probe(result, stage, probe.age);
}

fn server_class(class: ServerClass) -> ServerResponse {
    match class {
        ServerClass::Invite100 => ServerResponse::Invite100,
        ServerClass::Challenge => ServerResponse::Challenge,
        ServerClass::AuthFinal => ServerResponse::AuthFinal,
        ServerClass::Options => ServerResponse::Options,
    }
}
