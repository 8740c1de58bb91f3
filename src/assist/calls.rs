//! Steps 2 and 3: the user places a call, and stays in it.

use crate::assist::reconnection::Registered;
use crate::assist::step::{Ended, Scene};
use crate::assist::words::lasting;
use crate::detect::listener::Heard;
use crate::report::model::StepResult;
use crate::report::sentence::became;
use crate::sip::message::{Kind, Message};
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Novelty;
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::{EndedBy, Outcome};

/// A registration so shortly before a call was taken up in order to place it (DETECTION §8.2).
pub(super) const TO_PLACE_IT: Span = Span::from_secs(30);
/// How long an answered call waits for its ACK before the hold begins without it.
const ACK: Span = Span::from_secs(1);
/// How long after the hold is proved its end is waited for, to say who hung up.
const HANG_UP: Span = Span::from_secs(20);

/// A call of the user that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) call: Handle,
    /// Its 2xx.
    pub(super) answered: PacketTime,
}

/// The test call in progress.
#[derive(Debug, Default)]
pub(super) struct TestCall {
    call: Option<Handle>,
    reconnected: Option<Span>,
    refused: u64,
}

impl TestCall {
    /// An INVITE of the user that begins a call: takes it for the test call if it goes where it shall.
    pub(super) fn invite(&mut self, scene: &mut Scene<'_>, heard: &Heard<'_>, registered: Option<&Registered>) {
        if !is_wanted(scene, heard.message) {
            let number = scene.plan.echo.as_deref().unwrap_or_default();
            let text = format!("that call does not go to {number}: it does not count");
            scene.pen.note(scene.tracker, heard.at.time, text);
            return;
        }
        let Some(call) = scene.tracker.calls.find(&scene.tracker.world, &heard.message) else { return };
        if self.call == Some(call) {
            return;
        }
        *self = Self { call: Some(call), reconnected: None, refused: self.refused };
        if let Some(registered) = registered.filter(|registered| registered.mends()) {
            let before = heard.at.time.since(registered.first.time);
            if before <= TO_PLACE_IT {
                self.reconnected = Some(before);
                let text = format!("the phone re-registered {} before the call: temporary network problem likely (S1-d)", lasting(before));
                scene.pen.note(scene.tracker, heard.at.time, text);
            }
        }
    }

    /// How long before the call the phone had reconnected to place it.
    pub(super) fn reconnected(&self) -> Option<Span> {
        self.reconnected
    }

    /// The call, once it was answered.
    pub(super) fn held(&self, scene: &Scene<'_>) -> Option<Held> {
        let call = self.call?;
        Some(Held { call, answered: scene.tracker.calls.get(call)?.record.answered? })
    }

    /// A message of the test call, or the passing of time: whether it is answered.
    pub(super) fn look(&mut self, scene: &mut Scene<'_>, at: Sighting) -> Option<Ended> {
        let call = scene.tracker.calls.get(self.call?)?;
        let answered = call.record.answered?;
        let patient = at.time.since(answered) >= ACK;
        if !call.is_acked() && !patient {
            return None;
        }
        let setup = call.record.setup().map_or_else(String::new, |setup| format!(" after {} (SRD)", lasting(setup)));
        let acked = if call.is_acked() { "" } else { ", but no ACK has come yet" };
        Some(Ended::passed(at, format!("answered{setup}{acked}")))
    }

    /// What tracking tells of the test call.
    pub(super) fn event(&mut self, scene: &mut Scene<'_>, event: &Event) -> Option<Ended> {
        let Event::CallOutcome { call, outcome, status, at } = *event else { return None };
        if self.call != Some(call) || outcome == Outcome::Answered {
            return None;
        }
        let words = became(outcome, (status > 0).then_some(status));
        if is_people(outcome) {
            self.call = None;
            self.refused += 1;
            scene.pen.note(
                scene.tracker,
                at.time,
                format!("the call {words}: that is no fault of the phone. Let the user call another number"),
            );
            return None;
        }
        if outcome == Outcome::Unknown {
            scene.pen.note(scene.tracker, at.time, "how that call came out was not captured");
            self.call = None;
            return None;
        }
        Some(Ended::failed(at, format!("the call {words}")))
    }

