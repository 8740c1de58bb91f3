//! The records of calls that are over: bounded, and those of strangers go first.

use std::collections::VecDeque;

use crate::track::call::packed::{FinishedCall, Reader, pack, put_number};
use crate::track::call::record::CallRecord;

/// Bytes of records that are allocated at once.
const CHUNK: usize = 64 * 1024;

/// The records, each list in the order in which its calls ended.
#[derive(Debug)]
pub(super) struct Finished {
    capacity: usize,
    /// How many came before, kept or not.
    came: u64,
    forgotten: u64,
    /// By whether a stranger's.
    lists: [Log; 2],
    /// The record that is kept next, so that its length is known.
    scratch: Vec<u8>,
}

impl Finished {
    /// Room for `capacity` records; none is kept where that is 0.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, came: 0, forgotten: 0, lists: Default::default(), scratch: Vec::new() }
    }

    /// Keeps a record, and forgets the oldest one where there is no room.
    pub(super) fn keep(&mut self, record: &CallRecord, is_strangers: bool) {
        if self.capacity == 0 {
            return;
        }
        if self.len() >= self.capacity {
            self.forgotten += 1;
            let [known, strangers] = &mut self.lists;
            if !strangers.forget() {
                known.forget();
            }
        }
        self.scratch.clear();
        put_number(self.came, &mut self.scratch);
        pack(record, &mut self.scratch);
        self.lists[usize::from(is_strangers)].push(&self.scratch);
        self.came += 1;
    }

    /// The records, in the order in which their calls ended.
    pub(super) fn iter(&self) -> impl Iterator<Item = FinishedCall<'_>> {
        let [known, strangers] = self.lists.each_ref().map(|list| list.iter().map(numbered));
        let (mut known, mut strangers) = (known.peekable(), strangers.peekable());
        std::iter::from_fn(move || {
            let strangers_next = strangers.peek().map_or(u64::MAX, |(came, _)| *came);
            let next = known.next_if(|(came, _)| *came < strangers_next).or_else(|| strangers.next());
            next.map(|(_, record)| record)
        })
    }

    /// Records kept.
    pub(super) fn len(&self) -> usize {
        self.lists.iter().map(|list| list.length).sum()
    }

    /// Records dropped for lack of room.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

fn numbered(bytes: &[u8]) -> (u64, FinishedCall<'_>) {
    let mut reader = Reader(bytes);
    (reader.number(), FinishedCall(reader.0))
}

/// Strings of bytes, one behind the other, each behind its length: appended at one end, dropped at the other.
#[derive(Debug, Default)]
struct Log {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that were dropped.
    dropped: usize,
    length: usize,
}

impl Log {
    fn push(&mut self, bytes: &[u8]) {
        // A length takes ten bytes at most.
        let size = bytes.len() + 10;
        if self.chunks.back().is_none_or(|chunk| chunk.capacity() - chunk.len() < size) {
            self.chunks.push_back(Vec::with_capacity(size.max(CHUNK)));
        }
        if let Some(chunk) = self.chunks.back_mut() {
            put_number(bytes.len() as u64, chunk);
            chunk.extend_from_slice(bytes);
            self.length += 1;
        }
    }

    /// Drops the first one, and tells whether there was one.
    fn forget(&mut self) -> bool {
        let Some(first) = self.chunks.front() else { return false };
        let mut rest = Reader(first.get(self.dropped..).unwrap_or_default());
        next(&mut rest);
        self.dropped = first.len() - rest.0.len();
        self.length -= 1;
        if rest.0.is_empty() {
            self.chunks.pop_front();
            self.dropped = 0;
        }
        true
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let offsets = std::iter::once(self.dropped).chain(std::iter::repeat(0));
        self.chunks.iter().zip(offsets).flat_map(|(chunk, offset)| {
            let mut rest = Reader(chunk.get(offset..).unwrap_or_default());
            std::iter::from_fn(move || next(&mut rest))
        })
    }
}

fn next<'a>(rest: &mut Reader<'a>) -> Option<&'a [u8]> {
    if rest.0.is_empty() {
        return None;
    }
    let length = rest.number() as usize;
    Some(rest.bytes(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(log: &Log) -> Vec<&[u8]> {
        log.iter().collect()
    }

    #[test]
    fn the_first_ones_go_first_whatever_their_chunk() {
        let texts: Vec<Vec<u8>> = (0..200_u32).map(|n| n.to_le_bytes().repeat(n as usize * 3)).collect();
        let mut log = Log::default();
        texts.iter().for_each(|text| log.push(text));
        assert!(log.chunks.len() > 2 && log.length == 200);
        for gone in 0..200 {
            assert_eq!(kept(&log), texts[gone..], "{gone}");
            assert!(log.forget());
        }
        assert!(!log.forget() && kept(&log).is_empty() && log.chunks.is_empty());
        log.push(b"again");
        assert_eq!(kept(&log), [b"again"]);
    }

    #[test]
    fn one_larger_than_a_chunk_has_its_own() {
        let large = vec![7; 3 * CHUNK];
        let mut log = Log::default();
        for text in [&b"before"[..], &large, b"behind"] {
            log.push(text);
        }
        assert_eq!(kept(&log), [&b"before"[..], &large, b"behind"]);
    }
}
