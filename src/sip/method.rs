//! The methods of SIP.

use std::fmt;

/// A method that tracking knows, or [`Method::Other`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Method {
    /// Begins or changes a call.
    Invite,
    /// Confirms a final answer to INVITE.
    Ack,
    /// Ends a call.
    Bye,
    /// Takes back an INVITE that has no final answer.
    Cancel,
    /// Binds an address-of-record to contacts.
    Register,
    /// Asks what a peer can do; mostly whether it is there.
    Options,
    /// Tells a subscriber, RFC 6665.
    Notify,
    /// Asks to be told, RFC 6665.
    Subscribe,
    /// Publishes event state, RFC 3903.
    Publish,
    /// Carries something within a call, RFC 6086.
    Info,
    /// Changes a call without the three-way handshake, RFC 3311.
    Update,
    /// Confirms a provisional answer, RFC 3262.
    Prack,
    /// Asks a peer to call somebody, RFC 3515.
    Refer,
    /// An instant message, RFC 3428.
    Message,
    /// Any other; its name is on the message.
    Other,
}

impl Method {
    /// Every value, in the order of the reports.
    pub const ALL: [Self; 15] = [
        Self::Invite,
        Self::Ack,
        Self::Bye,
        Self::Cancel,
        Self::Register,
        Self::Options,
        Self::Notify,
        Self::Subscribe,
        Self::Publish,
        Self::Info,
        Self::Update,
        Self::Prack,
        Self::Refer,
        Self::Message,
        Self::Other,
    ];

    /// The name as on the wire; `OTHER` stands for all that have none here.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Register => "REGISTER",
            Self::Options => "OPTIONS",
            Self::Notify => "NOTIFY",
            Self::Subscribe => "SUBSCRIBE",
            Self::Publish => "PUBLISH",
            Self::Info => "INFO",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Refer => "REFER",
            Self::Message => "MESSAGE",
            Self::Other => "OTHER",
        }
    }

    /// The method of that name; names are case-sensitive (RFC 3261 §7.1).
    pub fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"REGISTER" => Self::Register,
            b"OPTIONS" => Self::Options,
            b"NOTIFY" => Self::Notify,
            b"SUBSCRIBE" => Self::Subscribe,
            b"PUBLISH" => Self::Publish,
            b"INFO" => Self::Info,
            b"UPDATE" => Self::Update,
            b"PRACK" => Self::Prack,
            b"REFER" => Self::Refer,
            b"MESSAGE" => Self::Message,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Method;

    #[test]
    fn a_method_is_found_by_the_name_it_prints() {
        for method in Method::ALL {
            assert_eq!(Method::from_bytes(method.as_str().as_bytes()), method);
        }
    }

    #[test]
    fn case_and_neighbours_do_not_match() {
        for name in [&b"invite"[..], b"INVITES", b"", b"ACKK", b"INVIT"] {
            assert_eq!(Method::from_bytes(name), Method::Other);
        }
    }
}
