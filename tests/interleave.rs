//! What happens to one user does not change what is concluded about another: cases on disjoint users, addresses and identifiers, at the
//! same time, at one PBX or at two, give the findings of all.
//!
//! Left out are, by rule, captures in which something is concluded about what everybody shares (a PBX, a trunk, a group of calls, the
//! capture), because that rightly bears on everybody. A pair whose mixture brings about such a conclusion is passed over for the same reason.

mod support;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::Value as Json;
use siphound::track::Settings;
use support::agent::{Agent, Brand, address};
use support::capture::{CaptureFile, EPOCH, Record};
use support::lab::{self, Lab};
use support::relabel::{Label, PBX, interleaved, later, relabelled, renamed_user, users};
use support::upkeep::times;
use support::{Scene, pcaps};

/// Cases with more frames take too long to be run hundreds of times.
const FRAMES: usize = 700;
/// Cases that last longer need a background that takes too long, too; in seconds.
const LONGEST: i64 = 1300;
/// Seconds that a case may begin after the first of a mixture at most.
const LATEST: i64 = 90;
/// The Ethernet link type.
const ETHERNET: u32 = 1;

/// A case that can happen beside others.
struct Stock {
    name: String,
    file: CaptureFile,
}

/// Every case of `pcaps/` about users alone.
static STOCK: LazyLock<Vec<Stock>> = LazyLock::new(|| {
    let cases = pcaps::names().into_iter().map(|name| Stock { file: pcaps::load(&name), name });
    let stock: Vec<Stock> = cases.filter(|case| is_mixable(&case.file) && !concerns_all(&replayed(&case.file, case.file.last()))).collect();
    assert!(stock.len() >= 60, "only {} cases are about users alone", stock.len());
    stock
});

fn is_mixable(file: &CaptureFile) -> bool {
    let whole =
        file.link == ETHERNET && file.tail.is_empty() && file.records.iter().all(|record| record.bytes.len() as u32 == record.original_len);
    let (first, last) = (file.first_micros(), file.last());
    let steady = file.records.windows(2).all(|pair| pair[0].micros <= pair[1].micros);
    let at_pbx = file.records.iter().any(|record| record.bytes.windows(4).any(|window| window == [203, 0, 113, 10]));
    whole
        && steady
        && at_pbx
        && file.records.iter().all(holds_whole_messages)
        && !file.records.iter().any(holds_escapes)
        && file.records.len() <= FRAMES
        && last - first <= LONGEST * 1_000_000
}

/// Whether there are names that are written in another way, which cannot be changed.
fn holds_escapes(record: &Record) -> bool {
    record.bytes.windows(3).any(|window| window.strip_prefix(b"%").is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)))
}

/// Whether no message goes on in another frame, where a name could not be changed as a whole.
fn holds_whole_messages(record: &Record) -> bool {
    let packet = &record.bytes[14..];
    let (is_fragment, protocol) = (u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0, packet[9]);
    let segment = if protocol == 6 { packet.get(40..).unwrap_or(&[]) } else { &[] };
    let first_line = segment.split(|byte| *byte == b'\r').next().unwrap_or(&[]);
    !is_fragment && (first_line.is_empty() || first_line.windows(7).any(|window| window == b"SIP/2.0"))
}

/// Whether something is concluded about what everybody shares.
fn concerns_all(report: &Json) -> bool {
    let shared = |subject: &str| {
        let server = PBX.iter().any(|pbx| subject.starts_with(pbx));
        server || subject == "capture" || subject.starts_with("ua:") || subject.ends_with(".2.50")
    };
    // That nobody else was served meanwhile, or that nobody is served over TCP, is a part of what is concluded.
    let of_nobody_else = |finding: &Json| finding["id"] == "registrar-silent" && finding["confidence"] == "suspected";
    let of_tcp =
        |finding: &Json| finding["message"].as_str().is_some_and(|message| message.contains("TCP connection that nothing answers"));
    let wide =
        |finding: &Json| ["server", "trunk"].iter().any(|scope| finding["scope"] == *scope) || of_nobody_else(finding) || of_tcp(finding);
    report["findings"].as_array().into_iter().flatten().any(|finding| wide(finding) || shared(finding["subject"].as_str().unwrap_or("")))
}

/// Phones at both PBXs that nothing is wrong with, answered and answering all the time, so that each case alone is as surely observed as
/// in a mixture.
fn background(until: i64) -> CaptureFile {
    let mut scene = Scene::new("background");
    let until = (until - EPOCH * 1_000_000) as f64 / 1e6;
    for (index, pbx) in PBX.iter().enumerate() {
        scene.pbx = Agent::server("pbx", Brand::Asterisk, &format!("{pbx}:5060"));
        for site in 0..2 {
            let outer = format!("198.59.{index}.{}:40000", 10 + site);
            let mut phone = Agent::phone(&format!("bg-{index}{site}"), Brand::Yealink, "192.168.1.20:5060", &outer).expiring(3600);
            let from = -80.0 + f64::from(site);
            scene.reg_ok(from, &mut phone);
            scene.keepalives(&phone, from + 15.0, 15.0, until);
            for at in times(from + 4.0 + f64::from(site) * 4.0, 8.0, until) {
                scene.qualify(at, &phone);
            }
        }
    }
    CaptureFile::from_bytes(&scene.finish())
}

