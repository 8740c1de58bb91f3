//! Calls that end after the same time, again and again (DETECTION §5.5).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use crate::config::Thresholds;
use crate::decode::ends::end_key;
use crate::detect::call::{ANSWER_OR_ACK_LOST, NO_ACK_OF_PBX};
use crate::detect::catalog::{FindingId, Slot};
use crate::detect::chance;
use crate::detect::finding::{Raise, Subject};
use crate::detect::parties::phones;
use crate::detect::sighted::SightedLog;
use crate::detect::store::FindingStore;
use crate::table::Handle;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::call::Call;
use crate::track::event::{Event, Sighting};
use crate::track::site::Site;
use crate::track::vocabulary::{Direction, EndedBy};

/// How much shorter a call may be that still counts as having lasted that long.
const LASTED: Span = Span::from_secs(5);
/// Calls that last this much longer or shorter show how many end about then by themselves: people hang up at all times, a timer at one.
const AROUND: Span = Span::from_secs(30);
/// So do those that differ by a few times what calls of one timer do: where all durations of people are near each other, many end there.
const CLOSE: i64 = 7;
/// How many durations of a known timer may stand out by chance, among all calls remembered, before one says nothing: three of some hundred
/// calls do not.
const BY_CHANCE: f64 = 0.1;
/// And how many of no known timer, for which nothing but their number and likeness speak.
const UNKNOWN_BY_CHANCE: f64 = 0.001;
/// Shorter calls at a duration of no known timer are announcements, or people in a hurry.
const LONG: Span = Span::from_secs(30);
/// Calls that end within this time have an end in common, not a duration.
const TOGETHER: Span = Span::from_secs(5);
/// How long an ended call counts.
const WINDOW: Span = Span::from_secs(24 * 3600);
/// Ended calls remembered.
const REMEMBERED: usize = 1024;

/// What a call shows of the timers that may have ended it.
#[derive(Clone, Copy, Debug)]
struct Signs {
    /// Whether the PBX sent the BYE.
    by_pbx: bool,
    /// Whether the PBX made or took it for nobody else.
    is_alone: bool,
    /// Whether its answer was acknowledged.
    acked: bool,
    /// Session-Expires, if a timer ran.
    interval: Option<Span>,
    /// Whether a refresh was tried since it ran.
    tried: bool,
}

/// What is kept of a call that ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    talk: Span,
    groups: [GroupKey; GROUPS],
    by_pbx: bool,
    is_alone: bool,
}

/// The call that ended last.
struct Last<'a> {
    at: Sighting,
    talk: Span,
    signs: Signs,
    call_id: &'a str,
    groups: Groups<'a>,
}

/// How a call ended.
#[derive(Clone, Copy)]
struct End<'a> {
    at: Sighting,
    talk: Span,
    call_id: &'a str,
}

/// Groups that a call belongs to at most: those of the phone's software, its site or trunk, the PBX.
const GROUPS: usize = 3;

/// What names a group, as a hash; 0 for none. Few groups are compared, so that hardly two share one.
type GroupKey = u32;

/// The place of a call among those that are remembered, the oldest first.
type Age = usize;

/// Watches how long calls last.
#[derive(Debug, Default)]
pub(super) struct DurationDetector {
    ended: VecDeque<Ended>,
    /// Their ends, with the Call-ID of each.
    ends: SightedLog,
    /// How many came before the first of these, counted modulo 2³².
    forgotten: u32,
    /// Their numbers, counted so, by whether the PBX ended them and in the order of how long they lasted: few last as long as another.
    by_talk: [Vec<u32>; 2],
}

