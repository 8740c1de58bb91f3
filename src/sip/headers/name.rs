//! The names of headers, long and compact.

use wide::u8x16;

use crate::sip::text::ordinary;

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
    Unsupported = "Unsupported",
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
    pub(in crate::sip) const SLOTS: usize = Self::Date as usize + 1;

    /// The header of that name, in whatever case, long or compact.
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        if let [letter] = name {
            return Self::from_compact(letter.to_ascii_lowercase());
        }
        let initial = name.first()?.to_ascii_lowercase();
        Self::candidates(name.len(), initial).iter().copied().find(|known| {
            let known = known.as_str().as_bytes();
            known == name || known.eq_ignore_ascii_case(name)
        })
    }

    /// Where the first colon of a line is, and what stands before it. One multiplication and one comparison of two words tell which header
    /// it is, or that it is none.
    // Inlined because it is called for each line of each message.
    #[inline(always)]
    pub(in crate::sip) fn at(line: &[u8; 16]) -> Option<(Spelling, usize)> {
        let length = u8x16::new(*line).simd_eq(u8x16::splat(b':')).to_bitmask().trailing_zeros() as usize;
        let [low_mask, high_mask] = UP_TO.get(length)?;
        let (words, _) = line.as_chunks::<8>();
        let &[low, high] = words else { return None };
        let word = [u64::from_le_bytes(low) & low_mask, u64::from_le_bytes(high) & high_mask];
        let usual = USUAL.slots.get(slot(word, USUAL.multiplier))?;
        let spelling = match usual.header {
            Some(header) if usual.word == word => Spelling::Usual(header),
            Some(_) if one_case(usual.word) == one_case(word) => Spelling::Unclear,
            _ if length > 0 && ordinary(line) >= length => Spelling::Foreign,
            _ => Spelling::Unclear,
        };
        Some((spelling, length))
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
            (11, b'u') => &[Self::Unsupported],
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

/// A set of known headers.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sip) struct HeaderSet(u64);

impl HeaderSet {
    /// The set of these.
    #[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
    pub(in crate::sip) const fn of(headers: &[HeaderName]) -> Self {
        let mut set = Self(0);
        let mut index = 0;
        while index < headers.len() {
            set.0 |= 1 << headers[index] as u8;
            index += 1;
        }
        set
    }

    pub(in crate::sip) const fn insert(&mut self, header: HeaderName) {
        self.0 |= 1 << header as u8;
    }

    pub(in crate::sip) const fn contains(self, header: HeaderName) -> bool {
        self.0 & (1 << header as u8) != 0
    }

    /// What is in both sets, in the order of the headers.
    pub(in crate::sip) fn common(self, other: Self) -> impl Iterator<Item = HeaderName> {
        let mut left = self.0 & other.0;
        std::iter::from_fn(move || {
            let header = HeaderName::ALL.get(left.trailing_zeros() as usize).copied()?;
            left &= left - 1;
            Some(header)
        })
    }
}

/// How the name of a header is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sip) enum Spelling {
    /// As the registry has it, long or compact.
    Usual(HeaderName),
    /// Letters, digits, dashes and dots that are the name of no known header.
    Foreign,
    /// Any other; [`HeaderName::from_bytes`] and a look at each byte tell.
    Unclear,
}

/// A name of up to 15 bytes and its colon, filled up with zeros, as two words.
type Word = [u64; 2];

/// The headers by their names as the registry writes them.
struct Usual {
    /// With this one no two names share a slot.
    multiplier: u64,
    slots: [Spelt; SLOTS],
}

const SLOT_BITS: u32 = 9;
const SLOTS: usize = 1 << SLOT_BITS;

/// A slot of the names; empty where there is no header.
#[derive(Clone, Copy)]
struct Spelt {
    word: Word,
    header: Option<HeaderName>,
}

static USUAL: Usual = Usual::new();

impl Usual {
    /// Tries multipliers until one suits.
    const fn new() -> Self {
        let mut multiplier = 0x9e37_79b9_7f4a_7c15_u64;
        loop {
            if let Some(slots) = spread(multiplier) {
                return Self { multiplier, slots };
            }
            multiplier = multiplier.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(2);
        }
    }
}

