//! TCP: connections, the order of their bytes, and what they say.
//!
//! Only connections that may carry SIP are followed. Bytes are read as they come; what is kept is at most one incomplete message a
//! direction and the segments that came before their turn.

mod reader;
mod sequence;
mod websocket;

pub(super) use self::reader::Scene;
use self::reader::{Protocol, Reader};
use self::sequence::{Place, Sequence};
use crate::decode::copies::CopyRule;
use crate::decode::dissect::{Completeness, Segment};
use crate::decode::ends::pair_key;
use crate::decode::flow::Flow;
use crate::decode::framer::{Framer, Opening};
use crate::decode::outcome::Skip;
use crate::decode::outlet::{Current, Outlet};
use crate::decode::ports::Interest;
use crate::decode::signal::Signal;
use crate::table::{Digester, ExpiringTable, Handle, Rank};
use crate::time::{PacketTime, Span};

/// Connections followed at once.
const MAX_CONNECTIONS: usize = 131_072;
/// Bytes kept over all connections.
const MAX_BYTES: usize = 64 << 20;
/// How long a silent connection is remembered.
const IDLE: Span = Span::from_secs(4 * 3_600);
/// How long an answer to a SYN is waited for: by then it was sent for the third time (RFC 6298 §2).
const OPENING: Span = Span::from_secs(3);
/// How long an ended connection is remembered, so that copies of its last segments are known for copies.
const LINGER: Span = Span::from_secs(10);

/// The connections followed.
#[derive(Debug)]
pub(super) struct Streams {
    table: ExpiringTable<Connection>,
    digester: Digester,
    bytes: usize,
    counts: StreamCounts,
}

/// What became of the bytes of streams.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StreamCounts {
    /// Times that missing bytes were given up.
    pub gaps: u64,
    /// Connections dropped for lack of room.
    pub evicted: u64,
}

#[derive(Debug)]
struct Connection {
    /// The flow of the first segment seen.
    flow: Flow,
    interest: Interest,
    protocol: Protocol,
    /// Along `flow`, and against it.
    forward: Side,
    backward: Side,
    phase: Phase,
    /// The SYN at its beginning, as long as nothing has come of it and that was not told.
    asked: Option<Current>,
}

#[derive(Debug, Default)]
struct Side {
    sequence: Sequence,
    reader: Reader,
    has_spoken: bool,
    has_ended: bool,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// A SYN was seen along `flow`, nothing else.
    Opening,
    /// It is in use, or was when it was first seen.
    Open,
    /// A FIN or RST was seen.
    Closed,
}

impl Streams {
    /// No connection yet.
    pub(super) fn new(digester: Digester) -> Self {
        Self { table: ExpiringTable::new(MAX_CONNECTIONS), digester, bytes: 0, counts: StreamCounts::default() }
    }

    /// Handles a segment.
    pub(super) fn segment<F: Framer>(&mut self, segment: &Segment<'_>, scene: &Scene<'_, F>, outlet: &mut Outlet) {
        let current = scene.current;
        let Some(handle) = self.connection(segment, scene, outlet) else {
            let reason = if segment.payload.is_empty() { Skip::TcpControl } else { Skip::NotSip };
            return outlet.skip(reason, current.frames);
        };
        let Some(connection) = self.table.get_mut(handle) else { return outlet.skip(Skip::Evicted, current.frames) };
        let before = connection.held();
        connection.segment(segment, scene, outlet, &mut self.counts);
        let (held, deadline, rank) = (connection.held(), connection.deadline(current.time), connection.rank());
        self.bytes = self.bytes + held - before;
        self.table.set_deadline(handle, deadline);
        self.table.set_rank(handle, rank);
        self.table.touch(handle);
        while self.bytes > MAX_BYTES {
            let Some(evicted) = self.table.evict() else { return };
            self.drop_evicted(evicted, outlet);
        }
    }

    /// The earliest moment at which [`Self::expire`] may have something to do.
    pub(super) fn next_deadline(&self) -> PacketTime {
        self.table.next_deadline()
    }

    /// Gives up what has waited in vain until `now`.
    pub(super) fn expire<F: Framer>(&mut self, framer: &F, now: PacketTime, outlet: &mut Outlet) {
        while let Some((handle, deadline)) = self.table.pop_due(now) {
            let Some(connection) = self.table.get_mut(handle) else { continue };
            let before = connection.held();
            let has_told = connection.tell(deadline, outlet);
            let has_skipped = connection.skip_gaps(framer, deadline, deadline, outlet, &mut self.counts);
            if has_told || has_skipped {
                let (held, next) = (connection.held(), connection.deadline(deadline));
                self.bytes = self.bytes + held - before;
                self.table.set_deadline(handle, next);
            } else if let Some(mut connection) = self.table.remove(handle) {
                self.bytes -= before;
                connection.give_up(Skip::IncompleteStream, outlet);
            }
        }
    }

