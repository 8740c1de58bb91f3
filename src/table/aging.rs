//! A table whose entries all live equally long: half as large beside its values as [`ExpiringTable`](super::ExpiringTable), since the order
//! in which they came is the one in which they go, and no larger than its entries need it.

use hashbrown::HashTable;

use super::values::Values;
use super::{Digest, RANKS, Rank};
use crate::time::{PacketTime, Span};

/// Where a linked list ends.
const NIL: u32 = u32::MAX;

#[derive(Debug)]
struct Entry<V> {
    key: Digest,
    /// When it came.
    since: PacketTime,
    value: V,
    /// Its neighbours in the order in which all came.
    age: Link,
    /// Its neighbours of the same rank in the order of their last use.
    usage: Link,
    rank: Rank,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

/// The ends of a linked list.
#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

impl List {
    const EMPTY: Self = Self { head: NIL, tail: NIL };

    /// Appends the entry in a slot; `link` finds the neighbours that entries have in this list.
    fn append<V>(&mut self, entries: &mut Values<Entry<V>>, slot: u32, link: impl Fn(&mut Entry<V>) -> &mut Link) {
        let last = std::mem::replace(&mut self.tail, slot);
        if let Some(entry) = entries.get_mut(slot) {
            *link(entry) = Link { previous: last, next: NIL };
        }
        match entries.get_mut(last) {
            Some(entry) => link(entry).next = slot,
            None => self.head = slot,
        }
    }

    /// Takes the entry in a slot out.
    fn take<V>(&mut self, entries: &mut Values<Entry<V>>, slot: u32, link: impl Fn(&mut Entry<V>) -> &mut Link) {
        let Some(&mut Link { previous, next }) = entries.get_mut(slot).map(&link) else { return };
        match entries.get_mut(previous) {
            Some(entry) => link(entry).next = next,
            None => self.head = next,
        }
        match entries.get_mut(next) {
            Some(entry) => link(entry).previous = previous,
            None => self.tail = previous,
        }
    }
}

/// A bounded table of `V`. Inserting into a full one evicts the entry of the lowest rank that was longest unused.
#[derive(Debug)]
pub struct AgingTable<V> {
    index: HashTable<u32>,
    entries: Values<Entry<V>>,
    /// Slots that were in use.
    free: Vec<u32>,
    /// Slots that are or were in use.
    used: u32,
    by_age: List,
    by_usage: [List; RANKS],
    life: Span,
    capacity: usize,
    evicted: u64,
}

impl<V> AgingTable<V> {
    /// An empty table for at most `capacity` entries (at least one) that live for `life` each.
    pub fn new(capacity: usize, life: Span) -> Self {
        Self {
            index: HashTable::new(),
            entries: Values::new(),
            free: Vec::new(),
            used: 0,
            by_age: List::EMPTY,
            by_usage: [List::EMPTY; RANKS],
            life,
            capacity: capacity.clamp(1, NIL as usize - 1),
            evicted: 0,
        }
    }

    /// Entries in the table.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries dropped for lack of room since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// When the entry of `key` came, and its value.
    pub fn get(&self, key: Digest) -> Option<(PacketTime, &V)> {
        self.entries.get(self.find(key)?).map(|entry| (entry.since, &entry.value))
    }

    /// Puts `value` under `key`, replacing what was there. `now` is no earlier than at any call before.
    pub fn insert(&mut self, key: Digest, value: V, now: PacketTime, rank: Rank) {
        if let Some(old) = self.find(key) {
            self.remove(old);
        }
        if self.len() >= self.capacity
            && let Some(lowest) = self.by_usage.iter().map(|list| list.head).find(|&head| head != NIL)
        {
            self.evicted += 1;
            self.remove(lowest);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        });
        let link = Link { previous: NIL, next: NIL };
        self.entries.put(slot, Entry { key, since: now, value, age: link, usage: link, rank });
        let entries = &self.entries;
        self.index.insert_unique(key.low64(), slot, |&slot| entries.get(slot).map_or(0, |entry| entry.key.low64()));
        self.by_age.append(&mut self.entries, slot, |entry| &mut entry.age);
        self.by_usage[rank as usize].append(&mut self.entries, slot, |entry| &mut entry.usage);
    }

