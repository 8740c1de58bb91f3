//! From, To and whatever else names somebody: a display name, a URI, parameters.

use crate::sip::text::{self, Params, closing_quote, cut, from, split_at, trim};
use crate::sip::uri::Uri;
use memchr::memchr;

/// Whether the URI of an address stands in angle brackets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sip) enum Form {
    Bracketed,
    /// In brackets of which the second is missing.
    Unclosed,
    Bare,
}

/// An address cut into its pieces, as written.
#[derive(Clone, Copy, Debug)]
pub(in crate::sip) struct NameAddr<'a> {
    /// With its quotes.
    pub(in crate::sip) display: &'a [u8],
    /// What stands between the brackets, white space included.
    pub(in crate::sip) spec: &'a [u8],
    /// What stands behind the first semicolon, if there is one.
    pub(in crate::sip) params: Option<&'a [u8]>,
    pub(in crate::sip) form: Form,
}

impl<'a> NameAddr<'a> {
    /// Cuts `"Display" <uri>;params` or `uri;params`. A quote that never closes does not hide the brackets behind it.
    pub(in crate::sip) fn parse(value: &'a [u8]) -> Self {
        let value = trim(value);
        let Some(index) = find_bracket(value) else {
            let (spec, params) = split_at(value, b';');
            return Self { display: &[], spec: trim(spec), params, form: Form::Bare };
        };
        let (display, rest) = cut(value, index);
        let (spec, behind) = split_at(rest.unwrap_or_default(), b'>');
        let form = if behind.is_some() { Form::Bracketed } else { Form::Unclosed };
        Self { display: trim(display), spec, params: behind.and_then(|behind| split_at(behind, b';').1), form }
    }
}

/// Where the bracket opens that the URI stands in. Behind a quoted display name only, and not within the parameters of a bare URI.
fn find_bracket(value: &[u8]) -> Option<usize> {
    let start = match value {
        [b'"', rest @ ..] => closing_quote(rest).map_or(0, |length| length + 2),
        _ => 0,
    };
    let index = start + memchr(b'<', from(value, start))?;
    let before = value.get(start..index)?;
    (!before.contains(&b':') || !before.contains(&b';')).then_some(index)
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
        let params = parts.params.unwrap_or_default();
        let tag = text::param(params, "tag").filter(|tag| !tag.is_empty());
        Self { display: text::unquote(parts.display), uri: Uri::parse(parts.spec), tag, params }
    }

    /// The URI of an address, without a look at its parameters.
    pub(in crate::sip) fn uri_of(value: &'a [u8]) -> Uri<'a> {
        Uri::parse(NameAddr::parse(value).spec)
    }

    /// The parameters of the header, not those of the URI.
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_within_the_brackets_or_the_display_name_is_not_the_tag() {
        let address = Address::parse(br#""<sip:x@y>;tag=1" <sip:bob@example.com;tag=2>;tag=3"#);
        assert_eq!((address.display, address.uri.user, address.tag), (&b"<sip:x@y>;tag=1"[..], &b"bob"[..], Some(&b"3"[..])));
        assert_eq!(Address::parse(b"<sip:bob@example.com;tag=2>").tag, None);
    }

    #[test]
    fn without_brackets_parameters_belong_to_the_header() {
        let address = Address::parse(b"sip:bob@example.com;user=phone;tag=1;note=\"<sip:x@y>\"");
        assert_eq!((address.uri.raw, address.tag), (&b"sip:bob@example.com"[..], Some(&b"1"[..])));
        assert_eq!(address.params().count(), 3);
    }

    #[test]
    fn what_is_missing_is_empty() {
        assert_eq!(Address::parse(b""), Address::default());
        assert_eq!(Address::parse(b"<>;tag=").tag, None);
    }

    #[test]
    fn a_bracket_or_quote_that_never_closes_hides_nothing() {
        let unclosed = Address::parse(b"Bob <sip:bob@example.com");
        assert_eq!((unclosed.display, unclosed.uri.host), (&b"Bob"[..], &b"example.com"[..]));
        let open = Address::parse(b"\"Bob <sip:bob@example.com>;tag=1");
        assert_eq!((open.display, open.uri.user, open.tag), (&b"Bob"[..], &b"bob"[..], Some(&b"1"[..])));
    }
}
