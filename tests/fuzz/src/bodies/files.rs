//! Capture files of every format, whole or broken, replayed from the disk.

use std::path::PathBuf;
use std::sync::OnceLock;

use siphound::capture::CaptureFiles;
use siphound::decode::ports::PortFilter;
use siphound::detect::store::Limits;
use siphound::pipeline::engine::Engine;
use siphound::pipeline::replay::{Threads, replay};

use super::engine::settings;
use super::feed::ingest;

/// One folder for each process that fuzzes; in memory where the system has such a place.
fn path() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let root = if memory.is_dir() { memory } else { std::env::temp_dir() };
        root.join(format!("siphound-fuzz-{}", std::process::id()))
    })
}

pub(crate) fn body(bytes: &[u8]) {
    let path = path();
    std::fs::write(path, bytes).expect("a file can be written");
    let opened = CaptureFiles::open(std::slice::from_ref(path));
    if let Ok(mut source) = opened {
        let engine = Engine::new(&settings(100), Limits { open: 100, ended: 100 });
        let stages = replay(&mut source, ingest(1, &PortFilter::Any), engine, Threads::One, &|_| {});
        let frames = stages.expect("a file that opened is read").ingest.counts().decode.frames;
        assert_eq!(frames.settled(), frames.frames);
        // A record has at least eight bytes around its frame, and packed files pack a thousand to one.
        assert!(frames.frames <= 2_000 * bytes.len() as u64, "{} frames in {} bytes", frames.frames, bytes.len());
    }
    let _ = std::fs::remove_file(path);
}
