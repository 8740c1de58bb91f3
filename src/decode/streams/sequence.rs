//! The order of the bytes of one direction of a TCP connection.

use crate::decode::outlet::Current;
use crate::time::{PacketTime, Span};

/// How far a segment or an acknowledgement may be from where its direction stands: more than a window and what the capture may have lost.
/// What is farther is another connection on the same ports, or somebody's guess.
const WINDOW: u32 = 1 << 20;
/// Segments of one direction that may wait for an earlier one.
const MAX_EARLY: usize = 64;
/// Bytes of one direction that may wait for earlier ones.
const MAX_EARLY_BYTES: usize = 128 << 10;
/// How long missing bytes are waited for. A sender repeats a segment sooner; longer, and the capture lost it.
const GAP_WAIT: Span = Span::from_secs(2);
/// How long bytes are waited for that the other side has, where others came behind them: as long as frames may be captured out of order.
const DISORDER: Span = Span::from_millis(20);
/// How long it is waited until it is told that the other side has bytes that the capture has not: longer than an interface with several queues delivers them late.
const CONFIRMED_WAIT: Span = Span::from_millis(100);

/// Where the next byte is expected, and the segments that came before their turn.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    next: Option<u32>,
    /// The first byte behind the SYN it began with, if that was seen.
    began: Option<u32>,
    /// The first byte behind a SYN in the middle of it, which the other side has not answered.
    asked: Option<u32>,
    /// Where it would go on if it were another connection, which the other side has not confirmed.
    supposed: Option<u32>,
    confirmed: Option<Confirmed>,
    early: Vec<Early>,
}

/// What the other side has of this direction and the capture has not.
#[derive(Clone, Copy, Debug)]
struct Confirmed {
    /// The first byte behind it.
    until: u32,
    /// When that was seen; `None` once it was told.
    untold_since: Option<PacketTime>,
}

/// A segment that came before its turn.
#[derive(Debug)]
pub(super) struct Early {
    sequence: u32,
    /// Payload.
    pub(super) bytes: Vec<u8>,
    /// Frames it came in.
    pub(super) frames: u64,
    frame: u64,
    time: PacketTime,
}

/// Where a segment stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// It is next, but for so many bytes at its front that were there already.
    Next(usize),
    /// All of it was there already.
    Copy,
    /// Bytes before it are missing.
    Early,
    /// It belongs to another connection.
    Elsewhere,
}

impl Sequence {
    /// Whether a byte or a SYN of this direction was ever seen.
    pub(super) fn is_known(&self) -> bool {
        self.next.is_some()
    }

    /// Whether a SYN with this sequence number was the last that was seen.
    pub(super) fn began_with(&self, syn: u32) -> bool {
        self.next == Some(syn.wrapping_add(1))
    }

    /// Whether this SYN is the one it began with, however far it has come since.
    pub(super) fn is_from(&self, syn: u32) -> bool {
        self.began == Some(syn.wrapping_add(1))
    }

    /// Begins at the byte after a SYN.
    pub(super) fn begin(&mut self, next: u32) {
        self.start(next);
        self.began = Some(next);
    }

    /// Starts in the middle of a stream.
    pub(super) fn start(&mut self, next: u32) {
        (self.next, self.began, self.asked, self.supposed, self.confirmed) = (Some(next), None, None, None, None);
    }

    /// Takes note of a SYN in the middle of it: another connection would begin at `next`.
    pub(super) fn ask(&mut self, next: u32) {
        self.asked = Some(next);
    }

    /// Whether a SYN in the middle of it is what this acknowledges. A SYN's number may be anywhere, also close to where the old one stands.
    pub(super) fn is_asked(&self, acknowledgement: u32) -> bool {
        self.asked == Some(acknowledgement)
    }

    /// Whether `sequence` is where this direction stands, as far as that is known: others guess.
    pub(super) fn is_near(&self, sequence: u32) -> bool {
        self.next.is_none_or(|next| is_near(next, sequence))
    }

    /// Takes note that something claims to be this direction and goes on at `next`.
    pub(super) fn suppose(&mut self, next: u32) {
        self.supposed = Some(next);
    }

