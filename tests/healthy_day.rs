//! On a day on which nothing is wrong nothing is found, whatever phones, timers and kind of server there are.

mod support;

use std::collections::BTreeMap;

use serde_json::Value as Json;
use siphound::track::Settings;
use support::Brand::{self, Asterisk, Gigaset, Grandstream, Kamailio, Snom, Yealink};
use support::agent::address;
use support::capture::CaptureFile;
use support::day::{CALLS, DAY, Kind, PHONES, Shape, Style, day};
use support::lab::{self, Lab};

const MIXED: &[Brand] = &[Yealink, Snom, Grandstream, Gigaset];

const STYLES: [Style; 6] = [
    Style { name: "day-mixed", shape: Shape::Pbx, phones: MIXED, server: Asterisk, t1: 0.5, expires: 1800, keepalive: 25.0 },
    Style { name: "day-quick", shape: Shape::Pbx, phones: &[Snom, Grandstream], server: Asterisk, t1: 0.1, expires: 300, keepalive: 20.0 },
    Style { name: "day-compact", shape: Shape::Pbx, phones: &[Gigaset], server: Asterisk, t1: 1.0, expires: 600, keepalive: 60.0 },
    Style { name: "day-proxy", shape: Shape::Proxy, phones: MIXED, server: Kamailio, t1: 0.5, expires: 1800, keepalive: 30.0 },
    Style {
        name: "day-proxy-quick",
        shape: Shape::Proxy,
        phones: &[Yealink, Snom],
        server: Kamailio,
        t1: 0.1,
        expires: 600,
        keepalive: 15.0,
    },
    Style {
        name: "day-proxy-slow",
        shape: Shape::Proxy,
        phones: &[Gigaset, Yealink],
        server: Kamailio,
        t1: 2.0,
        expires: 300,
        keepalive: 45.0,
    },
];

fn replayed(file: &CaptureFile) -> Json {
    let mut lab = Lab::new(&Settings { pbxs: vec![address("203.0.113.10:5060")], ..lab::roomy() });
    lab.capture(file);
    lab.tick(file.last() + 60_000_000);
    let outcome = lab.finish();
    outcome.assert_conserved();
    lab::report(&outcome.engine)
}

/// Calls by outcome, as the caller sees them: legs towards the server.
fn outcomes(report: &Json) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let calls = report["calls"].as_array().into_iter().flatten();
    for call in calls.filter(|call| call["direction"] == "in") {
        *counts.entry(call["outcome"].as_str().unwrap_or("").to_owned()).or_default() += 1;
    }
    counts
}

/// What the calls of the day must come to, from what people did in them.
fn expected(shape: Shape) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (kind, count) in CALLS {
        let outcome = match kind {
            Kind::Answered | Kind::Held | Kind::Transferred | Kind::Forked | Kind::Redirected => "answered",
            Kind::Busy => "busy",
            Kind::Declined => "declined",
            Kind::NoAnswer => "no_answer",
            Kind::Cancelled => "cancelled",
            Kind::NotFound => "not_found",
        };
        *counts.entry(outcome.to_owned()).or_default() += count;
        // Through a proxy it is the transferred phone itself that makes the second call.
        if shape == Shape::Proxy && kind == Kind::Transferred {
            *counts.entry("answered".to_owned()).or_default() += count;
        }
    }
    counts
}

#[test]
fn nothing_is_found_on_a_day_on_which_nothing_is_wrong() {
    assert_eq!(CALLS.iter().map(|(_, count)| count).sum::<usize>(), 200);
    for style in STYLES {
        let report = replayed(&CaptureFile::from_bytes(&day(&style).finish()));
        let name = style.name;
        let findings = report["findings"].as_array().into_iter().flatten().filter(|finding| finding["severity"] != "info");
        let found: Vec<String> = findings.map(|finding| format!("{}: {}", finding["id"], finding["message"])).collect();
        assert_eq!(found, [""; 0], "{name}");
        assert_eq!(outcomes(&report), expected(style.shape), "{name}");
        let registered = report["registrations"].as_array().into_iter().flatten().filter(|entry| entry["state"] == "registered");
        assert_eq!(registered.count(), PHONES, "{name}");
        let refreshes = PHONES as u64 * (2.0 * DAY / f64::from(style.expires)) as u64;
        assert_eq!(report["rfc6076"]["rrd_s"]["count"], refreshes, "{name}");
        assert_eq!(report["rfc6076"]["ira_ratio"], 0.0, "{name}");
        let answered = expected(style.shape)["answered"] as f64 / expected(style.shape).values().sum::<usize>() as f64;
        let completed = report["rfc6076"]["scr_ratio"].as_f64().unwrap_or(0.0);
        assert!((completed - answered).abs() < 0.001, "{name}: {completed} of {answered} completed");
        let callees = |outcome: &str| {
            let calls = report["calls"].as_array().into_iter().flatten();
            calls.filter(|call| call["direction"] == "out" && call["outcome"] == outcome).count()
        };
        if style.shape == Shape::Pbx {
            // Legs of phones that rang: what became of the calls beyond the caller's.
            assert_eq!((callees("no_answer"), callees("redirected"), callees("completed_elsewhere")), (12, 5, 30), "{name}");
        }
        for (method, least) in [("REFER", 10), ("NOTIFY", 10), ("CANCEL", 24), ("OPTIONS", PHONES as u64 * 59)] {
            assert!(report["messages"]["requests"][method].as_u64() >= Some(least), "{name}: {method}");
        }
    }
}
