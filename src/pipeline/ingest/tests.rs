use proptest::prelude::*;

use super::*;
use crate::decode::copies::CopyRule;
use crate::decode::outcome::Skip;
use crate::decode::signal::{KeepaliveKind, Signal};
use crate::decode::testing::{ACK, FIN, RST, SYN, SYN_ACK, batches, ethernet, fragments, header, ipv4, request, tcp, udp};
use crate::sip::delivery::Event;
use crate::time::Span;

const PHONE: &str = "198.51.100.7:40001";
const OTHER_PHONE: &str = "198.51.100.7:40002";
const PBX: &str = "203.0.113.10:5060";

type Frames = Vec<(i64, Vec<u8>)>;

/// What came out, each record as one line, and what was counted.
struct Outcome {
    records: Vec<String>,
    counts: IngestCounts,
}

impl Outcome {
    fn skipped(&self, reason: Skip) -> u64 {
        self.counts.decode.frames.skipped(reason)
    }

    fn messages(&self) -> Vec<&str> {
        self.records.iter().filter(|record| record.contains("SIP/2.0")).map(String::as_str).collect()
    }

    fn signals(&self) -> Vec<&str> {
        self.records.iter().filter(|record| !record.contains("SIP/2.0")).map(String::as_str).collect()
    }
}

fn describe(out: &Batch, records: &mut Vec<String>) {
    let mut last = PacketTime::MIN;
    for (at, event) in out.records() {
        assert!(at.time >= last, "time ran backwards");
        last = at.time;
        match event {
            Event::Message(delivered) => {
                let bytes = out.message(delivered).bytes();
                records.push(format!("{} {} {}", at.time, delivered.flow, String::from_utf8_lossy(bytes)));
            }
            Event::Signal(signal) => records.push(format!("{} {signal:?}", at.time)),
            Event::Tick => {}
        }
    }
}

fn ingest(ports: PortFilter) -> Ingest {
    Ingest::new(IngestConfig { ports, tunnels: Tunnels::ALL, digester: Digester::new(1), thresholds: Thresholds::default() })
}

fn run_batches(ports: PortFilter, batches: Vec<FrameBatch>) -> Outcome {
    let mut ingest = ingest(ports);
    let mut records = Vec::new();
    for batch in batches {
        let mut out = Batch::default();
        ingest.push(batch, &mut out);
        describe(&out, &mut records);
    }
    let mut out = Batch::default();
    ingest.finish(&mut out);
    describe(&out, &mut records);
    let counts = ingest.counts();
    assert_eq!(counts.decode.frames.settled(), counts.decode.frames.frames, "{:?}", counts.decode.frames);
    Outcome { records, counts }
}

fn run(frames: &[(i64, Vec<u8>)]) -> Outcome {
    run_batches(PortFilter::Any, batches(frames, 7))
}

