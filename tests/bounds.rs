//! Nothing grows without bound: floods of names that a stranger chooses stay within the capacity of each table at every step, what is
//! evicted is counted, and the phones and calls that were there before are followed on.

mod support;

use std::net::SocketAddr;

use serde_json::Value as Json;
use siphound::pipeline::engine::Engine;
use siphound::sip::delivery::Batch;
use siphound::track::Settings;
use support::agent::address;
use support::agent::cast::{a1, b1};
use support::call::Bridge;
use support::capture::{CaptureFile, EPOCH, Record};
use support::lab::{Lab, header, limited};
use support::wire::{self, Protocol, flag};
use support::{Scene, Side, pcaps};

/// Entries that each table of tracking takes in these tests.
const ROOM: usize = 64;
/// Packets of a flood: many times what fits.
const FLOOD: usize = 1_500;
/// Seconds of the scene in which the flood falls.
const FLOOD_FROM: f64 = 10.0;
const FLOOD_UNTIL: f64 = 40.0;

fn settings() -> Settings {
    limited(ROOM)
}

/// An address of a stranger.
fn stranger(index: usize) -> SocketAddr {
    address(&format!("198.19.{}.{}:5060", index / 250, 1 + index % 250))
}

/// A request of a stranger whose identifying parts are as given.
fn request(method: &str, user: &str, call_id: &str, branch: &str, tag: &str, extra: &str) -> Vec<u8> {
    format!(
        "{method} sip:pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.19.0.1:5060;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@pbx.example.com>;tag={tag}\r\nTo: <sip:{user}@pbx.example.com>\r\nCall-ID: {call_id}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:{user}@198.19.0.1>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// What the PBX says to such a request.
fn response(request: &[u8], status: &str, extra: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(request).into_owned();
    let headers = text.split_once("\r\n").map_or("", |(_, headers)| headers);
    format!("SIP/2.0 {status}\r\n{extra}{headers}").into_bytes()
}

/// A healthy site under a flood: a phone registered before and refreshed after it, a call answered before and ended after it. Each step
/// of the flood is made by `step`, at the time given.
fn under(name: &str, step: impl Fn(&mut Scene, usize, f64)) -> Vec<Record> {
    let mut scene = Scene::new(name);
    let (mut phone, mut other) = (a1().expiring(60), b1().expiring(60));
    scene.reg_ok(0.0, &mut phone);
    scene.reg_ok(0.5, &mut other);
    let mut bridge = Bridge::new(&mut scene, &phone, &other);
    bridge.ring(&mut scene, 2.0);
    bridge.answer(&mut scene, 5.0);
    for index in 0..FLOOD {
        step(&mut scene, index, FLOOD_FROM + (FLOOD_UNTIL - FLOOD_FROM) * index as f64 / FLOOD as f64);
    }
    scene.refresh(45.0, &mut phone);
    scene.refresh(45.5, &mut other);
    bridge.bye(&mut scene, 65.0, Side::Caller);
    CaptureFile::from_bytes(&scene.finish()).records
}

/// Fails when a table holds more than it may. A device has an address that it writes and one that it is seen at.
fn assert_within(engine: &Engine) {
    for (table, held, _) in engine.tracker.tables() {
        let room = if table == "device_addresses" { 2 * ROOM } else { ROOM };
        assert!(held <= room, "{table} holds {held} entries");
    }
}

/// Replays the records and looks at every table after each.
fn replay(records: &[Record]) -> Engine {
    let mut lab = Lab::new(&settings());
    for record in records {
        lab.frame(1, record);
        assert_within(&lab.engine);
    }
    let outcome = lab.finish();
    outcome.assert_conserved();
    outcome.engine
}

/// How many entries the table dropped for lack of room.
fn evicted(engine: &Engine, table: &str) -> u64 {
    engine.evictions().into_iter().find(|(name, _)| *name == table).unwrap_or_else(|| panic!("no table {table}")).1
}

/// The phones and their call came through: what a report says of them is what it says without the flood.
fn assert_followed(name: &str, engine: &Engine) {
    let calm = support::lab::report(&replay(&under(name, |_, _, _| {})));
    let flooded = support::lab::report(engine);
    for aor in ["1001@pbx.example.com", "2001@pbx.example.com"] {
        assert_eq!(entry(&flooded, "registrations", "aor", aor), entry(&calm, "registrations", "aor", aor));
    }
    let calls = calm["calls"].as_array().expect("a list");
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!(call["outcome"], "answered");
        let call_id = call["call_id"].as_str().expect("a Call-ID");
        assert_eq!(entry(&flooded, "calls", "call_id", call_id), Some(call));
    }
    for finding in flooded["findings"].as_array().expect("a list") {
        assert!(!["1001@pbx.example.com", "2001@pbx.example.com"].contains(&finding["subject"].as_str().unwrap_or("")), "{finding}");
    }
}

fn entry<'a>(report: &'a Json, list: &str, key: &str, value: &str) -> Option<&'a Json> {
    report[list].as_array()?.iter().find(|entry| entry[key] == value)
}

