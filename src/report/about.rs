//! The report on what bears on one user, built without the rest: a daemon may hold a million phones.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::build::{Kept, direction, records, registration, some_calls};
use super::filter::{is_address, is_device, is_user};
use super::model::Report;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::call::record::CallView;
use crate::track::call::transferor;
use crate::track::registration::Aor;
use crate::track::registration::device::Device;
use crate::track::site::Site;
use crate::track::vocabulary::Direction;

/// How often legs of legs are looked for. A call that was transferred has few.
const ROUNDS: usize = 4;

/// How far back it is looked for what else a PBX refuses that refused a call: it may have a million.
pub const LATELY: Span = Span::from_secs(1800);

/// The registrations and calls that a question about `user` can rest on: its own, those of its neighbours at the same sites, those of
/// whom it called, all legs of its calls, the other calls of a trunk that refused one of them, the latest of a PBX that did with an error,
/// those to a number by which it was reached that the PBX does not know, and those made in vain in the name of who was transferred. Lists
/// of the NATs and findings stay empty; the capture block is the caller's. Of an address that several users share it holds the calls of
/// all: who asks tells them apart.
pub fn about(tracker: &Tracker, user: &str) -> Report {
    let party = Party::find(tracker, user);
    let own = with_legs(tracker, |record| party.takes_part(record));
    let called: BTreeSet<&str> = own.iter().map(|kept| kept.record.to).filter(|to| !to.is_empty()).collect();
    let refusing: BTreeSet<IpAddr> = own.iter().filter_map(|kept| refusing_trunk(tracker, &kept.record)).collect();
    let since = tracker.now() - LATELY;
    let failing: BTreeSet<IpAddr> = own.iter().filter_map(|kept| failing_pbx(tracker, &kept.record, since)).collect();
    let numbers: BTreeSet<&str> =
        own.iter().filter(|kept| !party.takes_part(&kept.record) && !kept.record.linked.is_empty()).map(|kept| kept.record.to).collect();
    let is_left = |kept: &&Kept<'_>| kept.record.end_reason.is_some_and(|reason| transferor(reason).is_some());
    let transferred: BTreeSet<&str> = own.iter().filter(is_left).flat_map(|kept| [kept.record.from, kept.record.to]).collect();
    let kept = if refusing.is_empty() && failing.is_empty() && numbers.is_empty() && transferred.is_empty() {
        own
    } else {
        let is_unknown = |record: &CallView<'_>| record.status == 404 && numbers.contains(record.to);
        let is_beside = |record: &CallView<'_>| {
            let ends = [record.source, record.destination];
            refusing.contains(&record.destination.ip()) || (record.started >= since && ends.iter().any(|end| failing.contains(&end.ip())))
        };
        let is_instead = |record: &CallView<'_>| record.linked.is_empty() && record.answered.is_none() && transferred.contains(record.from);
        with_legs(tracker, |record| party.takes_part(record) || is_beside(record) || is_unknown(record) || is_instead(record))
    };
    let concerns = |aor: &Aor| {
        names(tracker, aor, user)
            || is_one_of(tracker, aor, &called)
            || devices(tracker, aor).any(|device| party.sites.contains(&Site::of(device.source().ip())))
    };
    let aors = tracker.registrations.aors().filter(|(_, aor)| concerns(aor));
    let mut report = Report {
        pbx_addresses: tracker.world.peers.pbx_addresses(),
        pbx_names: tracker.world.peers.pbx_names(),
        registrations: aors.map(|(_, aor)| registration(tracker, aor)).collect(),
        calls: some_calls(tracker, &kept),
        ..Report::default()
    };
    report.sort();
    report
}

/// The user, by its names and the places of its phones.
struct Party<'a> {
    asked: &'a str,
    users: BTreeSet<&'a str>,
    sockets: BTreeSet<SocketAddr>,
    address: Option<IpAddr>,
    sites: BTreeSet<Site>,
}

