//! Which kind of binding a NAT holds for a flow: one that only saw packets go out, or one that saw a conversation (DETECTION §2.5).
//!
//! Linux keeps the two for different times, 30 s and 120 s. A binding that died is made anew, as one-way again; but when it died is only
//! known once the lifetime is. So the state is kept for each lifetime that it may turn out to be.

use crate::time::{PacketTime, Span};

/// What a NAT has seen of a flow.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Packets of the phone, and no answer that counts.
    Oneway,
    /// Packets both ways for more than two seconds.
    Stream,
}

/// Lifetimes of a one-way binding that are told apart, in seconds; the last place stands for one that never ends.
const LIFETIMES: [i64; 15] = [5, 7, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 450, 640];
/// How long after it was made a binding can become a stream: Linux conntrack waits 2 s.
const SETTLED: Span = Span::from_secs(2);

/// One bit for each of [`LIFETIMES`], and one for a binding that never ends.
type Bits = u16;

/// The binding of one flow, for each lifetime that it may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    made: PacketTime,
    /// The last packet that surely went through.
    last: PacketTime,
    /// Made at `made`, less than [`SETTLED`] ago.
    fresh: Bits,
    /// An answer went through it.
    replied: Bits,
    stream: Bits,
}

impl Binding {
    /// A binding that the first packet of a phone made.
    pub(super) fn new(now: PacketTime) -> Self {
        Self { made: now, last: now, fresh: Bits::MAX, replied: 0, stream: 0 }
    }

    /// A packet of the phone went out. What was idle for longer than it lives is made anew; a stream lives no longer than it is proven to.
    pub(super) fn sent(&mut self, stream_lifetime: Option<Span>, now: PacketTime) {
        let idle = now.since(std::mem::replace(&mut self.last, now));
        let outlived = shorter_than(idle);
        let dead_stream = if stream_lifetime.is_some_and(|lifetime| idle > lifetime) { self.stream } else { 0 };
        let renewed = (outlived & !self.stream) | dead_stream;
        if renewed != 0 {
            *self = Self { made: now, last: now, fresh: renewed, replied: self.replied & !renewed, stream: self.stream & !renewed };
        }
        self.settle(now);
    }

    /// The phone answered a request of the PBX, so the binding was alive.
    pub(super) fn answered(&mut self, now: PacketTime) {
        self.last = now;
        self.replied = Bits::MAX;
        self.settle(now);
    }

    /// The PBX answered the phone.
    pub(super) fn received_answer(&mut self, now: PacketTime) {
        self.last = now;
        self.settle(now);
        self.replied = Bits::MAX;
    }

    /// The stage, if a one-way binding is proven to live no longer than `lifetime`.
    pub(super) fn stage(&self, lifetime: Option<Span>) -> Stage {
        let index = lifetime.map_or(LIFETIMES.len(), |lifetime| {
            LIFETIMES.iter().rposition(|&seconds| Span::from_secs(seconds) <= lifetime).unwrap_or_default()
        });
        if self.stream & (1 << index) == 0 { Stage::Oneway } else { Stage::Stream }
    }

    fn settle(&mut self, now: PacketTime) {
        if now.since(self.made) > SETTLED {
            self.fresh = 0;
        }
        self.stream |= self.replied & !self.fresh;
    }
}

/// The lifetimes shorter than `idle`.
fn shorter_than(idle: Span) -> Bits {
    let count = LIFETIMES.iter().take_while(|&&seconds| Span::from_secs(seconds) < idle).count();
    (1 << count) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> PacketTime {
        PacketTime::from_parts(seconds, 0)
    }

    fn secs(seconds: i64) -> Span {
        Span::from_secs(seconds)
    }

    #[test]
    fn an_answer_and_something_more_than_two_seconds_later_make_a_stream() {
        let mut binding = Binding::new(at(0));
        binding.received_answer(at(0));
        binding.sent(None, at(1));
        assert_eq!(binding.stage(None), Stage::Oneway, "not settled yet");
        binding.sent(None, at(4));
        assert_eq!(binding.stage(None), Stage::Stream);
    }

    #[test]
    fn without_an_answer_it_stays_one_way() {
        let mut binding = Binding::new(at(0));
        for second in [10, 20, 30] {
            binding.sent(None, at(second));
        }
        assert_eq!(binding.stage(None), Stage::Oneway);
    }

    #[test]
    fn what_was_idle_for_longer_than_it_lives_is_one_way_again() {
        let mut binding = Binding::new(at(0));
        binding.received_answer(at(0));
        binding.sent(None, at(120));
        assert_eq!(binding.stage(Some(secs(40))), Stage::Oneway, "if it lives 40 s it died in between");
        assert_eq!(binding.stage(None), Stage::Stream);
        binding.answered(at(125));
        binding.sent(None, at(240));
        assert_eq!(binding.stage(Some(secs(40))), Stage::Stream, "a stream lives longer");
        binding.sent(Some(secs(100)), at(355));
        assert_eq!(binding.stage(Some(secs(40))), Stage::Oneway, "but not for ever");
    }
}
