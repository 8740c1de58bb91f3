//! Opening a file, whatever it is packed in.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::capture::error::CaptureError;
use crate::capture::progress::Progress;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Packed bytes read at once.
const PACKED_BUFFER: usize = 128 * 1024;

/// Something named on the command line that a capture can be read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Input {
    /// Standard input, `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Input {
    pub(super) fn new(path: &Path) -> Self {
        if path.as_os_str() == OsStr::new("-") { Self::Stdin } else { Self::File(path.to_owned()) }
    }

    /// The name to show to a person.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Its length on disk, where that is known before it is read.
    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => path.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len()),
        }
    }

    /// The unpacked bytes; `progress` counts the packed ones.
    pub(super) fn open(&self, progress: Progress) -> Result<Box<dyn Read + Send>, CaptureError> {
        let raw: io::Result<Box<dyn Read + Send>> = match self {
            Self::Stdin => Ok(Box::new(io::stdin())),
            Self::File(path) => File::open(path).map(|file| Box::new(file) as _),
        };
        raw.and_then(|raw| unpack(Counted { input: raw, progress })).map_err(|source| CaptureError::Open { file: self.name(), source })
    }
}

/// Unpacks by what the first bytes say; the name of a file does not matter.
fn unpack(mut input: Counted) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = [0; 4];
    let read = read_up_to(&mut input, &mut magic)?;
    let whole: Chain<_, _> = Cursor::new(magic).take(read as u64).chain(input);
    Ok(if magic.starts_with(&GZIP_MAGIC) {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(PACKED_BUFFER, whole)))
    } else if magic == ZSTD_MAGIC {
        Box::new(zstd::stream::read::Decoder::new(whole)?)
    } else {
        Box::new(whole)
    })
}

fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
        match input.read(space) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Counts what is read.
struct Counted {
    input: Box<dyn Read + Send>,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.progress.add(read as u64);
        Ok(read)
    }
}
