//! Deadlines in order, cheap to add.
//!
//! Most deadlines are far off and many are given up before they come. They are only sorted into buckets; a bucket is put into exact order
//! when its time has come, and then it fits into the fastest cache.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::time::PacketTime;

/// Width of a bucket as a power of two of nanoseconds: about a second.
const BUCKET_BITS: u32 = 30;
/// Buckets behind the one that was reached which are found by their number at once; one bit of a word each.
const SOON: i64 = 64;
/// Emptied buckets whose memory is kept for later ones.
const MAX_SPARE: usize = 64;

/// A deadline and whose it is. Those of one moment come in the order in which they were pushed.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Item {
    pub(super) deadline: PacketTime,
    sequence: u64,
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// A priority queue of deadlines.
#[derive(Debug)]
pub(super) struct Queue {
    /// A moment before which nothing is due.
    next: PacketTime,
    /// The items of the earliest buckets.
    near: BinaryHeap<Reverse<Item>>,
    /// Number of the last bucket whose items are near.
    reached: i64,
    /// Items of the [`SOON`] buckets behind that, each at its number modulo `SOON`, unordered in it.
    soon: Vec<Vec<Reverse<Item>>>,
    /// Which of these hold anything, by bits.
    occupied: u64,
    /// Items that were further off when they came, by the number of their bucket, unordered in it.
    far: BTreeMap<i64, Vec<Reverse<Item>>>,
    spare: Vec<Vec<Reverse<Item>>>,
    len: usize,
    pushed: u64,
}

impl Queue {
    /// An empty queue.
    pub(super) fn new() -> Self {
        Self {
            next: PacketTime::MAX,
            near: BinaryHeap::new(),
            reached: i64::MIN,
            soon: Vec::new(),
            occupied: 0,
            far: BTreeMap::new(),
            spare: Vec::new(),
            len: 0,
            pushed: 0,
        }
    }

    /// Items in the queue.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a deadline.
    pub(super) fn push(&mut self, deadline: PacketTime, slot: u32, generation: u32) {
        let item = Reverse(Item { deadline, sequence: self.pushed, slot, generation });
        self.pushed += 1;
        self.len += 1;
        let bucket = bucket(deadline);
        if bucket <= self.reached {
            self.near.push(item);
            self.next = self.next.min(deadline);
            return;
        }
        if bucket.checked_sub(self.reached).is_some_and(|ahead| ahead <= SOON) {
            self.push_soon(bucket, item);
        } else {
            self.far.entry(bucket).or_insert_with(|| self.spare.pop().unwrap_or_default()).push(item);
        }
        self.next = self.next.min(start(bucket));
    }

    fn push_soon(&mut self, bucket: i64, item: Reverse<Item>) {
        if self.soon.is_empty() {
            self.soon.resize_with(SOON as usize, Vec::new);
        }
        let place = bucket.rem_euclid(SOON);
        let Some(items) = self.soon.get_mut(place as usize) else { return };
        if items.capacity() == 0 {
            *items = self.spare.pop().unwrap_or_default();
        }
        items.push(item);
        self.occupied |= 1 << place;
    }

    /// Number of the first bucket behind the one reached that holds anything.
    fn first_bucket(&self) -> Option<i64> {
        let far = self.far.first_key_value().map(|(number, _)| *number);
        if self.occupied == 0 {
            return far;
        }
        let begin = self.reached + 1;
        let soon = begin + i64::from(self.occupied.rotate_right(begin.rem_euclid(SOON) as u32).trailing_zeros());
        Some(far.map_or(soon, |far| far.min(soon)))
    }

    /// A moment before which nothing is due: the earliest deadline, or the start of the bucket it is in. `MAX` if there is none.
    #[inline]
    pub(super) fn next(&self) -> PacketTime {
        self.next
    }

    /// Takes the earliest item that is due by `now`.
    #[inline]
    pub(super) fn pop(&mut self, now: PacketTime) -> Option<Item> {
        if self.next > now { None } else { self.pop_near(now) }
    }

    fn pop_near(&mut self, now: PacketTime) -> Option<Item> {
        while self.near.is_empty() && self.bring_near(now) {}
        let due = self.near.peek().is_some_and(|Reverse(item)| item.deadline <= now);
        let item = if due { self.near.pop() } else { None };
        self.len -= usize::from(item.is_some());
        self.find_next();
        item.map(|Reverse(item)| item)
    }

