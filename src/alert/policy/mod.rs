//! What to tell, and when: pure, in the time of the engine.
//!
//! A finding is kept under its id and subject from when it is raised until it is over and told to be. Those that somebody is to be told of
//! wait in the group of their site, trunk or PBX for [`Rules::group_wait`], so that a cause can take the place of its symptoms and one
//! message tells of them all. One that ends is held for [`Rules::resolve_after`]; should it be back by then, nobody is told either way.
//! Everything is bounded: findings by [`KEPT`], of which those of strangers take half at most, messages by a [`Limiter`].

mod limiter;
mod relevance;
mod scanners;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::change::{Change, Group, Input, Key, OpenFindings, Turn};
use super::message::{Draft, LISTED, Listed, Message, MessageKind, Status};
use crate::detect::catalog::WINDOW_AFTER;
use crate::detect::finding::Standing;
use crate::time::PacketTime;
use crate::track::vocabulary::Severity;
use limiter::Limiter;
pub(super) use relevance::Rules;
use relevance::{LostCalls, is_scanning, loses_call};
use scanners::Scanners;

/// Findings that are followed at a time.
const KEPT: usize = 20_000;
/// As many of them may be strangers', who can bring about as many as they like.
const STRANGERS: usize = KEPT / 2;
/// AoRs that a finding is remembered to be about.
const ABOUT: usize = 64;

/// What is to be sent.
#[derive(Clone, Debug)]
pub(super) enum Output {
    /// To each webhook and command, and to the log.
    Message(Message),
    /// To each Alertmanager, which groups and limits by itself.
    Alert(Box<AlertChange>),
}

/// A finding that began or ceased to be an alert.
#[derive(Clone, Debug)]
pub(super) struct AlertChange {
    pub(super) key: Key,
    pub(super) group: Group,
    pub(super) listed: Listed,
}

/// What is known, and what was told.
#[derive(Debug)]
pub(super) struct Policy {
    rules: Rules,
    instance: String,
    findings: BTreeMap<Key, Followed>,
    /// Those that were strangers' when they came.
    strangers: BTreeSet<Key>,
    /// The findings about each AoR.
    about: BTreeMap<Box<str>, BTreeSet<Key>>,
    groups: BTreeMap<Group, Told>,
    lost_calls: LostCalls,
    scanners: Scanners,
    limiter: Limiter,
    outputs: VecDeque<Output>,
    messages: u64,
    dropped: u64,
}

/// A finding that is followed.
#[derive(Debug)]
struct Followed {
    change: Change,
    telling: Telling,
    ended: Option<PacketTime>,
}

impl Followed {
    /// Takes over what the finding has become. It stays in the group in which it was told, and about whom it ever was, up to [`ABOUT`].
    /// Returns whom it is not about any more.
    fn renew(&mut self, change: Change) -> Vec<Box<str>> {
        let before = std::mem::replace(&mut self.change, change);
        self.change.group = before.group;
        let mut gone = Vec::new();
        for aor in before.aors {
            match self.change.aors.contains(&aor) {
                true => {}
                false if self.change.aors.len() < ABOUT => self.change.aors.push(aor),
                false => gone.push(aor),
            }
        }
        gone
    }
}

/// Whether somebody knows of a finding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Telling {
    /// Nobody needs to.
    Unwanted,
    /// Its group is about to be told.
    Waiting,
    /// It is known to be this bad.
    Told(Severity),
    /// It is known, but not how bad it became.
    Worse,
}

/// What was told of a group.
#[derive(Debug, Default)]
struct Told {
    members: BTreeSet<Key>,
    /// When the next message is due.
    due: Option<PacketTime>,
    last: Option<PacketTime>,
    /// What is over since the last message.
    resolved: Vec<Listed>,
    more_resolved: usize,
}

impl Policy {
    pub(super) fn new(rules: Rules, instance: String) -> Self {
        Self {
            limiter: Limiter::new(rules.max_per_hour),
            scanners: Scanners::new(rules.digest),
            rules,
            instance,
            findings: BTreeMap::new(),
            strangers: BTreeSet::new(),
            about: BTreeMap::new(),
            groups: BTreeMap::new(),
            lost_calls: LostCalls::default(),
            outputs: VecDeque::new(),
            messages: 0,
            dropped: 0,
        }
    }

    /// Follows other rules from `now` on. What nobody was told of is looked at again; alerts that hold are told once more, because there may
    /// be an Alertmanager that has not heard of them. What was told stays told until it is over.
    pub(super) fn change_rules(&mut self, rules: Rules, instance: String, now: PacketTime) {
        self.limiter.allow(rules.max_per_hour);
        self.scanners.tell_every(rules.digest);
        (self.rules, self.instance) = (rules, instance);
        for key in self.findings.keys().cloned().collect::<Vec<_>>() {
            self.want(&key, now);
        }
        let told = self.findings.values().filter(|followed| matches!(followed.telling, Telling::Told(_) | Telling::Worse));
        self.outputs.extend(told.map(|followed| {
            let change = &followed.change;
            let listed = change.clone().listed(Status::Firing);
            Output::Alert(Box::new(AlertChange { key: change.key.clone(), group: change.group.clone(), listed }))
        }));
    }

