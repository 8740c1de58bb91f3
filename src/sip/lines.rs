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
    /// All bytes, however many came before.
    length: usize,
    /// What the line begins with that was given last.
    last: &'a [u8],
    rest: &'a [u8],
    lone_lf: bool,
}

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        let rest = from(bytes, position);
        Self { length: bytes.len(), last: rest, rest, lone_lf: false }
    }

    /// Where the next line begins.
    pub(super) fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    /// Where the line begins that was given last.
    pub(super) fn last_offset(&self) -> usize {
        self.length - self.last.len()
    }

    /// Whether a line so far ended with LF alone.
    pub(super) fn saw_lone_lf(&self) -> bool {
        self.lone_lf
    }

    /// The next line if it is a known header written as nearly all are; most headers with a name that nobody knows are passed over.
    // Inlined so that lines are taken apart in registers: this is where each line of each message is read.
    #[inline(always)]
    pub(super) fn next_usual(&mut self) -> Option<(HeaderName, &'a [u8])> {
        let mut rest = self.rest;
        while let Some((line, behind)) = UsualLine::split(rest) {
            if let Some(header) = line.header {
                let Some(value) = line.value() else { break };
                self.rest = behind;
                return Some((header, value));
            }
            rest = behind;
        }
        self.rest = rest;
        None
    }

    /// The next line, of which anything may be unusual.
    #[inline(never)]
    pub(super) fn other_line(&mut self) -> Option<Line<'a>> {
        let rest = self.rest;
        self.last = rest;
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
            self.rest = from(rest, length);
            return Some(Line::Blank);
        }
        let mut end = self.line_end(0);
        // A line that begins with white space continues the one before.
        while let Some(b' ' | b'\t') = rest.get(end + 1) {
            end = self.line_end(end + 1);
        }
        self.rest = from(rest, end + 1);
        let line = rest.get(..end).unwrap_or_default();
        let Some((name, value @ [_, ..])) = find(line, b':').and_then(|colon| line.split_at_checked(colon)) else { return Some(Line::Odd) };
        let name = trim_end(name);
        let header = HeaderName::from_bytes(name);
        let is_field = header.is_some() || is_token(name);
        Some(if is_field { Line::Field { header, name, value: trim(from(value, 1)) } } else { Line::Odd })
    }

    /// Where the line ends that begins at `start` of the rest, its LF not included.
    fn line_end(&mut self, start: usize) -> usize {
        let Some(length) = find_far(from(self.rest, start), b'\n') else { return self.rest.len() };
        let end = start + length;
        self.lone_lf |= end == 0 || self.rest.get(end - 1) != Some(&b'\r');
        end
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let usual = UsualLine::split(self.rest).and_then(|(line, behind)| Some((line, line.value()?, behind)));
        let Some((line, value, behind)) = usual else { return self.other_line() };
        self.last = std::mem::replace(&mut self.rest, behind);
        Some(Line::Field { header: line.header, name: line.name(), value })
    }
}

/// A line as nearly all are written: the name as the registry has it or unknown there, a colon, anything, CR LF, and no continuation.
#[derive(Clone, Copy)]
struct UsualLine<'a> {
    header: Option<HeaderName>,
    /// Without CR LF.
    text: &'a [u8],
    colon: usize,
}

impl<'a> UsualLine<'a> {
    /// The line that `rest` begins with, and what is behind it; nothing if it is unusual, or the last.
    #[inline(always)]
    fn split(rest: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (spelling, colon) = HeaderName::at(rest.first_chunk()?)?;
        let header = match spelling {
            Spelling::Usual(header) => Some(header),
            Spelling::Foreign => None,
            Spelling::Unclear => return None,
        };
        // Such a name has no line end in it.
        let end = colon + find_far(from(rest, colon), b'\n')?;
        let (line, behind) = rest.split_at_checked(end + 1)?;
        let ([text @ .., b'\r', b'\n'], [next, ..]) = (line, behind) else { return None };
        (!matches!(next, b' ' | b'\t')).then_some((Self { header, text, colon }, behind))
    }