impl DurationDetector {
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        let Event::CallEnded { call, at } = *event else { return };
        let Some(last) = ended(tracker, call, at) else { return };
        self.remember(&last);
        self.judge(tracker.thresholds(), &last, findings);
    }

    fn remember(&mut self, last: &Last<'_>) {
        while self.ends.first().is_some_and(|old| last.at.time.since(old.time) > WINDOW) || self.ended.len() >= REMEMBERED {
            self.forget();
        }
        let place = self.shorter(last.signs.by_pbx, |talk| talk <= last.talk);
        let number = self.forgotten.wrapping_add(self.ended.len() as u32);
        self.by_talk[usize::from(last.signs.by_pbx)].insert(place, number);
        self.ended.push_back(Ended { talk: last.talk, groups: last.groups.keys, by_pbx: last.signs.by_pbx, is_alone: last.signs.is_alone });
        self.ends.push(last.at, |out| out.extend_from_slice(last.call_id.as_bytes()));
    }

    fn forget(&mut self) {
        let Some(old) = self.ended.front() else { return };
        // Of those that lasted as long the oldest comes first.
        let place = self.shorter(old.by_pbx, |talk| talk < old.talk);
        self.by_talk[usize::from(old.by_pbx)].remove(place);
        self.ended.pop_front();
        self.ends.pop();
        self.forgotten = self.forgotten.wrapping_add(1);
    }

    /// How many lasted as `is_shorter` says, which holds for all that are shorter than one for which it does.
    fn shorter(&self, by_pbx: bool, is_shorter: impl Fn(Span) -> bool) -> usize {
        self.by_talk[usize::from(by_pbx)]
            .partition_point(|&number| self.ended.get(self.age(number)).is_some_and(|ended| is_shorter(ended.talk)))
    }

    fn age(&self, number: u32) -> Age {
        number.wrapping_sub(self.forgotten) as usize
    }

    /// Those that lasted between `least` and `most`, and that the PBX ended or not, in the order of their ends.
    fn lasting(&self, by_pbx: bool, least: Span, most: Span) -> Vec<(Age, &Ended)> {
        let (from, to) = (self.shorter(by_pbx, |talk| talk < least), self.shorter(by_pbx, |talk| talk <= most));
        let numbers = self.by_talk[usize::from(by_pbx)].get(from..to).unwrap_or_default();
        let mut ages: Vec<_> = numbers.iter().map(|&number| self.age(number)).collect();
        ages.sort_unstable();
        ages.into_iter().filter_map(|age| Some((age, self.ended.get(age)?))).collect()
    }

    /// The ends of those calls, in their order.
    fn ends_of(&self, same: &[(Age, &Ended)]) -> Vec<End<'_>> {
        let mut ends = self.ends.iter().enumerate();
        let mut end_of = |age: Age| ends.find(|(place, _)| *place == age).map(|(_, end)| end);
        let known = same.iter().filter_map(|(age, ended)| Some((ended.talk, end_of(*age)?)));
        known.map(|(talk, (at, call_id))| End { at, talk, call_id: std::str::from_utf8(call_id.0).unwrap_or_default() }).collect()
    }

    /// Looks for calls that lasted as long as the one that ended last, in the one of its groups where there are most of them.
    fn judge(&self, thresholds: &Thresholds, last: &Last<'_>, findings: &mut FindingStore) {
        let near = thresholds.fixed_duration_spread;
        let meaning = meaning(last.talk, near, last.signs);
        let enough = if meaning.is_some() { thresholds.fixed_duration_calls } else { thresholds.fixed_duration_other };
        // What the PBX plays to a caller lasts as long each time.
        let is_played = |by_pbx: bool, is_alone: bool| meaning.is_none() && by_pbx && is_alone;
        if meaning.is_none() && last.talk < LONG || is_played(last.signs.by_pbx, last.signs.is_alone) {
            return;
        }
        // Few calls last as long as another: these are looked at, and their groups compared, only where they are enough.
        let mut alike = self.lasting(last.signs.by_pbx, last.talk - near, last.talk + near);
        alike.retain(|(_, ended)| !is_played(ended.by_pbx, ended.is_alone));
        if alike.len() < enough as usize {
            return;
        }
        let by_chance = if meaning.is_some() { BY_CHANCE } else { UNKNOWN_BY_CHANCE };
        let mut best: Option<(GroupKey, Vec<End<'_>>)> = None;
        for &group in last.groups.keys.iter().filter(|&&group| group != 0) {
            let same: Vec<_> = alike.iter().copied().filter(|(_, ended)| ended.groups.contains(&group)).collect();
            if same.len() < enough as usize {
                continue;
            }
            let of_group = || self.ended.iter().filter(|ended| ended.groups.contains(&group));
            let shortest = last.talk - LASTED;
            let mut long = of_group().filter(|ended| ended.talk >= shortest).zip(1..).map(|(_, long)| long);
            // The more calls last as long or longer, the smaller is the share: the first that is too many decides.
            let is_share = long.all(|long| thresholds.fixed_duration_share.is_reached(same.len(), long));
            let is_pattern = || {
                // That the answer was not acknowledged is no matter of chance.
                if meaning.is_some() && !last.signs.acked {
                    return true;
                }
                let likely = |around: Span| likelihood(last.talk, near, around, same.len(), of_group().map(|ended| ended.talk));
                // Each call that ended was a moment to look.
                let by_chance = by_chance / self.ended.len() as f64;
                if meaning.is_some() {
                    return likely(AROUND) < by_chance;
                }
                let alike = likeness(last.talk, near, &same);
                [AROUND, AROUND.min(near.times(CLOSE))].into_iter().all(|around| likely(around) * alike < by_chance)
            };
            if !is_share || best.as_ref().is_some_and(|(_, most)| same.len() <= most.len()) || !is_pattern() {
                continue;
            }
            let ends = self.ends_of(&same);
            if !end_together(&ends) {
                best = Some((group, ends));
            }
        }
        if let Some((group, ends)) = best {
            raise(last, group, &ends, meaning, near, findings);
        }
    }
}

