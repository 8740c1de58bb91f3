//! "The user cannot connect" (DETECTION §8.1; S0, S4).

use crate::detect::catalog::{FindingId as F, rejection_remedy};
use crate::detect::finding::Finding;
use crate::diagnose::answer::Answer;
use crate::diagnose::case::Case;
use crate::diagnose::concern::Concern;
use crate::diagnose::history;
use crate::diagnose::radius::Radius;
use crate::diagnose::rule::{Check, Rule, Step};
use crate::diagnose::words::{clock, counted, lasting, registration};
use crate::report::model::{Escalation, Judgement};
use crate::time::{PacketTime, Span};
use crate::track::registration::device::Device;
use crate::track::site::Site;
use crate::track::vocabulary::{Confidence, RegistrationState, Scope, Severity};

/// How long a phone may be silent before it counts as away (DETECTION §8.1).
const SILENT: Span = Span::from_secs(600);
/// How far back a trouble that is over explains a complaint (DETECTION §8.1).
const DAY: Span = Span::from_secs(24 * 3600);
/// A registration that stands for less than the phone has been known was taken up again; a challenge and its answer take less.
const TAKEN_UP_AGAIN: Span = Span::from_secs(60);

/// A phone that opens another connection in that time does so at once.
const RECONNECTS: Span = Span::from_secs(5);

pub(super) const STEPS: &[Step] = &[SITE, REGISTRATION, STATE, REACHABLE, DETOUR, OVER, WELL];

/// The phone and its site are there.
pub(super) const SITE: Step = Step { runbook: "S0-a", rules: &[Rule::Check(Judgement::NotAnIssue, site_offline)] };

/// The findings of a registration that fails.
pub(super) const REGISTRATION: Step = Step {
    runbook: "S0-d",
    rules: &[
        Rule::Finding(F::ResponseNotReachingClient, "no REGISTER was seen to be repeated after its answer had left"),
        Rule::Finding(F::AuthFailedLoop, "its credentials were not seen to be refused again and again"),
        Rule::Finding(F::RegistrarSilent, "no REGISTER of it was seen to go unanswered"),
        Rule::Finding(F::AuthBruteforce, "nobody was seen to try password after password from its address"),
        Rule::Finding(F::FragmentLoss, "no fragments of its messages were seen to get lost"),
        Rule::Finding(F::RegistrationRejected, "no REGISTER of it was seen to be refused for good"),
        Rule::Finding(F::MassUnregister, "nobody else was seen to remove its registrations"),
        Rule::Finding(F::RegistrationExpired, "its registration was not seen to run out"),
        Rule::Finding(F::NeverRegistered, "nobody was seen to call it in vain before it ever registered"),
    ],
};

/// What the state says where no finding was made yet.
pub(super) const STATE: Step = Step { runbook: "S0-f", rules: &[Rule::Check(Judgement::CannotTell, failing)] };

/// Registered, but it comes and goes.
const REACHABLE: Step = Step {
    runbook: "S4",
    rules: &[
        Rule::Finding(F::RegistrationFlapping, "its registration was not seen to come and go"),
        Rule::Finding(F::DuplicateRegistration, "no two devices were seen to take the registration from each other"),
        Rule::Finding(F::NatBindingTimeout, "its NAT was not seen to forget it"),
        Rule::Finding(F::PeerUnreachable, "the PBX was not seen to hold it for gone"),
        Rule::Check(Judgement::Finding(F::PeerUnreachable), disconnected),
        Rule::Check(Judgement::Finding(F::RegistrationFlapping), comes_and_goes),
    ],
};

/// Registered, but only after it has tried another address in vain.
const DETOUR: Step = Step { runbook: "S0-e", rules: &[Rule::Check(Judgement::Finding(F::WrongTransportOrPort), detour)] };

/// It was so, and is over.
pub(super) const OVER: Step = Step { runbook: "S0-c", rules: &[Rule::Check(Judgement::Temporary, over)] };

/// Registered, and nothing to complain of.
const WELL: Step = Step { runbook: "S0-b", rules: &[Rule::Check(Judgement::Healthy, well)] };

