//! What a registrar says when it refuses, in its own words (DETECTION §1.4; runbook S0-d asks for the exact message).

use std::fmt;

use crate::sip::headers::HeaderName;
use crate::sip::message::Message;
use crate::sip::text::unfold;
use crate::track::event::{AttemptReport, Sighting};
use crate::track::registration::Registrations;
use crate::track::world::{text, unusual_phrase};

/// The headers that say why, or when to come back.
const WHY: [HeaderName; 4] = [HeaderName::RetryAfter, HeaderName::Unsupported, HeaderName::Warning, HeaderName::Reason];
/// Of each of them that many are told.
const OF_A_NAME: usize = 2;

/// The words of a refusal that says more than its status does.
#[derive(Debug)]
pub struct Refusal {
    frame: u64,
    words: Box<str>,
}

impl Refusal {
    /// The words of a final response with `status`; `None` where they are those that everybody uses.
    pub(super) fn of(message: &Message<'_>, status: u16, at: Sighting) -> Option<Box<Self>> {
        let phrase = message.reason_phrase().trim_ascii();
        let is_unusual = unusual_phrase(message, status).is_some();
        let mut words = status.to_string().into_bytes();
        if !phrase.is_empty() {
            words.push(b' ');
            words.extend_from_slice(phrase);
        }
        let line = words.len();
        for name in WHY {
            for value in message.headers(name).take(OF_A_NAME) {
                words.extend_from_slice(format!("; {}: ", name.as_str()).as_bytes());
                words.extend_from_slice(&unfold(value));
            }
        }
        (is_unusual || words.len() > line).then(|| Box::new(Self { frame: at.frame, words: text(&words) }))
    }
}

/// An algorithm of digests other than MD5 (RFC 8760), the only one that old phones know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// SHA2-256.
    Sha256,
    /// SHA2-512, cut to 256 bits.
    Sha512,
    /// One that no standard has.
    Other,
}

impl Algorithm {
    /// What a challenge wants, unless a phone that knows MD5 alone can answer it.
    pub(super) fn wanted(message: &Message<'_>) -> Option<Self> {
        let named = |name: &[u8]| match () {
            () if begins(name, "MD5") => None,
            () if begins(name, "SHA-256") => Some(Self::Sha256),
            () if begins(name, "SHA-512-256") => Some(Self::Sha512),
            () => Some(Self::Other),
        };
        let mut wanted = None;
        for challenge in message.challenges() {
            let algorithm = named(challenge.algorithm?)?;
            wanted = wanted.or(Some(algorithm));
        }
        wanted
    }
}

fn begins(name: &[u8], with: &str) -> bool {
    name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512-256",
            Self::Other => "an algorithm of its own",
        })
    }
}

impl Registrations {
    /// What the registrar said at the end of an attempt, where it said more than the status.
    pub fn refusal(&self, report: &AttemptReport) -> Option<&Refusal> {
        self.aor(report.aor)?.refusal.as_deref().filter(|refusal| refusal.frame == report.answered.frame)
    }
}

/// `403 Wrong password; Warning: 399 pbx "try again"`: at most 255 bytes, as they came.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::scan::{Context, scan};

    fn words(status: u16, rest: &str) -> Option<String> {
        let bytes = format!("SIP/2.0 {status} {rest}\r\nCSeq: 2 REGISTER\r\nContent-Length: 0\r\n\r\n").into_bytes();
        let scan = scan(&bytes, Context::Datagram).expect("a response");
        Refusal::of(&Message::new(&bytes, &scan), status, Sighting::default()).map(|refusal| refusal.to_string())
    }

    #[test]
    fn what_everybody_says_is_not_kept() {
        assert_eq!(words(403, "Forbidden"), None);
        assert_eq!(words(503, "service unavailable"), None);
        assert_eq!(words(404, ""), None);
    }

    #[test]
    fn what_says_more_is_kept_as_it_came() {
        assert_eq!(words(403, "Wrong password").as_deref(), Some("403 Wrong password"));
        assert_eq!(words(603, "Nobody here").as_deref(), Some("603 Nobody here"));
        let busy = words(503, "Service Unavailable\r\nRetry-After: 120\r\nWarning: 399 pbx \"no\r\n database\"\r\nReason: SIP;cause=503");
        let told = "503 Service Unavailable; Retry-After: 120; Warning: 399 pbx \"no database\"; Reason: SIP;cause=503";
        assert_eq!(busy.as_deref(), Some(told));
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(words(403, &"x".repeat(9_000)).map(|words| words.len()), Some(255));
        let warnings = format!("Forbidden{}", "\r\nWarning: 399 pbx \"no\"".repeat(1_000));
        assert_eq!(
            words(403, &warnings).as_deref(),
            Some("403 Forbidden; Warning: 399 pbx \"no\"; Warning: 399 pbx \"no\""),
            "two say enough"
        );
    }
}
