//! Why a phone is not registered: rejected, wrong credentials, no answer, run out (DETECTION §1).

use std::net::{IpAddr, SocketAddr};

use crate::decode::flow::Flow;
use crate::decode::signal::Signal;
use crate::detect::catalog::{FindingId, Slot, rejection_remedy, trunk_remedy};
use crate::detect::finding::{Finding, Raise, Reason, Standing, Subject, counted, sent};
use crate::detect::lately::Lately;
use crate::detect::parties::{registered_elsewhere, related_pbx, standing};
use crate::detect::served::Served;
use crate::detect::silence::{
    DROPS_REGISTER, MAY_BE_BLOCKED, OTHERS_THERE_ARE_SERVED, SERVER_IS_GONE, SERVICE_HANGS, is_gone, is_let_in, others_served, proved_by,
    silent_since,
};
use crate::detect::store::FindingStore;
use crate::detect::unopened::{TCP_IS_FILTERED, TCP_IS_OFF, TCP_REFUSED, Unopened, UnopenedConnections, takes_connections};
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::event::{AttemptEnd, AttemptReport, Event, Sighting};
use crate::track::registration::device::Device;
use crate::track::registration::refusal::Algorithm;
use crate::track::site::Site;
use crate::track::vocabulary::{Direction, RegistrationState, Scope, Severity};

/// Rejections and answered sources remembered.
const REMEMBERED: usize = 4096;

/// How long refusals of credentials are remembered that no acceptance came between.
const REFUSED: Span = Span::from_secs(24 * 3600);
/// Answers that a message names.
const NAMED: usize = 3;

/// A REGISTER that was refused.
#[derive(Debug)]
struct Rejection {
    source: SocketAddr,
    sent: Sighting,
    at: Sighting,
    /// The status line and what else the registrar said.
    words: Box<str>,
}

impl Rejection {
    fn of(tracker: &Tracker, report: &AttemptReport) -> Self {
        let words = words_of(tracker, report);
        let words = if report.end == AttemptEnd::NonceRefused { format!("{words}, stale=true") } else { words };
        Self { source: report.flow.source, sent: report.first, at: report.answered, words: words.into() }
    }
}

/// Watches registering attempts.
#[derive(Debug, Default)]
pub(super) struct RegistrationDetector {
    rejections: Lately<Handle, Rejection, REMEMBERED>,
    /// Contacts that the registrar did not keep, by device.
    dropped: Lately<Handle, Rejection, REMEMBERED>,
    /// Credentials that were refused, by device.
    refusals: Lately<Handle, Rejection, REMEMBERED>,
    /// Source addresses whose REGISTER was answered.
    answered: Served,
    /// Connections that were not to be had, by who asked for them.
    unopened: UnopenedConnections,
}

