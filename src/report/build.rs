//! From the state of the engine to the report.

use std::collections::BTreeSet;

use crate::detect::finding::Finding;
use crate::detect::store::FindingStore;
use crate::report::legs::Legs;
use crate::report::model::{
    CallEntry, DeviceEntry, Evidence, FindingEntry, KeepaliveEntry, MessageCounts, QualifyEntry, RegistrationEntry, Report, Seconds, Stamp,
};
use crate::report::nat;
use crate::report::whole::{Place, Whole};
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::call::forks::Fork;
use crate::track::call::record::{Beginning, CallView};
use crate::track::nat::verdict;
use crate::track::registration::Aor;
use crate::track::registration::device::Device;
use crate::track::vocabulary::{CallState, Direction, Outcome};

/// The report on all that was tracked and found. The capture block is the caller's.
pub fn build(tracker: &Tracker, findings: &FindingStore) -> Report {
    let whole = Whole::of(tracker);
    let report = outline(&whole, tracker, findings);
    report.with_lists(whole.registrations().collect(), whole.calls().collect())
}

/// The report on all of that without its two long lists.
pub fn outline(whole: &Whole<'_>, tracker: &Tracker, findings: &FindingStore) -> Report<(), ()> {
    let mut report = Report {
        messages: messages(tracker),
        pbx_addresses: tracker.world.peers.pbx_addresses(),
        pbx_names: tracker.world.peers.pbx_names(),
        nat: nat::entries(tracker),
        findings: findings.all().into_iter().map(|found| finding(tracker, found)).collect(),
        rfc6076: whole.performance(),
        ..Report::default()
    };
    report.sort_short();
    report
}

/// A call in progress as it stands, seen through those of its other legs that are known too; `None` where it is not known.
pub fn call_now(tracker: &Tracker, handle: Handle) -> Option<CallEntry> {
    let this = tracker.calls.get(handle)?;
    let calls = std::iter::once(this).chain(tracker.calls.partners(handle).map(|(_, partner)| partner));
    let outcome = |call: &Call| call.record.outcome.unwrap_or_else(|| call.outcome_at_end());
    let records: Vec<Recorded<'_>> = calls
        .map(|call| {
            let record = call.record_at_end();
            (record, outcome(call), direction(tracker, &record))
        })
        .collect();
    records.first().map(|first| call(tracker, &Legs::of(tracker, &records), first))
}

/// A call with its outcome and direction as of the end of the capture.
pub(super) type Recorded<'a> = (CallView<'a>, Outcome, Direction);

/// A call as it is kept: over, or in progress.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// Its facts.
    pub record: CallView<'a>,
    pub(super) in_progress: Option<&'a Call>,
}

impl<'a> Kept<'a> {
    /// With its outcome and direction as of now.
    pub(super) fn settled(self, tracker: &Tracker) -> Recorded<'a> {
        (self.record, self.outcome(), direction(tracker, &self.record))
    }

    /// How it came out as of now.
    pub fn outcome(self) -> Outcome {
        match self.in_progress {
            Some(call) => call.outcome_at_end(),
            None => self.record.outcome.unwrap_or(Outcome::Unknown),
        }
    }
}

/// All calls that are kept, those that are over first.
pub fn records(tracker: &Tracker) -> impl Iterator<Item = Kept<'_>> {
    Place::all(tracker).map(Place::look)
}