/// The phone and all its neighbours are silent: the site has no connection.
fn site_offline(case: &Case<'_>) -> Check {
    let Some(seen) = case.last_seen().filter(|seen| case.now.since(*seen) >= SILENT) else {
        return Check::Unseen("packets of it were captured in the last ten minutes, or none at all");
    };
    // Who keeps a connection open may be silent for as long as it is registered.
    if case.tracked_devices().any(|(_, device)| device.is_registered() && device.flow.transport.is_stream()) {
        return Check::Unseen("it is registered over a connection, which may be silent for long");
    }
    let sites: Vec<_> = case.party.addresses().into_iter().map(Site::of).collect();
    let devices = case.scene.report.registrations.iter().filter(|entry| !case.party.is_aor(&entry.aor)).flat_map(|entry| &entry.devices);
    let near: Vec<_> = devices.filter(|device| sites.contains(&Site::of(device.source.ip()))).collect();
    let alive = near.iter().filter(|device| device.last_seen.is_some_and(|last| case.now.since(last.0) < SILENT)).count();
    if alive > 0 {
        return Check::Not(format!("{} at the same address still sent packets", counted(alive, "other phone", "other phones")));
    }
    if near.is_empty() {
        return Check::Not(format!("silent since {}, but it is the only phone known there", clock(case, seen)));
    }
    let headline = format!(
        "The whole site is offline: neither {} nor {} at its address sent a packet for {}.",
        case.asked(),
        if let [_] = near[..] { "the one other phone".to_owned() } else { format!("any of the {} other phones", near.len()) },
        lasting(case.now.since(seen))
    );
    let answer = Answer::new(Judgement::NotAnIssue, headline)
        .confidence(Confidence::Probable)
        .scope(Scope::Site)
        .fact(seen, 0, "last packet of this phone")
        .next_step("Tell the customer to check the router and to call the internet provider.");
    Check::met(answer)
}

/// The registration fails right now, but not often enough for a finding.
fn failing(case: &Case<'_>) -> Check {
    let Some(entry) = case.registration() else { return Check::Pass };
    let tried = |id: F, what: String, next: &str, escalate| {
        let answer = Answer::new(Judgement::Finding(id), what).confidence(Confidence::Suspected).scope(case.scope());
        Check::met(Answer { severity: Some(Severity::Warning), ..answer.next_step(next).escalate(escalate) })
    };
    let status = entry.last_status.unwrap_or_default();
    let aor = &entry.aor;
    let said = case.refusal(entry).unwrap_or_else(|| status.to_string());
    // A challenge as the last word refuses the credentials, the first time too.
    let state = match entry.state {
        RegistrationState::Rejected if matches!(status, 401 | 407) => RegistrationState::AuthLoop,
        state => state,
    };
    match state {
        RegistrationState::Registered => Check::Pass,
        RegistrationState::AuthLoop => tried(
            F::AuthFailedLoop,
            format!("The PBX refused the credentials of {aor} with {said}: wrong password or unknown account."),
            rejection_remedy(status, true),
            Escalation::None,
        ),
        RegistrationState::Challenged if entry.awaits_credentials() => Check::met(
            Answer::new(Judgement::CannotTell, format!("The PBX has just asked {aor} for credentials; what came of it was not captured."))
                .confidence(Confidence::Suspected)
                .next_step("Capture for longer: a phone has 32 s to send its credentials."),
        ),
        RegistrationState::Challenged => tried(
            F::AuthFailedLoop,
            format!("The PBX asked {aor} for credentials and none came: the phone has none, or the question did not reach it."),
            "Enter auth user and password in the phone, then force reconnection; if that changes nothing, check the way back to the phone.",
            Escalation::None,
        ),
        RegistrationState::Rejected => tried(
            F::RegistrationRejected,
            format!("The PBX refused to register {aor} with {said}."),
            rejection_remedy(status, false),
            Escalation::L2,
        ),
        RegistrationState::Silent => tried(
            F::RegistrarSilent,
            format!("The PBX did not answer the REGISTER of {aor}."),
            "On the PBX check fail2ban, firewall and ACL for the address of the phone.",
            Escalation::L2,
        ),
        RegistrationState::Expired => tried(
            F::RegistrationExpired,
            format!("The registration of {aor} ran out and was not renewed."),
            "Force reconnection, and check power, LAN and Wi-Fi of the phone.",
            Escalation::None,
        ),
        RegistrationState::Unregistered => Check::met(
            Answer::new(Judgement::NotAnIssue, format!("{aor} logged off by itself and has not come back."))
                .scope(case.scope())
                .next_step("Ask whether the phone or the app was switched off; log it on again."),
        ),
        RegistrationState::Registering | RegistrationState::Unknown => Check::met(
            Answer::new(Judgement::CannotTell, format!("{aor} tries to register; how that came out was not captured."))
                .confidence(Confidence::Suspected)
                .next_step("Capture for longer, and see that both directions are in the capture."),
        ),
    }
}

