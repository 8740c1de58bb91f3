//! TShark as a second opinion: of generated messages with the liberties that senders take, both read the same.
//!
//! `TSHARK_MESSAGES=20000 cargo test --test tshark` compares more of them.

mod support;

use std::process::Command;

use siphound::sip::message::{Kind, Message};
use siphound::sip::scan::{Context, scan};
use support::capture::{CaptureFile, EPOCH, Record};
use support::plausible;
use support::random::Random;
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
        joined(message.contacts().map(|contact| text(contact.uri.raw)).filter(|uri| !uri.is_empty()).collect()),
        message.header("Expires").map(|_| message.expires().map(|expires| expires.to_string()).unwrap_or_default()).unwrap_or_default(),
    ]
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

#[test]
fn generated_messages_are_read_alike() {
    let count = std::env::var("TSHARK_MESSAGES").map_or(MESSAGES, |count| count.parse().expect("TSHARK_MESSAGES is a number"));
    let mut random = Random::seeded("plausible");
    let messages: Vec<_> = (0..count).map(|number| plausible::message(&mut random, number)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("messages.pcap");
    std::fs::write(&path, capture(&messages).to_bytes()).expect("a capture can be written");
    let Some(theirs) = theirs(&path) else {
        eprintln!("skipped: there is no tshark here");
        return;
    };
    assert_eq!(theirs.len(), messages.len(), "a line for each frame");
    let mut differences = Vec::new();
    for (message, theirs) in messages.iter().zip(&theirs) {
        let ours = ours(message);
        for ((field, ours), theirs) in FIELDS.iter().zip(&ours).zip(theirs) {
            if ours != theirs {
                differences.push(format!("{field}: siphound {ours:?}, TShark {theirs:?}\n{}", String::from_utf8_lossy(message)));
            }
        }
    }
    let shown = differences.iter().take(10).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} differences, the first:\n{shown}", differences.len());
}
