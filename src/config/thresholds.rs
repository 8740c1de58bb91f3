//! What the rules of detection compare with: every limit in time, count and ratio that a detector uses (DETECTION §9.2 and §13).

use super::section::section;
use super::types::Rate;
use crate::time::Span;

/// A span of `n` minutes.
const fn minutes(n: i64) -> Span {
    Span::from_secs(60 * n)
}

/// A span of `n` hours.
const fn hours(n: i64) -> Span {
    minutes(60 * n)
}

section! {
    /// Thresholds of the detectors. Ratios lie between 0 and 1; a rate such as "3/15min" is a count within a window.
    Thresholds in "thresholds" {
        /// Identical payloads on one flow closer than this are copies of the capture, not retransmissions.
        dup_window: Span = Span::from_millis(40), within Span::ZERO..=Span::from_secs(1);
        /// Identical payloads with different addresses closer than this are the two sides of an address translation on this host.
        nat_copy_window: Span = Span::from_millis(20), within Span::ZERO..=Span::from_secs(1);
        /// Frames out of order by at most this are sorted.
        reorder_window: Span = Span::from_millis(50), within Span::ZERO..=Span::from_secs(2);
        /// A timestamp further back than this is a step of the clock.
        clock_step: Span = Span::from_secs(2), within Span::from_millis(100)..=minutes(1);
        /// IP fragments wait this long for the rest of their datagram.
        fragment_timeout: Span = Span::from_secs(30), within Span::from_secs(1)..=minutes(2);
        /// Without any frame for longer than this, the capture has a hole and absence proves nothing.
        capture_hole: Span = Span::from_secs(600), within Span::from_secs(1)..=hours(24);
        /// Between two capture files this much silence is a hole.
        file_gap: Span = Span::from_secs(2), within Span::ZERO..=hours(1);
        /// T1 of RFC 3261 where the gaps between retransmissions do not tell it.
        t1: Span = Span::from_millis(500), within Span::from_millis(80)..=Span::from_secs(4);
        /// A transaction has timed out after this many T1 (timers B, F and H of RFC 3261 are 64).
        txn_timeout_t1: u32 = 64, within 4..=256;
        /// "Nothing seen since the start" is said of a registration after this much capture, at the earliest.
        warmup: Span = hours(1), within Span::ZERO..=hours(24);
        /// A registration counts as run out this long after its expiry.
        reg_grace: Span = Span::from_secs(30), within Span::ZERO..=minutes(10);
        /// Rejections of one registration that make a finding.
        reg_rejected: Rate = Rate::new(2, minutes(10));
        /// Rejections of fresh credentials in a row that make a credential loop.
        auth_loop: u32 = 2, within 1..=100;
        /// Losses of a registration that make it flap, short window.
        flap: Rate = Rate::new(3, minutes(15));
        /// Losses of a registration that make it flap, long window.
        flap_long: Rate = Rate::new(6, hours(1));
        /// Repeats of a request after it was answered that show a lost way back.
        repeats_after_answer: u32 = 2, within 1..=10;
        /// Intervals between keep-alives needed before they are called periodic.
        ka_min_intervals: u32 = 5, within 2..=100;
        /// Largest median deviation of keep-alive intervals, as a share of their median, that is still periodic.
        ka_periodic_mad: f64 = 0.15, within 0.0..=1.0;
        /// Silences of a phone behind a NAT that are regularly longer than this lack a keep-alive (RFC 4787 REQ-5).
        keepalive_missing_gap: Span = minutes(2), within Span::from_secs(10)..=hours(1);
        /// Changes of the public port per window above which a rebinding NAT is a warning.
        nat_rebind: Rate = Rate::new(3, hours(1));
        /// Devices of a site that change address within a window and make it the site's change.
        site_move: Rate = Rate::new(2, minutes(2));
        /// Observations of a NAT are kept this long.
        nat_window: Span = hours(24), within hours(1)..=hours(24 * 7);
        /// Failures needed to confirm a NAT timeout.
        nat_confirm_failures: u32 = 3, within 1..=100;
        /// Successes needed to confirm a NAT timeout.
        nat_confirm_successes: u32 = 3, within 0..=100;
        /// Largest balanced error of the estimated lifetime of a confirmed NAT timeout.
        nat_confirm_error: f64 = 0.10, within 0.0..=0.5;
        /// Smallest share of failures among probes older than the upper bound of a confirmed NAT timeout.
        nat_confirm_guard: f64 = 0.8, within 0.0..=1.0;
        /// A device that failed must appear again within this time, or within `reappear_intervals` keep-alives if that is longer.
        reappear_min: Span = minutes(2), within Span::from_secs(10)..=hours(1);
        /// Longest keep-alive intervals within which a device that failed must appear again.
        reappear_intervals: u32 = 2, within 1..=10;
        /// An answer to a qualify later than this makes the peer lagged.
        qualify_max: Span = Span::from_millis(2000), within Span::from_millis(10)..=minutes(1);
        /// Share of probes that needed a retransmission above which probes are being lost.
        probe_loss: f64 = 0.05, within 0.0..=1.0;
        /// Probes needed before their loss is judged.
        probe_loss_probes: u32 = 50, within 1..=100_000;
        /// Ringing shorter than this is not "rang out".
        ring_min: Span = Span::from_secs(10), within Span::from_secs(1)..=minutes(2);
        /// Undelivered calls to one user that make a burst.
        unanswered_burst: Rate = Rate::new(3, minutes(30));
        /// A completed call shorter than this is short.
        short_call: Span = Span::from_secs(10), within Span::from_secs(1)..=minutes(5);
        /// A completed call shorter than this is very short.
        very_short_call: Span = Span::from_secs(3), within Span::from_secs(1)..=minutes(5);
        /// Share of short calls of one user, site or trunk that is a symptom.
        short_call_ratio: f64 = 0.30, within 0.0..=1.0;
        /// Answered calls needed before short ones are judged.
        short_call_calls: u32 = 10, within 1..=10_000;
        /// 95th percentile of the session request delay above which set-up is slow (ITU-T E.721 order of magnitude).
        pdd_warn: Span = Span::from_secs(6), within Span::from_millis(100)..=minutes(2);
        /// Session request delay of a single call above which its set-up is slow.
        pdd_warn_single: Span = Span::from_secs(11), within Span::from_millis(100)..=minutes(2);
        /// Calls needed before the percentile of the session request delay is judged.
        pdd_calls: u32 = 20, within 1..=10_000;
        /// Repeats of a 2xx without ACK that make a missing ACK suspect.
        ack_suspect: u32 = 3, within 1..=10;
        /// A call leg left up this long after its partner ended is suspect.
        leg_suspect: Span = Span::from_secs(5), within Span::from_secs(1)..=hours(1);
        /// A call leg left up this long after its partner ended is confirmed; more than 64·T1.
        leg_confirm: Span = Span::from_secs(35), within Span::from_secs(1)..=hours(1);
        /// Talk time that two legs may differ by before it counts as over-billed.
        bill_tolerance: Span = Span::from_secs(2), within Span::ZERO..=minutes(10);
        /// An established call without any message for this long is aged out.
        max_call_age: Span = hours(4), within minutes(5)..=hours(24 * 7);
        /// Calls that end together and make a mass drop, and the window they end in.
        mass_drop: Rate = Rate::new(5, Span::from_secs(2));
        /// Share of the active calls that must end together in a mass drop.
        mass_drop_ratio: f64 = 0.30, within 0.0..=1.0;
        /// Calls of a group that must end at the same duration.
        fixed_duration_calls: u32 = 3, within 2..=1_000;
        /// The PBX is not responding when it answers nothing for this long.
        pbx_silent: Span = Span::from_secs(10), within Span::from_secs(1)..=minutes(10);
        /// Unanswered requests needed before the PBX is said not to respond.
        pbx_silent_requests: u32 = 5, within 1..=10_000;
        /// Sources of unanswered requests needed before the PBX is said not to respond.
        pbx_silent_sources: u32 = 3, within 1..=10_000;
        /// Unanswered INVITEs to a trunk that make it not respond.
        trunk_silent: Rate = Rate::new(3, minutes(1));
        /// A response class is slow when its median exceeds its baseline by this factor…
        slow_factor: f64 = 3.0, within 1.0..=100.0;
        /// …and this time.
        slow_min: Span = Span::from_millis(200), within Span::from_millis(1)..=minutes(1);
        /// Authenticated answers slower than this in the median point to the credential store…
        db_slow: Span = Span::from_millis(500), within Span::from_millis(1)..=minutes(1);
        /// …as do those slower than their baseline by this factor.
        db_slow_factor: f64 = 5.0, within 1.0..=100.0;
        /// Server errors of one sender that make a burst.
        err_burst: Rate = Rate::new(10, minutes(1));
        /// Share of server errors among final responses in a burst.
        err_burst_ratio: f64 = 0.20, within 0.0..=1.0;
        /// Registration attempts above their baseline by this factor are a storm…
        storm_factor: f64 = 5.0, within 1.0..=1_000.0;
        /// …and above this many a second for each 1000 bindings…
        storm_per_1000: f64 = 10.0, within 0.0..=1_000.0;
        /// …and above this many a second in all…
        storm_rate: f64 = 5.0, within 0.0..=100_000.0;
        /// …for this long.
        storm_duration: Span = Span::from_secs(10), within Span::from_secs(1)..=minutes(10);
        /// Distinct users tried by one source that make it a scanner.
        scan: Rate = Rate::new(10, minutes(1));
        /// Share of those tries that must fail.
        scan_failed: f64 = 0.80, within 0.0..=1.0;
        /// Rejected credentials of one source that make it a brute-force attack.
        brute: Rate = Rate::new(20, minutes(5));
        /// Sources that attack one user and make it a brute-force attack.
        brute_sources: u32 = 5, within 2..=10_000;
    }
}
