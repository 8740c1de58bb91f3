//! Who is meant: the names, addresses and calls that belong to the user somebody asks about.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::diagnose::words::{caller, dialled};
use crate::report::filter::{Filter, is_user, user_of};
use crate::report::model::{CallEntry, DeviceEntry, RegistrationEntry, Report};
use crate::time::{PacketTime, Span};
use crate::track::vocabulary::{CallState, Direction, Outcome, Reachability, RegistrationState};

/// How far apart the legs of a call end at most.
pub(super) const TOGETHER: Span = Span::from_secs(2);

/// The user, by each of its names.
pub(super) struct Party<'a> {
    /// As asked for.
    asked: &'a str,
    /// User parts of its AoRs.
    users: BTreeSet<&'a str>,
    /// Where its phones are.
    pub(super) sockets: BTreeSet<SocketAddr>,
    /// User parts of the Contacts of its phones, by which the PBX may call them.
    contacts: BTreeSet<&'a str>,
    /// Who else has a phone at one of those places.
    others: BTreeMap<SocketAddr, Others<'a>>,
    /// The address asked for, where it is one.
    address: Option<IpAddr>,
    /// Its names with the address of the PBX in place of the domain, as carriers and other PBXs call it.
    by_address: Vec<String>,
    /// Its AoRs.
    pub(super) registrations: Vec<&'a RegistrationEntry>,
}

/// Other users at a place of the user: an edge proxy, or a base station with several handsets, is one address for all of them
/// (DETECTION §0.2).
#[derive(Default)]
struct Others<'a> {
    /// User parts of their AoRs and Contacts.
    names: BTreeSet<&'a str>,
    /// Whether the PBX let the phone of one of them register there.
    are_served: bool,
}

impl<'a> Party<'a> {
    pub(super) fn find(asked: &'a str, report: &'a Report) -> Self {
        let filter = Filter { user: Some(asked.to_owned()), ..Filter::default() };
        let socket = asked.parse::<SocketAddr>().ok();
        let address: Option<IpAddr> = asked.parse().ok().or_else(|| socket.map(|socket| socket.ip()));
        // What a scanner tries out is nobody's phone, unless somebody asks for the scanner.
        let counts = |entry: &&RegistrationEntry| filter.names_registration(entry) && (!entry.by_scanner || address.is_some());
        let registrations: Vec<_> = report.registrations.iter().filter(counts).collect();
        let devices = || registrations.iter().flat_map(|entry| &entry.devices);
        let sockets = devices().map(|device| device.source).chain(socket).collect();
        Self {
            asked,
            users: registrations.iter().map(|entry| user_of(&entry.aor)).collect(),
            contacts: devices().filter_map(|device| user_of_contact(&device.contact)).collect(),
            others: others(&registrations, &sockets, report),
            sockets,
            address,
            by_address: by_address(&registrations, report),
            registrations,
        }
    }

    /// Whether it is known by that name in calls.
    pub(super) fn is_called(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| self.users.contains(name) || is_user(self.asked, name))
    }

    /// Whether `aor` is one of its names.
    pub(super) fn is_aor(&self, aor: &str) -> bool {
        self.registrations.iter().any(|entry| entry.aor == aor)
            || is_user(self.asked, aor)
            || self.by_address.iter().any(|name| name == aor)
    }

    /// Whether one of its phones is there.
    pub(super) fn is_at(&self, address: SocketAddr) -> bool {
        self.sockets.contains(&address) || self.address == Some(address.ip())
    }

    /// Whether the end of a call at `place` that goes by `name` is a phone of the user: where others have theirs too, the name decides.
    pub(super) fn is_end(&self, place: SocketAddr, name: Option<&str>) -> bool {
        let own = |name| self.is_called(Some(name)) || self.contacts.contains(name);
        self.is_at(place)
            && self.others.get(&place).is_none_or(|others| match name {
                Some(name) if own(name) => true,
                Some(name) if others.names.contains(name) => false,
                _ => !others.are_served,
            })
    }

    /// Whether that end may be a phone of the user as well as one of the others there: it goes by a name that is nobody's.
    fn may_be_end(&self, place: SocketAddr, name: Option<&str>) -> bool {
        let is_theirs = |others: &Others<'_>| name.is_some_and(|name| others.names.contains(name));
        self.is_at(place) && !self.is_end(place, name) && !self.others.get(&place).is_some_and(is_theirs)
    }

    /// Whether an address was asked for, and so everybody behind it.
    pub(super) fn is_address(&self) -> bool {
        self.address.is_some()
    }

    /// The addresses of its phones, without ports.
    pub(super) fn addresses(&self) -> BTreeSet<IpAddr> {
        self.sockets.iter().map(SocketAddr::ip).chain(self.address).collect()
    }
}

