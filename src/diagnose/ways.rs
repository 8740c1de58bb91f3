//! Which way a call goes: that one went through proves nothing of calls that go another way (DETECTION §8.2).

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::diagnose::case::Case;
use crate::diagnose::parties::{Attempt, Party};
use crate::diagnose::refusal::Refusal;
use crate::report::model::CallEntry;
use crate::track::vocabulary::{Direction, Outcome};

/// Numbers that a trunk refuses alike until it is not the matter of one of them.
const NUMBERS: usize = 5;

/// Where calls of one kind go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// To users of this PBX.
    Inside,
    /// By that trunk.
    Trunk(IpAddr),
    /// To a number of which nothing is known.
    Open,
}

impl Way {
    fn of(case: &Case<'_>, attempt: &Attempt<'_>) -> Self {
        let places = places(attempt);
        match places.iter().copied().find(|place| case.scene.tracker.world.peers.is_trunk(*place)) {
            Some(trunk) => Self::Trunk(trunk),
            None if !places.is_empty() || is_user(case, attempt.main) => Self::Inside,
            None => Self::Open,
        }
    }

    /// Whether what goes one of those ways may have gone the other.
    fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Open, Self::Trunk(_)) | (Self::Trunk(_), Self::Open) => true,
            _ => self == other,
        }
    }
}

/// Where the PBX sent a call.
fn places(attempt: &Attempt<'_>) -> Vec<IpAddr> {
    let main = attempt.main;
    let own = Some(main.destination).filter(|_| main.direction == Direction::Out);
    let legs = attempt.legs.iter().flat_map(|leg| [Some(leg.destination), leg.passed_on_to]).flatten();
    legs.chain(own).chain(main.passed_on_to).map(|place| place.ip()).collect()
}

/// Whether a user of this PBX was dialled.
fn is_user(case: &Case<'_>, call: &CallEntry) -> bool {
    call.to.as_deref().is_some_and(|number| !Party::find(number, case.scene.report).registrations.is_empty())
}

/// Whether a call that went through shows that what met `failed` is over: one of the user's own, the same way or to the same number. That
/// the PBX listens to the user, and takes its credentials, any call shows.
pub(super) fn is_proof(case: &Case<'_>, worked: &Attempt<'_>, failed: &Attempt<'_>) -> bool {
    let is_same_number = worked.main.to.is_some() && worked.main.to == failed.main.to;
    let never_left = match failed.main.outcome {
        Outcome::NoResponse => failed.main.direction == Direction::In && failed.legs.is_empty(),
        Outcome::AuthFailed => matches!(failed.main.status, Some(401 | 407)),
        _ => false,
    };
    is_same_number || never_left || Way::of(case, worked).is_like(Way::of(case, failed))
}

/// What a trunk refuses to several callers or at several numbers with one status.
pub(super) struct Refusals {
    pub(super) trunk: IpAddr,
    pub(super) status: u16,
    pub(super) calls: usize,
    /// Calls by that trunk from the first of them to the last.
    pub(super) of: usize,
    pub(super) numbers: usize,
    pub(super) callers: usize,
}

impl Refusals {
    /// What the trunk that refused `attempt` refuses alike: at several numbers, at least every other call, and nothing shows that it has
    /// ended. Where calls went through in between, as many in a row must have gone through since, and one more.
    pub(super) fn like(case: &Case<'_>, attempt: &Attempt<'_>) -> Option<Self> {
        let own = at_a_trunk(case, attempt)?;
        let (trunk, status) = (own.place.ip(), own.status);
        let (mut calls, mut of, mut run, mut longest, mut passed) = (0, 0, 0, 0, 0);
        let (mut numbers, mut callers) = (BTreeSet::new(), BTreeSet::new());
        let all = Attempt::all(case.scene.report);
        for call in all.iter().filter(|call| call.started() <= case.now && places(call).contains(&trunk)) {
            if at_a_trunk(case, call).is_some_and(|refusal| refusal.status == status && refusal.place.ip() == trunk) {
                calls += 1;
                of += passed + 1;
                passed = 0;
                longest = longest.max(run);
                run = 0;
                numbers.insert(call.main.to.as_deref());
                callers.insert(call.main.from.as_deref());
            } else if calls > 0 {
                passed += 1;
                run += usize::from(call.main.outcome == Outcome::Answered);
            }
        }
        let is_alike = numbers.len() >= NUMBERS && calls * 2 >= of && run <= longest;
        is_alike.then_some(Self { trunk, status, calls, of, numbers: numbers.len(), callers: callers.len() })
    }
}

/// Whether a trunk refused a call.
pub(super) fn is_refused_by_trunk(case: &Case<'_>, attempt: &Attempt<'_>) -> bool {
    at_a_trunk(case, attempt).is_some()
}

/// What a trunk answered to a call that it did not put through.
fn at_a_trunk(case: &Case<'_>, attempt: &Attempt<'_>) -> Option<Refusal> {
    let legs = attempt.legs.iter().rev().copied();
    let refusals = legs.chain([attempt.main]).filter_map(Refusal::by_whomever);
    refusals.into_iter().find(|refusal| case.scene.tracker.world.peers.is_trunk(refusal.place.ip()))
}
