//! "The user cannot call" (DETECTION §8.2; S1).

use std::net::SocketAddr;

use crate::detect::catalog::FindingId as F;
use crate::detect::finding::{Finding, Subject};
use crate::diagnose::answer::Answer;
use crate::diagnose::cannot_connect::{self, REGISTRATION, STATE, temporary};
use crate::diagnose::case::Case;
use crate::diagnose::concern::Concern;
use crate::diagnose::facts;
use crate::diagnose::judge::is_contact_as_written;
use crate::diagnose::parties::{Attempt, Party};
use crate::diagnose::refusal::{self, Refusal};
use crate::diagnose::rule::{Check, Rule, Step};
use crate::diagnose::unrung;
use crate::diagnose::ways::{self, Refusals};
use crate::diagnose::words::{clock, counted, dialled, in_brackets, lasting, outcome, outcome_as_told};
use crate::report::model::{CallEntry, DeviceEntry, Escalation, Judgement, RegistrationEntry};
use crate::time::{PacketTime, Span};
use crate::track::event::Unanswered;
use crate::track::vocabulary::{Confidence, Direction, Outcome, Reachability, RegistrationState, Scope, Severity};

/// A registration so shortly before a call was taken up in order to place it (DETECTION §8.2).
const TO_PLACE_IT: Span = Span::from_secs(30);
/// A call that took longer until it rang or was answered is called slow (DETECTION §4.2).
pub(super) const SLOW: Span = Span::from_secs(6);
/// Calls that are listed as evidence.
const LISTED: usize = 5;

pub(super) const STEPS: &[Step] = &[
    REGISTRATION,
    STATE,
    Step {
        runbook: "S1-a",
        rules: &[
            Rule::Finding(F::InviteIgnored, "no INVITE of it was seen to go unanswered"),
            Rule::Finding(F::PbxAdvertisesPrivate, "the PBX was not seen to give a private address"),
        ],
    },
    Step { runbook: "S1-d", rules: &[Rule::Check(Judgement::Temporary, reconnected)] },
    Step {
        runbook: "S1-g",
        rules: &[
            Rule::Finding(F::TrunkNoResponse, "no trunk of its calls was seen to be dead"),
            Rule::Finding(F::RoutingLoop, "no call of it was seen to go round in circles"),
            Rule::Finding(F::AuthBackendSlow, "the PBX was not seen to look accounts up more slowly than usual"),
            Rule::Finding(F::PbxSlow, "the PBX was not seen to answer more slowly than usual"),
            Rule::Finding(F::SlowCallSetup, "calls were not seen to be set up more slowly than usual"),
        ],
    },
    Step {
        runbook: "S1-c",
        rules: &[
            Rule::Finding(F::CodecMismatch, "no call of it was seen to fail for lack of a common codec"),
            Rule::Finding(F::AckMissing, "no answer was seen to go without its acknowledgement"),
            Rule::Finding(F::AckMisrouted, "no acknowledgement was seen to go astray"),
            Rule::Finding(F::SdpPrivateToPublic, "no private address was seen to be given for media"),
            Rule::Finding(F::ShortCalls, "its calls were not seen to end within seconds again and again"),
        ],
    },
    Step { runbook: "S1-b", rules: &[Rule::Check(Judgement::Temporary, over)] },
    Step { runbook: "S1-c", rules: &[Rule::Check(Judgement::CannotTell, last_call)] },
];

/// A trouble that is over, where no call was tried since or the last one fell into it.
fn over(case: &Case<'_>) -> Check {
    match last_made(case) {
        Some(attempt) if case.past_trouble(attempt).is_none() => Check::Pass,
        _ => cannot_connect::over(case),
    }
}

/// The call of the user that tells most: the last one that has come out, unless one in the making goes unheeded.
fn last_made<'s, 'a>(case: &'s Case<'a>) -> Option<&'s Attempt<'a>> {
    let latest = case.made().next().filter(|latest| case.unheeded(latest).is_some());
    latest.or_else(|| Case::last_settled(case.made()))
}

