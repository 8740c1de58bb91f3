//! What only shows when the legs of a call are seen together: who began its end, and what was billed too long (DETECTION §6.3, §6.4).

use std::collections::BTreeMap;

use crate::time::{PacketTime, Span};
use crate::track::call::record::CallRecord;
use crate::track::vocabulary::{Direction, EndedBy};

use super::build::Recorded;

/// Seconds by which legs may end apart before anything was billed too long (DETECTION §9.2, `bill_tolerance`).
const TOLERANCE: Span = Span::from_secs(2);

/// The calls by Call-ID.
pub(super) struct Legs<'a> {
    by_call_id: BTreeMap<&'a str, &'a Recorded<'a>>,
    now: PacketTime,
}

impl<'a> Legs<'a> {
    /// Looks up legs among `records`; open ones last until `now`.
    pub(super) fn of(records: &'a [Recorded<'a>], now: PacketTime) -> Self {
        let linked = records.iter().filter(|(record, ..)| !record.linked.is_empty());
        Self { by_call_id: linked.map(|recorded| (&*recorded.0.call_id, recorded)).collect(), now }
    }

    /// Who began the end of the call that `record` is a leg of: a phone where one did. A leg that was left up ended by itself, one that
    /// is up not at all.
    pub(super) fn ended_by(&self, record: &CallRecord, direction: Direction) -> Option<EndedBy> {
        let own = record.ended_by;
        let still_up = record.answered.is_some() && record.ended.is_none();
        if record.linked.is_empty() || record.left_up.is_some() || still_up {
            return own;
        }
        if record.answered.is_none() {
            let theirs = self.others(record).find_map(|(other, ..)| other.ended_by.filter(|_| other.answered.is_none()));
            return if own == Some(EndedBy::Pbx) { theirs.or(own) } else { own };
        }
        let ends = std::iter::once((record, direction)).chain(self.others(record).map(|(other, _, direction)| (*other, *direction)));
        let by_phone = ends.filter_map(|(leg, direction)| Some((leg.ended?, phone_end(leg, direction)?)));
        by_phone.min_by_key(|(ended, _)| *ended).map(|(_, side)| side).or_else(|| own.map(|_| EndedBy::Pbx))
    }

    /// How long the leg stayed up after the first leg of its call had ended, where that was more than legs ordinarily end apart.
    pub(super) fn overbilled(&self, record: &CallRecord) -> Option<Span> {
        let own_end = record.answered.map(|_| record.ended.unwrap_or(self.now))?;
        let answered = self.others(record).filter(|(other, ..)| other.answered.is_some());
        let first_end = answered.filter_map(|(other, ..)| other.ended).min()?;
        let left_up = record.left_up.is_some();
        Some(own_end.since(first_end) - TOLERANCE).filter(|span| left_up && *span > Span::ZERO)
    }

    fn others<'s>(&'s self, record: &'s CallRecord) -> impl Iterator<Item = &'s Recorded<'a>> {
        record.linked.iter().filter_map(|call_id| self.by_call_id.get(&**call_id).copied())
    }
}

/// The side of the whole call whose phone ended this leg, if a phone did.
fn phone_end(leg: &CallRecord, direction: Direction) -> Option<EndedBy> {
    match (direction, leg.ended_by?) {
        (Direction::In, EndedBy::Caller) => Some(EndedBy::Caller),
        (Direction::Out, EndedBy::Callee) => Some(EndedBy::Callee),
        _ => None,
    }
}