/// The report about a capture that ends at `end`, whenever its last frame came.
fn replayed(file: &CaptureFile, end: i64) -> Json {
    let pbxs = PBX.iter().map(|pbx| address(&format!("{pbx}:5060"))).collect();
    let mut lab = Lab::new(&Settings { pbxs, ..lab::roomy() });
    lab.capture(file);
    lab.tick(end);
    lab::report(&lab.finish().engine)
}

/// What is said of one thing or another (messages may count the others that are served), by a list of the report and the keys that matter.
const TOLD: [(&str, &[&str]); 4] = [
    ("findings", &["id", "subject", "severity", "confidence", "reason", "since"]),
    ("calls", &["call_id", "outcome", "status", "state", "setup_s", "ring_s", "talk_s", "ended_by", "linked", "overbilled_s"]),
    ("registrations", &["aor", "state", "attempts", "accepted", "rejected"]),
    ("nat", &["site", "stage", "lifetime_min_s", "lifetime_max_s", "successes", "failures", "confidence"]),
];

fn told(report: &Json) -> BTreeSet<String> {
    let lists = TOLD.iter().flat_map(|(list, keys)| {
        let entries = report[*list].as_array().into_iter().flatten();
        entries.map(move |entry| format!("{list}: {}", keys.iter().map(|key| entry[*key].to_string()).collect::<Vec<_>>().join(" ")))
    });
    lists.collect()
}

/// One case of a mixture: which, whom it happens to, how much later.
#[derive(Clone, Copy, Debug)]
struct Part {
    case: usize,
    label: Label,
    after: i64,
}

fn part(networks: u8) -> impl Strategy<Value = Part> {
    (0..1000_usize, 1..10_u8, 0..PBX.len(), 0..LATEST * 1000).prop_map(move |(case, turn, pbx, millis)| Part {
        case,
        label: Label { networks, turn, pbx },
        after: if networks == 0 { 0 } else { millis * 1000 },
    })
}

/// The captures of the parts, with users that no two of them share.
fn cast(parts: &[Part]) -> Vec<(String, CaptureFile)> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut files = Vec::new();
    for part in parts {
        let case = &STOCK[part.case % STOCK.len()];
        let names = users(&case.file);
        let turns = (0..10).map(|more| Label { turn: (part.label.turn + more) % 10, ..part.label });
        let free = |label: &Label| names.iter().all(|user| !taken.contains(&renamed_user(user, *label)));
        let label = turns.into_iter().find(free).expect("there are names enough");
        taken.extend(names.iter().map(|user| renamed_user(user, label)));
        files.push((format!("{} {label:?}", case.name), later(&relabelled(&case.file, label), part.after)));
    }
    files
}

/// Fails unless the parts at once conclude what each does alone.
fn assert_union(parts: &[Part]) -> Result<(), TestCaseError> {
    let files = cast(parts);
    let end = files.iter().map(|(_, file)| file.last()).max().unwrap_or(0) + 2_000_000;
    let background = background(end);
    let beside = |files: &[CaptureFile]| replayed(&interleaved(&[files, std::slice::from_ref(&background)].concat()), end);
    let alone: Vec<Json> = files.iter().map(|(_, file)| beside(std::slice::from_ref(file))).collect();
    let all: Vec<CaptureFile> = files.iter().map(|(_, file)| file.clone()).collect();
    let together = beside(&all);
    prop_assume!(!concerns_all(&together) && !alone.iter().any(concerns_all));
    let expected: BTreeSet<String> = alone.iter().flat_map(told).collect();
    let found = told(&together);
    let lines: Vec<String> = expected
        .symmetric_difference(&found)
        .map(|line| format!("{} {line}", if found.contains(line) { "more:" } else { "missing:" }))
        .collect();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    prop_assert!(lines.is_empty(), "{}\n{}", names.join("\n"), lines.join("\n"));
    Ok(())
}

fn config(cases: u32, regressions: &'static str) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_global_rejects: 200,
        max_shrink_iters: 30,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(regressions))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(48, "proptest-regressions/interleave-two.txt"))]

    #[test]
    fn two_cases_at_once_conclude_what_each_does_alone(one in part(0), other in part(1)) {
        assert_union(&[one, other])?;
    }
}

proptest! {
    #![proptest_config(config(16, "proptest-regressions/interleave-three.txt"))]

    #[test]
    fn three_cases_at_once_conclude_what_each_does_alone(one in part(0), other in part(1), third in part(2)) {
        assert_union(&[one, other, third])?;
    }
}

/// The names are changed and nothing else: what is concluded about the namesakes is what was about those they stand for.
#[test]
fn namesakes_meet_the_same_fate() {
    for (index, case) in STOCK.iter().enumerate() {
        let label = Label { networks: 1 + (index % 3) as u8, turn: 1 + (index % 9) as u8, pbx: index % 2 };
        let (original, renamed) = (replayed(&case.file, case.file.last()), replayed(&relabelled(&case.file, label), case.file.last()));
        for (list, keys) in TOLD {
            // Names may sort otherwise, so the entries are compared as what is said of somebody.
            let about = |report: &Json| -> Vec<String> {
                let named = ["subject", "call_id", "linked", "aor", "site"];
                let words =
                    |entry: &Json| keys.iter().filter(|key| !named.contains(key)).map(|key| entry[*key].to_string()).collect::<String>();
                let mut all: Vec<String> = report[list].as_array().into_iter().flatten().map(words).collect();
                all.sort();
                all
            };
            assert_eq!(about(&original), about(&renamed), "{list} of {} under {label:?}", case.name);
        }
        assert_eq!(original["messages"], renamed["messages"], "{}", case.name);
    }
}
