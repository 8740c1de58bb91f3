//! The verdict at the end: what the diagnosis says, and what the steps showed.

use std::net::IpAddr;

use crate::assist::reconnection::Registered;
use crate::assist::words::{counted, lasting};
use crate::detect::catalog::FindingId;
use crate::report::model::{AssistStep, Escalation, Evidence, Ground, Judgement, RuledOut, StepResult, Verdict};
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::site::Site;
use crate::track::vocabulary::{Confidence, Scope, Severity};

/// Findings that explain any silence, so that nothing the steps showed goes before them (DETECTION §8.0).
const FIRST: [FindingId; 7] = [
    FindingId::PbxNotResponding,
    FindingId::ServerErrorBurst,
    FindingId::ScannerSucceeded,
    FindingId::SipScanner,
    FindingId::WrongTransportOrPort,
    FindingId::WrongDomain,
    FindingId::PbxRestarted,
];

/// What the steps showed.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) results: Vec<(AssistStep, StepResult)>,
    /// The registration that the session saw.
    pub(super) registered: Option<Registered>,
    /// Whether the phone logged off during the session.
    pub(super) logged_off: bool,
    /// How long before the test call the phone had reconnected.
    pub(super) reconnected: Option<Span>,
    /// How long nothing at all came from the user.
    pub(super) nothing: Option<Span>,
    /// Why the step failed that ended the session, and the finding that explains it.
    pub(super) failure: Option<Failure>,
    /// Neighbours of the phone that were heard during the session, and all that are known.
    pub(super) neighbours: (usize, usize),
    /// The user's moments, in order.
    pub(super) moments: Vec<Evidence>,
    pub(super) name: String,
}

/// A step that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) step: AssistStep,
    pub(super) because: String,
    pub(super) finding: Option<FindingId>,
    pub(super) next_step: Option<String>,
}

impl Shown {
    fn result(&self, step: AssistStep) -> Option<StepResult> {
        self.results.iter().rev().find(|(done, _)| *done == step).map(|(_, result)| *result)
    }

    fn passed(&self) -> usize {
        self.results.iter().filter(|(_, result)| *result == StepResult::Passed).count()
    }
}

/// The verdict of the session: the diagnosis, put right by what the steps showed, with the time line in front of its evidence.
pub(super) fn settle(shown: Shown, diagnosis: Verdict) -> Verdict {
    let mut verdict = if goes_first(&diagnosis) {
        diagnosis
    } else if let Some(waited) = shown.nothing {
        nothing_arrived(&shown, waited, diagnosis)
    } else if let Some(failure) = shown.failure.clone() {
        failed(&shown, failure, diagnosis)
    } else if shown.passed() > 0 {
        all_passed(&shown, diagnosis)
    } else {
        diagnosis
    };
    let mut evidence = shown.moments;
    evidence.extend(verdict.evidence);
    evidence.sort_by_key(|fact| fact.at);
    evidence.dedup();
    verdict.evidence = evidence;
    verdict
}

/// Whether the diagnosis rests on what makes every other word idle: the capture, the PBX, or packets of the user at the wrong door.
fn goes_first(diagnosis: &Verdict) -> bool {
    match diagnosis.verdict {
        Judgement::Finding(id) => FIRST.contains(&id),
        Judgement::CannotTell => diagnosis.scope == Scope::Capture,
        _ => false,
    }
}

/// Nothing at all came from the user (DETECTION §8.1-1).
fn nothing_arrived(shown: &Shown, waited: Span, diagnosis: Verdict) -> Verdict {
    let waited = lasting(waited);
    let name = &shown.name;
    let (judgement, scope, headline, next_step) = match shown.neighbours {
        (1.., _) => (
            Judgement::NoTraffic,
            Scope::Phone,
            format!(
                "Nothing arrived from {name} for {waited}, while {} at the same address went on.",
                counted(shown.neighbours.0 as u64, "other phone", "other phones")
            ),
            "Check power and LAN of the phone, then the server address, port and transport set in it: TLS would not be seen here.",
        ),
        (0, 1..) => (
            Judgement::NotAnIssue,
            Scope::Site,
            format!("Nothing arrived from {name} for {waited}, nor from any other phone at its address: the site is offline."),
            "Let the customer check the router and call the internet provider; this is not our issue.",
        ),
        (0, 0) => (
            Judgement::NoTraffic,
            Scope::PhoneOrSite,
            format!("Nothing arrived from {name} for {waited}: its packets never came by here."),
            "Check the internet of the user, power of the phone, and the server address, port and transport set in it: TLS would not be seen here.",
        ),
    };
    let runbook = match judgement {
        Judgement::NotAnIssue => vec!["S0-a"],
        _ => vec!["S0-a", "S0-e"],
    };
    let mut ruled_out = diagnosis.ruled_out;
    if shown.neighbours.0 > 0 {
        let why = format!("{} at the same address still sent packets", counted(shown.neighbours.0 as u64, "other phone", "other phones"));
        ruled_out.retain(|known| known.verdict != Judgement::NotAnIssue.as_str());
        ruled_out.insert(0, RuledOut { verdict: Judgement::NotAnIssue.as_str(), why, ground: Ground::Told });
    }
    Verdict {
        verdict: judgement,
        confidence: Confidence::Probable,
        scope,
        headline,
        ruled_out,
        next_step: next_step.to_owned(),
        escalate: Escalation::None,
        runbook,
        evidence: Vec::new(),
        ..diagnosis
    }
}

