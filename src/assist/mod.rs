//! Live assistance: follows one user while a support agent has that user on the telephone (DETECTION §8.7).
//!
//! A [`Session`] is a state machine without IO: it hears what [`Listener`](crate::detect::listener::Listener) hears, packet time passes by
//! its last argument, and what it has to say is taken with [`Session::next_line`]. Once the steps are over it waits for the diagnosis of
//! [`Session::question`], which [`Session::conclude`] puts right by what the steps showed.

mod calls;
mod evidence;
mod hear;
mod inbound;
mod listening;
mod pen;
mod reconnection;
mod step;
mod verdict;
mod who;
mod words;

pub use listening::Shared;

use std::net::SocketAddr;

use crate::assist::calls::{Held, Hold, TestCall};
use crate::assist::evidence::{Findings, facts};
use crate::assist::hear::Pending;
use crate::assist::inbound::{Idle, Inbound};
use crate::assist::pen::Pen;
use crate::assist::reconnection::{Reconnection, Registered};
use crate::assist::step::{Ended, OF_HOLD, OF_INBOUND_CALL, OF_RECONNECTION, OF_TEST_CALL, Scene};
use crate::assist::verdict::{Failure, Shown, neighbours, settle};
use crate::assist::who::Who;
use crate::assist::words::{counted, lasting};
use crate::detect::catalog::FindingId;
use crate::detect::finding::Finding;
use crate::detect::store::FindingStore;
use crate::report::model::{AssistLine, AssistStep, Problem, Seconds, SessionBegan, Stamp, StepBegan, StepEnded, StepResult, Verdict};
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::Sighting;

/// Calls of the user that are followed at a time.
const CALLS: usize = 16;
/// How long a phone is left idle whose keep-alives are not known: the interval that many are set to.
const KEEPALIVE: Span = Span::from_secs(60);
/// How much longer than its keep-alive interval a phone is left idle (DETECTION §8.7).
const IDLE_MARGIN: Span = Span::from_secs(5);

/// What a session does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// An extension, an address-of-record, an address, or a Contact.
    pub user: String,
    /// The number that the user calls; any where there is none.
    pub echo: Option<String>,
    /// The steps, in order.
    pub steps: Vec<AssistStep>,
    /// How long each step waits.
    pub timeout: Span,
    /// How long a call is held.
    pub hold: Span,
    /// What follows a failure.
    pub on_failure: OnFailure,
}

impl Plan {
    /// The steps that are taken where none are named.
    pub const STEPS: [AssistStep; 4] = [AssistStep::Reconnection, AssistStep::TestCall, AssistStep::Hold, AssistStep::InboundCall];
    /// How long a step waits (DETECTION §8.7).
    pub const TIMEOUT: Span = Span::from_secs(180);
    /// How long a call is held: longer than the 32 s after which a call without ACK is dropped.
    pub const HOLD: Span = Span::from_secs(40);

    /// The usual steps for `user`.
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            echo: None,
            steps: Self::STEPS.to_vec(),
            timeout: Self::TIMEOUT,
            hold: Self::HOLD,
            on_failure: OnFailure::Conclude,
        }
    }
}

/// What follows a step that failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnFailure {
    /// The verdict.
    Conclude,
    /// The agent may repeat the step, for as long as a step waits; then the verdict.
    Wait,
}

/// What the agent asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// Leave the present step out.
    Skip,
    /// Begin the present step, or the one that failed, again.
    Repeat,
    /// No further step: the verdict.
    Finish,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// A step waits for something.
    Stepping,
    /// A step failed; the agent may repeat it until then.
    Failed(PacketTime),
    /// The steps are over; the diagnosis is waited for.
    Concluding,
    /// The verdict was told.
    Over,
}

/// What the present step does.
#[derive(Debug)]
enum Watch {
    Reconnection(Reconnection),
    TestCall(TestCall),
    Hold(Hold),
    Inbound(Inbound),
}

/// A session of live assistance.
#[derive(Debug)]
pub struct Session {
    plan: Plan,
    who: Who,
    pen: Pen,
    findings: Findings,
    phase: Phase,
    position: usize,
    watch: Watch,
    deadline: PacketTime,
    /// A failure whose finding may follow at once.
    failing: Option<Ended>,
    /// Packets from the user in this step.
    arrived: u64,
    calls: Vec<Handle>,
    /// The test call, once it was answered.
    held: Option<Held>,
    /// Where each phone of the user registered from last.
    places: Vec<(Handle, SocketAddr)>,
    /// The registration that is under way.
    pending: Option<Pending>,
    /// The last registration that the session saw.
    last_registered: Option<Registered>,
    /// When the phone was last heard of before the packet in hand.
    last_heard: Option<PacketTime>,
    /// The phone that reconnected or called.
    device: Option<Handle>,
    shown: Shown,
    began: PacketTime,
}

