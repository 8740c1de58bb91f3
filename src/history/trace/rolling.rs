//! Trace files that are begun anew when they are large, and deleted when there are too many or they are too old.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::time::{PacketTime, Span};

/// Bytes after which a file is ended; a small store has at least eight files.
const FILE: u64 = 16 << 20;
/// How the files are called: by the time of their first packet, in nanoseconds since the epoch, so that names sort by time.
const NAME: (&str, &str) = ("trace-", ".pcap");

/// How much is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Keep {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Age of the newest packet of a file.
    pub age: Span,
}

/// The trace files of a directory.
#[derive(Debug)]
pub struct Rolling {
    directory: PathBuf,
    keep: Keep,
    present: Option<Present>,
}

/// The file that is written.
#[derive(Debug)]
struct Present {
    file: File,
    path: PathBuf,
    /// Bytes that are whole records.
    length: u64,
}

/// Whether the next bytes go to a file of their own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Roll {
    /// They begin a file.
    Begin,
    /// They go on with the present one.
    GoOn,
}

impl Rolling {
    /// Files in `directory`, which is made for this user alone where it is not there.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or written to.
    pub fn open(directory: &Path, bytes: u64, age: Span) -> io::Result<Self> {
        crate::history::make_directory(directory)?;
        Ok(Self { directory: directory.to_owned(), keep: Keep { bytes, age }, present: None })
    }

    /// Whether a file is to be begun before `bytes` more are written.
    pub fn roll(&self, bytes: usize) -> Roll {
        let most = FILE.min(self.keep.bytes / 8).max(1);
        match &self.present {
            Some(present) if present.length + bytes as u64 <= most => Roll::GoOn,
            _ => Roll::Begin,
        }
    }

    /// Writes whole records, the first of them from `time`; with [`Roll::Begin`] they begin with the head of a file. What fails is not in
    /// the file, and the next bytes begin another.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn write(&mut self, roll: Roll, time: PacketTime, bytes: &[u8]) -> io::Result<()> {
        let mut present = match (self.present.take(), roll) {
            (Some(present), Roll::GoOn) => present,
            _ => self.begin(time)?,
        };
        match present.file.write_all(bytes) {
            Ok(()) => {
                present.length += bytes.len() as u64;
                self.present = Some(present);
                Ok(())
            }
            Err(error) => {
                // A reader must not find half a record in the middle; of a file without any record nothing stays.
                let mended = if present.length == 0 { fs::remove_file(&present.path) } else { present.file.set_len(present.length) };
                mended.and(Err(error))
            }
        }
    }

    /// Deletes the oldest files until what is left is small and young enough, and tells what is there: bytes, and the oldest time.
    ///
    /// # Errors
    ///
    /// When a file that is to go cannot be deleted, or the directory cannot be read.
    pub fn prune(&mut self, now: PacketTime) -> io::Result<(u64, Option<PacketTime>)> {
        let files = files(&self.directory)?;
        let mut total: u64 = files.iter().map(|file| file.length).sum();
        // A file that somebody took away would be written to in vain.
        self.present.take_if(|present| !files.iter().any(|file| file.path == present.path));
        let mut oldest = None;
        for (nth, file) in files.iter().enumerate() {
            // What follows begins where this one ends.
            let end = files.get(nth + 1).map_or(now, |next| next.first);
            let is_present = self.present.as_ref().is_some_and(|present| present.path == file.path);
            let goes = !is_present && (total > self.keep.bytes || now.since(end) > self.keep.age);
            if goes {
                fs::remove_file(&file.path)?;
                total -= file.length;
            } else {
                oldest = oldest.or(Some(file.first));
            }
        }
        Ok((total, oldest))
    }

    fn begin(&mut self, time: PacketTime) -> io::Result<Present> {
        // The clock may have been set back: an older file is never written over.
        for nanos in (time.as_nanos().max(0)..).take(1_000) {
            let path = self.directory.join(format!("{}{nanos:020}{}", NAME.0, NAME.1));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok(Present { file, path, length: 0 }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }
}

/// A trace file.
struct Trace {
    first: PacketTime,
    path: PathBuf,
    length: u64,
}

/// The trace files in `directory`, the newest first, until they have `bytes` together or begin before `since`; in order of time.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn paths(directory: &Path, bytes: u64, since: PacketTime) -> io::Result<Vec<PathBuf>> {
    let files = files(directory)?;
    let mut chosen = Vec::new();
    let mut total = 0;
    for (nth, file) in files.iter().enumerate().rev() {
        total += file.length;
        let is_over = files.get(nth + 1).is_some_and(|next| next.first < since);
        if total > bytes || is_over {
            break;
        }
        chosen.push(file.path.clone());
    }
    chosen.reverse();
    Ok(chosen)
}

