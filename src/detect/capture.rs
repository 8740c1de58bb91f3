//! Whether the capture itself can be trusted (DETECTION §0.4).

use std::net::{IpAddr, SocketAddr};

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::store::FindingStore;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::triggers::{Verdict, Way};

/// How often the self-test is read.
const EVERY: Span = Span::from_secs(1);

/// Reads the self-test of the capture.
#[derive(Debug, Default)]
pub(super) struct CaptureDetector {
    next: Option<PacketTime>,
    missing: Vec<(IpAddr, Way)>,
}

impl CaptureDetector {
    pub(super) fn advance(&mut self, tracker: &Tracker, now: PacketTime, findings: &mut FindingStore) {
        if self.next.is_some_and(|next| now < next) {
            return;
        }
        self.next = Some(now + EVERY);
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

/// The PBX with this address; on the default port where it was not learned.
fn pbx(tracker: &Tracker, address: IpAddr) -> SocketAddr {
    let known = tracker.world.peers.pbx_addresses();
    known.into_iter().find(|pbx| pbx.ip() == address).unwrap_or_else(|| SocketAddr::new(address, 5060))
}
