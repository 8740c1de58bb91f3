//! Session descriptions, RFC 8866: as much as tells who sends media from where.

use super::text::{self, cut, find_far, split_at, split_word, trim};
use std::net::IpAddr;

/// What tracking reads of a session description. Values are as written; what is not there is empty.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sdp<'a> {
    /// User name of `o=`.
    pub origin_user: &'a [u8],
    /// Session id of `o=`.
    pub session_id: &'a [u8],
    /// Address of `o=`.
    pub origin_address: &'a [u8],
    /// Address of `c=` of the session, else of the first media that has one.
    pub connection_address: &'a [u8],
    /// Whether there is an `a=candidate` (RFC 8839), so that `c=` need not be where media goes.
    pub has_ice_candidates: bool,
    /// The first `m=` section.
    pub first_media: Option<Media<'a>>,
    session_connection: &'a [u8],
    text: &'a [u8],
}

/// One `m=` section.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Media<'a> {
    /// `audio`, `video` and so on.
    pub kind: &'a [u8],
    /// The port; 0 for media that is refused or that has no port that can be one.
    pub port: u16,
    /// Address of its `c=`, else that of the session.
    pub connection: &'a [u8],
}

impl Media<'_> {
    /// The address media goes to, if it is one.
    pub fn connection_ip(&self) -> Option<IpAddr> {
        text::ip(self.connection)
    }
}

impl<'a> Sdp<'a> {
    /// Reads a session description. Nothing fails; lines of other shape are passed over.
    pub fn parse(text: &'a [u8]) -> Self {
        let mut sdp = Self { text, ..Self::default() };
        let mut sections = 0_u32;
        for (kind, value) in fields(text) {
            match kind {
                b'o' if sections == 0 => sdp.take_origin(value),
                b'm' => {
                    sections = sections.saturating_add(1);
                    if sections == 1 {
                        sdp.first_media = Some(media(value, sdp.session_connection));
                    }
                }
                b'c' => {
                    let address = connection(value);
                    match (sections, &mut sdp.first_media) {
                        (0, _) => sdp.session_connection = address,
                        (1, Some(first)) => first.connection = address,
                        _ => {}
                    }
                    if sdp.connection_address.is_empty() {
                        sdp.connection_address = address;
                    }
                }
                b'a' if value.starts_with(b"candidate:") => sdp.has_ice_candidates = true,
                _ => {}
            }
        }
        sdp
    }

    fn take_origin(&mut self, value: &'a [u8]) {
        let mut words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        self.origin_user = words.next().unwrap_or_default();
        self.session_id = words.next().unwrap_or_default();
        self.origin_address = words.nth(3).unwrap_or_default();
    }

    /// The media sections in order.
    pub fn media(&self) -> impl Iterator<Item = Media<'a>> {
        MediaSections { fields: fields(self.text), pending: None, session_connection: self.session_connection }
    }

    /// The address of `o=`, if it is one.
    pub fn origin_ip(&self) -> Option<IpAddr> {
        text::ip(self.origin_address)
    }

    /// The address of `c=`, if it is one.
    pub fn connection_ip(&self) -> Option<IpAddr> {
        text::ip(self.connection_address)
    }
}

/// Walks the fields and gives a section when the next one begins.
struct MediaSections<'a, I> {
    fields: I,
    pending: Option<Media<'a>>,
    session_connection: &'a [u8],
}

impl<'a, I: Iterator<Item = (u8, &'a [u8])>> Iterator for MediaSections<'a, I> {
    type Item = Media<'a>;

    fn next(&mut self) -> Option<Media<'a>> {
        for (kind, value) in self.fields.by_ref() {
            match (kind, &mut self.pending) {
                (b'm', pending) => {
                    let done = pending.replace(media(value, self.session_connection));
                    if done.is_some() {
                        return done;
                    }
                }
                (b'c', Some(media)) => media.connection = connection(value),
                _ => {}
            }
        }
        self.pending.take()
    }
}

/// The `x=value` lines that matter here.
fn fields(text: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = Some(text);
    let lines = std::iter::from_fn(move || {
        let text = rest?;
        let (line, behind) = find_far(text, b'\n').map_or((text, None), |end| cut(text, end));
        rest = behind;
        Some(line)
    });
    lines.filter_map(|line| match line {
        [kind @ (b'o' | b'm' | b'c' | b'a'), b'=', value @ ..] => Some((*kind, trim(value))),
        _ => None,
    })
}

/// `audio 49170/2 RTP/AVP 0`
fn media<'a>(value: &'a [u8], session_connection: &'a [u8]) -> Media<'a> {
    let (kind, rest) = split_word(value);
    let port = text::port(split_at(split_word(rest).0, b'/').0).unwrap_or_default();
    Media { kind, port, connection: session_connection }
}

/// `IN IP4 224.2.1.1/127/3`
fn connection(value: &[u8]) -> &[u8] {
    let (_, rest) = split_word(value);
    let (_, address) = split_word(rest);
    split_at(split_word(address).0, b'/').0
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[u8] = b"v=0\r\no=- 123 1 IN IP4 10.0.0.1\r\nc=IN IP4 192.0.2.1/127\r\nm=audio 4000/2 RTP/AVP 0\r\n\
        a=candidate:1 1 UDP 2130706431 10.0.0.1 4000 typ host\r\nm=video 0 RTP/AVP 31\r\nc=IN IP6 2001:db8::1\r\n";

    #[test]
    fn media_take_the_address_of_the_session_unless_they_have_one() {
        let sdp = Sdp::parse(BOTH);
        assert_eq!((sdp.origin_user, sdp.session_id, sdp.origin_address), (&b"-"[..], &b"123"[..], &b"10.0.0.1"[..]));
        assert_eq!((sdp.connection_address, sdp.connection_ip()), (&b"192.0.2.1"[..], "192.0.2.1".parse().ok()));
        let media: Vec<_> = sdp.media().map(|media| (media.kind, media.port, media.connection)).collect();
        assert_eq!(media, [(&b"audio"[..], 4000, &b"192.0.2.1"[..]), (b"video", 0, b"2001:db8::1")]);
    }

    #[test]
    fn candidates_are_seen_only_where_they_are_attributes() {
        assert!(Sdp::parse(BOTH).has_ice_candidates);
        assert!(!Sdp::parse(b"v=0\ns=a=candidate:1\na=x-candidate:1\n").has_ice_candidates);
    }

    #[test]
    fn an_origin_among_the_media_and_lines_of_other_shape_are_passed_over() {
        let sdp = Sdp::parse(b"\r\nhello\nm=audio\no=x 1 1 IN IP4 192.0.2.1\nc=\n");
        assert_eq!((sdp.session_id, sdp.connection_address), (&b""[..], &b""[..]));
        assert_eq!(sdp.media().map(|media| media.port).collect::<Vec<_>>(), [0]);
        assert_eq!(Sdp::parse(b"").media().count(), 0);
    }
}