/// Floods, replays, and checks that what had to go went from these tables and was counted.
fn survive(name: &str, full: &[&str], step: impl Fn(&mut Scene, usize, f64)) -> Engine {
    let engine = replay(&under(name, step));
    for table in full {
        assert!(evicted(&engine, table) > 0, "{table} evicted nothing: {:?}", engine.tracker.tables());
    }
    assert_followed(name, &engine);
    engine
}

fn towards_pbx(scene: &mut Scene, at: f64, source: SocketAddr, bytes: &[u8]) {
    let pbx = scene.pbx.outer;
    scene.udp(at, source, pbx, bytes);
}

fn from_pbx(scene: &mut Scene, at: f64, destination: SocketAddr, bytes: &[u8]) {
    let pbx = scene.pbx.outer;
    scene.udp(at, pbx, destination, bytes);
}

#[test]
fn unique_call_ids() {
    survive("call-ids", &["calls", "transactions"], |scene, index, at| {
        let invite = request("INVITE", "100", &format!("flood-{index}"), &index.to_string(), "t", "");
        towards_pbx(scene, at, stranger(0), &invite);
    });
}

#[test]
fn unique_tags_and_branches_of_one_call_id() {
    survive("tags", &["calls", "transactions"], |scene, index, at| {
        let invite = request("INVITE", "100", "one-and-the-same", &index.to_string(), &index.to_string(), "");
        towards_pbx(scene, at, stranger(0), &invite);
    });
}

#[test]
fn calls_that_are_answered_and_never_end_stay_within_the_table() {
    let records = under("answered", |scene, index, at| {
        let invite = request("INVITE", "100", &format!("up-{index}"), &index.to_string(), "t", "");
        towards_pbx(scene, at, stranger(index % 50), &invite);
        let ok =
            String::from_utf8_lossy(&response(&invite, "200 OK", "")).replace("To: <sip:100@pbx.example.com>", "To: <sip:100@x>;tag=p");
        from_pbx(scene, at + 0.005, stranger(index % 50), ok.as_bytes());
    });
    assert!(evicted(&replay(&records), "calls") > 0);
}

#[test]
fn calls_repeated_under_another_call_id_after_a_challenge() {
    survive("aliases", &["call_aliases", "calls", "nonces"], |scene, index, at| {
        let first = request("INVITE", "100", &format!("a-{index}"), &format!("a{index}"), "t", "");
        let challenge = format!("Proxy-Authenticate: Digest realm=\"asterisk\", nonce=\"n{index}\"\r\n");
        let credentials = format!("Proxy-Authorization: Digest username=\"100\", realm=\"asterisk\", nonce=\"n{index}\"\r\n");
        let second = request("INVITE", "100", &format!("b-{index}"), &format!("b{index}"), "t", &credentials);
        towards_pbx(scene, at, stranger(0), &first);
        from_pbx(scene, at + 0.002, stranger(0), &response(&first, "407 Proxy Authentication Required", &challenge));
        towards_pbx(scene, at + 0.004, stranger(0), &second);
    });
}

