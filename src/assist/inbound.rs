//! Steps 4 and 5: the user is called, at once or after the phone did nothing for a while.

use crate::assist::step::{Ended, Scene};
use crate::assist::words::{lasting, times};
use crate::detect::listener::Heard;
use crate::report::model::StepResult;
use crate::report::sentence::became;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::{Direction, Outcome};

/// A phone that rings so late did not get the first INVITEs: they were lost on the way, or it was asleep.
const LATE: Span = Span::from_secs(4);

/// How long the phone must have done nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    /// From when on a call counts.
    pub(super) until: PacketTime,
    /// For how long.
    pub(super) span: Span,
    told: bool,
}

impl Idle {
    pub(super) fn new(until: PacketTime, span: Span) -> Self {
        Self { until, span, told: false }
    }
}

/// The inbound call in progress.
#[derive(Debug)]
pub(super) struct Inbound {
    idle: Option<Idle>,
    call: Option<Handle>,
    invited: PacketTime,
    /// The phone that the earlier steps were about.
    device: Option<Handle>,
    elsewhere: Option<Handle>,
}

impl Inbound {
    pub(super) fn new(device: Option<Handle>, idle: Option<Idle>) -> Self {
        Self { idle, call: None, invited: PacketTime::MIN, device, elsewhere: None }
    }

    pub(super) fn is(&self, call: Handle) -> bool {
        self.call == Some(call)
    }

    /// Whether a call to the phone was seen.
    pub(super) fn is_called(&self) -> bool {
        self.call.is_some()
    }

    /// When the agent shall call, where that is not at once.
    pub(super) fn deadline(&self) -> Option<PacketTime> {
        self.idle.filter(|idle| !idle.told).map(|idle| idle.until)
    }

    /// The phone has done nothing for long enough.
    pub(super) fn due(&mut self, scene: &mut Scene<'_>, at: PacketTime) {
        if let Some(idle) = &mut self.idle {
            idle.told = true;
            let text = format!("idle for {}: call the user now", lasting(idle.span));
            scene.pen.note(scene.tracker, at, text);
        }
    }

    /// An INVITE of the PBX that begins a call to a phone of the user.
    pub(super) fn invite(&mut self, scene: &mut Scene<'_>, heard: &Heard<'_>) {
        let tracker = scene.tracker;
        let Some(call) = tracker.calls.find(&tracker.world, &heard.message) else { return };
        let at = heard.at.time;
        if let Some(idle) = self.idle.filter(|idle| at < idle.until) {
            let text = format!("too early: the phone shall be idle for {} first, so this call does not count", lasting(idle.span));
            scene.pen.note(tracker, at, text);
            return;
        }
        let target = scene.who.device_at(tracker, heard.flow.destination);
        if let (Some(own), Some(other)) = (self.device, target)
            && own != other
        {
            self.elsewhere = Some(call);
            scene.pen.note(tracker, at, format!("that is another phone of {}, at {}", scene.who.name(), heard.flow.destination));
            return;
        }
        let place = target.and_then(|device| tracker.registrations.device(device)).map(|device| device.place);
        if let Some(place) = place.filter(|place| *place != heard.flow.destination && place.ip() == heard.flow.destination.ip()) {
            scene.pen.note(
                tracker,
                at,
                format!("the PBX calls port {}, but the phone was last seen at port {}", heard.flow.destination.port(), place.port()),
            );
        }
        self.call = Some(call);
        self.invited = at;
    }

    /// A message of the call: whether the phone rings.
    pub(super) fn look(&self, scene: &Scene<'_>, at: Sighting) -> Option<Ended> {
        let record = &scene.tracker.calls.get(self.call?)?.record;
        let (reached, what) = match (record.rang, record.answered) {
            (Some(rang), _) => (rang, "rang"),
            (None, Some(answered)) => (answered, "was answered"),
            (None, None) => return None,
        };
        let delay = reached.since(self.invited);
        let after = lasting(delay);
        if delay >= LATE {
            return Some(Ended::failed(at, format!("it {what} only after {after}: the first INVITEs did not reach the phone")));
        }
        Some(match self.idle {
            Some(idle) => {
                Ended::passed(at, format!("{what} after {after}, with the phone idle for {} before: no NAT gap", lasting(idle.span)))
            }
            None => Ended::passed(at, format!("{what} after {after}")),
        })
    }

