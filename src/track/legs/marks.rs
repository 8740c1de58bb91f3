//! What a leg has that its partner may have too.

use std::net::SocketAddr;

use crate::decode::ends::end_key;
use crate::sip::headers::{Address, HeaderName};
use crate::sip::message::Message;
use crate::sip::uri::{Uri, plain_user};
use crate::table::Digester;
use crate::track::registration::Registrations;
use crate::track::world::{Seen, World};

/// Digits at the end of a number that make two numbers the same, whatever prefixes stand before them.
const SUFFIX: usize = 7;
/// Headers in which a B2BUA names the Call-ID of the other leg, as sngrep looks for them.
const CROSS_REFERENCES: [HeaderName; 2] = [HeaderName::XCallId, HeaderName::XCid];
/// Names of those who do not give theirs (RFC 3323).
const NOBODY: [&[u8]; 4] = [b"anonymous", b"unknown", b"unavailable", b"restricted"];

/// The marks of a leg as hashes; 0 where one is missing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Marks {
    call_id: u64,
    /// The Call-ID without what B2BUAs append to that of the other leg.
    base_call_id: u64,
    other_call_id: u64,
    session_id: u64,
    media: u64,
    session: u64,
    /// From, P-Asserted-Identity, Remote-Party-ID; each number once.
    callers: Numbers,
    /// To, Request-URI, the user who registered at the destination; each number once.
    callees: Numbers,
}

/// Numbers that differ, those that there are first.
type Numbers = [Number; 3];

/// A number or name: the whole of it, and its last digits.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Number {
    whole: u64,
    suffix: u64,
}

impl Marks {
    /// Those of a leg with a session and a callee, for tests.
    #[cfg(test)]
    pub(super) fn with(session_id: u64, callee: u64) -> Self {
        let [none, ..] = Numbers::default();
        Self { session_id, callees: [Number { whole: callee, suffix: 0 }, none, none], ..Self::default() }
    }

    pub(super) fn of(world: &World, registrations: &Registrations, seen: &Seen<'_>) -> Self {
        let message = &seen.message;
        let hash = |bytes: &[u8]| if bytes.is_empty() { 0 } else { world.digester.bytes(bytes).low64() };
        let call_id = |bytes: &[u8]| if bytes.is_empty() { 0 } else { world.digester.parts(&[bytes]).low64() };
        let sdp = seen.read.sdp();
        let media = sdp.and_then(|sdp| {
            let media = sdp.first_media?;
            let address = media.connection_ip().or_else(|| sdp.connection_ip())?;
            Some(hash(&end_key(&SocketAddr::new(address, media.port))))
        });
        let session = sdp.filter(|sdp| !sdp.session_id.is_empty());
        let callee = registrations.addressee(world, seen).and_then(|device| {
            let aor = registrations.device(device)?.aor;
            Some(registrations.aor(aor)?.user().as_bytes())
        });
        Self {
            call_id: if message.call_id().is_empty() { 0 } else { seen.read.call_id().low64() },
            base_call_id: call_id(base(message.call_id())),
            other_call_id: CROSS_REFERENCES.iter().find_map(|name| message.header(*name)).map_or(0, call_id),
            session_id: hash(session_id(message)),
            media: media.unwrap_or(0),
            // Phones of some brands give every session the same number, so the address belongs to it.
            session: session.map_or(0, |sdp| world.digester.parts(&[sdp.origin_user, sdp.session_id, sdp.origin_address]).low64()),
            callers: numbers(
                world.digester,
                [
                    seen.read.from().user,
                    message.p_asserted_identity().map_or(&[], |identity| identity.uri.user),
                    message.header(HeaderName::RemotePartyId).map_or(&[], |value| Address::parse(value).uri.user),
                ],
            ),
            callees: numbers(
                world.digester,
                [seen.read.to().user, message.request_uri().map_or(&[], |uri| Uri::parse(uri).user), callee.unwrap_or_default()],
            ),
        }
    }

