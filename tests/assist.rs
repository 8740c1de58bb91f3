//! Live assistance: each step's pass, failure and time-out in packet time, what only looks like a pass, and whole sessions as they are
//! printed. `BLESS=1` rewrites the transcripts of `tests/assist/`.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command as Process;

use siphound::assist::{Command, OnFailure, Plan, Session, Shared};
use siphound::diagnose::{Moment, Question, Scene as Known, diagnose};
use siphound::report::build;
use siphound::report::model::{AssistLine, AssistStep, Judgement, Report, StepEnded, StepResult, Verdict};
use siphound::time::Span;
use support::agent::cast::{a1, a2, b1, c1};
use support::call::Bridge;
use support::capture::{CaptureFile, EPOCH};
use support::lab::{Lab, roomy, time};
use support::scene::schedule;
use support::{Agent, Leg, Scene, Side};

use AssistStep::{Hold, IdleTest, InboundCall, Reconnection, TestCall};
use StepResult::{Failed, Passed, Skipped, Undecided};

/// A session over a scene: begins at `begin` seconds, `commands` are given at their seconds, and nothing more is captured after `end`.
struct Run {
    plan: Plan,
    begin: f64,
    end: f64,
    commands: Vec<(f64, Command)>,
}

impl Run {
    fn of(user: &str) -> Self {
        Self { plan: Plan::new(user), begin: 0.0, end: 400.0, commands: Vec::new() }
    }

    fn steps(mut self, steps: &[AssistStep]) -> Self {
        self.plan.steps = steps.to_vec();
        self
    }

    fn echo(mut self, number: &str) -> Self {
        self.plan.echo = Some(number.to_owned());
        self
    }

    fn from(mut self, begin: f64) -> Self {
        self.begin = begin;
        self
    }

    fn until(mut self, end: f64) -> Self {
        self.end = end;
        self
    }

    fn command(mut self, at: f64, command: Command) -> Self {
        self.commands.push((at, command));
        self
    }

    /// All lines of the session.
    fn lines(self, scene: Scene) -> Vec<AssistLine> {
        let file = CaptureFile::from_bytes(&scene.finish());
        let mut lab = Lab::new(&roomy());
        let mut session: Option<Shared> = None;
        let mut lines = Vec::new();
        let mut commands = self.commands;
        let at = |seconds: f64| EPOCH * 1_000_000 + (seconds * 1e6) as i64;
        let mut ticks = (0..=(self.end * 10.0) as i64).map(|tenth| at(tenth as f64 / 10.0)).peekable();
        let mut records = file.records.iter().filter(|record| record.micros <= at(self.end)).peekable();
        loop {
            let tick_first = match (ticks.peek(), records.peek()) {
                (None, None) => break,
                (Some(tick), Some(record)) => *tick <= record.micros,
                (tick, _) => tick.is_some(),
            };
            if let Some(now) = ticks.next_if(|_| tick_first) {
                lab.tick(now);
                if now >= at(self.begin) && session.is_none() {
                    let (tracker, findings) = (&lab.engine.tracker, &lab.engine.detectors.findings);
                    let shared = Shared::new(Session::begin(self.plan.clone(), tracker, findings, time(now)));
                    lab.engine.listen(Box::new(shared.clone()));
                    session = Some(shared);
                }
                if let (Some(shared), Some((_, command))) = (&session, commands.first().filter(|(due, _)| at(*due) <= now)) {
                    shared.session().command(*command, &lab.engine.tracker, time(now));
                    commands.remove(0);
                }
            } else if let Some(record) = records.next() {
                lab.frame(file.link, record);
            }
            if let Some(shared) = &session {
                take(shared, &lab, &mut lines);
            }
        }
        let shared = session.expect("the session began");
        shared.session().end_of_capture(&lab.engine.tracker, time(at(self.end)));
        take(&shared, &lab, &mut lines);
        lines
    }

    /// How each step came out.
    fn results(self, scene: Scene) -> Vec<(AssistStep, StepResult)> {
        results(&self.lines(scene)).iter().map(|ended| (ended.step, ended.result)).collect()
    }

    /// How the only step came out, and why.
    fn outcome(self, scene: Scene) -> (StepResult, String) {
        let lines = self.lines(scene);
        let ended = results(&lines)[0];
        (ended.result, ended.because.clone())
    }
}

fn take(shared: &Shared, lab: &Lab, lines: &mut Vec<AssistLine>) {
    let question = shared.session().question();
    if let Some(problem) = question {
        let (tracker, findings) = (&lab.engine.tracker, &lab.engine.detectors.findings);
        let report: Report = build::build(tracker, findings);
        let user = shared.session().user().to_owned();
        let question = Question { user, problem, since: None, until: None, moment: Moment::Any };
        let verdict = diagnose(Known { tracker, findings, report: &report }, &question);
        shared.session().conclude(verdict);
    }
    let mut session = shared.session();
    lines.extend(std::iter::from_fn(|| session.next_line()));
}

