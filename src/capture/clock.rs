//! The one place that reads a clock for the frames' time: a silent link has no other.

#![expect(clippy::disallowed_types, reason = "a live source must say what time it is while no packet does")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{PacketTime, Span};

/// How often a live source looks after its counters and its clock.
const LAP: Duration = Duration::from_secs(1);
/// A difference between the two clocks beyond which the system's clock was set, not disciplined (DETECTION §0.6).
const STEP: Span = Span::from_secs(1);

/// The system's clock, watched for steps.
pub(super) struct Clock {
    lap: Instant,
    time: PacketTime,
}

/// The end of a lap of about a second.
pub(super) struct Lap {
    /// How far the clock was set in its course, if it was.
    pub(super) step: Option<Span>,
}

impl Clock {
    /// Begins the first lap.
    pub(super) fn start() -> Self {
        Self { lap: Instant::now(), time: system_time() }
    }

    /// The time as the kernel stamps frames.
    pub(super) fn now(&self) -> PacketTime {
        system_time()
    }

    /// Ends the lap when it is time to.
    pub(super) fn lap(&mut self) -> Option<Lap> {
        let elapsed = self.lap.elapsed();
        if elapsed < LAP {
            return None;
        }
        let before = std::mem::replace(self, Self::start());
        Some(Lap { step: step(self.time - before.time, span(elapsed)) })
    }
}

/// How far the clock was set when it moved by `moved` while `passed` went by.
fn step(moved: Span, passed: Span) -> Option<Span> {
    Some(moved - passed).filter(|by| by.abs() > STEP)
}

fn system_time() -> PacketTime {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => PacketTime::default() + span(after),
        Err(error) => PacketTime::default() - span(error.duration()),
    }
}

fn span(duration: Duration) -> Span {
    Span::from_nanos(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_disciplined_has_not_stepped() {
        assert_eq!(step(Span::from_millis(1_900), Span::from_secs(1)), None);
        assert_eq!(step(Span::from_millis(100), Span::from_secs(1)), None);
    }

    #[test]
    fn a_clock_that_is_set_has_stepped_by_the_difference() {
        assert_eq!(step(Span::from_secs(3601), Span::from_secs(1)), Some(Span::from_secs(3600)));
        assert_eq!(step(Span::from_secs(-4), Span::from_secs(1)), Some(Span::from_secs(-5)));
    }
}
