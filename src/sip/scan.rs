//! Where things are in a message: one pass over its lines, nothing allocated, nothing borrowed.
//!
//! A [`Scan`] travels beside the bytes it was made from; [`Message`](super::message::Message) puts both together again. It keeps the
//! place of the first value of each header that tracking reads from most messages, and which others are there at all, so that the rare
//! ones are looked for only where they are.

use super::anomaly::{Anomalies, Anomaly};
use super::headers::{Address, CSeq, HeaderName, HeaderSet, Via};
use super::lines::{Ending, Line, Lines, leading_line_ends, offset_in, physical};
use super::method::Method;
use super::plain;
use super::start_line::{self, StartLine};
pub use super::start_line::{Kind, looks_like_start_line};
use super::text::{Elements, decimal, from, saturated};
use std::ops::Range;

/// Start line and headers are read up to here. Places in them are kept in 16 bits; a UDP datagram is no longer, and no header block that
/// a phone or a proxy takes comes near.
pub const MAX_HEAD: usize = u16::MAX as usize;

/// How the bytes of a message came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Context {
    /// With an end of their own: a datagram, an SCTP or WebSocket message. The first message in it is read.
    Datagram,
    /// Cut from a stream by [`framing`](super::framing), where only Content-Length says how long the body is.
    Stream,
}

/// A place in the first [`MAX_HEAD`] bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Place {
    start: u16,
    len: u16,
}

impl Place {
    /// The place of a range, which must lie within [`MAX_HEAD`].
    fn of(range: Range<usize>) -> Self {
        Self { start: range.start as u16, len: (range.end - range.start) as u16 }
    }

    /// The place of `part`, a slice of `head`; nowhere if it is empty.
    fn within(head: &[u8], part: &[u8]) -> Self {
        if part.is_empty() {
            return Self::default();
        }
        let start = offset_in(head, part);
        Self::of(start..start + part.len())
    }

    fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.start) + usize::from(self.len)
    }
}

/// Where the parts of a message are, and what is doubtful about its lines.
#[derive(Clone, Debug)]
pub struct Scan {
    kind: Kind,
    cseq: Option<CSeq>,
    content_length: Option<u32>,
    body_len: u32,
    consumed: u32,
    anomalies: Anomalies,
    present: HeaderSet,
    repeated: HeaderSet,
    /// Of From, To and Via: those whose first value has nothing wrong with it.
    plain: HeaderSet,
    via_count: u16,
    top_via: Place,
    branch: Place,
    from_tag: Place,
    to_tag: Place,
    method: Place,
    target: Place,
    headers: Place,
    body_start: u16,
    slots: [Place; HeaderName::SLOTS],
}

/// Reads the message that `bytes` begin with, behind any line ends; `None` only if there is no SIP start line.
pub fn scan(bytes: &[u8], context: Context) -> Option<Scan> {
    let head = bytes.get(..MAX_HEAD).unwrap_or(bytes);
    let first = physical(head, leading_line_ends(head));
    let start_line = start_line::parse(head, first.text)?;
    let mut scan = Scan::new(start_line);
    let mut lines = Lines::new(head, first.next);
    if matches!(first.ending, Ending::Lf) {
        scan.anomalies.insert(Anomaly::LfLineEnding);
    }
    scan.read_headers(head, &mut lines, bytes.len() > head.len());
    scan.read_values(head);
    scan.note_missing();
    scan.measure_body(bytes, context);
    Some(scan)
}

impl Scan {
    fn new(line: StartLine) -> Self {
        Self {
            kind: line.kind,
            cseq: None,
            content_length: None,
            body_len: 0,
            consumed: 0,
            anomalies: line.anomalies,
            present: HeaderSet::default(),
            repeated: HeaderSet::default(),
            plain: HeaderSet::default(),
            via_count: 0,
            top_via: Place::default(),
            branch: Place::default(),
            from_tag: Place::default(),
            to_tag: Place::default(),
            method: Place::of(line.method),
            target: Place::of(line.target),
            headers: Place::default(),
            body_start: 0,
            slots: [Place::default(); HeaderName::SLOTS],
        }
    }