impl Session {
    /// Begins with the first step at `now`.
    pub fn begin(plan: Plan, tracker: &Tracker, findings: &FindingStore, now: PacketTime) -> Self {
        let who = Who::find(&plan.user, tracker);
        let first = plan.steps.first().copied().unwrap_or(AssistStep::Reconnection);
        let mut session = Self {
            findings: Findings::of(findings, tracker, &who),
            pen: Pen::new(first, now),
            phase: Phase::Stepping,
            position: 0,
            watch: Watch::Reconnection(Reconnection::default()),
            deadline: PacketTime::MAX,
            failing: None,
            arrived: 0,
            calls: Vec::new(),
            held: None,
            places: Vec::new(),
            pending: None,
            last_registered: None,
            last_heard: who.last_heard(tracker),
            device: None,
            shown: Shown::default(),
            began: now,
            who,
            plan,
        };
        if let Some(heard) = session.last_heard {
            session.pen.recall_last(tracker, heard);
        }
        session.introduce(tracker, now);
        session.enter(tracker, now);
        session
    }

    /// The next line, if there is one.
    pub fn next_line(&mut self) -> Option<AssistLine> {
        self.pen.next()
    }

    /// The complaint that the verdict shall be about, once the steps are over; `None` within for "is anything wrong?".
    pub fn question(&self) -> Option<Option<Problem>> {
        (self.phase == Phase::Concluding).then(|| {
            Some(match self.shown.failure.as_ref()?.step {
                AssistStep::Reconnection => Problem::CannotConnect,
                AssistStep::TestCall => Problem::CannotCall,
                AssistStep::Hold => Problem::CallDropped,
                AssistStep::InboundCall | AssistStep::IdleTest => Problem::CannotReceive,
            })
        })
    }

    /// The user, as the diagnosis finds it: the address-of-record once that is clear.
    pub fn user(&self) -> &str {
        self.who.name()
    }

    /// Tells the verdict: the diagnosis, put right by what the steps showed.
    pub fn conclude(&mut self, diagnosis: Verdict) {
        if self.phase == Phase::Concluding {
            self.phase = Phase::Over;
            let mut shown = std::mem::take(&mut self.shown);
            self.who.name().clone_into(&mut shown.name);
            shown.moments = self.pen.moments();
            self.pen.write(AssistLine::Verdict(Box::new(settle(shown, diagnosis))));
        }
    }

    /// Whether the verdict was told.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Does what the agent asks for.
    pub fn command(&mut self, command: Command, tracker: &Tracker, now: PacketTime) {
        self.advance(tracker, now);
        let at = Sighting { time: now, frame: 0 };
        match (self.phase, command) {
            (Phase::Stepping, Command::Skip) => {
                self.end(tracker, Ended::new(StepResult::Skipped, at, "skipped by the agent"), None);
            }
            (Phase::Stepping | Phase::Failed(_), Command::Repeat) => {
                if matches!(self.phase, Phase::Failed(_)) {
                    self.shown.results.pop();
                    self.shown.failure = None;
                    self.shown.nothing = None;
                }
                self.enter(tracker, now);
            }
            (Phase::Failed(_), Command::Skip) => self.next_step(tracker, now),
            (Phase::Stepping | Phase::Failed(_), Command::Finish) => self.phase = Phase::Concluding,
            (Phase::Concluding | Phase::Over, _) => {}
        }
    }

    /// There will be no further packet: what is open stays undecided.
    pub fn end_of_capture(&mut self, tracker: &Tracker, now: PacketTime) {
        self.advance(tracker, now);
        match self.phase {
            Phase::Stepping => {
                let because = match self.watch {
                    Watch::Hold(_) => "the capture ends while the call is up",
                    _ => "the capture ends before it came out",
                };
                self.end(tracker, Ended::new(StepResult::Undecided, Sighting { time: now, frame: 0 }, because), None);
                self.phase = Phase::Concluding;
            }
            Phase::Failed(_) => self.phase = Phase::Concluding,
            Phase::Concluding | Phase::Over => {}
        }
    }

    /// Time has passed until `now`: what is due ends first, at its own deadline.
    pub fn advance(&mut self, tracker: &Tracker, now: PacketTime) {
        if let Some(ended) = self.failing.take() {
            let finding = self.findings.explaining(self.explanations(), self.pen.began).cloned();
            self.end(tracker, ended, finding.as_ref());
        }
        while let Some(at) = self.due().filter(|at| *at <= now) {
            self.expire(tracker, at);
        }
    }

