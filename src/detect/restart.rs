//! Whether the PBX forgot what it knew, as it does when it starts again (DETECTION §7.5).

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use crate::config::{Rate, Thresholds};
use crate::decode::flow::Flow;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Subject};
use crate::detect::store::FindingStore;
use crate::sip::message::Kind;
use crate::sip::method::Method;
use crate::time::{PacketTime, Span};
use crate::track::event::Sighting;
use crate::track::vocabulary::{Confidence, Direction};
use crate::track::{Novelty, Tracker};

/// How soon after its silence it looks for its phones.
const LOOKS: Span = Span::from_secs(10);
/// Signs remembered of a PBX.
const KEPT: usize = 256;
/// PBXs watched at most.
const REMEMBERED: usize = 64;

/// What speaks for a restart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sign {
    /// 481 to a request inside a dialog, or 489 to a subscription.
    Forgotten,
    /// OPTIONS or NOTIFY after a silence.
    Woken,
}

#[derive(Debug)]
struct Watched {
    pbx: SocketAddr,
    spoke: PacketTime,
    woke: Option<PacketTime>,
    signs: VecDeque<(Sign, SocketAddr, Sighting)>,
}

/// Watches PBXs for signs of a restart.
#[derive(Debug, Default)]
pub(super) struct RestartDetector {
    watched: Vec<Watched>,
}

impl RestartDetector {
    pub(super) fn message(
        &mut self,
        tracker: &Tracker,
        kind: Kind,
        novelty: Novelty,
        flow: Flow,
        at: Sighting,
        findings: &mut FindingStore,
    ) {
        let peers = &tracker.world.peers;
        if peers.direction(flow) != Direction::Out || peers.scans(flow.destination.ip()) {
            return;
        }
        let Some(watched) = self.watch(flow.source, at.time) else { return };
        let Thresholds { restart, restart_silence, .. } = *tracker.thresholds();
        watched.spoke(restart_silence, at.time);
        let sign = match kind {
            _ if novelty != Novelty::Distinct => return,
            Kind::Response(481 | 489) => Sign::Forgotten,
            Kind::Request(Method::Options | Method::Notify) if watched.is_waking(at.time) => Sign::Woken,
            _ => return,
        };
        watched.note(sign, flow.destination, restart.window, at);
        if watched.has_restarted(restart) {
            findings.raise(watched.raise(tracker, at.time), at.time);
            watched.signs.clear();
        }
    }

    fn watch(&mut self, pbx: SocketAddr, now: PacketTime) -> Option<&mut Watched> {
        let position = match self.watched.iter().position(|watched| watched.pbx == pbx) {
            Some(position) => position,
            None if self.watched.len() < REMEMBERED => {
                self.watched.push(Watched { pbx, spoke: now, woke: None, signs: VecDeque::new() });
                self.watched.len() - 1
            }
            None => return None,
        };
        self.watched.get_mut(position)
    }
}

impl Watched {
    fn spoke(&mut self, silence: Span, now: PacketTime) {
        if now.since(self.spoke) >= silence {
            self.woke = Some(now);
        }
        self.spoke = now;
    }

    fn is_waking(&self, now: PacketTime) -> bool {
        self.woke.is_some_and(|woke| now.since(woke) <= LOOKS)
    }

    fn note(&mut self, sign: Sign, device: SocketAddr, within: Span, at: Sighting) {
        while self.signs.len() >= KEPT || self.signs.front().is_some_and(|(_, _, first)| at.time.since(first.time) > within) {
            self.signs.pop_front();
        }
        self.signs.push_back((sign, device, at));
    }

    fn devices(&self, sign: Sign) -> usize {
        self.signs.iter().filter(|(known, ..)| *known == sign).map(|(_, device, _)| device).collect::<BTreeSet<_>>().len()
    }

    /// Whether both signs concern enough devices.
    fn has_restarted(&self, restart: Rate) -> bool {
        [Sign::Forgotten, Sign::Woken].into_iter().all(|sign| restart.is_reached(self.devices(sign)))
    }

    fn raise(&self, tracker: &Tracker, now: PacketTime) -> Raise {
        let woke = self.woke.unwrap_or(now);
        let message = format!(
            "{}: restart inferred from 481 to {} devices and OPTIONS to {} devices after a silence",
            self.pbx,
            self.devices(Sign::Forgotten),
            self.devices(Sign::Woken)
        );
        let raise = Raise::new(FindingId::PbxRestarted, Subject::Pbx(self.pbx), message)
            .confidence(Confidence::Probable)
            .fill(Slot::Pbx, self.pbx.to_string())
            .fill(Slot::Time, tracker.printed(woke).to_string());
        self.signs.iter().fold(raise, |raise, (sign, device, at)| {
            let fact = match sign {
                Sign::Forgotten => format!("481 to {device}"),
                Sign::Woken => format!("looks for {device} after a silence"),
            };
            raise.evidence(at.time, at.frame, fact)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTART: Rate = Rate::new(3, Span::from_secs(60));

    fn watched(forgotten: u16, woken: u16) -> Watched {
        let pbx = "203.0.113.10:5060".parse().unwrap();
        let mut watched = Watched { pbx, spoke: PacketTime::from_parts(0, 0), woke: None, signs: VecDeque::new() };
        let at = Sighting { time: PacketTime::from_parts(100, 0), frame: 1 };
        let device = |port| SocketAddr::new("198.51.100.7".parse().unwrap(), 40_000 + port);
        (0..forgotten).for_each(|port| watched.note(Sign::Forgotten, device(port), RESTART.window, at));
        (0..woken).for_each(|port| watched.note(Sign::Woken, device(port), RESTART.window, at));
        watched
    }

    #[test]
    fn two_signs_over_three_devices_are_a_restart() {
        assert!(watched(3, 3).has_restarted(RESTART));
    }

    #[test]
    fn one_sign_alone_or_too_few_devices_are_none() {
        assert!(!watched(12, 0).has_restarted(RESTART), "calls can be lost otherwise");
        assert!(!watched(0, 12).has_restarted(RESTART), "a small PBX is silent between its rounds");
        assert!(!watched(2, 12).has_restarted(RESTART));
    }

    #[test]
    fn old_signs_are_forgotten() {
        let mut watched = watched(3, 0);
        let late = Sighting { time: PacketTime::from_parts(200, 0), frame: 2 };
        (0..3).for_each(|port| watched.note(Sign::Woken, SocketAddr::new("198.51.100.7".parse().unwrap(), port), RESTART.window, late));
        assert!(!watched.has_restarted(RESTART));
    }
}
