//! URIs as SIP carries them.

use super::text::{self, Params, cut, find_any, split_at, trim};
use memchr::{memchr, memmem, memrchr};
use std::borrow::Cow;
use std::net::IpAddr;

/// The kinds of URI that tracking tells apart.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`, RFC 3966.
    Tel,
    /// Any other.
    Other,
    /// No scheme at all; read as if it were `sip:`.
    #[default]
    Missing,
}

/// A URI in its parts. All empty when it is missing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Uri<'a> {
    /// All of it, without angle brackets.
    pub raw: &'a [u8],
    /// The kind.
    pub scheme: Scheme,
    /// The user without password, or the number without its parameters; escapes kept, see [`plain_user`].
    pub user: &'a [u8],
    /// What stands before `@`: user, its parameters, password.
    pub userinfo: &'a [u8],
    /// The host; an IPv6 address without its square brackets.
    pub host: &'a [u8],
    /// The port, if there is one that can be one.
    pub port: Option<u16>,
    /// What stands between `?` and the end: headers for the request to be made.
    pub headers: &'a [u8],
    /// Host and port as written.
    pub(super) authority: &'a [u8],
    params: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Reads a URI without angle brackets. Nothing fails; what is not there is empty.
    pub fn parse(raw: &'a [u8]) -> Self {
        let raw = trim(raw);
        let (scheme, rest) = split_scheme(raw);
        match scheme {
            Scheme::Other => Self { raw, scheme, ..Self::default() },
            Scheme::Tel => {
                let (number, params) = split_at(rest, b';');
                Self { raw, scheme, user: trim(number), userinfo: number, params: params.unwrap_or_default(), ..Self::default() }
            }
            Scheme::Sip | Scheme::Sips | Scheme::Missing => Self::parse_sip(raw, scheme, rest),
        }
    }

    /// Reads `user:password@host:port;params?headers`. By the grammar the first `@` ends the user, whatever stands before it.
    fn parse_sip(raw: &'a [u8], scheme: Scheme, rest: &'a [u8]) -> Self {
        let (userinfo, rest) = match split_at(rest, b'@') {
            (userinfo, Some(rest)) => (userinfo, rest),
            (rest, None) => (&[][..], rest),
        };
        let (authority, params, headers) = match find_any(rest, [b';', b'?']).map(|index| (rest.get(index), cut(rest, index))) {
            None => (rest, None, None),
            Some((Some(b'?'), (authority, headers))) => (authority, None, headers),
            Some((_, (authority, behind))) => {
                let (params, headers) = split_at(behind.unwrap_or_default(), b'?');
                (authority, Some(params), headers)
            }
        };
        let (host, port) = split_host(authority);
        Self {
            raw,
            scheme,
            user: user(userinfo),
            userinfo,
            host,
            port: port.and_then(text::port),
            headers: headers.unwrap_or_default(),
            authority,
            params: params.unwrap_or_default(),
        }
    }

    /// The parameters behind the host, or behind the number of a `tel:` URI.
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }

    /// The value of a parameter; empty when it has none.
    pub fn param(&self, name: &str) -> Option<&'a [u8]> {
        text::param(self.params, name)
    }

    /// The host as an address, if it is one.
    pub fn host_ip(&self) -> Option<IpAddr> {
        text::ip(self.host)
    }

    /// All of it but for the password (RFC 3261 §19.1.1), which is for nobody to see.
    pub fn without_password(&self) -> Cow<'a, [u8]> {
        let (user, Some(_)) = split_at(self.userinfo, b':') else { return Cow::Borrowed(self.raw) };
        let before = memmem::find(self.raw, self.userinfo).unwrap_or_default();
        let kept = self.raw.get(..before + user.len()).unwrap_or_default();
        Cow::Owned([kept, self.raw.get(before + self.userinfo.len()..).unwrap_or_default()].concat())
    }

    /// Whether there is no URI.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}

/// A user with those escapes undone that change nothing: of what is not reserved (RFC 3261 §19.1.4). Those of `+` and its like stay, and so do
/// those of what no text should hold.
pub fn plain_user(user: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'%', user).is_none() {
        return Cow::Borrowed(user);
    }
    Cow::Owned(unescape(user, |byte| byte.is_ascii_graphic() && !b";/?:@&=+$,%<>\"".contains(&byte)))
}

