//! Live capture concludes what a replay of the same frames does, however the clock ticks while no frame comes.

mod support;

use std::sync::Mutex;
use std::time::Duration;

use crossbeam_channel::never;
use serde_json::Value as Json;
use siphound::capture::scripted::Scripted;
use siphound::capture::{FrameSource, SourceEvent};
use siphound::pipeline::live::{self as pipeline, Control, Feed, run};
use siphound::pipeline::pulse::Pulse;
use siphound::pipeline::stage::Notice;
use siphound::pipeline::stop::stop;
use support::capture::CaptureFile;
use support::lab::{self, Lab};
use support::random::Random;
use support::{expect, pcaps};

/// Events of a source that the queue before ingest takes even if ingest does not run at all, so that no frame is dropped.
const ROOM: usize = 240;
/// A silence shorter than this passes without a tick: the live source waits as long before it says that nothing came.
const SHORTEST: i64 = 200_000;

/// The capture as a live source: frames, and in the longest silences ticks at moments that differ from one script to the next.
fn script(file: &CaptureFile, random: &mut Random) -> Scripted {
    let silences = longest_silences(file);
    let most = (ROOM / 2 / silences.len().max(1)).min(8);
    let mut source = Scripted::new();
    for (index, record) in file.records.iter().enumerate() {
        source = source.frame(lab::header(index as u64 + 1, file.link, record), record.bytes.clone());
        if silences.contains(&index) {
            let next = file.records[index + 1].micros;
            let mut ticks: Vec<i64> = (0..most).map(|_| record.micros + random.below((next - record.micros) as u64) as i64).collect();
            ticks.sort_unstable();
            source = ticks.into_iter().fold(source, |source, tick| source.event(SourceEvent::Idle { now: lab::time(tick) }));
        }
    }
    source
}

/// The frames after which it was silent longest.
fn longest_silences(file: &CaptureFile) -> Vec<usize> {
    let silence = |index: &usize| file.records[index + 1].micros - file.records[*index].micros;
    let mut frames: Vec<usize> = (0..file.records.len().saturating_sub(1)).filter(|index| silence(index) > SHORTEST).collect();
    frames.sort_by_key(|index| -silence(index));
    frames.truncate(ROOM / 3);
    frames
}

/// What the daemon concludes from a source.
fn live(source: Scripted) -> Json {
    let mut source = Some(Box::new(source) as Box<dyn FrameSource>);
    let open = Box::new(move || Ok(source.take().expect("a source that does not fail is opened once")));
    let feed = Feed { name: "test0".to_owned(), retry: Duration::ZERO, open };
    let lost = Mutex::new(0);
    let observer = |notice: Notice<'_>| {
        if let Notice::Lost(_, frames) = notice {
            *lost.lock().expect("nobody panics with it") += frames;
        }
    };
    let (handle, stopped) = stop();
    let engine = lab::engine(&lab::roomy());
    let opened = pipeline::open(vec![feed]).expect("a source");
    let control = Control { stop: &stopped, handle: &handle, pulse: &Pulse::default(), observer: &observer };
    let finished = run(opened, lab::ingest(), engine, never(), control).expect("a run");
    assert_eq!(*lost.lock().expect("nobody panics with it"), 0, "the test outran the queue");
    let mut engine = finished.engine;
    engine.finish();
    lab::report(&engine)
}

fn replayed(file: &CaptureFile) -> Json {
    let mut lab = Lab::new(&lab::roomy());
    lab.capture(file);
    lab::report(&lab.finish().engine)
}

#[test]
fn every_case_concludes_live_what_its_replay_does() {
    let mut failures = Vec::new();
    for case in pcaps::names() {
        let file = pcaps::load(&case);
        let lines = expect::differences(&replayed(&file), &live(script(&file, &mut Random::seeded(&case))));
        failures.extend(lines.into_iter().map(|line| format!("{case}: {line}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_moments_of_the_ticks_do_not_show() {
    let file = pcaps::load("callee-off");
    let expected = live(script(&file, &mut Random::seeded("0")));
    for seed in 1..8 {
        let found = live(script(&file, &mut Random::seeded(&seed.to_string())));
        assert_eq!(expect::differences(&expected, &found), [""; 0], "seed {seed}");
    }
}

/// A quiet capture whose clock is right: `clock-step` without its step.
fn quiet() -> CaptureFile {
    let mut file = pcaps::load("clock-step");
    let back = file.records.windows(2).position(|pair| pair[1].micros < pair[0].micros - 3_000_000_000).expect("a step") + 1;
    file.records[back..].iter_mut().for_each(|record| record.micros += 3_600_000_000);
    file
}

/// The same as it comes when the clock is set by so many seconds amid the first long silence of its second half.
fn stepped(file: &CaptureFile, by: i64) -> Scripted {
    let micros = |seconds: i64| seconds * 1_000_000;
    let half = file.records.len() / 2;
    let silent = |index: &usize| file.records[index + 1].micros - file.records[*index].micros > micros(1);
    let last = (half..file.records.len() - 1).find(silent).expect("a silence");
    let idle = |source: Scripted, at: i64| source.event(SourceEvent::Idle { now: lab::time(at) });
    let mut source = Scripted::new();
    for (index, record) in file.records.iter().enumerate() {
        let mut header = lab::header(index as u64 + 1, file.link, record);
        if index > last {
            header.time = lab::time(record.micros + micros(by));
        }
        source = source.frame(header, record.bytes.clone());
        if index == last {
            source = idle(source, record.micros + micros(1) / 4);
            source = source.event(SourceEvent::ClockStep { by: siphound::time::Span::from_secs(by) });
            // Nothing comes for a while, by the clock as it is then.
            source = idle(source, record.micros + micros(1) / 2 + micros(by));
        }
    }
    source
}

/// Whatever the clock is set to while siphound captures, no phone is lost for it.
#[test]
fn a_clock_that_is_set_makes_no_phone_fail() {
    let file = quiet();
    let plain = replayed(&file);
    let states = |report: &Json| -> Vec<String> {
        let list = report["registrations"].as_array().expect("a list");
        list.iter().map(|entry| format!("{} {} {} {}", entry["aor"], entry["state"], entry["attempts"], entry["accepted"])).collect()
    };
    assert_eq!(plain["findings"].as_array().map(Vec::len), Some(0), "{}", plain["findings"]);
    for by in [3_600, -3_600, 300, -300, 30, -30] {
        let report = live(stepped(&file, by));
        let allowed = ["clock-stepped", "capture-stalled"];
        let findings = report["findings"].as_array().expect("a list");
        let ids: Vec<_> = findings.iter().filter_map(|finding| finding["id"].as_str()).collect();
        assert!(ids.iter().all(|id| allowed.contains(id)), "{by} s: {findings:#?}");
        assert_eq!(states(&report), states(&plain), "{by} s");
        assert_eq!(report["messages"], plain["messages"], "{by} s");
    }
}