/// A step failed: the diagnosis stands where it names a cause, else what the step showed.
fn failed(shown: &Shown, failure: Failure, diagnosis: Verdict) -> Verdict {
    let explains = match diagnosis.verdict {
        Judgement::Finding(id) => id.severity() > Severity::Info,
        Judgement::NotAnIssue | Judgement::DeliveredElsewhere => true,
        Judgement::Healthy | Judgement::Temporary | Judgement::NoTraffic | Judgement::CannotTell => false,
    };
    if explains {
        return diagnosis;
    }
    let judgement = failure.finding.map_or(Judgement::CannotTell, Judgement::Finding);
    let headline = format!("The {} of {} failed: {}.", words(failure.step), shown.name, failure.because.trim_end_matches('.'));
    Verdict {
        verdict: judgement,
        confidence: if failure.finding.is_some() { Confidence::Probable } else { Confidence::Suspected },
        headline,
        next_step: failure.next_step.unwrap_or(diagnosis.next_step),
        runbook: failure.step.runbook().to_vec(),
        ..diagnosis
    }
}

/// Every step that was tried worked.
fn all_passed(shown: &Shown, diagnosis: Verdict) -> Verdict {
    let is_serious = |id: FindingId| id.severity() > Severity::Info && diagnosis.worst.is_some_and(|worst| worst > Severity::Info);
    if matches!(diagnosis.verdict, Judgement::Finding(id) if is_serious(id)) {
        return diagnosis;
    }
    let worked = worked(shown);
    let mended = shown.registered.filter(Registered::mends);
    let Some(registered) = mended else {
        // That it was not registered for a moment is what the agent asked for.
        let asked_for = shown.logged_off && diagnosis.worst.is_none_or(|worst| worst <= Severity::Info);
        if diagnosis.verdict == Judgement::Temporary && !asked_for {
            return diagnosis;
        }
        return Verdict {
            verdict: Judgement::Healthy,
            confidence: Confidence::Confirmed,
            headline: format!("{worked}, and nothing is wrong with it now."),
            next_step: "Close the incident as not reproducible; open it again if the trouble comes back.".to_owned(),
            escalate: Escalation::None,
            ..diagnosis
        };
    };
    let silence = registered.silence.map_or_else(String::new, |silence| format!(" after {} of silence", lasting(silence)));
    let came_back = match registered.moved {
        Some((old, new)) if old.ip() == new.ip() => format!("it came back{silence} from port {} (was {})", new.port(), old.port()),
        Some((old, new)) => format!("it came back{silence} from {} (was {})", new.ip(), old.ip()),
        None => format!("it was not registered before and registered anew{silence}"),
    };
    let to_call = shown.reconnected.map_or_else(String::new, |before| format!(", {} before it called", lasting(before)));
    let mut runbook = vec!["S0-c"];
    if shown.result(AssistStep::TestCall) == Some(StepResult::Passed) {
        runbook.push("S1-d");
    }
    Verdict {
        verdict: Judgement::Temporary,
        confidence: Confidence::Probable,
        scope: Scope::Phone,
        headline: format!("A temporary network problem, which is over: {came_back}{to_call}. {worked}."),
        next_step: "Let the user place one more call; close the incident if it works, open it again if it comes back.".to_owned(),
        escalate: Escalation::None,
        runbook,
        ..diagnosis
    }
}

/// `1001@pbx reconnected, placed a call, held it and was called`, as far as it did.
fn worked(shown: &Shown) -> String {
    let did = |step| shown.result(step) == Some(StepResult::Passed);
    let deeds = [
        (AssistStep::Reconnection, "reconnected"),
        (AssistStep::TestCall, "placed a call"),
        (AssistStep::Hold, "held it"),
        (AssistStep::InboundCall, "could be called"),
        (AssistStep::IdleTest, "could be called after being idle"),
    ];
    let mut done: Vec<_> = deeds.into_iter().filter(|(step, _)| did(*step)).map(|(_, deed)| deed).collect();
    let last = done.pop().unwrap_or_default();
    if done.is_empty() { format!("{} {last}", shown.name) } else { format!("{} {} and {last}", shown.name, done.join(", ")) }
}

fn words(step: AssistStep) -> &'static str {
    match step {
        AssistStep::Reconnection => "reconnection",
        AssistStep::TestCall => "test call",
        AssistStep::Hold => "hold",
        AssistStep::InboundCall => "inbound call",
        AssistStep::IdleTest => "idle test",
    }
}

/// Other phones at the addresses of the user: how many were heard since `since`, and how many there are.
pub(super) fn neighbours(
    tracker: &Tracker,
    own: &[IpAddr],
    is_own: impl Fn(crate::table::Handle) -> bool,
    since: PacketTime,
) -> (usize, usize) {
    let sites: Vec<_> = own.iter().map(|address| Site::of(*address)).collect();
    let near = tracker.registrations.devices().filter(|(_, device)| sites.contains(&Site::of(device.place.ip())) && !is_own(device.aor));
    let mut counts = (0, 0);
    for (_, device) in near {
        let place = crate::decode::flow::Flow { source: device.place, ..device.flow };
        counts.1 += 1;
        counts.0 += usize::from(tracker.world.flows.last_seen(device.flow).max(tracker.world.flows.last_seen(place)) >= since);
    }
    counts
}
