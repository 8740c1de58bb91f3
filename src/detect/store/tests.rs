//! Stories in packet time: what is on the list, and when.

mod any_order;
mod causes;

use super::*;
use crate::detect::finding::Reason;
use crate::track::site::Site;
use FindingId::*;

const ALICE: &str = "1001@pbx.example.com";
const BOB: &str = "1002@pbx.example.com";

fn at(seconds: i64) -> PacketTime {
    PacketTime::from_parts(1_769_850_000 + seconds, 0)
}

fn aor(user: &str) -> Subject {
    Subject::Aor(user.into())
}

fn source(last: u8) -> Subject {
    Subject::Source([198, 51, 100, last].into())
}

fn site() -> Subject {
    Subject::Site(Site::of([198, 51, 100, 7].into()))
}

fn pbx(last: u8) -> Subject {
    Subject::Pbx(([203, 0, 113, last], 5060).into())
}

fn say(id: FindingId, subject: Subject) -> Raise {
    Raise::new(id, subject, format!("{id}"))
}

/// A finding whose only evidence is of the moment it is raised.
fn seen(id: FindingId, subject: Subject, second: i64) -> Raise {
    say(id, subject).evidence(at(second), second.unsigned_abs(), "seen")
}

fn ids(store: &FindingStore) -> Vec<FindingId> {
    store.all().iter().map(|finding| finding.id).collect()
}

/// A store whose changes somebody takes.
fn watched(limits: Limits) -> FindingStore {
    let mut store = FindingStore::new(limits);
    store.record_changes();
    store
}

fn kinds(store: &mut FindingStore) -> Vec<(FindingId, ChangeKind)> {
    std::iter::from_fn(|| store.next_change()).map(|change| (change.finding.id, change.kind)).collect()
}

fn total(store: &FindingStore, id: FindingId) -> u64 {
    store.reached.iter().filter(|reached| reached.id == id).count() as u64
}

mod life {
    use super::*;

    #[test]
    fn what_is_known_better_is_worded_anew_and_is_no_further_raise() {
        let mut store = watched(Limits::default());
        let told = |text: &str, phones: &[&str]| {
            let raise = Raise::new(NatBindingTimeout, site(), text).severity(Severity::Info).related(pbx(1));
            phones.iter().fold(raise, |raise, phone| raise.related(aor(phone)))
        };
        store.raise(told("two phones", &[ALICE, BOB]), at(10));
        store.revise(told("one phone", &[BOB]).severity(Severity::Error), at(20));

        let finding = store.get(NatBindingTimeout, &site()).unwrap();
        assert_eq!((finding.message.as_str(), finding.count, finding.last), ("one phone", 1, at(10)));
        assert_eq!(finding.related, [pbx(1), aor(BOB)]);
        assert_eq!(kinds(&mut store), [(NatBindingTimeout, ChangeKind::Raised), (NatBindingTimeout, ChangeKind::Updated)]);
        let about = |subject: &Subject| store.open_about(NatBindingTimeout, subject).count();
        assert_eq!((about(&aor(ALICE)), about(&aor(BOB)), about(&site())), (0, 1, 1));
    }

    #[test]
    fn what_turns_out_not_to_be_so_leaves_the_list_and_is_over_for_who_was_told() {
        let mut store = watched(Limits::default());
        store.raise(seen(LegLeftUp, Subject::Call("call".into()), 10), at(15));
        store.take_back(LegLeftUp, &Subject::Call("call".into()), at(30));
        store.take_back(LegLeftUp, &Subject::Call("other".into()), at(30));

        assert!(store.is_empty());
        assert_eq!(kinds(&mut store), [(LegLeftUp, ChangeKind::Raised), (LegLeftUp, ChangeKind::Cleared)]);
        store.raise(seen(LegLeftUp, Subject::Call("call".into()), 40), at(45));
        assert_eq!(ids(&store), [LegLeftUp]);
    }

    #[test]
    fn nothing_is_worded_anew_that_is_not_open() {
        let mut store = FindingStore::default();
        store.revise(say(NatBindingTimeout, site()), at(10));
        assert!(store.all().is_empty());
    }

