//! The names of headers, long and compact.

/// Declares the known headers: variant, name, compact form.
macro_rules! headers {
    ($($variant:ident = $name:literal $(/ $compact:literal)?,)+) => {
        /// A header that siphound knows by name.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum HeaderName { $(#[doc = concat!("`", $name, "`")] $variant,)+ }

        impl HeaderName {
            /// Every known header.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The long form as the registry writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The header of a compact form, lower case.
            const fn from_compact(letter: u8) -> Option<Self> {
                match letter { $($($compact => Some(Self::$variant),)?)+ _ => None }
            }
        }
    };
}

// The first `SLOTS` have a place of their own in each scan.
headers! {
    Via = "Via" / b'v',
    From = "From" / b'f',
    To = "To" / b't',
    CallId = "Call-ID" / b'i',
    CSeq = "CSeq",
    Contact = "Contact" / b'm',
    Expires = "Expires",
    ContentLength = "Content-Length" / b'l',
    ContentType = "Content-Type" / b'c',
    UserAgent = "User-Agent",
    Server = "Server",
    Authorization = "Authorization",
    ProxyAuthorization = "Proxy-Authorization",
    WwwAuthenticate = "WWW-Authenticate",
    ProxyAuthenticate = "Proxy-Authenticate",
    MaxForwards = "Max-Forwards",
    SessionExpires = "Session-Expires" / b'x',
    Reason = "Reason",
    Supported = "Supported" / b'k',
    Require = "Require",
    Event = "Event" / b'o',
    PAssertedIdentity = "P-Asserted-Identity",
    Route = "Route",
    RecordRoute = "Record-Route",
    Date = "Date",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    RetryAfter = "Retry-After",
    Warning = "Warning",
    Path = "Path",
    ServiceRoute = "Service-Route",
    FlowTimer = "Flow-Timer",
    SessionId = "Session-ID",
    ReferTo = "Refer-To" / b'r',
    ReferredBy = "Referred-By" / b'b',
    Replaces = "Replaces",
    PPreferredIdentity = "P-Preferred-Identity",
    RemotePartyId = "Remote-Party-ID",
    Privacy = "Privacy",
    XAsteriskHangupCause = "X-Asterisk-HangupCause",
    XAsteriskHangupCauseCode = "X-Asterisk-HangupCauseCode",
    Allow = "Allow",
    AllowEvents = "Allow-Events" / b'u',
    SubscriptionState = "Subscription-State",
    ContentEncoding = "Content-Encoding" / b'e',
    Subject = "Subject" / b's',
    AcceptContact = "Accept-Contact" / b'a',
    RejectContact = "Reject-Contact" / b'j',
    RequestDisposition = "Request-Disposition" / b'd',
    Identity = "Identity" / b'y',
    IdentityInfo = "Identity-Info" / b'n',
    XCallId = "X-Call-ID",
    XCid = "X-CID",
}

const _: () = assert!(HeaderName::ALL.len() <= 64, "presence is kept in 64 bits");

impl HeaderName {
    /// How many headers have a place of their own in each scan: those that tracking reads from most messages.
    pub(in crate::sip) const SLOTS: usize = Self::Date as usize;

