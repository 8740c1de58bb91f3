//! Times and outcomes in the middle of a sentence.

use crate::diagnose::case::Case;
use crate::report::model::{CallEntry, RegistrationEntry, Stamp};
use crate::report::sentence::became;
use crate::time::{PacketTime, Span};
use crate::track::vocabulary::{CallState, EndedBy, Outcome, RegistrationState};

/// The time of day in UTC, with the date where it is another day than that of the question.
pub(super) fn clock(case: &Case<'_>, time: PacketTime) -> String {
    let (text, now) = (Stamp(time).to_string(), Stamp(case.now).to_string());
    let day = |text: &str| text.get(..10).map(str::to_owned);
    let of_day = text.get(11..19).unwrap_or(&text);
    match day(&text).filter(|_| day(&text) != day(&now)) {
        Some(day) => format!("{day} {of_day}"),
        None => of_day.to_owned(),
    }
}

/// A length of time: `0.4 s`, `32 s`, `14 min 32 s`.
pub(super) fn lasting(span: Span) -> String {
    let seconds = span.as_secs();
    match seconds {
        ..10 => format!("{:.1} s", span.as_secs_f64()),
        10..120 => format!("{seconds} s"),
        120..3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

/// `1 call`, `2 calls`.
pub(super) fn counted(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// The called number, or words for it.
pub(super) fn dialled(call: &CallEntry) -> &str {
    call.to.as_deref().unwrap_or("an unknown number")
}

/// The caller, or words for it.
pub(super) fn caller(call: &CallEntry) -> &str {
    call.from.as_deref().unwrap_or("an unknown caller")
}

/// What became of a call: completes "the call …".
pub(super) fn outcome(call: &CallEntry) -> String {
    match (call.outcome, call.state, call.status) {
        (Outcome::Unknown, CallState::Ringing, _) => "was still ringing".to_owned(),
        (Outcome::Unknown, CallState::Setup, _) => "was still being set up".to_owned(),
        (_, CallState::Ended, Some(487)) if call.partial => "was given up (487)".to_owned(),
        (_, CallState::Ended, Some(status)) if call.partial => format!("was refused ({status})"),
        (_, CallState::Ended, None) if call.partial => "was up before the capture, and ended".to_owned(),
        (_, CallState::Open, _) if call.partial => "was up before the capture".to_owned(),
        _ => became(call.outcome, call.status),
    }
}

/// What the end that refused a call says beyond its status; `None` where it says no more, or did not refuse it.
pub(super) fn said(call: &CallEntry) -> Option<&str> {
    let is_refused = call.status.is_some_and(|status| status >= 400 && status != 487);
    call.end_reason.as_deref().filter(|_| is_refused)
}

/// The same in brackets, behind the status.
pub(super) fn in_brackets(said: Option<&str>) -> String {
    said.map_or_else(String::new, |said| format!(" ({said})"))
}

/// What became of a call, and what was said to it then: `was refused (422: Min-SE: 1800)`.
pub(super) fn outcome_as_told(call: &CallEntry, said: Option<&str>) -> String {
    let outcome = outcome(call);
    match (said, outcome.strip_suffix(')')) {
        (Some(said), Some(open)) => format!("{open}: {said})"),
        _ => format!("{outcome}{}", in_brackets(said)),
    }
}

/// Who hung up, by name.
pub(super) fn ender(call: &CallEntry) -> Option<String> {
    Some(match call.ended_by? {
        // Who called whom was before the capture.
        EndedBy::Caller if call.partial => caller(call).to_owned(),
        EndedBy::Callee if call.partial => dialled(call).to_owned(),
        EndedBy::Caller => format!("the caller, {}", caller(call)),
        EndedBy::Callee => format!("the called side, {}", dialled(call)),
        EndedBy::Pbx => "the PBX itself".to_owned(),
        EndedBy::Timeout => "a timer".to_owned(),
    })
}

/// Where a registration stands: completes "the phone …".
pub(super) fn registration(entry: &RegistrationEntry) -> &'static str {
    match entry.state {
        RegistrationState::Registered if entry.attempts == 0 => "answers the PBX, and registered before the capture",
        RegistrationState::Registered => "is registered",
        RegistrationState::Unregistered => "logged off",
        RegistrationState::Unknown => "has no registration whose outcome was captured",
        RegistrationState::Registering => "is registering",
        RegistrationState::Challenged if entry.awaits_credentials() => "was just asked for credentials",
        RegistrationState::Challenged => "was asked for credentials and sent none",
        RegistrationState::Expired => "let its registration run out",
        RegistrationState::Rejected => "was refused",
        RegistrationState::AuthLoop => "was refused for its credentials",
        RegistrationState::Silent => "gets no answer from the PBX",
    }
}