fn results(lines: &[AssistLine]) -> Vec<&StepEnded> {
    lines.iter().filter_map(|line| if let AssistLine::Result(ended) = line { Some(ended) } else { None }).collect()
}

fn verdict(lines: &[AssistLine]) -> &Verdict {
    match lines.last() {
        Some(AssistLine::Verdict(verdict)) => verdict,
        other => panic!("the last line is {other:?}"),
    }
}

fn notes(lines: &[AssistLine]) -> String {
    lines.iter().filter_map(|line| if let AssistLine::Note(note) = line { Some(format!("{}\n", note.text)) } else { None }).collect()
}

/// A scene in which others go on, so that the capture is seen to be alive.
fn stage(name: &str) -> Scene {
    let mut scene = Scene::new(name);
    scene.healthy(&mut a2(), 1.0, 400.0);
    scene.healthy(&mut c1(), 2.0, 400.0);
    scene
}

/// The echo service of the PBX, called by `phone`.
fn echo_call(scene: &mut Scene, phone: &Agent, at: f64) -> Leg {
    let pbx = scene.pbx.clone();
    let mut call = Leg::new(scene, phone, &pbx, &phone.user, "600");
    call.invite(scene, at, &[]);
    call.progress(scene, at + 0.005, 100);
    call
}

/// Two handsets of a base that has one socket for both; 1003 registers last.
fn handsets(scene: &mut Scene) -> [Agent; 2] {
    let mut handsets = ["1001", "1003"].map(|user| Agent { user: user.to_owned(), ..a1() });
    for (index, handset) in handsets.iter_mut().enumerate() {
        scene.reg_ok(0.5 + index as f64, handset);
    }
    handsets
}

mod reconnection {
    use super::*;

    fn run(user: &str) -> Run {
        Run::of(user).steps(&[Reconnection])
    }

    #[test]
    fn a_refresh_counts() {
        let (mut scene, mut phone) = (stage("assist-refresh"), a1());
        scene.reg_ok(0.5, &mut phone);
        scene.refresh(60.0, &mut phone);
        let (result, because) = run("1001").from(30.0).outcome(scene);
        assert_eq!(result, Passed, "{because}");
        assert!(because.contains("0.01 s (RRD)") || because.contains("0.02 s (RRD)"), "{because}");
    }

    #[test]
    fn a_repeat_of_an_earlier_register_does_not() {
        let (mut scene, mut phone) = (stage("assist-repeat"), a1());
        scene.reg_ok(0.5, &mut phone);
        let request = scene.register(29.8, &mut phone);
        let pbx = scene.pbx.clone();
        scene.repeat(29.8, &[0.5, 1.5], &phone, &pbx, &request);
        scene.accept(31.4, &phone, &request, &[]);
        let lines = run("1001").from(30.0).lines(scene);
        assert_eq!(results(&lines)[0].result, Failed);
        assert!(results(&lines)[0].because.contains("only 2 repeats"), "{}", results(&lines)[0].because);
        assert!(notes(&lines).contains("does not count"));
    }

    #[test]
    fn logging_off_and_on_counts_once_the_phone_is_back() {
        let (mut scene, mut phone) = (stage("assist-off-on"), a1());
        scene.reg_ok(0.5, &mut phone);
        scene.unregister(40.0, &mut phone);
        scene.refresh(44.0, &mut phone);
        let lines = run("1001").from(30.0).lines(scene);
        let ended = results(&lines)[0];
        assert_eq!(ended.result, Passed);
        assert!(ended.after_s.as_f64() > 14.0 && ended.because.contains("logging off"), "{ended:?}");
        assert_eq!(verdict(&lines).verdict, Judgement::Healthy, "the agent asked for it: that is no trouble: {:#?}", verdict(&lines));
    }

    #[test]
    fn logging_off_alone_does_not() {
        let (mut scene, mut phone) = (stage("assist-off"), a1());
        scene.reg_ok(0.5, &mut phone);
        scene.unregister(40.0, &mut phone);
        assert_eq!(run("1001").from(30.0).outcome(scene).0, Failed);
    }

    #[test]
    fn a_namesake_in_another_domain_is_somebody_else() {
        let (mut scene, mut phone) = (stage("assist-namesake"), a1());
        let mut namesake = Agent { domain: "other.example.net".to_owned(), ..b1() };
        namesake.user = "1001".to_owned();
        scene.reg_ok(0.5, &mut phone);
        scene.reg_ok(40.0, &mut namesake);
        let (result, because) = run("1001@pbx.example.com").from(30.0).outcome(scene);
        assert_eq!((result, because.as_str()), (Failed, "nothing arrived from this user for 180 s"));
    }

