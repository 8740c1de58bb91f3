//! TShark as a second opinion: of generated messages both read the same, and siphound reads the same of them when they are written with
//! the liberties that senders take and TShark does not read.
//!
//! `TSHARK_MESSAGES=20000 cargo test --test tshark` compares more of them.

mod support;

use std::process::Command;

use siphound::sip::message::{Kind, Message};
use siphound::sip::scan::{Context, scan};
use support::capture::{CaptureFile, EPOCH, Record};
use support::plausible::{self, Style};
use support::wire::{self, Link, Protocol};

/// Messages that are compared where nothing else is said.
const MESSAGES: usize = 2_000;
/// The fields of TShark, in the order of [`Reading::lines`].
const FIELDS: [&str; 11] = [
    "sip.Method",
    "sip.Status-Code",
    "sip.Call-ID",
    "sip.CSeq.seq",
    "sip.CSeq.method",
    "sip.from.tag",
    "sip.to.tag",
    "sip.Via.branch",
    "sip.from.user",
    "sip.contact.uri",
    "sip.Expires",
];
/// Between values of a field that is there several times.
const BETWEEN: char = '\u{1f}';

/// What is read of a message: one text for each of [`FIELDS`].
type Reading = [String; FIELDS.len()];

/// What siphound reads.
fn ours(bytes: &[u8]) -> Reading {
    let scan = scan(bytes, Context::Datagram).expect("a message");
    let message = Message::new(bytes, &scan);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let optional = |bytes: Option<&[u8]>| bytes.map(text).unwrap_or_default();
    let joined = |values: Vec<String>| values.join(&BETWEEN.to_string());
    let (method, status) = match message.kind() {
        Kind::Request(_) => (text(message.method_name()), String::new()),
        Kind::Response(status) => (String::new(), status.to_string()),
    };
    let cseq = message.cseq();
    [
        method,
        status,
        text(message.call_id()),
        cseq.map(|cseq| cseq.number.to_string()).unwrap_or_default(),
        cseq.map(|cseq| cseq.method.to_string()).unwrap_or_default(),
        optional(message.from_tag()),
        optional(message.to_tag()),
        joined(message.vias().filter_map(|via| via.branch).map(text).collect()),
        text(message.from().uri.user),
        joined(message.contacts().map(|contact| text(contact.uri.raw)).filter(|uri| !uri.is_empty()).map(scheme_in_lower_case).collect()),
        message.header("Expires").map(|_| message.expires().map(|expires| expires.to_string()).unwrap_or_default()).unwrap_or_default(),
    ]
}

/// A scheme says the same in capitals, which is one of the liberties.
fn scheme_in_lower_case(uri: String) -> String {
    uri.split_once(':').map_or_else(|| uri.clone(), |(scheme, rest)| format!("{}:{rest}", scheme.to_ascii_lowercase()))
}

/// What TShark reads of each frame of a capture; `None` where there is no TShark.
fn theirs(path: &std::path::Path) -> Option<Vec<Reading>> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-r"]).arg(path).args(["-T", "fields", "-E", "occurrence=a", "-E", &format!("aggregator={BETWEEN}")]);
    command.args(FIELDS.iter().flat_map(|field| ["-e", field]));
    let output = command.output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("TShark prints UTF-8");
    let reading = |line: &str| {
        let mut columns = line.split('\t').map(str::to_owned);
        std::array::from_fn(|_| columns.next().unwrap_or_default())
    };
    Some(lines.lines().map(reading).collect())
}

fn capture(messages: &[Vec<u8>]) -> CaptureFile {
    let [phone, pbx] = ["198.51.100.7:5060", "203.0.113.10:5060"].map(support::agent::address);
    let frame = |(index, message): (usize, &Vec<u8>)| {
        let datagram = wire::datagram(phone, pbx, message);
        let packet = wire::ip_packets(phone.ip(), pbx.ip(), Protocol::Udp, index as u16, &datagram).swap_remove(0);
        let bytes = Link::Ethernet.frame(&packet);
        Record { micros: EPOCH * 1_000_000 + index as i64 * 1_000, original_len: bytes.len() as u32, bytes }
    };
    CaptureFile { link: 1, records: messages.iter().enumerate().map(frame).collect(), tail: Vec::new() }
}

/// What differs between two readings, in words.
fn differences(message: &[u8], [ours, theirs]: [&Reading; 2], whose: [&str; 2]) -> Vec<String> {
    let fields = FIELDS.iter().zip(ours).zip(theirs).filter(|((_, ours), theirs)| ours != theirs);
    let [one, other] = whose;
    let shown = String::from_utf8_lossy(message);
    fields.map(|((field, ours), theirs)| format!("{field}: {one} {ours:?}, {other} {theirs:?}\n{shown}")).collect()
}

fn assert_none(differences: &[String]) {
    let shown = differences.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences, the first:\n{shown}", differences.len());
}

fn count() -> usize {
    std::env::var("TSHARK_MESSAGES").map_or(MESSAGES, |count| count.parse().expect("TSHARK_MESSAGES is a number"))
}

#[test]
fn liberties_do_not_change_what_is_read() {
    let mut found = Vec::new();
    for number in 0..count() {
        let [plain, free] = [Style::Plain, Style::Free].map(|style| plausible::message(number, style));
        found.extend(differences(&free, [&ours(&free), &ours(&plain)], ["with liberties", "without"]));
    }
    assert_none(&found);
}

#[test]
fn generated_messages_are_read_as_tshark_reads_them() {
    let messages: Vec<_> = (0..count()).map(|number| plausible::message(number, Style::Plain)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("messages.pcap");
    std::fs::write(&path, capture(&messages).to_bytes()).expect("a capture can be written");
    let Some(theirs) = theirs(&path) else {
        eprintln!("skipped: there is no tshark here");
        return;
    };
    assert_eq!(theirs.len(), messages.len(), "a line for each frame");
    let pairs = messages.iter().zip(&theirs);
    assert_none(
        &pairs.flat_map(|(message, theirs)| differences(message, [&ours(message), theirs], ["siphound", "TShark"])).collect::<Vec<_>>(),
    );
}