/// A bit of everything, each thing far enough from the next not to be one.
fn conversation() -> Frames {
    let mut frames: Frames = Vec::new();
    let mut at = 1_000_000_000_000;
    let mut add = |gap: i64, packets: Vec<Vec<u8>>| {
        for packet in packets {
            at += gap;
            frames.push((at, packet));
        }
    };
    add(300_000, vec![udp(PHONE, PBX, 1, &request("REGISTER", 1, 0)), udp(PBX, PHONE, 0, &request("OPTIONS", 2, 0))]);
    add(300_000, vec![udp(PHONE, PBX, 2, b"\r\n\r\n"), udp(OTHER_PHONE, PBX, 3, b"\r\n\r\n"), udp(PHONE, PBX, 0, b"hello")]);
    add(300_000, fragments(&udp(PHONE, PBX, 4, &request("INVITE", 3, 3_000)), 1_480));
    // Retransmitted after 500 ms: the same bytes in another packet.
    add(500_000, fragments(&udp(PHONE, PBX, 5, &request("INVITE", 3, 3_000)), 1_480));
    add(300_000, tcp_talk());
    add(300_000, vec![tcp(OTHER_PHONE, PBX, 9, SYN, b""), tcp(PBX, OTHER_PHONE, 0, RST, b"")]);
    add(300_000, vec![tcp("198.51.100.8:9", PBX, 9, ACK, b"\x16\x03\x01\x02\x00\x01\x00"), tcp("198.51.100.8:9", PBX, 16, ACK, b"more")]);
    add(300_000, vec![tcp("198.51.100.9:9", PBX, 9, ACK, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")]);
    let error = [&[3, 3, 0, 0, 0, 0, 0, 0], &udp(PBX, PHONE, 0, b"x")[..28]].concat();
    add(300_000, vec![ipv4([198, 51, 100, 7].into(), [203, 0, 113, 10].into(), 1, 0, &error)]);
    add(300_000, vec![fragments(&udp(PHONE, PBX, 6, &request("INVITE", 4, 3_000)), 1_480).swap_remove(0)]);
    frames
}

/// A connection with two messages in one segment, one in two, a ping, and its end.
fn tcp_talk() -> Vec<Vec<u8>> {
    let both = [request("REGISTER", 10, 5), request("INVITE", 11, 0)].concat();
    let long = request("MESSAGE", 12, 900);
    let (head, tail) = long.split_at(700);
    let mut sequence = u32::MAX - 100;
    let mut packets = vec![tcp(PHONE, PBX, sequence, SYN, b""), tcp(PBX, PHONE, 77, SYN_ACK, b"")];
    sequence = sequence.wrapping_add(1);
    for payload in [&both[..], head, tail, b"\r\n\r\n"] {
        packets.push(tcp(PHONE, PBX, sequence, ACK, payload));
        sequence = sequence.wrapping_add(payload.len() as u32);
    }
    packets.push(tcp(PHONE, PBX, sequence, FIN, b""));
    packets.push(tcp(PBX, PHONE, 78, FIN, b""));
    packets
}

#[test]
fn everything_in_a_conversation_comes_out_once() {
    let outcome = run(&conversation());
    let methods: Vec<_> = outcome.messages().iter().map(|m| m.split(' ').nth(5).unwrap().to_owned()).collect();
    assert_eq!(methods, ["REGISTER", "OPTIONS", "INVITE", "INVITE", "REGISTER", "INVITE", "MESSAGE"]);
    let names = ["Keepalive", "Keepalive", "Keepalive", "Keepalive", "Closed", "Refused", "Tls", "Http", "Unreachable", "FragmentsLost"];
    let signals = outcome.signals();
    assert_eq!(signals.len(), names.len(), "{signals:#?}");
    assert!(signals.iter().zip(names).all(|(signal, name)| signal.contains(name)), "{signals:#?}");
    assert_eq!(outcome.counts.sip_messages, 7);
    assert_eq!(outcome.counts.decode.frames.sip, 2 + 6 + 3, "fragments and segments are SIP frames too");
    assert_eq!(outcome.counts.decode.frames.keepalive, 4);
    assert_eq!(outcome.skipped(Skip::IncompleteFragment), 1);
    assert_eq!(outcome.skipped(Skip::Encrypted), 2);
}

#[test]
fn each_frame_captured_twice_gives_the_same_records() {
    let frames = conversation();
    let twice: Frames = frames.iter().flat_map(|(at, bytes)| [(*at, bytes.clone()), (*at + 200, bytes.clone())]).collect();
    let (once, twice) = (run(&frames), run(&twice));
    assert_eq!(once.messages(), twice.messages());
    let kinds = |outcome: &Outcome| outcome.signals().iter().map(|signal| signal.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds(&once), kinds(&twice));
    assert_eq!(twice.skipped(Skip::Duplicate), once.counts.decode.frames.frames - 6, "all but TCP segments without payload");
}

#[test]
fn the_size_of_batches_changes_nothing() {
    let frames = conversation();
    let whole = run_batches(PortFilter::Any, batches(&frames, 128));
    let single = run_batches(PortFilter::Any, batches(&frames, 1));
    assert_eq!(whole.records, single.records);
}

#[test]
fn a_tcp_stream_split_at_every_byte_gives_the_same_messages() {
    let stream = [request("REGISTER", 1, 5), b"\r\n".to_vec(), request("INVITE", 2, 0)].concat();
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        let mut frames = vec![(0, tcp(PHONE, PBX, 0, SYN, b""))];
        frames.extend([(1_000, tcp(PHONE, PBX, 1, ACK, head)), (2_000, tcp(PHONE, PBX, 1 + cut as u32, ACK, tail))]);
        let outcome = run(&frames);
        assert_eq!(outcome.messages().len(), 2, "cut at {cut}: {:#?}", outcome.records);
    }
    let bytes = stream.iter().enumerate().map(|(at, byte)| (at as i64 * 10, tcp(PHONE, PBX, at as u32, ACK, &[*byte])));
    let outcome = run(&bytes.collect::<Frames>());
    assert_eq!(outcome.messages().len(), 2);
}

/// Whoever fills segments with keep-alives of two or four bytes would otherwise have thousands of records made of each.
#[test]
fn many_keepalives_in_one_segment_are_told_once() {
    let hello = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
    let message = request("OPTIONS", 1, 0);
    let streams = [[&message[..], &b"\r\n\r\n".repeat(300)].concat(), [&hello[..], &[0x89, 0x00].repeat(600)].concat()];
    for stream in streams {
        let (head, tail) = stream.split_at(stream.len() - 400);
        let frames = [
            (0, tcp(PHONE, PBX, 0, SYN, b"")),
            (1_000, tcp(PHONE, PBX, 1, ACK, head)),
            (2_000, tcp(PHONE, PBX, 1 + head.len() as u32, ACK, tail)),
        ];
        let outcome = run(&frames);
        assert_eq!(outcome.signals().len(), 2, "one for each segment: {:#?}", outcome.signals());
        assert_eq!(outcome.counts.decode.keepalives, 2);
    }
}

#[test]
fn lost_fragments_without_ports_are_told_only_between_hosts_that_speak_sip() {
    let tail = |source: &str| fragments(&udp(source, PBX, 9, &request("INVITE", 1, 3_000)), 1_480).swap_remove(1);
    let frames = [(0, udp(PHONE, PBX, 1, &request("REGISTER", 1, 0))), (1, tail(PHONE)), (2, tail("192.0.2.9:53"))];
    let outcome = run(&frames);
    assert_eq!(outcome.signals().len(), 1, "{:#?}", outcome.records);
    assert!(outcome.signals()[0].contains("198.51.100.7:0"));
    assert_eq!(outcome.skipped(Skip::IncompleteFragment), 2);
}

#[test]
fn a_stream_joined_in_the_middle_is_read_from_the_next_start_line() {
    let stream = [b"the end of a body\r\n".to_vec(), request("INVITE", 2, 0)].concat();
    let outcome = run(&[(0, tcp(PHONE, PBX, 5_000, ACK, &stream))]);
    assert_eq!(outcome.messages().len(), 1);
}

#[test]
fn a_lost_segment_costs_its_message_and_no_other() {
    let (first, second, third) = (request("REGISTER", 1, 300), request("INVITE", 2, 0), request("BYE", 3, 0));
    let lost = first.len() as u32;
    let mut frames = vec![(0, tcp(PHONE, PBX, 0, ACK, &first[..200]))];
    frames.push((100_000, tcp(PHONE, PBX, lost, ACK, &second)));
    frames.push((9_000_000, tcp(PHONE, PBX, lost + second.len() as u32, ACK, &third)));
    let outcome = run(&frames);
    assert_eq!(outcome.messages().len(), 2, "{:#?}", outcome.records);
    assert!(outcome.records[0].starts_with("1970-01-01T00:00:02.1"), "given up after 2 s, stamped with the deadline");
    assert_eq!(outcome.counts.decode.streams.gaps, 1);
    assert_eq!(outcome.skipped(Skip::IncompleteStream), 1);
}

#[test]
fn what_is_given_up_is_told_in_the_order_of_its_deadlines() {
    let gap = tcp(PHONE, PBX, 500, ACK, &request("BYE", 2, 0));
    let outcome = run(&[
        (0, fragments(&udp(PHONE, PBX, 6, &request("INVITE", 4, 3_000)), 1_480).swap_remove(0)),
        (1_000, tcp(PHONE, PBX, 0, SYN, b"")),
        (2_000, gap),
        (100_000_000, udp(PHONE, PBX, 7, b"")),
    ]);
    let kinds: Vec<_> = outcome.records.iter().map(|record| (&record[17..19], record.contains("BYE"))).collect();
    assert_eq!(kinds, [("02", true), ("30", false), ("40", false)]);
}

#[test]
fn web_socket_messages_are_found_on_any_port() {
    let (browser, server) = ("198.51.100.7:50000", "203.0.113.10:8088");
    let handshake = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
    let mask = [1, 2, 3, 4];
    let register: Vec<u8> = request("REGISTER", 1, 0).iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    let frame = [&[0x81, 0xfe][..], &(register.len() as u16).to_be_bytes(), &mask, &register].concat();
    let options = request("OPTIONS", 2, 0);
    let (head, tail) = options.split_at(100);
    let parts = [&[0x01, 100][..], head, &[0x89, 0], &[0x80, 126], &(tail.len() as u16).to_be_bytes(), tail].concat();
    let outcome = run(&[
        (0, tcp(browser, server, 1, ACK, handshake)),
        (1_000, tcp(server, browser, 1, ACK, answer)),
        (2_000, tcp(browser, server, 1 + handshake.len() as u32, ACK, &frame)),
        (3_000, tcp(server, browser, 1 + answer.len() as u32, ACK, &parts)),
    ]);
    assert_eq!(outcome.messages().len(), 2, "{:#?}", outcome.records);
    assert!(outcome.messages().iter().all(|message| message.contains(" ws ")));
    assert!(outcome.signals()[0].contains("Short"), "a ping between fragments");
}

#[test]
fn a_message_in_two_sctp_chunks_is_one() {
    let message = request("REGISTER", 1, 100);
    let (head, tail) = message.split_at(200);
    let chunk = |flags: u8, tsn: u32, data: &[u8]| {
        let mut chunk = vec![0, flags];
        chunk.extend((16 + data.len() as u16).to_be_bytes());
        chunk.extend(tsn.to_be_bytes());
        chunk.extend([0; 8]);
        chunk.extend(data);
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    };
    let packet = |chunks: &[u8]| {
        let header = [&5060u16.to_be_bytes()[..], &5060u16.to_be_bytes(), &[0; 8], chunks].concat();
        ipv4([198, 51, 100, 7].into(), [203, 0, 113, 10].into(), 132, 0, &header)
    };
    let whole = packet(&[chunk(3, 1, &request("OPTIONS", 2, 0)), chunk(2, 2, head)].concat());
    let outcome = run(&[(0, whole), (1_000, packet(&chunk(1, 3, tail))), (2_000, packet(&chunk(1, 9, tail)))]);
    assert_eq!(outcome.messages().len(), 2, "{:#?}", outcome.records);
    assert_eq!((outcome.counts.decode.frames.sip, outcome.skipped(Skip::NotSip)), (2, 1));
}

#[test]
fn a_translated_copy_is_told_with_public_addresses_in_both_directions() {
    let docker = "172.17.0.2:5060";
    let (question, answer) = (request("REGISTER", 1, 0), request("OPTIONS", 2, 0));
    let outcome = run(&[
        (0, udp(PHONE, PBX, 5, &question)),
        (100, udp(PHONE, docker, 5, &question)),
        (30_000, udp(docker, PHONE, 6, &answer)),
        (30_100, udp(PBX, PHONE, 6, &answer)),
    ]);
    assert_eq!(outcome.messages().len(), 2);
    assert!(outcome.messages().iter().all(|message| message.contains("203.0.113.10")));
    assert_eq!(outcome.skipped(Skip::Duplicate), 2);
    assert_eq!(outcome.counts.decode.copies[CopyRule::Translated as usize], 2);
}

#[test]
fn a_translated_connection_is_told_once() {
    let docker = "172.17.0.2:5060";
    let message = request("REGISTER", 1, 700);
    let (head, tail) = message.split_at(600);
    let mut frames = Frames::new();
    for (at, number, part) in [(0, 1, head), (1_000, 601, tail)] {
        frames.push((at, tcp(PHONE, PBX, number, ACK, part)));
        frames.push((at + 50, tcp(PHONE, docker, number, ACK, part)));
    }
    let outcome = run(&frames);
    assert_eq!(outcome.messages().len(), 1);
    assert_eq!((outcome.counts.decode.frames.sip, outcome.skipped(Skip::Duplicate)), (2, 2));
}

#[test]
fn two_requests_in_a_datagram_are_two_messages_and_other_excess_is_an_anomaly() {
    let both = [request("REGISTER", 1, 3), request("OPTIONS", 2, 0)].concat();
    let excess = [request("BYE", 3, 3), b"junk".to_vec()].concat();
    let outcome = run(&[(0, udp(PHONE, PBX, 1, &both)), (1, udp(PHONE, PBX, 2, &excess))]);
    assert_eq!(outcome.messages().len(), 3);
    assert_eq!(outcome.counts.anomalies[Anomaly::ExcessBytes as usize], 1);
}

#[test]
fn on_unwatched_ports_only_sip_counts() {
    let (a, b) = ("198.51.100.7:16384", "203.0.113.10:16384");
    let stun = b"\0\x01\0\0\x21\x12\xa4\x42aaaaaaaaaaaa";
    let (sip_a, sip_b) = ("198.51.100.7:5080", "203.0.113.10:5080");
    let outcome = run(&[
        (0, udp(a, b, 1, stun)),
        (1, udp(a, b, 1, b"\x80short")),
        (2, udp(sip_a, sip_b, 1, b"\r\n\r\n")),
        (3, udp(sip_a, sip_b, 2, &request("REGISTER", 1, 0))),
        (4, udp(sip_b, sip_a, 3, b"\r\n\r\n")),
        (5, udp(a, PBX, 3, stun)),
    ]);
    assert_eq!(outcome.skipped(Skip::NotSip), 3);
    assert_eq!(outcome.signals().len(), 2);
    assert!(outcome.signals()[0].contains(&format!("{:?}", KeepaliveKind::CrlfCrlf)));
    let configured = run_batches(PortFilter::Only(vec![5060..=5060]), batches(&[(0, udp(sip_a, sip_b, 1, &request("BYE", 1, 0)))], 1));
    assert_eq!(configured.skipped(Skip::OtherPort), 1);
}

#[test]
fn a_cut_message_is_read_as_long_as_what_identifies_it_is_there() {
    let packet = udp(PHONE, PBX, 1, &request("INVITE", 1, 200));
    let cut = |len: usize| run(&[(0, packet[..len].to_vec())]);
    assert_eq!(cut(packet.len() - 100).messages().len(), 1);
    assert_eq!(cut(packet.len() - 220).messages().len(), 1);
    let headless = cut(120);
    assert_eq!((headless.messages().len(), headless.skipped(Skip::Truncated)), (0, 1));
}

#[test]
fn the_clock_set_back_is_told_and_time_goes_on() {
    let outcome = run(&[
        (10_000_000, udp(PHONE, PBX, 1, &request("REGISTER", 1, 0))),
        (5_000_000, udp(PHONE, PBX, 2, &request("OPTIONS", 2, 0))),
        (5_500_000, udp(PHONE, PBX, 3, &request("BYE", 3, 0))),
    ]);
    let expected = Signal::ClockStep { by: Span::from_secs(5) };
    assert!(outcome.records[1].contains(&format!("{expected:?}")), "{:#?}", outcome.records);
    assert!(outcome.records[3].starts_with("1970-01-01T00:00:10.500000Z"));
}

#[test]
fn what_a_tick_tells_after_the_clock_was_set_back_comes_behind_that() {
    let mut live = ingest(PortFilter::Any);
    let mut out = Batch::default();
    for batch in batches(&[(10_000_000, udp(PHONE, PBX, 1, b"")), (5_000_000, udp(PHONE, PBX, 2, b""))], 1) {
        live.push(batch, &mut out);
    }
    live.dropped(3);
    live.tick(PacketTime::from_parts(5, 10_000_000), &mut out);
    live.finish(&mut out);
    let mut records = Vec::new();
    describe(&out, &mut records);
    let told: Vec<_> = ["ClockStep", "Dropped"].iter().map(|signal| records.iter().position(|record| record.contains(signal))).collect();
    assert!(told.is_sorted() && told[0].is_some(), "{records:#?}");
}

#[test]
fn ten_minutes_without_a_frame_are_a_hole_live_and_replayed() {
    let frames = [(0, udp(PHONE, PBX, 1, b"")), (601_000_000, udp(PHONE, PBX, 2, b""))];
    assert!(run(&frames).signals()[1].contains("Hole"));
    let mut live = ingest(PortFilter::Any);
    let mut out = Batch::default();
    for batch in batches(&frames[..1], 1) {
        live.push(batch, &mut out);
    }
    for second in [599, 602, 603] {
        live.tick(PacketTime::from_parts(second, 0), &mut out);
    }
    let mut records = Vec::new();
    describe(&out, &mut records);
    assert_eq!(records.iter().filter(|record| record.contains("Hole")).count(), 1, "{records:#?}");
}

#[test]
fn a_tick_hands_out_what_waits() {
    let mut live = ingest(PortFilter::Any);
    let mut out = Batch::default();
    for batch in batches(&[(0, udp(PHONE, PBX, 1, &request("BYE", 1, 0)))], 1) {
        live.push(batch, &mut out);
    }
    live.dropped(3);
    assert!(out.is_empty());
    live.tick(PacketTime::from_parts(0, 70_000_000), &mut out);
    let mut records = Vec::new();
    describe(&out, &mut records);
    assert_eq!(records.len(), 2, "{records:#?}");
    assert!(live.recycle().is_some());
}

#[test]
fn a_segment_cut_by_the_snap_length_costs_no_later_message() {
    let (first, second) = (request("MESSAGE", 1, 500), request("BYE", 2, 0));
    let mut cut = tcp(PHONE, PBX, 0, ACK, &first);
    cut.truncate(cut.len() - 300);
    let outcome = run(&[(0, cut), (1_000, tcp(PHONE, PBX, first.len() as u32, ACK, &second))]);
    assert_eq!(outcome.messages().len(), 2, "the body of the first is missing: {:#?}", outcome.records);
}

fn mangled(frames: &Frames, seed: &[(usize, usize, u8)]) -> Frames {
    let mut frames = frames.clone();
    for &(frame, at, value) in seed {
        let count = frames.len();
        let bytes = &mut frames[frame % count].1;
        if value == 0 {
            bytes.truncate(at % (bytes.len() + 1));
        } else if let Some(byte) = bytes.get_mut(at % 64) {
            *byte = value;
        }
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_out_of_order_by_20_ms_give_the_same_records(delays in prop::collection::vec(0i64..20_000, 64)) {
        let frames = conversation();
        let mut shuffled: Vec<_> = frames.iter().cloned().zip(delays.iter().cycle()).map(|(frame, delay)| (frame.0 + delay, frame)).collect();
        shuffled.sort_by_key(|(arrival, _)| *arrival);
        let shuffled: Frames = shuffled.into_iter().map(|(_, frame)| frame).collect();
        prop_assert_eq!(run(&frames).records, run(&shuffled).records);
    }

    #[test]
    fn dense_disorder_gives_the_same_records(delays in prop::collection::vec(0i64..20_000, 64)) {
        let frames: Frames = conversation().into_iter().enumerate().map(|(number, (_, bytes))| (number as i64 * 3_000, bytes)).collect();
        let mut shuffled: Vec<_> = frames.iter().cloned().zip(delays.iter().cycle()).map(|(frame, delay)| (frame.0 + delay, frame)).collect();
        shuffled.sort_by_key(|(arrival, _)| *arrival);
        let shuffled: Frames = shuffled.into_iter().map(|(_, frame)| frame).collect();
        prop_assert_eq!(run(&frames).records, run(&shuffled).records);
    }

    #[test]
    fn each_frame_has_one_outcome_whatever_its_bytes(seed in prop::collection::vec((0usize..64, 0usize..2_000, any::<u8>()), 0..40)) {
        run(&mangled(&conversation(), &seed));
    }

    #[test]
    fn each_frame_has_one_outcome_whatever_it_is(frames in prop::collection::vec((0i64..3_000_000, prop::collection::vec(any::<u8>(), 0..120)), 0..60)) {
        let ethernet: Frames = frames.iter().map(|(at, bytes)| (*at, ethernet(&[0x8100], 0x0800, bytes))).collect();
        let mut batch = FrameBatch::default();
        for (number, (at, bytes)) in ethernet.iter().enumerate() {
            batch.push(header(number as u64, PacketTime::from_nanos(at * 1_000), crate::decode::frame::LinkType::ETHERNET), bytes);
        }
        run_batches(PortFilter::Any, vec![batch]);
        run(&frames);
    }
}
