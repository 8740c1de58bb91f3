//! The user among the phones behind its address: how often its own phones are heard, and what only the others suffer from.

use std::collections::BTreeSet;

use crate::detect::catalog::FindingId;
use crate::detect::finding::{Finding, Subject};
use crate::diagnose::case::Case;
use crate::diagnose::words::lasting;
use crate::report::model::{Evidence, Stamp};
use crate::table::Handle;
use crate::time::Span;
use crate::track::registration::device::Device;
use crate::track::site::Site;

/// Phones that are named.
const NAMED: usize = 3;

/// Why the trouble of its neighbours is not the user's.
pub(super) fn why(case: &Case<'_>, finding: &Finding) -> String {
    let others = others(finding);
    match finding.id {
        FindingId::NatBindingTimeout => format!("the NAT at {} forgets {others}; {}", finding.subject, steadiness(case)),
        _ if case.is_elsewhere(finding) => format!("{}, but the PBX of this user is {}", finding.message, servers(case)),
        _ => format!("seen of {others} at {}, and not of this user", finding.subject),
    }
}

/// The PBXs that serve the user.
pub(super) fn servers(case: &Case<'_>) -> String {
    let servers: BTreeSet<String> = case.servers().map(|server| server.to_string()).collect();
    servers.into_iter().collect::<Vec<_>>().join(", ")
}

/// How often the phones of the user are heard, and what share of calls would miss them (DETECTION §2.5).
pub(super) fn silences(case: &Case<'_>) -> Vec<Evidence> {
    let tracker = case.scene.tracker;
    let fact = |(handle, device): (Handle, &Device)| {
        let view = tracker.nat.view_for(&tracker.registrations, Site::of(device.source().ip()), handle)?;
        let longest = view.gap?;
        let is_enough = view.estimate.lower.is_some_and(|lower| longest <= lower);
        let missed = view
            .loss
            .filter(|_| !is_enough)
            .map_or_else(String::new, |[least, most]| format!("; {:.0}–{:.0} % of calls would miss it", least * 100.0, most * 100.0));
        let fact = format!("the phone at {} lets up to {} pass between its packets{missed}", device.source(), lasting(longest));
        Some(Evidence { at: Stamp(case.now), frame: None, fact })
    };
    case.tracked_devices().filter_map(fact).collect()
}

/// `1003@a.example, 1004@a.example and 2 more`, or words for them.
fn others(finding: &Finding) -> String {
    let names: Vec<&str> =
        finding.related.iter().filter_map(|subject| if let Subject::Aor(aor) = subject { Some(&**aor) } else { None }).collect();
    match names.len() {
        0 => "another phone".to_owned(),
        1..=NAMED => names.join(", "),
        many => format!("{} and {} more", names[..NAMED].join(", "), many - NAMED),
    }
}

/// What keeps this phone from the fate of its neighbours.
fn steadiness(case: &Case<'_>) -> String {
    let tracker = case.scene.tracker;
    let silences = case
        .tracked_devices()
        .map(|(handle, device)| tracker.nat.view_for(&tracker.registrations, Site::of(device.source().ip()), handle)?.gap);
    // One phone without a rhythm leaves the user without one.
    let longest: Option<Span> = silences.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    let lived = case.party.addresses().into_iter().filter_map(|address| tracker.nat.view(Site::of(address))?.estimate.lower).min();
    match (longest, lived) {
        (Some(longest), Some(lived)) if longest <= lived => format!(
            "this one is heard every {} at the latest, and that is short enough: bindings there live for {} and more",
            lasting(longest),
            lasting(lived)
        ),
        (Some(longest), _) => format!(
            "no request to this one was seen to get lost, but it lets up to {} pass between its packets and may be the next",
            lasting(longest)
        ),
        _ => "no request to this one was seen to get lost".to_owned(),
    }
}
