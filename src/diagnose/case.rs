//! What is known of the user and of the time that a question is about.

use crate::decode::flow::{Flow, is_private};
use crate::detect::catalog::{FindingId, SubjectKind, WINDOW_AFTER, WINDOW_BEFORE};
use crate::detect::finding::{Finding, Subject};
use crate::diagnose::concern::Concern;
use crate::diagnose::judge::is_about_capture;
use crate::diagnose::parties::{Attempt, Party};
use crate::diagnose::words::clock;
use crate::diagnose::{Moment, Question, Scene};
use crate::report::model::{CallEntry, DeviceEntry, Evidence, Problem, RegistrationEntry, Stamp};
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::event::{Sighting, Unanswered};
use crate::track::registration::changes::Change;
use crate::track::registration::device::Device;
use crate::track::site::Site;
use crate::track::transaction::{Owner, Transaction};
use crate::track::vocabulary::{Direction, Outcome, Reachability, RegistrationState, Scope, Severity};

/// How far back the capture must have seen the PBX speak to a phone for its silence to mean something (DETECTION §0.1).
const SEEN_WITHIN: Span = Span::from_secs(600);

/// Transmissions of an INVITE without a word in return from which on it is no accident: the fourth comes after 3.5 s (RFC 3261 §17.1.1.2).
const UNHEEDED: u16 = 4;

/// How long a phone may take to open another connection (RFC 5626 §4.5).
const COMES_BACK: Span = Span::from_secs(60);

/// How soon the PBX goes on with a call (DETECTION §6.3).
const GOES_ON: Span = Span::from_secs(10);

/// One question with all that bears on it.
pub(super) struct Case<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) question: &'a Question,
    /// The moment of the question, as the capture prints it.
    pub(super) now: PacketTime,
    pub(super) party: Party<'a>,
    /// The calls that the user made or got, in order of time.
    pub(super) attempts: Vec<Attempt<'a>>,
    /// Calls that others made in the user's name.
    pub(super) impostures: Vec<&'a CallEntry>,
    /// Calls from or to a place that the user shares with others, under names that do not tell whose they are.
    pub(super) unclaimed: Vec<&'a CallEntry>,
    /// Findings about the user, its site, its calls, the PBX and the capture.
    findings: Vec<&'a Finding>,
    /// Findings about other phones behind the user's address.
    nearby: Vec<&'a Finding>,
    /// Of all those, the ones that only ended for lack of news.
    unmended: Vec<&'a Finding>,
}

impl<'a> Case<'a> {
    /// Gathers what belongs to the user of `question`.
    pub(super) fn open(scene: Scene<'a>, question: &'a Question) -> Self {
        let party = Party::find(&question.user, scene.report);
        let since = question.since.unwrap_or(PacketTime::MIN);
        let until = question.until.unwrap_or(PacketTime::MAX);
        let mut attempts = Attempt::all(scene.report);
        attempts.retain(|attempt| attempt.main.ended.is_none_or(|end| end.0 >= since) && attempt.started() <= until);
        let impostures = attempts.iter().filter(|attempt| attempt.is_in_the_name_of(&party)).map(|attempt| attempt.main).collect();
        let unclaimed = attempts.iter().filter_map(|attempt| attempt.unclaimed(&party)).collect();
        attempts.retain(|attempt| attempt.is_by(&party) || (attempt.is_to(&party) && !attempt.main.by_scanner));
        adopt(&mut attempts, &party);
        let now = scene.tracker.printed(scene.tracker.now());
        let mut case = Self {
            scene,
            question,
            now,
            party,
            attempts,
            impostures,
            unclaimed,
            findings: Vec::new(),
            nearby: Vec::new(),
            unmended: Vec::new(),
        };
        let in_time = |finding: &Finding| {
            finding.cleared.is_none_or(|end| scene.tracker.printed(end) >= since) && scene.tracker.printed(finding.at) <= until
        };
        let found = scene.findings.listed(in_time);
        case.findings = found.iter().copied().filter(|finding| case.concern(finding) >= Concern::Everybody).collect();
        case.nearby = found.into_iter().filter(|finding| case.concern(finding) == Concern::Neighbours).collect();
        case.unmended = case.without_news();
        case
    }

