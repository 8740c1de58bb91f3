//! What the rules of detection compare with: each limit in time, count and share that a detector or a tracker uses.
//!
//! What a standard fixes (the timers of RFC 3261 but T1, the give-up times of Asterisk's qualify) and what only bounds memory is no key.

use super::reader::Reader;
use super::section::section;
use super::types::{Rate, Ratio};
use crate::time::Span;

const fn millis(n: i64) -> Span {
    Span::from_millis(n)
}

const fn seconds(n: i64) -> Span {
    Span::from_secs(n)
}

const fn minutes(n: i64) -> Span {
    seconds(60 * n)
}

const fn hours(n: i64) -> Span {
    minutes(60 * n)
}

const fn percent(n: u32) -> Ratio {
    Ratio::from_percent(n)
}

const fn rate(count: u32, window: Span) -> Rate {
    Rate::new(count, window)
}

section! {
    /// Thresholds of the findings; docs/findings.md names those of each. A share lies between 0 and 1; "3/15min" is a count within a time.
    Thresholds in "thresholds" {
        /// Identical payloads on one flow closer than this are copies of the capture, not repeats.
        dup_window: Span = millis(40), within Span::ZERO..=millis(200);
        /// Frames out of order by at most this are sorted; live, on several interfaces, 50 ms more than `capture.timeout` at least.
        reorder_window: Span = millis(50), within Span::ZERO..=seconds(2);
        /// A timestamp further back than this is a step of the clock.
        clock_step: Span = seconds(2), within millis(100)..=minutes(1);
        /// IP fragments wait this long for the rest of their datagram.
        fragment_timeout: Span = seconds(30), within seconds(1)..=minutes(2);
        /// Without any frame for longer than this, the capture has a hole and absence proves nothing.
        capture_hole: Span = seconds(600), within seconds(10)..=hours(24);
        /// Messages that must have been triggered by another, from which the self-test of the capture says anything.
        one_way_triggers: u32 = 10, within 1..=10_000;
        /// Share of them without their trigger from which a direction counts as not captured.
        one_way_share: Ratio = percent(50), within percent(1)..=percent(100);
        /// Share of them without their trigger from which the capture counts as lossy.
        lossy_share: Ratio = percent(5), within percent(1)..=percent(100);

        /// T1 of RFC 3261 where the gaps between repeats do not tell it.
        t1: Span = millis(500), within millis(80)..=seconds(4);
        /// A request counts as unanswered after this many T1 (timers B, F and H of RFC 3261).
        txn_timeout_t1: u32 = 64, within 4..=256;

        /// Nobody is said never to have registered before the capture is so old.
        warmup: Span = hours(1), within Span::ZERO..=hours(24);
        /// A registration counts as run out this long after its expiry.
        reg_grace: Span = seconds(30), within Span::ZERO..=minutes(10);
        /// Rejections of a phone that was not registered before that make a finding.
        reg_rejected: Rate = rate(2, minutes(10)), within rate(1, seconds(1))..=rate(100, hours(24));
        /// Rejections of fresh credentials in a row that make a loop.
        auth_loop: u32 = 2, within 1..=100;
        /// Challenges in a row that nothing answers that make one too.
        auth_ignored: u32 = 3, within 1..=100;
        /// How near in time others must have been served for a source to count as ignored.
        others_served: Span = minutes(1), within seconds(1)..=minutes(10);
        /// Repeats of a request after its answer that show a lost way back.
        repeats_after_answer: u32 = 2, within 1..=10;
        /// How long after the answer the last of those repeats must come: one that was on its way proves nothing.
        repeats_after: Span = seconds(2), within Span::ZERO..=seconds(30);
        /// Losses of a registration that make it flap.
        flap: Rate = rate(3, minutes(15)), within rate(1, seconds(1))..=rate(100, hours(24));
        /// Losses of a registration that make it flap, over a longer time.
        flap_long: Rate = rate(6, hours(1)), within rate(1, seconds(1))..=rate(100, hours(24));
        /// A phone that registers again within this time after taking its registration back only reloads.
        flap_reload: Span = seconds(5), within Span::ZERO..=minutes(5);

        /// Keep-alive intervals from which keep-alives are called periodic.
        ka_min_intervals: u32 = 5, within 2..=20;
        /// Largest median deviation of something periodic, as a share of its median.
        ka_periodic_mad: Ratio = percent(15), within Ratio::ZERO..=percent(100);
        /// A phone behind NAT that is regularly silent for longer than this lacks a keep-alive (RFC 4787 REQ-5).
        keepalive_missing_gap: Span = minutes(2), within seconds(10)..=hours(1);
        /// Silences needed to call them regular.
        keepalive_missing_gaps: u32 = 5, within 1..=32;
        /// Changes of the public port of a phone above which they are a warning.
        nat_rebind: Rate = rate(3, hours(1)), within rate(1, seconds(1))..=rate(1_000, hours(24));
        /// Devices of a site that change their address together and make it the site's change.
        site_move: Rate = rate(2, minutes(2)), within rate(1, seconds(1))..=rate(1_000, hours(1));
        /// Phones of a site, and half of them at least, that change their port within this time of each other when their router forgets all.
        port_flush: Rate = rate(2, seconds(10)), within rate(2, seconds(1))..=rate(64, minutes(1));
        /// Observations of a NAT count this long, in whole hours.
        nat_window: Span = hours(24), within hours(1)..=hours(24 * 7);
        /// Silences with failed requests that confirm a NAT timeout.
        nat_confirm_failures: u32 = 3, within 1..=100;
        /// Requests that arrived that confirm it.
        nat_confirm_successes: u32 = 3, within 0..=100;
        /// Largest error of the estimate (half the share of successes above it and of failures below) that confirms it.
        nat_confirm_error: Ratio = percent(10), within Ratio::ZERO..=percent(50);
        /// Share of the requests beyond the upper bound that must have failed to confirm it.
        nat_confirm_guard: Ratio = percent(80), within Ratio::ZERO..=percent(100);
        /// Silences with failed requests that make a NAT timeout probable.
        nat_probable_failures: u32 = 2, within 1..=100;
        /// Requests that arrive beyond the bound, in three silences, that show a NAT to be mended.
        nat_mended: u32 = 5, within 3..=1_000;
        /// Phones of a site, and half of them at least, that make a NAT timeout the site's matter.
        nat_site_phones: u32 = 2, within 1..=64;
        /// A phone that was asked in vain must be heard again within this time to have been there …
        reappear_min: Span = minutes(2), within seconds(10)..=hours(1);
        /// … or within so many of its keep-alive intervals, if that is longer.
        reappear_intervals: u32 = 2, within 1..=10;
        /// An INVITE that is answered only from this transmission on was delivered late.
        late_delivery: u32 = 3, within 2..=10;

        /// An answer to a qualify later than this makes the phone lagged.
        qualify_max: Span = seconds(2), within millis(10)..=minutes(1);
        /// Late answers in a row that are a finding.
        lagged_run: u32 = 3, within 1..=100;
        /// Share of late answers that is one too …
        lagged_share: Ratio = percent(10), within percent(1)..=percent(100);
        /// … among so many answers at least.
        lagged_answers: u32 = 20, within 1..=400;
        /// A phone that is unreachable for longer than this is a warning …
        unreachable_warning: Span = seconds(15), within seconds(1)..=hours(1);
        /// … for longer than this an error …
        unreachable_error: Span = minutes(2), within seconds(1)..=hours(24);
        /// … and more often than this too.
        unreachable_often: Rate = rate(3, hours(1)), within rate(1, minutes(1))..=rate(1_000, hours(24));
        /// Share of the probes that needed a repeat above which packets are being lost …
        probe_loss: Ratio = percent(5), within Ratio::ZERO..=percent(100);
        /// … among so many answered probes at least …
        probe_loss_probes: u32 = 50, within 1..=400;
        /// … so many of which were repeated.
        probe_loss_repeats: u32 = 3, within 1..=400;
        /// Probes in vain from which a phone may be one that ignores them.
        options_ignored: u32 = 3, within 1..=100;
        /// Returns from silence of a phone without NAT that look like sleep.
        sleep: Rate = rate(3, hours(1)), within rate(1, minutes(1))..=rate(100, hours(24));

        /// Ringing shorter than this has not rung out.
        ring_min: Span = seconds(10), within seconds(1)..=minutes(2);
        /// Undelivered calls to one user that make a burst.
        unanswered_burst: Rate = rate(3, minutes(30)), within rate(1, seconds(1))..=rate(1_000, hours(24));
        /// Calls through one PBX from which the share of the undelivered ones is judged …
        undelivered: Rate = rate(20, minutes(30)), within rate(1, seconds(1))..=rate(4_000, hours(24));
        /// … the share of them that is a burst …
        undelivered_share: Ratio = percent(20), within percent(1)..=percent(100);
        /// … and the users that it must concern.
        undelivered_users: u32 = 3, within 1..=1_000;
        /// Repeats of a 2xx without ACK that make the ACK missing.
        ack_suspect: u32 = 3, within 1..=10;
        /// More than this until it rings, for one call in twenty, is slow.
        pdd_warn: Span = seconds(6), within millis(100)..=minutes(2);
        /// Calls needed to say so.
        pdd_calls: u32 = 20, within 1..=200;
        /// More than this until it rings is slow for a single call.
        pdd_warn_single: Span = seconds(11), within millis(100)..=minutes(2);
        /// A shorter call is short.
        short_call: Span = seconds(10), within seconds(1)..=minutes(5);
        /// Share of short calls of a user that is a finding …
        short_call_share: Ratio = percent(30), within percent(1)..=percent(100);
        /// … among so many calls at least …
        short_call_calls: u32 = 10, within 1..=10_000;
        /// … if it is so many times the share of all others.
        short_call_factor: u32 = 2, within 1..=100;
        /// Times that an INVITE must be passed on before 482 shows a loop.
        loop_passes: u32 = 3, within 2..=100;
        /// Unanswered calls to a trunk, and none answered, that make it dead.
        trunk_silent: Rate = rate(3, minutes(1)), within rate(1, seconds(1))..=rate(1_000, hours(1));
        /// Unanswered requests that do not fit one packet, while small ones are answered, that show lost fragments.
        large_unanswered: Rate = rate(4, hours(1)), within rate(1, seconds(1))..=rate(1_000, hours(24));
        /// Incomplete datagrams of a peer that make a finding.
        fragments_lost: Rate = rate(1, minutes(1)), within rate(1, seconds(1))..=rate(1_000, hours(1));

        /// A leg left up this long after the other ended is suspect.
        leg_suspect: Span = seconds(5), within seconds(1)..=hours(1);
        /// A leg left up this long after the other ended is certain; longer than a BYE is repeated.
        leg_confirm: Span = seconds(35), within seconds(1)..=hours(1);
        /// Talk time that two legs may differ by before it counts as over-billed.
        bill_tolerance: Span = seconds(2), within Span::ZERO..=minutes(10);
        /// An older call is looked at whether its ends can still be in it.
        max_call_age: Span = hours(4), within minutes(5)..=hours(24 * 7);
        /// Silence of an unregistered phone after which it is in no call.
        hung_silence: Span = minutes(30), within minutes(1)..=hours(1);
        /// Calls that end together that make a mass drop …
        mass_drop: Rate = rate(5, seconds(2)), within rate(2, millis(100))..=rate(1_000, minutes(1));
        /// … if they are this share of all calls that were up.
        mass_drop_share: Ratio = percent(30), within percent(1)..=percent(100);
        /// Calls that end at a duration that a known timer makes …
        fixed_duration_calls: u32 = 3, within 2..=1_000;
        /// … or at any other …
        fixed_duration_other: u32 = 5, within 2..=1_000;
        /// … if they are this share of those that lasted so long …
        fixed_duration_share: Ratio = percent(60), within percent(1)..=percent(100);
        /// … and differ from it by no more than this.
        fixed_duration_spread: Span = millis(1500), within millis(10)..=seconds(10);

        /// The PBX does not respond when it sends nothing for this long …
        pbx_silent: Span = seconds(10), within seconds(1)..=minutes(10);
        /// … while so many requests …
        pbx_silent_requests: u32 = 5, within 1..=64;
        /// … come from so many sources; all that there are will do.
        pbx_silent_sources: u32 = 3, within 1..=64;
        /// Nor does one with fewer requests, when two sources ask in vain for this long.
        pbx_silent_small: Span = seconds(32), within seconds(1)..=hours(1);
        /// Answers of a class are slow when their median exceeds what it was so many times …
        slow_factor: u32 = 3, within 1..=100;
        /// … and this time …
        slow_min: Span = millis(200), within millis(1)..=minutes(1);
        /// … over so many answers, and as many before.
        slow_answers: u32 = 20, within 1..=10_000;
        /// The credential store is slow when the median of authenticated answers exceeds this …
        db_slow: Span = millis(500), within millis(1)..=minutes(1);
        /// … or so many times what it was.
        db_slow_factor: u32 = 5, within 1..=100;
        /// Server errors of one sender within a minute that make a burst …
        err_burst: u32 = 10, within 1..=100_000;
        /// … if they are this share of its final answers.
        err_burst_share: Ratio = percent(20), within Ratio::ZERO..=percent(100);
        /// Registering attempts within ten seconds that make a storm …
        storm_attempts: u32 = 50, within 1..=1_000_000;
        /// … if they are more than so many times what is usual.
        storm_factor: u32 = 5, within 1..=1_000;
        /// A storm in which no more than this share succeeds is an error.
        storm_success: Ratio = percent(80), within Ratio::ZERO..=percent(100);
        /// Devices that the PBX forgot, and as many that it looks for after a silence, that show a restart.
        restart: Rate = rate(3, minutes(1)), within rate(1, seconds(1))..=rate(100, minutes(10));
        /// A PBX that starts again is silent for at least this long.
        restart_silence: Span = seconds(5), within seconds(1)..=minutes(5);

        /// Users that one source tries in vain that make it a scanner …
        scan: Rate = rate(10, minutes(1)), within rate(1, seconds(1))..=rate(32, hours(1));
        /// … if so large a share of its tries is in vain.
        scan_failed: Ratio = percent(80), within Ratio::ZERO..=percent(100);
        /// Long numbers that one source calls in vain in that time that make it one too.
        scan_numbers: u32 = 5, within 1..=32;
        /// Rejected credentials of one source that make a brute-force attack.
        brute: Rate = rate(20, minutes(5)), within rate(2, seconds(1))..=rate(1_000, hours(24));
        /// Sources that try one user in vain in that time and make one too.
        brute_sources: u32 = 5, within 2..=20;
        /// Tries at a wrong port, protocol or domain that are no accident.
        wrong_port: Rate = rate(2, minutes(20)), within rate(1, seconds(1))..=rate(100, hours(24));
    }
}

impl Copy for Thresholds {}

impl Thresholds {
    /// Objects to limits of which the milder one lies beyond the stricter one.
    pub(super) fn check(&self, reader: &mut Reader<'_>) {
        let ordered = [
            (self.leg_suspect <= self.leg_confirm, ["leg_suspect", "leg_confirm"]),
            (self.unreachable_warning <= self.unreachable_error, ["unreachable_warning", "unreachable_error"]),
            (self.pdd_warn <= self.pdd_warn_single, ["pdd_warn", "pdd_warn_single"]),
            (self.nat_probable_failures <= self.nat_confirm_failures, ["nat_probable_failures", "nat_confirm_failures"]),
            (self.lossy_share <= self.one_way_share, ["lossy_share", "one_way_share"]),
        ];
        for [lower, upper] in ordered.into_iter().filter_map(|(holds, keys)| (!holds).then_some(keys)) {
            reader.object(&format!("thresholds.{lower}"), &format!("at most thresholds.{upper}"));
            reader.object(&format!("thresholds.{upper}"), &format!("at least thresholds.{lower}"));
        }
    }

    /// The keys, in the order of the file.
    pub fn keys() -> &'static [&'static str] {
        <Self as super::section::Section>::KEYS
    }
}