/// The entries of some calls, whose other legs are looked up: what only shows when the legs of a call are seen together must show.
pub fn some_calls(tracker: &Tracker, some: &[Kept<'_>]) -> Vec<CallEntry> {
    let here: BTreeSet<&str> = some.iter().map(|kept| kept.record.call_id).collect();
    let linked = some.iter().flat_map(|kept| kept.record.linked.iter());
    let elsewhere: BTreeSet<&str> = linked.filter(|linked| !here.contains(linked)).collect();
    let others = || records(tracker).filter(|kept| elsewhere.contains(kept.record.call_id));
    let mut all: Vec<_> = some.iter().map(|kept| kept.settled(tracker)).collect();
    if !elsewhere.is_empty() {
        all.extend(others().map(|kept| kept.settled(tracker)));
    }
    let legs = Legs::of(tracker, &all);
    all.iter().take(some.len()).map(|recorded| call(tracker, &legs, recorded)).collect()
}

pub(super) fn direction(tracker: &Tracker, record: &CallView<'_>) -> Direction {
    record.direction(&tracker.world.peers)
}

/// The entry of one call in progress by itself: what only shows when its legs are seen together does not show.
pub fn lone_call(tracker: &Tracker, lone: &Call) -> CallEntry {
    call(tracker, &Legs::new(tracker), &Place::InProgress(lone).look().settled(tracker))
}

/// Distinct messages by method and status.
pub fn messages(tracker: &Tracker) -> MessageCounts {
    let counts = &tracker.messages;
    let requests = Method::ALL.iter().zip(counts.requests).filter(|(_, count)| *count > 0);
    let responses = counts.responses.iter().enumerate().filter(|(_, count)| **count > 0);
    MessageCounts {
        requests: requests.map(|(method, count)| (method.as_str().to_owned(), count)).collect(),
        responses: responses.map(|(status, count)| (status as u16, *count)).collect(),
    }
}

/// The entry of a call.
pub(super) fn call(tracker: &Tracker, legs: &Legs<'_>, (record, outcome, direction): &Recorded<'_>) -> CallEntry {
    let (outcome, direction) = (*outcome, *direction);
    let stamp = |time: Option<_>| time.map(|time| Stamp(tracker.printed(time)));
    let captured = record.beginning == Beginning::Captured;
    let state = match record.state() {
        CallState::Established => CallState::Open,
        state => state,
    };
    let entry = CallEntry {
        first_seen: tracker.printed(record.started),
        first_frame: record.first_frame,
        passed_on_to: record.passed_on_to,
        forks: Vec::new(),
        forwarded: record.forwarded,
        by_scanner: tracker.world.peers.scans(record.source.ip()) && outcome != Outcome::Answered,
        call_id: record.call_id.to_owned(),
        from: text(record.from),
        to: text(record.to),
        source: record.source,
        destination: record.destination,
        direction,
        started: stamp(Some(record.started).filter(|_| captured)),
        answered: stamp(record.answered),
        ended: stamp(record.ended),
        partial: !captured,
        outcome: if captured { outcome } else { Outcome::Unknown },
        status: (record.status > 0).then_some(record.status),
        state,
        setup_s: record.setup().map(Seconds),
        ring_s: record.ring().map(Seconds),
        talk_s: record.talk().map(Seconds),
        ended_by: legs.ended_by(record, direction),
        end_reason: record.end_reason.map(str::to_owned),
        linked: record.linked.iter().map(str::to_owned).collect(),
        overbilled_s: legs.overbilled(record).map(Seconds),
    };
    let forks = record.forks.iter().map(|fork| forked(tracker, &entry, fork)).collect();
    CallEntry { forks, ..entry }
}

/// What a call was at one of the places that a proxy sent it to. Who answered there has the call; the others had it until then.
fn forked(tracker: &Tracker, call: &CallEntry, fork: Fork<&str>) -> CallEntry {
    let stamp = |time: PacketTime| Stamp(tracker.printed(time));
    let whole = CallEntry {
        passed_on_to: None,
        to: text(fork.user).or_else(|| call.to.clone()),
        source: call.destination,
        destination: fork.place,
        direction: Direction::Out,
        started: Some(stamp(fork.started)),
        setup_s: fork.rang.map(|rang| Seconds(rang.since(fork.started))),
        ring_s: fork.ring().map(Seconds),
        linked: Vec::new(),
        overbilled_s: None,
        ..call.clone()
    };
    if fork.outcome == Some(Outcome::Answered) {
        return whole;
    }
    let ended = fork.ended.map(stamp).or(call.ended);
    CallEntry {
        answered: None,
        ended,
        outcome: fork.outcome.unwrap_or(Outcome::Unknown),
        status: (fork.status > 0).then_some(fork.status),
        state: match (ended.or(call.answered), fork.rang) {
            (Some(_), _) => CallState::Ended,
            (None, Some(_)) => CallState::Ringing,
            (None, None) => CallState::Setup,
        },
        talk_s: None,
        ended_by: None,
        end_reason: None,
        ..whole
    }
}

/// The entry of one address-of-record.
pub fn registration(tracker: &Tracker, aor: &Aor) -> RegistrationEntry {
    RegistrationEntry {
        first_seen: tracker.printed(aor.first_seen),
        by_scanner: by_scanner(tracker, aor),
        aor: aor.name.to_string(),
        state: tracker.registrations.state(aor),
        attempts: aor.attempts,
        accepted: aor.accepted,
        rejected: aor.rejected,
        last_status: aor.last_status,
        devices: aor.devices.iter().filter_map(|&handle| Some(device(tracker, tracker.registrations.device(handle)?))).collect(),
    }
}

/// Whether nothing but scanners tried this AoR, and in vain.
pub fn by_scanner(tracker: &Tracker, aor: &Aor) -> bool {
    let mut devices = aor.devices.iter().filter_map(|&handle| tracker.registrations.device(handle)).peekable();
    aor.accepted == 0 && devices.peek().is_some() && devices.all(|device| tracker.world.peers.scans(device.source().ip()))
}

fn device(tracker: &Tracker, device: &Device) -> DeviceEntry {
    let last_seen = tracker.world.flows.last_seen(device.flow).max(device.last_register);
    // A phone that sends nothing else keeps its binding alive by registering (DETECTION §2.3).
    let by_register = || device.refreshes.regular(tracker.thresholds()).map(|(interval, longest)| ("register", interval, longest));
    let cadence = tracker.world.flows.cadence(device.flow).map(|(kind, interval, longest)| (kind.as_str(), interval, longest));
    // To a phone that sends keep-alives, what comes back are the answers.
    let pings = || tracker.world.flows.cadence(device.flow.reversed()).filter(|_| cadence.is_none() && !device.flow.transport.is_stream());
    let ping = pings().map(|(kind, interval, _)| QualifyEntry { kind: kind.as_str(), interval_s: Seconds(interval) });
    let options = device.probes.interval().map(|interval| QualifyEntry { kind: "options", interval_s: Seconds(interval) });
    let cadence = cadence.or_else(by_register);
    DeviceEntry {
        first_seen: tracker.printed(device.first_seen),
        contact: device.contact.to_string(),
        source: device.source(),
        transport: device.flow.transport,
        user_agent: text(&device.user_agent),
        instance: device.instance.as_deref().map(str::to_owned),
        state: device.state,
        registered_at: device.registered_at.map(|at| Stamp(tracker.printed(at.time))),
        expires_at: device.expires_at.map(|at| Stamp(tracker.printed(at))),
        last_seen: Some(Stamp(tracker.printed(last_seen))),
        behind_nat: verdict(&tracker.registrations, device),
        keepalive: cadence.map(|(kind, interval, longest)| KeepaliveEntry {
            kind,
            interval_s: Seconds(interval),
            max_gap_s: Seconds(longest),
        }),
        qualified_by: options.or(ping),
        reachability: device.probes.reachability,
        rtt_s: device.probes.median_rtt().map(Seconds),
    }
}

/// The entry of one finding.
pub fn finding(tracker: &Tracker, finding: &Finding) -> FindingEntry {
    let stamp = |time| Stamp(tracker.printed(time));
    FindingEntry {
        id: finding.id.as_str(),
        severity: finding.severity,
        confidence: finding.confidence,
        reason: finding.reason.map(|reason| reason.as_str()),
        scope: finding.scope,
        subject: finding.subject.to_string(),
        since: stamp(finding.since),
        at: stamp(finding.at),
        cleared: finding.cleared.map(stamp),
        count: finding.count,
        message: finding.message.clone(),
        evidence: finding.evidence.iter().map(|fact| Evidence { at: stamp(fact.at), frame: fact.frame, fact: fact.fact.clone() }).collect(),
        remedy: finding.remedy.clone(),
        runbook: finding.id.runbook().to_vec(),
        explains: finding.explains.iter().map(|id| id.as_str()).collect(),
    }
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
