//! What siphound and rsip read of one message, side by side.

use siphound::sip::adapter::{SecondOpinion, second_opinion};
use siphound::sip::headers::{Address, HeaderName};
use siphound::sip::message::{Kind, Message};
use siphound::sip::scan::{Context, scan};
use siphound::sip::uri::Scheme;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What siphound reads, in rsip's terms.
pub(crate) fn own_opinion(bytes: &[u8]) -> SecondOpinion {
    let scan = scan(bytes, Context::Datagram).expect("what rsip reads has a start line");
    let message = Message::new(bytes, &scan);
    let who = |address: Address<'_>, header: HeaderName| {
        let user = Some(text(address.uri.user)).filter(|user| !user.is_empty());
        let value = message.header(header).unwrap_or_default().trim_ascii_start();
        // A telephone number has no host (RFC 3966 §3); rsip looks for one behind an `@`.
        let is_known = match address.uri.scheme {
            Scheme::Sip | Scheme::Sips => true,
            Scheme::Tel => !value.contains(&b'@'),
            _ => false,
        };
        // Of a tag that is no token (RFC 3261 §25.1) each takes what it likes.
        let has_token = address.tag.is_none_or(|tag| tag.iter().all(|byte| is_in_token(*byte)));
        (is_known && has_token && is_clear(value)).then(|| (user, address.tag.map(text)))
    };
    SecondOpinion {
        kind: match message.kind() {
            Kind::Request(_) => Ok(text(message.method_name())),
            Kind::Response(status) => Err(status),
        },
        call_id: Some(text(message.call_id())),
        cseq: message.cseq().map(|cseq| (cseq.number, cseq.method.to_string())),
        from: who(message.from(), HeaderName::From),
        to: who(message.to(), HeaderName::To),
        branch: message.top_via().and_then(|via| via.branch).map(text),
    }
}

/// Whether rsip looks for the user of an address where it is: behind a name of tokens or in quotes, or in an address without either that has
/// no parameters before its host (RFC 3261 §20.10, §25.1). Elsewhere it takes colons, semicolons and quotes as it finds them.
fn is_clear(value: &[u8]) -> bool {
    let is_name = |byte: &u8| is_in_token(*byte) || byte.is_ascii_whitespace();
    let address = match *value.split(|byte| *byte == b'"').collect::<Vec<_>>() {
        [[], _, behind] => behind.trim_ascii_start().strip_prefix(b"<"),
        [plain] => match plain.iter().position(|byte| *byte == b'<') {
            Some(bracket) => plain.split_at(bracket).1.strip_prefix(b"<").filter(|_| plain[..bracket].iter().all(is_name)),
            None => Some(plain).filter(|plain| !plain.split(|byte| *byte == b'@').next().is_some_and(|user| user.contains(&b';'))),
        },
        _ => None,
    };
    address.and_then(|address| address.split(|byte| *byte == b'>').next()).is_some_and(|uri| uri.iter().all(u8::is_ascii_graphic))
}

fn is_in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Whether both agree on all that rsip could read; `None` if it refused the message. rsip leaves blanks at the end of a Call-ID, and takes
/// for an empty branch or tag what is none.
pub(crate) fn agree(bytes: &[u8]) -> Option<()> {
    let theirs = second_opinion(bytes)?;
    let ours = own_opinion(bytes);
    let shown = || text(bytes);
    assert_eq!(ours.kind, theirs.kind, "{}", shown());
    let their_id = theirs.call_id.as_deref().map(str::trim_ascii);
    assert!(their_id.is_none() || ours.call_id.as_deref() == their_id, "{:?} {:?} {}", ours.call_id, theirs.call_id, shown());
    assert!(theirs.cseq.is_none() || ours.cseq == theirs.cseq || has_sign(bytes), "{:?} {:?} {}", ours.cseq, theirs.cseq, shown());
    assert_same_party(ours.from, theirs.from, shown);
    assert_same_party(ours.to, theirs.to, shown);
    let their_branch = theirs.branch.as_deref().filter(|branch| !branch.is_empty());
    assert!(their_branch.is_none() || ours.branch.as_deref() == their_branch, "{:?} {:?} {}", ours.branch, theirs.branch, shown());
    Some(())
}

/// Whether the CSeq has a sign before its number: there is none (RFC 3261 §20.16), and rsip takes one.
fn has_sign(bytes: &[u8]) -> bool {
    let scan = scan(bytes, Context::Datagram);
    let sign = |scan| Some(Message::new(bytes, scan).header(HeaderName::CSeq)?.trim_ascii_start().starts_with(b"+"));
    scan.as_ref().and_then(sign).unwrap_or_default()
}

type Party = Option<(Option<String>, Option<String>)>;

/// rsip does not see a user that ends in a dot, and sees an empty one before a lone `@`; of one that it sees, both say the same, but for
/// the parameters of a telephone number (RFC 3261 §19.1.6).
fn assert_same_party(ours: Party, theirs: Party, shown: impl Fn() -> String) {
    let (Some((our_user, our_tag)), Some((their_user, their_tag))) = (ours, theirs) else { return };
    assert_eq!(our_tag, their_tag.filter(|tag| !tag.is_empty()), "{}", shown());
    let Some(theirs) = their_user.filter(|user| !user.is_empty()) else { return };
    let ours = our_user.unwrap_or_default();
    let is_number = ours.contains(|c: char| c.is_ascii_digit()) && !ours.contains(|c: char| c.is_ascii_alphabetic());
    let alike = ours == theirs || is_number && theirs.strip_prefix(&*ours).is_some_and(|behind| behind.starts_with(';'));
    assert!(alike, "{ours:?} {theirs:?} {}", shown());
}
