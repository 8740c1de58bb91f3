//! Several capture files as one source, in time order.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::capture::error::CaptureError;
use crate::capture::file::discover::{self, Found};
use crate::capture::file::input::Input;
use crate::capture::file::lanes::{Lane, Lanes};
use crate::capture::file::reader::Reader;
use crate::capture::file::record::Record;
use crate::capture::progress::Progress;
use crate::capture::source::{FrameSource, Note, SourceEvent};
use crate::decode::frame::{FrameBatch, FrameHeader};
use crate::time::{PacketTime, Span};

/// How much later than another file's next frame a frame of the present file may be without a change of file. Captures are slightly
/// out of order in themselves; so a capture cut into files reads as the whole did. Below the reorder window that follows (DETECTION §13).
const STAY: Span = Span::from_millis(25);
/// Files further apart than this leave a gap in the capture (DETECTION §13).
const GAP: Span = Span::from_secs(2);

/// Capture files merged by time. Files are opened when their time comes, so many rotated files need no more room than one.
pub struct CaptureFiles {
    /// Files not begun, the first to come last.
    waiting: Vec<Waiting>,
    open: Vec<Open>,
    present: Option<Present>,
    lanes: Lanes,
    events: VecDeque<SourceEvent>,
    progress: Progress,
    frames: u64,
    latest: Option<PacketTime>,
}

/// Which file is read from, and until when.
#[derive(Clone, Copy)]
struct Present {
    index: usize,
    /// A later frame than this is not taken before the other files are looked at.
    until: PacketTime,
}

struct Waiting {
    rank: Rank,
    input: Input,
    /// Kept open where the input cannot be read twice.
    reader: Option<Reader>,
}

struct Open {
    rank: Rank,
    lane: Lane,
    reader: Reader,
    /// The interface number last looked up, and for which interface.
    interface: Option<(u32, u16)>,
}

/// What decides between frames of the same time.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Rank {
    first: PacketTime,
    argument: usize,
}

impl CaptureFiles {
    /// Opens what was named: files, directories of files, `-` for standard input.
    ///
    /// Files of a directory that are no captures are left out with a note; so are named ones as long as there is another to read.
    ///
    /// # Errors
    ///
    /// When a named file is not there, when none is a capture, when a directory holds none.
    pub fn open(paths: &[PathBuf]) -> Result<Self, CaptureError> {
        let found = discover::expand(paths)?;
        let total = found.iter().map(|found| found.input().len()).sum();
        let mut files = Self {
            waiting: Vec::new(),
            open: Vec::new(),
            present: None,
            lanes: Lanes::default(),
            events: VecDeque::new(),
            progress: Progress::new(total),
            frames: 0,
            latest: None,
        };
        files.probe_all(found, paths)?;
        Ok(files)
    }

    /// How far reading has come, in bytes on disk.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Looks at the first frame of each file.
    fn probe_all(&mut self, found: Vec<Found>, paths: &[PathBuf]) -> Result<(), CaptureError> {
        let mut captures = 0_usize;
        let mut refused = None;
        for (argument, found) in found.into_iter().enumerate() {
            match self.probe(argument, found.input()) {
                Ok(()) => captures += 1,
                Err(error @ CaptureError::Open { .. }) if matches!(found, Found::Named(_)) => return Err(error),
                Err(error) => {
                    self.events.push_back(SourceEvent::Note(skipped(found.input(), &error)));
                    if matches!(found, Found::Named(_)) {
                        refused.get_or_insert(error);
                    }
                }
            }
        }
        if captures == 0 {
            let directory = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
            return Err(refused.unwrap_or(CaptureError::NoFiles { directory }));
        }
        self.waiting.sort_by_key(|waiting| std::cmp::Reverse(waiting.rank));
        Ok(())
    }

    fn probe(&mut self, argument: usize, input: &Input) -> Result<(), CaptureError> {
        let once = input.len().is_none();
        let progress = if once { self.progress.clone() } else { Progress::default() };
        let (reader, note) = Reader::open(input, progress)?;
        match reader.head() {
            Some(head) => {
                let rank = Rank { first: head.time, argument };
                self.waiting.push(Waiting { rank, input: input.clone(), reader: once.then_some(reader) });
            }
            None => self.events.extend(note.map(SourceEvent::Note)),
        }
        Ok(())
    }

