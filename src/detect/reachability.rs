//! Whether the PBX reaches its phones, as the PBX itself would log it (DETECTION §3.3).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject, sent};
use crate::detect::registration::placed;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::{Reachability, RegistrationState, Severity};

/// A blip up to this long is only worth knowing (DETECTION §13).
const BLIP: Span = Span::from_secs(15);
/// Longer than this somebody cannot be called (DETECTION §13).
const OUTAGE: Span = Span::from_secs(120);
/// More outages than this within an hour are as bad.
const PER_HOUR: usize = 3;
/// Outages remembered over all devices.
const REMEMBERED: usize = 65_536;

#[derive(Clone, Copy, Debug)]
struct Down {
    since: PacketTime,
}

/// Watches the reachability of devices.
#[derive(Debug, Default)]
pub(super) struct ReachabilityDetector {
    down: BTreeMap<Handle, Down>,
    escalations: BTreeSet<(PacketTime, Handle)>,
    outages: VecDeque<(PacketTime, Handle)>,
}

impl ReachabilityDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::Reachability { device, to: Reachability::Unreachable, at, probe, last_rtt, transmissions, .. } => {
                self.lost(tracker, device, at, probe, last_rtt, transmissions, findings);
            }
            Event::Reachability { device, to: Reachability::Reachable | Reachability::Lagged, at, .. } => {
                self.back(tracker, device, at.time, findings);
            }
            Event::RegistrationState { device, to, at, .. } if to != RegistrationState::Registered => {
                self.back(tracker, device, at.time, findings);
            }
            _ => {}
        }
    }

    pub(super) fn advance(&mut self, tracker: &Tracker, now: PacketTime, findings: &mut FindingStore) {
        while let Some(&(due, device)) = self.escalations.first().filter(|(due, _)| *due <= now) {
            self.escalations.pop_first();
            let Some(down) = self.down.get(&device) else { continue };
            let lasted = due.since(down.since);
            let severity = if lasted >= OUTAGE { Severity::Error } else { Severity::Warning };
            if let Some(raise) = raise(tracker, device, severity, &format!("still down after {lasted}")) {
                findings.raise(raise, due);
            }
            if severity == Severity::Warning {
                self.escalations.insert((down.since + OUTAGE, device));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "these are the fields of one event")]
    fn lost(
        &mut self,
        tracker: &Tracker,
        device: Handle,
        at: Sighting,
        probe: Sighting,
        last_rtt: Option<Span>,
        transmissions: u16,
        findings: &mut FindingStore,
    ) {
        while self.outages.front().is_some_and(|(when, _)| at.time.since(*when) > Span::from_secs(3600)) || self.outages.len() >= REMEMBERED
        {
            self.outages.pop_front();
        }
        self.outages.push_back((at.time, device));
        let recent = self.outages.iter().filter(|(_, other)| *other == device).count();
        let severity = if recent > PER_HOUR { Severity::Error } else { Severity::Info };
        let rtt = last_rtt.map_or_else(|| "never answered".to_owned(), |rtt| format!("last qualify {} ms", rtt.as_nanos() / 1_000_000));
        let Some(raise) = raise(tracker, device, severity, &format!("{rtt}, {recent}× in the last hour")) else { return };
        let raise = raise
            .evidence(probe.time, probe.frame, format!("OPTIONS to it, {}", sent(transmissions)))
            .absence(at.time, format!("no answer within {}", at.time.since(probe.time)));
        findings.raise(raise, at.time);
        self.down.insert(device, Down { since: at.time });
        self.escalations.insert((at.time + BLIP, device));
    }

    fn back(&mut self, tracker: &Tracker, device: Handle, at: PacketTime, findings: &mut FindingStore) {
        let Some(down) = self.down.remove(&device) else { return };
        self.escalations.remove(&(down.since + BLIP, device));
        self.escalations.remove(&(down.since + OUTAGE, device));
        if let Some(subject) = subject(tracker, device) {
            findings.clear(FindingId::PeerUnreachable, &subject, at);
        }
    }
}

fn raise(tracker: &Tracker, device: Handle, severity: Severity, detail: &str) -> Option<Raise> {
    let entry = tracker.registrations.device(device)?;
    let Subject::Aor(aor) = subject(tracker, device)? else { return None };
    let message = format!("Peer {aor} at {} is UNREACHABLE ({detail})", entry.source());
    Some(placed(tracker, Raise::new(FindingId::PeerUnreachable, Subject::Aor(aor), message).severity(severity), entry.source()))
}

fn subject(tracker: &Tracker, device: Handle) -> Option<Subject> {
    let aor = tracker.registrations.device(device)?.aor;
    Some(Subject::Aor(tracker.registrations.aor(aor)?.name.clone()))
}
