//! From what tracking and detection tell to the counters.
//!
//! Which way a packet goes is only known once the PBX is. What is seen before it is learned waits, up to a bound, and is counted then.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::decode::flow::Flow;
use crate::decode::signal::KeepaliveKind;
use crate::detect::detectors::Routed;
use crate::sip::message::Kind;
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::Span;
use crate::track::call::Call;
use crate::track::call::record::{Beginning, CallRecord};
use crate::track::event::{AttemptEnd, AttemptReport, Event, ProbeResult, ServerClass};
use crate::track::nat::Stage;
use crate::track::nat::event::{NatEvent, NatOutcome, NatProbe};
use crate::track::vocabulary::{Direction, Outcome, PeerClass, Severity};
use crate::track::{Novelty, Tracker};

use super::labels::{
    self, BindingChange, CodeLabel, DelayResult, Dir, FailureReason, MessageKind, MethodLabel, QualifyResult, ServerResponse,
    SessionResult, Unanswered,
};
use super::subjects::{Party, Subjects};
use super::whose::{Way, number, number_of_call, number_of_device, number_of_flow, party, ways, ways_of};
use super::{KeepaliveLabel, Tally};

/// Kinds of messages and calls that wait for a PBX address to be learned.
const WAITING: usize = 65_536;

/// Seconds by which legs may end apart before anything was billed too long (DETECTION §9.2).
const BILL_TOLERANCE: Span = Span::from_secs(2);

/// A message as the counters see it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Counted {
    kind: CountedKind,
    novelty: Novelty,
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
#[derive(Debug)]
pub struct Fold {
    /// The counters of each phone system; with several, after theirs those of what concerns none in particular.
    tallies: Vec<Tally>,
    pub(super) subjects: Subjects,
    messages: BTreeMap<(Flow, Counted), u64>,
    calls: Vec<(Flow, [Option<Handle>; 2], Waiting)>,
    uncounted: u64,
}

impl Default for Fold {
    fn default() -> Self {
        Self::new(&Config::default())
    }
}

impl Fold {
    /// Counts for the phone systems, peers, sites and users that the configuration asks for.
    pub fn new(config: &Config) -> Self {
        let systems = config.phone_systems().names().len();
        let tallies = vec![Tally::default(); if systems == 1 { 1 } else { systems + 1 }];
        Self { tallies, subjects: Subjects::new(config), messages: BTreeMap::new(), calls: Vec::new(), uncounted: 0 }
    }

    /// Counts from 0 again.
    pub fn begin(&mut self) {
        self.tallies.fill_with(Tally::default);
        self.subjects.begin();
        self.messages.clear();
        self.calls.clear();
        self.uncounted = 0;
    }

    /// The counters of the phone systems in the order of the configuration; with several, after theirs those of what concerns none.
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// Kinds of messages and calls that wait for one of their ends to turn out to be a PBX, and what could not wait for lack of room and
    /// is never counted.
    pub fn waiting(&self) -> (usize, u64) {
        (self.messages.len() + self.calls.len(), self.uncounted)
    }

    /// Counts a message.
    pub fn message(&mut self, tracker: &Tracker, kind: Kind, method: Method, novelty: Novelty, routed: Routed) {
        let flow = routed.flow;
        let label = MethodLabel::from(method);
        let kind = match kind {
            Kind::Request(_) => CountedKind::Request(label),
            Kind::Response(status) => CountedKind::Response(status, label),
        };
        let counted = Counted { kind, novelty };
        let ways = ways_of(tracker, routed);
        for way in ways.iter().flatten() {
            count_message(of(&mut self.tallies, way.pbx), counted, way.dir, flow, 1);
        }
        if ways[0].is_none() {
            match self.messages.len() < WAITING {
                true => *self.messages.entry((flow, counted)).or_default() += 1,
                false => self.uncounted += 1,
            }
        }
    }

