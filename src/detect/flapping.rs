//! Phones that lose their registration and come back again and again (DETECTION §1.5).

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use crate::config::Rate;
use crate::decode::flow::Flow;
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::finding::{Raise, Reason, Subject};
use crate::detect::registration::placed;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::{AttemptEnd, AttemptReport, Event, Sighting};
use crate::track::registration::device::Device;
use crate::track::site::Site;
use crate::track::vocabulary::RegistrationState;

/// Phones remembered at a time.
const REMEMBERED: usize = 65_536;

/// What to do where the PBX ends connections.
const PBX_ENDS: &str = "Second level: on the PBX raise the idle time-out of TCP connections above the keep-alive of the phone, or shorten that \
     keep-alive; see whether the PBX has too few connections or restarts.";
/// What to do where the phone or what is between ends them.
const PHONE_ENDS: &str = "Check the line and the router at {site}; if all is well there, see that the PBX answers the CRLF pings of the phone, \
     or turn them off.";

/// A phone that left.
#[derive(Clone, Copy, Debug)]
struct Left {
    at: Sighting,
    device: Handle,
    address: IpAddr,
    how: How,
}

/// How a phone left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum How {
    /// Its registration ran out.
    Expired,
    /// It logged off.
    Deliberately,
    /// The connection ended over which it registered.
    Disconnected {
        /// That connection.
        flow: Flow,
        /// When the phone would have registered again anyway.
        due: PacketTime,
        /// Who ended it.
        by: Side,
    },
}

/// A registration that was lost and came back.
#[derive(Clone, Copy, Debug)]
struct Return {
    lost: Sighting,
    back: Sighting,
    moved: bool,
    /// Who ended its connection, if that was how.
    disconnected_by: Option<Side>,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    Pbx,
    /// The phone, or what is between and speaks in its name.
    Phone,
}

#[derive(Debug, Default)]
struct History {
    left: Option<Left>,
    /// The latest, as many as the longest window asks for.
    returns: VecDeque<Return>,
}

/// Watches phones come and go. What a phone does by restarting, or because another device took its place, is not counted.
#[derive(Debug, Default)]
pub(super) struct FlappingDetector {
    histories: BTreeMap<Handle, History>,
    pruned: Option<PacketTime>,
}

impl FlappingDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match *event {
            Event::RegistrationState { aor, device, from: RegistrationState::Registered, to: RegistrationState::Expired, at } => {
                self.left(tracker, (aor, device), How::Expired, at);
            }
            Event::RegistrationState { aor, device, from: RegistrationState::Registered, to: RegistrationState::Unregistered, at } => {
                self.left(tracker, (aor, device), How::Deliberately, at);
            }
            Event::RegistrationState { aor, device, to: RegistrationState::Registered, at, .. } => {
                self.back(tracker, (aor, device), at, findings);
            }
            Event::ConnectionEnded { device, by, at } => self.disconnected(tracker, device, by, at),
            Event::RegistrationEnded(AttemptReport { aor, device, flow, end: AttemptEnd::Accepted, last, .. }) => {
                let left = self.histories.get(&aor).and_then(|history| history.left);
                if left.is_some_and(|left| matches!(left.how, How::Disconnected { flow: ended, .. } if ended != flow)) {
                    self.back(tracker, (aor, device), last, findings);
                }
            }
            _ => {}
        }
    }

    fn disconnected(&mut self, tracker: &Tracker, device: Handle, by: SocketAddr, at: Sighting) {
        let Some(entry) = tracker.registrations.device(device) else { return };
        let due = entry.last_accepted.time + Span::from_nanos(entry.granted.as_nanos() / 2);
        let by = if by == entry.flow.source { Side::Phone } else { Side::Pbx };
        self.left(tracker, (entry.aor, device), How::Disconnected { flow: entry.flow, due, by }, at);
    }

    fn left(&mut self, tracker: &Tracker, (aor, device): (Handle, Handle), how: How, at: Sighting) {
        let (Some(entry), Some(device_entry)) = (tracker.registrations.aor(aor), tracker.registrations.device(device)) else { return };
        let devices = || entry.devices.iter().filter_map(|device| tracker.registrations.device(*device));
        let is_another = |other: &Device| other.is_registered() && (how.ends_registration() || other.flow != device_entry.flow);
        let address = device_entry.source().ip();
        if devices().any(is_another) || device_entry.evicted || tracker.world.peers.scans(address) {
            return;
        }
        self.make_room(flaps(tracker), at.time);
        if self.histories.len() < REMEMBERED || self.histories.contains_key(&aor) {
            let left = Left { at, device, address, how };
            self.histories.entry(aor).or_default().left = Some(left);
        }
    }

    fn back(&mut self, tracker: &Tracker, (aor, device): (Handle, Handle), at: Sighting, findings: &mut FindingStore) {
        let Some(history) = self.histories.get_mut(&aor) else { return };
        let (Some(left), Some(entry)) = (history.left.take(), tracker.registrations.device(device)) else { return };
        let is_quick = at.time.since(left.at.time) <= tracker.thresholds().flap_reload;
        let (is_meant, disconnected_by) = match left.how {
            How::Expired => (false, None),
            How::Deliberately => (is_quick, None),
            // A phone that ends a connection and opens the next one at once does so on purpose.
            How::Disconnected { due, by, .. } => (is_quick && (by == Side::Phone || at.time >= due), Some(by)),
        };
        let is_anew = device != left.device || entry.restarted >= left.at.time;
        // Some phones begin anew with each connection, under another Call-ID and from another port: one that the PBX has ended is lost all
        // the same.
        let was_cut_off = disconnected_by == Some(Side::Pbx) && is_same_phone(tracker, left, entry);
        if is_meant || is_anew && !was_cut_off {
            return;
        }
        history.returns.push_back(Return { lost: left.at, back: at, moved: entry.source().ip() != left.address, disconnected_by });
        let flaps = flaps(tracker);
        if history.returns.len() > flaps.iter().map(|flap| flap.count as usize).max().unwrap_or_default() {
            history.returns.pop_front();
        }
        if let (Some((count, window)), Some(aor)) = (history.flaps(flaps, at.time), tracker.registrations.aor(aor)) {
            let raise = history.raise(&aor.name, count, window).fill(Slot::Site, Site::of(entry.source().ip()).to_string());
            findings.raise(placed(tracker, raise, entry.source()), at.time);
        }
    }

    /// Forgets who has not come back for as long as returns count, at most once a minute.
    fn make_room(&mut self, flaps: [Rate; 2], now: PacketTime) {
        let due = self.pruned.is_none_or(|pruned| now.since(pruned) >= Span::from_secs(60));
        if self.histories.len() >= REMEMBERED && due {
            self.pruned = Some(now);
            let longest = flaps.map(|flap| flap.window).into_iter().max().unwrap_or_default();
            self.histories.retain(|_, history| history.last().is_some_and(|last| now.since(last) <= longest));
        }
    }
}

