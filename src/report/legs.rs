//! What only shows when the legs of a call are seen together: who began its end, and what was billed too long (DETECTION §6.3, §6.4).

use hashbrown::HashTable;

use crate::table::Digester;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::call::record::CallView;
use crate::track::vocabulary::{Direction, EndedBy};

use super::build::Recorded;

/// Seconds by which legs may end apart before anything was billed too long (DETECTION §9.2, `bill_tolerance`).
const TOLERANCE: Span = Span::from_secs(2);
/// How far apart the legs of a call end that end with one another (DETECTION §6.4).
const TOGETHER: Span = Span::from_secs(5);

/// The calls that have other legs, by Call-ID.
pub(super) struct Legs<'a> {
    by_call_id: HashTable<(&'a str, Leg)>,
    digester: Digester,
    now: PacketTime,
}

/// What is looked at of another leg.
#[derive(Clone, Copy)]
struct Leg {
    answered: Option<PacketTime>,
    ended: Option<PacketTime>,
    ended_by: Option<EndedBy>,
    direction: Direction,
}

impl Leg {
    fn of(record: &CallView<'_>, direction: Direction) -> Self {
        // What the PBX is answered on a leg of its own is the word of the called side.
        let refused = record.answered.is_none() && direction == Direction::Out;
        let ended_by = match record.ended_by {
            Some(EndedBy::Pbx) if refused => Some(EndedBy::Callee),
            own => own,
        };
        Self { answered: record.answered, ended: record.ended, ended_by, direction }
    }

    /// The side of the whole call whose phone ended this leg, if a phone did.
    fn phone_end(self) -> Option<EndedBy> {
        match (self.direction, self.ended_by?) {
            (Direction::In, EndedBy::Caller) => Some(EndedBy::Caller),
            (Direction::Out, EndedBy::Callee) => Some(EndedBy::Callee),
            _ => None,
        }
    }
}

impl<'a> Legs<'a> {
    /// No calls yet; open ones last until the present of `tracker`.
    pub(super) fn new(tracker: &Tracker) -> Self {
        Self { by_call_id: HashTable::new(), digester: tracker.world.digester, now: tracker.now() }
    }

    /// Looks up legs among `records`.
    pub(super) fn of(tracker: &Tracker, records: &[Recorded<'a>]) -> Self {
        let mut legs = Self::new(tracker);
        records.iter().for_each(|recorded| legs.add(recorded));
        legs
    }

    /// Knows a call too; of two with one Call-ID the later one.
    pub(super) fn add(&mut self, (record, _, direction): &Recorded<'a>) {
        if record.linked.is_empty() {
            return;
        }
        let digester = self.digester;
        let hash = |call_id: &str| digester.bytes(call_id.as_bytes()).low64();
        let leg = (record.call_id, Leg::of(record, *direction));
        match self.by_call_id.find_mut(hash(record.call_id), |(call_id, _)| *call_id == record.call_id) {
            Some(known) => *known = leg,
            None => {
                self.by_call_id.insert_unique(hash(record.call_id), leg, |(call_id, _)| hash(call_id));
            }
        }
    }

    /// Who began the end of the call that `record` is a leg of: a phone where one did. A leg that was left up, or that the PBX joined with
    /// another one since, ended by itself, one that is up not at all.
    pub(super) fn ended_by(&self, record: &CallView<'_>, direction: Direction) -> Option<EndedBy> {
        let own = Leg::of(record, direction).ended_by;
        let still_up = record.answered.is_some() && record.ended.is_none();
        if record.linked.is_empty() || record.left_up.is_some() || still_up {
            return own;
        }
        if record.answered.is_none() {
            let theirs = || self.others(record).filter(|other| other.answered.is_none());
            let by_phone = || theirs().find_map(|other| other.phone_end());
            let in_vain = || theirs().find_map(|other| other.ended_by.filter(|by| *by == EndedBy::Timeout));
            return if own == Some(EndedBy::Pbx) { by_phone().or_else(in_vain).or(own) } else { own };
        }
        // A carrier that refused before another one took the call ended nothing.
        let ended_with = |other: &Leg| other.ended.zip(record.ended).is_some_and(|(theirs, ours)| (ours - theirs).abs() <= TOGETHER);
        let answered = self.others(record).copied().filter(|other| other.answered.is_some() && ended_with(other));
        // Of two phones that called the PBX, one picked up the call of the other: each is the called side to the other. Of two that the PBX
        // called and joined since, each is the calling side to the other.
        let seen_from_here = |other: Leg| match (direction, other.direction, other.ended_by) {
            (Direction::In, Direction::In, Some(EndedBy::Caller)) => {
                Leg { direction: Direction::Out, ended_by: Some(EndedBy::Callee), ..other }
            }
            (Direction::Out, Direction::Out, Some(EndedBy::Callee)) => {
                Leg { direction: Direction::In, ended_by: Some(EndedBy::Caller), ..other }
            }
            _ => other,
        };
        let ends = std::iter::once(Leg::of(record, direction)).chain(answered.map(seen_from_here));
        let by_phone = ends.filter_map(|leg| Some((leg.ended?, leg.phone_end()?)));
        by_phone.min_by_key(|(ended, _)| *ended).map(|(_, side)| side).or_else(|| own.map(|_| EndedBy::Pbx))
    }

    /// How long the leg stayed up after the first leg of its call had ended, or after a hang-up that nobody confirmed, where that was more
    /// than legs ordinarily end apart.
    pub(super) fn overbilled(&self, record: &CallView<'_>) -> Option<Span> {
        record.answered.filter(|_| record.left_up.is_some() || record.gave_up.is_some())?;
        let own_end = record.gave_up.or(record.ended).unwrap_or(self.now);
        let answered = self.others(record).filter(|other| other.answered.is_some());
        let first_end = answered.filter_map(|other| other.ended).chain(record.ended).min()?;
        Some(own_end.since(first_end) - TOLERANCE).filter(|span| *span > Span::ZERO)
    }

    fn others(&self, record: &CallView<'_>) -> impl Iterator<Item = &Leg> {
        record.linked.iter().filter_map(|call_id| {
            let hash = self.digester.bytes(call_id.as_bytes()).low64();
            self.by_call_id.find(hash, |(known, _)| *known == call_id).map(|(_, leg)| leg)
        })
    }
}
