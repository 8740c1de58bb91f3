//! What the registrar makes of a registration that it accepts (DETECTION §1.5). Only worth knowing.

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::registration::placed;
use crate::detect::store::FindingStore;
use crate::track::Tracker;
use crate::track::event::{AttemptEnd, AttemptReport, Event};
use crate::track::registration::device::Device;

/// Tells of times that were cut and contacts that were rewritten, once a phone until the finding ends by itself.
pub(super) fn event(tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
    let Event::RegistrationEnded(report) = event else { return };
    let (Some(device), Some(aor)) = (tracker.registrations.device(report.device), tracker.registrations.aor(report.aor)) else { return };
    if report.end != AttemptEnd::Accepted || tracker.world.peers.scans(report.flow.source.ip()) {
        return;
    }
    let subject = || Subject::Aor(aor.name.clone());
    if device.granted.times(2) < report.requested {
        let (granted, requested) = (device.granted.as_secs(), report.requested.as_secs());
        let message = format!("{}: asked for {requested} s, granted {granted} s", aor.name);
        tell(tracker, FindingId::ExpiresShortened, &subject(), message, report, device, findings);
    }
    if device.rewritten {
        let message = format!("{}: registered as {}, and kept as {}", aor.name, device.contact, device.source());
        tell(tracker, FindingId::ContactRewritten, &subject(), message, report, device, findings);
    }
}

fn tell(
    tracker: &Tracker,
    id: FindingId,
    subject: &Subject,
    message: String,
    report: &AttemptReport,
    device: &Device,
    findings: &mut FindingStore,
) {
    if findings.is_open(id, subject) {
        return;
    }
    let raise = Raise::new(id, subject.clone(), message).evidence(report.last.time, report.last.frame, "REGISTER accepted");
    findings.raise(placed(tracker, raise, device.source()), report.last.time);
}
