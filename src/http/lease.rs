//! The time that a connection may take: ordinary ones have little, those that stream as long as their reader keeps up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// What a connection and the answer that it carries know of each other. Each request carries the lease of its connection as an extension.
#[derive(Clone, Debug, Default)]
pub struct Lease(Arc<State>);

#[derive(Debug, Default)]
struct State {
    streaming: AtomicBool,
    cut: Notify,
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

    /// Ends the connection at once: its reader does not take what is written.
    pub(super) fn cut(&self) {
        self.0.cut.notify_one();
    }

    /// Waits until the connection is cut.
    pub(super) async fn until_cut(&self) {
        self.0.cut.notified().await;
    }
}
