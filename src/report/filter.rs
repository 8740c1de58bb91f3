//! What of a report a person asked for: a user, a call, a time, some of the lists.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::model::{CallEntry, FindingEntry, NatEntry, RegistrationEntry, Report, Stamp};
use crate::time::PacketTime;
use crate::track::vocabulary::Scope;

/// A list of the report that can be asked for on its own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Section {
    /// What is wrong.
    Findings,
    /// Addresses-of-record and their devices.
    Registrations,
    /// Attempts and legs.
    Calls,
    /// NAT in front of the sites.
    Nat,
    /// The metrics of RFC 6076.
    Performance,
    /// What became of the frames.
    Frames,
}

impl Section {
    /// Every section, in the order of the text report.
    pub const ALL: [Self; 6] = [Self::Findings, Self::Registrations, Self::Calls, Self::Nat, Self::Performance, Self::Frames];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Findings => "findings",
            Self::Registrations => "registrations",
            Self::Calls => "calls",
            Self::Nat => "nat",
            Self::Performance => "performance",
            Self::Frames => "frames",
        }
    }
}

/// A name that is no section.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no such section `{0}`: one of findings, registrations, calls, nat, performance, frames")]
pub struct UnknownSection(String);

impl FromStr for Section {
    type Err = UnknownSection;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|section| section.as_str() == name).ok_or_else(|| UnknownSection(name.to_owned()))
    }
}

/// What to keep of a report; the default keeps all of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    /// Sections to keep; all where none is named.
    pub only: BTreeSet<Section>,
    /// An address-of-record, the user part of one, a dialled number, an address with or without port, or a Contact.
    pub user: Option<String>,
    /// The Call-ID of a call or of one of its legs.
    pub call_id: Option<String>,
    /// Leaves out what was over before.
    pub since: Option<PacketTime>,
    /// Leaves out what began later.
    pub until: Option<PacketTime>,
}

impl Filter {
    /// Whether `section` is asked for.
    pub fn shows(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }

    /// Removes what was not asked for from the lists of `report`. Counts of the capture and its performance stay those of the whole.
    pub fn apply(&self, report: &mut Report) {
        self.keep_time(report);
        self.keep_subject(report);
        self.keep_sections(report);
    }

    fn keep_time(&self, report: &mut Report) {
        report.registrations.retain_mut(|registration| {
            let known = registration.devices.len();
            registration.devices.retain(|device| self.overlaps(device.first_seen, device.last_seen));
            let all_gone = known > 0 && registration.devices.is_empty();
            self.overlaps(registration.first_seen, None) && !all_gone
        });
        report.calls.retain(|call| self.overlaps(call.first_seen, call.ended));
        report.nat.retain(|nat| self.overlaps(nat.first_seen, None));
        report.findings.retain(|finding| self.overlaps(finding.since.0, finding.cleared));
    }

    /// Whether something that began at `start` and, where known, was over at `end` falls into the time asked for.
    fn overlaps(&self, start: PacketTime, end: Option<Stamp>) -> bool {
        let over = end.is_some_and(|end| self.since.is_some_and(|since| end.0 < since));
        let later = self.until.is_some_and(|until| start > until);
        !over && !later
    }

    fn keep_subject(&self, report: &mut Report) {
        if self.user.is_none() && self.call_id.is_none() {
            return;
        }
        let related = Related::find(self, report);
        report.registrations.retain(|registration| related.aors.contains(&registration.aor));
        report.calls.retain(|call| related.call_ids.contains(&call.call_id));
        report.nat.retain(|nat| related.concerns_nat(nat));
        report.findings.retain(|finding| related.concerns_finding(self, finding));
    }

    fn keep_sections(&self, report: &mut Report) {
        if !self.shows(Section::Findings) {
            report.findings.clear();
        }
        if !self.shows(Section::Registrations) {
            report.registrations.clear();
        }
        if !self.shows(Section::Calls) {
            report.calls.clear();
        }
        if !self.shows(Section::Nat) {
            report.nat.clear();
        }
    }

    /// Whether the user that is asked for is this one, by its name or by an address of its devices.
    pub fn names_registration(&self, registration: &RegistrationEntry) -> bool {
        self.call_id.is_none()
            && self.user.as_ref().is_some_and(|user| {
                is_user(user, &registration.aor)
                    || registration.devices.iter().any(|device| is_device(user, &device.contact, device.source))
            })
    }

