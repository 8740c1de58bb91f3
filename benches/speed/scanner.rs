//! The scanner, by kind and size of message, beside two other parsers on the same bytes.
//!
//! siphound finds all headers, reads those that matter and checks the message; `rsip` splits and copies all headers and reads none;
//! `httparse` splits the header lines of HTTP and is not told the start line, which it would refuse.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use siphound::sip::scan::{Context, scan};

/// Bytes of a message. 16 kB is what a video phone behind many networks sends at most.
const SIZES: [usize; 4] = [400, 1_000, 4_000, 16_000];
/// The start lines, by the name of the message.
const KINDS: [(&str, &str); 4] = [
    ("REGISTER", "REGISTER sip:example.com SIP/2.0"),
    ("INVITE", "INVITE sip:1001@192.0.2.20 SIP/2.0"),
    ("200", "SIP/2.0 200 OK"),
    ("OPTIONS", "OPTIONS sip:1001@192.0.2.20 SIP/2.0"),
];
/// More header lines than the largest message has.
const HEADERS: usize = 512;

pub(crate) fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scanner");
    for (kind, start) in KINDS {
        for size in SIZES {
            let bytes = message(kind, start, size);
            assert_eq!(bytes.len(), size, "{kind}");
            assert!(scan(&bytes, Context::Datagram).is_some_and(|scan| scan.consumed() == size && scan.anomalies().is_empty()), "{kind}");
            assert!(rsip::SipMessage::try_from(bytes.as_slice()).is_ok(), "{kind}");
            group.throughput(Throughput::Bytes(size as u64));
            let name = |parser| BenchmarkId::new(parser, format!("{kind} {size} B"));
            group.bench_function(name("siphound"), |bencher| bencher.iter(|| scan(black_box(&bytes), Context::Datagram)));
            group.bench_function(name("rsip"), |bencher| bencher.iter(|| rsip::SipMessage::try_from(black_box(bytes.as_slice()))));
            group.bench_function(name("httparse"), |bencher| bencher.iter(|| header_lines(black_box(&bytes))));
        }
    }
    let keepalive = b"\r\n\r\n";
    group.throughput(Throughput::Bytes(keepalive.len() as u64));
    let name = BenchmarkId::new("siphound", "keep-alive 4 B");
    group.bench_function(name, |bencher| bencher.iter(|| scan(black_box(keepalive), Context::Datagram)));
    group.finish();
}

/// How many header lines httparse finds.
fn header_lines(bytes: &[u8]) -> usize {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let lines = memchr::memchr(b'\n', bytes).and_then(|end| bytes.get(end + 1..)).unwrap_or_default();
    match httparse::parse_headers(lines, &mut headers) {
        Ok(httparse::Status::Complete((_, found))) => found.len(),
        other => panic!("httparse: {other:?}"),
    }
}

/// A message of exactly `size` bytes. An INVITE is filled up by its body where it has one, the others by headers that nobody knows.
fn message(kind: &str, start: &str, size: usize) -> Vec<u8> {
    let method = if kind == "200" { "REGISTER" } else { kind };
    let head = format!(
        "{start}\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK74bf9\r\nMax-Forwards: 70\r\nFrom: <sip:1000@example.com>;tag=9fxced76sl\r\n\
         To: <sip:1001@example.com>{}\r\nCall-ID: 3848276298220188511@a.example.com\r\nCSeq: 2 {method}\r\nContact: <sip:1000@192.0.2.10>\r\n",
        if kind == "200" { ";tag=8321234356" } else { "" }
    );
    let has_body = kind == "INVITE" && size >= 1_000;
    let fixed = if has_body { "Content-Type: application/sdp\r\n" } else { "" };
    // The length of the body is written with as many digits whatever it is, so that it does not depend on itself.
    let length = |bytes: usize| format!("{fixed}Content-Length: {bytes:05}\r\n\r\n");
    let room = size - head.len() - length(0).len();
    if has_body {
        let mut body =
            "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 49172 RTP/AVP 9 8 0 101\r\n".to_owned();
        body.push_str(&filler(room - body.len(), "a=candidate:"));
        return format!("{head}{}{body}", length(body.len())).into_bytes();
    }
    format!("{head}{}{}", filler(room, "P-Filler-Info: "), length(0)).into_bytes()
}

/// Whole lines of about 80 bytes that begin with `name`, `room` bytes of them.
fn filler(mut room: usize, name: &str) -> String {
    let shortest = name.len() + 3;
    let mut lines = String::new();
    while room > 0 {
        // What would be left for a last line must suffice for one.
        let line = if room < 80 + shortest { room } else { 80 };
        if line < shortest {
            lines.push_str(&"\u{20}".repeat(line));
            break;
        }
        lines.push_str(name);
        lines.push_str(&"0123456789".repeat(9)[..line - name.len() - 2]);
        lines.push_str("\r\n");
        room -= line;
    }
    lines
}
