//! A message, read where it lies.

use super::anomaly::{Anomalies, Anomaly};
use super::check;
use super::headers::{Address, CSeq, Challenge, Contact, Credentials, HeaderName, HeaderSet, Name, Reason, SessionExpires, Via, Warning};
use super::lines::{Line, Lines};
use super::method::Method;
use super::multipart;
use super::scan::Scan;
use super::sdp::Sdp;
pub use super::start_line::Kind;
use super::text::{self, Elements, decimal, split_at, trim};
use super::uri::Uri;
use std::net::IpAddr;
use std::ops::Range;

/// The bytes of a message and where things are in them. All accessors borrow from the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    scan: &'a Scan,
}

impl<'a> Message<'a> {
    /// Puts bytes and the scan made from them together. With other bytes the accessors give nonsense, never a panic.
    pub fn new(bytes: &'a [u8], scan: &'a Scan) -> Self {
        Self { bytes, scan }
    }

    /// All of it, with whatever follows the body without beginning another message.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes.get(..self.scan.consumed()).unwrap_or(self.bytes)
    }

    /// Request or response.
    pub fn kind(self) -> Kind {
        self.scan.kind()
    }

    /// The method of a request, or that which a response answers by its CSeq.
    pub fn method(self) -> Method {
        self.scan.method()
    }

    /// The name of [`Self::method`] as on the wire.
    pub fn method_name(self) -> &'a [u8] {
        match self.kind() {
            Kind::Request(_) => self.at(self.scan.method_place()),
            Kind::Response(_) => CSeq::parse(self.slot(HeaderName::CSeq)).map_or(&[], |(_, _, name)| name),
        }
    }

    /// The Request-URI of a request, without angle brackets.
    pub fn request_uri(self) -> Option<&'a [u8]> {
        matches!(self.kind(), Kind::Request(_)).then(|| self.at(self.scan.target_place()))
    }

    /// The reason phrase of a response; empty for a request.
    pub fn reason_phrase(self) -> &'a [u8] {
        match self.kind() {
            Kind::Request(_) => &[],
            Kind::Response(_) => self.at(self.scan.target_place()),
        }
    }

    /// The Call-ID; empty if missing.
    pub fn call_id(self) -> &'a [u8] {
        self.slot(HeaderName::CallId)
    }

    /// Number and method of CSeq.
    pub fn cseq(self) -> Option<CSeq> {
        self.scan.cseq()
    }

    /// Who asks.
    pub fn from(self) -> Address<'a> {
        Address::parse(self.slot(HeaderName::From))
    }

    /// Who is asked for.
    pub fn to(self) -> Address<'a> {
        Address::parse(self.slot(HeaderName::To))
    }

    /// The URI of From, for those who need no more of it.
    pub fn from_uri(self) -> Uri<'a> {
        Address::uri_of(self.slot(HeaderName::From))
    }

    /// The URI of To, for those who need no more of it.
    pub fn to_uri(self) -> Uri<'a> {
        Address::uri_of(self.slot(HeaderName::To))
    }

    /// The tag of From, if there is one.
    pub fn from_tag(self) -> Option<&'a [u8]> {
        Some(self.at(self.scan.tag_of_from())).filter(|tag| !tag.is_empty())
    }

    /// The tag of To, if there is one.
    pub fn to_tag(self) -> Option<&'a [u8]> {
        Some(self.at(self.scan.tag_of_to())).filter(|tag| !tag.is_empty())
    }

    /// The branch of the Via of the last hop; empty if missing.
    pub fn branch(self) -> &'a [u8] {
        self.at(self.scan.branch_place())
    }

    /// The Via of the last hop.
    pub fn top_via(self) -> Option<Via<'a>> {
        Some(self.at(self.scan.top_via_place())).filter(|via| !via.is_empty()).map(Via::parse)
    }

    /// The host of the Via of the last hop, as an address, and the port.
    pub fn top_sent_by(self) -> Option<(Option<IpAddr>, Option<u16>)> {
        let via = Some(self.at(self.scan.top_via_place())).filter(|via| !via.is_empty())?;
        let via = Via::without_params(via);
        Some((via.host_ip(), via.port))
    }

    /// The Via of the last hop as written, up to its parameters.
    pub fn top_via_head(self) -> Option<&'a [u8]> {
        Some(split_at(self.at(self.scan.top_via_place()), b';').0).filter(|via| !via.is_empty())
    }

    /// The value of Contact as written, if it stands on one line; empty if missing.
    pub fn only_contact(self) -> Option<&'a [u8]> {
        (!self.is_repeated(HeaderName::Contact)).then(|| self.header(HeaderName::Contact).unwrap_or_default())
    }

    /// How many Via values there are, several on a line counted.
    pub fn via_count(self) -> u16 {
        self.scan.via_count()
    }

    /// The Via values, that of the last hop first.
    pub fn vias(self) -> impl Iterator<Item = Via<'a>> {
        self.elements(HeaderName::Via).filter(|element| !element.is_empty()).map(Via::parse)
    }

    /// The contacts. A list element without a URI is left out.
    pub fn contacts(self) -> impl Iterator<Item = Contact<'a>> {
        self.elements(HeaderName::Contact).filter(|element| is_contact(element)).map(Contact::parse)
    }

    /// Seconds of the Expires header; saturates.
    pub fn expires(self) -> Option<u32> {
        self.seconds(HeaderName::Expires)
    }

    /// Seconds of Min-Expires; saturates.
    pub fn min_expires(self) -> Option<u32> {
        self.seconds(HeaderName::MinExpires)
    }

    /// Seconds of Min-SE; saturates.
    pub fn min_se(self) -> Option<u32> {
        self.seconds(HeaderName::MinSe)
    }

    /// Seconds of Retry-After; saturates.
    pub fn retry_after(self) -> Option<u32> {
        self.seconds(HeaderName::RetryAfter)
    }

    /// Max-Forwards; saturates.
    pub fn max_forwards(self) -> Option<u32> {
        self.seconds(HeaderName::MaxForwards)
    }

    /// Session-Expires.
    pub fn session_expires(self) -> Option<SessionExpires> {
        self.header(HeaderName::SessionExpires).and_then(SessionExpires::parse)
    }

    /// The first Authorization, else the first Proxy-Authorization.
    pub fn credentials(self) -> Option<Credentials<'a>> {
        let own = self.header(HeaderName::Authorization).map(|value| Credentials::parse(value, false));
        own.or_else(|| self.header(HeaderName::ProxyAuthorization).map(|value| Credentials::parse(value, true)))
    }

    /// Whether there are [credentials](Self::credentials).
    pub fn is_authorized(self) -> bool {
        self.scan.has(HeaderName::Authorization) || self.scan.has(HeaderName::ProxyAuthorization)
    }

    /// The challenges, of which the phone answers one: each WWW-Authenticate, then each Proxy-Authenticate.
    pub fn challenges(self) -> impl Iterator<Item = Challenge<'a>> {
        let own = self.headers(HeaderName::WwwAuthenticate).map(|value| Challenge::parse(value, false));
        own.chain(self.headers(HeaderName::ProxyAuthenticate).map(|value| Challenge::parse(value, true)))
    }

    /// User-Agent, else Server; empty if neither is there.
    pub fn user_agent(self) -> &'a [u8] {
        self.header(HeaderName::UserAgent).or_else(|| self.header(HeaderName::Server)).unwrap_or_default()
    }

    /// The first Reason.
    pub fn reason(self) -> Option<Reason<'a>> {
        self.reasons().next()
    }

    /// All Reasons.
    pub fn reasons(self) -> impl Iterator<Item = Reason<'a>> {
        self.elements(HeaderName::Reason).filter(|element| !element.is_empty()).map(Reason::parse)
    }

    /// The Q.850 cause: X-Asterisk-HangupCauseCode, else the Reason of that protocol.
    pub fn hangup_cause(self) -> Option<u16> {
        let code = self.header(HeaderName::XAsteriskHangupCauseCode).and_then(decimal).and_then(|code| u16::try_from(code).ok());
        code.or_else(|| self.reasons().find(|reason| reason.protocol.eq_ignore_ascii_case(b"Q.850")).and_then(|reason| reason.cause))
    }

    /// The event package of Event, without parameters; empty if missing.
    pub fn event(self) -> &'a [u8] {
        trim(split_at(self.header(HeaderName::Event).unwrap_or_default(), b';').0)
    }

    /// The first Warning.
    pub fn warning(self) -> Option<Warning<'a>> {
        self.elements(HeaderName::Warning).next().and_then(Warning::parse)
    }

    /// The URI of the first Path, which is the proxy nearest to the registrar (RFC 3327).
    pub fn path(self) -> Option<Uri<'a>> {
        self.elements(HeaderName::Path).next().map(|element| Address::parse(element).uri)
    }

    /// The URI of the last Record-Route, which is the proxy nearest to who receives the response (RFC 3261 §12.1.2).
    pub fn last_record_route(self) -> Option<Uri<'a>> {
        self.elements(HeaderName::RecordRoute).last().map(|element| Address::parse(element).uri)
    }

    /// The first P-Asserted-Identity (RFC 3325).
    pub fn p_asserted_identity(self) -> Option<Address<'a>> {
        self.elements(HeaderName::PAssertedIdentity).next().map(Address::parse)
    }

    /// Whether an option tag stands in a list header such as Require or Supported.
    pub fn has_option_tag<'n>(self, header: impl Into<Name<'n>>, tag: &[u8]) -> bool {
        self.headers(header).flat_map(Elements::new).any(|element| element.eq_ignore_ascii_case(tag))
    }

    /// The first value of a header, trimmed; it may be folded over lines, see [`text::unfold`].
    pub fn header<'n>(self, name: impl Into<Name<'n>>) -> Option<&'a [u8]> {
        let name = name.into();
        match name {
            Name::Known(known) if !self.scan.has(known) => None,
            Name::Known(known) if let Some(place) = self.scan.place(known) => self.bytes.get(place),
            _ => self.headers(name).next(),
        }
    }

    /// The values of a header line by line, compact forms included, each trimmed; they may be folded, see [`text::unfold`].
    pub fn headers<'n>(self, name: impl Into<Name<'n>>) -> Headers<'a, 'n> {
        let name = name.into();
        let block = self.scan.headers_place();
        let all = Lines::new(self.bytes.get(..block.end).unwrap_or_default(), block.start);
        let Name::Known(known) = name else { return Headers { name, first: None, rest: Some(all) } };
        match self.scan.place(known) {
            Some(place) => {
                let rest = Lines::new(self.bytes.get(..block.end).unwrap_or_default(), place.end);
                Headers { name, first: self.bytes.get(place), rest: self.scan.is_repeated(known).then_some(rest) }
            }
            None => Headers { name, first: None, rest: self.scan.has(known).then_some(all) },
        }
    }

    /// What follows the headers, as long as Content-Length says and bytes are there.
    pub fn body(self) -> &'a [u8] {
        let place = self.scan.body_place();
        self.bytes.get(place.start..place.end.min(self.bytes.len())).unwrap_or_default()
    }

    /// The session description, also from within a multipart body.
    pub fn sdp(self) -> Option<Sdp<'a>> {
        multipart::find_sdp(self.header(HeaderName::ContentType), self.body()).map(Sdp::parse)
    }

    /// Whether there is a session description.
    pub fn has_sdp(self) -> bool {
        multipart::find_sdp(self.header(HeaderName::ContentType), self.body()).is_some()
    }

    /// Whether the body is not as long as Content-Length says.
    pub fn has_other_length(self) -> bool {
        self.scan.anomalies().contains(Anomaly::ContentLengthMismatch)
    }

    /// Content-Length as written; saturates.
    pub fn content_length(self) -> Option<u32> {
        self.scan.content_length()
    }

    /// Everything doubtful about the message. Reads most values: ask once a message.
    pub fn anomalies(self) -> Anomalies {
        self.scan.anomalies().union(check::check(self))
    }

    /// Start line and headers.
    pub(super) fn head(self) -> &'a [u8] {
        self.bytes.get(..self.scan.headers_place().end).unwrap_or(self.bytes)
    }

    /// Those of `headers` that are there, each with its first value.
    pub(super) fn first_values(self, headers: HeaderSet) -> impl Iterator<Item = (HeaderName, &'a [u8])> {
        self.scan.present().common(headers).filter_map(move |header| Some((header, self.header(header)?)))
    }

    /// Whether a header is there.
    pub(super) fn has(self, header: HeaderName) -> bool {
        self.scan.has(header)
    }

    /// The elements of a list header over all its lines.
    pub(super) fn elements(self, header: HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.headers(header).flat_map(Elements::new)
    }

    /// Whether the first value of From, To or Via is known to have nothing wrong.
    pub(super) fn is_plain(self, header: HeaderName) -> bool {
        self.scan.is_plain(header)
    }

    /// Whether a header stands on more than one line.
    pub(super) fn is_repeated(self, header: HeaderName) -> bool {
        self.scan.is_repeated(header)
    }

    fn seconds(self, header: HeaderName) -> Option<u32> {
        self.header(header).and_then(text::seconds)
    }

    /// The first value of a header that has a slot; empty if missing.
    fn slot(self, header: HeaderName) -> &'a [u8] {
        self.scan.place(header).map_or(&[], |place| self.at(place))
    }

    fn at(self, place: Range<usize>) -> &'a [u8] {
        self.bytes.get(place).unwrap_or_default()
    }
}