    /// Whether the user that is asked for takes part in this call, or the call is the one asked for.
    pub fn names_call(&self, call: &CallEntry) -> bool {
        let is_end = |user: &str, call: &CallEntry| {
            [&call.from, &call.to].into_iter().flatten().any(|party| is_user(user, party))
                || is_address(user, call.source)
                || is_address(user, call.destination)
        };
        self.call_id.as_ref().is_none_or(|id| call.call_id == *id || call.linked.contains(id))
            && self.user.as_ref().is_none_or(|user| is_end(user, call) || call.forks.iter().any(|fork| is_end(user, fork)))
    }
}

/// What belongs to the user or the call that was asked for.
#[derive(Default)]
struct Related {
    aors: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
    call_ids: BTreeSet<String>,
}

impl Related {
    fn find(filter: &Filter, report: &Report) -> Self {
        let address = filter.user.as_ref().and_then(|user| user.parse().ok());
        let mut related = Self { addresses: address.into_iter().collect(), ..Self::default() };
        for registration in report.registrations.iter().filter(|registration| filter.names_registration(registration)) {
            related.aors.insert(registration.aor.clone());
            related.addresses.extend(registration.devices.iter().map(|device| device.source.ip()));
        }
        for call in report.calls.iter().filter(|call| filter.names_call(call)) {
            related.call_ids.insert(call.call_id.clone());
            related.call_ids.extend(call.linked.iter().cloned());
        }
        related
    }

    fn concerns_nat(&self, nat: &NatEntry) -> bool {
        self.addresses.iter().any(|&address| is_site_of(&nat.site, address))
    }

    /// Whether a finding is about what was asked for, or about the PBX or the capture and so about everybody.
    fn concerns_finding(&self, filter: &Filter, finding: &FindingEntry) -> bool {
        matches!(finding.scope, Scope::Server | Scope::Capture)
            || self.aors.contains(&finding.subject)
            || self.call_ids.contains(&finding.subject)
            || self.addresses.iter().any(|&address| is_site_of(&finding.subject, address))
            || (filter.call_id.is_none() && filter.user.as_ref().is_some_and(|user| is_user(user, &finding.subject)))
    }
}

/// Whether `wanted` names the party: the same text, or the same user part where one of them has no host; with or without `sip:`.
pub fn is_user(wanted: &str, party: &str) -> bool {
    let wanted = wanted.strip_prefix("sip:").unwrap_or(wanted);
    if wanted.eq_ignore_ascii_case(party) {
        return true;
    }
    match (wanted.split_once('@'), party.split_once('@')) {
        (None, Some((user, _))) => user == wanted,
        (Some((user, _)), None) => user == party,
        _ => false,
    }
}

/// The user of an address-of-record; all of it where it names no host.
pub fn user_of(aor: &str) -> &str {
    aor.split_once('@').map_or(aor, |(user, _)| user)
}

/// Whether `wanted` names the device with that Contact that sends from `source`.
pub(super) fn is_device(wanted: &str, contact: &str, source: SocketAddr) -> bool {
    let address = contact.split_once(':').map_or(contact, |(_, rest)| rest);
    is_address(wanted, source)
        || contact == wanted
        || address == wanted
        || address.split_once('@').is_some_and(|(user, host)| user == wanted || host == wanted)
}

/// Whether `wanted` is that address, with or without its port.
pub(super) fn is_address(wanted: &str, address: SocketAddr) -> bool {
    wanted.parse() == Ok(address) || wanted.parse() == Ok(address.ip())
}

/// Whether `address` is the `site`, or lies in it where the site is an IPv6 network.
fn is_site_of(site: &str, address: IpAddr) -> bool {
    match (site.strip_suffix("/64").map(str::parse), address) {
        (Some(Ok(IpAddr::V6(network))), IpAddr::V6(address)) => network.segments()[..4] == address.segments()[..4],
        _ => site.parse() == Ok(address),
    }
}

