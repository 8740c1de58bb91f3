//! Each collection that can grow is listed with what bounds it: a new one fails here until somebody has said so.
//!
//! Looked at are the fields of structs in everything that lives as long as the engine: sets, maps, queues and heaps, and lists that their own
//! file adds to. What a function holds for itself is not. The entries of `table::ExpiringTable`, the ordinary choice for what a
//! sender can make more of, are bounded by it, and so are those of `table::aging::AgingTable`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where state lives that traffic can make larger.
const STATE: [&str; 9] = ["table", "decode", "track", "detect", "metrics", "alert", "assist", "history", "report/recent.rs"];

/// What can grow, and what bounds it: a constant that its file names, or in lower case what has a bound of its own.
const BOUNDS: &[(&str, &[(&str, &str)])] = &[
    ("table/aging.rs", &[("index", "the capacity"), ("free", "the capacity")]),
    ("table/log.rs", &[("chunks", "elements that its owner keeps")]),
    ("table/slots.rs", &[("slots", "the capacity"), ("links", "slots"), ("free", "slots"), ("index", "slots")]),
    ("table/values.rs", &[("blocks", "slots of the table")]),
    (
        "table/queue.rs",
        &[("near", "deadlines of entries"), ("items", "deadlines of entries"), ("far", "deadlines of entries"), ("spare", "MAX_SPARE")],
    ),
    ("decode/chunks.rs", &[("bytes", "MAX_MESSAGE")]),
    ("decode/copies.rs", &[("seen", "MAX_SEEN"), ("latest", "seen")]),
    ("decode/fragments.rs", &[("bytes", "MAX_DATAGRAM"), ("parts", "MAX_PIECES"), ("spare", "four")]),
    ("decode/frame.rs", &[("bytes", "BYTES"), ("frames", "FRAMES")]),
    ("decode/line.rs", &[("items", "MAX_ITEMS"), ("bytes", "MAX_BYTES")]),
    ("decode/streams/reader.rs", &[("buffer", "MAX_BUFFER")]),
    ("decode/streams/sequence.rs", &[("early", "MAX_EARLY")]),
    ("decode/window.rs", &[("batches", "MAX_BYTES"), ("waiting", "MAX_FRAMES"), ("spare", "MAX_SPARE")]),
    ("track/absence.rs", &[("gaps", "GAPS")]),
    ("track/call/packed.rs", &[("added", "texts of one record")]),
    ("track/call/forks.rs", &[("places", "MOST")]),
    ("track/call/mod.rs", &[("partners", "LEGS")]),
    ("track/call/pickup.rs", &[("recent", "REMEMBERED")]),
    ("track/call/transfer.rs", &[("recent", "REMEMBERED"), ("leaving", "REMEMBERED")]),
    ("track/call/parties.rs", &[("by_party", "calls, two each")]),
    ("track/legs.rs", &[("near", "LOOKED_AT"), ("fitting", "marks of a leg, SOUGHT each, twice")]),
    ("track/legs/index.rs", &[("heads", "nodes"), ("nodes", "legs, their marks each")]),
    ("track/legs/remembered.rs", &[("slots", "REMEMBERED"), ("free", "slots")]),
    ("track/lost.rs", &[("sources", "REMEMBERED"), ("astray", "ASTRAY")]),
    ("track/mod.rs", &[("steps", "STEPS")]),
    ("track/unreached.rs", &[("errors", "REMEMBERED")]),
    ("track/nat/mod.rs", &[("private_names", "PRIVATE_NAMES")]),
    ("track/nat/names.rs", &[("via", "one message"), ("contact", "one message")]),
    ("track/nat/phone.rs", &[("asked", "ASKED")]),
    ("track/nat/pool.rs", &[("failures", "FAILURES"), ("successes", "BINS")]),
    ("track/nat/rhythm.rs", &[("ring", "GAPS")]),
    ("track/nat/site.rs", &[("phones", "PHONES"), ("moves", "MOVES"), ("strangers", "STRANGERS")]),
    ("track/nat/dark.rs", &[("lapses", "REMEMBERED")]),
    ("track/orphans.rs", &[("left", "WATCHED"), ("due", "left, three each")]),
    ("track/peers.rs", &[("pbxs", "MOST"), ("registrars", "MOST")]),
    ("track/probed.rs", &[("users", "REMEMBERED")]),
    ("track/relays.rs", &[("tallies", "COMPARED")]),
    ("track/registration/behind.rs", &[("devices", "devices"), ("registered", "devices")]),
    (
        "track/registration/mod.rs",
        &[("devices", "DEVICES"), ("doors", "64 addresses"), ("edges", "64 proxies"), ("tries", "SOURCES"), ("delays", "keep_delays")],
    ),
    ("track/registration/device.rs", &[("round_trips", "ROUND_TRIPS")]),
    ("track/registration/users.rs", &[("by_user", "aors")]),
    ("track/scan.rs", &[("tries", "REMEMBERED")]),
    ("track/triggers.rs", &[("watched", "MOST")]),
    ("track/world.rs", &[("events", "what one message brings about; drained after each")]),
    ("detect/capture.rs", &[("missing", "addresses of PBXs"), ("lossy", "addresses of PBXs")]),
    ("detect/delivery.rs", &[("tried", "REMEMBERED"), ("missed", "tried"), ("lost", "REMEMBERED")]),
    ("detect/devices.rs", &[("moves", "REMEMBERED")]),
    ("detect/drops.rs", &[("recent", "REMEMBERED"), ("legs", "recent")]),
    ("detect/durations.rs", &[("by_talk", "REMEMBERED"), ("ended", "REMEMBERED")]),
    (
        "detect/finding.rs",
        &[("explains", "findings of the catalogue"), ("related", "RELATED"), ("sufferers", "RELATED"), ("values", "slots of a remedy")],
    ),
    ("detect/flapping.rs", &[("histories", "REMEMBERED"), ("returns", "the count of the threshold")]),
    ("detect/ignored.rs", &[("trunk_calls", "REMEMBERED"), ("large", "REMEMBERED"), ("fragments", "REMEMBERED")]),
    (
        "detect/intruders.rs",
        &[
            ("refused", "REMEMBERED"),
            ("attacked", "REMEMBERED"),
            ("scanners", "REMEMBERED"),
            ("inside", "REMEMBERED"),
            ("numbers", "NUMBERS"),
        ],
    ),
    ("detect/lately.rs", &[("happened", "MOST"), ("histories", "happened")]),
    ("detect/latest.rs", &[("entries", "MOST"), ("used", "MOST")]),
    ("detect/load.rs", &[("answers", "REMEMBERED"), ("registering", "REMEMBERED"), ("refused", "REFUSED")]),
    ("detect/moves.rs", &[("moves", "REMEMBERED"), ("left", "moves")]),
    ("detect/probes.rs", &[("records", "REMEMBERED")]),
    ("detect/reachability.rs", &[("down", "REMEMBERED"), ("escalations", "down, two each")]),
    ("detect/recent.rs", &[("happened", "MOST"), ("counts", "happened")]),
    ("detect/registration.rs", &[("rejections", "REMEMBERED"), ("dropped", "REMEMBERED"), ("refusals", "REMEMBERED")]),
    ("detect/restart.rs", &[("watched", "REMEMBERED"), ("signs", "KEPT")]),
    ("detect/server.rs", &[("silences", "REMEMBERED"), ("requests", "REMEMBERED"), ("known", "KNOWN"), ("unopened", "KNOWN")]),
    ("detect/served.rs", &[("sources", "REMEMBERED")]),
    ("detect/setup.rs", &[("recent", "REMEMBERED")]),
    ("detect/short.rs", &[("users", "REMEMBERED, the users of each")]),
    ("detect/sleep.rs", &[("down", "REMEMBERED"), ("naps", "REMEMBERED")]),
    ("detect/slowness.rs", &[("pbxs", "REMEMBERED")]),
    ("detect/store.rs", &[("findings", "the limits"), ("reached", "what one message brings about; drained after each")]),
    ("detect/store/change.rs", &[("waiting", "CAPACITY")]),
    ("detect/store/index.rs", &[("by_id", "findings"), ("by_subject", "findings, RELATED each"), ("all", "findings"), ("own", "findings")]),
    ("detect/store/ranked.rs", &[("by_worth", "findings")]),
    ("detect/strangers.rs", &[("knocks", "REMEMBERED"), ("strays", "REMEMBERED"), ("domains", "DOMAINS"), ("doors", "DOORS")]),
    ("detect/undelivered.rs", &[("recent", "REMEMBERED")]),
    ("detect/unopened.rs", &[("tries", "REMEMBERED"), ("latest", "KEPT")]),
    ("detect/vanished.rs", &[("watched", "WATCHED"), ("told", "WATCHED")]),
    ("metrics/family.rs", &[("values", "the catalogue")]),
    ("metrics/fold.rs", &[("messages", "WAITING"), ("calls", "WAITING")]),
    ("metrics/subjects.rs", &[("tallies", "names of the configuration"), ("held", "metrics.label_limit"), ("rest", "PBXs")]),
    ("metrics/timeline.rs", &[("families", "the catalogue"), ("series", "label limits"), ("runs", "the time of the capture")]),
    ("alert/policy/limiter.rs", &[("waiting", "WAITING")]),
    (
        "alert/policy/mod.rs",
        &[
            ("findings", "KEPT"),
            ("strangers", "STRANGERS"),
            ("about", "findings, ABOUT each"),
            ("groups", "findings"),
            ("outputs", "what one change brings about; drained after each"),
            ("members", "findings"),
            ("resolved", "LISTED"),
        ],
    ),
    ("alert/policy/scanners.rs", &[("found", "GATHERED")]),
    ("alert/sink/alertmanager.rs", &[("holding", "HELD"), ("over", "HELD")]),
    ("assist/evidence.rs", &[("open", "KEPT")]),
    ("assist/pen.rs", &[("lines", "LINES"), ("asked", "ASKED"), ("moments", "MOMENTS")]),
    ("history/mask/addresses.rs", &[("known", "addresses of one trace"), ("taken", "known")]),
    ("history/mask/words.rs", &[("known", "names of one trace"), ("taken", "known")]),
    ("history/recorder.rs", &[("calls", "WAITING"), ("aors", "aors"), ("sites", "sites")]),
    ("history/trace/frames.rs", &[("connections", "CONNECTIONS")]),
    ("history/writer.rs", &[("waiting", "WAITING")]),
    ("report/recent.rs", &[("messages", "the capacity")]),
];