    /// The user as asked for.
    pub(super) fn asked(&self) -> &'a str {
        &self.question.user
    }

    /// The time as the capture prints it.
    pub(super) fn printed(&self, time: PacketTime) -> PacketTime {
        self.scene.tracker.printed(time)
    }

    /// The finding of that id that matters most: one that is not over before one that is, the worse before the lesser, the later before
    /// the earlier.
    pub(super) fn finding(&self, id: FindingId) -> Option<&'a Finding> {
        let found = self.findings.iter().copied().filter(|finding| finding.id == id);
        found.max_by_key(|finding| (!self.is_over(finding), finding.severity, finding.last))
    }

    /// The finding of that id about other phones behind the user's address, if it goes on and counts.
    pub(super) fn nearby(&self, id: FindingId) -> Option<&'a Finding> {
        self.nearby.iter().copied().find(|finding| finding.id == id && finding.cleared.is_none() && self.counts(finding))
    }

    /// The findings about the user, its site, everybody there and on the PBX.
    pub(super) fn known(&self) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().chain(&self.nearby).copied()
    }

    /// The findings about the user or about everybody, in order of time.
    pub(super) fn findings(&self) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().copied()
    }

    /// The worst finding about the user or about everybody.
    pub(super) fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Whether a finding is more than good to know. Ids that are never more count as they are.
    pub(super) fn counts(&self, finding: &Finding) -> bool {
        finding.severity > Severity::Info || finding.id.severity() == Severity::Info
    }

    /// Whether what was found has been mended. What went wrong with a call stays wrong; what ended for lack of news is mended only where
    /// something shows that it works again.
    pub(super) fn is_over(&self, finding: &Finding) -> bool {
        if self.is_outlived(finding) {
            return true;
        }
        let is_lasting = finding.subject.kind() == SubjectKind::Call || self.is_caught(finding);
        finding.cleared.is_some() && !is_lasting && !self.unmended.iter().any(|unmended| std::ptr::eq(*unmended, finding))
    }

    /// Whether what two ends did not have in common they have since: the same caller was answered at the same number.
    fn is_outlived(&self, finding: &Finding) -> bool {
        let Subject::Call(call_id) = &finding.subject else { return false };
        let is_failed = |attempt: &&Attempt<'_>| attempt.entries().any(|call| *call.call_id == **call_id);
        let Some(failed) = self.attempts.iter().find(is_failed).filter(|_| finding.id == FindingId::CodecMismatch) else { return false };
        let is_alike = |attempt: &Attempt<'_>| attempt.main.from == failed.main.from && attempt.main.to == failed.main.to;
        let later = self.attempts.iter().rev().take_while(|attempt| attempt.started() > failed.started());
        later.filter(|attempt| is_alike(attempt)).any(|attempt| attempt.main.outcome == Outcome::Answered)
    }

    /// What to do about a finding. That the called user is to be looked at is no advice where that is done.
    pub(super) fn remedy(&self, finding: &Finding) -> String {
        let is_called = matches!(finding.id, FindingId::CallFailedCalleeUnreachable | FindingId::UnansweredBurst);
        let is_own = matches!(&finding.subject, Subject::Aor(aor) if self.party.is_aor(aor));
        match is_called && is_own && self.question.problem == Some(Problem::CannotReceive) {
            true => {
                "Force a reconnection of the phone; if calls do not reach it then either, compare its account and its status on the PBX."
            }
            false => &finding.remedy,
        }
        .to_owned()
            + &self.refused_before(finding)
    }

    /// Whether calls that ended together are what somebody asks about who had a call dropped.
    fn is_asked_about(&self, finding: &Finding) -> bool {
        finding.id == FindingId::MassCallDrop && self.question.problem == Some(Problem::CallDropped)
    }

    /// Whether a call of the user is one of those that ended together.
    fn is_caught(&self, finding: &Finding) -> bool {
        self.is_asked_about(finding) && self.meant().flat_map(Attempt::entries).any(|call| self.ended_with(finding, call, [Span::ZERO; 2]))
    }

    /// Whether the calls of the user ended at other times, or at another place, than those that ended together.
    fn is_beside(&self, finding: &Finding) -> bool {
        let around = [WINDOW_BEFORE, WINDOW_AFTER];
        let mut ended = self.meant().flat_map(Attempt::entries).filter(|call| call.ended.is_some()).peekable();
        self.is_asked_about(finding) && ended.peek().is_some() && !ended.any(|call| self.ended_with(finding, call, around))
    }

    /// Whether a call ended where many did at once, and no more than that before or after them.
    fn ended_with(&self, finding: &Finding, call: &CallEntry, [before, after]: [Span; 2]) -> bool {
        let together = self.printed(finding.since - before)..=self.printed(finding.last + after);
        let ends = [Some(call.source), Some(call.destination), call.passed_on_to];
        let is_there = finding.related.iter().all(|subject| match subject {
            Subject::Trunk(place) => ends.iter().flatten().any(|end| end.ip() == *place),
            Subject::Site(site) => ends.iter().flatten().any(|end| Site::of(end.ip()) == *site),
            _ => true,
        });
        is_there && call.ended.is_some_and(|end| together.contains(&end.0))
    }

    /// The findings of trouble that is over, those about the capture itself left out.
    pub(super) fn past(&self) -> impl Iterator<Item = &'a Finding> {
        let is_of_calls_to_it = |finding: &&Finding| {
            let is_called = matches!(finding.id, FindingId::CallFailedCalleeUnreachable | FindingId::UnansweredBurst);
            is_called && self.question.problem == Some(Problem::CannotCall) && self.concern(finding) == Concern::User
        };
        let of_note = self.findings().filter(|finding| finding.severity > Severity::Info && !is_about_capture(finding.id));
        let is_again = |over: &'a Finding| {
            self.findings().any(|it| !std::ptr::eq(it, over) && it.id == over.id && it.subject == over.subject && it.cleared.is_none())
        };
        of_note.filter(move |finding| {
            self.is_over(finding) && !is_of_calls_to_it(finding) && !is_again(finding) && !self.is_of_another_device(finding)
        })
    }

    /// The start of the last call that reached a phone of the user after `time`.
    pub(super) fn delivered_since(&self, time: PacketTime) -> Option<PacketTime> {
        let reached =
            |attempt: &Attempt<'_>| attempt.leg_to(&self.party).is_some_and(|leg| leg.outcome == Outcome::Answered || leg.ring_s.is_some());
        self.attempts.iter().rev().filter(|attempt| reached(attempt)).map(Attempt::started).find(|start| *start > time)
    }

    /// What speaks against a finding so much that it cannot be the matter: the PBX holds a phone for gone that takes its calls, or the phone,
    /// or another one at its address, tries a wrong address while the phone is served at the right one.
    pub(super) fn contradiction(&self, finding: &Finding) -> Option<String> {
        if self.is_detour(finding) || self.is_served_beside(finding) {
            return Some(format!("{}, but it is registered all the same", finding.message));
        }
        if finding.id == FindingId::MassCallDrop && self.is_beside(finding) {
            return Some(format!("{}, and its own calls were not among them", finding.message));
        }
        let by_options = finding.id == FindingId::PeerUnreachable;
        let delivered = self.delivered_since(self.printed(finding.since)).filter(|_| by_options)?;
        Some(format!("its OPTIONS go unanswered, but a call reached the phone at {}", clock(self, delivered)))
    }

    /// Whether a finding says of a phone of the user that it tries a wrong address, while it is registered where it should be.
    pub(super) fn is_detour(&self, finding: &Finding) -> bool {
        let names_user = || finding.related.iter().any(|subject| matches!(subject, Subject::Aor(aor) if self.party.is_aor(aor)));
        finding.id == FindingId::WrongTransportOrPort && self.is_registered() && names_user()
    }

    /// Whether a finding says that somebody at the address of the user's phone tries a wrong one in vain, while the phone is heard from where
    /// it is registered; where the question is why it cannot call, while its calls arrive.
    fn is_served_beside(&self, finding: &Finding) -> bool {
        let names_nobody = || !finding.related.iter().any(|subject| matches!(subject, Subject::Aor(_)));
        let (first, last) = (self.printed(finding.since), self.printed(finding.last));
        let is_heard = || self.devices().any(|device| device.last_seen.is_some_and(|seen| seen.0 > last));
        let calls = || self.made().any(|attempt| attempt.started() > first);
        let is_served = || if self.question.problem == Some(Problem::CannotCall) { calls() } else { is_heard() };
        finding.id == FindingId::WrongTransportOrPort && self.is_registered() && names_nobody() && is_served()
    }

    /// The private address that the PBX names to public peers, where a finding is about a call in which such a peer should have acknowledged
    /// what the PBX answered (DETECTION §4.5).
    pub(super) fn private_address(&self, finding: &Finding) -> Option<&'a Finding> {
        let Subject::Call(call_id) = &finding.subject else { return None };
        let mut calls = self.attempts.iter().flat_map(Attempt::entries);
        let is_public = |call: &&CallEntry| call.direction == Direction::In && !is_private(call.source.ip());
        let call = calls.find(|call| *call.call_id == **call_id).filter(is_public).filter(|_| finding.id == FindingId::AckMissing)?;
        let named = self.finding(FindingId::PbxAdvertisesPrivate).filter(|named| !self.is_over(named))?;
        matches!(&named.subject, Subject::Pbx(pbx) if pbx.ip() == call.destination.ip()).then_some(named)
    }

    /// Whether any phone of the user is registered.
    pub(super) fn is_registered(&self) -> bool {
        self.party.registrations.iter().any(|entry| entry.state == RegistrationState::Registered)
    }

    /// The registration of the user that matters most: the one that does not stand, else the one last heard of.
    pub(super) fn registration(&self) -> Option<&'a RegistrationEntry> {
        let last = |entry: &RegistrationEntry| entry.devices.iter().filter_map(|device| device.last_seen).max();
        let entries = self.party.registrations.iter().copied();
        entries.max_by_key(|entry| (entry.state != RegistrationState::Registered, last(entry)))
    }

    /// What the registrar said when it refused, where it says more than the status.
    pub(super) fn refusal(&self, entry: &RegistrationEntry) -> Option<String> {
        let tracker = self.scene.tracker;
        let aor = tracker.registrations.aor(tracker.registrations.find_aor(&tracker.world, &entry.aor)?)?;
        Some(aor.refusal.as_ref()?.to_string())
    }

    /// The phones of the user.
    pub(super) fn devices(&self) -> impl Iterator<Item = &'a DeviceEntry> {
        self.party.registrations.iter().flat_map(|entry| &entry.devices)
    }

    /// Whether the PBX holds every phone of the user for gone.
    pub(super) fn is_unreachable(&self) -> bool {
        self.devices().next().is_some() && self.devices().all(|device| device.reachability == Reachability::Unreachable)
    }

    /// When a phone of the user was last heard of.
    pub(super) fn last_seen(&self) -> Option<PacketTime> {
        let calls = self.attempts.iter().filter(|attempt| attempt.is_by(&self.party)).map(Attempt::started);
        self.devices().filter_map(|device| device.last_seen).map(|seen| seen.0).chain(calls).max()
    }

    /// When the capture began.
    pub(super) fn began(&self) -> PacketTime {
        self.scene.report.capture.first_packet.map_or(self.now, |first| first.0)
    }

    /// How far something reaches that only this phone shows: possibly its whole site, where it is the only one there.
    pub(super) fn scope(&self) -> Scope {
        if self.is_alone() { Scope::PhoneOrSite } else { Scope::Phone }
    }

    /// Whether a phone of the user is the only one at its address. What the user registered from there before counts while it stands: a
    /// phone that restarted is not two.
    pub(super) fn is_alone(&self) -> bool {
        let entries = || self.scene.report.registrations.iter().filter(|entry| !entry.by_scanner);
        let is_alone = |own: &RegistrationEntry, device: &DeviceEntry| {
            let is_another = |entry: &RegistrationEntry, other: &DeviceEntry| {
                let counts = entry.aor != own.aor || other.state == RegistrationState::Registered && !std::ptr::eq(other, device);
                counts && other.source.ip() == device.source.ip()
            };
            !entries().any(|entry| entry.devices.iter().any(|other| is_another(entry, other)))
        };
        self.party.registrations.iter().any(|entry| entry.devices.iter().any(|device| is_alone(entry, device)))
    }

    /// The evidence of a finding, with printed times.
    pub(super) fn evidence_of(&self, finding: &Finding) -> Vec<Evidence> {
        let fact = |fact: &crate::detect::finding::Evidence| Evidence {
            at: Stamp(self.printed(fact.at)),
            frame: fact.frame,
            fact: fact.fact.clone(),
        };
        finding.evidence.iter().map(fact).collect()
    }

    /// Why the silence of the PBX towards this user would prove nothing, if it would not.
    pub(super) fn blind_spot(&self) -> Option<String> {
        let tracker = self.scene.tracker;
        let now = tracker.now();
        if !tracker.world.absence.is_sound_since(now - SEEN_WITHIN) {
            return Some("the capture has a hole in the last ten minutes".to_owned());
        }
        let mut flows = self.tracked_devices().map(|(_, device)| device.flow).peekable();
        flows.peek()?;
        let seen = flows.any(|flow| tracker.world.would_see_answer(flow, now - SEEN_WITHIN, now));
        (!seen).then(|| "no packet from the PBX to this phone was captured in the last ten minutes".to_owned())
    }

    /// The phones of the user as they are tracked.
    pub(super) fn tracked_devices(&self) -> impl Iterator<Item = (Handle, &'a Device)> {
        let tracker = self.scene.tracker;
        let aors = self.party.registrations.iter().filter_map(|entry| tracker.registrations.find_aor(&tracker.world, &entry.aor));
        let handles = aors.filter_map(|handle| tracker.registrations.aor(handle)).flat_map(|aor| &aor.devices);
        handles.filter_map(|&handle| Some((handle, tracker.registrations.device(handle)?)))
    }

    /// A phone of the user whose registration stands though its connection has ended, and when, where that was a while ago, nothing was
    /// heard of it since, and no other phone of the user can be reached.
    pub(super) fn disconnected(&self) -> Option<(&'a Device, Sighting)> {
        let tracker = self.scene.tracker;
        let left = |device: &'a Device| {
            let end = tracker
                .registrations
                .connection_end(&tracker.world, device)
                .filter(|end| end.was_needed && !self.is_heard_since(device, end.at))?;
            (tracker.now().since(end.at.time) >= COMES_BACK).then_some((device, end.at))
        };
        let mut registered = self.tracked_devices().map(|(_, device)| device).filter(|device| device.is_registered());
        let first = left(registered.next()?)?;
        let is_away = registered.all(|device| left(device).is_some());
        let reached = self.delivered_since(self.printed(first.1.time)).is_some();
        let heard = self.last_seen().is_some_and(|seen| seen > self.printed(first.1.time));
        (is_away && !reached && !heard).then_some(first)
    }

    /// Whether a phone shows that the PBX reaches it over another way than its last registration, since that ended: it answers the PBX's
    /// OPTIONS, a connection over which it registered before lives on, or another line of it was heard.
    fn is_heard_since(&self, device: &Device, ended: Sighting) -> bool {
        let tracker = self.scene.tracker;
        let before = device.changes.iter().filter_map(|(_, change)| match change {
            Change::Address(from, _) => Some(Flow { source: *from, ..device.flow }),
            _ => None,
        });
        let lives = |way: Flow| way != device.flow && tracker.world.flows.last_seen(way) > ended.time;
        let is_line = |other: &Device| {
            let is_same_phone = other.source().ip() == device.source().ip()
                && other.contact_address.map(|contact| contact.ip()) == device.contact_address.map(|contact| contact.ip());
            is_same_phone && lives(other.flow)
        };
        let is_probed = device.probes.last_sent() > ended.time && device.probes.reachability == Reachability::Reachable;
        is_probed || before.into_iter().any(lives) || tracker.registrations.devices().any(|(_, other)| is_line(other))
    }

    /// When a phone of the user lost its connection last, and when it was back over another one.
    pub(super) fn reconnected(&self) -> Option<[Sighting; 2]> {
        let tracker = self.scene.tracker;
        let registered = self.tracked_devices().filter(|(_, device)| device.is_registered());
        registered.filter_map(|(_, device)| tracker.registrations.reconnected(&tracker.world, device)).max_by_key(|[_, back]| back.time)
    }

    /// Whether the complaint can be about a call.
    pub(super) fn is_in_question(&self, call_id: &str) -> bool {
        let is_of = |attempt: &&Attempt<'_>| attempt.entries().any(|call| call.call_id == call_id);
        let is_talk = matches!(self.question.problem, Some(Problem::CallDropped | Problem::CallDoesNotEnd));
        self.in_question().filter(is_of).any(|attempt| !is_talk || !attempt.is_others(&self.party, call_id))
    }

    /// The calls that a complaint can be about: those that the user made, or got, or all.
    pub(super) fn in_question(&self) -> impl Iterator<Item = &Attempt<'a>> {
        self.attempts.iter().filter(|attempt| match self.question.problem {
            Some(Problem::CannotCall) => attempt.is_by(&self.party),
            Some(Problem::CannotReceive) => attempt.is_to(&self.party),
            _ => true,
        })
    }

    /// The trouble that is over and explains why a call failed.
    pub(super) fn past_trouble(&self, attempt: &Attempt<'_>) -> Option<&'a Finding> {
        let at = attempt.started();
        let covers = |finding: &&Finding| {
            let from = self.printed(finding.since - WINDOW_BEFORE);
            let to = finding.cleared.map_or(PacketTime::MIN, |end| self.printed(end + WINDOW_AFTER));
            (from..=to).contains(&at)
        };
        self.past().filter(covers).max_by_key(|finding| finding.severity)
    }

    /// Whether the user is one of a group of calls: by the name of its phone, its site, or an address its calls went to.
    pub(super) fn is_in_group(&self, group: &str) -> bool {
        let agents = self.devices().filter_map(|device| device.user_agent.as_deref());
        let mut addresses = self.attempts.iter().flat_map(Attempt::entries).flat_map(|call| [call.source, call.destination]);
        group.strip_prefix("ua:").is_some_and(|agent| agents.into_iter().any(|own| own == agent))
            || self.party.addresses().iter().any(|address| Site::of(*address).to_string() == group)
            || addresses.any(|address| address.to_string() == group || address.ip().to_string() == group)
    }

    /// The calls that the user made, the latest first.
    pub(super) fn made(&self) -> impl Iterator<Item = &Attempt<'a>> {
        self.attempts.iter().rev().filter(|attempt| attempt.is_by(&self.party))
    }

    /// The calls for the user, the latest first.
    pub(super) fn received(&self) -> impl Iterator<Item = &Attempt<'a>> {
        self.attempts.iter().rev().filter(|attempt| attempt.is_to(&self.party))
    }

    /// The last of some calls that has come out; the last of them where none has.
    pub(super) fn last_settled<'s>(calls: impl Iterator<Item = &'s Attempt<'a>>) -> Option<&'s Attempt<'a>>
    where
        'a: 's,
    {
        let mut latest = None;
        for attempt in calls {
            if !attempt.is_pending() {
                return Some(attempt);
            }
            latest = latest.or(Some(attempt));
        }
        latest
    }

    /// The INVITE of a call that is still being set up, if it was sent again and again and nothing came back yet.
    pub(super) fn unheeded(&self, attempt: &Attempt<'_>) -> Option<Unanswered> {
        let tracker = self.scene.tracker;
        let is_leg =
            |handle| tracker.calls.get(handle).is_some_and(|call| attempt.entries().any(|leg| *leg.call_id == *call.record.call_id));
        let waits = |invite: &&Transaction| {
            let of_call = matches!(invite.owner, Owner::CallerInvite(call) | Owner::FurtherInvite(call) if is_leg(call));
            let unheeded = invite.first_response.is_none() && invite.transmissions >= UNHEEDED;
            unheeded && of_call && tracker.world.would_see_answer(invite.flow, invite.first.time, invite.last.time)
        };
        let waiting = attempt.is_pending().then(|| tracker.world.transactions.iter().find(waits));
        waiting.flatten().map(Transaction::unanswered)
    }

    /// The calls that a question about one call may mean, the latest first: the last alone where a time was named.
    pub(super) fn meant(&self) -> impl Iterator<Item = &Attempt<'a>> {
        let most = if self.question.moment == Moment::Named { 1 } else { usize::MAX };
        self.attempts.iter().rev().take(most)
    }
}

/// Makes calls of the PBX in the user's name a part of the call that the user was making then, where that is the only one: nothing shows that
/// they belong together, but the user did not dial them.
fn adopt(attempts: &mut Vec<Attempt<'_>>, party: &Party<'_>) {
    for attempt in std::mem::take(attempts) {
        let (main, started) = (attempt.main, attempt.started());
        let is_waiting = |other: &&mut Attempt<'_>| {
            let is_same = other.main.direction != Direction::Out && other.main.from == main.from && other.is_by(party);
            is_same && other.main.ended.is_none_or(|end| end.0 >= started)
        };
        if main.direction == Direction::Out && attempt.is_by(party) {
            let recent = attempts.iter_mut().rev().take_while(|other| started.since(other.started()) <= GOES_ON);
            let mut waiting = recent.filter(is_waiting);
            if let (Some(only), None) = (waiting.next(), waiting.next()) {
                only.legs.push(main);
                continue;
            }
        }
        attempts.push(attempt);
    }
}
