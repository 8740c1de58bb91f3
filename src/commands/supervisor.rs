//! Looks after the threads of the daemon, whether they hold no privilege and get on, and tells the service manager.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::condition::Condition;
use super::exit::{Exit, Failure};
use crate::config::{Tunnel, Tunnels};
use crate::decode::outcome::Skip;
use crate::pipeline::pulse::{BEAT, Pulse};
use crate::pipeline::stop::{Stop, StopHandle};
use crate::process::manager::{self, Told};
use crate::process::privileges::{self, PrivilegeError};

/// The threads of a pipeline besides one for each source: ingest and the engine.
const STAGES: usize = 2;
/// How often it is looked whether all threads have begun.
const BEGINNING: Duration = Duration::from_millis(5);
/// How often the threads are looked at, unless the service manager wants to hear of them more often.
const ROUND: Duration = Duration::from_secs(10);
/// The shortest time between two looks at which every thread that is well has beaten.
const SHORTEST_ROUND: Duration = BEAT.saturating_mul(2);

/// What the engine has in hand: calls, open findings, and tunnels in which packets came that were not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct InHand {
    pub(super) calls: usize,
    pub(super) findings: usize,
    pub(super) unread: Tunnels,
}

/// Asks the engine; `None` where it does not answer.
pub(super) type AskInHand = Box<dyn Fn() -> Option<InHand> + Send>;

/// Whoever looks after the threads.
pub(super) struct Supervisor {
    pub(super) pulse: Pulse,
    pub(super) stop: Stop,
    pub(super) handle: StopHandle,
    pub(super) condition: Arc<Condition>,
    pub(super) in_hand: AskInHand,
}

/// A supervisor at work.
pub(super) struct Supervised(JoinHandle<Result<(), PrivilegeError>>);

impl Supervised {
    /// Waits until the supervisor has heard of the end; says what it found wrong.
    pub(super) fn end(self) -> Result<(), Failure> {
        let ended = self.0.join().map_err(|_| Failure::new(Exit::Refused, "the thread that looks after the others failed"))?;
        Ok(ended?)
    }
}

impl Supervisor {
    /// Starts looking.
    pub(super) fn start(self) -> Result<Supervised, Failure> {
        let thread = Builder::new().name("supervisor".to_owned()).spawn(move || self.run());
        thread.map(Supervised).map_err(|error| Failure::new(Exit::Refused, format_args!("cannot start the supervisor: {error}")))
    }

    fn run(&self) -> Result<(), PrivilegeError> {
        while self.pulse.begun() < STAGES + self.condition.sources_count() {
            if self.stop.requested_within(BEGINNING) {
                return Ok(());
            }
        }
        match privileges::verify() {
            Ok(threads) => tracing::debug!(threads, "No thread has a capability"),
            Err(error) => {
                self.handle.stop();
                return Err(error);
            }
        }
        self.condition.begin();
        tracing::info!(interfaces = self.condition.line(), "Capturing");
        tell(Told::Ready(&self.condition.line()));
        let round = round(manager::watchdog());
        let mut warned = Tunnels::NONE;
        while !self.stop.requested_within(round) {
            self.look(&tell);
            let in_hand = (self.in_hand)();
            let unread = in_hand.map_or(Tunnels::NONE, |in_hand| in_hand.unread);
            for tunnel in unread.iter().filter(|tunnel| !warned.contains(*tunnel)) {
                tracing::warn!("{}", advice(tunnel));
            }
            warned = unread.iter().fold(warned, Tunnels::with);
            tell(Told::Status(&self.status(in_hand)));
        }
        tell(Told::Stopping("Saving what is open"));
        Ok(())
    }

    /// Says that all threads get on, if they do.
    fn look(&self, tell: &dyn Fn(Told<'_>)) {
        let stalled = self.pulse.stalled();
        if stalled.is_empty() {
            tell(Told::Alive);
        } else {
            tracing::error!(threads = stalled.join(", "), "Threads do not get on; the service manager is not told that all is well");
        }
    }

    fn status(&self, in_hand: Option<InHand>) -> String {
        match in_hand {
            Some(InHand { calls, findings, .. }) => format!("{}; {calls} calls, {findings} findings open", self.condition.line()),
            None => format!("{}; the engine does not answer", self.condition.line()),
        }
    }
}

/// What to do about packets in a tunnel that is not read.
fn advice(tunnel: Tunnel) -> String {
    let (name, counted) = (tunnel.as_str(), Skip::from(tunnel).as_str());
    format!(
        "What may be SIP comes in a tunnel and is not read, since whoever can send such packets to this host can write any address into them; \
         siphound_capture_frames_total{{outcome=\"{counted}\"}} counts them. If a mirror sends them, and a firewall lets them in from there alone, \
         set tunnels = [\"{name}\"] in [capture]"
    )
}

/// Often enough for the service manager, seldom enough for each thread to beat.
fn round(watchdog: Option<Duration>) -> Duration {
    watchdog.map_or(ROUND, |limit| (limit / 2).clamp(SHORTEST_ROUND, ROUND))
}

/// Tells the service manager. One that does not listen is told of once in a log that is read for it.
pub(super) fn tell(told: Told<'_>) {
    if let Err(error) = manager::tell(told) {
        tracing::debug!(%error, "The service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::pipeline::stop::stop;

    fn supervisor(pulse: Pulse) -> Supervisor {
        let (handle, stop) = stop();
        let condition = Arc::new(Condition::new(&["eth0".to_owned()]));
        Supervisor { pulse, stop, handle, condition, in_hand: Box::new(|| Some(InHand { calls: 3, findings: 1, unread: Tunnels::NONE })) }
    }

    #[test]
    fn the_service_manager_is_not_told_that_all_is_well_while_a_thread_is_stuck() {
        let pulse = Pulse::default();
        let (engine, capture) = (pulse.register("engine"), pulse.register("capture on eth0"));
        let supervisor = supervisor(pulse);
        let alive = RefCell::new(0);
        let look = || {
            supervisor.look(&|told| *alive.borrow_mut() += i32::from(told == Told::Alive));
            *alive.borrow()
        };
        assert_eq!(look(), 0, "nobody has begun");
        engine.beat();
        capture.beat();
        assert_eq!(look(), 1);
        capture.beat();
        assert_eq!(look(), 1, "the engine is stuck");
        engine.beat();
        assert_eq!(look(), 1, "the capture is stuck");
        engine.beat();
        capture.beat();
        assert_eq!(look(), 2);
    }

    #[test]
    fn the_status_says_what_is_in_hand() {
        let supervisor = supervisor(Pulse::default());
        supervisor.condition.begin();
        assert_eq!(supervisor.status((supervisor.in_hand)()), "Capturing on eth0; 3 calls, 1 findings open");
    }

    #[test]
    fn who_has_a_mirror_reads_what_to_set() {
        let advice = advice(Tunnel::Erspan);
        // Anybody can send a packet in a tunnel, and nobody looks at what it says.
        assert!(advice.starts_with("What may be SIP comes"), "{advice}");
        assert!(advice.contains("tunnels = [\"erspan\"]") && advice.contains("outcome=\"erspan_tunnel\""), "{advice}");
    }

    #[test]
    fn looks_are_as_frequent_as_the_service_manager_wants_and_the_threads_can() {
        for (limit, expected) in [(None, 10), (Some(120), 10), (Some(12), 6), (Some(1), 2)] {
            assert_eq!(round(limit.map(Duration::from_secs)), Duration::from_secs(expected), "{limit:?}");
        }
    }
}
