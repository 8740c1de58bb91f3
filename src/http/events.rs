//! What happens, told to clients as it happens.
//!
//! The engine puts each event into a bounded queue for each client and never waits. A client whose queue is full is cut off and counted:
//! it would have a hole in what it was told, and may read the lists and come again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::lease::Lease;
use crate::detect::listener::Listener;
use crate::detect::store::{ChangeKind, FindingChange};
use crate::report::build::{finding, lone_call};
use crate::report::mask::Mask;
use crate::report::model::{CallEntry, FindingEntry, Stamp};
use crate::table::Handle;
use crate::track::Tracker;
use crate::track::event::Event as Tracked;
use crate::track::vocabulary::{Reachability, RegistrationState};

/// Clients at a time: connections that are left to others.
const CLIENTS: usize = 16;
/// Events that wait for one client.
const QUEUE: usize = 1_024;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event {
    /// A finding changed.
    Finding {
        /// When.
        at: Stamp,
        /// What happened to it.
        change: Change,
        /// The id of the finding that took its place, if one did.
        replaced_by: Option<&'static str>,
        /// The finding after the change.
        finding: Box<FindingEntry>,
    },
    /// A call attempt got its outcome, or an answered call ended. What only its other legs show, such as who ended the whole call, is left
    /// to the list of the calls.
    Call {
        /// When.
        at: Stamp,
        /// The call at that moment.
        call: Box<CallEntry>,
    },
    /// The registration of a device changed its state.
    Registration {
        /// When.
        at: Stamp,
        /// The address-of-record.
        aor: String,
        /// The Contact of the device.
        contact: String,
        /// Before.
        from: RegistrationState,
        /// After.
        to: RegistrationState,
    },
    /// The PBX reaches a device again, or no longer.
    Reachability {
        /// When.
        at: Stamp,
        /// The Contact of the device.
        contact: String,
        /// Before.
        from: Reachability,
        /// After.
        to: Reachability,
    },
}

/// What happened to a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    /// It is there, perhaps again.
    Raised,
    /// It is worse, or surer.
    Updated,
    /// It is over.
    Cleared,
    /// Another one explains it.
    Replaced,
}

impl Event {
    /// The kind of event, as in its JSON.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Finding { .. } => "finding",
            Self::Call { .. } => "call",
            Self::Registration { .. } => "registration",
            Self::Reachability { .. } => "reachability",
        }
    }

    fn mask(&mut self, mask: &Mask) {
        match self {
            Self::Finding { finding, .. } => mask.finding(finding),
            Self::Call { call, .. } => mask.call(call),
            Self::Registration { aor, contact, .. } => {
                mask.user(aor);
                mask.text(contact, &[]);
            }
            Self::Reachability { contact, .. } => mask.text(contact, &[]),
        }
    }
}

/// The clients that want to be told.
#[derive(Debug, Default)]
pub struct Events {
    clients: Mutex<Vec<Client>>,
    /// How many there are, for the engine to see without the lock.
    count: AtomicUsize,
    next: AtomicU64,
    cut: AtomicU64,
    mask: Mask,
}

#[derive(Debug)]
struct Client {
    number: u64,
    queue: Sender<Arc<Event>>,
    lease: Lease,
}

/// The queue of one client, which is forgotten with it.
#[derive(Debug)]
pub(super) struct Subscription {
    events: Arc<Events>,
    number: u64,
    pub(super) queue: Receiver<Arc<Event>>,
}

impl Events {
    /// Nobody to tell yet; what is told passes through `mask`.
    pub fn new(mask: Mask) -> Self {
        Self { mask, ..Self::default() }
    }

    /// What the engine tells them by.
    pub fn listener(self: &Arc<Self>) -> EventListener {
        EventListener(Arc::clone(self))
    }

    /// How many clients were cut off because they were too slow.
    pub fn cut(&self) -> u64 {
        self.cut.load(Ordering::Relaxed)
    }

    /// Tells a client from now on; `None` where there are too many.
    pub(super) fn subscribe(self: &Arc<Self>, lease: Lease) -> Option<Subscription> {
        let mut clients = self.clients();
        if clients.len() >= CLIENTS {
            return None;
        }
        let (queue, receiver) = channel(QUEUE);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        clients.push(Client { number, queue, lease });
        self.count.store(clients.len(), Ordering::Relaxed);
        Some(Subscription { events: Arc::clone(self), number, queue: receiver })
    }

