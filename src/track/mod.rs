//! State: what the messages amount to. Transactions per hop, calls, registrations, reachability, NAT, and whether the capture can be
//! trusted.
//!
//! [`Tracker`] takes messages and signals in time order and tells what happened as [`event::Event`]s. Deadlines that fell due before a
//! message are handled before it, and what they bring about is stamped with the deadline.

pub mod absence;
pub mod call;
mod called;
mod cleared;
pub mod event;
pub mod flows;
mod inferred;
pub mod legs;
mod lost;
pub mod nat;
pub mod orphans;
pub mod pace;
pub mod peers;
pub mod probed;
pub mod reading;
pub mod registration;
pub mod relays;
mod route;
pub mod scan;
pub mod site;
pub mod transaction;
pub mod triggers;
mod unanswered;
mod unreached;
pub mod vocabulary;
pub mod world;

use std::net::{IpAddr, SocketAddr};

use crate::config::Thresholds;
use crate::decode::signal::Signal;
use crate::sip::method::Method;
use crate::table::Digester;
use crate::time::{PacketTime, Span};
use crate::track::call::Calls;
use crate::track::event::{Event, Sighting};
use crate::track::flows::{Flows, Periodic};
use crate::track::legs::Legs;
use crate::track::lost::LostAnswers;
use crate::track::nat::Nat;
use crate::track::orphans::Orphans;
use crate::track::peers::Peers;
use crate::track::probed::ProbedUsers;
use crate::track::registration::Registrations;
use crate::track::relays::Relays;
use crate::track::scan::{Limits, Scans};
use crate::track::transaction::{Timing, Transactions};
use crate::track::world::World;

/// Statuses counted by themselves; SIP has 100 to 699.
const STATUSES: usize = 700;

/// How large the tables may grow, and what is known of the network beforehand.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seed of the identities: fixed for a replay, random for a daemon.
    pub seed: u64,
    /// Configured PBX addresses; with any, none are learned.
    pub pbxs: Vec<SocketAddr>,
    /// Addresses of this host, where a PBX is assumed until others are learned.
    pub own: Vec<IpAddr>,
    /// Configured trunks.
    pub trunks: Vec<IpAddr>,
    /// Most transactions at a time.
    pub transactions: usize,
    /// Most calls in progress.
    pub calls: usize,
    /// Most bindings.
    pub bindings: usize,
    /// Most flows.
    pub flows: usize,
    /// Most source addresses.
    pub sources: usize,
    /// Most records of finished calls, and samples of the registration delay.
    pub finished: usize,
    /// What the rules compare with, those of detection too.
    pub thresholds: Thresholds,
}

/// What was on the wire, neither capture copies nor repeats.
#[derive(Clone, Debug)]
pub struct MessageCounts {
    /// By method.
    pub requests: [u64; Method::ALL.len()],
    /// By status; 0 collects those out of range.
    pub responses: Vec<u64>,
    /// Repeats within transactions.
    pub retransmissions: u64,
}

/// Whether a message was new.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Novelty {
    /// It was.
    Distinct,
    /// It was a repeat within its transaction.
    Retransmission,
    /// A response that comes from elsewhere than its request went: it answers nothing.
    Foreign,
}

/// A timestamp jump: from this engine time on, printed times are earlier by the offset.
#[derive(Clone, Copy, Debug)]
struct Step {
    from: PacketTime,
    offset: Span,
}

/// All state of a capture.
#[derive(Debug)]
pub struct Tracker {
    /// What every tracker shares.
    pub world: World,
    /// The calls.
    pub calls: Calls,
    /// The registrations.
    pub registrations: Registrations,
    /// What is known of the NATs.
    pub nat: Nat,
    /// Whom the PBX probes, and who is not known.
    pub probed: ProbedUsers,
    /// What was on the wire.
    pub messages: MessageCounts,
    legs: Legs,
    lost: LostAnswers,
    relays: Relays,
    orphans: Orphans,
    scans: Scans,
    steps: Vec<Step>,
    started: Option<PacketTime>,
    now: PacketTime,
    /// Before this moment nothing is due, as long as nothing is handled.
    quiet_until: PacketTime,
}

/// Clock steps that printed times remember.
const STEPS: usize = 1024;

impl Tracker {
    /// Nothing seen yet.
    pub fn new(settings: &Settings) -> Self {
        let digester = Digester::new(settings.seed);
        let peers = Peers::new(digester, settings.sources, &settings.pbxs, &settings.own, &settings.trunks);
        let thresholds = &settings.thresholds;
        let flows = Flows::new(digester, settings.flows, Periodic::from(thresholds));
        let transactions = Transactions::new(digester, settings.transactions, Timing::from(thresholds));
        Self {
            world: World::new(digester, flows, peers, transactions, settings.transactions, *thresholds),
            calls: Calls::new(settings.calls, settings.finished),
            registrations: Registrations::new(settings.bindings, settings.finished, thresholds),
            nat: Nat::new(digester, settings.bindings, *thresholds),
            messages: MessageCounts { requests: [0; Method::ALL.len()], responses: vec![0; STATUSES], retransmissions: 0 },
            probed: ProbedUsers::default(),
            legs: Legs::default(),
            lost: LostAnswers::default(),
            relays: Relays::default(),
            orphans: Orphans::new(thresholds),
            scans: Scans::new(digester, settings.sources, Limits::from(thresholds)),
            steps: Vec::new(),
            started: None,
            now: PacketTime::MIN,
            quiet_until: PacketTime::MIN,
        }
    }

