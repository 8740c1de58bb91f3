//! Scanners that turn out to be sites (DETECTION §7.6).

use crate::decode::flow::Flow;
use crate::track::Tracker;
use crate::track::event::{Event, Sighting};

impl Tracker {
    /// Takes back that the source of `flow` scans, if all users that it tried were accepted from there in the end: it is a site.
    pub(super) fn clear_scanner(&mut self, flow: Flow, at: Sighting) {
        let (source, enough) = (flow.source.ip(), self.thresholds().scan.count);
        if self.world.peers.tries_users(source) && self.registrations.all_registered_at(source).is_some_and(|users| users >= enough) {
            self.world.peers.unmark_scanner(source, at.time);
            self.scans.forget(source);
            self.world.tell(Event::ScannerCleared { source, at });
        }
    }
}
