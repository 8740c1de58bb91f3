//! Phones that fall silent and come back by themselves, as sleeping devices do (DETECTION §2.7).

use std::collections::{BTreeMap, VecDeque};

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::registration::placed;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::Sighting;
use crate::track::nat::verdict;
use crate::track::registration::changes::Change;
use crate::track::registration::device::Device;
use crate::track::site::Site;
use crate::track::vocabulary::{BehindNat, Confidence, Reachability};

/// Devices remembered.
const REMEMBERED: usize = 65_536;
/// Naps of a device remembered: more than there is time for within an hour, as each takes the PBX some seconds to see.
const NAPS: usize = 1024;
/// Silences of a sleeper in keep-alive intervals: two keep-alives and more are missing, which one lost packet does not explain.
const OVERDUE: f64 = 2.2;

/// A return from silence.
#[derive(Clone, Copy, Debug)]
struct Nap {
    back: PacketTime,
    /// The longest silence of the phone in it, where that is followed.
    silence: Option<Span>,
}

/// Watches how phones come and go.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    down: BTreeMap<Handle, PacketTime>,
    naps: BTreeMap<Handle, VecDeque<Nap>>,
}

impl Sleepers {
    /// The PBX holds a phone for gone.
    pub(super) fn gone(&mut self, device: Handle, now: PacketTime) {
        if self.down.len() >= REMEMBERED {
            self.down.pop_first();
        }
        self.down.insert(device, now);
    }

    /// A phone came back: it may have slept, where neither its NAT, nor a restart, nor its site explains the silence.
    pub(super) fn returned(&mut self, tracker: &Tracker, device: Handle, at: Sighting, findings: &mut FindingStore) {
        // Whether there is a NAT before a phone that is known by its answers alone is not known.
        let Some(entry) = tracker.registrations.device(device).filter(|device| !device.is_inferred()) else { return };
        let since = self.down.remove(&device).unwrap_or(at.time);
        let sleep = tracker.thresholds().sleep;
        if self.naps.len() >= REMEMBERED && !self.naps.contains_key(&device) {
            self.naps.pop_first();
        }
        let silence = tracker.nat.longest_silence(&tracker.registrations, device, since, at.time);
        // From another port it may have spoken all the time without being recognised.
        let began = since - silence.unwrap_or_default();
        let moved = entry.changes.iter().any(|(at, change)| at.time >= began && matches!(change, Change::Address(..)));
        let silence = silence.filter(|_| !moved);
        let naps = self.naps.entry(device).or_default();
        while naps.front().is_some_and(|nap| at.time.since(nap.back) > sleep.window) || naps.len() >= NAPS.max(sleep.count as usize) {
            naps.pop_front();
        }
        naps.push_back(Nap { back: at.time, silence });
        let behind_nat = verdict(&tracker.registrations, entry) >= BehindNat::Likely;
        let naps =
            if behind_nat { self.beyond_nat(tracker, device, entry, since) } else { self.naps.get(&device).map_or(0, VecDeque::len) };
        let Some(aor) = tracker.registrations.aor(entry.aor).map(|aor| aor.name.clone()).filter(|_| sleep.is_reached(naps)) else { return };
        let proof = if behind_nat { "its keep-alives stopped too, and it did not restart" } else { "without NAT or restart" };
        let message = format!("{aor}: fell silent and came back {naps}× within an hour, {proof}, as a sleeping device does");
        let confidence = match tracker.registrations.devices_at(entry.source().ip()) {
            _ if !behind_nat => Confidence::Confirmed,
            // Behind a NAT the line of a lone phone looks the same as the phone.
            ..2 => Confidence::Suspected,
            _ => Confidence::Probable,
        };
        let raise = Raise::new(FindingId::EndpointSleepSuspected, Subject::Aor(aor), message).confidence(confidence);
        let raise = raise.evidence(at.time, at.frame, "it answers OPTIONS again");
        findings.raise(placed(tracker, raise, entry.source()), at.time);
    }

    /// How many of its silences a NAT does not explain: a binding that dies stops no keep-alive. What the whole site went through, or a
    /// restart, is no sleep.
    fn beyond_nat(&self, tracker: &Tracker, device: Handle, entry: &Device, since: PacketTime) -> usize {
        let Some(beat) = tracker.nat.beat(&tracker.registrations, device) else { return 0 };
        let site = tracker.nat.devices_of(Site::of(entry.source().ip()));
        let suffered = |other: &Handle| {
            let is_down = tracker.registrations.device(*other).is_some_and(|other| other.probes.reachability == Reachability::Unreachable);
            is_down || self.naps.get(other).is_some_and(|naps| naps.iter().any(|nap| nap.back >= since))
        };
        let is_probed = |other: &Handle| tracker.registrations.device(*other).is_some_and(|other| other.probes.answered > 0);
        let (ill, well): (Vec<_>, Vec<_>) = site.into_iter().filter(|other| *other != device && is_probed(other)).partition(suffered);
        if entry.restarted >= since || ill.len() > well.len() {
            return 0;
        }
        let overdue = |nap: &&Nap| nap.silence.is_some_and(|silence| silence.as_secs_f64() > OVERDUE * beat.as_secs_f64());
        self.naps.get(&device).map_or(0, |naps| naps.iter().filter(overdue).count())
    }
}
