//! A flood beside the twenty phones, looked at all the time.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::Value as Json;
use siphound::config::Tunnels;
use siphound::detect::store::Limits;
use siphound::pipeline::engine::Engine;
use siphound::track::Settings;

use crate::MEMORY;
use crate::attack::Attack;
use crate::site;
use crate::support::capture::{CaptureFile, Record};
use crate::support::lab::{Lab, ingest_within, limited, report};
use crate::wire::Packets;

/// Seconds of the scene in which the flood falls.
const FROM: f64 = 60.0;
const UNTIL: f64 = 580.0;
/// Steps per second of a flood that is written as a capture: enough to fill tables whose entries live for half a minute.
const PACE: f64 = 10_000.0;
/// Packets from one look at the tables to the next.
const LOOK: usize = 16;

/// How large a flood is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Entries that each table of tracking takes, and findings.
    pub(crate) room: usize,
    /// Steps of the flood.
    pub(crate) steps: usize,
    /// Bytes that the flood may bring about, at any time.
    pub(crate) bytes: usize,
    /// Seconds that it lasts.
    pub(crate) lasts: f64,
}

/// For tables that have a configured capacity.
pub(crate) const SMALL: Size = Size { room: 128, steps: 2_500, bytes: 16 << 20, lasts: UNTIL - FROM };
/// For messages that are hard to read.
pub(crate) const HARD: Size = Size { room: 128, steps: 80, bytes: 16 << 20, lasts: UNTIL - FROM };
/// For those of ingest, whose capacities are fixed.
pub(crate) const LARGE: Size = Size { room: 128, steps: 140_000, bytes: 112 << 20, lasts: UNTIL - FROM };

/// Floods run one after the other, so that the bytes held are those of one.
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

/// What was held.
#[derive(Debug, Default)]
struct Held {
    before: usize,
    peak: usize,
    after: usize,
    frames: usize,
}

/// Runs the flood and checks the bounds at every look, that what had to go went from the tables that are `full`, and that the phones are
/// followed as without it.
pub(crate) fn survive(name: &str, attack: Attack, size: Size, full: &[&str]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(directory) = std::env::var_os("SIPHOUND_FLOODS") {
        return write(Path::new(&directory), name, attack);
    }
    let (calm, _) = follow(None, size);
    let (flooded, held) = follow(Some(attack), size);
    let evicted: Vec<_> = flooded.evictions().into_iter().filter(|(_, count)| *count > 0).collect();
    for table in full {
        assert!(evicted.iter().any(|(name, _)| name == table), "{table} evicted nothing: {evicted:?} {:?}", flooded.tracker.tables());
    }
    let followed = compare(&report(&calm), &report(&flooded), attack.victim());
    println!(
        "| {name} | {} | {:.0}/s | {} kB | {} kB | {} kB | {} | {followed} of {} |",
        held.frames,
        held.frames as f64 / size.lasts,
        held.before >> 10,
        held.peak >> 10,
        held.after >> 10,
        evicted.iter().map(|(table, count)| format!("{table} {count}")).collect::<Vec<_>>().join(", "),
        site::PHONES,
    );
}

