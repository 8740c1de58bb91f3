//! Remedies: one sentence each, with gaps that are filled from what was seen.

/// Declares the gaps of remedies: the name between braces, and the words that stand there when nothing is known.
macro_rules! slots {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $generic:literal;)+) => {
        /// A gap in a remedy, written `{name}`.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Slot { $($(#[$doc])* $variant,)+ }

        impl Slot {
            /// Every slot.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name between the braces.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What stands there when the value is not known.
            pub const fn generic(self) -> &'static str {
                match self { $(Self::$variant => $generic,)+ }
            }
        }
    };
}

slots! {
    /// An address-of-record.
    Aor = "aor", "the user";
    /// The user that was called.
    Callee = "callee", "the called user";
    /// A source address.
    Ip = "ip", "the source address";
    /// The other devices of a user, with their addresses and user agents.
    Other = "other", "the other device";
    /// A PBX address.
    Pbx = "pbx", "the PBX";
    /// A public address.
    Site = "site", "its site";
    /// The recommended keep-alive interval in seconds (DETECTION §2.6).
    Keepalive = "keepalive", "30";
    /// The least UDP timeout of the NAT in seconds; without a measurement what RFC 4787 REQ-5 asks for.
    NatTimeout = "nat_timeout", "120";
    /// One end of a call.
    Side = "side", "the end that lost the call";
    /// When it happened.
    Time = "time", "that time";
    /// A Call-ID.
    Call = "call", "of the call";
    /// Over-billed seconds.
    Overbilled = "overbilled", "the time after the first hang-up";
    /// One end of a loop.
    LoopFrom = "loop_from", "the PBX";
    /// The other end of a loop.
    LoopTo = "loop_to", "the system it sends the call to";
    /// Server, port and transport as they should be.
    Expected = "expected", "the PBX expects SIP over UDP or TCP on the captured port";
}

/// Fills the gaps of `template` from `values`, and those without a value with their generic words.
pub fn fill(template: &str, values: &[(Slot, String)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, gap)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = gap.split_once('}') else {
            filled.push('{');
            rest = gap;
            continue;
        };
        filled.push_str(words(name, values));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The words for the gap `name`; a name that is no slot stands for itself.
fn words<'a>(name: &'a str, values: &'a [(Slot, String)]) -> &'a str {
    let Some(slot) = Slot::ALL.iter().find(|slot| slot.name() == name) else {
        return name;
    };
    values.iter().find(|(known, _)| known == slot).map_or_else(|| slot.generic(), |(_, value)| value.as_str())
}

/// What to do about a REGISTER that was rejected with `status`, by what the code says of the cause (DETECTION §1.4). `with_credentials`
/// tells whether it carried any.
pub fn rejection_remedy(status: u16, with_credentials: bool) -> &'static str {
    match status {
        200..=299 => {
            "On the PBX check how many contacts the account may have, and whether it takes the Contact and the Expires of this phone."
        }
        403 if !with_credentials => "Check the account's ACL, whether it is enabled, and the number of contacts it allows.",
        401 | 403 | 407 => "Re-enter auth user and password exactly as on the PBX, then force reconnection.",
        404 | 410 | 604 => "Verify that the extension exists on the PBX and that the SIP domain in the phone is right.",
        405 | 501 => "Correct the registrar address: that system does not take registrations.",
        408 | 504 => "Second level: check the registrar and the database behind the proxy.",
        400 | 416 | 420 | 421 | 505 => "Turn off the SIP extension that the answer names, or correct the transport in the phone.",
        423 => "Raise the registration expiry of the phone to at least the Min-Expires of the answer.",
        480 => "Check on the PBX whether the service of this account is suspended.",
        500..=599 => "Second level: look in the log of the registrar: it is overloaded, its database is down, or this account is broken.",
        _ => "Check the account on the PBX against the status line of the answer.",
    }
}

/// What to do about the registration of the PBX itself at a carrier, which that refused with `status`; 0 where it ran out.
pub fn trunk_remedy(status: u16) -> &'static str {
    match status {
        0 | 408 | 500..=599 => "Second level: check the trunk and the status page of the carrier.",
        _ => {
            "Second level: compare user and password of the trunk on the PBX with those from the carrier, and ask it whether the account is active."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_take_the_place_of_generic_words() {
        let template = "Unban {ip} on {pbx}.";
        assert_eq!(fill(template, &[]), "Unban the source address on the PBX.");
        assert_eq!(fill(template, &[(Slot::Ip, "198.51.100.7".into())]), "Unban 198.51.100.7 on the PBX.");
    }

    #[test]
    fn text_that_only_looks_like_a_gap_stays_text() {
        assert_eq!(fill("a {b} c", &[]), "a b c");
        assert_eq!(fill("open { brace", &[]), "open { brace");
        let hostile = fill("Remove {aor}.", &[(Slot::Aor, "{ip}@x".into())]);
        assert_eq!(hostile, "Remove {ip}@x.", "a value is not a template");
    }

    #[test]
    fn the_same_code_needs_another_remedy_with_and_without_credentials() {
        assert_ne!(rejection_remedy(403, true), rejection_remedy(403, false));
        assert_eq!(rejection_remedy(403, true), rejection_remedy(401, true));
        assert!(!rejection_remedy(200, false).contains("status line"), "who is accepted is not refused");
    }

    #[test]
    fn every_status_has_a_sentence() {
        assert!((200..700).all(|status| rejection_remedy(status, true).ends_with('.')));
    }
}
