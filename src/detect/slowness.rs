//! Whether the PBX answers as fast as it used to, and whether only its accounts are slow (DETECTION §7.2).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::config::Thresholds;
use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::sketch::Sketch;
use crate::detect::store::FindingStore;
use crate::time::{PacketTime, Span};
use crate::track::event::{Event, ServerClass};

/// The window that is compared with what was before it, in minutes.
const WINDOW: usize = 5;
const MINUTE: Span = Span::from_secs(60);
/// How often it is looked at.
const EVERY: Span = Span::from_secs(10);
/// Looks that see the window empty itself.
const TURNS: i64 = (WINDOW as i64 + 1) * MINUTE.as_nanos() / EVERY.as_nanos();
/// Samples from which the other classes say that the PBX as a whole is well.
const SOME: u32 = 5;
/// Another class is well below that many times its baseline.
const WELL: i64 = 2;
/// PBXs watched at most.
const REMEMBERED: usize = 64;

const CLASSES: [(ServerClass, &str); 4] = [
    (ServerClass::Invite100, "INVITE until 100"),
    (ServerClass::Challenge, "challenge"),
    (ServerClass::AuthFinal, "REGISTER with credentials"),
    (ServerClass::Options, "OPTIONS"),
];

/// One class of requests to one PBX.
#[derive(Debug, Default)]
struct Class {
    minutes: [(i64, Sketch); WINDOW],
    baseline: Sketch,
}

/// What the window says beside the baseline.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    count: u32,
    median: Option<Span>,
    /// The median of what was before; `None` if that is too little.
    baseline: Option<Span>,
}

/// Watches how long PBXs take to answer.
#[derive(Debug, Default)]
pub(super) struct SlownessDetector {
    pbxs: BTreeMap<SocketAddr, [Class; CLASSES.len()]>,
    looked: Option<i64>,
    /// Nothing is looked at before.
    next: PacketTime,
}

impl SlownessDetector {
    pub(super) fn event(&mut self, thresholds: &Thresholds, event: &Event) {
        let Event::ServerResponse { class, delay, pbx, at, .. } = *event else { return };
        if self.pbxs.len() >= REMEMBERED && !self.pbxs.contains_key(&pbx) {
            return;
        }
        let classes = self.pbxs.entry(pbx).or_default();
        if let Some(class) = classes.get_mut(class as usize) {
            class.note(thresholds, delay, at);
        }
    }

    pub(super) fn advance(&mut self, thresholds: &Thresholds, now: PacketTime, findings: &mut FindingStore) {
        if now < self.next {
            return;
        }
        let turn = now.as_nanos().div_euclid(EVERY.as_nanos());
        self.next = PacketTime::from_nanos(turn.saturating_add(1).saturating_mul(EVERY.as_nanos()));
        let first = self.looked.replace(turn).map_or(turn, |looked| looked + 1);
        // Where nothing was captured the window only empties: beyond its length nothing changes any more.
        for turn in first..=turn.min(first.saturating_add(TURNS)) {
            let at = PacketTime::from_nanos(turn.saturating_mul(EVERY.as_nanos()));
            for (&pbx, classes) in &self.pbxs {
                judge(thresholds, pbx, classes.each_ref().map(|class| class.read(thresholds, at)), at, findings);
            }
        }
    }
}

impl Class {
    fn note(&mut self, thresholds: &Thresholds, delay: Span, at: PacketTime) {
        let minute = at.as_nanos().div_euclid(MINUTE.as_nanos());
        let Some((number, sketch)) = self.minutes.get_mut(minute.rem_euclid(WINDOW as i64) as usize) else { return };
        if *number != minute {
            // A minute that was slow is no measure for those after it.
            let baseline = self.baseline.median().filter(|_| self.baseline.count() >= thresholds.slow_answers);
            let is_slow = baseline.zip(sketch.median()).is_some_and(|(baseline, median)| median > limit(thresholds, baseline));
            if !is_slow {
                self.baseline.merge(sketch);
            }
            (*number, *sketch) = (minute, Sketch::default());
        }
        sketch.add(delay);
    }

    fn read(&self, thresholds: &Thresholds, now: PacketTime) -> Reading {
        let minute = now.as_nanos().div_euclid(MINUTE.as_nanos());
        let mut window = Sketch::default();
        self.minutes.iter().filter(|(number, _)| *number > minute - WINDOW as i64).for_each(|(_, sketch)| window.merge(sketch));
        let baseline = self.baseline.median().filter(|_| self.baseline.count() >= thresholds.slow_answers);
        Reading { count: window.count(), median: window.median(), baseline }
    }
}

/// From what median on a class with that baseline is slow.
fn limit(thresholds: &Thresholds, baseline: Span) -> Span {
    thresholds.slow_min.max(baseline.times(i64::from(thresholds.slow_factor)))
}

impl Reading {
    fn is_slow(&self, thresholds: &Thresholds) -> bool {
        self.count >= thresholds.slow_answers && self.stays_slow(thresholds)
    }

    /// Whether what few answers there are go on to be slow.
    fn stays_slow(&self, thresholds: &Thresholds) -> bool {
        self.median.zip(self.baseline).is_some_and(|(median, baseline)| median > limit(thresholds, baseline))
    }

    fn accounts_are_slow(&self, thresholds: &Thresholds) -> bool {
        self.count >= thresholds.slow_answers && self.accounts_stay_slow(thresholds)
    }