fn raise(last: &Last<'_>, group: GroupKey, ends: &[End<'_>], meaning: Option<&str>, near: Span, findings: &mut FindingStore) {
    let groups = &last.groups;
    let group = groups.name(group);
    let by = if last.signs.by_pbx { "the PBX" } else { "the other end" };
    let duration = middle(ends);
    let message =
        format!("{group}: {} calls ended at {duration} ±{near} by {by}: {}", ends.len(), meaning.unwrap_or("a timer that is not known"));
    let subject = Subject::Group(group.into_boxed_str());
    let known = findings.is_open(FindingId::FixedDurationDrops, &subject);
    let mut raise = Raise::new(FindingId::FixedDurationDrops, subject, message);
    let own = match meaning {
        Some(UNHEARD) => Some(LET_MEDIA_THROUGH),
        Some(LIMIT) => Some(RAISE_LIMIT),
        Some(NOT_AGREED) => Some(TIMER_OR_LIMIT),
        _ => None,
    };
    raise = own.into_iter().fold(raise, Raise::remedy);
    if meaning == Some(NO_ACK) {
        // One cause, one remedy: that of the calls whose answer nobody acknowledged.
        let is_owed_by_pbx = groups.is_from_pbx && !last.signs.by_pbx;
        raise = match () {
            () if is_owed_by_pbx => raise.remedy(NO_ACK_OF_PBX),
            () if groups.leads_back => raise.remedy(ANSWER_OR_ACK_LOST),
            () => raise.remedy(FindingId::AckMissing.row().remedy),
        };
        raise = groups.pbx.into_iter().fold(raise, |raise, pbx| raise.fill(Slot::Pbx, pbx.to_string()));
        raise = groups.side(last.signs.by_pbx).into_iter().fold(raise, |raise, side| raise.fill(Slot::Side, side));
    }
    for End { at, talk, call_id } in ends.iter().filter(|end| !known || end.at == last.at) {
        raise = raise.evidence(at.time, at.frame, format!("BYE of {call_id} after {talk}")).related(Subject::Call((*call_id).into()));
    }
    findings.raise(raise, last.at.time);
}

