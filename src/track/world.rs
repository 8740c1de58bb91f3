//! What every tracker shares: the addresses, the flows, the transactions, the soundness of the capture, and the events to tell.

use std::borrow::Cow;

use crate::config::Thresholds;
use crate::decode::flow::Flow;
use crate::sip::adapter::status_phrase;
use crate::sip::message::Message;
use crate::sip::uri::plain_user;
use crate::table::aging::AgingTable;
use crate::table::{Digest, Digester, Handle, Rank};
use crate::time::{PacketTime, Span};
use crate::track::absence::Absence;
use crate::track::event::{Event, Sighting};
use crate::track::flows::{Flows, LastTimes};
use crate::track::nat::event::NatEvent;
use crate::track::peers::Peers;
use crate::track::reading::Reading;
use crate::track::transaction::Transactions;
use crate::track::triggers::Triggers;
use crate::track::unreached::Unreached;
use crate::track::vocabulary::Direction;

/// How long an issued nonce is remembered; longer than phones reuse one.
const NONCE_LIFE: Span = Span::from_secs(3600);
/// Challenges of one answer that are remembered: one for each algorithm, and those of proxies.
const CHALLENGES: usize = 8;
/// Bytes of a text from the wire that are kept for display; its identity is a digest of the whole.
const TEXT: usize = 255;

/// A SIP message with where and when it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The message.
    pub message: Message<'a>,
    /// What was read of it.
    pub read: &'a Reading<'a>,
    /// Who sent it to whom.
    pub flow: Flow,
    /// When, and in which frame.
    pub at: Sighting,
    /// When its flow was last seen before.
    pub before: LastTimes,
    /// What entries that it brings about are worth, see [`World::rank`].
    pub rank: Rank,
}

/// A nonce that was issued, and the call it was issued to.
#[derive(Clone, Copy, Debug)]
pub struct Nonce {
    /// When.
    pub issued: PacketTime,
    /// The call whose INVITE was challenged.
    pub call: Option<Handle>,
}

/// What every tracker shares.
#[derive(Debug)]
pub struct World {
    /// Makes identities.
    pub digester: Digester,
    /// Which addresses talked, and when.
    pub flows: Flows,
    /// Which addresses are the PBX, trunks, scanners.
    pub peers: Peers,
    /// Whether an absence may be concluded from.
    pub absence: Absence,
    /// The transactions.
    pub transactions: Transactions,
    /// The self-test of the capture.
    pub triggers: Triggers,
    /// The last datagrams that did not arrive.
    pub unreached: Unreached,
    /// What happened and was not yet told.
    pub events: Vec<Event>,
    /// What the rules compare with.
    pub thresholds: Thresholds,
    /// Each with the call that it was issued to.
    nonces: AgingTable<Option<Handle>>,
}

impl World {
    /// Puts the shared parts together.
    pub fn new(digester: Digester, flows: Flows, peers: Peers, transactions: Transactions, nonces: usize, thresholds: Thresholds) -> Self {
        Self {
            digester,
            flows,
            peers,
            absence: Absence::new(),
            transactions,
            triggers: Triggers::new(),
            unreached: Unreached::default(),
            events: Vec::new(),
            thresholds,
            nonces: AgingTable::new(nonces, NONCE_LIFE),
        }
    }

    /// Queues an event.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Queues an event about NAT.
    pub fn tell_nat(&mut self, event: NatEvent) {
        self.tell(Event::Nat(event));
    }

    /// Whether an answer to a request along `flow` between `start` and `end` would have been captured.
    pub fn would_see_answer(&self, flow: Flow, start: PacketTime, end: PacketTime) -> bool {
        self.absence.is_heard_until(end) && self.absence.could_see(flow.reversed(), start, end, &self.flows, &self.peers)
    }

    /// What an entry is worth that a packet along `flow` brings about: that of a stranger gives way before that of a phone that was ever
    /// registered, of a trunk, and of whomever the PBX calls.
    pub fn rank(&self, flow: Flow) -> Rank {
        let is_sent = self.peers.direction(flow) == Direction::Out;
        self.peers.rank(if is_sent { flow.destination.ip() } else { flow.source.ip() })
    }

    /// Remembers the nonces that the answer `seen` issues, to one `call` if it is about one; the first of them.
    pub fn note_nonces(&mut self, call: Option<Handle>, seen: &Seen<'_>) -> Option<Digest> {
        let mut first = None;
        for challenge in seen.message.challenges().take(CHALLENGES) {
            let key = self.digester.bytes(challenge.nonce);
            self.nonces.insert(key, call, seen.at.time, seen.rank);
            first.get_or_insert(key);
        }
        first
    }

