//! Transactions as a passive observer sees them: one per hop and method (RFC 3261 §17, RFC 6026).
//!
//! Keyed by Call-ID, CSeq and the branch of the top Via, which each hop makes anew; addresses are not part of the key, because a response
//! may come back from another address of the host that was asked; who cannot have been asked is told by [`Peers::can_answer`]. A request makes an entry; it leaves 64·T1 after its final response, so that late repeats still find it,
//! or 64·T1 after patience ran out.

use crate::config::Thresholds;
use crate::decode::flow::{Flow, Transport};
use crate::sip::message::Message;
use crate::sip::method::Method;
use crate::sip::uri::{Scheme, Uri};
use crate::table::{Digest, Digester, ExpiringTable, Handle, Rank};
use crate::time::{PacketTime, Span};
use crate::track::absence::WATERMARK;
use crate::track::event::{Sighting, Unanswered};
#[cfg(doc)]
use crate::track::peers::Peers;
use crate::track::reading::Reading;

/// The gaps between first and second transmission from which T1 is inferred (DETECTION §0.8).
const T1_RANGE: (Span, Span) = (Span::from_millis(80), Span::from_secs(4));
/// How long an answered transaction absorbs repeats: timers D, I, J, K (RFC 3261), L and M (RFC 6026).
const LINGER: Span = Span::from_secs(32);
/// How long an INVITE may rest after 100 before it counts as stalled: Timer C (RFC 3261 §16.6).
const STALLED_100: Span = Span::from_secs(180);
/// How long an INVITE may rest after 18x before it counts as stalled; each minute a fresh one is due (RFC 3261 §13.3.1.1).
const STALLED_18X: Span = Span::from_secs(200);

/// How long senders wait where nothing shows it.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// T1 unless a repeat shows another (RFC 3261 §17.1.1.1).
    t1: Span,
    /// Timers B, F and H, in T1.
    timeout: u16,
}

impl From<&Thresholds> for Timing {
    fn from(thresholds: &Thresholds) -> Self {
        Self { t1: thresholds.t1, timeout: thresholds.txn_timeout_t1 as u16 }
    }
}

impl Timing {
    /// T1 of a sender whose first repeat came after `gap`.
    fn t1(self, gap: Span) -> Span {
        if gap >= T1_RANGE.0 && gap <= T1_RANGE.1 { gap } else { self.t1 }
    }

    /// How long that sender waits: 64·T1.
    fn patience(self, gap: Span) -> Span {
        self.t1(gap).times(i64::from(self.timeout))
    }
}

/// Whose transaction it is, and so who is told of its responses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    /// Nobody's in particular.
    Nobody,
    /// The initial INVITE of a call at the hop next to the caller.
    CallerInvite(Handle),
    /// An INVITE that a proxy passed on: a further hop, or a fork.
    FurtherInvite(Handle),
    /// A request inside the dialog of a call, or its CANCEL or ACK.
    InDialog(Handle),
    /// A REGISTER of an attempt.
    Register(Handle),
    /// A REGISTER that a proxy passed on.
    FurtherRegister,
    /// An OPTIONS of the PBX to a device.
    Probe(Handle),
}

/// One transaction at one hop.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// The method of the request.
    pub method: Method,
    /// The way of the request.
    pub flow: Flow,
    /// Its first transmission.
    pub first: Sighting,
    /// Its last transmission.
    pub last: Sighting,
    /// Bytes of the request.
    pub size: u32,
    /// How often it was sent.
    pub transmissions: u16,
    /// The last provisional status; 0 before any.
    pub provisional: u16,
    /// The final status; 0 before it.
    pub status: u16,
    /// The first response of any kind.
    pub first_response: Option<Sighting>,
    /// The final response, first and last transmission.
    pub answered: Option<(Sighting, Sighting)>,
    /// How often the final response was sent.
    pub answers: u16,
    /// Transmissions of the request at least T1 after the response that ends its repeats: any to an INVITE, the final one to others.
    pub repeats_after_response: u16,
    /// Whether the ACK of an INVITE was seen.
    pub acked: bool,
    /// Whether the request carried credentials.
    pub authorized: bool,
    /// Whether its sender sends it again where nobody answers.
    resends: bool,
    /// Whether it asks for TLS though it came without, and no proxy can have taken that off it.
    pub wants_tls: bool,
    /// Whether patience ran out before any final response.
    pub gave_up: bool,
    /// Who is told.
    pub owner: Owner,
    timing: Timing,
    second_gap: Span,
    answer_gap: Span,
    last_provisional: PacketTime,
    /// To-tag of the last response that counted, as a hash: forks differ in it.
    tag: u32,
    /// Status and To-tag of a further final response.
    further: (u16, u32),
}

