//! Sources that scan: known tools by their name, others by trying many users in vain (DETECTION §7.6).

use std::net::IpAddr;

use crate::config::{Rate, Ratio, Thresholds};
use crate::decode::ends::ip_digest;
use crate::decode::flow::Flow;
use crate::sip::method::Method;
use crate::table::{Digest, Digester, ExpiringTable, Handle, Rank, append};
use crate::time::{PacketTime, Span};
use crate::track::event::{Giveaway, Sighting};

/// Products as which scanning tools name themselves.
const TOOLS: [&[u8]; 11] = [
    b"friendly-scanner",
    b"sipvicious",
    b"sipcli",
    b"sip-scan",
    b"sundayddr",
    b"iwar",
    b"vaxsipuseragent",
    b"pplsip",
    b"smap",
    b"sipsak",
    b"sipptk",
];
/// How long a challenge may be open before its user counts as tried in vain.
const CHALLENGE: Span = Span::from_secs(5);
/// Digits from which a number is a long one: nobody's extension.
const LONG: usize = 7;
/// Users remembered per source.
const REMEMBERED: usize = 32;

/// From when on a source is a scanner.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Users tried in vain.
    users: Rate,
    /// The share of its tries that must be in vain.
    in_vain: Ratio,
    /// Long numbers called in vain, and no call answered. Whose calls were answered so often, and as often as not, calls ordinarily (DETECTION
    /// §13).
    numbers: usize,
}

impl From<&Thresholds> for Limits {
    fn from(thresholds: &Thresholds) -> Self {
        Self { users: thresholds.scan, in_vain: thresholds.scan_failed, numbers: thresholds.scan_numbers as usize }
    }
}

/// How a try came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Try {
    /// A final failure.
    Failed,
    /// A challenge; credentials may follow.
    Challenged,
    /// A success.
    Succeeded,
}

/// One user that a source tried.
#[derive(Clone, Copy, Debug)]
struct Tried {
    user: u64,
    at: PacketTime,
    result: Try,
    what: What,
}

/// What a user was tried as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    /// To register as.
    Account,
    /// To call.
    Extension,
    /// To call, as a long number.
    Number,
}

impl What {
    fn of(method: Method, user: &[u8]) -> Self {
        match method {
            Method::Invite if is_long_number(user) => Self::Number,
            Method::Invite => Self::Extension,
            _ => Self::Account,
        }
    }
}

#[derive(Debug, Default)]
struct Source {
    agent: u64,
    tries: Vec<Tried>,
    succeeded: bool,
    /// Calls that were answered.
    answered: u16,
    /// Its last challenge and the way of the request, while so many are open that it may be a scanner once they have been for too long.
    open: Option<Box<(Flow, Sighting)>>,
}

/// The sources that tried in vain lately.
#[derive(Debug)]
pub struct Scans {
    digester: Digester,
    sources: ExpiringTable<Source>,
    limits: Limits,
}

impl Scans {
    /// Nothing seen, room for `capacity` sources.
    pub fn new(digester: Digester, capacity: usize, limits: Limits) -> Self {
        Self { digester, sources: ExpiringTable::new(capacity), limits }
    }

    /// Whether a request from `source` names a scanning tool; looked at once per source and name.
    pub fn is_tool(&mut self, source: IpAddr, agent: &[u8], now: PacketTime) -> bool {
        let hash = self.digester.bytes(agent).low64();
        let Some((_, entry)) = self.entry(source, now) else { return false };
        if std::mem::replace(&mut entry.agent, hash) == hash {
            return false;
        }
        names_tool(agent)
    }

    /// Takes note that `source` answers the challenge that it was given as `user`, so that what counts is how that comes out.
    pub fn answers_challenge(&mut self, source: IpAddr, user: &[u8]) {
        let key = self.key(source);
        let Some(entry) = self.sources.find(key).and_then(|handle| self.sources.get_mut(handle)) else { return };
        if !entry.tries.is_empty() {
            let user = self.digester.bytes(user).low64();
            entry.tries.retain(|tried| tried.user != user || tried.result != Try::Challenged);
        }
    }

