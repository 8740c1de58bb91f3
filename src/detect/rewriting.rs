//! Addresses that do not belong where they stand: routers that rewrite SIP, phones that know their public address, and a PBX that names
//! its private one (DETECTION §2.1, §2.2).

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::registration::placed;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::track::Tracker;
use crate::track::event::Sighting;
use crate::track::nat::Rewriting;
use crate::track::nat::event::NatEvent;
use crate::track::site::Site;
use crate::track::vocabulary::Direction;

/// Tells of addresses that do not belong where they stand.
pub(super) fn event(tracker: &Tracker, event: &NatEvent, findings: &mut FindingStore) {
    match *event {
        NatEvent::Rewritten { device, rewriting, at } => rewritten(tracker, device, rewriting, at, findings),
        NatEvent::PrivateName { pbx, address, peer, at } => {
            let message = format!("PBX tells public peers to reach it at {address}");
            let raise = Raise::new(FindingId::PbxAdvertisesPrivate, Subject::Pbx(pbx), message);
            findings.raise(raise.evidence(at.time, at.frame, format!("request to {peer} that names {address}")), at.time);
        }
        _ => {}
    }
}

fn rewritten(tracker: &Tracker, device: Handle, rewriting: Rewriting, at: Sighting, findings: &mut FindingStore) {
    let Some(device) = tracker.registrations.device(device) else { return };
    let Some(aor) = tracker.registrations.aor(device.aor) else { return };
    let source = device.place;
    // What a PBX itself registers, onward for a phone or at a carrier, may be in the words of the phone.
    if tracker.world.peers.scans(source.ip()) || tracker.world.peers.direction(device.flow) == Direction::Out {
        return;
    }
    let shown = rewriting.as_str();
    let raise = if rewriting.is_routers() {
        let site = Site::of(source.ip());
        let message = format!("{site}: router rewrites SIP ({shown})");
        Raise::new(FindingId::SipAlgSuspected, Subject::Site(site), message).related(Subject::Aor(aor.name.clone()))
    } else {
        let message = format!("{}: knows its public address by itself ({shown})", aor.name);
        placed(tracker, Raise::new(FindingId::ClientSideNatTraversal, Subject::Aor(aor.name.clone()), message), source)
    };
    findings.raise(raise.evidence(at.time, at.frame, format!("{}: {shown}", aor.name)), at.time);
}
