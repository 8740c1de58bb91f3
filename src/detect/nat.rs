//! NATs that forget phones, and what that does to calls (DETECTION §2.3 to §2.6, §4.2).

use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Subject};
use crate::detect::registration::placed;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::Sighting;
use crate::track::nat::advice::{better_nat_timeout, nat_timeout};
use crate::track::nat::event::{DeliveredLate, NatEvent, NatOutcome, NatProbe};
use crate::track::nat::{Era, SiteView};
use crate::track::site::Site;
use crate::track::vocabulary::{Confidence, Severity};

/// Tells of NATs that forget phones.
pub(super) fn event(tracker: &Tracker, event: &NatEvent, findings: &mut FindingStore) {
    match *event {
        NatEvent::Probe(ref probe) if probe.outcome != NatOutcome::Delivered => forgotten(tracker, probe, findings),
        NatEvent::Verdict { site, confidence: Some(_), at } => reconsidered(tracker, site, at, findings),
        NatEvent::Mended { site, at, .. } => mended(site, at.time, findings),
        NatEvent::DeliveredLate(ref late) => delivered_late(tracker, late, findings),
        NatEvent::LongSilence { device, silence, since, at } => keepalive_missing(tracker, device, silence, since, at, findings),
        NatEvent::KeepalivesBegan { device, at } => {
            if let Some(aor) = aor(tracker, device) {
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
    let Some(raise) = raise(tracker, site, probe.device) else { return };
    let age = probe.age;
    let raise = match probe.outcome {
        NatOutcome::NewPort => {
            raise.absence(probe.sent.time, format!("last packet of {} from its old port", name(tracker, probe.device))).evidence(
                probe.back.time,
                probe.back.frame,
                format!("it comes from {} after {age} of silence: the old port was gone", device.place),
            )
        }
        NatOutcome::Late => raise
            .evidence(probe.sent.time, probe.sent.frame, format!("request to {} after {age} of silence", device.place))
            .absence(probe.back.time, "only after the phone had sent something a repeat was answered"),
        NatOutcome::Undelivered | NatOutcome::Delivered => raise
            .evidence(probe.sent.time, probe.sent.frame, format!("request to {} after {age} of silence, never answered", device.place))
            .absence(probe.back.time, "the phone was on all the time: it was heard again without having restarted"),
    };
    findings.raise(raise, probe.at.time);
    merge_phones(tracker, site, probe.at.time, findings);
    let is_request = probe.outcome != NatOutcome::NewPort;
    if is_request && age > tracker.thresholds().keepalive_missing_gap && tracker.nat.lacks_keepalive(&tracker.registrations, probe.device) {
        keepalive_missing(tracker, probe.device, age, probe.sent.time - age, probe.back, findings);
    }
}

/// It became surer: what was said is said again with more weight.
fn reconsidered(tracker: &Tracker, site: Site, at: Sighting, findings: &mut FindingStore) {
    let (failing, _) = tracker.nat.failing(site);
    let mut told = Vec::new();
    for device in failing {
        let Some(raise) = raise(tracker, site, device) else { continue };
        let is_open = findings.get(FindingId::NatBindingTimeout, raise.subject()).is_some();
        if is_open && !told.contains(raise.subject()) {
            told.push(raise.subject().clone());
            findings.raise(raise, at.time);
        }
    }
}

/// The finding about the site, where the trouble is the site's, or about the phone.
fn raise(tracker: &Tracker, site: Site, device: Handle) -> Option<Raise> {
    let view = tracker.nat.view(site)?;
    let confidence = view.estimate.confidence?;
    let entry = tracker.registrations.device(device)?;
    let aor = aor(tracker, device)?;
    let whole_site = failing_site(tracker, site);
    let raise = match &whole_site {
        Some(phones) => {
            let message = message(&site.to_string(), &format!("{} phones", phones.len()), &view, view.gap, view.loss);
            let raise = Raise::new(FindingId::NatBindingTimeout, Subject::Site(site), message);
            phones.iter().filter_map(|phone| self::aor(tracker, *phone)).fold(raise, |raise, aor| raise.related(Subject::Aor(aor)))
        }
        None => {
            let silence = tracker.nat.silence(&tracker.registrations, device).map(|regular| regular.longest);
            let loss = tracker.nat.loss(&tracker.registrations, device, &view.estimate);
            let message = message(&site.to_string(), &aor, &view, silence, loss);
            placed(tracker, Raise::new(FindingId::NatBindingTimeout, Subject::Aor(aor), message), entry.place)
        }
    };
    let severity = if confidence == Confidence::Suspected { Severity::Info } else { Severity::Error };
    Some(filled(raise.severity(severity).confidence(confidence), &view))
}

/// The failing phones of a site, if they make it the site's matter.
fn failing_site(tracker: &Tracker, site: Site) -> Option<Vec<Handle>> {
    let (failing, phones) = tracker.nat.failing(site);
    (failing.len() >= tracker.thresholds().nat_site_phones as usize && failing.len() * 2 >= phones).then_some(failing)
}

/// `198.51.100.7: NAT forgets 1001@pbx.example.com after 28–31.5 s, refresh only every 60 s (~48–53 % of inbound requests miss); …`
fn message(site: &str, phones: &str, view: &SiteView, silence: Option<Span>, loss: Option<[f64; 2]>) -> String {
    let seconds = |span: Span| format!("{:.1}", span.as_secs_f64());
    let upper = view.estimate.upper.unwrap_or_default();
    let lived = match view.estimate.lower {
        Some(lower) if lower > Span::ZERO => format!("{}–{} s", seconds(lower), seconds(upper)),
        _ => format!("at most {} s", seconds(upper)),
    };
    let refresh = silence.map_or_else(|| "no regular refresh".to_owned(), |silence| format!("refresh only every {} s", seconds(silence)));
    let loss =
        loss.map_or_else(String::new, |[least, most]| format!(" (~{:.0}–{:.0} % of inbound requests miss)", least * 100.0, most * 100.0));
    let keepalive = view.keepalive().unwrap_or_default();
    let timeout = match silence {
        Some(silence) => format!("≥ {} s, better {} s", nat_timeout(silence), better_nat_timeout(silence)),
        None => format!("≥ {} s", better_nat_timeout(upper)),
    };
    format!("{site}: NAT forgets {phones} after {lived}, {refresh}{loss}; set keep-alive ≤ {keepalive} s or NAT UDP timeout {timeout}")
}

fn filled(raise: Raise, view: &SiteView) -> Raise {
    let raise = match view.keepalive() {
        Some(keepalive) => raise.fill(Slot::Keepalive, keepalive.to_string()),
        None => raise,
    };
    match view.nat_timeout() {
        Some(timeout) => raise.fill(Slot::NatTimeout, timeout.to_string()),
        None => raise,
    }
}

/// Where it is the site's matter, what was said of single phones goes into it.
fn merge_phones(tracker: &Tracker, site: Site, at: PacketTime, findings: &mut FindingStore) {
    let Some(phones) = failing_site(tracker, site) else { return };
    for aor in phones.into_iter().filter_map(|phone| aor(tracker, phone)) {
        let (cause, part) = (Subject::Site(site), Subject::Aor(aor));
        findings.replace((FindingId::NatBindingTimeout, &cause), (FindingId::NatBindingTimeout, &part), at);
    }
}

fn mended(site: Site, at: PacketTime, findings: &mut FindingStore) {
    let site = Subject::Site(site);
    let concerns = |subject: &Subject, related: &[Subject]| *subject == site || related.contains(&site);
    let open = findings.open().filter(|finding| finding.id == FindingId::NatBindingTimeout && concerns(&finding.subject, &finding.related));
    let subjects: Vec<_> = open.map(|finding| finding.subject.clone()).collect();
    for subject in subjects {
        findings.clear(FindingId::NatBindingTimeout, &subject, at);
    }
}

fn delivered_late(tracker: &Tracker, late: &DeliveredLate, findings: &mut FindingStore) {
    let (Some(aor), Some(device)) = (aor(tracker, late.device), tracker.registrations.device(late.device)) else { return };
    let delay = late.at.time.since(late.sent.time);
    let message = format!("{aor}: INVITE delivered only at transmission #{} (+{delay})", late.transmissions);
    let raise = Raise::new(FindingId::LateDelivery, Subject::Aor(aor), message)
        .evidence(late.sent.time, late.sent.frame, format!("INVITE to {} after {} of silence", late.flow.destination, late.silence))
        .absence(late.back, "the phone sent something by itself")
        .evidence(late.at.time, late.at.frame, format!("transmission #{} is answered", late.transmissions));
    let raise = match tracker.nat.view(Site::of(device.place.ip())) {
        Some(view) => filled(raise, &view),
        None => raise,
    };
    findings.raise(placed(tracker, raise, late.flow.destination), late.at.time);
}

fn keepalive_missing(tracker: &Tracker, device: Handle, silence: Span, since: PacketTime, at: Sighting, findings: &mut FindingStore) {
    let (Some(aor), Some(entry)) = (aor(tracker, device), tracker.registrations.device(device)) else { return };
    let message = format!("{aor} behind NAT sends no keep-alive (largest silence {:.0} s)", silence.as_secs_f64());
    let raise =
        Raise::new(FindingId::KeepaliveMissing, Subject::Aor(aor), message).absence(since, format!("last packet from {}", entry.place));
    let raise = match at.frame {
        0 => raise.absence(at.time, "the next one"),
        frame => raise.evidence(at.time, frame, "the next one"),
    };
    let raise = match tracker.nat.view(Site::of(entry.place.ip())) {
        Some(view) => filled(raise, &view),
        None => raise,
    };
    findings.raise(placed(tracker, raise, entry.place), at.time);
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
    let raise = Raise::new(FindingId::KeepaliveExperiment, Subject::Aor(aor.clone()), message).evidence(
        at.time,
        at.frame,
        format!("{} intervals of about {:.0} s since the change", after.intervals, after.interval.as_secs_f64()),
    );
    findings.raise(placed(tracker, raise, entry.place), at.time);
    if before.failed > 0 && after.failed == 0 && after.asked > 0 {
        findings.clear(FindingId::NatBindingTimeout, &Subject::Aor(aor), at.time);
    }
}

fn aor(tracker: &Tracker, device: Handle) -> Option<Box<str>> {
    let aor = tracker.registrations.device(device)?.aor;
    Some(tracker.registrations.aor(aor)?.name.clone())
}

fn name(tracker: &Tracker, device: Handle) -> Box<str> {
    aor(tracker, device).unwrap_or_default()
}
