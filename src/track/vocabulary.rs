//! The words of the field that tracking, findings, metrics and reports share. One word, one meaning.

/// Declares an enum whose values have one name each, for reports, metrics and the command line.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of the reports.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in reports and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                let found = Self::ALL.iter().copied().find(|value| value.as_str() == name);
                found.ok_or_else(|| serde::de::Error::unknown_variant(&name, &[$($text),+]))
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": [$($text),+] })
            }
        }
    };
}

pub(crate) use vocabulary;

vocabulary! {
    /// Which way a call goes, seen from the PBX.
    Direction {
        /// Towards the PBX.
        In = "in",
        /// From the PBX.
        Out = "out",
        /// Neither end is a known PBX.
        Through = "through",
    }
}

vocabulary! {
    /// What a peer of the PBX is.
    PeerClass {
        /// A phone, or anything else that registers or merely talks to the PBX.
        Endpoint = "endpoint",
        /// Configured, or an address that the PBX calls or registers at and that never registered itself.
        Trunk = "trunk",
        /// A source that scans.
        Scan = "scan",
        /// Not told yet.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// How a call attempt came out: exactly one value per attempt (DETECTION §4.1).
    Outcome {
        /// A 2xx to the INVITE, on any fork.
        Answered = "answered",
        /// A 3xx that nobody followed within 2 s.
        Redirected = "redirected",
        /// The caller gave up.
        Cancelled = "cancelled",
        /// Another leg of the same call was answered.
        CompletedElsewhere = "completed_elsewhere",
        /// It rang for at least 10 s and was given up by the called side or the PBX.
        NoAnswer = "no_answer",
        /// 486, 600, or 480 with cause 17.
        Busy = "busy",
        /// 603, 403 after ringing, or a quick rejection with cause 21.
        Declined = "declined",
        /// Credentials rejected, or the challenge never answered.
        AuthFailed = "auth_failed",
        /// 403 without a dispute about credentials.
        Forbidden = "forbidden",
        /// 404, 410, 604, 484, 485.
        NotFound = "not_found",
        /// 480 without ringing, 430.
        Unavailable = "unavailable",
        /// 415, 420, 421, 488, 493, 494, 606.
        NotAcceptable = "not_acceptable",
        /// 483, or 482 after a real loop.
        Loop = "loop",
        /// 482 for a request that arrived by two ways of one fork.
        Merged = "merged",
        /// 408 or 504 without ringing.
        Timeout = "timeout",
        /// Another 5xx.
        ServerError = "server_error",
        /// Another 6xx.
        GlobalFailure = "global_failure",
        /// Another 4xx.
        ClientError = "client_error",
        /// Nothing, not even 100, until 64·T1.
        NoResponse = "no_response",
        /// 100 and then nothing.
        Stalled100 = "stalled_100",
        /// Ringing and then nothing, for more than 200 s.
        Stalled18x = "stalled_18x",
        /// 491 to the attempt.
        Glare = "glare",
        /// The capture cannot tell.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// Where a call stands.
    CallState {
        /// INVITE sent, nothing rang.
        Setup = "setup",
        /// A 18x was seen.
        Ringing = "ringing",
        /// Answered and not ended.
        Established = "established",
        /// Over.
        Ended = "ended",
        /// Still up when the capture ended.
        Open = "open",
    }
}

vocabulary! {
    /// Who began the end of a call.
    EndedBy {
        /// The side that sent the INVITE.
        Caller = "caller",
        /// The side that was called.
        Callee = "callee",
        /// The PBX itself, and nobody else.
        Pbx = "pbx",
        /// Nobody: a timer ran out.
        Timeout = "timeout",
    }
}

vocabulary! {
    /// Where a registration stands (DETECTION §1.1).
    RegistrationState {
        /// Nothing conclusive was seen.
        Unknown = "unknown",
        /// A REGISTER waits for its answer.
        Registering = "registering",
        /// The registrar asked for credentials.
        Challenged = "challenged",
        /// Bound, and not run out.
        Registered = "registered",
        /// Taken back by the phone.
        Unregistered = "unregistered",
        /// Ran out without refresh.
        Expired = "expired",
        /// Refused.
        Rejected = "rejected",
        /// Credentials refused again and again.
        AuthLoop = "auth_loop",
        /// REGISTER goes unanswered.
        Silent = "silent",
    }
}

vocabulary! {
    /// Whether the PBX reaches a device with its OPTIONS.
    Reachability {
        /// No probe was concluded.
        Unknown = "unknown",
        /// Answers in time.
        Reachable = "reachable",
        /// Answers later than 2 s.
        Lagged = "lagged",
        /// Does not answer.
        Unreachable = "unreachable",
    }
}

vocabulary! {
    /// How sure it is that a device sits behind a NAT, by score (DETECTION §2.1).
    BehindNat {
        /// Score 0.
        No = "no",
        /// Score 1 to 39.
        Possible = "possible",
        /// Score 40 to 69.
        Likely = "likely",
        /// Score 70 and above.
        Certain = "certain",
    }
}

vocabulary! {
    /// How bad a finding is.
    Severity {
        /// Worth knowing.
        Info = "info",
        /// Somebody will be annoyed.
        Warning = "warning",
        /// Somebody cannot work.
        Error = "error",
        /// Many cannot work.
        Critical = "critical",
    }
}

vocabulary! {
    /// How sure a finding is.
    Confidence {
        /// One piece of evidence.
        Suspected = "suspected",
        /// Evidence agrees.
        Probable = "probable",
        /// Evidence excludes the look-alikes.
        Confirmed = "confirmed",
    }
}

vocabulary! {
    /// How far a finding reaches (DETECTION §2.8).
    Scope {
        /// One phone, others of its site are well.
        Phone = "phone",
        /// The only phone of a site.
        PhoneOrSite = "phone-or-site",
        /// Most phones behind one public address.
        Site = "site",
        /// One call.
        Call = "call",
        /// One trunk.
        Trunk = "trunk",
        /// One source address.
        Source = "source",
        /// The PBX.
        Server = "server",
        /// The capture itself.
        Capture = "capture",
    }
}
