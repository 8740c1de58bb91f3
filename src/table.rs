//! The one container of state: bounded, keyed by digest, with deadlines and an order of eviction.
//!
//! Nothing about the hash index can be seen from outside, so that its seed never reaches an output: entries are visited by deadline, by
//! rank and recency, or by slot, and all three depend on the input alone.

pub mod aging;
pub mod log;
mod queue;
mod slots;
mod values;

use xxhash_rust::xxh3::{xxh3_128_with_secret, xxh3_128_with_seed};

use crate::time::PacketTime;

use slots::Slots;
use values::Values;

/// Appends to what may have very many elements, or very few in very many places: room grows by a quarter. `Vec::push` doubles it, so that
/// a third of the memory stands empty in the mean, and begins with four.
pub fn append<T>(list: &mut Vec<T>, element: T) {
    append_by(list, element, 4);
}

/// Appends an element; where there is no room, it grows by that part of itself.
fn append_by<T>(list: &mut Vec<T>, element: T, part: usize) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / part);
    }
    list.push(element);
}

/// Slots, and lines of deadlines, grow by one part in so many. An entry is moved about as many times: worth it only for what is small.
const GROWTH: usize = 16;

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

/// A bounded table of `V`. Inserting into a full one evicts the entry of the lowest rank that was longest unused.
#[derive(Debug)]
pub struct ExpiringTable<V> {
    slots: Slots,
    values: Values<V>,
}

impl<V> ExpiringTable<V> {
    /// An empty table for at most `capacity` entries (at least one).
    pub fn new(capacity: usize) -> Self {
        Self { slots: Slots::new(capacity), values: Values::new() }
    }

    /// Entries in the table.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries dropped for lack of room since the start.
    pub fn evicted(&self) -> u64 {
        self.slots.evicted()
    }

    /// The entry of `key`.
    pub fn find(&self, key: Digest) -> Option<Handle> {
        self.slots.find(key)
    }

    /// Whether the entry is still there; touches less memory than [`Self::get`].
    #[inline]
    pub fn contains(&self, handle: Handle) -> bool {
        self.slots.contains(handle)
    }

    /// Puts `value` under `key`, replacing what was there, to be looked at again at `deadline` (`MAX`: never). Returns the value that was
    /// evicted to make room, if any.
    pub fn insert(&mut self, key: Digest, value: V, deadline: PacketTime, rank: Rank) -> (Handle, Option<V>) {
        if let Some(old) = self.find(key) {
            self.remove(old);
        }
        let evicted = if self.slots.is_full() { self.evict() } else { None };
        let handle = self.slots.assign(key, deadline, rank);
        self.values.put(handle.slot, value);
        (handle, evicted)
    }

    /// The entry, if it is still there.
    #[inline]
    pub fn get(&self, handle: Handle) -> Option<&V> {
        if self.contains(handle) { self.values.get(handle.slot) } else { None }
    }

