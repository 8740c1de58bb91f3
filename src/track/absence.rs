//! When the capture can vouch for an absence (DETECTION §0.1, §13).
//!
//! "No answer" may only be said when an answer would have been seen: packets do arrive from that direction, nothing was dropped, the clock
//! did not jump and the capture has no hole in the window. What fails these rules is unknown, never a failure.

use crate::decode::flow::{Flow, Transport};
use crate::decode::signal::Signal;
use crate::time::{PacketTime, Span};
use crate::track::flows::Flows;
use crate::track::peers::Peers;

/// How long before the newest packet a deadline must lie; nothing is concluded at the very end of a capture.
pub const WATERMARK: Span = Span::from_secs(2);

/// How recently a direction must have been seen to be trusted.
pub const SEEN_WITHIN: Span = Span::from_secs(600);

/// The longest gap between two transmissions of an unanswered request (RFC 3261 §17.1.1.2): where nothing at all was seen for longer, the
/// repeats are missing too, and it is the capture that fell silent.
const LONGEST_GAP: Span = Span::from_secs(16);

/// The shortest silence that may be a hole of the capture rather than a pause of those who talk: that of one who sends again.
const PAUSE: Span = Span::from_secs(32);

/// How many times as long as any silence before one must be to be taken for a hole. Clocks are set and captures stop for less than what is
/// told of as [`Signal::Hole`], too.
const UNUSUAL: i64 = 2;

/// Transmissions that show that the sender heard nothing (DETECTION §1.3).
const UNHEARD: u16 = 3;

/// Whether a request along a datagram flow was sent so seldom that its sender must have heard something: who hears nothing sends again
/// after T1 and 2·T1 (RFC 3261 §17.1). That no answer was captured says nothing then.
pub fn is_heard(transport: Transport, transmissions: u16) -> bool {
    transport == Transport::Udp && transmissions < UNHEARD
}

/// Remembers when the capture was last not to be trusted, and when it last saw anything.
#[derive(Clone, Copy, Debug)]
pub struct Absence {
    /// The last flaw: from the last packet before it, or [`PacketTime::MIN`] where that is not known, to when it was noticed.
    flaw: (PacketTime, PacketTime),
    /// The end of the flaw before that.
    earlier: PacketTime,
    /// The last message or signal.
    heard: PacketTime,
    /// The longest silence so far.
    longest: Span,
    /// The last one that was unusually long.
    lull: (PacketTime, PacketTime),
}

impl Absence {
    /// A capture without flaw so far.
    pub fn new() -> Self {
        let flaw = (PacketTime::MIN, PacketTime::MIN);
        Self { flaw, earlier: PacketTime::MIN, heard: PacketTime::MIN, longest: Span::ZERO, lull: flaw }
    }

    /// Takes note that something was captured at `now`.
    pub fn hear(&mut self, now: PacketTime) {
        let silence = if self.heard > PacketTime::MIN { now.since(self.heard) } else { Span::ZERO };
        if silence > self.longest {
            if silence > self.longest.times(UNUSUAL).max(PAUSE) {
                self.lull = (self.heard, now);
            }
            self.longest = silence;
        }
        self.heard = now;
    }

    /// Takes note of a flaw of the capture at `now`: drops, clock steps and holes void every window that overlaps them.
    pub fn note(&mut self, signal: &Signal, now: PacketTime) {
        let from = match *signal {
            Signal::Hole { from, .. } => from,
            Signal::Dropped(_) | Signal::ClockStep { .. } => PacketTime::MIN,
            _ => return,
        };
        // A silence that goes on is told of again.
        let goes_on = from > PacketTime::MIN && from == self.flaw.0;
        let repeated = now == self.flaw.1;
        if !goes_on && !repeated {
            self.earlier = self.earlier.max(self.flaw.1);
        }
        self.flaw = (if repeated { from.min(self.flaw.0) } else { from }, self.flaw.1.max(now));
    }

    /// Whether the capture was sound from `start` until now.
    pub fn is_sound_since(&self, start: PacketTime) -> bool {
        self.flaw.1 < start
    }

    /// Whether the capture was sound between `start` and `end`: a flaw that began after `end` takes nothing from it.
    pub fn was_sound(&self, start: PacketTime, end: PacketTime) -> bool {
        self.is_sound_since(start) || (end <= self.flaw.0 && self.earlier < start)
    }

    /// Whether the capture saw anything so late that the silence up to `end` is that of one request and not of all.
    pub fn is_heard_until(&self, end: PacketTime) -> bool {
        end - self.heard <= LONGEST_GAP
    }

    /// Whether anything at all was captured at or after `start`.
    pub fn has_heard_since(&self, start: PacketTime) -> bool {
        self.heard >= start
    }

    /// The end of the last unusually long silence, if any of it lies between `start` and `end`: what was sent then may have been missed.
    pub fn lull_between(&self, start: PacketTime, end: PacketTime) -> Option<PacketTime> {
        let (from, until) = self.lull;
        (until > start && from < end).then_some(until)
    }

    /// Whether a packet along `missing` would have been captured had it been sent between `start` and `end`.
    pub fn could_see(&self, missing: Flow, start: PacketTime, end: PacketTime, flows: &Flows, peers: &Peers) -> bool {
        self.was_sound(start, end) && (flows.seen_within(missing, end - SEEN_WITHIN) || peers.direction_is_seen(missing, end - SEEN_WITHIN))
    }
}

impl Default for Absence {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    #[test]
    fn a_hole_voids_what_overlaps_it_and_nothing_else() {
        let mut absence = Absence::new();
        absence.note(&Signal::Hole { last: at(200), from: at(200) }, at(1100));
        assert!(absence.was_sound(at(100), at(200)), "over before the hole");
        assert!(!absence.was_sound(at(190), at(222)), "its end lies in the hole");
        assert!(!absence.was_sound(at(500), at(532)), "all of it lies in the hole");
        assert!(!absence.was_sound(at(1099), at(1200)));
        assert!(absence.was_sound(at(1101), at(1200)));
    }

    #[test]
    fn an_earlier_flaw_is_not_forgotten_for_a_later_one() {
        let mut absence = Absence::new();
        absence.note(&Signal::Dropped(3), at(100));
        absence.note(&Signal::Hole { last: at(200), from: at(200) }, at(1100));
        assert!(!absence.was_sound(at(90), at(150)), "packets were dropped in it");
        assert!(absence.was_sound(at(101), at(150)));
    }

    #[test]
    fn a_silence_longer_than_any_before_is_a_lull() {
        let mut absence = Absence::new();
        for second in [0, 20, 50, 70, 100] {
            absence.hear(at(second));
        }
        assert_eq!(absence.lull_between(at(0), at(1000)), None, "each pause is about as long as the others");
        absence.hear(at(300));
        assert_eq!(absence.lull_between(at(0), at(101)), Some(at(300)));
        assert_eq!((absence.lull_between(at(0), at(100)), absence.lull_between(at(300), at(400))), (None, None));
        absence.hear(at(650));
        assert_eq!(absence.lull_between(at(301), at(650)), None, "it was as silent before");
    }

    #[test]
    fn nobody_knows_when_dropped_packets_were_due() {
        let mut absence = Absence::new();
        absence.note(&Signal::Dropped(3), at(100));
        assert!(!absence.was_sound(at(50), at(82)));
        assert!(absence.was_sound(at(101), at(133)));
    }
}
