//! From what was named on the command line to files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::capture::error::CaptureError;
use crate::capture::file::input::Input;

/// An input and whether it was named or found in a directory.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// Named by the person who asked: it ought to be a capture.
    Named(Input),
    /// A file of a directory that was named.
    InDirectory(Input),
}

impl Found {
    pub(super) fn input(&self) -> &Input {
        match self {
            Self::Named(input) | Self::InDirectory(input) => input,
        }
    }
}

/// Replaces each directory by the files in it, sorted by name; subdirectories are left alone.
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<Found>, CaptureError> {
    let mut found = Vec::new();
    for path in paths {
        let input = Input::new(path);
        if input != Input::Stdin && path.is_dir() {
            let files = files_in(path).map_err(|source| CaptureError::Open { file: path.display().to_string(), source })?;
            found.extend(files.iter().map(|file| Found::InDirectory(Input::new(file))));
        } else {
            found.push(Found::Named(input));
        }
    }
    Ok(found)
}

fn files_in(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
