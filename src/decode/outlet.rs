//! Where everything ends: each frame in a counter, each payload and signal in the delay line.

use crate::decode::copies::{Copies, CopyRule, Marks, Verdict};
use crate::decode::dissect::Undelivered;
use crate::decode::flow::Flow;
use crate::decode::line::{Item, Leaving, Line, Origin};
use crate::decode::outcome::{FrameCounts, Skip};
use crate::decode::ports::Speakers;
use crate::decode::signal::{KeepaliveKind, Signal};
use crate::table::Digester;
use crate::time::{PacketTime, Span};

/// The frame in hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Current {
    /// Engine time.
    pub(super) time: PacketTime,
    /// Number of the frame.
    pub(super) frame: u64,
    /// Frames that brought what is in hand: more than one where it was reassembled.
    pub(super) frames: u64,
}

/// The removal of copies, the delay line and the counters.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) copies: Copies,
    pub(super) speakers: Speakers,
    pub(super) frames: FrameCounts,
    pub(super) keepalives: u64,
    pub(super) by_rule: [u64; CopyRule::ALL.len()],
    line: Line,
}

impl Outlet {
    /// Nothing counted, nothing waiting.
    pub(super) fn new(digester: Digester, same_flow: Span) -> Self {
        Self {
            copies: Copies::new(digester, same_flow),
            speakers: Speakers::new(digester),
            frames: FrameCounts::default(),
            keepalives: 0,
            by_rule: [0; CopyRule::ALL.len()],
            line: Line::default(),
        }
    }

    /// Settles frames that carried nothing of use.
    pub(super) fn skip(&mut self, reason: Skip, frames: u64) {
        self.frames.skip(reason, frames);
    }

    /// Settles frames that were copies.
    pub(super) fn copy(&mut self, rule: CopyRule, frames: u64) {
        self.frames.skip(Skip::Duplicate, frames);
        self.count(rule);
    }

    /// Passes on a payload with SIP; its frames are settled when it leaves the line.
    pub(super) fn payload(&mut self, current: Current, flow: Flow, marks: Marks, bytes: &[u8]) {
        let (verdict, sighting) = self.copies.judge(bytes, flow, marks, &mut self.line, current.time);
        match verdict {
            Verdict::Copy(rule) => return self.copy(rule, current.frames),
            Verdict::Better => self.count(CopyRule::Translated),
            Verdict::Original => {}
        }
        self.speakers.learn(&flow, current.time);
        let ticket = self.line.push(origin(current), Item::Payload(flow), bytes);
        self.copies.remember(sighting, Some(ticket), current.time);
    }

    /// Passes on a keep-alive datagram.
    pub(super) fn keepalive_datagram(&mut self, current: Current, flow: Flow, marks: Marks, kind: KeepaliveKind, bytes: &[u8]) {
        match self.copies.judge_alike(bytes, flow, marks, current.time) {
            Verdict::Copy(rule) => self.copy(rule, current.frames),
            Verdict::Original | Verdict::Better => {
                self.frames.keepalive += current.frames;
                self.keepalive(current, flow, kind);
            }
        }
    }

    /// Passes on that a datagram could not be delivered. Errors that quote different ones are no copies.
    pub(super) fn unreachable(&mut self, current: Current, Undelivered { flow, quote }: Undelivered<'_>, marks: Marks) {
        match self.copies.judge_alike(quote, flow, marks, current.time) {
            Verdict::Copy(rule) => self.copy(rule, current.frames),
            Verdict::Original | Verdict::Better => {
                self.skip(Skip::Icmp, current.frames);
                self.signal(current, Signal::Unreachable(flow));
            }
        }
    }

    /// Passes on a keep-alive whose frame is settled otherwise.
    pub(super) fn keepalive(&mut self, current: Current, flow: Flow, kind: KeepaliveKind) {
        self.keepalives += 1;
        self.signal(current, Signal::Keepalive(flow, kind));
    }

    /// Passes on a signal.
    pub(super) fn signal(&mut self, current: Current, signal: Signal) {
        self.line.push(Origin { frames: 0, ..origin(current) }, Item::Signal(signal), &[]);
    }

    /// The next item at or before `until`; struck-out ones are settled on the way.
    pub(super) fn leaving(&mut self, until: PacketTime) -> Option<Leaving<'_>> {
        while let Some(frames) = self.line.drop_superseded() {
            self.frames.skip(Skip::Duplicate, frames);
        }
        let leaving = self.line.pop(until)?;
        if matches!(leaving.item, Item::Payload(_)) {
            self.frames.sip += leaving.origin.frames;
        }
        Some(leaving)
    }

    fn count(&mut self, rule: CopyRule) {
        if let Some(count) = self.by_rule.get_mut(rule as usize) {
            *count += 1;
        }
    }
}

fn origin(current: Current) -> Origin {
    Origin { time: current.time, frame: current.frame, frames: current.frames }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::dissect::Tagging;
    use crate::decode::flow::Transport;

    #[test]
    fn errors_about_two_datagrams_are_two_and_the_same_error_twice_is_one() {
        let flow = Flow {
            transport: Transport::Udp,
            source: "203.0.113.10:5060".parse().unwrap(),
            destination: "198.51.100.7:40001".parse().unwrap(),
        };
        let marks = Marks::Datagram { ident: 0, ttl: 64, tagging: Tagging::Untagged };
        let mut outlet = Outlet::new(Digester::new(1), Span::from_millis(40));
        for (millis, quote) in [(0, b"an answer"), (1, b"an answer"), (2, b"a request"), (3, b"a request")] {
            let current = Current { time: PacketTime::MIN + Span::from_millis(millis), frame: 1, frames: 1 };
            outlet.unreachable(current, Undelivered { flow, quote }, marks);
        }
        assert_eq!((outlet.frames.skipped(Skip::Icmp), outlet.frames.skipped(Skip::Duplicate)), (2, 2));
    }
}
