//! What explains what, whichever comes first.

use super::*;

#[test]
fn a_cause_found_late_takes_over_the_symptoms_of_its_window() {
    let mut store = watched(Limits::default());
    store.raise(seen(CalleeNoResponse, aor(ALICE), 100), at(132));
    store.raise(seen(CalleeNoResponse, aor(BOB), 100), at(132));
    store.raise(seen(NatBindingTimeout, aor(ALICE), 100), at(900));

    assert_eq!(store.all().len(), 2, "Bob's phone is another matter");
    let nat = store.get(NatBindingTimeout, &aor(ALICE)).unwrap();
    assert_eq!(nat.explains.iter().copied().collect::<Vec<_>>(), [CalleeNoResponse]);
    assert!(!store.is_open(CalleeNoResponse, &aor(ALICE)));
    assert_eq!(total(&store, CalleeNoResponse), 2, "the counter keeps what was raised");
}

#[test]
fn replacing_resolves_the_alert_of_an_open_symptom_but_says_nothing_about_one_that_was_over() {
    let mut store = watched(Limits::default());
    store.raise(seen(LateDelivery, aor(ALICE), 0), at(0));
    store.clear(LateDelivery, &aor(ALICE), at(5));
    store.raise(seen(PeerUnreachable, aor(ALICE), 10), at(10));
    while store.next_change().is_some() {}
    store.raise(seen(NatBindingTimeout, aor(ALICE), 0), at(20));
    let changes = kinds(&mut store);
    assert_eq!(changes, [(NatBindingTimeout, ChangeKind::Raised), (PeerUnreachable, ChangeKind::ReplacedBy(NatBindingTimeout))]);
    assert_eq!(ids(&store), [NatBindingTimeout]);
    assert_eq!(store.all()[0].explains.len(), 2);
}

#[test]
fn a_symptom_of_a_known_cause_is_never_listed() {
    let mut store = watched(Limits::default());
    store.raise(seen(StaleBindingTarget, aor(ALICE), 0), at(0));
    store.raise(seen(CalleeNoResponse, aor(ALICE), 32), at(32));
    assert_eq!(ids(&store), [StaleBindingTarget]);
    assert_eq!((store.absorbed(), total(&store, CalleeNoResponse)), (1, 0));
    assert!(store.all()[0].explains.contains(&CalleeNoResponse));
}

#[test]
fn a_suspicion_explains_nothing_until_it_hardens() {
    let mut store = watched(Limits::default());
    store.raise(seen(NatBindingTimeout, aor(ALICE), 0).confidence(Confidence::Suspected), at(0));
    store.raise(seen(CalleeNoResponse, aor(ALICE), 10), at(42));
    assert_eq!(ids(&store), [NatBindingTimeout, CalleeNoResponse]);
    store.raise(seen(NatBindingTimeout, aor(ALICE), 60).confidence(Confidence::Probable), at(60));
    assert_eq!(ids(&store), [NatBindingTimeout]);
}

#[test]
fn what_ended_before_the_cause_began_stays_on_the_list() {
    let mut store = watched(Limits::default());
    store.raise(seen(CalleeNoResponse, aor(ALICE), 0), at(0));
    store.clear(CalleeNoResponse, &aor(ALICE), at(1));
    store.raise(seen(RegistrationExpired, aor(ALICE), 31), at(61));
    assert_eq!(ids(&store), [CalleeNoResponse, RegistrationExpired]);
}

#[test]
fn a_cause_does_not_explain_what_was_wrong_long_before_and_still_is() {
    let mut store = watched(Limits::default());
    store.raise(seen(PeerUnreachable, aor(ALICE), 0), at(0));
    store.raise(seen(SourceIpChanged, site(), 3_000), at(3_000));
    store.raise(seen(PeerUnreachable, aor(ALICE), 3_010).related(site()), at(3_010));
    assert_eq!(ids(&store), [PeerUnreachable, SourceIpChanged]);
}

#[test]
fn the_same_trouble_known_better_takes_over_whenever_it_began() {
    let mut store = watched(Limits::default());
    store.raise(seen(RegistrationRejected, aor(ALICE), 0), at(0));
    store.raise(seen(AuthFailedLoop, aor(ALICE), 300), at(300));
    assert_eq!(ids(&store), [RegistrationRejected, AuthFailedLoop], "a rejection of five minutes ago may be another matter");
    store.raise(seen(RegistrationRejected, aor(ALICE), 310), at(310));
    assert_eq!(ids(&store), [AuthFailedLoop], "but not one that goes on");
}

