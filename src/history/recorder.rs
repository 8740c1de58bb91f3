//! Hears the engine and hands on what is to be kept.

use std::collections::BTreeSet;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::record::{Batch, Change, Row, Traced, What};
use super::status::{Loss, Status, Store};
use crate::decode::signal::Signal;
use crate::detect::finding::Finding;
use crate::detect::listener::{Heard, Listener};
use crate::detect::store::{ChangeKind, FindingChange, FindingStore};
use crate::report::model::{FindingEntry, Stamp};
use crate::report::{build, nat};
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::{Event, Sighting};
use crate::track::nat::event::NatEvent;
use crate::track::site::Site;
use crate::track::vocabulary::Outcome;

/// Bytes and records after which a batch is handed on at once, while it is still in the caches.
const FULL: (usize, usize) = (256 << 10, 1_000);
/// How often batches are handed on otherwise, and with them what changed: once, however often it did.
const GATHER: Span = Span::from_millis(500);
/// Bytes and records that may gather while the writer is busy.
const WAITING: (usize, usize) = (8 << 20, 50_000);
/// How often what is known of the NATs is written.
const NAT_EVERY: Span = Span::from_secs(60);

/// Hears the engine. Everything is copied into batches, so that the disk has few and large ones to write; a batch that finds no room in the
/// queue grows, and when it is too large it is dropped and counted.
#[derive(Debug)]
pub struct Recorder {
    full: Sender<Batch>,
    empty: Receiver<Batch>,
    status: Status,
    batch: Batch,
    /// When it was last looked at what had changed.
    settled: PacketTime,
    /// What changed since.
    calls: BTreeSet<Handle>,
    aors: BTreeSet<Handle>,
    sites: BTreeSet<Site>,
    nat_written: PacketTime,
}

impl Recorder {
    pub(super) fn new(full: Sender<Batch>, empty: Receiver<Batch>, status: Status) -> Self {
        Self {
            full,
            empty,
            status,
            batch: Batch::default(),
            settled: PacketTime::MIN,
            calls: BTreeSet::new(),
            aors: BTreeSet::new(),
            sites: BTreeSet::new(),
            nat_written: PacketTime::MIN,
        }
    }

    /// Writes down how things stand when siphound begins at `now`, so that what a restart took up again is not taken for over.
    pub fn begin(&mut self, tracker: &Tracker, findings: &FindingStore, now: PacketTime) {
        self.batch.rows.push(Row::Began(now));
        for (handle, _) in tracker.calls.iter() {
            self.call(tracker, handle);
        }
        self.aors.extend(tracker.registrations.aors().map(|(handle, _)| handle));
        for finding in findings.open() {
            self.batch.rows.push(Row::Finding(Box::new(build::finding(tracker, finding))));
        }
        self.settle(tracker);
    }

    fn call(&mut self, tracker: &Tracker, handle: Handle) {
        self.batch.rows.extend(build::call_now(tracker, handle).map(|entry| Row::Call(Box::new(entry))));
    }

    fn change(&mut self, tracker: &Tracker, device: Handle, at: PacketTime, was: String, became: String) {
        let Some(device) = tracker.registrations.device(device) else { return };
        let Some(aor) = tracker.registrations.aor(device.aor) else { return };
        self.aors.insert(device.aor);
        self.batch.rows.push(Row::Change(Change {
            at: tracker.printed(at),
            aor: aor.name.to_string(),
            contact: device.contact.to_string(),
            source: device.source().to_string(),
            was,
            became,
        }));
    }

    fn nat(&mut self, tracker: &Tracker, event: &NatEvent) {
        match event {
            NatEvent::Probe(probe) => {
                self.sites.extend(tracker.registrations.device(probe.device).map(|device| Site::of(device.source().ip())));
            }
            NatEvent::Verdict { site, .. } | NatEvent::Mended { site, .. } | NatEvent::PortFlush { site, .. } => {
                self.sites.insert(*site);
            }
            _ => {}
        }
    }

    /// Turns what was touched into rows, each once.
    fn settle(&mut self, tracker: &Tracker) {
        let now = tracker.now();
        let printed = tracker.printed(now);
        self.settled = now;
        let before = self.batch.rows.len();
        let (calls, aors) = (std::mem::take(&mut self.calls), std::mem::take(&mut self.aors));
        let touched = calls.len() + aors.len();
        for handle in calls {
            self.call(tracker, handle);
        }
        for handle in aors {
            let entry = tracker.registrations.aor(handle).map(|aor| build::registration(tracker, aor));
            self.batch.rows.extend(entry.map(|entry| Row::Registration(Box::new(entry), printed)));
        }
        let evicted = touched + before - self.batch.rows.len();
        self.status.lose(Store::Database, Loss::Evicted, evicted as u64);
        if now.since(self.nat_written) >= NAT_EVERY {
            self.sites(tracker);
        }
        self.batch.settled = true;
        self.hand_on(printed);
    }

