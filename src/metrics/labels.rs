//! Labels: closed sets of values, so that no text from the wire ever becomes one and the number of series is known when compiling.

use crate::decode::flow::Transport;
use crate::decode::outcome::Skip;
use crate::decode::signal::KeepaliveKind;
use crate::track::vocabulary::{Direction, Outcome, PeerClass, Reachability, RegistrationState};

/// A label's name and value.
pub(super) type Pair = (&'static str, &'static str);

/// One label, or several together, each combination of values numbered from 0.
pub trait Labels: Copy {
    /// How many combinations there are.
    const COUNT: usize;

    /// The number of this combination, less than [`COUNT`](Self::COUNT).
    fn index(self) -> usize;

    /// Appends the names and values of combination `index`, which is less than [`COUNT`](Self::COUNT).
    fn pairs(index: usize, pairs: &mut Vec<(&'static str, &'static str)>);
}

/// No label: one series.
impl Labels for () {
    const COUNT: usize = 1;

    fn index(self) -> usize {
        0
    }

    fn pairs(_: usize, _: &mut Vec<Pair>) {}
}

impl<A: Labels, B: Labels> Labels for (A, B) {
    const COUNT: usize = A::COUNT * B::COUNT;

    fn index(self) -> usize {
        self.0.index() * B::COUNT + self.1.index()
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        A::pairs(index / B::COUNT, pairs);
        B::pairs(index % B::COUNT, pairs);
    }
}

impl<A: Labels, B: Labels, C: Labels> Labels for (A, B, C) {
    const COUNT: usize = <(A, (B, C))>::COUNT;

    fn index(self) -> usize {
        (self.0, (self.1, self.2)).index()
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        <(A, (B, C))>::pairs(index, pairs);
    }
}

impl<A: Labels, B: Labels, C: Labels, D: Labels> Labels for (A, B, C, D) {
    const COUNT: usize = <((A, B), (C, D))>::COUNT;

    fn index(self) -> usize {
        ((self.0, self.1), (self.2, self.3)).index()
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        <((A, B), (C, D))>::pairs(index, pairs);
    }
}

/// Makes an enum without fields, with `ALL` in the order of its declaration and `as_str`, a label.
macro_rules! label {
    ($name:literal: $($ty:ty),+) => {$(
        impl Labels for $ty {
            const COUNT: usize = Self::ALL.len();

            fn index(self) -> usize {
                self as usize
            }

            fn pairs(index: usize, pairs: &mut Vec<Pair>) {
                pairs.extend(Self::ALL.get(index).map(|value| ($name, value.as_str())));
            }
        }
    )+};
}

/// Declares an enum and makes it a label.
macro_rules! label_enum {
    ($(#[$doc:meta])* $name:ident in $label:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value of the label.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        label!($label: $name);
    };
}

/// Declares a label of another name for the values of an existing one.
macro_rules! label_as {
    ($(#[$doc:meta])* $name:ident in $label:literal: $values:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct $name(pub $values);

        impl Labels for $name {
            const COUNT: usize = <$values>::ALL.len();

            fn index(self) -> usize {
                self.0 as usize
            }

            fn pairs(index: usize, pairs: &mut Vec<Pair>) {
                pairs.extend(<$values>::ALL.get(index).map(|value| ($label, value.as_str())));
            }
        }
    };
}

label!("outcome": Outcome);
label!("peer_class": PeerClass);
label!("state": RegistrationState);
label!("reachability": Reachability);

label_as!(
    /// The registration state that was left.
    FromState in "from": RegistrationState
);
label_as!(
    /// The registration state that was entered.
    ToState in "to": RegistrationState
);
label_as!(
    /// The reachability that was entered.
    ToReachability in "to": Reachability
);

label_enum! {
    /// Which way, seen from the PBX.
    Dir in "dir" {
        /// Towards the PBX.
        In = "in",
        /// From the PBX.
        Out = "out",
    }
}

/// Where neither end is a known PBX, everything counts as towards one, as the report's RFC 6076 figures do.
impl From<Direction> for Dir {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::In | Direction::Through => Self::In,
            Direction::Out => Self::Out,
        }
    }
}

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

