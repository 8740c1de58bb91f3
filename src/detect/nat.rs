//! NATs that forget phones, and what that does to calls (DETECTION §2.3 to §2.6, §4.2).

mod words;

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::registration::placed;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::Sighting;
use crate::track::nat::Era;
use crate::track::nat::event::{DeliveredLate, NatEvent, NatOutcome, NatProbe};
use crate::track::registration::device::Device;
use crate::track::site::Site;
use crate::track::vocabulary::{Confidence, Severity};

/// A share of lost requests that is none.
const NOTHING: f64 = 0.01;

/// What a NAT that forgets a phone does to it: what mends that mends these.
const EFFECTS: [FindingId; 3] = [FindingId::KeepaliveMissing, FindingId::LateDelivery, FindingId::CalleeNoResponse];

/// Tells of NATs that forget phones.
pub(super) fn event(tracker: &Tracker, event: &NatEvent, findings: &mut FindingStore) {
    match *event {
        NatEvent::Probe(ref probe) if probe.outcome != NatOutcome::Delivered => forgotten(tracker, probe, findings),
        NatEvent::Verdict { site, at, .. } | NatEvent::Exposure { site, at } => refresh(tracker, site, at.time, findings),
        NatEvent::Mended { site, at, .. } => mended(site, at.time, findings),
        NatEvent::DeliveredLate(ref late) => delivered_late(tracker, late, findings),
        NatEvent::LongSilence { device, silence, since, at } => {
            for device in in_need(tracker, device) {
                keepalive_missing(tracker, device, silence, since, at, findings);
            }
        }
        NatEvent::KeepalivesBegan { device, at } => {
            for aor in sharing(tracker, device).into_iter().filter_map(|device| aor(tracker, device)) {
                findings.clear(FindingId::KeepaliveMissing, &Subject::Aor(aor), at.time);
            }
        }
        NatEvent::KeepaliveChanged { device, before, after, at } => experiment(tracker, device, before, after, at, findings),
        _ => {}
    }
}

/// A request was lost, or a new port shows that the binding died.
fn forgotten(tracker: &Tracker, probe: &NatProbe, findings: &mut FindingStore) {
    let Some(device) = tracker.registrations.device(probe.device) else { return };
    let site = Site::of(device.place.ip());
    // What the binding provably survives is lost by accident.
    if !tracker.nat.is_beyond(site, probe.stage, probe.age) {
        return;
    }
    for device in suffering(tracker, site, probe.device, findings) {
        if let Some(raise) = raise(tracker, site, device, findings) {
            findings.raise(witnessed(tracker, raise, probe), probe.at.time);
        }
    }
    merge_phones(tracker, site, probe.at.time, findings);
    advise_effects(tracker, site, probe.at.time, findings);
    let age = probe.age;
    let is_request = probe.outcome != NatOutcome::NewPort;
    if is_request && age > tracker.thresholds().keepalive_missing_gap && lacks_keepalive(tracker, probe) {
        for device in in_need(tracker, probe.device) {
            keepalive_missing(tracker, device, age, probe.sent.time - age, probe.back, findings);
        }
    }
}

fn lacks_keepalive(tracker: &Tracker, probe: &NatProbe) -> bool {
    tracker.nat.lacks_keepalive(&tracker.world, &tracker.registrations, probe.device, probe.at.time)
}

/// The devices that come from the same port as one, itself among them: they have one binding. Whom the registrar never accepted lacks none.
fn sharing(tracker: &Tracker, device: Handle) -> Vec<Handle> {
    let Some(place) = tracker.registrations.device(device).map(|device| device.place.ip()) else { return Vec::new() };
    let was_accepted = |mate: Handle| tracker.registrations.device(mate).is_some_and(Device::was_accepted);
    let mut devices = tracker.nat.sharing(&tracker.registrations, Site::of(place), device);
    devices.retain(|mate| *mate == device || was_accepted(*mate));
    devices
}