impl RegistrationDetector {
    /// Sources held that get no connections, and how many were dropped for lack of room.
    pub(super) fn size(&self) -> (usize, u64) {
        self.unopened.size()
    }

    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        match event {
            Event::RegistrationEnded(report) => self.ended(tracker, report, findings),
            Event::RegistrationState { device, to: RegistrationState::Expired, at, .. } => expired(tracker, *device, *at, findings),
            Event::RegistrationState { aor, to: RegistrationState::Registered | RegistrationState::Unregistered, at, .. } => {
                findings.clear_of(FindingId::RegistrationExpired, at.time, || aor_subject(tracker, *aor));
            }
            Event::Noticed { signal: signal @ (Signal::Unopened(flow) | Signal::Refused(flow)), at } => {
                let refused = matches!(signal, Signal::Refused(_));
                self.unopened(tracker, Unopened { flow: *flow, at: *at, refused }, findings);
            }
            _ => {}
        }
    }

    fn ended(&mut self, tracker: &Tracker, report: &AttemptReport, findings: &mut FindingStore) {
        let source = report.flow.source.ip();
        let Some(aor) = tracker.registrations.aor(report.aor).map(|aor| &aor.name) else { return };
        if report.status != 0 && report.last.frame != 0 {
            self.unopened.forget(source, report.flow.destination);
            // That a stranger is refused does not serve it.
            if standing(tracker, source) == Standing::Known {
                let memory = tracker.thresholds().others_served.times(4);
                self.answered.note_within(memory, (source, report.flow.destination.ip()), report.last.time);
            }
            // One that is served at one server may be left alone by another.
            let subject = Subject::Source(source);
            let is_answered = |finding: &Finding| finding.is_about_pbx(report.flow.destination.ip()) && !is_left_alone(finding, aor);
            if findings.knows(FindingId::RegistrarSilent) && findings.get(FindingId::RegistrarSilent, &subject).is_some_and(is_answered) {
                findings.clear(FindingId::RegistrarSilent, &subject, report.last.time);
            }
        }
        if tracker.world.peers.scans(source) && report.end != AttemptEnd::Accepted {
            return;
        }
        match report.end {
            AttemptEnd::Accepted => {
                let subject = || Some(Subject::Aor(aor.clone()));
                if !findings.knows(FindingId::RegistrationRejected) || !is_kept_out(tracker, report.aor, findings) {
                    findings.clear_of(FindingId::RegistrationRejected, report.last.time, subject);
                }
                if !findings.knows(FindingId::AuthFailedLoop) || !is_another_refused(report, &Subject::Aor(aor.clone()), findings) {
                    findings.clear_of(FindingId::AuthFailedLoop, report.last.time, subject);
                }
                self.rejections.forget(report.aor);
                self.dropped.forget(report.device);
                self.refusals.forget(report.device);
            }
            AttemptEnd::Rejected | AttemptEnd::ContactDropped => self.rejected(tracker, report, aor.clone(), findings),
            AttemptEnd::CredentialsRejected | AttemptEnd::NonceRefused => self.refused(tracker, report, aor.clone(), findings),
            // The phone was never asked.
            AttemptEnd::ChallengeIgnored if report.challenge_lost => {}
            AttemptEnd::ChallengeIgnored => ignored(tracker, report, aor.clone(), findings),
            // Of a registrar that the PBX itself asks it is the trunk that is silent.
            AttemptEnd::NoAnswer if tracker.world.peers.direction(report.flow) == Direction::Out => {}
            AttemptEnd::NoAnswer => self.silent(tracker, report, aor.clone(), findings),
            AttemptEnd::Unknown => {}
        }
    }

    fn rejected(&mut self, tracker: &Tracker, report: &AttemptReport, aor: Box<str>, findings: &mut FindingStore) {
        let (now, rejected) = (report.last.time, tracker.thresholds().reg_rejected);
        let is_dropped = report.end == AttemptEnd::ContactDropped;
        let (past, key) = if is_dropped { (&mut self.dropped, report.device) } else { (&mut self.rejections, report.aor) };
        let own = past.note(key, Rejection::of(tracker, report), now, rejected.window);
        if !rejected.is_reached(own.len()) && !report.was_registered {
            return;
        }
        let what = match is_dropped {
            true => "accepted, but this phone's contact is not among the bindings".to_owned(),
            false => format!("rejected {}", words_of(tracker, report)),
        };
        let message = format!("{aor} {}: REGISTER {what} (×{})", place(tracker, report.flow), own.len());
        // 403 to credentials refuses those and is no rejection for another reason.
        let remedy = rejection_remedy(report.status, false);
        let is_open = findings.is_open(FindingId::RegistrationRejected, &Subject::Aor(aor.clone()));
        let untold = if is_open { own.len().saturating_sub(1) } else { 0 };
        let raise = Raise::new(FindingId::RegistrationRejected, Subject::Aor(aor), message).remedy(remedy);
        let raise = raise.facts(own.get(untold..).unwrap_or_default(), |raise, rejection| {
            raise.evidence(rejection.at.time, rejection.at.frame, format!("REGISTER answered {}", rejection.words))
        });
        let raise = if is_dropped { raise.reason(Reason::ContactDropped) } else { raise };
        findings.raise(laid_to(tracker, raise, report.flow, report.status), now);
    }

    /// Credentials with a fresh nonce were refused.
    fn refused(&mut self, tracker: &Tracker, report: &AttemptReport, aor: Box<str>, findings: &mut FindingStore) {
        let Some(device) = tracker.registrations.device(report.device) else { return };
        let times = device.credential_rejections;
        let own = self.refusals.note(report.device, Rejection::of(tracker, report), report.last.time, REFUSED);
        let source = report.flow.source;
        if u32::from(times) < tracker.thresholds().auth_loop || is_attack(tracker, source.ip(), &aor, findings) {
            return;
        }
        let own = own.get(own.len().saturating_sub(usize::from(times))..).unwrap_or(own);
        let (reason, guess) = match report.foreign_username {
            _ if report.end == AttemptEnd::NonceRefused => {
                (Reason::StaleNonce, "not for the password but for a nonce that it had just issued")
            }
            true => (Reason::UsernameMismatch, "the digest names another user than the account"),
            false => (Reason::PasswordOrUnknown, "wrong password or unknown account"),
        };
        let elsewhere = registered_elsewhere(tracker, device, report.last.time);
        let well = elsewhere.map_or_else(String::new, |own| format!("; its phone at {} is registered", own.source()));
        let message = format!("{aor} {}: credentials rejected {times}× with {} ({guess}){well}", place(tracker, report.flow), answers(own));
        let is_open = findings.is_open(FindingId::AuthFailedLoop, &Subject::Aor(aor.clone()));
        let untold = if is_open { own.len().saturating_sub(1) } else { 0 };
        let raise = Raise::new(FindingId::AuthFailedLoop, Subject::Aor(aor.clone()), message).reason(reason);
        let raise = raise.facts(own.get(untold..).unwrap_or_default(), |raise, refusal| {
            raise.evidence(refusal.sent.time, refusal.sent.frame, format!("REGISTER from {}", refusal.source)).evidence(
                refusal.at.time,
                refusal.at.frame,
                format!("REGISTER with fresh credentials answered {}", refusal.words),
            )
        });
        let raise = laid_to(tracker, raise, report.flow, report.status);
        let raise = match (reason, elsewhere) {
            (Reason::StaleNonce, _) => raise.remedy(NONCES_ARE_STALE),
            (_, Some(_)) => {
                raise.severity(Severity::Warning).remedy(IS_ANOTHER).fill(Slot::Ip, source.ip().to_string()).fill(Slot::Aor, aor)
            }
            _ => raise,
        };
        findings.raise(raise, report.last.time);
    }

    fn silent(&mut self, tracker: &Tracker, report: &AttemptReport, aor: Box<str>, findings: &mut FindingStore) {
        let source = report.flow.source.ip();
        let waited = report.last.time.since(report.first.time);
        let (others, served) = others_served(&self.answered, tracker, report.flow, report.first.time, findings);
        let (is_let_in, pbx) = (is_let_in(tracker, report.flow), report.flow.destination);
        let gone = silent_since(tracker, pbx, report.first.time).filter(|_| others == 0 && !is_let_in);
        let subject = Subject::Source(source);
        let since = findings.get(FindingId::RegistrarSilent, &subject).map_or(report.first.time, |finding| finding.since);
        let is_alone = gone.is_none() && !is_let_in && self.answered.any_since(source, since.min(report.first.time));
        let guess = match gone {
            Some(since) => is_gone(tracker, pbx, since),
            None if is_alone => OTHERS_THERE_ARE_SERVED.to_owned(),
            None if is_let_in => {
                "the PBX took its connection, so no filter keeps it out, and what serves it there does not react".to_owned()
            }
            None => MAY_BE_BLOCKED.to_owned(),
        };
        let message = format!("{source}: REGISTER {} without an answer in {waited} while {served}: {guess}", sent(report.transmissions));
        let raise = Raise::new(FindingId::RegistrarSilent, subject, message).fill(Slot::Pbx, pbx.to_string());
        let raise = if is_let_in { raise.remedy(SERVICE_HANGS) } else { raise };
        let raise = if gone.is_some() { raise.remedy(SERVER_IS_GONE) } else { raise };
        let raise = if is_alone { raise.remedy(DROPS_REGISTER).scope(Scope::Phone).fill(Slot::Aor, aor.clone()) } else { raise };
        let raise = raise
            .standing(standing(tracker, source))
            .confidence(proved_by(others))
            .evidence(
                report.first.time,
                report.first.frame,
                format!("REGISTER of {aor} from {}, {}", report.flow.source, sent(report.transmissions)),
            )
            .absence(report.last.time, format!("no answer within {waited}"))
            .related(Subject::Aor(aor))
            .related(Subject::Site(Site::of(source)))
            .related(Subject::Pbx(pbx))
            .fill(Slot::Ip, source.to_string());
        findings.raise(raise, report.last.time);
    }

    /// A source asks for one connection after the other where others were registered over such, and gets none. That a filter keeps
    /// strangers out is as it should be.
    fn unopened(&mut self, tracker: &Tracker, unopened: Unopened, findings: &mut FindingStore) {
        let Unopened { flow, at, .. } = unopened;
        let (source, pbx) = (flow.source.ip(), flow.destination);
        let is_served = tracker.registrations.serves_streams(pbx);
        if !is_served || tracker.world.peers.direction(flow) != Direction::In || tracker.world.peers.scans(source) {
            return;
        }
        let Some(first) = self.unopened.note(unopened) else { return };
        let Some(tries) = self.unopened.of(flow) else { return };
        let refused = tries.latest.iter().all(|other| other.refused);
        let is_known = |other: &IpAddr| standing(tracker, *other) == Standing::Known;
        let beside = self.unopened.others(source, pbx, at.time).filter(is_known).count();
        let standing = standing(tracker, source);
        let is_blind = !refused && !tracker.world.would_see_answer(flow, first, at.time);
        if is_blind || standing == Standing::Known && is_heard_from(tracker, source, first) {
            return;
        }
        let (waited, (others, served)) = (at.time.since(first), others_served(&self.answered, tracker, flow, first, findings));
        let nobody = beside > 0 && !takes_connections(tracker, pbx, first);
        let gone = silent_since(tracker, pbx, first).filter(|_| others == 0);
        let (guess, remedy) = match (refused, nobody, gone) {
            // Its host is up.
            (true, true, _) => ("the PBX takes no TCP connections any more".to_owned(), Some(TCP_IS_OFF)),
            (true, false, _) => {
                ("the PBX takes no TCP connections any more, or a filter there refuses this address".to_owned(), Some(TCP_REFUSED))
            }
            (false, _, Some(since)) => (is_gone(tracker, pbx, since), Some(SERVER_IS_GONE)),
            (false, true, None) => ("a filter before the PBX drops all TCP".to_owned(), Some(TCP_IS_FILTERED)),
            (false, false, None) => (MAY_BE_BLOCKED.to_owned(), None),
        };
        let times = tries.times;
        let alike = counted(beside as u64, "other address gets", "other addresses get");
        let alike = if nobody { format!("; {alike} none either, and nobody has one") } else { String::new() };
        let message = format!("{source}: asked {times} times for a TCP connection and got none in {waited} while {served}{alike}: {guess}");
        let raise = Raise::new(FindingId::RegistrarSilent, Subject::Source(source), message).fill(Slot::Pbx, pbx.to_string());
        let raise = remedy.into_iter().fold(raise, Raise::remedy);
        let raise = if nobody { raise.scope(Scope::Server) } else { raise };
        let raise = if standing == Standing::Stranger { raise.severity(Severity::Info) } else { raise };
        let raise = tries.latest.iter().fold(raise, |raise, Unopened { flow, at, refused }| {
            let outcome = if *refused { "refused" } else { "without an answer" };
            raise.evidence(at.time, at.frame, format!("SYN from {}, {outcome}", flow.source))
        });
        let raise = raise
            .standing(standing)
            .confidence(proved_by(others))
            .absence(at.time, format!("no connection within {waited}"))
            .related(Subject::Site(Site::of(source)))
            .related(Subject::Pbx(pbx))
            .fill(Slot::Ip, source.to_string());
        findings.raise(raise, at.time);
    }
}

