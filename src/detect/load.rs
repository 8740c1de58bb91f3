//! Bursts: 5xx answers, and registrations all at once (DETECTION §7.3, §7.4).

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use crate::config::Thresholds;
use crate::decode::flow::Flow;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::detectors::Routed;
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::related_user;
use crate::detect::registration::{aor_subject, status_text};
use crate::detect::store::FindingStore;
use crate::sip::message::Message;
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::call::Call;
use crate::track::event::{AttemptEnd, AttemptReport, Event, Sighting};
use crate::track::registration::addresses::Occupant;
use crate::track::vocabulary::{Direction, Scope, Severity};
use crate::track::{Novelty, Tracker};

/// Seconds in the window of answers.
const MINUTE: usize = 60;
/// Seconds in which registrations are counted (DETECTION §13).
const STORM: usize = 10;
/// How long must have been watched to know what is ordinary.
const WARM_UP: f64 = 60.0;
/// How long the ordinary is remembered.
const BASELINE: f64 = 3600.0;
/// How soon after an outage a storm of successes is what must come.
const AFTER_OUTAGE: Span = Span::from_secs(300);
/// PBXs and other senders watched at most.
const REMEMBERED: usize = 256;
/// How long before it a burst of errors explains that a registration met one.
const LATELY: Span = Span::from_secs(60);
/// Registrations remembered that met one.
const REFUSED: usize = 4096;

/// Counts by the second.
#[derive(Clone, Copy, Debug)]
struct Seconds<const N: usize> {
    bins: [(i64, [u32; 2]); N],
}

impl<const N: usize> Seconds<N> {
    const EMPTY: Self = Self { bins: [(i64::MIN, [0; 2]); N] };

    /// Counts one of the first or the second kind.
    fn note(&mut self, kind: usize, second: i64) {
        let Some((number, counts)) = self.bins.get_mut(second.rem_euclid(N as i64) as usize) else { return };
        if *number != second {
            (*number, *counts) = (second, [0; 2]);
        }
        if let Some(count) = counts.get_mut(kind) {
            *count += 1;
        }
    }

    /// How many of either kind there were in the window that ends with `second`.
    fn sums(&self, second: i64) -> [u32; 2] {
        self.recent(second).fold([0; 2], |[a, b], (_, [more_a, more_b])| [a + more_a, b + more_b])
    }

    /// Those seconds of the window that ends with `second` in which there was any, and their counts.
    fn recent(&self, second: i64) -> impl Iterator<Item = (i64, [u32; 2])> {
        self.bins.iter().copied().filter(move |(number, _)| *number <= second && *number > second.saturating_sub(N as i64))
    }
}

/// Registrations at one PBX.
#[derive(Debug)]
struct Registering {
    attempts: Seconds<STORM>,
    /// Attempts accepted, and others that ended.
    ended: Seconds<STORM>,
    /// The present block of [`STORM`] seconds, and its attempts.
    block: (i64, u32),
    /// Attempts and seconds before that, without storms.
    baseline: (f64, f64),
    /// Who asked more often of late than all others together, and by how much.
    foremost: (SocketAddr, u32),
}

/// Watches for bursts.
#[derive(Debug, Default)]
pub(super) struct LoadDetector {
    /// Final answers by sender: 5xx, others.
    answers: BTreeMap<SocketAddr, Seconds<MINUTE>>,
    registering: BTreeMap<SocketAddr, Registering>,
    /// Registrations that met an error of the server lately, each with the server.
    refused: VecDeque<(SocketAddr, Handle, PacketTime)>,
}

