//! A session that hears the engine, shared with whoever prints its lines.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::assist::Session;
use crate::decode::signal::Signal;
use crate::detect::listener::{Heard, Listener};
use crate::detect::store::FindingChange;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::event::{Event, Sighting};

/// A session that two sides hold: the engine that it hears, and whoever prints its lines.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Mutex<Session>>);

impl Shared {
    /// Shares a session.
    pub fn new(session: Session) -> Self {
        Self(Arc::new(Mutex::new(session)))
    }

    /// The session; nobody holds it for longer than it takes to hear one thing.
    pub fn session(&self) -> MutexGuard<'_, Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Shared {
    fn message(&mut self, tracker: &Tracker, heard: &Heard<'_>) {
        self.session().message(tracker, heard);
    }

    fn signal(&mut self, tracker: &Tracker, signal: &Signal, at: Sighting) {
        self.session().signal(tracker, signal, at);
    }

    fn event(&mut self, tracker: &Tracker, event: &Event) {
        self.session().event(tracker, event);
    }

    fn finding(&mut self, tracker: &Tracker, change: &FindingChange) {
        self.session().finding(tracker, change);
    }

    fn batch(&mut self, tracker: &Tracker, now: PacketTime) {
        self.session().advance(tracker, now);
    }
}
