//! Deadlines in order, cheap to add.
//!
//! Time goes on, so deadlines that are always as far off come in order: those are lined up as they come. The others are only sorted into
//! buckets; a bucket is put into exact order when its time has come, and then it fits into the fastest cache.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::GROWTH;
use crate::time::PacketTime;

/// Width of a bucket as a power of two of nanoseconds: about a second.
const BUCKET_BITS: u32 = 30;
/// Lines of deadlines that came in order: one for each time to wait that a table has.
const LINES: usize = 4;
/// Items whose memory a line keeps when it is empty.
const ROOM: usize = 1024;
/// Emptied buckets whose memory is kept for later ones.
const MAX_SPARE: usize = 64;

/// A deadline and whose it is; whether that one still waits for it is told by the slot. Those of one moment come in the order in which
/// they were pushed, unless four thousand million lie between them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Item {
    pub(super) deadline: PacketTime,
    sequence: u32,
    pub(super) slot: u32,
}

/// A priority queue of deadlines.
#[derive(Debug)]
pub(super) struct Queue {
    /// A moment before which nothing is due.
    next: PacketTime,
    lines: Lines,
    strays: Strays,
    pushed: u32,
}

impl Queue {
    /// An empty queue.
    pub(super) fn new() -> Self {
        Self { next: PacketTime::MAX, lines: Lines::new(), strays: Strays::new(), pushed: 0 }
    }

    /// Items in the queue.
    pub(super) fn len(&self) -> usize {
        self.lines.items.iter().map(VecDeque::len).sum::<usize>() + self.strays.len
    }

    /// Adds a deadline.
    pub(super) fn push(&mut self, deadline: PacketTime, slot: u32) {
        let item = Item { deadline, sequence: self.pushed, slot };
        self.pushed = self.pushed.wrapping_add(1);
        if !self.lines.take(item) {
            self.strays.push(item);
        }
        self.next = self.next.min(deadline);
    }

    /// A moment before which nothing is due: the earliest deadline, or the start of the bucket it is in. `MAX` if there is none.
    #[inline]
    pub(super) fn next(&self) -> PacketTime {
        self.next
    }

    /// Takes the earliest item that is due by `now`.
    #[inline]
    pub(super) fn pop(&mut self, now: PacketTime) -> Option<Item> {
        if self.next > now { None } else { self.pop_first(now) }
    }

    fn pop_first(&mut self, now: PacketTime) -> Option<Item> {
        let lined = self.lines.first().filter(|(_, item)| item.deadline <= now);
        let until = lined.map_or(now, |(_, item)| item.deadline);
        let stray = self.strays.first(until).filter(|stray| lined.is_none_or(|(_, item)| *stray < item));
        let item = match (stray, lined) {
            (Some(_), _) => self.strays.pop(),
            (None, Some((line, _))) => self.lines.pop(line),
            (None, None) => None,
        };
        self.find_next();
        item
    }

    /// Drops the items that are not `wanted`, and the memory of buckets of which little is left.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&Item) -> bool) {
        self.lines.retain(&mut wanted);
        self.strays.retain(&mut wanted);
        self.find_next();
    }

    fn find_next(&mut self) {
        self.next = self.lines.firsts.into_iter().fold(self.strays.next(), PacketTime::min);
    }
}

/// Items that were each due no earlier than the one before in the same line.
#[derive(Debug)]
struct Lines {
    items: [VecDeque<Item>; LINES],
    /// The first deadline of each; `MAX` where it is empty.
    firsts: [PacketTime; LINES],
    /// The last deadline of each; `MIN` where it is empty.
    lasts: [PacketTime; LINES],
}

impl Lines {
    fn new() -> Self {
        Self { items: Default::default(), firsts: [PacketTime::MAX; LINES], lasts: [PacketTime::MIN; LINES] }
    }

    /// Adds an item to the line whose end is the nearest before it, else to an empty one; tells whether there was any.
    fn take(&mut self, item: Item) -> bool {
        let mut best: Option<(usize, PacketTime)> = None;
        for (line, &last) in self.lasts.iter().enumerate() {
            if last <= item.deadline && best.is_none_or(|(_, nearest)| last > nearest) {
                best = Some((line, last));
            }
        }
        let Some((line, _)) = best else { return false };
        let items = &mut self.items[line];
        if items.len() == items.capacity() {
            items.reserve_exact(8 + items.len() / GROWTH);
        }
        items.push_back(item);
        self.lasts[line] = item.deadline;
        self.firsts[line] = self.firsts[line].min(item.deadline);
        true
    }

    /// The line with the earliest item, and that item.
    fn first(&self) -> Option<(usize, Item)> {
        let first = self.firsts.iter().fold(PacketTime::MAX, |first, &deadline| first.min(deadline));
        let fronts = self.items.iter().enumerate().filter(|&(line, _)| self.firsts[line] == first);
        fronts.filter_map(|(line, items)| Some((line, *items.front()?))).min_by_key(|(_, item)| item.sequence)
    }

    fn pop(&mut self, line: usize) -> Option<Item> {
        let item = self.items.get_mut(line)?.pop_front();
        self.shrink(line);
        self.measure(line);
        item
    }