/// A call that the phone had to reconnect for.
fn reconnected(case: &Case<'_>) -> Check {
    let Some(attempt) = last_made(case).filter(|attempt| attempt.main.outcome == Outcome::Answered) else { return Check::Pass };
    let before = |device: &DeviceEntry| {
        let since = device.registered_at?.0;
        let known_before = case.party.registrations.iter().any(|entry| entry.accepted > 1);
        let shortly = attempt.started() > since && attempt.started().since(since) <= TO_PLACE_IT;
        (shortly && known_before && since.since(device.first_seen) > TO_PLACE_IT).then_some(since)
    };
    let Some(since) = case.devices().find_map(before) else {
        return Check::Unseen("it was not seen to register anew to place its last call");
    };
    let headline = format!(
        "The phone had lost its registration and reconnected at {} to place the call at {}, which worked.",
        clock(case, since),
        clock(case, attempt.started())
    );
    Check::met(temporary(case, headline).fact(since, 0, "registered again").facts([facts::call(attempt.main)]))
}

/// What became of the last call.
fn last_call(case: &Case<'_>) -> Check {
    let Some(attempt) = last_made(case) else { return Check::met(no_call(case)) };
    let answer = match (case.unheeded(attempt), attempt.main.outcome) {
        (Some(invite), _) => unheeded(case, attempt, &invite),
        (None, outcome) => match unproven(case, attempt).filter(|_| is_reached(attempt)) {
            Some(other) => failed(case, other).worked(case, attempt),
            None if outcome == Outcome::Answered => answered(case, attempt),
            None => failed(case, attempt),
        },
    };
    Check::met(answer.facts(facts::calls(case.made().take(LISTED))))
}

/// What is said of calls under names that are nobody's, `from` or `to` the address that the user shares with others: they may be `of` any of
/// them, or for any.
pub(super) fn unclaimed(case: &Case<'_>, may_be: impl Fn(&CallEntry) -> bool, [from, of]: [&str; 2]) -> Option<Answer> {
    let calls: Vec<_> = case.unclaimed.iter().filter(|call| may_be(call)).map(|call| facts::call(call)).collect();
    let headline = format!(
        "No call under a name of {} was captured, but {} {from} its address, which other users share, may be {of} any of them.",
        case.asked(),
        counted(calls.len(), "call", "calls")
    );
    let answer = Answer::new(Judgement::CannotTell, headline).confidence(Confidence::Suspected).scope(case.scope());
    (!calls.is_empty()).then(|| answer.facts(calls.into_iter().rev().take(LISTED)))
}

fn no_call(case: &Case<'_>) -> Answer {
    if let Some(answer) = unclaimed(case, |call| case.party.is_at(call.source), ["from", "of"]) {
        return answer.next_step("Let the user place a test call while capturing, and find it by its time and number.");
    }
    let state = if case.is_registered() { "is registered, but" } else { "was seen, but" };
    let headline = format!("{} {state} no call of it was captured: if it tried, the call never left the phone.", case.asked());
    Answer::new(Judgement::CannotTell, headline)
        .confidence(Confidence::Suspected)
        .scope(case.scope())
        .next_step("Let the user place a test call while capturing; if none appears, check account, line key and dial plan of the phone.")
}

