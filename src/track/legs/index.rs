//! First legs by what they have, so that a second leg is weighed against those alone that have something in common with it, and not
//! against all of the ten seconds before.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::Leg;

/// Legs that are looked at for one mark: the latest of those that strangers began, and as many of the others. However many share a number,
/// one that shares a session alone is among them.
const SOUGHT: usize = 64;

/// The numbers of the first legs, by each of their marks and whether a stranger began them.
#[derive(Debug, Default)]
pub(super) struct Index(BTreeSet<(u64, bool, u64)>);

impl Index {
    pub(super) fn add(&mut self, leg: &Leg) {
        self.0.extend(leg.marks.given().map(|mark| (mark, leg.is_strangers, leg.number)));
    }

    pub(super) fn remove(&mut self, leg: &Leg) {
        for mark in leg.marks.given() {
            self.0.remove(&(mark, leg.is_strangers, leg.number));
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The numbers, from `first` on, of the legs that have something in common with this second leg, and perhaps of others: each once, the
    /// latest first.
    pub(super) fn alike(&self, second: &Leg, first: u64) -> Vec<u64> {
        let marked = |mark, is_strangers| {
            let marked = self.0.range((mark, is_strangers, first)..=(mark, is_strangers, u64::MAX));
            marked.rev().take(SOUGHT).map(|(.., number)| *number)
        };
        let mut numbers: Vec<u64> = second.marks.sought().flat_map(|mark| marked(mark, false).chain(marked(mark, true))).collect();
        numbers.sort_unstable_by_key(|number| Reverse(*number));
        numbers.dedup();
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::super::marks::Marks;
    use super::*;
    use crate::decode::flow::{Flow, Transport};
    use crate::table::Handle;
    use crate::time::PacketTime;

    fn leg(number: u64, session_id: u64) -> Leg {
        let [source, destination] = ["192.0.2.1:5060", "203.0.113.10:5060"].map(|end| end.parse().unwrap());
        Leg {
            number,
            call: Handle::MAX,
            flow: Flow { transport: Transport::Udp, source, destination },
            begun: PacketTime::MIN,
            marks: Marks::with(session_id, 1),
            is_strangers: false,
            near: Vec::new(),
            crowd: 0,
        }
    }

    #[test]
    fn a_partner_is_found_by_a_mark_of_its_own_however_many_share_a_number() {
        let mut index = Index::default();
        (0..1_000).for_each(|number| index.add(&leg(number, 1_000 + number)));
        let found = index.alike(&leg(0, 1_003), 0);
        assert_eq!(found, (1_000 - SOUGHT as u64..1_000).rev().chain([3]).collect::<Vec<_>>());
        assert!(!index.alike(&leg(0, 1_003), 4).contains(&3), "began too long ago");
        index.remove(&leg(3, 1_003));
        assert_eq!(index.alike(&leg(0, 1_003), 0).len(), SOUGHT);
    }

    #[test]
    fn strangers_take_no_room_of_others() {
        let mut index = Index::default();
        (0..1_000).for_each(|number| index.add(&Leg { is_strangers: number != 3, ..leg(number, 1_000 + number) }));
        let found = index.alike(&leg(0, 9_999), 0);
        assert_eq!(found, (1_000 - SOUGHT as u64..1_000).rev().chain([3]).collect::<Vec<_>>());
        index.remove(&leg(3, 1_003));
        assert!(!index.alike(&leg(0, 9_999), 0).contains(&3));
    }
}
