//! Digest credentials and challenges, RFC 3261 §22.

use crate::sip::text::{Elements, Param, split_word};

/// What a client sends to prove who it is. Values are without quotes; what is not there is empty.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Credentials<'a> {
    /// `Digest`, as written.
    pub scheme: &'a [u8],
    /// Who it says it is.
    pub username: &'a [u8],
    /// For which realm.
    pub realm: &'a [u8],
    /// The nonce it was given.
    pub nonce: &'a [u8],
    /// The URI the response was computed over.
    pub uri: &'a [u8],
    /// The response.
    pub response: &'a [u8],
    /// The algorithm, if named.
    pub algorithm: Option<&'a [u8]>,
    /// What the server wanted back, if anything.
    pub opaque: Option<&'a [u8]>,
    /// Whether this is Proxy-Authorization.
    pub proxy: bool,
}

impl<'a> Credentials<'a> {
    pub(in crate::sip) fn parse(value: &'a [u8], proxy: bool) -> Self {
        let (scheme, rest) = split_word(value);
        let mut credentials = Self { scheme, proxy, ..Self::default() };
        params(rest).for_each(|param| credentials.take(param));
        credentials
    }

    fn take(&mut self, param: Param<'a>) {
        let value = param.value.unwrap_or_default();
        if param.is("username") {
            self.username = value;
        } else if param.is("realm") {
            self.realm = value;
        } else if param.is("nonce") {
            self.nonce = value;
        } else if param.is("uri") {
            self.uri = value;
        } else if param.is("response") {
            self.response = value;
        } else if param.is("algorithm") {
            self.algorithm = param.value;
        } else if param.is("opaque") {
            self.opaque = param.value;
        }
    }
}

/// What a server asks for. Values are without quotes; what is not there is empty.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Challenge<'a> {
    /// `Digest`, as written.
    pub scheme: &'a [u8],
    /// The realm.
    pub realm: &'a [u8],
    /// The nonce.
    pub nonce: &'a [u8],
    /// Whether the response was right and only the nonce too old.
    pub stale: bool,
    /// The algorithm, if named.
    pub algorithm: Option<&'a [u8]>,
    /// Whether this is Proxy-Authenticate.
    pub proxy: bool,
}

impl<'a> Challenge<'a> {
    pub(in crate::sip) fn parse(value: &'a [u8], proxy: bool) -> Self {
        let (scheme, rest) = split_word(value);
        let mut challenge = Self { scheme, proxy, ..Self::default() };
        params(rest).for_each(|param| challenge.take(param));
        challenge
    }

    fn take(&mut self, param: Param<'a>) {
        let value = param.value.unwrap_or_default();
        if param.is("realm") {
            self.realm = value;
        } else if param.is("nonce") {
            self.nonce = value;
        } else if param.is("stale") {
            self.stale = value.eq_ignore_ascii_case(b"true");
        } else if param.is("algorithm") {
            self.algorithm = param.value;
        }
    }
}

fn params(list: &[u8]) -> impl Iterator<Item = Param<'_>> {
    Elements::new(list).map(Param::parse)
}