#[test]
fn a_cause_that_is_over_explains_for_another_minute() {
    let mut store = watched(Limits::default());
    store.raise(seen(RegistrationExpired, aor(ALICE), 0), at(0));
    store.clear(RegistrationExpired, &aor(ALICE), at(100));
    store.raise(seen(CalleeNoResponse, aor(ALICE), 160), at(160));
    store.raise(seen(UnansweredBurst, aor(ALICE), 161), at(161));
    assert_eq!(ids(&store), [RegistrationExpired, UnansweredBurst]);
}

#[test]
fn related_subjects_join_a_site_or_a_source_with_its_users() {
    let mut store = watched(Limits::default());
    store.raise(seen(PeerUnreachable, aor(ALICE), 0).related(site()), at(0));
    store.raise(seen(PeerUnreachable, aor(BOB), 0), at(0));
    store.raise(seen(SourceIpChanged, site(), 1), at(1));
    assert_eq!(ids(&store), [PeerUnreachable, SourceIpChanged], "Bob is not known to be there");

    store.raise(seen(RegistrationExpired, aor(ALICE), 10), at(10));
    store.raise(seen(RegistrarSilent, source(7), 10).related(aor(ALICE)), at(11));
    assert!(!store.is_open(RegistrationExpired, &aor(ALICE)));
    assert!(store.is_open(RegistrarSilent, &source(7)));
}

#[test]
fn what_a_symptom_explained_its_own_cause_explains_too() {
    let mut store = watched(Limits::default());
    store.raise(seen(StaleBindingTarget, aor(ALICE), 0), at(0));
    store.raise(seen(CalleeNoResponse, aor(ALICE), 1), at(1));
    store.raise(seen(NatBindingTimeout, aor(ALICE), 0), at(2));
    assert_eq!(ids(&store), [NatBindingTimeout]);
    assert_eq!(store.all()[0].explains.iter().copied().collect::<Vec<_>>(), [StaleBindingTarget, CalleeNoResponse]);
}

#[test]
fn a_detector_may_replace_what_the_catalogue_does_not_know_of() {
    let mut store = watched(Limits::default());
    store.raise(seen(DialogLost, Subject::Call("a@x".into()), 0), at(0));
    let winner = aor(ALICE);
    assert!(!store.replace((ShortCalls, &winner), (DialogLost, &Subject::Call("a@x".into())), at(1)), "no such cause");
    store.raise(seen(ShortCalls, winner.clone(), 1), at(1));
    assert!(store.replace((ShortCalls, &winner), (DialogLost, &Subject::Call("a@x".into())), at(1)));
    assert_eq!(ids(&store), [ShortCalls]);
}

#[test]
fn the_other_phones_of_a_site_are_neither_asked_for_causes_nor_for_symptoms() {
    let phone = |number: u32| aor(&format!("{number}@pbx.example.com"));
    let placed = |raise: Raise| raise.related(source(7)).related(site());
    let mut store = FindingStore::new(Limits::default());
    for number in 0..4_096 {
        store.raise(placed(seen(PeerUnreachable, phone(number), 0)), at(0));
    }
    for number in 0..2_048 {
        let expired = Finding::begin(placed(seen(RegistrationExpired, phone(number), 20)), at(20));
        assert_eq!(store.tied(Reach::Effect, PeerUnreachable, &expired).count(), 1);
        store.raise(placed(seen(RegistrationExpired, phone(number), 20)), at(20));
    }
    let unreachable = Finding::begin(placed(seen(PeerUnreachable, phone(4_095), 30)), at(30));
    assert_eq!(store.tied(Reach::Effect, RegistrationExpired, &unreachable).count(), 0);
    assert_eq!(store.all().len(), 4_096);
}

#[test]
fn what_concerns_a_site_explains_what_its_phones_suffer() {
    for late in [false, true] {
        let mut store = FindingStore::new(Limits::default());
        let cause = seen(SourceIpChanged, site(), 10);
        let symptom = seen(PeerUnreachable, aor(ALICE), 15).related(source(7)).related(site());
        let (first, second) = if late { (symptom, cause) } else { (cause, symptom) };
        store.raise(first, at(15));
        store.raise(second, at(16));
        assert_eq!(ids(&store), [SourceIpChanged]);
    }
}