    /// What tracking tells of the call, or of one that never reached the phone.
    pub(super) fn event(&self, scene: &Scene<'_>, event: &Event) -> Option<Ended> {
        match *event {
            Event::InviteUnanswered { call, request } if self.call == Some(call) => {
                let idle = self.idle.map_or_else(String::new, |idle| format!(" after {} idle: the NAT forgot it", lasting(idle.span)));
                let sent = times(request.transmissions);
                let deadline = Sighting { time: request.deadline, frame: 0 };
                Some(Ended::failed(deadline, format!("the phone did not answer INVITE, sent {sent} to {}{idle}", request.flow.destination)))
            }
            Event::CallOutcome { call, outcome, status, at } if outcome != Outcome::Unknown => {
                self.outcome(scene, call, outcome, status, at)
            }
            _ => None,
        }
    }

    /// What to say when the time is over.
    pub(super) fn time_out(at: Sighting, waited: &str) -> Ended {
        let because = format!("no call to this user was seen for {waited}: if one was placed, the PBX never called the phone");
        Ended::failed(at, because).next_step("Second level: check the routing of the number and the trunk (S2-e).")
    }

    fn outcome(&self, scene: &Scene<'_>, call: Handle, outcome: Outcome, status: u16, at: Sighting) -> Option<Ended> {
        let words = became(outcome, (status > 0).then_some(status));
        if self.call == Some(call) {
            return match outcome {
                Outcome::Answered | Outcome::NoResponse => None,
                Outcome::Cancelled | Outcome::CompletedElsewhere if status == 0 => {
                    Some(Ended::failed(at, format!("the call {words} before the phone gave a sign")))
                }
                Outcome::Busy | Outcome::Declined => Some(
                    Ended::failed(at, format!("the phone refused: the call {words}"))
                        .next_step("Check do-not-disturb, call forwarding and running calls on the phone."),
                ),
                _ => Some(Ended::failed(at, format!("the call {words}"))),
            };
        }
        if self.elsewhere == Some(call) && outcome == Outcome::Answered {
            let because = format!("another phone of {} took the call", scene.who.name());
            return Some(Ended::new(StepResult::Undecided, at, because).next_step("Let the user answer at the phone in question (S2-f)."));
        }
        self.never_called(scene, call, &words, outcome, at)
    }

    /// The PBX refused a call to the user without ever calling the phone.
    fn never_called(&self, scene: &Scene<'_>, call: Handle, words: &str, outcome: Outcome, at: Sighting) -> Option<Ended> {
        let tracker = scene.tracker;
        let entry = tracker.calls.get(call)?;
        let (user, host) = entry.to_aor.split_once('@').unwrap_or((&entry.to_aor, ""));
        let to_user = scene.who.is_party(tracker, user.as_bytes(), host.as_bytes());
        let refused =
            matches!(outcome, Outcome::Unavailable | Outcome::NotFound | Outcome::ServerError | Outcome::Timeout | Outcome::Forbidden);
        let incoming = entry.record.direction(&tracker.world.peers) == Direction::In;
        let began = entry.record.started >= self.idle.map_or(scene.pen.began, |idle| idle.until);
        if !(to_user && refused && incoming && began && self.call.is_none() && self.elsewhere.is_none()) {
            return None;
        }
        Some(
            Ended::failed(at, format!("a call to {} {words}, and the PBX never called the phone", scene.who.name()))
                .next_step("Check on the PBX whether it holds the phone for registered and reachable (S2-f)."),
        )
    }
}