/// Those of them that need the binding: whoever logged off does not, as long as others go on.
fn in_need(tracker: &Tracker, device: Handle) -> Vec<Handle> {
    let devices = sharing(tracker, device);
    let is_logged_off = |mate: &Handle| tracker.registrations.device(*mate).is_some_and(Device::is_logged_off);
    let (gone, staying): (Vec<_>, Vec<_>) = devices.into_iter().partition(is_logged_off);
    if staying.is_empty() { gone } else { staying }
}

/// The devices for which a binding that died is to be told: all that need it, or one where it is told of the site.
fn suffering(tracker: &Tracker, site: Site, device: Handle, findings: &FindingStore) -> Vec<Handle> {
    match failing_site(tracker, site, findings) {
        Some(failing) if failing.contains(&device) => vec![device],
        Some(failing) => failing.into_iter().take(1).collect(),
        None => in_need(tracker, device),
    }
}

/// What shows that the binding died.
fn witnessed(tracker: &Tracker, raise: Raise, probe: &NatProbe) -> Raise {
    let NatProbe { age, place, .. } = *probe;
    match probe.outcome {
        NatOutcome::NewPort => {
            raise.absence(probe.sent.time, format!("last packet of {} from its old port", name(tracker, probe.device))).evidence(
                probe.back.time,
                probe.back.frame,
                format!("it comes from {place}, {age} after the last packet from the old port: that was gone"),
            )
        }
        NatOutcome::Late => raise
            .evidence(probe.sent.time, probe.sent.frame, format!("request to {place} after {age} of silence"))
            .absence(probe.back.time, "only after the phone had sent something a repeat was answered"),
        NatOutcome::Undelivered | NatOutcome::Delivered => raise
            .evidence(probe.sent.time, probe.sent.frame, format!("request to {place} after {age} of silence, never answered"))
            .absence(probe.back.time, "the phone was on all the time: it was heard again without having restarted"),
    }
}

/// More is known of the NAT of a site: what was said of it is said as it is, and is over for phones that do not suffer from it any more.
pub(super) fn refresh(tracker: &Tracker, site: Site, at: PacketTime, findings: &mut FindingStore) {
    let (failing, _) = tracker.nat.failing(&tracker.registrations, site);
    for subject in open_about(site, findings) {
        let device = match &subject {
            Subject::Aor(told) => failing.iter().find(|device| aor(tracker, **device).as_ref() == Some(told)),
            _ => failing.first(),
        };
        match device.and_then(|device| raise(tracker, site, *device, findings)) {
            Some(raise) => findings.revise(raise, at),
            None => drop(findings.clear(FindingId::NatBindingTimeout, &subject, at)),
        }
    }
    advise_effects(tracker, site, at, findings);
}

/// The remedy for the NAT that forgets a device, as it is known at `now`, if that was told and is that of an `effect` too: a call that a
/// phone does not answer may still be the phone's fault while the NAT is no more than suspected.
pub(super) fn advice(tracker: &Tracker, effect: FindingId, device: Handle, now: PacketTime, findings: &mut FindingStore) -> Option<String> {
    let least = if effect == FindingId::CalleeNoResponse { Confidence::Probable } else { Confidence::Suspected };
    let about = Subject::Aor(aor(tracker, device)?);
    findings.open_about(FindingId::NatBindingTimeout, &about).next()?;
    let site = Site::of(tracker.registrations.device(device)?.place.ip());
    let cause = raise(tracker, site, device, findings).filter(|cause| cause.confidence >= least)?;
    let remedy = cause.filled_remedy();
    findings.revise(cause, now);
    Some(remedy)
}

