//! A trace is as good as the capture: each case of `pcaps/` replayed from its trace concludes the same.
//!
//! `CASE=reg-ok cargo test --test traces` runs one case alone.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;
use siphound::decode::flow::{Flow, Transport};
use siphound::decode::signal::{KeepaliveKind, Signal};
use siphound::history::mask::Mask;
use siphound::history::trace::Frames;
use siphound::history::{History, Place, Places, Status};
use siphound::pipeline::engine::Delivery;
use siphound::pipeline::replay::{Threads, replay};
use siphound::pipeline::source::CaptureFiles;
use siphound::pipeline::stage::EngineStage;
use siphound::sip::delivery::Event;
use siphound::time::{PacketTime, Span};
use support::{lab, pcaps, replay as binary};
use toml::Table;

/// Writes the trace of a capture into `directory`, as a daemon would.
fn trace(capture: &Path, directory: &Path) {
    let status = Status::default();
    let place = Place { directory: directory.to_owned(), age: Span::MAX, bytes: 1 << 30 };
    let places = Places { database: None, traces: Some(place) };
    let (history, recorder) = History::start(places, status).expect("a thread");
    let mut engine = lab::engine(&lab::roomy());
    engine.listen(Box::new(recorder));
    let ingest = lab::ingest();
    let mut source = CaptureFiles::open(&[capture.to_owned()]).expect("a capture");
    let finished = replay(&mut source, ingest, engine, Threads::One, &|_| {}).expect("a replay");
    drop(finished);
    history.finish();
}

fn arguments(folder: &Path) -> Vec<String> {
    let case: Table = std::fs::read_to_string(folder.join("case.toml")).expect("a case").parse().expect("TOML");
    case.get("args").cloned().map_or_else(Vec::new, |args| args.try_into().unwrap_or_default())
}

fn chosen() -> Vec<String> {
    let wanted = std::env::var("CASE").ok();
    pcaps::names().into_iter().filter(|name| wanted.as_ref().is_none_or(|wanted| wanted == name)).collect()
}

/// What a finding says, without where the frames are.
fn finding(finding: &Json) -> String {
    ["id", "subject", "severity", "confidence", "reason"].map(|key| finding[key].to_string()).join(" ")
}

fn list<'a>(report: &'a Json, key: &str) -> &'a [Json] {
    report[key].as_array().map_or(&[], Vec::as_slice)
}

/// The differences between what two reports conclude.
fn differences(plain: &Json, traced: &Json) -> Vec<String> {
    let mut counts: BTreeMap<String, i32> = BTreeMap::new();
    let mut count = |report: &Json, by: i32| {
        for entry in list(report, "findings") {
            *counts.entry(format!("finding {}", finding(entry))).or_default() += by;
        }
        for key in ["calls", "registrations", "nat"] {
            for entry in list(report, key) {
                *counts.entry(format!("{key} {entry}")).or_default() += by;
            }
        }
        *counts.entry(format!("messages {}", report["messages"])).or_default() += by;
    };
    count(plain, 1);
    count(traced, -1);
    let sides = counts.into_iter().filter(|(_, count)| *count != 0);
    sides.map(|(what, count)| format!("{} {what}", if count > 0 { "capture:" } else { "trace:  " })).collect()
}

