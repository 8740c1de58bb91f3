//! Calls that were over without anybody hanging up (DETECTION §5.4, §6.4).
//!
//! Silence is normal in a call. It is gone where its session ran out, where one end answered that it knows nothing of it, or where a phone
//! started again in the middle of it and neither used it nor hung up.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Reason};
use crate::detect::parties::{call_subject, ends, phones, related_parties};
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::absence::WATERMARK;
use crate::track::call::Call;
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::{Confidence, EndedBy};

/// How long after its phone started again a call may still show that it lives: longer than any BYE is repeated (DETECTION §5.4).
const PATIENCE: Span = Span::from_secs(32);
/// Calls of restarted phones that are watched at a time.
const WATCHED: usize = 4096;

/// A call whose phone started again.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Watched {
    due: PacketTime,
    call: Handle,
    device: Handle,
    /// The REGISTER that shows it: time and frame.
    restarted: (PacketTime, u64),
}

/// Watches calls that end without a BYE.
#[derive(Debug, Default)]
pub(super) struct VanishedDetector {
    watched: BTreeSet<Watched>,
    /// Calls of which it was said that their phones forgot them. A BYE that is accepted takes it back.
    told: BTreeSet<Handle>,
}

impl VanishedDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::CallEnded { call, at } if at.frame == 0 => over(tracker, call, at, findings),
            Event::CallEnded { call, .. } if is_answer_alone(tracker, call) => self.take_back(tracker, call, findings),
            Event::ByeAnswered { call, .. } => self.take_back(tracker, call, findings),
            Event::DeviceRestarted { device, at, .. } => self.restarted(tracker, device, at),
            _ => {}
        }
    }

    /// Looks at the calls whose phones have been back for long enough by `now`.
    pub(super) fn advance(&mut self, tracker: &Tracker, now: PacketTime, findings: &mut FindingStore) {
        while let Some(watched) = self.watched.first().copied().filter(|watched| watched.due <= now) {
            self.watched.pop_first();
            if let Some(raise) = forgotten_by_phone(tracker, &watched) {
                findings.raise(raise, watched.due - WATERMARK);
                if self.told.len() >= WATCHED {
                    self.told.pop_first();
                }
                self.told.insert(watched.call);
            }
        }
    }

    /// A phone that hangs up has not forgotten the call.
    fn take_back(&mut self, tracker: &Tracker, call: Handle, findings: &mut FindingStore) {
        if let Some(subject) = call_subject(tracker, call).filter(|_| self.told.remove(&call)) {
            findings.clear(FindingId::CallDroppedNoBye, &subject, tracker.now());
        }
    }

    fn restarted(&mut self, tracker: &Tracker, device: Handle, at: Sighting) {
        let is_its = |call: &Call| phones(tracker, call).contains(&Some(device));
        let up = tracker.calls.iter().filter(|(_, call)| call.is_up() && is_its(call));
        for (call, _) in up {
            if self.watched.len() < WATCHED {
                let due = at.time + PATIENCE + WATERMARK;
                self.watched.insert(Watched { due, call, device, restarted: (at.time, at.frame) });
            }
        }
    }
}

/// Whether a BYE that was not captured ended the call, and was accepted.
fn is_answer_alone(tracker: &Tracker, call: Handle) -> bool {
    tracker.calls.get(call).is_some_and(|call| call.is_bye_missed && call.record.disconnected.is_some())
}

/// The session ran out, or one end had forgotten the call; why it did is a finding of its own, which takes the place of this one.
fn over(tracker: &Tracker, call: Handle, at: Sighting, findings: &mut FindingStore) {
    let (Some(subject), Some(entry)) = (call_subject(tracker, call), tracker.calls.get(call)) else { return };
    let why = entry.record.end_reason.as_deref().unwrap_or("nothing was heard of it");
    let message = format!("{subject}: vanished without BYE ({why})");
    let raise = Raise::new(FindingId::CallDroppedNoBye, subject, message)
        .absence(at.time, format!("{why}, and neither side hung up"))
        .fill(Slot::Side, entry.record.source.to_string())
        .fill(Slot::Time, tracker.clock(at.time));
    findings.raise(related_parties(tracker, raise, call), at.time);
}

fn forgotten_by_phone(tracker: &Tracker, watched: &Watched) -> Option<Raise> {
    let (at, frame) = watched.restarted;
    let call = tracker.calls.get(watched.call)?;
    let device = tracker.registrations.device(watched.device)?;
    let due = watched.due - WATERMARK;
    let side = phones(tracker, call).iter().position(|phone| *phone == Some(watched.device))?;
    let phone = *ends(call).get(side)?;
    let could_see = |flow| tracker.world.absence.could_see(flow, at, due, &tracker.world.flows, &tracker.world.peers);
    // One that came back at another site may be another phone that writes the same.
    let is_back = device.is_registered() && device.last_accepted.time >= at && device.source().ip() == phone.ip();
    let lives = call.activity >= at || hung_up(call, phone) || call.record.disconnected.is_some();
    if lives || !is_back || !could_see(call.flow()) || !could_see(call.flow().reversed()) {
        return None;
    }
    let subject = call_subject(tracker, watched.call)?;
    let answered = call.answer.map_or(call.first, |answer| answer.at);
    let message = format!("{subject}: vanished without BYE ({phone} started again {} into the call)", at.since(answered.time));
    let raise = Raise::new(FindingId::CallDroppedNoBye, subject, message)
        .confidence(Confidence::Probable)
        .reason(Reason::Reboot)
        .evidence(answered.time, answered.frame, "2xx that answers the call")
        .evidence(at, frame, format!("REGISTER from {} with a new Call-ID and CSeq from the start", device.source()))
        .absence(due, format!("no BYE of {phone} and nothing else of the call from it within {PATIENCE}"))
        .fill(Slot::Side, phone.to_string())
        .fill(Slot::Time, tracker.clock(at));
    Some(related_parties(tracker, raise, watched.call))
}

/// Whether the end at `phone` sent the BYE.
fn hung_up(call: &Call, phone: SocketAddr) -> bool {
    match call.record.ended_by {
        Some(EndedBy::Caller) => call.record.source == phone,
        Some(EndedBy::Callee) => call.record.source != phone,
        _ => false,
    }
}
