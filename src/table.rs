//! The one container of state: bounded, keyed by digest, with deadlines and an order of eviction.
//!
//! Nothing about the hash index can be seen from outside, so that its seed never reaches an output: entries are visited by deadline, by
//! rank and recency, or by slot, and all three depend on the input alone.

mod queue;

use hashbrown::HashTable;
use xxhash_rust::xxh3::{xxh3_128_with_secret, xxh3_128_with_seed};

use crate::time::PacketTime;

use queue::{Item, Queue};

/// Where a linked list ends.
const NIL: u32 = u32::MAX;

/// Appends to what may have very many elements, or very few in very many places: room grows by a quarter. `Vec::push` doubles it, so that
/// a third of the memory stands empty in the mean, and begins with four. An eighth would save little more and copy twice as much.
pub fn append<T>(list: &mut Vec<T>, element: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / 4);
    }
    list.push(element);
}

/// The identity of an entry: 128 bits of seeded hash over what names it. Two different names share one with a chance of 2⁻⁶⁴ among
/// four thousand million of them, and a sender who does not know the seed cannot bring it about.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest {
    /// In halves: a `u128` would have each record that holds a digest begin and end at sixteen bytes.
    halves: [u64; 2],
}

impl Digest {
    const fn of(number: u128) -> Self {
        Self { halves: [(number >> 64) as u64, number as u64] }
    }

    /// Bits for an index that needs only 64 of them.
    pub fn low64(self) -> u64 {
        self.halves[1]
    }
}

/// Makes digests. Replays share one seed; a live daemon takes a random one, because the senders choose the keys.
#[derive(Clone, Copy, Debug)]
pub struct Digester {
    seed: u64,
}

impl Digester {
    /// A digester with `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The digest of `bytes`.
    pub fn bytes(self, bytes: &[u8]) -> Digest {
        Digest::of(xxh3_128_with_seed(bytes, self.seed))
    }

    /// The digest of several parts; `["ab", "c"]` and `["a", "bc"]` differ.
    pub fn parts(self, parts: &[&[u8]]) -> Digest {
        self.further(Digest::of(u128::from(self.seed)), parts)
    }

    /// The digest of the parts that made `first` and of `parts`.
    pub fn further(self, first: Digest, parts: &[&[u8]]) -> Digest {
        parts.iter().fold(first, |Digest { halves: [high, low] }, part| {
            let seed = low ^ high.rotate_left(32) ^ (part.len() as u64);
            Digest::of(xxh3_128_with_seed(part, seed))
        })
    }

    /// The digest of a number, as addresses are. Each step can be undone, so no two numbers share one. The seed goes in twice: who
    /// knows a part of the state before one multiplication does not know it before the other.
    #[inline]
    pub const fn number(self, number: u128) -> Digest {
        let key = (self.seed as u128) << 64 | self.seed.rotate_left(32) as u128;
        let mut state = number ^ key;
        state = (state ^ state >> 64).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        state = (state ^ state >> 67 ^ key.rotate_left(41)).wrapping_mul(0xda94_2042_e4dd_58b5_c6bc_2796_92b5_c323);
        Digest::of(state ^ state >> 71)
    }
}

/// Makes digests of whole payloads. What a seed makes of the secret of the hash is worked out once, not for each payload.
#[derive(Debug)]
pub struct PayloadDigester {
    secret: [u8; 192],
}

impl PayloadDigester {
    /// The digest of `bytes`; another than that of the [`Digester`] that this one was made from.
    pub fn bytes(&self, bytes: &[u8]) -> Digest {
        Digest::of(xxh3_128_with_secret(bytes, &self.secret))
    }
}

impl From<Digester> for PayloadDigester {
    fn from(digester: Digester) -> Self {
        let mut secret = [0; 192];
        for (part, number) in secret.as_chunks_mut().0.iter_mut().zip(0_u8..) {
            let [high, low] = digester.bytes(&[number]).halves;
            *part = (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
        }
        Self { secret }
    }
}

/// How ready an entry is to be evicted when there is no room: lower goes first (DETECTION §13, "What is kept").
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rank {
    /// Belongs to a scanner.
    Scanner,
    /// Was begun by a stranger: nobody that the PBX ever served or called.
    Unanswered,
    /// Is over.
    Finished,
    /// Is in use.
    Ordinary,
    /// A registered phone or a call in progress.
    Precious,
}

/// How many ranks there are.
const RANKS: usize = 5;

/// Points at an entry; outlives it harmlessly.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Handle {
    slot: u32,
    generation: u32,
}

