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
        if let Some(note) = open.reader.advance() {
            self.events.push_back(SourceEvent::Note(note));
        }
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::capture::file::testing::{All, Files, MICROS, Writer};

    /// A classic file of frames at these milliseconds; each frame holds its time.
    fn capture(millis: &[u32]) -> Vec<u8> {
        let header = Writer::little().pcap(MICROS, 1);
        millis.iter().fold(header, |file, at| file.record(at / 1_000, at % 1_000 * 1_000, &at.to_be_bytes())).bytes
    }

    fn merged(files: &Files, captures: &[&[u32]]) -> All {
        let paths: Vec<_> = captures.iter().enumerate().map(|(index, millis)| files.write(&index.to_string(), &capture(millis))).collect();
        All::of(&mut CaptureFiles::open(&paths).expect("captures"))
    }

    fn millis(all: &All) -> Vec<i64> {
        all.frames.iter().map(|(header, _)| header.time.as_nanos() / 1_000_000).collect()
    }

    fn at(millis: i64) -> PacketTime {
        PacketTime::default() + Span::from_millis(millis)
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).and_then(|()| encoder.finish()).expect("packed")
    }

    #[test]
    fn overlapping_files_are_merged_by_time_with_interfaces_of_their_own() {
        let all = merged(&Files::new(), &[&[1_000, 3_000, 5_000], &[2_000, 3_000, 4_000]]);
        assert_eq!(millis(&all), [1_000, 2_000, 3_000, 3_000, 4_000, 5_000]);
        let numbers: Vec<_> = all.frames.iter().map(|(header, _)| (header.number, header.interface)).collect();
        assert_eq!(numbers, [(1, 0), (2, 1), (3, 1), (4, 0), (5, 1), (6, 0)]);
        assert!(all.events.is_empty());
    }

    #[test]
    fn the_file_that_began_first_goes_first_at_equal_times_whatever_the_arguments() {
        let all = merged(&Files::new(), &[&[1_100, 9_000], &[1_000, 9_000], &[1_200]]);
        let interfaces: Vec<_> = all.frames.iter().map(|(header, _)| header.interface).collect();
        assert_eq!(interfaces, [0, 1, 2, 0, 1]);
    }

    #[test]
    fn the_present_file_is_kept_over_slight_disorder_only() {
        let all = merged(&Files::new(), &[&[1_000, 1_024, 1_026], &[1_000]]);
        assert_eq!(millis(&all), [1_000, 1_024, 1_000, 1_026]);
    }

    #[test]
    fn rotated_files_keep_their_interface_and_leave_gaps_over_two_seconds() {
        let all = merged(&Files::new(), &[&[9_000], &[1_000, 2_000], &[4_000, 5_000]]);
        assert_eq!(millis(&all), [1_000, 2_000, 4_000, 5_000, 9_000]);
        assert!(all.frames.iter().all(|(header, _)| header.interface == 0));
        assert_eq!(all.events, [(4, SourceEvent::Gap { from: at(5_000), to: at(9_000) })]);
    }

    #[test]
    fn there_is_no_gap_while_another_file_goes_on() {
        let all = merged(&Files::new(), &[&[1_000, 60_000], &[2_000], &[30_000]]);
        assert!(all.events.is_empty(), "{:?}", all.events);
    }

    #[test]
    fn silence_within_a_file_is_no_gap_between_files() {
        let all = merged(&Files::new(), &[&[1_000, 60_000], &[61_000]]);
        assert!(all.events.is_empty(), "{:?}", all.events);
    }

    #[test]
    fn a_clock_that_jumps_within_a_file_changes_no_order() {
        let all = merged(&Files::new(), &[&[5_000, 1_000, 9_000]]);
        assert_eq!(millis(&all), [5_000, 1_000, 9_000]);
    }

    #[test]
    fn packed_files_are_known_by_their_content() {
        let files = Files::new();
        let plain = capture(&[1_000, 2_000]);
        let zstd = zstd::encode_all(plain.as_slice(), 1).expect("packed");
        for packed in [gzip(&plain), zstd] {
            assert_eq!(millis(&files.read(&packed)), [1_000, 2_000]);
        }
    }

    #[test]
    fn a_gzip_file_of_several_members_is_one_capture() {
        let plain = capture(&[1_000, 2_000]);
        let (first, second) = plain.split_at(50);
        assert_eq!(millis(&Files::new().read(&[gzip(first), gzip(second)].concat())), [1_000, 2_000]);
    }

    #[test]
    fn a_packed_file_that_is_cut_is_read_up_to_there() {
        let times: Vec<u32> = (0..40_000).map(|number: u32| number.wrapping_mul(2_654_435_761) >> 8).collect();
        let plain = capture(&times);
        let zstd = zstd::encode_all(plain.as_slice(), 1).expect("packed");
        for packed in [gzip(&plain), zstd] {
            let all = Files::new().read(&packed[..packed.len() - packed.len() / 8]);
            let [(frames, SourceEvent::Note(note))] = all.events.as_slice() else { panic!("{:?}", all.events) };
            assert!(matches!(note, Note::Cut { .. }) && *frames == all.frames.len() && *frames > 0, "{note}");
        }
    }

    #[test]
    fn a_directory_is_its_files_and_what_is_no_capture_is_left_out_with_a_note() {
        let files = Files::new();
        files.write("b.pcap", &capture(&[2_000]));
        files.write("a.pcap", &capture(&[1_000]));
        let text = files.write("notes.txt", b"remember the milk");
        std::fs::create_dir(files.directory.path().join("deeper")).expect("a directory");
        let mut source = CaptureFiles::open(&[files.directory.path().to_owned()]).expect("captures");
        let all = All::of(&mut source);
        assert_eq!(millis(&all), [1_000, 2_000]);
        let [(0, SourceEvent::Note(Note::Skipped { file, reason }))] = all.events.as_slice() else { panic!("{:?}", all.events) };
        assert_eq!(
            (file.as_str(), reason.as_str()),
            (&*text.display().to_string(), "not a capture file: no capture begins with [72, 65, 6d, 65] at byte 0")
        );
    }

    #[test]
    fn a_directory_without_captures_is_an_error() {
        let files = Files::new();
        files.write("notes.txt", b"text");
        let error = CaptureFiles::open(&[files.directory.path().to_owned()]).map(|_| ()).expect_err("nothing");
        assert!(matches!(error, CaptureError::NoFiles { .. }));
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_and_one_that_is_no_capture_only_when_it_is_alone() {
        let files = Files::new();
        let (good, bad) = (files.write("good", &capture(&[1_000])), files.write("bad", b"text"));
        let missing = files.directory.path().join("missing");
        let open = |paths: &[PathBuf]| CaptureFiles::open(paths).map(|mut source| All::of(&mut source));
        assert!(matches!(open(&[good.clone(), missing]), Err(CaptureError::Open { .. })));
        assert!(matches!(open(std::slice::from_ref(&bad)), Err(CaptureError::NotACapture { .. })));
        let all = open(&[bad, good]).expect("one capture");
        assert_eq!((all.frames.len(), all.events.len()), (1, 1));
    }

    #[test]
    fn progress_counts_all_bytes_on_disk() {
        let files = Files::new();
        let paths = [files.write("a", &capture(&[1_000])), files.write("b", &capture(&[2_000]))];
        let mut source = CaptureFiles::open(&paths).expect("captures");
        let progress = source.progress();
        assert_eq!((progress.bytes_read(), progress.total()), (0, Some(88)));
        All::of(&mut source);
        assert_eq!(progress.bytes_read(), 88);
    }

    proptest! {
        /// Whatever way a capture is cut into files, and in whichever order they are named, it reads as the whole did.
        #[test]
        fn a_capture_cut_into_files_is_the_whole(
            steps in proptest::collection::vec((100_u32..2_000, 0_u32..12), 2..60),
            cuts in proptest::collection::vec(0_usize..60, 1..4),
            backwards in any::<bool>(),
        ) {
            let mut time = 10_000;
            let mut whole = Vec::new();
            for (step, early) in steps {
                time += step % 40;
                whole.push(time - early);
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let mut parts: Vec<&[u32]> = cuts.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
            // A part must begin at its earliest frame to be known as the later of two.
            let begins: Vec<u32> = parts.iter().filter_map(|part| part.first().copied()).collect();
            prop_assume!(begins.is_sorted_by(|one, next| one < next));
            if backwards {
                parts.reverse();
            }
            prop_assert_eq!(merged(&Files::new(), &parts).plain(), merged(&Files::new(), &[&whole]).plain());
        }
    }
}