#[test]
fn unique_addresses_of_record() {
    survive("aors", &["aors", "devices", "registration_attempts", "transactions"], |scene, index, at| {
        let register = request("REGISTER", &format!("guess{index}"), &format!("r-{index}"), &index.to_string(), "t", "");
        towards_pbx(scene, at, stranger(1), &register);
    });
}

#[test]
fn unique_addresses_of_record_that_are_refused() {
    survive("refused", &["aors", "devices", "registration_attempts", "phones"], |scene, index, at| {
        let register = request("REGISTER", &format!("guess{index}"), &format!("r-{index}"), &index.to_string(), "t", "");
        towards_pbx(scene, at, stranger(1), &register);
        from_pbx(scene, at + 0.005, stranger(1), &response(&register, "403 Forbidden", ""));
    });
}

/// Phones behind as many routers, each registered and asked once: none of them is a stranger, so who goes is not looked at.
#[test]
fn unique_sites_behind_nat() {
    let engine = replay(&under("sites", |scene, index, at| {
        let phone = stranger(index);
        let register = request("REGISTER", &format!("far{index}"), &format!("far-{index}"), &index.to_string(), "t", "");
        towards_pbx(scene, at, phone, &register);
        from_pbx(scene, at + 0.001, phone, &response(&register, "200 OK", "Expires: 60\r\n"));
        let ask = request("OPTIONS", &format!("far{index}"), &format!("ask-{index}"), &format!("ask{index}"), "t", "");
        from_pbx(scene, at + 0.002, phone, &ask);
        towards_pbx(scene, at + 0.003, phone, &response(&ask, "200 OK", ""));
    }));
    assert!(evicted(&engine, "sites") > 0, "{:?}", engine.tracker.tables());
}

/// Phones that register over TCP and hang up at once: none of them is a stranger, so who goes is not looked at.
#[test]
fn unique_connections_that_end() {
    let engine = replay(&under("connections", |scene, index, at| {
        let (phone, pbx) = (stranger(index), scene.pbx.outer);
        let register = request("REGISTER", &format!("far{index}"), &format!("far-{index}"), &index.to_string(), "t", "");
        scene.stream(at, phone, pbx, &[&register]);
        scene.stream(at + 0.001, pbx, phone, &[&response(&register, "200 OK", "Expires: 60\r\n")]);
        scene.hang_up(at + 0.002, phone, pbx);
    }));
    assert!(evicted(&engine, "ended_connections") > 0, "{:?}", engine.tracker.tables());
}

#[test]
fn unique_branches_of_one_dialog() {
    survive("branches", &["transactions"], |scene, index, at| {
        let options = request("OPTIONS", "100", "one", &index.to_string(), "t", "");
        towards_pbx(scene, at, stranger(0), &options);
    });
}

#[test]
fn unique_sources_of_scanners() {
    survive("sources", &["sources", "scan_sources", "flows"], |scene, index, at| {
        let register = request("REGISTER", "100", "s", &index.to_string(), "t", "User-Agent: friendly-scanner\r\n");
        towards_pbx(scene, at, stranger(index), &register);
    });
}

#[test]
fn unique_source_ports_with_keepalives_alone() {
    survive("ports", &["flows"], |scene, index, at| {
        let mut source = stranger(0);
        source.set_port(10_000 + index as u16);
        towards_pbx(scene, at, source, b"\r\n\r\n");
    });
}

#[test]
fn unique_nonces() {
    survive("nonces", &["nonces"], |scene, index, at| {
        let register = request("REGISTER", "100", "n", &index.to_string(), "t", "");
        towards_pbx(scene, at, stranger(0), &register);
        let challenge = format!("WWW-Authenticate: Digest realm=\"asterisk\", nonce=\"n{index}\"\r\n");
        from_pbx(scene, at + 0.005, stranger(0), &response(&register, "401 Unauthorized", &challenge));
    });
}

