//! Digest credentials and challenges, RFC 3261 §22.

use crate::sip::text::{Elements, Param, cut, find_any, is_token_byte, split_word, trim_start};

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
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let text = rest?;
        let (param, behind) = plain_param(text).unwrap_or_else(|| {
            let (element, behind) = Elements::split_first(text);
            (Param::parse(element), behind)
        });
        rest = behind;
        Some(param)
    })
}

/// Reads `name="value",` or `name=token,` and gives what follows the comma; nothing where it is written otherwise.
fn plain_param(text: &[u8]) -> Option<(Param<'_>, Option<&[u8]>)> {
    let text = trim_start(text);
    let (name, value) = token(text);
    let (value, behind) = match value {
        [b'=', b'"', quoted @ ..] => {
            let end = find_any(quoted, [b'"', b'\\'])?;
            let (value, behind) = cut(quoted, end);
            (value, behind.filter(|_| quoted.get(end) == Some(&b'"'))?)
        }
        [b'=', value @ ..] => token(value),
        _ => return None,
    };
    let param = Param { name, value: Some(value) };
    match behind {
        [] => Some((param, None)),
        [b',', rest @ ..] => Some((param, Some(rest))),
        _ => None,
    }
}

/// The token that a text begins with, and what follows it.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let length = text.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(text.len());
    text.split_at_checked(length).unwrap_or((text, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_over_folds_and_commas_in_quotes() {
        let value = b"digest  username=\"bob, jr\",\r\n realm = \"a\\\"b\" ,nonce=\"n,=1\", uri=\"sip:x\", response=\"00ff\", algorithm=MD5,\r\n\tqop=auth, nc=00000001";
        let credentials = Credentials::parse(value, true);
        assert_eq!((credentials.scheme, credentials.username, credentials.realm), (&b"digest"[..], &b"bob, jr"[..], &b"a\\\"b"[..]));
        assert_eq!((credentials.nonce, credentials.uri, credentials.response), (&b"n,=1"[..], &b"sip:x"[..], &b"00ff"[..]));
        assert_eq!((credentials.algorithm, credentials.opaque, credentials.proxy), (Some(&b"MD5"[..]), None, true));
    }

    #[test]
    fn only_true_is_stale() {
        let stale = |value: &[u8]| Challenge::parse(value, false).stale;
        assert!(stale(b"Digest realm=\"r\", nonce=\"n\", stale=TRUE") && stale(b"Digest stale=\"true\""));
        assert!(!stale(b"Digest stale=false") && !stale(b"Digest stale") && !stale(b"Digest realm=\"stale=true\""));
    }

    #[test]
    fn another_scheme_gives_empty_values() {
        let credentials = Credentials::parse(b"Bearer abc", false);
        assert_eq!((credentials.scheme, credentials.username, credentials.nonce), (&b"Bearer"[..], &b""[..], &b""[..]));
    }
}