/// The names and compact forms in their slots; nothing if two share one.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
const fn spread(multiplier: u64) -> Option<[Spelt; SLOTS]> {
    let mut slots = [Spelt { word: [0; 2], header: None }; SLOTS];
    let mut index = 0;
    while index < HeaderName::ALL.len() + 26 {
        let (word, header) = if index < 26 {
            let letter = b'a' + index as u8;
            (word(&[letter]), HeaderName::from_compact(letter))
        } else {
            let header = HeaderName::ALL[index - 26];
            (word(header.as_str().as_bytes()), Some(header))
        };
        index += 1;
        let (Some(word), Some(header)) = (word, header) else { continue };
        let slot = slot(word, multiplier);
        if slots[slot].header.is_some() {
            return None;
        }
        slots[slot] = Spelt { word, header: Some(header) };
    }
    Some(slots)
}

/// A name with its colon as two words, unless it is longer.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
const fn word(name: &[u8]) -> Option<Word> {
    if name.len() > 15 {
        return None;
    }
    let mut word = [0; 2];
    word[name.len() / 8] = (b':' as u64) << (name.len() % 8 * 8);
    let mut index = 0;
    while index < name.len() {
        word[index / 8] |= (name[index] as u64) << (index % 8 * 8);
        index += 1;
    }
    Some(word)
}

/// The slot of a name, whatever the case of its letters.
const fn slot(word: Word, multiplier: u64) -> usize {
    let [low, high] = one_case(word);
    ((low ^ high.rotate_left(29)).wrapping_mul(multiplier) >> (64 - SLOT_BITS)) as usize
}

/// A name with its letters in lower case; other bytes may become others.
const fn one_case([low, high]: Word) -> Word {
    const CASE: u64 = u64::from_ne_bytes([b' '; 8]);
    [low | CASE, high | CASE]
}

/// Which bits of two words belong to a name of so many bytes and its colon.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiled")]
const UP_TO: [Word; 16] = {
    let mut masks = [[0; 2]; 16];
    let mut length = 0;
    while length < 16 {
        let mask = u128::MAX >> (120 - length * 8);
        masks[length] = [mask as u64, (mask >> 64) as u64];
        length += 1;
    }
    masks
};

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
    use super::{HeaderName, Spelling};

    #[test]
    fn each_header_is_found_by_its_long_form_in_any_case() {
        for &header in HeaderName::ALL {
            assert_eq!(HeaderName::from_bytes(header.as_str().as_bytes()), Some(header));
            assert_eq!(HeaderName::from_bytes(header.as_str().to_uppercase().as_bytes()), Some(header));
            assert_eq!(HeaderName::from_bytes(header.as_str().to_lowercase().as_bytes()), Some(header));
        }
    }

    /// What the first sixteen bytes of a line are.
    fn at(line: &str) -> Option<(Spelling, usize)> {
        HeaderName::at(format!("{line:-<16}").as_bytes().first_chunk().expect("sixteen bytes"))
    }

    #[test]
    fn each_header_of_up_to_15_bytes_is_known_by_the_beginning_of_its_line() {
        for &header in HeaderName::ALL {
            let name = header.as_str();
            let found = |spelling, length| (name.len() <= 15).then_some((spelling, length));
            assert_eq!(at(&format!("{name}: ")), found(Spelling::Usual(header), name.len()), "{name}");
            assert_eq!(at(&format!("{}: ", name.to_lowercase())), found(Spelling::Unclear, name.len()), "{name}");
            assert_eq!(at(name), None, "{name}");
        }
        assert_eq!(at("v: "), Some((Spelling::Usual(HeaderName::Via), 1)));
        assert_eq!(at("V: "), Some((Spelling::Unclear, 1)));
        assert_eq!(at("Via : "), Some((Spelling::Unclear, 4)));
    }

    #[test]
    fn a_name_is_foreign_only_if_it_looks_like_one_and_is_no_header() {
        for name in ["g", "X-Own", "Vi", "Viaa", "Call-IDs", "Content-Length2", "P-Filler-Info", "X.1"] {
            assert_eq!(at(&format!("{name}:")), Some((Spelling::Foreign, name.len())), "{name}");
            assert_eq!(HeaderName::from_bytes(name.as_bytes()), None, "{name}");
        }
        for name in ["Call_ID", "`", "", "Vi\0", "Via\0", "\0Via", "Call\rID", "a b", "caf\u{e9}", "x\n", "[", "@", "{", "/"] {
            assert_eq!(at(&format!("{name}:")), Some((Spelling::Unclear, name.len())), "{name}");
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
