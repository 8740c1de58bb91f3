//! Whether the capture itself can be trusted (DETECTION §0.1, §0.4 and §0.6).

use std::iter::successors;
use std::net::{IpAddr, SocketAddr};

use crate::decode::signal::Signal;
use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject, counted};
use crate::detect::store::FindingStore;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::{Event, Sighting};
use crate::track::triggers::{BUCKET, BUCKETS, Tally, Verdict, Way};

/// How often the self-test is read while something is captured: on whole seconds, whenever that is noticed.
const EVERY: Span = Span::from_secs(1);
/// How often it is told that a direction is still missing; the finding lasts longer than that by itself.
const TOLD_AGAIN: Span = Span::from_secs(3600);

/// Reads the self-test of the capture.
#[derive(Debug, Default)]
pub(super) struct CaptureDetector {
    next: Option<PacketTime>,
    missing: Vec<(IpAddr, Way)>,
    lossy: Vec<(IpAddr, Way)>,
}

impl CaptureDetector {
    pub(super) fn advance(&mut self, tracker: &Tracker, now: PacketTime, findings: &mut FindingStore) {
        let Some(first) = self.next.filter(|first| *first <= now) else {
            self.next.get_or_insert_with(|| after(now, EVERY));
            return;
        };
        // Since the first reading nothing was captured; what it says changes only where a part of it grows too old.
        let readings = successors(Some(first), |due| Some(after(*due, BUCKET))).take(BUCKETS + 1);
        for due in readings.take_while(|due| *due <= now) {
            self.read_all(tracker, due, findings);
        }
        self.next = Some(after(now, EVERY));
    }

    pub(super) fn event(&self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        let Event::Noticed { signal, at } = event else { return };
        match *signal {
            Signal::Dropped(packets) => {
                let dropped = counted(packets, "packet was", "packets were");
                let message = format!("capture problem: {dropped} dropped; absence findings disabled meanwhile");
                let raise = Raise::new(FindingId::CaptureLossy, whole(tracker), message);
                let fact = format!("{} dropped since the last count", counted(packets, "packet", "packets"));
                findings.raise(raise.absence(at.time, fact), at.time);
            }
            Signal::Hole { last, .. } => stalled(tracker, last, *at, findings),
            Signal::ClockStep { by } => {
                let message = format!("capture problem: the clock went back by {by}; absence findings across the step disabled");
                let raise = Raise::new(FindingId::ClockStepped, whole(tracker), message);
                findings.raise(raise.absence(at.time, format!("the next packet is stamped {by} earlier")), at.time);
            }
            _ => {}
        }
    }

    /// Tells once, until the direction is sound again.
    fn lossy(&mut self, tracker: &Tracker, address: IpAddr, way: Way, tally: Tally, now: PacketTime, findings: &mut FindingStore) {
        if self.lossy.contains(&(address, way)) {
            return;
        }
        self.lossy.push((address, way));
        let Tally { unseen, opportunities, .. } = tally;
        let what = if way == Way::Sent { "sends" } else { "receives" };
        let message = format!(
            "capture problem: part of what {address} {what} is not captured ({unseen} of {opportunities} messages prove one that is missing)"
        );
        let raise = Raise::new(FindingId::CaptureLossy, Subject::Pbx(pbx(tracker, address)), message);
        findings.raise(raise.absence(now, format!("{unseen} of {opportunities} triggers were not captured")), now);
    }

    fn read_all(&mut self, tracker: &Tracker, now: PacketTime, findings: &mut FindingStore) {
        for address in tracker.world.triggers.addresses() {
            for way in [Way::Sent, Way::Received] {
                self.read(tracker, address, way, now, findings);
            }
        }
    }

