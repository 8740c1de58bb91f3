//! What the PBX's probes of a phone show beside its NAT: lag, loss, and phones that ignore them (DETECTION §2.7, §3.3).

use std::collections::BTreeMap;

use crate::config::Thresholds;
use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::nat;
use crate::detect::registration::placed;
use crate::detect::sleep::Sleepers;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::{Event, ProbeResult, Sighting};
use crate::track::nat::event::NatEvent;
use crate::track::vocabulary::Reachability;

/// Answered probes after which older ones count half.
const MEMORY: u32 = 400;
/// By what factor and time the silence before lost probes may exceed that before others, for loss to be independent of it.
const INDEPENDENT: (f64, f64) = (1.5, 2.0);
/// Devices remembered.
const REMEMBERED: usize = 65_536;

/// The probes of one device.
#[derive(Clone, Debug, Default)]
struct Record {
    lagged_run: u32,
    answered: u32,
    lagged: u32,
    repeated: u32,
    /// Seconds of silence before probes that were answered at once, and before those that needed a repeat.
    silence: (f64, f64),
    is_lagged: bool,
    ignores: bool,
}

impl Record {
    fn note(&mut self, result: ProbeResult, silence: Span) {
        if self.answered >= MEMORY {
            for count in [&mut self.answered, &mut self.lagged, &mut self.repeated] {
                *count /= 2;
            }
            self.silence = (self.silence.0 / 2.0, self.silence.1 / 2.0);
        }
        self.lagged_run = if result == ProbeResult::Lagged { self.lagged_run + 1 } else { 0 };
        self.answered += 1;
        self.lagged += u32::from(result == ProbeResult::Lagged);
        if result == ProbeResult::Late {
            self.repeated += 1;
            self.silence.1 += silence.as_secs_f64();
        } else {
            self.silence.0 += silence.as_secs_f64();
        }
    }

    fn lags(&self, thresholds: &Thresholds) -> bool {
        let share = thresholds.lagged_share.is_reached(self.lagged as usize, self.answered as usize);
        let many = self.answered >= thresholds.lagged_answers && share;
        self.lagged_run >= thresholds.lagged_run || (many && self.lagged_run > 0)
    }

    /// The share of probes that needed a repeat, if that is loss: more than chance, and not a matter of the silence before.
    fn loss(&self, thresholds: &Thresholds) -> Option<f64> {
        let share = f64::from(self.repeated) / f64::from(self.answered.max(1));
        let counts = self.answered >= thresholds.probe_loss_probes && self.repeated >= thresholds.probe_loss_repeats;
        let enough = counts && share > thresholds.probe_loss.get();
        let before_repeated = self.silence.1 / f64::from(self.repeated.max(1));
        let before_others = self.silence.0 / f64::from((self.answered - self.repeated).max(1));
        let independent = before_repeated <= INDEPENDENT.0 * before_others + INDEPENDENT.1;
        (enough && independent).then_some(share)
    }
}

/// Watches the probes of devices.
#[derive(Debug, Default)]
pub(super) struct ProbeDetector {
    records: BTreeMap<Handle, Record>,
    sleepers: Sleepers,
}

