//! What a session hears: messages, keep-alives, and what tracking and the detectors make of them.

use std::net::SocketAddr;

use crate::assist::calls::begins_call;
use crate::assist::reconnection::{Registered, silence};
use crate::assist::step::{Ended, Scene};
use crate::assist::who::{is_from_pbx, sent_by};
use crate::assist::{CALLS, Phase, Session, Watch};
use crate::decode::flow::Transport;
use crate::decode::signal::Signal;
use crate::detect::catalog::FindingId;
use crate::detect::finding::Finding;
use crate::detect::listener::Heard;
use crate::detect::store::{ChangeKind, FindingChange};
use crate::report::model::{AssistStep, SentBy, StepResult};
use crate::sip::message::Kind;
use crate::sip::method::Method;
use crate::table::Handle;
use crate::time::Span;
use crate::track::event::{AttemptEnd, AttemptReport, Event, Sighting};
use crate::track::vocabulary::{Confidence, RegistrationState, Severity};
use crate::track::{Novelty, Tracker};

/// A registration that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    moved: Option<(SocketAddr, SocketAddr)>,
    silence: Option<Span>,
}

impl Session {
    /// A message that was tracked.
    pub fn message(&mut self, tracker: &Tracker, heard: &Heard<'_>) {
        self.advance(tracker, heard.at.time);
        if self.phase != Phase::Stepping || heard.novelty == Novelty::Foreign {
            return;
        }
        let message = heard.message;
        match message.method() {
            Method::Register => {
                if self.who.registers(tracker, message, heard.flow) {
                    self.registering(tracker, heard);
                }
            }
            Method::Options | Method::Notify | Method::Subscribe | Method::Publish | Method::Message => {
                if !is_from_pbx(tracker, heard.flow) && self.who.sends(tracker, message, heard.flow) {
                    self.arrived += 1;
                }
            }
            _ => self.calling(tracker, heard),
        }
        if self.who.sends(tracker, message, heard.flow) {
            self.last_heard = Some(heard.at.time);
        }
    }

    /// Something else that was captured: a keep-alive of the phone is a sign of life.
    pub fn signal(&mut self, tracker: &Tracker, signal: &Signal, at: Sighting) {
        self.advance(tracker, at.time);
        if let Signal::Keepalive(flow, _) = signal
            && self.who.has(tracker, flow.source)
        {
            self.arrived += 1;
            self.last_heard = Some(at.time);
        }
    }

    /// What tracking told.
    pub fn event(&mut self, tracker: &Tracker, event: &Event) {
        if self.phase != Phase::Stepping {
            return;
        }
        if let Event::RegistrationEnded(report) = event {
            if !self.who.is_aor(tracker, report.aor) {
                return;
            }
            if report.end == AttemptEnd::Accepted {
                self.note_registration(tracker, report);
            }
        }
        if let Event::RegistrationState { aor, to: RegistrationState::Unregistered, at, .. } = *event
            && self.who.is_aor(tracker, aor)
        {
            self.shown.logged_off = true;
            self.pending = None;
            self.pen.note(tracker, at.time, "the phone has logged off");
        }
        let mut scene = Scene { tracker, who: &self.who, plan: &self.plan, pen: &mut self.pen };
        let ended = match &mut self.watch {
            Watch::Reconnection(step) => step.event(&mut scene, event, self.shown.registered.as_ref()),
            Watch::TestCall(step) => step.event(&mut scene, event),
            Watch::Hold(step) => step.event(&mut scene, event),
            Watch::Inbound(step) => step.event(&scene, event),
        };
        match ended {
            Some(ended) if ended.result == StepResult::Failed => self.failing = Some(ended),
            Some(ended) => self.end(tracker, ended, None),
            None => {}
        }
    }

    /// What became of a finding: one that explains why the step cannot work ends it at once.
    pub fn finding(&mut self, tracker: &Tracker, change: &FindingChange) {
        let Some(finding) = self.findings.note(tracker, &self.who, &self.calls, change).cloned() else { return };
        if self.phase != Phase::Stepping || finding.last < self.pen.began {
            return;
        }
        if !self.explanations().contains(&finding.id) {
            if finding.severity > Severity::Info && change.kind == ChangeKind::Raised {
                self.pen.note(tracker, change.at, format!("{}: {}", finding.id, finding.message));
            }
            return;
        }
        if let Some(ended) = self.failing.take() {
            self.end(tracker, ended, Some(&finding));
        } else if self.is_proof(&finding) {
            let at = Sighting { time: change.at, frame: 0 };
            self.end(tracker, Ended::failed(at, finding.message.clone()), Some(&finding));
        } else {
            self.pen.note(tracker, change.at, format!("{} ({}): {}", finding.id, finding.confidence, finding.message));
        }
    }

    /// A REGISTER of the user, or an answer to one.
    fn registering(&mut self, tracker: &Tracker, heard: &Heard<'_>) {
        let from = sent_by(tracker, &self.who, heard);
        self.arrived += u64::from(from == SentBy::Phone);
        let is_new = heard.message.kind() == Kind::Request(Method::Register) && heard.novelty == Novelty::Distinct;
        let was = if is_new { self.registers_from(tracker, heard) } else { None };
        self.pen.packet(tracker, heard, from, was);
        if let Watch::Reconnection(step) = &mut self.watch {
            step.message(heard);
        }
    }