fn answered(case: &Case<'_>, attempt: &Attempt<'_>) -> Answer {
    let main = attempt.main;
    let earlier = case.made().filter(|other| other.started() < attempt.started()).find(|other| is_technical(other.main.outcome));
    let slowly =
        main.setup_s.filter(|setup| setup.0 > SLOW).map_or_else(String::new, |setup| format!(" after {} of waiting", lasting(setup.0)));
    match earlier {
        Some(other) => {
            let headline = format!(
                "The call to {} at {} {}, but the last one, to {} at {}, was answered{slowly}.",
                dialled(other.main),
                clock(case, other.started()),
                outcome(other.main),
                dialled(main),
                clock(case, attempt.started())
            );
            temporary(case, headline)
        }
        None => {
            let headline =
                format!("The last call, to {} at {}, was answered{slowly}: it can call.", dialled(main), clock(case, attempt.started()));
            Answer::new(Judgement::Healthy, headline).scope(case.scope())
        }
    }
}

/// The last call that technology or the PBX failed, and of which no later one shows that it is over: what works within the house says
/// nothing of the carrier.
fn unproven<'s, 'a>(case: &'s Case<'a>, last: &Attempt<'a>) -> Option<&'s Attempt<'a>> {
    let alike = ways::refused(case).find(|refused| Refusals::like(case, refused).is_some()).map(Attempt::started);
    let mut worked = vec![last];
    for other in case.made().filter(|other| other.started() < last.started()) {
        if is_reached(other) {
            worked.push(other);
            continue;
        }
        let is_over = || worked.iter().any(|worked| ways::is_proof(case, worked, other));
        let is_trouble = || is_technical(other.main.outcome) || unrung::in_vain(other).is_some() || ways::is_refused_again(case, other);
        if alike == Some(other.started()) || (is_trouble() && !is_over()) {
            return Some(other);
        }
    }
    None
}

impl Answer {
    /// Adds that another call since went through, another way.
    fn worked(self, case: &Case<'_>, attempt: &Attempt<'_>) -> Self {
        let became = outcome(attempt.main);
        let since = format!("The last call, to {} at {}, {became}", dialled(attempt.main), clock(case, attempt.started()));
        Self { headline: format!("{} {since}; that does not show that this is over.", self.headline), ..self }
    }
}

/// Whether technology and not people ended an attempt.
pub(super) fn is_technical(outcome: Outcome) -> bool {
    use Outcome as O;
    matches!(
        outcome,
        O::Timeout | O::ServerError | O::NoResponse | O::Stalled100 | O::AuthFailed | O::NotAcceptable | O::Loop | O::Unavailable
    )
}

fn failed(case: &Case<'_>, attempt: &Attempt<'_>) -> Answer {
    use Outcome as O;
    let main = attempt.main;
    if let Some(refusals) = Refusals::like(case, attempt) {
        return refusal::alike(case, attempt, &refusals);
    }
    if let Some(waited) = unrung::in_vain(attempt) {
        return unrung::verdict(case, attempt, waited);
    }
    if let Some(accepted) = accepted(case, attempt) {
        return barred(case, attempt, accepted);
    }
    if let Some(answer) = refusal::forwarded_round(case, attempt) {
        return answer;
    }
    if let Some(refusal) = Refusal::of(attempt).filter(|_| !is_by_people(main.outcome)) {
        return refusal::to_the_caller(case, attempt, refusal);
    }
    let told = outcome_as_told(main, refusal::reason(attempt));
    let what = format!("The call to {} at {} {told}", dialled(main), clock(case, attempt.started()));
    match main.outcome {
        O::ClientError if main.status == Some(422) => refusal::interval(what),
        O::Busy | O::NoAnswer | O::Declined | O::Cancelled | O::CompletedElsewhere | O::Redirected | O::Stalled18x => {
            people(format!("{what}: that is what people did, not a fault."))
        }
        O::NotFound if ways::is_refused_again(case, attempt) => people(format!("{what}, and so did others of this user."))
            .next_step("Check the numbers that were dialled; if they are right, second level: the dial plan and the routes of the PBX."),
        O::NotFound => people(format!("{what}.")).next_step("Check the number that was dialled, and the dial plan of the phone."),
        O::Forbidden => people(format!("{what}: the PBX does not let this user call it."))
            .next_step("Tell the user; if the account should be able to call it, have its rights on the PBX changed."),
        O::AuthFailed if corrected(case, attempt).is_some() => {
            let at = corrected(case, attempt).map_or_else(String::new, |at| clock(case, at));
            temporary(case, format!("{what}, and so were its credentials for registering; those are accepted since {at}."))
                .next_step("Let the user call again, and close the incident if it works.")
        }
        O::AuthFailed => suspected(F::AuthFailedLoop, format!("{what}: its credentials for calls are wrong or missing."))
            .next_step("Re-enter auth user and password exactly as on the PBX, also for outgoing calls."),
        O::NotAcceptable => main
            .status
            .and_then(|status| refusal::extension(status, &what))
            .unwrap_or_else(|| suspected(F::CodecMismatch, format!("{what}.")).next_step("Check the codec and SRTP settings of both ends."))
            .scope(Scope::Call),
        O::Loop => suspected(F::RoutingLoop, format!("{what}."))
            .next_step("Second level: remove the forwarding loop.")
            .scope(Scope::Call)
            .escalate(Escalation::L2),
        O::ServerError | O::Stalled100 => server(case, attempt, what),
        O::Unavailable | O::Timeout => other_party(case, attempt, what),
        O::NoResponse => no_response(case, attempt, what),
        O::Merged | O::Glare | O::ClientError | O::GlobalFailure | O::Answered | O::Unknown => unknown(main, what),
    }
}

