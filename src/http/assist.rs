//! Sessions of live assistance that clients of the daemon watch.
//!
//! A session is heard by the engine and read by its client. The engine never waits: what a session has to say is bounded, and a session
//! ends when its client goes away.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::assist::{Session, Shared};
use crate::decode::signal::Signal;
use crate::detect::listener::{Heard, Listener};
use crate::detect::store::FindingChange;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::event::{Event, Sighting};

/// Sessions at a time: more agents than one support desk has.
const SESSIONS: usize = 16;

/// The sessions that are watched.
#[derive(Debug, Default)]
pub struct Assistants {
    sessions: Mutex<Vec<(u64, Shared)>>,
    /// How many there are, for the engine to see without the lock.
    count: AtomicUsize,
    next: AtomicU64,
}

/// A session, which is forgotten with its client.
#[derive(Debug)]
pub(super) struct Watched {
    assistants: Arc<Assistants>,
    /// Its number.
    pub(super) number: u64,
    /// The session.
    pub(super) shared: Shared,
}

impl Assistants {
    /// What the engine tells them by.
    pub fn listener(self: &Arc<Self>) -> AssistListener {
        AssistListener(Arc::clone(self))
    }

    /// Lets a session hear the engine from now on; `None` where there are too many.
    pub(super) fn watch(self: &Arc<Self>, session: Session) -> Option<Watched> {
        let mut sessions = self.sessions();
        if sessions.len() >= SESSIONS {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let shared = Shared::new(session);
        sessions.push((number, shared.clone()));
        self.count.store(sessions.len(), Ordering::Relaxed);
        Some(Watched { assistants: Arc::clone(self), number, shared })
    }

    /// The session of that number.
    pub(super) fn session(&self, number: u64) -> Option<Shared> {
        self.sessions().iter().find(|(known, _)| *known == number).map(|(_, shared)| shared.clone())
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<(u64, Shared)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut sessions = self.assistants.sessions();
        sessions.retain(|(number, _)| *number != self.number);
        self.assistants.count.store(sessions.len(), Ordering::Relaxed);
    }
}

/// Tells the sessions what the engine does. Where there is none, it costs one look at a number.
#[derive(Debug)]
pub struct AssistListener(Arc<Assistants>);

impl AssistListener {
    fn each(&self, mut tell: impl FnMut(&mut Shared)) {
        if self.0.count.load(Ordering::Relaxed) > 0 {
            self.0.sessions().iter_mut().for_each(|(_, shared)| tell(shared));
        }
    }
}

impl Listener for AssistListener {
    fn message(&mut self, tracker: &Tracker, heard: &Heard<'_>) {
        self.each(|shared| shared.message(tracker, heard));
    }

    fn signal(&mut self, tracker: &Tracker, signal: &Signal, at: Sighting) {
        self.each(|shared| shared.signal(tracker, signal, at));
    }

    fn event(&mut self, tracker: &Tracker, event: &Event) {
        self.each(|shared| shared.event(tracker, event));
    }

    fn finding(&mut self, tracker: &Tracker, change: &FindingChange) {
        self.each(|shared| shared.finding(tracker, change));
    }

    fn batch(&mut self, tracker: &Tracker, now: PacketTime) {
        self.each(|shared| shared.batch(tracker, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assist::Plan;
    use crate::config::Thresholds;
    use crate::detect::store::FindingStore;
    use crate::track::Settings;

    #[test]
    fn sessions_are_bounded_and_end_with_their_client() {
        let settings = Settings {
            seed: 0,
            pbxs: Vec::new(),
            own: Vec::new(),
            trunks: Vec::new(),
            transactions: 10,
            calls: 10,
            bindings: 10,
            flows: 10,
            sources: 10,
            finished: 10,
            thresholds: Thresholds::default(),
        };
        let tracker = Tracker::new(&settings);
        let session = || Session::begin(Plan::new("1001"), &tracker, &FindingStore::default(), PacketTime::from_parts(1_769_850_000, 0));
        let assistants = Arc::new(Assistants::default());
        let mut watched: Vec<_> = (0..SESSIONS).map(|_| assistants.watch(session()).expect("room")).collect();
        assert!(assistants.watch(session()).is_none());
        let gone = watched.remove(0);
        let number = gone.number;
        assert!(assistants.session(number).is_some());
        drop(gone);
        assert!(assistants.session(number).is_none());
        assert!(assistants.watch(session()).is_some(), "who goes makes room");
        drop(watched);
        assert_eq!(assistants.count.load(Ordering::Relaxed), 0);
    }
}
