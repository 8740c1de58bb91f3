mod desk;

use super::*;
use crate::detect::catalog::FindingId::*;
use crate::detect::finding::Subject;
use crate::track::vocabulary::{Scope, Severity};
use desk::*;

#[test]
fn fifty_phones_of_a_site_are_one_message_and_fifty_alerts() {
    let mut desk = Desk::new(Rules { scopes: vec![Scope::Phone], ..rules() });
    for number in 0..50 {
        desk.hear(behind(phone(PeerUnreachable, &format!("{number}@pbx.example.com"), number / 10), site(7)));
    }
    let message = desk.silent_until(4).one_by(5);
    assert_eq!(message.group, Some(Group { scope: Scope::Site, subject: "198.51.100.7".to_owned() }));
    assert_eq!((message.findings.len(), message.more), (LISTED, 50 - LISTED));
    assert!(message.text.ends_with("… and 49 more"), "{}", message.text);
    assert_eq!(desk.alerts.len(), 50);
}

#[test]
fn two_sites_are_two_messages() {
    let mut desk = Desk::new(rules());
    desk.hear(raised(SipAlgSuspected, Subject::Site(site(7)), 0)).hear(raised(SipAlgSuspected, Subject::Site(site(8)), 0));
    assert_eq!(desk.by(5).len(), 2);
}

#[test]
fn what_is_known_is_not_told_again_until_it_is_worse_or_time() {
    let mut desk = Desk::new(rules());
    desk.hear(pbx(PbxSlow, 0));
    desk.one_by(5);
    desk.hear(pbx(PbxSlow, 60)).silent_until(600);
    let mut worse = pbx(PbxSlow, 700);
    worse.entry.severity = Severity::Critical;
    desk.hear(worse);
    assert_eq!(desk.one_by(705).severity, Severity::Critical);
    let again = desk.silent_until(705 + 4 * 3_600 - 1).one_by(705 + 4 * 3_600);
    assert_eq!((again.status, ids(&again)), (Status::Firing, vec!["pbx-slow"]));
}

#[test]
fn what_comes_and_goes_is_told_once_and_resolved_once() {
    let mut desk = Desk::new(rules());
    let slow = pbx(PbxSlow, 0);
    desk.hear(slow.clone());
    desk.one_by(5);
    for minute in 1..20 {
        desk.ends(&slow, 60 * minute).hear(pbx(PbxSlow, 60 * minute + 30));
    }
    desk.silent_until(1_199).ends(&slow, 1_200).silent_until(1_319);
    let message = desk.one_by(1_330);
    assert_eq!((message.status, ids(&message)), (Status::Resolved, vec!["pbx-slow"]));
    assert_eq!(desk.alerts, ["firing pbx-slow 203.0.113.10:5060", "resolved pbx-slow 203.0.113.10:5060"]);
    desk.silent_until(50_000);
    desk.hear(pbx(PbxSlow, 50_001));
    assert_eq!(desk.one_by(50_006).status, Status::Firing, "it is new again");
}

#[test]
fn what_has_no_room_and_is_raised_again_and_again_is_told_once() {
    let mut desk = Desk::new(rules());
    desk.hear(pbx(RegistrationStorm, 0));
    desk.one_by(5);
    for round in 1..20 {
        let dropped = Turn::Dropped(at(300 * round + 600));
        desk.hear(Change { turn: dropped, at: at(300 * round), ..pbx(RegistrationStorm, 0) }).silent_until(300 * round + 200);
        desk.hear(pbx(RegistrationStorm, 300 * round + 200));
    }
    let dropped = Change { turn: Turn::Dropped(at(6_600)), at: at(6_000), ..pbx(RegistrationStorm, 0) };
    desk.hear(dropped).silent_until(6_719);
    let message = desk.one_by(6_730);
    assert_eq!((message.status, ids(&message)), (Status::Resolved, vec!["registration-storm"]), "as if it had stayed on the list");
}

#[test]
fn a_group_is_resolved_when_the_last_of_it_is() {
    let mut desk = Desk::new(rules());
    let (slow, errors) = (pbx(PbxSlow, 0), pbx(ServerErrorBurst, 1));
    desk.hear(slow.clone()).hear(errors.clone());
    assert_eq!(ids(&desk.one_by(10)), ["server-error-burst", "pbx-slow"], "the worst first");
    desk.ends(&slow, 20).silent_until(600).ends(&errors, 600);
    let over = desk.silent_until(700).one_by(800);
    assert_eq!((over.status, over.findings.len()), (Status::Resolved, 2));
}