    /// Takes note of how a try of `source` as `user`, or a call of it to `user`, came out. Tells what that gives away, if anything.
    pub fn note(&mut self, source: IpAddr, method: Method, user: &[u8], result: Try, now: PacketTime) -> Option<Giveaway> {
        let what = What::of(method, user);
        let user = self.digester.bytes(user).low64();
        let limits = self.limits;
        let (_, entry) = self.entry(source, now)?;
        entry.tries.retain(|tried| tried.user != user && now.since(tried.at) <= limits.users.window);
        entry.succeeded |= result == Try::Succeeded;
        entry.answered = entry.answered.saturating_add(u16::from(result == Try::Succeeded && what != What::Account));
        if result == Try::Succeeded && entry.tries.is_empty() {
            return None;
        }
        if entry.tries.len() >= REMEMBERED {
            // However fast others follow, the first open challenges stay until they have been open for too long.
            let gone = if entry.tries.first().is_some_and(|first| first.is_open(now)) { REMEMBERED - 1 } else { 0 };
            entry.tries.remove(gone);
        }
        append(&mut entry.tries, Tried { user, at: now, result, what });
        entry.giveaway(limits, now)
    }

    /// Takes note that a request along `flow` was challenged at `at`, which is an answer that was [noted](Self::note): where many such are
    /// open, they are looked at again once they have been for too long.
    pub fn await_credentials(&mut self, flow: Flow, at: Sighting) {
        let limits = self.limits;
        let Some((handle, entry)) = self.entry(flow.source.ip(), at.time) else { return };
        let suspect = entry.tries.iter().filter(|tried| tried.result != Try::Succeeded).count();
        if suspect >= limits.numbers.min(limits.users.count as usize) {
            entry.open = Some(Box::new((flow, at)));
            self.wait(handle, at.time);
        }
    }

    /// Forgets what `source` tried.
    pub fn forget(&mut self, source: IpAddr) {
        if let Some(handle) = self.sources.find(self.key(source)) {
            self.sources.remove(handle);
        }
    }

    /// Looks at the challenges that have been open for too long, and forgets sources that were quiet for longer than the window. Tells the
    /// scanners that this gives away, each with the way of its last request and the challenge of that.
    ///
    /// `would_see` says whether credentials along a flow would have been captured since then.
    pub fn expire(&mut self, now: PacketTime, would_see: impl Fn(Flow, PacketTime) -> bool) -> Vec<(Flow, Giveaway, Sighting)> {
        let mut found = Vec::new();
        while let Some((handle, _)) = self.sources.pop_due(now) {
            let limits = self.limits;
            let Some(entry) = self.sources.get_mut(handle) else { continue };
            let Some(open) = entry.open.take() else {
                self.sources.remove(handle);
                continue;
            };
            let (flow, at) = *open;
            entry.tries.retain(|tried| tried.result != Try::Challenged || would_see(flow, tried.at));
            match entry.giveaway(limits, now) {
                Some(giveaway) => found.push((flow, giveaway, at)),
                None => entry.open = Some(Box::new((flow, at))),
            }
            self.wait(handle, now);
        }
        found
    }

    /// Sets when a source is looked at next.
    fn wait(&mut self, handle: Handle, now: PacketTime) {
        let Some(entry) = self.sources.get_mut(handle) else { return };
        let next = entry.tries.iter().filter(|tried| tried.is_open(now)).map(|tried| tried.at + CHALLENGE).min();
        if next.is_none() {
            entry.open = None;
        }
        let next = next.filter(|_| entry.open.is_some());
        let forget = now + self.limits.users.window.times(10);
        self.sources.set_deadline(handle, next.unwrap_or(forget));
    }

    /// Sources held, and sources dropped for lack of room.
    pub fn size(&self) -> (usize, u64) {
        (self.sources.len(), self.sources.evicted())
    }

