//! When the capture can vouch for an absence (DETECTION §0.1, §13).
//!
//! "No answer" may only be said when an answer would have been seen: packets do arrive from that direction, nothing was dropped, the clock
//! did not jump and the capture has no hole in the window. What fails these rules is unknown, never a failure.

use std::collections::VecDeque;

use crate::decode::flow::{Flow, Transport};
use crate::decode::signal::Signal;
use crate::time::{PacketTime, Span};
use crate::track::flows::Flows;
use crate::track::pace::Pace;
use crate::track::peers::Peers;

/// How long before the newest packet a deadline must lie; nothing is concluded at the very end of a capture.
pub const WATERMARK: Span = Span::from_secs(2);

/// How recently a direction must have been seen to be trusted.
pub const SEEN_WITHIN: Span = Span::from_secs(600);

/// The longest gap between two transmissions of an unanswered request (RFC 3261 §17.1.1.2): where nothing at all was seen for longer, the
/// repeats are missing too, and it is the capture that fell silent.
const LONGEST_GAP: Span = Span::from_secs(16);

/// The shortest silence that may be unusual: that of one who sends again.
const PAUSE: Span = Span::from_secs(32);

/// How many times as long as any before it is then.
const UNUSUAL: i64 = 2;

/// Silences of everybody that are remembered.
const SILENCES: usize = 4;

/// Gaps in streams that are remembered; more of them within [`SEEN_WITHIN`] are a flaw of the whole capture.
const GAPS: usize = 64;

/// Transmissions that show that the sender heard nothing (DETECTION §1.3).
const UNHEARD: u16 = 3;

/// Whether a request along a datagram flow was sent so seldom that its sender must have heard something: who hears nothing sends again
/// after T1 and 2·T1 (RFC 3261 §17.1). That no answer was captured says nothing then.
pub fn is_heard(transport: Transport, transmissions: u16) -> bool {
    transport == Transport::Udp && transmissions < UNHEARD
}

/// Remembers when the capture was last not to be trusted, and when it last saw anything.
#[derive(Debug)]
pub struct Absence {
    /// The last flaw: from the last packet before it, or [`PacketTime::MIN`] where that is not known, to when it was noticed.
    flaw: (PacketTime, PacketTime),
    /// The end of the flaw before that.
    earlier: PacketTime,
    /// The last message or signal.
    heard: PacketTime,
    pace: Pace,
    /// The last silences of everybody that are implausible at this pace, the latest last.
    silences: [(PacketTime, PacketTime); SILENCES],
    /// How many there were in all.
    implausible: u64,
    /// The longest silence so far, whatever the pace.
    longest: Span,
    /// The last one that was far longer than all before.
    unusual: (PacketTime, PacketTime),
    /// Ways along which bytes of a stream were not captured, with when that was noticed; the oldest goes first.
    gaps: VecDeque<(Flow, PacketTime)>,
}

impl Absence {
    /// A capture without flaw so far.
    pub fn new() -> Self {
        let never = (PacketTime::MIN, PacketTime::MIN);
        Self {
            flaw: never,
            earlier: PacketTime::MIN,
            heard: PacketTime::MIN,
            pace: Pace::new(),
            silences: [never; SILENCES],
            implausible: 0,
            longest: Span::ZERO,
            unusual: never,
            gaps: VecDeque::new(),
        }
    }

    /// Takes note that something was captured at `now`. What everybody is said to have left out in a silence that is implausible here, the
    /// capture left out, or its clock was set forward.
    pub fn hear(&mut self, now: PacketTime) {
        let silence = if self.heard > PacketTime::MIN { now.since(self.heard) } else { Span::ZERO };
        if silence > self.longest {
            if silence > self.longest.times(UNUSUAL).max(PAUSE) {
                self.unusual = (self.heard, now);
            }
            self.longest = silence;
        }
        self.heard = now;
        if let Some(last) = self.pace.hear(now) {
            self.flawed(last, now);
            self.silences.rotate_left(1);
            self.silences[SILENCES - 1] = (last, now);
            self.implausible += 1;
        }
    }

