//! From the state of the engine to the report.

use std::collections::{BTreeMap, BTreeSet};

use crate::decode::flow::{Flow, Transport};
use crate::detect::finding::Finding;
use crate::detect::store::FindingStore;
use crate::report::legs::Legs;
use crate::report::model::{
    CallEntry, DeviceEntry, Distribution, Evidence, FindingEntry, KeepaliveEntry, MessageCounts, QualifyEntry, Ratio, RegistrationEntry,
    Report, Rfc6076, Seconds, Stamp,
};
use crate::report::nat;
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::Span;
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::call::record::{Beginning, CallRecord};
use crate::track::nat::verdict;
use crate::track::registration::Aor;
use crate::track::registration::device::Device;
use crate::track::vocabulary::{CallState, Direction, Outcome};

/// The report on all that was tracked and found. The capture block is the caller's.
pub fn build(tracker: &Tracker, findings: &FindingStore) -> Report {
    let records: Vec<_> = records(tracker).map(|kept| kept.settled(tracker)).collect();
    let mut report = Report {
        messages: messages(tracker),
        pbx_addresses: tracker.world.peers.pbx_addresses(),
        pbx_names: tracker.world.peers.pbx_names(),
        registrations: tracker.registrations.aors().map(|(_, aor)| registration(tracker, aor)).collect(),
        calls: calls(tracker, &records),
        nat: nat::entries(tracker),
        findings: findings.all().into_iter().map(|found| finding(tracker, found)).collect(),
        rfc6076: rfc6076(tracker, &records),
        ..Report::default()
    };
    report.sort();
    report
}

/// A call in progress as it stands, seen through those of its other legs that are known too; `None` where it is not known.
pub fn call_now(tracker: &Tracker, handle: Handle) -> Option<CallEntry> {
    let this = tracker.calls.get(handle)?;
    let calls = std::iter::once(this).chain(tracker.calls.partners(handle).map(|(_, partner)| partner));
    let outcome = |call: &Call| call.record.outcome.unwrap_or_else(|| call.outcome_at_end());
    let records: Vec<_> = calls.map(|call| (&call.record, outcome(call), direction(tracker, &call.record))).collect();
    records.first().map(|first| call(tracker, &Legs::of(&records, tracker.now()), first))
}

/// A call with its outcome and direction as of the end of the capture.
pub(super) type Recorded<'a> = (&'a CallRecord, Outcome, Direction);

/// A call as it is kept: over, or in progress.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// Its facts.
    pub record: &'a CallRecord,
    in_progress: Option<&'a Call>,
}

impl<'a> Kept<'a> {
    /// With its outcome and direction as of now.
    pub(super) fn settled(self, tracker: &Tracker) -> Recorded<'a> {
        (self.record, self.outcome(), direction(tracker, self.record))
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
    let finished = tracker.calls.finished().map(|record| Kept { record, in_progress: None });
    finished.chain(tracker.calls.iter().map(|(_, call)| Kept { record: &call.record, in_progress: Some(call) }))
}

