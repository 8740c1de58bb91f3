//! Sources that repeat requests although these were answered, until they show that an answer arrived.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::decode::flow::Flow;
use crate::table::Handle;
use crate::time::PacketTime;

/// Sources remembered; the longest known goes first.
const REMEMBERED: usize = 1024;
/// Answers remembered that took another way than their requests; the oldest goes first.
const ASTRAY: usize = 256;

/// The sources whose answers get lost.
#[derive(Debug, Default)]
pub(super) struct LostAnswers {
    sources: Vec<(IpAddr, PacketTime)>,
    astray: VecDeque<(Handle, Flow)>,
}

impl LostAnswers {
    /// Takes note that an answer of `answered` did not reach `source`.
    pub(super) fn note(&mut self, source: IpAddr, answered: PacketTime) {
        if self.since(source).is_some() {
            return;
        }
        if self.sources.len() >= REMEMBERED {
            self.sources.remove(0);
        }
        self.sources.push((source, answered));
    }

    /// Takes note of the way that an answer to the request of `transaction` took, other than back along the request's.
    pub(super) fn went_astray(&mut self, transaction: Handle, answer: Flow) {
        if self.astray.len() >= ASTRAY {
            self.astray.pop_front();
        }
        self.astray.push_back((transaction, answer));
    }

    /// The way that an answer to a request took that went along `request`.
    pub(super) fn way_of(&self, transaction: Handle, request: Flow) -> Flow {
        let known = self.astray.iter().rev().find(|(known, _)| *known == transaction);
        known.map_or_else(|| request.reversed(), |(_, answer)| *answer)
    }

    /// The first answer that did not reach `source`.
    pub(super) fn since(&self, source: IpAddr) -> Option<PacketTime> {
        self.sources.iter().find(|(known, _)| *known == source).map(|(_, since)| *since)
    }

    /// Takes note that an answer reached `source`.
    pub(super) fn forget(&mut self, source: IpAddr) {
        self.sources.retain(|(known, _)| *known != source);
    }
}
