//! Whether the PBX forgot what it knew, as it does when it starts again (DETECTION §7.5).

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use crate::config::Rate;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::detectors::Routed;
use crate::detect::finding::{Raise, Standing, Subject, counted};
use crate::detect::parties::standing;
use crate::detect::store::FindingStore;
use crate::sip::message::Kind;
use crate::sip::method::Method;
use crate::time::{PacketTime, Span};
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::{Confidence, Direction};
use crate::track::{Novelty, Tracker};

/// Signs that must agree.
const SIGNS: usize = 2;
/// How soon after its silence it looks for its phones.
const LOOKS: Span = Span::from_secs(10);
/// Old nonces that must have been accepted before, so that refused ones say something: many PBXs take each nonce once.
const NONCES_GOOD: u32 = 3;
/// Signs remembered of a PBX.
const KEPT: usize = 256;
/// PBXs watched at most.
const REMEMBERED: usize = 64;

/// What speaks for a restart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sign {
    /// 481 to a request inside a dialog.
    Forgotten,
    /// 481 or 489 to the refresh of a subscription.
    Unsubscribed,
    /// A nonce that was not good any more, where old nonces ordinarily are.
    Nonce,
    /// OPTIONS or NOTIFY after a silence.
    Woken,
    /// The PBX registers elsewhere under a new Call-ID and counts from the start.
    Registers,
}

impl Sign {
    const ALL: [Self; 5] = [Self::Forgotten, Self::Unsubscribed, Self::Nonce, Self::Woken, Self::Registers];

    /// The sign at so many peers, as it completes "restart inferred from …".
    fn told(self, peers: usize) -> String {
        let devices = counted(peers as u64, "device", "devices");
        match self {
            Self::Forgotten => format!("481 to {devices}"),
            Self::Unsubscribed => format!("lost subscriptions of {devices}"),
            Self::Nonce => format!("old nonces of {devices} refused"),
            Self::Woken => format!("OPTIONS to {devices} after a silence"),
            Self::Registers => "its own registrations begun anew".to_owned(),
        }
    }

    fn fact(self, peer: SocketAddr) -> String {
        match self {
            Self::Forgotten => format!("481 to {peer}"),
            Self::Unsubscribed => format!("the subscription of {peer} is not known"),
            Self::Nonce => format!("the nonce of {peer} is not good any more"),
            Self::Woken => format!("looks for {peer} after a silence"),
            Self::Registers => format!("REGISTER to {peer} with a new Call-ID and CSeq from the start"),
        }
    }
}