impl LoadDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::RegistrationAttempt { flow, at } => self.attempt(tracker, flow, at, findings),
            Event::RegistrationEnded(ref report) => {
                if report.end == AttemptEnd::Rejected && (500..600).contains(&report.status) {
                    self.failed(tracker, report, findings);
                }
                if let Some(registering) = self.registering.get_mut(&report.flow.destination) {
                    let failed = report.end != AttemptEnd::Accepted;
                    registering.ended.note(usize::from(failed), second(report.last.time));
                }
            }
            // What a scanner sends is its own matter, and not one of the PBX.
            Event::ScannerFound { source, at, .. } => {
                for (pbx, _) in self.registering.iter().filter(|(_, registering)| registering.foremost.0.ip() == source.ip()) {
                    let scanner = Subject::Source(source.ip());
                    findings.replace((FindingId::SipScanner, &scanner), (FindingId::RegistrationStorm, &Subject::Pbx(*pbx)), at.time);
                }
            }
            _ => {}
        }
    }

    /// Handles a response.
    pub(super) fn response(
        &mut self,
        tracker: &Tracker,
        (status, message): (u16, &Message<'_>),
        Routed { flow, direction }: Routed,
        at: Sighting,
        novelty: Novelty,
        findings: &mut FindingStore,
    ) {
        let peers = &tracker.world.peers;
        let serves = || direction == Direction::Out || peers.is_trunk(flow.source.ip());
        if status < 200 || novelty != Novelty::Distinct || !serves() || peers.scans(flow.destination.ip()) {
            return;
        }
        let Some(answers) = entry(&mut self.answers, flow.source, || Seconds::EMPTY) else { return };
        let Thresholds { err_burst, err_burst_share, .. } = *tracker.thresholds();
        let is_error = (500..600).contains(&status) && !(direction == Direction::Out && is_passed_on(tracker, message));
        answers.note(usize::from(!is_error), second(at.time));
        if !is_error {
            let serves = status < 300 && matches!(message.method(), Method::Register | Method::Invite);
            let is_well = || answers.sums(second(at.time))[0] == 0;
            if serves {
                findings.clear_of(FindingId::ServerErrorBurst, at.time, || is_well().then_some(Subject::Pbx(flow.source)));
            }
            return;
        }
        let [errors, others] = answers.sums(second(at.time));
        if errors < err_burst || !err_burst_share.is_reached(errors as usize, (errors + others) as usize) {
            return;
        }
        let answer = status_text(status);
        let text = format!("{}: {errors} 5xx among {} final answers in 60 s (last: {answer})", flow.source, errors + others);
        let raise = Raise::new(FindingId::ServerErrorBurst, Subject::Pbx(flow.source), text);
        let raise = if direction == Direction::Out { raise } else { raise.scope(Scope::Trunk) };
        findings.raise(raise.evidence(at.time, at.frame, format!("answered {answer} to {}", flow.destination)), at.time);
    }

    /// A registration that met an error of the server: where a burst of those goes on, it is that what the phone suffers from.
    fn failed(&mut self, tracker: &Tracker, report: &AttemptReport, findings: &mut FindingStore) {
        self.refused.push_back((report.flow.destination, report.aor, report.last.time));
        let lately = |at: PacketTime| report.last.time.since(at) <= LATELY;
        while self.refused.len() > REFUSED || self.refused.front().is_some_and(|&(_, _, at)| !lately(at)) {
            self.refused.pop_front();
        }
        let burst = Subject::Pbx(report.flow.destination);
        if !findings.is_open(FindingId::ServerErrorBurst, &burst) {
            return;
        }
        let is_here = |(server, ..): &(SocketAddr, Handle, PacketTime)| *server == report.flow.destination;
        let (here, elsewhere): (VecDeque<_>, _) = std::mem::take(&mut self.refused).into_iter().partition(is_here);
        self.refused = elsewhere;
        for (_, aor, _) in here {
            if let Some(user) = aor_subject(tracker, aor) {
                findings.replace((FindingId::ServerErrorBurst, &burst), (FindingId::RegistrationRejected, &user), report.last.time);
            }
        }
    }

    fn attempt(&mut self, tracker: &Tracker, flow: Flow, at: Sighting, findings: &mut FindingStore) {
        let peers = &tracker.world.peers;
        if peers.direction(flow) != Direction::In || peers.scans(flow.source.ip()) {
            return;
        }
        let now = second(at.time);
        let Some(registering) = entry(&mut self.registering, flow.destination, || Registering::from(now, flow.source)) else { return };
        let thresholds = tracker.thresholds();
        registering.note(thresholds, now);
        registering.note_asker(flow.source, thresholds);
        let [attempts, _] = registering.attempts.sums(now);
        if !registering.is_storm(thresholds, attempts) || !registering.lasts(thresholds, now) {
            return;
        }
        let subject = Subject::Pbx(flow.destination);
        let after_outage = findings.was_open_since(FindingId::PbxNotResponding, &subject, at.time - AFTER_OUTAGE);
        let success = registering.success(now);
        let severity = match success {
            success if success <= thresholds.storm_success.get() => Severity::Error,
            _ if after_outage => Severity::Info,
            _ => Severity::Warning,
        };
        let (rate, usual) = (f64::from(attempts) / STORM as f64, registering.usual());
        let alone = registering.is_one(thresholds).then_some(registering.foremost.0);
        let from = alone.map_or_else(String::new, |source| format!(", nearly all from {source}"));
        let message = format!("{rate:.1} REGISTER attempts/s (baseline {usual:.1}){from}, success {:.0}%", success * 100.0);
        let raise = Raise::new(FindingId::RegistrationStorm, subject, message).severity(severity);
        let raise = alone.into_iter().fold(raise, |raise, source| of_one(tracker, raise, source));
        findings.raise(raise.evidence(at.time, at.frame, format!("REGISTER number {attempts} within {STORM} s")), at.time);
    }
}

