//! One capture file, one record after the other.

use crate::capture::error::CaptureError;
use crate::capture::file::input::Input;
use crate::capture::file::pcap::{self, Layout, Pcap};
use crate::capture::file::pcapng::{PcapNg, SECTION_MAGIC};
use crate::capture::file::record::{Record, Stop};
use crate::capture::file::window::{Short, Window};
use crate::capture::progress::Progress;
use crate::capture::source::Note;

/// Reads one file and keeps its next record at hand.
pub(super) struct Reader {
    name: String,
    window: Window,
    format: Format,
    head: Option<Record>,
    frames: u64,
}

enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

impl Reader {
    /// Opens a file and finds its first record; the note says why there is none further where that needs saying.
    pub(super) fn open(input: &Input, progress: Progress) -> Result<(Self, Option<Note>), CaptureError> {
        let name = input.name();
        let mut window = Window::new(input.open(progress)?);
        let format = recognise(&name, &mut window)?;
        let mut reader = Self { name, window, format, head: None, frames: 0 };
        match reader.find() {
            Some(Note::Cut { file, byte: 0, .. }) => {
                Err(CaptureError::NotACapture { file, byte: 0, reason: "the file ends within its header".to_owned() })
            }
            Some(Note::Damaged { file, byte: 0, reason, .. }) => Err(CaptureError::NotACapture { file, byte: 0, reason }),
            note => Ok((reader, note)),
        }
    }

    /// The next record, not yet taken.
    pub(super) fn head(&self) -> Option<Record> {
        self.head
    }

    /// The bytes of the record [`Self::head`] tells of.
    pub(super) fn bytes(&self, head: &Record) -> &[u8] {
        self.window.ahead(head.offset, head.len)
    }

    /// Takes the record and finds the one after it.
    pub(super) fn advance(&mut self) -> Option<Note> {
        let head = self.head.take()?;
        self.window.consume(head.size);
        self.frames += 1;
        self.find()
    }

    fn find(&mut self) -> Option<Note> {
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.window),
            Format::PcapNg(pcapng) => pcapng.next(&mut self.window),
        };
        let (file, frames) = (|| self.name.clone(), self.frames);
        match found {
            Ok(record) => {
                self.head = Some(record);
                None
            }
            Err(Stop::End) => None,
            Err(Stop::Cut { byte }) => Some(Note::Cut { file: file(), byte, frames }),
            Err(Stop::Damaged { byte, reason }) => Some(Note::Damaged { file: file(), byte, frames, reason }),
        }
    }
}

/// Tells the format by the first bytes.
fn recognise(name: &str, window: &mut Window) -> Result<Format, CaptureError> {
    let not_a_capture = |byte: usize, reason: String| CaptureError::NotACapture { file: name.to_owned(), byte: byte as u64, reason };
    let failed = |short| match short {
        Short::End(0) => not_a_capture(0, "it holds nothing that can be read".to_owned()),
        Short::End(read) => not_a_capture(read, "the file ends within its header".to_owned()),
        Short::Failed(error) => not_a_capture(0, error.to_string()),
    };
    let magic = window.peek(SECTION_MAGIC.len()).map_err(failed)?;
    if magic == SECTION_MAGIC {
        return Ok(Format::PcapNg(PcapNg::new()));
    }
    let layout = Layout::from_magic(magic).ok_or_else(|| not_a_capture(0, format!("no capture begins with {magic:02x?}")))?;
    let pcap = Pcap::new(layout, window.peek(pcap::HEADER).map_err(failed)?);
    window.consume(pcap::HEADER);
    Ok(Format::Pcap(pcap))
}
