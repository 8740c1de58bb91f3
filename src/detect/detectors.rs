//! The detectors together: each event goes to those that it concerns, in a fixed order.

use crate::decode::flow::Flow;
use crate::sip::message::{Kind, Message};
use crate::time::PacketTime;
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::Direction;
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

/// A packet's flow and which way that is, seen from the PBX: looked up once for all that ask.
#[derive(Clone, Copy, Debug)]
pub struct Routed {
    /// Who sent it to whom.
    pub flow: Flow,
    /// Which way that is.
    pub direction: Direction,
}

impl Routed {
    /// As far as `tracker` knows.
    pub fn of(tracker: &Tracker, flow: Flow) -> Self {
        Self { flow, direction: tracker.world.peers.direction(flow) }
    }
}

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
            call: CallDetector::default(),
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
    pub fn tables(&self) -> [(&'static str, usize, u64); 4] {
        let named = |name, (held, evicted): (usize, u64)| (name, held, evicted);
        [
            ("findings", self.findings.len(), self.findings.evicted()),
            named("intruders", self.intruders.size()),
            named("strangers", self.strangers.size()),
            named("unopened_connections", self.registration.size()),
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

    /// Handles a message, after tracking has.
    pub fn message(&mut self, tracker: &Tracker, message: &Message<'_>, novelty: Novelty, way: Routed, at: Sighting) {
        let (kind, method) = (message.kind(), message.method());
        self.server.message(tracker, kind, way, at, &mut self.findings);
        self.restart.message(tracker, (kind, method), novelty, way, at, &mut self.findings);
        if let Kind::Response(status) = kind {
            self.load.response(tracker, (status, message), way, at, novelty, &mut self.findings);
        }
    }

    /// Handles what tracking told: each kind goes to those that hear it, in the order of their fields, and to no other.
    pub fn event(&mut self, tracker: &Tracker, event: &Event) {
        let findings = &mut self.findings;
        match event {
            Event::KeepaliveInterval { .. } | Event::CallStarted { .. } | Event::PbxLearned { .. } => {}
            Event::ByeAnswered { .. } => self.vanished.event(tracker, event, findings),
            Event::ServerResponse { .. } => {
                self.server.event(tracker, event, findings);
                self.ignored.event(tracker, event, findings);
                self.slowness.event(tracker.thresholds(), event);
            }
            Event::RegistrationAttempt { .. } => self.load.event(tracker, event, findings),
            Event::RegistrationEnded(_) => {
                self.registration.event(tracker, event, findings);
                self.flapping.event(tracker, event, findings);
                self.devices.event(tracker, event, findings);
                grants::event(tracker, event, findings);
                self.moves.event(tracker, event, findings);
                self.load.event(tracker, event, findings);
                self.ignored.event(tracker, event, findings);
                self.intruders.event(tracker, event, findings);
                self.strangers.event(tracker, event, findings);
            }
            Event::RegistrationState { .. } => {
                self.registration.event(tracker, event, findings);
                self.flapping.event(tracker, event, findings);
                self.devices.event(tracker, event, findings);
                self.reachability.event(tracker, event, findings);
                self.undelivered.event(tracker, event, findings);
            }
            Event::ConnectionEnded { .. } => self.flapping.event(tracker, event, findings),
            Event::BindingsCleared { .. } => self.devices.event(tracker, event, findings),
            Event::BindingChange { .. } => {
                self.devices.event(tracker, event, findings);
                self.moves.event(tracker, event, findings);
            }
            Event::DeviceRestarted { .. } => {
                self.vanished.event(tracker, event, findings);
                self.restart.event(tracker, event, findings);
            }
            Event::OldNonce { .. } => self.restart.event(tracker, event, findings),
            Event::Probe { .. } => {
                self.reachability.event(tracker, event, findings);
                self.probes.event(tracker, event, findings);
            }
            Event::Reachability { .. } => {
                self.reachability.event(tracker, event, findings);
                self.moves.event(tracker, event, findings);
                self.probes.event(tracker, event, findings);
                self.undelivered.event(tracker, event, findings);
            }
            Event::Nat(about_nat) => {
                self.moves.event(tracker, event, findings);
                self.probes.event(tracker, event, findings);
                nat::event(tracker, about_nat, findings);
                rewriting::event(tracker, about_nat, findings);
            }
            Event::CallOutcome { .. } => {
                self.undelivered.event(tracker, event, findings);
                self.delivery.event(tracker, event, findings);
                self.ignored.event(tracker, event, findings);
                self.call.event(tracker, event, findings);
                self.setup.event(tracker, event, findings);
                media::event(tracker, event, findings);
                self.intruders.event(tracker, event, findings);
            }
            Event::InviteUnanswered { .. } => {
                self.moves.event(tracker, event, findings);
                self.undelivered.event(tracker, event, findings);
                self.delivery.event(tracker, event, findings);
                self.ignored.event(tracker, event, findings);
                self.call.event(tracker, event, findings);
            }
            Event::CallEnded { .. } => {
                maintenance::event(tracker, event, findings);
                self.vanished.event(tracker, event, findings);
                self.drops.event(tracker, event, findings);
                self.durations.event(tracker, event, findings);
                self.short.event(tracker, event, findings);
            }
            Event::DialogLost { .. } => {
                maintenance::event(tracker, event, findings);
                self.drops.event(tracker, event, findings);
            }
            Event::SessionLapsed(_) | Event::CallAged { .. } => maintenance::event(tracker, event, findings),
            Event::MediaRefused { .. } | Event::PrivateMedia { .. } => media::event(tracker, event, findings),
            Event::LegLeftUp { .. } | Event::LegEnded { .. } | Event::LegGoesOn { .. } => legs::event(tracker, event, findings),
            Event::ByeUnanswered { .. }
            | Event::CancelUnanswered { .. }
            | Event::AckSuspected { .. }
            | Event::AckMissing { .. }
            | Event::AckArrived { .. }
            | Event::AckMisrouted { .. }
            | Event::PrackMissing { .. }
            | Event::Looping { .. } => self.call.event(tracker, event, findings),
            Event::AnswerLost(_) | Event::AnswerTaken { .. } => {
                self.server.event(tracker, event, findings);
                answers::event(tracker, event, findings);
            }
            Event::ScannerFound { .. } => {
                self.intruders.event(tracker, event, findings);
                self.load.event(tracker, event, findings);
            }
            Event::ScannerCleared { .. } => self.intruders.event(tracker, event, findings),
            Event::TlsWanted { .. } => self.strangers.event(tracker, event, findings),
            Event::Noticed { .. } => {
                self.server.event(tracker, event, findings);
                self.registration.event(tracker, event, findings);
                self.ignored.event(tracker, event, findings);
                self.strangers.event(tracker, event, findings);
                self.capture.event(tracker, event, findings);
            }
        }
    }
}