    /// Takes note of a flaw of the capture at `now`: drops, clock steps and holes void every window that overlaps them, the gap of a
    /// stream those along its way.
    pub fn note(&mut self, signal: &Signal, now: PacketTime) {
        match *signal {
            Signal::Hole { from, .. } => self.flawed(from, now),
            Signal::Dropped(_) | Signal::ClockStep { .. } => self.flawed(PacketTime::MIN, now),
            Signal::StreamGap(flow) => self.lacks(flow, now),
            _ => {}
        }
    }

    fn lacks(&mut self, flow: Flow, now: PacketTime) {
        self.gaps.retain(|(known, at)| *known != flow && now.since(*at) < SEEN_WITHIN);
        if self.gaps.len() >= GAPS {
            self.flawed(PacketTime::MIN, now);
            self.gaps.pop_front();
        }
        self.gaps.push_back((flow, now));
    }

    fn flawed(&mut self, from: PacketTime, now: PacketTime) {
        // A silence that goes on is told of again.
        let goes_on = from > PacketTime::MIN && from <= self.flaw.0;
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
        (self.is_sound_since(start) || (end <= self.flaw.0 && self.earlier < start)) && !self.pace.is_silent_until(end)
    }

    /// How many silences of everybody there were that are implausible at the pace of the capture.
    pub fn implausible(&self) -> u64 {
        self.implausible
    }

    /// The end of the last silence of everybody that was unusual, if any part of it lies between `start` and `end`. Before a capture has a
    /// pace, and where it is too quiet to have one, that is a silence far longer than all before.
    pub fn lull_between(&self, start: PacketTime, end: PacketTime) -> Option<PacketTime> {
        let silences = self.silences.iter().chain([&self.unusual]);
        silences.filter(|&&(from, to)| from < end && to > start).map(|&(_, to)| to).max()
    }

    /// Whether the capture saw anything so late that the silence up to `end` is that of one request and not of all.
    pub fn is_heard_until(&self, end: PacketTime) -> bool {
        end - self.heard <= LONGEST_GAP
    }

    /// Whether anything at all was captured at or after `start`.
    pub fn has_heard_since(&self, start: PacketTime) -> bool {
        self.heard >= start
    }

    /// Whether bytes of a stream along `way` are known to be missing since `start`.
    pub fn lacks_since(&self, way: Flow, start: PacketTime) -> bool {
        self.gaps.iter().any(|(flow, noticed)| *flow == way && *noticed >= start)
    }

    /// Whether a packet along `missing` would have been captured had it been sent between `start` and `end`.
    pub fn could_see(&self, missing: Flow, start: PacketTime, end: PacketTime, flows: &Flows, peers: &Peers) -> bool {
        !self.lacks_since(missing, start)
            && self.was_sound(start, end)
            && (flows.seen_within(missing, end - SEEN_WITHIN) || peers.direction_is_seen(missing, end - SEEN_WITHIN))
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
    fn a_silence_of_everybody_that_is_implausible_voids_what_overlaps_it() {
        let mut absence = Absence::new();
        for second in (0..=400).step_by(10) {
            absence.hear(at(second));
        }
        assert!(!absence.was_sound(at(410), at(442)), "it lasts");
        absence.hear(at(600));
        assert!(absence.was_sound(at(368), at(400)));
        assert_eq!(absence.lull_between(at(0), at(400)), None);
        assert!(!absence.was_sound(at(390), at(422)) && !absence.was_sound(at(590), at(622)));
        assert_eq!(absence.lull_between(at(300), at(650)), Some(at(600)), "a refresh may have been in it");
        assert!(absence.was_sound(at(601), at(633)));
        assert_eq!(absence.lull_between(at(600), at(633)), None);
    }

    #[test]
    fn nobody_knows_when_dropped_packets_were_due() {
        let mut absence = Absence::new();
        absence.note(&Signal::Dropped(3), at(100));
        assert!(!absence.was_sound(at(50), at(82)));
        assert!(absence.was_sound(at(101), at(133)));
    }
}