    /// Walks the lines up to the empty one, a second start line, or the end of `head`, which was cut if `is_cut`.
    fn read_headers(&mut self, head: &[u8], lines: &mut Lines<'_>, is_cut: bool) {
        let start = lines.offset();
        let end = loop {
            while let Some((header, value)) = lines.next_usual() {
                self.take_field(head, header, value);
            }
            match lines.other_line() {
                Some(Line::Field { header: Some(header), value, .. }) => self.take_field(head, header, value),
                Some(Line::Field { header: None, .. }) => {}
                Some(Line::Odd) if start_line::parse(head, physical(head, lines.last_offset()).text).is_some() => {
                    self.anomalies.insert(Anomaly::StartLineInHeaders);
                    self.anomalies.insert(Anomaly::UnterminatedHeaders);
                    self.body_start = lines.last_offset() as u16;
                    break lines.last_offset();
                }
                Some(Line::Odd) => self.anomalies.insert(Anomaly::MalformedHeader),
                Some(Line::Blank) => {
                    self.body_start = lines.offset() as u16;
                    break lines.last_offset();
                }
                None => {
                    self.anomalies.insert(if is_cut { Anomaly::OversizedHeaders } else { Anomaly::UnterminatedHeaders });
                    self.body_start = head.len() as u16;
                    break head.len();
                }
            }
        };
        self.headers = Place::of(start..end);
        if lines.saw_lone_lf() {
            self.anomalies.insert(Anomaly::LfLineEnding);
        }
    }

    /// Notes where a header is. What it says is read when all are found, so that this stays a short way for each line.
    #[inline]
    fn take_field(&mut self, head: &[u8], header: HeaderName, value: &[u8]) {
        if self.present.contains(header) {
            return self.take_repeated(head, header, value);
        }
        self.present.insert(header);
        if let Some(slot) = self.slots.get_mut(header as usize) {
            let start = offset_in(head, value);
            *slot = Place::of(start..start + value.len());
        }
    }

    /// Notes a header that was there before; its first value counts.
    fn take_repeated(&mut self, head: &[u8], header: HeaderName, value: &[u8]) {
        if header == HeaderName::Via {
            if !self.repeated.contains(header) {
                self.read_first(head, header, Self::take_via);
            }
            self.take_via(head, value);
        } else if is_single(header) {
            self.anomalies.insert(Anomaly::DuplicateHeader);
        }
        self.repeated.insert(header);
    }

    /// Reads the values that tell which message this is.
    fn read_values(&mut self, head: &[u8]) {
        if !self.repeated.contains(HeaderName::Via) {
            self.read_first(head, HeaderName::Via, Self::take_via);
        }
        self.read_first(head, HeaderName::From, |scan, head, value| scan.from_tag = scan.take_address(head, HeaderName::From, value));
        self.read_first(head, HeaderName::To, |scan, head, value| scan.to_tag = scan.take_address(head, HeaderName::To, value));
        self.read_first(head, HeaderName::CSeq, Self::take_cseq);
        self.read_first(head, HeaderName::ContentLength, |scan, _, value| scan.take_content_length(value));
    }

    /// Reads the first value of a header if it is there.
    #[inline]
    fn read_first(&mut self, head: &[u8], header: HeaderName, read: impl FnOnce(&mut Self, &[u8], &[u8])) {
        if let Some(value) = self.place(header).and_then(|place| head.get(place)) {
            read(self, head, value);
        }
    }

    /// Counts the Vias of a line. The first of all that is not empty is the top one.
    fn take_via(&mut self, head: &[u8], value: &[u8]) {
        if self.top_via != Place::default() {
            self.via_count = self.via_count.saturating_add(count_elements(value));
        } else if let Some(plain) = plain::via(head, value) {
            self.via_count = self.via_count.saturating_add(1);
            self.plain.insert(HeaderName::Via);
            self.top_via = Place::within(head, value);
            self.branch = Place::within(head, plain.branch);
        } else {
            self.via_count = self.via_count.saturating_add(count_elements(value));
            if let Some(top) = Elements::new(value).find(|element| !element.is_empty()) {
                self.top_via = Place::within(head, top);
                self.branch = Place::within(head, Via::parse(top).branch.unwrap_or_default());
            }
        }
    }

    /// The tag of an address.
    fn take_address(&mut self, head: &[u8], header: HeaderName, value: &[u8]) -> Place {
        match plain::address(head, value) {
            Some(plain) => {
                self.plain.insert(header);
                Place::within(head, plain.tag)
            }
            None => Place::within(head, Address::parse(value).tag.unwrap_or_default()),
        }
    }

    fn take_cseq(&mut self, head: &[u8], value: &[u8]) {
        let Some((cseq, number, name)) = CSeq::parse(value) else { return self.anomalies.insert(Anomaly::BadCseq) };
        if number >= 1 << 31 {
            self.anomalies.insert(Anomaly::CseqOverflow);
        }
        if matches!(self.kind, Kind::Request(_)) && head.get(self.method.range()) != Some(name) {
            self.anomalies.insert(Anomaly::CseqMethodMismatch);
        }
        self.cseq = Some(cseq);
    }