    fn read(&mut self, tracker: &Tracker, address: IpAddr, way: Way, now: PacketTime, findings: &mut FindingStore) {
        let verdict = tracker.world.triggers.verdict(address, way, tracker.thresholds(), now);
        if matches!(verdict, Verdict::Sound | Verdict::Unclear) {
            self.lossy.retain(|&lossy| lossy != (address, way));
        }
        let known = self.missing.contains(&(address, way));
        let other_way = if way == Way::Sent { Way::Received } else { Way::Sent };
        let subject = || Subject::Pbx(pbx(tracker, address));
        match verdict {
            Verdict::OneWay(tally) if !known || now.since(findings.told(FindingId::CaptureOneWay, &subject())) >= TOLD_AGAIN => {
                if !known {
                    self.missing.push((address, way));
                }
                let (lost, kept) = match way {
                    Way::Sent => ("sends", "receives"),
                    Way::Received => ("receives", "sends"),
                };
                let message = format!(
                    "capture problem: what {address} {lost} is not captured, only what it {kept} ({} of {} messages prove one that is missing); \
                     absence findings disabled",
                    tally.unseen, tally.opportunities
                );
                let raise = Raise::new(FindingId::CaptureOneWay, subject(), message).absence(
                    now,
                    format!(
                        "{} of {} messages that must have been triggered by another had a trigger that was not captured",
                        tally.unseen, tally.opportunities
                    ),
                );
                findings.raise(raise, now);
                // Of a direction that is missing it is no news that part of it is.
                if !self.lossy.contains(&(address, other_way)) {
                    findings.replace((FindingId::CaptureOneWay, &subject()), (FindingId::CaptureLossy, &subject()), now);
                }
            }
            Verdict::Lossy(_) if known => {}
            Verdict::Lossy(tally) => self.lossy(tracker, address, way, tally, now, findings),
            Verdict::Sound if known => {
                self.missing.retain(|&missing| missing != (address, way));
                findings.clear(FindingId::CaptureOneWay, &subject(), now);
            }
            _ => {}
        }
    }
}

/// The first whole multiple of `unit` after `time`.
fn after(time: PacketTime, unit: Span) -> PacketTime {
    let unit = unit.as_nanos();
    PacketTime::from_nanos(time.as_nanos().div_euclid(unit).saturating_add(1).saturating_mul(unit))
}

/// Nothing was captured since `from`; the frame that ends the silence ends the finding. Where no PBX is known the file
/// may be a collection of samples, and silence says nothing.
fn stalled(tracker: &Tracker, last: PacketTime, at: Sighting, findings: &mut FindingStore) {
    let long = tracker.thresholds().capture_hole;
    let Some(subject) = pbx_known(tracker).filter(|_| at.time.since(last) >= long) else { return };
    // To the second: a copy of the last frame makes no difference.
    let last = PacketTime::from_parts(last.as_nanos().div_euclid(1_000_000_000), 0);
    if !findings.is_open(FindingId::CaptureStalled, &subject) {
        let since = tracker.clock(last);
        let message = format!("capture problem: no packet at all since {since}; absence findings disabled meanwhile");
        let raise = Raise::new(FindingId::CaptureStalled, subject.clone(), message);
        findings.raise(raise.absence(last, "the last packet before the silence"), (last + long).min(at.time));
    }
    if at.frame != 0 {
        findings.clear(FindingId::CaptureStalled, &subject, at.time);
    }
}

/// What the whole capture is about: its PBX, if one is known.
fn whole(tracker: &Tracker) -> Subject {
    pbx_known(tracker).unwrap_or(Subject::Capture)
}

fn pbx_known(tracker: &Tracker) -> Option<Subject> {
    tracker.world.peers.pbx_addresses().first().map(|pbx| Subject::Pbx(*pbx))
}

/// The PBX with this address; on the default port where it was not learned.
fn pbx(tracker: &Tracker, address: IpAddr) -> SocketAddr {
    let known = tracker.world.peers.pbx_addresses();
    known.into_iter().find(|pbx| pbx.ip() == address).unwrap_or_else(|| SocketAddr::new(address, 5060))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_fall_on_whole_units() {
        let at = |millis| PacketTime::default() + Span::from_millis(millis);
        assert_eq!(after(at(1_500), EVERY), at(2_000));
        assert_eq!(after(at(2_000), EVERY), at(3_000));
        assert_eq!(after(at(-1_500), EVERY), at(-1_000));
        assert_eq!(after(at(61_000), BUCKET), at(120_000));
        assert_eq!(after(PacketTime::MAX, BUCKET), PacketTime::MAX);
    }
}