/// A text with its `%hh` escapes undone, but for those of bytes that are not `plain`, which get capitals; what is no escape stays.
pub fn unescape(text: &[u8], plain: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut unescaped = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.first_chunk::<2>().filter(|_| byte == b'%');
        let code = digits.and_then(|&[high, low]| Some((hex(high)? * 16 + hex(low)?, [high, low])));
        match code {
            Some((code, _)) if plain(code) => unescaped.push(code),
            Some((_, digits)) => unescaped.extend([b'%'].into_iter().chain(digits.map(|digit| digit.to_ascii_uppercase()))),
            None => unescaped.push(byte),
        }
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    unescaped
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The user of `user:password`. Its `;`, `?` and `/` are its own (RFC 3261 §25.1), but for those behind a telephone number: that has
/// parameters (§19.1.6).
fn user(userinfo: &[u8]) -> &[u8] {
    let (user, _) = split_at(userinfo, b':');
    match split_at(user, b';') {
        (number, Some(_)) if is_number(number) => number,
        _ => user,
    }
}

/// Whether a user can be dialled: digits, `*` and `#`, what makes them readable, and a `+` before them.
fn is_number(user: &[u8]) -> bool {
    let digits = user.strip_prefix(b"+").unwrap_or(user);
    digits.iter().any(u8::is_ascii_digit)
        && digits.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'#' | b'-' | b'.' | b'(' | b')'))
}

/// The scheme and what follows its colon.
fn split_scheme(raw: &[u8]) -> (Scheme, &[u8]) {
    if let Some(rest) = raw.strip_prefix(b"sip:") {
        return (Scheme::Sip, rest);
    }
    let (name, Some(rest)) = split_at(raw, b':') else { return (Scheme::Missing, raw) };
    if name.eq_ignore_ascii_case(b"sip") {
        (Scheme::Sip, rest)
    } else if name.eq_ignore_ascii_case(b"sips") {
        (Scheme::Sips, rest)
    } else if name.eq_ignore_ascii_case(b"tel") {
        (Scheme::Tel, rest)
    } else if is_scheme(name) {
        (Scheme::Other, rest)
    } else {
        (Scheme::Missing, raw)
    }
}