/// Who else has phones at the places of the user.
fn others<'a>(own: &[&RegistrationEntry], sockets: &BTreeSet<SocketAddr>, report: &'a Report) -> BTreeMap<SocketAddr, Others<'a>> {
    let mut all: BTreeMap<SocketAddr, Others<'a>> = BTreeMap::new();
    let is_other = |entry: &&RegistrationEntry| !entry.by_scanner && own.iter().all(|own| own.aor != entry.aor);
    for entry in report.registrations.iter().filter(is_other) {
        for device in entry.devices.iter().filter(|device| sockets.contains(&device.source)) {
            let others = all.entry(device.source).or_default();
            others.names.extend([user_of(&entry.aor)].into_iter().chain(user_of_contact(&device.contact)));
            let is_served =
                matches!(device.state, RegistrationState::Registered | RegistrationState::Expired | RegistrationState::Unregistered);
            others.are_served |= is_served || device.registered_at.is_some();
        }
    }
    all
}

/// The user of a Contact, where it names one.
fn user_of_contact(uri: &str) -> Option<&str> {
    let name = uri.strip_prefix("sip:").or_else(|| uri.strip_prefix("sips:")).unwrap_or(uri);
    name.split_once('@').map(|(user, _)| user)
}

/// Names of users whose user part nobody else on the PBX has, with each address of the PBX: which tenant is meant is not in doubt then.
fn by_address(registrations: &[&RegistrationEntry], report: &Report) -> Vec<String> {
    let is_of = |name: &str, entry: &RegistrationEntry| !entry.by_scanner && user_of(&entry.aor) == name;
    let is_only = |name: &&str| report.registrations.iter().filter(|entry| is_of(name, entry)).count() == 1;
    let names = registrations.iter().map(|entry| user_of(&entry.aor));
    let hosts: BTreeSet<String> = report.pbx_addresses.iter().map(host).collect();
    names.filter(is_only).flat_map(|name| hosts.iter().map(move |host| format!("{name}@{host}"))).collect()
}

/// An address as the host of a SIP URI.
fn host(address: &SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// A call as people see it: what the caller sent, and the legs that the PBX made of it.
pub(super) struct Attempt<'a> {
    /// The caller's leg; the first leg that was captured where that one was not.
    pub(super) main: &'a CallEntry,
    /// The legs towards those who were called.
    pub(super) legs: Vec<&'a CallEntry>,
    /// The places that a proxy sent it to, where they were several.
    pub(super) forks: Vec<&'a CallEntry>,
}

