//! Several devices of one user: in turns, one after the other, or one against the others (DETECTION §1.5).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Finding, Raise, Subject};
use crate::detect::parties::is_there;
use crate::detect::registration::placed;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::Span;
use crate::track::Tracker;
use crate::track::event::{AttemptEnd, AttemptReport, Event, Sighting};
use crate::track::registration::Aor;
use crate::track::registration::device::Device;
use crate::track::site::Site;
use crate::track::vocabulary::{RegistrationState, Severity};

/// Devices that changed their address, remembered at a time until the old address proves to be silent.
const REMEMBERED: usize = 4096;

/// A device that restarted at another address.
#[derive(Clone, Copy, Debug)]
struct Move {
    from: SocketAddr,
    at: Sighting,
}

/// Watches users with several devices.
#[derive(Debug, Default)]
pub(super) struct DeviceDetector {
    moves: BTreeMap<Handle, Move>,
}

impl DeviceDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::RegistrationEnded(ref report) if report.end == AttemptEnd::Accepted => {
                let Some(device) = tracker.registrations.device(report.device) else { return };
                duplicate(tracker, report, device, findings);
                superseded(tracker, report, device, findings);
                self.settle_move(tracker, report, device, findings);
                if findings.knows(FindingId::MassUnregister) {
                    bound_again(tracker, report, device, findings);
                }
            }
            Event::RegistrationState { aor, device, from: RegistrationState::Registered, at, .. } => {
                alone_again(tracker, aor, device, at, findings);
            }
            Event::RegistrationState { aor, device, from: RegistrationState::Unregistered, at, .. } => {
                kept_after_all(tracker, aor, device, at, findings);
            }
            Event::BindingChange { device, old, new, at } if old.ip() != new.ip() => self.note_move(device, old, at),
            Event::BindingsCleared { aor, flow, removed, at } => {
                let Some(name) = tracker.registrations.aor(aor).map(|aor| aor.name.clone()) else { return };
                let message = format!("{name}: Contact:* from {} removed {removed} bindings", flow.source.ip());
                let raise = Raise::new(FindingId::MassUnregister, Subject::Aor(name.clone()), message)
                    .evidence(at.time, at.frame, format!("REGISTER with Contact:* from {} accepted", flow.source))
                    .fill(Slot::Aor, name.to_string())
                    .fill(Slot::Other, flow.source.ip().to_string());
                findings.raise(placed(tracker, raise, flow.source), at.time);
            }
            _ => {}
        }
    }

    fn note_move(&mut self, device: Handle, from: SocketAddr, at: Sighting) {
        if self.moves.len() >= REMEMBERED {
            self.moves.pop_first();
        }
        self.moves.insert(device, Move { from, at });
    }

    /// Once a restarted device has stayed at its new address for as long as its registration lasts, and nothing came from the old one, it
    /// has moved.
    fn settle_move(&mut self, tracker: &Tracker, report: &AttemptReport, device: &Device, findings: &mut FindingStore) {
        let Some(&Move { from, at }) = self.moves.get(&report.device) else { return };
        if report.last.time.since(at.time) < device.granted {
            return;
        }
        self.moves.remove(&report.device);
        let old = crate::decode::flow::Flow { source: from, ..device.flow };
        if device.restarted == at.time && tracker.registrations.devices_at(from.ip()) == 0 && !tracker.world.flows.seen_within(old, at.time)
        {
            moved(tracker, report, from, device, at, findings);
        }
    }
}

/// A phone registers again whose binding another one had removed.
fn bound_again(tracker: &Tracker, report: &AttemptReport, device: &Device, findings: &mut FindingStore) {
    let Some(subject) = tracker.registrations.aor(report.aor).map(|aor| Subject::Aor(aor.name.clone())) else { return };
    let remover = |finding: &Finding| finding.related.contains(&Subject::Source(device.source().ip()));
    if findings.get(FindingId::MassUnregister, &subject).is_some_and(|finding| !remover(finding)) {
        findings.clear(FindingId::MassUnregister, &subject, report.last.time);
    }
}