    /// Hears of something that happened at `now`.
    pub(super) fn take(&mut self, input: Input, now: PacketTime) {
        match input {
            Input::Finding(change) => self.change(*change, now),
            Input::LostCall { aor, at } => self.lost_call(aor, at, now),
            Input::Open(open) => self.resume(open, now),
        }
    }

    /// Does what is due by `now`.
    pub(super) fn advance(&mut self, now: PacketTime) {
        self.end_what_is_over(now);
        let due: Vec<_> = self.groups.iter().filter(|(_, told)| self.is_due(told, now)).map(|(group, _)| group.clone()).collect();
        for group in due {
            self.tell(&group, now);
        }
        if let Some(draft) = self.scanners.digest(now)
            && draft.severity() >= self.rules.min_severity
        {
            self.limiter.offer(draft, now);
        }
        while let Some(draft) = self.limiter.release(now) {
            self.send(draft, now);
        }
    }

    /// Tells at once what waits, as siphound ends.
    pub(super) fn finish(&mut self, now: PacketTime) {
        for group in self.groups.keys().cloned().collect::<Vec<_>>() {
            self.tell(&group, now);
        }
        if let Some(draft) = self.limiter.rest() {
            self.send(draft, now);
        }
    }

    /// The next thing to send.
    pub(super) fn next(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes how many findings were not followed since the last time, for lack of room.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn change(&mut self, change: Change, now: PacketTime) {
        if is_scanning(change.key.id) {
            if change.turn == Turn::Holds {
                self.scanners.add(change.entry, now);
            }
            return;
        }
        match change.turn {
            Turn::Holds => self.holds(change, now),
            Turn::Ended => self.ended(change, now),
            // Otherwise one that is dropped and raised again and again would be told each time.
            Turn::Dropped(until) => self.ended(change, until.max(now)),
            Turn::ReplacedBy(cause) => self.replaced(change, cause.as_str(), now),
        }
    }

    fn holds(&mut self, change: Change, now: PacketTime) {
        if loses_call(change.key.id)
            && let Some(aor) = change.aors.first()
        {
            self.lost_call(aor.clone(), change.at, now);
        }
        let (key, severity) = (change.key.clone(), change.entry.severity);
        let is_strangers = change.standing == Standing::Stranger;
        let is_full = self.findings.len() >= KEPT || is_strangers && self.strangers.len() >= STRANGERS;
        if is_full && !self.findings.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        for aor in &change.aors {
            self.about.entry(aor.clone()).or_default().insert(key.clone());
        }
        match self.findings.get_mut(&key) {
            Some(known) => {
                known.ended = None;
                let gone = known.renew(change);
                if let Telling::Told(told) = known.telling
                    && severity > told
                {
                    known.telling = Telling::Worse;
                    let group = known.change.group.clone();
                    self.schedule(&group, now);
                }
                self.unrelate(&key, &gone);
            }
            None => {
                self.groups.entry(change.group.clone()).or_default().members.insert(key.clone());
                if is_strangers {
                    self.strangers.insert(key.clone());
                }
                self.findings.insert(key.clone(), Followed { change, telling: Telling::Unwanted, ended: None });
            }
        }
        self.want(&key, now);
    }

    /// Lets a finding wait to be told if somebody is to be told.
    fn want(&mut self, key: &Key, now: PacketTime) {
        let Some(known) = self.findings.get_mut(key) else { return };
        if known.telling == Telling::Unwanted && self.rules.want(&known.change, known.ended, &self.lost_calls) {
            known.telling = Telling::Waiting;
            let group = known.change.group.clone();
            self.schedule(&group, now);
        }
    }

    fn lost_call(&mut self, aor: Box<str>, at: PacketTime, now: PacketTime) {
        let keys: Vec<_> = self.about.get(&aor).into_iter().flatten().cloned().collect();
        self.lost_calls.add(aor, at);
        for key in keys {
            self.want(&key, now);
        }
    }

    fn ended(&mut self, change: Change, at: PacketTime) {
        let key = change.key.clone();
        if let Some(known) = self.findings.get_mut(&key) {
            let gone = known.renew(change);
            known.ended = Some(at);
            self.unrelate(&key, &gone);
        }
    }

    fn forget(&mut self, key: &Key) -> Option<Followed> {
        let followed = self.findings.remove(key)?;
        self.strangers.remove(key);
        self.unrelate(key, &followed.change.aors);
        Some(followed)
    }

    fn unrelate(&mut self, key: &Key, aors: &[Box<str>]) {
        for aor in aors {
            if let Some(keys) = self.about.get_mut(aor) {
                keys.remove(key);
                if keys.is_empty() {
                    self.about.remove(aor);
                }
            }
        }
    }

    /// A symptom leaves at once: its cause is told instead.
    fn replaced(&mut self, change: Change, cause: &'static str, now: PacketTime) {
        let Some(known) = self.forget(&change.key) else { return };
        let change = Change { group: known.change.group, ..change };
        if matches!(known.telling, Telling::Told(_) | Telling::Worse) {
            let listed = Listed { replaced_by: Some(cause), ..change.listed(Status::Resolved) };
            self.resolve(change, listed, now);
        } else {
            self.leave(&change.group, &change.key);
        }
    }

    /// Begins again from what was open: the rest is over. What was heard of later stands.
    fn resume(&mut self, open: OpenFindings, now: PacketTime) {
        let listed: BTreeSet<_> = open.findings.iter().map(|change| change.key.clone()).collect();
        for (key, followed) in &mut self.findings {
            if followed.ended.is_none() && followed.change.at <= open.at && !listed.contains(key) {
                followed.ended = Some(now);
            }
        }
        for change in open.findings {
            if self.findings.get(&change.key).is_none_or(|followed| followed.change.at <= open.at) {
                self.change(change, now);
            }
        }
    }

    fn end_what_is_over(&mut self, now: PacketTime) {
        let hold = self.rules.resolve_after;
        let is_over = |followed: &Followed| match (followed.ended, followed.telling) {
            (None, _) | (_, Telling::Waiting) => false,
            (Some(ended), Telling::Unwanted) => now.since(ended) > WINDOW_AFTER,
            (Some(ended), Telling::Told(_) | Telling::Worse) => ended + hold <= now,
        };
        let over: Vec<_> = self.findings.iter().filter(|(_, followed)| is_over(followed)).map(|(key, _)| key.clone()).collect();
        for key in over {
            let Some(followed) = self.forget(&key) else { continue };
            let over = followed.ended.map_or(now, |ended| ended + hold);
            if followed.telling == Telling::Unwanted {
                self.leave(&followed.change.group, &key);
            } else {
                let listed = followed.change.listed(Status::Resolved);
                self.resolve(followed.change, listed, over);
            }
        }
    }

    fn resolve(&mut self, change: Change, listed: Listed, now: PacketTime) {
        let told = self.groups.entry(change.group.clone()).or_default();
        told.members.remove(&change.key);
        if told.resolved.len() < LISTED {
            told.resolved.push(listed.clone());
        } else {
            told.more_resolved += 1;
        }
        self.schedule(&change.group, now);
        self.outputs.push_back(Output::Alert(Box::new(AlertChange { key: change.key, group: change.group, listed })));
    }

    /// Forgets a finding of a group, and the group with its last one.
    fn leave(&mut self, group: &Group, key: &Key) {
        if let Some(told) = self.groups.get_mut(group) {
            told.members.remove(key);
            if told.members.is_empty() && told.resolved.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    fn schedule(&mut self, group: &Group, now: PacketTime) {
        let told = self.groups.entry(group.clone()).or_default();
        told.due = told.due.or(Some(now + self.rules.group_wait));
    }

    fn is_due(&self, told: &Told, now: PacketTime) -> bool {
        let repeats = || told.last.is_some_and(|last| now.since(last) >= self.rules.repeat);
        told.due.map_or_else(repeats, |due| due <= now)
    }

    /// Tells of a group what there is to tell.
    fn tell(&mut self, group: &Group, now: PacketTime) {
        let is_repeat = self.groups.get(group).is_some_and(|told| self.is_due(told, now) && told.due.is_none());
        let (mut fresh, mut known) = (Vec::new(), Vec::new());
        let Some(told) = self.groups.get_mut(group) else { return };
        told.due = None;
        for key in &told.members {
            let Some(followed) = self.findings.get_mut(key) else { continue };
            let listed = followed.change.listed(Status::Firing);
            match followed.telling {
                Telling::Unwanted => {}
                Telling::Told(_) => known.push(listed),
                Telling::Waiting | Telling::Worse => {
                    followed.telling = Telling::Told(followed.change.entry.severity);
                    let alert = AlertChange { key: key.clone(), group: group.clone(), listed: listed.clone() };
                    self.outputs.push_back(Output::Alert(Box::new(alert)));
                    fresh.push(listed);
                }
            }
        }
        let is_over = fresh.is_empty() && known.is_empty();
        if is_over && told.resolved.is_empty() || !is_over && fresh.is_empty() && !is_repeat {
            return;
        }
        for list in [&mut fresh, &mut known] {
            list.sort_by_key(|listed| std::cmp::Reverse(listed.finding.severity));
        }
        let findings = fresh.into_iter().chain(known).chain(std::mem::take(&mut told.resolved)).collect();
        let status = if is_over { Status::Resolved } else { Status::Firing };
        let more = std::mem::take(&mut told.more_resolved);
        told.last = Some(now);
        if is_over {
            if told.members.is_empty() {
                self.groups.remove(group);
            } else {
                told.last = None;
            }
        }
        self.limiter.offer(Draft { kind: MessageKind::Findings, status, group: Some(group.clone()), findings, more }, now);
    }

    fn send(&mut self, draft: Draft, now: PacketTime) {
        self.messages += 1;
        self.outputs.push_back(Output::Message(draft.finish(&self.instance, self.messages, now)));
    }
}
