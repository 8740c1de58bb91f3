//! What a phone's binding has proven to survive, and what follows where it contradicts a loss: a request that is lost after a silence which
//! the binding survived time and again was lost for another reason, and so was all that is lost in the same silence (DETECTION §2.7).

use crate::sip::method::Method;
use crate::time::{PacketTime, Span};
use crate::track::nat::stage::Stage;

/// Requests whose fate is remembered.
const REMEMBERED: usize = 16;
/// How many must have arrived after a silence at least as long.
const ENOUGH: usize = 5;
/// How many must have arrived for each that was lost.
const FOR_EACH_LOST: usize = 5;
/// Answers of which the usual delay is taken.
const ANSWERS: usize = 5;
/// By how much a silence may be the longer of two that are equally long: the age of probes may drift past the lifetime slowly.
const SAME: Span = Span::from_millis(100);
/// The same for the pauses of a phone, which it keeps less exactly.
const SAME_PAUSE: Span = Span::from_millis(500);
/// The usual delay through the time by which an answer may come earlier or later.
const DELAY_PARTS: i64 = 4;
/// By how much it may in any case.
const DELAY_LEAST: Span = Span::from_millis(20);

/// The first request of a silence, not answered so far.
#[derive(Clone, Copy, Debug)]
struct First {
    /// Since when the phone was silent.
    since: PacketTime,
    silence: Span,
    stage: Stage,
    /// Whether the binding survived as long a silence time and again.
    survives: bool,
    is_probe: bool,
}

/// What became of a request, in four bytes, as each phone has many: how long the flow had been idle, in milliseconds and at most 12 days;
/// in the highest bits what the NAT had seen of it, and whether it was lost.
#[derive(Clone, Copy, Debug, Default)]
struct Fate(u32);

impl Fate {
    const LOST: u32 = 1 << 31;
    const STREAM: u32 = 1 << 30;
    const LONGEST: u32 = Self::STREAM - 1;

    fn new(idle: Span, stage: Stage, is_lost: bool) -> Self {
        let stage = if stage == Stage::Stream { Self::STREAM } else { 0 };
        Self(millis(idle).min(Self::LONGEST) | stage | if is_lost { Self::LOST } else { 0 })
    }

    fn idle(self) -> Span {
        Span::from_millis(i64::from(self.0 & Self::LONGEST))
    }

    fn stage(self) -> Stage {
        if self.0 & Self::STREAM == 0 { Stage::Oneway } else { Stage::Stream }
    }

    fn is_lost(self) -> bool {
        self.0 & Self::LOST != 0
    }
}

/// What is proven of the binding of one phone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proven {
    /// Requests that arrived at once, and those that were the first of a silence and were lost.
    fates: [Fate; REMEMBERED],
    /// Milliseconds.
    delays: [u16; ANSWERS],
    /// How many of the two there were.
    count: u32,
    answers: u32,
    first: Option<First>,
    /// Whether a probe was lost after a silence of which the binding survived twice as much, and none was answered since: something
    /// swallows them.
    swallows_probes: bool,
    /// The longest idle time after which the phone came from the same port as before.
    kept: Span,
}

impl Proven {
    /// The PBX sends a request after a silence that began at `since`. Tells whether this silence began with one that was lost for another
    /// reason than the NAT, if it is lost, or probes are swallowed and it is one.
    pub(super) fn asked(&mut self, since: PacketTime, silence: Span, stage: Stage, method: Method) -> bool {
        let is_probe = method == Method::Options;
        if let Some(first) = self.first.filter(|first| first.since == since) {
            return first.survives || is_probe && self.swallows_probes;
        }
        if let Some(First { silence, stage, survives, is_probe, .. }) = self.first {
            self.remember(silence, stage, true);
            self.swallows_probes |= survives && is_probe && self.delivered_after(silence + silence, stage) >= ENOUGH;
        }
        let survives = self.survives(silence, stage);
        self.first = Some(First { since, silence, stage, survives, is_probe });
        survives || is_probe && self.swallows_probes
    }

    /// A request arrived at once after the flow had been idle for `idle`.
    pub(super) fn delivered(&mut self, idle: Span, stage: Stage) {
        self.remember(idle, stage, false);
    }

    /// The phone answered a request of this silence.
    pub(super) fn answered(&mut self, method: Method) {
        self.first = None;
        self.swallows_probes &= method != Method::Options;
    }

    /// Whether a phone that was last heard at `heard` is cut off for another reason than the NAT.
    pub(super) fn is_cut_off(&self, heard: PacketTime) -> bool {
        self.first.is_some_and(|first| first.survives && first.since >= heard)
    }

    /// The phone came from the same port as before, after its flow had been idle for `idle`.
    pub(super) fn kept_port(&mut self, idle: Span) {
        self.kept = self.kept.max(idle);
    }

    /// The phone comes from another port after a silence. Tells whether the NAT kept the port before through as long a one.
    pub(super) fn change_port(&mut self, silence: Span) -> bool {
        std::mem::take(&mut self.kept) + SAME_PAUSE >= silence
    }

    /// An answer came `delay` after the first transmission, and the phone sent nothing in between.
    pub(super) fn answered_after(&mut self, delay: Span) {
        if let Some(slot) = self.delays.get_mut(self.answers as usize % ANSWERS) {
            *slot = millis(delay).try_into().unwrap_or(u16::MAX);
        }
        self.answers = self.answers.wrapping_add(1);
    }

