//! Finding the session description in a body, RFC 2046 §5.1.

use super::headers::HeaderName;
use super::lines::{Line, Lines};
use super::text::{from, param, split_at, trim};
use memchr::memmem;

/// Longest boundary that RFC 2046 allows.
const MAX_BOUNDARY: usize = 70;

/// The session description in a body of that type. Without a type, a body that begins like one is one.
pub(super) fn find_sdp<'a>(content_type: Option<&'a [u8]>, body: &'a [u8]) -> Option<&'a [u8]> {
    let Some(content_type) = content_type else { return body.starts_with(b"v=0").then_some(body) };
    let (media_type, params) = split_at(content_type, b';');
    if is_sdp(media_type) {
        return (!body.is_empty()).then_some(body);
    }
    let is_multipart = trim(media_type).get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"));
    let boundary = param(params.unwrap_or_default(), "boundary").filter(|boundary| (1..=MAX_BOUNDARY).contains(&boundary.len()))?;
    if is_multipart { Parts::new(body, boundary).find_map(sdp_of_part) } else { None }
}

fn is_sdp(media_type: &[u8]) -> bool {
    trim(media_type).eq_ignore_ascii_case(b"application/sdp")
}

/// The content of a part that is a session description.
fn sdp_of_part(part: &[u8]) -> Option<&[u8]> {
    let mut lines = Lines::new(part, 0);
    let mut found = false;
    while let Some(line) = lines.next() {
        match line {
            Line::Field { header: Some(HeaderName::ContentType), value, .. } => found = is_sdp(split_at(value, b';').0),
            Line::Blank => return found.then(|| from(part, lines.offset())),
            Line::Field { .. } | Line::Odd => {}
        }
    }
    None
}

/// The parts between `--boundary` delimiters, each from behind the delimiter line.
struct Parts<'a> {
    rest: &'a [u8],
    boundary: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Skips the preamble.
    fn new(body: &'a [u8], boundary: &'a [u8]) -> Self {
        let mut parts = Self { rest: body, boundary };
        parts.next();
        parts
    }

    /// Where the next delimiter begins: `--`, the boundary, at the start of a line.
    fn find_delimiter(&self) -> Option<usize> {
        memmem::find_iter(self.rest, self.boundary)
            .filter_map(|index| index.checked_sub(2))
            .find(|&start| self.rest.get(start..start + 2) == Some(b"--") && (start == 0 || self.rest.get(start - 1) == Some(&b'\n')))
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.find_delimiter();
        let part = self.rest.get(..end.unwrap_or(self.rest.len()))?;
        let behind = end.map_or(&[][..], |end| from(self.rest, end + 2 + self.boundary.len()));
        self.rest = if behind.starts_with(b"--") { &[] } else { split_at(behind, b'\n').1.unwrap_or_default() };
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::find_sdp;

    const MIXED: &[u8] = b"multipart/mixed; boundary=\"b1\"";

    #[test]
    fn the_whole_body_is_one_or_there_is_none() {
        assert_eq!(find_sdp(Some(b"Application/SDP;charset=x"), b"v=0\r\n"), Some(&b"v=0\r\n"[..]));
        assert_eq!(find_sdp(None, b"v=0\r\n"), Some(&b"v=0\r\n"[..]));
        assert_eq!(find_sdp(None, b"hello"), None);
        assert_eq!(find_sdp(Some(b"text/plain"), b"v=0\r\n"), None);
        assert_eq!(find_sdp(Some(b"application/sdp"), b""), None);
    }

    #[test]
    fn a_part_is_found_behind_a_preamble_and_parts_of_other_types() {
        let body = b"preamble --b1\r\n--b1\r\n\r\nv=1\r\n--b1 \r\nc: application/sdp\r\n\r\nv=0\r\n--b1--\r\nrest";
        assert_eq!(find_sdp(Some(MIXED), body), Some(&b"v=0\r\n"[..]));
    }

    #[test]
    fn without_a_part_boundary_or_end_nothing_is_made_up() {
        assert_eq!(find_sdp(Some(MIXED), b"--b1\r\nContent-Type: text/plain\r\n\r\nv=0\r\n--b1--"), None);
        assert_eq!(find_sdp(Some(b"multipart/mixed"), b"--b1\r\nContent-Type: application/sdp\r\n\r\nv=0"), None);
        assert_eq!(find_sdp(Some(MIXED), b""), None);
        assert_eq!(find_sdp(Some(MIXED), b"--b1--\r\nContent-Type: application/sdp\r\n\r\nv=0"), None);
    }

    #[test]
    fn a_body_that_was_cut_gives_what_is_there_of_the_part() {
        let body = b"--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\no=";
        assert_eq!(find_sdp(Some(MIXED), body), Some(&b"v=0\r\no="[..]));
    }
}
