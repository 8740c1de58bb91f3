//! Step 1: the phone connects anew. A REGISTER in a transaction of its own counts, a refresh too; a repeat of an earlier one does not.

use std::net::SocketAddr;

use crate::assist::pen::takes_back;
use crate::assist::step::{Ended, Scene};
use crate::assist::words::{counted, lasting, times};
use crate::detect::catalog::rejection_remedy;
use crate::detect::listener::Heard;
use crate::sip::message::Kind;
use crate::sip::method::Method;
use crate::time::{PacketTime, Span};
use crate::track::Novelty;
use crate::track::event::{AttemptEnd, AttemptReport, Event, Sighting};

/// What is remembered of the last registration that the session saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registered {
    /// The first REGISTER.
    pub(super) first: Sighting,
    /// From and to where the phone moved with it.
    pub(super) moved: Option<(SocketAddr, SocketAddr)>,
    /// Whether it was registered before.
    pub(super) was_registered: bool,
    /// How long nothing had come from the phone.
    pub(super) silence: Option<Span>,
}

impl Registered {
    /// Whether it speaks for a trouble before: a binding that had died, or a registration that was gone.
    pub(super) fn mends(&self) -> bool {
        self.moved.is_some() || (!self.was_registered && self.silence.is_some())
    }

    /// What the verdict recalls of it.
    pub(super) fn words(&self) -> String {
        let silence = self.silence.map_or_else(String::new, |silence| format!(" after {} without a packet", lasting(silence)));
        match self.moved {
            Some((old, new)) => format!("REGISTER from {new} (was {old}){silence}"),
            None => format!("REGISTER{silence}"),
        }
    }
}

/// The step in progress.
#[derive(Debug, Default)]
pub(super) struct Reconnection {
    registers: u64,
    repeats: u64,
    answered: u64,
    logged_off: bool,
}

impl Reconnection {
    /// A REGISTER of the user, or an answer to one.
    pub(super) fn message(&mut self, heard: &Heard<'_>) {
        match (heard.message.kind(), heard.novelty) {
            (Kind::Request(Method::Register), Novelty::Retransmission) => self.repeats += 1,
            (Kind::Request(Method::Register), Novelty::Distinct) => {
                self.registers += 1;
                self.logged_off |= takes_back(heard.message);
            }
            (Kind::Response(_), _) => self.answered += 1,
            _ => {}
        }
    }

    /// What tracking tells of the user's attempts; `registered` is what came of the last one.
    pub(super) fn event(&mut self, scene: &mut Scene<'_>, event: &Event, registered: Option<&Registered>) -> Option<Ended> {
        let Event::RegistrationEnded(report) = event else { return None };
        if report.first.time < scene.pen.began {
            scene.pen.note(scene.tracker, report.last.time, "that REGISTER was first sent before this step began: it does not count");
            return None;
        }
        match report.end {
            AttemptEnd::Accepted => registered.map(|registered| self.passed(report, registered)),
            end => failed(scene, report, end),
        }
    }

    /// What to say when the time is over.
    pub(super) fn time_out(&self) -> String {
        match (self.registers, self.repeats) {
            (0, 0) => "no REGISTER came".to_owned(),
            (0, repeats) => format!("only {} of an earlier REGISTER came", counted(repeats, "repeat", "repeats")),
            (registers, repeats) => format!(
                "{} came, {} and {}, and none was accepted",
                counted(registers, "REGISTER", "REGISTERs"),
                counted(repeats, "repeat", "repeats"),
                counted(self.answered, "answer", "answers")
            ),
        }
    }

    fn passed(&self, report: &AttemptReport, registered: &Registered) -> Ended {
        let delay = lasting(report.last.time.since(report.first.time));
        let moved = match registered.moved {
            Some((old, new)) if old.ip() == new.ip() => format!(", from a new port ({} → {})", old.port(), new.port()),
            Some((old, new)) => format!(", from a new address ({} → {})", old.ip(), new.ip()),
            None => String::new(),
        };
        let after = if self.logged_off { " after logging off" } else { "" };
        let before = if registered.was_registered || registered.silence.is_none() { "" } else { "; it was not registered before" };
        Ended::passed(report.last, format!("registered{after} within {delay} (RRD){moved}{before}"))
    }
}

fn failed(scene: &mut Scene<'_>, report: &AttemptReport, end: AttemptEnd) -> Option<Ended> {
    let status = report.status;
    let said = scene.tracker.registrations.refusal(report).map_or_else(|| status.to_string(), ToString::to_string);
    let failed = |because: String, next: &str| Some(Ended::failed(report.answered, because).next_step(next));
    match end {
        AttemptEnd::Accepted => None,
        AttemptEnd::ContactDropped => failed(
            format!("the PBX said {status} and kept other phones in place of this one"),
            "Second level: check how many contacts the account may have, and log the other phone off.",
        ),
        AttemptEnd::Rejected => failed(format!("the PBX refused the registration with {said}"), rejection_remedy(status, false)),
        AttemptEnd::CredentialsRejected => failed(
            format!("the PBX refused the credentials with {said}: wrong password, or unknown account"),
            rejection_remedy(status, true),
        ),
        AttemptEnd::NonceRefused => failed(
            "the PBX refused credentials for a nonce that it had just issued, as stale".to_owned(),
            "Second level: see that all servers behind that address know the nonces that one of them issues.",
        ),
        AttemptEnd::ChallengeIgnored => failed(
            "the PBX asked for credentials and none came".to_owned(),
            "Enter auth user and password in the phone; if they are there, check the way back to the phone.",
        ),
        AttemptEnd::NoAnswer => failed(
            format!("the PBX did not answer: REGISTER was sent {}", times(report.transmissions)),
            "On the PBX check fail2ban, firewall and ACL for the address of the phone.",
        ),
        AttemptEnd::Unknown => {
            scene.pen.note(scene.tracker, report.last.time, "how that REGISTER came out was not captured");
            None
        }
    }
}

/// How long a phone was silent before `first`.
pub(super) fn silence(last_heard: Option<PacketTime>, first: PacketTime) -> Option<Span> {
    last_heard.filter(|heard| *heard < first).map(|heard| first.since(heard))
}
