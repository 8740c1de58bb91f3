//! Who tries to get in, and who got in (DETECTION §7.6).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::config::Thresholds;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Finding, Raise, Reason, Standing, Subject};
use crate::detect::latest::Latest;
use crate::detect::parties::is_there;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::event::{AttemptEnd, AttemptReport, Event, Giveaway, Sighting};
use crate::track::scan::is_long_number;
use crate::track::vocabulary::{Confidence, Outcome};

/// Sources and users remembered, each.
const REMEMBERED: usize = 16_384;
/// Numbers that somebody called of late, remembered each.
const NUMBERS: usize = 32;

/// What to do about a password that may have been guessed.
const GUESSED: &str = "Ask the user of {aor} whether the device at {ip} is theirs. If nobody knows it: block {ip}, change the credentials of {aor} \
     immediately, and check call charges.";

/// Watches what scanners achieve, and credentials that are refused; not from where a phone is registered, as its neighbour may well have a
/// wrong password.
#[derive(Debug, Default)]
pub(super) struct IntruderDetector {
    refused: Latest<IpAddr, VecDeque<(Handle, Sighting)>, REMEMBERED>,
    attacked: Latest<Handle, VecDeque<(IpAddr, Sighting)>, REMEMBERED>,
    scanners: Latest<IpAddr, Option<PacketTime>, REMEMBERED>,
    inside: Latest<IpAddr, Option<Inside>, REMEMBERED>,
}

/// Whose credentials were refused again and again, and who was then accepted as a user whose own device is registered elsewhere: a second
/// phone of that user whose password was mistyped, or somebody who guessed it. What it calls tells.
#[derive(Debug)]
struct Inside {
    user: Box<str>,
    /// The first refusal that is remembered, and the acceptance.
    facts: [Sighting; 2],
    /// The long numbers that were called and answered lately.
    numbers: VecDeque<(Box<str>, Sighting)>,
}