    /// Whether an answer `delay` after the first transmission is one to that, as late as those of the phone usually are.
    pub(super) fn is_usual(&self, delay: Span) -> bool {
        let mut known: Vec<_> = self.delays.iter().take(self.answers as usize).collect();
        known.sort_unstable();
        let usual = known.get(known.len() / 2);
        usual.is_some_and(|&&usual| {
            let usual = Span::from_millis(usual.into());
            let difference = (delay - usual).abs();
            difference <= DELAY_LEAST || difference.times(DELAY_PARTS) <= usual
        })
    }

    /// A one-way binding lives no longer than a stream.
    fn survives(&self, silence: Span, stage: Stage) -> bool {
        let delivered = self.delivered_after(silence, stage);
        let lost = self.fates().filter(|fate| fate.is_lost() && fate.stage() >= stage && fate.idle() <= silence + SAME).count();
        delivered >= ENOUGH && delivered >= lost * FOR_EACH_LOST
    }

    /// Requests that arrived after a silence at least as long.
    fn delivered_after(&self, silence: Span, stage: Stage) -> usize {
        self.fates().filter(|fate| !fate.is_lost() && fate.stage() <= stage && fate.idle() + SAME >= silence).count()
    }

    fn fates(&self) -> impl Iterator<Item = &Fate> {
        self.fates.iter().take(self.count as usize)
    }

    fn remember(&mut self, idle: Span, stage: Stage, is_lost: bool) {
        if let Some(slot) = self.fates.get_mut(self.count as usize % REMEMBERED) {
            *slot = Fate::new(idle, stage, is_lost);
        }
        self.count = self.count.wrapping_add(1);
    }
}

fn millis(span: Span) -> u32 {
    u32::try_from(span.as_nanos() / 1_000_000).unwrap_or(u32::MAX)
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

    fn after(delivered: &[(i64, Stage)]) -> Proven {
        let mut proven = Proven::default();
        for (idle, stage) in delivered {
            proven.delivered(secs(*idle), *stage);
        }
        proven
    }

    #[test]
    fn a_silence_that_begins_with_a_loss_at_a_proven_age_is_no_matter_of_the_nat() {
        let mut proven = after(&[(60, Stage::Stream); 5]);
        assert!(
            proven.asked(at(0), secs(60), Stage::Stream, Method::Options) && proven.asked(at(0), secs(120), Stage::Stream, Method::Options)
        );
        assert!(proven.is_cut_off(at(0)) && !proven.is_cut_off(at(200)));
        let mut proven = after(&[(60, Stage::Stream); 5]);
        assert!(!proven.asked(at(0), secs(62), Stage::Stream, Method::Options), "longer than any that arrived");
        assert!(!after(&[(60, Stage::Stream); 4]).asked(at(0), secs(60), Stage::Stream, Method::Options), "too few");
        assert!(!after(&[(60, Stage::Stream); 5]).asked(at(0), secs(60), Stage::Oneway, Method::Options), "streams live longer");
        assert!(after(&[(60, Stage::Oneway); 5]).asked(at(0), secs(60), Stage::Stream, Method::Options));
    }

    #[test]
    fn what_begins_to_be_lost_each_time_is_believed() {
        let mut proven = after(&[(60, Stage::Stream); 10]);
        let silences: Vec<_> = (0..4).map(|n| proven.asked(at(n * 600), secs(60), Stage::Stream, Method::Options)).collect();
        assert_eq!(silences, [true, true, true, false]);
    }

    #[test]
    fn requests_after_shorter_silences_hide_nothing_of_what_is_proven() {
        let mut proven = after(&[(60, Stage::Stream), (29, Stage::Stream)].repeat(5));
        assert!(proven.asked(at(0), secs(60), Stage::Stream, Method::Options));
    }

    #[test]
    fn while_probes_are_swallowed_none_that_is_lost_tells_of_the_nat_and_other_requests_do() {
        let mut proven = after(&[(60, Stage::Stream); 5]);
        assert!(proven.asked(at(0), secs(30), Stage::Stream, Method::Options));
        assert!(proven.asked(at(600), secs(62), Stage::Stream, Method::Options), "none was answered since");
        proven.answered(Method::Invite);
        assert!(proven.asked(at(1200), secs(62), Stage::Stream, Method::Options));
        assert!(!proven.asked(at(1800), secs(62), Stage::Stream, Method::Invite));
        proven.answered(Method::Options);
        assert!(!proven.asked(at(2400), secs(62), Stage::Stream, Method::Options));
    }

    #[test]
    fn probes_whose_age_drifts_past_the_lifetime_are_believed() {
        let mut proven = Proven::default();
        for n in 0..16 {
            proven.delivered(Span::from_millis(29_500 + 30 * n), Stage::Stream);
        }
        assert!(!proven.asked(at(0), Span::from_millis(30_000), Stage::Stream, Method::Options));
    }

    #[test]
    fn a_port_that_was_kept_for_longer_does_not_time_out_sooner() {
        let mut proven = Proven::default();
        proven.kept_port(secs(25));
        assert!(proven.change_port(secs(5)));
        assert!(!proven.change_port(secs(5)), "the next port has proven nothing");
        proven.kept_port(secs(25));
        assert!(!proven.change_port(secs(60)));
    }

    #[test]
    fn an_answer_as_late_as_usual_is_one_to_the_first_transmission() {
        let mut proven = Proven::default();
        assert!(!proven.is_usual(Span::from_millis(720)), "nothing is usual yet");
        for delay in [700, 720, 740] {
            proven.answered_after(Span::from_millis(delay));
        }
        assert!(proven.is_usual(Span::from_millis(690)) && !proven.is_usual(Span::from_millis(1220)));
    }
}