impl<'a> Attempt<'a> {
    /// The calls of a report, in order of time.
    pub(super) fn all(report: &'a Report) -> Vec<Self> {
        let by_id: BTreeMap<&str, &CallEntry> = report.calls.iter().map(|call| (call.call_id.as_str(), call)).collect();
        let linked = |call: &CallEntry, towards_pbx: bool| -> Vec<&'a CallEntry> {
            let others = call.linked.iter().filter_map(|id| by_id.get(id.as_str()).copied());
            others.filter(|other| (other.direction != Direction::Out) == towards_pbx).collect()
        };
        let is_main = |call: &&CallEntry| call.direction != Direction::Out || linked(call, true).is_empty();
        let attempt = |main: &'a CallEntry| {
            let legs = linked(main, false);
            let forks = std::iter::once(main).chain(legs.iter().copied()).flat_map(|call| &call.forks).collect();
            Self { main, legs, forks }
        };
        report.calls.iter().filter(is_main).map(attempt).collect()
    }

    /// The legs and the caller's own.
    pub(super) fn entries(&self) -> impl Iterator<Item = &'a CallEntry> {
        std::iter::once(self.main).chain(self.legs.iter().copied())
    }

    pub(super) fn started(&self) -> PacketTime {
        self.main.first_seen
    }

    /// Whether `party` made the call.
    pub(super) fn is_by(&self, party: &Party<'_>) -> bool {
        let from_phone = self.main.direction != Direction::Out && party.is_end(self.main.source, self.main.from.as_deref());
        from_phone || (party.is_called(self.main.from.as_deref()) && !self.is_in_the_name_of(party))
    }

    /// Whether somebody else used the name of `party`: a scanner, or who could not prove it from an address where no phone of it is.
    pub(super) fn is_in_the_name_of(&self, party: &Party<'_>) -> bool {
        let main = self.main;
        let is_elsewhere = main.direction != Direction::Out && !party.addresses().contains(&main.source.ip());
        let unproven = main.by_scanner || (main.outcome == Outcome::AuthFailed && !party.registrations.is_empty());
        party.is_called(main.from.as_deref()) && is_elsewhere && unproven
    }

    /// Whether it was still being set up when the question was asked.
    pub(super) fn is_pending(&self) -> bool {
        let in_setup = |call: &CallEntry| matches!(call.state, CallState::Setup | CallState::Ringing);
        self.main.outcome == Outcome::Unknown && !self.main.partial && in_setup(self.main)
    }

    /// The leg that rang at `party`, if there is one; the call itself where a proxy sent it there.
    pub(super) fn leg_to(&self, party: &Party<'_>) -> Option<&'a CallEntry> {
        let is_for = |call: &&CallEntry| party.is_called(call.to.as_deref()) || party.is_end(call.destination, call.to.as_deref());
        let own = Some(self.main).filter(|main| main.direction == Direction::Out);
        // Of several phones of one user the one that was answered counts.
        let legs = || self.legs.iter().chain(&self.forks).copied().chain(own).filter(is_for);
        let answered = legs().find(|leg| leg.outcome == Outcome::Answered);
        answered.or_else(|| legs().next_back()).or_else(|| Some(self.main).filter(|_| self.is_passed_on_to(party)))
    }

    /// Whether the call was for `party`, or came to it.
    pub(super) fn is_to(&self, party: &Party<'_>) -> bool {
        party.is_called(self.main.to.as_deref()) || self.leg_to(party).is_some()
    }

    /// Whether it was answered where `party` was in it: of several phones that rang one has the call.
    pub(super) fn was_up(&self, party: &Party<'_>) -> bool {
        let own = self.leg_to(party).filter(|leg| !self.is_by(party) && leg.outcome != Outcome::Unknown);
        let call = own.unwrap_or(self.main);
        call.answered.is_some() || (call.partial && call.state != CallState::Ringing && call.status.is_none())
    }

    /// Who is at the ends of the call, and where.
    pub(super) fn ends(&self) -> impl Iterator<Item = (&'a str, SocketAddr)> {
        let ends = self.entries().flat_map(|call| match call.direction {
            Direction::Out => [None, Some((dialled(call), call.passed_on_to.unwrap_or(call.destination)))],
            _ => [Some((caller(call), call.source)), call.passed_on_to.map(|place| (dialled(call), place))],
        });
        ends.flatten()
    }

    /// A leg of this call alone that went on ringing, and was answered, after the caller had been refused or had given up; and how long after.
    pub(super) fn rang_on(&self) -> Option<(&'a CallEntry, Span)> {
        let end = self.main.ended.filter(|_| self.main.answered.is_none() && self.main.state == CallState::Ended)?.0;
        let is_own = |leg: &&CallEntry| leg.linked.iter().all(|other| *other == self.main.call_id);
        let late = |leg: &'a CallEntry| Some((leg, leg.answered?.0.since(end)));
        self.legs.iter().copied().filter(is_own).filter_map(late).find(|(_, late)| *late > TOGETHER)
    }

    /// Whether it took over a call that somebody else had made, as a pickup does.
    pub(super) fn takes_over(&self) -> bool {
        self.main.answered.is_some() && self.main.direction == Direction::In && self.legs.is_empty() && !self.main.linked.is_empty()
    }

    /// Whether all legs ended with the call.
    pub(super) fn ended_at_once(&self) -> bool {
        let end = self.main.ended;
        let is_with = |leg: &CallEntry| leg.ended.zip(end).is_some_and(|(leg, end)| (leg.0 - end.0).abs() <= TOGETHER);
        self.legs.iter().all(|leg| leg.answered.is_none() || is_with(leg))
    }

    /// A phone at an end of a call that is still up, though nothing was heard of it since: the name of who is called there, and the phone.
    pub(super) fn gone(&self, report: &'a Report) -> Option<(&'a str, &'a DeviceEntry)> {
        let devices = || report.registrations.iter().flat_map(|entry| &entry.devices);
        let is_gone = |device: &&DeviceEntry| {
            let is_lost = device.reachability == Reachability::Unreachable || device.state == RegistrationState::Expired;
            is_lost && device.last_seen.is_some_and(|last| last.0 >= self.started())
        };
        let phone_at = |(name, place)| Some((name, devices().filter(is_gone).find(|device| device.source == place)?));
        let is_open = self.entries().all(|call| call.state == CallState::Open || call.answered.is_none());
        self.ends().filter(|_| is_open).find_map(phone_at)
    }

    /// Whether somebody else talked in the call with `call_id`: it rang at `party` too, on a leg of its own at most.
    pub(super) fn is_others(&self, party: &Party<'_>, call_id: &str) -> bool {
        let has_leg = self.legs.iter().any(|leg| leg.call_id == call_id && self.leg_to(party).is_some_and(|own| std::ptr::eq(own, *leg)));
        self.main.answered.is_some() && !has_leg && !self.was_up(party)
    }

    /// Whether a proxy sent the call on to a phone of `party`.
    fn is_passed_on_to(&self, party: &Party<'_>) -> bool {
        let place = self.main.passed_on_to.filter(|place| party.sockets.contains(place));
        place.is_some_and(|place| party.is_end(place, self.main.to.as_deref()))
    }

    /// The leg at a place that `party` shares with others, under a name that is nobody's there.
    pub(super) fn unclaimed(&self, party: &Party<'_>) -> Option<&'a CallEntry> {
        let may_be = |call: &&CallEntry| match call.direction {
            Direction::Out => party.may_be_end(call.destination, call.to.as_deref()),
            _ => {
                party.may_be_end(call.source, call.from.as_deref())
                    || call.passed_on_to.is_some_and(|place| party.may_be_end(place, call.to.as_deref()))
            }
        };
        self.entries().chain(self.forks.iter().copied()).find(may_be).filter(|_| !self.is_by(party) && !self.is_to(party))
    }
}