#[test]
fn a_symptom_that_is_explained_in_time_is_never_told() {
    let mut desk = Desk::new(Rules { scopes: vec![Scope::Phone, Scope::Server], ..rules() });
    let symptom = phone(PeerUnreachable, ALICE, 0);
    desk.hear(symptom.clone()).hear(Change { turn: Turn::ReplacedBy(PbxNotResponding), at: at(3), ..symptom });
    desk.hear(pbx(PbxNotResponding, 3));
    assert_eq!(ids(&desk.one_by(10)), ["pbx-not-responding"]);
    assert_eq!(desk.alerts, ["firing pbx-not-responding 203.0.113.10:5060"]);
}

#[test]
fn a_symptom_that_is_explained_late_is_resolved_with_its_cause() {
    let mut desk = Desk::new(Rules { scopes: vec![Scope::Phone, Scope::Server], ..rules() });
    let symptom = phone(PeerUnreachable, ALICE, 0);
    desk.hear(symptom.clone());
    desk.one_by(5);
    desk.hear(Change { turn: Turn::ReplacedBy(PbxNotResponding), at: at(20), ..symptom });
    let message = desk.one_by(25);
    assert_eq!((message.status, message.findings[0].replaced_by), (Status::Resolved, Some("pbx-not-responding")));
}

#[test]
fn by_default_a_phone_is_nobodys_business() {
    let mut desk = Desk::new(rules());
    desk.hear(phone(PeerUnreachable, ALICE, 0)).hear(phone(RegistrationExpired, BOB, 0));
    desk.hear(raised(RegistrarSilent, Subject::Source("198.51.100.7".parse().unwrap()), 0));
    desk.hear(raised(ByeUnanswered, Subject::Call("a84b4c76e66710".into()), 0));
    desk.hear(phone(NatRebind, ALICE, 1)).silent_until(100_000);
    assert!(desk.alerts.is_empty());
}

#[test]
fn a_watched_phone_is_told_by_user_or_by_aor() {
    for (watch, told) in [("1001", true), (ALICE, true), ("1002", false), ("1001@other.example.com", false), ("100", false)] {
        let mut desk = Desk::new(Rules { watch: vec![watch.to_owned()], ..rules() });
        desk.hear(phone(PeerUnreachable, ALICE, 0));
        assert_eq!(desk.by(5).len(), usize::from(told), "{watch}");
    }
}

#[test]
fn a_watched_phone_is_not_told_of_below_the_severity_wanted() {
    let mut desk = Desk::new(Rules { watch: vec!["1001".to_owned()], ..rules() });
    desk.hear(phone(NatRebind, ALICE, 0)).silent_until(1_000);
}

#[test]
fn a_phone_that_lost_a_call_is_told_with_what_is_the_matter_with_it() {
    let mut desk = Desk::new(rules());
    desk.hear(phone(NatBindingTimeout, ALICE, 0)).hear(phone(NatBindingTimeout, BOB, 0)).silent_until(600);
    desk.lost_call(ALICE, 600);
    let message = desk.one_by(605);
    assert_eq!((ids(&message), message.findings[0].finding.subject.as_str()), (vec!["nat-binding-timeout"], ALICE));
}

#[test]
fn a_finding_about_a_lost_call_is_told_with_the_others_of_that_phone() {
    for id in [CalleeNoResponse, CallFailedCalleeUnreachable, UnansweredBurst, NeverRegistered] {
        let mut desk = Desk::new(rules());
        desk.hear(phone(KeepaliveMissing, ALICE, 0)).silent_until(60).hear(phone(id, ALICE, 60));
        assert_eq!(desk.one_by(65).findings.len(), 2, "{id}");
    }
}

#[test]
fn a_call_that_came_late_was_not_lost() {
    let mut desk = Desk::new(rules());
    desk.hear(phone(LateDelivery, ALICE, 0)).silent_until(10_000);
}

#[test]
fn a_call_counts_within_the_window_of_the_finding_alone() {
    let lost_at = |seconds| {
        let mut desk = Desk::new(rules());
        let gone = phone(PeerUnreachable, ALICE, 100);
        if seconds < 100 {
            desk.lost_call(ALICE, seconds);
        }
        desk.hear(gone.clone());
        let early = desk.by(110).len();
        desk.ends(&gone, 200);
        if seconds > 100 {
            desk.silent_until(seconds.max(200)).lost_call(ALICE, seconds);
        }
        early + desk.by(seconds + 110).iter().filter(|message| message.status == Status::Firing).count()
    };
    assert_eq!((lost_at(60), lost_at(80)), (0, 1), "30 s before the first evidence");
    assert_eq!((lost_at(250), lost_at(270)), (1, 0), "60 s after the end");
}

