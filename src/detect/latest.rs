//! A map that keeps the entries that were used latest.

use std::collections::BTreeMap;

/// At most `MOST` entries, made when they are first asked for; the one that was longest unused goes first.
#[derive(Debug)]
pub(super) struct Latest<K, V, const MOST: usize> {
    entries: BTreeMap<K, (u64, V)>,
    /// The keys by when they were used.
    used: BTreeMap<u64, K>,
    uses: u64,
    evicted: u64,
}

impl<K, V, const MOST: usize> Default for Latest<K, V, MOST> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), used: BTreeMap::new(), uses: 0, evicted: 0 }
    }
}

impl<K: Copy + Ord, V: Default, const MOST: usize> Latest<K, V, MOST> {
    /// The entry of `key`.
    pub(super) fn entry(&mut self, key: K) -> &mut V {
        self.uses += 1;
        if !self.entries.contains_key(&key)
            && self.entries.len() >= MOST
            && let Some((_, oldest)) = self.used.pop_first()
        {
            self.entries.remove(&oldest);
            self.evicted += 1;
        }
        let (used, value) = self.entries.entry(key).or_default();
        self.used.remove(used);
        *used = self.uses;
        self.used.insert(self.uses, key);
        value
    }

    /// The entry of `key`, if there is one.
    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.entries.get(&key).map(|(_, value)| value)
    }

    /// All entries, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.entries.iter().map(|(key, (_, value))| (*key, value))
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        let (used, value) = self.entries.remove(&key)?;
        self.used.remove(&used);
        Some(value)
    }

    /// Entries held, and entries dropped for lack of room.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.entries.len(), self.evicted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_goes_first() {
        let mut latest = Latest::<u32, u32, 3>::default();
        for key in [1, 2, 3] {
            *latest.entry(key) += key;
        }
        *latest.entry(1) += 10;
        latest.entry(4);
        assert_eq!([1, 2, 3, 4].map(|key| latest.get(key).copied()), [Some(11), None, Some(3), Some(0)]);
        assert_eq!(latest.remove(3), Some(3));
        latest.entry(5);
        assert_eq!(latest.size(), (3, 1));
    }
}