/// Whether a name can be a scheme (RFC 3986 §3.1). A bare `host:5060` looks like one only if the host has no user before it.
fn is_scheme(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Host and port of `host:port` or `[v6]:port`. An IPv6 address without brackets is all host, unless it is one only without its last
/// group, which then is the port.
pub(super) fn split_host(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let authority = trim(authority);
    if let [b'[', inner @ ..] = authority {
        let (host, rest) = split_at(inner, b']');
        return (host, rest.and_then(|rest| split_at(rest, b':').1).map(trim));
    }
    let (host, Some(port)) = split_at(authority, b':') else { return (authority, None) };
    if !port.contains(&b':') {
        return (trim(host), Some(trim(port)));
    }
    let last = memrchr(b':', authority).map(|colon| cut(authority, colon));
    match last {
        Some((host, port)) if text::ip(authority).is_none() && text::ip(host).is_some() => (host, port),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_the_same_with_escapes_of_what_is_not_reserved() {
        for (user, plain) in [
            ("1001", "1001"),
            ("%31001", "1001"),
            ("%61lice", "alice"),
            ("%2a8%23", "*8#"),
            // Reserved, so that the escape makes another user (RFC 3261 §19.1.4).
            ("%2b4930", "%2B4930"),
            ("+4930", "+4930"),
            ("a%3bb%40c", "a%3Bb%40c"),
            ("%2531", "%2531"),
            ("%00%20%c3%bc", "%00%20%C3%BC"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("", ""),
        ] {
            assert_eq!(plain_user(user.as_bytes()), plain.as_bytes(), "{user}");
        }
    }

    #[test]
    fn a_password_is_left_out_and_nothing_else() {
        for (raw, shown) in [
            ("sip:1001:geheim@h:5060;x=1:2", "sip:1001@h:5060;x=1:2"),
            ("1001:1001@1001", "1001@1001"),
            ("sip:1001:@h", "sip:1001@h"),
            ("sip:h:5060", "sip:h:5060"),
            ("sip:1001@[::1]:5060", "sip:1001@[::1]:5060"),
            ("tel:+49", "tel:+49"),
        ] {
            assert_eq!(*Uri::parse(raw.as_bytes()).without_password(), *shown.as_bytes());
        }
    }

    #[test]
    fn a_sip_uri_is_taken_apart() {
        let uri = Uri::parse(b"SIPS:alice;day=tue:secret@atlanta.com:5061;transport=TCP;lr?subject=x&y=%20");
        assert_eq!((uri.scheme, uri.user, uri.userinfo), (Scheme::Sips, &b"alice;day=tue"[..], &b"alice;day=tue:secret"[..]));
        assert_eq!((uri.host, uri.port, uri.headers), (&b"atlanta.com"[..], Some(5061), &b"subject=x&y=%20"[..]));
        assert_eq!((uri.param("TRANSPORT"), uri.param("lr"), uri.param("x")), (Some(&b"TCP"[..]), Some(&b""[..]), None));
    }

    #[test]
    fn a_user_holds_what_separates_elsewhere() {
        for user in ["alice;day=tuesday", "u&=+$,;?/", "a;b;c", "?", "/", ";", "+;x", "*", "1001x;y", "a/b?c;d=e", "%3b;"] {
            let uri = format!("sip:{user}@atlanta.com:5070;lr?subject=x");
            let uri = Uri::parse(uri.as_bytes());
            assert_eq!((uri.user, uri.host, uri.port), (user.as_bytes(), &b"atlanta.com"[..], Some(5070)), "{user}");
            assert_eq!((uri.param("lr"), uri.headers), (Some(&b""[..]), &b"subject=x"[..]), "{user}");
        }
        // Without a user, they separate.
        let uri = Uri::parse(b"sip:atlanta.com;lr?subject=a");
        assert_eq!((uri.user, uri.host, uri.param("lr"), uri.headers), (&b""[..], &b"atlanta.com"[..], Some(&b""[..]), &b"subject=a"[..]));
    }

    #[test]
    fn a_telephone_number_is_the_user_without_its_parameters() {
        for (user, number) in [
            ("+1-212-555-1212;isub=1411;postd=pp22:1234", "+1-212-555-1212"),
            ("+4930123;npdi;rn=+4989", "+4930123"),
            ("(30)12.34;phone-context=+49", "(30)12.34"),
            ("*97;x", "*97"),
            ("1001;ext=7", "1001"),
        ] {
            let uri = format!("sip:{user}@gateway.com;user=phone");
            assert_eq!(Uri::parse(uri.as_bytes()).user, number.as_bytes(), "{user}");
        }
    }

    #[test]
    fn a_number_is_the_user_of_a_tel_uri() {
        let uri = Uri::parse(b"tel:+1-201-555-0123;phone-context=example.com");
        assert_eq!((uri.scheme, uri.user, uri.host), (Scheme::Tel, &b"+1-201-555-0123"[..], &b""[..]));
        assert_eq!(uri.param("phone-context"), Some(&b"example.com"[..]));
    }

    #[test]
    fn an_unescaped_at_in_the_headers_does_not_move_the_host() {
        let uri = Uri::parse(b"sip:bob@host?Replaces=12345@other%3Bto-tag=1");
        assert_eq!((uri.user, uri.host), (&b"bob"[..], &b"host"[..]));
    }

    #[test]
    fn what_cannot_be_a_host_or_port_is_told_as_it_is() {
        let uri = Uri::parse(b"sip:a@b:99999");
        assert_eq!((uri.host, uri.port), (&b"b"[..], None));
        let unclosed = Uri::parse(b"sip:[2001:db8::1");
        assert_eq!((unclosed.host, unclosed.port), (&b"2001:db8::1"[..], None));
        assert_eq!(Uri::parse(b"sip:").host, b"");
    }

    #[test]
    fn an_address_without_brackets_is_read_with_and_without_port() {
        let read = |uri: &'static [u8]| (Uri::parse(uri).host_ip(), Uri::parse(uri).port);
        assert_eq!(read(b"sip:a@2001:db8::5060"), ("2001:db8::5060".parse().ok(), None));
        assert_eq!(read(b"sip:a@fec0:0:0:0:216:d3ff:fe0d:22c:5060"), ("fec0::216:d3ff:fe0d:22c".parse().ok(), Some(5060)));
        assert_eq!(read(b"sip:a@1:2:3"), (None, None));
    }

    #[test]
    fn without_a_scheme_user_and_host_are_read_all_the_same() {
        let uri = Uri::parse(b"100@192.0.2.1:5062");
        assert_eq!((uri.scheme, uri.user, uri.host, uri.port), (Scheme::Missing, &b"100"[..], &b"192.0.2.1"[..], Some(5062)));
        assert!(Uri::parse(b"").is_empty());
    }
}