    /// Whether the other side confirms a leap, or what followed a SYN, by acknowledging it.
    pub(super) fn is_confirmed_by(&self, acknowledgement: u32) -> bool {
        let mut elsewhere = self.supposed.into_iter().chain(self.asked);
        elsewhere.any(|supposed| is_near(supposed, acknowledgement)) && !self.is_near(acknowledgement)
    }

    /// Tells where a segment of `len` bytes stands; a stream that was joined in the middle starts with it.
    pub(super) fn place(&mut self, sequence: u32, len: usize) -> Place {
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next) as i32;
        match ahead {
            0 => Place::Next(0),
            _ if ahead.unsigned_abs() > WINDOW => Place::Elsewhere,
            1.. => Place::Early,
            _ => match usize::try_from(ahead.unsigned_abs()) {
                Ok(known) if known < len => Place::Next(known),
                _ => Place::Copy,
            },
        }
    }

    /// Moves on behind `len` bytes.
    pub(super) fn advance(&mut self, len: usize) {
        self.next = self.next.map(|next| next.wrapping_add(len as u32));
        self.forget_confirmed();
    }

    /// Takes note that the other side has everything before `acknowledgement`.
    pub(super) fn confirm(&mut self, acknowledgement: u32, now: PacketTime) {
        let Some(next) = self.next.filter(|next| is_near(*next, acknowledgement)) else { return };
        let known = self.confirmed.map_or(next, |confirmed| confirmed.until);
        if is_before(known, acknowledgement) {
            let untold_since = self.confirmed.and_then(|confirmed| confirmed.untold_since).or(Some(now));
            self.confirmed = Some(Confirmed { until: acknowledgement, untold_since });
        }
    }

    /// Whether the other side has all that is missing before the first waiting segment, so that it will not be sent again.
    pub(super) fn waits_in_vain(&self) -> bool {
        self.confirmed.zip(self.early.first()).is_some_and(|(confirmed, first)| !is_before(confirmed.until, first.sequence))
    }

    /// Whether it is due by `now`, and not told yet, that the other side has what the capture has not.
    pub(super) fn take_untold(&mut self, now: PacketTime) -> bool {
        let confirmed = self.confirmed.as_mut();
        confirmed.and_then(|confirmed| confirmed.untold_since.take_if(|since| *since + CONFIRMED_WAIT <= now)).is_some()
    }

    fn forget_confirmed(&mut self) {
        let next = self.next;
        self.confirmed = self.confirmed.filter(|confirmed| next.is_some_and(|next| is_before(next, confirmed.until)));
    }

    /// Keeps a segment until its turn comes; `false` if the same bytes wait already.
    pub(super) fn keep(&mut self, sequence: u32, bytes: &[u8], current: Current) -> bool {
        if self.early.iter().any(|other| other.sequence == sequence && other.bytes.len() >= bytes.len()) {
            return false;
        }
        let next = self.next.unwrap_or(sequence);
        let place = self.early.partition_point(|other| other.sequence.wrapping_sub(next) <= sequence.wrapping_sub(next));
        let Current { time, frame, frames } = current;
        self.early.insert(place, Early { sequence, bytes: bytes.to_vec(), frames, frame, time });
        true
    }

    /// Whether so much waits that what is missing must be given up.
    pub(super) fn is_crowded(&self) -> bool {
        self.early.len() > MAX_EARLY || self.waiting_bytes() > MAX_EARLY_BYTES
    }

    /// Bytes that wait for earlier ones.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.early.iter().map(|early| early.bytes.len()).sum()
    }

    /// When what is missing before the first waiting segment is given up.
    pub(super) fn gap_deadline(&self) -> Option<PacketTime> {
        let wait = if self.waits_in_vain() { DISORDER } else { GAP_WAIT };
        self.early.iter().map(|early| early.time).min().map(|since| since + wait)
    }

    /// When there is next something to give up or to tell.
    pub(super) fn deadline(&self) -> Option<PacketTime> {
        let untold = self.confirmed.and_then(|confirmed| confirmed.untold_since).map(|since| since + CONFIRMED_WAIT);
        [self.gap_deadline(), untold].into_iter().flatten().min()
    }

    /// Number of the frame of the first waiting segment.
    pub(super) fn first_frame(&self) -> Option<u64> {
        self.early.first().map(|early| early.frame)
    }

    /// Takes a waiting segment whose turn has come, or that was overtaken, with its place.
    pub(super) fn take_ready(&mut self) -> Option<(Early, Place)> {
        let first = self.early.first()?;
        let (sequence, len) = (first.sequence, first.bytes.len());
        match self.place(sequence, len) {
            Place::Early | Place::Elsewhere => None,
            place => Some((self.early.remove(0), place)),
        }
    }

    /// Gives up the missing bytes before the first waiting segment; `false` if none waits.
    pub(super) fn skip_gap(&mut self) -> bool {
        let Some(first) = self.early.first() else { return false };
        self.next = Some(first.sequence);
        self.forget_confirmed();
        true
    }

    /// Takes out every waiting segment and returns how many frames they came in.
    pub(super) fn clear(&mut self) -> u64 {
        self.early.drain(..).map(|early| early.frames).sum()
    }
}