    #[test]
    fn what_becomes_the_matter_of_the_site_keeps_its_beginning_and_its_proof() {
        let mut store = FindingStore::default();
        store.raise(seen(NatBindingTimeout, aor(ALICE), 10), at(12));
        store.raise(seen(NatBindingTimeout, site(), 30).related(aor(ALICE)), at(31));
        assert!(store.replace((NatBindingTimeout, &site()), (NatBindingTimeout, &aor(ALICE)), at(31)));

        let all = store.all();
        let [finding] = all.as_slice() else { panic!("one entry, not {}", all.len()) };
        assert_eq!((finding.since, finding.at, finding.evidence.len(), finding.explains.len()), (at(10), at(31), 2, 0));
    }

    #[test]
    fn a_finding_raised_again_is_one_finding_that_knows_more() {
        let mut store = watched(Limits::default());
        let suspected = seen(RegistrationRejected, aor(ALICE), 10).confidence(Confidence::Suspected).severity(Severity::Warning);
        store.raise(suspected, at(12));
        store.raise(seen(RegistrationRejected, aor(ALICE), 5).reason(Reason::NoCredentials), at(20));
        store.raise(seen(RegistrationRejected, aor(ALICE), 30).severity(Severity::Info).confidence(Confidence::Probable), at(30));

        let all = store.all();
        let [finding] = all.as_slice() else { panic!("one entry, not {}", all.len()) };
        assert_eq!((finding.since, finding.at, finding.last, finding.count), (at(5), at(12), at(30), 3));
        assert_eq!((finding.severity, finding.confidence), (Severity::Error, Confidence::Confirmed), "the highest they reached");
        assert_eq!(finding.reason, Some(Reason::NoCredentials));
        assert_eq!(finding.evidence.iter().map(|fact| fact.at).collect::<Vec<_>>(), [at(5), at(10), at(30)]);
        let changes = kinds(&mut store);
        assert_eq!(changes, [(RegistrationRejected, ChangeKind::Raised), (RegistrationRejected, ChangeKind::Updated)]);
    }

    #[test]
    fn each_severity_that_was_reached_is_told_once() {
        let mut store = watched(Limits::default());
        for severity in [Severity::Info, Severity::Info, Severity::Error, Severity::Warning] {
            store.raise(say(PeerUnreachable, aor(ALICE)).severity(severity), at(0));
        }
        let reached: Vec<_> = store.take_reached().iter().map(|reached| (reached.id, reached.severity)).collect();
        assert_eq!(reached, [(PeerUnreachable, Severity::Info), (PeerUnreachable, Severity::Error)]);
        assert!(store.take_reached().is_empty(), "each is told once");
    }

    #[test]
    fn subjects_are_kept_apart() {
        let mut store = watched(Limits::default());
        store.raise(say(PeerUnreachable, aor(ALICE)), at(0));
        store.raise(say(PeerUnreachable, aor(BOB)), at(0));
        assert!(store.clear(PeerUnreachable, &aor(ALICE), at(1)));
        assert!(!store.is_open(PeerUnreachable, &aor(ALICE)));
        assert!(store.is_open(PeerUnreachable, &aor(BOB)));
    }

    #[test]
    fn a_second_episode_is_a_second_entry() {
        let mut store = watched(Limits::default());
        store.raise(say(TrunkNoResponse, Subject::Trunk([203, 0, 113, 99].into())), at(0));
        assert!(store.clear(TrunkNoResponse, &Subject::Trunk([203, 0, 113, 99].into()), at(40)));
        store.raise(say(TrunkNoResponse, Subject::Trunk([203, 0, 113, 99].into())), at(300));

        let all = store.all();
        assert_eq!(all.iter().map(|finding| (finding.at, finding.cleared)).collect::<Vec<_>>(), [(at(0), Some(at(40))), (at(300), None)]);
        assert_eq!(total(&store, TrunkNoResponse), 2);
    }

    #[test]
    fn quiet_time_ends_a_finding_at_its_deadline_however_late_that_is_noticed() {
        let mut store = watched(Limits::default());
        store.raise(say(PbxRestarted, pbx(10)), at(0));
        store.raise(say(PbxRestarted, pbx(10)), at(60));
        store.advance(at(179));
        assert_eq!(store.open().count(), 1, "quiet for 119 s of 120 s");
        store.advance(at(5_000));
        assert_eq!(store.all()[0].cleared, Some(at(180)));
    }

    #[test]
    fn what_is_due_ends_before_what_comes_is_handled() {
        let mut store = watched(Limits::default());
        store.raise(say(PbxRestarted, pbx(10)), at(0));
        store.raise(say(PbxRestarted, pbx(10)), at(120));
        assert_eq!(ids(&store), [PbxRestarted, PbxRestarted], "the deadline itself is no part of the quiet time");
        store.raise(say(PbxRestarted, pbx(10)), at(239));
        assert_eq!(store.all().len(), 2);
    }

