//! From the engine to the queue of a sink.

use std::sync::atomic::Ordering;

use crossbeam_channel::never;

use super::change::Turn;
use super::*;
use crate::config::Thresholds;
use crate::detect::catalog::FindingId;
use crate::detect::finding::{Raise, Subject};
use crate::detect::listener::Listener as _;
use crate::detect::store::{FindingChange, FindingStore};
use crate::track::{Settings, Tracker};

const ALICE: &str = "1001234@pbx.example.com";

fn tracker() -> Tracker {
    Tracker::new(&Settings {
        seed: 0,
        pbxs: Vec::new(),
        own: Vec::new(),
        trunks: Vec::new(),
        transactions: 10,
        calls: 10,
        bindings: 10,
        flows: 10,
        sources: 10,
        finished: 10,
        thresholds: Thresholds::default(),
    })
}

fn at(seconds: i64) -> PacketTime {
    PacketTime::from_parts(1_769_850_000 + seconds, 0)
}

/// The changes of findings that are raised for some phones.
fn changes(users: &[&str]) -> Vec<FindingChange> {
    let mut store = FindingStore::default();
    store.record_changes();
    for user in users {
        store.raise(Raise::new(FindingId::PeerUnreachable, Subject::Aor((*user).into()), format!("{user} is gone")), at(0));
    }
    std::iter::from_fn(|| store.next_change()).collect()
}

fn listener(inputs: Sender<Input>, mask: Mask) -> AlertListener {
    AlertListener { inputs, shared: Arc::new(Shared::default()), mask }
}

#[test]
fn a_full_queue_is_not_waited_for_and_what_it_missed_is_asked_for() {
    let (tracker, changes) = (tracker(), changes(&[ALICE, "1002@pbx.example.com"]));
    let (inputs, hears) = bounded(1);
    let mut listener = listener(inputs, Mask::none());
    changes.iter().for_each(|change| listener.finding(&tracker, change));
    let shared = Arc::clone(&listener.shared);
    assert_eq!(shared.counts.get(SinkKind::Policy, Fate::Dropped), 1);
    assert!(shared.has_gap.load(Ordering::Acquire));

    let (messages, told) = bounded(10);
    let findings: Vec<_> = changes.iter().map(|change| Change::open(&tracker, &change.finding, &Mask::none())).collect();
    let rules = Rules { scopes: vec![Scope::Phone], group_wait: Span::ZERO, max_per_hour: 3_600, ..rules(&Config::default()) };
    let outlet = Outlet::Messages { kind: SinkKind::Webhook, name: "chat".to_owned(), min_severity: Severity::Info, queue: messages };
    let dispatcher = Dispatcher {
        policy: Policy::new(rules, "pbx1".to_owned()),
        inputs: hears,
        shared: Arc::clone(&shared),
        outlets: vec![outlet],
        reloads: never(),
        threads: Threads { shared: Arc::clone(&shared), running: bounded(0).0, ends: never() },
        ask_open: Box::new(move || Some(OpenFindings { at: at(1), findings: findings.clone() })),
        now: at(1),
        asked: None,
    };
    drop(listener);
    dispatcher.run();
    let mut subjects: Vec<_> = told.iter().flat_map(|message| message.findings.clone()).map(|listed| listed.finding.subject).collect();
    subjects.sort();
    assert_eq!(subjects, [ALICE, "1002@pbx.example.com"]);
    assert!(!shared.has_gap.load(Ordering::Acquire));
}

#[test]
fn numbers_are_hidden_where_they_are_to_be_and_watched_all_the_same() {
    let (tracker, changes) = (tracker(), changes(&[ALICE]));
    let change = Change::of(&tracker, &changes[0], &Mask::keyed(7));
    assert_eq!((change.turn, change.aors), (Turn::Holds, vec![ALICE.into()]));
    let told = format!("{:?} {:?}", change.entry, change.group);
    assert!(!told.contains("1001234") && change.entry.subject.ends_with("-34@pbx.example.com"), "{told}");
    assert_eq!(change.command, None, "nobody could ask for a pseudonym");
}

#[test]
fn a_sink_hears_of_what_is_bad_enough_and_what_finds_no_room_is_counted() {
    let draft = Draft { kind: MessageKind::Test, status: Status::Firing, group: None, findings: Vec::new(), more: 0 };
    let message = Arc::new(draft.finish("pbx1", 1, at(0)));
    let counts = Counts::default();
    let offer = |min_severity, room| {
        let (queue, told) = bounded(room);
        let outlet = Outlet::Messages { kind: SinkKind::Webhook, name: "chat".to_owned(), min_severity, queue };
        outlet.message(&message, &counts);
        (told.len(), counts.get(SinkKind::Webhook, Fate::Dropped))
    };
    assert_eq!(offer(Severity::Info, 1), (1, 0));
    assert_eq!(offer(Severity::Warning, 1), (0, 0));
    assert_eq!(offer(Severity::Info, 0), (0, 1));
}
