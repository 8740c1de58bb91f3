//! What a message is and how it travels.

use super::{Labels, Pair};
use crate::decode::flow::Transport;
use crate::sip::method::Method;

label_enum! {
    /// The method of a request; one that is not listed is `other`.
    MethodLabel in "method" {
        /// RFC 3261.
        Invite = "INVITE",
        /// RFC 3261.
        Ack = "ACK",
        /// RFC 3261.
        Bye = "BYE",
        /// RFC 3261.
        Cancel = "CANCEL",
        /// RFC 3261.
        Register = "REGISTER",
        /// RFC 3261.
        Options = "OPTIONS",
        /// RFC 6665.
        Notify = "NOTIFY",
        /// RFC 6665.
        Subscribe = "SUBSCRIBE",
        /// RFC 3903.
        Publish = "PUBLISH",
        /// RFC 6086.
        Info = "INFO",
        /// RFC 3311.
        Update = "UPDATE",
        /// RFC 3262.
        Prack = "PRACK",
        /// RFC 3515.
        Refer = "REFER",
        /// RFC 3428.
        Message = "MESSAGE",
        /// Any other.
        Other = "other",
    }
}

impl From<Method> for MethodLabel {
    fn from(method: Method) -> Self {
        match method {
            Method::Invite => Self::Invite,
            Method::Ack => Self::Ack,
            Method::Bye => Self::Bye,
            Method::Cancel => Self::Cancel,
            Method::Register => Self::Register,
            Method::Options => Self::Options,
            Method::Notify => Self::Notify,
            Method::Subscribe => Self::Subscribe,
            Method::Publish => Self::Publish,
            Method::Info => Self::Info,
            Method::Update => Self::Update,
            Method::Prack => Self::Prack,
            Method::Refer => Self::Refer,
            Method::Message => Self::Message,
            Method::Other => Self::Other,
        }
    }
}

/// A status code: one that is registered with IANA, `other`, or `none` where there was no response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CodeLabel(u8);

impl CodeLabel {
    /// No response.
    pub const NONE: Self = Self(0);
    const OTHER: Self = Self(1);
    const FIRST_CODE: usize = 2;

    /// The label of `status`.
    pub fn of(status: Option<u16>) -> Self {
        let Some(status) = status else { return Self::NONE };
        match CODES.binary_search_by_key(&status, |(code, _)| *code) {
            Ok(position) => Self((Self::FIRST_CODE + position) as u8),
            Err(_) => Self::OTHER,
        }
    }

    fn value(index: usize) -> &'static str {
        match index {
            0 => "none",
            1 => "other",
            index => CODES.get(index - Self::FIRST_CODE).map_or("other", |(_, text)| text),
        }
    }
}

impl Labels for CodeLabel {
    const COUNT: usize = Self::FIRST_CODE + CODES.len();

    fn index(self) -> usize {
        usize::from(self.0)
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        pairs.push(("code", Self::value(index)));
    }
}

/// Lists status codes with their texts.
macro_rules! codes {
    ($($code:literal)+) => { [$(($code, stringify!($code)),)+] };
}

/// The status codes registered with IANA for SIP, in rising order.
const CODES: [(u16, &str); 75] = codes![
    100 180 181 182 183 199
    200 202 204
    300 301 302 305 380
    400 401 402 403 404 405 406 407 408 410 412 413 414 415 416 417 420 421 422 423 424 425 428 429 430 433 436 437 438 439 440 469 470
    480 481 482 483 484 485 486 487 488 489 491 493 494
    500 501 502 503 504 505 513 555 580
    600 603 604 606 607 608
];

/// What a message is: labelled by its method or by its status code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageKind {
    /// A request.
    Request(MethodLabel),
    /// A response.
    Response(CodeLabel),
}

impl Labels for MessageKind {
    const COUNT: usize = MethodLabel::COUNT + CodeLabel::COUNT;

    fn index(self) -> usize {
        match self {
            Self::Request(method) => method.index(),
            Self::Response(code) => MethodLabel::COUNT + code.index(),
        }
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        match index.checked_sub(MethodLabel::COUNT) {
            None => MethodLabel::pairs(index, pairs),
            Some(code) => CodeLabel::pairs(code, pairs),
        }
    }
}

impl Labels for Transport {
    const COUNT: usize = TRANSPORTS.len();

    fn index(self) -> usize {
        self as usize
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        pairs.extend(TRANSPORTS.get(index).map(|transport| ("transport", transport.as_str())));
    }
}

/// The transports in the order of their declaration.
const TRANSPORTS: [Transport; 4] = [Transport::Udp, Transport::Tcp, Transport::Ws, Transport::Sctp];

#[cfg(test)]
mod tests {
    use super::*;

    fn text(status: Option<u16>) -> &'static str {
        let mut pairs = Vec::new();
        CodeLabel::pairs(CodeLabel::of(status).index(), &mut pairs);
        assert_eq!((pairs.len(), pairs[0].0), (1, "code"));
        pairs[0].1
    }

    #[test]
    fn codes_rise_and_the_unknown_are_other() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(CODES.iter().all(|(code, name)| text(Some(*code)) == *name));
        assert_eq!(text(Some(401)), "401");
        for status in [0, 99, 299, 699, 700, u16::MAX] {
            assert_eq!(text(Some(status)), "other");
        }
        assert_eq!(text(None), "none");
    }

    #[test]
    fn a_method_is_known_in_its_own_spelling_only() {
        for method in Method::ALL {
            assert_eq!(MethodLabel::from(method).as_str().to_ascii_lowercase(), method.as_str().to_ascii_lowercase());
        }
    }

    #[test]
    fn a_message_has_a_method_or_a_code() {
        for (kind, expected) in [
            (MessageKind::Request(MethodLabel::Other), ("method", "other")),
            (MessageKind::Response(CodeLabel::NONE), ("code", "none")),
            (MessageKind::Response(CodeLabel::of(Some(608))), ("code", "608")),
        ] {
            let mut pairs = Vec::new();
            MessageKind::pairs(kind.index(), &mut pairs);
            assert_eq!(pairs, [expected]);
        }
    }

    #[test]
    fn transports_are_numbered_in_the_order_of_their_list() {
        assert!(TRANSPORTS.iter().enumerate().all(|(index, value)| value.index() == index));
    }
}
