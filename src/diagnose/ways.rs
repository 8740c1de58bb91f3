//! Which way a call goes: that one went through proves nothing of calls that go another way (DETECTION §8.2).

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::diagnose::case::Case;
use crate::diagnose::parties::{Attempt, Party};
use crate::diagnose::refusal::Refusal;
use crate::report::about::LATELY;
use crate::report::model::{CallEntry, RegistrationEntry};
use crate::track::vocabulary::{Direction, Outcome, RegistrationState};

/// Numbers that a trunk refuses alike until it is not the matter of one of them.
const NUMBERS: usize = 5;
/// Digits that tell a range of numbers: what stands before them are the prefixes of a trunk or a country.
const BEGINNING: usize = 5;
/// Calls into one range that are refused alike until it is the matter of that range.
const RANGE: usize = 3;
/// Calls that the PBX itself refuses alike until it is no accident.
const CALLS: usize = 5;

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
/// the PBX listens to the user, and takes its credentials, any call shows; of numbers that are refused again and again only one of them does.
pub(super) fn is_proof(case: &Case<'_>, worked: &Attempt<'_>, failed: &Attempt<'_>) -> bool {
    let is_same_number = worked.main.to.is_some() && worked.main.to == failed.main.to;
    let never_left = match failed.main.outcome {
        Outcome::NoResponse => failed.main.direction == Direction::In && failed.legs.is_empty(),
        Outcome::AuthFailed => matches!(failed.main.status, Some(401 | 407)),
        _ => false,
    };
    let is_same_way = || Way::of(case, worked).is_like(Way::of(case, failed));
    is_same_number || never_left || (is_same_way() && !is_of_other_numbers(case, worked, failed))
}

/// Whether `failed` is one of several calls to a number, or to numbers that begin alike, which were refused alike, and `worked` went to none
/// of those.
fn is_of_other_numbers(case: &Case<'_>, worked: &Attempt<'_>, failed: &Attempt<'_>) -> bool {
    let begins = |attempt: &Attempt<'_>| attempt.main.to.as_deref().map(|number| number.get(..BEGINNING).unwrap_or(number).to_owned());
    let range = begins(failed);
    let is_alike = |other: &&Attempt<'_>| other.main.status == failed.main.status && begins(other) == range;
    let is_refused = failed.main.status.is_some_and(|status| matches!(status, 403 | 404 | 484 | 500..=503 | 603 | 604));
    is_refused && begins(worked) != range && case.made().filter(is_alike).nth(RANGE - 1).is_some()
}

/// Whether the numbers that the user calls that way are not known to the PBX, or not allowed, more than once: one is a slip of who dials.
pub(super) fn is_refused_again(case: &Case<'_>, attempt: &Attempt<'_>) -> bool {
    let outcome = attempt.main.outcome;
    let way = Way::of(case, attempt);
    let is_alike = |other: &&Attempt<'_>| other.main.outcome == outcome && Way::of(case, other).is_like(way);
    matches!(outcome, Outcome::Forbidden | Outcome::NotFound) && case.made().filter(is_alike).nth(1).is_some()
}

/// What a trunk, or the PBX itself, refuses to several callers or at several numbers with one status.
pub(super) struct Refusals {
    /// `None` for the PBX.
    pub(super) trunk: Option<IpAddr>,
    pub(super) status: u16,
    pub(super) calls: usize,
    /// Calls that went there, from the first of them to the last.
    pub(super) of: usize,
    pub(super) numbers: usize,
    pub(super) callers: usize,
    /// Whether somebody was put through to one of the numbers in between.
    is_reached: bool,
}