/// The registration stands, but the connection is gone over which the PBX could reach the phone (RFC 5626 §7).
pub(super) fn disconnected(case: &Case<'_>) -> Check {
    let Some((device, ended)) = case.disconnected() else { return Check::Pass };
    let (at, away) = (case.printed(ended.time), case.scene.tracker.now().since(ended.time));
    let headline = format!(
        "The {} connection over which {} had registered ended at {}, and it has registered over no other in the {} since: the PBX may \
         not reach it behind its NAT, though its registration stands.",
        device.flow.transport.as_str().to_uppercase(),
        case.asked(),
        clock(case, at),
        lasting(away)
    );
    let answer = Answer::new(Judgement::Finding(F::PeerUnreachable), headline)
        .confidence(Confidence::Suspected)
        .scope(case.scope())
        .fact(at, ended.frame, format!("the connection from {} to {} ended", device.flow.source, device.flow.destination))
        .next_step("Check power, LAN and Wi-Fi of the phone and the line there, then force a reconnection.");
    Check::met(Answer { severity: Some(Severity::Warning), ..answer })
}

/// The phone tries a server first that is not there, each time.
fn detour(case: &Case<'_>) -> Check {
    let tried = case.finding(F::WrongTransportOrPort).filter(|finding| case.is_detour(finding) && !case.is_over(finding));
    tried.map_or(Check::Pass, |finding| {
        let headline = format!("{} is registered, but it tries a wrong server as well. {}.", case.asked(), finding.message);
        Check::met(Answer { headline, ..Answer::finding(case, finding) })
    })
}

/// A phone that the PBX could not reach again and again: that it answers at this moment does not end it.
pub(super) fn comes_and_goes(case: &Case<'_>) -> Check {
    let is_it = |finding: &&Finding| finding.id == F::PeerUnreachable && case.concern(finding) == Concern::User;
    let latest = case.past().filter(is_it).max_by_key(|finding| finding.last);
    let Some((finding, (since, until, times))) = latest.and_then(|finding| Some((finding, history::outages(case, finding)?))) else {
        return Check::Unseen("it was not seen to be out of reach again and again");
    };
    let headline = format!(
        "{} was out of reach for the PBX at least {times} times from {} to {}, and came back each time: that it answers now does not show that \
         this is over.",
        finding.subject,
        clock(case, since),
        clock(case, until)
    );
    let answer = Answer::new(Judgement::Finding(F::RegistrationFlapping), headline).confidence(Confidence::Probable).scope(finding.scope);
    let answer = Answer { severity: Some(Severity::Warning), ..answer }.next_step(case.remedy(finding));
    Check::met(answer.shared(case, finding).facts(case.evidence_of(finding)))
}

/// Something was wrong within a day and works now.
pub(super) fn over(case: &Case<'_>) -> Check {
    if !case.is_registered() || case.is_unreachable() && case.delivered_since(PacketTime::MIN).is_none() {
        return Check::Pass;
    }
    if let again @ Check::Met(_) = comes_and_goes(case) {
        return again;
    }
    let recent = case.past().filter(|finding| case.now.since(case.printed(finding.last)) <= DAY);
    // The user's own trouble comes before what everybody shared, unless that was the PBX.
    let weight = |finding: &&Finding| {
        let is_near = case.concern(finding) == Concern::User || finding.severity == Severity::Critical;
        (is_near, finding.severity, finding.last)
    };
    if let Some(finding) = recent.max_by_key(weight) {
        return Check::met(mended(case, finding));
    }
    match case.finding(F::KeepaliveExperiment).zip(case.nearby(F::NatBindingTimeout)) {
        Some((experiment, nat)) => Check::met(escaped(case, experiment, nat)),
        None => taken_up_again(case),
    }
}

/// The NAT still forgets other phones, but not this one since its keep-alive was changed (S4-7).
fn escaped(case: &Case<'_>, experiment: &Finding, nat: &Finding) -> Answer {
    let headline = format!(
        "The NAT at {} forgets other phones; the keep-alive of this one was changed, and it is not among them. {}.",
        nat.subject, experiment.message
    );
    let mut answer = temporary(case, headline).facts(case.evidence_of(experiment));
    answer.runbook = experiment.id.runbook().to_vec();
    answer.next_step(format!("Nothing to do for this phone: it keeps the shorter interval. For the others: {}", nat.remedy))
}