/// The call, if its duration can tell anything: both its answer and its BYE were seen, and it did not merely follow its other leg.
fn ended(tracker: &Tracker, handle: Handle, at: Sighting) -> Option<Last<'_>> {
    let call = tracker.calls.get(handle).filter(|call| at.frame > 0 && !call.is_bye_missed)?;
    let talk = at.time.since(call.record.answered?);
    let follows = tracker.calls.partners(handle).any(|(_, partner)| partner.is_answered() && !partner.is_up());
    let scans = tracker.world.peers.scans(call.record.source.ip());
    if follows || scans {
        return None;
    }
    let direction = call.record.direction(&tracker.world.peers);
    let by_pbx = match (direction, call.record.ended_by?) {
        (_, EndedBy::Pbx) | (Direction::In, EndedBy::Callee) | (Direction::Out, EndedBy::Caller) => call.further.is_none(),
        _ => false,
    };
    let is_alone = tracker.calls.partners(handle).next().is_none();
    let signs = Signs {
        by_pbx,
        is_alone,
        acked: call.is_acked(),
        interval: call.timer().map(|timer| timer.interval),
        tried: call.is_refresh_tried(),
    };
    Some(Last { at, talk, signs, call_id: &call.record.call_id, groups: Groups::of(tracker, call) })
}

/// What a call has in common with others, the narrowest first.
#[derive(Debug, Default)]
struct Groups<'a> {
    keys: [GroupKey; GROUPS],
    agent: &'a str,
    place: Option<Place>,
    pbx: Option<SocketAddr>,
    /// Whether the PBX made the call.
    is_from_pbx: bool,
    /// Whether its answer said rightly where the ACK is to go.
    leads_back: bool,
}

/// Where the other end of the PBX is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Trunk(IpAddr),
    Site(Site),
}

impl<'a> Groups<'a> {
    fn of(tracker: &'a Tracker, call: &Call) -> Self {
        let Some(pbx) = tracker.world.peers.pbx_of(call.flow()) else { return Self::default() };
        let [caller, callee] = phones(tracker, call);
        let is_from_pbx = call.record.source == pbx;
        let (peer, phone) = if is_from_pbx { (call.record.destination, callee) } else { (call.record.source, caller) };
        let device = phone.and_then(|phone| tracker.registrations.device(phone));
        let agent = device.map_or("", |device| &device.user_agent);
        let place = if tracker.world.peers.is_trunk(peer.ip()) { Place::Trunk(peer.ip()) } else { Place::Site(Site::of(peer.ip())) };
        let hash = |kind: &[u8], bytes: &[u8]| (tracker.world.digester.parts(&[kind, bytes]).low64() as u32).max(1);
        let keys = [
            if agent.is_empty() { 0 } else { hash(b"agent", agent.as_bytes()) },
            match place {
                Place::Trunk(ip @ IpAddr::V6(_)) => hash(b"host", &end_key(&SocketAddr::new(ip, 0))),
                Place::Trunk(ip) => hash(b"site", &end_key(&SocketAddr::new(ip, 0))),
                Place::Site(site) => hash(b"site", &end_key(&SocketAddr::new(site.address(), 0))),
            },
            hash(b"pbx", &end_key(&pbx)),
        ];
        Self {
            keys,
            agent,
            place: Some(place),
            pbx: Some(pbx),
            is_from_pbx,
            leads_back: call.answer.is_some_and(|answer| answer.leads_back),
        }
    }

    /// The group of that key as it is shown.
    fn name(&self, key: GroupKey) -> String {
        let [agent, place, _] = self.keys;
        match (self.place, self.pbx) {
            _ if key == agent => format!("ua:{}", self.agent),
            (Some(Place::Trunk(ip)), _) if key == place => ip.to_string(),
            (Some(Place::Site(site)), _) if key == place => site.to_string(),
            (_, pbx) => pbx.map_or_else(String::new, |pbx| pbx.to_string()),
        }
    }
}