    #[test]
    fn an_extension_that_two_domains_have_is_settled_by_who_reconnects() {
        let (mut scene, mut phone) = (stage("assist-two"), a1());
        let mut namesake = Agent { domain: "other.example.net".to_owned(), ..b1() };
        namesake.user = "1001".to_owned();
        scene.reg_ok(0.5, &mut phone);
        scene.reg_ok(5.0, &mut namesake);
        scene.refresh(40.0, &mut phone);
        let lines = run("1001").from(30.0).lines(scene);
        assert!(matches!(&lines[0], AssistLine::Began(began) if began.aors.len() == 2), "{:?}", lines[0]);
        assert_eq!(results(&lines)[0].result, Passed);
        assert_eq!(verdict(&lines).user, "1001@pbx.example.com");
    }

    #[test]
    fn a_user_that_was_never_seen_is_known_by_its_first_register() {
        let (mut scene, mut phone) = (stage("assist-unknown"), a1());
        scene.reg_ok(40.0, &mut phone);
        let lines = run("1001").from(30.0).lines(scene);
        assert_eq!(results(&lines)[0].result, Passed);
        assert_eq!(verdict(&lines).verdict, Judgement::Healthy, "nothing shows that it was away");
    }

    #[test]
    fn an_address_names_the_phone_too() {
        let (mut scene, mut phone) = (stage("assist-address"), b1());
        scene.reg_ok(0.5, &mut phone);
        scene.refresh(40.0, &mut phone);
        assert_eq!(run("198.51.100.80").from(30.0).outcome(scene).0, Passed);
    }

    #[test]
    fn credentials_that_are_refused_fail_at_once() {
        let (mut scene, mut phone) = (stage("assist-password"), a1());
        scene.reg_rejected(40.0, &mut phone, 401);
        scene.reg_rejected(40.05, &mut phone, 401);
        let lines = run("1001").from(30.0).lines(scene);
        let ended = results(&lines)[0];
        assert_eq!(ended.result, Failed);
        assert!(ended.because.contains("credentials with 401") && ended.after_s.as_f64() < 11.0, "{ended:?}");
        assert_eq!(verdict(&lines).verdict.as_str(), "auth-failed-loop");
    }

    #[test]
    fn no_answer_fails_with_the_evidence_of_the_detector() {
        let (mut scene, mut phone) = (stage("assist-silent"), b1());
        let request = scene.register_message(&mut phone);
        let pbx = scene.pbx.clone();
        scene.repeat(40.0, &schedule::CAPPED, &phone, &pbx, &request);
        let lines = run("2001").from(30.0).lines(scene);
        let ended = results(&lines)[0];
        assert_eq!((ended.result, ended.finding), (Failed, Some("registrar-silent")), "{ended:?}");
        assert!(!ended.evidence.is_empty());
    }

    #[test]
    fn a_keepalive_alone_is_a_sign_of_life_and_no_reconnection() {
        let (mut scene, mut phone) = (stage("assist-keepalive"), a1());
        scene.reg_ok(0.5, &mut phone);
        scene.keepalives(&phone, 20.0, 20.0, 390.0);
        let (result, because) = run("1001").from(30.0).outcome(scene);
        assert_eq!(result, Failed);
        assert!(because.starts_with("no REGISTER came within 180 s, though 9 packets of this user did"), "{because}");
    }

    #[test]
    fn silence_is_not_concluded_at_the_end_of_the_capture() {
        let (mut scene, mut phone) = (stage("assist-cut"), a1());
        scene.reg_ok(0.5, &mut phone);
        let lines = run("1001").from(30.0).until(200.0).lines(scene);
        assert_eq!(results(&lines)[0].result, Undecided);
        assert_ne!(verdict(&lines).verdict, Judgement::NoTraffic);
    }

    #[test]
    fn where_the_whole_site_is_silent_it_is_offline() {
        let mut scene = Scene::new("assist-offline");
        scene.healthy(&mut c1(), 2.0, 400.0);
        for phone in [&mut a1(), &mut a2()] {
            scene.reg_ok(0.5, phone);
        }
        let lines = run("1001").from(30.0).lines(scene);
        assert_eq!(verdict(&lines).verdict, Judgement::NotAnIssue);
        assert_eq!(verdict(&lines).runbook, ["S0-a"]);
    }
}

mod test_call {
    use super::*;

    fn run() -> Run {
        Run::of("1001").steps(&[TestCall]).echo("600").from(30.0)
    }

