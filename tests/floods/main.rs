//! Floods: what anybody can send grows no table beyond its capacity and no memory beyond a bound, at every step, and the phones that were
//! there are followed on as if there were no flood.
//!
//! `cargo test --test floods -- --nocapture` prints a row for each; `scripts/floods.sh` replays them with the program itself.

#[path = "../support/mod.rs"]
mod support;

mod attack;
mod cost;
mod parsing;
mod site;
mod stage;
mod wire;

use std::alloc::System;

use attack::Attack;
use stage::{HARD, LARGE, SMALL, Size, survive};

/// Counts the bytes that are held.
#[global_allocator]
static MEMORY: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

/// One test a flood, each named after it.
macro_rules! floods {
    ($($name:ident: $attack:expr, $size:expr, full: $full:expr;)*) => {$(
        #[test]
        fn $name() {
            survive(stringify!($name), $attack, $size, &$full);
        }
    )*};
}

floods! {
    call_ids: Attack::CallIds, SMALL, full: ["calls", "transactions"];
    tags_of_one_call_id: Attack::Tags, SMALL, full: ["calls", "transactions"];
    branches_of_one_dialog: Attack::Branches, SMALL, full: ["transactions"];
    addresses_of_record: Attack::Aors, SMALL, full: ["aors", "devices", "registration_attempts"];
    addresses_of_record_refused: Attack::AorsRefused, SMALL, full: ["aors", "devices", "phones"];
    addresses_of_record_challenged: Attack::AorsChallenged, SMALL, full: ["aors", "nonces"];
    passwords_for_a_real_user: Attack::Passwords, SMALL, full: ["nonces"];
    registrations_that_a_stranger_accepts_itself: Attack::SelfRegistered, SMALL, full: ["aors", "devices"];
    contacts: Attack::Contacts, SMALL, full: ["device_addresses"];
    sources: Attack::Sources, SMALL, full: ["flows"];
    scanner_tools: Attack::Tools, SMALL, full: ["flows", "scan_sources", "sources"];
    answered_options: Attack::OptionsAnswered, SMALL, full: ["flows", "transactions"];
    calls_from_strangers_that_ring: Attack::Ringing, SMALL, full: ["calls"];
    calls_that_a_stranger_answers_itself: Attack::SelfAnswered, SMALL, full: ["calls"];
    calls_to_long_numbers: Attack::TollFraud, SMALL, full: ["calls"];
    subscriptions: Attack::Subscriptions, SMALL, full: ["transactions"];
    methods: Attack::Methods, SMALL, full: ["transactions"];
    responses_to_nothing: Attack::Responses, SMALL, full: ["calls"];
    byes_of_unknown_calls: Attack::Byes, SMALL, full: ["transactions"];
    forged_tool_name_from_the_address_of_a_phone: Attack::ForgedTool, Size { steps: 100, ..SMALL }, full: [];
    icmp_quotes: Attack::Icmp, SMALL, full: [];
    keepalives: Attack::Keepalives, SMALL, full: ["flows"];
    fragments: Attack::Fragments, Size { steps: 6_000, ..LARGE }, full: [];
    overlapping_fragments: Attack::Overlaps, SMALL, full: [];
    connections: Attack::Syns, LARGE, full: ["streams"];
    connections_that_speak: Attack::TalkingConnections, LARGE, full: ["streams"];
    half_messages: Attack::HalfMessages, Size { steps: 18_000, ..LARGE }, full: ["streams"];
    segments_out_of_order: Attack::Gaps, Size { steps: 60_000, lasts: 1.5, ..LARGE }, full: ["streams"];
    websockets: Attack::WebSockets, SMALL, full: [];
    long_headers: Attack::LongHeaders, HARD, full: [];
    ten_thousand_headers: Attack::ManyHeaders, HARD, full: [];
    deep_vias: Attack::Vias, HARD, full: [];
    long_session_descriptions: Attack::Sdp, HARD, full: [];
    long_reasons: Attack::Reasons, SMALL, full: ["calls"];
    forged_addresses_in_tunnels: Attack::Tunnels, SMALL, full: [];
    findings: Attack::Findings, SMALL, full: ["findings"];
}
