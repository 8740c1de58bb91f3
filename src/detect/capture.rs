//! Whether the capture itself can be trusted (DETECTION §0.4).

use std::iter::successors;
use std::net::{IpAddr, SocketAddr};

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::store::FindingStore;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::triggers::{BUCKET, BUCKETS, Verdict, Way};

/// How often the self-test is read while something is captured: on whole seconds, whenever that is noticed.
const EVERY: Span = Span::from_secs(1);

/// Reads the self-test of the capture.
#[derive(Debug, Default)]
pub(super) struct CaptureDetector {
    next: Option<PacketTime>,
    missing: Vec<(IpAddr, Way)>,
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

    fn read_all(&mut self, tracker: &Tracker, now: PacketTime, findings: &mut FindingStore) {
        for address in tracker.world.triggers.addresses() {
            for way in [Way::Sent, Way::Received] {
                self.read(tracker, address, way, now, findings);
            }
        }
    }

    fn read(&mut self, tracker: &Tracker, address: IpAddr, way: Way, now: PacketTime, findings: &mut FindingStore) {
        let known = self.missing.contains(&(address, way));
        match tracker.world.triggers.verdict(address, way, now) {
            Verdict::OneWay(tally) if !known => {
                self.missing.push((address, way));
                let (lost, kept) = match way {
                    Way::Sent => ("sends", "receives"),
                    Way::Received => ("receives", "sends"),
                };
                let message = format!(
                    "capture problem: what {address} {lost} is not captured, only what it {kept} ({} of {} messages prove one that is missing); \
                     absence findings disabled",
                    tally.unseen, tally.opportunities
                );
                let raise = Raise::new(FindingId::CaptureOneWay, Subject::Pbx(pbx(tracker, address)), message).absence(
                    now,
                    format!(
                        "{} of {} messages that must have been triggered by another had a trigger that was not captured",
                        tally.unseen, tally.opportunities
                    ),
                );
                findings.raise(raise, now);
            }
            Verdict::Sound if known => {
                self.missing.retain(|&missing| missing != (address, way));
                findings.clear(FindingId::CaptureOneWay, &Subject::Pbx(pbx(tracker, address)), now);
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
