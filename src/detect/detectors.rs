//! The detectors together: each event goes to those that it concerns, in a fixed order.

use crate::decode::flow::Flow;
use crate::sip::message::Kind;
use crate::sip::method::Method;
use crate::time::PacketTime;
use crate::track::event::{Event, Sighting};
use crate::track::{Novelty, Tracker};

use super::answers;
use super::call::CallDetector;
use super::capture::CaptureDetector;
use super::delivery::DeliveryDetector;
use super::devices::DeviceDetector;
use super::drops::DropDetector;
use super::durations::DurationDetector;
use super::flapping::FlappingDetector;
use super::grants;
use super::ignored::IgnoredDetector;
use super::intruders::IntruderDetector;
use super::legs;
use super::load::LoadDetector;
use super::maintenance;
use super::media;
use super::moves::MoveDetector;
use super::nat;
use super::probes::ProbeDetector;
use super::reachability::ReachabilityDetector;
use super::registration::RegistrationDetector;
use super::restart::RestartDetector;
use super::rewriting;
use super::server::ServerDetector;
use super::setup::SetupDetector;
use super::short::ShortDetector;
use super::slowness::SlownessDetector;
use super::store::{FindingStore, Limits};
use super::strangers::StrangerDetector;
use super::undelivered::UndeliveredDetector;
use super::vanished::VanishedDetector;

/// All detectors and what they found.
#[derive(Debug)]
pub struct Detectors {
    /// What was found.
    pub findings: FindingStore,
    registration: RegistrationDetector,
    flapping: FlappingDetector,
    devices: DeviceDetector,
    reachability: ReachabilityDetector,
    moves: MoveDetector,
    probes: ProbeDetector,
    undelivered: UndeliveredDetector,
    delivery: DeliveryDetector,
    ignored: IgnoredDetector,
    call: CallDetector,
    setup: SetupDetector,
    vanished: VanishedDetector,
    drops: DropDetector,
    durations: DurationDetector,
    short: ShortDetector,
    server: ServerDetector,
    slowness: SlownessDetector,
    load: LoadDetector,
    restart: RestartDetector,
    intruders: IntruderDetector,
    strangers: StrangerDetector,
    capture: CaptureDetector,
}

impl Detectors {
    /// Nothing found yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            findings: FindingStore::new(limits),
            registration: RegistrationDetector::default(),
            flapping: FlappingDetector::default(),
            devices: DeviceDetector::default(),
            reachability: ReachabilityDetector::default(),
            moves: MoveDetector::default(),
            probes: ProbeDetector::default(),
            undelivered: UndeliveredDetector::default(),
            delivery: DeliveryDetector::default(),
            ignored: IgnoredDetector::default(),
            call: CallDetector,
            setup: SetupDetector::default(),
            vanished: VanishedDetector::default(),
            drops: DropDetector::default(),
            durations: DurationDetector::default(),
            short: ShortDetector::default(),
            server: ServerDetector::default(),
            slowness: SlownessDetector::default(),
            load: LoadDetector::default(),
            restart: RestartDetector::default(),
            intruders: IntruderDetector::default(),
            strangers: StrangerDetector::default(),
            capture: CaptureDetector::default(),
        }
    }

    /// What is held for later comparison: name, entries held, entries dropped for lack of room.
    pub fn tables(&self) -> [(&'static str, usize, u64); 3] {
        let [(intruders, no_intruders), (strangers, no_strangers)] = [self.intruders.size(), self.strangers.size()];
        [
            ("findings", self.findings.len(), self.findings.evicted()),
            ("intruders", intruders, no_intruders),
            ("strangers", strangers, no_strangers),
        ]
    }

    /// Handles what became due by `now`, before the packet of `now`.
    pub fn advance(&mut self, tracker: &Tracker, now: PacketTime) {
        self.server.advance(tracker, now, &mut self.findings);
        self.slowness.advance(tracker.thresholds(), now, &mut self.findings);
        self.reachability.advance(tracker, now, &mut self.findings);
        self.vanished.advance(tracker, now, &mut self.findings);
        self.capture.advance(tracker, now, &mut self.findings);
        self.findings.advance(now);
    }

    /// Handles a message of a transaction of `method`, after tracking has.
    pub fn message(&mut self, tracker: &Tracker, (kind, method): (Kind, Method), novelty: Novelty, flow: Flow, at: Sighting) {
        self.server.message(tracker, kind, flow, at, &mut self.findings);
        self.restart.message(tracker, (kind, method), novelty, flow, at, &mut self.findings);
        if let Kind::Response(status) = kind {
            self.load.response(tracker, status, flow, at, novelty, &mut self.findings);
        }
    }

    /// Handles what tracking told.
    pub fn event(&mut self, tracker: &Tracker, event: &Event) {
        // The most frequent ones concern few.
        match event {
            Event::KeepaliveInterval { .. } => return,
            Event::ServerResponse { .. } => {
                self.ignored.event(tracker, event, &mut self.findings);
                self.slowness.event(event);
                return;
            }
            _ => {}
        }
        self.registration.event(tracker, event, &mut self.findings);
        self.flapping.event(tracker, event, &mut self.findings);
        self.devices.event(tracker, event, &mut self.findings);
        grants::event(tracker, event, &mut self.findings);
        answers::event(tracker, event, &mut self.findings);
        self.reachability.event(tracker, event, &mut self.findings);
        self.moves.event(tracker, event, &mut self.findings);
        self.probes.event(tracker, event, &mut self.findings);
        if let Event::Nat(event) = event {
            nat::event(tracker, event, &mut self.findings);
            rewriting::event(tracker, event, &mut self.findings);
        }
        self.undelivered.event(tracker, event, &mut self.findings);
        self.delivery.event(tracker, event, &mut self.findings);
        self.ignored.event(tracker, event, &mut self.findings);
        self.call.event(tracker, event, &mut self.findings);
        self.setup.event(tracker, event, &mut self.findings);
        media::event(tracker, event, &mut self.findings);
        maintenance::event(tracker, event, &mut self.findings);
        self.vanished.event(tracker, event, &mut self.findings);
        self.restart.event(tracker, event, &mut self.findings);
        self.drops.event(tracker, event, &mut self.findings);
        self.durations.event(tracker, event, &mut self.findings);
        self.short.event(tracker, event, &mut self.findings);
        legs::event(tracker, event, &mut self.findings);
        self.slowness.event(event);
        self.load.event(tracker, event, &mut self.findings);
        self.intruders.event(tracker, event, &mut self.findings);
        self.strangers.event(tracker, event, &mut self.findings);
        self.capture.event(tracker, event, &mut self.findings);
    }
}