    fn take_content_length(&mut self, value: &[u8]) {
        self.content_length = decimal(value).map(saturated);
        if self.content_length.is_none() {
            self.anomalies.insert(Anomaly::ContentLengthInvalid);
        }
    }

    fn note_missing(&mut self) {
        const MANDATORY: [(HeaderName, Anomaly); 5] = [
            (HeaderName::Via, Anomaly::MissingVia),
            (HeaderName::From, Anomaly::MissingFrom),
            (HeaderName::To, Anomaly::MissingTo),
            (HeaderName::CallId, Anomaly::MissingCallId),
            (HeaderName::CSeq, Anomaly::MissingCseq),
        ];
        for (header, anomaly) in MANDATORY {
            // The place of what is not there is empty too.
            if self.slots.get(header as usize).is_none_or(|place| place.len == 0) {
                self.anomalies.insert(anomaly);
            }
        }
    }

    /// Tells body and what follows it apart. Bytes behind the body belong to this message unless they begin another one.
    fn measure_body(&mut self, bytes: &[u8], context: Context) {
        let start = usize::from(self.body_start);
        let available = bytes.len() - start;
        let announced = self.content_length.map(|length| length as usize);
        let body_len = match (announced, context) {
            _ if self.anomalies.contains(Anomaly::StartLineInHeaders) => 0,
            (Some(length), _) => length.min(available),
            (None, Context::Datagram) => available,
            (None, Context::Stream) => 0,
        };
        if announced.is_some_and(|length| length > available) {
            self.anomalies.insert(Anomaly::ContentLengthMismatch);
        }
        if context == Context::Stream && !self.present.contains(HeaderName::ContentLength) {
            self.anomalies.insert(Anomaly::ContentLengthMissing);
        }
        let rest = from(bytes, start + body_len);
        self.body_len = saturated(body_len as u64);
        self.consumed = saturated(bytes.len() as u64);
        if rest.is_empty() {
            return;
        }
        self.consumed = saturated((bytes.len() - if looks_like_start_line(rest) { rest.len() } else { 0 }) as u64);
        if self.consumed as usize == bytes.len() && leading_line_ends(rest) < rest.len() {
            self.anomalies.insert(Anomaly::ExcessBytes);
            self.anomalies.insert(Anomaly::ContentLengthMismatch);
        }
    }

    /// How many bytes are accounted for by this message: up to the next start line, or all. Excess is included, see
    /// [`Anomaly::ExcessBytes`].
    pub fn consumed(&self) -> usize {
        self.consumed as usize
    }

    /// What the message is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What is doubtful about start line, lines and length; [`Message::anomalies`](super::message::Message::anomalies) looks at the
    /// values too.
    pub fn anomalies(&self) -> Anomalies {
        self.anomalies
    }

    pub(super) fn cseq(&self) -> Option<CSeq> {
        self.cseq
    }

    pub(super) fn method(&self) -> Method {
        match self.kind {
            Kind::Request(method) => method,
            Kind::Response(_) => self.cseq.map_or(Method::Other, |cseq| cseq.method),
        }
    }

    pub(super) fn content_length(&self) -> Option<u32> {
        self.content_length
    }

    pub(super) fn via_count(&self) -> u16 {
        self.via_count
    }

    pub(super) fn top_via_place(&self) -> Range<usize> {
        self.top_via.range()
    }

    pub(super) fn branch_place(&self) -> Range<usize> {
        self.branch.range()
    }

    pub(super) fn tag_of_from(&self) -> Range<usize> {
        self.from_tag.range()
    }

    pub(super) fn tag_of_to(&self) -> Range<usize> {
        self.to_tag.range()
    }

    pub(super) fn method_place(&self) -> Range<usize> {
        self.method.range()
    }

    pub(super) fn target_place(&self) -> Range<usize> {
        self.target.range()
    }

    pub(super) fn headers_place(&self) -> Range<usize> {
        self.headers.range()
    }

    pub(super) fn body_place(&self) -> Range<usize> {
        let start = usize::from(self.body_start);
        start..start + self.body_len as usize
    }

    /// Where the first value of a header is that has a slot and is there.
    pub(super) fn place(&self, header: HeaderName) -> Option<Range<usize>> {
        self.slots.get(header as usize).filter(|_| self.has(header)).map(|place| place.range())
    }

    pub(super) fn has(&self, header: HeaderName) -> bool {
        self.present.contains(header)
    }

    /// The headers that are there.
    pub(super) fn present(&self) -> HeaderSet {
        self.present
    }

    /// Whether the first value of From, To or Via is one with nothing wrong.
    pub(super) fn is_plain(&self, header: HeaderName) -> bool {
        self.plain.contains(header)
    }