/// Whether a list element can be a contact: it has a URI or is the star.
fn is_contact(element: &[u8]) -> bool {
    element == b"*" || element.contains(&b':')
}

/// The values of one header, in order.
#[derive(Clone, Debug)]
pub struct Headers<'a, 'n> {
    name: Name<'n>,
    first: Option<&'a [u8]>,
    rest: Option<Lines<'a>>,
}

impl<'a> Iterator for Headers<'a, '_> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        for line in self.rest.as_mut()? {
            if let Line::Field { header, name, value } = line
                && self.name.matches(header, name)
            {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::headers::Refresher;
    use crate::sip::scan::{Context, scan};

    /// Reads a response with these headers.
    fn with<T>(headers: &str, read: impl FnOnce(Message<'_>) -> T) -> T {
        let bytes = format!("SIP/2.0 401 Unauthorized\r\nCSeq: 2 REGISTER\r\n{headers}\r\n");
        let scan = scan(bytes.as_bytes(), Context::Datagram).expect("has a start line");
        read(Message::new(bytes.as_bytes(), &scan))
    }

    #[test]
    fn a_response_has_the_method_it_answers() {
        with("", |message| {
            assert_eq!(
                (message.kind(), message.method(), message.method_name()),
                (Kind::Response(401), Method::Register, &b"REGISTER"[..])
            );
            assert_eq!((message.request_uri(), message.reason_phrase()), (None, &b"Unauthorized"[..]));
        });
    }

    #[test]
    fn what_is_missing_is_empty_or_none() {
        with("", |message| {
            assert!(
                message.call_id().is_empty() && message.user_agent().is_empty() && message.event().is_empty() && message.body().is_empty()
            );
            assert!(
                message.top_via().is_none() && message.contacts().next().is_none() && message.sdp().is_none() && message.path().is_none()
            );
            assert!(message.credentials().is_none() && message.challenges().next().is_none() && message.hangup_cause().is_none());
            assert!(message.from().uri.is_empty() && message.from().tag.is_none());
        });
    }

    #[test]
    fn the_identity_is_that_of_the_first_values() {
        let identity = |headers| {
            with(headers, |message| {
                assert_eq!((message.from_tag(), message.to_tag()), (message.from().tag, message.to().tag));
                assert_eq!(message.top_via(), message.vias().next());
                message.branch().to_vec()
            })
        };
        assert_eq!(identity("Via: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2\r\nf: <sip:a@b>;tag=x\r\nf: c;tag=y\r\n"), b"1");
        assert_eq!(identity("Via:\r\nVia: ,SIP/2.0/UDP a;branch=1;BRANCH=\"2\"\r\nt: \"x\" <sip:a@b>; TAG = x ;tag=y\r\n"), b"2");
        assert_eq!(identity("Via: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b;branch=2\r\nt: <sip:a@b;tag=x>;tag=\r\n"), b"");
    }

    #[test]
    fn a_list_goes_on_over_lines_and_compact_forms() {
        with("m: <sip:a@b>, , <sip:c@d>\r\nX: y\r\nContact: <sip:e@f>;q=1\r\nCONTACT : *\r\n", |message| {
            let users: Vec<_> = message.contacts().map(|contact| contact.uri.user).collect();
            assert_eq!(users, [&b"a"[..], b"c", b"e", b""]);
            assert_eq!(message.headers("contact").count(), 3);
        });
    }

    #[test]
    fn headers_without_a_slot_and_unknown_ones_are_found() {
        with("X-Own: 1\r\nMin-Expires: 60\r\nx-own: 2\r\nPath: <sip:edge;lr>, <sip:core>\r\n", |message| {
            assert_eq!(message.headers("X-OWN").collect::<Vec<_>>(), [b"1", b"2"]);
            assert_eq!((message.min_expires(), message.retry_after()), (Some(60), None));
            assert_eq!(message.path().map(|uri| uri.host), Some(&b"edge"[..]));
        });
    }

    #[test]
    fn own_challenges_go_before_those_of_a_proxy() {
        let realms = |headers: &str| {
            let mut realms = Vec::new();
            with(headers, |message| {
                let named = message.challenges().map(|challenge| (String::from_utf8_lossy(challenge.realm).into_owned(), challenge.proxy));
                realms = named.collect();
            });
            realms
        };
        let proxy = "Proxy-Authenticate: Digest realm=\"p\", nonce=\"1\"\r\n";
        let own = |realm| format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"2\", algorithm=SHA-256\r\n");
        assert_eq!(realms(proxy), [("p".to_owned(), true)]);
        assert_eq!(
            realms(&format!("{proxy}{}{}", own("v"), own("w"))),
            [("v".to_owned(), false), ("w".to_owned(), false), ("p".to_owned(), true)]
        );
    }

    #[test]
    fn the_hangup_cause_is_that_of_q850() {
        with("Reason: SIP;cause=487, Q.850;cause=17\r\n", |message| {
            assert_eq!((message.hangup_cause(), message.reason().and_then(|reason| reason.cause)), (Some(17), Some(487)));
        });
        with("Reason: Q.850;cause=17\r\nX-Asterisk-HangupCauseCode: 16\r\n", |message| assert_eq!(message.hangup_cause(), Some(16)));
        with("Reason: SIP;cause=487\r\n", |message| assert_eq!(message.hangup_cause(), None));
    }

    #[test]
    fn timers_are_read() {
        with("x: 1800;refresher=uac\r\nExpires: 3600\r\nRetry-After: 120 (lunch);duration=60\r\n", |message| {
            let session = message.session_expires().map(|session| (session.seconds, session.refresher));
            assert_eq!(session, Some((1800, Some(Refresher::Uac))));
            assert_eq!((message.expires(), message.retry_after()), (Some(3600), Some(120)));
        });
    }
}