    /// Turns everything into rows at once: it may be long until there is more, or there is no more.
    fn settle_all(&mut self, tracker: &Tracker) {
        self.sites(tracker);
        self.settle(tracker);
    }

    fn sites(&mut self, tracker: &Tracker) {
        if self.sites.is_empty() {
            return;
        }
        let now = tracker.now();
        self.nat_written = now;
        let views = std::mem::take(&mut self.sites).into_iter().filter_map(|site| tracker.nat.view(site));
        self.batch.rows.extend(views.map(|view| Row::Nat(Box::new(nat::entry(tracker, &view)), tracker.printed(now))));
    }

    fn hand_on(&mut self, now: PacketTime) {
        self.batch.now = now;
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.batch);
        match self.full.try_send(batch) {
            Ok(()) => self.batch = self.empty.try_recv().unwrap_or_default(),
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => self.batch = batch,
        }
        if self.batch.bytes.len() > WAITING.0 || self.batch.traced.len() + self.batch.rows.len() > WAITING.1 {
            self.status.lose(Store::Traces, Loss::Queue, self.batch.traced.len() as u64);
            self.status.lose(Store::Database, Loss::Queue, self.batch.rows.len() as u64);
            self.batch.clear();
            self.batch.after_loss = true;
        }
    }
}

/// What is left is handed on when the engine ends; there is time to wait for room then.
impl Drop for Recorder {
    fn drop(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        let (traced, rows) = (batch.traced.len() as u64, batch.rows.len() as u64);
        if !batch.is_empty() && self.full.send(batch).is_err() {
            self.status.lose(Store::Traces, Loss::Queue, traced);
            self.status.lose(Store::Database, Loss::Queue, rows);
        }
    }
}

impl Listener for Recorder {
    fn message(&mut self, tracker: &Tracker, heard: &Heard<'_>) {
        let bytes = heard.message.bytes();
        self.batch.bytes.extend_from_slice(bytes);
        self.batch.traced.push(Traced { time: tracker.printed(heard.at.time), what: What::Message(heard.flow, bytes.len()) });
    }

    fn signal(&mut self, tracker: &Tracker, signal: &Signal, at: Sighting) {
        self.batch.traced.push(Traced { time: tracker.printed(at.time), what: What::Signal(*signal) });
    }

    fn event(&mut self, tracker: &Tracker, event: &Event) {
        match event {
            Event::CallStarted { call } | Event::CallOutcome { call, outcome: Outcome::Answered, .. } => {
                self.calls.insert(*call);
            }
            // The call may be let go of before the batch is over.
            Event::CallOutcome { call, .. } | Event::CallEnded { call, .. } => {
                self.calls.remove(call);
                self.call(tracker, *call);
            }
            Event::LegLeftUp { ended, left, .. } | Event::LegEnded { ended, left, .. } | Event::LegGoesOn { ended, left, .. } => {
                self.call(tracker, *ended);
                self.call(tracker, *left);
            }
            Event::RegistrationState { device, from, to, at, .. } => {
                self.change(tracker, *device, at.time, from.to_string(), to.to_string());
            }
            Event::BindingChange { device, old, new, at } => self.change(tracker, *device, at.time, old.to_string(), new.to_string()),
            Event::RegistrationEnded(report) => {
                self.aors.insert(report.aor);
            }
            Event::BindingsCleared { aor, .. } => {
                self.aors.insert(*aor);
            }
            Event::Reachability { device, .. } => {
                self.aors.extend(tracker.registrations.device(*device).map(|device| device.aor));
            }
            Event::Nat(event) => self.nat(tracker, event),
            _ => {}
        }
    }

    fn finding(&mut self, tracker: &Tracker, change: &FindingChange) {
        let entry = |finding: &Finding| Box::new(build::finding(tracker, finding));
        self.batch.rows.push(match change.kind {
            ChangeKind::ReplacedBy(_) => Row::Replaced(entry(&change.finding)),
            // Nothing more is heard of it, unless it is raised again and written anew.
            ChangeKind::Dropped(until) => Row::Finding(Box::new(FindingEntry {
                cleared: Some(Stamp(tracker.printed(until))),
                ..build::finding(tracker, &change.finding)
            })),
            _ => Row::Finding(entry(&change.finding)),
        });
    }

    fn batch(&mut self, tracker: &Tracker, now: PacketTime) {
        let is_full = self.batch.bytes.len() >= FULL.0 || self.batch.traced.len() + self.batch.rows.len() >= FULL.1;
        if now.since(self.settled) >= GATHER {
            self.settle(tracker);
        } else if is_full {
            self.hand_on(tracker.printed(now));
        }
    }

    fn idle(&mut self, tracker: &Tracker) {
        self.settle_all(tracker);
    }

    fn end(&mut self, tracker: &Tracker) {
        self.settle_all(tracker);
    }
}
