//! From, To and whatever else names somebody: a display name, a URI, parameters.

use crate::sip::text::{self, Params, closing_quote, cut, find_unquoted, from, split_at, trim, trim_start};
use crate::sip::uri::Uri;
use memchr::memchr;

/// Whether the URI of an address stands in angle brackets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sip) enum Form {
    Bracketed,
    Bare,
}

/// An address cut into its pieces, as written.
#[derive(Clone, Copy, Debug)]
pub(in crate::sip) struct NameAddr<'a> {
    /// With its quotes.
    pub(in crate::sip) display: &'a [u8],
    /// What stands between the brackets, white space included.
    pub(in crate::sip) spec: &'a [u8],
    pub(in crate::sip) params: &'a [u8],
    pub(in crate::sip) form: Form,
}

impl<'a> NameAddr<'a> {
    /// Cuts `"Display" <uri>;params` or `uri;params`. A quote that never closes does not hide the brackets behind it.
    pub(in crate::sip) fn parse(value: &'a [u8]) -> Self {
        let value = trim(value);
        match find_bracket(value) {
            Some(index) => {
                let (display, rest) = cut(value, index);
                let (spec, params) = split_at(rest.unwrap_or_default(), b'>');
                let params = split_at(params.unwrap_or_default(), b';').1;
                Self { display: trim(display), spec, params: params.unwrap_or_default(), form: Form::Bracketed }
            }
            None => {
                let (spec, params) = split_at(value, b';');
                Self { display: &[], spec: trim(spec), params: params.unwrap_or_default(), form: Form::Bare }
            }
        }
    }
}

/// Where the opening bracket stands outside the quoted display name. Only the start of the value is searched for one: a parameter may
/// hold a bracket in quotes.
fn find_bracket(value: &[u8]) -> Option<usize> {
    let start = match value {
        [b'"', rest @ ..] => closing_quote(rest).map_or(0, |length| length + 2),
        _ => 0,
    };
    let rest = from(value, start);
    let index = memchr(b'<', rest)?;
    let in_params =
        find_unquoted(rest, b';').is_some_and(|semicolon| semicolon < index) && memchr(b':', rest).is_some_and(|colon| colon < index);
    (!in_params).then_some(start + index)
}

/// A display name, a URI and a tag.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Address<'a> {
    /// The display name without its quotes, escapes kept.
    pub display: &'a [u8],
    /// The URI; all empty when it is missing.
    pub uri: Uri<'a>,
    /// The tag.
    pub tag: Option<&'a [u8]>,
    params: &'a [u8],
}

impl<'a> Address<'a> {
    /// Reads an address. Nothing fails; what is not there is empty.
    pub fn parse(value: &'a [u8]) -> Self {
        let parts = NameAddr::parse(value);
        let tag = text::param(parts.params, "tag").filter(|tag| !tag.is_empty());
        Self { display: text::unquote(trim_start(parts.display)), uri: Uri::parse(parts.spec), tag, params: parts.params }
    }

    /// The parameters of the header, not those of the URI.
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }
}
