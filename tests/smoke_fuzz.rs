//! Mutated input over every entry point, on the stable toolchain: nothing panics, every frame is accounted for, every number makes
//! sense. Seeded, so that a failure comes again; `tests/fuzz` searches longer and deeper.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value as Json;
use siphound::config::Config;
use siphound::decode::frame::FrameBatch;
use siphound::sip::delivery::Batch;
use siphound::sip::message::Message;
use siphound::sip::scan::{Context, scan};
use support::agent::address;
use support::capture::{CaptureFile, Record};
use support::lab::{self, Lab, header};
use support::random::Random;
use support::reading::{frame_pieces, read_all, read_datagram};
use support::wire::{self, Link, Protocol, flag};
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

/// Every SIP message of the cases, without the headers of its packet.
fn messages() -> Vec<Vec<u8>> {
    let records = CASES.iter().flat_map(|case| pcaps::load(case).records);
    let payloads = records.filter_map(|record| {
        let start = record.bytes.windows(8).position(|window| window == b"SIP/2.0 " || window.ends_with(b" sip:"))?;
        let start = record.bytes[..start].iter().rposition(|byte| !byte.is_ascii_alphabetic()).map_or(start, |before| before + 1);
        Some(record.bytes[start..].to_vec())
    });
    payloads.collect()
}

#[test]
fn sip_messages() {
    let messages = messages();
    assert!(messages.len() > 100 && messages.iter().filter(|message| scan(message, Context::Datagram).is_some()).count() > 100);
    fuzz("sip", 3_000, |random| {
        let mut bytes = pick(random, &messages);
        mutate(random, &mut bytes);
        read_datagram(&bytes);
    });
}