    #[test]
    fn an_answered_call_to_the_echo_service_passes() {
        let (mut scene, mut phone) = (stage("assist-echo"), a1());
        scene.reg_ok(0.5, &mut phone);
        echo_call(&mut scene, &phone, 40.0).answer(&mut scene, 40.4, &[]);
        let (result, because) = run().outcome(scene);
        assert_eq!((result, because.as_str()), (Passed, "answered after 0.40 s (SRD)"));
    }

    #[test]
    fn a_call_of_another_handset_at_the_same_socket_does_not_count() {
        for (caller, other) in [(0, "1003"), (1, "1001")] {
            for counts in [true, false] {
                let mut scene = stage("assist-handsets");
                let phone = handsets(&mut scene)[caller].clone();
                echo_call(&mut scene, &phone, 40.0).answer(&mut scene, 40.4, &[]);
                let user = if counts { phone.user.as_str() } else { other };
                let (result, because) = Run { plan: Plan { user: user.to_owned(), ..run().plan }, ..run() }.outcome(scene);
                assert_eq!(result == Passed, counts, "{user}, call of {}: {because}", phone.user);
            }
        }
    }

    #[test]
    fn a_call_to_another_number_does_not_count() {
        let (mut scene, mut phone) = (stage("assist-other-number"), a1());
        scene.reg_ok(0.5, &mut phone);
        let pbx = scene.pbx.clone();
        let mut call = Leg::new(&mut scene, &phone, &pbx, "1001", "4711");
        call.invite(&mut scene, 40.0, &[]);
        call.answer(&mut scene, 40.4, &[]);
        let lines = run().lines(scene);
        assert_eq!(results(&lines)[0].result, Failed);
        assert!(notes(&lines).contains("does not go to 600"));
    }

    #[test]
    fn a_call_of_another_phone_to_the_echo_service_does_not_count() {
        let (mut scene, mut phone, mut other) = (stage("assist-other-phone"), a1(), b1());
        scene.reg_ok(0.5, &mut phone);
        scene.reg_ok(5.0, &mut other);
        echo_call(&mut scene, &other, 40.0).answer(&mut scene, 40.4, &[]);
        let (result, because) = run().outcome(scene);
        assert_eq!((result, because.as_str()), (Failed, "nothing arrived from this user for 180 s"));
    }

    #[test]
    fn a_server_error_fails_and_a_busy_line_does_not() {
        let (mut scene, mut phone) = (stage("assist-503"), a1());
        scene.reg_ok(0.5, &mut phone);
        echo_call(&mut scene, &phone, 40.0).fail(&mut scene, 40.4, 486, &[]);
        echo_call(&mut scene, &phone, 60.0).fail(&mut scene, 60.4, 503, &[]);
        let lines = run().lines(scene);
        assert!(notes(&lines).contains("found the line busy (486)"), "{}", notes(&lines));
        let ended = results(&lines)[0];
        assert_eq!(ended.result, Failed);
        assert!(ended.because.contains("503") && ended.after_s.as_f64() > 30.0, "{ended:?}");
    }

    #[test]
    fn a_phone_that_reconnected_to_call_is_noted() {
        let (mut scene, mut phone) = (stage("assist-s1d"), a1());
        scene.reg_ok(0.5, &mut phone);
        phone.outer.set_port(40_444);
        scene.refresh(100.0, &mut phone);
        echo_call(&mut scene, &phone, 101.0).answer(&mut scene, 101.4, &[]);
        let lines = run().lines(scene);
        assert!(notes(&lines).contains("re-registered 1.0 s before the call"), "{}", notes(&lines));
        assert_eq!(verdict(&lines).verdict, Judgement::Temporary);
        assert!(verdict(&lines).runbook.contains(&"S1-d"));
    }

    #[test]
    fn a_refresh_in_time_before_a_call_is_no_reconnection() {
        let (mut scene, mut phone) = (stage("assist-no-s1d"), a1());
        scene.reg_ok(0.5, &mut phone);
        scene.refresh(100.0, &mut phone);
        echo_call(&mut scene, &phone, 101.0).answer(&mut scene, 101.4, &[]);
        let lines = run().lines(scene);
        assert_eq!(notes(&lines), "");
        assert_eq!(verdict(&lines).verdict, Judgement::Healthy);
    }

    #[test]
    fn a_phone_that_calls_at_once_is_connected() {
        let (mut scene, mut phone) = (stage("assist-at-once"), a1());
        scene.reg_ok(0.5, &mut phone);
        echo_call(&mut scene, &phone, 40.0).answer(&mut scene, 40.4, &[]);
        let results = run().steps(&[Reconnection, TestCall]).results(scene);
        assert_eq!(results, [(Reconnection, Skipped), (TestCall, Passed)]);
    }
}