    /// What to say when the time is over.
    pub(super) fn time_out(&self, at: Sighting, waited: &str) -> Ended {
        if self.call.is_some() {
            return Ended::failed(at, format!("the call was not answered within {waited}"));
        }
        if self.refused > 0 {
            return Ended::new(StepResult::Undecided, at, "each call was refused or given up by people");
        }
        Ended::failed(at, format!("no call came within {waited}: if the user tried, it never left the phone"))
            .next_step("Check account, line key and dial plan of the phone (S1-c).")
    }

    pub(super) fn is(&self, call: Handle) -> bool {
        self.call == Some(call)
    }
}

/// Whether an INVITE goes to the number that was agreed on, or to any where none was.
fn is_wanted(scene: &Scene<'_>, message: Message<'_>) -> bool {
    let called = message.to().uri;
    scene.plan.echo.as_deref().is_none_or(|echo| called.user == echo.as_bytes())
}

/// Whether people and not technology ended a call.
pub(super) fn is_people(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Busy | Outcome::NoAnswer | Outcome::Declined | Outcome::Cancelled | Outcome::CompletedElsewhere | Outcome::Redirected
    )
}

/// The hold in progress.
#[derive(Debug)]
pub(super) struct Hold {
    held: Held,
    proved: bool,
}

impl Hold {
    pub(super) fn new(held: Held) -> Self {
        Self { held, proved: false }
    }

    pub(super) fn is(&self, call: Handle) -> bool {
        self.held.call == call
    }

    /// When something is next due.
    pub(super) fn deadline(&self, hold: Span) -> PacketTime {
        self.held.answered + hold + if self.proved { HANG_UP } else { Span::ZERO }
    }

    /// Its time has come: the hold is proved, or nobody hangs up.
    pub(super) fn due(&mut self, scene: &mut Scene<'_>, at: PacketTime) -> Option<Ended> {
        if self.proved {
            let still = lasting(at.since(self.held.answered));
            return Some(Ended::passed(Sighting { time: at, frame: 0 }, format!("held {still}; the call is still up")));
        }
        self.proved = true;
        let text = format!("held {}: that is enough, the user may hang up", lasting(scene.plan.hold));
        scene.pen.note(scene.tracker, at, text);
        None
    }

    /// What tracking tells of the call.
    pub(super) fn event(&mut self, scene: &mut Scene<'_>, event: &Event) -> Option<Ended> {
        let Event::CallEnded { call, at } = *event else { return None };
        if call != self.held.call {
            return None;
        }
        let talked = lasting(at.time.since(self.held.answered));
        let (who, by) = self.ender(scene);
        let reason = scene.tracker.calls.get(call).and_then(|call| call.record.end_reason.clone());
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        let ended = format!("{who} hung up after {talked}{reason}");
        Some(match (self.proved, by) {
            (true, _) => Ended::passed(at, ended),
            (false, Ender::Person) => {
                let needed = lasting(scene.plan.hold);
                Ended::new(StepResult::Undecided, at, format!("{ended}, before the {needed} were over"))
            }
            (false, Ender::Server) => Ended::failed(at, ended),
        })
    }

    /// Who began the end of the call. The other side of a back-to-back PBX shows in its other leg.
    fn ender(&self, scene: &Scene<'_>) -> (String, Ender) {
        let calls = &scene.tracker.calls;
        if calls.get(self.held.call).is_some_and(|call| call.record.ended_by == Some(EndedBy::Caller)) {
            return (scene.who.name().to_owned(), Ender::Person);
        }
        let far = calls.partners(self.held.call).find(|(_, leg)| leg.record.ended_by == Some(EndedBy::Callee));
        match far {
            Some((_, leg)) => (format!("the called side ({})", leg.record.to), Ender::Person),
            None => ("the PBX".to_owned(), Ender::Server),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ender {
    Person,
    Server,
}

/// Whether a message begins a call.
pub(super) fn begins_call(heard: &Heard<'_>) -> bool {
    heard.message.kind() == Kind::Request(Method::Invite) && heard.message.to_tag().is_none() && heard.novelty == Novelty::Distinct
}
