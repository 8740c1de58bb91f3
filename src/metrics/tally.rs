//! What happens, in the words of the field, and which series it counts in. Times are those of packets.

use super::catalog::{AnomalyLabel, CaptureTally, FindingLabel, Gauges, HistoryTally, OutputTally, TableLabel, Tally, ToolGauges};
use super::labels::{
    BindingChange, CodeLabel, DelayResult, Dir, DropPlace, FailureReason, FragmentResult, FrameOutcome, FromState, KeepaliveLabel,
    LossLabel, MessageKind, MethodLabel, NatProbe, NatStage, NotificationResult, NotificationSink, QualifyResult, ServerResponse,
    SessionResult, ShortCall, StoreLabel, Subject, ToReachability, ToState, Unanswered,
};
use crate::decode::flow::Transport;
use crate::decode::outcome::{FrameCounts, Skip};
use crate::time::{PacketTime, Span};
use crate::track::vocabulary::{Outcome, PeerClass, Reachability, RegistrationState, Severity};

/// Completed calls below this are very short.
const VERY_SHORT: Span = Span::from_secs(3);
/// Completed calls below this are short.
const SHORT: Span = Span::from_secs(10);

impl Tally {
    /// A message was on the wire.
    pub fn message(&mut self, kind: MessageKind, dir: Dir, transport: Transport) {
        self.messages.bump((kind, dir, transport));
    }

    /// A message was a repeat within a transaction of `method`.
    pub fn retransmission(&mut self, method: MethodLabel, dir: Dir) {
        self.retransmissions.bump((method, dir));
    }

    /// A response to a request of `method` came from elsewhere than that went.
    pub fn foreign_response(&mut self, method: MethodLabel, dir: Dir) {
        self.foreign_responses.bump((method, dir));
    }

    /// A registration attempt began.
    pub fn registration_attempt(&mut self, class: PeerClass) {
        self.registration_attempts.bump(class);
    }

    /// A registration attempt failed, with the final `status` where there was one.
    pub fn registration_failure(&mut self, class: PeerClass, reason: FailureReason, status: Option<u16>) {
        self.registration_failures.bump((class, reason, CodeLabel::of(status)));
    }

    /// A registration attempt succeeded `delay` after its first REGISTER.
    pub fn registration_delay(&mut self, delay: Span) {
        self.registration_request_delay.observe((), delay);
    }

    /// A registration went from one state to another.
    pub fn registration_transition(&mut self, from: RegistrationState, to: RegistrationState) {
        self.registration_transitions.bump((FromState(from), ToState(to)));
    }

    /// A session attempt began.
    pub fn session_attempt(&mut self, dir: Dir, class: PeerClass) {
        self.session_attempts.bump((dir, class));
    }

    /// A session attempt came out, with the final `status` where there was one.
    pub fn session_outcome(&mut self, dir: Dir, class: PeerClass, outcome: Outcome, status: Option<u16>) {
        self.session_outcomes.bump((dir, class, outcome, CodeLabel::of(status)));
    }

    /// The first response that is neither 100 nor a challenge came `delay` after the first INVITE.
    pub fn request_delay(&mut self, dir: Dir, result: DelayResult, delay: Span) {
        self.session_request_delay.observe((dir, result), delay);
    }

    /// The caller heard ringing or the answer `delay` after the first INVITE.
    pub fn post_dial_delay(&mut self, dir: Dir, delay: Span) {
        self.post_dial_delay.observe(dir, delay);
    }

    /// A BYE was answered finally after `delay`.
    pub fn disconnect_delay(&mut self, result: DelayResult, delay: Span) {
        self.session_disconnect_delay.observe(result, delay);
    }

    /// A BYE in direction `dir` got no final response.
    pub fn disconnect_timeout(&mut self, dir: Dir) {
        self.session_disconnect_timeouts.bump(dir);
    }

    /// A session ended `talk` after its answer.
    pub fn session_duration(&mut self, dir: Dir, result: SessionResult, talk: Span) {
        self.session_duration.observe((dir, result), talk);
    }

    /// A session ended as it should after `talk`; short ones are counted as such too.
    pub fn session_completed(&mut self, dir: Dir, talk: Span) {
        self.sessions_completed.bump(dir);
        if talk < SHORT {
            self.short_calls.bump(ShortCall::Ten);
        }
        if talk < VERY_SHORT {
            self.short_calls.bump(ShortCall::Three);
        }
    }

    /// A call was not answered in the sense of `kind`.
    pub fn unanswered_call(&mut self, kind: Unanswered) {
        self.unanswered_calls.bump(kind);
    }

    /// A call leg stayed up for `span` after its partner had ended.
    pub fn overbilled(&mut self, span: Span) {
        self.overbilled.add((), span);
    }

    /// A keep-alive came `interval` after the one before it on its flow.
    pub fn keepalive_interval(&mut self, kind: KeepaliveLabel, dir: Dir, interval: Span) {
        self.keepalive_interval.observe((kind, dir), interval);
    }