/// When the credentials of the user were put right, which were refused for registering after a call or at that time.
fn corrected(case: &Case<'_>, attempt: &Attempt<'_>) -> Option<PacketTime> {
    let is_it = |finding: &&Finding| finding.id == F::AuthFailedLoop && case.concern(finding) == Concern::User;
    let ended = case.past().filter(is_it).filter_map(|finding| finding.cleared).map(|end| case.printed(end)).max()?;
    (case.is_registered() && ended > attempt.started()).then_some(ended)
}

/// Another call of the user from the same address that the PBX took, where it refused this one for its credentials as it seems: the same
/// credentials are not wrong for one number and right for another.
fn accepted<'s, 'a>(case: &'s Case<'a>, attempt: &Attempt<'a>) -> Option<&'s Attempt<'a>> {
    let main = attempt.main;
    let is_refused = main.outcome == Outcome::AuthFailed && main.status == Some(403) && attempt.legs.is_empty();
    let is_taken = |other: &&Attempt<'_>| {
        let other_main = other.main;
        let is_through = other_main.outcome == Outcome::Answered || other_main.ring_s.is_some() || !other.legs.is_empty();
        other_main.direction != Direction::Out && other_main.source == main.source && other_main.from == main.from && is_through
    };
    case.made().filter(|_| is_refused).find(is_taken)
}

/// A call that the PBX took the user's word for and does not let through.
fn barred(case: &Case<'_>, attempt: &Attempt<'_>, accepted: &Attempt<'_>) -> Answer {
    let main = attempt.main;
    people(format!(
        "The call to {} at {} was not allowed (403){}: the account is not let call it. Its credentials are right: its call to {} at {} was \
         accepted.",
        dialled(main),
        clock(case, attempt.started()),
        in_brackets(refusal::reason(attempt)),
        dialled(accepted.main),
        clock(case, accepted.started())
    ))
    .next_step("Tell the user; if the account should be able to call it, have its rights on the PBX changed.")
}

/// Whether people decided how a call came out, or the caller's phone did.
const fn is_by_people(outcome: Outcome) -> bool {
    use Outcome as O;
    matches!(
        outcome,
        O::Busy | O::NoAnswer | O::Declined | O::Cancelled | O::CompletedElsewhere | O::Redirected | O::Stalled18x | O::Unknown
    )
}