/// A scan belongs to its bytes; with others it gives nonsense, no more.
#[test]
fn sip_messages_read_with_the_scan_of_another() {
    let messages = messages();
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
fn sip_streams_in_pieces() {
    let messages = messages();
    fuzz("stream", 300, |random| {
        let mut stream: Vec<u8> = (0..4).flat_map(|_| pick(random, &messages)).collect();
        mutate(random, &mut stream);
        let size = 1 + random.below(900) as usize;
        assert_eq!(frame_pieces(stream.chunks(size)), frame_pieces([&stream[..]]));
    });
}

/// Segments of both directions with sequence numbers that overlap, leave holes and run round, from handshake to reset.
#[test]
fn tcp_segments() {
    const FLAGS: [u8; 8] =
        [flag::ACK, flag::ACK, flag::ACK, flag::PSH | flag::ACK, flag::SYN, flag::SYN | flag::ACK, flag::FIN | flag::ACK, flag::RST];
    let messages = messages();
    fuzz("tcp", 150, |random| {
        let ends = [address("198.51.100.7:40001"), address("203.0.113.10:5060")];
        let mut next = [random.next() as u32, u32::MAX - 300];
        let mut lab = Lab::new(&lab::roomy());
        let mut micros = 1_000_000_000;
        for _ in 0..60 {
            let from = random.below(2) as usize;
            let mut payload = pick(random, &messages);
            payload.truncate(random.below(1_400) as usize);
            let sequence = match random.below(6) {
                0 => next[from].wrapping_sub(random.below(2_000) as u32),
                1 => next[from].wrapping_add(random.below(2_000) as u32),
                2 => random.next() as u32,
                _ => next[from],
            };
            next[from] = sequence.wrapping_add(payload.len() as u32);
            let segment = wire::segment(ends[from], ends[1 - from], sequence, next[1 - from], pick(random, &FLAGS), &payload);
            let packet = wire::ip_packets(ends[from].ip(), ends[1 - from].ip(), Protocol::Tcp, 1, &segment).swap_remove(0);
            let bytes = Link::Ethernet.frame(&packet);
            micros += random.below(3_000_000) as i64;
            lab.frame(1, &Record { micros, original_len: bytes.len() as u32, bytes });
        }
        lab.finish().assert_conserved();
    });
}

#[test]
fn frames_on_any_link() {
    const LINKS: [u32; 10] = [0, 1, 101, 108, 113, 228, 229, 276, 147, 65_535];
    fuzz("frames", 500, |random| {
        let mut ingest = lab::ingest();
        let mut out = Batch::default();
        for round in 0..4 {
            let file = mangled(random);
            let mut batch = FrameBatch::default();
            for record in file.records.iter().take(100) {
                batch.push(header(round * 1_000, pick(random, &LINKS), record), &record.bytes);
            }
            ingest.push(batch, &mut out);
        }
        ingest.finish(&mut out);
        let frames = ingest.counts().decode.frames;
        assert_eq!(frames.settled(), frames.frames);
    });
}

#[test]
fn configurations() {
    let annotated = Config::default().annotated();
    fuzz("config", 400, |random| {
        let mut text = annotated.clone().into_bytes();
        for _ in 0..random.below(30) {
            mutate(random, &mut text);
        }
        let text = String::from_utf8_lossy(&text);
        match Config::parse(&text) {
            Ok(config) => assert_eq!(Config::parse(&config.annotated()).as_ref(), Ok(&config)),
            Err(problems) => assert!(!problems.to_string().is_empty()),
        }
    });
}

#[test]
fn capture_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mutated");
    fuzz("files", 400, |random| {
        let file = pcaps::load(pick(random, &["reg-ok", "reg-tcp", "torture"]));
        let formats: [fn(&CaptureFile) -> Vec<u8>; 4] =
            [CaptureFile::to_bytes, formats::big_endian, formats::pcapng, formats::pcapng_big_endian];
        let mut bytes = pick(random, &formats)(&file);
        mutate(random, &mut bytes);
        if random.below(4) == 0 {
            bytes = pick(random, &[formats::gzip as fn(&[u8]) -> Vec<u8>, formats::zstd])(&bytes);
            mutate(random, &mut bytes);
        }
        std::fs::write(&path, bytes).expect("a file can be written");
        let Ok(mut source) = siphound::capture::CaptureFiles::open(std::slice::from_ref(&path)) else { return };
        let stages = siphound::pipeline::replay::replay(
            &mut source,
            lab::ingest(),
            lab::engine(&lab::roomy()),
            siphound::pipeline::replay::Threads::One,
            &|_| {},
        );
        let frames = stages.expect("a file that opened is read").ingest.counts().decode.frames;
        assert_eq!(frames.settled(), frames.frames);
    });
}

#[test]
fn whole_captures() {
    fuzz("engine", 250, |random| {
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

/// Ratios lie within 0 and 1, shares too, counts and durations are not negative. A number that is none is no JSON and shows as null.
fn assert_sensible(path: &str, value: &Json) {
    match value {
        Json::Object(map) => map.iter().for_each(|(key, value)| assert_sensible(&format!("{path}.{key}"), value)),
        Json::Array(list) => list.iter().for_each(|value| assert_sensible(path, value)),
        Json::Number(number) => {
            let number = number.as_f64().expect("a number");
            let most = if path.ends_with("_ratio") || path.ends_with("expected_loss") { 1.0 } else { f64::MAX };
            assert!((0.0..=most).contains(&number), "{path} is {number}");
        }
        _ => {}
    }
}

#[test]
fn the_harness_notices_a_panic_and_tells_the_seed() {
    let seeds = panics("planted", 50, |random| assert_ne!(random.below(10), 7, "planted"));
    assert!(!seeds.is_empty() && seeds.len() < 50, "{seeds:?}");
    assert_eq!(seeds, panics("planted", 50, |random| assert_ne!(random.below(10), 7, "planted")), "the same seeds again");
}

#[test]
fn the_harness_notices_numbers_that_make_no_sense() {
    for wrong in [r#"{"a_ratio": 1.1}"#, r#"{"a": [{"talk_s": -0.1}]}"#] {
        let value: Json = serde_json::from_str(wrong).expect("JSON");
        assert!(catch_unwind(|| assert_sensible("", &value)).is_err(), "{wrong}");
    }
}