impl<'a> Party<'a> {
    fn find(tracker: &'a Tracker, asked: &'a str) -> Self {
        let socket = asked.parse::<SocketAddr>().ok();
        let address = asked.parse().ok().or_else(|| socket.map(|socket| socket.ip()));
        let own: Vec<_> = tracker.registrations.aors().map(|(_, aor)| aor).filter(|aor| names(tracker, aor, asked)).collect();
        let phones = own.iter().flat_map(|aor| devices(tracker, aor)).map(Device::source);
        let sockets: BTreeSet<_> = phones.chain(socket).collect();
        let sites = sockets.iter().map(SocketAddr::ip).chain(address).map(Site::of).collect();
        Self { asked, users: own.iter().map(|aor| aor.user()).collect(), sockets, address, sites }
    }

    fn takes_part(&self, record: &CallView<'_>) -> bool {
        let called = |name: &str| !name.is_empty() && (self.users.contains(name) || is_user(self.asked, name));
        let at = |address: SocketAddr| self.sockets.contains(&address) || self.address == Some(address.ip());
        called(record.from)
            || called(record.to)
            || at(record.source)
            || at(record.destination)
            || record.passed_on_to.is_some_and(|to| self.sockets.contains(&to))
            || record.forks.iter().any(|fork| called(fork.user) || self.sockets.contains(&fork.place))
    }
}

/// The calls that are `wanted` with all their legs.
fn with_legs<'t>(tracker: &'t Tracker, is_wanted: impl Fn(&CallView<'_>) -> bool) -> Vec<Kept<'t>> {
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    for kept in records(tracker).filter(|kept| is_wanted(&kept.record)) {
        wanted.insert(kept.record.call_id);
        wanted.extend(kept.record.linked.iter());
    }
    for _ in 0..ROUNDS {
        let before = wanted.len();
        for kept in records(tracker).filter(|kept| !kept.record.linked.is_empty()) {
            let linked = kept.record.linked;
            if wanted.contains(kept.record.call_id) || linked.iter().any(|linked| wanted.contains(linked)) {
                wanted.insert(kept.record.call_id);
                wanted.extend(linked.iter());
            }
        }
        if wanted.len() == before {
            break;
        }
    }
    records(tracker).filter(|kept| wanted.contains(kept.record.call_id)).collect()
}

/// The trunk that refused a call.
fn refusing_trunk(tracker: &Tracker, record: &CallView<'_>) -> Option<IpAddr> {
    let trunk = record.destination.ip();
    (record.status >= 400 && tracker.world.peers.is_trunk(trunk)).then_some(trunk)
}

/// The PBX that refused a call since then with an error and was not seen to call anybody for it.
fn failing_pbx(tracker: &Tracker, record: &CallView<'_>, since: PacketTime) -> Option<IpAddr> {
    let is_own = record.started >= since && record.linked.is_empty() && direction(tracker, record) == Direction::In;
    ((500..600).contains(&record.status) && is_own).then_some(record.destination.ip())
}

/// Whether `wanted` names the address-of-record, one of its devices, or the place of one.
pub fn names(tracker: &Tracker, aor: &Aor, wanted: &str) -> bool {
    is_user(wanted, &aor.name) || devices(tracker, aor).any(|device| is_device(wanted, &device.contact, device.source()))
}

/// Whether `wanted` is a party of the call, by name or by address.
pub fn takes_part(record: &CallView<'_>, wanted: &str) -> bool {
    let parties = [record.from, record.to];
    parties.into_iter().any(|party| !party.is_empty() && is_user(wanted, party))
        || is_address(wanted, record.source)
        || is_address(wanted, record.destination)
}

/// Whether the address-of-record, or a device of it, goes by one of these user parts.
fn is_one_of(tracker: &Tracker, aor: &Aor, users: &BTreeSet<&str>) -> bool {
    let contact_user = |contact: &str| {
        let address = contact.split_once(':').map_or(contact, |(_, rest)| rest);
        address.split_once('@').is_some_and(|(user, _)| users.contains(user))
    };
    users.contains(&*aor.name) || users.contains(aor.user()) || devices(tracker, aor).any(|device| contact_user(&device.contact))
}

fn devices<'t>(tracker: &'t Tracker, aor: &'t Aor) -> impl Iterator<Item = &'t Device> {
    aor.devices.iter().filter_map(|&handle| tracker.registrations.device(handle))
}