/// Files of state without their tests.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join("table.rs")];
    STATE.iter().for_each(|top| collect(&root.join(top), &mut files));
    let read = |file: &PathBuf| {
        let name = file.strip_prefix(&root).expect("a source is below src").to_string_lossy().into_owned();
        let text = fs::read_to_string(file).expect("a source is readable");
        let code = text.split_once("\n#[cfg(test)]\nmod tests {").map_or(text.as_str(), |(code, _)| code).to_owned();
        (!name.contains("tests")).then_some((name, code))
    };
    files.iter().filter_map(read).collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a folder is readable");
        entries.for_each(|entry| collect(&entry.expect("an entry is listed").path(), files));
    } else {
        files.push(path.to_owned());
    }
}

/// The fields of structs in `code` that can grow.
fn growing(code: &str) -> BTreeSet<&str> {
    let fields = code.lines().filter_map(|line| {
        let field = line.strip_prefix("    ").filter(|field| field.starts_with(|first: char| first.is_ascii_lowercase()))?;
        let field = field.strip_prefix("pub").map_or(field, |field| field.trim_start_matches(|c| c != ' ').trim_start());
        field.strip_suffix(',')?.split_once(": ")
    });
    let can_grow = |&(name, kind): &(&str, &str)| {
        let is = |kinds: &[&str]| kinds.iter().any(|wanted| kind.contains(&format!("{wanted}<")));
        let adds = ["push", "push_back", "extend", "extend_from_slice", "insert", "append", "resize"];
        // `table::append(&mut self.name, …)`, `append_by` too.
        let calls = ["append(", "append_by("].into_iter().flat_map(|append| code.split(append));
        let mut appended = calls.filter_map(|call| call.trim_start().strip_prefix("&mut ")?.split(',').next());
        let mut is_appended_to = || appended.any(|list| list.rsplit('.').next() == Some(name));
        // What is added to one of several is hard to see.
        let is_several = kind.starts_with("[Vec<");
        let mut is_added_to = || is_several || adds.iter().any(|add| code.contains(&format!(".{name}.{add}("))) || is_appended_to();
        let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let is_owned = !kind.replace("&'static", "").contains('&') && !kind.contains("fn(");
        let is_bounded = ["ExpiringTable", "AgingTable"].iter().any(|table| kind.starts_with(table));
        is_name
            && is_owned
            && (is(&["Map", "Set", "Table", "Deque", "Heap", "Latest", "Lately"]) && !is_bounded || is(&["Vec"]) && is_added_to())
    };
    fields.filter(can_grow).map(|(name, _)| name).collect()
}

