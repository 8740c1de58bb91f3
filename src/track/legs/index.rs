//! First legs by what they have, so that a second leg is weighed against those alone that have something in common with it: at 5,000 calls
//! a second all others were two thirds of the work of the engine.

use std::collections::BTreeSet;

use super::Leg;

/// Legs that are looked for by their marks at most. Where more have something in common, going through all of them costs no more.
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

    /// The numbers, from `first` on, of all legs that have something in common with this second leg, each once and perhaps with others;
    /// `None` where there are too many.
    pub(super) fn alike(&self, second: &Leg, first: u64) -> Option<Vec<u64>> {
        let mut numbers = Vec::new();
        for mark in second.marks.sought() {
            let room = SOUGHT - numbers.len() + 1;
            numbers.extend(self.0.range((mark, first)..=(mark, u64::MAX)).take(room).map(|(_, number)| number));
            if numbers.len() > SOUGHT {
                return None;
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        Some(numbers)
    }
}