impl Transaction {
    /// T1 of the sender: the gap between the first two transmissions, or what it is by default.
    pub fn t1(&self) -> Span {
        self.timing.t1(self.second_gap)
    }

    /// T1 of the sender of the final response: the gap between its first two transmissions, or what it is by default.
    pub fn answer_t1(&self) -> Span {
        self.timing.t1(self.answer_gap)
    }

    /// 64·T1: timers B and F.
    pub fn patience(&self) -> Span {
        self.timing.patience(self.second_gap)
    }

    /// 64·T1 of the sender of the final response: Timer H, and the end of the repeats of a 2xx.
    pub fn answer_patience(&self) -> Span {
        self.timing.patience(self.answer_gap)
    }

    /// The response after which the sender has no reason to repeat the request (RFC 3261 §17.1.1.2, §17.1.2.2).
    pub fn silencing_response(&self) -> Option<Sighting> {
        if self.method == Method::Invite { self.first_response } else { self.answered.map(|(first, _)| first) }
    }

    /// Whether an answer must have come that the capture missed: it was sent once, by who sends again what nobody answers. However early it
    /// is asked, more than T1 after the first transmission this holds.
    pub fn is_never_repeated(&self) -> bool {
        self.resends && self.transmissions == 1
    }

    /// The request as one that was never answered.
    pub fn unanswered(&self) -> Unanswered {
        Unanswered {
            flow: self.flow,
            method: self.method,
            first: self.first,
            last: self.last,
            size: self.size,
            transmissions: self.transmissions,
            patience: self.patience(),
            deadline: self.first.time + self.patience(),
        }
    }

    /// When nothing more is to be expected.
    fn deadline(&self) -> PacketTime {
        let last_response = self.first_response.map(|_| self.quiet_since());
        match (self.answered, last_response) {
            (Some((_, last)), _) => last.time + LINGER,
            (None, Some(since)) if self.method == Method::Invite && self.provisional > 100 => since + STALLED_18X,
            (None, Some(since)) if self.method == Method::Invite => since + STALLED_100,
            (None, _) => self.first.time + self.patience() + WATERMARK,
        }
    }

    fn quiet_since(&self) -> PacketTime {
        self.last_provisional.max(self.first.time)
    }
}

/// What a request turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Requested {
    /// The first transmission.
    New(Handle),
    /// A repeat.
    Repeated(Handle),
}

/// What a response turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Responded {
    /// The request was not captured.
    Unseen,
    /// The request went elsewhere.
    Foreign,
    /// A provisional response, new in its kind.
    Provisional(Handle),
    /// The final response.
    Final(Handle),
    /// A further final response of another kind, as forks send (RFC 6026).
    Further(Handle),
    /// A response that was there before.
    Repeated(Handle),
}

/// The transactions in progress and those just over.
#[derive(Debug)]
pub struct Transactions {
    digester: Digester,
    table: ExpiringTable<Transaction>,
    timing: Timing,
}

impl Transactions {
    /// No transactions, and room for `capacity`.
    pub fn new(digester: Digester, capacity: usize, timing: Timing) -> Self {
        Self { digester, table: ExpiringTable::new(capacity), timing }
    }

    /// The key of the transaction of `method` that a message names.
    pub fn key(&self, read: &Reading<'_>, method: Method) -> Digest {
        let message = read.message();
        let [a, b, c, d] = message.cseq().map_or(0, |cseq| cseq.number).to_be_bytes();
        let request = [a, b, c, d, method as u8];
        if is_cookie(message.branch()) {
            return self.digester.further(read.call_id(), &[&request, message.branch()]);
        }
        let tag = message.from_tag().unwrap_or_default();
        let sent_by = message.top_via().map_or(&b""[..], |via| via.host);
        self.digester.further(read.call_id(), &[&request, tag, sent_by, b"2543"])
    }

