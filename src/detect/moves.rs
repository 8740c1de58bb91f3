//! Phones that come from another port or address, and a PBX that does not know it (DETECTION §2.4).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use crate::decode::flow::{Flow, is_private};
use crate::detect::call::callee;
use crate::detect::catalog::FindingId;
use crate::detect::finding::{Finding, Raise, Reason, Subject, counted};
use crate::detect::recent::Recent;
use crate::detect::registration::{aor_subject, placed};
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::{AttemptEnd, Event, Sighting, Unanswered};
use crate::track::nat::event::{NatEvent, StaleTarget};
use crate::track::nat::verdict;
use crate::track::registration::device::{Continuity, Device};
use crate::track::site::Site;
use crate::track::vocabulary::{BehindNat, Direction, Reachability, Severity};

/// Changes remembered.
const REMEMBERED: usize = 16_384;

/// A device that came from another address.
#[derive(Clone, Copy, Debug)]
struct Move {
    device: Handle,
    old: SocketAddr,
    new: SocketAddr,
    /// The last packet from the old address.
    heard: PacketTime,
    at: Sighting,
}

/// Watches where devices come from.
#[derive(Debug, Default)]
pub(super) struct MoveDetector {
    ports: Recent<Handle, REMEMBERED>,
    moves: VecDeque<Move>,
    /// How often each device left a site, as far as the moves are remembered.
    left: BTreeMap<Site, BTreeMap<Handle, usize>>,
}

