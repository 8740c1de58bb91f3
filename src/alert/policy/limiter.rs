//! So many messages an hour; what is more comes together in one.

use std::collections::VecDeque;

use crate::alert::message::{Draft, LISTED, MessageKind, Status};
use crate::time::{PacketTime, Span};

/// Messages that may go out at once after a quiet hour.
const BURST: i64 = 10;
/// Messages that wait; of further ones only the number is kept.
const WAITING: usize = 200;

/// A token bucket: each message costs the time in which one is allowed.
#[derive(Debug)]
pub(super) struct Limiter {
    cost: Span,
    most: Span,
    saved: Span,
    last: Option<PacketTime>,
    waiting: VecDeque<Draft>,
    uncounted: usize,
}

/// The cost of a message and the most that can be saved.
fn rate(per_hour: u32) -> (Span, Span) {
    let per_hour = i64::from(per_hour.max(1));
    let cost = Span::from_nanos(Span::from_secs(3_600).as_nanos() / per_hour);
    (cost, cost.times(BURST.min(per_hour)))
}

impl Limiter {
    pub(super) fn new(per_hour: u32) -> Self {
        let (cost, most) = rate(per_hour);
        Self { cost, most, saved: most, last: None, waiting: VecDeque::new(), uncounted: 0 }
    }

    /// Allows another number of messages an hour; those that wait go on waiting.
    pub(super) fn allow(&mut self, per_hour: u32) {
        (self.cost, self.most) = rate(per_hour);
    }

    /// Lets a message wait for its turn.
    pub(super) fn offer(&mut self, draft: Draft, now: PacketTime) {
        self.last.get_or_insert(now);
        if self.waiting.len() < WAITING {
            self.waiting.push_back(draft);
        } else {
            self.uncounted += draft.findings.len() + draft.more;
        }
    }

    /// The next message that may go out: one of its own where there is time for each that waits, otherwise one of all.
    pub(super) fn release(&mut self, now: PacketTime) -> Option<Draft> {
        let since = self.last.map_or(Span::ZERO, |last| now.since(last));
        if self.last.is_some() {
            self.last = Some(now);
        }
        self.saved = Span::from_nanos(self.saved.as_nanos().saturating_add(since.as_nanos()).min(self.most.as_nanos()));
        if self.saved < self.cost || self.waiting.is_empty() {
            return None;
        }
        let affordable = self.saved.as_nanos() / self.cost.as_nanos();
        self.saved = self.saved - self.cost;
        if self.waiting.len() as i64 <= affordable && self.uncounted == 0 { self.waiting.pop_front() } else { self.rest() }
    }

    /// All that waits as one message.
    pub(super) fn rest(&mut self) -> Option<Draft> {
        if self.waiting.len() <= 1 && self.uncounted == 0 {
            return self.waiting.pop_front();
        }
        let mut digest = Draft {
            kind: MessageKind::Digest,
            status: Status::Resolved,
            group: None,
            findings: Vec::new(),
            more: std::mem::take(&mut self.uncounted),
        };
        for draft in self.waiting.drain(..) {
            if draft.status == Status::Firing {
                digest.status = Status::Firing;
            }
            digest.more += draft.more;
            digest.findings.extend(draft.findings);
        }
        digest.findings.sort_by_key(|listed| (listed.status, std::cmp::Reverse(listed.finding.severity)));
        digest.more += digest.findings.len().saturating_sub(LISTED);
        digest.findings.truncate(LISTED);
        Some(digest)
    }
}