/// How likely chance has that `same` of the durations lie within `near` of `talk`, by how many lie `around` it.
fn likelihood(talk: Span, near: Span, around: Span, same: usize, durations: impl Iterator<Item = Span>) -> f64 {
    let tries = same + others(talk, near, around, durations);
    let width = around + talk.min(around);
    let usual = tries as f64 * (near.as_secs_f64() * 2.0 / width.as_secs_f64()).min(1.0);
    if same as f64 > usual { chance::likelihood(same, tries, usual) } else { 1.0 }
}

/// How likely chance has them as much alike as they are, of all that are within `near` of `talk`: a timer ends calls at one time.
fn likeness(talk: Span, near: Span, same: &[(Age, &Ended)]) -> f64 {
    let apart = same.iter().map(|(_, ended)| (ended.talk - talk).abs()).max().unwrap_or_default();
    // The last is at no distance from itself.
    (1..same.len()).map(|_| apart.as_secs_f64() / near.as_secs_f64()).product()
}

/// How many of the durations lie `around` the `talk` but not within `near` of it, were they as many on one side as on the other: where those
/// of people end, at the longest or the shortest that anybody makes, half of them would be missing.
fn others(talk: Span, near: Span, around: Span, durations: impl Iterator<Item = Span>) -> usize {
    let (mut shorter, mut longer) = (0_usize, 0_usize);
    for longer_by in durations.map(|duration| duration - talk).filter(|by| (near..=around).contains(&by.abs())) {
        *(if longer_by > Span::ZERO { &mut longer } else { &mut shorter }) += 1;
    }
    // No duration is less than 0.
    let [below, above] = [talk, around].map(|room| (room.min(around) - near).as_secs_f64().max(1.0));
    let room = below / above;
    let others = (longer as f64 * (1.0 + room)).max(shorter as f64 * (1.0 + 1.0 / room));
    others.round() as usize
}

impl Groups<'_> {
    /// The end that hung up, which is the one that waited for the ACK.
    fn side(&self, by_pbx: bool) -> Option<String> {
        match (by_pbx, self.place?) {
            (true, _) => self.pbx.map(|pbx| pbx.to_string()),
            (false, Place::Trunk(ip)) => Some(ip.to_string()),
            (false, Place::Site(site)) => Some(site.to_string()),
        }
    }
}

