//! First legs by what they have, so that a second leg is weighed against those alone that have something in common with it: at 5,000 calls
//! a second all others were two thirds of the work of the engine.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::Leg;

/// Legs that are looked at for one mark: the latest.
const SOUGHT: usize = 256;

/// The numbers of the first legs, by each of their marks.
#[derive(Debug, Default)]
pub(super) struct Index(BTreeSet<(u64, u64)>);

impl Index {
    pub(super) fn add(&mut self, leg: &Leg) {
        self.0.extend(leg.marks.given().map(|mark| (mark, leg.number)));
    }

    pub(super) fn remove(&mut self, leg: &Leg) {
        for mark in leg.marks.given() {
            self.0.remove(&(mark, leg.number));
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The numbers, from `first` on, of the legs that have something in common with this second leg, and perhaps of others: each once, the
    /// latest first.
    pub(super) fn alike(&self, second: &Leg, first: u64) -> Vec<u64> {
        let marked = |mark| self.0.range((mark, first)..=(mark, u64::MAX)).rev().take(SOUGHT).map(|(_, number)| *number);
        let mut numbers: Vec<u64> = second.marks.sought().flat_map(marked).collect();
        numbers.sort_unstable_by_key(|number| Reverse(*number));
        numbers.dedup();
        numbers
    }
}
