//! Which keys of the section `thresholds` decide on which finding, and which on several.

use crate::detect::catalog::FindingId as F;

/// What counts as unanswered.
const PATIENCE: [&str; 2] = ["t1", "txn_timeout_t1"];

/// Rules that do not belong to one finding, with their keys.
pub const RULES: &[(&str, &[&str])] = &[
    ("Copies that the capture made of a packet are dropped", &["dup_window"]),
    ("Frames are put in order of time", &["reorder_window"]),
    ("Fragments become datagrams", &["fragment_timeout"]),
    ("Nothing is concluded from what is missing across a hole in the capture or a step of its clock", &["capture_hole", "clock_step"]),
    ("A request went unanswered", &PATIENCE),
    ("A phone is behind a NAT that forgets, and was there all the time", &["reappear_min", "reappear_intervals"]),
    ("A call that nobody took rang out, or was given up", &["ring_min"]),
    ("Keep-alives are regular", &["ka_min_intervals", "ka_periodic_mad"]),
];

impl F {
    /// The keys of the section `thresholds` that decide whether it is found, and how bad it is.
    pub const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::NeverRegistered => &["warmup"],
            Self::RegistrationRejected => &["reg_rejected"],
            Self::AuthFailedLoop => &["auth_loop", "auth_ignored"],
            Self::RegistrarSilent => &["t1", "txn_timeout_t1", "others_served"],
            Self::ResponseNotReachingClient => &["repeats_after_answer", "repeats_after"],
            Self::RegistrationExpired | Self::DuplicateRegistration => &["reg_grace"],
            Self::RegistrationFlapping => &["flap", "flap_long", "flap_reload", "reg_grace"],
            Self::NatBindingTimeout => &[
                "nat_window",
                "nat_confirm_failures",
                "nat_confirm_successes",
                "nat_confirm_error",
                "nat_confirm_guard",
                "nat_probable_failures",
                "nat_mended",
                "nat_site_phones",
                "reappear_min",
                "reappear_intervals",
            ],
            Self::KeepaliveMissing => &["keepalive_missing_gap", "keepalive_missing_gaps", "ka_periodic_mad"],
            Self::NatRebind => &["nat_rebind", "port_flush"],
            Self::SourceIpChanged => &["site_move", "port_flush"],
            Self::PeerUnreachable => &["unreachable_warning", "unreachable_error", "unreachable_often"],
            Self::PeerLagged => &["qualify_max", "lagged_run", "lagged_share", "lagged_answers"],
            Self::PeerState => &["qualify_max"],
            Self::ProbeLoss => &["probe_loss", "probe_loss_probes", "probe_loss_repeats"],
            Self::CalleeNoResponse | Self::ByeUnanswered => &PATIENCE,
            Self::LateDelivery => &["late_delivery"],
            Self::UnansweredBurst => &["unanswered_burst", "undelivered", "undelivered_share", "undelivered_users"],
            Self::InviteIgnored => &["t1", "txn_timeout_t1", "others_served"],
            Self::FragmentLoss => &["fragments_lost", "fragment_timeout", "large_unanswered"],
            Self::AckMissing => &["ack_suspect", "t1", "txn_timeout_t1"],
            Self::AckMisrouted => &["ack_suspect"],
            Self::SlowCallSetup => &["pdd_warn", "pdd_calls", "pdd_warn_single", "late_delivery"],
            Self::ShortCalls => &["short_call", "short_call_share", "short_call_calls", "short_call_factor"],
            Self::FixedDurationDrops => &["fixed_duration_calls", "fixed_duration_other", "fixed_duration_share", "fixed_duration_spread"],
            Self::MassCallDrop => &["mass_drop", "mass_drop_share"],
            Self::LegLeftUp => &["leg_suspect", "leg_confirm", "bill_tolerance"],
            Self::HungCall => &["max_call_age", "hung_silence"],
            Self::PbxNotResponding => &["pbx_silent", "pbx_silent_requests", "pbx_silent_sources", "pbx_silent_small"],
            Self::PbxSlow => &["slow_factor", "slow_min", "slow_answers"],
            Self::AuthBackendSlow => &["db_slow", "db_slow_factor", "slow_min", "slow_answers"],
            Self::ServerErrorBurst => &["err_burst", "err_burst_share"],
            Self::TrunkNoResponse => &["trunk_silent", "t1", "txn_timeout_t1"],
            Self::RegistrationStorm => &["storm_attempts", "storm_factor", "storm_success"],
            Self::PbxRestarted => &["restart", "restart_silence"],
            Self::SipScanner => &["scan", "scan_failed", "scan_numbers"],
            Self::AuthBruteforce => &["brute", "brute_sources"],
            Self::RoutingLoop => &["loop_passes"],
            Self::WrongTransportOrPort | Self::WrongDomain => &["wrong_port"],
            Self::CaptureOneWay => &["one_way_triggers", "one_way_share"],
            Self::CaptureLossy => &["one_way_triggers", "lossy_share"],
            Self::CaptureStalled => &["capture_hole"],
            Self::ClockStepped => &["clock_step"],
            Self::OptionsUnsupported => &["options_ignored"],
            Self::EndpointSleepSuspected => &["sleep"],
            // One sighting is enough, or what was negotiated says how long to wait.
            Self::MassUnregister
            | Self::StaleBindingTarget
            | Self::SipAlgSuspected
            | Self::PbxAdvertisesPrivate
            | Self::CallFailedCalleeUnreachable
            | Self::CodecMismatch
            | Self::SdpPrivateToPublic
            | Self::SessionRefreshMissed
            | Self::DialogLost
            | Self::CallDroppedNoBye
            | Self::ScannerSucceeded
            | Self::DeviceMoved
            | Self::ExpiresShortened
            | Self::ContactRewritten
            | Self::ClientSideNatTraversal
            | Self::KeepaliveExperiment => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Thresholds;

    #[test]
    fn every_key_decides_on_something_and_every_name_is_a_key() {
        let of_findings = F::ALL.iter().flat_map(|id| id.keys());
        let named: BTreeSet<&str> = of_findings.chain(RULES.iter().flat_map(|(_, keys)| keys.iter())).copied().collect();
        let known: BTreeSet<&str> = Thresholds::keys().iter().copied().collect();
        assert_eq!(named, known);
    }

    #[test]
    fn no_key_is_named_twice_at_one_finding() {
        for id in F::ALL {
            assert_eq!(id.keys().iter().collect::<BTreeSet<_>>().len(), id.keys().len(), "{id}");
        }
    }

    /// The ids for which DETECTION §9 gives a number that is neither 1 nor fixed by what was negotiated.
    #[test]
    fn findings_with_a_number_in_the_catalogue_have_a_key() {
        let numbered = "never-registered registration-rejected auth-failed-loop registrar-silent response-not-reaching-client \
            registration-expired registration-flapping nat-binding-timeout keepalive-missing nat-rebind source-ip-changed peer-unreachable \
            peer-lagged probe-loss callee-no-response late-delivery unanswered-burst invite-ignored fragment-loss ack-missing \
            ack-misrouted slow-call-setup short-calls fixed-duration-drops mass-call-drop bye-unanswered leg-left-up hung-call \
            pbx-not-responding pbx-slow auth-backend-slow server-error-burst trunk-no-response registration-storm pbx-restarted \
            sip-scanner auth-bruteforce wrong-transport-or-port wrong-domain capture-one-way capture-lossy capture-stalled clock-stepped";
        for name in numbered.split_whitespace() {
            assert!(!F::from_name(name).expect(name).keys().is_empty(), "{name}");
        }
    }
}