    /// What another leg may look for in this one: whatever makes [`Self::in_common`] more than nothing.
    pub(super) fn given(&self) -> impl Iterator<Item = u64> {
        self.by_kind([self.call_id, 0])
    }

    /// What this leg of the PBX looks for in the others.
    pub(super) fn sought(&self) -> impl Iterator<Item = u64> {
        self.by_kind([self.other_call_id, self.base_call_id])
    }

    /// All marks that there are, so that those of two kinds differ.
    fn by_kind(&self, [one, other]: [u64; 2]) -> impl Iterator<Item = u64> {
        let single = [one, other, self.session_id, self.media, self.session].into_iter().zip([0, 0, 1, 2, 3]);
        let of = |numbers, kind| there(numbers).flat_map(move |number| [(number.whole, kind), (number.suffix, kind + 1)]);
        let all = single.chain(of(&self.callers, 4)).chain(of(&self.callees, 6));
        all.filter(|(mark, _)| *mark != 0).map(|(mark, kind)| mark.wrapping_add(kind))
    }

    /// Points for what `second`, the leg of the PBX, to a trunk or not, has in common with this one (DETECTION §6.3, and ten for a long number
    /// or one that a trunk is asked for).
    pub(super) fn in_common(&self, second: &Self, to_trunk: bool) -> u32 {
        let same = |one: u64, other: u64| one != 0 && one == other;
        let same_number = |ours, theirs| there(ours).any(|one| there(theirs).any(|other| one.is(*other)));
        let same_long_number = |ours, theirs| there(ours).any(|one| there(theirs).any(|other| same(one.suffix, other.suffix)));
        let same_callee = same_number(&self.callees, &second.callees);
        let is_named = same(second.other_call_id, self.call_id) || same(self.session_id, second.session_id);
        let is_derived = second.call_id != self.call_id && same(second.base_call_id, self.call_id);
        [
            (is_named, 100),
            (is_derived, 90),
            (same(self.media, second.media), 40),
            (same(self.session, second.session), 20),
            (same_number(&self.callers, &second.callers), 25),
            (same_callee, 25),
            // Nearly every trunk is given another caller; but hardly ever do two dial one number outside the house in the same moment.
            (same_long_number(&self.callees, &second.callees) || (same_callee && to_trunk), 10),
        ]
        .into_iter()
        .map(|(holds, points)| if holds { points } else { 0 })
        .sum()
    }
}

/// The numbers of users. The same mostly stands in several headers; once is enough.
fn numbers(digester: Digester, users: [&[u8]; 3]) -> Numbers {
    let mut numbers = Numbers::default();
    let mut room = numbers.iter_mut();
    let users = users.map(plain_user);
    for (at, user) in users.iter().enumerate() {
        if !users.iter().take(at).any(|before| before == user)
            && !is_nobody(user)
            && let Some(number) = room.next()
        {
            *number = Number::of(digester, user);
        }
    }
    numbers
}

/// The numbers of a list that there are.
fn there(numbers: &Numbers) -> impl Iterator<Item = &Number> {
    numbers.iter().take_while(|number| **number != Number::default())
}

fn is_nobody(user: &[u8]) -> bool {
    user.is_empty() || NOBODY.iter().any(|nobody| user.eq_ignore_ascii_case(nobody))
}

impl Number {
    fn of(digester: Digester, user: &[u8]) -> Self {
        let mut last = [0; SUFFIX];
        let digits = user.iter().rev().filter(|byte| byte.is_ascii_digit());
        let found = last.iter_mut().zip(digits).map(|(place, digit)| *place = *digit).count();
        let suffix = if found == SUFFIX { digester.bytes(&last).low64() } else { 0 };
        Self { whole: digester.bytes(user).low64(), suffix }
    }

    fn is(self, other: Self) -> bool {
        (self.whole != 0 && self.whole == other.whole) || (self.suffix != 0 && self.suffix == other.suffix)
    }
}