    /// Drops the items that are not `wanted`, and the memory of buckets of which little is left.
    pub(super) fn retain(&mut self, wanted: impl Fn(&Item) -> bool) {
        self.near.retain(|Reverse(item)| wanted(item));
        self.far.retain(|_, items| {
            thin_out(items, &wanted);
            !items.is_empty()
        });
        for (place, items) in self.soon.iter_mut().enumerate() {
            thin_out(items, &wanted);
            if items.is_empty() {
                self.occupied &= !(1 << place);
            }
        }
        self.len = self.near.len() + self.far.values().chain(&self.soon).map(Vec::len).sum::<usize>();
        self.find_next();
    }

    /// Puts the first bucket into order if it begins by `now`; tells whether there was one.
    fn bring_near(&mut self, now: PacketTime) -> bool {
        let Some(first) = self.first_bucket().filter(|first| start(*first) <= now) else { return false };
        let place = first.rem_euclid(SOON);
        let is_soon = self.occupied & 1 << place != 0 && first.checked_sub(self.reached).is_some_and(|ahead| ahead <= SOON);
        let mut items = self.far.remove(&first).unwrap_or_default();
        if is_soon && let Some(soon) = self.soon.get_mut(place as usize) {
            self.occupied &= !(1 << place);
            let soon = std::mem::take(soon);
            if items.is_empty() {
                items = soon;
            } else {
                items.extend(soon);
            }
        }
        self.reached = first;
        let emptied = std::mem::replace(&mut self.near, BinaryHeap::from(items)).into_vec();
        if self.spare.len() < MAX_SPARE {
            self.spare.push(emptied);
        }
        true
    }

    fn find_next(&mut self) {
        self.next = match self.near.peek() {
            Some(Reverse(item)) => item.deadline,
            None => self.first_bucket().map_or(PacketTime::MAX, start),
        };
    }
}

/// Keeps what is wanted of a bucket, and no more than four times the memory for it.
fn thin_out(items: &mut Vec<Reverse<Item>>, wanted: impl Fn(&Item) -> bool) {
    items.retain(|Reverse(item)| wanted(item));
    if items.len() < items.capacity() / 4 {
        items.shrink_to_fit();
    }
}

fn bucket(deadline: PacketTime) -> i64 {
    deadline.as_nanos() >> BUCKET_BITS
}

/// Where a bucket begins.
fn start(bucket: i64) -> PacketTime {
    PacketTime::from_nanos(bucket << BUCKET_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> PacketTime {
        PacketTime::from_nanos(millis * 1_000_000)
    }

    /// What is due by `now`, by the number given as slot.
    fn drain(queue: &mut Queue, now: i64) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop(at(now))).map(|item| item.slot).collect()
    }

    #[test]
    fn items_of_one_moment_come_in_the_order_in_which_they_were_pushed() {
        let mut queue = Queue::new();
        for slot in [3, 1, 2] {
            queue.push(at(50_000), slot, 0);
        }
        assert!(drain(&mut queue, 49_999).is_empty());
        assert_eq!(drain(&mut queue, 50_000), [3, 1, 2]);
    }

    #[test]
    fn what_is_pushed_before_the_bucket_in_hand_comes_first() {
        let mut queue = Queue::new();
        queue.push(at(10_000), 1, 0);
        queue.push(at(10_001), 2, 0);
        assert_eq!(drain(&mut queue, 10_000), [1]);
        queue.push(at(-1), 3, 0);
        assert_eq!(drain(&mut queue, 10_001), [3, 2]);
    }

    #[test]
    fn what_a_flood_left_takes_no_room() {
        let mut queue = Queue::new();
        for slot in 0..10_000 {
            queue.push(at(10_000), slot, 0);
            queue.push(at(1_000_000), slot, 1);
        }
        queue.retain(|item| item.slot < 2);
        let kept: usize = queue.far.values().chain(&queue.soon).map(Vec::capacity).sum();
        assert_eq!((queue.len(), kept), (4, 4));
        assert_eq!(drain(&mut queue, 2_000_000), [0, 1, 0, 1]);
    }

    proptest! {
        #[test]
        fn it_does_what_a_sorted_list_does(steps in proptest::collection::vec((any::<bool>(), -5_000i64..20_000), 1..200)) {
            let mut queue = Queue::new();
            let mut model: Vec<(i64, u32)> = Vec::new();
            for (number, (push, time)) in steps.into_iter().enumerate() {
                if push {
                    queue.push(at(time), number as u32, 0);
                    model.push((time, number as u32));
                } else {
                    prop_assert!(model.iter().all(|&(deadline, _)| queue.next() <= at(deadline)));
                    let mut due: Vec<_> = model.extract_if(.., |&mut (deadline, _)| deadline <= time).collect();
                    due.sort_unstable();
                    prop_assert_eq!(drain(&mut queue, time), due.into_iter().map(|(_, number)| number).collect::<Vec<_>>());
                }
                prop_assert_eq!(queue.len(), model.len());
            }
        }
    }
}