    /// Counts what tracking told.
    pub fn event(&mut self, tracker: &Tracker, event: &Event) {
        match *event {
            Event::RegistrationAttempt { flow, .. } => self.registration_attempt(tracker, flow),
            Event::RegistrationEnded(ref report) => self.registration_ended(tracker, report),
            Event::RegistrationState { device, from, to, .. } => self.of_device(tracker, device).registration_transition(from, to),
            Event::Probe { device, result, rtt, .. } => self.probe(tracker, device, result, rtt),
            Event::Reachability { device, to, .. } => self.of_device(tracker, device).peer_state_change(to),
            Event::KeepaliveInterval { flow, kind, interval } => self.keepalive(tracker, flow, kind, interval),
            Event::BindingChange { device, old, new, .. } => {
                let change = if old.ip() == new.ip() { BindingChange::Port } else { BindingChange::Ip };
                self.of_device(tracker, device).nat_binding_change(change);
            }
            Event::Nat(NatEvent::Probe(ref probe)) => self.nat_probe(tracker, probe),
            Event::CallStarted { call } => self.call_started(tracker, call),
            Event::CallOutcome { call, outcome, status, .. } => self.call_outcome(tracker, call, outcome, status),
            Event::ByeAnswered { call, delay } => self.bye_answered(tracker, call, delay),
            Event::ByeUnanswered { call, .. } => self.bye_unanswered(tracker, call),
            Event::ServerResponse { class, delay, transmissions: 1, pbx, .. } => {
                let pbx = number(tracker, tracker.world.peers.systems().find(pbx));
                of(&mut self.tallies, pbx).server_response(server_class(class), delay);
            }
            Event::PbxLearned { .. } => self.classify(tracker),
            Event::LegEnded { left, end, at, .. } => {
                let pbx = number_of_call(tracker, left);
                of(&mut self.tallies, pbx).overbilled(at.time.since(end.time + BILL_TOLERANCE));
            }
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
            | Event::ConnectionEnded { .. }
            | Event::DeviceRestarted { .. }
            | Event::OldNonce { .. }
            | Event::PrackMissing { .. }
            | Event::Looping { .. }
            | Event::CancelUnanswered { .. }
            | Event::TlsWanted { .. }
            | Event::ScannerFound { .. }
            | Event::ScannerCleared { .. } => {}
        }
    }

    /// Counts a finding that was raised, or got worse, of the phone system with that number.
    pub fn finding(&mut self, system: Option<usize>, id: &'static str, severity: Severity) {
        of(&mut self.tallies, system.unwrap_or(usize::MAX)).findings(id, severity, 1);
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
        let way = |flow| Way { pbx: number_of_flow(tracker, flow), dir: Dir::In };
        for ((flow, counted), n) in std::mem::take(&mut self.messages) {
            count_message(of(&mut self.tallies, way(flow).pbx), counted, Dir::In, flow, n);
        }
        for (flow, phones, waiting) in std::mem::take(&mut self.calls) {
            self.count_call(tracker, flow, phones, way(flow), waiting);
        }
    }

    fn classify(&mut self, tracker: &Tracker) {
        for ((flow, counted), n) in std::mem::take(&mut self.messages) {
            match ways(tracker, flow)[0] {
                Some(way) => count_message(of(&mut self.tallies, way.pbx), counted, way.dir, flow, n),
                None => drop(self.messages.insert((flow, counted), n)),
            }
        }
        for (flow, phones, waiting) in std::mem::take(&mut self.calls) {
            match ways(tracker, flow)[0] {
                Some(way) => self.count_call(tracker, flow, phones, way, waiting),
                None => self.calls.push((flow, phones, waiting)),
            }
        }
    }

    fn call(&mut self, tracker: &Tracker, call: &Call, waiting: Waiting) {
        let (flow, phones) = (call.flow(), call.phones);
        let ways = ways(tracker, flow);
        for way in ways.into_iter().flatten() {
            self.count_call(tracker, flow, phones, way, waiting);
        }
        if ways[0].is_none() {
            match self.calls.len() < WAITING {
                true => self.calls.push((flow, phones, waiting)),
                false => self.uncounted += 1,
            }
        }
    }

