//! Of which findings somebody is told.

use std::collections::BTreeMap;

use crate::alert::change::Change;
use crate::detect::catalog::{FindingId, WINDOW_AFTER, WINDOW_BEFORE};
use crate::report::filter::user_of;
use crate::time::{PacketTime, Span};
use crate::track::vocabulary::{Scope, Severity};

/// Users whose lost calls are remembered; of more, those are forgotten whose last lost call is the longest ago.
const REMEMBERED: usize = 4_096;

/// What the user wants to be told, and when.
#[derive(Clone, Debug)]
pub(in crate::alert) struct Rules {
    /// From which severity on.
    pub(in crate::alert) min_severity: Severity,
    /// Of what in any case.
    pub(in crate::alert) scopes: Vec<Scope>,
    /// Of which phones in any case: users, or users with their domain in lower case.
    pub(in crate::alert) watch: Vec<String>,
    /// How long a message waits for more of its group.
    pub(in crate::alert) group_wait: Span,
    /// How long a finding must be over.
    pub(in crate::alert) resolve_after: Span,
    /// After how long what holds is told again.
    pub(in crate::alert) repeat: Span,
    /// How often scanners are told of.
    pub(in crate::alert) digest: Span,
    /// Messages in an hour.
    pub(in crate::alert) max_per_hour: u32,
}

impl Rules {
    /// Whether somebody is told of a finding, which `ended` then if it is over.
    pub(super) fn want(&self, change: &Change, ended: Option<PacketTime>, lost_calls: &LostCalls) -> bool {
        let scope = match change.entry.scope {
            Scope::PhoneOrSite => Scope::Phone,
            scope => scope,
        };
        let is_of_a_phone = matches!(scope, Scope::Phone | Scope::Source);
        let lost = || {
            let from = change.since - WINDOW_BEFORE;
            let to = ended.map_or(PacketTime::MAX, |ended| ended + WINDOW_AFTER);
            change.aors.iter().any(|aor| lost_calls.any(aor, from, to))
        };
        change.entry.severity >= self.min_severity
            && (change.key.id == FindingId::ScannerSucceeded
                || self.scopes.contains(&scope)
                || change.aors.iter().any(|aor| self.is_watched(aor))
                || is_of_a_phone && lost())
    }

    fn is_watched(&self, aor: &str) -> bool {
        self.watch.iter().any(|watched| watched == aor || watched == user_of(aor))
    }
}

/// Whether a finding is that a call did not reach a phone, whatever the reason.
pub(super) fn loses_call(id: FindingId) -> bool {
    matches!(
        id,
        FindingId::CalleeNoResponse | FindingId::CallFailedCalleeUnreachable | FindingId::UnansweredBurst | FindingId::NeverRegistered
    )
}

/// Whether a finding is one of those that the internet brings all day long.
pub(super) fn is_scanning(id: FindingId) -> bool {
    matches!(id, FindingId::SipScanner | FindingId::AuthBruteforce)
}

/// The last call that each user lost.
#[derive(Debug, Default)]
pub(super) struct LostCalls(BTreeMap<Box<str>, PacketTime>);

impl LostCalls {
    pub(super) fn add(&mut self, aor: Box<str>, at: PacketTime) {
        if self.0.len() >= REMEMBERED
            && !self.0.contains_key(&aor)
            && let Some(oldest) = self.0.iter().min_by_key(|(_, at)| **at).map(|(aor, _)| aor.clone())
        {
            self.0.remove(&oldest);
        }
        let last = self.0.entry(aor).or_insert(at);
        *last = at.max(*last);
    }

    fn any(&self, aor: &str, from: PacketTime, to: PacketTime) -> bool {
        self.0.get(aor).is_some_and(|at| (from..=to).contains(at))
    }
}