/// The entries of calls with all of their legs.
fn calls(tracker: &Tracker, records: &[Recorded<'_>]) -> Vec<CallEntry> {
    let legs = Legs::of(records, tracker.now());
    records.iter().map(|recorded| call(tracker, &legs, recorded)).collect()
}

/// The entries of some calls, whose other legs are looked up: what only shows when the legs of a call are seen together must show.
pub fn some_calls(tracker: &Tracker, some: &[Kept<'_>]) -> Vec<CallEntry> {
    let here: BTreeSet<&str> = some.iter().map(|kept| &*kept.record.call_id).collect();
    let linked = some.iter().flat_map(|kept| &kept.record.linked).map(|linked| &**linked);
    let elsewhere: BTreeSet<&str> = linked.filter(|linked| !here.contains(linked)).collect();
    let others = || records(tracker).filter(|kept| elsewhere.contains(&*kept.record.call_id));
    let mut all: Vec<_> = some.iter().map(|kept| kept.settled(tracker)).collect();
    if !elsewhere.is_empty() {
        all.extend(others().map(|kept| kept.settled(tracker)));
    }
    let legs = Legs::of(&all, tracker.now());
    all.iter().take(some.len()).map(|recorded| call(tracker, &legs, recorded)).collect()
}

fn direction(tracker: &Tracker, record: &CallRecord) -> Direction {
    tracker.world.peers.direction(Flow { transport: Transport::Udp, source: record.source, destination: record.destination })
}

/// The entry of one call in progress by itself: what only shows when its legs are seen together does not show.
pub fn lone_call(tracker: &Tracker, lone: &Call) -> CallEntry {
    let recorded = [Kept { record: &lone.record, in_progress: Some(lone) }.settled(tracker)];
    call(tracker, &Legs::of(&[], tracker.now()), &recorded[0])
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

fn call(tracker: &Tracker, legs: &Legs<'_>, &(record, outcome, direction): &Recorded<'_>) -> CallEntry {
    let stamp = |time: Option<_>| time.map(|time| Stamp(tracker.printed(time)));
    let captured = record.beginning == Beginning::Captured;
    let state = match record.state() {
        CallState::Established => CallState::Open,
        state => state,
    };
    CallEntry {
        first_seen: tracker.printed(record.started),
        first_frame: record.first_frame,
        passed_on_to: record.passed_on_to,
        forwarded: record.forwarded,
        by_scanner: tracker.world.peers.scans(record.source.ip()) && outcome != Outcome::Answered,
        call_id: record.call_id.to_string(),
        from: text(&record.from),
        to: text(&record.to),
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
        end_reason: record.end_reason.as_deref().map(str::to_owned),
        linked: record.linked.iter().map(|call_id| call_id.to_string()).collect(),
        overbilled_s: legs.overbilled(record).map(Seconds),
    }
}

/// The entry of one address-of-record.
pub fn registration(tracker: &Tracker, aor: &Aor) -> RegistrationEntry {
    RegistrationEntry {
        first_seen: tracker.printed(aor.first_seen),
        by_scanner: aor.accepted == 0 && aor_is_scanned(tracker, aor),
        aor: aor.name.to_string(),
        state: tracker.registrations.state(aor),
        attempts: aor.attempts,
        accepted: aor.accepted,
        rejected: aor.rejected,
        last_status: aor.last_status,
        devices: aor.devices.iter().filter_map(|&handle| Some(device(tracker, tracker.registrations.device(handle)?))).collect(),
    }
}

/// Whether every device that tried this AoR is a scanner.
fn aor_is_scanned(tracker: &Tracker, aor: &Aor) -> bool {
    let mut devices = aor.devices.iter().filter_map(|&handle| tracker.registrations.device(handle)).peekable();
    devices.peek().is_some() && devices.all(|device| tracker.world.peers.scans(device.source().ip()))
}

fn device(tracker: &Tracker, device: &Device) -> DeviceEntry {
    let last_seen = tracker.world.flows.last_seen(device.flow).max(device.last_register);
    // A phone that sends nothing else keeps its binding alive by registering (DETECTION §2.3).
    let by_register = || device.refreshes.regular(tracker.thresholds()).map(|(interval, longest)| ("register", interval, longest));
    let cadence = tracker.world.flows.cadence(device.flow).map(|(kind, interval, longest)| (kind.as_str(), interval, longest));
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
        qualified_by: device.probes.interval().map(|interval| QualifyEntry { kind: "options", interval_s: Seconds(interval) }),
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

/// The measures of RFC 6076 over attempts towards the PBX, or over all where none is known. Scanners, calls that began before the
/// capture, unknown outcomes and legs that were answered elsewhere are left out (REPORT `rfc6076`).
fn rfc6076(tracker: &Tracker, records: &[Recorded<'_>]) -> Rfc6076 {
    let peers = &tracker.world.peers;
    let towards = |direction| direction == Direction::In || !peers.knows_pbx();
    let counted: Vec<_> = records
        .iter()
        .filter(|(record, outcome, direction)| {
            towards(*direction)
                && record.beginning == Beginning::Captured
                && !matches!(outcome, Outcome::Unknown | Outcome::CompletedElsewhere)
                && !peers.scans(record.source.ip())
        })
        .collect();
    let delays = |measure: &dyn Fn(&CallRecord) -> Option<Span>, wanted: &dyn Fn(Outcome) -> bool| {
        Distribution::of(counted.iter().filter(|(_, outcome, _)| wanted(*outcome)).filter_map(|(record, ..)| measure(record)).collect())
    };
    let count = |wanted: &dyn Fn(&CallRecord, Outcome) -> bool| {
        counted.iter().filter(|(record, outcome, _)| wanted(record, *outcome)).count() as u64
    };
    let attempts = counted.len() as u64;
    let redirected = count(&|_, outcome| outcome == Outcome::Redirected);
    let by_status = |statuses: &[u16]| count(&|record, outcome| outcome != Outcome::Redirected && statuses.contains(&record.status));
    let answered = count(&|_, outcome| outcome == Outcome::Answered);
    let effective = answered + count(&|record, outcome| outcome != Outcome::Answered && matches!(record.status, 480 | 486 | 600 | 603));
    let completed = count(&|record, outcome| outcome == Outcome::Answered && record.completed && record.disconnected.is_some());
    let tries = tracker.registrations.tries().filter(|(source, _)| !peers.scans(*source));
    let (registering, ineffective) = tries.fold((0, 0), |(all, bad), (_, tries)| (all + tries.attempts, bad + tries.ineffective));
    Rfc6076 {
        rrd_s: Distribution::of(registration_delays(tracker)),
        srd_success_s: delays(&CallRecord::setup, &|outcome| outcome == Outcome::Answered),
        srd_failure_s: delays(&CallRecord::setup, &|outcome| !matches!(outcome, Outcome::Answered | Outcome::Redirected)),
        sdd_s: delays(&CallRecord::disconnect, &|_| true),
        sdt_s: delays(&CallRecord::duration, &|_| true),
        ira_ratio: Ratio::of(ineffective, registering),
        ser_ratio: Ratio::of(answered, attempts - redirected),
        seer_ratio: Ratio::of(effective, attempts - redirected),
        isa_ratio: Ratio::of(by_status(&[408, 500, 503, 504]), attempts),
        scr_ratio: Ratio::of(completed, attempts),
    }
}

/// The delays of accepted registrations; those of the PBX at its carriers are another matter.
fn registration_delays(tracker: &Tracker) -> Vec<Span> {
    let known: BTreeMap<_, ()> = tracker.world.peers.pbx_addresses().into_iter().map(|address| (address.ip(), ())).collect();
    let delays = tracker.registrations.delays().iter();
    delays
        .filter(|(registrar, _)| known.is_empty() || known.contains_key(&registrar.ip()))
        .map(|(_, micros)| Span::from_micros(i64::from(*micros)))
        .collect()
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