    fn count_call(&mut self, tracker: &Tracker, flow: Flow, [caller, callee]: [Option<Handle>; 2], way: Way, waiting: Waiting) {
        let (dir, (peer, device)) = (way.dir, if way.dir == Dir::Out { (flow.destination, callee) } else { (flow.source, caller) });
        let class = tracker.world.peers.class(peer.ip());
        let party = Party { pbx: way.pbx, address: peer, device };
        let tally = of(&mut self.tallies, way.pbx);
        let Waiting::Ended(ending) = waiting else {
            tally.session_attempt(dir, class);
            self.subjects.count(tracker, party, |one| one.session_attempts.bump(dir));
            return;
        };
        self.subjects.count(tracker, party, |one| one.session_outcomes.bump((dir, ending.outcome)));
        tally.session_outcome(dir, class, ending.outcome, ending.status);
        let counts = class != PeerClass::Scan && !matches!(ending.outcome, Outcome::Unknown | Outcome::CompletedElsewhere);
        if !counts {
            return;
        }
        let result = if ending.outcome == Outcome::Answered { DelayResult::Success } else { DelayResult::Failure };
        if let Some(setup) = ending.setup {
            tally.request_delay(dir, result, setup);
        }
        if let Some(audible) = ending.audible {
            tally.post_dial_delay(dir, audible);
        }
        if let Some(kind) = ending.unanswered {
            tally.unanswered_call(kind);
        }
    }

    fn call_started(&mut self, tracker: &Tracker, call: Handle) {
        let Some(call) = tracker.calls.get(call) else { return };
        if call.record.beginning == Beginning::Captured {
            self.call(tracker, call, Waiting::Started);
        }
    }

    fn call_outcome(&mut self, tracker: &Tracker, call: Handle, outcome: Outcome, status: u16) {
        let Some(call) = tracker.calls.get(call) else { return };
        if call.record.beginning == Beginning::Missed {
            return;
        }
        let at_callee = call.further.is_some() || call.record.direction(&tracker.world.peers) == Direction::Out;
        let ending = Ending {
            outcome,
            status: (status > 0).then_some(status),
            setup: call.record.setup(),
            audible: call.audible.map(|at| at.since(call.record.started)),
            unanswered: unanswered(&call.record, outcome, at_callee, tracker.thresholds().ring_min),
        };
        self.call(tracker, call, Waiting::Ended(ending));
    }

    fn bye_answered(&mut self, tracker: &Tracker, call: Handle, delay: Span) {
        let Some(call) = tracker.calls.get(call) else { return };
        let ways = ways(tracker, call.flow());
        // How long the answer took is known, though not which way the call goes.
        let pbx = ways[0].map_or_else(|| number_of_flow(tracker, call.flow()), |way| way.pbx);
        of(&mut self.tallies, pbx).disconnect_delay(DelayResult::Success, delay);
        let Some(talk) = call.record.talk().filter(|_| call.record.completed) else { return };
        for way in ways.iter().flatten() {
            of(&mut self.tallies, way.pbx).session_duration(way.dir, SessionResult::Completed, talk);
            of(&mut self.tallies, way.pbx).session_completed(way.dir, talk);
        }
    }

    fn bye_unanswered(&mut self, tracker: &Tracker, call: Handle) {
        let Some(call) = tracker.calls.get(call) else { return };
        for way in ways(tracker, call.flow()).iter().flatten() {
            let tally = of(&mut self.tallies, way.pbx);
            tally.disconnect_timeout(way.dir);
            if let Some((gave_up, ended)) = call.record.gave_up.zip(call.record.ended) {
                tally.overbilled(gave_up.since(ended + BILL_TOLERANCE).max(Span::ZERO));
            }
            if let Some(duration) = call.record.duration() {
                tally.session_duration(way.dir, SessionResult::Failed, duration);
            }
        }
    }

    fn probe(&mut self, tracker: &Tracker, handle: Handle, result: ProbeResult, rtt: Option<Span>) {
        let Some(device) = tracker.registrations.device(handle) else { return };
        let label = match result {
            ProbeResult::Ok => QualifyResult::Ok,
            ProbeResult::Lagged => QualifyResult::Lagged,
            ProbeResult::Late => QualifyResult::Late,
            ProbeResult::Lost => QualifyResult::Lost,
        };
        let rtt = rtt.filter(|_| matches!(result, ProbeResult::Ok | ProbeResult::Lagged));
        let party = Party { pbx: number_of_flow(tracker, device.flow), address: device.source(), device: Some(handle) };
        let tally = of(&mut self.tallies, party.pbx);
        tally.qualify_probe(label);
        if let Some(rtt) = rtt {
            tally.qualify_rtt(tracker.world.peers.class(device.source().ip()), rtt);
        }
        self.subjects.count(tracker, party, |one| {
            one.qualify_probes.bump(label);
            if let Some(rtt) = rtt {
                one.qualify_rtt.observe((), rtt);
            }
        });
    }

