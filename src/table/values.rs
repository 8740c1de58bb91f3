//! The values of a table by slot.
//!
//! `Vec` grows by taking a larger piece of memory and moving all of its elements there: with a hundred thousand calls that takes a while,
//! and a part of the new piece stands empty until there are more of them than ever before.

/// Values of a block: few enough that the last one, which has room left, weighs little.
const ROOM: usize = 32;

/// Values that stay where they are while more come.
#[derive(Debug)]
pub(super) struct Values<V> {
    /// Arrays, so that one look at a length finds a value.
    blocks: Vec<Box<[Option<V>; ROOM]>>,
}

impl<V> Values<V> {
    pub(super) const fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&V> {
        self.blocks.get(slot as usize / ROOM)?.get(slot as usize % ROOM)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut V> {
        self.place(slot)?.as_mut()
    }

    /// Puts a value into a slot: one that was in use before, or the next one.
    pub(super) fn put(&mut self, slot: u32, value: V) {
        debug_assert!(slot as usize / ROOM <= self.blocks.len(), "slots are used one after the other");
        if slot as usize / ROOM == self.blocks.len() {
            self.blocks.push(Box::new([const { None }; ROOM]));
        }
        if let Some(place) = self.place(slot) {
            *place = Some(value);
        }
    }

    pub(super) fn take(&mut self, slot: u32) -> Option<V> {
        self.place(slot)?.take()
    }

    /// What is in each slot, some that were never in use at the end.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&V>> {
        self.blocks.iter().flat_map(|block| block.iter().map(Option::as_ref))
    }

    #[inline]
    fn place(&mut self, slot: u32) -> Option<&mut Option<V>> {
        self.blocks.get_mut(slot as usize / ROOM)?.get_mut(slot as usize % ROOM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_where_it_is_while_more_come() {
        let mut values = Values::new();
        (0..1_000_u32).for_each(|slot| values.put(slot, slot));
        let place = values.get(700).map(std::ptr::from_ref);
        (1_000..10_000).for_each(|slot| values.put(slot, slot));
        assert_eq!(values.get(700).map(std::ptr::from_ref), place);
        assert!((0..10_000).all(|slot| values.get(slot) == Some(&slot)));
        assert_eq!(values.get(u32::MAX), None);
    }

    #[test]
    fn no_more_than_a_block_stands_empty() {
        let mut values = Values::new();
        for slot in 0..1_000_u32 {
            values.put(slot, slot);
            assert!(values.iter().count() < slot as usize + 1 + ROOM);
        }
    }

    #[test]
    fn a_slot_is_used_again() {
        let mut values = Values::new();
        (0..3_u32).for_each(|slot| values.put(slot, slot));
        assert_eq!((values.take(1), values.take(1)), (Some(1), None));
        assert_eq!(values.iter().flatten().count(), 2);
        values.put(1, 7);
        if let Some(value) = values.get_mut(1) {
            *value += 1;
        }
        assert_eq!(values.iter().take(3).collect::<Vec<_>>(), [Some(&0), Some(&8), Some(&2)]);
    }
}
