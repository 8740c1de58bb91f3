//! The one place that reads a clock for the frames' time: a silent link has no other.

#![expect(clippy::disallowed_types, reason = "a live source must say what time it is while no packet does")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::time::{PacketTime, Span};

/// How often a live source looks after its counters and its interface.
const LAP: Duration = Duration::from_secs(1);
/// A difference between the two clocks beyond which the system's clock was set, not disciplined (DETECTION §0.6).
const STEP: Span = Span::from_secs(1);

/// The system's clock, watched for steps.
pub(super) struct Clock {
    lap: Instant,
    /// When it was looked at last, by the steady clock and by the system's.
    looked: (Instant, PacketTime),
}

impl Clock {
    /// Begins the first lap.
    pub(super) fn start() -> Self {
        Self { lap: Instant::now(), looked: (Instant::now(), system_time()) }
    }

    /// The time as the kernel stamps frames.
    pub(super) fn now(&self) -> PacketTime {
        system_time()
    }

    /// How far the clock was set since it was looked at last, if it was.
    pub(super) fn step(&mut self) -> Option<Span> {
        let now = (Instant::now(), system_time());
        let before = std::mem::replace(&mut self.looked, now);
        step(now.1 - before.1, span(now.0 - before.0))
    }

    /// Ends the lap when it is time to, and says whether it did.
    pub(super) fn lap(&mut self) -> bool {
        let is_over = self.lap.elapsed() >= LAP;
        if is_over {
            self.lap = Instant::now();
        }
        is_over
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