/// The Session-ID of the sender (RFC 7329, RFC 7989); empty if it has none yet, which is written as zeros.
fn session_id<'a>(message: &Message<'a>) -> &'a [u8] {
    let value = message.header(HeaderName::SessionId).unwrap_or_default();
    let own = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    if own.iter().all(|&byte| byte == b'0') { &[] } else { own }
}

/// A Call-ID without a suffix such as `-1`, `_b2b-1` or `-b2b_1`; empty if it has none.
fn base(call_id: &[u8]) -> &[u8] {
    let digits = call_id.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let stem = call_id.get(..call_id.len() - digits).filter(|_| digits > 0).unwrap_or_default();
    [&b"_b2b-"[..], b"-b2b_", b"-"].iter().find_map(|suffix| stem.strip_suffix(*suffix)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A caller and a callee with numbers of these hashes, and nothing else.
    fn numbers(caller: u64, callee: u64) -> Marks {
        let number = |whole| Number { whole, suffix: whole + 100 };
        Marks { callers: alone(number(caller)), callees: alone(number(callee)), ..Marks::default() }
    }

    fn alone(number: Number) -> Numbers {
        [number, Number::default(), Number::default()]
    }

    /// Whether a second leg looks for anything that the first one gives.
    fn finds(second: &Marks, first: &Marks) -> bool {
        second.sought().any(|mark| first.given().any(|given| given == mark))
    }

    #[test]
    fn what_is_in_common_is_found_and_nothing_else() {
        let first = Marks { call_id: 1, session_id: 2, media: 3, session: 4, ..numbers(5, 6) };
        let alike = [
            Marks { other_call_id: 1, ..Marks::default() },
            Marks { base_call_id: 1, ..Marks::default() },
            Marks { session_id: 2, ..Marks::default() },
            Marks { media: 3, ..Marks::default() },
            Marks { session: 4, ..Marks::default() },
            numbers(5, 9),
            numbers(9, 6),
            Marks { callees: alone(Number { whole: 8, suffix: 106 }), ..Marks::default() },
        ];
        for second in alike {
            assert!(first.in_common(&second, false) > 0 && finds(&second, &first), "{second:?}");
        }
        let others = [
            Marks { call_id: 1, ..Marks::default() },
            Marks { other_call_id: 2, session_id: 3, media: 4, session: 1, ..Marks::default() },
            numbers(6, 5),
            Marks::default(),
        ];
        for second in others {
            assert_eq!(first.in_common(&second, true), 0, "{second:?}");
            assert!(!finds(&second, &first), "{second:?}");
        }
    }

    #[test]
    fn a_number_in_several_headers_is_one_mark() {
        let numbers = |users| super::numbers(Digester::new(0), users);
        let callees = numbers([b"", b"anonymous", b"+49301234567"]);
        let callers = numbers([b"+49301234567", b"030 1234567", b"+49301234567"]);
        let of = |callers, callees| Marks { callers, callees, ..Marks::default() }.given().count();
        assert_eq!(of(Numbers::default(), callees), 2, "the whole and the end");
        assert_eq!(of(callers, callees), 6, "two that end alike");
        assert_eq!(Marks { callers, ..Marks::default() }.in_common(&Marks { callers: callees, ..Marks::default() }, false), 25);
    }

    #[test]
    fn a_suffix_is_told_from_the_call_id_of_the_other_leg() {
        for (call_id, expected) in [
            (&b"abc@host_b2b-1"[..], &b"abc@host"[..]),
            (b"abc@host-b2b_12", b"abc@host"),
            (b"abc@host-1", b"abc@host"),
            (b"abc@host", b""),
            (b"abc@host-", b""),
            (b"4711", b""),
            (b"", b""),
        ] {
            assert_eq!(base(call_id), expected, "{}", String::from_utf8_lossy(call_id));
        }
    }
}