    /// Chooses the file of the earliest frame; `None` when all are read.
    fn choose(&mut self) -> Option<Present> {
        loop {
            let heads = self.open.iter().enumerate().filter_map(|(index, open)| Some((open.reader.head()?.time, open.rank, index)));
            let earliest = heads.min();
            match (earliest, self.waiting.last()) {
                (Some((time, rank, _)), Some(waiting)) if (waiting.rank.first, waiting.rank) < (time, rank) => self.begin_next(),
                (None, Some(_)) => self.begin_next(),
                (Some((.., index)), _) => return Some(self.stay_with(index)),
                (None, None) => return None,
            }
        }
    }

    /// How long the chosen file is read before the others are looked at again.
    fn stay_with(&self, index: usize) -> Present {
        let others = self.open.iter().enumerate().filter(|(other, _)| *other != index);
        let heads = others.filter_map(|(_, open)| Some(open.reader.head()?.time));
        let next = heads.chain(self.waiting.last().map(|waiting| waiting.rank.first)).min();
        Present { index, until: next.map_or(PacketTime::MAX, |next| next + STAY) }
    }

    /// Opens the next waiting file, and tells of the gap before it where all files before it have ended.
    fn begin_next(&mut self) {
        let Some(Waiting { rank, input, reader }) = self.waiting.pop() else { return };
        let reader = match reader.map_or_else(|| Reader::open(&input, self.progress.clone()), |reader| Ok((reader, None))) {
            Ok((reader, None)) => reader,
            // Both mean that the file changed since it was looked at.
            Ok((_, Some(note))) => return self.events.push_back(SourceEvent::Note(note)),
            Err(error) => return self.events.push_back(SourceEvent::Note(skipped(&input, &error))),
        };
        if let Some(from) = self.latest.filter(|latest| self.open.is_empty() && rank.first - *latest > GAP) {
            self.events.push_back(SourceEvent::Gap { from, to: rank.first });
        }
        self.open.push(Open { rank, lane: self.lanes.take(), reader, interface: None });
    }

    /// Takes the next frame of the present file; `None` when another file is to be chosen.
    fn take(&mut self, present: Present, batch: &mut FrameBatch) -> Option<Present> {
        let open = self.open.get_mut(present.index)?;
        let Some(head) = open.reader.head() else {
            let ended = self.open.swap_remove(present.index);
            self.lanes.release(ended.lane);
            return None;
        };
        if head.time > present.until {
            return None;
        }
        let interface = match open.interface {
            Some((interface, number)) if interface == head.interface => number,
            _ => self.lanes.number(open.lane, head.interface),
        };
        open.interface = Some((head.interface, interface));
        self.frames += 1;
        self.latest = self.latest.max(Some(head.time));
        batch.push(header(self.frames, interface, &head), open.reader.bytes(&head));
        self.events.extend(open.reader.advance().map(SourceEvent::Note));
        Some(present)
    }
}

impl FrameSource for CaptureFiles {
    fn fill(&mut self, batch: &mut FrameBatch) -> Result<SourceEvent, CaptureError> {
        while !batch.is_full() {
            if self.present.is_none() {
                self.present = self.choose();
            }
            // What choosing or reading brought up lies before the next frame.
            let Some(present) = self.present.filter(|_| self.events.is_empty()) else { break };
            self.present = self.take(present, batch);
        }
        if !batch.is_empty() {
            return Ok(SourceEvent::Frames);
        }
        Ok(self.events.pop_front().unwrap_or(SourceEvent::End))
    }
}

/// The header of a frame; the batch fills in where its bytes are.
fn header(number: u64, interface: u16, head: &Record) -> FrameHeader {
    FrameHeader { number, time: head.time, link: head.link, interface, original_len: head.original_len, offset: 0, len: 0 }
}

fn skipped(input: &Input, error: &CaptureError) -> Note {
    let file = input.name();
    let reason = match error {
        CaptureError::NotACapture { byte, reason, .. } => format!("not a capture file: {reason} at byte {byte}"),
        other => other.to_string(),
    };
    Note::Skipped { file, reason }
}
