//! Sources that repeat requests although these were answered, until they show that an answer arrived.

use std::net::IpAddr;

use crate::time::PacketTime;

/// Sources remembered; the longest known goes first.
const REMEMBERED: usize = 1024;

/// The sources whose answers get lost.
#[derive(Debug, Default)]
pub(super) struct LostAnswers {
    sources: Vec<(IpAddr, PacketTime)>,
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

    /// The first answer that did not reach `source`.
    pub(super) fn since(&self, source: IpAddr) -> Option<PacketTime> {
        self.sources.iter().find(|(known, _)| *known == source).map(|(_, since)| *since)
    }

    /// Takes note that an answer reached `source`.
    pub(super) fn forget(&mut self, source: IpAddr) {
        self.sources.retain(|(known, _)| *known != source);
    }
}