    /// When something is next due.
    fn due(&self) -> Option<PacketTime> {
        match (self.phase, &self.watch) {
            (Phase::Stepping, Watch::Hold(hold)) => Some(hold.deadline(self.plan.hold)),
            (Phase::Stepping, Watch::Inbound(inbound)) => Some(inbound.deadline().unwrap_or(self.deadline).min(self.deadline)),
            (Phase::Stepping, _) => Some(self.deadline),
            (Phase::Failed(until), _) => Some(until),
            (Phase::Concluding | Phase::Over, _) => None,
        }
    }

    fn expire(&mut self, tracker: &Tracker, at: PacketTime) {
        if matches!(self.phase, Phase::Failed(_)) {
            self.phase = Phase::Concluding;
            return;
        }
        let mut scene = Scene { tracker, who: &self.who, plan: &self.plan, pen: &mut self.pen };
        let ended = match &mut self.watch {
            Watch::Hold(step) => step.due(&mut scene, at),
            Watch::Inbound(step) if at < self.deadline => {
                step.due(&mut scene, at);
                None
            }
            _ => Some(self.timed_out(at)),
        };
        if let Some(ended) = ended {
            let finding = self.findings.explaining(self.explanations(), self.pen.began).cloned();
            let finding = finding.filter(|_| ended.result == StepResult::Failed);
            self.end(tracker, ended, finding.as_ref());
        }
    }

    /// The time of the step is over.
    fn timed_out(&mut self, at: PacketTime) -> Ended {
        let at = Sighting { time: at, frame: 0 };
        let waited = at.time.since(self.pen.began);
        let wants_user = matches!(self.watch, Watch::Reconnection(_) | Watch::TestCall(_));
        if self.arrived == 0 && wants_user {
            self.shown.nothing = Some(waited);
            return Ended::failed(at, format!("nothing arrived from this user for {}", lasting(waited)));
        }
        let in_time = lasting(waited);
        match &self.watch {
            Watch::Reconnection(step) => {
                let arrived = counted(self.arrived, "packet", "packets");
                Ended::failed(at, format!("{} within {in_time}, though {arrived} of this user did", step.time_out()))
            }
            Watch::TestCall(step) => step.time_out(at, &in_time),
            Watch::Hold(_) | Watch::Inbound(_) => Inbound::time_out(at, &in_time),
        }
    }

    fn introduce(&mut self, tracker: &Tracker, now: PacketTime) {
        let aors = self.who.aors(tracker);
        let devices = self.who.devices(tracker);
        self.places = devices.iter().map(|(handle, device)| (*handle, device.flow.source)).collect();
        let last = devices.last().map(|(_, device)| *device);
        self.pen.write(AssistLine::Began(SessionBegan {
            at: Stamp(tracker.printed(now)),
            user: self.plan.user.clone(),
            aors: aors.into_iter().map(String::from).collect(),
            source: last.map(|device| device.place),
            user_agent: last.map(|device| device.user_agent.to_string()).filter(|agent| !agent.is_empty()),
            registered: last.map(|_| devices.iter().any(|(_, device)| device.is_registered())),
            silent_s: self.last_heard.map(|heard| Seconds(now.since(heard))),
        }));
    }