impl Handle {
    /// Not after any other, for ranges of ordered sets.
    pub const MIN: Self = Self { slot: 0, generation: 0 };
    /// Not before any other, for the same.
    pub const MAX: Self = Self { slot: u32::MAX, generation: u32::MAX };
}

#[derive(Debug)]
struct Slot<V> {
    key: Digest,
    value: Option<V>,
    deadline: PacketTime,
    /// Deadline of the item in the queue that speaks for this entry; `MAX` when there is none.
    queued: PacketTime,
    /// Deadline of a later item that was left in the queue and speaks for the entry when that one is gone; `MAX` when there is none.
    parked: PacketTime,
}

/// What there is to know of a slot without a look at its entry. Kept apart from it: to move an entry in its list touches its neighbours
/// too, and sixteen bytes of each stay in the cache.
#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    generation: u32,
    rank: Rank,
    occupied: bool,
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

/// A bounded table of `V`. Inserting into a full one evicts the entry of the lowest rank that was longest unused.
#[derive(Debug)]
pub struct ExpiringTable<V> {
    index: HashTable<u32>,
    slots: Vec<Slot<V>>,
    /// As many as slots.
    links: Vec<Link>,
    free: Vec<u32>,
    queue: Queue,
    /// Items that were left in the queue when it was last rid of those that speak for nobody.
    kept: usize,
    lists: [List; RANKS],
    capacity: usize,
    evicted: u64,
}