    #[test]
    fn findings_that_end_together_end_in_order_of_their_deadlines() {
        let mut store = watched(Limits::default());
        store.raise(say(RegistrationStorm, pbx(11)), at(0));
        store.raise(say(PbxRestarted, pbx(10)), at(-1));
        while store.next_change().is_some() {}
        store.advance(at(9_999));
        assert_eq!(kinds(&mut store), [(PbxRestarted, ChangeKind::Cleared), (RegistrationStorm, ChangeKind::Cleared)]);
    }

    #[test]
    fn clearing_what_is_not_open_changes_nothing() {
        let mut store = watched(Limits::default());
        assert!(!store.clear(PeerLagged, &aor(ALICE), at(0)));
        store.raise(say(PeerLagged, aor(ALICE)), at(0));
        assert!(store.clear(PeerLagged, &aor(ALICE), at(5)));
        assert!(!store.clear(PeerLagged, &aor(ALICE), at(6)));
        store.advance(PacketTime::MAX);
        assert_eq!(store.all()[0].cleared, Some(at(5)));
    }

    #[test]
    fn the_report_lists_by_first_evidence_whatever_the_order_of_raising() {
        let mut store = watched(Limits::default());
        store.raise(seen(SipScanner, source(9), 50), at(50));
        store.raise(seen(NatBindingTimeout, aor(ALICE), 3), at(60));
        store.raise(seen(AuthBruteforce, source(9), 50), at(61));
        assert_eq!(ids(&store), [NatBindingTimeout, SipScanner, AuthBruteforce]);
    }
}

mod outages {
    use super::*;

    /// Raised one second before the window opens, in it, and after it closed.
    fn around(store: &mut FindingStore, id: FindingId) {
        store.raise(seen(id, aor(ALICE), 69), at(69));
        store.raise(seen(id, aor(BOB), 70), at(70));
    }

    #[test]
    fn an_outage_takes_over_phones_and_calls_from_thirty_seconds_before_to_a_minute_after() {
        let mut store = watched(Limits::default());
        around(&mut store, PeerUnreachable);
        store.raise(seen(ByeUnanswered, Subject::Call("a@x".into()), 80), at(90));
        store.raise(seen(PbxNotResponding, pbx(10), 100), at(110));
        assert_eq!(ids(&store), [PeerUnreachable, PbxNotResponding], "what was wrong before stays wrong");
        assert!(store.is_open(PeerUnreachable, &aor(ALICE)));

        store.clear(PbxNotResponding, &pbx(10), at(200));
        store.raise(seen(RegistrarSilent, source(7), 260), at(260));
        assert!(!store.is_open(RegistrarSilent, &source(7)));
        store.raise(seen(RegistrarSilent, source(7), 261), at(261));
        assert!(store.is_open(RegistrarSilent, &source(7)));
    }

    #[test]
    fn a_router_that_forgets_is_no_effect_of_an_outage() {
        let mut store = watched(Limits::default());
        store.raise(seen(PbxNotResponding, pbx(10), 0), at(10));
        store.raise(seen(NatBindingTimeout, site(), 5), at(20));
        store.raise(seen(NatBindingTimeout, aor(ALICE), 5), at(20));
        assert_eq!(ids(&store), [PbxNotResponding, NatBindingTimeout]);
        assert!(store.is_open(NatBindingTimeout, &site()));
    }

    #[test]
    fn an_outage_hides_neither_attackers_nor_trunks_nor_the_state_of_the_capture() {
        let mut store = watched(Limits::default());
        store.raise(seen(PbxNotResponding, pbx(10), 0), at(10));
        store.raise(seen(SipScanner, source(66), 11), at(11));
        store.raise(seen(TrunkNoResponse, Subject::Trunk([203, 0, 113, 99].into()), 12), at(12));
        store.raise(seen(CaptureLossy, Subject::Capture, 13), at(13));
        assert_eq!(ids(&store), [PbxNotResponding, SipScanner, TrunkNoResponse, CaptureLossy]);
    }