/// All trace files in order of time.
fn files(directory: &Path) -> io::Result<Vec<Trace>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let nanos = name.to_str().and_then(|name| name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?.parse().ok());
        // One that was deleted meanwhile is no failure.
        if let (Some(nanos), Ok(meta)) = (nanos, entry.metadata()) {
            files.push(Trace { first: PacketTime::from_nanos(nanos), path: entry.path(), length: meta.len() });
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1_024;

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    fn fill(rolling: &mut Rolling, seconds: impl Iterator<Item = i64>) {
        for second in seconds {
            let roll = rolling.roll(KIB);
            rolling.write(roll, at(second), &[7; KIB]).expect("written");
        }
    }

    #[test]
    fn files_are_begun_anew_and_the_oldest_goes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut rolling = Rolling::open(folder.path(), 64 * KIB as u64, Span::from_secs(86_400)).expect("opened");
        fill(&mut rolling, 0..200);
        let (bytes, oldest) = rolling.prune(at(200)).expect("pruned");
        assert_eq!(bytes, 64 * KIB as u64);
        assert_eq!(oldest, Some(at(136)), "64 of 200 records of a kibibyte are kept, eight a file");
        assert_eq!(files(folder.path()).expect("files").len(), 8);
    }

    #[test]
    fn what_is_too_old_goes_but_for_the_file_that_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut rolling = Rolling::open(folder.path(), 64 * KIB as u64, Span::from_secs(100)).expect("opened");
        fill(&mut rolling, 0..20);
        assert_eq!(rolling.prune(at(115)).expect("pruned"), (12 * KIB as u64, Some(at(8))), "the second file goes on until 16");
        assert_eq!(rolling.prune(at(1_000)).expect("pruned"), (4 * KIB as u64, Some(at(16))));
    }

    #[test]
    fn a_file_that_somebody_took_away_is_not_written_to_any_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut rolling = Rolling::open(folder.path(), 64 * KIB as u64, Span::from_secs(100)).expect("opened");
        fill(&mut rolling, 0..2);
        let taken = files(folder.path()).expect("files").remove(0).path;
        fs::remove_file(&taken).expect("removed");
        assert_eq!(rolling.prune(at(2)).expect("pruned"), (0, None));
        fill(&mut rolling, 2..4);
        assert_eq!(rolling.prune(at(4)).expect("pruned"), (2 * KIB as u64, Some(at(2))));
    }

    #[test]
    fn the_newest_files_are_chosen_by_size_and_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut rolling = Rolling::open(folder.path(), 64 * KIB as u64, Span::from_secs(100)).expect("opened");
        fill(&mut rolling, 0..24);
        assert_eq!(paths(folder.path(), u64::MAX, PacketTime::MIN).expect("paths").len(), 3);
        assert_eq!(paths(folder.path(), 16 * KIB as u64, PacketTime::MIN).expect("paths").len(), 2);
        assert_eq!(paths(folder.path(), u64::MAX, at(17)).expect("paths").len(), 1);
    }

    #[test]
    fn nobody_else_reads_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("a/traces");
        let mut rolling = Rolling::open(&directory, 64 * KIB as u64, Span::from_secs(100)).expect("opened");
        fill(&mut rolling, 0..1);
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&files(&directory).expect("files")[0].path), 0o600);
    }
}
