//! Writes the lines of a step.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::decode::flow::Flow;
use crate::detect::listener::Heard;
use crate::report::model::{AssistLine, AssistStep, Evidence, Noted, PacketSeen, Seconds, SentBy, Stamp};
use crate::sip::message::{Kind, Message};
use crate::sip::method::Method;
use crate::time::PacketTime;
use crate::track::event::Sighting;
use crate::track::world::{text, user_text};
use crate::track::{Novelty, Tracker};

/// Requests whose answers are waited for, to tell how long they took.
const ASKED: usize = 16;
/// Lines of one session, after which packets are left out: a flood shall not grow without bound.
const LINES: usize = 5_000;
/// Moments that the verdict recalls.
const MOMENTS: usize = 20;

/// A request that waits for its answer.
#[derive(Debug)]
struct Asked {
    call_id: Box<str>,
    cseq: u32,
    method: Method,
    flow: Flow,
    at: PacketTime,
}

/// The lines that were not taken yet, and what they need to be written.
#[derive(Debug)]
pub(super) struct Pen {
    lines: VecDeque<AssistLine>,
    written: usize,
    asked: VecDeque<Asked>,
    /// The step that is written about.
    pub(super) step: AssistStep,
    /// When it began.
    pub(super) began: PacketTime,
    moments: Vec<Evidence>,
}

impl Pen {
    pub(super) fn new(step: AssistStep, began: PacketTime) -> Self {
        Self { lines: VecDeque::new(), written: 0, asked: VecDeque::new(), step, began, moments: Vec::new() }
    }

    pub(super) fn next(&mut self) -> Option<AssistLine> {
        self.lines.pop_front()
    }

    /// Writes a line that must not be missing.
    pub(super) fn write(&mut self, line: AssistLine) {
        self.lines.push_back(line);
        self.written += 1;
    }

    /// Writes something worth knowing.
    pub(super) fn note(&mut self, tracker: &Tracker, at: PacketTime, text: impl Into<String>) {
        let after_s = Seconds(at.since(self.began));
        self.write(AssistLine::Note(Noted { step: self.step, at: Stamp(tracker.printed(at)), after_s, text: text.into() }));
    }

    /// Recalls a moment in the verdict.
    pub(super) fn recall(&mut self, tracker: &Tracker, at: Sighting, fact: impl Into<String>) {
        if self.moments.len() < MOMENTS {
            self.moments.push(Evidence {
                at: Stamp(tracker.printed(at.time)),
                frame: (at.frame > 0).then_some(at.frame),
                fact: fact.into(),
            });
        }
    }

    /// Recalls when the phone was last heard of before the session.
    pub(super) fn recall_last(&mut self, tracker: &Tracker, heard: PacketTime) {
        self.recall(tracker, Sighting { time: heard, frame: 0 }, "last packet of the phone before the session");
    }

    /// What is to be recalled.
    pub(super) fn moments(&mut self) -> Vec<Evidence> {
        std::mem::take(&mut self.moments)
    }

    /// Writes a message of the user.
    pub(super) fn packet(&mut self, tracker: &Tracker, heard: &Heard<'_>, from: SentBy, was: Option<SocketAddr>) {
        let rtt = self.answer_time(heard);
        if self.written >= LINES {
            if self.written == LINES {
                self.note(tracker, heard.at.time, "so many messages came that further ones are not shown");
            }
            return;
        }
        let message = heard.message;
        let registers = message.kind() == Kind::Request(Method::Register) && heard.novelty == Novelty::Distinct;
        let introduces = from == SentBy::Phone && registers && !message.is_authorized() && !message.user_agent().is_empty();
        self.write(AssistLine::Packet(PacketSeen {
            step: self.step,
            at: Stamp(tracker.printed(heard.at.time)),
            after_s: Seconds(heard.at.time.since(self.began)),
            frame: heard.at.frame,
            from,
            message: title(message),
            detail: detail(message),
            source: heard.flow.source,
            destination: heard.flow.destination,
            user_agent: introduces.then(|| String::from(text(message.user_agent()))),
            was,
            repeat: heard.novelty == Novelty::Retransmission,
            rtt_s: rtt,
        }));
    }

    /// Remembers a request; tells for a response how long it took.
    fn answer_time(&mut self, heard: &Heard<'_>) -> Option<Seconds> {
        let message = heard.message;
        if heard.novelty == Novelty::Retransmission {
            return None;
        }
        let (cseq, call_id) = (message.cseq()?.number, message.call_id());
        match message.kind() {
            Kind::Request(method) => {
                if self.asked.len() == ASKED {
                    self.asked.pop_front();
                }
                self.asked.push_back(Asked { call_id: text(call_id), cseq, method, flow: heard.flow, at: heard.at.time });
                None
            }
            Kind::Response(_) => {
                let is_question = |asked: &&Asked| {
                    asked.cseq == cseq
                        && asked.method == message.method()
                        && asked.flow == heard.flow.reversed()
                        && asked.call_id == text(call_id)
                };
                Some(Seconds(heard.at.time.since(self.asked.iter().rev().find(is_question)?.at)))
            }
        }
    }
}

/// `REGISTER`, `401 Unauthorized`.
fn title(message: Message<'_>) -> String {
    match message.kind() {
        Kind::Request(_) => String::from_utf8_lossy(message.method_name()).into_owned(),
        Kind::Response(status) => {
            let reason = String::from_utf8_lossy(message.reason_phrase());
            match message.method() {
                Method::Invite | Method::Register => format!("{status} {reason}"),
                method => format!("{status} {reason} to {}", method.as_str()),
            }
        }
    }
}

/// What is worth knowing of a message.
fn detail(message: Message<'_>) -> Option<String> {
    let credentials = || message.is_authorized().then_some("with credentials");
    match message.kind() {
        Kind::Request(Method::Register) if takes_back(message) => Some("takes its registration back".to_owned()),
        Kind::Request(Method::Invite) => {
            let to = message.to();
            let called = user_text(if to.uri.user.is_empty() { to.uri.host } else { to.uri.user });
            let within = if message.to_tag().is_some() { " within the call" } else { "" };
            let credentials = credentials().map_or_else(String::new, |words| format!(", {words}"));
            Some(format!("to {called}{within}{credentials}"))
        }
        Kind::Request(Method::Bye | Method::Cancel) => {
            let reason = message.reason()?;
            let words = Some(String::from_utf8_lossy(reason.text).into_owned()).filter(|words| !words.is_empty());
            words.or_else(|| reason.cause.map(|cause| format!("cause {cause}"))).map(|words| format!("reason: {words}"))
        }
        Kind::Request(_) => credentials().map(str::to_owned),
        Kind::Response(200..300) if message.method() == Method::Register => {
            let granted = message.contacts().find_map(|contact| contact.expires).or_else(|| message.expires())?;
            Some(format!("expires {granted} s"))
        }
        Kind::Response(_) => None,
    }
}

/// Whether a REGISTER unregisters.
pub(super) fn takes_back(message: Message<'_>) -> bool {
    let fallback = message.expires();
    let mut contacts = message.contacts().peekable();
    contacts.peek().is_some() && contacts.all(|contact| contact.expires.or(fallback) == Some(0))
}