impl<V> ExpiringTable<V> {
    /// An empty table for at most `capacity` entries (at least one).
    pub fn new(capacity: usize) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            links: Vec::new(),
            free: Vec::new(),
            queue: Queue::new(),
            kept: 0,
            lists: [List { head: NIL, tail: NIL }; RANKS],
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
        self.index.is_empty()
    }

    /// Entries dropped for lack of room since the start.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The entry of `key`.
    pub fn find(&self, key: Digest) -> Option<Handle> {
        let slots = &self.slots;
        let slot = *self.index.find(key.low64(), |&slot| slots.get(slot as usize).is_some_and(|s| s.key == key))?;
        self.links.get(slot as usize).map(|link| Handle { slot, generation: link.generation })
    }

    /// Whether the entry is still there; touches less memory than [`Self::get`].
    #[inline]
    pub fn contains(&self, handle: Handle) -> bool {
        self.link_of(handle).is_some()
    }

    /// Puts `value` under `key`, replacing what was there, to be looked at again at `deadline` (`MAX`: never). Returns the value that was
    /// evicted to make room, if any.
    pub fn insert(&mut self, key: Digest, value: V, deadline: PacketTime, rank: Rank) -> (Handle, Option<V>) {
        if let Some(old) = self.find(key) {
            self.remove(old);
        }
        let evicted = if self.len() >= self.capacity { self.evict() } else { None };
        let slot = self.take_slot(key, value, rank);
        let slots = &self.slots;
        self.index.insert_unique(key.low64(), slot, |&s| slots.get(s as usize).map_or(0, |s| s.key.low64()));
        self.link(slot);
        let handle = Handle { slot, generation: self.links.get(slot as usize).map_or(0, |link| link.generation) };
        self.set_deadline(handle, deadline);
        (handle, evicted)
    }

    /// The entry, if it is still there.
    #[inline]
    pub fn get(&self, handle: Handle) -> Option<&V> {
        self.slot(handle)?.value.as_ref()
    }

    /// The entry, if it is still there.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut V> {
        self.slot_mut(handle)?.value.as_mut()
    }

    /// The key of an entry.
    pub fn key(&self, handle: Handle) -> Option<Digest> {
        self.slot(handle).map(|slot| slot.key)
    }

    /// When the entry is due; `MAX` for never.
    pub fn deadline(&self, handle: Handle) -> PacketTime {
        self.slot(handle).map_or(PacketTime::MAX, |slot| slot.deadline)
    }

    /// Moves the deadline of an entry; `MAX` disarms it.
    pub fn set_deadline(&mut self, handle: Handle, deadline: PacketTime) {
        let Some(slot) = self.slot_mut(handle) else { return };
        slot.deadline = deadline;
        if deadline < slot.queued {
            slot.parked = slot.parked.min(slot.queued);
            slot.queued = deadline;
            self.queue.push(deadline, handle.slot);
            self.compact_queue();
        }
    }

    /// Marks the entry as used just now, so that it is evicted later.
    pub fn touch(&mut self, handle: Handle) {
        if self.link_of(handle).is_some_and(|link| self.lists[link.rank as usize].tail != handle.slot) {
            self.unlink(handle.slot);
            self.link(handle.slot);
        }
    }

    /// Changes how ready the entry is to be evicted.
    pub fn set_rank(&mut self, handle: Handle, rank: Rank) {
        if self.link_of(handle).is_some_and(|link| link.rank != rank) {
            self.unlink(handle.slot);
            if let Some(link) = self.links.get_mut(handle.slot as usize) {
                link.rank = rank;
            }
            self.link(handle.slot);
        }
    }

    /// Makes the entry no more worth than `most`.
    pub fn lower_rank(&mut self, handle: Handle, most: Rank) {
        if let Some(rank) = self.rank(handle) {
            self.set_rank(handle, rank.min(most));
        }
    }

    /// Makes the entry no less worth than `least`.
    pub fn raise_rank(&mut self, handle: Handle, least: Rank) {
        if let Some(rank) = self.rank(handle) {
            self.set_rank(handle, rank.max(least));
        }
    }

    /// How ready the entry is to be evicted.
    pub fn rank(&self, handle: Handle) -> Option<Rank> {
        self.link_of(handle).map(|link| link.rank)
    }

    /// Takes the entry out.
    pub fn remove(&mut self, handle: Handle) -> Option<V> {
        let key = self.slot(handle)?.key;
        self.unlink(handle.slot);
        if let Ok(found) = self.index.find_entry(key.low64(), |&slot| slot == handle.slot) {
            found.remove();
        }
        let value = self.slot_mut(handle)?.value.take();
        let link = self.links.get_mut(handle.slot as usize)?;
        link.generation = link.generation.wrapping_add(1);
        link.occupied = false;
        self.free.push(handle.slot);
        value
    }

    /// The earliest moment at which [`Self::pop_due`] may have something; never later than the true one.
    #[inline]
    pub fn next_deadline(&self) -> PacketTime {
        self.queue.next()
    }

    /// An entry whose deadline is at or before `now`, the earliest first, with that deadline. It stays in the table, disarmed.
    pub fn pop_due(&mut self, now: PacketTime) -> Option<(Handle, PacketTime)> {
        while let Some(Item { deadline, slot, .. }) = self.queue.pop(now) {
            let Some(link) = self.links.get(slot as usize) else { continue };
            let handle = Handle { slot, generation: link.generation };
            let Some(entry) = self.slot_mut(handle).filter(|entry| entry.queued == deadline) else { continue };
            entry.queued = std::mem::replace(&mut entry.parked, PacketTime::MAX);
            let due = entry.deadline;
            if due <= deadline {
                entry.deadline = PacketTime::MAX;
                return Some((handle, due));
            }
            self.set_deadline(handle, due);
        }
        None
    }

    /// Every entry in slot order: the order of insertion as long as nothing was removed, and always the same for the same input.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &V)> {
        self.slots.iter().zip(&self.links).enumerate().filter_map(|(number, (slot, link))| {
            let handle = Handle { slot: number as u32, generation: link.generation };
            slot.value.as_ref().map(|value| (handle, value))
        })
    }

    /// Every handle in slot order, for loops that change entries.
    pub fn handles(&self) -> Vec<Handle> {
        self.iter().map(|(handle, _)| handle).collect()
    }

    #[inline]
    fn link_of(&self, handle: Handle) -> Option<&Link> {
        self.links.get(handle.slot as usize).filter(|link| link.generation == handle.generation && link.occupied)
    }

    #[inline]
    fn slot(&self, handle: Handle) -> Option<&Slot<V>> {
        self.link_of(handle)?;
        self.slots.get(handle.slot as usize)
    }

    #[inline]
    fn slot_mut(&mut self, handle: Handle) -> Option<&mut Slot<V>> {
        self.link_of(handle)?;
        self.slots.get_mut(handle.slot as usize)
    }

    fn take_slot(&mut self, key: Digest, value: V, rank: Rank) -> u32 {
        let (deadline, queued, parked) = (PacketTime::MAX, PacketTime::MAX, PacketTime::MAX);
        let slot = Slot { key, value: Some(value), deadline, queued, parked };
        let Some(number) = self.free.pop() else {
            append(&mut self.slots, slot);
            append(&mut self.links, Link { previous: NIL, next: NIL, generation: 0, rank, occupied: true });
            return (self.slots.len() - 1) as u32;
        };
        if let (Some(place), Some(link)) = (self.slots.get_mut(number as usize), self.links.get_mut(number as usize)) {
            *place = slot;
            *link = Link { rank, occupied: true, ..*link };
        }
        number
    }

    /// Takes out the entry of the lowest rank that was longest unused, for owners that also bound what their entries hold together.
    pub fn evict(&mut self) -> Option<V> {
        let slot = self.lists.iter().map(|list| list.head).find(|&head| head != NIL)?;
        let generation = self.links.get(slot as usize)?.generation;
        self.evicted += 1;
        self.remove(Handle { slot, generation })
    }

    fn link(&mut self, number: u32) {
        let Some(link) = self.links.get_mut(number as usize) else { return };
        let rank = link.rank as usize;
        let tail = self.lists[rank].tail;
        link.previous = tail;
        link.next = NIL;
        match self.links.get_mut(tail as usize) {
            Some(last) => last.next = number,
            None => self.lists[rank].head = number,
        }
        self.lists[rank].tail = number;
    }

    fn unlink(&mut self, number: u32) {
        let Some(&Link { rank, previous, next, .. }) = self.links.get(number as usize) else { return };
        let rank = rank as usize;
        match self.links.get_mut(previous as usize) {
            Some(link) => link.next = next,
            None => self.lists[rank].head = next,
        }
        match self.links.get_mut(next as usize) {
            Some(link) => link.previous = previous,
            None => self.lists[rank].tail = previous,
        }
    }

    /// Drops queue items that speak for nobody once there may be one for each entry. At most two for each speak for it.
    fn compact_queue(&mut self) {
        let entries = self.len();
        if self.queue.len() <= (self.kept + entries).clamp(2 * entries, 4 * entries) + 64 {
            return;
        }
        let (slots, links) = (&self.slots, &self.links);
        // Where time stands still, all who had a slot waited for the same moment: one item speaks for the last of them.
        let mut spoken_for = vec![[false; 2]; slots.len()];
        self.queue.retain(|item| {
            let number = item.slot as usize;
            let (Some(slot), Some(link), Some(spoken_for)) = (slots.get(number), links.get(number), spoken_for.get_mut(number)) else {
                return false;
            };
            let waits = [slot.queued, slot.parked].map(|moment| link.occupied && moment == item.deadline);
            std::iter::zip(waits, spoken_for).any(|(waits, spoken_for)| waits && !std::mem::replace(spoken_for, true))
        });
        self.kept = self.queue.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const D: Digester = Digester::new(7);

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    fn key(n: u32) -> Digest {
        D.bytes(&n.to_be_bytes())
    }

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(D.parts(&[b"ab", b"c"]), D.parts(&[b"a", b"bc"]));
        assert_ne!(D.parts(&[b"ab"]), D.parts(&[b"ab", b""]));
    }

    #[test]
    fn digests_of_payloads_depend_on_all_bytes_and_on_the_seed() {
        let digester = PayloadDigester::from(D);
        let mut payload = [b'x'; 600];
        let digest = digester.bytes(&payload);
        assert_eq!(digester.bytes(&payload), digest);
        assert_ne!(PayloadDigester::from(Digester::new(8)).bytes(&payload), digest);
        for place in 0..payload.len() {
            payload[place] ^= 1;
            assert_ne!(digester.bytes(&payload), digest, "{place}");
            payload[place] ^= 1;
        }
        assert!(digester.secret.windows(16).all(|part| part != [0; 16]));
    }

    #[test]
    fn entries_fall_due_in_the_order_of_their_deadlines() {
        let mut table = ExpiringTable::new(10);
        let (a, _) = table.insert(key(1), 'a', at(30), Rank::Ordinary);
        table.insert(key(2), 'b', at(10), Rank::Ordinary);
        table.set_deadline(a, at(5));
        let mut seen = Vec::new();
        while let Some((handle, due)) = table.pop_due(at(20)) {
            seen.push((*table.get(handle).unwrap(), due));
        }
        assert_eq!(seen, [('a', at(5)), ('b', at(10))]);
        assert_eq!(table.len(), 2, "a due entry stays until it is removed");
        assert!(table.pop_due(at(1000)).is_none(), "a due entry is disarmed");
    }

    #[test]
    fn a_deadline_moved_later_does_not_fire_early() {
        let mut table = ExpiringTable::new(10);
        let (a, _) = table.insert(key(1), 'a', at(10), Rank::Ordinary);
        table.set_deadline(a, at(50));
        assert!(table.pop_due(at(20)).is_none());
        assert_eq!(table.pop_due(at(50)).map(|(_, due)| due), Some(at(50)));
    }

    #[test]
    fn deadlines_are_bounded_where_time_stands_still() {
        let mut table = ExpiringTable::new(100);
        for n in 0..10_000 {
            let (handle, _) = table.insert(key(n), n, at(30), Rank::Ordinary);
            if n % 2 == 0 {
                table.set_deadline(handle, at(20));
            }
            assert!(table.queue.len() <= 4 * table.len() + 64, "{n}");
        }
        let due: Vec<_> = std::iter::from_fn(|| table.pop_due(at(30))).map(|(_, due)| due).collect();
        assert_eq!(due, [vec![at(20); 50], vec![at(30); 50]].concat(), "each entry falls due once");
    }

    #[test]
    fn what_was_evicted_leaves_few_deadlines() {
        let mut table = ExpiringTable::new(100);
        for n in 0..10_000 {
            table.insert(key(n), n, at(i64::from(n)), Rank::Ordinary);
            assert!(table.queue.len() <= 2 * table.len() + 64, "{n}");
        }
    }

    #[test]
    fn strangers_are_evicted_before_registered_phones() {
        let mut table = ExpiringTable::new(3);
        let (phone, _) = table.insert(key(0), 0, PacketTime::MAX, Rank::Precious);
        for n in 1..100 {
            table.insert(key(n), n, PacketTime::MAX, Rank::Unanswered);
            assert!(table.len() <= 3);
        }
        assert_eq!(table.get(phone), Some(&0));
        assert_eq!(table.evicted(), 97);
    }

    #[test]
    fn a_handle_outlives_its_entry_harmlessly() {
        let mut table = ExpiringTable::new(2);
        let (a, _) = table.insert(key(1), 1, at(1), Rank::Ordinary);
        assert_eq!(table.remove(a), Some(1));
        table.insert(key(2), 2, at(1), Rank::Ordinary);
        assert_eq!(table.get(a), None);
        assert_eq!(table.remove(a), None);
    }

    proptest! {
        #[test]
        fn it_does_what_a_map_does(steps in proptest::collection::vec((0u32..20, 0u8..4, 0i64..100), 1..200)) {
            let mut table = ExpiringTable::new(1000);
            let mut model = std::collections::BTreeMap::new();
            let mut now = 0;
            for (name, action, time) in steps {
                match action {
                    0 => { table.insert(key(name), name, at(time.max(now)), Rank::Ordinary); model.insert(name, time.max(now)); }
                    1 => { let found = table.find(key(name)); prop_assert_eq!(found.is_some(), model.contains_key(&name)); if let Some(h) = found { table.remove(h); model.remove(&name); } }
                    2 => if let Some(h) = table.find(key(name)) { table.set_deadline(h, at(time.max(now))); model.insert(name, time.max(now)); },
                    _ => {
                        now = now.max(time);
                        let mut due = Vec::new();
                        while let Some((h, when)) = table.pop_due(at(now)) { due.push((when, *table.get(h).unwrap())); table.remove(h); }
                        let mut want: Vec<_> = model.iter().filter(|(_, t)| **t <= now).map(|(n, t)| (at(*t), *n)).collect();
                        model.retain(|_, t| *t > now);
                        due.sort(); want.sort();
                        prop_assert_eq!(due, want);
                    }
                }
                prop_assert_eq!(table.len(), model.len());
            }
        }
    }
}
