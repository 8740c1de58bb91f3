//! The measures of RFC 6076 over attempts towards the PBX, or over all where none is known. Scanners, calls that began before the
//! capture, unknown outcomes and legs that were answered elsewhere are left out (REPORT `rfc6076`).

use std::collections::BTreeSet;

use super::build::Recorded;
use super::model::{Distribution, Ratio, Rfc6076};
use crate::time::Span;
use crate::track::Tracker;
use crate::track::call::record::Beginning;
use crate::track::vocabulary::{Direction, Outcome};

/// What was counted of the attempts so far.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    all: u64,
    redirected: u64,
    answered: u64,
    /// Those that failed for a reason that is the callee's own.
    callee_refused: u64,
    /// Those that the servers failed.
    ineffective: u64,
    completed: u64,
    setup_of_answered: Vec<Span>,
    setup_of_failed: Vec<Span>,
    disconnect: Vec<Span>,
    duration: Vec<Span>,
}

impl Attempts {
    /// Counts an attempt, if it is one that counts.
    pub(super) fn count(&mut self, tracker: &Tracker, (record, outcome, direction): &Recorded<'_>) {
        let peers = &tracker.world.peers;
        let counts = (*direction == Direction::In || !peers.knows_pbx())
            && record.beginning == Beginning::Captured
            && !matches!(outcome, Outcome::Unknown | Outcome::CompletedElsewhere)
            && !peers.scans(record.source.ip());
        if !counts {
            return;
        }
        self.all += 1;
        match outcome {
            Outcome::Answered => {
                self.answered += 1;
                self.completed += u64::from(record.completed && record.disconnected.is_some());
                self.setup_of_answered.extend(record.setup());
            }
            Outcome::Redirected => self.redirected += 1,
            _ => self.setup_of_failed.extend(record.setup()),
        }
        if *outcome != Outcome::Answered {
            self.callee_refused += u64::from(matches!(record.status, 480 | 486 | 600 | 603));
        }
        if *outcome != Outcome::Redirected {
            self.ineffective += u64::from(matches!(record.status, 408 | 500 | 503 | 504));
        }
        self.disconnect.extend(record.disconnect());
        self.duration.extend(record.duration());
    }

    /// The measures of what was counted.
    pub(super) fn measures(&self, tracker: &Tracker) -> Rfc6076 {
        let tries = tracker.registrations.tries().filter(|(source, _)| !tracker.world.peers.scans(*source));
        let (registering, in_vain) = tries.fold((0, 0), |(all, bad), (_, tries)| (all + tries.attempts, bad + tries.ineffective));
        let not_redirected = self.all - self.redirected;
        Rfc6076 {
            rrd_s: Distribution::of(registration_delays(tracker)),
            srd_success_s: Distribution::of(self.setup_of_answered.clone()),
            srd_failure_s: Distribution::of(self.setup_of_failed.clone()),
            sdd_s: Distribution::of(self.disconnect.clone()),
            sdt_s: Distribution::of(self.duration.clone()),
            ira_ratio: Ratio::of(in_vain, registering),
            ser_ratio: Ratio::of(self.answered, not_redirected),
            seer_ratio: Ratio::of(self.answered + self.callee_refused, not_redirected),
            isa_ratio: Ratio::of(self.ineffective, self.all),
            scr_ratio: Ratio::of(self.completed, self.all),
        }
    }
}

/// The delays of accepted registrations; those of the PBX at its carriers are another matter.
fn registration_delays(tracker: &Tracker) -> Vec<Span> {
    let known: BTreeSet<_> = tracker.world.peers.pbx_addresses().into_iter().map(|address| address.ip()).collect();
    let delays = tracker.registrations.delays();
    delays
        .filter(|(registrar, _)| known.is_empty() || known.contains(&registrar.ip()))
        .map(|(_, micros)| Span::from_micros(i64::from(micros)))
        .collect()
}
