//! What changed about a device while it was followed: its address, its software, its boot cycle (runbook S4-4); and how regularly it
//! registers (DETECTION §2.3).

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::config::Thresholds;
use crate::time::Span;
use crate::track::event::Sighting;

/// Changes remembered of a device.
const REMEMBERED: usize = 8;
/// Intervals between registrations that are remembered.
const INTERVALS: usize = 8;
/// A REGISTER sooner after the last one answers a challenge or repeats it.
const SAME_TRY: Span = Span::from_secs(1);
/// A phone that registers less often than this does not do it to keep its binding alive.
const KEEPS_ALIVE: Span = Span::from_secs(120);

/// One change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// It came from another address or port.
    Address(SocketAddr, SocketAddr),
    /// It gave another User-Agent than this one.
    Agent(Box<str>),
    /// It began a new REGISTER Call-ID, as after a restart.
    Restart {
        /// The one before, as a hash.
        before: u64,
    },
}

/// The last changes of a device, in order of time; most devices have none.
#[expect(clippy::box_collection, reason = "most devices never change, and an empty queue would have three words of each")]
#[derive(Debug, Default)]
pub struct Changes(Option<Box<VecDeque<(Sighting, Change)>>>);

impl Changes {
    pub(super) fn note(&mut self, change: Change, at: Sighting) {
        let changes = self.0.get_or_insert_default();
        if changes.len() >= REMEMBERED {
            changes.pop_front();
        }
        changes.push_back((at, change));
    }

    /// Whether the device registered under the Call-ID with that hash before it took another.
    pub(super) fn left(&self, call_id: u64) -> bool {
        self.iter().any(|(_, change)| *change == Change::Restart { before: call_id })
    }

    /// Each with the packet that shows it.
    pub fn iter(&self) -> impl Iterator<Item = &(Sighting, Change)> {
        self.0.iter().flat_map(|changes| changes.iter())
    }
}

/// The last intervals between registrations, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refreshes {
    intervals: [u32; INTERVALS],
    count: u8,
}

impl Refreshes {
    pub(super) fn note(&mut self, interval: Span) {
        if interval < SAME_TRY {
            return;
        }
        let millis = (interval.as_nanos() / 1_000_000).clamp(0, i64::from(u32::MAX)) as u32;
        self.intervals.rotate_right(1);
        self.intervals[0] = millis;
        self.count = self.count.saturating_add(1);
    }

    /// The median and the longest interval, if they keep a binding alive: regular, and often enough.
    pub fn regular(&self, thresholds: &Thresholds) -> Option<(Span, Span)> {
        let mut sorted: Vec<u32> = self.intervals.iter().take(usize::from(self.count)).copied().collect();
        sorted.sort_unstable();
        let (middle, longest) = (*sorted.get(sorted.len() / 2)?, *sorted.last()?);
        let mut spread: Vec<u32> = sorted.iter().map(|interval| interval.abs_diff(middle)).collect();
        spread.sort_unstable();
        let deviation = f64::from(*spread.get(spread.len() / 2)?);
        let is_regular =
            sorted.len() >= thresholds.ka_min_intervals as usize && deviation <= thresholds.ka_periodic_mad.get() * f64::from(middle);
        let span = |millis: u32| Span::from_millis(i64::from(millis));
        (is_regular && span(middle) <= KEEPS_ALIVE).then(|| (span(middle), span(longest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(intervals: impl IntoIterator<Item = i64>) -> Option<(Span, Span)> {
        let mut refreshes = Refreshes::default();
        for seconds in intervals {
            // The challenge is answered at once.
            refreshes.note(Span::from_millis(20));
            refreshes.note(Span::from_secs(seconds));
        }
        refreshes.regular(&Thresholds::default())
    }

    #[test]
    fn a_phone_that_registers_every_half_minute_keeps_its_binding_by_that() {
        assert_eq!(every([30, 30, 31, 30, 30, 29]), Some((Span::from_secs(30), Span::from_secs(31))));
    }

    #[test]
    fn few_or_wild_or_rare_registrations_keep_nothing() {
        assert_eq!(every([30, 30, 30]), None);
        assert_eq!(every([5, 100, 20, 61, 90, 2]), None);
        assert_eq!(every([1800; 8]), None);
    }

    #[test]
    fn only_the_last_changes_are_kept() {
        let mut changes = Changes::default();
        for frame in 0..20 {
            changes.note(Change::Restart { before: frame }, Sighting { frame, ..Sighting::default() });
        }
        assert_eq!(changes.iter().map(|(at, _)| at.frame).collect::<Vec<_>>(), (12..20).collect::<Vec<_>>());
    }
}