    /// Gives up everything: no further segment will come.
    pub(super) fn finish<F: Framer>(&mut self, framer: &F, end: PacketTime, outlet: &mut Outlet) {
        for handle in self.table.handles() {
            let Some(mut connection) = self.table.remove(handle) else { continue };
            while connection.skip_gaps(framer, PacketTime::MAX, end, outlet, &mut self.counts) {}
            connection.give_up(Skip::IncompleteStream, outlet);
        }
        self.bytes = 0;
    }

    /// Connections followed.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// What became of the bytes of streams so far.
    pub(super) fn counts(&self) -> StreamCounts {
        self.counts
    }

    /// The connection of a segment; a new one where the segment begins one or has SIP at its front.
    fn connection<F: Framer>(&mut self, segment: &Segment<'_>, scene: &Scene<'_, F>, outlet: &mut Outlet) -> Option<Handle> {
        let key = self.digester.bytes(&pair_key(&scene.flow));
        let opens = segment.flags.syn && !segment.flags.ack;
        let found = self.table.find(key);
        let conversation = found.and_then(|handle| self.table.get(handle)).filter(|connection| connection.is_conversation());
        // Anybody can send a SYN in the name of a phone: where both sides speak, theirs goes on until the other side has answered it.
        let renewed = conversation.and_then(|connection| connection.renewed_by(segment, scene));
        let is_stale = |connection: &Connection| match conversation {
            Some(_) => renewed.is_some(),
            None => opens && !connection.side(&scene.flow).sequence.began_with(segment.sequence),
        };
        if let Some(handle) = found
            && !self.table.get(handle).is_some_and(is_stale)
        {
            return Some(handle);
        }
        let old = found.and_then(|handle| self.table.remove(handle));
        if let Some(mut old) = old {
            self.bytes -= old.held();
            old.give_up(Skip::IncompleteStream, outlet);
        }
        let is_wanted = match scene.interest {
            Interest::Watched => segment.flags.syn || !segment.payload.is_empty(),
            Interest::Possible => begins_with_sip(segment.payload, scene.framer),
            Interest::Ignored => false,
        };
        if !is_wanted && renewed.is_none() {
            return None;
        }
        let connection = renewed.unwrap_or_else(|| Connection::new(scene, if opens { Phase::Opening } else { Phase::Open }));
        let rank = connection.rank();
        let (handle, evicted) = self.table.insert(key, connection, scene.current.time + IDLE, rank);
        if let Some(evicted) = evicted {
            self.drop_evicted(evicted, outlet);
        }
        Some(handle)
    }

    fn drop_evicted(&mut self, mut evicted: Connection, outlet: &mut Outlet) {
        self.counts.evicted += 1;
        self.bytes -= evicted.held();
        evicted.give_up(Skip::Evicted, outlet);
    }
}

/// Whether a stream on a port that nobody watches is worth following.
fn begins_with_sip<F: Framer>(payload: &[u8], framer: &F) -> bool {
    framer.opening(payload) == Opening::Start || matches!(websocket::http(payload), websocket::Parsed::Found(websocket::Http::Upgrade(_)))
}

impl Connection {
    fn new<F>(scene: &Scene<'_, F>, phase: Phase) -> Self {
        Self {
            flow: scene.flow,
            interest: scene.interest,
            protocol: Protocol::Unknown,
            forward: Side::default(),
            backward: Side::default(),
            phase,
            asked: (phase == Phase::Opening && scene.interest == Interest::Watched).then_some(scene.current),
        }
    }

    fn side(&self, flow: &Flow) -> &Side {
        if *flow == self.flow { &self.forward } else { &self.backward }
    }

    /// Whether both sides have spoken, and neither has ended it.
    fn is_conversation(&self) -> bool {
        self.phase == Phase::Open && self.forward.has_spoken && self.backward.has_spoken
    }

    /// The connection that began with a SYN in the middle of this one, if the segment is the answer to that.
    fn renewed_by<F>(&self, segment: &Segment<'_>, scene: &Scene<'_, F>) -> Option<Self> {
        let asker = scene.flow.reversed();
        let next = segment.acknowledgement.filter(|next| self.side(&asker).sequence.is_asked(*next))?;
        // Both SYNs the same as at the beginning: copies that came late.
        let is_copy = segment.flags.syn && self.side(&scene.flow).sequence.is_from(segment.sequence);
        if is_copy || !(segment.flags.syn || segment.flags.rst) {
            return None;
        }
        let mut connection = Self::new(&Scene { flow: asker, ..*scene }, Phase::Opening);
        connection.forward.sequence.begin(next);
        Some(connection)
    }

