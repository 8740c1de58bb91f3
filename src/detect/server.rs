//! Whether the PBX answers at all (DETECTION §7.1).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::config::Thresholds;
use crate::decode::flow::Flow;
use crate::decode::signal::Signal;
use crate::detect::catalog::FindingId;
use crate::detect::detectors::Routed;
use crate::detect::finding::{Raise, Standing, Subject};
use crate::detect::parties::standing;
use crate::detect::store::FindingStore;
use crate::sip::message::Kind;
use crate::sip::method::Method;
use crate::time::{PacketTime, Span};
use crate::track::Tracker;
use crate::track::absence::{SEEN_WITHIN, WATERMARK};
use crate::track::event::{Event, Sighting};
use crate::track::vocabulary::{Confidence, Direction};

/// Sources that prove it too where they are all that there are.
const FEW_SOURCES: usize = 2;
/// Sources remembered for that.
const KNOWN: usize = 4096;
/// Sources whose requests must be unanswered then.
const SMALL_SOURCES: usize = 2;
/// Requests remembered while a PBX is silent.
const REMEMBERED: usize = 64;
/// For how long a source must have asked for connections in vain.
const IN_VAIN: Span = Span::from_secs(32);
/// How often it is said that the silence lasts, while somebody asks.
const REPEATED: Span = Span::from_secs(300);
/// How often it is looked which sources were silent for too long.
const PRUNE: Span = Span::from_secs(60);

#[derive(Debug)]
struct Silence {
    pbx: SocketAddr,
    /// Requests since the PBX last sent anything.
    requests: Vec<(IpAddr, Sighting)>,
    more: u64,
    /// When something may have changed next; before then it need not be looked at.
    next: PacketTime,
    /// Sources that asked it lately, with the last time.
    known: BTreeMap<IpAddr, PacketTime>,
    /// When those that are no longer lately were let go of.
    pruned: PacketTime,
    /// When its silence was last told, if it was.
    told: Option<PacketTime>,
    /// The first request a while after that, which is to show that it lasts.
    asked_again: Option<PacketTime>,
    /// Whether it has sent requests of its own since.
    asks: bool,
}

/// Watches the PBXs.
#[derive(Debug, Default)]
pub(super) struct ServerDetector {
    silences: Vec<Silence>,
    /// Since when known sources ask PBXs for connections in vain.
    unopened: BTreeMap<(IpAddr, SocketAddr), PacketTime>,
}

impl ServerDetector {
    pub(super) fn message(&mut self, tracker: &Tracker, kind: Kind, way: Routed, at: Sighting, findings: &mut FindingStore) {
        let flow = way.flow;
        match (way.direction, kind) {
            (Direction::Out, Kind::Request(_)) => self.asks(flow.source, at.time, findings),
            (Direction::Out, Kind::Response(_)) => self.spoke(flow.source, at.time, findings),
            // A firewall may well keep strangers from the PBX.
            (Direction::In, Kind::Request(method)) if method != Method::Ack && standing(tracker, flow.source.ip()) == Standing::Known => {
                self.asked(tracker.thresholds(), flow, at);
            }
            _ => {}
        }
    }

    /// A connection that is not to be had is a request without an answer, where all users come over such, and whoever asks for it has
    /// asked for so long that the PBX is not just starting.
    pub(super) fn event(&mut self, tracker: &Tracker, event: &Event, findings: &mut FindingStore) {
        // Whichever address an answer came from.
        match event {
            Event::ServerResponse { pbx, at, .. } => self.spoke(*pbx, *at, findings),
            Event::AnswerLost(lost) if lost.answer.source != lost.flow.destination => {
                self.spoke(lost.flow.destination, lost.last.time, findings);
            }
            _ => {}
        }
        let Event::Noticed { signal: Signal::Refused(flow) | Signal::Unopened(flow), at } = event else { return };
        let (source, pbx) = (flow.source.ip(), flow.destination);
        let is_known = standing(tracker, source) == Standing::Known && tracker.registrations.serves_streams_alone(pbx);
        if !is_known || tracker.world.peers.direction(*flow) != Direction::In {
            return;
        }
        let first = match self.unopened.get(&(source, pbx)) {
            Some(first) if tracker.world.peers.last_sent(pbx) < *first => *first,
            None if self.unopened.len() >= KNOWN => return,
            _ => {
                self.unopened.insert((source, pbx), at.time);
                return;
            }
        };
        if at.time.since(first) >= IN_VAIN {
            self.asked(tracker.thresholds(), *flow, *at);
        }
    }

