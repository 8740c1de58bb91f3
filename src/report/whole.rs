//! The long lists of the report: brought into their order at once, their entries made one at a time.

use serde::{Serialize, Serializer};

use super::build::{Kept, Recorded, call, registration};
use super::legs::Legs;
use super::model::{CallEntry, RegistrationEntry, Rfc6076};
use super::performance::Attempts;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::call::{Call, FinishedCall};
use crate::track::registration::Aor;

/// All calls and registrations that are kept.
pub struct Whole<'a> {
    tracker: &'a Tracker,
    registrations: Vec<(PacketTime, &'a Aor)>,
    calls: Vec<(PacketTime, Place<'a>)>,
    legs: Legs<'a>,
    attempts: Attempts,
}

/// Where a call is kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// Among those that are over.
    Over(FinishedCall<'a>),
    /// Among those in progress.
    InProgress(&'a Call),
}

impl<'a> Place<'a> {
    /// All calls that are kept, those that are over first.
    pub(super) fn all(tracker: &'a Tracker) -> impl Iterator<Item = Self> {
        tracker.calls.finished().map(Self::Over).chain(tracker.calls.iter().map(|(_, call)| Self::InProgress(call)))
    }

    /// The call.
    pub(super) fn look(self) -> Kept<'a> {
        match self {
            Self::Over(over) => Kept { record: over.record(), in_progress: None },
            Self::InProgress(call) => Kept { record: call.record_at_end(), in_progress: Some(call) },
        }
    }
}

impl<'a> Whole<'a> {
    /// What `tracker` keeps.
    pub fn of(tracker: &'a Tracker) -> Self {
        let mut legs = Legs::new(tracker);
        let mut attempts = Attempts::default();
        let mut calls = Vec::new();
        for place in Place::all(tracker) {
            let recorded: Recorded<'a> = place.look().settled(tracker);
            legs.add(&recorded);
            attempts.count(tracker, &recorded);
            calls.push((tracker.printed(recorded.0.started), place));
        }
        let key = |place: &Place<'a>| {
            let record = place.look().record;
            (record.call_id, record.source, record.destination)
        };
        calls.sort_by(|(began, a), (other, b)| began.cmp(other).then_with(|| key(a).cmp(&key(b))));
        let aors = tracker.registrations.aors().map(|(_, aor)| (tracker.printed(aor.first_seen), aor));
        let mut registrations: Vec<_> = aors.collect();
        registrations.sort_by_key(|(first_seen, aor)| (*first_seen, &*aor.name));
        Self { tracker, registrations, calls, legs, attempts }
    }

    /// The entries of the calls, with all of their legs, in the order of the report.
    pub fn calls(&self) -> impl Iterator<Item = CallEntry> {
        self.calls.iter().map(|(_, place)| {
            let mut entry = call(self.tracker, &self.legs, &place.look().settled(self.tracker));
            entry.sort();
            entry
        })
    }

    /// The entries of the addresses-of-record, in the order of the report.
    pub fn registrations(&self) -> impl Iterator<Item = RegistrationEntry> {
        self.registrations.iter().map(|(_, aor)| {
            let mut entry = registration(self.tracker, aor);
            entry.sort();
            entry
        })
    }

    /// The performance over all of it.
    pub(super) fn performance(&self) -> Rfc6076 {
        self.attempts.measures(self.tracker)
    }
}

/// A list whose entries are made while it is written, so that it is never held.
#[derive(Clone, Copy, Debug)]
pub struct Each<F>(pub F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Each<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}