    fn segment<F: Framer>(&mut self, segment: &Segment<'_>, scene: &Scene<'_, F>, outlet: &mut Outlet, counts: &mut StreamCounts) {
        if segment.flags.syn {
            return self.syn(segment, scene, outlet);
        }
        let (other, _) = self.parts(&scene.flow.reversed());
        if let Some(confirmed) = segment.acknowledgement.filter(|acknowledged| other.sequence.is_confirmed_by(*acknowledged)) {
            other.give_up(Skip::IncompleteStream, outlet);
            other.sequence.start(confirmed);
        }
        let is_theirs = self.side(&scene.flow).sequence.is_near(segment.sequence);
        if let Some(acknowledged) = segment.acknowledgement.filter(|_| is_theirs) {
            self.confirm(acknowledged, segment, scene, outlet, counts);
            let is_taken = self.phase == Phase::Opening && scene.flow == self.flow && !segment.flags.rst;
            self.phase = if is_taken { Phase::Open } else { self.phase };
        }
        if segment.payload.is_empty() {
            outlet.skip(Skip::TcpControl, scene.current.frames);
        } else {
            self.phase = if self.phase == Phase::Opening { Phase::Open } else { self.phase };
            self.data(segment, scene, outlet, counts);
        }
        if (segment.flags.rst || segment.flags.fin) && is_theirs {
            self.end(segment, scene, outlet);
        }
    }

    fn syn<F>(&mut self, segment: &Segment<'_>, scene: &Scene<'_, F>, outlet: &mut Outlet) {
        outlet.skip(Skip::TcpControl, scene.current.frames);
        let (side, ..) = self.parts(&scene.flow);
        let next = segment.sequence.wrapping_add(1);
        if !side.sequence.is_known() {
            side.sequence.begin(next);
        } else if !side.sequence.began_with(segment.sequence) {
            side.sequence.ask(next);
        }
        if segment.flags.ack && self.phase == Phase::Opening {
            self.phase = Phase::Open;
        }
    }

    /// Takes note of what the sender of the segment in hand has got. What waited for bytes that it has, and the capture has not, goes on
    /// before it says any more: it may answer that. Where it says nothing yet, they may still come out of order.
    fn confirm<F: Framer>(
        &mut self,
        acknowledged: u32,
        segment: &Segment<'_>,
        scene: &Scene<'_, F>,
        outlet: &mut Outlet,
        counts: &mut StreamCounts,
    ) {
        let flow = scene.flow.reversed();
        let (other, protocol) = self.parts(&flow);
        // The end of a stream is acknowledged like a byte.
        if other.has_ended {
            return;
        }
        other.sequence.confirm(acknowledged, scene.current.time);
        if segment.payload.is_empty() {
            return;
        }
        while let Some(frame) = other.sequence.first_frame().filter(|_| other.sequence.waits_in_vain()) {
            let current = Current { frame, frames: 0, ..scene.current };
            other.skip_gap(protocol, &Scene { flow, current, ..*scene }, outlet, counts);
        }
    }

    fn data<F: Framer>(&mut self, segment: &Segment<'_>, scene: &Scene<'_, F>, outlet: &mut Outlet, counts: &mut StreamCounts) {
        // Bytes with something missing before them, or a leap, may be anybody's where they do not go with the other side's.
        let is_others = self.is_conversation()
            && !segment.acknowledgement.is_some_and(|acknowledged| self.side(&scene.flow.reversed()).sequence.is_near(acknowledged));
        let (side, protocol) = self.parts(&scene.flow);
        let frames = scene.current.frames;
        match side.sequence.place(segment.sequence, segment.payload.len()) {
            Place::Next(known) => side.feed_segment(segment, known, protocol, scene, outlet),
            Place::Copy => outlet.copy(CopyRule::Stream, frames),
            Place::Early | Place::Elsewhere if is_others => {
                side.sequence.suppose(segment.sequence.wrapping_add(segment.payload.len() as u32));
                outlet.skip(Skip::IncompleteStream, frames);
            }
            Place::Early if side.sequence.keep(segment.sequence, segment.payload, scene.current) => {}
            Place::Early => outlet.copy(CopyRule::Stream, frames),
            Place::Elsewhere => {
                side.give_up(Skip::IncompleteStream, outlet);
                side.sequence.start(segment.sequence);
                side.feed_segment(segment, 0, protocol, scene, outlet);
            }
        }
        while side.sequence.is_crowded() {
            side.skip_gap(protocol, scene, outlet, counts);
        }
    }