/// Whether a phone of a known source was heard since `since`, over the way of its registration: what else its address asks for in vain is
/// not what its registration rests on.
pub(super) fn is_heard_from(tracker: &Tracker, source: IpAddr, since: PacketTime) -> bool {
    let mut there = tracker.registrations.devices().map(|(_, device)| device).filter(|device| device.source().ip() == source);
    there.any(|device| device.is_registered() && tracker.world.flows.last_seen(device.flow) > since)
}

/// Whether one phone at an address is left unanswered, and not that user's.
fn is_left_alone(finding: &Finding, answered: &str) -> bool {
    let mut users = finding.related.iter().filter_map(|subject| if let Subject::Aor(aor) = subject { Some(&**aor) } else { None });
    users.next().is_some_and(|user| user != answered) && users.next().is_none()
}

/// Whether the registrar keeps another phone of the user in place of one that still is without its binding.
fn is_kept_out(tracker: &Tracker, aor: Handle, findings: &FindingStore) -> bool {
    let Some(aor) = tracker.registrations.aor(aor) else { return false };
    let finding = findings.get(FindingId::RegistrationRejected, &Subject::Aor(aor.name.clone()));
    let is_out = |device: &Device| device.state == RegistrationState::Rejected;
    finding.is_some_and(|finding| finding.reason == Some(Reason::ContactDropped))
        && aor.devices.iter().filter_map(|&device| tracker.registrations.device(device)).any(is_out)
}

