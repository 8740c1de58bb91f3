//! Addresses that the PBX answers no more because somebody was refused there again and again.

use crate::detect::catalog::FindingId;
use crate::detect::finding::Finding;
use crate::diagnose::case::Case;
use crate::time::Span;

/// How soon after its last refusal a source is shut out for it.
const BANNED_WITHIN: Span = Span::from_secs(600);

impl<'a> Case<'a> {
    /// That the registrar answers the user's phone no more since it refused it: that comes first now, whatever is wrong besides.
    pub(super) fn silenced_since(&self, finding: &Finding) -> Option<&'a Finding> {
        let is_refused = matches!(finding.id, FindingId::AuthFailedLoop | FindingId::RegistrationRejected);
        let silent = self.finding(FindingId::RegistrarSilent).filter(|_| is_refused)?;
        (silent.cleared.is_none() && silent.since > finding.since && silent.last > finding.last).then_some(silent)
    }

    /// What to do before a source is let in again that is not answered any more: whoever was refused there until then would be shut out again.
    pub(super) fn refused_before(&self, silent: &Finding) -> String {
        let is_there = |finding: &Finding| finding.related.contains(&silent.subject);
        let is_before = |finding: &Finding| finding.since < silent.since && silent.since.since(finding.last) <= BANNED_WITHIN;
        let is_cause = |finding: &Finding| finding.id == FindingId::AuthFailedLoop && is_before(finding) && is_there(finding);
        let refused = if silent.id == FindingId::RegistrarSilent { self.scene.findings.listed(is_cause) } else { Vec::new() };
        let name = refused.into_iter().map(|finding| finding.subject.to_string()).next();
        name.map_or_else(String::new, |name| {
            format!(" Correct the credentials of {name} first: they were refused until then, and would have the address banned again.")
        })
    }
}