    fn tell(&self, mut event: Event) {
        event.mask(&self.mask);
        let event = Arc::new(event);
        let mut clients = self.clients();
        clients.retain(|client| {
            let told = client.queue.try_send(Arc::clone(&event)).is_ok();
            if !told {
                self.cut.fetch_add(1, Ordering::Relaxed);
                client.lease.cut();
            }
            told
        });
        self.count.store(clients.len(), Ordering::Relaxed);
    }

    fn is_wanted(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    fn clients(&self) -> MutexGuard<'_, Vec<Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut clients = self.events.clients();
        clients.retain(|client| client.number != self.number);
        self.events.count.store(clients.len(), Ordering::Relaxed);
    }
}

/// Tells the clients what the engine does. Where there is none, it costs one look at a number.
#[derive(Debug)]
pub struct EventListener(Arc<Events>);

impl EventListener {
    fn call(&self, tracker: &Tracker, call: Handle, at: Stamp) {
        if let Some(call) = tracker.calls.get(call) {
            self.0.tell(Event::Call { at, call: Box::new(lone_call(tracker, call)) });
        }
    }
}

impl Listener for EventListener {
    fn event(&mut self, tracker: &Tracker, event: &Tracked) {
        if !self.0.is_wanted() {
            return;
        }
        let stamp = |time| Stamp(tracker.printed(time));
        let device = |handle| tracker.registrations.device(handle);
        match *event {
            Tracked::CallOutcome { call, at, .. } | Tracked::CallEnded { call, at } => self.call(tracker, call, stamp(at.time)),
            Tracked::RegistrationState { aor, device: handle, from, to, at } => {
                if let (Some(aor), Some(device)) = (tracker.registrations.aor(aor), device(handle)) {
                    let (aor, contact) = (aor.name.to_string(), device.contact.to_string());
                    self.0.tell(Event::Registration { at: stamp(at.time), aor, contact, from, to });
                }
            }
            Tracked::Reachability { device: handle, from, to, at, .. } => {
                if let Some(device) = device(handle) {
                    self.0.tell(Event::Reachability { at: stamp(at.time), contact: device.contact.to_string(), from, to });
                }
            }
            _ => {}
        }
    }

    fn finding(&mut self, tracker: &Tracker, change: &FindingChange) {
        if !self.0.is_wanted() {
            return;
        }
        let (kind, replaced_by) = match change.kind {
            ChangeKind::Raised => (Change::Raised, None),
            ChangeKind::Updated => (Change::Updated, None),
            ChangeKind::Cleared | ChangeKind::Dropped(_) => (Change::Cleared, None),
            ChangeKind::ReplacedBy(cause) => (Change::Replaced, Some(cause.as_str())),
        };
        let at = Stamp(tracker.printed(change.at));
        self.0.tell(Event::Finding { at, change: kind, replaced_by, finding: Box::new(finding(tracker, &change.finding)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::PacketTime;

    fn event() -> Event {
        let at = Stamp(PacketTime::from_parts(1_769_850_000, 0));
        let contact = "sip:1001@192.0.2.1".to_owned();
        Event::Reachability { at, contact, from: Reachability::Reachable, to: Reachability::Lagged }
    }

    #[test]
    fn a_client_that_does_not_read_is_cut_off_and_counted_and_the_others_are_told_on() {
        let events = Arc::new(Events::default());
        let lease = Lease::default();
        let slow = events.subscribe(lease.clone()).expect("room");
        let mut quick = events.subscribe(Lease::default()).expect("room");
        for _ in 0..=QUEUE {
            events.tell(event());
            quick.queue.try_recv().expect("an event");
        }
        assert_eq!(events.cut(), 1);
        assert_eq!(events.clients().len(), 1);
        let mut slow = slow;
        assert_eq!(std::iter::from_fn(|| slow.queue.try_recv().ok()).count(), QUEUE, "what was queued is there");
    }

    #[test]
    fn those_who_go_make_room_and_are_no_slow_clients() {
        let events = Arc::new(Events::default());
        let all: Vec<_> = (0..CLIENTS).map(|_| events.subscribe(Lease::default()).expect("room")).collect();
        assert!(events.subscribe(Lease::default()).is_none());
        drop(all);
        assert!(!events.is_wanted());
        assert!(events.subscribe(Lease::default()).is_some());
        events.tell(event());
        assert_eq!(events.cut(), 0);
    }
}
