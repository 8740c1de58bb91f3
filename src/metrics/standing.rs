//! How things stand: the gauges, read off the state at the time of a scrape.

use std::collections::BTreeMap;

use super::catalog::{Gauges, PeerGauges, SiteGauges};
use super::fold::Fold;
use super::labels::{CallPhase, NatVerdict};
use super::subjects::Party;
use super::whose::{number, number_of_device, number_of_flow};
use crate::detect::store::FindingStore;
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::call::record::Beginning;
use crate::track::vocabulary::{Confidence, Reachability, RegistrationState};

/// How sure it is that the NAT of a site forgets bindings too early.
const NAT_VERDICTS: [(NatVerdict, Option<Confidence>); 4] = [
    (NatVerdict::Ok, None),
    (NatVerdict::Suspected, Some(Confidence::Suspected)),
    (NatVerdict::Probable, Some(Confidence::Probable)),
    (NatVerdict::Confirmed, Some(Confidence::Confirmed)),
];

/// How a site stands.
#[derive(Clone, Debug)]
pub(super) struct SiteStanding {
    pub(super) pbx: usize,
    pub(super) name: String,
    pub(super) gauges: SiteGauges,
}

/// How a named peer stands.
#[derive(Clone, Debug)]
pub(super) struct PeerStanding {
    pub(super) pbx: usize,
    pub(super) name: String,
    pub(super) gauges: PeerGauges,
}

/// Devices of one phone system, or of one peer of it.
#[derive(Clone, Copy, Debug, Default)]
struct Devices {
    states: [u32; RegistrationState::ALL.len()],
    reachable: [u32; Reachability::ALL.len()],
    behind_nat: u32,
}

/// What is counted of one phone system.
#[derive(Clone, Debug, Default)]
struct Standing {
    devices: Devices,
    calls: [u32; CallPhase::ALL.len()],
    orphans: u32,
    sites: [u32; NAT_VERDICTS.len()],
    scanners: u32,
    gauges: Gauges,
}

/// The gauges of each phone system as the tallies of `fold` are numbered, and those of the peers that the configuration names.
pub(super) fn standings(tracker: &Tracker, findings: &FindingStore, fold: &Fold) -> (Vec<Gauges>, Vec<PeerStanding>) {
    let mut all = vec![Standing::default(); fold.tallies().len()];
    let last = all.len() - 1;
    let of = |number: usize| number.min(last);
    let peers = count_devices(tracker, fold, &mut all);
    for (_, call) in tracker.calls.iter().filter(|(_, call)| call.record.ended.is_none()) {
        let standing = &mut all[of(number_of_flow(tracker, call.flow()))];
        standing.calls[phase(call) as usize] += 1;
        standing.orphans += u32::from(call.record.left_up.is_some());
    }
    for (site, confidence) in tracker.nat.verdicts() {
        let verdict = NAT_VERDICTS.iter().position(|(_, known)| *known == confidence).unwrap_or_default();
        let mut pbxs: Vec<_> = match tracker.world.peers.systems().only() {
            Some(only) => vec![only],
            None => tracker.nat.devices_of(site).into_iter().map(|device| of(number_of_device(tracker, device))).collect(),
        };
        pbxs.sort_unstable();
        pbxs.dedup();
        pbxs.into_iter().for_each(|pbx| all[pbx].sites[verdict] += 1);
    }
    for system in tracker.world.peers.scanners() {
        all[of(number(tracker, system))].scanners += 1;
    }
    let mut active = BTreeMap::<_, usize>::new();
    for finding in findings.open() {
        *active.entry((of(number(tracker, finding.system)), finding.id, finding.severity)).or_default() += 1;
    }
    for ((pbx, id, severity), count) in active {
        all[pbx].gauges.set_findings(id.as_str(), severity, count);
    }
    (all.into_iter().map(Standing::set).collect(), peers)
}

/// Counts the devices in one pass: there may be a million of them, and nothing is tracked meanwhile.
fn count_devices(tracker: &Tracker, fold: &Fold, all: &mut [Standing]) -> Vec<PeerStanding> {
    let last = all.len() - 1;
    let mut peers = BTreeMap::<(usize, usize), Devices>::new();
    for (handle, device) in tracker.registrations.devices() {
        let count = |devices: &mut Devices| {
            devices.states[device.state as usize] += 1;
            devices.reachable[device.probes.reachability as usize] += 1;
            devices.behind_nat += u32::from(device.nat.is_behind());
        };
        let pbx = number_of_flow(tracker, device.flow).min(last);
        count(&mut all[pbx].devices);
        if fold.subjects.has_peers()
            && let Some(peer) = fold.subjects.peer(tracker, Party { pbx, address: device.source(), device: Some(handle) })
        {
            count(peers.entry((pbx, peer)).or_default());
        }
    }
    let standing = |((pbx, peer), devices): ((usize, usize), Devices)| {
        let mut gauges = PeerGauges::default();
        devices.each_state(|state, count| gauges.registrations.set(state, count));
        devices.each_reachability(|reachability, count| gauges.reachability.set(reachability, count));
        PeerStanding { pbx, name: fold.subjects.peer_name(peer).to_owned(), gauges }
    };
    peers.into_iter().map(standing).collect()
}

/// The bounds of the lifetimes of bindings at the sites that have series of their own.
pub(super) fn sites(tracker: &Tracker, fold: &Fold) -> Vec<SiteStanding> {
    let standing = |(pbx, site): (usize, &crate::track::site::Site)| {
        let estimate = tracker.nat.view(*site)?.estimate;
        let mut gauges = SiteGauges::default();
        if let Some(lower) = estimate.lower {
            gauges.lifetime_lower.set((), lower.as_secs_f64());
        }
        if let Some(upper) = estimate.upper {
            gauges.lifetime_upper.set((), upper.as_secs_f64());
        }
        Some(SiteStanding { pbx, name: site.to_string(), gauges })
    };
    fold.subjects.sites.held(tracker.now()).filter_map(standing).collect()
}

fn phase(call: &Call) -> CallPhase {
    match (call.record.beginning, call.is_up()) {
        (Beginning::Missed, _) => CallPhase::Partial,
        (Beginning::Captured, true) => CallPhase::Confirmed,
        (Beginning::Captured, false) => CallPhase::Early,
    }
}

impl Devices {
    fn each_state(&self, mut set: impl FnMut(RegistrationState, f64)) {
        RegistrationState::ALL.iter().zip(self.states).for_each(|(&state, count)| set(state, f64::from(count)));
    }

    fn each_reachability(&self, mut set: impl FnMut(Reachability, f64)) {
        Reachability::ALL.iter().zip(self.reachable).for_each(|(&reachability, count)| set(reachability, f64::from(count)));
    }
}

impl Standing {
    fn set(self) -> Gauges {
        let mut gauges = self.gauges;
        self.devices.each_state(|state, count| gauges.registrations.set(state, count));
        self.devices.each_reachability(|reachability, count| gauges.peers.set(reachability, count));
        gauges.devices_behind_nat.set((), f64::from(self.devices.behind_nat));
        CallPhase::ALL.iter().zip(self.calls).for_each(|(&phase, count)| gauges.calls_active.set(phase, f64::from(count)));
        gauges.legs_orphaned.set((), f64::from(self.orphans));
        NAT_VERDICTS.iter().zip(self.sites).for_each(|((verdict, _), count)| gauges.nat_sites.set(*verdict, f64::from(count)));
        gauges.scanner_sources.set((), f64::from(self.scanners));
        gauges
    }
}