mod hold {
    use super::*;

    fn called(name: &str, end: impl FnOnce(&mut Scene, &mut Leg)) -> Vec<AssistLine> {
        let (mut scene, mut phone) = (stage(name), a1());
        scene.reg_ok(0.5, &mut phone);
        let mut call = echo_call(&mut scene, &phone, 40.0);
        end(&mut scene, &mut call);
        Run::of("1001").steps(&[TestCall, Hold]).from(30.0).lines(scene)
    }

    #[test]
    fn forty_seconds_pass_and_it_is_said_who_hung_up() {
        let lines = called("assist-held", |scene, call| {
            call.answer(scene, 40.4, &[]);
            call.bye(scene, 85.4, Side::Caller);
        });
        assert_eq!(results(&lines)[1].result, Passed);
        assert_eq!(results(&lines)[1].because, "1001@pbx.example.com hung up after 45 s");
        assert!(notes(&lines).contains("held 40 s"));
    }

    #[test]
    fn a_call_that_goes_on_passes_as_well() {
        let lines = called("assist-goes-on", |scene, call| call.answer(scene, 40.4, &[]));
        assert_eq!((results(&lines)[1].result, results(&lines)[1].because.as_str()), (Passed, "held 60 s; the call is still up"));
    }

    #[test]
    fn a_user_who_hangs_up_early_proves_nothing() {
        let lines = called("assist-early", |scene, call| {
            call.answer(scene, 40.4, &[]);
            call.bye(scene, 52.4, Side::Caller);
        });
        assert_eq!(results(&lines)[1].result, Undecided);
        assert!(results(&lines)[1].because.contains("1001@pbx.example.com hung up after 12 s"));
    }

    #[test]
    fn a_pbx_that_hangs_up_early_fails() {
        let lines = called("assist-pbx-bye", |scene, call| {
            call.answer(scene, 40.4, &[]);
            call.bye(scene, 70.4, Side::Callee);
        });
        assert_eq!(results(&lines)[1].result, Failed);
        assert!(results(&lines)[1].because.starts_with("the PBX hung up after 30 s"), "{}", results(&lines)[1].because);
    }

    #[test]
    fn a_callee_who_hangs_up_early_is_named() {
        let (mut scene, mut phone, mut callee) = (stage("assist-callee-bye"), a1(), b1());
        scene.reg_ok(0.5, &mut phone);
        scene.reg_ok(5.0, &mut callee);
        let mut bridge = Bridge::new(&mut scene, &phone, &callee);
        bridge.ordinary(&mut scene, 40.0, 2.0, 10.0, Side::Callee);
        let lines = Run::of("1001").steps(&[TestCall, Hold]).from(30.0).lines(scene);
        assert_eq!(results(&lines)[1].result, Undecided);
        assert!(results(&lines)[1].because.contains("the called side (2001) hung up after 10 s"), "{}", results(&lines)[1].because);
    }

    #[test]
    fn an_answer_without_ack_fails_at_32_s_with_the_evidence() {
        let lines = called("assist-no-ack", |scene, call| {
            call.answer_repeated(scene, 40.4, &schedule::CAPPED);
            call.bye(scene, 72.4, Side::Callee);
        });
        let ended = results(&lines)[1];
        assert_eq!((ended.result, ended.finding), (Failed, Some("ack-missing")), "{ended:?}");
        assert_eq!(verdict(&lines).verdict.as_str(), "ack-missing");
    }

    #[test]
    fn a_late_ack_is_no_failure() {
        let lines = called("assist-late-ack", |scene, call| {
            call.answer_repeated(scene, 40.4, &[0.0, 0.5]);
            call.ack(scene, 41.0);
        });
        assert_eq!(results(&lines)[1].result, Passed);
    }
}

mod inbound {
    use super::*;

    fn run(steps: &[AssistStep]) -> Run {
        Run::of("1001").steps(steps).from(30.0)
    }

    #[test]
    fn a_call_that_rings_passes() {
        let (mut scene, mut phone, mut caller) = (stage("assist-rings"), a1(), b1());
        scene.reg_ok(0.5, &mut phone);
        scene.reg_ok(5.0, &mut caller);
        Bridge::new(&mut scene, &caller, &phone).ring(&mut scene, 40.0);
        let (result, because) = run(&[InboundCall]).outcome(scene);
        assert_eq!((result, because.as_str()), (Passed, "rang after 0.34 s"));
    }

