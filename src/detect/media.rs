//! What session descriptions say of the sound that will not be heard (DETECTION §4.6).

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::{call_subject, ends, related_parties};
use crate::detect::registration::status_text;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::event::Event;
use crate::track::vocabulary::{Confidence, Direction, Outcome, Severity};

/// Tells of calls without common codecs, and of media addresses that cannot be reached.
pub(super) fn event(tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
    let (call, raise, now) = match *event {
        Event::CallOutcome { call, outcome: Outcome::NotAcceptable | Outcome::ClientError | Outcome::GlobalFailure, status, at }
            if matches!(status, 415 | 488 | 606) =>
        {
            let Some(entry) = tracker.calls.get(call) else { return };
            let Some(subject) = call_subject(tracker, call) else { return };
            if tracker.world.peers.scans(entry.record.source.ip()) {
                return;
            }
            // What the PBX passes on is the word of whoever it asked.
            let asked = asked_by_pbx(tracker, call).find(|asked| asked.record.status == status);
            let [_, by] = ends(asked.unwrap_or(entry));
            let said = asked.unwrap_or(entry).record.end_reason.as_ref().map_or_else(String::new, |words| format!(" ({words})"));
            let status = status_text(status);
            let message = format!("{subject}: {by} answered {status} to the session that was offered");
            let raise = Raise::new(FindingId::CodecMismatch, subject, message);
            let raise = raise.evidence(entry.first.time, entry.first.frame, format!("INVITE to {}", entry.record.destination));
            let passed_on = if asked.is_some() { ", passed on by the PBX" } else { "" };
            (call, raise.evidence(at.time, at.frame, format!("{status}{said}{passed_on}")), at.time)
        }
        Event::MediaRefused { call, by, at } => {
            let Some(subject) = call_subject(tracker, call) else { return };
            // Told of the leg on which the PBX was answered so; it passes that on.
            if asked_by_pbx(tracker, call).next().is_some() && findings.is_open(FindingId::CodecMismatch, &subject) {
                return;
            }
            let message = format!("{subject}: {by} answered with no media at all (every port 0): no common codec");
            let raise = Raise::new(FindingId::CodecMismatch, subject, message);
            (call, raise.evidence(at.time, at.frame, format!("2xx from {by} whose m= lines all have port 0")), at.time)
        }
        Event::PrivateMedia { call, flow, address, relayed, at } => {
            let Some(subject) = call_subject(tracker, call) else { return };
            let peer = flow.destination;
            let message = format!("{subject}: private media address {address} sent to {peer}: expect no audio");
            // Carriers, and what relays media for phones, send back to where media comes from, whatever the description says.
            let severity = if relayed { Severity::Info } else { Severity::Warning };
            let raise = Raise::new(FindingId::SdpPrivateToPublic, subject, message).severity(severity).confidence(Confidence::Probable);
            let raise = tracker.world.peers.pbx_of(flow).into_iter().fold(raise, |raise, pbx| raise.related(Subject::Pbx(pbx)));
            (
                call,
                raise.evidence(at.time, at.frame, format!("session description with c= {address} from {} to {peer}", flow.source)),
                at.time,
            )
        }
        _ => return,
    };
    findings.raise(related_parties(tracker, raise, call), now);
}

/// The legs on which the PBX asked others on behalf of the caller whose leg is `call`.
fn asked_by_pbx(tracker: &Tracker, call: Handle) -> impl Iterator<Item = &Call> {
    let direction = |call: &Call| call.record.direction(&tracker.world.peers);
    let is_asking = tracker.calls.get(call).is_some_and(|call| direction(call) == Direction::In);
    tracker.calls.partners(call).map(|(_, partner)| partner).filter(move |partner| is_asking && direction(partner) == Direction::Out)
}