    fn name(self) -> &'a [u8] {
        self.text.get(..self.colon).unwrap_or_default()
    }

    /// The value, if there is one, with one space before it and no other white space at its ends.
    #[inline(always)]
    fn value(self) -> Option<&'a [u8]> {
        let [b':', b' ', value @ ..] = from(self.text, self.colon) else { return None };
        let ([first, ..], [.., last]) = (value, value) else { return None };
        (*first > b' ' && *last > b' ').then_some(value)
    }
}

/// Where `part`, a slice of `whole`, begins in it.
pub(super) fn offset_in(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Header blocks of lines as nearly all are and of others.
    fn block() -> impl Strategy<Value = String> {
        let lines = vec![
            "Call-ID: 4711@pbx.example.com\r\n",
            "X-Own-Header: something or other\r\n",
            "To: a\r\n",
            "f: <sip:a@b>;tag=1\r\n",
            "Via : SIP/2.0/UDP a\r\n",
            "CONTACT:<sip:a@b>\r\n",
            "X_Own: 1 \r\n",
            "Subject:\r\n",
            "Subject:  two spaces\r\n",
            "Subject: a fold\r\n behind it\r\n",
            "X-Own: a fold\r\n\tbehind it\r\n",
            "P-Preferred-Identity: <sip:a@b>\r\n",
            "Expires: 60\n",
            "Expires: 60\r\r\n",
            "no header at all\r\n",
            "X Own: 1\r\n",
            ": 1\r\n",
            "\r\n",
            "\n",
            "Date: the bytes end he",
        ];
        prop::collection::vec(prop::sample::select(lines), 0..8).prop_map(|lines| lines.concat())
    }

    /// All lines read by the close look, and whether one of them ended with LF alone.
    fn close_look(bytes: &[u8]) -> (Vec<(usize, Line<'_>)>, bool) {
        let mut lines = Lines::new(bytes, 0);
        let read = std::iter::from_fn(|| lines.other_line().map(|line| (lines.last_offset(), line))).collect();
        (read, lines.saw_lone_lf())
    }

    /// A header and its value, or another line; nothing if nobody knows the header.
    fn without_name(line: Line<'_>) -> Option<Result<(HeaderName, &[u8]), Line<'_>>> {
        match line {
            Line::Field { header, value, .. } => header.map(|header| Ok((header, value))),
            other => Some(Err(other)),
        }
    }

    proptest! {
        #[test]
        fn the_quick_look_sees_what_the_close_look_sees(block in block()) {
            let (all, lone_lf) = close_look(block.as_bytes());
            let mut lines = Lines::new(block.as_bytes(), 0);
            let quick: Vec<_> = std::iter::from_fn(|| lines.next().map(|line| (lines.last_offset(), line))).collect();
            prop_assert_eq!((&quick, lines.saw_lone_lf()), (&all, lone_lf));

            let known: Vec<_> = all.into_iter().filter_map(|(_, line)| without_name(line)).collect();
            let mut lines = Lines::new(block.as_bytes(), 0);
            let quick = std::iter::from_fn(|| match lines.next_usual() {
                Some(usual) => Some(Some(Ok(usual))),
                None => lines.other_line().map(without_name),
            });
            prop_assert_eq!(quick.flatten().collect::<Vec<_>>(), known);
            prop_assert_eq!((lines.saw_lone_lf(), lines.offset()), (lone_lf, block.len()));
        }
    }

    #[test]
    fn a_line_is_known_by_its_name_and_trimmed() {
        let mut lines = Lines::new(b"To: a b\r\nX-Own-Header: 1\r\nSubject:\r\n  folded \r\n\r\nbody", 0);
        let field = |header, name, value| Some(Line::Field { header, name, value });
        assert_eq!(lines.next(), field(Some(HeaderName::To), b"To", b"a b"));
        assert_eq!(lines.next(), field(None, b"X-Own-Header", b"1"));
        assert_eq!(lines.next(), field(Some(HeaderName::Subject), b"Subject", b"folded"));
        assert_eq!((lines.next(), lines.offset()), (Some(Line::Blank), 49));
    }
}
