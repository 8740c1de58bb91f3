//! Mutated input over every entry point, on the stable toolchain: nothing panics, every frame is accounted for, every number makes
//! sense. Seeded, so that a failure comes again; `tests/fuzz` runs the same bodies under libFuzzer, longer and deeper.

#[path = "fuzz/src/bodies/mod.rs"]
mod bodies;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bodies::numbers::assert_sensible;
use bodies::seeds::{self, Seed};
use siphound::detect::listener::Listener;
use siphound::sip::message::Message;
use siphound::sip::scan::{Context, scan};
use siphound::track::Tracker;
use siphound::track::event::Event;
use support::capture::CaptureFile;
use support::lab::{self, Lab};
use support::random::Random;
use support::reading::read_all;
use support::{formats, pcaps};

/// Cases whose frames are mutated: small ones that between them have all there is.
const CASES: [&str; 14] = [
    "reg-ok",
    "reg-tcp",
    "reg-ipv6",
    "reg-423",
    "call-bridged",
    "call-tcp-coalesced",
    "call-prack",
    "fragmented-invite-ok",
    "icmp-unreachable",
    "any-dup",
    "vlan",
    "torture",
    "redirect",
    "proxy-fork-2x200",
];

/// Runs `attempt` with `rounds` seeds and gives the seeds at which it panicked.
fn panics(name: &str, rounds: u64, attempt: impl Fn(&mut Random)) -> Vec<u64> {
    (0..rounds).filter(|seed| catch_unwind(AssertUnwindSafe(|| attempt(&mut Random::seeded(&format!("{name} {seed}"))))).is_err()).collect()
}

#[track_caller]
fn fuzz(name: &str, rounds: u64, attempt: impl Fn(&mut Random)) {
    let seeds = panics(name, rounds, attempt);
    assert!(seeds.is_empty(), "{name} fails with the seeds {seeds:?}");
}

fn pick<T: Clone>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize].clone()
}

/// What means something to a parser.
const WORDS: [&str; 6] = ["\r\n", "\r\n\r\n", "99999999999", "SIP/2.0 200 OK\r\n", "l: -1\r\n", "Contact: *\r\n"];

/// Changes a few bytes: flips, numbers at their ends, pieces removed, doubled or put elsewhere, the end cut off.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len() as u64) as usize;
        let end = (at + 1 + random.below(24) as usize).min(bytes.len());
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = pick(random, b"\0\xff\x7f\x80\r\n\t ,;:=<>\"\\@[]0-"),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() as u64) as usize;
                bytes.splice(to..to, piece);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.splice(at..at, pick(random, &WORDS).bytes())),
            6 => bytes[at..end].fill(random.next() as u8),
            _ => bytes[at..end].reverse(),
        }
    }
}

/// Frames of a case, in disorder, some twice, some never, some cut, some changed, at times that jump.
fn mangled(random: &mut Random) -> CaptureFile {
    let mut file = pcaps::load(pick(random, &CASES));
    let changes = 1 + random.below(40);
    for _ in 0..changes {
        let last = file.records.len() as u64;
        if last == 0 {
            break;
        }
        let (at, other) = (random.below(last) as usize, random.below(last) as usize);
        match random.below(7) {
            0 => file.records.swap(at, other),
            1 => file.records.insert(other, file.records[at].clone()),
            2 => drop(file.records.remove(at)),
            3 => file.records[at].micros = file.records[at].micros.saturating_add(random.below(7_200_000_000) as i64 - 3_600_000_000),
            4 => file.records[at].micros = pick(random, &[0, -1, i64::MAX / 1_000, i64::MIN / 1_000, 1 << 40]),
            5 => file.records[at].original_len = random.next() as u32,
            _ => mutate(random, &mut file.records[at].bytes),
        }
    }
    file
}