impl Registering {
    fn from(now: i64, first: SocketAddr) -> Self {
        let block = (now.div_euclid(STORM as i64), 0);
        Self { attempts: Seconds::EMPTY, ended: Seconds::EMPTY, block, baseline: (0.0, 0.0), foremost: (first, 0) }
    }

    /// Counts who asks against all others, no further than a storm is large.
    fn note_asker(&mut self, source: SocketAddr, thresholds: &Thresholds) {
        let (foremost, lead) = &mut self.foremost;
        if *foremost == source {
            *lead = (*lead + 1).min(thresholds.storm_attempts);
        } else if *lead > 0 {
            *lead -= 1;
        } else {
            (*foremost, *lead) = (source, 1);
        }
    }

    /// Whether a storm is that of one source.
    fn is_one(&self, thresholds: &Thresholds) -> bool {
        self.foremost.1 * 5 >= thresholds.storm_attempts * 4
    }

    /// Attempts per second outside storms.
    fn usual(&self) -> f64 {
        self.baseline.0 / self.baseline.1.max(1.0)
    }

    fn is_storm(&self, thresholds: &Thresholds, attempts: u32) -> bool {
        let usual = self.usual() * STORM as f64;
        let Thresholds { storm_attempts, storm_factor, .. } = *thresholds;
        self.baseline.1 >= WARM_UP && attempts >= storm_attempts && f64::from(attempts) > f64::from(storm_factor) * usual
    }

    /// Whether attempts come all the window long (DETECTION §13), and in most of its seconds, as those of phones do that are sent away: that
    /// all phones of a site come back within a few seconds is no storm.
    fn lasts(&self, thresholds: &Thresholds, now: i64) -> bool {
        let is_many = |attempts: u32| attempts as usize * STORM * 4 >= thresholds.storm_attempts as usize;
        let busy = || self.attempts.recent(now).filter(|(_, [attempts, _])| is_many(*attempts)).map(|(number, _)| number);
        busy().count() * 2 >= STORM && busy().min().is_some_and(|first| now - first >= STORM as i64 - 1)
    }

    /// Share of the attempts that ended well among those that ended.
    fn success(&self, now: i64) -> f64 {
        let [accepted, failed] = self.ended.sums(now);
        f64::from(accepted) / f64::from((accepted + failed).max(1))
    }

    /// Counts an attempt. The block before goes into the baseline, unless it was a storm.
    fn note(&mut self, thresholds: &Thresholds, now: i64) {
        self.attempts.note(0, now);
        let block = now.div_euclid(STORM as i64);
        let (number, attempts) = self.block;
        if block != number {
            if !self.is_storm(thresholds, attempts) {
                self.baseline.0 += f64::from(attempts);
            }
            self.baseline.1 += (block - number) as f64 * STORM as f64;
            self.block = (block, 0);
        }
        if self.baseline.1 > BASELINE {
            self.baseline = (self.baseline.0 / 2.0, self.baseline.1 / 2.0);
        }
        self.block.1 += 1;
    }
}

/// What to do about a phone that registers all the time.
const ONE_REGISTERS: &str = "Correct or switch off the phone at {ip}, which registers again and again.";