impl IntruderDetector {
    /// Sources and users held, and how many were dropped for lack of room.
    pub(super) fn size(&self) -> (usize, u64) {
        let sizes = [self.refused.size(), self.attacked.size(), self.scanners.size(), self.inside.size()];
        sizes.into_iter().fold((0, 0), |(held, evicted), size| (held + size.0, evicted + size.1))
    }

    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::ScannerFound { source, giveaway, at, .. } => self.found(source.ip(), giveaway, at, findings),
            Event::ScannerCleared { source, at } => self.cleared(source, at.time, findings),
            Event::RegistrationEnded(ref report) => match report.end {
                AttemptEnd::CredentialsRejected => self.refused(tracker, report, findings),
                AttemptEnd::Accepted => self.registered(tracker, report, findings),
                _ => {}
            },
            Event::CallOutcome { call, outcome: Outcome::Answered, at, .. } => {
                let Some(call) = tracker.calls.get(call) else { return };
                let source = call.record.source;
                self.calls(tracker, source.ip(), &call.record.to, at, findings);
                if self.scanners.get(source.ip()).is_some() && tracker.registrations.at_address(&tracker.world, source).is_none() {
                    let what = format!("a call to {} was answered", call.record.to);
                    succeeded(source.ip(), &what, None, at, findings);
                }
            }
            _ => {}
        }
    }

    fn found(&mut self, source: IpAddr, giveaway: Giveaway, at: Sighting, findings: &mut FindingStore) {
        self.scanners.entry(source).get_or_insert(at.time);
        let (what, fact) = match giveaway {
            Giveaway::Tool => ("calls itself a scanning tool", "the request that names the tool"),
            Giveaway::Users => ("tries out users in vain", "the answer that was one too many"),
            Giveaway::Numbers => ("tries to call number after number without being registered", "the answer that was one too many"),
        };
        let raise = Raise::new(FindingId::SipScanner, Subject::Source(source), format!("{source}: {what}"))
            .standing(Standing::Stranger)
            .evidence(at.time, at.frame, fact)
            .fill(Slot::Ip, source.to_string());
        let raise = if giveaway == Giveaway::Numbers { raise.reason(Reason::InviteScan) } else { raise };
        findings.raise(raise, at.time);
    }

    /// It is no scanner, and that its users registered is no break-in, unless a password was guessed.
    fn cleared(&mut self, source: IpAddr, at: PacketTime, findings: &mut FindingStore) {
        self.scanners.remove(source);
        findings.clear(FindingId::SipScanner, &Subject::Source(source), at);
        if self.inside.get(source).is_none() {
            findings.clear(FindingId::ScannerSucceeded, &Subject::Source(source), at);
        }
    }

    fn refused(&mut self, tracker: &Tracker, report: &AttemptReport, findings: &mut FindingStore) {
        let (source, at) = (report.flow.source.ip(), report.last);
        if tracker.world.peers.is_partner(source) {
            return;
        }
        let Thresholds { brute, brute_sources, .. } = *tracker.thresholds();
        let (within, sources) = (brute.window, brute_sources as usize);
        let refused = self.refused.entry(source);
        refused.push_back((report.aor, at));
        while refused.len() > brute.count as usize || refused.front().is_some_and(|(_, first)| at.time.since(first.time) > within) {
            refused.pop_front();
        }
        let attacked = self.attacked.entry(report.aor);
        attacked.retain(|&(known, last)| known != source && at.time.since(last.time) <= within);
        attacked.push_back((source, at));
        if attacked.len() > Finding::EVIDENCE {
            attacked.pop_front();
        }
        let name = tracker.registrations.aor(report.aor).map_or_else(|| "a user".into(), |aor| aor.name.clone());
        let one_user = refused.iter().all(|(aor, _)| *aor == report.aor);
        let (message, facts): (String, Vec<Sighting>) = if brute.is_reached(refused.len()) {
            let whom = if one_user { format!(" of {name}") } else { " of several users".to_owned() };
            let doubt = if one_user { ", as happens to a phone with a wrong password too" } else { "" };
            let message = format!("{source}: credentials{whom} refused {} times within {within}{doubt}", refused.len());
            (message, refused.iter().map(|(_, at)| *at).collect())
        } else if attacked.len() >= sources {
            let message = format!("{source}: one of {} addresses that try passwords of {name}", attacked.len());
            (message, attacked.iter().map(|(_, at)| *at).collect())
        } else {
            return;
        };
        let raise = Raise::new(FindingId::AuthBruteforce, Subject::Source(source), message)
            .standing(Standing::Stranger)
            .confidence(if one_user && attacked.len() < sources { Confidence::Suspected } else { Confidence::Confirmed })
            .fill(Slot::Ip, source.to_string());
        let raise = facts.iter().fold(raise, |raise, at| raise.evidence(at.time, at.frame, "credentials refused"));
        let is_attacked = attacked.len() >= sources;
        let raise = if is_attacked { raise.related(Subject::Aor(name.clone())) } else { raise };
        findings.raise(raise.fill(Slot::Aor, &*name), at.time);
        if is_attacked {
            blame_attackers(tracker, name, source, at.time, findings);
        }
    }

    /// A scanner that registers as a user who was not there before.
    fn registered(&mut self, tracker: &Tracker, report: &AttemptReport, findings: &mut FindingStore) {
        let source = report.flow.source.ip();
        if !report.was_registered
            && let Some((own, inside)) = self.guessed(tracker, report)
        {
            tell_guessed(source, own, &inside, findings);
            *self.inside.entry(source) = Some(inside);
        }
        let Some(&Some(since)) = self.scanners.get(source) else { return };
        let is_new = tracker.registrations.device(report.device).is_some_and(|device| device.first_seen >= since);
        let Some(aor) = tracker.registrations.aor(report.aor).filter(|_| is_new && !report.was_registered) else { return };
        succeeded(source, &format!("registered as {}", aor.name), Some(&aor.name), report.last, findings);
    }

    /// Who is accepted right after the refusals of a brute force, where another device of the user is bound elsewhere; and where that is.
    fn guessed(&self, tracker: &Tracker, report: &AttemptReport) -> Option<(SocketAddr, Inside)> {
        let (source, at) = (report.flow.source.ip(), report.last);
        let brute = tracker.thresholds().brute;
        let refused = self.refused.get(source)?;
        let (first, last) = (refused.front()?.1, refused.back()?.1);
        let of_user = refused.iter().any(|(user, _)| *user == report.aor);
        if !of_user || !brute.is_reached(refused.len()) || at.time.since(last.time) > brute.window {
            return None;
        }
        let aor = tracker.registrations.aor(report.aor)?;
        let mut devices = aor.devices.iter().filter_map(|&device| tracker.registrations.device(device));
        let own = devices.find(|device| device.source().ip() != source && is_there(device, at.time))?;
        Some((own.source(), Inside { user: aor.name.clone(), facts: [first, at], numbers: VecDeque::new() }))
    }

    /// A call that was answered: many numbers within minutes are what a guessed password is for.
    fn calls(&mut self, tracker: &Tracker, source: IpAddr, number: &str, at: Sighting, findings: &mut FindingStore) {
        if self.inside.get(source).is_none() || !is_long_number(number.as_bytes()) {
            return;
        }
        let Some(inside) = self.inside.entry(source) else { return };
        let Thresholds { brute, scan_numbers, .. } = *tracker.thresholds();
        inside.numbers.retain(|(known, then)| **known != *number && at.time.since(then.time) <= brute.window);
        inside.numbers.push_back((number.into(), at));
        if inside.numbers.len() > NUMBERS {
            inside.numbers.pop_front();
        }
        let Some((_, first)) = inside.numbers.front().filter(|_| inside.numbers.len() >= scan_numbers as usize) else { return };
        let (user, within, [refused, accepted]) = (&*inside.user, at.time.since(first.time), inside.facts);
        let what = format!("credentials of {user} guessed, then {} numbers called within {within}", inside.numbers.len());
        let raise = got_in(source, &what, Some(user))
            .confidence(Confidence::Probable)
            .evidence(refused.time, refused.frame, "credentials refused, one of many")
            .evidence(accepted.time, accepted.frame, format!("registered as {user}, whose own device is registered elsewhere"));
        let told = findings.told(FindingId::ScannerSucceeded, &Subject::Source(source));
        let untold = inside.numbers.iter().filter(|(_, called)| called.time > told);
        let raise = untold.fold(raise, |raise, (number, at)| raise.evidence(at.time, at.frame, format!("a call to {number} was answered")));
        findings.raise(raise, at.time);
    }
}

