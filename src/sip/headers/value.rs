//! Values of a few words: CSeq, Session-Expires, Warning.

use crate::sip::method::Method;
use crate::sip::text::{self, leading_decimal, saturated, split_at, split_word, trim, trim_start, unquote};

/// A sequence number and the method it counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CSeq {
    /// The number; saturates.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads a number and a method; also gives the number unsaturated and the method's name.
    pub(in crate::sip) fn parse(value: &[u8]) -> Option<(Self, u64, &[u8])> {
        let (number, rest) = leading_decimal(value)?;
        let name = trim_start(rest);
        if name.is_empty() || name.len() == rest.len() {
            return None;
        }
        Some((Self { number: saturated(number), method: Method::from_bytes(name) }, number, name))
    }
}

/// Who refreshes a session, RFC 4028.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answered it.
    Uas,
}

/// How long a session holds without refresh, RFC 4028.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SessionExpires {
    /// Seconds; saturates.
    pub seconds: u32,
    /// Who refreshes, if said.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads `1800;refresher=uac`.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (seconds, params) = split_at(value, b';');
        let refresher = match text::param(params.unwrap_or_default(), "refresher") {
            Some(who) if who.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
            _ => None,
        };
        Some(Self { seconds: text::seconds(trim(seconds))?, refresher })
    }
}

/// The first Warning value, RFC 3261 §20.43.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Warning<'a> {
    /// The code, 300 to 399 by the registry.
    pub code: u16,
    /// Who warns.
    pub agent: &'a [u8],
    /// The text without its quotes, escapes kept.
    pub text: &'a [u8],
}

impl<'a> Warning<'a> {
    /// Reads `399 host "text"`; nothing unless it begins with a number.
    pub fn parse(element: &'a [u8]) -> Option<Self> {
        let (code, rest) = split_word(element);
        let (agent, text) = split_word(rest);
        Some(Self { code: u16::try_from(text::decimal(code)?).ok()?, agent, text: unquote(trim(text)) })
    }
}