    /// Ends the connection at its first FIN or RST.
    fn end<F>(&mut self, segment: &Segment<'_>, scene: &Scene<'_, F>, outlet: &mut Outlet) {
        let is_refusal = segment.flags.rst && self.phase == Phase::Opening && scene.flow != self.flow;
        if is_refusal && self.interest == Interest::Watched {
            outlet.signal(scene.current, Signal::Refused(self.flow));
        }
        if let Some(transport) = self.protocol.transport().filter(|_| self.phase != Phase::Closed) {
            outlet.signal(scene.current, Signal::Closed(Flow { transport, ..scene.flow }));
        }
        self.phase = Phase::Closed;
        let (side, _) = self.parts(&scene.flow);
        side.has_ended = true;
        if segment.flags.rst {
            self.forward.has_ended = true;
            self.backward.has_ended = true;
        }
    }

    /// Gives up what is missing in either direction and was waited for until `due`; tells whether there was any.
    fn skip_gaps<F: Framer>(
        &mut self,
        framer: &F,
        due: PacketTime,
        time: PacketTime,
        outlet: &mut Outlet,
        counts: &mut StreamCounts,
    ) -> bool {
        let mut has_skipped = false;
        for flow in [self.flow, self.flow.reversed()] {
            let interest = self.interest;
            let (side, protocol) = self.parts(&flow);
            let is_due = side.sequence.gap_deadline().is_some_and(|deadline| deadline <= due);
            let Some(frame) = side.sequence.first_frame().filter(|_| is_due) else { continue };
            let current = Current { time, frame, frames: 0 };
            side.skip_gap(protocol, &Scene { framer, flow, interest, current }, outlet, counts);
            has_skipped = true;
        }
        has_skipped
    }

    /// Tells of what is due by `now`: that nothing came of the SYN at the beginning, that the other side of either direction has what the
    /// capture has not. Whether there was any.
    fn tell(&mut self, now: PacketTime, outlet: &mut Outlet) -> bool {
        let asked = self.asked.take_if(|asked| asked.time + OPENING <= now).filter(|_| self.phase == Phase::Opening);
        let mut has_told = asked.is_some();
        if let Some(asked) = asked {
            outlet.signal(Current { time: now, ..asked }, Signal::Unopened(self.flow));
        }
        for flow in [self.flow, self.flow.reversed()] {
            let (side, protocol) = self.parts(&flow);
            if side.sequence.take_untold(now) {
                tell_gap(*protocol, flow, Current { time: now, frame: 0, frames: 0 }, outlet);
                has_told = true;
            }
        }
        has_told
    }

    fn give_up(&mut self, reason: Skip, outlet: &mut Outlet) {
        self.forward.give_up(reason, outlet);
        self.backward.give_up(reason, outlet);
    }

    fn parts(&mut self, flow: &Flow) -> (&mut Side, &mut Protocol) {
        let side = if *flow == self.flow { &mut self.forward } else { &mut self.backward };
        (side, &mut self.protocol)
    }

    fn deadline(&self, now: PacketTime) -> PacketTime {
        let rest = if self.forward.has_ended && self.backward.has_ended { LINGER } else { IDLE };
        let unanswered = self.asked.filter(|_| self.phase == Phase::Opening).map(|asked| asked.time + OPENING);
        let due = [self.forward.sequence.deadline(), self.backward.sequence.deadline(), unanswered].into_iter().flatten().min();
        due.map_or(now + rest, |due| due.max(now))
    }

    fn rank(&self) -> Rank {
        match (self.phase, self.protocol) {
            (Phase::Closed, _) => Rank::Finished,
            (Phase::Opening, _) | (_, Protocol::Unknown | Protocol::Encrypted | Protocol::Other) => Rank::Unanswered,
            // One side alone can say anything: it need not even be where it says.
            (Phase::Open, _) if !(self.forward.has_spoken && self.backward.has_spoken) => Rank::Unanswered,
            (Phase::Open, Protocol::Sip | Protocol::WebSocket) => Rank::Ordinary,
        }
    }

    fn held(&self) -> usize {
        self.forward.held() + self.backward.held()
    }
}