    /// Takes note of a request whose sender is worth `rank`.
    pub fn request(&mut self, key: Digest, message: &Message<'_>, flow: Flow, rank: Rank, at: Sighting) -> Requested {
        if let Some(handle) = self.table.find(key) {
            self.table.touch(handle);
            if let Some(transaction) = self.table.get_mut(handle) {
                repeat(transaction, at);
                let deadline = transaction.deadline();
                self.table.set_deadline(handle, deadline);
            }
            return Requested::Repeated(handle);
        }
        let transaction = Transaction {
            method: message.method(),
            flow,
            first: at,
            last: at,
            size: message.bytes().len().try_into().unwrap_or(u32::MAX),
            transmissions: 1,
            provisional: 0,
            status: 0,
            first_response: None,
            answered: None,
            answers: 0,
            repeats_after_response: 0,
            acked: false,
            authorized: false,
            resends: resends(message, flow),
            wants_tls: wants_tls(message),
            gave_up: false,
            owner: Owner::Nobody,
            timing: self.timing,
            second_gap: Span::ZERO,
            answer_gap: Span::ZERO,
            last_provisional: PacketTime::MIN,
            tag: 0,
            further: (0, 0),
        };
        let deadline = if message.method() == Method::Ack { at.time + LINGER } else { transaction.deadline() };
        Requested::New(self.table.insert(key, transaction, deadline, rank).0)
    }

    /// Takes note of a response with `status`, unless it is `foreign` to the way of the request.
    pub fn response(
        &mut self,
        key: Digest,
        status: u16,
        to_tag: Option<&[u8]>,
        at: Sighting,
        foreign: impl FnOnce(Flow) -> bool,
    ) -> Responded {
        let Some(handle) = self.table.find(key) else { return Responded::Unseen };
        if self.table.get(handle).is_some_and(|transaction| foreign(transaction.flow)) {
            return Responded::Foreign;
        }
        self.table.touch(handle);
        let Some(transaction) = self.table.get_mut(handle) else { return Responded::Unseen };
        let tag = to_tag.map_or(0, |tag| self.digester.bytes(tag).low64() as u32);
        let responded = respond(transaction, status, tag, at, handle);
        let deadline = transaction.deadline();
        self.table.set_deadline(handle, deadline);
        if matches!(responded, Responded::Final(_)) {
            self.table.lower_rank(handle, Rank::Finished);
        }
        responded
    }

    /// The transaction, if it is still held.
    pub fn get(&self, handle: Handle) -> Option<&Transaction> {
        self.table.get(handle)
    }

    /// The transaction, if it is still held.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut Transaction> {
        self.table.get_mut(handle)
    }

    /// All transactions that are held.
    pub fn iter(&self) -> impl Iterator<Item = &Transaction> {
        self.table.iter().map(|(_, transaction)| transaction)
    }

    /// The transaction of `key`.
    pub fn find(&self, key: Digest) -> Option<Handle> {
        self.table.find(key)
    }

    /// A transaction whose patience ran out by `now`, once; those that only linger are forgotten on the way.
    pub fn pop_unanswered(&mut self, now: PacketTime) -> Option<Handle> {
        while let Some((handle, _)) = self.table.pop_due(now) {
            let Some(transaction) = self.table.get_mut(handle) else { continue };
            if transaction.answered.is_some() || transaction.gave_up || transaction.method == Method::Ack {
                self.table.remove(handle);
                continue;
            }
            transaction.gave_up = true;
            self.table.set_deadline(handle, now + LINGER);
            return Some(handle);
        }
        None
    }

    /// When [`Self::pop_unanswered`] next has something to do.
    pub fn next_deadline(&self) -> PacketTime {
        self.table.next_deadline()
    }

    /// Transactions held, and transactions dropped for lack of room.
    pub fn size(&self) -> (usize, u64) {
        (self.table.len(), self.table.evicted())
    }
}

/// Whether a branch was made by RFC 3261's rules and so is unique.
fn is_cookie(branch: &[u8]) -> bool {
    branch.get(..7).is_some_and(|cookie| cookie.eq_ignore_ascii_case(b"z9hG4bK")) && branch.len() > 7
}

/// Whether a request over UDP is sent again where nobody answers (RFC 3261 §17.1). Outside a dialog OPTIONS and INFO may be the pings of a
/// proxy that keeps no state of them; those of Asterisk and FreeSWITCH are none (DETECTION §3.1).
fn resends(message: &Message<'_>, flow: Flow) -> bool {
    let may_ping = matches!(message.method(), Method::Options | Method::Info) && message.to_tag().is_none();
    let names = |name: &[u8]| memchr::memmem::find(message.user_agent(), name).is_some();
    flow.transport == Transport::Udp && (!may_ping || names(b"Asterisk") || names(b"FreeSWITCH"))
}