/// Gives what the NAT of a site does to its phones the remedy that is told for the NAT.
fn advise_effects(tracker: &Tracker, site: Site, now: PacketTime, findings: &mut FindingStore) {
    let (failing, _) = tracker.nat.failing(&tracker.registrations, site);
    for device in failing {
        let Some(subject) = aor(tracker, device).map(Subject::Aor) else { continue };
        for effect in EFFECTS {
            if findings.is_open(effect, &subject)
                && let Some(remedy) = advice(tracker, effect, device, now, findings)
            {
                findings.advise(effect, &subject, &remedy);
            }
        }
    }
}

/// Whether the NAT of its site forgets a device.
pub(super) fn is_forgotten(tracker: &Tracker, device: Handle) -> bool {
    let entry = tracker.registrations.device(device);
    entry.is_some_and(|entry| tracker.nat.failing(&tracker.registrations, Site::of(entry.place.ip())).0.contains(&device))
}

/// The finding about the site, where the trouble is the site's, or about the phone.
fn raise(tracker: &Tracker, site: Site, device: Handle, findings: &FindingStore) -> Option<Raise> {
    let entry = tracker.registrations.device(device)?;
    let aor = aor(tracker, device)?;
    let whole_site = failing_site(tracker, site, findings);
    let view = match whole_site {
        Some(_) => tracker.nat.view(site)?,
        None => tracker.nat.view_for(&tracker.registrations, site, device)?,
    };
    let confidence = view.estimate.confidence?;
    let raise = match &whole_site {
        Some(phones) => {
            let whom = if let [_] = phones[..] { aor.to_string() } else { format!("{} phones", phones.len()) };
            let raise = Raise::new(FindingId::NatBindingTimeout, Subject::Site(site), words::message(tracker, &whom, &view));
            phones.iter().filter_map(|phone| self::aor(tracker, *phone)).fold(raise, |raise, aor| raise.related(Subject::Aor(aor)))
        }
        None => {
            let message = words::message(tracker, &aor, &view);
            placed(tracker, Raise::new(FindingId::NatBindingTimeout, Subject::Aor(aor), message), entry.place)
        }
    };
    let harmless = view.loss.is_some_and(|[_, most]| most < NOTHING);
    let severity = if confidence == Confidence::Suspected || harmless { Severity::Info } else { Severity::Error };
    let is_pinged = tracker.nat.is_pinged(&tracker.world, &tracker.registrations, device, tracker.now());
    let raise = words::remedy(raise.severity(severity).confidence(confidence), &view);
    Some(if is_pinged { words::instead_of_pings(raise, &view) } else { raise })
}

/// The failing phones of a site, if they make it the site's matter, or made it so before.
fn failing_site(tracker: &Tracker, site: Site, findings: &FindingStore) -> Option<Vec<Handle>> {
    let (failing, phones) = tracker.nat.failing(&tracker.registrations, site);
    let many = failing.len() >= tracker.thresholds().nat_site_phones as usize && failing.len() * 2 >= phones;
    let is_told = || findings.is_open(FindingId::NatBindingTimeout, &Subject::Site(site));
    (!failing.is_empty() && (many || is_told())).then_some(failing)
}

/// Where it is the site's matter, what was said of single phones goes into it.
fn merge_phones(tracker: &Tracker, site: Site, at: PacketTime, findings: &mut FindingStore) {
    let Some(phones) = failing_site(tracker, site, findings) else { return };
    for aor in phones.into_iter().filter_map(|phone| aor(tracker, phone)) {
        let (cause, part) = (Subject::Site(site), Subject::Aor(aor));
        findings.replace((FindingId::NatBindingTimeout, &cause), (FindingId::NatBindingTimeout, &part), at);
    }
}

fn mended(site: Site, at: PacketTime, findings: &mut FindingStore) {
    for subject in open_about(site, findings) {
        findings.clear(FindingId::NatBindingTimeout, &subject, at);
    }
}

/// The subjects of the open findings about the NAT of a site.
fn open_about(site: Site, findings: &FindingStore) -> Vec<Subject> {
    let about = Subject::Site(site);
    let open = findings.open_about(FindingId::NatBindingTimeout, &about);
    open.map(|finding| finding.subject.clone()).collect()
}

