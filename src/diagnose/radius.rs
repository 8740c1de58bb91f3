//! How many share a trouble: one phone, a site, or all of the PBX (DETECTION §2.8, §8.0).

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::detect::catalog::FindingId as F;
use crate::detect::finding::{Finding, Subject};
use crate::diagnose::case::Case;
use crate::report::build::by_scanner;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::registration::Aor;
use crate::track::vocabulary::Scope;

/// How far apart phones of a site are missed that go at one moment: each is probed in turn.
const AT_ONCE: Span = Span::from_secs(120);
/// Users and sites from which on a trouble is one of the PBX.
const SERVER: (usize, usize) = (5, 3);

/// A trouble that several users have alike.
pub(super) struct Radius {
    pub(super) failing: usize,
    of: usize,
    /// The site; `None` where it is the PBX.
    pub(super) address: Option<IpAddr>,
}

impl Radius {
    /// Of a finding about a user that others have alike: half of those at its address, or three in ten of all from three addresses.
    pub(super) fn of(case: &Case<'_>, finding: &Finding) -> Option<Self> {
        let (Subject::Aor(own), Some(kind)) = (&finding.subject, kind(finding.id)) else { return None };
        let alike = case.scene.findings.listed(|other| kind_of(other) == Some(kind) && is_at_once(kind, finding, other));
        let names: BTreeSet<&str> =
            alike.iter().filter_map(|other| if let Subject::Aor(aor) = &other.subject { Some(&**aor) } else { None }).collect();
        let tracker = case.scene.tracker;
        let users: Vec<(&str, IpAddr)> = tracker.registrations.aors().filter_map(|(_, aor)| placed(tracker, aor)).collect();
        let fails = |(name, _): &&(&str, IpAddr)| names.contains(name);
        let sites: BTreeSet<IpAddr> = users.iter().filter(fails).map(|(_, address)| *address).collect();
        let (failing, of) = (users.iter().filter(fails).count(), users.len());
        if failing >= SERVER.0 && sites.len() >= SERVER.1 && failing * 10 >= of * 3 {
            return Some(Self { failing, of, address: None });
        }
        let site = users.iter().find(|(name, _)| *name == &**own).map(|(_, address)| *address)?;
        let there = || users.iter().filter(|(_, address)| *address == site);
        let (failing, at_site) = (there().filter(fails).count(), there().count());
        (failing >= 2 && failing * 2 >= at_site && at_site < of).then_some(Self { failing, of: at_site, address: Some(site) })
    }

    pub(super) fn scope(&self) -> Scope {
        if self.address.is_some() { Scope::Site } else { Scope::Server }
    }

    /// What it says of a finding, as a sentence.
    pub(super) fn sentence(&self) -> String {
        match self.address {
            Some(address) => format!(" The same for {} of the {} users at {address}: it is a matter of that site.", self.failing, self.of),
            None => format!(" The same for {} of all {} users: it is a matter of the PBX.", self.failing, self.of),
        }
    }
}

/// Findings that are of one kind, as far as one cause brings them about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Refused,
    Gone,
    Slow,
}

const fn kind(id: F) -> Option<Kind> {
    match id {
        F::AuthFailedLoop | F::RegistrationRejected => Some(Kind::Refused),
        F::PeerUnreachable | F::RegistrationExpired => Some(Kind::Gone),
        F::PeerLagged => Some(Kind::Slow),
        _ => None,
    }
}

fn kind_of(finding: &Finding) -> Option<Kind> {
    kind(finding.id)
}

/// Whether both began at one moment; phones are refused one by one as their registrations come up, so that those are alike which last together.
fn is_at_once(kind: Kind, one: &Finding, other: &Finding) -> bool {
    let end = |finding: &Finding| finding.cleared.unwrap_or(PacketTime::MAX);
    let is_together = one.since <= end(other) && other.since <= end(one);
    is_together && (kind == Kind::Refused || (one.since - other.since).abs() <= AT_ONCE)
}

/// A user, with the address at which it was last heard; nobody whom only scanners name.
fn placed<'t>(tracker: &'t Tracker, aor: &'t Aor) -> Option<(&'t str, IpAddr)> {
    let devices = aor.devices.iter().filter_map(|&handle| tracker.registrations.device(handle));
    let latest = devices.max_by_key(|device| device.last_register)?;
    (!by_scanner(tracker, aor)).then(|| (&*aor.name, latest.source().ip()))
}