#[test]
fn a_trace_replayed_concludes_what_its_capture_does() {
    let mut failures = Vec::new();
    for name in chosen() {
        let folder = pcaps::root().join(&name);
        let arguments = arguments(&folder);
        let directory = tempfile::tempdir().expect("a folder");
        trace(&folder.join("input.pcap"), directory.path());
        let plain = binary::report(&folder.join("input.pcap"), &arguments).expect("a report");
        let traced = binary::report(directory.path(), &arguments).unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = differences(&plain, &traced);
        if !lines.is_empty() {
            failures.push(format!("{name}:\n  {}", lines.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

/// Writes down what it is given.
#[derive(Default)]
struct Heard(Vec<String>);

impl EngineStage for Heard {
    type Batch = Delivery;
    type Query = ();

    fn handle(&mut self, delivery: &Delivery) {
        for (at, event) in delivery.batch.records() {
            self.0.push(match event {
                Event::Message(delivered) => message_line(at.time, &delivered.flow, delivery.batch.message(delivered).bytes()),
                Event::Signal(signal) => format!("{} {signal:?}", at.time),
                Event::Tick => continue,
            });
        }
    }

    fn answer(&mut self, (): ()) {}
}

fn message_line(time: PacketTime, flow: &Flow, bytes: &[u8]) -> String {
    format!("{time} {flow} {}", String::from_utf8_lossy(bytes))
}

fn flow(transport: Transport, source: &str, destination: &str) -> Flow {
    Flow { transport, source: source.parse().expect("an address"), destination: destination.parse().expect("an address") }
}

fn request(number: usize, body: usize) -> String {
    format!(
        "MESSAGE sip:100@pbx SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{number}\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: {number}\r\n\
         CSeq: {number} MESSAGE\r\nContent-Length: {body}\r\n\r\n{}",
        "x".repeat(body)
    )
}

/// What a trace is made of comes out of it again, whatever carried it, at its own time and in its order.
#[test]
fn what_was_heard_is_heard_again() {
    let phones = [("198.51.100.7:40311", "203.0.113.10:5060"), ("[2001:db8::7]:40311", "[2001:db8::10]:5060")];
    let mut expected = Vec::new();
    let mut frames = Frames::default();
    let mut file = Vec::new();
    frames.begin_file(&mut file);
    let mut clock = (1..).map(|second| PacketTime::from_parts(1_700_000_000 + second, 123_456_789));
    let mut number = 0;
    for (phone, pbx) in phones {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Ws, Transport::Sctp] {
            let (there, back) = (flow(transport, phone, pbx), flow(transport, pbx, phone));
            for (flow, body) in [(there, 0), (back, 100), (there, 40_000), (there, 200), (back, 0)] {
                number += 1;
                let (time, message) = (clock.next().expect("time"), request(number, body));
                frames.message(&mut file, time, &flow, message.as_bytes());
                expected.push(message_line(time, &flow, message.as_bytes()));
            }
            let kinds: &[KeepaliveKind] = match transport {
                Transport::Udp => &[
                    KeepaliveKind::Zero,
                    KeepaliveKind::Crlf,
                    KeepaliveKind::CrlfCrlf,
                    KeepaliveKind::Nul4,
                    KeepaliveKind::Short,
                    KeepaliveKind::Stun,
                ],
                Transport::Tcp => &[KeepaliveKind::CrlfCrlf, KeepaliveKind::Crlf],
                Transport::Ws => &[KeepaliveKind::Short, KeepaliveKind::CrlfCrlf],
                Transport::Sctp => &[],
            };
            let mut signals: Vec<Signal> = kinds.iter().map(|kind| Signal::Keepalive(there, *kind)).collect();
            signals.extend(match transport {
                Transport::Udp => vec![Signal::Unreachable(there), Signal::Unreachable(back)],
                Transport::Tcp => vec![Signal::Closed(there), Signal::Refused(there), Signal::Tls(there), Signal::Http(there)],
                Transport::Ws => vec![Signal::Closed(back)],
                Transport::Sctp => vec![],
            });
            for signal in signals {
                let time = clock.next().expect("time");
                frames.signal(&mut file, time, &signal);
                expected.push(format!("{time} {signal:?}"));
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trace.pcap");
    std::fs::write(&path, file).expect("written");
    assert_eq!(heard(&path), expected);
    well_formed(&path);
}

fn heard(path: &Path) -> Vec<String> {
    let ingest = lab::ingest();
    let mut source = CaptureFiles::open(&[path.to_owned()]).expect("a capture");
    replay(&mut source, ingest, Heard::default(), Threads::One, &|_| {}).expect("a replay").engine.0
}

/// Asks tshark, where it is installed, whether it finds anything malformed.
fn well_formed(path: &Path) {
    let fields = ["-Y", "_ws.malformed or ip.checksum.status == 0 or udp.checksum.status == 0 or tcp.checksum.status == 0"];
    let check = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"];
    match Command::new("tshark").arg("-r").arg(path).args(check).args(fields).output() {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("skipped: tshark: {error}"),
    }
}

/// A message that the snap length cut off does not swallow those behind it.
#[test]
fn a_cut_message_of_a_stream_stays_alone() {
    let there = flow(Transport::Tcp, "198.51.100.7:40311", "203.0.113.10:5060");
    let time = |second: i64| PacketTime::from_parts(1_700_000_000 + second, 0);
    let whole = request(1, 500);
    let head = whole.split_at(whole.len() - 500).0;
    let mut frames = Frames::default();
    let mut file = Vec::new();
    frames.begin_file(&mut file);
    frames.message(&mut file, time(1), &there, head.as_bytes());
    frames.message(&mut file, time(2), &there, request(2, 0).as_bytes());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trace.pcap");
    std::fs::write(&path, file).expect("written");
    assert_eq!(heard(&path), [message_line(time(1), &there, head.as_bytes()), message_line(time(2), &there, request(2, 0).as_bytes())]);
}

/// Writes what it is given as a trace, masked.
struct Masking {
    mask: Mask,
    frames: Frames,
    file: Vec<u8>,
    offset: Span,
}

impl EngineStage for Masking {
    type Batch = Delivery;
    type Query = ();

    fn handle(&mut self, delivery: &Delivery) {
        for (at, event) in delivery.batch.records() {
            match event {
                Event::Message(delivered) => {
                    let message = self.mask.message(delivery.batch.message(delivered).bytes());
                    let flow = self.mask.flow(delivered.flow);
                    self.frames.message(&mut self.file, at.time - self.offset, &flow, &message);
                }
                Event::Signal(signal) => {
                    if let Signal::ClockStep { by } = signal {
                        self.offset = self.offset + *by;
                    }
                    let signal = self.mask.signal(*signal);
                    self.frames.signal(&mut self.file, at.time - self.offset, &signal);
                }
                Event::Tick => {}
            }
        }
    }

    fn answer(&mut self, (): ()) {}
}

/// The subject of a finding as the mask shows it; nothing where only its kind is compared.
fn masked_subject(mask: &mut Mask, subject: &str) -> String {
    if let Ok(address) = subject.parse::<std::net::SocketAddr>() {
        return mask.socket(address).to_string();
    }
    if let Ok(address) = subject.parse::<std::net::IpAddr>() {
        return mask.ip(address).to_string();
    }
    match subject.split_once('@') {
        Some((user, host)) if !host.contains(':') => {
            let [user, host] = [mask.user(user.as_bytes()), mask.host(host.as_bytes())];
            format!("{}@{}", String::from_utf8_lossy(&user), String::from_utf8_lossy(&host))
        }
        _ => String::new(),
    }
}

/// Findings with masked subjects, and how the calls and registrations stand.
fn conclusions(report: &Json, mut subject: impl FnMut(&str) -> String) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    let mut count = |what: String| *counts.entry(what).or_default() += 1;
    for entry in list(report, "findings") {
        let of_call = entry["scope"] == "call" || entry["subject"].as_str().is_some_and(|subject| subject.starts_with("ua:"));
        let about = if of_call { String::new() } else { subject(entry["subject"].as_str().unwrap_or_default()) };
        count(format!("{} {about}", ["id", "severity", "confidence", "reason", "scope"].map(|key| entry[key].to_string()).join(" ")));
    }
    for call in list(report, "calls") {
        count(format!(
            "call {}",
            ["outcome", "state", "direction", "talk_s", "ended_by", "status"].map(|key| call[key].to_string()).join(" ")
        ));
    }
    for user in list(report, "registrations") {
        count(format!("user {} {} {}", user["state"], user["attempts"], subject(user["aor"].as_str().unwrap_or_default())));
    }
    counts
}

#[test]
fn a_masked_trace_concludes_the_same_of_others() {
    let mut failures = Vec::new();
    for name in chosen() {
        let folder = pcaps::root().join(&name);
        let capture = folder.join("input.pcap");
        let mut arguments = arguments(&folder);
        let plain = binary::report(&capture, &arguments).expect("a report");

        let mut stage = Masking { mask: Mask::new(7), frames: Frames::default(), file: Vec::new(), offset: Span::ZERO };
        stage.frames.begin_file(&mut stage.file);
        let ingest = lab::ingest();
        let mut source = CaptureFiles::open(&[capture]).expect("a capture");
        let mut stage = replay(&mut source, ingest, stage, Threads::One, &|_| {}).expect("a replay").engine;
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join("masked.pcap");
        std::fs::write(&path, &stage.file).expect("written");

        // Addresses on the command line are those of the capture.
        for argument in &mut arguments {
            if let Some(masked) = Some(masked_subject(&mut stage.mask, argument)).filter(|masked| !masked.is_empty()) {
                *argument = masked;
            }
        }
        let masked = binary::report(&path, &arguments).unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected = conclusions(&plain, |subject| masked_subject(&mut stage.mask, subject));
        let found = conclusions(&masked, |subject| if masked_shape(subject) { subject.to_owned() } else { String::new() });
        if expected != found {
            let only = |a: &BTreeMap<String, u32>, b: &BTreeMap<String, u32>| {
                a.iter().filter(|(key, count)| b.get(*key) != Some(count)).map(|(key, count)| format!("{count} {key}")).collect::<Vec<_>>()
            };
            failures.push(format!("{name}:\n  plain: {:#?}\n  masked: {:#?}", only(&expected, &found), only(&found, &expected)));
        }
        failures.extend(leaks(&plain, &stage.file).into_iter().map(|leak| format!("{name}: {leak} is left")));
    }
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

/// Whether a subject is one that [`masked_subject`] masks.
fn masked_shape(subject: &str) -> bool {
    !masked_subject(&mut Mask::new(1), subject).is_empty()
}

/// What of the users, hosts and addresses of a report is in the bytes, as words of their own.
fn leaks(report: &Json, bytes: &[u8]) -> Vec<String> {
    let mut secrets = std::collections::BTreeSet::new();
    for user in list(report, "registrations") {
        let (name, host) = user["aor"].as_str().unwrap_or_default().split_once('@').unwrap_or_default();
        secrets.extend([name.to_owned(), host.to_owned()].into_iter().filter(|text| text.len() > 4));
        for device in user["devices"].as_array().into_iter().flatten() {
            let source = device["source"].as_str().unwrap_or_default();
            secrets.extend(source.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']).to_owned()));
        }
    }
    for call in list(report, "calls") {
        secrets.extend(
            ["from", "to", "call_id"].into_iter().filter_map(|key| call[key].as_str()).filter(|text| text.len() > 4).map(str::to_owned),
        );
    }
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'.');
    let text = bytes;
    let has = |secret: &&String| {
        memchr::memmem::find_iter(text, secret.as_bytes())
            .any(|at| !is_part(at.checked_sub(1).and_then(|at| text.get(at))) && !is_part(text.get(at + secret.len())))
    };
    secrets.iter().filter(|secret| *secret != "anonymous" && !secret.starts_with("127.")).filter(has).cloned().collect()
}