impl ProbeDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::Probe { device, result, rtt, sent, silence } if result != ProbeResult::Lost => {
                self.answered(tracker, device, result, rtt, silence, sent, findings);
            }
            Event::Nat(NatEvent::ProbesIgnored { device, site, silence, at }) => {
                if let Some(silence) = silence {
                    self.ignored(tracker, device, silence, at, findings);
                }
                nat::refresh(tracker, site, at.time, findings);
            }
            Event::Reachability { device, from, to, at, last_rtt, .. } => {
                peer_state(tracker, device, from, to, at, last_rtt, findings);
                match (from, to) {
                    (_, Reachability::Unreachable) => self.sleepers.gone(device, at.time),
                    (Reachability::Unreachable, _) => self.sleepers.returned(tracker, device, at, findings),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn record(&mut self, device: Handle) -> Option<&mut Record> {
        if self.records.len() >= REMEMBERED && !self.records.contains_key(&device) {
            self.records.pop_first();
        }
        Some(self.records.entry(device).or_default())
    }

    #[expect(clippy::too_many_arguments, reason = "these are the fields of one event")]
    fn answered(
        &mut self,
        tracker: &Tracker,
        device: Handle,
        result: ProbeResult,
        rtt: Option<Span>,
        silence: Span,
        sent: Sighting,
        findings: &mut FindingStore,
    ) {
        let thresholds = tracker.thresholds();
        let Some(record) = self.record(device) else { return };
        record.note(result, silence);
        let now = sent.time + rtt.unwrap_or(Span::ZERO);
        let recovered = result == ProbeResult::Ok && std::mem::take(&mut record.is_lagged);
        let answers_again = std::mem::take(&mut record.ignores);
        let (lags, loss, answered) = (record.lags(thresholds), record.loss(thresholds), record.answered);
        record.is_lagged |= lags;
        let loss = loss.filter(|_| result == ProbeResult::Late);
        if !(recovered || answers_again || lags || loss.is_some()) {
            return;
        }
        let Some(aor) = aor(tracker, device) else { return };
        let millis = rtt.unwrap_or(Span::ZERO).as_nanos() / 1_000_000;
        if recovered {
            findings.clear(FindingId::PeerLagged, &Subject::Aor(aor.clone()), now);
        }
        if answers_again {
            findings.clear(FindingId::OptionsUnsupported, &Subject::Aor(aor.clone()), now);
        }
        if lags {
            let message = format!("{aor}: OPTIONS RTT {millis} ms (limit {})", limit(tracker));
            let raise = Raise::new(FindingId::PeerLagged, Subject::Aor(aor.clone()), message);
            let raise = raise.evidence(sent.time, sent.frame, format!("OPTIONS, answered after {millis} ms"));
            raise_of(tracker, device, raise, now, findings);
        }
        if let Some(share) = loss {
            let percent = share * 100.0;
            let message = format!("{aor}: {percent:.0} % of {answered} probes needed retransmission, independent of idle age");
            let raise = Raise::new(FindingId::ProbeLoss, Subject::Aor(aor), message);
            let raise = raise.evidence(sent.time, sent.frame, format!("OPTIONS after {silence} of silence, answered only when repeated"));
            raise_of(tracker, device, raise, now, findings);
        }
    }

    fn ignored(&mut self, tracker: &Tracker, device: Handle, silence: Span, at: Sighting, findings: &mut FindingStore) {
        let Some(aor) = aor(tracker, device) else { return };
        if let Some(record) = self.record(device) {
            record.ignores = true;
        }
        let sent = tracker.registrations.device(device).map_or(0, |device| device.probes.sent);
        let message = format!("{aor}: answers none of {sent} OPTIONS but other requests after {silence} of silence");
        let subject = Subject::Aor(aor);
        let raise = Raise::new(FindingId::OptionsUnsupported, subject.clone(), message);
        raise_of(tracker, device, raise.evidence(at.time, at.frame, "answer to another request"), at.time, findings);
        findings.replace((FindingId::OptionsUnsupported, &subject), (FindingId::PeerUnreachable, &subject), at.time);
        if !nat::is_forgotten(tracker, device) {
            findings.replace((FindingId::OptionsUnsupported, &subject), (FindingId::NatBindingTimeout, &subject), at.time);
        }
    }
}

/// What the PBX would log (DETECTION §3.2).
fn peer_state(
    tracker: &Tracker,
    device: Handle,
    from: Reachability,
    to: Reachability,
    at: Sighting,
    last_rtt: Option<Span>,
    findings: &mut FindingStore,
) {
    let troubled = |state| matches!(state, Reachability::Unreachable | Reachability::Lagged);
    let Some(entry) = tracker.registrations.device(device).filter(|_| troubled(from) || troubled(to)) else { return };
    let Some(aor) = tracker.registrations.aor(entry.aor) else { return };
    let user = aor.user();
    let millis = |rtt: Option<Span>| rtt.map_or(0, |rtt| rtt.as_nanos() / 1_000_000);
    let line = match to {
        Reachability::Unreachable => format!("Peer '{user}' is now UNREACHABLE!  Last qualify: {}", millis(last_rtt)),
        Reachability::Lagged => format!("Peer '{user}' is now Lagged. ({}ms / {}ms)", millis(entry.probes.last_rtt), limit(tracker)),
        Reachability::Reachable => format!("Peer '{user}' is now Reachable. ({}ms / {}ms)", millis(entry.probes.last_rtt), limit(tracker)),
        Reachability::Unknown => return,
    };
    let raise = Raise::new(FindingId::PeerState, Subject::Aor(aor.name.clone()), format!("as-pbx-log: {line}"));
    let raise = match at.frame {
        0 => raise.absence(at.time, line),
        frame => raise.evidence(at.time, frame, line),
    };
    raise_of(tracker, device, raise, at.time, findings);
}

/// Milliseconds after which an answer is late.
fn limit(tracker: &Tracker) -> i64 {
    tracker.thresholds().qualify_max.as_nanos() / 1_000_000
}

fn raise_of(tracker: &Tracker, device: Handle, raise: Raise, now: PacketTime, findings: &mut FindingStore) {
    if let Some(entry) = tracker.registrations.device(device) {
        findings.raise(placed(tracker, raise, entry.source()), now);
    }
}

fn aor(tracker: &Tracker, device: Handle) -> Option<Box<str>> {
    let aor = tracker.registrations.device(device)?.aor;
    Some(tracker.registrations.aor(aor)?.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Ratio;

    fn secs(seconds: i64) -> Span {
        Span::from_secs(seconds)
    }

    #[test]
    fn three_late_answers_in_a_row_are_lag_and_one_is_not() {
        let mut record = Record::default();
        record.note(ProbeResult::Lagged, secs(10));
        assert!(!record.lags(&Thresholds::default()));
        record.note(ProbeResult::Lagged, secs(10));
        record.note(ProbeResult::Lagged, secs(10));
        assert!(record.lags(&Thresholds::default()));
        record.note(ProbeResult::Ok, secs(10));
        assert!(!record.lags(&Thresholds::default()));
    }

    #[test]
    fn loss_at_any_silence_is_loss_and_loss_after_long_ones_is_not() {
        let probes = |silence_of_lost: i64| {
            let mut record = Record::default();
            for n in 0..100 {
                let (result, silence) = if n % 10 == 0 { (ProbeResult::Late, silence_of_lost) } else { (ProbeResult::Ok, 12) };
                record.note(result, secs(silence));
            }
            record.loss(&Thresholds::default())
        };
        assert_eq!(probes(13), Some(0.1));
        assert_eq!(probes(50), None);
    }

    #[test]
    fn few_probes_say_nothing_of_loss() {
        let mut record = Record::default();
        for n in 0..40 {
            record.note(if n % 4 == 0 { ProbeResult::Late } else { ProbeResult::Ok }, secs(10));
        }
        assert_eq!(record.loss(&Thresholds::default()), None);
    }

    #[test]
    fn the_share_of_late_answers_that_is_lag_is_configured() {
        let mut record = Record::default();
        for n in 0..20 {
            record.note(if n % 5 == 4 { ProbeResult::Lagged } else { ProbeResult::Ok }, secs(10));
        }
        let lags = |percent| record.lags(&Thresholds { lagged_share: Ratio::from_percent(percent), ..Thresholds::default() });
        assert!(lags(20) && !lags(21));
    }
}