    #[test]
    fn a_call_to_another_user_behind_the_same_nat_does_not_count() {
        let (mut scene, mut phone, mut caller) = (stage("assist-neighbour"), a1(), b1());
        scene.reg_ok(0.5, &mut phone);
        scene.reg_ok(5.0, &mut caller);
        Bridge::new(&mut scene, &caller, &a2()).ring(&mut scene, 40.0);
        let (result, because) = run(&[InboundCall]).outcome(scene);
        assert_eq!(result, Failed);
        assert!(because.starts_with("no call to this user was seen"), "{because}");
    }

    #[test]
    fn a_call_to_another_handset_at_the_same_socket_does_not_count() {
        for (called, other) in [(0, "1003"), (1, "1001")] {
            for counts in [true, false] {
                let (mut scene, mut caller) = (stage("assist-handset-rings"), b1());
                scene.reg_ok(5.0, &mut caller);
                let phone = handsets(&mut scene)[called].clone();
                Bridge::new(&mut scene, &caller, &phone).ring(&mut scene, 40.0);
                let user = if counts { phone.user.as_str() } else { other };
                let (result, because) = Run::of(user).steps(&[InboundCall]).from(30.0).outcome(scene);
                assert_eq!(result == Passed, counts, "{user}, call to {}: {because}", phone.user);
            }
        }
    }

    #[test]
    fn a_call_to_another_phone_of_the_user_does_not_count() {
        let (mut scene, mut phone, mut caller) = (stage("assist-other-device"), a1(), c1());
        let mut second = Agent { user: "1001".to_owned(), ..b1() };
        scene.reg_ok_listing(5.0, &mut second, &[&phone]);
        scene.reg_ok(6.0, &mut caller);
        scene.reg_ok_listing(35.0, &mut phone, &[&second]);
        let mut bridge = Bridge::new(&mut scene, &caller, &second);
        bridge.ring(&mut scene, 40.0);
        let lines = run(&[Reconnection, InboundCall]).lines(scene);
        assert!(notes(&lines).contains("another phone of 1001@pbx.example.com"), "{}", notes(&lines));
        assert_ne!(results(&lines)[1].result, Passed);
    }

    #[test]
    fn no_answer_of_the_phone_fails_with_the_evidence_of_the_detector() {
        let (mut scene, mut phone) = (stage("assist-deaf"), a1());
        scene.reg_ok(0.5, &mut phone);
        let pbx = scene.pbx.clone();
        let mut leg = Leg::new(&mut scene, &pbx, &phone, "2001", "1001");
        leg.invite_repeated(&mut scene, 40.0, &schedule::INVITE, &[]);
        let lines = run(&[InboundCall]).lines(scene);
        let ended = results(&lines)[0];
        assert_eq!(ended.result, Failed);
        assert!(ended.finding.is_some_and(|id| ["callee-no-response", "nat-binding-timeout"].contains(&id)), "{ended:?}");
    }

    #[test]
    fn a_pbx_that_never_calls_the_phone_is_told_from_a_phone_that_does_not_answer() {
        let (mut scene, mut phone, mut caller) = (stage("assist-480"), a1(), b1());
        scene.reg_ok(0.5, &mut phone);
        scene.reg_ok(5.0, &mut caller);
        let pbx = scene.pbx.clone();
        let mut leg = Leg::new(&mut scene, &caller, &pbx, "2001", "1001");
        leg.invite(&mut scene, 40.0, &[]);
        leg.fail(&mut scene, 40.2, 480, &[]);
        let (result, because) = run(&[InboundCall]).outcome(scene);
        assert_eq!(result, Failed);
        assert!(because.contains("the PBX never called the phone") || because.contains("480"), "{because}");
    }

    #[test]
    fn do_not_disturb_is_said_to_be_the_phone() {
        let (mut scene, mut phone) = (stage("assist-dnd"), a1());
        scene.reg_ok(0.5, &mut phone);
        let pbx = scene.pbx.clone();
        let mut leg = Leg::new(&mut scene, &pbx, &phone, "2001", "1001");
        leg.invite(&mut scene, 40.0, &[]);
        leg.fail(&mut scene, 40.05, 486, &[]);
        let (result, because) = run(&[InboundCall]).outcome(scene);
        assert_eq!((result, because.as_str()), (Failed, "the phone refused: the call found the line busy (486)"));
    }

    #[test]
    fn an_idle_test_waits_for_the_keepalive_interval_and_refutes_a_gap() {
        let (mut scene, mut phone) = (stage("assist-idle-ok"), a1());
        scene.reg_ok(0.5, &mut phone);
        scene.keepalives(&phone, 5.0, 20.0, 390.0);
        let pbx = scene.pbx.clone();
        for at in [150.0, 180.0] {
            let mut leg = Leg::new(&mut scene, &pbx, &phone, "2001", "1001");
            leg.invite(&mut scene, at, &[]);
            leg.progress(&mut scene, at + 0.1, 180);
            leg.fail(&mut scene, at + 1.0, 486, &[]);
        }
        let lines = run(&[IdleTest]).from(140.0).lines(scene);
        assert!(notes(&lines).contains("too early") && notes(&lines).contains("idle for 25 s: call the user now"), "{}", notes(&lines));
        assert_eq!(results(&lines)[0].result, Passed);
        assert!(results(&lines)[0].because.contains("no NAT gap"), "{}", results(&lines)[0].because);
    }