#[test]
fn whatever_can_grow_has_a_bound() {
    let sources = sources();
    let listed: BTreeMap<_, _> = BOUNDS.iter().copied().collect();
    let mut problems = Vec::new();
    for (file, code) in &sources {
        let listed = listed.get(file.as_str()).copied().unwrap_or_default();
        let growing = growing(code);
        let unlisted = growing.iter().filter(|field| !listed.iter().any(|(known, _)| known == *field));
        problems.extend(unlisted.map(|field| format!("src/{file}: what bounds `{field}`? Bound it, then say by what in tests/growth.rs")));
        for (field, bound) in listed {
            if !growing.contains(field) {
                problems.push(format!("src/{file}: `{field}` does not grow any more"));
            }
            let is_constant = bound.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            if is_constant && !code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == *bound) {
                problems.push(format!("src/{file}: `{field}` is bounded by {bound}, which is not named there"));
            }
        }
    }
    problems.extend(listed.keys().filter(|file| !sources.contains_key(**file)).map(|file| format!("src/{file} is not there")));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_newcomer_is_found() {
    let code = "struct A<'a> {\n    pub(super) seen: BTreeMap<IpAddr, u64>,\n    last: VecDeque<(u8, u8)>,\n    lent: &'a Vec<u8>,\n    list: Vec<u8>,\n    \
                more: Vec<u8>,\n    most: Vec<u8>,\n    own: Vec<Handle>,\n    table: ExpiringTable<Call>,\n    count: u64,\n}\nfn f() { self.list.push(1); append(&mut self.more, 1); append_by(&mut self.most, 1, 16); }\n";
    assert_eq!(growing(code), ["last", "list", "more", "most", "seen"].into());
}