    #[test]
    fn an_outage_of_one_pbx_leaves_the_phones_of_another_alone() {
        let mut store = watched(Limits::default());
        store.raise(seen(PbxNotResponding, pbx(10), 0), at(10));
        store.raise(seen(PeerUnreachable, aor(ALICE), 11).related(pbx(20)), at(11));
        store.raise(seen(PeerUnreachable, aor(BOB), 11).related(pbx(10)), at(11));
        assert!(store.is_open(PeerUnreachable, &aor(ALICE)));
        assert!(!store.is_open(PeerUnreachable, &aor(BOB)));
    }
}

mod bounds {
    use super::*;

    #[test]
    fn a_flood_of_scanners_never_exceeds_the_limit_and_never_pushes_out_what_is_worse() {
        let mut store = watched(Limits { open: 10, ended: 5 });
        store.raise(say(PbxNotResponding, pbx(10)), at(0));
        for second in 1..=250 {
            let address = Subject::Source([198, 51, 100, second as u8].into());
            store.raise(say(SipScanner, address), at(second));
            assert!(store.open().count() <= 10 && store.all().len() <= 15);
        }
        assert!(store.is_open(PbxNotResponding, &pbx(10)));
        assert!(store.is_open(SipScanner, &source(250)), "of the equally bad the quietest goes first");
        assert_eq!(store.evicted(), 241);
        assert_eq!(total(&store, SipScanner), 250);
    }

    #[test]
    fn ended_findings_make_room_for_those_that_end_later() {
        let mut store = watched(Limits { open: 10, ended: 3 });
        for second in 0..6 {
            store.raise(say(SipScanner, source(second as u8)), at(second));
            store.clear(SipScanner, &source(second as u8), at(second));
        }
        assert_eq!(store.all().iter().map(|finding| finding.at).collect::<Vec<_>>(), [at(3), at(4), at(5)]);
        assert_eq!(store.evicted(), 3);
    }

    #[test]
    fn what_comes_and_goes_is_one_finding_of_a_phone_but_many_of_a_pbx() {
        for (id, subject, episodes) in [(PeerUnreachable, aor(ALICE), 1), (PbxNotResponding, pbx(1), 3)] {
            let mut store = watched(Limits::default());
            for second in [0, 60, 120] {
                store.raise(seen(id, subject.clone(), second), at(second));
                store.clear(id, &subject, at(second + 30));
            }
            assert_eq!(store.all().len(), episodes, "{id}");
            assert_eq!(store.all().iter().map(|finding| finding.count).sum::<u64>(), 3);
        }
    }

    #[test]
    fn an_evicted_finding_is_told_to_be_dropped_and_leaves_no_trace_in_the_index() {
        let mut store = watched(Limits { open: 0, ended: 0 });
        store.raise(seen(PeerUnreachable, aor(ALICE), 0).related(site()), at(0));
        let until = at(0) + PeerUnreachable.row().clears.quiet;
        assert_eq!(kinds(&mut store), [(PeerUnreachable, ChangeKind::Raised), (PeerUnreachable, ChangeKind::Dropped(until))]);
        assert!(store.all().is_empty() && store.index.is_empty());
    }

    #[test]
    fn evidence_keeps_the_first_and_the_latest_facts() {
        let mut store = watched(Limits::default());
        for second in 0..100 {
            store.raise(seen(PeerUnreachable, aor(ALICE), second), at(second));
        }
        let finding = store.get(PeerUnreachable, &aor(ALICE)).unwrap();
        let kept: Vec<_> = finding.evidence.iter().filter_map(|fact| fact.frame).collect();
        assert_eq!(kept, (0..10).chain(90..100).collect::<Vec<_>>());
        assert_eq!(finding.evidence_omitted, 80);
    }

    #[test]
    fn the_same_fact_told_twice_is_one_fact() {
        let mut store = watched(Limits::default());
        store.raise(seen(PeerUnreachable, aor(ALICE), 7), at(7));
        store.raise(seen(PeerUnreachable, aor(ALICE), 7), at(8));
        assert_eq!(store.all()[0].evidence.len(), 1);
    }

    #[test]
    fn changes_that_nobody_takes_do_not_pile_up() {
        let mut store = watched(Limits::default());
        for second in 0..33_000 {
            store.raise(say(SipScanner, source(second as u8)), at(second));
            store.clear(SipScanner, &source(second as u8), at(second));
        }
        assert_eq!(std::iter::from_fn(|| store.next_change()).count() as u64 + store.lost_changes(), 66_000);
        assert!(store.lost_changes() > 0);
    }
}