impl MethodLabel {
    /// The label of the method `name`; methods are case-sensitive (RFC 3261 §7.1).
    pub fn of(name: &str) -> Self {
        Self::ALL.iter().copied().find(|method| method.as_str() == name).unwrap_or(Self::Other)
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

label_enum! {
    /// Why a registration attempt failed.
    FailureReason in "reason" {
        /// A final 4xx other than 401, 402 and 407.
        ClientError = "4xx",
        /// A final 5xx.
        ServerError = "5xx",
        /// A final 6xx.
        GlobalFailure = "6xx",
        /// No final response within 64·T1.
        Timeout = "timeout",
        /// Credentials refused; RFC 6076 does not count these as ineffective.
        Auth = "auth",
    }
}

label_enum! {
    /// How the thing that was waited for came out.
    DelayResult in "result" {
        /// As wanted.
        Success = "success",
        /// Otherwise.
        Failure = "failure",
    }
}

label_enum! {
    /// How an established session ended.
    SessionResult in "result" {
        /// As it should.
        Completed = "completed",
        /// For lack of a response.
        Failed = "failed",
    }
}

label_enum! {
    /// Which of the definitions of an unanswered call holds (DETECTION §4.4).
    Unanswered in "kind" {
        /// It rang out.
        Ring = "ring",
        /// Given up before it rang.
        Abandoned = "abandoned",
        /// Never delivered to the called phone.
        Undelivered = "undelivered",
    }
}

label_enum! {
    /// Below which talk time, in seconds, a completed call stayed.
    ShortCall in "lt" {
        /// Below 3 s.
        Three = "3",
        /// Below 10 s, those below 3 s among them.
        Ten = "10",
    }
}

label_enum! {
    /// What keeps a NAT binding alive (DETECTION §2.3).
    KeepaliveLabel in "kind" {
        /// An empty datagram.
        Zero = "zero",
        /// One CRLF.
        Crlf = "crlf",
        /// Two CRLF.
        CrlfCrlf = "crlfcrlf",
        /// Four NUL bytes.
        Nul4 = "nul4",
        /// Up to eight bytes of anything else.
        Short = "short",
        /// STUN.
        Stun = "stun",
        /// OPTIONS outside a dialog.
        Options = "options",
        /// NOTIFY with `Event: keep-alive`.
        Notify = "notify-ka",
        /// REGISTER at most 120 s apart.
        Register = "register",
        /// INFO, PING and the like.
        Ping = "ping",
    }
}

impl From<KeepaliveKind> for KeepaliveLabel {
    fn from(kind: KeepaliveKind) -> Self {
        match kind {
            KeepaliveKind::Zero => Self::Zero,
            KeepaliveKind::Crlf => Self::Crlf,
            KeepaliveKind::CrlfCrlf => Self::CrlfCrlf,
            KeepaliveKind::Nul4 => Self::Nul4,
            KeepaliveKind::Short => Self::Short,
            KeepaliveKind::Stun => Self::Stun,
        }
    }
}

label_enum! {
    /// What became of a request to a phone behind a NAT (DETECTION §2.5).
    NatProbe in "result" {
        /// Its first transmission was answered.
        Delivered = "delivered",
        /// It failed while the phone was alive.
        Undelivered = "undelivered",
        /// It was answered only after the phone had sent something.
        Late = "late",
    }
}

label_enum! {
    /// What a NAT had seen of a flow (DETECTION §2.5).
    NatStage in "stage" {
        /// Nothing that was answered.
        Oneway = "oneway",
        /// Traffic both ways.
        Stream = "stream",
    }
}

label_enum! {
    /// What changed of a phone's public address.
    BindingChange in "kind" {
        /// Its port.
        Port = "port",
        /// Its IP address.
        Ip = "ip",
    }
}

label_enum! {
    /// How a qualify came out.
    QualifyResult in "result" {
        /// Answered in time.
        Ok = "ok",
        /// Answered later than the limit.
        Lagged = "lagged",
        /// Not answered.
        Lost = "lost",
        /// Answered after the PBX had given up.
        Late = "late",
    }
}

label_enum! {
    /// What the PBX was asked for (DETECTION §7.2).
    ServerResponse in "class" {
        /// INVITE, answered by 100.
        Invite100 = "invite_100",
        /// A request without credentials, answered by 401 or 407.
        Challenge = "challenge",
        /// REGISTER with credentials, answered finally.
        AuthFinal = "auth_final",
        /// OPTIONS, answered finally.
        Options = "options",
    }
}

label_enum! {
    /// How sure it is that the NAT of a site forgets bindings too early.
    NatVerdict in "verdict" {
        /// No failure.
        Ok = "ok",
        /// One failure.
        Suspected = "suspected",
        /// Several failures.
        Probable = "probable",
        /// Enough failures and successes.
        Confirmed = "confirmed",
    }
}

label_enum! {
    /// Where an active call stands.
    CallPhase in "state" {
        /// Not answered yet.
        Early = "early",
        /// Answered.
        Confirmed = "confirmed",
        /// Began before the capture did.
        Partial = "partial",
    }
}

label_enum! {
    /// Where packets were lost before they could be looked at.
    DropPlace in "where" {
        /// In the kernel's buffer.
        Kernel = "kernel",
        /// In the network interface.
        Interface = "interface",
        /// In a queue of siphound.
        Queue = "queue",
    }
}

label_enum! {
    /// What became of a fragmented datagram.
    FragmentResult in "result" {
        /// It became whole.
        Reassembled = "reassembled",
        /// Fragments of it never came.
        Incomplete = "incomplete",
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FrameOutcome {
    /// It carried SIP.
    Sip,
    /// It carried only keep-alives.
    Keepalive,
    /// It carried nothing that could be used.
    Skipped(Skip),
}

impl Labels for FrameOutcome {
    const COUNT: usize = 2 + Skip::ALL.len();

    fn index(self) -> usize {
        match self {
            Self::Sip => 0,
            Self::Keepalive => 1,
            Self::Skipped(reason) => 2 + reason as usize,
        }
    }

    fn pairs(index: usize, pairs: &mut Vec<Pair>) {
        let value = match index {
            0 => "sip",
            1 => "keepalive",
            index => Skip::ALL.get(index - 2).map_or("other", |reason| reason.as_str()),
        };
        pairs.push(("outcome", value));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All combinations of `L`, as text.
    fn all<L: Labels>() -> Vec<String> {
        let text = |index| {
            let mut pairs = Vec::new();
            L::pairs(index, &mut pairs);
            format!("{pairs:?}")
        };
        (0..L::COUNT).map(text).collect()
    }

    #[test]
    fn every_combination_has_its_own_number_and_text() {
        let texts = all::<(Dir, PeerClass, Outcome, CodeLabel)>();
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 2 * PeerClass::ALL.len() * Outcome::ALL.len() * CodeLabel::COUNT);
        let labels = (Dir::Out, PeerClass::Trunk, Outcome::Busy, CodeLabel::of(Some(486)));
        assert_eq!(texts[labels.index()], r#"[("dir", "out"), ("peer_class", "trunk"), ("outcome", "busy"), ("code", "486")]"#);
    }

    #[test]
    fn enums_are_numbered_in_the_order_of_their_lists() {
        assert!(Outcome::ALL.iter().enumerate().all(|(index, value)| value.index() == index));
        assert!(PeerClass::ALL.iter().enumerate().all(|(index, value)| value.index() == index));
        assert!(RegistrationState::ALL.iter().enumerate().all(|(index, value)| ToState(*value).index() == index));
        assert!(Reachability::ALL.iter().enumerate().all(|(index, value)| value.index() == index));
        assert!(TRANSPORTS.iter().enumerate().all(|(index, value)| value.index() == index));
        assert!(Skip::ALL.iter().enumerate().all(|(index, value)| FrameOutcome::Skipped(*value).index() == index + 2));
    }

    #[test]
    fn codes_rise_and_the_unknown_are_other() {
        assert!(CODES.is_sorted_by(|a, b| a.0 < b.0));
        let texts = all::<CodeLabel>();
        let text = |status| texts[CodeLabel::of(status).index()].as_str();
        assert_eq!(text(Some(401)), r#"[("code", "401")]"#);
        assert_eq!(text(Some(608)), r#"[("code", "608")]"#);
        for status in [0, 99, 299, 699, 700, u16::MAX] {
            assert_eq!(text(Some(status)), r#"[("code", "other")]"#);
        }
        assert_eq!(text(None), r#"[("code", "none")]"#);
    }

    #[test]
    fn a_method_is_known_in_its_own_spelling_only() {
        assert_eq!(MethodLabel::of("INVITE"), MethodLabel::Invite);
        assert_eq!(MethodLabel::of("invite"), MethodLabel::Other);
        assert_eq!(MethodLabel::of(""), MethodLabel::Other);
    }
}