/// Takes back that a user mistyped its password, where nobody was refused but those who attack it.
fn blame_attackers(tracker: &Tracker, user: Box<str>, source: IpAddr, at: PacketTime, findings: &mut FindingStore) {
    let (attacker, user) = (Subject::Source(source), Subject::Aor(user));
    let is_theirs = |finding: &Finding| {
        let mut refused = finding.related.iter();
        !refused.any(|subject| matches!(subject, Subject::Source(address) if tracker.world.peers.is_partner(*address)))
    };
    if findings.get(FindingId::AuthFailedLoop, &user).is_some_and(is_theirs) {
        findings.replace((FindingId::AuthBruteforce, &attacker), (FindingId::AuthFailedLoop, &user), at);
    }
}

/// Says that one of the passwords that were tried was right.
fn tell_guessed(source: IpAddr, own: SocketAddr, inside: &Inside, findings: &mut FindingStore) {
    let (user, [refused, accepted]) = (&*inside.user, inside.facts);
    let message = format!("{source}: credentials of {user} refused again and again, then accepted, while its phone at {own} is registered");
    let raise = Raise::new(FindingId::AuthBruteforce, Subject::Source(source), message)
        .standing(Standing::Stranger)
        .confidence(Confidence::Probable)
        .remedy(GUESSED)
        .fill(Slot::Ip, source.to_string())
        .fill(Slot::Aor, user)
        .evidence(refused.time, refused.frame, "credentials refused, one of many")
        .evidence(accepted.time, accepted.frame, format!("registered as {user}"));
    findings.raise(raise, accepted.time);
}

fn succeeded(source: IpAddr, what: &str, aor: Option<&str>, at: Sighting, findings: &mut FindingStore) {
    findings.raise(got_in(source, what, aor).evidence(at.time, at.frame, what), at.time);
}

fn got_in(source: IpAddr, what: &str, aor: Option<&str>) -> Raise {
    let raise = Raise::new(FindingId::ScannerSucceeded, Subject::Source(source), format!("{source}: a scanner got in: {what}"))
        .fill(Slot::Ip, source.to_string());
    aor.into_iter().fold(raise, |raise, aor| raise.fill(Slot::Aor, aor).related(Subject::Aor(aor.into())))
}
