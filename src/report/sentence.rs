//! Parts of sentences that several writers use.

use crate::track::vocabulary::Outcome;

/// What became of a call, with the last final status of one that was not answered: completes "the call …".
pub fn became(outcome: Outcome, status: Option<u16>) -> String {
    let words = match outcome {
        Outcome::Answered => "was answered",
        Outcome::Redirected => "was forwarded",
        Outcome::Cancelled => "was given up by the caller",
        Outcome::CompletedElsewhere => "was taken at another phone",
        Outcome::NoAnswer => "rang and was not picked up",
        Outcome::Busy => "found the line busy",
        Outcome::Declined => "was declined",
        Outcome::AuthFailed if status == Some(403) => "was refused for its credentials",
        Outcome::AuthFailed => "brought no valid credentials",
        Outcome::Forbidden => "was not allowed",
        Outcome::NotFound => "went to a number that does not exist",
        Outcome::Unavailable => "found nobody there",
        Outcome::NotAcceptable if matches!(status, Some(420 | 421 | 494)) => "was refused for an extension of SIP",
        Outcome::NotAcceptable if status == Some(493) => "was refused for its encryption",
        Outcome::NotAcceptable => "found no common media",
        Outcome::Loop => "went round in circles",
        Outcome::Merged => "arrived by two ways",
        Outcome::Timeout => "timed out",
        Outcome::ServerError => "met an error of the server",
        Outcome::GlobalFailure => "was refused for good",
        Outcome::ClientError => "was refused",
        Outcome::NoResponse => "got no response",
        Outcome::Stalled100 => "never rang",
        Outcome::Stalled18x => "rang without end",
        Outcome::Glare => "collided with another",
        Outcome::Unknown => "has no outcome that was captured",
    };
    match status {
        Some(status) if outcome != Outcome::Answered => format!("{words} ({status})"),
        _ => words.to_owned(),
    }
}
