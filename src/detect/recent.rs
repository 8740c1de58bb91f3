//! How often something happened to somebody within a window.

use std::collections::{BTreeMap, VecDeque};

use crate::time::{PacketTime, Span};

/// What happened lately, counted by whom it happened to; of more than `MOST` the oldest is forgotten.
#[derive(Debug)]
pub(super) struct Recent<K, const MOST: usize> {
    happened: VecDeque<(PacketTime, K)>,
    counts: BTreeMap<K, usize>,
}

impl<K, const MOST: usize> Default for Recent<K, MOST> {
    fn default() -> Self {
        Self { happened: VecDeque::new(), counts: BTreeMap::new() }
    }
}

impl<K: Copy + Ord, const MOST: usize> Recent<K, MOST> {
    /// Takes note of what happens `now`; returns how often it happened to `whom` within the window, this time included.
    pub(super) fn note(&mut self, whom: K, now: PacketTime, window: Span) -> usize {
        while self.happened.front().is_some_and(|(when, _)| now.since(*when) > window) || self.happened.len() >= MOST {
            let Some((_, old)) = self.happened.pop_front() else { break };
            if let Some(count) = self.counts.get_mut(&old).filter(|count| **count > 1) {
                *count -= 1;
            } else {
                self.counts.remove(&old);
            }
        }
        self.happened.push_back((now, whom));
        let count = self.counts.entry(whom).or_default();
        *count += 1;
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_or_too_much_is_not_counted() {
        let at = |second| PacketTime::from_parts(second, 0);
        let mut recent = Recent::<u32, 3>::default();
        let mut note = |whom, second| recent.note(whom, at(second), Span::from_secs(10));
        assert_eq!([note(1, 0), note(1, 5), note(2, 6)], [1, 2, 1]);
        assert_eq!(note(1, 11), 2, "the first is out of the window");
        assert_eq!([note(2, 12), note(2, 13)], [2, 2], "only three are remembered");
        assert_eq!((recent.happened.len(), recent.counts.len()), (3, 2));
    }
}
