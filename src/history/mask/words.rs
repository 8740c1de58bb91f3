//! Words for words of the same length and make.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::Class;

/// Tries until a word that is not taken is looked for among longer ones.
const TRIES: u32 = 32;

/// The words so far.
#[derive(Debug)]
pub(super) struct Words {
    key: u64,
    known: BTreeMap<(Class, Vec<u8>), Vec<u8>>,
    taken: BTreeSet<(Class, Vec<u8>)>,
}

impl Words {
    pub(super) fn new(key: u64) -> Self {
        Self { key, known: BTreeMap::new(), taken: BTreeSet::new() }
    }

    /// A word for `word`, for another one another.
    pub(super) fn mask(&mut self, class: Class, word: &[u8]) -> Vec<u8> {
        if !word.iter().any(u8::is_ascii_alphanumeric) {
            return word.to_vec();
        }
        if class == Class::User && is_number(word) {
            return self.number(word);
        }
        let key = (class, word.to_vec());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut masked = word.to_vec();
        for attempt in 0.. {
            masked = self.attempt(&key, attempt);
            if masked != word && self.taken.insert((class, masked.clone())) {
                break;
            }
        }
        self.known.insert(key, masked.clone());
        masked
    }

    /// Digits for digits, each by those behind it: so numbers that end alike end alike, no two become one, and no digit stays.
    fn number(&self, number: &[u8]) -> Vec<u8> {
        let mut masked = number.to_vec();
        for at in 0..number.len() {
            let (Some(digit), Some(behind)) = (masked.get_mut(at).filter(|byte| byte.is_ascii_digit()), number.get(at + 1..)) else {
                continue;
            };
            let digits: Vec<u8> = behind.iter().copied().filter(u8::is_ascii_digit).collect();
            let shift = 1 + (xxh3_128_with_seed(&digits, self.key) % 9) as u8;
            *digit = b'0' + (*digit - b'0' + shift) % 10;
        }
        masked
    }

    fn attempt(&self, (class, word): &(Class, Vec<u8>), attempt: u32) -> Vec<u8> {
        // Where all words of this length are taken, a longer one must do.
        let mut source = word.clone();
        source.extend(std::iter::repeat_n(b'x', (attempt / TRIES) as usize));
        let mut masked = Vec::with_capacity(source.len());
        for (at, byte) in source.iter().enumerate() {
            // What stays escaped is reserved, and has to (RFC 3261 §19.1.4).
            let is_escape = (1..=2).any(|back| at.checked_sub(back).and_then(|start| source.get(start)) == Some(&b'%'));
            if *class == Class::User && is_escape {
                masked.push(*byte);
                continue;
            }
            let seed = [word.as_slice(), &[*class as u8], &attempt.to_le_bytes(), &(at as u64).to_le_bytes()].concat();
            let hash = (xxh3_128_with_seed(&seed, self.key) & 0xffff) as u16;
            masked.push(match byte {
                b'0'..=b'9' => b'0' + (hash % 10) as u8,
                b'a'..=b'z' => b'a' + (hash % 26) as u8,
                b'A'..=b'Z' => b'A' + (hash % 26) as u8,
                byte if byte.is_ascii() => *byte,
                _ => b'x',
            });
        }
        masked
    }
}

/// Digits as people write numbers.
fn is_number(word: &[u8]) -> bool {
    word.iter().any(u8::is_ascii_digit) && word.iter().all(|byte| byte.is_ascii_digit() || b"+-.()*#".contains(byte))
}