    /// The NAT forgets the phone after 5 s; that becomes probable while the call rings, from OPTIONS before the step.
    #[test]
    fn what_comes_out_about_earlier_requests_does_not_fail_a_call_that_rings() {
        let (mut scene, mut phone, mut other) = (Scene::new("assist-late-judgement"), a1(), b1());
        scene.reg_ok(0.5, &mut phone);
        scene.reg_ok(0.6, &mut other);
        scene.keepalives(&phone, 10.5, 10.0, 60.0);
        for at in [3.5, 9.5, 14.5, 20.1] {
            scene.qualify(at, &other);
        }
        for at in [3.5, 14.5] {
            scene.qualify(at, &phone);
        }
        for (at, answer) in [(9.5, 1.52), (20.1, 0.52)] {
            let request = scene.qualify_message(&phone);
            let offsets: Vec<_> = [0.0, 0.5, 1.5].into_iter().filter(|offset| *offset < answer).collect();
            scene.qualify_answered(at, &offsets, &phone, &request, answer);
        }
        let pbx = scene.pbx.clone();
        let mut leg = Leg::new(&mut scene, &pbx, &phone, "2001", "1001");
        leg.invite_repeated(&mut scene, 29.0, &[0.0, 0.5, 1.5], &[]);
        leg.progress(&mut scene, 30.52, 180);
        let lines = Run::of("1001").steps(&[InboundCall]).from(22.0).until(60.0).lines(scene);
        let called = lines.iter().position(|line| matches!(line, AssistLine::Packet(packet) if packet.message == "INVITE"));
        let judged =
            lines.iter().position(|line| matches!(line, AssistLine::Note(note) if note.text.starts_with("nat-binding-timeout (probable)")));
        assert!(called.is_some() && called < judged, "{lines:#?}");
        assert_eq!((results(&lines)[0].result, &*results(&lines)[0].because), (Passed, "rang after 1.5 s"));
    }

    #[test]
    fn an_idle_test_that_fails_proves_the_gap() {
        let (mut scene, mut phone) = (stage("assist-idle-gap"), a1());
        scene.reg_ok(0.5, &mut phone);
        let pbx = scene.pbx.clone();
        let mut leg = Leg::new(&mut scene, &pbx, &phone, "2001", "1001");
        leg.invite_repeated(&mut scene, 110.0, &schedule::INVITE, &[]);
        let lines = run(&[IdleTest]).lines(scene);
        let ended = results(&lines)[0];
        assert_eq!(ended.result, Failed);
    }
}

mod agent {
    use super::*;

    fn scene(name: &str) -> Scene {
        let (mut scene, mut phone) = (stage(name), a1());
        scene.reg_ok(0.5, &mut phone);
        scene.reg_rejected(40.0, &mut phone, 403);
        scene.refresh(70.0, &mut phone);
        scene
    }

    #[test]
    fn a_step_can_be_skipped() {
        let results = Run::of("1001").steps(&[Reconnection, InboundCall]).from(30.0).command(35.0, Command::Skip).results(scene("skip"));
        assert_eq!(results[0], (Reconnection, Skipped));
        assert_eq!(results[1].0, InboundCall);
    }

    #[test]
    fn a_failure_ends_the_session_unless_the_agent_is_there_to_repeat_it() {
        let concluded = Run::of("1001").steps(&[Reconnection]).from(30.0).results(scene("concluded"));
        assert_eq!(concluded, [(Reconnection, Failed)]);
        let mut repeated = Run::of("1001").steps(&[Reconnection]).from(30.0).command(60.0, Command::Repeat);
        repeated.plan.on_failure = OnFailure::Wait;
        let lines = repeated.lines(scene("repeated"));
        assert_eq!(results(&lines).iter().map(|ended| ended.result).collect::<Vec<_>>(), [Failed, Passed]);
        assert!(!matches!(verdict(&lines).verdict, Judgement::Finding(_)), "the last word counts: {:?}", verdict(&lines).verdict);
    }

