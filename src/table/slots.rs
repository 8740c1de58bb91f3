//! All of a table but the values: keys, deadlines, and the order of eviction.
//!
//! A generic container has its code once for each kind of value, and that of some twenty tables does not fit into the first cache of a
//! processor. What is here exists once, and but for what is shorter than a call it is not copied to where it is called from either.

use hashbrown::HashTable;

use super::queue::{Item, Queue};
use super::{Digest, GROWTH, Handle, RANKS, Rank, append_by};
use crate::time::PacketTime;

/// Where a linked list ends.
const NIL: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    key: Digest,
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

/// The slots of a table, and whose they are.
#[derive(Debug)]
pub(super) struct Slots {
    index: HashTable<u32>,
    slots: Vec<Slot>,
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

impl Slots {
    pub(super) fn new(capacity: usize) -> Self {
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

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    #[inline(never)]
    pub(super) fn find(&self, key: Digest) -> Option<Handle> {
        let slots = &self.slots;
        let slot = *self.index.find(key.low64(), |&slot| slots.get(slot as usize).is_some_and(|s| s.key == key))?;
        self.links.get(slot as usize).map(|link| Handle { slot, generation: link.generation })
    }

    #[inline]
    pub(super) fn contains(&self, handle: Handle) -> bool {
        self.link_of(handle).is_some()
    }

    /// Gives `key` a slot; it must have none, and the table must not be full.
    #[inline(never)]
    pub(super) fn assign(&mut self, key: Digest, deadline: PacketTime, rank: Rank) -> Handle {
        let slot = self.occupy(key, rank);
        let slots = &self.slots;
        self.index.insert_unique(key.low64(), slot, |&s| slots.get(s as usize).map_or(0, |s| s.key.low64()));
        self.link(slot);
        let handle = Handle { slot, generation: self.links.get(slot as usize).map_or(0, |link| link.generation) };
        self.set_deadline(handle, deadline);
        handle
    }

    /// Frees the slot of an entry; tells whether it was there.
    #[inline(never)]
    pub(super) fn release(&mut self, handle: Handle) -> bool {
        let Some(key) = self.key(handle) else { return false };
        self.unlink(handle.slot);
        if let Ok(found) = self.index.find_entry(key.low64(), |&slot| slot == handle.slot) {
            found.remove();
        }
        if let Some(link) = self.links.get_mut(handle.slot as usize) {
            link.generation = link.generation.wrapping_add(1);
            link.occupied = false;
        }
        self.free.push(handle.slot);
        true
    }

    /// Frees the slot of the lowest rank that was longest unused, and gives its number.
    #[inline(never)]
    pub(super) fn evict(&mut self) -> Option<u32> {
        let slot = self.lists.iter().map(|list| list.head).find(|&head| head != NIL)?;
        let generation = self.links.get(slot as usize)?.generation;
        self.evicted += 1;
        self.release(Handle { slot, generation }).then_some(slot)
    }

    pub(super) fn key(&self, handle: Handle) -> Option<Digest> {
        self.slot(handle).map(|slot| slot.key)
    }

    pub(super) fn deadline(&self, handle: Handle) -> PacketTime {
        self.slot(handle).map_or(PacketTime::MAX, |slot| slot.deadline)
    }

    #[inline(never)]
    pub(super) fn set_deadline(&mut self, handle: Handle, deadline: PacketTime) {
        let Some(slot) = self.slot_mut(handle) else { return };
        slot.deadline = deadline;
        if deadline < slot.queued {
            slot.parked = slot.parked.min(slot.queued);
            slot.queued = deadline;
            self.queue.push(deadline, handle.slot);
            self.compact_queue();
        }
    }

    #[inline(never)]
    pub(super) fn touch(&mut self, handle: Handle) {
        if self.link_of(handle).is_some_and(|link| self.lists[link.rank as usize].tail != handle.slot) {
            self.unlink(handle.slot);
            self.link(handle.slot);
        }
    }

    #[inline(never)]
    pub(super) fn set_rank(&mut self, handle: Handle, rank: Rank) {
        if self.link_of(handle).is_some_and(|link| link.rank != rank) {
            self.unlink(handle.slot);
            if let Some(link) = self.links.get_mut(handle.slot as usize) {
                link.rank = rank;
            }
            self.link(handle.slot);
        }
    }

    pub(super) fn rank(&self, handle: Handle) -> Option<Rank> {
        self.link_of(handle).map(|link| link.rank)
    }

    #[inline]
    pub(super) fn next_deadline(&self) -> PacketTime {
        self.queue.next()
    }

    #[inline(never)]
    pub(super) fn pop_due(&mut self, now: PacketTime) -> Option<(Handle, PacketTime)> {
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

    /// Items in the queue.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// A handle for each slot, whether it is in use or not.
    pub(super) fn handles(&self) -> impl Iterator<Item = Handle> {
        self.links.iter().zip(0..).map(|(link, slot)| Handle { slot, generation: link.generation })
    }

    #[inline]
    fn link_of(&self, handle: Handle) -> Option<&Link> {
        self.links.get(handle.slot as usize).filter(|link| link.generation == handle.generation && link.occupied)
    }

    #[inline]
    fn slot(&self, handle: Handle) -> Option<&Slot> {
        self.link_of(handle)?;
        self.slots.get(handle.slot as usize)
    }

    #[inline]
    fn slot_mut(&mut self, handle: Handle) -> Option<&mut Slot> {
        self.link_of(handle)?;
        self.slots.get_mut(handle.slot as usize)
    }

    /// A slot that was free, or another one, filled and in no list yet.
    fn occupy(&mut self, key: Digest, rank: Rank) -> u32 {
        let slot = Slot { key, deadline: PacketTime::MAX, queued: PacketTime::MAX, parked: PacketTime::MAX };
        let Some(number) = self.free.pop() else {
            append_by(&mut self.slots, slot, GROWTH);
            append_by(&mut self.links, Link { previous: NIL, next: NIL, generation: 0, rank, occupied: true }, GROWTH);
            return (self.slots.len() - 1) as u32;
        };
        if let (Some(place), Some(link)) = (self.slots.get_mut(number as usize), self.links.get_mut(number as usize)) {
            *place = slot;
            *link = Link { rank, occupied: true, ..*link };
        }
        number
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