/// What the cases give to each target, and what is written by hand.
fn all_seeds() -> Vec<Seed> {
    let mut seeds = seeds::written();
    for case in CASES {
        seeds.extend(seeds::of_frames(&seeds::frames(&pcaps::path(case), 150)));
    }
    let formats: [fn(&CaptureFile) -> Vec<u8>; 4] =
        [CaptureFile::to_bytes, formats::big_endian, formats::pcapng, formats::pcapng_big_endian];
    for (case, format) in ["reg-ok", "reg-tcp", "call-prack", "torture"].into_iter().zip(formats) {
        let plain = format(&pcaps::load(case));
        seeds.extend([formats::gzip(&plain), formats::zstd(&plain), plain].map(|bytes| ("files", bytes)));
    }
    seeds
}

/// Runs a target on some of its seeds, on mutations of them, and on what was found before.
fn smoke(name: &str, rounds: u64) {
    let all: Vec<Vec<u8>> = all_seeds().into_iter().filter(|(target, _)| *target == name).map(|(_, bytes)| bytes).collect();
    assert!(!all.is_empty(), "{name} has no seeds");
    for path in found_before(name) {
        let bytes = fs::read(&path).expect("an input can be read");
        assert!(catch_unwind(AssertUnwindSafe(|| bodies::run(name, &bytes))).is_ok(), "{} fails", path.display());
    }
    fuzz(name, rounds, |random| {
        let mut bytes = pick(random, &all);
        if random.below(5) > 0 {
            mutate(random, &mut bytes);
        }
        bodies::run(name, &bytes);
    });
}

/// Inputs that failed once.
fn found_before(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/found").join(name);
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

/// The targets with how often each is run here, by what a run takes.
const ROUNDS: [(&str, u64); 12] = [
    ("frame", 200),
    ("fragments", 300),
    ("stream", 300),
    ("websocket", 200),
    ("message", 1_000),
    ("headers", 1_000),
    ("sdp", 1_000),
    ("opinion", 1_000),
    ("config", 150),
    ("query", 200),
    ("files", 200),
    ("engine", 40),
];

macro_rules! smoke_tests {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            let (name, rounds) = ROUNDS.into_iter().find(|(name, _)| *name == stringify!($name)).expect("a target");
            smoke(name, rounds);
        })+

        #[test]
        fn every_target_is_run_here_and_built_there() {
            let here = [$(stringify!($name)),+];
            let targets = bodies::TARGETS.map(|target| target.name);
            assert_eq!(here, targets);
            assert_eq!(ROUNDS.map(|(name, _)| name), targets);
            let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/Cargo.toml")).expect("a manifest");
            let binaries: Vec<_> = manifest.split("[[bin]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(binaries, targets);
        }
    };
}

smoke_tests! { frame fragments stream websocket message headers sdp opinion config query files engine }

/// A scan belongs to its bytes; with others it gives nonsense, no more.
#[test]
fn messages_read_with_the_scan_of_another() {
    let messages: Vec<Vec<u8>> = all_seeds().into_iter().filter(|(target, _)| *target == "message").map(|(_, bytes)| bytes).collect();
    assert!(messages.len() > 100);
    fuzz("other scan", 1_000, |random| {
        let scanned = pick(random, &messages);
        let mut other = pick(random, &messages);
        mutate(random, &mut other);
        if let Some(scan) = scan(&scanned, Context::Stream) {
            read_all(Message::new(&other, &scan));
        }
    });
}

#[test]
fn whole_captures() {
    fuzz("engine", 60, |random| {
        let file = mangled(random);
        let mut lab = Lab::new(&if random.below(3) == 0 { lab::limited(1 + random.below(6) as usize) } else { lab::roomy() });
        for record in &file.records {
            lab.frame(file.link, record);
            if random.below(20) == 0 {
                lab.tick(record.micros.saturating_add(random.below(60_000_000) as i64));
            }
        }
        let outcome = lab.finish();
        outcome.assert_conserved();
        assert_sensible("", &lab::report(&outcome.engine));
        let metrics = outcome.engine.snapshot(&[]).to_text().expect("metrics can be written");
        assert!(!String::from_utf8_lossy(&metrics).contains("NaN"));
    });
}

/// Hears how much is told.
struct Counting(Arc<AtomicUsize>);