/// Whether a call came through to somebody, or to the line of somebody.
fn is_reached(attempt: &Attempt<'_>) -> bool {
    let outcome = attempt.main.outcome;
    let is_by_people = is_by_people(outcome) && outcome != Outcome::Unknown && unrung::in_vain(attempt).is_none();
    outcome == Outcome::Answered || is_by_people
}

/// Nobody's fault.
pub(super) fn people(headline: String) -> Answer {
    Answer::new(Judgement::NotAnIssue, headline).scope(Scope::Call)
}

/// What one call suggests and no finding says yet.
pub(super) fn suspected(id: F, headline: String) -> Answer {
    let answer = Answer::new(Judgement::Finding(id), headline).confidence(Confidence::Suspected);
    Answer { severity: Some(Severity::Warning), ..answer }
}

fn server(case: &Case<'_>, attempt: &Attempt<'_>, what: String) -> Answer {
    if let Some(leg) = attempt.legs.iter().find(|leg| leg.outcome == Outcome::NoResponse) {
        return other_end_silent(case, leg.destination, dialled(leg), what);
    }
    // That it did not even call a user who is registered was found to be no matter of the server.
    let call = Subject::Call(attempt.main.call_id.clone().into());
    let of_call = |finding: &Finding| finding.id == F::CallFailedCalleeUnreachable && finding.related.contains(&call);
    if let Some(finding) = case.scene.findings.listed(of_call).into_iter().next() {
        let headline = format!("{what}. The trouble is on the called side: {}.", finding.message.trim_end_matches('.'));
        return Answer { headline, ..Answer::finding(case, finding).next_step(treat(dialled(attempt.main))) };
    }
    let id = if attempt.main.outcome == Outcome::ServerError { F::ServerErrorBurst } else { F::PbxSlow };
    suspected(id, format!("{what}: the PBX took the call and could not handle it."))
        .scope(Scope::Server)
        .next_step("Second level: check the services of the PBX, its database and its trunks at that time.")
        .escalate(Escalation::L2)
}

/// The called side could not be reached: is it there at all (S1-e)?
fn other_party(case: &Case<'_>, attempt: &Attempt<'_>, what: String) -> Answer {
    let called = dialled(attempt.main);
    let report = case.scene.report;
    let party = Party::find(called, report);
    let Some(entry) = party.registrations.first().copied() else {
        if let Some(leg) = attempt.legs.iter().find(|leg| leg.outcome == Outcome::NoResponse) {
            return other_end_silent(case, leg.destination, dialled(leg), what);
        }
        return people(format!("{what}, and {called} was not seen to be registered."))
            .confidence(Confidence::Suspected)
            .next_step(format!("Check that {called} exists and is switched on."));
    };
    let calls_astray = |finding: &Finding| is_contact_as_written(finding) && finding.subject.to_string() == entry.aor;
    if is_offline(entry) && case.scene.findings.listed(calls_astray).is_empty() {
        return people(format!("{what}: {called} is offline, and that is not the caller's problem.")).next_step(format!(
            "Tell the caller that {called} is offline; for that user run: diagnose {called} --problem cannot-connect."
        ));
    }
    called_side(case, attempt, &what)
        .unwrap_or_else(|| suspected(F::CalleeNoResponse, format!("{what}, although {called} is registered.")).next_step(treat(called)))
}

/// What was found of the called user, where it is one of this PBX.
pub(super) fn called_side(case: &Case<'_>, attempt: &Attempt<'_>, what: &str) -> Option<Answer> {
    let called = dialled(attempt.main);
    let party = Party::find(called, case.scene.report);
    let entry = party.registrations.first()?;
    let own =
        |finding: &Finding| finding.cleared.is_none() && finding.severity > Severity::Info && finding.subject.to_string() == entry.aor;
    let finding = case.scene.findings.listed(own).into_iter().max_by_key(|finding| finding.severity)?;
    let message = finding.message.trim_end_matches('.');
    let found = Answer::finding(case, finding);
    if is_contact_as_written(finding) {
        return Some(Answer { headline: format!("{what}. The PBX does not reach {called}: {message}."), ..found });
    }
    let headline = format!("{what}. The trouble is on the called side: {message}.");
    Some(Answer { headline, ..found.next_step(treat(called)) })
}

