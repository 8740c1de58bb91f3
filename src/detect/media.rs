//! What session descriptions say of the sound that will not be heard (DETECTION §4.6).

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::{call_subject, ends, related_parties};
use crate::detect::registration::status_text;
use crate::detect::store::FindingStore;
use crate::track::Tracker;
use crate::track::event::Event;
use crate::track::vocabulary::{Confidence, Outcome, Severity};

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
            let status = status_text(status);
            // What the PBX passes on is the word of whoever it asked.
            let [_, by] = ends(entry);
            let message = format!("{subject}: {by} answered {status} to the session that was offered");
            let raise = Raise::new(FindingId::CodecMismatch, subject, message);
            let raise = raise.evidence(entry.first.time, entry.first.frame, format!("INVITE to {}", entry.record.destination));
            (call, raise.evidence(at.time, at.frame, status), at.time)
        }
        Event::MediaRefused { call, by, at } => {
            let Some(subject) = call_subject(tracker, call) else { return };
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