    /// The entry, if it is still there.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut V> {
        if self.contains(handle) { self.values.get_mut(handle.slot) } else { None }
    }

    /// The key of an entry.
    pub fn key(&self, handle: Handle) -> Option<Digest> {
        self.slots.key(handle)
    }

    /// When the entry is due; `MAX` for never.
    pub fn deadline(&self, handle: Handle) -> PacketTime {
        self.slots.deadline(handle)
    }

    /// Moves the deadline of an entry; `MAX` disarms it.
    pub fn set_deadline(&mut self, handle: Handle, deadline: PacketTime) {
        self.slots.set_deadline(handle, deadline);
    }

    /// Marks the entry as used just now, so that it is evicted later.
    pub fn touch(&mut self, handle: Handle) {
        self.slots.touch(handle);
    }

    /// Changes how ready the entry is to be evicted.
    pub fn set_rank(&mut self, handle: Handle, rank: Rank) {
        self.slots.set_rank(handle, rank);
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
        self.slots.rank(handle)
    }

    /// Takes the entry out.
    pub fn remove(&mut self, handle: Handle) -> Option<V> {
        if self.slots.release(handle) { self.values.take(handle.slot) } else { None }
    }

    /// The earliest moment at which [`Self::pop_due`] may have something; never later than the true one.
    #[inline]
    pub fn next_deadline(&self) -> PacketTime {
        self.slots.next_deadline()
    }

    /// An entry whose deadline is at or before `now`, the earliest first, with that deadline. It stays in the table, disarmed.
    #[inline]
    pub fn pop_due(&mut self, now: PacketTime) -> Option<(Handle, PacketTime)> {
        // Mostly nothing is due; that is told without a call.
        if self.next_deadline() > now { None } else { self.slots.pop_due(now) }
    }

    /// Every entry in slot order: the order of insertion as long as nothing was removed, and always the same for the same input.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &V)> {
        std::iter::zip(self.slots.handles(), self.values.iter()).filter_map(|(handle, value)| Some((handle, value?)))
    }

    /// Every handle in slot order, for loops that change entries.
    pub fn handles(&self) -> Vec<Handle> {
        self.iter().map(|(handle, _)| handle).collect()
    }

    /// Takes out the entry of the lowest rank that was longest unused, for owners that also bound what their entries hold together.
    pub fn evict(&mut self) -> Option<V> {
        let lowest = self.slots.evict()?;
        self.values.take(lowest)
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
            assert!(table.slots.queued() <= 4 * table.len() + 64, "{n}");
        }
        let due: Vec<_> = std::iter::from_fn(|| table.pop_due(at(30))).map(|(_, due)| due).collect();
        assert_eq!(due, [vec![at(20); 50], vec![at(30); 50]].concat(), "each entry falls due once");
    }

    #[test]
    fn what_was_evicted_leaves_few_deadlines() {
        let mut table = ExpiringTable::new(100);
        for n in 0..10_000 {
            table.insert(key(n), n, at(i64::from(n)), Rank::Ordinary);
            assert!(table.slots.queued() <= 2 * table.len() + 64, "{n}");
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

        #[test]
        fn a_full_table_keeps_what_was_used_last(steps in proptest::collection::vec((0u32..150, 0u8..4), 1..600)) {
            const CAPACITY: usize = 70;
            let mut table = ExpiringTable::new(CAPACITY);
            // From the one longest unused to the one used last.
            let mut model: Vec<(u32, Handle)> = Vec::new();
            let mut gone: Vec<Handle> = Vec::new();
            for (name, action) in steps {
                let known = model.iter().position(|(known, _)| *known == name);
                match (action, known) {
                    (0 | 1, _) => {
                        gone.extend(known.map(|known| model.remove(known).1));
                        let lost = (model.len() == CAPACITY).then(|| model.remove(0));
                        let (handle, evicted) = table.insert(key(name), name, PacketTime::MAX, Rank::Ordinary);
                        prop_assert_eq!(evicted, lost.map(|(name, _)| name));
                        gone.extend(lost.map(|(_, handle)| handle));
                        model.push((name, handle));
                    }
                    (2, Some(known)) => {
                        let used = model.remove(known);
                        table.touch(used.1);
                        model.push(used);
                    }
                    (_, Some(known)) => {
                        let (_, handle) = model.remove(known);
                        prop_assert_eq!((table.remove(handle), table.remove(handle)), (Some(name), None));
                        gone.push(handle);
                    }
                    (_, None) => prop_assert_eq!(table.find(key(name)), None),
                }
                prop_assert_eq!(table.len(), model.len());
            }
            prop_assert!(model.iter().all(|(name, handle)| table.get(*handle) == Some(name) && table.find(key(*name)) == Some(*handle)));
            prop_assert!(gone.iter().all(|handle| table.get(*handle).is_none() && !table.contains(*handle)));
            let mut all: Vec<_> = table.iter().map(|(handle, name)| (*name, handle)).collect();
            prop_assert!(all.is_sorted_by_key(|(_, handle)| *handle) && table.handles().len() == model.len());
            all.sort();
            model.sort();
            prop_assert_eq!(all, model);
        }
    }
}