    /// A request of the PBX met a NAT binding that had been idle for `idle`.
    pub fn nat_probe(&mut self, result: NatProbe, stage: NatStage, idle: Span) {
        self.nat_probe_idle.observe((result, stage), idle);
    }

    /// A device was seen at another public address than before.
    pub fn nat_binding_change(&mut self, kind: BindingChange) {
        self.nat_binding_changes.bump(kind);
    }

    /// A qualify was concluded.
    pub fn qualify_probe(&mut self, result: QualifyResult) {
        self.qualify_probes.bump(result);
    }

    /// A qualify that was sent once was answered after `rtt`.
    pub fn qualify_rtt(&mut self, class: PeerClass, rtt: Span) {
        self.qualify_rtt.observe(class, rtt);
    }

    /// The reachability of a peer changed.
    pub fn peer_state_change(&mut self, to: Reachability) {
        self.peer_state_changes.bump(ToReachability(to));
    }

    /// The PBX gave its first response to a request that was sent once after `delay`.
    pub fn server_response(&mut self, class: ServerResponse, delay: Span) {
        self.server_response.observe(class, delay);
    }

    /// `n` findings were raised.
    pub fn findings(&mut self, id: &'static str, severity: Severity, n: u64) {
        self.findings.add(FindingLabel { id, severity }, n);
    }
}

impl HistoryTally {
    /// Takes over how many records of `store` were not kept so far, by reason.
    pub fn set_dropped(&mut self, store: StoreLabel, reason: LossLabel, records: u64) {
        self.dropped.set((store, reason), records);
    }
}

impl CaptureTally {
    /// Takes over what became of the frames so far.
    pub fn set_frames(&mut self, counts: &FrameCounts) {
        self.packets.set((), counts.frames);
        self.frames.set(FrameOutcome::Sip, counts.sip);
        self.frames.set(FrameOutcome::Keepalive, counts.keepalive);
        for reason in Skip::ALL {
            self.frames.set(FrameOutcome::Skipped(reason), counts.skipped(reason));
        }
        self.duplicates.set((), counts.skipped(Skip::Duplicate));
    }

    /// Takes over how many packets were lost at `place` so far.
    pub fn set_dropped(&mut self, place: DropPlace, packets: u64) {
        self.dropped.set(place, packets);
    }

    /// Takes over how many messages had the anomaly `code` so far.
    pub fn set_anomalies(&mut self, code: &'static str, messages: u64) {
        self.anomalies.set(AnomalyLabel(code), messages);
    }

    /// Takes over how many objects were dropped from the full table `kind` so far.
    pub fn set_evicted(&mut self, kind: &'static str, objects: u64) {
        self.evicted.set(TableLabel(kind), objects);
    }

    /// Takes over how often there was no room for series of one more `subject` so far.
    pub fn set_label_overflow(&mut self, subject: Subject, times: u64) {
        self.label_overflow.set(subject, times);
    }

    /// Takes over how many clients of the event stream were cut off so far.
    pub fn set_event_streams_cut(&mut self, clients: u64) {
        self.event_streams_cut.set((), clients);
    }

    /// Takes over how many fragmented datagrams came out as `result` so far.
    pub fn set_fragments(&mut self, result: FragmentResult, datagrams: u64) {
        self.fragments.set(result, datagrams);
    }
}

impl OutputTally {
    /// Takes over how many notifications to `sink` came out as `result` so far.
    pub fn set_notifications(&mut self, sink: NotificationSink, result: NotificationResult, count: u64) {
        self.notifications.set((sink, result), count);
    }
}

impl ToolGauges {
    /// Sets the time of the newest packet.
    pub fn set_last_packet(&mut self, time: PacketTime) {
        self.last_packet.set((), time.as_secs_f64());
    }

    /// Sets how many objects the table `kind` holds.
    pub fn set_tracked(&mut self, kind: &'static str, objects: usize) {
        self.tracked_objects.set(TableLabel(kind), objects as f64);
    }
}

impl Gauges {
    /// Sets how many findings of this id and severity hold.
    pub fn set_findings(&mut self, id: &'static str, severity: Severity, active: usize) {
        self.findings_active.set(FindingLabel { id, severity }, active as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_very_short_call_is_also_a_short_one() {
        let mut tally = Tally::default();
        for seconds in [2, 3, 9, 10] {
            tally.session_completed(Dir::In, Span::from_secs(seconds));
        }
        assert_eq!(tally.sessions_completed.get(Dir::In), 4);
        assert_eq!((tally.short_calls.get(ShortCall::Three), tally.short_calls.get(ShortCall::Ten)), (1, 3));
    }

    #[test]
    fn frames_by_outcome_add_up_to_the_packets() {
        let mut counts = FrameCounts::default();
        (counts.frames, counts.sip, counts.keepalive) = (12, 4, 3);
        counts.skip(Skip::Duplicate, 2);
        counts.skip(Skip::NotSip, 3);
        let mut capture = CaptureTally::default();
        capture.set_frames(&counts);
        assert_eq!(capture.frames.total(), capture.packets.get(()));
        assert_eq!(capture.duplicates.get(()), 2);
    }
}