    /// The header of that name, in whatever case, long or compact.
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        if let [letter] = name {
            return Self::from_compact(letter.to_ascii_lowercase());
        }
        if let Some(known) = Self::frequent(name) {
            return Some(known);
        }
        let initial = name.first()?.to_ascii_lowercase();
        Self::candidates(name.len(), initial).iter().copied().find(|known| {
            let known = known.as_str().as_bytes();
            known == name || known.eq_ignore_ascii_case(name)
        })
    }

    /// The headers that most messages have, written as most senders write them: a jump by length and one or two comparisons of words.
    #[inline]
    fn frequent(name: &[u8]) -> Option<Self> {
        Some(match name.len() {
            2 if name == b"To" => Self::To,
            3 if name == b"Via" => Self::Via,
            4 if name == b"From" => Self::From,
            4 if name == b"CSeq" => Self::CSeq,
            5 if name == b"Allow" => Self::Allow,
            6 if name == b"Server" => Self::Server,
            7 if name == b"Call-ID" => Self::CallId,
            7 if name == b"Contact" => Self::Contact,
            7 if name == b"Expires" => Self::Expires,
            9 if name == b"Supported" => Self::Supported,
            10 if name == b"User-Agent" => Self::UserAgent,
            12 if name == b"Max-Forwards" => Self::MaxForwards,
            12 if name == b"Content-Type" => Self::ContentType,
            13 if name == b"Authorization" => Self::Authorization,
            14 if name == b"Content-Length" => Self::ContentLength,
            _ => return None,
        })
    }

    /// The headers whose long form has that many bytes and begins with that letter.
    const fn candidates(length: usize, initial: u8) -> &'static [Self] {
        match (length, initial) {
            (2, b't') => &[Self::To],
            (3, b'v') => &[Self::Via],
            (4, b'c') => &[Self::CSeq],
            (4, b'd') => &[Self::Date],
            (4, b'f') => &[Self::From],
            (4, b'p') => &[Self::Path],
            (5, b'a') => &[Self::Allow],
            (5, b'e') => &[Self::Event],
            (5, b'r') => &[Self::Route],
            (5, b'x') => &[Self::XCid],
            (6, b'm') => &[Self::MinSe],
            (6, b'r') => &[Self::Reason],
            (6, b's') => &[Self::Server],
            (7, b'c') => &[Self::CallId, Self::Contact],
            (7, b'e') => &[Self::Expires],
            (7, b'p') => &[Self::Privacy],
            (7, b'r') => &[Self::Require],
            (7, b's') => &[Self::Subject],
            (7, b'w') => &[Self::Warning],
            (8, b'i') => &[Self::Identity],
            (8, b'r') => &[Self::ReferTo, Self::Replaces],
            (9, b's') => &[Self::Supported],
            (9, b'x') => &[Self::XCallId],
            (10, b'f') => &[Self::FlowTimer],
            (10, b's') => &[Self::SessionId],
            (10, b'u') => &[Self::UserAgent],
            (11, b'm') => &[Self::MinExpires],
            (11, b'r') => &[Self::RetryAfter, Self::ReferredBy],
            (12, b'a') => &[Self::AllowEvents],
            (12, b'c') => &[Self::ContentType],
            (12, b'm') => &[Self::MaxForwards],
            (12, b'r') => &[Self::RecordRoute],
            (13, b'a') => &[Self::Authorization],
            (13, b'i') => &[Self::IdentityInfo],
            (13, b's') => &[Self::ServiceRoute],
            (14, b'a') => &[Self::AcceptContact],
            (14, b'c') => &[Self::ContentLength],
            (14, b'r') => &[Self::RejectContact],
            (15, b'r') => &[Self::RemotePartyId],
            (15, b's') => &[Self::SessionExpires],
            (16, b'c') => &[Self::ContentEncoding],
            (16, b'w') => &[Self::WwwAuthenticate],
            (18, b'p') => &[Self::ProxyAuthenticate],
            (18, b's') => &[Self::SubscriptionState],
            (19, b'p') => &[Self::ProxyAuthorization, Self::PAssertedIdentity],
            (19, b'r') => &[Self::RequestDisposition],
            (20, b'p') => &[Self::PPreferredIdentity],
            (22, b'x') => &[Self::XAsteriskHangupCause],
            (26, b'x') => &[Self::XAsteriskHangupCauseCode],
            _ => &[],
        }
    }
}

/// A header to look for: a known one or any other by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Name<'n> {
    /// Found in all its forms.
    Known(HeaderName),
    /// Found in any case.
    Other(&'n str),
}

impl Name<'_> {
    /// Whether a header line has this name: `header` if it is known, `name` as written.
    pub(in crate::sip) fn matches(self, header: Option<HeaderName>, name: &[u8]) -> bool {
        match self {
            Self::Known(known) => header == Some(known),
            Self::Other(other) => other.as_bytes().eq_ignore_ascii_case(name),
        }
    }
}

impl From<HeaderName> for Name<'_> {
    fn from(name: HeaderName) -> Self {
        Self::Known(name)
    }
}

impl<'n> From<&'n str> for Name<'n> {
    fn from(name: &'n str) -> Self {
        HeaderName::from_bytes(name.as_bytes()).map_or(Self::Other(name), Self::Known)
    }
}

#[cfg(test)]
mod tests {
    use super::HeaderName;

    #[test]
    fn each_header_is_found_by_its_long_form_in_any_case() {
        for &header in HeaderName::ALL {
            assert_eq!(HeaderName::from_bytes(header.as_str().as_bytes()), Some(header));
            assert_eq!(HeaderName::from_bytes(header.as_str().to_uppercase().as_bytes()), Some(header));
            assert_eq!(HeaderName::from_bytes(header.as_str().to_lowercase().as_bytes()), Some(header));
        }
    }

    #[test]
    fn compact_forms_are_those_of_the_registry() {
        let registered = "a Accept-Contact b Referred-By c Content-Type d Request-Disposition e Content-Encoding f From i Call-ID \
             j Reject-Contact k Supported l Content-Length m Contact n Identity-Info o Event r Refer-To s Subject t To u Allow-Events \
             v Via x Session-Expires y Identity";
        let mut words = registered.split_whitespace();
        let mut count = 0;
        while let (Some(compact), Some(name)) = (words.next(), words.next()) {
            assert_eq!(HeaderName::from_bytes(compact.as_bytes()).map(HeaderName::as_str), Some(name));
            assert_eq!(HeaderName::from_bytes(compact.to_uppercase().as_bytes()).map(HeaderName::as_str), Some(name));
            count += 1;
        }
        assert_eq!((b'a'..=b'z').filter(|letter| HeaderName::from_bytes(&[*letter]).is_some()).count(), count);
    }

    #[test]
    fn other_names_are_unknown() {
        for name in ["", "Vi", "Viaa", "Call_ID", "X-CIDs", "g", "From "] {
            assert_eq!(HeaderName::from_bytes(name.as_bytes()), None, "{name}");
        }
    }
}