    /// Takes note of where a REGISTER comes from; tells where the phone registered from before, if that was elsewhere.
    fn registers_from(&mut self, tracker: &Tracker, heard: &Heard<'_>) -> Option<SocketAddr> {
        let source = heard.flow.source;
        let silence = silence(self.last_heard, heard.at.time);
        let pending = self.pending.get_or_insert(Pending { moved: None, silence });
        let devices = self.who.devices(tracker);
        let (device, _) = devices.iter().find(|(_, device)| device.flow.source == source && device.last_register == heard.at.time)?;
        let Some((_, place)) = self.places.iter_mut().find(|(known, _)| known == device) else {
            // What another phone was like before says nothing about this one.
            pending.silence = None;
            self.places.push((*device, source));
            return None;
        };
        let was = std::mem::replace(place, source);
        if was == source {
            return None;
        }
        // A stream has a new port each time it is opened.
        if heard.flow.transport == Transport::Udp || was.ip() != source.ip() {
            pending.moved = Some((was, source));
        }
        Some(was)
    }

    /// Takes note of an accepted REGISTER.
    fn note_registration(&mut self, tracker: &Tracker, report: &AttemptReport) {
        let pending = self.pending.take();
        self.device = Some(report.device);
        let registered = Registered {
            first: report.first,
            moved: pending.and_then(|pending| pending.moved),
            was_registered: report.was_registered || self.shown.logged_off,
            silence: pending.and_then(|pending| pending.silence),
        };
        // What mended the trouble is what the verdict is about, however often the phone registers after that.
        if self.shown.registered.is_none_or(|known| !known.mends() || registered.mends()) {
            self.shown.registered = Some(registered);
        }
        if registered.mends() || self.pen.step == AssistStep::Reconnection {
            self.pen.recall(tracker, report.first, registered.words());
        }
        self.last_registered = Some(registered);
    }

    /// A message of a call.
    fn calling(&mut self, tracker: &Tracker, heard: &Heard<'_>) {
        let from = sent_by(tracker, &self.who, heard);
        let from_pbx = from == SentBy::Pbx;
        let begins = begins_call(heard);
        let inbound = begins && from_pbx && self.who.is_called(tracker, heard.message, heard.flow);
        let outbound = begins && !from_pbx && self.who.calls(tracker, heard.message, heard.flow);
        let call = tracker.calls.find(&tracker.world, &heard.message);
        if inbound || outbound {
            self.follow(call);
        }
        let followed = call.is_some_and(|call| self.calls.contains(&call));
        let own_end = self.who.may_be_at(tracker, heard.flow.source) || self.who.may_be_at(tracker, heard.flow.destination);
        if !(inbound || outbound || followed && own_end || followed && self.is_mine(call)) {
            return;
        }
        if outbound && self.pen.step == AssistStep::Reconnection {
            // A user who calls at once has a phone that is connected.
            self.leave_out(tracker, "the phone calls without reconnecting", heard.at.time);
        }
        self.arrived += u64::from(!from_pbx);
        self.pen.packet(tracker, heard, from, None);
        if begins {
            self.call_began(tracker, heard, inbound);
        }
        self.look(tracker, heard.at, call);
    }

    fn call_began(&mut self, tracker: &Tracker, heard: &Heard<'_>, inbound: bool) {
        let registered = self.last_registered;
        let mut scene = Scene { tracker, who: &self.who, plan: &self.plan, pen: &mut self.pen };
        match &mut self.watch {
            Watch::TestCall(step) if !inbound => step.invite(&mut scene, heard, registered.as_ref()),
            Watch::Inbound(step) if inbound => step.invite(&mut scene, heard),
            _ => {}
        }
    }

    /// Looks at the call of the step after something happened to it.
    fn look(&mut self, tracker: &Tracker, at: Sighting, call: Option<Handle>) {
        let mut scene = Scene { tracker, who: &self.who, plan: &self.plan, pen: &mut self.pen };
        let ended = match &mut self.watch {
            Watch::TestCall(step) if call.is_some_and(|call| step.is(call)) => step.look(&mut scene, at),
            Watch::Inbound(step) if call.is_some_and(|call| step.is(call)) => step.look(&scene, at),
            _ => None,
        };
        if let Some(ended) = ended {
            self.end(tracker, ended, None);
        }
    }

    /// Whether a finding is sure enough to end the step. What the OPTIONS of the PBX show is no call that failed, and what only now comes
    /// out about the time before the step says nothing about the step.
    fn is_proof(&self, finding: &Finding) -> bool {
        let of_server = finding.id == FindingId::PbxNotResponding;
        let tried = !matches!(&self.watch, Watch::Inbound(step) if !step.is_called());
        let of_step = finding.evidence.iter().any(|fact| fact.at >= self.pen.began);
        finding.confidence > Confidence::Suspected && of_step && (tried || of_server)
    }

    /// Whether a call is the one that the step is about.
    fn is_mine(&self, call: Option<Handle>) -> bool {
        call.is_some_and(|call| match &self.watch {
            Watch::TestCall(step) => step.is(call),
            Watch::Hold(step) => step.is(call),
            Watch::Inbound(step) => step.is(call),
            Watch::Reconnection(_) => false,
        })
    }

    fn follow(&mut self, call: Option<Handle>) {
        let Some(call) = call.filter(|call| !self.calls.contains(call)) else { return };
        if self.calls.len() == CALLS {
            self.calls.remove(0);
        }
        self.calls.push(call);
    }
}