/// Whether the credentials were refused of others than who is accepted now, which was registered all the time.
fn is_another_refused(report: &AttemptReport, aor: &Subject, findings: &FindingStore) -> bool {
    let finding = findings.get(FindingId::AuthFailedLoop, aor).filter(|_| report.was_registered);
    finding.is_some_and(|finding| !finding.related.contains(&Subject::Source(report.flow.source.ip())))
}

/// The AoR as what findings are about.
pub(super) fn aor_subject(tracker: &Tracker, aor: Handle) -> Option<Subject> {
    Some(Subject::Aor(tracker.registrations.aor(aor)?.name.clone()))
}

/// A challenge was not followed by credentials.
fn ignored(tracker: &Tracker, report: &AttemptReport, aor: Box<str>, findings: &mut FindingStore) {
    let Some(device) = tracker.registrations.device(report.device) else { return };
    let times = device.ignored_challenges;
    if u32::from(times) < tracker.thresholds().auth_ignored {
        return;
    }
    let source = report.flow.source;
    if is_attack(tracker, source.ip(), &aor, findings) {
        return;
    }
    let alone = report.algorithm.map_or_else(String::new, |algorithm| format!(" with {algorithm} alone"));
    let message = format!("{aor} {}: asked for credentials{alone} {times}× and never sent any", place(tracker, report.flow));
    let fact = format!("challenge{alone}, and no REGISTER with credentials followed");
    let raise = Raise::new(FindingId::AuthFailedLoop, Subject::Aor(aor), message).evidence(
        report.first.time,
        report.first.frame,
        format!("REGISTER from {source}"),
    );
    let raise = match report.last.frame {
        0 => raise.absence(report.last.time, fact),
        frame => raise.evidence(report.last.time, frame, fact),
    };
    let raise = laid_to(tracker, raise, report.flow, report.status);
    let raise = match report.algorithm {
        Some(algorithm) => raise.reason(Reason::Algorithm).advice(Some(algorithm_is_new(algorithm))),
        None => raise.reason(Reason::NoCredentials),
    };
    findings.raise(raise, report.last.time);
}

