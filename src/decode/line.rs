//! The delay line: what was decoded waits until no better copy of it can come.

use std::collections::VecDeque;

use crate::decode::flow::Flow;
use crate::decode::signal::Signal;
use crate::time::{PacketTime, Span};

/// How long an item waits: as long as a translated copy may lag behind (DETECTION §0.3, D2).
pub const DELAY: Span = Span::from_millis(20);
/// Items that may wait; beyond, the oldest leaves early.
const MAX_ITEMS: usize = 65_536;
/// Bytes that may wait; beyond, the oldest item leaves early.
const MAX_BYTES: usize = 32 << 20;
/// Used-up bytes that are worth moving the others for.
const COMPACT: usize = 256 << 10;

/// What waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Item {
    /// A payload of one or more SIP messages.
    Payload(Flow),
    /// Something else that tracking must know of.
    Signal(Signal),
}

/// Where an item came from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// Engine time.
    pub time: PacketTime,
    /// Number of the frame that completed it; 0 for what no frame brought, such as a deadline.
    pub frame: u64,
    /// Frames whose outcome is settled with this item.
    pub frames: u64,
}

/// Whether an item is still wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Kept,
    Superseded,
}

/// An item that leaves the line.
#[derive(Clone, Copy, Debug)]
pub struct Leaving<'a> {
    /// Where it came from.
    pub origin: Origin,
    /// What it is.
    pub item: Item,
    /// The payload; empty for a signal.
    pub bytes: &'a [u8],
}

/// Names an item of the line, also after it left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ticket(u64);

/// A queue in order of time whose items can be struck out while they wait.
#[derive(Debug, Default)]
pub struct Line {
    items: VecDeque<Entry>,
    /// Items that left.
    gone: u64,
    bytes: Vec<u8>,
    /// Bytes at the front that belong to items that left.
    used: usize,
}

#[derive(Debug)]
struct Entry {
    origin: Origin,
    item: Item,
    len: usize,
    fate: Fate,
}

impl Line {
    /// Appends an item; times must not decrease.
    pub fn push(&mut self, origin: Origin, item: Item, bytes: &[u8]) -> Ticket {
        self.bytes.extend_from_slice(bytes);
        self.items.push_back(Entry { origin, item, len: bytes.len(), fate: Fate::Kept });
        Ticket(self.gone + self.items.len() as u64 - 1)
    }

    /// Strikes an item out; tells whether it was still there.
    pub fn supersede(&mut self, ticket: Ticket) -> bool {
        let place = ticket.0.checked_sub(self.gone).and_then(|place| usize::try_from(place).ok());
        let entry = place.and_then(|place| self.items.get_mut(place));
        entry.map(|entry| entry.fate = Fate::Superseded).is_some()
    }

    /// Takes the oldest item if it is from `until` or before, or if too much waits.
    pub fn pop(&mut self, until: PacketTime) -> Option<Leaving<'_>> {
        let crowded = self.items.len() > MAX_ITEMS || self.bytes.len() - self.used > MAX_BYTES;
        if !crowded && self.items.front()?.origin.time > until {
            return None;
        }
        let (entry, start) = self.take_oldest()?;
        Some(Leaving { origin: entry.origin, item: entry.item, bytes: self.bytes.get(start..self.used).unwrap_or_default() })
    }

    /// Drops the oldest item if it was struck out; returns its frames.
    pub fn drop_superseded(&mut self) -> Option<u64> {
        if self.items.front()?.fate == Fate::Kept {
            return None;
        }
        self.take_oldest().map(|(entry, _)| entry.origin.frames)
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Takes the oldest item and tells where its bytes begin.
    fn take_oldest(&mut self) -> Option<(Entry, usize)> {
        self.compact();
        let entry = self.items.pop_front()?;
        self.gone += 1;
        let start = self.used;
        self.used += entry.len;
        Some((entry, start))
    }

    /// Gives the room of items that left back to those that come, moving each byte a constant number of times on average.
    fn compact(&mut self) {
        if self.used == self.bytes.len() {
            self.bytes.clear();
            self.used = 0;
        } else if self.used >= COMPACT && self.used >= self.bytes.len() / 2 {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(millis: i64) -> Origin {
        Origin { time: PacketTime::from_nanos(millis * 1_000_000), frame: 1, frames: 1 }
    }

    fn flow() -> Flow {
        let address = "192.0.2.1:5060".parse().unwrap();
        Flow { transport: crate::decode::flow::Transport::Udp, source: address, destination: address }
    }

    #[test]
    fn items_leave_in_order_with_their_bytes() {
        let mut line = Line::default();
        line.push(origin(1), Item::Payload(flow()), b"one");
        line.push(origin(2), Item::Signal(Signal::Dropped(1)), b"");
        line.push(origin(3), Item::Payload(flow()), b"three");
        assert_eq!(line.pop(origin(2).time).unwrap().bytes, b"one");
        assert_eq!(line.pop(origin(2).time).unwrap().item, Item::Signal(Signal::Dropped(1)));
        assert!(line.pop(origin(2).time).is_none());
        assert_eq!(line.pop(origin(3).time).unwrap().bytes, b"three");
    }

    #[test]
    fn a_waiting_item_can_be_struck_out_and_one_that_left_cannot() {
        let mut line = Line::default();
        let first = line.push(origin(1), Item::Payload(flow()), b"one");
        let second = line.push(origin(1), Item::Payload(flow()), b"two");
        assert_eq!(line.drop_superseded(), None);
        assert_eq!(line.pop(PacketTime::MAX).unwrap().bytes, b"one");
        assert!(!line.supersede(first));
        assert!(line.supersede(second));
        assert_eq!(line.drop_superseded(), Some(1));
        assert!(line.pop(PacketTime::MAX).is_none());
    }

    #[test]
    fn used_bytes_are_given_back() {
        let mut line = Line::default();
        let payload = [7; 1024];
        for _ in 0..10_000 {
            line.push(origin(1), Item::Payload(flow()), &payload);
            line.push(origin(1), Item::Payload(flow()), &payload);
            line.pop(PacketTime::MAX);
            line.pop(PacketTime::MAX);
        }
        assert!(line.bytes.capacity() <= 4 * COMPACT, "{}", line.bytes.capacity());
    }
}
