//! One SIP message, or what pretends to be one: scanned, read, cut, blanked, masked.

use siphound::history::mask::Mask;
use siphound::sip::message::Message;
use siphound::sip::scan::{Context, scan};

use crate::support::reading::{frame_pieces, read_all, read_datagram};

pub(crate) fn body(bytes: &[u8]) {
    read_datagram(bytes);
    let Some(scanned) = scan(bytes, Context::Datagram) else { return };
    let message = Message::new(bytes, &scanned);
    assert!(usize::from(message.via_count()) <= bytes.len() && message.contacts().count() <= bytes.len());

    let own = &bytes[..scanned.consumed()];
    assert_same_reading(message, own);
    if let Some(framed) = frame_pieces([bytes]).first() {
        let scan = scan(framed, Context::Stream).expect("what is framed has a start line");
        assert_eq!(scan.consumed(), framed.len(), "what is framed is scanned to its end");
    }
    assert_secrets_are_blanked(own);
    let mut mask = Mask::new(1);
    let masked = mask.message(own);
    assert_eq!(masked, Mask::new(1).message(own), "a mask is a function of its key");
    let scan = scan(&masked, Context::Datagram).expect("it is a message still");
    let masked = Message::new(&masked, &scan);
    assert_eq!((masked.kind(), masked.method()), (message.kind(), message.method()));
}

/// What stands behind a message has no part in it.
fn assert_same_reading(message: Message<'_>, own: &[u8]) {
    let again = scan(own, Context::Datagram).expect("has a start line");
    assert_eq!(again.consumed(), own.len());
    let (whole, alone) = (read_all(message), read_all(Message::new(own, &again)));
    assert!(whole.iter().skip(1).eq(alone.iter().skip(1)), "reads otherwise without what follows it");
}

/// Blanking keeps the length and what is not secret.
fn assert_secrets_are_blanked(own: &[u8]) {
    let mut blanked = own.to_vec();
    siphound::history::trace::blank_secrets(&mut blanked);
    assert_eq!(blanked.len(), own.len());
    let mut twice = blanked.clone();
    siphound::history::trace::blank_secrets(&mut twice);
    assert!(blanked == twice, "what is blank stays as it is: {}", String::from_utf8_lossy(own));
    let (before, after) = (scan(own, Context::Datagram), scan(&blanked, Context::Datagram));
    let (Some(before), Some(after)) = (before, after) else { panic!("it is a message still") };
    let (before, after) = (Message::new(own, &before), Message::new(&blanked, &after));
    assert_eq!((before.kind(), before.cseq()), (after.kind(), after.cseq()));
    // To the one who blanks, a bare CR may end a Call-ID.
    if !has_bare_cr(before.call_id()) {
        assert_eq!(before.call_id(), after.call_id());
    }
    // Of credentials that are no digest, or whose quotes do not tell its parts apart, nothing is kept but the scheme; and a bare CR may end
    // them.
    let value = before.header("Authorization").or_else(|| before.header("Proxy-Authorization")).unwrap_or_default();
    let is_clear = !has_bare_cr(value) && quotes_begin_values(value) && !value.contains(&b'\\');
    let digest = before.credentials().filter(|credentials| credentials.scheme.eq_ignore_ascii_case(b"digest"));
    if let Some(digest) = digest.filter(|digest| is_clear && !digest.nonce.contains(&b'"')) {
        assert_eq!(after.credentials().map(|digest| digest.nonce), Some(digest.nonce));
    }
}

/// Whether each quote has its other half, and stands where a value may begin.
fn quotes_begin_values(value: &[u8]) -> bool {
    let pieces: Vec<&[u8]> = value.split(|byte| *byte == b'"').collect();
    let mut before_quotes = pieces[..pieces.len() - 1].iter().step_by(2).enumerate();
    let may_begin = |piece: &[u8]| matches!(piece.last(), Some(b'=' | b',' | b' ' | b'\t' | b'\r' | b'\n'));
    pieces.len() % 2 == 1 && before_quotes.all(|(at, piece)| may_begin(piece) || (at == 0 && piece.is_empty()))
}

fn has_bare_cr(value: &[u8]) -> bool {
    value.split(|byte| *byte == b'\r').skip(1).any(|rest| rest.first() != Some(&b'\n'))
}
