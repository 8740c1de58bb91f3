//! The rows of the catalogue, in the order of DETECTION §9. The comment of an id is its meaning in `docs/findings.md`.

use crate::detect::catalog::{Clears, Proof, Row, SubjectKind};
use crate::track::vocabulary::Severity;

const AOR: &[SubjectKind] = &[SubjectKind::Aor];
const AOR_OR_SITE: &[SubjectKind] = &[SubjectKind::Aor, SubjectKind::Site];
const AOR_OR_PBX: &[SubjectKind] = &[SubjectKind::Aor, SubjectKind::Pbx];
const SOURCE: &[SubjectKind] = &[SubjectKind::Source];
const SITE: &[SubjectKind] = &[SubjectKind::Site];
const CALL: &[SubjectKind] = &[SubjectKind::Call];
const PBX: &[SubjectKind] = &[SubjectKind::Pbx];
const TRUNK: &[SubjectKind] = &[SubjectKind::Trunk];
const GROUP: &[SubjectKind] = &[SubjectKind::Group];
const CAPTURE: &[SubjectKind] = &[SubjectKind::Pbx, SubjectKind::Capture];

const fn minutes(minutes: i64) -> Clears {
    Clears::after_minutes(minutes)
}

const fn hours(hours: i64) -> Clears {
    Clears::after_hours(hours)
}

/// Declares the ids: meaning, name, severity, proof, subjects, runbook steps, end, remedy.
macro_rules! catalogue {
    ($(
        #[doc = $meaning:literal]
        $variant:ident = $name:literal: $severity:ident, $proof:ident, $subjects:ident, $runbook:expr, $clears:expr,
            $remedy:literal;
    )+) => {
        /// What can be found. The order is that of the catalogue.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum FindingId { $(#[doc = $meaning] $variant,)+ }

        impl FindingId {
            /// Every id, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// What is fixed about it.
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Self::$variant => const {
                        &Row {
                            name: $name,
                            meaning: $meaning.trim_ascii(),
                            severity: Severity::$severity,
                            proof: Proof::$proof,
                            subjects: $subjects,
                            runbook: &$runbook,
                            clears: $clears,
                            remedy: $remedy,
                        }
                    },)+
                }
            }
        }
    };
}

