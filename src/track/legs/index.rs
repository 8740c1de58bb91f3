//! First legs by what they have, so that a second leg is weighed against those alone that have something in common with it, and not
//! against all of the ten seconds before.
//!
//! What a leg costs here does not depend on how many there are: the legs of one mark are chained, the latest first, and one that goes is
//! taken out of its chains where it is.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::marks::Marks;
use super::remembered::Place;
use crate::table::append;
use crate::time::PacketTime;

/// Legs that are looked at for one mark: the latest of those that strangers began, and as many of the others. However many share a number,
/// one that shares a session alone is among them.
const SOUGHT: usize = 64;

/// Where a chain ends.
const NIL: u32 = u32::MAX;

/// The marks of one leg in the index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries {
    first: u32,
    is_strangers: bool,
}

impl Entries {
    /// Those of a leg that is not in the index.
    pub(super) const NONE: Self = Self { first: NIL, is_strangers: false };
}

/// One mark of a leg.
#[derive(Clone, Copy, Debug)]
struct Node {
    key: u64,
    begun: PacketTime,
    /// The leg that has the mark and began next after this one.
    newer: u32,
    /// The one that began last before it.
    older: u32,
    /// Another mark of the same leg, or the next unused node.
    sibling: u32,
    leg: Place,
}

/// The first legs, by each of their marks and whether a stranger began them.
#[derive(Debug)]
pub(super) struct Index {
    /// The latest leg of each mark.
    heads: HashTable<u32>,
    nodes: Vec<Node>,
    /// The first unused node.
    free: u32,
    /// Legs that strangers began.
    strangers: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self { heads: HashTable::new(), nodes: Vec::new(), free: NIL, strangers: 0 }
    }
}

impl Index {
    /// Adds a leg that began no earlier than those before.
    pub(super) fn add(&mut self, leg: Place, begun: PacketTime, is_strangers: bool, marks: &Marks) -> Entries {
        let mut entries = Entries { first: NIL, is_strangers };
        for mark in marks.given() {
            let key = key(mark, is_strangers);
            let older = self.head(key).unwrap_or(NIL);
            if self.node(older).is_some_and(|latest| latest.leg == leg) {
                // Two numbers that differ may end alike.
                continue;
            }
            let node = self.put(Node { key, begun, newer: NIL, older: NIL, sibling: entries.first, leg });
            self.lead(node, key);
            entries.first = node;
        }
        self.strangers += usize::from(is_strangers);
        entries
    }

    pub(super) fn remove(&mut self, entries: Entries) {
        let mut next = entries.first;
        while let Some(&node) = self.node(next) {
            self.leave(next, node);
            if let Some(unused) = self.nodes.get_mut(next as usize) {
                unused.sibling = self.free;
            }
            self.free = next;
            next = node.sibling;
        }
        self.strangers -= usize::from(entries.is_strangers);
    }