/// Whether the calls have an end in common rather than a duration.
fn end_together(ends: &[End<'_>]) -> bool {
    let times = ends.iter().map(|end| end.at.time);
    let (first, last) = (times.clone().min(), times.max());
    last.zip(first).is_none_or(|(last, first): (PacketTime, PacketTime)| last.since(first) <= TOGETHER)
}

fn middle(ends: &[End<'_>]) -> Span {
    let mut talks: Vec<_> = ends.iter().map(|end| end.talk).collect();
    talks.sort_unstable();
    talks.get(talks.len() / 2).copied().unwrap_or(Span::ZERO)
}

/// What ends calls 64·T1 after their answer.
const NO_ACK: &str = "the ACK is missing";
/// Intervals of session timers that are common and longer than what people talk alike, in seconds.
const INTERVALS: [i64; 3] = [600, 1800, 3600];
/// Times after which PBXs give up calls without audio, in seconds.
const NO_AUDIO: [i64; 3] = [20, 30, 60];
/// Limits of PBXs and carriers on the length of a call, in seconds.
const LIMITS: [i64; 3] = [3600, 7200, 10_800];

/// What ends calls of which a PBX hears nothing.
const UNHEARD: &str = "the PBX hears no audio (RTP timeout)";
const LET_MEDIA_THROUGH: &str = "Find why no audio reaches the PBX: its NAT settings (external address, symmetric RTP), SIP ALG, the RTP ports in \
    the firewalls; or raise the RTP timeout of the PBX, where phones send none on hold.";

/// What ends calls that last as long as calls may.
const LIMIT: &str = "the longest call that the PBX or the carrier allows";
const RAISE_LIMIT: &str =
    "Ask whether such a limit is meant; if not, raise it on the PBX (dial limit, absolute timeout), or ask the carrier to.";

/// What ends calls after 5 to 30 min of which siphound sees no session timer: the other leg may have one.
const NOT_AGREED: &str = "a session timer, though none was agreed on this leg, or a limit";
const TIMER_OR_LIMIT: &str = "Look for a limit on the length of calls at the end that hangs up, and raise it; if there is none, align \
    session-timer settings (or disable them on the faulty UA), and make the phone reachable during calls (keep-alive).";

/// What makes calls last so long, if a timer is known that does (DETECTION §5.5); a short one of sessions only where one was agreed.
fn meaning(talk: Span, spread: Span, signs: Signs) -> Option<&'static str> {
    let Signs { by_pbx, acked, interval, tried, .. } = signs;
    let near = |seconds: f64| (talk - Span::from_secs_f64(seconds)).abs() <= spread;
    let session = interval.map(Span::as_secs_f64);
    if !acked && (near(6.4) || near(32.0)) {
        return Some(NO_ACK);
    }
    if session.is_some_and(|seconds| near(seconds - (seconds / 3.0).min(32.0)) || near(seconds)) {
        return Some("the session refresh never comes");
    }
    if session.is_some_and(|seconds| near(seconds / 2.0) || near(seconds / 2.0 + 32.0)) {
        return Some(if tried { "the session refresh is sent but fails" } else { "the session refresh is due, and none was seen" });
    }
    if by_pbx && NO_AUDIO.iter().any(|&seconds| near(seconds as f64)) {
        return Some(UNHEARD);
    }
    if LIMITS.iter().any(|&seconds| near(seconds as f64)) {
        return Some(LIMIT);
    }
    let of_session = |seconds: f64| near(seconds) || near(seconds / 2.0) || near(seconds - 32.0);
    if session.is_none() && INTERVALS.iter().any(|&seconds| of_session(seconds as f64)) {
        return Some(NOT_AGREED);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn calls_that_lasted_alike_are_found_as_long_as_they_count(
            calls in proptest::collection::vec((0..40_i64, 0..20_i64, any::<bool>()), 1..80), least in 0..20_i64, length in 0..6_i64,
        ) {
            let (mut detector, mut model, mut now) = (DurationDetector::default(), Vec::new(), PacketTime::from_parts(1, 0));
            // Counted past what a number of 32 bits holds.
            detector.forgotten = u32::MAX - 20;
            for (number, (minutes, talk, by_pbx)) in calls.into_iter().enumerate() {
                now += Span::from_secs(minutes * 60);
                let at = Sighting { time: now, frame: number as u64 };
                let signs = Signs { by_pbx, is_alone: false, acked: true, interval: None, tried: false };
                let call_id = format!("call-{number}");
                detector.remember(&Last { at, talk: Span::from_secs(talk), signs, call_id: &call_id, groups: Groups::default() });
                model.push((at, talk, by_pbx, call_id));
                model.retain(|(at, ..)| now.since(at.time) <= WINDOW);
                for by_pbx in [false, true] {
                    let same = detector.lasting(by_pbx, Span::from_secs(least), Span::from_secs(least + length));
                    let found: Vec<_> = detector.ends_of(&same).into_iter().map(|end| (end.at, end.talk, end.call_id)).collect();
                    let fits = model.iter().filter(|(_, talk, by, _)| *by == by_pbx && (least..=least + length).contains(talk));
                    let expected: Vec<_> = fits.map(|(at, talk, _, call_id)| (*at, Span::from_secs(*talk), call_id.as_str())).collect();
                    prop_assert_eq!(found, expected);
                }
            }
        }
    }

    const NEAR: Span = Span::from_millis(1500);

    #[test]
    fn where_durations_end_those_of_one_side_count_for_both() {
        let others = |talk: i64, around: i64, durations: &[i64]| {
            let durations = durations.iter().map(|&duration| Span::from_secs(duration));
            others(Span::from_secs(talk), NEAR, Span::from_secs(around), durations)
        };
        assert_eq!(others(100, 30, &[75, 80, 90, 105, 110, 125]), 6, "as many on both sides");
        assert_eq!(others(100, 30, &[75, 80, 90]), 6, "the longest");
        assert_eq!(others(100, 30, &[105, 110, 125, 60, 200, 99, 100, 101]), 6, "the shortest; what is near or far does not count");
        assert_eq!(others(100, 10, &[75, 80, 90, 105, 110, 125]), 4, "fewer are close");
        assert_eq!(others(16, 30, &[20, 40]), 3, "what lasts 16 s has half as much room below it");
        assert_eq!(others(100, 30, &[]), 0);
    }

    #[test]
    fn the_fewer_are_around_and_the_more_they_are_alike_the_less_it_is_chance() {
        let talk = Span::from_secs(100);
        let around = |others: &[i64]| likelihood(talk, NEAR, AROUND, 5, others.iter().map(|&duration| Span::from_secs(duration)));
        let likely = [&[][..], &[80, 110], &[80, 90, 110], &[80, 90, 110, 115, 120]].map(around);
        assert!(likely.is_sorted_by(|one, other| one < other), "{likely:?}");
        assert!(likely.first() < Some(&1e-6) && likely.last() > Some(&1e-4), "{likely:?}");
        assert!((around(&[75; 200]) - 1.0).abs() < 1e-9, "that many are usual");

        let alike = |apart: &[i64]| {
            let ended = |apart: &i64| Ended { talk: talk + Span::from_millis(*apart), groups: [0; GROUPS], by_pbx: false, is_alone: false };
            let ended: Vec<_> = apart.iter().map(ended).collect();
            likeness(talk, NEAR, &ended.iter().map(|ended| (0, ended)).collect::<Vec<_>>())
        };
        assert!((alike(&[0, -1500, 300]) - 1.0).abs() < 1e-9, "one at the edge");
        assert!((alike(&[0, 150, -150]) - 0.01).abs() < 1e-9);
        assert!(alike(&[0, 0, 0]) < 1e-9);
    }

    #[test]
    fn the_table_of_durations() {
        let timed = Some(Span::from_secs(1800));
        let due = "the session refresh is due, and none was seen";
        for (seconds, by_pbx, acked, interval, expected) in [
            (32.0, true, false, None, Some("the ACK is missing")),
            (6.4, true, false, None, Some("the ACK is missing")),
            (1768.4, true, true, timed, Some("the session refresh never comes")),
            (1768.0, true, true, None, Some(NOT_AGREED)),
            (1800.0, true, true, timed, Some("the session refresh never comes")),
            (900.0, true, true, timed, Some(due)),
            (932.0, true, true, timed, Some(due)),
            (30.2, true, true, None, Some("the PBX hears no audio (RTP timeout)")),
            (7200.0, false, true, None, Some("the longest call that the PBX or the carrier allows")),
            (900.0, true, true, None, Some(NOT_AGREED)),
            (45.0, false, true, None, None),
            (90.0, true, true, None, None),
            (30.2, false, true, None, None),
            (32.0, false, true, None, None),
            (47.0, true, true, None, None),
            (1700.0, true, true, timed, None),
        ] {
            let signs = Signs { by_pbx, is_alone: true, acked, interval, tried: false };
            assert_eq!(meaning(Span::from_secs_f64(seconds), Span::from_millis(1500), signs), expected, "{seconds} s");
        }
        let tried = Signs { by_pbx: true, is_alone: true, acked: true, interval: timed, tried: true };
        assert_eq!(meaning(Span::from_secs(932), Span::from_millis(1500), tried), Some("the session refresh is sent but fails"));
    }
}
