//! What was seen when, as bytes: a sighting takes some six of them, where [`Sighting`] takes sixteen.

use crate::table::log::{Log, Reader, put_signed};
use crate::time::PacketTime;
use crate::track::event::Sighting;

/// Nanoseconds of a microsecond.
const MICRO: i64 = 1000;

/// Sightings with bytes that belong to each, in the order in which they were put: each is kept as the difference to the one before.
#[derive(Debug, Default)]
pub(super) struct SightedLog {
    log: Log,
    /// The one before the first.
    before: Sighting,
    last: Sighting,
    scratch: Vec<u8>,
}

impl SightedLog {
    pub(super) fn len(&self) -> usize {
        self.log.len()
    }

    /// Appends a sighting, with what `fill` writes.
    pub(super) fn push(&mut self, at: Sighting, fill: impl FnOnce(&mut Vec<u8>)) {
        if self.log.is_empty() {
            self.before = self.last;
        }
        let out = &mut self.scratch;
        out.clear();
        put_nanos(at.time.as_nanos().wrapping_sub(self.last.time.as_nanos()), out);
        put_signed(at.frame.wrapping_sub(self.last.frame) as i64, out);
        fill(out);
        self.log.push(out);
        self.last = at;
    }

    pub(super) fn first(&self) -> Option<Sighting> {
        self.iter().next().map(|(at, _)| at)
    }

    /// Drops the first one.
    pub(super) fn pop(&mut self) {
        if let Some(first) = self.first() {
            self.before = first;
            self.log.forget();
        }
    }

    /// All of them, in order, with what belongs to each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Sighting, Reader<'_>)> {
        self.log.iter().scan(self.before, |last, entry| {
            let mut reader = Reader(entry.bytes);
            let waited = read_nanos(&mut reader);
            let frame = last.frame.wrapping_add_signed(reader.signed());
            *last = Sighting { time: PacketTime::from_nanos(last.time.as_nanos().wrapping_add(waited)), frame };
            Some((*last, reader))
        })
    }
}

/// Stands before nanoseconds that are no whole microseconds.
const ODD: i64 = -1;

/// Appends nanoseconds: in microseconds where they are whole ones, as those of most captures are.
pub(super) fn put_nanos(nanos: i64, out: &mut Vec<u8>) {
    let micros = nanos / MICRO;
    if nanos % MICRO == 0 && micros != ODD {
        put_signed(micros, out);
    } else {
        put_signed(ODD, out);
        put_signed(nanos, out);
    }
}

/// Reads what [`put_nanos`] wrote.
pub(super) fn read_nanos(reader: &mut Reader<'_>) -> i64 {
    match reader.signed() {
        ODD => reader.signed(),
        micros => micros.wrapping_mul(MICRO),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sightings_are_read_as_they_were_put(steps in proptest::collection::vec(
            (any::<bool>(), (0..i64::MAX, any::<u64>(), any::<bool>()), proptest::collection::vec(any::<u8>(), 0..4)), 1..100,
        )) {
            let (mut log, mut model) = (SightedLog::default(), VecDeque::new());
            for (pop, (nanos, frame, is_micros), bytes) in steps {
                if pop {
                    log.pop();
                    model.pop_front();
                }
                let nanos = if is_micros { nanos / MICRO * MICRO } else { nanos };
                let at = Sighting { time: PacketTime::from_nanos(nanos), frame };
                log.push(at, |out| out.extend_from_slice(&bytes));
                model.push_back((at, bytes));
                let kept: VecDeque<_> = log.iter().map(|(at, reader)| (at, reader.0.to_vec())).collect();
                prop_assert_eq!((log.len(), log.first()), (model.len(), model.front().map(|(at, _)| *at)));
                prop_assert_eq!(kept, model.clone());
            }
        }

        #[test]
        fn nanoseconds_are_read_as_they_were_put(nanos in prop_oneof![any::<i64>(), -3000_i64..3000, (-5_i64..5).prop_map(|micros| micros * MICRO)]) {
            let mut out = Vec::new();
            put_nanos(nanos, &mut out);
            let mut reader = Reader(&out);
            prop_assert_eq!((read_nanos(&mut reader), reader.0.len()), (nanos, 0));
        }
    }
}
