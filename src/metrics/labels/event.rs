//! What happens to registrations, sessions, peers and NAT bindings.

use super::{Labels, Pair};
use crate::decode::signal::KeepaliveKind;
use crate::track::vocabulary::{Outcome, PeerClass, Reachability, RegistrationState};

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
    /// What has series of its own.
    Subject in "label" {
        /// A trunk or a watched user that the configuration names.
        Peer = "peer",
        /// A public address behind which phones sit.
        Site = "site",
        /// A user.
        Aor = "aor",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_in_the_order_of_their_lists() {
        assert!(Outcome::ALL.iter().enumerate().all(|(index, value)| value.index() == index));
        assert!(PeerClass::ALL.iter().enumerate().all(|(index, value)| value.index() == index));
        assert!(RegistrationState::ALL.iter().enumerate().all(|(index, value)| ToState(*value).index() == index));
        assert!(Reachability::ALL.iter().enumerate().all(|(index, value)| value.index() == index));
    }
}
