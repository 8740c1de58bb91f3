//! The lines of a header block, folded ones joined.

use super::headers::{HeaderName, Spelling};
use super::text::{find, find_far, from, is_token, trim, trim_end};
use std::ops::Range;

/// One logical line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Line<'a> {
    /// A header: which one if it is known, its name, and its value trimmed.
    Field { header: Option<HeaderName>, name: &'a [u8], value: &'a [u8] },
    /// Something without a colon or with a name that cannot be one.
    Odd,
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
    match find_far(from(bytes, start), b'\n') {
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

    /// Where the line ends in `rest` that begins at `start`, its LF not included.
    #[inline]
    fn line_end(&mut self, rest: &[u8], start: usize) -> usize {
        let Some(length) = find_far(from(rest, start), b'\n') else { return rest.len() };
        let end = start + length;
        self.lone_lf |= end == 0 || rest.get(end - 1) != Some(&b'\r');
        end
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    // Inlined so that the line is taken apart in registers: this is called for each line of each message.
    #[inline(always)]
    fn next(&mut self) -> Option<Line<'a>> {
        let rest = from(self.bytes, self.position);
        let line_end = match rest {
            [] => return None,
            [b'\n', ..] => {
                self.lone_lf = true;
                Some(1)
            }
            [b'\r', b'\n', ..] => Some(2),
            _ => None,
        };
        if let Some(length) = line_end {
            self.position += length;
            return Some(Line::Blank);
        }
        let colon = rest.first_chunk().and_then(HeaderName::at);
        // A name that is known to be one has no line end in it.
        let name = match colon {
            Some((Spelling::Usual(_) | Spelling::Foreign, length)) => length,
            _ => 0,
        };
        let mut end = self.line_end(rest, name);
        // A line that begins with white space continues the one before.
        while let Some(b' ' | b'\t') = rest.get(end + 1) {
            end = self.line_end(rest, end + 1);
        }
        self.position += rest.len().min(end + 1);
        let line = rest.get(..end).unwrap_or_default();
        let (spelling, colon) = colon.map_or_else(|| (Spelling::Unclear, find(line, b':')), |(spelling, length)| (spelling, Some(length)));
        let Some((name, value @ [_, ..])) = colon.and_then(|colon| line.split_at_checked(colon)) else { return Some(Line::Odd) };
        Some(match spelling {
            Spelling::Usual(header) => Line::Field { header: Some(header), name, value: trim_value(value) },
            Spelling::Foreign => Line::Field { header: None, name, value: trim_value(value) },
            Spelling::Unclear => unclear_field(name, value),
        })
    }
}

/// The value behind a colon without white space at both ends. Nearly all have one space before them and CR behind.
#[inline]
fn trim_value(value: &[u8]) -> &[u8] {
    match value {
        [b':', b' ', value @ .., b'\r']
            if value.first().is_some_and(|byte| *byte > b' ') && value.last().is_some_and(|byte| *byte > b' ') =>
        {
            value
        }
        _ => trim(from(value, 1)),
    }
}

/// A field whose name is spelt in some other way. White space may stand before the colon.
#[inline(never)]
fn unclear_field<'a>(name: &'a [u8], value: &'a [u8]) -> Line<'a> {
    let name = trim_end(name);
    let header = HeaderName::from_bytes(name);
    if header.is_some() || is_token(name) { Line::Field { header, name, value: trim_value(value) } } else { Line::Odd }
}

/// Where `part`, a slice of `whole`, begins in it.
pub(super) fn offset_in(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr())
}