    pub(super) fn advance(&mut self, tracker: &Tracker, now: PacketTime, findings: &mut FindingStore) {
        for silence in &mut self.silences {
            silence.prune(now);
            let Some(&(_, first)) = silence.requests.first() else { continue };
            let due = now - WATERMARK;
            if silence.told.is_some() {
                silence.lasts(tracker, due, findings);
                continue;
            }
            if due < silence.next {
                continue;
            }
            let heard = !self.unopened.is_empty() && tracker.world.peers.last_sent(silence.pbx) >= first.time;
            let visible = !heard
                && tracker.world.absence.is_sound_since(first.time)
                && tracker.world.peers.last_sent(silence.pbx) > PacketTime::MIN
                && tracker.world.peers.last_sent(silence.pbx) >= first.time - SEEN_WITHIN;
            if !visible {
                continue;
            }
            if let Some(at) = silence.proved_at(tracker.thresholds(), due) {
                silence.told = Some(at);
                findings.raise(silence.raise(at), at);
            } else {
                silence.next = silence.candidates(tracker.thresholds()).into_iter().find(|end| *end > due).unwrap_or(PacketTime::MAX);
            }
        }
    }

    fn asked(&mut self, thresholds: &Thresholds, flow: Flow, at: Sighting) {
        let silence = match self.silences.iter_mut().position(|silence| silence.pbx == flow.destination) {
            Some(position) => self.silences.get_mut(position),
            None if self.silences.len() < REMEMBERED => {
                self.silences.push(Silence {
                    pbx: flow.destination,
                    requests: Vec::new(),
                    more: 0,
                    next: PacketTime::MIN,
                    known: BTreeMap::new(),
                    pruned: PacketTime::MIN,
                    told: None,
                    asked_again: None,
                    asks: false,
                });
                self.silences.last_mut()
            }
            None => None,
        };
        let Some(silence) = silence else { return };
        silence.note_source(flow.source.ip(), at.time);
        if silence.told.is_some_and(|told| at.time.since(told) >= REPEATED) {
            silence.asked_again.get_or_insert(at.time);
        }
        if silence.requests.len() < REMEMBERED {
            silence.requests.push((flow.source.ip(), at));
            // Before that no silence is long enough, whatever was asked.
            let least = thresholds.pbx_silent.min(thresholds.pbx_silent_small);
            let first = silence.requests.first().map_or(at.time, |(_, first)| first.time);
            silence.next = silence.next.min(at.time).max(first + least);
        } else {
            silence.more += 1;
        }
    }

    /// A PBX that answers nobody and still asks its phones is locked up, and not back (DETECTION §7.1).
    fn asks(&mut self, pbx: SocketAddr, now: PacketTime, findings: &mut FindingStore) {
        match self.silences.iter_mut().find(|silence| silence.pbx.ip() == pbx.ip() && silence.told.is_some()) {
            Some(silence) => silence.asks = true,
            None => self.spoke(pbx, now, findings),
        }
    }

    fn spoke(&mut self, pbx: SocketAddr, now: PacketTime, findings: &mut FindingStore) {
        self.unopened.retain(|(_, asked), _| asked.ip() != pbx.ip());
        for silence in self.silences.iter_mut().filter(|silence| silence.pbx.ip() == pbx.ip()) {
            silence.requests.clear();
            silence.more = 0;
            silence.next = PacketTime::MIN;
            silence.asked_again = None;
            silence.asks = false;
            if silence.told.take().is_some() {
                findings.clear(FindingId::PbxNotResponding, &Subject::Pbx(silence.pbx), now);
            }
        }
    }
}

impl Silence {
    fn note_source(&mut self, source: IpAddr, now: PacketTime) {
        if self.known.len() < KNOWN || self.known.contains_key(&source) {
            self.known.insert(source, now);
        }
    }

    /// Lets go of sources that asked too long ago to matter.
    fn prune(&mut self, now: PacketTime) {
        if now.since(self.pruned) >= PRUNE {
            self.pruned = now;
            let since = self.requests.first().map_or(now, |(_, first)| first.time) - SEEN_WITHIN;
            self.known.retain(|_, last| *last >= since);
        }
    }

    /// Whether every source that asked in the ten minutes before the silence asked in vain since.
    fn all_known(&self, first: PacketTime, asking: usize) -> bool {
        asking >= FEW_SOURCES && self.known.values().filter(|last| **last >= first - SEEN_WITHIN).count() == asking
    }

