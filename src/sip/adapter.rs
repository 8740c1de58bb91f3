//! Everything of the `rsip` crate: its vocabulary, its reading of single values for a person to look at, and its second opinion.
//!
//! rsip allocates and refuses much that phones send, so nothing that tracking depends on comes from here.

use rsip::headers::auth::AuthQop;
use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::message::HeadersExt;
use rsip::typed;
use rsip::{Param, StatusCode, StatusCodeKind, Uri};

/// The class of a status code.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum StatusKind {
    /// 1xx
    Provisional,
    /// 2xx
    Success,
    /// 3xx
    Redirection,
    /// 4xx
    ClientError,
    /// 5xx
    ServerError,
    /// 6xx
    GlobalFailure,
    /// No status code.
    Invalid,
}

/// The class of a status code.
pub fn status_kind(status: u16) -> StatusKind {
    match StatusCode::from(status).kind() {
        StatusCodeKind::Provisional => StatusKind::Provisional,
        StatusCodeKind::Successful => StatusKind::Success,
        StatusCodeKind::Redirection => StatusKind::Redirection,
        StatusCodeKind::RequestFailure => StatusKind::ClientError,
        StatusCodeKind::ServerFailure => StatusKind::ServerError,
        StatusCodeKind::GlobalFailure => StatusKind::GlobalFailure,
        StatusCodeKind::Other => StatusKind::Invalid,
    }
}

/// The words for a status code that has registered ones, for when a response brings none.
pub fn status_phrase(status: u16) -> Option<String> {
    match StatusCode::from(status) {
        StatusCode::Other(..) => None,
        StatusCode::OK => Some("OK".to_owned()),
        known => Some(spaced(&format!("{known:?}"))),
    }
}

/// `BusyHere` as `Busy Here`.
fn spaced(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter);
    }
    words
}

/// What else digest credentials say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DigestDetails {
    /// The algorithm by its usual name.
    pub algorithm: Option<String>,
    /// `auth` or `auth-int`.
    pub quality: Option<&'static str>,
    /// The client's nonce.
    pub client_nonce: Option<String>,
    /// How often the nonce was used.
    pub nonce_count: Option<u8>,
}

/// Reads an (Proxy-)Authorization value in full; nothing if rsip cannot.
pub fn digest_details(value: &str) -> Option<DigestDetails> {
    let digest = typed::Authorization::try_from(rsip::headers::Authorization::new(value)).ok()?;
    let algorithm = digest.algorithm.map(|algorithm| algorithm.to_string());
    let (quality, client_nonce, nonce_count) = match digest.qop {
        None => (None, None, None),
        Some(AuthQop::Auth { cnonce, nc }) => (Some("auth"), Some(cnonce), Some(nc)),
        Some(AuthQop::AuthInt { cnonce, nc }) => (Some("auth-int"), Some(cnonce), Some(nc)),
    };
    Some(DigestDetails { algorithm, quality, client_nonce, nonce_count })
}

/// The parameters of a URI, each as `name` or `name=value`; nothing if rsip cannot read the URI.
pub fn uri_params(uri: &str) -> Option<Vec<String>> {
    let uri = Uri::try_from(uri).ok()?;
    Some(uri.params.iter().map(|param| param.to_string().trim_start_matches(';').to_owned()).collect())
}

/// What rsip reads of a message. Only of what it could read is anything said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecondOpinion {
    /// The method of a request or the status of a response.
    pub kind: Result<String, u16>,
    /// The Call-ID.
    pub call_id: Option<String>,
    /// Number and method of CSeq.
    pub cseq: Option<(u32, String)>,
    /// User and tag of From.
    pub from: Option<(Option<String>, Option<String>)>,
    /// User and tag of To.
    pub to: Option<(Option<String>, Option<String>)>,
    /// The branch of the top Via.
    pub branch: Option<String>,
}

/// Lets rsip read a message; nothing if it refuses. For tests that compare.
pub fn second_opinion(bytes: &[u8]) -> Option<SecondOpinion> {
    let message = rsip::SipMessage::try_from(bytes).ok()?;
    let kind = match &message {
        rsip::SipMessage::Request(request) => Ok(request.method.to_string()),
        rsip::SipMessage::Response(response) => Err(response.status_code.code()),
    };
    let from = message.from_header().ok().and_then(|header| header.typed().ok());
    let to = message.to_header().ok().and_then(|header| header.typed().ok());
    let cseq = message.cseq_header().ok().and_then(|header| header.typed().ok());
    let via = message.via_header().ok().and_then(|header| header.typed().ok());
    Some(SecondOpinion {
        kind,
        call_id: message.call_id_header().ok().map(|header| header.value().to_owned()),
        cseq: cseq.map(|cseq| (cseq.seq, cseq.method.to_string())),
        from: from.map(|from| (user(&from.uri), tag(&from.params))),
        to: to.map(|to| (user(&to.uri), tag(&to.params))),
        branch: via.and_then(|via| via.branch().map(|branch| branch.value().to_owned())),
    })
}

fn user(uri: &Uri) -> Option<String> {
    uri.user().map(str::to_owned)
}

fn tag(params: &[Param]) -> Option<String> {
    params.iter().find_map(|param| match param {
        Param::Tag(tag) => Some(tag.value().to_owned()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_a_class_and_words() {
        assert_eq!(status_kind(183), StatusKind::Provisional);
        assert_eq!(status_kind(299), StatusKind::Success);
        assert_eq!(status_kind(603), StatusKind::GlobalFailure);
        assert_eq!(status_phrase(200).as_deref(), Some("OK"));
        assert_eq!(status_phrase(486).as_deref(), Some("Busy Here"));
    }

    #[test]
    fn what_is_no_status_has_neither() {
        assert_eq!(status_kind(0), StatusKind::Invalid);
        assert_eq!(status_kind(700), StatusKind::Invalid);
        assert_eq!(status_phrase(299), None);
    }

    #[test]
    fn credentials_are_read_in_full() {
        let value = "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"0\", algorithm=MD5, qop=auth, nc=00000002, cnonce=\"c\"";
        let details = digest_details(value).expect("rsip reads this");
        assert_eq!(details.algorithm.as_deref(), Some("MD5"));
        assert_eq!((details.quality, details.nonce_count, details.client_nonce.as_deref()), (Some("auth"), Some(2), Some("c")));
        assert_eq!(digest_details("Digest username=\"a\""), None);
    }

    #[test]
    fn uri_params_are_listed() {
        assert_eq!(uri_params("sip:a@example.com;transport=tcp;lr"), Some(vec!["transport=TCP".to_owned(), "lr".to_owned()]));
        assert_eq!(uri_params("sip:"), None);
    }
}