/// What a finding that is over amounts to: nothing is to be done, but its remedy stays good for the next time.
fn mended(case: &Case<'_>, finding: &Finding) -> Answer {
    let end = finding.cleared.map_or(case.now, |end| case.printed(end));
    let restart = history::restarted(case, finding);
    let restarted = restart.map_or_else(String::new, |at| format!(" The phone restarted and was back at {}.", clock(case, at)));
    let times = match history::times(finding) {
        0 | 1 => String::new(),
        times => format!("at least {times} times "),
    };
    let headline = format!(
        "There was a problem {times}from {} to {}, and it is over. What was found then: {}.{restarted}{}",
        clock(case, case.printed(finding.since)),
        clock(case, end),
        diagnosis(finding),
        change(case, finding)
    );
    let next_step =
        format!("Nothing to do now: let the user try, and close the incident if it works. If it comes back: {}", case.remedy(finding));
    let mut answer = temporary(case, headline).scope(finding.scope).facts(case.evidence_of(finding)).next_step(next_step);
    if let Some(radius) = Radius::of(case, finding) {
        answer.headline += &radius.sentence();
        answer = answer.scope(radius.scope());
    }
    answer.runbook = finding.id.runbook().to_vec();
    answer.fact(end, 0, format!("{} ended", finding.id))
}

/// The message of a finding without the advice that it ends with.
fn diagnosis(finding: &Finding) -> &str {
    let message = finding.message.trim_end_matches('.');
    match finding.id {
        F::NatBindingTimeout => message.split("; ").next().unwrap_or(message),
        _ => message,
    }
}

/// What was changed, so that it is over.
fn change(case: &Case<'_>, finding: &Finding) -> String {
    if finding.id != F::NatBindingTimeout {
        return String::new();
    }
    if let Some(experiment) = case.finding(F::KeepaliveExperiment) {
        return format!(" Since then {}.", experiment.message);
    }
    let lived =
        case.party.addresses().into_iter().filter_map(|address| case.scene.tracker.nat.view(Site::of(address))?.estimate.lower).max();
    lived.map_or_else(String::new, |lived| format!(" Since then idle bindings were seen to live for {} and more.", lasting(lived)))
}

/// Attempts that failed before one that worked, or a registration that was taken up again.
fn taken_up_again(case: &Case<'_>) -> Check {
    let Some(entry) = case.registration() else { return Check::Pass };
    // What a second device or a stranger tries in the user's name is no trouble of its phone.
    let is_another = |device: &Device| !device.was_accepted();
    if entry.rejected > 0 && !case.tracked_devices().any(|(_, device)| is_another(device)) {
        let tries = counted(entry.attempts as usize, "attempt", "attempts");
        let headline = format!("{} of {tries} of {} to register failed; the last one worked.", entry.rejected, entry.aor);
        return Check::met(temporary(case, headline));
    }
    if let Some([ended, back]) = case.reconnected().filter(|[ended, back]| back.time.since(ended.time) > RECONNECTS) {
        let (lost, found) = (case.printed(ended.time), case.printed(back.time));
        let headline =
            format!("{} lost its connection at {} and was back over another one at {}.", entry.aor, clock(case, lost), clock(case, found));
        let answer = temporary(case, headline).fact(lost, ended.frame, "the connection ended over which it had registered");
        return Check::met(answer.fact(found, back.frame, "registered over another connection"));
    }
    let again = entry.devices.iter().find_map(|device| {
        let since = device.registered_at?.0;
        (entry.accepted > 1 && since.since(device.first_seen) > TAKEN_UP_AGAIN).then_some((since, device.first_seen))
    });
    match again {
        Some((since, first)) => {
            let headline = format!("{} had lost its registration and took it up again at {}.", entry.aor, clock(case, since));
            Check::met(temporary(case, headline).fact(first, 0, "the phone was there before").fact(since, 0, "registered again"))
        }
        None => Check::Unseen("no trouble in the last 24 hours that is over was seen"),
    }
}

/// A trouble that is over.
pub(super) fn temporary(case: &Case<'_>, headline: String) -> Answer {
    Answer::new(Judgement::Temporary, headline)
        .confidence(Confidence::Probable)
        .scope(case.scope())
        .next_step("Let the user try again and close the incident if it works; open it again if it comes back.")
}

fn well(case: &Case<'_>) -> Check {
    let Some(entry) = case.registration() else {
        let calls = counted(case.attempts.len(), "call", "calls");
        let headline = format!("No REGISTER of {} was captured, only {calls} with it.", case.asked());
        let hint = "If it is a phone, force a reconnection while capturing; if it is a number outside, it does not register.";
        return Check::met(Answer::new(Judgement::CannotTell, headline).confidence(Confidence::Suspected).next_step(hint));
    };
    let since = entry.devices.iter().filter_map(|device| device.registered_at).min();
    let since = since.map_or_else(String::new, |since| format!(" since {}", clock(case, since.0)));
    let headline = match entry.attempts {
        0 => format!("{} {}, and nothing is wrong with it.", entry.aor, registration(entry)),
        _ => format!("{} is registered{since}, and nothing is wrong with it.", entry.aor),
    };
    Check::met(Answer::new(Judgement::Healthy, headline).scope(case.scope()))
}
