//! Why an established call ended without anybody meaning it: its session was not refreshed, or one end had forgotten it
//! (DETECTION §5.1 to §5.4).

use std::net::SocketAddr;

use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Reason, counted};
use crate::detect::legs::overbilled;
use crate::detect::parties::{call_subject, phones, related_parties};
use crate::detect::registration::status_text;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::call::session::{Failure, Lapse, Side, Timer};
use crate::track::call::{Call, Lost};
use crate::track::event::{Event, Unanswered};
use crate::track::vocabulary::{Confidence, RegistrationState};

/// Tells of calls that were not kept up.
pub(super) fn event(tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
    match event {
        Event::SessionLapsed(lapse) => lapsed(tracker, lapse, findings),
        Event::DialogLost { call, lost } => forgotten(tracker, *call, lost, findings),
        Event::CallAged { call, at } => aged(tracker, *call, *at, findings),
        Event::CallEnded { call, at } => {
            findings.clear_of(FindingId::HungCall, at.time, || call_subject(tracker, *call));
        }
        _ => {}
    }
}

fn lapsed(tracker: &Tracker, lapse: &Lapse, findings: &mut FindingStore) {
    let (Some(subject), Some(entry)) = (call_subject(tracker, lapse.call), tracker.calls.get(lapse.call)) else { return };
    let end = match (entry.record.answered, lapse.at.frame) {
        (Some(answered), 1..) => format!("dropped after {}", lapse.at.time.since(answered)),
        (None, 1..) => "and the call was dropped".to_owned(),
        (_, 0) => "and nothing was seen of the call since".to_owned(),
    };
    let what = match (&lapse.failure, &lapse.timer) {
        (Some(failure), _) => in_vain(failure),
        (None, Some(timer)) => format!("no session refresh by {} (Session-Expires {} s)", refresher(timer), timer.interval.as_secs()),
        (None, None) => return,
    };
    let mut raise = Raise::new(FindingId::SessionRefreshMissed, subject.clone(), format!("{subject}: {what}, {end}"))
        .confidence(lapse.confidence)
        .fill(Slot::Call, subject.to_string());
    if let Some(timer) = &lapse.timer {
        let fact = format!("2xx sets a session timer of {} s, to be refreshed by {}", timer.interval.as_secs(), refresher(timer));
        raise = raise.evidence(timer.set.time, timer.set.frame, fact);
    }
    raise = match lapse.failure {
        Some(Failure::Unanswered(ref request)) => raise
            .evidence(request.first.time, request.first.frame, format!("{} to {}", request.method.as_str(), request.flow.destination))
            .absence(request.deadline, format!("no answer to {} within {}", transmissions(request), request.patience)),
        Some(Failure::Refused { status, at }) => raise.evidence(at.time, at.frame, format!("answered {}", status_text(status))),
        None => raise,
    };
    raise = match (lapse.at.frame, &lapse.timer) {
        (0, Some(timer)) if lapse.at.time > timer.expiry() => raise.absence(
            lapse.at.time,
            format!("no refresh and no BYE until {} after the session had run out", lapse.at.time.since(timer.expiry())),
        ),
        (0, _) => raise,
        (frame, _) => raise.evidence(lapse.at.time, frame, "BYE"),
    };
    let raise = match (&lapse.failure, &lapse.timer) {
        (Some(_), Some(_)) => raise.reason(Reason::SessionRefreshFailed),
        (Some(_), None) => raise.reason(Reason::ReinviteTimeout),
        (None, _) => raise,
    };
    findings.raise(related_parties(tracker, raise, lapse.call), lapse.at.time);
}

fn transmissions(request: &Unanswered) -> String {
    counted(request.transmissions.into(), "transmission", "transmissions")
}

fn in_vain(failure: &Failure) -> String {
    match failure {
        Failure::Unanswered(request) => format!(
            "{} to {} went unanswered ({} in {})",
            request.method.as_str(),
            request.flow.destination,
            transmissions(request),
            request.last.time.since(request.first.time)
        ),
        Failure::Refused { status, .. } => format!("the session refresh was answered {}", status_text(*status)),
    }
}

/// The end that must refresh, by its address.
fn refresher(timer: &Timer) -> String {
    let side = if timer.refresher == Side::Caller { "caller" } else { "callee" };
    format!("the {side} at {}", timer.flow.source)
}

fn forgotten(tracker: &Tracker, call: Handle, lost: &Lost, findings: &mut FindingStore) {
    let Some(subject) = call_subject(tracker, call) else { return };
    let side: SocketAddr = lost.flow.source;
    let status = status_text(lost.status);
    let method = lost.method.as_str();
    let message = format!("{subject}: {side} answered {status} to {method}: its half of the call was already gone");
    let raise = Raise::new(FindingId::DialogLost, subject, message)
        .evidence(lost.sent.time, lost.sent.frame, format!("{method} to {side}"))
        .evidence(lost.at.time, lost.at.frame, format!("{status} from {side}"))
        .fill(Slot::Side, side.to_string())
        .fill(Slot::Time, tracker.clock(lost.at.time));
    findings.raise(related_parties(tracker, raise, call), lost.at.time);
}

/// A call of many hours: it hangs if one of its phones is not registered any more (DETECTION §6.4).
fn aged(tracker: &Tracker, call: Handle, now: PacketTime, findings: &mut FindingStore) {
    let (Some(subject), Some(entry)) = (call_subject(tracker, call), tracker.calls.get(call)) else { return };
    let Some(answer) = entry.answer else { return };
    let gone = phones(tracker, entry).into_iter().flatten().find_map(|device| {
        let device = tracker.registrations.device(device)?;
        let is_gone = matches!(device.state, RegistrationState::Expired | RegistrationState::Unregistered);
        let is_silent = now.since(tracker.world.flows.last_seen(device.flow)) >= tracker.thresholds().hung_silence;
        (is_gone && is_silent).then(|| (device.source(), device.state))
    });
    let gone = gone.map(|(phone, state)| (format!("the registration of {phone} is {state}"), Confidence::Confirmed));
    let Some((why, confidence)) = gone.or_else(|| Some((busy_elsewhere(tracker, call, entry)?, Confidence::Suspected))) else { return };
    let age = now.since(answer.at.time);
    let message = format!("{subject}: still up after {age}, though {why}");
    let raise = Raise::new(FindingId::HungCall, subject.clone(), message)
        .confidence(confidence)
        .evidence(answer.at.time, answer.at.frame, "2xx that answers the call")
        .absence(now, format!("no BYE within {age}; {why}"))
        .fill(Slot::Call, subject.to_string())
        .fill(Slot::Overbilled, format!("up to {}", overbilled(tracker, age)));
    findings.raise(related_parties(tracker, raise, call), now);
}

/// That a phone of the call is in another one since, without having put this one on hold. What carries many calls at once is a gateway.
fn busy_elsewhere(tracker: &Tracker, handle: Handle, call: &Call) -> Option<String> {
    let since = call.activity.max(call.answer?.at.time);
    phones(tracker, call).into_iter().flatten().find_map(|device| {
        let is_its = |other: &Call| phones(tracker, other).contains(&Some(device));
        let mut others = tracker.calls.iter().filter(|(other, entry)| *other != handle && entry.is_up() && is_its(entry));
        let (_, newer) = others.next()?;
        let is_alone = others.next().is_none() && newer.record.answered.is_some_and(|answered| answered > since);
        let phone = tracker.registrations.device(device)?.source();
        is_alone.then(|| format!("{phone} is in another call since"))
    })
}