impl Side {
    /// Reads a segment behind the bytes that are known already, and those that waited for it.
    fn feed_segment<F: Framer>(
        &mut self,
        segment: &Segment<'_>,
        known: usize,
        protocol: &mut Protocol,
        scene: &Scene<'_, F>,
        outlet: &mut Outlet,
    ) {
        self.feed(segment.payload.get(known..).unwrap_or_default(), protocol, scene, outlet);
        if let Completeness::Cut { missing } = segment.completeness {
            self.reader.cut(protocol, scene, outlet);
            self.sequence.advance(missing);
        }
        self.feed_ready(protocol, scene, outlet);
    }

    fn feed<F: Framer>(&mut self, bytes: &[u8], protocol: &mut Protocol, scene: &Scene<'_, F>, outlet: &mut Outlet) {
        self.sequence.advance(bytes.len());
        self.has_spoken |= !bytes.is_empty();
        self.reader.feed(bytes, protocol, scene, outlet);
    }

    /// Reads the segments that waited for what has just come.
    fn feed_ready<F: Framer>(&mut self, protocol: &mut Protocol, scene: &Scene<'_, F>, outlet: &mut Outlet) {
        while let Some((early, place)) = self.sequence.take_ready() {
            let current = Current { frames: early.frames, ..scene.current };
            match place {
                Place::Next(known) => {
                    let bytes = early.bytes.get(known..).unwrap_or_default();
                    self.feed(bytes, protocol, &Scene { current, ..*scene }, outlet);
                }
                _ => outlet.copy(CopyRule::Stream, early.frames),
            }
        }
    }

    /// Gives up the bytes before the first segment that waits, and reads on from there.
    fn skip_gap<F: Framer>(&mut self, protocol: &mut Protocol, scene: &Scene<'_, F>, outlet: &mut Outlet, counts: &mut StreamCounts) {
        if self.sequence.skip_gap() {
            counts.gaps += 1;
            tell_gap(*protocol, scene.flow, scene.current, outlet);
            self.reader.give_up(Skip::IncompleteStream, outlet);
            self.feed_ready(protocol, scene, outlet);
        }
    }

    fn give_up(&mut self, reason: Skip, outlet: &mut Outlet) {
        self.reader.give_up(reason, outlet);
        outlet.skip(reason, self.sequence.clear());
    }

    fn held(&self) -> usize {
        self.reader.held() + self.sequence.waiting_bytes()
    }
}

