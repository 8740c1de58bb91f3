//! The outcome of an attempt: a pure function of what was seen of it (DETECTION §4.1, evaluated in that order).

use crate::time::Span;
use crate::track::vocabulary::{EndedBy, Outcome};

/// Who cancelled an INVITE, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cancelled {
    /// Nobody.
    No,
    /// The side that sent it, a person as far as one can tell.
    ByCaller,
    /// The PBX, on a leg of its own.
    ByPbx,
    /// The PBX, because another leg was answered: `Reason: SIP;cause=200`.
    AnsweredElsewhere,
}

/// What became of the credentials of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Credentials {
    /// None were sent, or none were asked for.
    None,
    /// Sent with an old or foreign nonce.
    Stale,
    /// Sent with the nonce of the newest challenge.
    Fresh,
}

/// What was seen of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Whether any fork was answered by 2xx.
    pub answered: bool,
    /// The last final status; 0 without one.
    pub status: u16,
    /// How long it rang until the end; `None` if it never did.
    pub ring: Option<Span>,
    /// How long it must ring to have rung out.
    pub ring_min: Span,
    /// Whether anything provisional but 100 was seen.
    pub progressed: bool,
    /// Whether it was cancelled.
    pub cancelled: Cancelled,
    /// The credentials of the last INVITE.
    pub credentials: Credentials,
    /// A Q.850 cause, from Reason or the PBX's own header.
    pub cause: Option<u16>,
}

impl Facts {
    /// Nothing was seen.
    pub(super) fn nothing(ring_min: Span) -> Self {
        Self {
            answered: false,
            status: 0,
            ring: None,
            ring_min,
            progressed: false,
            cancelled: Cancelled::No,
            credentials: Credentials::None,
            cause: None,
        }
    }
}

/// The outcome that `facts` amount to once nothing more is to be expected; `Unknown` where there is neither answer nor cancel.
pub fn outcome(facts: &Facts) -> Outcome {
    if facts.answered {
        return Outcome::Answered;
    }
    if (300..400).contains(&facts.status) {
        return Outcome::Redirected;
    }
    let rang_out = facts.ring.is_some_and(|ring| ring >= facts.ring_min);
    match facts.cancelled {
        Cancelled::AnsweredElsewhere => return Outcome::CompletedElsewhere,
        Cancelled::ByPbx if rang_out => return Outcome::NoAnswer,
        Cancelled::ByPbx | Cancelled::ByCaller if matches!(facts.status, 0 | 487) => return Outcome::Cancelled,
        _ => {}
    }
    if rang_out && matches!(facts.status, 408 | 480 | 487 | 603) && facts.cause != Some(17) {
        return Outcome::NoAnswer;
    }
    by_status(facts)
}

fn by_status(facts: &Facts) -> Outcome {
    match facts.status {
        0 => Outcome::Unknown,
        486 | 600 => Outcome::Busy,
        480 if facts.cause == Some(17) => Outcome::Busy,
        603 => Outcome::Declined,
        403 if facts.progressed => Outcome::Declined,
        480 if facts.ring.is_some() && facts.cause == Some(21) => Outcome::Declined,
        401 | 407 => Outcome::AuthFailed,
        403 if facts.credentials == Credentials::Fresh => Outcome::AuthFailed,
        403 => Outcome::Forbidden,
        404 | 410 | 604 | 484 | 485 => Outcome::NotFound,
        480 | 430 => Outcome::Unavailable,
        415 | 420 | 421 | 488 | 493 | 494 | 606 => Outcome::NotAcceptable,
        482 | 483 => Outcome::Loop,
        487 => Outcome::Cancelled,
        408 | 504 => Outcome::Timeout,
        491 => Outcome::Glare,
        400..500 => Outcome::ClientError,
        500..600 => Outcome::ServerError,
        600..700 => Outcome::GlobalFailure,
        _ => Outcome::Unknown,
    }
}

