//! Reason, RFC 3326: why a request was sent.

use crate::sip::text::{self, decimal, split_at, trim};

/// One Reason value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reason<'a> {
    /// `SIP`, `Q.850` or another protocol, as written.
    pub protocol: &'a [u8],
    /// The status or cause code.
    pub cause: Option<u16>,
    /// The text without its quotes, escapes kept.
    pub text: &'a [u8],
}

impl<'a> Reason<'a> {
    /// Reads one element of a Reason list.
    pub fn parse(element: &'a [u8]) -> Self {
        let (protocol, params) = split_at(element, b';');
        let params = params.unwrap_or_default();
        Self {
            protocol: trim(protocol),
            cause: text::param(params, "cause").and_then(decimal).and_then(|cause| u16::try_from(cause).ok()),
            text: text::param(params, "text").unwrap_or_default(),
        }
    }
}