#[test]
fn unique_contacts_of_one_phone() {
    let engine = survive("contacts", &["device_addresses"], |scene, index, at| {
        let contacts: String = (0..20).map(|port| format!("Contact: <sip:100@198.19.0.1:{}>\r\n", 10_000 + index * 20 + port)).collect();
        let register = request("REGISTER", "100", "c", &index.to_string(), "t", &contacts);
        towards_pbx(scene, at, stranger(0), &register);
        from_pbx(scene, at + 0.005, stranger(0), &response(&register, "200 OK", ""));
    });
    let report = support::lab::report(&engine);
    let flooder = entry(&report, "registrations", "aor", "100@pbx.example.com");
    let devices = flooder.and_then(|entry| entry["devices"].as_array()).map_or(0, Vec::len);
    assert!(devices <= ROOM, "{devices} devices of one phone");
}

#[test]
fn finished_calls() {
    let records = under("finished", |scene, index, at| {
        let invite = request("INVITE", "100", &format!("f-{index}"), &index.to_string(), "t", "");
        towards_pbx(scene, at, stranger(0), &invite);
        from_pbx(scene, at + 0.005, stranger(0), &response(&invite, "486 Busy Here", ""));
    });
    // Their records leave the calls 32 s later, so time must pass for them to reach the table of finished ones.
    let mut lab = Lab::new(&settings());
    for record in &records {
        lab.frame(1, record);
    }
    for seconds in 65..200 {
        lab.tick((EPOCH + seconds) * 1_000_000);
        assert_within(&lab.engine);
    }
    let engine = lab.finish().engine;
    assert!(evicted(&engine, "finished_calls") > 0, "{:?}", engine.tracker.tables());
}

#[test]
fn findings_stay_within_their_store() {
    use siphound::detect::store::Limits;
    let records = under("findings", |scene, index, at| {
        let register =
            request("REGISTER", &format!("guess{index}"), &format!("r-{index}"), &index.to_string(), "t", "Authorization: Digest x=1\r\n");
        towards_pbx(scene, at, stranger(index % 100), &register);
        from_pbx(scene, at + 0.005, stranger(index % 100), &response(&register, "404 Not Found", ""));
    });
    let mut lab = Lab::new(&limited(5_000));
    lab.engine = Engine::new(&limited(5_000), Limits { open: 8, ended: 8 });
    for record in &records {
        lab.frame(1, record);
        assert!(lab.engine.detectors.findings.all().len() <= 16);
    }
    let engine = lab.finish().engine;
    assert!(evicted(&engine, "findings") > 0, "{} findings", engine.detectors.findings.all().len());
}

/// Calls in the name of a party: too many to tell what became of a leg of its.
const CROWD: usize = 1_200;

/// A leg stays up from second 60 on, which is suspected at 65 and certain at 95; the end of its finding, if there is one.
fn left_up(name: &str, crowd: impl Fn(&mut Scene, &Bridge, usize)) -> Option<(String, bool)> {
    let mut scene = Scene::new(name);
    let (mut phone, mut other) = (a1(), b1());
    scene.healthy(&mut phone, 0.0, 200.0);
    scene.healthy(&mut other, 1.0, 200.0);
    let mut bridge = Bridge::new(&mut scene, &phone, &other);
    bridge.ring(&mut scene, 10.0);
    bridge.answer(&mut scene, 14.0);
    bridge.a.bye(&mut scene, 60.0, Side::Caller);
    (0..CROWD).for_each(|index| crowd(&mut scene, &bridge, index));
    let mut lab = Lab::new(&limited(10_000));
    lab.capture(&CaptureFile::from_bytes(&scene.finish()));
    let report = support::lab::report(&lab.finish().engine);
    let finding = entry(&report, "findings", "id", "leg-left-up")?;
    Some((finding["confidence"].as_str().expect("a word").to_owned(), finding["cleared"].is_null()))
}