    /// When [`Self::expire`] next has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.sources.next_deadline()
    }

    fn entry(&mut self, source: IpAddr, now: PacketTime) -> Option<(Handle, &mut Source)> {
        let key = self.key(source);
        let forget = now + self.limits.users.window.times(10);
        let handle = self.sources.find(key).unwrap_or_else(|| self.sources.insert(key, Source::default(), forget, Rank::Ordinary).0);
        if self.sources.get(handle).is_some_and(|source| source.open.is_none()) {
            self.sources.set_deadline(handle, forget);
        }
        self.sources.touch(handle);
        self.sources.get_mut(handle).map(|source| (handle, source))
    }

    fn key(&self, address: IpAddr) -> Digest {
        ip_digest(self.digester, address)
    }
}

impl Source {
    fn giveaway(&self, limits: Limits, now: PacketTime) -> Option<Giveaway> {
        let calls_in_vain = self.tries.iter().filter(|tried| tried.what != What::Account && tried.is_in_vain(now)).count();
        let is_ordinary = usize::from(self.answered) >= limits.numbers.max(calls_in_vain);
        let tries = || self.tries.iter().filter(|tried| tried.what == What::Account || !is_ordinary);
        let in_vain = tries().filter(|tried| tried.is_in_vain(now)).count();
        let decided = tries().filter(|tried| tried.result == Try::Succeeded || tried.is_in_vain(now)).count();
        let numbers = tries().filter(|tried| tried.what == What::Number && tried.is_in_vain(now)).count();
        match () {
            () if limits.users.is_reached(in_vain) && limits.in_vain.is_reached(in_vain, decided) => Some(Giveaway::Users),
            () if numbers >= limits.numbers && !self.succeeded => Some(Giveaway::Numbers),
            () => None,
        }
    }
}

impl Tried {
    fn is_in_vain(&self, now: PacketTime) -> bool {
        self.result == Try::Failed || (self.result == Try::Challenged && !self.is_open(now))
    }

    /// Whether credentials may still come.
    fn is_open(&self, now: PacketTime) -> bool {
        self.result == Try::Challenged && now.since(self.at) < CHALLENGE
    }
}

/// Whether a called user is a long number: nobody's extension.
pub fn is_long_number(user: &[u8]) -> bool {
    user.iter().filter(|byte| byte.is_ascii_digit()).count() >= LONG
}

/// Whether a `User-Agent` names a scanning tool among its products (RFC 3261 §20.41), ahead of any comment: `sipcli/v1.8`, `smap 0.6.0`.
fn names_tool(agent: &[u8]) -> bool {
    let products = agent.split(|byte| *byte == b'(').next().unwrap_or_default().split(u8::is_ascii_whitespace);
    let mut names = products.filter_map(|product| product.split(|byte| *byte == b'/').next());
    names.any(|name| TOOLS.iter().any(|tool| is_named(name, tool)))
}