    fn keepalive(&mut self, tracker: &Tracker, flow: Flow, kind: KeepaliveKind, interval: Span) {
        if let Some(way) = ways(tracker, flow)[0] {
            of(&mut self.tallies, way.pbx).keepalive_interval(KeepaliveLabel::from(kind), way.dir, interval);
        }
    }

    fn registration_attempt(&mut self, tracker: &Tracker, flow: Flow) {
        let party = party(tracker, flow, None);
        of(&mut self.tallies, party.pbx).registration_attempt(tracker.world.peers.class(party.address.ip()));
        self.subjects.count(tracker, party, |one| one.registration_attempts.bump(()));
    }

    fn registration_ended(&mut self, tracker: &Tracker, report: &AttemptReport) {
        let party = party(tracker, report.flow, Some(report.device));
        let tally = of(&mut self.tallies, party.pbx);
        let status = (report.status > 0).then_some(report.status);
        let reason = match report.end {
            AttemptEnd::Accepted => {
                tally.registration_delay(report.last.time.since(report.first.time));
                return;
            }
            AttemptEnd::Unknown => return,
            AttemptEnd::CredentialsRejected if report.status != 403 => FailureReason::Auth,
            AttemptEnd::ChallengeIgnored if report.challenge_lost => FailureReason::Timeout,
            AttemptEnd::ChallengeIgnored | AttemptEnd::NonceRefused => FailureReason::Auth,
            AttemptEnd::NoAnswer => FailureReason::Timeout,
            AttemptEnd::ContactDropped | AttemptEnd::Rejected | AttemptEnd::CredentialsRejected => match report.status {
                500..600 => FailureReason::ServerError,
                600.. => FailureReason::GlobalFailure,
                _ => FailureReason::ClientError,
            },
        };
        tally.registration_failure(tracker.world.peers.class(party.address.ip()), reason, status);
        self.subjects.count(tracker, party, |one| one.registration_failures.bump(reason));
    }

    fn nat_probe(&mut self, tracker: &Tracker, probe: &NatProbe) {
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
        self.of_device(tracker, probe.device).nat_probe(result, stage, probe.age);
        let party = Party { pbx: number_of_device(tracker, probe.device), address: probe.place, device: Some(probe.device) };
        self.subjects.count(tracker, party, |one| one.nat_probes.bump(result));
    }

    fn of_device(&mut self, tracker: &Tracker, device: Handle) -> &mut Tally {
        of(&mut self.tallies, number_of_device(tracker, device))
    }
}

/// The tally of a phone system; the last one is that of what concerns none of several.
fn of(tallies: &mut [Tally], pbx: usize) -> &mut Tally {
    let last = tallies.len() - 1;
    &mut tallies[pbx.min(last)]
}

fn count_message(tally: &mut Tally, counted: Counted, dir: Dir, flow: Flow, n: u64) {
    for _ in 0..n {
        let (kind, method) = match counted.kind {
            CountedKind::Request(method) => (MessageKind::Request(method), method),
            CountedKind::Response(status, method) => (MessageKind::Response(CodeLabel::of(Some(status))), method),
        };
        tally.message(kind, dir, flow.transport);
        match counted.novelty {
            Novelty::Distinct => {}
            Novelty::Retransmission => tally.retransmission(method, dir),
            Novelty::Foreign => tally.foreign_response(method, dir),
        }
    }
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

fn server_class(class: ServerClass) -> ServerResponse {
    match class {
        ServerClass::Invite100 => ServerResponse::Invite100,
        ServerClass::Challenge => ServerResponse::Challenge,
        ServerClass::AuthFinal => ServerResponse::AuthFinal,
        ServerClass::Options => ServerResponse::Options,
    }
}