#[derive(Debug)]
struct Watched {
    pbx: SocketAddr,
    spoke: PacketTime,
    woke: Option<PacketTime>,
    /// Old nonces accepted since the last one that was refused.
    nonces_good: u32,
    /// Whether enough had been accepted before the refusals of the present window.
    nonces_count: bool,
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
        (kind, method): (Kind, Method),
        novelty: Novelty,
        Routed { flow, direction }: Routed,
        at: Sighting,
        findings: &mut FindingStore,
    ) {
        if direction != Direction::Out || tracker.world.peers.scans(flow.destination.ip()) {
            return;
        }
        let Some(watched) = self.watch(flow.source, at.time) else { return };
        watched.spoke(tracker.thresholds().restart_silence, at.time);
        let sign = match kind {
            _ if novelty != Novelty::Distinct => return,
            Kind::Response(481 | 489) if method == Method::Subscribe => Sign::Unsubscribed,
            Kind::Response(481) => Sign::Forgotten,
            Kind::Request(Method::Options | Method::Notify) if watched.is_waking(at.time) => Sign::Woken,
            _ => return,
        };
        // What was never there for a stranger was not forgotten.
        if matches!(kind, Kind::Response(_)) && standing(tracker, flow.destination.ip()) == Standing::Stranger {
            return;
        }
        watched.sign(tracker, sign, flow.destination, at, findings);
    }

    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::OldNonce { pbx, client, accepted, at } if standing(tracker, client.ip()) == Standing::Known => {
                let Some(watched) = self.watch(pbx, at.time) else { return };
                if watched.old_nonce(accepted) {
                    watched.sign(tracker, Sign::Nonce, client, at, findings);
                }
            }
            Event::DeviceRestarted { flow, at, .. } if tracker.world.peers.direction(flow) == Direction::Out => {
                let Some(watched) = self.watch(flow.source, at.time) else { return };
                watched.sign(tracker, Sign::Registers, flow.destination, at, findings);
            }
            _ => {}
        }
    }

    fn watch(&mut self, pbx: SocketAddr, now: PacketTime) -> Option<&mut Watched> {
        let position = match self.watched.iter().position(|watched| watched.pbx == pbx) {
            Some(position) => position,
            None if self.watched.len() < REMEMBERED => {
                self.watched.push(Watched { pbx, spoke: now, woke: None, nonces_good: 0, nonces_count: false, signs: VecDeque::new() });
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

    /// Takes note of what became of an old nonce; tells whether that is a sign.
    fn old_nonce(&mut self, accepted: bool) -> bool {
        if accepted {
            self.nonces_good = self.nonces_good.saturating_add(1);
            self.nonces_count = false;
            return false;
        }
        self.nonces_count |= self.nonces_good >= NONCES_GOOD;
        self.nonces_good = 0;
        self.nonces_count
    }

    fn sign(&mut self, tracker: &Tracker, sign: Sign, device: SocketAddr, at: Sighting, findings: &mut FindingStore) {
        let restart = tracker.thresholds().restart;
        self.note(sign, device, restart.window, at);
        if self.has_restarted(restart) {
            findings.raise(self.raise(tracker, at.time), at.time);
            self.signs.clear();
        }
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

    /// The signs that concern enough peers each.
    fn clear_signs(&self, restart: Rate) -> impl Iterator<Item = Sign> {
        Sign::ALL.into_iter().filter(move |&sign| match sign {
            Sign::Registers => self.devices(sign) > 0,
            _ => restart.is_reached(self.devices(sign)),
        })
    }

    /// Whether two signs agree, over enough devices.
    fn has_restarted(&self, restart: Rate) -> bool {
        let all: BTreeSet<_> = self.signs.iter().map(|(_, device, _)| device).collect();
        self.clear_signs(restart).count() >= SIGNS && restart.is_reached(all.len())
    }

    fn raise(&self, tracker: &Tracker, now: PacketTime) -> Raise {
        let restart = tracker.thresholds().restart;
        let since = self.woke.filter(|woke| now.since(*woke) <= restart.window).unwrap_or(now);
        let told: Vec<_> = self.clear_signs(restart).map(|sign| sign.told(self.devices(sign))).collect();
        let message = format!("{}: restart inferred from {}", self.pbx, told.join(" and "));
        let raise = Raise::new(FindingId::PbxRestarted, Subject::Pbx(self.pbx), message)
            .confidence(Confidence::Probable)
            .fill(Slot::Pbx, self.pbx.to_string())
            .fill(Slot::Time, tracker.clock(since));
        self.signs.iter().fold(raise, |raise, (sign, device, at)| raise.evidence(at.time, at.frame, sign.fact(*device)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESTART: Rate = Rate::new(3, Span::from_secs(60));

    fn watched(forgotten: u16, woken: u16) -> Watched {
        let pbx = "203.0.113.10:5060".parse().unwrap();
        let mut watched =
            Watched { pbx, spoke: PacketTime::from_parts(0, 0), woke: None, nonces_good: 0, nonces_count: false, signs: VecDeque::new() };
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
    fn its_own_registration_is_a_sign_at_a_single_carrier() {
        let mut restarted = watched(3, 0);
        let at = Sighting { time: PacketTime::from_parts(100, 0), frame: 1 };
        restarted.note(Sign::Registers, "192.0.2.50:5060".parse().unwrap(), RESTART.window, at);
        assert!(restarted.has_restarted(RESTART));
        let mut alone = watched(0, 0);
        alone.note(Sign::Registers, "192.0.2.50:5060".parse().unwrap(), RESTART.window, at);
        assert!(!alone.has_restarted(RESTART));
    }

    #[test]
    fn refused_nonces_say_something_only_where_old_ones_used_to_be_good() {
        let mut once_only = watched(0, 0);
        assert!((0..10).all(|_| !once_only.old_nonce(false)), "a PBX that takes each nonce once");
        let mut patient = watched(0, 0);
        assert!((0..3).all(|_| !patient.old_nonce(true)));
        assert!(patient.old_nonce(false) && patient.old_nonce(false));
        assert!(!patient.old_nonce(true));
        assert!(!patient.old_nonce(false), "nonces age one by one");
    }

    #[test]
    fn old_signs_are_forgotten() {
        let mut watched = watched(3, 0);
        let late = Sighting { time: PacketTime::from_parts(200, 0), frame: 2 };
        (0..3).for_each(|port| watched.note(Sign::Woken, SocketAddr::new("198.51.100.7".parse().unwrap(), port), RESTART.window, late));
        assert!(!watched.has_restarted(RESTART));
    }
}
