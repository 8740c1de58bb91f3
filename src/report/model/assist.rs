//! A session of live assistance, line by line: what a support agent reads while the user tries (DETECTION §8.7).

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Evidence, Seconds, Stamp, Verdict};
use crate::track::vocabulary::vocabulary;

vocabulary! {
    /// What the user is asked to do.
    AssistStep {
        /// Connect anew.
        Reconnection = "reconnection",
        /// Place a call.
        TestCall = "test-call",
        /// Stay in that call.
        Hold = "hold",
        /// Be called.
        InboundCall = "inbound-call",
        /// Be called after doing nothing for a while.
        IdleTest = "idle-test",
    }
}

impl AssistStep {
    /// The number that the runbook gives it.
    pub const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The steps of the runbooks that it takes.
    pub const fn runbook(self) -> &'static [&'static str] {
        match self {
            Self::Reconnection => &["S0-c", "S1-b", "S2-b"],
            Self::TestCall => &["S1-c", "S2-c"],
            Self::Hold => &["S3-maint"],
            Self::InboundCall => &["S2-e"],
            Self::IdleTest => &["S4-6", "S4-nat"],
        }
    }
}

vocabulary! {
    /// How a step came out.
    StepResult {
        /// It worked.
        Passed = "passed",
        /// It did not.
        Failed = "failed",
        /// What was seen neither proves nor refutes it.
        Undecided = "undecided",
        /// It was left out.
        Skipped = "skipped",
    }
}

vocabulary! {
    /// Who sent a message.
    SentBy {
        /// The phone of the user.
        Phone = "phone",
        /// The PBX, or whatever stands on its side.
        Pbx = "pbx",
    }
}

/// One line of a session, in the order in which they are told.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum AssistLine {
    /// The session began.
    Began(SessionBegan),
    /// A step began.
    Step(StepBegan),
    /// A message of the user was captured.
    Packet(PacketSeen),
    /// Something worth knowing.
    Note(Noted),
    /// A step ended.
    Result(StepEnded),
    /// The answer; the last line.
    Verdict(Box<Verdict>),
}

/// Whom the session is about, as far as that is known.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SessionBegan {
    /// When.
    pub at: Stamp,
    /// The user as asked for.
    pub user: String,
    /// The addresses-of-record that are meant.
    pub aors: Vec<String>,
    /// Where the phone was last seen.
    pub source: Option<SocketAddr>,
    /// What the phone calls itself.
    pub user_agent: Option<String>,
    /// Whether it is registered; `None` where it was never seen.
    pub registered: Option<bool>,
    /// How long nothing came from it; `None` where nothing ever did.
    pub silent_s: Option<Seconds>,
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StepBegan {
    /// Which step.
    pub step: AssistStep,
    /// When.
    pub at: Stamp,
    /// What the agent tells the user.
    pub instruction: String,
    /// What is waited for.
    pub waiting_for: String,
    /// How long at most.
    pub timeout_s: Seconds,
    /// The steps of the runbooks.
    pub runbook: &'static [&'static str],
}

/// A message of the user.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PacketSeen {
    /// In which step.
    pub step: AssistStep,
    /// When.
    pub at: Stamp,
    /// Since the step began.
    pub after_s: Seconds,
    /// The frame.
    pub frame: u64,
    /// Who sent it.
    pub from: SentBy,
    /// `REGISTER`, `401 Unauthorized`.
    pub message: String,
    /// What is worth knowing of it: `with credentials`, `expires 300 s`.
    pub detail: Option<String>,
    /// The sender.
    pub source: SocketAddr,
    /// The receiver.
    pub destination: SocketAddr,
    /// What the phone calls itself, with the first message of an attempt.
    pub user_agent: Option<String>,
    /// Where the phone was before, where it comes from another address or port than before.
    pub was: Option<SocketAddr>,
    /// Whether it repeats an earlier one.
    pub repeat: bool,
    /// From the first transmission of the request to this response.
    pub rtt_s: Option<Seconds>,
}

/// Something worth knowing.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Noted {
    /// In which step.
    pub step: AssistStep,
    /// When.
    pub at: Stamp,
    /// Since the step began.
    pub after_s: Seconds,
    /// What.
    pub text: String,
}

/// How a step came out.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StepEnded {
    /// Which step.
    pub step: AssistStep,
    /// When.
    pub at: Stamp,
    /// Since it began.
    pub after_s: Seconds,
    /// How.
    pub result: StepResult,
    /// Why, one line.
    pub because: String,
    /// The finding that explains a failure, by its id.
    pub finding: Option<&'static str>,
    /// What proves it.
    pub evidence: Vec<Evidence>,
    /// What to do, where that is known before the verdict.
    pub next_step: Option<String>,
}
