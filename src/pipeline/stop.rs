//! Asking all threads of a pipeline to end.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};

/// Asks the pipeline to end. Cloned handles are one: the first that asks is enough.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<Mutex<Option<Sender<Infallible>>>>);

/// What a thread looks at to learn whether it should end.
#[derive(Clone, Debug)]
pub struct Stop(Receiver<Infallible>);

/// A handle and what it controls. The pipeline also ends when all handles are gone.
pub fn stop() -> (StopHandle, Stop) {
    let (sender, receiver) = bounded(0);
    (StopHandle(Arc::new(Mutex::new(Some(sender)))), Stop(receiver))
}

impl StopHandle {
    /// Asks; may be called again.
    pub fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Stop {
    /// Whether the end was asked for.
    pub fn requested(&self) -> bool {
        matches!(self.0.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Waits for `time`, less when the end is asked for meanwhile; says whether it was.
    pub fn requested_within(&self, time: Duration) -> bool {
        matches!(self.0.recv_timeout(time), Err(RecvTimeoutError::Disconnected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clones_hear_of_the_first_request() {
        let (handle, stop) = stop();
        let other = stop.clone();
        assert!(!stop.requested() && !stop.requested_within(Duration::ZERO));
        handle.clone().stop();
        handle.stop();
        assert!(stop.requested() && other.requested_within(Duration::from_secs(3600)));
    }

    #[test]
    fn a_forgotten_handle_ends_the_pipeline() {
        let (handle, stop) = stop();
        drop(handle);
        assert!(stop.requested());
    }
}
