//! Who scanned, gathered until it is told.

use std::collections::BTreeMap;

use crate::alert::message::{Draft, Listed, MessageKind, Status};
use crate::report::model::FindingEntry;
use crate::time::{PacketTime, Span};

/// Scanners that are gathered; further ones are counted.
const GATHERED: usize = 1_000;

/// What was found on scanners since the last digest.
#[derive(Debug)]
pub(super) struct Scanners {
    every: Span,
    due: Option<PacketTime>,
    found: BTreeMap<(String, &'static str), FindingEntry>,
    more: usize,
}

impl Scanners {
    pub(super) fn new(every: Span) -> Self {
        Self { every, due: None, found: BTreeMap::new(), more: 0 }
    }

    /// Tells every so often from the next digest on.
    pub(super) fn tell_every(&mut self, every: Span) {
        self.every = every;
    }

    pub(super) fn add(&mut self, entry: FindingEntry, now: PacketTime) {
        self.due.get_or_insert(now + self.every);
        let key = (entry.subject.clone(), entry.id);
        if self.found.len() < GATHERED || self.found.contains_key(&key) {
            self.found.insert(key, entry);
        } else {
            self.more += 1;
        }
    }

    /// What there is to tell once it is time, the busiest first.
    pub(super) fn digest(&mut self, now: PacketTime) -> Option<Draft> {
        if self.due.is_none_or(|due| due > now) {
            return None;
        }
        self.due = None;
        let mut found: Vec<_> = std::mem::take(&mut self.found).into_values().collect();
        found.sort_by_key(|entry| std::cmp::Reverse((entry.severity, entry.count)));
        let findings = found.into_iter().map(|entry| Listed::new(Status::Firing, entry)).collect();
        let more = std::mem::take(&mut self.more);
        Some(Draft { kind: MessageKind::Scanners, status: Status::Firing, group: None, findings, more })
    }
}