    pub(super) fn is_repeated(&self, header: HeaderName) -> bool {
        self.repeated.contains(header)
    }
}

/// How many elements a list has; a comma is rare enough to look for it first.
fn count_elements(list: &[u8]) -> u16 {
    if memchr::memchr(b',', list).is_none() {
        return 1;
    }
    u16::try_from(Elements::new(list).filter(|element| !element.is_empty()).count()).unwrap_or(u16::MAX)
}

/// Whether a header may stand once in a message (RFC 3261 §7.3.1 and the sections of the headers).
const fn is_single(header: HeaderName) -> bool {
    matches!(
        header,
        HeaderName::From
            | HeaderName::To
            | HeaderName::CallId
            | HeaderName::CSeq
            | HeaderName::MaxForwards
            | HeaderName::Expires
            | HeaderName::ContentLength
            | HeaderName::ContentType
            | HeaderName::SessionExpires
            | HeaderName::Event
            | HeaderName::MinExpires
            | HeaderName::Date
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SANE: &str =
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nf: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\ni: x\r\nCSeq: 1 OPTIONS\r\n";

    /// The anomalies, the body's length and what was consumed of a sane request with these headers and bytes behind it.
    fn read(rest: &str, context: Context) -> (Vec<Anomaly>, usize, usize) {
        let scan = scan(format!("{SANE}{rest}").as_bytes(), context).expect("has a start line");
        (scan.anomalies().iter().collect(), scan.body_place().len(), scan.consumed() - SANE.len())
    }

    #[test]
    fn a_scan_is_small_enough_to_travel() {
        assert!(size_of::<Scan>() <= 200);
    }

    #[test]
    fn a_datagram_is_its_message_up_to_the_next_start_line() {
        assert_eq!(read("l: 3\r\n\r\nabc", Context::Datagram), (vec![], 3, 11));
        assert_eq!(read("l: 3\r\n\r\nabc\r\n\r\n", Context::Datagram), (vec![], 3, 15), "line ends are no excess");
        assert_eq!(read("l: 3\r\n\r\nabc\r\nSIP/2.0 200 OK\r\n", Context::Datagram), (vec![], 3, 11));
        assert_eq!(read("\r\nabc", Context::Datagram), (vec![], 3, 5), "without a length the body is all there is");
    }

    #[test]
    fn a_length_that_is_wrong_is_told_and_the_message_kept() {
        let short = vec![Anomaly::ContentLengthMismatch, Anomaly::ExcessBytes];
        assert_eq!(read("l: 2\r\n\r\nabc", Context::Datagram), (short, 2, 11));
        assert_eq!(read("l: 9\r\n\r\nabc", Context::Datagram), (vec![Anomaly::ContentLengthMismatch], 3, 11));
        assert_eq!(read("l: 3x\r\n\r\nabc", Context::Datagram), (vec![Anomaly::ContentLengthInvalid], 3, 12));
    }

    #[test]
    fn a_stream_needs_a_length() {
        assert_eq!(read("l: 3\r\n\r\nabc", Context::Stream), (vec![], 3, 11));
        assert_eq!(read("\r\n", Context::Stream), (vec![Anomaly::ContentLengthMissing], 0, 2));
    }

    #[test]
    fn headers_that_do_not_end_are_read_as_far_as_they_go() {
        assert_eq!(read("l: 0\r\n", Context::Datagram), (vec![Anomaly::UnterminatedHeaders], 0, 6));
        let second = vec![Anomaly::StartLineInHeaders, Anomaly::UnterminatedHeaders];
        assert_eq!(read("l: 0\r\nBYE sip:a@b SIP/2.0\r\n\r\n", Context::Datagram), (second, 0, 6));
    }

    #[test]
    fn lines_of_other_shape_are_told() {
        assert_eq!(read("l: 0\n\r\n", Context::Datagram).0, [Anomaly::LfLineEnding]);
        assert_eq!(read("no colon\r\na b: c\r\n: d\r\nl: 0\r\n\r\n", Context::Datagram).0, [Anomaly::MalformedHeader]);
        assert_eq!(read("CSeq: 1 OPTIONS\r\nl: 0\r\n\r\n", Context::Datagram).0, [Anomaly::DuplicateHeader]);
        assert_eq!(read("Via: SIP/2.0/UDP h\r\nm: <sip:a@b>\r\nm: <sip:c@d>\r\nl: 0\r\n\r\n", Context::Datagram).0, []);
    }

    #[test]
    fn what_has_no_start_line_is_no_message() {
        for bytes in [&b""[..], b"\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"Via: SIP/2.0/UDP h\r\n\r\n"] {
            assert!(scan(bytes, Context::Datagram).is_none());
        }
    }
}