#[test]
fn strangers_who_call_in_the_name_of_a_party_hide_no_leg_that_is_left_up() {
    for from in [50.0, 75.0] {
        let found = left_up("hidden-by-strangers", |scene, _, index| {
            let invite = request("INVITE", "1001", &format!("hide-{index}"), &index.to_string(), "t", "");
            towards_pbx(scene, from + index as f64 * 0.002, stranger(index % 50), &invite);
        });
        assert_eq!(found, Some(("confirmed".to_owned(), true)), "{from}");
    }
}

#[test]
fn where_a_party_has_too_many_calls_what_was_told_of_a_leg_is_not_taken_back() {
    let crowded = |from: f64| {
        left_up("too-many-calls", move |scene, bridge, index| {
            // Each leg from the PBX is linked to one of the phone, and so joined with no other.
            let (at, session) = (from + index as f64 * 0.002, format!("Session-ID: ab{index:030x}\r\n"));
            let leg = |side: &str| request("INVITE", "1001", &format!("{side}{index}"), &format!("{side}{index}"), side, &session);
            towards_pbx(scene, at, bridge.a.caller.outer, &leg("in"));
            from_pbx(scene, at + 0.001, bridge.b.callee.outer, &leg("out"));
        })
    };
    assert_eq!(crowded(75.0), Some(("suspected".to_owned(), true)));
    assert_eq!(crowded(56.0), None);
}

/// Datagrams that never become whole; ingest has room for 4096.
#[test]
fn unfinished_fragments() {
    const DATAGRAMS: usize = 6_000;
    let mut scene = Scene::new("fragments");
    let mut phone = a1();
    scene.reg_ok(0.0, &mut phone);
    let pbx = scene.pbx.outer;
    for index in 0..DATAGRAMS {
        let long = request("MESSAGE", "100", &format!("m-{index}"), &index.to_string(), "t", &format!("X: {}\r\n", "x".repeat(1_500)));
        scene.udp(1.0 + index as f64 * 0.000_5, stranger(index % 1_000), pbx, &long);
    }
    // The first fragment of each alone.
    scene.keep(|shot| shot.packet.get(6..8).is_some_and(|offset| u16::from_be_bytes([offset[0], offset[1]]) & 0x1fff == 0));
    scene.refresh(6.0, &mut phone);
    let file = CaptureFile::from_bytes(&scene.finish());
    let mut lab = Lab::new(&settings());
    lab.capture(&file);
    let outcome = lab.finish();
    outcome.assert_conserved();
    assert!(evicted(&outcome.engine, "fragments") > 0);
    let report = support::lab::report(&outcome.engine);
    assert_eq!(entry(&report, "registrations", "aor", "1001@pbx.example.com").map(|entry| &entry["state"]), Some(&"registered".into()));
}

/// Connections that only begin; ingest has room for 131072 in both directions together.
#[test]
fn half_open_connections() {
    const CONNECTIONS: usize = 140_000;
    let mut lab = Lab::new(&settings());
    let mut scene = Scene::new("half-open");
    let mut phone = b1().over_tcp();
    scene.reg_ok(0.0, &mut phone);
    scene.refresh(60.0, &mut phone);
    let records = CaptureFile::from_bytes(&scene.finish()).records;
    let (before, after) = records.split_at(records.iter().position(|record| record.micros > (EPOCH + 30) * 1_000_000).expect("a refresh"));
    before.iter().for_each(|record| lab.frame(1, record));
    for index in 0..CONNECTIONS {
        let micros = EPOCH * 1_000_000 + 1_000_000 + index as i64 * 100;
        let syn = |source, pbx| wire::segment(source, pbx, index as u32, 0, flag::SYN, b"");
        lab.frame(1, &stranger_sends(index, Protocol::Tcp, micros, syn));
    }
    after.iter().for_each(|record| lab.frame(1, record));
    let outcome = lab.finish();
    outcome.assert_conserved();
    let report = support::lab::report(&outcome.engine);
    let device = entry(&report, "registrations", "aor", "2001@pbx.example.com").map(|entry| &entry["devices"][0]);
    assert_eq!(device.map(|device| (&device["state"], &device["transport"])), Some((&"registered".into(), &"tcp".into())));
    assert!(evicted(&outcome.engine, "streams") > 0);
}

