//! The records of calls that are over: bounded, and those of strangers go first.

use std::collections::VecDeque;

use crate::track::call::record::CallRecord;

/// The records, each list in the order in which its calls ended.
#[derive(Debug)]
pub(super) struct Finished {
    capacity: usize,
    /// How many came before, kept or not.
    came: u64,
    forgotten: u64,
    /// By whether a stranger's.
    lists: [VecDeque<(u64, CallRecord)>; 2],
}

impl Finished {
    /// Room for `capacity` records; none is kept where that is 0.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, came: 0, forgotten: 0, lists: [VecDeque::new(), VecDeque::new()] }
    }

    /// Keeps a record, and forgets the oldest one where there is no room.
    pub(super) fn keep(&mut self, record: CallRecord, is_strangers: bool) {
        if self.capacity == 0 {
            return;
        }
        if self.len() >= self.capacity {
            self.forgotten += 1;
            let [known, strangers] = &mut self.lists;
            if strangers.pop_front().is_none() {
                known.pop_front();
            }
        }
        self.lists[usize::from(is_strangers)].push_back((self.came, record));
        self.came += 1;
    }

    /// The records, in the order in which their calls ended.
    pub(super) fn iter(&self) -> impl Iterator<Item = &CallRecord> {
        let [known, strangers] = &self.lists;
        let (mut known, mut strangers) = (known.iter().peekable(), strangers.iter().peekable());
        std::iter::from_fn(move || {
            let strangers_next = strangers.peek().map_or(u64::MAX, |(at, _)| *at);
            let next = known.next_if(|(at, _)| *at < strangers_next).or_else(|| strangers.next());
            next.map(|(_, record)| record)
        })
    }

    /// Records kept.
    pub(super) fn len(&self) -> usize {
        self.lists.iter().map(VecDeque::len).sum()
    }

    /// Records dropped for lack of room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
