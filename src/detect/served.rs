//! Sources that servers served lately: that one is served says nothing of another server (DETECTION §1.3).

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::time::{PacketTime, Span};

/// Sources remembered.
const REMEMBERED: usize = 4096;
/// A source that comes again is looked for among that many of the latest.
const LOOKED_AT: usize = 64;
/// Marks by which it is known that a source is not among those: there are many sources, and few come again so soon.
const MARKS: usize = 256;

/// A source and its server.
type Pair = (IpAddr, IpAddr);

/// Sources, each with the server and the last time that it served them, the latest last.
#[derive(Debug)]
pub(super) struct Served {
    sources: VecDeque<(Pair, PacketTime)>,
    /// How many of the [`LOOKED_AT`] latest have each mark.
    marks: [u8; MARKS],
}

impl Default for Served {
    fn default() -> Self {
        Self { sources: VecDeque::new(), marks: [0; MARKS] }
    }
}

impl Served {
    /// Takes note that `pair.0` was served by `pair.1`.
    pub(super) fn note(&mut self, pair: Pair, now: PacketTime) {
        self.take_out(pair);
        self.push(pair, now);
    }

    /// The same, and forgets what is older than `memory`.
    pub(super) fn note_within(&mut self, memory: Span, pair: Pair, now: PacketTime) {
        self.take_out(pair);
        while self.sources.front().is_some_and(|(_, at)| now.since(*at) > memory) {
            self.forget();
        }
        self.push(pair, now);
    }

    /// How many others than `source` its `server` served at a time that is `wanted`.
    pub(super) fn others(&self, (source, server): Pair, wanted: impl Fn(PacketTime) -> bool) -> usize {
        self.sources.iter().filter(|((other, by), at)| *other != source && *by == server && wanted(*at)).count()
    }

    /// Whether `source` was served at `since` or later.
    pub(super) fn any_since(&self, source: IpAddr, since: PacketTime) -> bool {
        self.sources.iter().any(|((known, _), at)| *known == source && *at >= since)
    }

    fn take_out(&mut self, pair: Pair) {
        if self.marks[mark(pair)] == 0 {
            return;
        }
        if let Some(position) = self.sources.iter().rev().take(LOOKED_AT).position(|(known, _)| *known == pair) {
            self.sources.remove(self.sources.len() - 1 - position);
            self.marks[mark(pair)] -= 1;
            // One that was too long ago is among the latest again.
            if let Some(&(next, _)) = self.sources.len().checked_sub(LOOKED_AT).and_then(|place| self.sources.get(place)) {
                self.marks[mark(next)] += 1;
            }
        }
    }

    fn push(&mut self, pair: Pair, now: PacketTime) {
        if self.sources.len() >= REMEMBERED {
            self.forget();
        }
        if let Some(&(passed, _)) = self.sources.len().checked_sub(LOOKED_AT).and_then(|place| self.sources.get(place)) {
            self.marks[mark(passed)] -= 1;
        }
        self.sources.push_back((pair, now));
        self.marks[mark(pair)] += 1;
    }

    fn forget(&mut self) {
        let was_late = self.sources.len() <= LOOKED_AT;
        if let Some((pair, _)) = self.sources.pop_front().filter(|_| was_late) {
            self.marks[mark(pair)] -= 1;
        }
    }
}

fn mark((source, _): Pair) -> usize {
    let bytes = match source {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip) as u64 ^ (u128::from(ip) >> 64) as u64,
    };
    (bytes.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % MARKS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_nanos(0) + Span::from_secs(seconds)
    }

    /// The same, looked up one by one.
    fn plainly(sources: &mut VecDeque<(Pair, PacketTime)>, source: Pair, now: PacketTime, memory: Span) {
        if let Some(position) = sources.iter().rev().take(LOOKED_AT).position(|(known, _)| *known == source) {
            sources.remove(sources.len() - 1 - position);
        }
        sources.retain(|(_, at)| now.since(*at) <= memory);
        sources.push_back((source, now));
    }

    proptest! {
        #[test]
        fn the_marks_change_nothing(steps in proptest::collection::vec((0_u8..200, 0_i64..30), 1..600)) {
            let (mut served, mut plain, mut now) = (Served::default(), VecDeque::new(), 0);
            for (source, pause) in steps {
                now += pause;
                let source = (IpAddr::from([192, 0, 2, source / 2]), IpAddr::from([203, 0, 113, source % 2]));
                served.note_within(Span::from_secs(900), source, at(now));
                plainly(&mut plain, source, at(now), Span::from_secs(900));
                prop_assert_eq!(&served.sources, &plain);
                let latest = usize::from(served.marks.iter().map(|count| u16::from(*count)).sum::<u16>());
                prop_assert_eq!(latest, plain.len().min(LOOKED_AT));
            }
        }
    }
}