/// `user 1001, since 2026-01-31T09:00:00.000000Z`, as it was asked for; empty where nothing but sections is filtered.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.user.as_ref().map(|user| format!("user {user}")),
            self.call_id.as_ref().map(|id| format!("call {id}")),
            self.since.map(|since| format!("since {since}")),
            self.until.map(|until| format!("until {until}")),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn filtered(filter: Filter) -> Report {
        let mut report = sample::office();
        filter.apply(&mut report);
        report
    }

    fn by_user(user: &str) -> Report {
        filtered(Filter { user: Some(user.to_owned()), ..Filter::default() })
    }

    fn aors(report: &Report) -> Vec<&str> {
        report.registrations.iter().map(|registration| registration.aor.as_str()).collect()
    }

    fn ids(report: &Report) -> Vec<&str> {
        report.findings.iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn the_default_keeps_everything() {
        assert_eq!(filtered(Filter::default()), sample::office());
    }

    #[test]
    fn a_user_is_found_by_each_of_its_names() {
        for name in [
            "1001",
            "1001@pbx.example.com",
            "1001@PBX.example.com",
            "sip:1001@pbx.example.com",
            "198.51.100.7:40311",
            "sip:1001@192.168.77.11:5060",
            "192.168.77.11:5060",
        ] {
            assert_eq!(aors(&by_user(name)), ["1001@pbx.example.com"], "{name}");
        }
    }

    #[test]
    fn part_of_a_name_is_another_name() {
        for name in ["100", "10011", "1001@other.example.com", "198.51.100.7:4031", ""] {
            assert!(aors(&by_user(name)).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_public_address_names_all_phones_behind_it() {
        assert_eq!(aors(&by_user("198.51.100.7")), ["1001@pbx.example.com", "1002@pbx.example.com"]);
    }

    #[test]
    fn a_user_brings_the_other_legs_of_its_calls_and_the_findings_of_its_site() {
        let report = by_user("1001");
        assert!(report.calls.iter().any(|call| call.to.as_deref() == Some("1002")), "the callee's leg");
        assert!(report.calls.iter().all(|call| call.to.as_deref() != Some("1005")), "a call of others");
        assert_eq!(report.nat.len(), 1);
        assert!(ids(&report).contains(&"nat-binding-timeout"));
        assert!(ids(&report).contains(&"capture-lossy"), "what limits every answer stays");
        assert!(!ids(&report).contains(&"auth-failed-loop"), "another user's trouble");
    }

    #[test]
    fn a_call_id_keeps_the_call_with_its_legs_and_nothing_else() {
        let report = filtered(Filter { call_id: Some("a84b4c76e66710@192.168.77.11".to_owned()), ..Filter::default() });
        assert_eq!(report.calls.len(), 2);
        assert!(report.registrations.is_empty());
        assert!(report.nat.is_empty());
    }

    #[test]
    fn time_keeps_what_overlaps() {
        let whole = sample::office();
        let start = sample::START;
        let early = filtered(Filter { until: Some(start - crate::time::Span::from_secs(1)), ..Filter::default() });
        assert!(early.calls.is_empty() && early.findings.is_empty() && early.registrations.is_empty());
        let late = filtered(Filter { since: Some(start + crate::time::Span::from_secs(3_000)), ..Filter::default() });
        assert!(late.calls.len() < whole.calls.len());
        assert!(late.calls.iter().all(|call| call.ended.is_none_or(|ended| ended.0 >= start + crate::time::Span::from_secs(3_000))));
    }

    #[test]
    fn sections_not_asked_for_are_empty() {
        let report = filtered(Filter { only: BTreeSet::from([Section::Calls]), ..Filter::default() });
        assert!(report.findings.is_empty() && report.registrations.is_empty() && report.nat.is_empty());
        assert_eq!(report.calls, sample::office().calls);
    }

    #[test]
    fn an_unknown_section_is_named_with_the_known_ones() {
        let error = "call".parse::<Section>().expect_err("the name is `calls`").to_string();
        assert!(Section::ALL.iter().all(|section| error.contains(section.as_str())), "{error}");
    }

    #[test]
    fn an_ipv6_site_is_a_network() {
        assert!(is_site_of("2001:db8:1:2::/64", "2001:db8:1:2:aaaa::1".parse().expect("an address")));
        assert!(!is_site_of("2001:db8:1:2::/64", "2001:db8:1:3::1".parse().expect("an address")));
        assert!(!is_site_of("2001:db8:1:2::/64", "198.51.100.7".parse().expect("an address")));
    }
}
