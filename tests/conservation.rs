//! Nothing is lost in silence: each frame of a capture ends with exactly one outcome, whatever became of the capture before.

mod support;

use proptest::prelude::*;
use support::capture::{CaptureFile, Record};
use support::lab::{Lab, Outcome, roomy};
use support::pcaps;

fn run(file: &CaptureFile) -> Outcome {
    let mut lab = Lab::new(&roomy());
    lab.capture(file);
    lab.finish()
}

#[test]
fn every_frame_of_every_case_has_one_outcome() {
    for case in pcaps::names() {
        let file = pcaps::load(&case);
        let outcome = run(&file);
        assert_eq!(outcome.counts.decode.frames.frames, file.records.len() as u64, "{case}");
        outcome.assert_conserved();
    }
}

/// The engine sees each message that ingest counted: as new, or as a repeat.
#[test]
fn every_message_reaches_the_engine() {
    for case in pcaps::names() {
        let outcome = run(&pcaps::load(&case));
        let messages = &outcome.engine.tracker.messages;
        let new = messages.requests.iter().chain(&messages.responses).sum::<u64>();
        assert_eq!(outcome.counts.sip_messages, new + messages.retransmissions, "{case}");
    }
}

/// Deadlines that lie beyond the end of time would never come.
#[test]
fn frames_at_the_ends_of_time_have_one_outcome() {
    for case in HELD_BACK {
        for micros in [i64::MIN / 1_000, -1, 0, i64::MAX / 1_000] {
            for frames in 1..=3 {
                let mut file = pcaps::load(case);
                file.records.iter_mut().take(frames).for_each(|record| record.micros = micros);
                run(&file).assert_conserved();
                file.records.truncate(frames);
                run(&file).assert_conserved();
            }
        }
    }
}

/// What happens to a frame on its way into a capture.
#[derive(Clone, Debug)]
enum Accident {
    Drop,
    Double,
    CutTo(usize),
    Flip { at: usize, bit: u8 },
    Delay { micros: i64 },
    Swap { with: usize },
}

fn accident() -> impl Strategy<Value = Accident> {
    prop_oneof![
        Just(Accident::Drop),
        Just(Accident::Double),
        (0_usize..1_600).prop_map(Accident::CutTo),
        (0_usize..1_600, 0_u8..8).prop_map(|(at, bit)| Accident::Flip { at, bit }),
        (-700_000_000_i64..700_000_000).prop_map(|micros| Accident::Delay { micros }),
        any::<usize>().prop_map(|with| Accident::Swap { with }),
    ]
}

fn befall(records: &mut Vec<Record>, frame: usize, accident: &Accident) {
    if records.is_empty() {
        return;
    }
    let frame = frame % records.len();
    let record = &mut records[frame];
    match *accident {
        Accident::Drop => drop(records.remove(frame)),
        Accident::Double => records.insert(frame, records[frame].clone()),
        Accident::CutTo(length) => record.bytes.truncate(length),
        Accident::Flip { at, bit } if !record.bytes.is_empty() => {
            let at = at % record.bytes.len();
            record.bytes[at] ^= 1 << bit;
        }
        Accident::Flip { .. } => {}
        Accident::Delay { micros } => record.micros += micros,
        Accident::Swap { with } => {
            let with = with % records.len();
            records.swap(frame, with);
        }
    }
}

/// Cases with everything that reassembly and the removal of copies hold back.
const HELD_BACK: [&str; 6] = ["fragmented-invite-ok", "fragment-loss", "call-tcp-coalesced", "reg-tcp", "any-dup", "torture"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn every_frame_of_a_mangled_capture_has_one_outcome(
        case in prop::sample::select(&HELD_BACK[..]),
        accidents in prop::collection::vec((any::<usize>(), accident()), 1..40),
    ) {
        let mut file = pcaps::load(case);
        for (frame, accident) in &accidents {
            befall(&mut file.records, *frame, accident);
        }
        let outcome = run(&file);
        prop_assert_eq!(outcome.counts.decode.frames.frames, file.records.len() as u64);
        outcome.assert_conserved();
    }

    #[test]
    fn frames_of_several_captures_shuffled_together_have_one_outcome_each(
        picks in prop::collection::vec((prop::sample::select(&HELD_BACK[..]), any::<usize>()), 1..80),
    ) {
        let records: Vec<Record> = picks.iter().map(|(case, frame)| {
            let records = pcaps::load(case).records;
            records[frame % records.len()].clone()
        }).collect();
        run(&CaptureFile { link: 1, records, tail: Vec::new() }).assert_conserved();
    }
}