    /// Takes note that a leg begins anew, no earlier than all others.
    pub(super) fn renew(&mut self, entries: Entries, begun: PacketTime) {
        let mut next = entries.first;
        while let Some(node) = self.nodes.get_mut(next as usize) {
            node.begun = begun;
            let node = *node;
            if node.newer != NIL {
                self.leave(next, node);
                self.lead(next, node.key);
            }
            next = node.sibling;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The legs that have something in common with a second leg of these marks and began at `from` or later, and perhaps others; some more
    /// than once.
    pub(super) fn alike(&self, second: &Marks, from: PacketTime) -> impl Iterator<Item = Place> {
        let of_strangers = (self.strangers > 0).then_some(true);
        let kinds = std::iter::once(false).chain(of_strangers);
        let keys = second.sought().flat_map(move |mark| kinds.clone().map(move |is_strangers| key(mark, is_strangers)));
        keys.filter_map(|key| self.head(key)).flat_map(move |head| {
            let legs = std::iter::successors(self.node(head), |node| self.node(node.older));
            legs.take_while(move |node| node.begun >= from).take(SOUGHT).map(|node| node.leg)
        })
    }

    fn node(&self, node: u32) -> Option<&Node> {
        self.nodes.get(node as usize)
    }

    fn head(&self, key: u64) -> Option<u32> {
        self.heads.find(key, |&head| self.node(head).is_some_and(|node| node.key == key)).copied()
    }

    /// Finds room for a node.
    fn put(&mut self, node: Node) -> u32 {
        let place = self.free;
        if let Some(unused) = self.nodes.get_mut(place as usize) {
            self.free = unused.sibling;
            *unused = node;
            return place;
        }
        append(&mut self.nodes, node);
        (self.nodes.len() - 1) as u32
    }

    /// Puts a node before all others of its mark.
    fn lead(&mut self, node: u32, key: u64) {
        let Self { heads, nodes, .. } = self;
        let key_of = |place: u32| nodes.get(place as usize).map_or(0, |node| node.key);
        let older = match heads.entry(key, |&head| key_of(head) == key, |&head| key_of(head)) {
            Entry::Occupied(mut head) => std::mem::replace(head.get_mut(), node),
            Entry::Vacant(vacant) => {
                vacant.insert(node);
                NIL
            }
        };
        if let Some(older) = nodes.get_mut(older as usize) {
            older.newer = node;
        }
        if let Some(node) = nodes.get_mut(node as usize) {
            (node.newer, node.older) = (NIL, older);
        }
    }

    /// Takes a node out of its chain.
    fn leave(&mut self, place: u32, node: Node) {
        if let Some(older) = self.nodes.get_mut(node.older as usize) {
            older.newer = node.newer;
        }
        if let Some(newer) = self.nodes.get_mut(node.newer as usize) {
            newer.older = node.older;
        } else if let Ok(mut head) = self.heads.find_entry(node.key, |&head| head == place) {
            if node.older == NIL {
                head.remove();
            } else {
                *head.get_mut() = node.older;
            }
        }
    }
}

/// Under what the legs with a mark are chained: those of strangers apart.
fn key(mark: u64, is_strangers: bool) -> u64 {
    if is_strangers { mark ^ 0x9e37_79b9_7f4a_7c15 } else { mark }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> PacketTime {
        PacketTime::from_nanos(second as i64)
    }

    fn marks(session_id: u64) -> Marks {
        Marks::with(session_id, 1)
    }

    fn found(index: &Index, session_id: u64, from: u64) -> Vec<Place> {
        let mut found: Vec<_> = index.alike(&marks(session_id), at(from)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn a_partner_is_found_by_a_mark_of_its_own_however_many_share_a_number() {
        let mut index = Index::default();
        let legs: Vec<_> = (0..1_000).map(|n| index.add(n, at(n.into()), false, &marks(1_000 + u64::from(n)))).collect();
        let latest = 1_000 - SOUGHT as u16..1_000;
        assert_eq!(found(&index, 1_003, 0), [3].into_iter().chain(latest).collect::<Vec<_>>());
        assert!(!found(&index, 1_003, 4).contains(&3), "began too long ago");
        legs.get(3).into_iter().for_each(|leg| index.remove(*leg));
        assert_eq!(found(&index, 1_003, 0).len(), SOUGHT);
    }

    #[test]
    fn strangers_take_no_room_of_others() {
        let mut index = Index::default();
        let legs: Vec<_> = (0..1_000).map(|n| index.add(n, at(n.into()), n != 3, &marks(1_000 + u64::from(n)))).collect();
        let latest = 1_000 - SOUGHT as u16..1_000;
        assert_eq!(found(&index, 9_999, 0), [3].into_iter().chain(latest).collect::<Vec<_>>());
        legs.get(3).into_iter().for_each(|leg| index.remove(*leg));
        assert!(!found(&index, 9_999, 0).contains(&3));
    }

    #[test]
    fn who_begins_anew_is_the_latest() {
        let mut index = Index::default();
        let legs: Vec<_> = (0..1_000).map(|n| index.add(n, at(n.into()), false, &marks(1_000 + u64::from(n)))).collect();
        legs.get(3).into_iter().for_each(|leg| index.renew(*leg, at(1_000)));
        let latest = 1_001 - SOUGHT as u16..1_000;
        assert_eq!(found(&index, 9_999, 0), [3].into_iter().chain(latest).collect::<Vec<_>>());
        assert_eq!(found(&index, 1_003, 1_000), [3]);
    }

    #[test]
    fn of_legs_that_have_gone_nothing_is_left() {
        let mut index = Index::default();
        for _ in 0..3 {
            let legs: Vec<_> = (0..100).map(|n| index.add(n, at(0), n % 2 == 0, &marks(1_000 + u64::from(n % 7)))).collect();
            legs.into_iter().for_each(|leg| index.remove(leg));
        }
        assert!(index.heads.is_empty());
        assert_eq!((index.strangers, index.nodes.len()), (0, 200), "room is used again");
    }
}
