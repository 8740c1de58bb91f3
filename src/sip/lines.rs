//! The lines of a header block, folded ones joined.

use super::text::{from, token_len, trim_end, trim_start};
use memchr::memchr;
use std::ops::Range;

/// One logical line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Line {
    /// A header: where its name and its value are, both trimmed.
    Field { name: Range<usize>, value: Range<usize> },
    /// Something without a colon or with a name that cannot be one.
    Odd(Range<usize>),
    /// The empty line behind the headers.
    Blank,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    CrLf,
    Lf,
    /// The bytes ran out.
    Cut,
}

/// One line as on the wire.
pub(super) struct Physical {
    pub(super) text: Range<usize>,
    pub(super) next: usize,
    pub(super) ending: Ending,
}

/// The line that begins at `start`.
#[inline]
pub(super) fn physical(bytes: &[u8], start: usize) -> Physical {
    match memchr(b'\n', from(bytes, start)) {
        Some(length) => {
            let end = start + length;
            let has_cr = length > 0 && bytes.get(end - 1) == Some(&b'\r');
            let ending = if has_cr { Ending::CrLf } else { Ending::Lf };
            Physical { text: start..end - usize::from(has_cr), next: end + 1, ending }
        }
        None => Physical { text: start..bytes.len(), next: bytes.len(), ending: Ending::Cut },
    }
}

/// How many CR and LF `bytes` begin with.
pub(super) fn leading_line_ends(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// Walks the logical lines from a position to the end of the bytes.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    position: usize,
    lone_lf: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position, lone_lf: false }
    }

    /// Where the next line begins.
    pub(super) fn offset(&self) -> usize {
        self.position
    }

    /// Whether a line so far ended with LF alone.
    pub(super) fn saw_lone_lf(&self) -> bool {
        self.lone_lf
    }

    /// The end of the logical line that begins at `start`; moves behind it. A line that begins with white space continues the one before.
    #[inline]
    fn advance(&mut self, start: usize) -> usize {
        let mut line = physical(self.bytes, start);
        let is_blank = line.text.is_empty();
        self.lone_lf |= line.ending == Ending::Lf;
        while !is_blank && matches!(self.bytes.get(line.next), Some(b' ' | b'\t')) {
            line = physical(self.bytes, line.next);
            self.lone_lf |= line.ending == Ending::Lf;
        }
        self.position = line.next;
        line.text.end
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    #[inline]
    fn next(&mut self) -> Option<Line> {
        let start = self.position;
        if start >= self.bytes.len() {
            return None;
        }
        let end = self.advance(start);
        Some(if start == end { Line::Blank } else { split_field(self.bytes, start..end) })
    }
}

/// Tells name and value of a logical line apart. White space may stand before the colon.
#[inline]
fn split_field(bytes: &[u8], line: Range<usize>) -> Line {
    let text = bytes.get(line.clone()).unwrap_or_default();
    let name_len = token_len(text);
    let [b':', value @ ..] = trim_start(from(text, name_len)) else { return Line::Odd(line) };
    if name_len == 0 {
        return Line::Odd(line);
    }
    let value = trim_start(value);
    let value_start = line.end - value.len();
    Line::Field { name: line.start..line.start + name_len, value: value_start..value_start + trim_end(value).len() }
}
