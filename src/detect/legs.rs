//! One leg of a call ended and the other stays up (DETECTION §6.4).

use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::{call_subject, related_parties};
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::Confidence;

/// What to do where the PBX may have gone on with the caller by itself.
const ASK_FIRST: &str = "See in the log of the PBX what it did with {call} after the first hang-up: if nothing, clear its channel, correct the \
    CDR by {overbilled}, and enable session timers on both legs.";
/// What to do once the leg that stayed up has ended: there is no channel to clear any more.
const KEPT: &str = "Correct the CDR of {call} by {overbilled}, see in the log of the PBX why it kept that leg after the first hang-up, and \
    enable session timers on both legs.";
/// The same where the PBX may have gone on with the caller by itself.
const KEPT_PERHAPS: &str = "See in the log of the PBX what it did with {call} after the first hang-up: if nothing, correct the CDR by \
    {overbilled}, and enable session timers on both legs.";

/// Tells of legs that stay up.
pub(super) fn event(tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
    match *event {
        Event::LegLeftUp { ended, left, end, at, confidence } => {
            let (Some(subject), Some(call_id)) = (subject(tracker, ended, left), call_id(tracker, left)) else {
                return;
            };
            let lasted = at.time.since(end.time);
            let billed = billed(tracker, end.time, at.time);
            if end.frame == 0 {
                if confidence == Confidence::Confirmed {
                    findings.raise(hung(tracker, subject, ended, left, &call_id, end, at), at.time);
                }
                return;
            }
            let is_own = subject.to_string() == *call_id;
            let up = if is_own { "the other leg ended, this one".to_owned() } else { format!("one leg ended, {call_id}") };
            let message = format!("{subject}: {up} is still up {lasted} later: {billed} over-billed so far");
            let raise = Raise::new(FindingId::LegLeftUp, subject, message)
                .confidence(confidence)
                .fill(Slot::Call, call_id.clone())
                .fill(Slot::Overbilled, format!("at least {billed}"))
                .evidence(end.time, end.frame, format!("{} of the other leg", hang_up(tracker, ended)))
                .absence(at.time, format!("no BYE of {call_id} within {lasted}"));
            let raise = if confidence == Confidence::Probable { raise.remedy(ASK_FIRST) } else { raise };
            findings.raise(raise, at.time);
        }
        Event::LegEnded { ended, left, end, at, confidence } => {
            let (Some(subject), Some(call_id)) = (subject(tracker, ended, left), call_id(tracker, left)) else {
                return;
            };
            if end.frame == 0 {
                findings.clear(FindingId::HungCall, &subject, at.time);
                return;
            }
            let billed = billed(tracker, end.time, at.time);
            let leg = if subject.to_string() == *call_id { "this leg".to_owned() } else { format!("leg {call_id}") };
            let unless = if confidence == Confidence::Probable { ", unless the PBX went on with the caller by itself" } else { "" };
            let message = format!("{subject}: {leg} stayed up after the other one had ended: {billed} over-billed{unless}");
            let raise = Raise::new(FindingId::LegLeftUp, subject.clone(), message)
                .confidence(confidence)
                .remedy(if confidence == Confidence::Probable { KEPT_PERHAPS } else { KEPT })
                .fill(Slot::Call, call_id.clone())
                .fill(Slot::Overbilled, billed)
                .evidence(end.time, end.frame, format!("{} of the other leg", hang_up(tracker, ended)));
            let raise = match at.frame {
                0 => raise.absence(at.time, format!("{call_id} was over, too, and nobody had hung up")),
                frame => raise.evidence(at.time, frame, format!("{} of {call_id}", hang_up(tracker, left))),
            };
            findings.raise(raise, at.time);
            findings.clear(FindingId::LegLeftUp, &subject, at.time);
        }
        Event::LegGoesOn { ended, left, at } => {
            if let Some(subject) = subject(tracker, ended, left) {
                findings.take_back(FindingId::LegLeftUp, &subject, at.time);
                findings.take_back(FindingId::HungCall, &subject, at.time);
            }
        }
        _ => {}
    }
}

/// One leg was over without a BYE, and nobody ended the other.
fn hung(tracker: &Tracker, subject: Subject, ended: Handle, left: Handle, call_id: &str, end: Sighting, at: Sighting) -> Raise {
    let lasted = at.time.since(end.time);
    let why = tracker.calls.get(ended).and_then(|call| call.record.end_reason.clone()).unwrap_or_default();
    let message = format!("{subject}: {call_id} is still up {lasted} after its other leg was over without BYE ({why})");
    let raise = Raise::new(FindingId::HungCall, subject, message)
        .absence(end.time, format!("the other leg was over: {why}"))
        .absence(at.time, format!("no BYE of {call_id} within {lasted}"))
        .fill(Slot::Call, call_id)
        .fill(Slot::Overbilled, format!("at least {}", billed(tracker, end.time, at.time)));
    related_parties(tracker, raise, left)
}

fn billed(tracker: &Tracker, end: PacketTime, now: PacketTime) -> String {
    overbilled(tracker, now.since(end))
}

/// What is billed too long where one side of a call goes on for `span` after the other has ended.
pub(super) fn overbilled(tracker: &Tracker, span: Span) -> String {
    format!("{} s", (span - tracker.thresholds().bill_tolerance).as_secs().max(0))
}

/// What shows that a side of a call hung up.
pub(super) fn hang_up(tracker: &Tracker, call: Handle) -> &'static str {
    let is_missed = tracker.calls.get(call).is_some_and(|call| call.is_bye_missed);
    if is_missed { "answer to the BYE, which itself was not captured," } else { "BYE" }
}

/// The call that both legs belong to.
fn subject(tracker: &Tracker, one: Handle, other: Handle) -> Option<Subject> {
    call_subject(tracker, one).or_else(|| call_subject(tracker, other))
}

fn call_id(tracker: &Tracker, call: Handle) -> Option<Box<str>> {
    Some(tracker.calls.get(call)?.record.call_id.clone())
}