fn is_near(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32).unsigned_abs() <= WINDOW
}

/// Whether `one` comes before `other`, of numbers that are near each other.
fn is_before(one: u32, other: u32) -> bool {
    (other.wrapping_sub(one) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Current = Current { time: PacketTime::MIN, frame: 1, frames: 1 };

    #[test]
    fn sequence_numbers_wrap() {
        let mut sequence = Sequence::default();
        sequence.start(u32::MAX - 1);
        assert_eq!(sequence.place(u32::MAX - 1, 4), Place::Next(0));
        sequence.advance(4);
        assert_eq!(sequence.place(2, 1), Place::Next(0));
        assert_eq!(sequence.place(u32::MAX, 3), Place::Copy);
        assert_eq!(sequence.place(u32::MAX, 5), Place::Next(3));
        assert_eq!(sequence.place(3, 1), Place::Early);
    }

    #[test]
    fn early_segments_come_in_order_of_their_bytes() {
        let mut sequence = Sequence::default();
        sequence.start(10);
        assert!(sequence.keep(14, b"ef", NOW));
        assert!(sequence.keep(12, b"cd", NOW));
        assert!(!sequence.keep(12, b"cd", NOW), "a copy of a segment that waits");
        assert!(sequence.take_ready().is_none());
        sequence.advance(2);
        let (early, place) = sequence.take_ready().unwrap();
        assert_eq!((&early.bytes[..], place), (&b"cd"[..], Place::Next(0)));
        sequence.advance(2);
        assert_eq!(sequence.take_ready().unwrap().0.bytes, b"ef");
    }

    #[test]
    fn a_gap_is_skipped_to_the_first_that_waits() {
        let mut sequence = Sequence::default();
        sequence.start(10);
        sequence.keep(14, b"ef", NOW);
        assert!(sequence.skip_gap());
        assert_eq!(sequence.take_ready().unwrap().1, Place::Next(0));
        assert!(!sequence.skip_gap());
    }

    #[test]
    fn what_the_other_side_has_is_told_once_where_it_does_not_come_after_all() {
        let at = |millis| PacketTime::MIN + Span::from_millis(millis);
        let mut sequence = Sequence::default();
        sequence.start(10);
        sequence.confirm(20, at(0));
        assert_eq!(sequence.deadline(), Some(at(100)));
        assert!(!sequence.take_untold(at(99)));
        sequence.advance(10);
        assert!(!sequence.take_untold(at(100)), "captured out of order");
        sequence.confirm(40, at(200));
        sequence.confirm(15, at(250));
        assert!(sequence.take_untold(at(300)));
        assert!(!sequence.take_untold(at(400)));
        assert_eq!(sequence.deadline(), None);
        sequence.keep(41, b"x", NOW);
        assert!(!sequence.waits_in_vain(), "one byte may still come");
        sequence.confirm(41, at(500));
        assert!(sequence.waits_in_vain());
    }

    #[test]
    fn a_wild_jump_is_another_connection() {
        let mut sequence = Sequence::default();
        sequence.start(10);
        assert_eq!(sequence.place(0x4000_0000, 5), Place::Elsewhere);
        assert_eq!(sequence.place(0xc000_0000, 5), Place::Elsewhere);
        // What was sent so long ago is sent again no more.
        assert_eq!(sequence.place(10_u32.wrapping_sub(WINDOW + 1), 5), Place::Elsewhere);
    }
}