/// The next step where the trouble is on the called side.
pub(super) fn treat(called: &str) -> String {
    format!("Treat the called party: run diagnose {called} --problem cannot-receive.")
}

/// Whether a user is not there: no registration, or the PBX holds all of its phones for gone.
fn is_offline(entry: &RegistrationEntry) -> bool {
    let gone = |device: &DeviceEntry| device.reachability == Reachability::Unreachable;
    entry.state != RegistrationState::Registered || (!entry.devices.is_empty() && entry.devices.iter().all(gone))
}

fn no_response(case: &Case<'_>, attempt: &Attempt<'_>, what: String) -> Answer {
    if attempt.main.direction == Direction::Out {
        return other_end_silent(case, attempt.main.destination, dialled(attempt.main), what);
    }
    ignored(format!("{what} at all"))
}

/// Nothing has come back yet from where the call is being sent to.
fn unheeded(case: &Case<'_>, attempt: &Attempt<'_>, invite: &Unanswered) -> Answer {
    let what = format!(
        "The call to {} is being set up since {}, and its INVITE to {} was sent {} times without an answer so far",
        dialled(attempt.main),
        clock(case, attempt.started()),
        invite.flow.destination,
        invite.transmissions
    );
    let answer = match case.scene.tracker.world.peers.direction(invite.flow) {
        Direction::In => ignored(what),
        _ => other_end_silent(case, invite.flow.destination, dialled(attempt.main), what),
    };
    answer.fact(case.printed(invite.first.time), invite.first.frame, format!("INVITE to {}, not answered yet", invite.flow.destination))
}

/// The PBX does not react to the phone.
fn ignored(what: String) -> Answer {
    suspected(F::InviteIgnored, format!("{what}: the PBX does not react."))
        .scope(Scope::Source)
        .next_step("On the PBX check fail2ban, firewall and ACL for the address of the phone, and whether the PBX was up.")
        .escalate(Escalation::L2)
}

/// The PBX called on and nobody answered: a carrier or a phone.
fn other_end_silent(case: &Case<'_>, place: SocketAddr, called: &str, what: String) -> Answer {
    if case.scene.tracker.world.peers.is_trunk(place.ip()) {
        return suspected(F::TrunkNoResponse, format!("{what}: the trunk {} did not answer the PBX.", place.ip()))
            .scope(Scope::Trunk)
            .next_step("Second level: check the trunk and the status page of the carrier.")
            .escalate(Escalation::L2);
    }
    suspected(F::CalleeNoResponse, format!("{what}: {} did not answer the PBX.", refusal::place_in_words(case, place)))
        .next_step(treat(called))
}

fn unknown(main: &CallEntry, what: String) -> Answer {
    let (why, escalate) = match (main.outcome, main.status) {
        (Outcome::Unknown, _) if main.partial => {
            (": the capture begins in the middle of it, and does not show more".to_owned(), Escalation::None)
        }
        (Outcome::Unknown, _) => ("; the capture ends before it came out, or does not show the answer".to_owned(), Escalation::None),
        (_, Some(status)) => (format!(": {status} says no more than that"), Escalation::L2),
        _ => (String::new(), Escalation::L2),
    };
    Answer::new(Judgement::CannotTell, format!("{what}{why}."))
        .confidence(Confidence::Suspected)
        .scope(Scope::Call)
        .next_step("Let the user place a test call while capturing, and wait until it has ended.")
        .escalate(escalate)
}

/// How long ago a call was, for a question that is about now.
pub(super) fn age(case: &Case<'_>, attempt: &Attempt<'_>) -> String {
    lasting(case.now.since(attempt.started()))
}