    /// What the rules compare with.
    pub fn thresholds(&self) -> &Thresholds {
        &self.world.thresholds
    }

    /// The time of the first packet; `None` before it.
    pub fn started(&self) -> Option<PacketTime> {
        self.started
    }

    /// The newest engine time.
    pub fn now(&self) -> PacketTime {
        self.now
    }

    /// The time as the capture printed it, undoing the clock steps before `time`.
    pub fn printed(&self, time: PacketTime) -> PacketTime {
        self.steps.iter().rev().find(|step| step.from <= time).map_or(time, |step| time - step.offset)
    }

    /// That time in a sentence.
    pub fn clock(&self, time: PacketTime) -> String {
        self.printed(time).to_the_second()
    }

    /// Handles all deadlines up to `now`, each at its own time.
    pub fn advance(&mut self, now: PacketTime) {
        while self.step(now) {}
    }

    /// Handles the first of the deadlines up to `now`, and tells whether there was one. What it brings about is best told before the next
    /// one lets go of what it is about.
    pub fn step(&mut self, now: PacketTime) -> bool {
        self.started.get_or_insert(now);
        self.now = self.now.max(now);
        if self.now < self.quiet_until {
            return false;
        }
        let next = self.next_deadline();
        let is_due = next <= self.now;
        if is_due {
            self.expire(next);
        } else {
            self.quiet_until = next;
        }
        is_due
    }

    /// Takes note of a flaw of the capture that ends at `now`, before the deadlines that fell due in it are handled: what they would
    /// conclude from what is missing nobody can know.
    pub fn foresee(&mut self, signal: &Signal, now: PacketTime) {
        self.world.absence.note(signal, now);
    }

    /// Handles something that is not a message.
    pub fn signal(&mut self, signal: &Signal, at: Sighting) {
        let now = at.time;
        self.foresee(signal, now);
        self.advance(now);
        self.quiet_until = PacketTime::MIN;
        if at.frame != 0 {
            self.world.absence.hear(now);
        }
        match signal {
            Signal::Keepalive(flow, kind) => {
                let rank = self.world.rank(*flow);
                let before = self.world.flows.note(*flow, rank, now);
                self.world.peers.note(*flow, now);
                if let Some(interval) = self.world.flows.note_keepalive(*flow, *kind, now) {
                    self.world.tell(Event::KeepaliveInterval { flow: *flow, kind: *kind, interval });
                }
                self.nat.keepalive(&mut self.world, &mut self.registrations, *flow, before, at);
            }
            Signal::Unreachable(flow) => self.world.unreached.note(*flow, now),
            Signal::Closed(flow) => self.registrations.disconnected(&mut self.world, *flow, at),
            Signal::ClockStep { by } => {
                let offset = self.steps.last().map_or(Span::ZERO, |step| step.offset) + *by;
                if self.steps.len() < STEPS {
                    self.steps.push(Step { from: now, offset });
                }
            }
            _ => {}
        }
        if !matches!(signal, Signal::Keepalive(..) | Signal::Closed(_)) {
            self.world.tell(Event::Noticed { signal: *signal, at });
        }
    }

    /// The tables: name, entries held, entries dropped for lack of room.
    pub fn tables(&self) -> Vec<(&'static str, usize, u64)> {
        let [phones, sites] = self.nat.sizes();
        let [aors, devices, attempts, addresses, disconnected] = self.registrations.sizes();
        let named = |name, (held, evicted): (usize, u64)| (name, held, evicted);
        vec![
            named("transactions", self.world.transactions.size()),
            named("calls", self.calls.size()),
            named("call_aliases", self.calls.aliases_size()),
            named("finished_calls", self.calls.finished_size()),
            named("phones", phones),
            named("sites", sites),
            named("aors", aors),
            named("devices", devices),
            named("device_addresses", addresses),
            named("ended_connections", disconnected),
            named("registration_attempts", attempts),
            named("flows", self.world.flows.size()),
            named("sources", self.world.peers.size()),
            named("scan_sources", self.scans.size()),
            named("nonces", self.world.nonces_size()),
        ]
    }

    /// When [`Self::advance`] next has something to do.
    fn next_deadline(&self) -> PacketTime {
        self.world
            .transactions
            .next_deadline()
            .min(self.calls.next_deadline())
            .min(self.registrations.next_deadline())
            .min(self.nat.next_deadline())
            .min(self.world.next_deadline())
            .min(self.orphans.next_deadline())
            .min(self.scans.next_deadline())
            .min(self.legs.next_deadline())
    }

    fn expire(&mut self, now: PacketTime) {
        if self.world.transactions.next_deadline() <= now {
            self.expire_transactions(now);
        }
        if self.registrations.next_deadline() <= now {
            self.registrations.expire(&mut self.world, now);
        }
        if self.nat.next_deadline() <= now {
            self.nat.expire(&mut self.world, &self.registrations, now);
        }
        if self.calls.next_deadline() <= now {
            self.calls.expire(&mut self.world, now);
        }
        for (call, end) in self.calls.take_unseen_ends() {
            self.orphans.ended(&mut self.world, &mut self.calls, call, Sighting { time: end, frame: 0 });
        }
        if self.orphans.next_deadline() <= now {
            self.orphans.expire(&mut self.world, &mut self.calls, now);
        }
        if self.world.next_deadline() <= now {
            self.world.expire(now);
        }
        if self.scans.next_deadline() <= now {
            self.expire_scans(now);
        }
        self.legs.expire(now);
    }
}