/// Writes the scene with the flood as a capture, for `scripts/floods.sh`, with as many steps as the environment says.
fn write(directory: &Path, name: &str, attack: Attack) {
    let steps: usize = std::env::var("SIPHOUND_FLOOD_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(SMALL.steps);
    assert!(steps as f64 <= (UNTIL - FROM) * PACE, "{steps} steps take longer than the scene");
    let mut records = site::records();
    let mut packets = Packets::default();
    for step in 0..steps {
        packets.begin(FROM + step as f64 / PACE);
        attack.step(step, &mut packets);
        records.append(&mut packets.records);
    }
    records.sort_by_key(|record| record.micros);
    let file = CaptureFile { link: 1, records, tail: Vec::new() };
    std::fs::write(directory.join(format!("{name}.pcap")), file.to_bytes()).expect("the capture can be written");
}

/// The engine after the scene, with or without the flood.
fn follow(attack: Option<Attack>, size: Size) -> (Engine, Held) {
    let base = MEMORY.allocated();
    let site = site::records();
    let own = MEMORY.allocated() - base;
    let bytes = || MEMORY.allocated().saturating_sub(base + own);
    let mut lab = Lab::new(&settings(size));
    lab.ingest = ingest_within(Tunnels::NONE);
    lab.engine = Engine::new(&settings(size), Limits { open: size.room, ended: size.room });
    let mut site = site.iter().peekable();
    let mut held = Held::default();
    let mut packets = Packets::default();
    for step in 0..attack.map_or(0, |_| size.steps) {
        let now = FROM + size.lasts * step as f64 / size.steps as f64;
        packets.begin(now);
        if let Some(attack) = attack {
            attack.step(step, &mut packets);
        }
        for record in &packets.records {
            while let Some(own) = site.next_if(|own| own.micros <= record.micros) {
                lab.frame(1, own);
            }
            if held.frames == 0 {
                held.before = bytes();
            }
            lab.frame(1, record);
            held.frames += 1;
            held.peak = held.peak.max(bytes());
            if held.frames % LOOK == 0 {
                assert_within(&lab.engine, size);
                assert!(bytes() <= size.bytes, "{} bytes after {} frames", bytes(), held.frames);
            }
        }
    }
    site.for_each(|own: &Record| lab.frame(1, own));
    held.after = bytes();
    let outcome = lab.finish();
    outcome.assert_conserved();
    (outcome.engine, held)
}

fn settings(size: Size) -> Settings {
    limited(size.room)
}

/// Fails when a table holds more than it may. A device has an address that it writes and one that it is seen at.
fn assert_within(engine: &Engine, size: Size) {
    for (table, held, _) in engine.tracker.tables() {
        let room = if table == "device_addresses" { 2 * size.room } else { size.room };
        assert!(held <= room, "{table} holds {held} entries");
    }
    let findings = engine.detectors.findings.numbered().count();
    assert!(findings <= 2 * size.room, "{findings} findings");
}

/// Fails unless the report says of the phones, their calls and their routers what it says without the flood; of a `victim` it says more.
/// Returns how many phones that were.
fn compare(calm: &Json, flooded: &Json, victim: Option<usize>) -> usize {
    let phones: Vec<_> = (0..site::PHONES).map(site::phone).collect();
    let name = |number: usize| format!("{}@{}", phones[number].user, phones[number].domain);
    let mut names: BTreeSet<String> = (0..site::PHONES).map(name).collect();
    if let Some(victim) = victim {
        let devices = |report: &Json| entry(report, "registrations", "aor", &name(victim))["devices"].clone();
        let [before, after] = [devices(calm), devices(flooded)];
        let kept = before
            .as_array()
            .is_some_and(|before| before.iter().all(|device| after.as_array().is_some_and(|after| after.contains(device))));
        assert!(kept, "{before} is not among {after}");
        names.remove(&name(victim));
    }
    let mut known: BTreeSet<String> = phones.iter().map(|phone| phone.outer.ip().to_string()).chain(names.iter().cloned()).collect();
    known.insert("192.0.2.50".to_owned());
    let calls: BTreeSet<String> = list(calm, "calls").iter().map(|call| text(call, "call_id")).collect();
    known.extend(calls.iter().cloned());
    let mut lines = Vec::new();
    for (entries, key, of) in
        [("registrations", "aor", &names), ("calls", "call_id", &calls), ("nat", "site", &known), ("findings", "subject", &known)]
    {
        let pick = |report: &Json| -> Vec<Json> {
            list(report, entries).iter().filter(|entry| of.contains(&text(entry, key))).cloned().map(without_frames).collect()
        };
        let (calm, flooded) = (pick(calm), pick(flooded));
        let line = |entry: &Json| format!("{entries}: {entry}");
        lines.extend(calm.iter().filter(|entry| !flooded.contains(entry)).map(|entry| format!("- {}", line(entry))));
        lines.extend(flooded.iter().filter(|entry| !calm.contains(entry)).map(|entry| format!("+ {}", line(entry))));
    }
    // Nothing that is sent makes the capture untrustworthy.
    let doubts = |report: &Json| -> Vec<Json> {
        list(report, "findings").iter().filter(|finding| text(finding, "id").starts_with("capture-")).cloned().collect()
    };
    assert_eq!(doubts(calm), doubts(flooded), "the flood casts doubt on the capture");
    assert!(lines.is_empty(), "the phones are followed otherwise than without the flood:\n{}", lines.join("\n"));
    assert_eq!(pbxs(calm), pbxs(flooded));
    names.iter().filter(|name| !entry(flooded, "registrations", "aor", name).is_null()).count() + usize::from(victim.is_some())
}

fn entry<'a>(report: &'a Json, entries: &str, key: &str, value: &str) -> &'a Json {
    list(report, entries).iter().find(|entry| text(entry, key) == value).unwrap_or(&Json::Null)
}

fn pbxs(report: &Json) -> &Json {
    &report["pbx_addresses"]
}

fn list<'a>(report: &'a Json, name: &str) -> &'a [Json] {
    report[name].as_array().map_or(&[], Vec::as_slice)
}

fn text(entry: &Json, key: &str) -> String {
    entry[key].as_str().unwrap_or_default().to_owned()
}

/// The entry without the numbers of frames, which count the flood too.
fn without_frames(mut entry: Json) -> Json {
    match &mut entry {
        Json::Object(fields) => {
            fields.remove("frame");
            fields.values_mut().for_each(|value| *value = without_frames(value.take()));
        }
        // Whoever floods may be served too.
        Json::String(text) => {
            if let Some((before, after)) = text.split_once(" other sources are served") {
                *text = format!("{} other sources are served{after}", before.trim_end_matches(|c: char| c.is_ascii_digit()));
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| *item = without_frames(item.take())),
        _ => {}
    }
    entry
}