impl Refusals {
    /// What whoever refused `attempt` refuses alike, where nothing shows that it has ended: a trunk at several numbers, at least every other
    /// call; a PBX with an error of its own, of late.
    pub(super) fn like(case: &Case<'_>, attempt: &Attempt<'_>) -> Option<Self> {
        if let Some(own) = at_a_trunk(case, attempt) {
            let trunk = own.place.ip();
            let is_alike = |call: &Attempt<'_>| at_a_trunk(case, call).is_some_and(|at| at.status == own.status && at.place.ip() == trunk);
            let all = Self::count(case, Some(trunk), own.status, |call| places(call).contains(&trunk), is_alike)?;
            return Some(all).filter(|all| all.numbers >= NUMBERS && all.calls * 2 >= all.of);
        }
        let since = case.now - LATELY;
        let goes_there = |call: &Attempt<'_>| {
            let is_recent = call.started() >= since && call.main.direction == Direction::In;
            is_recent && call.main.destination == attempt.main.destination
        };
        let is_own = |_: &u16| goes_there(attempt) && !is_called_on(case, attempt) && is_there(case, attempt.main);
        let status = by_the_pbx(attempt).filter(is_own)?;
        let all = Self::count(case, None, status, goes_there, |call| by_the_pbx(call) == Some(status))?;
        Some(all).filter(|all| all.calls >= CALLS && all.callers > 1 && (all.numbers > 1 || all.is_reached))
    }

    /// Counts the refusals among the calls that go there; `None` where they seem to have ended. Where calls went through in between, as many in
    /// a row must have gone through since, and one more.
    fn count(
        case: &Case<'_>,
        trunk: Option<IpAddr>,
        status: u16,
        goes_there: impl Fn(&Attempt<'_>) -> bool,
        is_alike: impl Fn(&Attempt<'_>) -> bool,
    ) -> Option<Self> {
        let (mut calls, mut of, mut run, mut longest, mut passed) = (0, 0, 0, 0, 0);
        let (mut numbers, mut callers, mut is_reached) = (BTreeSet::new(), BTreeSet::new(), false);
        let all = Attempt::all(case.scene.report);
        for call in all.iter().filter(|call| call.started() <= case.now && goes_there(call)) {
            if is_alike(call) {
                calls += 1;
                of += passed + 1;
                passed = 0;
                longest = longest.max(run);
                run = 0;
                numbers.insert(call.main.to.as_deref());
                callers.insert(call.main.from.as_deref());
            } else if calls > 0 {
                passed += 1;
                let is_answered = call.main.outcome == Outcome::Answered;
                run += usize::from(is_answered);
                is_reached |= is_answered && numbers.contains(&call.main.to.as_deref());
            }
        }
        (run <= longest).then_some(Self { trunk, status, calls, of, numbers: numbers.len(), callers: callers.len(), is_reached })
    }
}

/// The latest calls of the user that a trunk refused, and that the PBX itself refused: what is refused alike would be among them.
pub(super) fn refused<'s, 'a>(case: &'s Case<'a>) -> impl Iterator<Item = &'s Attempt<'a>> {
    let by_trunk = case.made().find(|attempt| at_a_trunk(case, attempt).is_some());
    by_trunk.into_iter().chain(case.made().find(|attempt| by_the_pbx(attempt).is_some()))
}

/// The error with which the PBX itself refused a call, as far as no leg to anybody is known.
fn by_the_pbx(attempt: &Attempt<'_>) -> Option<u16> {
    let main = attempt.main;
    let is_own = main.direction == Direction::In && attempt.legs.is_empty() && main.passed_on_to.is_none();
    main.status.filter(|_| is_own && main.outcome == Outcome::ServerError)
}

/// Whether the called number is none of this PBX, or that of a user who is registered.
fn is_there(case: &Case<'_>, call: &CallEntry) -> bool {
    let party = call.to.as_deref().map(|number| Party::find(number, case.scene.report));
    let is_registered = |entry: &&RegistrationEntry| entry.state == RegistrationState::Registered;
    party.is_none_or(|party| party.registrations.is_empty() || party.registrations.iter().any(is_registered))
}

/// Whether the PBX called somebody at the number of `attempt` meanwhile: a leg of that call, though it is not known to be one.
fn is_called_on(case: &Case<'_>, attempt: &Attempt<'_>) -> bool {
    let meanwhile = attempt.started()..=attempt.main.ended.map_or(case.now, |end| end.0);
    let is_free = |call: &CallEntry| call.direction == Direction::Out && call.linked.is_empty();
    let is_leg = |call: &CallEntry| is_free(call) && call.to == attempt.main.to && meanwhile.contains(&call.first_seen);
    case.scene.report.calls.iter().any(is_leg)
}

/// What a trunk answered to a call that it did not put through.
fn at_a_trunk(case: &Case<'_>, attempt: &Attempt<'_>) -> Option<Refusal> {
    let legs = attempt.legs.iter().rev().copied();
    let refusals = legs.chain([attempt.main]).filter_map(Refusal::by_whomever);
    refusals.into_iter().find(|refusal| case.scene.tracker.world.peers.is_trunk(refusal.place.ip()))
}
