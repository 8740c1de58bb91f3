//! Time that never runs backwards, made of timestamps that sometimes do.

use crate::time::{PacketTime, Span};

/// The last moment of engine time. [`PacketTime::MAX`] is the deadline of what is never due, so deadlines of reassembly that are set at
/// this moment, minutes or hours ahead, must still lie before it.
const LATEST: PacketTime = PacketTime::from_nanos(i64::MAX - Span::from_secs(366 * 86_400).as_nanos());

/// Turns timestamps of frames into engine time: the same, moved on by the steps back that went before.
#[derive(Debug)]
pub struct Clock {
    newest: Option<PacketTime>,
    offset: Span,
    /// How far back a timestamp may lie before it means that the clock was set.
    step: Span,
}

/// What a timestamp means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// A time in order, or a little out of it.
    Time(PacketTime),
    /// The clock was set back by `by`; from here on times count from `time`, the newest one before the step.
    Step {
        /// The engine time at which the step happened.
        time: PacketTime,
        /// How far back, positive.
        by: Span,
    },
}

impl Clock {
    /// A clock that has seen nothing, and takes timestamps further back than `step` for a step.
    pub fn new(step: Span) -> Self {
        Self { newest: None, offset: Span::ZERO, step }
    }

    /// Reads the timestamp of a frame.
    pub fn read(&mut self, stamp: PacketTime) -> Reading {
        let time = (stamp + self.offset).min(LATEST);
        match self.newest {
            Some(newest) if newest - time > self.step => {
                let by = newest - time;
                self.offset = self.offset + by;
                Reading::Step { time: newest, by }
            }
            Some(newest) => {
                self.newest = Some(newest.max(time));
                Reading::Time(time)
            }
            None => {
                self.newest = Some(time);
                Reading::Time(time)
            }
        }
    }

    /// Moves on to `stamp`, read from the clock of the capturing host while no frame comes; never back.
    pub fn tick(&mut self, stamp: PacketTime) -> PacketTime {
        let time = (stamp + self.offset).min(LATEST).max(self.newest.unwrap_or(PacketTime::MIN));
        self.newest = Some(time);
        time
    }

    /// The newest engine time, if there was any.
    pub fn newest(&self) -> Option<PacketTime> {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> PacketTime {
        PacketTime::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn up_to_two_seconds_back_is_disorder() {
        let mut clock = Clock::new(Span::from_secs(2));
        assert_eq!(clock.read(at(10_000)), Reading::Time(at(10_000)));
        assert_eq!(clock.read(at(8_000)), Reading::Time(at(8_000)));
        assert_eq!(clock.newest(), Some(at(10_000)));
    }

    #[test]
    fn beyond_that_time_goes_on_by_offset() {
        let mut clock = Clock::new(Span::from_secs(2));
        clock.read(at(10_000));
        assert_eq!(clock.read(at(7_000)), Reading::Step { time: at(10_000), by: Span::from_secs(3) });
        assert_eq!(clock.read(at(7_500)), Reading::Time(at(10_500)));
        assert_eq!(clock.read(at(1_500)), Reading::Step { time: at(10_500), by: Span::from_secs(6) });
        assert_eq!(clock.read(at(1_600)), Reading::Time(at(10_600)));
    }

    #[test]
    fn time_ends_before_the_moment_that_means_never() {
        let mut clock = Clock::new(Span::from_secs(2));
        assert_eq!(clock.read(PacketTime::MAX), Reading::Time(LATEST));
        assert_eq!(clock.tick(PacketTime::MAX), LATEST);
        clock.read(at(0));
        assert_eq!(clock.read(at(1)), Reading::Time(LATEST));
    }

    #[test]
    fn a_tick_never_goes_back() {
        let mut clock = Clock::new(Span::from_secs(2));
        clock.read(at(10_000));
        assert_eq!(clock.tick(at(9_000)), at(10_000));
        assert_eq!(clock.tick(at(11_000)), at(11_000));
    }
}
