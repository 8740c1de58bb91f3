//! The committed captures.

use std::fs;
use std::path::{Path, PathBuf};

use super::capture::CaptureFile;

/// The folder of the cases.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps")
}

/// The capture of a case.
pub(crate) fn path(case: &str) -> PathBuf {
    root().join(case).join("input.pcap")
}

/// The capture of a case, read.
pub(crate) fn load(case: &str) -> CaptureFile {
    let path = path(case);
    CaptureFile::from_bytes(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The names of all cases, in order.
pub(crate) fn names() -> Vec<String> {
    let entries = fs::read_dir(root()).expect("pcaps can be read");
    let folders = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.join("input.pcap").is_file());
    let mut names: Vec<String> = folders.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    names.sort();
    assert!(!names.is_empty(), "there are no cases");
    names
}