    /// Begins the present step at `now`.
    fn enter(&mut self, tracker: &Tracker, now: PacketTime) {
        let Some(&step) = self.plan.steps.get(self.position) else {
            self.phase = Phase::Concluding;
            return;
        };
        self.phase = Phase::Stepping;
        self.arrived = 0;
        self.failing = None;
        self.pen.step = step;
        self.pen.began = now;
        self.deadline = now + self.plan.timeout;
        let name = self.who.name().to_owned();
        let echo = self.plan.echo.clone();
        let (watch, instruction, waiting_for) = match step {
            AssistStep::Reconnection => (
                Watch::Reconnection(Reconnection::default()),
                "Let the user force a reconnection: log off and on, or restart the phone.".to_owned(),
                format!("REGISTER of {name}"),
            ),
            AssistStep::TestCall => (
                Watch::TestCall(TestCall::default()),
                format!("Let the user call {}.", echo.as_deref().unwrap_or("any number")),
                format!("INVITE from {name} to {}", echo.as_deref().unwrap_or("any number")),
            ),
            AssistStep::Hold => match self.held {
                Some(held) => (
                    Watch::Hold(Hold::new(held)),
                    format!("Let the user stay in the call for at least {}.", lasting(self.plan.hold)),
                    "a hang-up that nobody wanted".to_owned(),
                ),
                None => {
                    self.leave_out(tracker, "there is no answered call to hold", now);
                    return;
                }
            },
            AssistStep::InboundCall => (
                Watch::Inbound(Inbound::new(self.device, None)),
                format!("Call {name} now, or let somebody call."),
                format!("INVITE from the PBX to {name}"),
            ),
            AssistStep::IdleTest => {
                let span = self.longest_keepalive(tracker).unwrap_or(KEEPALIVE) + IDLE_MARGIN;
                self.deadline = now + span + self.plan.timeout;
                (
                    Watch::Inbound(Inbound::new(self.device, Some(Idle::new(now + span, span)))),
                    format!("Let nobody touch the phone for {}, then call {name} again.", lasting(span)),
                    format!("INVITE from the PBX to {name} after {} of silence", lasting(span)),
                )
            }
        };
        self.watch = watch;
        let timeout = if step == AssistStep::Hold { self.plan.hold } else { self.deadline.since(now) };
        self.pen.write(AssistLine::Step(StepBegan {
            step,
            at: Stamp(tracker.printed(now)),
            instruction,
            waiting_for,
            timeout_s: Seconds(timeout),
            runbook: step.runbook(),
        }));
    }

    /// The longest interval between keep-alives of the phone.
    fn longest_keepalive(&self, tracker: &Tracker) -> Option<Span> {
        let devices = self.who.devices(tracker);
        let (_, device) = devices.iter().find(|(handle, _)| Some(*handle) == self.device).or_else(|| devices.last())?;
        let (_, _, longest) = tracker.world.flows.cadence(device.flow)?;
        Some(longest)
    }

    /// Leaves the present step out.
    fn leave_out(&mut self, tracker: &Tracker, because: &str, now: PacketTime) {
        self.end(tracker, Ended::new(StepResult::Skipped, Sighting { time: now, frame: 0 }, because), None);
    }

    /// Ends the present step, and begins the next or concludes.
    fn end(&mut self, tracker: &Tracker, ended: Ended, finding: Option<&Finding>) {
        let (step, at) = (self.pen.step, ended.at);
        if let Watch::TestCall(call) = &self.watch
            && ended.result == StepResult::Passed
        {
            let scene = Scene { tracker, who: &self.who, plan: &self.plan, pen: &mut self.pen };
            self.held = call.held(&scene);
            self.shown.reconnected = call.reconnected();
        }
        let why = finding.map_or(&*ended.because, |finding| finding.id.as_str());
        self.pen.recall(tracker, at, format!("{} {}: {why}", step, ended.result));
        let because = finding.filter(|_| ended.result == StepResult::Failed).map_or(&ended.because, |finding| &finding.message);
        let next_step = finding.map(|finding| finding.remedy.clone()).or(ended.next_step);
        self.pen.write(AssistLine::Result(StepEnded {
            step,
            at: Stamp(tracker.printed(at.time)),
            after_s: Seconds(at.time.since(self.pen.began)),
            result: ended.result,
            because: because.clone(),
            finding: finding.map(|finding| finding.id.as_str()),
            evidence: finding.map(|finding| facts(tracker, finding)).unwrap_or_default(),
            next_step: next_step.clone(),
        }));
        self.shown.results.push((step, ended.result));
        if ended.result != StepResult::Failed {
            self.next_step(tracker, at.time);
            return;
        }
        self.shown.failure = Some(Failure { step, because: because.clone(), finding: finding.map(|finding| finding.id), next_step });
        self.shown.neighbours = self.neighbours(tracker);
        self.phase = match self.plan.on_failure {
            OnFailure::Conclude => Phase::Concluding,
            OnFailure::Wait => Phase::Failed(at.time + self.plan.timeout),
        };
    }

    fn next_step(&mut self, tracker: &Tracker, now: PacketTime) {
        self.position += 1;
        self.enter(tracker, now);
    }

    fn neighbours(&self, tracker: &Tracker) -> (usize, usize) {
        neighbours(tracker, &self.who.addresses(tracker), |aor| self.who.is_aor(tracker, aor), self.began)
    }

    /// The findings that explain why the present step cannot work.
    fn explanations(&self) -> &'static [FindingId] {
        match self.pen.step {
            AssistStep::Reconnection => OF_RECONNECTION,
            AssistStep::TestCall => OF_TEST_CALL,
            AssistStep::Hold => OF_HOLD,
            AssistStep::InboundCall | AssistStep::IdleTest => OF_INBOUND_CALL,
        }
    }
}