/// What to do about a device that is refused while the user's phone is registered elsewhere.
const IS_ANOTHER: &str = "Find the device at {ip}: if it is the user's, enter the password of {aor} there; if nobody knows it, somebody tries \
     passwords: block {ip}. The phone that is registered needs nothing.";

/// What to do about a registrar that refuses the nonces that it issues.
const NONCES_ARE_STALE: &str = "Second level: the registrar does not know the nonces that it issues: where several servers share its address, \
     have them share their nonces or send each phone to one of them, and compare their clocks.";

/// What to do about a phone that leaves a challenge for other digests than MD5 unanswered.
fn algorithm_is_new(algorithm: Algorithm) -> String {
    format!(
        "Second level: have the registrar offer MD5 beside {algorithm}, or give the phone a firmware that knows {algorithm}; if it does, \
         enter auth user and password in the phone."
    )
}

/// The answers to refused attempts, each once; of many the latest.
fn answers(refused: &[Rejection]) -> String {
    let mut named: Vec<&str> = Vec::new();
    for refusal in refused.iter().rev().take(Finding::EVIDENCE) {
        if named.len() < NAMED && !named.contains(&&*refusal.words) {
            named.push(&refusal.words);
        }
    }
    named.reverse();
    named.join(" and ")
}

/// What the registrar answered in the end, in its own words.
fn words_of(tracker: &Tracker, report: &AttemptReport) -> String {
    tracker.registrations.refusal(report).map_or_else(|| status_text(report.status), ToString::to_string)
}

/// Whether the source is a stranger while strangers try passwords of the user from many addresses: what is refused to them is no mistake of
/// the user's.
fn is_attack(tracker: &Tracker, source: IpAddr, aor: &str, findings: &FindingStore) -> bool {
    !tracker.world.peers.is_partner(source) && findings.open_about(FindingId::AuthBruteforce, &Subject::Aor(aor.into())).next().is_some()
}