/// A storm that one source makes: that of a phone, where only one is there, and not of all behind a proxy.
fn of_one(tracker: &Tracker, raise: Raise, source: SocketAddr) -> Raise {
    let raise = related_user(tracker, raise.related(Subject::Source(source.ip())), source);
    match tracker.registrations.occupant(&tracker.world, source) {
        Some(Occupant::Only(_)) => raise.remedy(ONE_REGISTERS).fill(Slot::Ip, source.ip().to_string()),
        _ => raise,
    }
}

/// Whether the PBX only tells the caller how the call fared where it took it: what failed is there (DETECTION §7.3).
fn is_passed_on(tracker: &Tracker, message: &Message<'_>) -> bool {
    let Some(call) = tracker.calls.find(&tracker.world, message).filter(|_| message.method() == Method::Invite) else { return false };
    let asked = |leg: &Call| leg.record.direction(&tracker.world.peers) == Direction::Out;
    tracker.calls.get(call).is_some_and(|call| call.further.is_some())
        || tracker.calls.partners(call).any(|(_, leg)| asked(leg) && leg.record.status >= 400)
}

fn second(at: PacketTime) -> i64 {
    at.as_nanos().div_euclid(1_000_000_000)
}

fn entry<V>(table: &mut BTreeMap<SocketAddr, V>, key: SocketAddr, make: impl FnOnce() -> V) -> Option<&mut V> {
    if table.len() >= REMEMBERED && !table.contains_key(&key) {
        return None;
    }
    Some(table.entry(key).or_insert_with(make))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7)), 5060);

    #[test]
    fn a_storm_is_that_of_one_where_hardly_anybody_else_asks() {
        let is_one = |others: usize| {
            let (mut registering, thresholds) = (Registering::from(0, PHONE), Thresholds::default());
            for n in 0..200 {
                let port = if n % 10 < others { 6000 + n as u16 } else { 5060 };
                registering.note_asker(SocketAddr::new(PHONE.ip(), port), &thresholds);
            }
            registering.is_one(&thresholds)
        };
        assert!(is_one(0) && is_one(1) && !is_one(6));
    }

    fn registering(quiet_seconds: i64) -> Registering {
        let mut registering = Registering::from(0, PHONE);
        (0..quiet_seconds).step_by(2).for_each(|second| registering.note(&Thresholds::default(), second));
        registering
    }

    fn burst(registering: &mut Registering, from: i64, per_second: i64) -> bool {
        burst_of(STORM as i64, registering, from, per_second)
    }

    fn burst_of(seconds: i64, registering: &mut Registering, from: i64, per_second: i64) -> bool {
        (0..seconds * per_second).any(|n| {
            let now = from + n / per_second;
            registering.note(&Thresholds::default(), now);
            let attempts = registering.attempts.sums(now)[0];
            registering.is_storm(&Thresholds::default(), attempts) && registering.lasts(&Thresholds::default(), now)
        })
    }

    #[test]
    fn ten_seconds_of_six_a_second_are_a_storm_where_one_in_two_is_usual() {
        assert!(burst(&mut registering(120), 120, 6));
    }

    #[test]
    fn what_is_usual_or_little_or_new_is_none() {
        assert!(!burst(&mut registering(120), 120, 4), "less than five a second");
        assert!(!burst(&mut registering(20), 20, 20), "nobody knows yet what is usual");
        let mut busy = Registering::from(0, PHONE);
        (0..1200).for_each(|n| busy.note(&Thresholds::default(), n / 10));
        assert!(!burst(&mut busy, 120, 12), "it always is so");
    }

    #[test]
    fn that_a_site_comes_back_at_once_is_none() {
        assert!(!burst_of(4, &mut registering(120), 120, 40));
        let mut waves = registering(120);
        let is_storm = (0..6).any(|wave| burst_of(2, &mut waves, 120 + wave * 4, 12));
        assert!(is_storm, "whoever tries again every four seconds is sent away");
    }

    #[test]
    fn the_window_slides() {
        let mut seconds = Seconds::<10>::EMPTY;
        (0..30).for_each(|second| seconds.note(0, second));
        assert_eq!(seconds.sums(29), [10, 0]);
        assert_eq!(seconds.sums(34), [5, 0]);
        assert_eq!(seconds.sums(60), [0, 0]);
    }
}