    fn accounts_stay_slow(&self, thresholds: &Thresholds) -> bool {
        let Some(median) = self.median else { return false };
        let slower = |baseline: Span| thresholds.slow_min.max(baseline.times(i64::from(thresholds.db_slow_factor)));
        median > thresholds.db_slow || self.baseline.is_some_and(|baseline| median > slower(baseline))
    }

    fn is_well(&self, thresholds: &Thresholds) -> bool {
        self.median.is_some_and(|median| {
            self.count >= SOME
                && median < thresholds.slow_min
                && self.baseline.is_none_or(|baseline| median < baseline.times(WELL).max(Span::from_millis(20)))
        })
    }
}

fn judge(thresholds: &Thresholds, pbx: SocketAddr, readings: [Reading; CLASSES.len()], at: PacketTime, findings: &mut FindingStore) {
    let subject = Subject::Pbx(pbx);
    let [invite, challenge, accounts, options] = readings;
    let others = [invite, challenge, options];
    let all_well =
        others.iter().all(|other| other.count < SOME || other.is_well(thresholds)) && others.iter().any(|other| other.is_well(thresholds));
    if accounts.accounts_are_slow(thresholds) && all_well {
        tell(FindingId::AuthBackendSlow, &subject, "; everything else is as fast as ever", &[(accounts, CLASSES[2].1)], at, findings);
    } else if findings.is_open(FindingId::AuthBackendSlow, &subject)
        && (!accounts.accounts_stay_slow(thresholds) || others.iter().any(|other| other.is_slow(thresholds)))
    {
        findings.clear(FindingId::AuthBackendSlow, &subject, at);
    }
    let slow: Vec<_> = readings
        .into_iter()
        .zip(CLASSES)
        .filter(|(reading, _)| reading.is_slow(thresholds))
        .map(|(reading, (_, name))| (reading, name))
        .collect();
    if others.iter().any(|other| other.is_slow(thresholds)) {
        tell(FindingId::PbxSlow, &subject, "", &slow, at, findings);
    } else if findings.is_open(FindingId::PbxSlow, &subject) && !others.iter().any(|other| other.stays_slow(thresholds)) {
        findings.clear(FindingId::PbxSlow, &subject, at);
    }
}

fn tell(id: FindingId, subject: &Subject, detail: &str, slow: &[(Reading, &str)], at: PacketTime, findings: &mut FindingStore) {
    let millis = |span: Option<Span>| span.map_or_else(|| "unknown".to_owned(), |span| format!("{} ms", span.as_nanos() / 1_000_000));
    let classes: Vec<String> = slow
        .iter()
        .map(|(reading, name)| format!("{name}: median {} (baseline {})", millis(reading.median), millis(reading.baseline)))
        .collect();
    let mut raise = Raise::new(id, subject.clone(), format!("{}{detail}", classes.join(", ")));
    if !findings.is_open(id, subject) {
        let samples: u32 = slow.iter().map(|(reading, _)| reading.count).sum();
        raise = raise.absence(at, format!("{samples} answers within 5 min: {}", classes.join(", ")));
    }
    findings.raise(raise, at);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(count: u32, median: i64, baseline: Option<i64>) -> Reading {
        Reading { count, median: Some(Span::from_millis(median)), baseline: baseline.map(Span::from_millis) }
    }

    #[test]
    fn slow_is_relative_and_absolute() {
        assert!(reading(20, 300, Some(50)).is_slow(&Thresholds::default()));
        assert!(!reading(20, 90, Some(10)).is_slow(&Thresholds::default()), "90 ms bother nobody");
        assert!(!reading(20, 500, Some(300)).is_slow(&Thresholds::default()), "it always was so");
        assert!(!reading(19, 900, Some(5)).is_slow(&Thresholds::default()), "too few to say");
        assert!(!reading(20, 900, None).is_slow(&Thresholds::default()), "nothing to compare with");
    }

    #[test]
    fn accounts_are_slow_by_themselves_only_where_the_rest_is_well() {
        let mut findings = FindingStore::default();
        let pbx: SocketAddr = "203.0.113.10:5060".parse().unwrap();
        let (well, slow) = (reading(30, 5, Some(4)), reading(30, 1800, Some(15)));
        judge(&Thresholds::default(), pbx, [well, well, slow, well], PacketTime::from_parts(600, 0), &mut findings);
        assert!(
            findings.is_open(FindingId::AuthBackendSlow, &Subject::Pbx(pbx)) && !findings.is_open(FindingId::PbxSlow, &Subject::Pbx(pbx))
        );
        judge(&Thresholds::default(), pbx, [slow, slow, slow, slow], PacketTime::from_parts(700, 0), &mut findings);
        assert!(
            !findings.is_open(FindingId::AuthBackendSlow, &Subject::Pbx(pbx)) && findings.is_open(FindingId::PbxSlow, &Subject::Pbx(pbx))
        );
        judge(&Thresholds::default(), pbx, [well; 4], PacketTime::from_parts(800, 0), &mut findings);
        assert_eq!(findings.open().count(), 0);
    }

    #[test]
    fn how_many_times_the_baseline_is_slow_is_configured() {
        let slow = |slow_factor| reading(20, 900, Some(100)).is_slow(&Thresholds { slow_factor, ..Thresholds::default() });
        assert!(slow(8) && !slow(9));
        let accounts = |db_slow_factor| {
            let thresholds = Thresholds { db_slow_factor, db_slow: Span::from_secs(60), ..Thresholds::default() };
            reading(20, 900, Some(100)).accounts_are_slow(&thresholds)
        };
        assert!(accounts(8) && !accounts(9));
    }
}