fn expired(tracker: &Tracker, handle: Handle, at: Sighting, findings: &mut FindingStore) {
    let Some(device) = tracker.registrations.device(handle) else { return };
    let Some(aor) = tracker.registrations.aor(device.aor) else { return };
    let others = aor.devices.iter().filter(|&&other| other != handle).filter_map(|&other| tracker.registrations.device(other));
    if others.clone().any(Device::is_registered) {
        return;
    }
    let grace = tracker.thresholds().reg_grace;
    let ran_out = at.time - grace;
    let last_seen = tracker.world.flows.last_seen(device.flow);
    let alive = last_seen > ran_out.max(device.last_register) && at.time.since(last_seen) <= Span::from_secs(120);
    let has_asked = device.last_register > device.last_accepted.time;
    let (hint, news) = match is_trunk(tracker, device.flow) {
        true => (String::new(), "no REGISTER"),
        false if has_asked => {
            (format!("; it asked again at {} and was not accepted", tracker.clock(device.last_register)), "no acceptance")
        }
        false if alive => ("; the phone is alive and still sends packets, but does not register".to_owned(), "no REGISTER"),
        false => (String::new(), "no REGISTER"),
    };
    let message =
        format!("{}: registration ran out at {} (granted {} s){hint}", aor.name, tracker.clock(ran_out), device.granted.as_secs());
    let raise = Raise::new(FindingId::RegistrationExpired, Subject::Aor(aor.name.clone()), message)
        .absence(ran_out, format!("what was granted to {} for {} s ran out", device.source(), device.granted.as_secs()))
        .absence(at.time, format!("{news} until {grace} after it ran out"))
        .fill(Slot::Site, Site::of(device.source().ip()).to_string());
    let raise = if device.granted <= SHORT_EXPIRY { raise.remedy(EXPIRY_IS_SHORT) } else { raise };
    findings.raise(laid_to(tracker, raise, device.flow, 0), at.time);
}

/// To what the remedy of a registration that ran out would have its expiry shortened.
const SHORT_EXPIRY: Span = Span::from_secs(300);
/// The same where it is as short.
const EXPIRY_IS_SHORT: &str = "Force reconnection and check the line/Wi-Fi of the phone at {site}.";

/// Whether it is the PBX that registers along `flow`, at a carrier.
fn is_trunk(tracker: &Tracker, flow: Flow) -> bool {
    tracker.world.peers.direction(flow) == Direction::Out
}

/// Where what registers along `flow` is.
fn place(tracker: &Tracker, flow: Flow) -> String {
    match is_trunk(tracker, flow) {
        true => format!("of the PBX at the trunk {}", flow.destination.ip()),
        false => format!("at {}", flow.source.ip()),
    }
}

/// Lays a registration along `flow` that fails to the phone or its site; what the PBX itself registers, to the trunk. `status` is the refusal,
/// 0 without one.
fn laid_to(tracker: &Tracker, raise: Raise, flow: Flow, status: u16) -> Raise {
    if !is_trunk(tracker, flow) {
        return placed(tracker, raise, flow.source);
    }
    let raise = raise.scope(Scope::Trunk).remedy(trunk_remedy(status));
    raise.related(Subject::Trunk(flow.destination.ip())).related(Subject::Pbx(flow.source))
}

/// Names the places and the PBXs that an AoR's finding belongs to, and how far it reaches: the phone, or possibly its whole site where it is the only one.
pub(super) fn placed(tracker: &Tracker, raise: Raise, source: SocketAddr) -> Raise {
    let alone = tracker.registrations.devices_at(source.ip()) < 2;
    let served = match raise.subject() {
        Subject::Aor(name) => tracker.registrations.find_aor(&tracker.world, name).and_then(|aor| tracker.registrations.aor(aor)),
        _ => None,
    };
    let devices = served.into_iter().flat_map(|aor| &aor.devices).filter_map(|device| tracker.registrations.device(*device));
    let raise = devices.fold(raise, |raise, device| related_pbx(tracker, raise, device.flow));
    let standing = if served.is_some_and(|aor| aor.accepted > 0) { Standing::Known } else { standing(tracker, source.ip()) };
    raise
        .standing(standing)
        .scope(if alone { Scope::PhoneOrSite } else { Scope::Phone })
        .related(Subject::Source(source.ip()))
        .related(Subject::Site(Site::of(source.ip())))
}

/// A status with its usual reason phrase.
pub(super) fn status_text(status: u16) -> String {
    match crate::sip::adapter::status_phrase(status) {
        Some(phrase) => format!("{status} {phrase}"),
        None => status.to_string(),
    }
}
