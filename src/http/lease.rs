//! The time that a connection may take: ordinary ones have little, those that stream as long as their reader keeps up, and those that ask
//! nothing only until others need the room.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// What a connection and the answer that it carries know of each other. Each request carries the lease of its connection as an extension.
#[derive(Clone, Debug, Default)]
pub struct Lease(Arc<State>);

#[derive(Debug, Default)]
struct State {
    streaming: AtomicBool,
    cut: Notify,
    /// Since when nothing is asked; `None` while an answer is sought.
    idle: Mutex<Option<Instant>>,
}

impl Lease {
    /// Lets the connection live as long as its answer lasts.
    pub(super) fn prolong(&self) {
        self.0.streaming.store(true, Ordering::Relaxed);
    }

    /// Whether it may.
    pub(super) fn is_prolonged(&self) -> bool {
        self.0.streaming.load(Ordering::Relaxed)
    }

    /// Notes that the connection asks nothing from now on.
    pub(super) fn rest(&self) {
        *self.0.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Notes that something was asked.
    pub(super) fn work(&self) {
        *self.0.idle.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Since when the connection asks nothing; `None` while it does, and while it streams.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        if self.is_prolonged() { None } else { *self.0.idle.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Whether the connection is gone, and nobody else holds its lease.
    pub(super) fn is_over(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Ends the connection at once: its reader does not take what is written, or others need the room.
    pub(super) fn cut(&self) {
        self.0.cut.notify_one();
    }

    /// Waits until the connection is cut.
    pub(super) async fn until_cut(&self) {
        self.0.cut.notified().await;
    }
}