    fn retain(&mut self, wanted: &mut impl FnMut(&Item) -> bool) {
        for line in 0..LINES {
            self.items[line].retain(&mut *wanted);
            self.shrink(line);
            self.measure(line);
        }
    }

    /// Gives memory back of which little is used; what a flood took is not kept for ever.
    fn shrink(&mut self, line: usize) {
        let items = &mut self.items[line];
        if items.capacity() > ROOM && items.len() < items.capacity() / 4 {
            items.shrink_to(items.len() * 2);
        }
    }

    fn measure(&mut self, line: usize) {
        self.firsts[line] = self.items[line].front().map_or(PacketTime::MAX, |item| item.deadline);
        if self.items[line].is_empty() {
            self.lasts[line] = PacketTime::MIN;
        }
    }
}

/// Items that fit no line.
#[derive(Debug)]
struct Strays {
    /// The items of the earliest buckets.
    near: BinaryHeap<Reverse<Item>>,
    /// Number of the last bucket whose items are near.
    reached: i64,
    /// The others by the number of their bucket, unordered in it.
    far: BTreeMap<i64, Vec<Reverse<Item>>>,
    spare: Vec<Vec<Reverse<Item>>>,
    len: usize,
}

impl Strays {
    fn new() -> Self {
        Self { near: BinaryHeap::new(), reached: i64::MIN, far: BTreeMap::new(), spare: Vec::new(), len: 0 }
    }

    fn push(&mut self, item: Item) {
        self.len += 1;
        let bucket = bucket(item.deadline);
        if bucket <= self.reached {
            self.near.push(Reverse(item));
        } else {
            self.far.entry(bucket).or_insert_with(|| self.spare.pop().unwrap_or_default()).push(Reverse(item));
        }
    }

    /// A moment before which nothing is due; `MAX` if there is nothing.
    fn next(&self) -> PacketTime {
        match self.near.peek() {
            Some(Reverse(item)) => item.deadline,
            None => self.far.first_key_value().map_or(PacketTime::MAX, |(number, _)| start(*number)),
        }
    }

    /// The earliest item that is due by `until`.
    fn first(&mut self, until: PacketTime) -> Option<Item> {
        if self.len == 0 {
            return None;
        }
        while self.near.is_empty() && self.bring_near(until) {}
        self.near.peek().map(|Reverse(item)| *item).filter(|item| item.deadline <= until)
    }

    /// Takes the item that [`Self::first`] found.
    fn pop(&mut self) -> Option<Item> {
        let item = self.near.pop().map(|Reverse(item)| item);
        self.len -= usize::from(item.is_some());
        item
    }

    fn retain(&mut self, wanted: &mut impl FnMut(&Item) -> bool) {
        self.near.retain(|Reverse(item)| wanted(item));
        self.far.retain(|_, items| {
            thin_out(items, wanted);
            !items.is_empty()
        });
        self.len = self.near.len() + self.far.values().map(Vec::len).sum::<usize>();
    }

    /// Puts the first bucket into order if it begins by `until`; tells whether there was one.
    fn bring_near(&mut self, until: PacketTime) -> bool {
        let Some(first) = self.far.first_entry().filter(|first| start(*first.key()) <= until) else { return false };
        let (number, items) = first.remove_entry();
        self.reached = number;
        let emptied = std::mem::replace(&mut self.near, BinaryHeap::from(items)).into_vec();
        if self.spare.len() < MAX_SPARE {
            self.spare.push(emptied);
        }
        true
    }
}

/// Keeps what is wanted of a bucket, and no more than four times the memory for it.
fn thin_out(items: &mut Vec<Reverse<Item>>, wanted: &mut impl FnMut(&Item) -> bool) {
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
            queue.push(at(50_000), slot);
        }
        assert!(drain(&mut queue, 49_999).is_empty());
        assert_eq!(drain(&mut queue, 50_000), [3, 1, 2]);
    }

    #[test]
    fn what_is_pushed_before_the_bucket_in_hand_comes_first() {
        let mut queue = Queue::new();
        queue.push(at(10_000), 1);
        queue.push(at(10_001), 2);
        assert_eq!(drain(&mut queue, 10_000), [1]);
        queue.push(at(-1), 3);
        assert_eq!(drain(&mut queue, 10_001), [3, 2]);
    }

    #[test]
    fn what_a_flood_left_takes_no_room() {
        let mut queue = Queue::new();
        for slot in 0..10_000 {
            queue.push(at(10_000), slot);
            queue.push(at(1_000_000), slot);
        }
        queue.retain(|item| item.slot < 2);
        let lined: usize = queue.lines.items.iter().map(VecDeque::capacity).sum();
        let strays: usize = queue.strays.far.values().map(Vec::capacity).sum();
        assert!(queue.len() == 4 && lined <= LINES * ROOM && strays <= 4, "{lined} and {strays}");
        assert_eq!(drain(&mut queue, 2_000_000), [0, 1, 0, 1]);
    }

    proptest! {
        #[test]
        fn it_does_what_a_sorted_list_does(steps in proptest::collection::vec((any::<bool>(), -5_000i64..20_000), 1..200)) {
            let mut queue = Queue::new();
            let mut model: Vec<(i64, u32)> = Vec::new();
            for (number, (push, time)) in steps.into_iter().enumerate() {
                if push {
                    queue.push(at(time), number as u32);
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