/// Whether a product is a tool, its version written to the name or not: other products begin or end like a short name by chance.
fn is_named(product: &[u8], tool: &[u8]) -> bool {
    let Some((name, rest)) = product.split_at_checked(tool.len()) else { return false };
    let version = rest.iter().find(|byte| !b"-_.vV".contains(byte));
    name.eq_ignore_ascii_case(tool) && (rest.is_empty() || version.is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::decode::flow::Transport;

    const WINDOW: Span = Span::from_secs(60);
    const X: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 66));

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    #[test]
    fn ten_users_in_vain_within_a_minute_are_a_scan() {
        let mut scans = Scans::new(Digester::new(0), 10, Limits::from(&Thresholds::default()));
        let found: Vec<_> =
            (0..12).map(|n| scans.note(X, Method::Register, format!("{}", 100 + n).as_bytes(), Try::Failed, at(n))).collect();
        assert_eq!(found.iter().position(|found| *found == Some(Giveaway::Users)), Some(9));
    }

    #[test]
    fn thirty_phones_of_one_site_that_answer_their_challenges_are_none() {
        let mut scans = Scans::new(Digester::new(0), 10, Limits::from(&Thresholds::default()));
        for n in 0..30 {
            let user = format!("{}", 1000 + n);
            assert_eq!(scans.note(X, Method::Register, user.as_bytes(), Try::Challenged, at(n / 3)), None);
            assert_eq!(scans.note(X, Method::Register, user.as_bytes(), Try::Succeeded, at(n / 3)), None);
        }
    }

    #[test]
    fn five_long_numbers_in_vain_are_a_probe_for_toll_fraud() {
        let call = |scans: &mut Scans, number: String, result, n| scans.note(X, Method::Invite, number.as_bytes(), result, at(n));
        let mut scans = Scans::new(Digester::new(0), 10, Limits::from(&Thresholds::default()));
        let found: Vec<_> = (0..5).map(|n| call(&mut scans, format!("0097259{n}4412"), Try::Failed, n)).collect();
        assert_eq!(found.iter().position(|found| *found == Some(Giveaway::Numbers)), Some(4));
        let mut carrier = Scans::new(Digester::new(0), 10, Limits::from(&Thresholds::default()));
        call(&mut carrier, "004930123456".to_owned(), Try::Succeeded, 0);
        assert!((1..9).all(|n| call(&mut carrier, format!("00493012345{n}"), Try::Failed, n).is_none()), "calls of it are answered");
        let mut phone = Scans::new(Digester::new(0), 10, Limits::from(&Thresholds::default()));
        assert!((0..9).all(|n| call(&mut phone, format!("10{n}"), Try::Failed, n).is_none()), "these are extensions");
    }

    #[test]
    fn a_carrier_whose_calls_were_answered_is_none_when_nobody_has_its_numbers_any_more() {
        let found = |answered: i64| {
            let mut scans = Scans::new(Digester::new(0), 10, Limits::from(&Thresholds::default()));
            let call = |scans: &mut Scans, number: i64, result, seconds| {
                scans.note(X, Method::Invite, format!("08910{number:03}").as_bytes(), result, at(seconds))
            };
            (0..answered).for_each(|n| assert_eq!(call(&mut scans, n, Try::Succeeded, 10 * n), None));
            (0..14).find_map(|n| call(&mut scans, 100 + n, Try::Failed, 200 + n))
        };
        assert_eq!((found(14), found(1), found(0)), (None, Some(Giveaway::Users), Some(Giveaway::Numbers)));
        assert_eq!(found(5), Some(Giveaway::Users), "a few answered calls excuse no search for numbers");
    }

    #[test]
    fn tools_are_known_by_name() {
        let mut scans = Scans::new(Digester::new(0), 10, Limits::from(&Thresholds::default()));
        assert!(!scans.is_tool(X, b"Yealink SIP-T46S", at(0)));
        assert!(scans.is_tool(X, b"Friendly-Scanner", at(1)));
        let tools = [
            "sipcli/v1.8",
            "sipcli-1.8",
            "sipvicious",
            "SIPVicious OSS v0.3",
            "pplsip",
            "VaxSIPUserAgent/3.1",
            "smap 0.6.0",
            "sipsak 0.9.6",
            "iWar",
            "sundayddr",
            "sip-scan",
            "sipsak0.9",
            "Test friendly-scanner (x)",
        ];
        assert_eq!(tools.iter().find(|agent| !names_tool(agent.as_bytes())), None);
    }

    #[test]
    fn a_phone_whose_name_has_that_of_a_tool_in_it_is_none() {
        let phones = [
            "MySIPClient/2.4",
            "SipClientPro 3",
            "Kiwaru/1.0",
            "iWarrior",
            "smapphone",
            "MSmap 2",
            "sipclient",
            "AppleSIPhone",
            "smap-phone/1",
            "Desk 5 (like sipsak, smap)",
            "Phone/sipcli",
            "",
        ];
        assert_eq!(phones.iter().find(|agent| names_tool(agent.as_bytes())), None);
    }

    #[test]
    fn who_answers_its_challenge_is_not_in_vain_while_it_waits() {
        let mut scans = Scans::new(Digester::new(0), 10, Limits::from(&Thresholds::default()));
        for n in 0..30 {
            let user = format!("{}", 1000 + n);
            assert_eq!(scans.note(X, Method::Register, user.as_bytes(), Try::Challenged, at(n)), None);
            scans.answers_challenge(X, user.as_bytes());
        }
        let mut guesses = (0..30).filter_map(|n| {
            let user = format!("{}", 1000 + n);
            scans.answers_challenge(X, user.as_bytes());
            scans.note(X, Method::Register, user.as_bytes(), Try::Challenged, at(40 + n))
        });
        assert_eq!(guesses.next(), Some(Giveaway::Users), "what is refused again is in vain");
    }

    fn flow() -> Flow {
        Flow { source: SocketAddr::new(X, 5071), destination: "203.0.113.10:5060".parse().unwrap(), transport: Transport::Udp }
    }

    /// A source that is challenged for so many users, `gap` seconds apart, and answers for those that `answers` says.
    fn challenged(users: i64, gap: f64, answers: impl Fn(i64) -> bool) -> Scans {
        let mut scans = Scans::new(Digester::new(0), 10, Limits::from(&Thresholds::default()));
        for n in 0..users {
            let (user, time) = (format!("{}", 1000 + n), at(0) + Span::from_secs_f64(gap * n as f64));
            assert_eq!(scans.note(X, Method::Register, user.as_bytes(), Try::Challenged, time), None);
            scans.await_credentials(flow(), Sighting { time, frame: n as u64 });
            if answers(n) {
                scans.answers_challenge(X, user.as_bytes());
            }
        }
        scans
    }

    #[test]
    fn ten_challenges_that_stay_open_are_a_scan_although_nothing_follows() {
        let mut scans = challenged(10, 0.4, |_| false);
        assert_eq!(scans.expire(at(8), |_, _| true), []);
        let last = Sighting { time: at(3) + Span::from_millis(600), frame: 9 };
        assert_eq!(scans.expire(at(9), |_, _| true), [(flow(), Giveaway::Users, last)]);
        assert_eq!(scans.expire(at(10_000), |_, _| true), []);
        assert_eq!(scans.size().0, 0, "it is forgotten in the end");
        for mut none in [challenged(9, 0.4, |_| false), challenged(30, 0.1, |n| n % 2 == 0 || n > 17), challenged(30, 0.1, |_| true)] {
            assert_eq!(none.expire(at(9000), |_, _| true), []);
        }
        assert_eq!(challenged(10, 0.4, |_| false).expire(at(9), |_, _| false), [], "credentials would not have been captured");
    }

    #[test]
    fn a_scan_that_goes_on_for_long_is_found_while_it_does() {
        let mut scans = challenged(240, 0.02, |_| false);
        assert_eq!(scans.expire(at(5), |_, _| true), [], "the first have just been open for five seconds");
        assert_eq!(scans.expire(at(6), |_, _| true).len(), 1);
    }

    #[test]
    fn how_many_users_in_vain_and_which_share_is_configured() {
        let found = |users, percent| {
            let thresholds =
                Thresholds { scan: Rate::new(users, WINDOW), scan_failed: Ratio::from_percent(percent), ..Thresholds::default() };
            let mut scans = Scans::new(Digester::new(0), 10, Limits::from(&thresholds));
            let tries = [Try::Failed, Try::Failed, Try::Succeeded, Try::Failed];
            let mut tried = (0..).zip(tries).map(|(n, result)| scans.note(X, Method::Register, &[b'a' + n], result, at(i64::from(n))));
            tried.any(|giveaway| giveaway.is_some())
        };
        assert!(found(3, 75) && !found(4, 75), "the users");
        assert!(!found(3, 76), "the share");
    }
}
