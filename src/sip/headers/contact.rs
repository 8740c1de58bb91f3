//! Contact: where a device is reached.

use super::address::NameAddr;
use crate::sip::text::{self, Param, Params, decimal};
use crate::sip::uri::Uri;

/// Whether a contact is an address or stands for all of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ContactKind {
    /// An address.
    #[default]
    Address,
    /// `*`: every binding of the address-of-record, to be removed (RFC 3261 §10.2.2).
    Star,
}

/// One Contact value.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Contact<'a> {
    /// Address or star.
    pub kind: ContactKind,
    /// The URI; all empty for a star.
    pub uri: Uri<'a>,
    /// Seconds the binding shall hold or holds; saturates.
    pub expires: Option<u32>,
    /// `+sip.instance` without quotes, angle brackets kept (RFC 5626).
    pub instance: Option<&'a [u8]>,
    /// `reg-id` (RFC 5626).
    pub reg_id: Option<u32>,
    /// `q` in thousandths, 0 to 1000.
    pub q: Option<u16>,
    /// `pub-gruu` without quotes (RFC 5627).
    pub pub_gruu: Option<&'a [u8]>,
    params: &'a [u8],
}

impl<'a> Contact<'a> {
    /// Reads one element of a Contact list. Nothing fails; what is not there is empty.
    pub fn parse(element: &'a [u8]) -> Self {
        let parts = NameAddr::parse(element);
        if parts.spec == b"*" {
            return Self { kind: ContactKind::Star, ..Self::default() };
        }
        let mut contact = Self { uri: Uri::parse(parts.spec), params: parts.params.unwrap_or_default(), ..Self::default() };
        contact.params().for_each(|param| contact.take(param));
        contact
    }

    fn take(&mut self, param: Param<'a>) {
        if param.is("expires") {
            self.expires = param.value.and_then(text::seconds);
        } else if param.is("+sip.instance") {
            self.instance = param.value;
        } else if param.is("reg-id") {
            self.reg_id = param.value.and_then(text::seconds);
        } else if param.is("q") {
            self.q = param.value.and_then(thousandths);
        } else if param.is("pub-gruu") {
            self.pub_gruu = param.value;
        }
    }

    /// The parameters of the header, not those of the URI.
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }
}

/// A `q` value: `0`, `1`, `0.5`, at most three decimals.
fn thousandths(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = text::split_at(text, b'.');
    let digits = fraction.unwrap_or_default();
    let scale = *[1000, 100, 10, 1].get(digits.len())?;
    let whole = if whole.is_empty() { 0 } else { decimal(whole)? };
    let fraction = if digits.is_empty() { 0 } else { decimal(digits)? };
    u16::try_from(whole.saturating_mul(1000).saturating_add(fraction * scale)).ok().filter(|q| *q <= 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_outbound_and_gruu_are_read() {
        let contact = Contact::parse(
            b"<sip:bob@10.0.0.5:5060;ob;expires=1>;reg-id=1;+sip.instance=\"<urn:uuid:0>\";expires=120;q=0.25;pub-gruu=\"sip:bob@x;gr=1\"",
        );
        assert_eq!((contact.uri.user, contact.expires, contact.reg_id, contact.q), (&b"bob"[..], Some(120), Some(1), Some(250)));
        assert_eq!((contact.instance, contact.pub_gruu), (Some(&b"<urn:uuid:0>"[..]), Some(&b"sip:bob@x;gr=1"[..])));
    }

    #[test]
    fn a_star_is_no_address() {
        assert_eq!(Contact::parse(b" * ").kind, ContactKind::Star);
        assert_eq!(Contact::parse(b"<sip:*@example.com>").kind, ContactKind::Address);
    }

    #[test]
    fn q_is_between_0_and_1() {
        let q = |text: &str| Contact::parse(format!("<sip:a@b>;q={text}").as_bytes()).q;
        assert_eq!((q("1"), q("1.0"), q("0.001"), q(".5")), (Some(1000), Some(1000), Some(1), Some(500)));
        assert_eq!((q("1.1"), q("0.1234"), q("x"), q("99999999999999999999")), (None, None, None, None));
    }
}
