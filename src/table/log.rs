//! Strings of bytes by the hundred thousand, one behind the other: for what is kept long, looked at seldom, and goes in the order in which
//! it came. No element has an allocation, a pointer or room of its own.

use std::collections::VecDeque;

/// Bytes of a chunk.
const CHUNK: usize = 16 * 1024;
/// Bytes by which a chunk grows until it is full: few enough that the last one, which has room left, weighs little.
const ROOM: usize = CHUNK / 8;
/// Bytes that the length of an element takes at most.
const LENGTH: usize = 10;

/// An element, and what it may refer to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry<'a> {
    /// The element.
    pub bytes: &'a [u8],
    /// All bytes of its chunk, also of elements that were dropped.
    pub chunk: &'a [u8],
}

/// Strings of bytes, each behind its length: appended at one end, dropped at the other.
#[derive(Debug, Default)]
pub struct Log {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes of the first chunk that were dropped.
    dropped: usize,
    length: usize,
}

impl Log {
    /// Elements in the log.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether the log is empty.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The chunk to which an element of `size` bytes is appended; empty where that begins another.
    pub fn chunk(&self, size: usize) -> &[u8] {
        self.chunks.back().filter(|chunk| chunk.len() + size + LENGTH <= CHUNK).map_or(&[], Vec::as_slice)
    }

    /// Appends an element, and tells where in its chunk it begins.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        if self.chunk(bytes.len()).is_empty() {
            self.chunks.push_back(Vec::new());
        }
        let Some(chunk) = self.chunks.back_mut() else { return 0 };
        let size = bytes.len() + LENGTH;
        if chunk.capacity() - chunk.len() < size {
            chunk.reserve_exact(CHUNK.saturating_sub(chunk.len()).min(ROOM).max(size));
        }
        put_number(bytes.len() as u64, chunk);
        chunk.extend_from_slice(bytes);
        self.length += 1;
        chunk.len() - bytes.len()
    }

    /// The first element.
    pub fn first(&self) -> Option<Entry<'_>> {
        self.iter().next()
    }

    /// Drops the first element, and tells whether there was one.
    pub fn forget(&mut self) -> bool {
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

    /// The elements, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let offsets = std::iter::once(self.dropped).chain(std::iter::repeat(0));
        self.chunks.iter().zip(offsets).flat_map(|(chunk, offset)| {
            let mut rest = Reader(chunk.get(offset..).unwrap_or_default());
            std::iter::from_fn(move || Some(Entry { bytes: next(&mut rest)?, chunk }))
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

/// Appends a number in groups of seven bits, the lowest first: small ones are short.
pub fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a number that may be negative: those near 0 are short.
pub fn put_signed(number: i64, out: &mut Vec<u8>) {
    put_number(((number << 1) ^ (number >> 63)) as u64, out);
}

/// Reads what was put. Behind the end there are zeros.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// A number as [`put_number`] writes it.
    pub fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// A number as [`put_signed`] writes it.
    pub fn signed(&mut self) -> i64 {
        let number = self.number();
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }

    /// The next `length` bytes, or as many as there are.
    pub fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at_checked(length).unwrap_or((self.0, &[]));
        self.0 = rest;
        bytes
    }

    /// The next `N` bytes; zeros where there are fewer.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let (array, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *array
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(log: &Log) -> Vec<&[u8]> {
        log.iter().map(|entry| entry.bytes).collect()
    }

    #[test]
    fn the_first_ones_go_first_whatever_their_chunk() {
        let texts: Vec<Vec<u8>> = (0..200_u32).map(|n| n.to_le_bytes().repeat(n as usize)).collect();
        let mut log = Log::default();
        for text in &texts {
            let place = log.push(text);
            assert!(log.chunks.back().is_some_and(|chunk| chunk.get(place..) == Some(text)));
        }
        assert!(log.chunks.len() > 2 && log.len() == 200);
        for gone in 0..200 {
            assert_eq!(kept(&log), texts[gone..], "{gone}");
            assert!(log.forget());
        }
        assert!(!log.forget() && log.is_empty() && kept(&log).is_empty() && log.chunks.is_empty());
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

    #[test]
    fn a_chunk_stays_as_long_as_one_of_its_elements() {
        let mut log = Log::default();
        let place = log.push(b"dropped");
        log.push(b"kept");
        log.forget();
        assert_eq!(log.first().and_then(|entry| entry.chunk.get(place..place + 7)), Some(&b"dropped"[..]));
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_they_were_put(number in any::<u64>(), signed in any::<i64>()) {
            let mut bytes = Vec::new();
            put_number(number, &mut bytes);
            put_signed(signed, &mut bytes);
            let mut reader = Reader(&bytes);
            prop_assert_eq!((reader.number(), reader.signed()), (number, signed));
            prop_assert!(reader.0.is_empty());
        }
    }
}
