//! What the pages may look at.

use std::future::Future;
use std::sync::Arc;

use super::{Assistants, Events, SnapshotSource, Unavailable};
use crate::detect::store::FindingStore;
use crate::report::model::{CaptureSummary, Stamp};
use crate::report::recent::Recent;
use crate::track::Tracker;

/// What the engine knows at one moment, shown on its own thread.
#[derive(Debug)]
pub struct View<'a> {
    /// Calls, registrations, NATs.
    pub tracker: &'a Tracker,
    /// What was concluded.
    pub findings: &'a FindingStore,
    /// The latest messages of calls.
    pub recent: &'a Recent,
    /// What was captured.
    pub capture: CaptureSummary,
}

impl View<'_> {
    /// The moment, as the capture prints it; `None` before the first packet.
    pub fn now(&self) -> Option<Stamp> {
        self.tracker.started().map(|_| Stamp(self.tracker.printed(self.tracker.now())))
    }
}

/// Where the API looks things up.
pub trait EngineSource: SnapshotSource {
    /// Where the listeners of the engine tell what happens.
    fn events(&self) -> &Arc<Events>;

    /// Where the sessions of live assistance hear the engine.
    fn assistants(&self) -> &Arc<Assistants>;

    /// Has the engine run `look` between two batches. It holds up the capture meanwhile: `look` picks and copies what an answer needs and
    /// leaves the rest to its caller. The server gives up waiting after a few seconds.
    fn look<T, F>(&self, look: F) -> impl Future<Output = Result<T, Unavailable>> + Send
    where
        T: Send + 'static,
        F: FnOnce(&View<'_>) -> T + Send + 'static;
}