catalogue! {
    /// A user never registered since the capture began, although others call it or somebody asked for it.
    NeverRegistered = "never-registered": Error, Absence, AOR, ["S2-f", "S4-3"], hours(24).or_when("a registration is accepted"),
        "Check power/LAN and the SIP server, port, transport and extension configured in the phone, then force a reconnection while siphound watches.";
    /// The registrar refuses the registration of a user for a reason other than its credentials.
    RegistrationRejected = "registration-rejected": Error, Presence, AOR, ["S0-d", "S0-f"], minutes(20).or_when("a registration is accepted"),
        "Re-enter auth user and password (or create/enable the account), then force reconnection.";
    /// The registrar refuses the credentials of a user again and again, each time for a fresh nonce.
    AuthFailedLoop = "auth-failed-loop": Error, Presence, AOR, ["S0-e"], minutes(20).or_when("a registration is accepted"),
        "Re-enter auth user and password exactly as on the PBX (or create/enable the account), then force reconnection.";
    /// The PBX does not answer the registrations that come from this address.
    RegistrarSilent = "registrar-silent": Error, Absence, SOURCE, ["S0-g"], minutes(10).or_when("the PBX answers it"),
        "On the PBX check fail2ban/iptables/ACL for {ip} and unban it.";
    /// The PBX answers, but the sender repeats its request as if no answer arrived.
    ResponseNotReachingClient = "response-not-reaching-client": Error, Absence, SOURCE, ["S0-g", "S4-5"], minutes(10).or_when("an answer is taken"),
        "Open/repair the return path: enable rport (`nat=force_rport`/`force_rport=yes`), disable SIP ALG, check the customer firewall for inbound UDP from {pbx}.";
    /// A registration ran out and was not refreshed.
    RegistrationExpired = "registration-expired": Error, Absence, AOR, ["S4-2"], hours(24).or_when("it registers again"),
        "Force reconnection, shorten registration expiry to 300 s and check the line/Wi-Fi of the phone at {site}.";
    /// A user loses its registration and comes back again and again.
    RegistrationFlapping = "registration-flapping": Warning, Absence, AOR, ["S4"], hours(2),
        "Force reconnection, shorten registration expiry to 300 s and check the line/Wi-Fi of the phone at {site}.";
    /// Two devices register the same user in turns.
    DuplicateRegistration = "duplicate-registration": Warning, Presence, AOR, ["S1-f", "S2-f"], hours(2).or_when("one of the devices is gone"),
        "Remove extension {aor} from {other} or allow several contacts; if nobody knows that device, change the password of the account.";
    /// One device removed all registrations of a user, those of other devices too.
    MassUnregister = "mass-unregister": Warning, Presence, AOR, ["S2-f"], hours(1).or_when("a phone that it hit registers again"),
        "Remove extension {aor} from {other} or allow several contacts.";

    /// The NAT before a phone forgets its binding before the phone refreshes it, so calls do not arrive.
    NatBindingTimeout = "nat-binding-timeout": Error, Absence, AOR_OR_SITE, ["S4-6", "S4-nat"], hours(48).or_when("5 requests in 3 gaps arrive beyond the bound"),
        "Set phone keep-alive ≤ {keepalive} s or router UDP NAT timeout ≥ {nat_timeout} s (or qualify from the PBX every ≤ {keepalive} s; or use TCP/TLS).";
    /// A phone behind NAT sends nothing that keeps its binding open.
    KeepaliveMissing = "keepalive-missing": Warning, Absence, AOR, ["S4-7"], hours(24).or_when("keep-alives begin"),
        "Set phone keep-alive ≤ {keepalive} s or router UDP NAT timeout ≥ {nat_timeout} s (or qualify from the PBX every ≤ {keepalive} s; or use TCP/TLS).";
    /// The NAT gave a phone another public port.
    NatRebind = "nat-rebind": Info, Presence, AOR, ["S4-4"], hours(2),
        "Force reconnection now; then shorten registration expiry/keep-alive and use a fixed-port (\"consistent\") NAT.";
    /// The devices of a site came back from another public address, or all at once from other ports.
    SourceIpChanged = "source-ip-changed": Warning, Presence, SITE, ["S4-4"], minutes(4),
        "Ask whether the line was re-dialled or failed over; enable re-register on IP change, expiry ≤ 300 s.";
    /// The PBX calls a phone where it no longer is.
    StaleBindingTarget = "stale-binding-target": Error, Presence, AOR, ["S2"], minutes(10).or_when("the PBX uses the present address"),
        "Force reconnection now; then shorten registration expiry/keep-alive and use a fixed-port (\"consistent\") NAT.";
    /// A router rewrites the SIP that passes through it.
    SipAlgSuspected = "sip-alg-suspected": Warning, Presence, SITE, ["S4-6"], hours(24),
        "Disable SIP ALG in the router, reboot router and phone.";
    /// The PBX tells phones on the internet to reach it at a private address.
    PbxAdvertisesPrivate = "pbx-advertises-private": Error, Presence, PBX, ["S0-h"], hours(24),
        "Set external address/localnet (chan_sip `externaddr`, `localnet`; PJSIP `external_signaling_address`, `external_media_address`, `local_net`).";

    /// A phone does not answer the OPTIONS of the PBX, so the PBX holds it for gone.
    PeerUnreachable = "peer-unreachable": Error, Absence, AOR, ["S4-log"], hours(1).or_when("it answers again"),
        "Check the customer's line or, if it is one phone only, its cable or Wi-Fi; where a NAT finding is listed too, follow that one.";
    /// A phone answers the OPTIONS of the PBX late.
    PeerLagged = "peer-lagged": Warning, Presence, AOR, ["S4"], hours(1).or_when("it answers in time again"),
        "Check the customer's line or, if it is one phone only, its cable or Wi-Fi; where a NAT finding is listed too, follow that one.";
    /// Packets between the PBX and a phone get lost, however long the line was idle before.
    ProbeLoss = "probe-loss": Warning, Absence, AOR, ["S0-g"], hours(2),
        "Check the customer's line or, if it is one phone only, its cable or Wi-Fi; where a NAT finding is listed too, follow that one.";

    /// The PBX called a phone and nothing came back.
    CalleeNoResponse = "callee-no-response": Error, Absence, AOR, ["S2-e"], minutes(10).or_when("a call to it is answered"),
        "Check that the phone of {aor} is on; behind NAT set its keep-alive ≤ {keepalive} s or the router's UDP NAT timeout ≥ {nat_timeout} s.";
    /// The PBX refused a call without calling the phone, because it holds it for gone.
    CallFailedCalleeUnreachable = "call-failed-callee-unreachable": Warning, Presence, AOR, ["S1-e", "S2"], minutes(10).or_when("it registers or answers again"),
        "Treat the *called* party: run \"can't receive\" for {callee}.";
    /// A call reached a phone only after several repeats.
    LateDelivery = "late-delivery": Warning, Absence, AOR, ["S4-nat"], hours(1),
        "Set phone keep-alive ≤ {keepalive} s or router UDP NAT timeout ≥ {nat_timeout} s (or qualify from the PBX every ≤ {keepalive} s; or use TCP/TLS).";
    /// Several calls to a user, or a good part of all calls, reached no phone.
    UnansweredBurst = "unanswered-burst": Warning, Absence, AOR_OR_PBX, ["S2"], hours(1).or_when("a phone of the user answers a call"),
        "Treat the *called* party: run \"can't receive\" for {callee}.";
    /// The PBX does not answer the calls that come from this address.
    InviteIgnored = "invite-ignored": Error, Absence, SOURCE, ["S1"], minutes(10).or_when("the PBX answers it"),
        "On the PBX check fail2ban/iptables/ACL for {ip} and unban it.";
    /// Messages too large for one packet lose their fragments.
    FragmentLoss = "fragment-loss": Error, Presence, SOURCE, ["S1"], hours(1),
        "Reduce codecs/headers, switch the phone to TCP, or fix MTU/fragment filtering on the path.";
    /// The answer to a call was never acknowledged, so the call drops.
    AckMissing = "ack-missing": Error, Absence, CALL, ["S3-setup"], minutes(10),
        "Correct the Contact/Record-Route address offered by {side} and disable SIP ALG.";
    /// The acknowledgement of a call went to an address where nobody took it.
    AckMisrouted = "ack-misrouted": Error, Absence, CALL, ["S3-setup"], minutes(10),
        "Correct the Contact/Record-Route address offered by {side} and disable SIP ALG.";
    /// Callers wait long until it rings.
    SlowCallSetup = "slow-call-setup": Warning, Presence, PBX, ["S1-g"], minutes(10),
        "L2: check PBX CPU/DNS and the database backend response time.";
    /// Many calls of a user end within seconds, as they do when nothing is heard.
    ShortCalls = "short-calls": Warning, Presence, AOR, ["S1"], hours(1),
        "Check RTP/NAT media settings and codec/SRTP lists of both ends (no audio ⇒ users hang up).";
    /// The two ends of a call have no codec in common.
    CodecMismatch = "codec-mismatch": Error, Presence, CALL, ["S2-f"], minutes(10),
        "Check RTP/NAT media settings and codec/SRTP lists of both ends (no audio ⇒ users hang up).";
    /// A private address was given to a public peer as the place to send media to.
    SdpPrivateToPublic = "sdp-private-to-public": Warning, Presence, CALL, ["S2-f"], minutes(10),
        "Check RTP/NAT media settings and codec/SRTP lists of both ends (no audio ⇒ users hang up).";

    /// A call was dropped because nobody refreshed its session timer.
    SessionRefreshMissed = "session-refresh-missed": Error, Absence, CALL, ["S3-maint"], minutes(10),
        "Align session-timer settings (or disable them on the faulty UA) and make the phone reachable during calls (keep-alive).";
    /// One end of a call had already forgotten it.
    DialogLost = "dialog-lost": Error, Presence, CALL, ["S3-maint"], minutes(10),
        "Check for reboot/crash of {side} before {time}; if there was none, it hung up earlier, and its BYE was lost.";
    /// A call was over without anybody hanging up.
    CallDroppedNoBye = "call-dropped-no-bye": Error, Absence, CALL, ["S3-maint"], minutes(10),
        "Check for reboot/crash of {side} at {time}.";
    /// Calls end after the same time, as a timer ends them.
    FixedDurationDrops = "fixed-duration-drops": Error, Presence, GROUP, ["S3-maint"], hours(24),
        "Align session-timer settings (or disable them on the faulty UA) and make the phone reachable during calls (keep-alive).";
    /// Many calls ended at the same moment.
    MassCallDrop = "mass-call-drop": Critical, Presence, PBX, ["S3-maint"], minutes(10),
        "Check for reboot/crash of {pbx} at {time}.";
    /// A hang-up got no answer.
    ByeUnanswered = "bye-unanswered": Warning, Absence, CALL, ["S3-tear"], minutes(10),
        "Clear channel {call} on the PBX, correct the CDR by {overbilled}, enable session timers on both legs.";
    /// One leg of a call ended and the other stayed up, and was billed on.
    LegLeftUp = "leg-left-up": Error, Absence, CALL, ["S3-tear"], hours(4).or_when("the other leg ends"),
        "Clear channel {call} on the PBX, correct the CDR by {overbilled}, enable session timers on both legs.";
    /// A call is still up although its ends cannot be in it any more.
    HungCall = "hung-call": Error, Absence, CALL, ["S3-tear"], hours(4).or_when("the call ends"),
        "Clear channel {call} on the PBX, correct the CDR by {overbilled}, enable session timers on both legs.";

    /// The PBX answers nobody.
    PbxNotResponding = "pbx-not-responding": Critical, Absence, PBX, ["S0-h"], hours(1).or_when("it answers again"),
        "L2 now: check the Asterisk process, host network, disk and the carrier status page.";
    /// The PBX takes much longer to answer than it used to.
    PbxSlow = "pbx-slow": Warning, Presence, PBX, ["S0-h", "S1-g"], minutes(10).or_when("it is fast again"),
        "L2: check PBX CPU/DNS and the database backend response time.";
    /// The PBX is slow only where it must look up an account.
    AuthBackendSlow = "auth-backend-slow": Warning, Presence, PBX, ["S0-h", "S1-g"], minutes(10).or_when("it is fast again"),
        "L2: check PBX CPU/DNS and the database backend response time.";
    /// A server answers many requests with a 5xx.
    ServerErrorBurst = "server-error-burst": Error, Presence, PBX, ["S1-g"], minutes(5).or_when("registrations or calls succeed, a minute after the last error"),
        "L2 now: check the Asterisk process, host network, disk and the carrier status page.";
    /// A trunk does not answer the calls or the registrations of the PBX.
    TrunkNoResponse = "trunk-no-response": Critical, Absence, TRUNK, ["S1-g"], minutes(10).or_when("it answers again"),
        "L2 now: check the Asterisk process, host network, disk and the carrier status page.";
    /// Far more phones register at once than is usual.
    RegistrationStorm = "registration-storm": Warning, Presence, PBX, ["S0-g"], minutes(2),
        "Let it drain; if failing, rate-limit and check the database.";
    /// The PBX forgot what it knew, as after a restart.
    PbxRestarted = "pbx-restarted": Warning, Presence, PBX, ["S0-h"], minutes(2),
        "Check for reboot/crash of {pbx} at {time}.";
    /// A source tries out users, numbers or passwords, or names itself a scanner.
    SipScanner = "sip-scanner": Warning, Presence, SOURCE, [], minutes(10),
        "Block {ip}; on success change the credentials of {aor} immediately and check call charges.";
    /// A source tries password after password.
    AuthBruteforce = "auth-bruteforce": Warning, Presence, SOURCE, [], minutes(10),
        "Block {ip}; on success change the credentials of {aor} immediately and check call charges.";
    /// A scanner got in.
    ScannerSucceeded = "scanner-succeeded": Critical, Presence, SOURCE, [], hours(24),
        "Block {ip}; on success change the credentials of {aor} immediately and check call charges.";
    /// A call goes round in circles.
    RoutingLoop = "routing-loop": Error, Presence, CALL, ["S3-setup"], minutes(10),
        "Remove the forwarding/trunk loop between {loop_from} and {loop_to}.";
    /// A source speaks something other than the PBX expects on that port.
    WrongTransportOrPort = "wrong-transport-or-port": Warning, Presence, SOURCE, ["S0-e"], minutes(20),
        "Correct server/port/transport on the phone ({expected}).";
    /// A source registers for a domain that the PBX does not serve.
    WrongDomain = "wrong-domain": Warning, Presence, SOURCE, ["S0-e"], minutes(20),
        "Correct server/port/transport on the phone ({expected}).";

    /// The capture sees only one direction; nothing is concluded from what is missing in the other.
    CaptureOneWay = "capture-one-way": Warning, Presence, CAPTURE, [], hours(24).or_when("both directions are seen"),
        "Fix the mirror port/interface/filter; results are incomplete until then.";
    /// The capture misses packets; nothing is concluded from what is missing meanwhile.
    CaptureLossy = "capture-lossy": Warning, Presence, CAPTURE, [], minutes(20),
        "Fix the mirror port/interface/filter; results are incomplete until then.";
    /// The capture sees nothing at all any more.
    CaptureStalled = "capture-stalled": Warning, Presence, CAPTURE, [], minutes(20).or_when("packets are seen again"),
        "Fix the mirror port/interface/filter; results are incomplete until then.";
    /// The clock of the capture jumped; nothing is concluded from what is missing across the jump.
    ClockStepped = "clock-stepped": Warning, Presence, CAPTURE, [], minutes(20),
        "Fix the mirror port/interface/filter; results are incomplete until then.";

    /// A user registered from another device and the old one is gone.
    DeviceMoved = "device-moved": Info, Presence, AOR, [], hours(1),
        "Nothing to do if the move was meant; otherwise ask {aor} for the new device.";
    /// The registrar grants less than half the time that a phone asked for.
    ExpiresShortened = "expires-shortened": Info, Presence, AOR, [], hours(24),
        "Nothing to do; the phone registers more often than it is set to.";
    /// The registrar keeps the address it saw in place of the one the phone wrote: its help for phones behind NAT works.
    ContactRewritten = "contact-rewritten": Info, Presence, AOR, [], hours(24),
        "Nothing to do; the PBX handles the NAT of this phone.";
    /// A phone ignores OPTIONS but answers other requests.
    OptionsUnsupported = "options-unsupported": Info, Presence, AOR, ["S0-c"], hours(24).or_when("it answers OPTIONS"),
        "Turn off qualify for this phone, or set it to answer OPTIONS.";
    /// A phone works around its NAT by itself (STUN, or a public Contact).
    ClientSideNatTraversal = "client-side-nat-traversal": Info, Presence, AOR, [], hours(24),
        "Nothing to do; when calls fail, turn STUN off in the phone and leave NAT to the PBX.";
    /// A phone falls silent and comes back as a sleeping computer or Wi-Fi does.
    EndpointSleepSuspected = "endpoint-sleep-suspected": Info, Absence, AOR, ["S0-c", "S1-d"], hours(2),
        "Turn off energy saving of the device and of its Wi-Fi, or use push.";
    /// What the PBX would log about the reachability of a phone.
    PeerState = "peer-state": Info, Absence, AOR, ["S4-log"], hours(1),
        "Compare with the log of the PBX; the findings of this phone say what to do.";
    /// What changed when the keep-alive interval of a phone was changed.
    KeepaliveExperiment = "keepalive-experiment": Info, Presence, AOR, ["S4-7"], hours(24),
        "Keep the shorter interval where it helped; otherwise look for another cause.";
}
