//! How a NAT that forgets phones is told, and what to do about it (DETECTION §2.6): message and remedy from the same numbers.

use crate::detect::catalog::Slot;
use crate::detect::finding::Raise;
use crate::time::Span;
use crate::track::Tracker;
use crate::track::nat::{SiteView, Stage};

/// What to do where bindings die sooner than any keep-alive of a phone comes.
const TOO_SHORT: &str = "Set router UDP NAT timeout ≥ {nat_timeout} s, or qualify from the PBX every ≤ {keepalive} s, or use TCP/TLS: \
                         no usual phone keep-alive is short enough.";

/// What to do where the PBX sends keep-alives that no phone answers, and they do not keep the bindings (DETECTION §2.6).
const ONE_WAY: &str = "Switch from one-way pings of the PBX to OPTIONS pings every ≤ {keepalive} s, which phones answer; or set phone keep-alive \
                       ≤ {keepalive} s or router UDP NAT timeout ≥ {nat_timeout} s; or use TCP/TLS.";

/// `198.51.100.7: NAT forgets 1001@pbx.example.com after 28–31.5 s, refresh only every 60 s (~48–53 % of inbound requests miss); …`
pub(super) fn message(tracker: &Tracker, whom: &str, view: &SiteView) -> String {
    let upper = view.estimate.upper.unwrap_or_default();
    let lived = match view.estimate.lower {
        Some(lower) if lower > Span::ZERO => format!("{}–{} s", seconds(lower), seconds(upper)),
        _ => format!("at most {} s", seconds(upper)),
    };
    let stage = stage(tracker, view);
    let refresh = match view.gap {
        Some(gap) => format!("refresh only every {} s", seconds(gap)),
        None if view.is_partly_regular() => "refresh of some not regular".to_owned(),
        None => "no regular refresh".to_owned(),
    };
    let loss = view.loss.map_or_else(String::new, |loss| format!(" ({} of inbound requests miss)", percent(loss)));
    format!("{}: NAT forgets {whom} after {lived}{stage}, {refresh}{loss}; {}", view.site, advice(view))
}

/// Fills the remedy of a finding that a longer lifetime or a shorter keep-alive ends.
pub(super) fn remedy(raise: Raise, view: &SiteView) -> Raise {
    let raise = match view.nat_timeout() {
        Some(timeout) => raise.fill(Slot::NatTimeout, timeout.to_string()),
        None => raise,
    };
    match (view.keepalive_is_too_long(), view.qualify(), view.keepalive()) {
        (true, Some(qualify), _) => raise.remedy(TOO_SHORT).fill(Slot::Keepalive, qualify.to_string()),
        (_, _, Some(keepalive)) => raise.fill(Slot::Keepalive, keepalive.to_string()),
        _ => raise,
    }
}

/// Tells that the pings of the PBX do not help as they are; where no usual keep-alive is short enough, no ping is either.
pub(super) fn instead_of_pings(raise: Raise, view: &SiteView) -> Raise {
    if view.keepalive_is_too_long() { raise } else { raise.remedy(ONE_WAY) }
}

fn advice(view: &SiteView) -> String {
    let least = view.nat_timeout().unwrap_or_default();
    let better = view.better_nat_timeout().filter(|better| view.gap.is_some() && *better > least);
    let timeout = better.map_or_else(|| format!("≥ {least} s"), |better| format!("≥ {least} s, better {better} s"));
    match (view.keepalive_is_too_long(), view.qualify(), view.keepalive()) {
        (true, Some(qualify), _) => {
            format!("no usual keep-alive is short enough: set NAT UDP timeout {timeout}, qualify every ≤ {qualify} s, or use TCP/TLS")
        }
        (_, _, keepalive) => format!("set keep-alive ≤ {} s or NAT UDP timeout {timeout}", keepalive.unwrap_or_default()),
    }
}

/// Where the two kinds of binding live for different times, which of them is meant and how long the other lives.
fn stage(tracker: &Tracker, view: &SiteView) -> String {
    let Some(stage) = view.stage else { return String::new() };
    let views = tracker.nat.views_of(view.site);
    let other = views.iter().find(|other| other.stage.is_some_and(|other| other != stage)).map(|other| &other.estimate);
    let lived = match other.map(|other| (other.lower, other.upper)) {
        Some((Some(lower), Some(upper))) => format!("{}–{} s", seconds(lower), seconds(upper)),
        Some((Some(lower), None)) => format!("≥ {} s", seconds(lower)),
        Some((None, Some(upper))) => format!("at most {} s", seconds(upper)),
        _ => "unknown".to_owned(),
    };
    match stage {
        Stage::Oneway => format!(" one-way ({lived} after two-way traffic)"),
        Stage::Stream => format!(" even after two-way traffic (one-way {lived})"),
    }
}

/// `~48–53 %`, one number where both round to it, and no zero for what is not nothing.
fn percent([least, most]: [f64; 2]) -> String {
    let [low, high] = [least, most].map(|share| (share * 100.0).round());
    if most < 0.01 {
        "under 1 %".to_owned()
    } else if low.total_cmp(&high).is_eq() {
        format!("~{high:.0} %")
    } else {
        format!("~{low:.0}–{high:.0} %")
    }
}

fn seconds(span: Span) -> String {
    format!("{:.1}", span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn shares_are_told_without_false_precision() {
        assert_eq!(percent([0.476, 0.531]), "~48–53 %");
        assert_eq!(percent([0.0576, 0.0621]), "~6 %");
        assert_eq!(percent([0.0, 0.004]), "under 1 %");
        assert_eq!(percent([0.0, 0.25]), "~0–25 %");
    }
}