/// Who is responsible for an attempt that failed.
pub(super) fn blame(outcome: Outcome, passed_on: bool) -> Option<EndedBy> {
    match outcome {
        Outcome::Cancelled => Some(EndedBy::Caller),
        Outcome::Busy | Outcome::Declined => Some(EndedBy::Callee),
        Outcome::NoAnswer | Outcome::Timeout | Outcome::NoResponse | Outcome::Stalled100 | Outcome::Stalled18x => Some(EndedBy::Timeout),
        Outcome::Unknown | Outcome::Answered | Outcome::CompletedElsewhere => None,
        _ if passed_on => Some(EndedBy::Callee),
        _ => Some(EndedBy::Pbx),
    }
}

/// Whether an INVITE with a higher CSeq continues the attempt that got `status` (DETECTION §0.2, §4.1).
pub(super) fn is_retryable(status: u16) -> bool {
    matches!(status, 0 | 300..=399 | 401 | 407 | 413 | 415 | 416 | 420 | 421 | 422 | 488 | 491 | 494)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Facts = Facts {
        answered: false,
        status: 0,
        ring: None,
        ring_min: Span::from_secs(10),
        progressed: false,
        cancelled: Cancelled::No,
        credentials: Credentials::None,
        cause: None,
    };

    fn rang(seconds: i64, status: u16) -> Facts {
        Facts { ring: Some(Span::from_secs(seconds)), progressed: true, status, ..NOTHING }
    }

    #[test]
    fn the_table_row_by_row() {
        for (facts, expected) in [
            (NOTHING, Outcome::Unknown),
            (Facts { answered: true, cancelled: Cancelled::ByCaller, ..NOTHING }, Outcome::Answered),
            (Facts { status: 302, ..NOTHING }, Outcome::Redirected),
            (Facts { cancelled: Cancelled::ByCaller, ..rang(30, 487) }, Outcome::Cancelled),
            (Facts { cancelled: Cancelled::ByPbx, ..rang(30, 487) }, Outcome::NoAnswer),
            (Facts { cancelled: Cancelled::ByPbx, ..rang(4, 487) }, Outcome::Cancelled),
            (Facts { cancelled: Cancelled::AnsweredElsewhere, ..rang(30, 487) }, Outcome::CompletedElsewhere),
            (Facts { cancelled: Cancelled::ByCaller, ..rang(3, 486) }, Outcome::Busy),
            (rang(20, 480), Outcome::NoAnswer),
            (rang(20, 486), Outcome::Busy),
            (Facts { cause: Some(17), ..rang(20, 480) }, Outcome::Busy),
            (Facts { cause: Some(21), ..rang(3, 480) }, Outcome::Declined),
            (rang(3, 403), Outcome::Declined),
            (Facts { status: 403, credentials: Credentials::Fresh, ..NOTHING }, Outcome::AuthFailed),
            (Facts { status: 403, ..NOTHING }, Outcome::Forbidden),
            (Facts { status: 407, ..NOTHING }, Outcome::AuthFailed),
            (Facts { status: 484, ..NOTHING }, Outcome::NotFound),
            (Facts { status: 480, ..NOTHING }, Outcome::Unavailable),
            (Facts { status: 488, ..NOTHING }, Outcome::NotAcceptable),
            (Facts { status: 483, ..NOTHING }, Outcome::Loop),
            (Facts { status: 504, ..NOTHING }, Outcome::Timeout),
            (Facts { status: 503, ..NOTHING }, Outcome::ServerError),
            (Facts { status: 607, ..NOTHING }, Outcome::GlobalFailure),
            (Facts { status: 400, ..NOTHING }, Outcome::ClientError),
        ] {
            assert_eq!(outcome(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn how_long_it_must_ring_to_ring_out_is_configured() {
        let ring_min = Span::from_secs(31);
        assert_eq!(outcome(&Facts { cancelled: Cancelled::ByPbx, ring_min, ..rang(30, 487) }), Outcome::Cancelled);
        assert_eq!(outcome(&Facts { cancelled: Cancelled::ByPbx, ring_min, ..rang(31, 487) }), Outcome::NoAnswer);
    }
}