impl Listener for Counting {
    fn event(&mut self, _: &Tracker, _: &Event) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A file with one damaged timestamp must not keep anybody busy with what would have happened in between.
#[test]
fn centuries_without_a_frame_bring_few_events() {
    let file = pcaps::load("hung-call");
    let told = Arc::new(AtomicUsize::new(0));
    let mut lab = Lab::new(&lab::roomy());
    lab.engine.listen(Box::new(Counting(Arc::clone(&told))));
    lab.capture(&file);
    let last = file.records.last().expect("frames");
    let before = told.load(Ordering::Relaxed);
    let leap = 200 * 365 * 86_400 * 1_000_000;
    for later in [leap, leap + 1_000_000] {
        lab.frame(file.link, &support::capture::Record { micros: last.micros + later, ..last.clone() });
    }
    lab.finish().assert_conserved();
    let brought = told.load(Ordering::Relaxed) - before;
    assert!((1..2_000).contains(&brought), "{brought} events");
}

#[test]
fn the_harness_notices_a_panic_and_tells_the_seed() {
    let seeds = panics("planted", 50, |random| assert_ne!(random.below(10), 7, "planted"));
    assert!(!seeds.is_empty() && seeds.len() < 50, "{seeds:?}");
    assert_eq!(seeds, panics("planted", 50, |random| assert_ne!(random.below(10), 7, "planted")), "the same seeds again");
}

#[test]
fn the_harness_notices_numbers_that_make_no_sense() {
    let wrong = [
        r#"{"a_ratio": 1.1}"#,
        r#"{"a": [{"talk_s": -0.1}]}"#,
        r#"{"attempts": 1, "accepted": 1, "rejected": 1}"#,
        r#"{"min": 1, "mean": 2, "p50": 1, "p95": 3, "max": 2}"#,
        r#"{"expected_loss": [0.5, 0.4]}"#,
    ];
    for wrong in wrong {
        let value: serde_json::Value = serde_json::from_str(wrong).expect("JSON");
        assert!(catch_unwind(|| assert_sensible("", &value)).is_err(), "{wrong}");
    }
}

/// Seeds of a target at most: the fuzzer runs them all before it changes one.
const SEEDS: usize = 1_000;

/// For `scripts/fuzz.sh`: writes the seeds of all cases, and of the captures and messages below the folders that `FUZZ_CAPTURES` lists a line
/// each, into one folder a target below the one that `FUZZ_SEEDS` names.
#[test]
#[ignore = "writes files for the fuzzer"]
fn seeds_are_written() {
    let into = PathBuf::from(std::env::var_os("FUZZ_SEEDS").expect("FUZZ_SEEDS names a folder"));
    let mut all = all_seeds();
    for case in pcaps::names() {
        all.extend(seeds::of_frames(&seeds::frames(&pcaps::path(&case), 60)));
    }
    for folder in std::env::var("FUZZ_CAPTURES").unwrap_or_default().lines().filter(|folder| !folder.is_empty()) {
        let mut paths = Vec::new();
        collect(Path::new(folder), &mut paths);
        for path in paths {
            all.extend(seeds::of_frames(&seeds::frames(&path, 300)));
            let bytes = fs::read(&path).expect("a file can be read");
            all.extend(scan(&bytes, Context::Datagram).into_iter().flat_map(|_| seeds::of_message(&bytes)));
            all.push(("files", bytes));
        }
    }
    for target in bodies::TARGETS {
        let own = all.iter().filter(|(name, bytes)| *name == target.name && bytes.len() <= target.max_len);
        let own: BTreeSet<&[u8]> = own.map(|(_, bytes)| &bytes[..]).collect();
        let folder = into.join(target.name);
        fs::create_dir_all(&folder).expect("a folder");
        for (number, bytes) in own.iter().step_by(own.len().div_ceil(SEEDS)).enumerate() {
            fs::write(folder.join(format!("{number:04}")), bytes).expect("a seed can be written");
        }
        assert!(!own.is_empty(), "{} has no seeds", target.name);
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, paths) } else { paths.push(path) }
    }
}
