//! The records of calls that are over: bounded, and those of strangers go first.

use crate::table::log::{Entry, Log, Reader, put_number};
use crate::track::call::forks::Branch;
use crate::track::call::packed::{FinishedCall, Packer};
use crate::track::call::record::CallRecord;

/// The records, each list in the order in which its calls ended.
#[derive(Debug)]
pub(super) struct Finished {
    capacity: usize,
    /// How many came before, kept or not.
    came: u64,
    forgotten: u64,
    /// By whether a stranger's.
    lists: [List; 2],
    /// The record that is kept next, so that its length is known.
    scratch: Vec<u8>,
}

impl Finished {
    /// Room for `capacity` records; none is kept where that is 0.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, came: 0, forgotten: 0, lists: [List::new(), List::new()], scratch: Vec::new() }
    }

    /// Keeps a record, and forgets the oldest one where there is no room.
    pub(super) fn keep(&mut self, record: &CallRecord, forks: &[Branch], is_strangers: bool) {
        if self.capacity == 0 {
            return;
        }
        if self.len() >= self.capacity {
            self.forgotten += 1;
            let [known, strangers] = &mut self.lists;
            if !strangers.log.forget() {
                known.log.forget();
            }
        }
        self.lists[usize::from(is_strangers)].push(self.came, record, forks, &mut self.scratch);
        self.came += 1;
    }

    /// The records, in the order in which their calls ended.
    pub(super) fn iter(&self) -> impl Iterator<Item = FinishedCall<'_>> {
        let [known, strangers] = self.lists.each_ref().map(|list| list.log.iter().map(numbered));
        let (mut known, mut strangers) = (known.peekable(), strangers.peekable());
        std::iter::from_fn(move || {
            let strangers_next = strangers.peek().map_or(u64::MAX, |(came, _)| *came);
            let next = known.next_if(|(came, _)| *came < strangers_next).or_else(|| strangers.next());
            next.map(|(_, record)| record)
        })
    }

    /// Records kept.
    pub(super) fn len(&self) -> usize {
        self.lists.iter().map(|list| list.log.len()).sum()
    }

    /// Records dropped for lack of room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

fn numbered(entry: Entry<'_>) -> (u64, FinishedCall<'_>) {
    let mut reader = Reader(entry.bytes);
    (reader.number(), FinishedCall(Entry { bytes: reader.0, ..entry }))
}

/// Records, each behind its number.
#[derive(Debug)]
struct List {
    log: Log,
    packer: Packer,
}

impl List {
    fn new() -> Self {
        Self { log: Log::default(), packer: Packer::new() }
    }

    fn push(&mut self, number: u64, record: &CallRecord, forks: &[Branch], scratch: &mut Vec<u8>) {
        let Self { log, packer } = self;
        let mut pack = |chunk: &[u8]| {
            scratch.clear();
            put_number(number, scratch);
            packer.pack(record, forks, chunk, scratch);
            scratch.len()
        };
        let size = pack(log.chunk(0));
        // What begins another chunk can refer to nothing in this one.
        if log.chunk(size).is_empty() {
            pack(&[]);
        }
        let begin = log.push(scratch);
        packer.stands_at(begin);
    }
}