#[test]
fn scanners_come_once_an_hour_and_at_once_when_one_got_in() {
    let mut desk = Desk::new(rules());
    desk.hear(scanner(SipScanner, 1, 0)).hear(scanner(AuthBruteforce, 2, 1_800)).hear(scanner(SipScanner, 1, 1_801));
    desk.silent_until(3_599);
    let digest = desk.one_by(3_600);
    assert_eq!((digest.kind, digest.findings.len(), digest.group.as_ref()), (MessageKind::Scanners, 2, None));
    desk.silent_until(20_000).hear(scanner(ScannerSucceeded, 3, 20_000));
    assert_eq!(ids(&desk.one_by(20_005)), ["scanner-succeeded"]);
    assert_eq!(desk.alerts, ["firing scanner-succeeded 203.0.113.3"]);
}

#[test]
fn a_digest_lists_some_scanners_and_counts_the_rest() {
    let mut desk = Desk::new(rules());
    for number in 0..57 {
        desk.hear(scanner(SipScanner, number, 0));
    }
    let digest = desk.one_by(3_600);
    assert_eq!((digest.findings.len(), digest.more), (LISTED, 57 - LISTED));
    assert!(digest.text.contains("57 scanning sources"), "{}", digest.text);
}

#[test]
fn more_messages_than_allowed_come_together_in_one() {
    let mut desk = Desk::new(rules());
    for number in 0..10 {
        desk.hear(trunk(number, 0));
    }
    assert_eq!(desk.by(5).len(), 10, "ten may come at once after a quiet hour");
    for number in 10..47 {
        desk.hear(trunk(number, 6));
    }
    // At 30 an hour the next one is due after 2 minutes.
    let digest = desk.silent_until(124).one_by(125);
    assert_eq!((digest.kind, digest.findings.len() + digest.more), (MessageKind::Digest, 37));
    assert!(digest.text.contains("37 findings") && digest.text.ends_with("… and 36 more"), "{}", digest.text);
    assert_eq!(desk.alerts.len(), 47, "Alertmanager limits by itself");
}

#[test]
fn more_at_once_than_allowed_is_one_message_without_delay() {
    let mut desk = Desk::new(rules());
    for number in 0..11 {
        desk.hear(trunk(number, 0));
    }
    assert_eq!(desk.one_by(5).kind, MessageKind::Digest);
}

#[test]
fn nothing_of_a_flood_is_uncounted() {
    let mut desk = Desk::new(Rules { scopes: vec![Scope::Phone], ..rules() });
    let phones = KEPT + 500;
    for number in 0..phones {
        desk.policy.take(Input::Finding(Box::new(phone(PeerUnreachable, &format!("{number}@pbx.example.com"), 0))), at(0));
    }
    let told: usize = desk.by(5).iter().chain(&desk.by(3_600)).map(|message| message.findings.len() + message.more).sum();
    assert_eq!((told, desk.policy.take_dropped()), (KEPT, 500));
}

#[test]
fn strangers_leave_room_for_what_is_told_of_others() {
    let mut desk = Desk::new(rules());
    for number in 0..KEPT {
        let stranger = phone(PeerUnreachable, &format!("{number}@pbx.example.com"), 0);
        desk.hear(Change { standing: Standing::Stranger, ..stranger });
    }
    assert_eq!(desk.policy.take_dropped(), (KEPT - STRANGERS) as u64);
    desk.hear(pbx(PbxSlow, 1));
    assert_eq!(ids(&desk.one_by(6)), ["pbx-slow"]);
    assert_eq!(desk.policy.take_dropped(), 0);
}

#[test]
fn after_a_gap_what_is_not_open_is_over() {
    let mut desk = Desk::new(rules());
    desk.hear(pbx(PbxSlow, 0)).hear(trunk(1, 0));
    assert_eq!(desk.by(5).len(), 2);
    desk.policy.take(Input::Open(OpenFindings { at: at(60), findings: vec![trunk(1, 0), trunk(2, 60)] }), at(60));
    let fresh = desk.one_by(65);
    assert_eq!((fresh.status, fresh.group.unwrap().subject.as_str()), (Status::Firing, "192.0.2.2"));
    let over = desk.silent_until(184).one_by(185);
    assert_eq!((over.status, ids(&over)), (Status::Resolved, vec!["pbx-slow"]));
}

#[test]
fn what_was_heard_after_the_engine_was_asked_stands() {
    let mut desk = Desk::new(rules());
    let over = trunk(1, 0);
    desk.hear(over.clone());
    assert_eq!(desk.by(5).len(), 1);
    desk.hear(trunk(2, 61)).ends(&over, 61);
    desk.policy.take(Input::Open(OpenFindings { at: at(60), findings: vec![trunk(1, 0)] }), at(62));
    let told: Vec<_> =
        desk.by(66).into_iter().chain(desk.by(186)).map(|message| (message.status, message.group.unwrap().subject)).collect();
    assert_eq!(told, [(Status::Firing, "192.0.2.2".to_owned()), (Status::Resolved, "192.0.2.1".to_owned())]);
}

