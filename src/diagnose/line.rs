//! Who was on the line when a call ended: a transfer or a pickup puts others in the place of those who were called (DETECTION §6.3).

use crate::diagnose::answer::Answer;
use crate::diagnose::cannot_call::people;
use crate::diagnose::case::Case;
use crate::diagnose::facts;
use crate::diagnose::parties::{Attempt, TOGETHER};
use crate::diagnose::words::{caller, clock, dialled, ender, lasting, outcome};
use crate::report::model::CallEntry;
use crate::time::Span;
use crate::track::call;
use crate::track::call::session::Side;
use crate::track::vocabulary::{Direction, EndedBy};

/// How soon before or after the end of a leg the PBX calls whom its other end is transferred to.
pub(super) const CALLED_WITHIN: Span = Span::from_secs(10);

/// The leg of a call that the user had, and who was at its other end at last.
pub(super) struct Line<'a> {
    pub(super) own: &'a CallEntry,
    /// Who came in the place of who was there at first.
    other: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// The line of the user in a call; that of the caller where nobody came in another's place, and all legs ended together.
    pub(super) fn of(case: &Case<'a>, attempt: &Attempt<'a>) -> Self {
        let is_own = |leg: &&CallEntry| leg.direction == Direction::Out && leg.answered.is_some();
        let called = if attempt.is_by(&case.party) { None } else { attempt.leg_to(&case.party).filter(is_own) };
        let own = called.unwrap_or(attempt.main);
        let other = successor(case, own);
        let is_apart = own.ended.zip(attempt.main.ended).is_some_and(|(own, main)| main.0 - own.0 > TOGETHER);
        match other.is_some() || transferor(own).is_some() || is_apart {
            true => Self { own, other },
            false => Self { own: attempt.main, other: successor(case, attempt.main) },
        }
    }

    /// The call, as the beginning of a sentence.
    pub(super) fn which(&self, case: &Case<'_>) -> String {
        let Self { own, other } = self;
        let other = other.map_or_else(String::new, |other| format!(", at last with {other},"));
        format!("The call of {} to {} at {}{other}", caller(own), dialled(own), clock(case, own.first_seen))
    }

    /// Who hung up, by name.
    pub(super) fn ender(&self) -> Option<String> {
        let Some(other) = self.other else { return ender(self.own) };
        let is_called = self.own.direction == Direction::Out;
        Some(match self.own.ended_by? {
            EndedBy::Caller if is_called => other.to_owned(),
            EndedBy::Callee if !is_called => other.to_owned(),
            EndedBy::Caller => caller(self.own).to_owned(),
            EndedBy::Callee => dialled(self.own).to_owned(),
            EndedBy::Pbx | EndedBy::Timeout => return ender(self.own),
        })
    }

    /// What to say where an end of this leg transferred the other one to somebody else.
    pub(super) fn transferred(&self, case: &Case<'_>) -> Option<Answer> {
        let by = match transferor(self.own)? {
            Side::Caller => caller(self.own),
            Side::Callee => dialled(self.own),
        };
        let after = self.own.talk_s.map_or_else(String::new, |talk| format!(" after {}", lasting(talk.0)));
        let name = last(case, self.own).and_then(end_of);
        let went_on = || {
            let other = successor(case, last(case, self.own)?)?;
            Some(format!(" {} talked to {other} then.", name?))
        };
        let in_vain = || {
            let call = called_in_vain(case, self.own)?;
            Some(format!(" The PBX then called {} for {}, which {}.", dialled(call), name?, outcome(call)))
        };
        let headline = format!(
            "The call of {} to {} at {} was transferred by {by}{after}, which ended it there.{}",
            caller(self.own),
            dialled(self.own),
            clock(case, self.own.first_seen),
            went_on().or_else(in_vain).unwrap_or_default()
        );
        let answer = people(headline).next_step(format!("Ask {by} whether the transfer was meant."));
        Some(answer.facts([facts::call(self.own)]))
    }
}

/// Whom the PBX called in vain for whoever was transferred away by an end of `left`.
pub(super) fn called_in_vain<'a>(case: &Case<'a>, left: &CallEntry) -> Option<&'a CallEntry> {
    let end = left.ended?.0;
    transferor(left)?;
    let name = last(case, left).and_then(end_of)?;
    let is_it = |call: &&CallEntry| {
        let is_in_name = call.direction == Direction::Out && call.linked.is_empty() && call.from.as_deref() == Some(name);
        let asked = end - CALLED_WITHIN..=end + CALLED_WITHIN;
        is_in_name && call.answered.is_none() && call.ended.is_some() && asked.contains(&call.first_seen)
    };
    case.scene.report.calls.iter().rfind(is_it)
}

/// The end that ended a leg by transferring the other one away.
fn transferor(leg: &CallEntry) -> Option<Side> {
    call::transferor(leg.end_reason.as_deref()?)
}

/// Who came in the place of the other end of a leg.
fn successor<'a>(case: &Case<'a>, leg: &CallEntry) -> Option<&'a str> {
    let last = last(case, leg)?;
    let is_beside = last.direction == leg.direction && leg.direction != Direction::Through;
    let first = if leg.direction == Direction::Out { &leg.from } else { &leg.to };
    let is_handed_on = is_beside || partners(case, leg).nth(1).is_some();
    end_of(last).filter(|name| is_handed_on && first.as_deref() != Some(*name))
}

/// The leg that was joined with `leg` at last.
fn last<'a>(case: &Case<'a>, leg: &CallEntry) -> Option<&'a CallEntry> {
    partners(case, leg).max_by_key(|other| (other.ended.is_none(), other.ended))
}

/// The legs that were answered and joined with `leg`.
fn partners<'a>(case: &Case<'a>, leg: &CallEntry) -> impl Iterator<Item = &'a CallEntry> {
    let calls = &case.scene.report.calls;
    calls.iter().filter(|other| other.answered.is_some() && leg.linked.contains(&other.call_id))
}

/// Who is at the outer end of a leg.
fn end_of(leg: &CallEntry) -> Option<&str> {
    if leg.direction == Direction::Out { leg.to.as_deref() } else { leg.from.as_deref() }
}
