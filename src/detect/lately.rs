//! What happened lately to each of many, so that one is looked at without the others.

use std::collections::{BTreeMap, VecDeque};

use crate::time::{PacketTime, Span};

/// What happened within a window, by whom it happened to; of more than `MOST` the oldest is forgotten.
#[derive(Debug)]
pub(super) struct Lately<K, T, const MOST: usize> {
    happened: VecDeque<(PacketTime, K)>,
    histories: BTreeMap<K, VecDeque<T>>,
}

impl<K, T, const MOST: usize> Default for Lately<K, T, MOST> {
    fn default() -> Self {
        Self { happened: VecDeque::new(), histories: BTreeMap::new() }
    }
}

impl<K: Copy + Ord, T, const MOST: usize> Lately<K, T, MOST> {
    /// Takes note of what happens `now`; returns what happened to `whom` within the window, the latest last.
    pub(super) fn note(&mut self, whom: K, item: T, now: PacketTime, window: Span) -> &[T] {
        while self.happened.front().is_some_and(|(when, _)| now.since(*when) > window) || self.happened.len() >= MOST {
            let Some((_, old)) = self.happened.pop_front() else { break };
            let Some(history) = self.histories.get_mut(&old) else { continue };
            history.pop_front();
            if history.is_empty() {
                self.histories.remove(&old);
            }
        }
        self.happened.push_back((now, whom));
        let history = self.histories.entry(whom).or_default();
        history.push_back(item);
        history.make_contiguous()
    }

    /// Forgets what happened to `whom`, so that it takes no room of the others.
    pub(super) fn forget(&mut self, whom: K) {
        if self.histories.remove(&whom).is_some() {
            self.happened.retain(|(_, other)| *other != whom);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Span = Span::from_secs(10);

    fn at(second: i64) -> PacketTime {
        PacketTime::from_parts(second, 0)
    }

    #[test]
    fn each_has_what_happened_to_it_within_the_window() {
        let mut lately = Lately::<u32, char, 3>::default();
        let mut note = |whom, item, second| lately.note(whom, item, at(second), WINDOW).iter().collect::<String>();
        assert_eq!([note(1, 'a', 0), note(1, 'b', 5), note(2, 'c', 6)], ["a", "ab", "c"]);
        assert_eq!(note(1, 'd', 11), "bd", "the first is out of the window");
        assert_eq!([note(2, 'e', 12), note(2, 'f', 13)], ["ce", "ef"], "only three are remembered");
        assert_eq!((lately.happened.len(), lately.histories.len()), (3, 2));
    }

    #[test]
    fn what_was_forgotten_takes_nothing_of_what_came_later_with_it() {
        let mut lately = Lately::<u32, char, 10>::default();
        lately.note(1, 'a', at(0), WINDOW);
        lately.note(1, 'b', at(4), WINDOW);
        lately.forget(1);
        lately.note(1, 'c', at(5), WINDOW);
        assert_eq!(lately.note(1, 'd', at(12), WINDOW), ['c', 'd']);
        assert_eq!(lately.note(1, 'e', at(40), WINDOW), ['e']);
        assert_eq!((lately.happened.len(), lately.histories.len()), (1, 1));
    }

    #[test]
    fn what_was_forgotten_pushes_nothing_out() {
        let mut lately = Lately::<u32, char, 3>::default();
        lately.note(1, 'a', at(0), WINDOW);
        for second in 1..9 {
            lately.note(2, 'x', at(second), WINDOW);
            lately.forget(2);
        }
        assert_eq!(lately.note(1, 'b', at(9), WINDOW), ['a', 'b']);
        assert_eq!(lately.happened.len(), 2);
    }
}
