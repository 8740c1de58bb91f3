//! Whether the threads of a pipeline get on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often each thread beats at least, whether it has something to do or not.
pub const BEAT: Duration = Duration::from_secs(1);

/// The beats of all threads of a pipeline. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Mutex<Vec<Thread>>>);

/// What one thread beats with, at the head of its loop. One that nobody registered is heard by nobody.
#[derive(Clone, Debug, Default)]
pub struct Beat(Arc<AtomicU64>);

#[derive(Debug)]
struct Thread {
    name: String,
    beat: Beat,
    /// The beats there were when it was looked at last.
    seen: u64,
}

impl Pulse {
    /// The beat of a further thread; it counts as stalled until it has beaten.
    pub fn register(&self, name: impl Into<String>) -> Beat {
        let beat = Beat::default();
        let thread = Thread { name: name.into(), beat: beat.clone(), seen: 0 };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        beat
    }

    /// The threads that have not beaten since this was asked last. Asked more often than each [`BEAT`], it names threads that are well.
    pub fn stalled(&self) -> Vec<String> {
        let mut threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stalled = threads.iter_mut().filter_map(|thread| {
            let seen = std::mem::replace(&mut thread.seen, thread.beat.0.load(Ordering::Relaxed));
            (seen == thread.seen).then(|| thread.name.clone())
        });
        stalled.collect()
    }

    /// How many threads have begun.
    pub fn begun(&self) -> usize {
        let threads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        threads.iter().filter(|thread| thread.beat.0.load(Ordering::Relaxed) > 0).count()
    }
}

impl Beat {
    /// Says that its thread gets on.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_stalled_until_it_beats_again() {
        let pulse = Pulse::default();
        let (engine, capture) = (pulse.register("engine"), pulse.register("capture on eth0"));
        assert_eq!(pulse.stalled(), ["engine", "capture on eth0"], "neither has begun");
        assert_eq!(pulse.begun(), 0);
        engine.beat();
        assert_eq!(pulse.begun(), 1);
        assert_eq!(pulse.stalled(), ["capture on eth0"]);
        capture.beat();
        assert_eq!(pulse.stalled(), ["engine"]);
        engine.beat();
        engine.beat();
        capture.beat();
        assert!(pulse.stalled().is_empty());
    }
}