/// More datagrams at one moment than ingest holds back; none of them is a copy, and none is lost.
#[test]
fn everything_at_one_moment() {
    const DATAGRAMS: usize = 140_000;
    let (mut ingest, mut out) = (support::lab::ingest(), Batch::default());
    for index in 0..DATAGRAMS {
        let options = format!("OPTIONS sip:x SIP/2.0\r\nCall-ID: {index}\r\n\r\n");
        let record = stranger_sends(index, Protocol::Udp, EPOCH * 1_000_000, |source, pbx| wire::datagram(source, pbx, options.as_bytes()));
        let mut batch = ingest.recycle().unwrap_or_default();
        batch.push(header(index as u64 + 1, 1, &record), &record.bytes);
        ingest.push(batch, &mut out);
        out.clear();
    }
    ingest.finish(&mut out);
    let counts = ingest.counts();
    assert_eq!(counts.decode.frames.settled(), DATAGRAMS as u64);
    assert_eq!(counts.sip_messages, DATAGRAMS as u64);
    for (table, evicted) in counts.decode.evicted.named() {
        assert_eq!(evicted > 0, ["copies", "speakers"].contains(&table), "{table} evicted {evicted}");
    }
}

/// One of many thousand sources sends this to the PBX.
fn stranger_sends(index: usize, protocol: Protocol, micros: i64, payload: impl Fn(SocketAddr, SocketAddr) -> Vec<u8>) -> Record {
    let pbx = address("203.0.113.10:5060");
    let mut source = stranger(index % 1_000);
    source.set_port(1_024 + (index / 1_000) as u16);
    let packet = wire::ip_packets(source.ip(), pbx.ip(), protocol, 1, &payload(source, pbx)).swap_remove(0);
    let bytes = wire::Link::Ethernet.frame(&packet);
    Record { micros, original_len: bytes.len() as u32, bytes }
}

/// Sources that knock at the wrong door: detection remembers 4096.
#[test]
fn sources_that_are_refused() {
    let mut lab = Lab::new(&Settings { pbxs: vec![address("203.0.113.10:5060")], ..limited(10_000) });
    refuse_all(&mut lab, EPOCH * 1_000_000);
    let engine = lab.finish().engine;
    assert!(evicted(&engine, "strangers") > 0, "{:?}", engine.detectors.tables());
}

/// Sources that are refused where others are registered over TCP: detection remembers 4096.
#[test]
fn sources_that_get_no_connection() {
    let mut lab = Lab::new(&Settings { pbxs: vec![address("203.0.113.10:5060")], ..limited(10_000) });
    let served = pcaps::load("reg-tcp");
    lab.capture(&served);
    refuse_all(&mut lab, served.last() + 1_000);
    let engine = lab.finish().engine;
    assert!(evicted(&engine, "unopened_connections") > 0, "{:?}", engine.detectors.tables());
}

/// One source after the other asks for a connection from `micros` on, and is refused.
fn refuse_all(lab: &mut Lab, micros: i64) {
    for index in 0..5_000_u32 {
        let syn = |source, pbx| wire::segment(source, pbx, index, 0, flag::SYN, b"");
        let knock = stranger_at(index as usize, Protocol::Tcp, micros + i64::from(index) * 100, syn);
        lab.frame(1, &knock);
        let (source, pbx) = (stranger(index as usize), address("203.0.113.10:5060"));
        let refusal = wire::segment(pbx, source, 0, index.wrapping_add(1), flag::RST | flag::ACK, b"");
        let packet = wire::ip_packets(pbx.ip(), source.ip(), Protocol::Tcp, 1, &refusal).swap_remove(0);
        let bytes = wire::Link::Ethernet.frame(&packet);
        lab.frame(1, &Record { micros: knock.micros + 50, original_len: bytes.len() as u32, bytes });
    }
}

