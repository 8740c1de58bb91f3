//! Whether the PBX reaches its phones, as the PBX itself would log it (DETECTION §3.3).

use std::collections::{BTreeMap, BTreeSet};

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject, sent};
use crate::detect::recent::Recent;
use crate::detect::registration::placed;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::{Event, ProbeResult, Sighting};
use crate::track::vocabulary::{Reachability, RegistrationState, Severity};

/// Begins the fact with which each outage of a phone begins.
pub const OUTAGE_BEGINS: &str = "OPTIONS to it,";
/// How often it is said that an outage lasts, while further probes are lost.
const REPEATED: Span = Span::from_secs(300);
/// Outages remembered over all devices.
const REMEMBERED: usize = 65_536;

#[derive(Debug)]
struct Down {
    /// Whose phone it is, which is told also when that phone is forgotten.
    subject: Subject,
    since: PacketTime,
    /// When it was last said.
    told: PacketTime,
}

/// Watches the reachability of devices.
#[derive(Debug, Default)]
pub(super) struct ReachabilityDetector {
    down: BTreeMap<Handle, Down>,
    escalations: BTreeSet<(PacketTime, Handle)>,
    outages: Recent<Handle, REMEMBERED>,
}

impl ReachabilityDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::Reachability { device, to: Reachability::Unreachable, at, probe, last_rtt, transmissions, .. } => {
                self.lost(tracker, device, at, probe, last_rtt, transmissions, findings);
            }
            Event::Probe { device, result: ProbeResult::Lost, sent, .. } => self.lasts(tracker, device, sent, findings),
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
            let outage = tracker.thresholds().unreachable_error;
            let severity = if lasted >= outage { Severity::Error } else { Severity::Warning };
            if let Some(raise) = raise(tracker, device, severity, &format!("still down after {lasted}")) {
                findings.raise(raise, due);
            }
            if severity == Severity::Warning {
                self.escalations.insert((down.since + outage, device));
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
        let often = tracker.thresholds().unreachable_often;
        let recent = self.outages.note(device, at.time, often.window);
        let severity = if recent > often.count as usize { Severity::Error } else { Severity::Info };
        let rtt = last_rtt.map_or_else(|| "never answered".to_owned(), |rtt| format!("last qualify {} ms", rtt.as_nanos() / 1_000_000));
        let Some(raise) = raise(tracker, device, severity, &format!("{rtt}, {recent}× in the last hour")) else { return };
        let raise = raise
            .evidence(probe.time, probe.frame, format!("{OUTAGE_BEGINS} {}", sent(transmissions)))
            .absence(at.time, format!("no answer within {}", at.time.since(probe.time)));
        let subject = raise.subject.clone();
        findings.raise(raise, at.time);
        if self.down.len() >= REMEMBERED {
            self.down.pop_first();
        }
        self.down.insert(device, Down { subject, since: at.time, told: at.time });
        self.escalations.insert((at.time + tracker.thresholds().unreachable_warning, device));
    }

    /// A further probe is lost: the outage goes on, however long.
    fn lasts(&mut self, tracker: &Tracker, device: Handle, probe: Sighting, findings: &mut FindingStore) {
        let Some(down) = self.down.get_mut(&device).filter(|down| probe.time.since(down.told) >= REPEATED) else { return };
        down.told = probe.time;
        let lasted = probe.time.since(down.since);
        let severity = if lasted >= tracker.thresholds().unreachable_error { Severity::Error } else { Severity::Warning };
        if let Some(raise) = raise(tracker, device, severity, &format!("still down after {lasted}")) {
            findings.raise(raise.evidence(probe.time, probe.frame, "a further OPTIONS to it, unanswered"), probe.time);
        }
    }

    fn back(&mut self, tracker: &Tracker, device: Handle, at: PacketTime, findings: &mut FindingStore) {
        let Some(down) = self.down.remove(&device) else { return };
        let thresholds = tracker.thresholds();
        self.escalations.remove(&(down.since + thresholds.unreachable_warning, device));
        self.escalations.remove(&(down.since + thresholds.unreachable_error, device));
        findings.clear(FindingId::PeerUnreachable, &down.subject, at);
    }
}

fn raise(tracker: &Tracker, device: Handle, severity: Severity, detail: &str) -> Option<Raise> {
    let entry = tracker.registrations.device(device)?;
    let aor = tracker.registrations.aor(entry.aor)?.name.clone();
    let message = format!("Peer {aor} at {} is UNREACHABLE ({detail})", entry.source());
    Some(placed(tracker, Raise::new(FindingId::PeerUnreachable, Subject::Aor(aor), message).severity(severity), entry.source()))
}