    /// Whether one answer issued both nonces: of several challenges a phone takes up the one whose algorithm it knows (RFC 8760).
    pub fn issued_together(&self, one: Digest, other: Digest) -> bool {
        one == other || self.nonce(one).zip(self.nonce(other)).is_some_and(|(one, other)| one.issued == other.issued)
    }

    /// Takes note that credentials with the nonce of `key` were accepted: its phone may use it again.
    pub fn keep_nonce(&mut self, key: Digest) {
        self.nonces.keep(key, Rank::Ordinary);
    }

    /// What is known of the nonce with `key`.
    pub fn nonce(&self, key: Digest) -> Option<Nonce> {
        self.nonces.get(key).map(|(issued, &call)| Nonce { issued, call })
    }

    /// Lets go of what is too old.
    pub fn expire(&mut self, now: PacketTime) {
        self.flows.expire(now);
        self.peers.expire(now);
        self.nonces.expire(now);
    }

    /// When [`Self::expire`] next has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.flows.next_deadline().min(self.peers.next_deadline()).min(self.nonces.next_deadline())
    }

    /// Nonces held, and nonces dropped for lack of room.
    pub fn nonces_size(&self) -> (usize, u64) {
        (self.nonces.len(), self.nonces.evicted())
    }
}

/// Text from the wire for display: at most 255 bytes, invalid UTF-8 replaced.
pub fn text(bytes: &[u8]) -> Box<str> {
    shown(bytes).into()
}

/// The user of a URI for display and comparison, as [`text`], without escapes that change nothing.
pub fn user_text(user: &[u8]) -> Box<str> {
    text(&plain_user(user))
}

/// The words of a status line, where they are not those that everybody uses.
pub(in crate::track) fn unusual_phrase<'a>(message: &Message<'a>, status: u16) -> Option<&'a [u8]> {
    let phrase = message.reason_phrase().trim_ascii();
    // `Server Time-out` and `Server Time Out` are the same.
    let is_usual = |phrase: &[u8]| status_phrase(status).is_some_and(|usual| letters(usual.as_bytes()).eq(letters(phrase)));
    Some(phrase).filter(|phrase| !phrase.is_empty() && !is_usual(phrase))
}

fn letters(text: &[u8]) -> impl Iterator<Item = u8> {
    text.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase)
}

fn shown(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.get(..TEXT).unwrap_or(bytes))
}

/// `user@host` with the host in lower case and without escapes that change nothing, as AoRs are printed and compared; of a `tel:` URI, which names no host, the number alone.
pub fn aor_text(user: &[u8], host: &[u8]) -> Box<str> {
    let mut name = String::with_capacity(user.len() + 1 + host.len());
    if !user.is_empty() {
        name.push_str(&shown(&plain_user(user)));
        if !host.is_empty() {
            name.push('@');
        }
    }
    let host_at = name.len();
    name.push_str(&shown(host));
    if let Some(host) = name.get_mut(host_at..) {
        host.make_ascii_lowercase();
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_status_line_are_compared_by_their_letters() {
        use crate::sip::scan::{Context, scan};
        for (line, is_own) in [
            ("504 Server Time-out", false),
            ("481 Call/Transaction Does Not Exist", false),
            ("403 forbidden", false),
            ("403", false),
            ("503 Maximum Calls In Progress", true),
            ("403 Forbidden (bad auth)", true),
        ] {
            let bytes = format!("SIP/2.0 {line}\r\nCSeq: 2 INVITE\r\nContent-Length: 0\r\n\r\n").into_bytes();
            let scan = scan(&bytes, Context::Datagram).expect("a response");
            let status = line.get(..3).and_then(|status| status.parse().ok()).expect("begins with a number");
            assert_eq!(unusual_phrase(&Message::new(&bytes, &scan), status).is_some(), is_own, "{line}");
        }
    }

    #[test]
    fn of_a_text_from_the_wire_255_bytes_are_kept() {
        assert_eq!(&*text(b"486 Busy Here"), "486 Busy Here");
        assert_eq!(text(&[b'x'; 10_000]).len(), 255);
        assert_eq!(text(&[0xff; 10_000]).chars().count(), 255);
        assert_eq!(aor_text(&[b'u'; 10_000], &[b'H'; 10_000]).len(), 255 + 1 + 255);
    }

    #[test]
    fn who_has_no_host_is_named_without_one() {
        assert_eq!(&*aor_text(b"1001", b"PBX.example.com"), "1001@pbx.example.com");
        assert_eq!(&*aor_text(b"", b"pbx.example.com"), "pbx.example.com");
        assert_eq!(&*aor_text(b"+4930123", b""), "+4930123");
    }
}
