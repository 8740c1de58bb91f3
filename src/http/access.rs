//! Who may read the API.
//!
//! Without a token only this host may, and no page in a browser on it: such a page can reach a loopback address under a name of its own
//! (DNS rebinding), so the Host must be an address of this host, and the Origin, if there is one, too.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq as _;

use super::api::Problem;

/// Who may read the API on one address.
#[derive(Clone, Debug)]
pub struct Access {
    /// From where.
    pub peers: Peers,
    /// What they must show.
    pub token: Option<Token>,
}

/// From where the API may be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peers {
    /// From this host alone.
    ThisHost,
    /// From wherever the address is reached.
    Anyone,
}

/// The secret of the API. It is never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Token(String);

impl Token {
    /// Characters of a token at least: fewer can be guessed.
    pub const SHORTEST: usize = 16;

    /// A token without the blanks around it; `None` where it is too short, or holds what no header can.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= Self::SHORTEST && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| Self(text.to_owned()))
    }

    /// The header that shows it.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.0)
    }

    fn is_shown(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
        let (scheme, token) = shown.split_at_checked("Bearer ".len()).unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(token.ct_eq(self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Lets a request pass, or refuses it.
pub(super) async fn admit(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.refusal(&request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

impl Access {
    /// Why a request is not answered, if it is not.
    pub(super) fn refusal(&self, request: &Request) -> Option<Problem> {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_canonical());
        if self.peers == Peers::ThisHost && !peer.is_some_and(|peer| peer.is_loopback()) {
            return Some(Problem::Forbidden("the API is served to this host alone; others need api.listen with api.token_file"));
        }
        let headers = request.headers();
        match &self.token {
            Some(token) if token.is_shown(headers) => None,
            Some(_) => Some(Problem::Unauthorized),
            None if !is_this_host(headers, HOST) => Some(Problem::Forbidden("the Host is not an address of this host")),
            None if headers.contains_key(ORIGIN) && !is_this_host(headers, ORIGIN) => {
                Some(Problem::Forbidden("pages of other sites may not read the API"))
            }
            None => None,
        }
    }
}

/// Whether the header names this host, as a page that this host serves would.
fn is_this_host(headers: &HeaderMap, name: HeaderName) -> bool {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next().and_then(|value| value.to_str().ok()), values.next()) else { return false };
    let authority = value.strip_prefix("http://").or_else(|| value.strip_prefix("https://")).unwrap_or(value);
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, "")) => v6,
        Some((v6, port)) if is_port(port) => v6,
        Some(_) => return false,
        None => match authority.split_once(':') {
            Some((host, port)) if is_port(&format!(":{port}")) => host,
            Some(_) => return false,
            None => authority,
        },
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    const SECRET: &str = "correct-horse-battery";

    fn request(peer: &str, headers: &[(HeaderName, &str)]) -> Request {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Peer(peer.parse().expect("an address")));
        for (name, value) in headers {
            request.headers_mut().append(name, value.parse().expect("a value"));
        }
        request
    }

    fn open() -> Access {
        Access { peers: Peers::ThisHost, token: None }
    }

    fn guarded(peers: Peers) -> Access {
        Access { peers, token: Token::new(SECRET) }
    }

    #[test]
    fn this_host_reads_without_a_token() {
        for peer in ["127.0.0.1:4000", "[::1]:4000", "[::ffff:127.0.0.1]:4000"] {
            for host in ["localhost", "LOCALHOST:15060", "127.0.0.1", "127.0.0.1:15060", "[::1]", "[::1]:15060"] {
                assert_eq!(open().refusal(&request(peer, &[(HOST, host)])), None, "{peer} {host}");
            }
        }
        let own_page = [(HOST, "localhost:15060"), (ORIGIN, "http://localhost:15060")];
        assert_eq!(open().refusal(&request("127.0.0.1:4000", &own_page)), None);
    }

    #[test]
    fn a_page_in_a_browser_does_not() {
        for host in ["evil.example", "evil.example:15060", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1@evil.example", ""]
        {
            assert!(open().refusal(&request("127.0.0.1:4000", &[(HOST, host)])).is_some(), "{host:?}");
        }
        assert!(open().refusal(&request("127.0.0.1:4000", &[])).is_some(), "no Host at all");
        assert!(open().refusal(&request("127.0.0.1:4000", &[(HOST, "localhost"), (HOST, "localhost")])).is_some(), "two of them");
        for origin in ["http://evil.example", "null", "https://localhost.evil.example"] {
            assert!(open().refusal(&request("127.0.0.1:4000", &[(HOST, "localhost"), (ORIGIN, origin)])).is_some(), "{origin}");
        }
    }

    #[test]
    fn others_do_not_whatever_they_say() {
        for access in [open(), guarded(Peers::ThisHost)] {
            let said = [(HOST, "localhost"), (AUTHORIZATION, "Bearer correct-horse-battery")];
            assert!(matches!(access.refusal(&request("192.0.2.7:4000", &said)), Some(Problem::Forbidden(_))));
        }
    }

    #[test]
    fn the_token_opens_and_nothing_like_it() {
        let said =
            |value: &str| guarded(Peers::Anyone).refusal(&request("192.0.2.7:4000", &[(HOST, "pbx.example"), (AUTHORIZATION, value)]));
        assert_eq!(said("Bearer correct-horse-battery"), None);
        assert_eq!(said("bearer correct-horse-battery"), None);
        for wrong in
            ["", "Bearer", "Bearer ", "Bearer correct-horse-batter", "Bearer correct-horse-battery1", "Basic correct-horse-battery"]
        {
            assert_eq!(said(wrong), Some(Problem::Unauthorized), "{wrong:?}");
        }
        assert_eq!(guarded(Peers::ThisHost).refusal(&request("127.0.0.1:4000", &[(HOST, "localhost")])), Some(Problem::Unauthorized));
    }

    #[test]
    fn a_token_is_long_enough_and_never_printed() {
        assert_eq!(Token::new("short"), None);
        assert_eq!(Token::new("with blanks in between"), None);
        assert_eq!(Token::new(&format!(" {SECRET}\n")), Token::new(SECRET));
        assert!(!format!("{:?}", guarded(Peers::Anyone)).contains(SECRET));
    }
}
