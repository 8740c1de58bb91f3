//! Seeds: what captures hold, cut into inputs of each target.

use std::path::Path;

use siphound::capture::{CaptureFiles, FrameSource, SourceEvent};
use siphound::config::Config;
use siphound::decode::frame::FrameBatch;
use siphound::decode::ports::PortFilter;

use super::TARGETS;
use super::feed::{self, Frame};
use super::{engine, frame, headers, stream, websocket};

/// The name of a target and an input of it.
pub(crate) type Seed = (&'static str, Vec<u8>);

/// What needs no capture.
pub(crate) fn written() -> Vec<Seed> {
    const QUERIES: [(u8, &str); 12] = [
        (1, "limit=3&order=newest&since=2026-01-31T09:00:00Z&user=1001"),
        (2, "user=1001&state=ended&outcome=answered&until=2026-01-31%2009:00"),
        (2, "after=1.2.x"),
        (3, "format=text"),
        (4, "severity=warning&state=open&id=nat-binding-timeout"),
        (5, "site=198.51.100.7"),
        (6, "user=1001&problem=cannot-receive&at=1769850000"),
        (7, "kind=finding"),
        (8, "user=1001&steps=reconnection,test-call&timeout=30s&hold=40s&echo=600"),
        (9, "%63%31?x"),
        (10, "skip"),
        (11, "metrics"),
    ];
    let mut seeds: Vec<Seed> = QUERIES.iter().map(|(path, query)| ("query", [&[*path, 0], query.as_bytes()].concat())).collect();
    let annotated = Config::default().annotated();
    seeds.extend(annotated.split("\n[").map(|section| ("config", format!("[{section}").into_bytes())));
    seeds.push(("config", annotated.into_bytes()));
    for target in TARGETS {
        seeds.extend((0..4_u8).map(|first| (target.name, vec![first; 200])));
        seeds.push((target.name, (0..=255).collect()));
    }
    seeds
}

/// The frames of a capture file, at most so many.
pub(crate) fn frames(path: &Path, most: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    let Ok(mut source) = CaptureFiles::open(&[path.to_owned()]) else { return frames };
    let mut batch = FrameBatch::default();
    while let Ok(event) = source.fill(&mut batch) {
        if event == SourceEvent::End || frames.len() >= most {
            break;
        }
        frames.extend(batch.headers().iter().map(|header| Frame {
            nanos: header.time.as_nanos(),
            link: header.link.0,
            original_len: header.original_len,
            bytes: batch.bytes_of(header).to_vec(),
        }));
        batch.clear();
    }
    frames
}

/// What a capture gives.
pub(crate) fn of_frames(frames: &[Frame]) -> Vec<Seed> {
    let mut seeds = Vec::new();
    for part in parts(frames, 7_000) {
        seeds.push(("frame", frame::seed(part)));
        seeds.push(("engine", engine::seed(part)));
        seeds.push(("stream", stream::seed_of_segments(part)));
    }
    let messages: Vec<_> = feed::decode(frames, &PortFilter::Any).messages.into_iter().map(|heard| heard.bytes).collect();
    seeds.extend(messages.chunks(3).map(|messages| ("stream", stream::seed(&messages.concat()))));
    seeds.extend(messages.iter().flat_map(|message| of_message(message)));
    seeds
}

/// What a message gives.
pub(crate) fn of_message(message: &[u8]) -> Vec<Seed> {
    let mut seeds = vec![("message", message.to_vec()), ("websocket", websocket::seed(message))];
    let text = String::from_utf8_lossy(message);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    seeds.extend(head.lines().skip(1).filter_map(headers::seed).map(|seed| ("headers", seed)));
    if let Some(at) = body.find("v=0") {
        seeds.push(("sdp", body.as_bytes()[at..].to_vec()));
    }
    seeds
}

/// Runs of frames that have about so many bytes together.
fn parts(frames: &[Frame], bytes: usize) -> Vec<&[Frame]> {
    let (mut parts, mut rest) = (Vec::new(), frames);
    while !rest.is_empty() {
        let mut size = 0;
        let fits = rest.iter().take_while(|frame| {
            size += frame.bytes.len() + 8;
            size <= bytes
        });
        let (part, behind) = rest.split_at(fits.count().max(1));
        parts.push(part);
        rest = behind;
    }
    parts
}