/// Whether what came back is, as far as can be told, the phone that left.
fn is_same_phone(tracker: &Tracker, left: Left, back: &Device) -> bool {
    let before = tracker.registrations.device(left.device);
    back.source().ip() == left.address && before.is_some_and(|before| before.user_agent == back.user_agent)
}

/// Returns within a window that make a finding.
fn flaps(tracker: &Tracker) -> [Rate; 2] {
    [tracker.thresholds().flap, tracker.thresholds().flap_long]
}

impl How {
    /// Whether the registrar holds no binding of the phone any more.
    fn ends_registration(self) -> bool {
        !matches!(self, Self::Disconnected { .. })
    }
}

impl History {
    fn last(&self) -> Option<PacketTime> {
        self.left.map(|left| left.at.time).or_else(|| self.returns.back().map(|last| last.back.time))
    }

    /// How many returns there were within which window, if those are too many.
    fn flaps(&self, flaps: [Rate; 2], now: PacketTime) -> Option<(usize, Span)> {
        flaps.into_iter().find_map(|flap| {
            let count = self.returns.iter().filter(|back| now.since(back.lost.time) <= flap.window).count();
            flap.is_reached(count).then_some((count, flap.window))
        })
    }

    fn raise(&self, aor: &str, count: usize, window: Span) -> Raise {
        let shown = self.returns.iter().skip(self.returns.len() - count);
        let network = shown.clone().filter(|back| back.moved).count() * 2 > count;
        let ended_by = |side| shown.clone().filter(|back| back.disconnected_by == Some(side)).count() * 2 > count;
        let (cause, remedy) = match (network, ended_by(Side::Pbx), ended_by(Side::Phone)) {
            (true, _, _) => ("; the phone changes its network", None),
            (false, true, _) => ("; the PBX ends its TCP connections", Some(PBX_ENDS)),
            (false, false, true) => ("; its TCP connections are ended on its side", Some(PHONE_ENDS)),
            (false, false, false) => ("", None),
        };
        let message = format!("{aor}: {count} registration losses in {window}{cause}");
        let raise = Raise::new(FindingId::RegistrationFlapping, Subject::Aor(aor.into()), message);
        let raise = if network { raise.reason(Reason::Network) } else { raise };
        let raise = remedy.into_iter().fold(raise, Raise::remedy);
        shown.fold(raise, |raise, Return { lost, back, disconnected_by, .. }| {
            let raise = match lost.frame {
                0 => raise.absence(lost.time, "registration ran out"),
                frame if disconnected_by.is_some() => raise.evidence(lost.time, frame, "the connection ended over which it had registered"),
                frame => raise.evidence(lost.time, frame, "registration was taken back"),
            };
            raise.evidence(back.time, back.frame, "registered again")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAPS: [Rate; 2] = [Rate::new(3, Span::from_secs(900)), Rate::new(6, Span::from_secs(3600))];

    fn history(lost: &[i64]) -> History {
        let seen = |seconds| Sighting { time: PacketTime::from_parts(seconds, 0), frame: 1 };
        let returns = lost.iter().map(|&at| Return { lost: seen(at), back: seen(at + 5), moved: false, disconnected_by: None }).collect();
        History { left: None, returns }
    }

    #[test]
    fn three_in_a_quarter_of_an_hour_or_six_in_an_hour_are_too_many() {
        let now = PacketTime::from_parts(3600, 0);
        assert_eq!(history(&[3000, 3200, 3400]).flaps(FLAPS, now), Some((3, Span::from_secs(900))));
        assert_eq!(history(&[100, 700, 1300, 1900, 2500, 3100]).flaps(FLAPS, now), Some((6, Span::from_secs(3600))));
    }

    #[test]
    fn fewer_or_rarer_ones_are_not() {
        let now = PacketTime::from_parts(3600, 0);
        assert_eq!(history(&[3200, 3400]).flaps(FLAPS, now), None);
        assert_eq!(history(&[1000, 2000, 3000]).flaps(FLAPS, now), None);
    }
}