    /// When the silence may have been long enough, in order.
    fn candidates(&self, thresholds: &Thresholds) -> Vec<PacketTime> {
        let Some(&(_, first)) = self.requests.first() else { return Vec::new() };
        let &Thresholds { pbx_silent, pbx_silent_small, .. } = thresholds;
        let mut candidates = vec![first.time + pbx_silent, first.time + pbx_silent_small];
        candidates.extend(self.requests.iter().map(|(_, at)| at.time).filter(|at| at.since(first.time) > pbx_silent));
        candidates.sort_unstable();
        candidates
    }

    /// When, at or before `now`, the silence was long enough for what was asked in it.
    fn proved_at(&self, thresholds: &Thresholds, now: PacketTime) -> Option<PacketTime> {
        let (_, first) = self.requests.first()?;
        let asked_by = |end: PacketTime| self.requests.iter().filter(move |(_, at)| at.time <= end);
        let &Thresholds { pbx_silent, pbx_silent_small, pbx_silent_requests, pbx_silent_sources, .. } = thresholds;
        self.candidates(thresholds).into_iter().take_while(|end| *end <= now).find(|&end| {
            let sources = distinct(asked_by(end).map(|(source, _)| *source));
            let lasted = end.since(first.time);
            let many = sources >= pbx_silent_sources as usize || self.all_known(first.time, sources);
            (lasted >= pbx_silent && asked_by(end).count() >= pbx_silent_requests as usize && many)
                || (lasted >= pbx_silent_small && sources >= SMALL_SOURCES)
        })
    }

    /// Tells that the silence goes on, once somebody asked again and waited as long as proved it at first.
    fn lasts(&mut self, tracker: &Tracker, due: PacketTime, findings: &mut FindingStore) {
        let patience = tracker.thresholds().pbx_silent;
        let Some(asked) = self.asked_again.filter(|asked| *asked + patience <= due) else { return };
        self.asked_again = None;
        if tracker.world.absence.is_sound_since(asked) {
            let at = asked + patience;
            self.told = Some(at);
            findings.raise(self.raise(at), at);
        }
    }

    fn raise(&self, at: PacketTime) -> Raise {
        let requests = self.requests.len() as u64 + self.more;
        let first = self.requests.first().map_or(at, |(_, first)| first.time);
        let sources = distinct(self.requests.iter().map(|(source, _)| *source));
        let sources = sources.max(self.known.values().filter(|last| **last >= first).count());
        let lasted = at.since(first);
        let message = format!("{}: {requests} requests from {sources} sources unanswered for {lasted}", self.pbx);
        let raise = Raise::new(FindingId::PbxNotResponding, Subject::Pbx(self.pbx), message).confidence(Confidence::Confirmed);
        let mut shown = self.requests.clone();
        shown.sort_by_key(|(source, at)| (at.time, *source));
        let shown = shown.iter().take(5);
        let raise =
            shown.fold(raise, |raise, (source, at)| raise.evidence(at.time, at.frame, format!("request from {source}, without an answer")));
        match self.asks {
            true => raise.absence(at, format!("the PBX answered nobody for {lasted}, though it asked others itself: it is locked up")),
            false => raise.absence(at, format!("the PBX sent nothing at all for {lasted}")),
        }
    }
}

fn distinct(addresses: impl Iterator<Item = IpAddr>) -> usize {
    addresses.collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_let_go_of_ten_minutes_after_they_asked_but_not_in_a_silence() {
        let at = |seconds| PacketTime::from_parts(seconds, 0);
        let [early, late] = ["198.51.100.1", "198.51.100.2"].map(|source| source.parse().unwrap());
        let silence = |requests| Silence {
            pbx: "203.0.113.10:5060".parse().unwrap(),
            requests,
            more: 0,
            next: PacketTime::MIN,
            known: BTreeMap::from([(early, at(1000)), (late, at(1500))]),
            pruned: PacketTime::MIN,
            told: None,
            asked_again: None,
            asks: false,
        };
        let pruned = |requests, now| {
            let mut silence = silence(requests);
            silence.prune(now);
            silence.known.into_keys().collect::<Vec<IpAddr>>()
        };
        assert_eq!(pruned(Vec::new(), at(1600)), [early, late]);
        assert_eq!(pruned(Vec::new(), at(1601)), [late]);
        let asked = Sighting { time: at(1550), frame: 9 };
        assert_eq!(pruned(vec![(late, asked)], at(9000)), [early, late], "who asked shortly before the silence tells whom it concerns");
    }
}