    #[test]
    fn an_agent_who_does_not_answer_gets_the_verdict_in_the_end() {
        let mut run = Run::of("1001").steps(&[Reconnection]).from(30.0);
        run.plan.on_failure = OnFailure::Wait;
        run.plan.timeout = Span::from_secs(60);
        let lines = run.lines(scene("left"));
        assert!(verdict(&lines).now.is_some_and(|now| now.0 < time((EPOCH + 120) * 1_000_000)));
    }

    #[test]
    fn the_verdict_can_be_had_at_once() {
        let lines = Run::of("1001").from(30.0).command(35.0, Command::Finish).lines(scene("finish"));
        assert!(results(&lines).is_empty());
        verdict(&lines);
    }
}

/// A session as it is printed: its transcript, the case, and the arguments.
const TRANSCRIPTS: &[(&str, &str, &[&str])] = &[
    ("all-steps-pass", "assist-ok", &["1001", "--echo", "600", "--since", "2026-01-31 09:01:30"]),
    ("nothing-arrives", "assist-nothing", &["1001", "--since", "2026-01-31 09:11:40"]),
    ("wrong-password", "reg-wrong-password", &["1001"]),
    ("answers-lost", "reg-401-lost", &["2001"]),
    ("registrar-silent", "reg-silent-source", &["2001"]),
    ("nat-gap", "nat-gap-chan_sip", &["1001", "--steps", "inbound-call", "--since", "2026-01-31 09:03:30"]),
    ("ack-missing", "ack-missing-32", &["1001"]),
    ("two-phones", "reg-duplicate-evict", &["1001", "--since", "2026-01-31 09:00:30"]),
    ("wrong-port", "wrong-port", &["198.51.100.80"]),
    ("pbx-dead", "server-outage", &["1001", "--since", "2026-01-31 09:01:30"]),
    ("invite-ignored", "invite-ignored", &["2001", "--steps", "test-call"]),
    ("callee-offline", "callee-off", &["2001", "--steps", "test-call,hold"]),
    ("never-called", "pbx-480-no-bleg", &["1001", "--steps", "inbound-call"]),
    ("bridged-call", "call-bridged", &["1001", "--steps", "test-call,hold"]),
];

fn printed(case: &str, arguments: &[&str], more: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let input = format!("pcaps/{case}/input.pcap");
    let output = Process::new(env!("CARGO_BIN_EXE_siphound"))
        .current_dir(root)
        .arg("assist")
        .args(arguments)
        .args(more)
        .args(["--pcap", &input])
        .output()
        .expect("siphound starts");
    assert!(output.status.success(), "{case}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn sessions_print_as_their_transcripts_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assist");
    let mut stale = Vec::new();
    for (name, case, arguments) in TRANSCRIPTS {
        let text = printed(case, arguments, &[]);
        let file = folder.join(format!("{name}.txt"));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &text).expect("the transcript is writable");
        }
        if fs::read_to_string(&file).unwrap_or_default() != text {
            stale.push(*name);
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{name}: {text}");
    }
    assert!(stale.is_empty(), "rewrite with BLESS=1 and read what changed: {}", stale.join(", "));
}

#[test]
fn a_session_in_which_all_works_says_so_of_each_step() {
    let (_, case, arguments) = TRANSCRIPTS[0];
    let text = printed(case, arguments, &[]);
    for part in
        ["STEP 1 PASSED", "STEP 2 PASSED", "STEP 3 PASSED", "STEP 4 PASSED", "NEW port (was 40001)", "temporary-network-problem", "S1-d"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_session_in_which_nothing_comes_names_what_to_check() {
    let (_, case, arguments) = TRANSCRIPTS[1];
    let text = printed(case, arguments, &[]);
    for part in ["STEP 1 FAILED: nothing arrived from this user for 180 s", "no-traffic", "power", "server address", "S0-a, S0-e"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("STEP 2"), "{text}");
}

#[test]
fn the_pace_changes_nothing_but_the_time_it_takes() {
    let (_, case, arguments) = TRANSCRIPTS[0];
    assert_eq!(printed(case, arguments, &["--pace", "2000"]), printed(case, arguments, &[]));
}

#[test]
fn json_is_one_object_a_line_and_ends_with_the_verdict() {
    let (_, case, arguments) = TRANSCRIPTS[0];
    let text = printed(case, arguments, &["--format", "json"]);
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["line"].as_str().unwrap_or_default()).collect();
    assert_eq!((kinds[0], kinds[1], *kinds.last().expect("lines")), ("began", "step", "verdict"));
    let moved = lines.iter().find(|line| line["was"].is_string()).expect("a packet from a new port");
    assert_eq!((&moved["line"], &moved["message"], &moved["was"]), (&"packet".into(), &"REGISTER".into(), &"198.51.100.7:40001".into()));
    assert_eq!(lines.last().expect("a verdict")["verdict"], "temporary-network-problem");
}