fn delivered_late(tracker: &Tracker, late: &DeliveredLate, findings: &mut FindingStore) {
    let (Some(aor), Some(device)) = (aor(tracker, late.device), tracker.registrations.device(late.device)) else { return };
    let (delay, told) = (late.at.time.since(late.sent.time), advice(tracker, FindingId::LateDelivery, late.device, late.at.time, findings));
    let message = format!("{aor}: INVITE delivered only at transmission #{} (+{delay})", late.transmissions);
    let raise = Raise::new(FindingId::LateDelivery, Subject::Aor(aor), message)
        .evidence(late.sent.time, late.sent.frame, format!("INVITE to {} after {} of silence", late.flow.destination, late.silence))
        .absence(late.back, "the phone sent something by itself")
        .evidence(late.at.time, late.at.frame, format!("transmission #{} is answered", late.transmissions));
    let raise = match tracker.nat.view(Site::of(device.place.ip())) {
        Some(view) => words::remedy(raise, &view),
        None => raise,
    };
    findings.raise(placed(tracker, raise, late.flow.destination).advice(told), late.at.time);
}

fn keepalive_missing(tracker: &Tracker, device: Handle, silence: Span, since: PacketTime, at: Sighting, findings: &mut FindingStore) {
    let (Some(aor), Some(entry)) = (aor(tracker, device), tracker.registrations.device(device)) else { return };
    let told = advice(tracker, FindingId::KeepaliveMissing, device, at.time, findings);
    let message = format!("{aor} behind NAT sends no keep-alive (largest silence {:.0} s)", silence.as_secs_f64());
    let raise =
        Raise::new(FindingId::KeepaliveMissing, Subject::Aor(aor), message).absence(since, format!("last packet from {}", entry.place));
    let raise = match at.frame {
        0 => raise.absence(at.time, "the next one"),
        frame => raise.evidence(at.time, frame, "the next one"),
    };
    let raise = match tracker.nat.view(Site::of(entry.place.ip())) {
        Some(view) => words::remedy(raise, &view),
        None => raise,
    };
    findings.raise(placed(tracker, raise, entry.place).advice(told), at.time);
}

/// The before/after comparison of runbook step S4-7.
fn experiment(tracker: &Tracker, device: Handle, before: Era, after: Era, at: Sighting, findings: &mut FindingStore) {
    let (Some(aor), Some(entry)) = (aor(tracker, device), tracker.registrations.device(device)) else { return };
    let share = |era: Era| if era.asked == 0 { 0.0 } else { f64::from(era.failed) / f64::from(era.asked) };
    let verdict = match share(after).total_cmp(&share(before)) {
        std::cmp::Ordering::Less => "improved",
        std::cmp::Ordering::Equal => "unchanged",
        std::cmp::Ordering::Greater => "worse",
    };
    let told = |era: Era| format!("{:.0} s: {} of {} requests failed", era.interval.as_secs_f64(), era.failed, era.asked);
    let message = format!("{aor}: keep-alive changed, {verdict} (every {}; every {})", told(before), told(after));
    let raise = Raise::new(FindingId::KeepaliveExperiment, Subject::Aor(aor), message).evidence(
        at.time,
        at.frame,
        format!("{} intervals of about {:.0} s since the change", after.intervals, after.interval.as_secs_f64()),
    );
    findings.raise(placed(tracker, raise, entry.place), at.time);
}

fn aor(tracker: &Tracker, device: Handle) -> Option<Box<str>> {
    let aor = tracker.registrations.device(device)?.aor;
    Some(tracker.registrations.aor(aor)?.name.clone())
}

fn name(tracker: &Tracker, device: Handle) -> Box<str> {
    aor(tracker, device).unwrap_or_default()
}