/// A phone, B after it, and the phone again while its registration was still good: both are there at once.
fn duplicate(tracker: &Tracker, report: &AttemptReport, device: &Device, findings: &mut FindingStore) {
    let before = device.accepted_before;
    let now = report.last.time;
    if before.frame == 0
        || before.time + device.granted + tracker.thresholds().reg_grace < now
        || tracker.world.peers.scans(device.source().ip())
    {
        return;
    }
    let Some(aor) = tracker.registrations.aor(report.aor) else { return };
    let rivals: Vec<&Device> = others(tracker, aor, report, device)
        .filter(|other| other.last_accepted.time > before.time && is_there(other, now) && !is_same_phone(device, other))
        .collect();
    let Some(newest) = rivals.iter().copied().chain([device]).max_by_key(|device| device.first_seen).filter(|_| !rivals.is_empty()) else {
        return;
    };
    // Where the registrar keeps Contacts as written, two phones that write the same one have one binding between them.
    let is_taken = |rival: &Device| rival.evicted || (rival.contact == device.contact && !device.rewritten);
    let evicts = rivals.iter().any(|rival| is_taken(rival));
    let named = |device: &Device| format!("{} ({})", device.source(), device.user_agent);
    let list: Vec<String> = std::iter::once(device).chain(rivals.iter().copied()).map(named).collect();
    let how = if evicts { "they evict each other" } else { "the registrar keeps them all" };
    let message = format!("{}: registered from {} devices: {}; {how}", aor.name, list.len(), list.join(", "));
    let raise = Raise::new(FindingId::DuplicateRegistration, Subject::Aor(aor.name.clone()), message)
        .severity(if evicts { Severity::Warning } else { Severity::Info })
        .evidence(before.time, before.frame, format!("{} registered", named(device)))
        .evidence(now, report.last.frame, format!("{} registered again", named(device)));
    let raise = rivals.iter().fold(raise, |raise, rival| {
        let raise = raise.evidence(rival.last_accepted.time, rival.last_accepted.frame, format!("{} registered", named(rival)));
        raise.related(Subject::Source(rival.source().ip())).related(Subject::Site(Site::of(rival.source().ip())))
    });
    let raise = raise.fill(Slot::Aor, aor.name.to_string()).fill(Slot::Other, named(newest));
    findings.raise(placed(tracker, raise, device.source()), now);
}

/// The other devices of the user at the same registrar: an SBC that registers a phone onward takes no binding from it.
fn others<'t>(tracker: &'t Tracker, aor: &'t Aor, report: &AttemptReport, device: &Device) -> impl Iterator<Item = &'t Device> {
    let (own, way) = (report.device, |device: &Device| tracker.world.peers.direction(device.flow));
    let own_way = way(device);
    let all = aor.devices.iter().filter(move |&&other| other != own).filter_map(|&other| tracker.registrations.device(other));
    all.filter(move |other| way(other) == own_way)
}

/// Whether two entries are one phone: registered over two transports or address families, or from another port or address of its own
/// network after a restart.
fn is_same_phone(one: &Device, other: &Device) -> bool {
    let marked = one.instance.is_some() && other.instance.is_some();
    let (here, there) = (one.source().ip(), other.source().ip());
    !marked
        && one.user_agent == other.user_agent
        && (one.flow.transport != other.flow.transport
            || here.is_ipv4() != there.is_ipv4()
            || (here == there && one.contact_address.map(|at| at.ip()) == other.contact_address.map(|at| at.ip())))
}

/// A device that fell silent when this one appeared, and has been for longer than it would have been without registering.
fn superseded(tracker: &Tracker, report: &AttemptReport, device: &Device, findings: &mut FindingStore) {
    let Some(aor) = tracker.registrations.aor(report.aor) else { return };
    for other in
        others(tracker, aor, report, device).filter(|other| other.last_accepted.frame != 0 && other.last_register < device.first_seen)
    {
        let patience = device.first_seen + Span::from_secs(other.granted.as_secs() * 3 / 2);
        let is_news = device.accepted_before.time < patience && patience <= report.last.time;
        if is_news && !other.is_registered() && !is_same_phone(device, other) {
            let at = Sighting { time: device.first_seen, frame: 0 };
            moved(tracker, report, other.source(), device, at, findings);
        }
    }
}

fn moved(tracker: &Tracker, report: &AttemptReport, from: SocketAddr, device: &Device, since: Sighting, findings: &mut FindingStore) {
    let Some(aor) = tracker.registrations.aor(report.aor) else { return };
    let to = device.source();
    let message = format!("{}: moved from {from} to {to} ({})", aor.name, device.user_agent);
    let raise = Raise::new(FindingId::DeviceMoved, Subject::Aor(aor.name.clone()), message);
    let raise = match since.frame {
        0 => raise.absence(since.time, format!("nothing from {from} since {to} registered first")),
        frame => raise.evidence(since.time, frame, format!("first REGISTER from {to}, and nothing from {from} since")),
    };
    let raise =
        raise.evidence(report.last.time, report.last.frame, format!("{to} is still registered")).fill(Slot::Aor, aor.name.to_string());
    findings.raise(placed(tracker, raise, to), report.last.time);
}

/// Takes back that devices evict each other where one turns out to be bound that a registrar did not list.
fn kept_after_all(tracker: &Tracker, aor: Handle, device: Handle, at: Sighting, findings: &mut FindingStore) {
    let (Some(aor), Some(device)) = (tracker.registrations.aor(aor), tracker.registrations.device(device)) else { return };
    if device.is_registered() && device.last_accepted.time < at.time {
        findings.take_back(FindingId::DuplicateRegistration, &Subject::Aor(aor.name.clone()), at.time);
    }
}

/// Ends the finding when a device ran out or went of its own accord and no two are left.
fn alone_again(tracker: &Tracker, aor: Handle, device: Handle, at: Sighting, findings: &mut FindingStore) {
    let (Some(aor), Some(device)) = (tracker.registrations.aor(aor), tracker.registrations.device(device)) else { return };
    let left = aor.devices.iter().filter_map(|&other| tracker.registrations.device(other)).filter(|other| is_there(other, at.time));
    if !device.evicted && left.count() < 2 {
        findings.clear(FindingId::DuplicateRegistration, &Subject::Aor(aor.name.clone()), at.time);
    }
}