/// Sources that name a scanning tool: detection remembers 16384.
#[test]
fn sources_that_call_themselves_scanners() {
    let mut lab = Lab::new(&Settings { pbxs: vec![address("203.0.113.10:5060")], ..limited(100) });
    for index in 0..17_000_usize {
        let options = format!("OPTIONS sip:x SIP/2.0\r\nCall-ID: {index}\r\nUser-Agent: friendly-scanner\r\n\r\n");
        let micros = EPOCH * 1_000_000 + index as i64 * 1_000;
        lab.frame(1, &stranger_at(index, Protocol::Udp, micros, |source, pbx| wire::datagram(source, pbx, options.as_bytes())));
        assert!(lab.engine.detectors.tables().iter().all(|(_, held, _)| *held <= 20_000));
    }
    assert!(evicted(&lab.finish().engine, "intruders") > 0);
}

/// What the stranger with that number sends to the PBX.
fn stranger_at(index: usize, protocol: Protocol, micros: i64, payload: impl Fn(SocketAddr, SocketAddr) -> Vec<u8>) -> Record {
    let (source, pbx) = (stranger(index), address("203.0.113.10:5060"));
    let packet = wire::ip_packets(source.ip(), pbx.ip(), protocol, 1, &payload(source, pbx)).swap_remove(0);
    let bytes = wire::Link::Ethernet.frame(&packet);
    Record { micros, original_len: bytes.len() as u32, bytes }
}

/// Messages over SCTP of which only the first chunk comes; ingest has room for 1024.
#[test]
fn unfinished_chunks() {
    const FIRST_OF_SEVERAL: u8 = 2;
    let mut lab = Lab::new(&settings());
    for index in 0..3_000_u32 {
        let part = b"OPTIONS sip:x SIP/2.0\r\n";
        let chunk = [&[0, FIRST_OF_SEVERAL, 0, 16 + part.len() as u8][..], &index.to_be_bytes(), &[0; 8], part].concat();
        let micros = EPOCH * 1_000_000 + i64::from(index) * 100;
        let record = stranger_sends(index as usize, Protocol::Sctp, micros, |source, pbx| {
            [&source.port().to_be_bytes()[..], &pbx.port().to_be_bytes(), &[0; 8], &chunk].concat()
        });
        lab.frame(1, &record);
    }
    let outcome = lab.finish();
    outcome.assert_conserved();
    assert!(evicted(&outcome.engine, "sctp") > 0, "{:?}", outcome.counts.decode);
}

/// Messages between strangers wait to be counted until one of them turns out to be a PBX; 65536 kinds of messages can.
#[test]
fn messages_that_cannot_be_attributed() {
    const ROOM_FOR_MESSAGES: usize = 65_536;
    let mut lab = Lab::new(&settings());
    for index in 0..ROOM_FOR_MESSAGES + 1_000 {
        let options = format!("OPTIONS sip:x SIP/2.0\r\nCall-ID: {index}\r\n\r\n");
        let micros = EPOCH * 1_000_000 + index as i64 * 1_000;
        lab.frame(1, &stranger_sends(index, Protocol::Udp, micros, |source, pbx| wire::datagram(source, pbx, options.as_bytes())));
        assert!(lab.engine.fold.waiting().0 <= ROOM_FOR_MESSAGES);
    }
    assert!(evicted(&lab.finish().engine, "unattributed") > 0);
}

/// A table that is new is one that nobody has flooded yet.
#[test]
fn every_table_is_flooded_in_this_file() {
    let source = include_str!("bounds.rs");
    for (table, _) in Lab::new(&settings()).finish().engine.evictions() {
        assert!(source.contains(&format!("\"{table}\"")), "{table} has no flood");
    }
}