/// Whether a REGISTER or INVITE names `sips:` or `transport=tls`. Behind a proxy, TLS may have ended there.
fn wants_tls(message: &Message<'_>) -> bool {
    let begins = matches!(message.method(), Method::Register | Method::Invite);
    let Some(uri) = message.request_uri().filter(|_| begins && message.via_count() == 1) else { return false };
    if uri.starts_with(b"sip:") && !uri.contains(&b';') {
        return false;
    }
    let uri = Uri::parse(uri);
    uri.scheme == Scheme::Sips || uri.param("transport").is_some_and(|transport| transport.eq_ignore_ascii_case(b"tls"))
}

fn repeat(transaction: &mut Transaction, at: Sighting) {
    if transaction.transmissions == 1 {
        transaction.second_gap = at.time.since(transaction.first.time);
    }
    transaction.transmissions = transaction.transmissions.saturating_add(1);
    transaction.last = at;
    if transaction.silencing_response().is_some_and(|answered| at.time.since(answered.time) >= transaction.t1()) {
        transaction.repeats_after_response = transaction.repeats_after_response.saturating_add(1);
    }
}

fn respond(transaction: &mut Transaction, status: u16, tag: u32, at: Sighting, handle: Handle) -> Responded {
    transaction.first_response.get_or_insert(at);
    if status < 200 {
        let same = transaction.provisional == status && transaction.tag == tag;
        transaction.provisional = status;
        transaction.last_provisional = at.time;
        if transaction.answered.is_none() {
            transaction.tag = tag;
        }
        return if same || transaction.answered.is_some() { Responded::Repeated(handle) } else { Responded::Provisional(handle) };
    }
    match &mut transaction.answered {
        None => {
            transaction.answered = Some((at, at));
            transaction.status = status;
            transaction.answers = 1;
            transaction.tag = tag;
            Responded::Final(handle)
        }
        Some((_, last)) if transaction.status == status && (transaction.tag == tag || status >= 300) => {
            if transaction.answers == 1 {
                transaction.answer_gap = at.time.since(last.time);
            }
            *last = at;
            transaction.answers = transaction.answers.saturating_add(1);
            Responded::Repeated(handle)
        }
        Some(_) if transaction.further == (status, tag) => Responded::Repeated(handle),
        Some(_) => {
            transaction.further = (status, tag);
            Responded::Further(handle)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::scan::{Context, scan};

    /// Whether this request over UDP is sent again where nobody answers.
    fn is_sent_again(method: &str, headers: &str) -> bool {
        let text = format!("{method} sip:1001@198.51.100.7 SIP/2.0\r\nCall-ID: x\r\nCSeq: 1 {method}\r\n{headers}\r\n");
        let found = scan(text.as_bytes(), Context::Datagram).expect("is a message");
        let [source, destination] = ["203.0.113.10:5060", "198.51.100.7:5060"].map(|end| end.parse().expect("is an address"));
        resends(&Message::new(text.as_bytes(), &found), Flow { transport: Transport::Udp, source, destination })
    }

    #[test]
    fn pings_outside_a_dialog_may_be_sent_once() {
        assert!(!is_sent_again("OPTIONS", "To: <sip:1001@pbx.example.com>\r\n"));
        assert!(!is_sent_again("INFO", "To: <sip:1001@pbx.example.com>\r\nServer: OpenSIPS\r\n"));
        assert!(is_sent_again("OPTIONS", "To: <sip:1001@pbx.example.com>\r\nUser-Agent: Asterisk PBX 18.20.0\r\n"));
        assert!(is_sent_again("OPTIONS", "To: <sip:1001@pbx.example.com>;tag=a\r\n"), "asks after a call");
        assert!(is_sent_again("BYE", "To: <sip:1001@pbx.example.com>;tag=a\r\n"));
    }

    #[test]
    fn patience_is_as_configured_where_no_repeat_shows_another_t1() {
        let thresholds = Thresholds { t1: Span::from_secs(1), txn_timeout_t1: 32, ..Thresholds::default() };
        for (timing, repeated, patience) in [
            (Timing::from(&Thresholds::default()), Span::ZERO, Span::from_secs(32)),
            (Timing::from(&thresholds), Span::ZERO, Span::from_secs(32)),
            (Timing::from(&Thresholds { t1: Span::from_secs(2), ..Thresholds::default() }), Span::ZERO, Span::from_secs(128)),
            (Timing::from(&thresholds), Span::from_millis(100), Span::from_millis(3200)),
        ] {
            assert_eq!(timing.patience(repeated), patience);
        }
    }
}