    /// Marks the entry of `key` as used just now, and as worth `rank`.
    pub fn keep(&mut self, key: Digest, rank: Rank) {
        let Some(slot) = self.find(key) else { return };
        let Some(entry) = self.entries.get_mut(slot) else { return };
        let before = std::mem::replace(&mut entry.rank, rank);
        self.by_usage[before as usize].take(&mut self.entries, slot, |entry| &mut entry.usage);
        self.by_usage[rank as usize].append(&mut self.entries, slot, |entry| &mut entry.usage);
    }

    /// Lets go of what is too old at `now`.
    pub fn expire(&mut self, now: PacketTime) {
        while self.next_deadline() <= now && self.by_age.head != NIL {
            self.remove(self.by_age.head);
        }
    }

    /// When [`Self::expire`] next has something to do; `MAX` for never.
    pub fn next_deadline(&self) -> PacketTime {
        self.entries.get(self.by_age.head).map_or(PacketTime::MAX, |oldest| oldest.since + self.life)
    }

    fn find(&self, key: Digest) -> Option<u32> {
        let entries = &self.entries;
        self.index.find(key.low64(), |&slot| entries.get(slot).is_some_and(|entry| entry.key == key)).copied()
    }

    fn remove(&mut self, slot: u32) {
        let Some(entry) = self.entries.get(slot) else { return };
        let (key, rank) = (entry.key, entry.rank);
        self.by_age.take(&mut self.entries, slot, |entry| &mut entry.age);
        self.by_usage[rank as usize].take(&mut self.entries, slot, |entry| &mut entry.usage);
        if let Ok(found) = self.index.find_entry(key.low64(), |&found| found == slot) {
            found.remove();
        }
        self.entries.take(slot);
        self.free.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::{Digester, ExpiringTable};

    const LIFE: Span = Span::from_secs(100);
    const RANKED: [Rank; 3] = [Rank::Scanner, Rank::Unanswered, Rank::Ordinary];

    fn key(n: u32) -> Digest {
        Digester::new(7).bytes(&n.to_be_bytes())
    }

    proptest! {
        #[test]
        fn it_does_what_the_other_table_does(steps in proptest::collection::vec((0u32..60, 0u8..5, 0i64..40, 0usize..3), 1..400)) {
            const CAPACITY: usize = 35;
            let mut table = AgingTable::new(CAPACITY, LIFE);
            let mut model = ExpiringTable::new(CAPACITY);
            let mut now = PacketTime::from_parts(0, 0);
            for (name, action, wait, rank) in steps {
                let rank = RANKED.get(rank).copied().unwrap_or(Rank::Ordinary);
                match action {
                    0..3 => {
                        table.insert(key(name), name, now, rank);
                        model.insert(key(name), (now, name), now + LIFE, rank);
                    }
                    3 => {
                        table.keep(key(name), rank);
                        if let Some(handle) = model.find(key(name)) {
                            model.touch(handle);
                            model.set_rank(handle, rank);
                        }
                    }
                    _ => {
                        now += Span::from_secs(wait);
                        table.expire(now);
                        while let Some((handle, _)) = model.pop_due(now) {
                            model.remove(handle);
                        }
                        prop_assert!(table.next_deadline() > now);
                    }
                }
                prop_assert_eq!((table.len(), table.evicted()), (model.len(), model.evicted()));
                for name in 0..60 {
                    let known = model.find(key(name)).and_then(|handle| model.get(handle)).copied();
                    prop_assert_eq!(table.get(key(name)).map(|(since, value)| (since, *value)), known);
                }
            }
            prop_assert!(table.used as usize <= CAPACITY && table.free.len() + table.len() == table.used as usize);
        }
    }
}