impl MoveDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::BindingChange { device, old, new, at } => self.changed(tracker, device, old, new, at, findings),
            Event::Nat(NatEvent::PortFlush { site, phones, since, at }) => flushed(tracker, site, phones, since, at, findings),
            Event::Nat(NatEvent::StaleTarget(ref stale)) => stale_target(tracker, stale, findings),
            Event::Nat(NatEvent::WrittenTarget { device, target, sent, end }) => {
                written_target(tracker, device, target, sent, end, findings)
            }
            Event::InviteUnanswered { call, ref request } => invite_unanswered(tracker, call, request, findings),
            Event::RegistrationEnded(ref report) if report.end == AttemptEnd::Accepted => {
                let device = tracker.registrations.device(report.device);
                if device.is_some_and(|device| device.continuity != Continuity::First) {
                    clear_target(tracker, report.aor, false, report.last.time, findings);
                }
            }
            Event::Reachability { device, to: Reachability::Reachable | Reachability::Lagged, at, .. } => {
                if let Some(device) = tracker.registrations.device(device) {
                    clear_target(tracker, device.aor, true, at.time, findings);
                }
            }
            _ => {}
        }
    }

    fn changed(&mut self, tracker: &Tracker, handle: Handle, old: SocketAddr, new: SocketAddr, at: Sighting, findings: &mut FindingStore) {
        let Some(device) = tracker.registrations.device(handle) else { return };
        if tracker.world.peers.scans(new.ip()) {
            return;
        }
        let heard = tracker.world.flows.last_seen(Flow { source: old, ..device.flow }).min(at.time);
        let moved = Move { device: handle, old, new, heard, at };
        // A phone may take another address of its own /64 at any time (RFC 8981).
        if Site::of(old.ip()) != Site::of(new.ip()) {
            self.another_address(tracker, moved, findings);
        } else if old.ip() == new.ip() && !device.flow.transport.is_stream() && device.continuity != Continuity::Restarted {
            self.another_port(tracker, device, moved, findings);
        }
    }

    fn another_port(&mut self, tracker: &Tracker, device: &Device, moved: Move, findings: &mut FindingStore) {
        let Some(aor) = tracker.registrations.aor(device.aor) else { return };
        if verdict(&tracker.registrations, device) < BehindNat::Likely {
            return;
        }
        let (now, often) = (moved.at.time, tracker.thresholds().nat_rebind);
        let recent = self.ports.note(moved.device, now, often.window);
        let severity = if recent > often.count as usize { Severity::Warning } else { Severity::Info };
        let (before, after) = (moved.old.port(), moved.new.port());
        let message = format!("{}: public port changed {before}→{after} ({recent}/h)", aor.name);
        let raise = Raise::new(FindingId::NatRebind, Subject::Aor(aor.name.clone()), message).severity(severity);
        findings.raise(placed(tracker, evidence(raise, &moved), moved.new), now);
    }

    fn another_address(&mut self, tracker: &Tracker, moved: Move, findings: &mut FindingStore) {
        if is_private(moved.old.ip()) {
            return;
        }
        let (now, together_at) = (moved.at.time, tracker.thresholds().site_move);
        let site = Site::of(moved.old.ip());
        let together = self.note(site, moved, together_at.window);
        let severity = if together_at.is_reached(together) { Severity::Warning } else { Severity::Info };
        let devices = counted(together as u64, "device", "devices");
        let message = format!("{site}: public IP {}→{}, {devices}", moved.old.ip(), moved.new.ip());
        let is_told = findings.is_open(FindingId::SourceIpChanged, &Subject::Site(site));
        let untold = if is_told || together == 1 { vec![&moved] } else { self.first_moves(site) };
        let raise = Raise::new(FindingId::SourceIpChanged, Subject::Site(site), message).severity(severity);
        let raise = untold
            .iter()
            .take(Finding::RELATED)
            .filter_map(|other| tracker.registrations.device(other.device).and_then(|device| tracker.registrations.aor(device.aor)))
            .fold(raise, |raise, aor| raise.related(Subject::Aor(aor.name.clone())));
        findings.raise(raise.facts(&untold, |raise, other| evidence(raise, other)), now);
    }

    /// Takes note of a move; returns how many devices left the site within the window.
    fn note(&mut self, site: Site, moved: Move, window: Span) -> usize {
        while self.moves.front().is_some_and(|earlier| moved.at.time.since(earlier.at.time) > window) || self.moves.len() >= REMEMBERED {
            let Some(old) = self.moves.pop_front() else { break };
            let site = Site::of(old.old.ip());
            let Some(devices) = self.left.get_mut(&site) else { continue };
            match devices.get_mut(&old.device) {
                Some(times) if *times > 1 => *times -= 1,
                _ => drop(devices.remove(&old.device)),
            }
            if devices.is_empty() {
                self.left.remove(&site);
            }
        }
        self.moves.push_back(moved);
        let devices = self.left.entry(site).or_default();
        *devices.entry(moved.device).or_default() += 1;
        devices.len()
    }

    /// The first move of each device that left the site.
    fn first_moves(&self, site: Site) -> Vec<&Move> {
        let mut known = BTreeSet::new();
        self.moves.iter().filter(|other| Site::of(other.old.ip()) == site && known.insert(other.device)).collect()
    }
}

fn evidence(raise: Raise, moved: &Move) -> Raise {
    let raise = match moved.heard > PacketTime::MIN {
        true => raise.absence(moved.heard, format!("last packet from {}", moved.old)),
        false => raise,
    };
    raise.evidence(moved.at.time, moved.at.frame, format!("first packet from {}", moved.new))
}

/// The router forgot all bindings at once; what was said of single ports goes into it.
fn flushed(tracker: &Tracker, site: Site, phones: u32, since: PacketTime, at: Sighting, findings: &mut FindingStore) {
    let _ = tracker;
    let subject = Subject::Site(site);
    let message = format!("{site}: {phones} phones changed their public port together: the router forgot all bindings");
    let raise = Raise::new(FindingId::SourceIpChanged, subject.clone(), message)
        .reason(Reason::PortFlush)
        .absence(since, "first packet from another port")
        .absence(at.time, format!("{phones} phones came from other ports within seconds, and none that is heard often kept its own"));
    findings.raise(raise, at.time);
    let rebinds = findings.open().filter(|finding| finding.id == FindingId::NatRebind && finding.last >= since);
    let rebinds: Vec<_> = rebinds.filter(|finding| finding.related.contains(&subject)).map(|finding| finding.subject.clone()).collect();
    for rebind in rebinds {
        findings.replace((FindingId::SourceIpChanged, &subject), (FindingId::NatRebind, &rebind), at.time);
    }
}

