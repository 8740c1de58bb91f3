//! The detectors together: each event goes to those that it concerns, in a fixed order.

use crate::decode::flow::Flow;
use crate::sip::message::Kind;
use crate::time::PacketTime;
use crate::track::Tracker;
use crate::track::event::{Event, Sighting};

use super::call::CallDetector;
use super::capture::CaptureDetector;
use super::legs;
use super::moves::MoveDetector;
use super::nat;
use super::probes::ProbeDetector;
use super::reachability::ReachabilityDetector;
use super::registration::RegistrationDetector;
use super::rewriting;
use super::server::ServerDetector;
use super::store::{FindingStore, Limits};

/// All detectors and what they found.
#[derive(Debug)]
pub struct Detectors {
    /// What was found.
    pub findings: FindingStore,
    registration: RegistrationDetector,
    reachability: ReachabilityDetector,
    moves: MoveDetector,
    probes: ProbeDetector,
    call: CallDetector,
    server: ServerDetector,
    capture: CaptureDetector,
}

impl Detectors {
    /// Nothing found yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            findings: FindingStore::new(limits),
            registration: RegistrationDetector::default(),
            reachability: ReachabilityDetector::default(),
            moves: MoveDetector::default(),
            probes: ProbeDetector::default(),
            call: CallDetector,
            server: ServerDetector::default(),
            capture: CaptureDetector::default(),
        }
    }

    /// Handles what became due by `now`, before the packet of `now`.
    pub fn advance(&mut self, tracker: &Tracker, now: PacketTime) {
        self.server.advance(tracker, now, &mut self.findings);
        self.reachability.advance(tracker, now, &mut self.findings);
        self.capture.advance(tracker, now, &mut self.findings);
        self.findings.advance(now);
    }

    /// Handles a message, after tracking has.
    pub fn message(&mut self, tracker: &Tracker, kind: Kind, flow: Flow, at: Sighting) {
        self.server.message(tracker, kind, flow, at, &mut self.findings);
    }

    /// Handles what tracking told.
    pub fn event(&mut self, tracker: &Tracker, event: &Event) {
        self.registration.event(tracker, event, &mut self.findings);
        self.reachability.event(tracker, event, &mut self.findings);
        self.moves.event(tracker, event, &mut self.findings);
        self.probes.event(tracker, event, &mut self.findings);
        if let Event::Nat(event) = event {
            nat::event(tracker, event, &mut self.findings);
            rewriting::event(tracker, event, &mut self.findings);
        }
        self.call.event(tracker, event, &mut self.findings);
        legs::event(tracker, event, &mut self.findings);
        self.server.event(tracker, event, &mut self.findings);
    }
}
