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
        Self::of_length(name.len()).iter().copied().find(|known| known.as_str().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The headers whose long form has that many bytes, the frequent ones first.
    const fn of_length(length: usize) -> &'static [Self] {
        match length {
            2 => &[Self::To],
            3 => &[Self::Via],
            4 => &[Self::From, Self::CSeq, Self::Date, Self::Path],
            5 => &[Self::Allow, Self::Event, Self::Route],
            6 => &[Self::Server, Self::Reason, Self::MinSe],
            7 => &[Self::CallId, Self::Contact, Self::Expires, Self::Require, Self::Warning, Self::Privacy, Self::Subject],
            8 => &[Self::ReferTo, Self::Replaces, Self::Identity],
            9 => &[Self::Supported],
            10 => &[Self::UserAgent, Self::FlowTimer, Self::SessionId],
            11 => &[Self::RetryAfter, Self::MinExpires, Self::ReferredBy],
            12 => &[Self::MaxForwards, Self::ContentType, Self::RecordRoute, Self::AllowEvents],
            13 => &[Self::Authorization, Self::ServiceRoute, Self::IdentityInfo],
            14 => &[Self::ContentLength, Self::AcceptContact, Self::RejectContact],
            15 => &[Self::SessionExpires, Self::RemotePartyId],
            16 => &[Self::WwwAuthenticate, Self::ContentEncoding],
            18 => &[Self::ProxyAuthenticate, Self::SubscriptionState],
            19 => &[Self::ProxyAuthorization, Self::PAssertedIdentity, Self::RequestDisposition],
            20 => &[Self::PPreferredIdentity],
            22 => &[Self::XAsteriskHangupCause],
            26 => &[Self::XAsteriskHangupCauseCode],
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
    /// Whether a header line has this name.
    pub(in crate::sip) fn matches(self, name: &[u8]) -> bool {
        match self {
            Self::Known(known) => HeaderName::from_bytes(name) == Some(known),
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
        for name in ["", "Vi", "Viaa", "Call_ID", "X-CID", "g", "From "] {
            assert_eq!(HeaderName::from_bytes(name.as_bytes()), None, "{name}");
        }
    }
}