/// The PBX uses the present address of a phone that moved since it registered there; or, where it called the Contact `as_written`, since the
/// phone answers.
fn clear_target(tracker: &Tracker, aor: Handle, as_written: bool, at: PacketTime, findings: &mut FindingStore) {
    let is_meant = |finding: &Finding| (finding.reason == Some(Reason::ContactAsWritten)) == as_written;
    let subject = if findings.knows(FindingId::StaleBindingTarget) { aor_subject(tracker, aor) } else { None };
    if let Some(subject) = subject
        && findings.get(FindingId::StaleBindingTarget, &subject).is_some_and(is_meant)
    {
        findings.clear(FindingId::StaleBindingTarget, &subject, at);
    }
}

fn stale_target(tracker: &Tracker, stale: &StaleTarget, findings: &mut FindingStore) {
    let Some(device) = tracker.registrations.device(stale.device) else { return };
    let Some(aor) = tracker.registrations.aor(device.aor) else { return };
    let since = tracker.clock(stale.since.time);
    let message = format!("PBX calls {} at {}, device is at {} since {since}", aor.name, stale.target, stale.place);
    let raise = Raise::new(FindingId::StaleBindingTarget, Subject::Aor(aor.name.clone()), message)
        .evidence(stale.since.time, stale.since.frame, format!("first packet from {}", stale.place))
        .evidence(stale.at.time, stale.at.frame, format!("request to {}", stale.target));
    findings.raise(placed(tracker, raise, stale.target), stale.at.time);
}

fn invite_unanswered(tracker: &Tracker, call: Handle, request: &Unanswered, findings: &mut FindingStore) {
    let Some(entry) = tracker.calls.get(call).filter(|_| tracker.world.peers.direction(request.flow) == Direction::Out) else { return };
    let target = request.flow.destination;
    let Some(handle) = callee(tracker, entry, target).and_then(|(_, device)| device) else { return };
    let device = tracker.registrations.device(handle);
    if device.is_some_and(|device| tracker.registrations.is_only_written(&tracker.world, device, request.flow)) {
        written_target(tracker, handle, target, request.first, request.deadline, findings);
    }
}

/// The PBX sends to the Contact of a phone that cannot be reached there; `sent` went unanswered until `end`.
fn written_target(tracker: &Tracker, handle: Handle, target: SocketAddr, sent: Sighting, end: PacketTime, findings: &mut FindingStore) {
    let Some(device) = tracker.registrations.device(handle) else { return };
    let Some(aor) = tracker.registrations.aor(device.aor) else { return };
    let (source, registered) = (device.source(), device.last_accepted);
    let message = format!("PBX calls {} at {target}, the Contact as the phone writes it; the phone registers from {source}", aor.name);
    let raise = Raise::new(FindingId::StaleBindingTarget, Subject::Aor(aor.name.clone()), message)
        .reason(Reason::ContactAsWritten)
        .remedy(CONTACT_AS_WRITTEN);
    let raise = match registered.frame {
        0 => raise,
        frame => raise.evidence(registered.time, frame, format!("REGISTER from {source} accepted")),
    };
    let raise = raise
        .evidence(sent.time, sent.frame, format!("request to {target}"))
        .absence(end, format!("no answer to it; nothing was ever heard from {target}"));
    findings.raise(placed(tracker, raise, source), end);
}

/// What to do about a PBX that calls phones behind a NAT at their private addresses.
const CONTACT_AS_WRITTEN: &str = "Second level: have the PBX send to where the phone registers from and not to its Contact (chan_sip \
     `nat=force_rport,comedia`; PJSIP `force_rport=yes`, `rewrite_contact=yes`).";