/// Tells that bytes along `flow` were not captured, where it carries SIP.
fn tell_gap(protocol: Protocol, flow: Flow, current: Current, outlet: &mut Outlet) {
    if let Some(transport) = protocol.transport() {
        outlet.signal(current, Signal::StreamGap(Flow { transport, ..flow }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tunnels;
    use crate::decode::dissect::{Content, dissect};
    use crate::decode::flow::Transport;
    use crate::decode::frame::LinkType;
    use crate::decode::framer::{Framing, Headers, Progress};
    use crate::decode::testing::{ACK, FIN, RST, SYN, SYN_ACK, tcp};

    const PBX: &str = "203.0.113.10:5060";

    /// Finds no message, but believes that one begins with an `M`.
    struct Hopeful;

    impl Framer for Hopeful {
        fn opening(&self, bytes: &[u8]) -> Opening {
            if bytes.starts_with(b"M") { Opening::Start } else { Opening::Other }
        }

        fn frame(&self, bytes: &[u8], _: &mut Progress) -> Framing {
            if bytes.starts_with(b"M") { Framing::NeedMore } else { Framing::Junk(bytes.len()) }
        }

        fn headers(&self, _: &[u8]) -> Headers {
            Headers::Missing
        }
    }

    struct Bench {
        streams: Streams,
        outlet: Outlet,
        fed: u64,
    }

    impl Bench {
        fn new() -> Self {
            Self { streams: Streams::new(Digester::new(1)), outlet: Outlet::new(Digester::new(1), Span::from_millis(40)), fed: 0 }
        }

        fn feed(&mut self, packet: &[u8]) {
            let packet = dissect(LinkType::RAW, packet, Tunnels::ALL).unwrap();
            let Content::Tcp(segment) = packet.content else { panic!("a segment") };
            let flow = packet.hop.flow(Transport::Tcp, segment.source_port, segment.destination_port);
            self.fed += 1;
            let current = Current { time: PacketTime::from_nanos(0), frame: self.fed, frames: 1 };
            let scene = Scene { framer: &Hopeful, flow, interest: Interest::Watched, current };
            self.streams.segment(&segment, &scene, &mut self.outlet);
        }

        fn only(&mut self) -> &Connection {
            let handle = self.streams.table.handles()[0];
            self.streams.table.get(handle).unwrap()
        }

        fn finish(&mut self) {
            self.streams.finish(&Hopeful, PacketTime::MAX, &mut self.outlet);
            assert_eq!(self.outlet.frames.settled(), self.fed, "each frame has its outcome");
        }
    }

    fn client(number: usize) -> String {
        format!("10.{}.{}.{}:5060", number >> 16, (number >> 8) & 255, number & 255)
    }

    #[test]
    fn a_flood_of_syns_keeps_the_cap() {
        let mut bench = Bench::new();
        for number in 0..MAX_CONNECTIONS + 100 {
            bench.feed(&tcp(&client(number), PBX, 1, SYN, b""));
        }
        assert_eq!(bench.streams.table.len(), MAX_CONNECTIONS);
        assert_eq!(bench.streams.counts().evicted, 100);
        bench.finish();
    }

    #[test]
    fn a_flood_of_incomplete_messages_keeps_the_cap() {
        let mut bench = Bench::new();
        let piece = [b'M'; 60_000];
        for number in 0..1_300 {
            bench.feed(&tcp(&client(number), PBX, 1, ACK, &piece));
            assert!(bench.streams.bytes <= MAX_BYTES);
        }
        assert!(bench.outlet.frames.skipped(Skip::Evicted) > 0);
        bench.finish();
    }

    #[test]
    fn a_flood_of_early_segments_keeps_the_cap() {
        let mut bench = Bench::new();
        bench.feed(&tcp(&client(1), PBX, 1, SYN, b""));
        for number in 0..5_000 {
            bench.feed(&tcp(&client(1), PBX, 100 + number * 1_400, ACK, &[b'M'; 1_000]));
            assert!(bench.streams.bytes < 3 << 20);
        }
        bench.finish();
        assert_eq!(bench.streams.bytes, 0);
    }

    /// What is told of a connection to the PBX that is asked for three times, where `packet` comes between.
    fn told_of_asking(packet: Option<Vec<u8>>) -> usize {
        let mut bench = Bench::new();
        let syn = tcp(&client(1), PBX, 1, SYN, b"");
        (0..3).for_each(|_| bench.feed(&syn));
        packet.iter().for_each(|packet| bench.feed(packet));
        let mut told = 0;
        for seconds in [2, 3, 20_000] {
            bench.streams.expire(&Hopeful, PacketTime::from_nanos(seconds * 1_000_000_000), &mut bench.outlet);
            told += std::iter::from_fn(|| bench.outlet.leaving(PacketTime::MAX).map(|_| ())).count();
            assert_eq!(told, usize::from(packet.is_none() && seconds >= 3), "{seconds}");
        }
        assert_eq!(bench.streams.len(), 0);
        told
    }

    #[test]
    fn a_syn_that_nothing_answers_is_told_of_once() {
        assert_eq!(told_of_asking(None), 1);
        assert_eq!(told_of_asking(Some(tcp(PBX, &client(1), 1, SYN_ACK, b""))), 0);
        assert_eq!(told_of_asking(Some(tcp(&client(1), PBX, 2, ACK, b"hello"))), 0, "the answer was not captured");
    }

    #[test]
    fn an_answered_syn_is_no_refusal() {
        let mut bench = Bench::new();
        bench.feed(&tcp(&client(1), PBX, 1, SYN, b""));
        bench.feed(&tcp(PBX, &client(1), 1, 0x12, b""));
        bench.feed(&tcp(PBX, &client(1), 2, RST, b""));
        assert!(bench.outlet.leaving(PacketTime::MAX).is_none());
        bench.finish();
    }

    /// A connection on which both sides have spoken: the client goes on at 106, the PBX at 1006.
    fn conversation() -> Bench {
        conversation_from(100)
    }

    /// The same where the client's SYN had this number.
    fn conversation_from(syn: u32) -> Bench {
        let mut bench = Bench::new();
        bench.feed(&tcp(&client(1), PBX, syn, SYN, b""));
        bench.feed(&answering(PBX, &client(1), 1_000, SYN_ACK, syn + 1, b""));
        bench.feed(&answering(&client(1), PBX, syn + 1, ACK, 1_001, b"hello"));
        bench.feed(&answering(PBX, &client(1), 1_001, ACK, syn + 6, b"hello"));
        assert!(bench.only().is_conversation());
        bench
    }

    fn answering(source: &str, destination: &str, sequence: u32, flags: u8, acknowledged: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = tcp(source, destination, sequence, flags, payload);
        packet[28..32].copy_from_slice(&acknowledged.to_be_bytes());
        packet
    }

    /// Where the client's side goes on.
    fn goes_on_at(bench: &mut Bench, sequence: u32) -> bool {
        let flow = Flow { transport: Transport::Tcp, source: client(1).parse().unwrap(), destination: PBX.parse().unwrap() };
        bench.only().side(&flow).sequence.began_with(sequence.wrapping_sub(1))
    }

    #[test]
    fn a_reset_from_outside_the_window_ends_nothing() {
        for (source, sequence) in [(client(1), 3_000_000_000), (client(1), 50_000_000), (PBX.to_owned(), 0x8000_0000)] {
            for flags in [RST, FIN] {
                let mut bench = conversation();
                let destination = if source == PBX { client(1) } else { PBX.to_owned() };
                bench.feed(&answering(&source, &destination, sequence, flags, 0, b""));
                assert!(bench.only().is_conversation(), "{source} {sequence}");
                bench.finish();
            }
        }
        for flags in [RST, FIN] {
            let mut bench = conversation();
            // Something before it was not captured.
            bench.feed(&answering(&client(1), PBX, 1_500, flags, 1_006, b""));
            assert_eq!(bench.only().phase, Phase::Closed);
            bench.finish();
        }
    }

    #[test]
    fn a_syn_in_a_conversation_counts_once_the_other_side_has_answered_it() {
        let mut bench = conversation();
        bench.feed(&tcp(&client(1), PBX, 2_000_000_000, SYN, b""));
        bench.feed(&answering(PBX, &client(1), 1_006, ACK, 106, b""));
        assert!(bench.only().is_conversation() && goes_on_at(&mut bench, 106), "the PBX knows nothing of it");
        bench.feed(&answering(PBX, &client(1), 77, SYN_ACK, 2_000_000_001, b""));
        assert!(!bench.only().is_conversation() && goes_on_at(&mut bench, 2_000_000_001));
        bench.feed(&answering(&client(1), PBX, 2_000_000_001, ACK, 78, b"hello"));
        bench.feed(&answering(PBX, &client(1), 78, ACK, 2_000_000_006, b"hello"));
        assert!(bench.only().is_conversation() && goes_on_at(&mut bench, 2_000_000_006));
        bench.finish();
    }

    #[test]
    fn a_syn_counts_wherever_its_number_lies() {
        let again = 6_510;
        // Behind where the old connection stood, ahead of it, and the very number it began with.
        for before in [again + 100_000, again - 6_000, again] {
            let mut bench = conversation_from(before);
            bench.feed(&tcp(&client(1), PBX, again, SYN, b""));
            assert!(bench.only().is_conversation(), "not yet answered");
            bench.feed(&answering(PBX, &client(1), 5_000, SYN_ACK, again + 1, b""));
            assert!(!bench.only().is_conversation() && goes_on_at(&mut bench, again + 1), "{before}");
            bench.feed(&answering(&client(1), PBX, again + 1, ACK, 5_001, b"hello"));
            bench.feed(&answering(PBX, &client(1), 5_001, ACK, again + 6, b"hello"));
            assert!(bench.only().is_conversation() && goes_on_at(&mut bench, again + 6), "{before}");
            assert_eq!(bench.outlet.frames.skipped(Skip::Duplicate), 0, "{before}");
            bench.finish();
        }
    }

    #[test]
    fn a_refused_syn_close_to_the_old_connection_is_told_of() {
        let mut bench = conversation_from(106_000);
        bench.feed(&tcp(&client(1), PBX, 6_510, SYN, b""));
        bench.feed(&answering(PBX, &client(1), 0, RST, 6_511, b""));
        assert_eq!(bench.only().phase, Phase::Closed);
        assert!(bench.outlet.leaving(PacketTime::MAX).is_some(), "the refusal");
        bench.finish();
    }

    #[test]
    fn a_handshake_that_another_interface_shows_late_begins_nothing() {
        let mut bench = conversation();
        bench.feed(&tcp(&client(1), PBX, 100, SYN, b""));
        bench.feed(&answering(PBX, &client(1), 1_000, SYN_ACK, 101, b""));
        assert!(bench.only().is_conversation() && goes_on_at(&mut bench, 106));
        bench.finish();
    }

    #[test]
    fn what_is_said_in_between_does_not_make_a_syn_forgotten() {
        let mut bench = conversation();
        bench.feed(&tcp(&client(1), PBX, 2_000_000_000, SYN, b""));
        bench.feed(&answering(&client(1), PBX, 1_000_000_000, ACK, 3_000_000_000, b"guess"));
        bench.feed(&answering(PBX, &client(1), 77, SYN_ACK, 2_000_000_001, b""));
        assert!(goes_on_at(&mut bench, 2_000_000_001));
        bench.finish();
    }

    #[test]
    fn a_phone_that_starts_again_and_is_refused_is_told_of() {
        let mut bench = conversation();
        bench.feed(&tcp(&client(1), PBX, 2_000_000_000, SYN, b""));
        bench.feed(&answering(PBX, &client(1), 0, RST, 2_000_000_001, b""));
        assert_eq!(bench.only().phase, Phase::Closed);
        assert!(bench.outlet.leaving(PacketTime::MAX).is_some(), "the refusal");
        bench.finish();
    }

    /// Numbers far from where the client's side stands: nowhere near it, ahead of it, behind it.
    const FAR: [u32; 3] = [2_000_000_000, 8_000_000, 106_u32.wrapping_sub(5_000_000)];

    #[test]
    fn a_leap_that_does_not_know_what_the_other_side_said_is_left_aside() {
        for far in FAR {
            let mut bench = conversation();
            bench.feed(&answering(&client(1), PBX, far, ACK, 3_000_000_000, b"guess"));
            assert!(goes_on_at(&mut bench, 106), "{far}");
            // One side of the capture was blind for long.
            bench.feed(&answering(&client(1), PBX, far, ACK, 1_006, b"known"));
            assert!(goes_on_at(&mut bench, far.wrapping_add(5)), "{far}");
            bench.finish();
        }
    }

    #[test]
    fn what_waits_for_bytes_before_it_knows_what_the_other_side_said() {
        let mut bench = conversation();
        bench.feed(&answering(&client(1), PBX, 5_000, ACK, 3_000_000_000, b"guess"));
        assert_eq!(bench.only().forward.sequence.first_frame(), None);
        bench.feed(&answering(&client(1), PBX, 5_000, ACK, 1_006, b"known"));
        assert!(bench.only().forward.sequence.first_frame().is_some());
        bench.finish();
    }

    #[test]
    fn bytes_that_the_other_side_has_are_waited_for_no_longer() {
        let mut bench = conversation();
        // Ten bytes are missing before this.
        bench.feed(&answering(&client(1), PBX, 116, ACK, 1_006, b"later"));
        bench.feed(&answering(PBX, &client(1), 1_006, ACK, 106, b"asks again"));
        assert!(bench.only().forward.sequence.first_frame().is_some(), "the PBX has not got them either");
        bench.feed(&answering(PBX, &client(1), 1_016, ACK, 121, b"has all"));
        assert!(goes_on_at(&mut bench, 121));
        // Bytes are missing that the PBX was seen to have before anything came behind them.
        bench.feed(&answering(PBX, &client(1), 1_023, ACK, 131, b""));
        bench.feed(&answering(&client(1), PBX, 131, ACK, 1_023, b"later"));
        assert!(goes_on_at(&mut bench, 121), "they may come out of order");
        bench.feed(&answering(PBX, &client(1), 1_023, ACK, 136, b"answers"));
        assert!(goes_on_at(&mut bench, 136));
        assert_eq!(bench.streams.counts().gaps, 2);
        bench.finish();
    }

    #[test]
    fn what_is_captured_after_its_acknowledgement_is_read_in_its_place() {
        let mut bench = conversation();
        bench.feed(&answering(&client(1), PBX, 111, ACK, 1_006, b"later"));
        bench.feed(&answering(PBX, &client(1), 1_006, ACK, 116, b""));
        bench.feed(&answering(&client(1), PBX, 106, ACK, 1_006, b"first"));
        assert!(goes_on_at(&mut bench, 116));
        assert_eq!(bench.streams.counts().gaps, 0);
        bench.finish();
    }

    #[test]
    fn the_acknowledgement_of_an_end_is_no_sign_of_missing_bytes() {
        let mut bench = conversation();
        bench.feed(&answering(&client(1), PBX, 106, FIN, 1_006, b""));
        bench.feed(&answering(PBX, &client(1), 1_006, ACK, 107, b""));
        assert_eq!(bench.only().forward.sequence.deadline(), None);
        bench.finish();
    }

    #[test]
    fn a_connection_whose_beginning_was_lost_is_followed_once_it_was_acknowledged() {
        for far in FAR {
            let mut bench = conversation();
            bench.feed(&answering(&client(1), PBX, far, ACK, 3_000_000_000, b"first"));
            bench.feed(&answering(PBX, &client(1), 3_000_000_000, ACK, far.wrapping_add(5), b"answer"));
            bench.feed(&answering(&client(1), PBX, far.wrapping_add(5), ACK, 3_000_000_006, b"second"));
            assert!(goes_on_at(&mut bench, far.wrapping_add(11)), "{far}");
            bench.finish();
        }
    }
}
