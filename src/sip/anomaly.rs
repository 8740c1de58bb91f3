//! What is doubtful about a message that was read all the same.

use std::fmt;

/// Declares the anomalies: variant, code, and the one sentence that the documentation prints.
macro_rules! anomalies {
    ($($variant:ident = $code:literal: $meaning:literal,)+) => {
        /// One thing that is wrong with a message. Syntax that RFC 3261 allows, however unusual, is none.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Anomaly { $(#[doc = $meaning] $variant,)+ }

        impl Anomaly {
            /// Every anomaly, in the order of the reports.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code in reports and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// What the code means, one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

anomalies! {
    LwsInStartLine = "lws_in_start_line": "The start line has white space other than one space between its parts.",
    UnknownVersion = "unknown_version": "The version on the start line is not SIP/2.0.",
    InvalidStatus = "invalid_status": "The status code is not a number from 100 to 699.",
    BracketedRequestUri = "bracketed_request_uri": "The Request-URI stands in angle brackets.",
    RequestUriHeaders = "request_uri_headers": "The Request-URI carries headers, which only other URIs may.",
    UnknownUriScheme = "unknown_uri_scheme": "A URI of the start line, From, To or Contact is of a scheme that no phone calls.",
    BadUri = "bad_uri": "A URI has white space in it, or a host or port that cannot be one.",
    UnbracketedIpv6 = "unbracketed_ipv6": "A URI or Via has an IPv6 address without square brackets.",
    AmbiguousPort = "ambiguous_port": "The last group of an IPv6 address without port looks like the port that was meant.",
    UnbracketedUri = "unbracketed_uri": "A URI with a comma or question mark stands without angle brackets.",
    BadDisplayName = "bad_display_name": "A display name needs quotes and has none.",
    UnterminatedQuote = "unterminated_quote": "A quoted string has no closing quote.",
    BadParameter = "bad_parameter": "A header has an empty parameter or an empty list element.",
    LfLineEnding = "lf_line_ending": "A line ends with LF alone.",
    MalformedHeader = "malformed_header": "A header line has no colon, or a name that cannot be one.",
    StartLineInHeaders = "start_line_in_headers": "A second start line stands among the headers; the message ends there.",
    UnterminatedHeaders = "unterminated_headers": "The headers do not end with an empty line.",
    OversizedHeaders = "oversized_headers": "The headers are longer than 65535 bytes and were read up to there.",
    InvalidUtf8 = "invalid_utf8": "The start line or the headers are not UTF-8.",
    ControlCharacter = "control_character": "The start line or the headers have control characters in them.",
    MissingVia = "missing_via": "There is no Via.",
    MissingFrom = "missing_from": "There is no From.",
    MissingTo = "missing_to": "There is no To.",
    MissingCallId = "missing_call_id": "There is no Call-ID, or an empty one.",
    MissingCseq = "missing_cseq": "There is no CSeq.",
    MissingFromTag = "missing_from_tag": "From has no tag, as before RFC 3261.",
    DuplicateHeader = "duplicate_header": "A header that may stand once stands twice; the first one counts.",
    BadVia = "bad_via": "A Via has no protocol, transport or host, or a port that cannot be one.",
    BroadcastVia = "broadcast_via": "A Via names a broadcast or unspecified address, where no answer may go.",
    BadBranch = "bad_branch": "The branch of a Via is the magic cookie with nothing after it.",
    BadCseq = "bad_cseq": "CSeq is not a number and a method.",
    CseqOverflow = "cseq_overflow": "The number of CSeq is 2^31 or more.",
    CseqMethodMismatch = "cseq_method_mismatch": "CSeq names another method than the start line.",
    ContentLengthMissing = "content_length_missing": "There is no Content-Length on a stream; no body was assumed.",
    ContentLengthInvalid = "content_length_invalid": "Content-Length is not a number; it was not believed.",
    ContentLengthMismatch = "content_length_mismatch": "Content-Length is not the length of what follows the headers.",
    ExcessBytes = "excess_bytes": "Bytes follow the message that begin no other message.",
    ExpiresOverflow = "expires_overflow": "A time until expiry does not fit 32 bits; the largest was taken.",
    RetryAfterOverflow = "retry_after_overflow": "Retry-After does not fit 32 bits; the largest was taken.",
    BadNumber = "bad_number": "A header that must be a number is none.",
    BadMaxForwards = "bad_max_forwards": "Max-Forwards is not a number from 0 to 255.",
    MaxForwardsExhausted = "max_forwards_exhausted": "Max-Forwards is 0: no proxy may forward this.",
    UnknownAuthScheme = "unknown_auth_scheme": "Credentials or a challenge are neither Digest, Basic nor Bearer.",
    BadDate = "bad_date": "Date is not in GMT.",
    BadWarning = "bad_warning": "Warning does not begin with a code of three digits.",
}

/// A set of anomalies.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Anomalies(u64);

const _: () = assert!(Anomaly::ALL.len() <= 64, "the set has 64 bits");

impl Anomalies {
    /// Nothing is wrong.
    pub const NONE: Self = Self(0);

    /// Adds one.
    pub const fn insert(&mut self, anomaly: Anomaly) {
        self.0 |= 1 << anomaly as u8;
    }

    /// Whether it is in the set.
    pub const fn contains(self, anomaly: Anomaly) -> bool {
        self.0 & (1 << anomaly as u8) != 0
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing is wrong.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Those in the set, in the order of the reports.
    pub fn iter(self) -> impl Iterator<Item = Anomaly> {
        let all = if self.is_empty() { &[] } else { Anomaly::ALL };
        all.iter().copied().filter(move |anomaly| self.contains(*anomaly))
    }
}

impl FromIterator<Anomaly> for Anomalies {
    fn from_iter<I: IntoIterator<Item = Anomaly>>(anomalies: I) -> Self {
        let mut set = Self::NONE;
        anomalies.into_iter().for_each(|anomaly| set.insert(anomaly));
        set
    }
}

/// The codes, separated by commas.
impl fmt::Debug for Anomalies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Anomaly::as_str)).finish()
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Anomalies, Anomaly};

    #[test]
    fn a_set_holds_exactly_what_was_put_in() {
        for &only in Anomaly::ALL {
            let set: Anomalies = [only, only].into_iter().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), [only]);
        }
        assert!(Anomalies::NONE.iter().next().is_none());
    }

    #[test]
    fn codes_are_unique_label_values_and_meanings_are_sentences() {
        for (index, anomaly) in Anomaly::ALL.iter().enumerate() {
            assert!(anomaly.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
            assert!(Anomaly::ALL.iter().skip(index + 1).all(|other| other.as_str() != anomaly.as_str()));
            assert!(anomaly.meaning().ends_with('.'));
        }
    }
}
