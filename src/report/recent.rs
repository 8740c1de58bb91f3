//! The latest messages of calls, for the ladders that somebody may ask for.

use std::collections::VecDeque;

use super::ladder::{LadderMessage, Repeat};
use crate::decode::flow::Flow;
use crate::sip::message::{Kind, Message};
use crate::sip::method::Method;
use crate::table::{Digest, Digester};
use crate::track::event::Sighting;
use crate::track::world::text;
use crate::track::{Novelty, Tracker};

/// The latest messages of calls, without their bodies; the oldest go first. Registrations and probes are not among them.
#[derive(Debug)]
pub struct Recent {
    digester: Digester,
    capacity: usize,
    messages: VecDeque<(Digest, LadderMessage)>,
}

impl Recent {
    /// Room for `capacity` messages, 150 bytes each; nothing is kept where that is 0.
    pub fn new(seed: u64, capacity: usize) -> Self {
        Self { digester: Digester::new(seed), capacity, messages: VecDeque::new() }
    }

    /// Takes note of a message.
    pub fn note(&mut self, tracker: &Tracker, message: &Message<'_>, flow: Flow, at: Sighting, novelty: Novelty) {
        if self.capacity == 0 || !is_of_call(message.method()) {
            return;
        }
        if self.messages.len() >= self.capacity {
            self.messages.pop_front();
        }
        let call = self.digester.bytes(message.call_id());
        self.messages.push_back((call, rung(tracker, message, flow, at, novelty)));
    }

    /// The messages with one of these Call-IDs that are still kept, in the order of capture.
    pub fn of(&self, call_ids: &[&str]) -> Vec<LadderMessage> {
        let wanted: Vec<_> = call_ids.iter().map(|call_id| self.digester.bytes(call_id.as_bytes())).collect();
        self.messages.iter().filter(|(call, _)| wanted.contains(call)).map(|(_, message)| message.clone()).collect()
    }
}

fn is_of_call(method: Method) -> bool {
    matches!(
        method,
        Method::Invite | Method::Ack | Method::Bye | Method::Cancel | Method::Prack | Method::Update | Method::Info | Method::Refer
    )
}

/// The message as one rung of a ladder.
pub fn rung(tracker: &Tracker, message: &Message<'_>, flow: Flow, at: Sighting, novelty: Novelty) -> LadderMessage {
    let body = if message.has_sdp() { " (SDP)" } else { "" };
    let label = match message.kind() {
        Kind::Request(_) => format!("{}{body}", text(message.method_name())),
        Kind::Response(status) => format!("{status} {}{body}", text(message.reason_phrase())),
    };
    let repeat = match novelty {
        Novelty::Distinct | Novelty::Foreign => Repeat::First,
        Novelty::Retransmission => Repeat::Retransmission,
    };
    LadderMessage { time: tracker.printed(at.time), frame: at.frame, source: flow.source, destination: flow.destination, label, repeat }
}