#[test]
fn at_the_end_what_waits_is_told() {
    let mut desk = Desk::new(rules());
    desk.hear(trunk(1, 0));
    desk.policy.finish(at(1));
    assert_eq!(desk.one_by(1).findings.len(), 1);
}

#[test]
fn the_policy_forgets_what_is_over() {
    let mut desk = Desk::new(rules());
    for (number, change) in [phone(PeerUnreachable, ALICE, 0), trunk(1, 0), pbx(PbxSlow, 0)].into_iter().enumerate() {
        desk.hear(change.clone()).ends(&change, number as i64);
    }
    desk.by(1_000);
    desk.by(2_000);
    let policy = &desk.policy;
    assert!(policy.findings.is_empty() && policy.groups.is_empty() && policy.about.is_empty(), "{policy:#?}");
}

#[test]
fn what_a_phone_wrote_is_harmless_in_a_text_and_never_part_of_a_command() {
    let mut desk = Desk::new(Rules { scopes: vec![Scope::Phone], ..rules() });
    desk.hear(phone(PeerUnreachable, "1;reboot\x1b[2J\u{202e}@pbx.example.com", 0)).hear(phone(PeerUnreachable, ALICE, 0));
    let messages = desk.by(5);
    let hostile = messages.iter().find(|message| message.text.contains("reboot")).unwrap();
    assert!(!hostile.text.contains(crate::report::escape::is_hidden), "{}", hostile.text);
    assert_eq!(hostile.findings[0].command, None);
    let plain = messages.iter().find(|message| !message.text.contains("reboot")).unwrap();
    assert_eq!(plain.findings[0].command.as_deref(), Some("siphound diagnose 1001@pbx.example.com"));
}

#[test]
fn other_rules_tell_what_nobody_was_told_and_nothing_twice() {
    let mut desk = Desk::new(rules());
    desk.hear(phone(PeerUnreachable, ALICE, 0)).hear(pbx(PbxSlow, 1));
    assert_eq!(ids(&desk.one_by(10)), ["pbx-slow"]);
    desk.alerts.clear();
    desk.policy.change_rules(Rules { watch: vec!["1001".to_owned()], ..rules() }, "pbx1".to_owned(), at(20));
    let message = desk.silent_until(24).one_by(25);
    assert_eq!(ids(&message), ["peer-unreachable"]);
    // An Alertmanager that has not heard of what holds is told.
    assert_eq!(desk.alerts, ["firing pbx-slow 203.0.113.10:5060", &format!("firing peer-unreachable {ALICE}")]);
}

#[test]
fn what_was_told_by_the_rules_before_is_told_to_be_over_by_others() {
    let mut desk = Desk::new(Rules { watch: vec![ALICE.to_owned()], ..rules() });
    let gone = phone(PeerUnreachable, ALICE, 0);
    desk.hear(gone.clone());
    assert_eq!(desk.one_by(5).status, Status::Firing);
    desk.policy.change_rules(rules(), "pbx2".to_owned(), at(10));
    let message = desk.ends(&gone, 20).silent_until(144).one_by(145);
    assert_eq!((message.status, message.instance.as_str()), (Status::Resolved, "pbx2"));
}

#[test]
fn messages_that_wait_for_their_turn_go_on_waiting_under_another_limit() {
    let mut desk = Desk::new(Rules { max_per_hour: 1, ..rules() });
    desk.hear(trunk(1, 0)).one_by(5);
    desk.hear(trunk(2, 10)).hear(trunk(3, 10)).silent_until(60);
    desk.policy.change_rules(Rules { max_per_hour: 3_600, ..rules() }, "pbx1".to_owned(), at(60));
    let told: usize = desk.by(70).iter().map(|message| message.findings.len()).sum();
    assert_eq!(told, 2);
}

#[test]
fn a_finding_is_about_a_bounded_number_of_phones() {
    let mut desk = Desk::new(rules());
    let about = |number: usize| -> Box<str> { format!("{number}@pbx.example.com").into() };
    for number in 0..1_000 {
        let aors = (number..number + 16).map(about).collect();
        desk.hear(Change { aors, ..pbx(PbxSlow, number as i64) });
        assert!(desk.policy.about.len() <= ABOUT, "{} phones", desk.policy.about.len());
    }
    let kept = &desk.policy.findings.values().next().expect("a finding").change.aors;
    assert_eq!(kept.len(), ABOUT);
    assert!(kept.iter().all(|aor| desk.policy.about.contains_key(aor)), "each is found again");
    let (last, first) = (about(1_014), about(0));
    assert!(kept.contains(&last) && !kept.contains(&first));
}
