//! What is told of an attempt to register when it is over.

use crate::decode::flow::Flow;
use crate::table::Handle;
use crate::time::Span;
use crate::track::event::Sighting;
use crate::track::registration::refusal::Algorithm;

/// How a registering attempt ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AttemptEnd {
    /// 2xx that lists the contact.
    Accepted,
    /// 2xx that does not list the contact: the registrar kept others.
    ContactDropped,
    /// A final failure other than a challenge.
    Rejected,
    /// 401, 407 or 403 to credentials made with the newest nonce.
    CredentialsRejected,
    /// Credentials made with the newest nonce were refused for this nonce, as too old.
    NonceRefused,
    /// The challenge was never answered with credentials.
    ChallengeIgnored,
    /// No answer until 64·T1, and the capture would have seen one.
    NoAnswer,
    /// The capture cannot tell.
    Unknown,
}

/// One registering attempt, a challenge and its retry together.
#[derive(Clone, Copy, Debug)]
pub struct AttemptReport {
    /// The AoR.
    pub aor: Handle,
    /// The device that tried.
    pub device: Handle,
    /// Who sent it to whom, at the hop nearest to the phone.
    pub flow: Flow,
    /// How it ended.
    pub end: AttemptEnd,
    /// The last final status; 0 without one.
    pub status: u16,
    /// First transmission of the first REGISTER.
    pub first: Sighting,
    /// The answer that it came to: earlier than what ended it where the phone did not go on after a 423. Without any, what ended it.
    pub answered: Sighting,
    /// What ended it: the final answer, the next attempt, or the deadline.
    pub last: Sighting,
    /// Transmissions of the REGISTER that was unanswered.
    pub transmissions: u16,
    /// Whether the device was registered before.
    pub was_registered: bool,
    /// Whether the digest user differs from the user of the AoR.
    pub foreign_username: bool,
    /// Whether the challenge that it waited after did not reach the phone, which sent the REGISTER again all the same.
    pub challenge_lost: bool,
    /// The algorithm of digests that the last challenge wants, if it does not offer MD5, the one that all phones know.
    pub algorithm: Option<Algorithm>,
    /// The time that the phone asked for.
    pub requested: Span,
}
