//! What grows with what somebody sends, and not with its square. Counted are the bytes that were ever asked for, not time: what looks at
//! everything that went before gathers it.

use std::net::SocketAddr;

use siphound::config::Tunnels;

use crate::MEMORY;
use crate::attack::{request, response};
use crate::stage::ALONE;
use crate::support::agent::address;
use crate::support::capture::Record;
use crate::support::lab::{Lab, ingest_within, limited};
use crate::wire::{Packets, pbx, socket, stranger};

/// How often something is done, fewer than any collection holds; then twice and four times as often.
const TIMES: usize = 900;
/// How much four times as much may cost: 4 is linear, 16 its square.
const GROWTH: f64 = 6.0;

/// Packets, each in its time.
#[derive(Default)]
struct Script {
    packets: Packets,
    records: Vec<Record>,
}

impl Script {
    fn at(&mut self, seconds: f64, send: impl FnOnce(&mut Packets)) {
        self.packets.begin(seconds);
        send(&mut self.packets);
        self.records.append(&mut self.packets.records);
    }

    /// A phone that the PBX knows, and that is heard for so long.
    fn witness(&mut self, until: f64) {
        let phone = address("203.0.113.77:5060");
        let register = request("REGISTER", "witness", "w", "w", "w", "Expires: 3600\r\n");
        self.at(0.0, |out| {
            out.udp(phone, pbx(), &register);
            out.answer(phone, &response(&register, "200 OK", "Expires: 3600\r\n"));
        });
        for second in 1..until as usize {
            self.at(second as f64, |out| {
                let options = request("OPTIONS", "witness", &format!("w{second}"), &format!("w{second}"), "w", "");
                out.answer(phone, &options);
                out.udp(phone, pbx(), &response(&options, "200 OK", ""));
            });
        }
    }

    /// The bytes asked for while all of it was handled.
    fn cost(mut self) -> f64 {
        self.records.sort_by_key(|record| record.micros);
        let mut lab = Lab::new(&limited(100_000));
        lab.ingest = ingest_within(Tunnels::NONE);
        let before = MEMORY.total_allocated();
        self.records.iter().for_each(|record| lab.frame(1, record));
        let outcome = lab.finish();
        outcome.assert_conserved();
        (MEMORY.total_allocated() - before) as f64
    }
}

fn assert_linear(name: &str, shape: impl Fn(usize, &mut Script)) {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cost = |times: usize| {
        let mut script = Script::default();
        shape(times, &mut script);
        script.cost()
    };
    let costs = [cost(TIMES), cost(2 * TIMES), cost(4 * TIMES)];
    println!("| {name} | {:.0} kB | {:.0} kB | {:.0} kB | {:.1} |", costs[0] / 1e3, costs[1] / 1e3, costs[2] / 1e3, costs[2] / costs[0]);
    assert!(costs[2] <= GROWTH * costs[0], "{name}: {costs:?}");
}

#[test]
fn many_users_that_come_from_elsewhere_cost_what_each_costs() {
    assert_linear("moves", |times, script| {
        script.witness(20.0);
        for (round, source) in [stranger(1), stranger(2)].into_iter().enumerate() {
            for n in 0..times {
                let (user, id) = (format!("u{n}"), format!("{round}x{n}"));
                script.at(2.0 + (round * times + n) as f64 * 5e-4, |out| {
                    out.udp(source, pbx(), &request("REGISTER", &user, &user, &id, "t", "Expires: 60\r\n"));
                });
            }
        }
    });
}

#[test]
fn a_user_that_is_refused_again_and_again_costs_what_each_time_costs() {
    assert_linear("refusals", |times, script| {
        script.witness(100.0);
        for n in 0..times {
            let id = format!("r{n}");
            let register = request("REGISTER", "nobody", &id, &id, "t", "");
            let register =
                String::from_utf8_lossy(&register).replace("<sip:nobody@pbx.example.com>", "<sip:nobody@wrong.example>").into_bytes();
            script.at(2.0 + n as f64 * 0.02, |out| {
                out.udp(stranger(0), pbx(), &register);
                out.answer(stranger(0), &response(&register, "404 Not Found", ""));
            });
        }
    });
}

#[test]
fn fragments_that_are_lost_cost_what_each_costs() {
    assert_linear("fragments", |times, script| {
        script.witness(150.0);
        let long = request("INVITE", "100", "long", "b", "t", &format!("X: {}\r\n", "x".repeat(2_500)));
        for n in 0..times {
            script.at(2.0 + n as f64 * 0.015, |out| {
                let first = out.datagram(stranger(0), pbx(), &long).swap_remove(0);
                out.push(&first);
            });
        }
    });
}

#[test]
fn legs_that_have_all_in_common_cost_what_each_costs() {
    assert_linear("legs", |times, script| {
        script.witness(20.0);
        let leg = |side: &str, n: usize| {
            let id = format!("{side}{n}");
            request("INVITE", "100", &id, &id, &id, "Session-ID: abcd1234\r\n")
        };
        let caller = address("203.0.113.78:5060");
        let begun = |n: usize| 2.0 + n as f64 * 2e-4;
        for n in 0..times {
            script.at(begun(n), |out| out.udp(caller, pbx(), &leg("in", n)));
            script.at(begun(times + n), |out| out.answer(stranger(3), &leg("out", n)));
            script.at(begun(2 * times + n), |out| out.answer(caller, &response(&leg("in", n), "180 Ringing", "")));
        }
    });
}

#[test]
fn whoever_pretends_to_be_a_pbx_costs_what_each_time_costs() {
    assert_linear("pretenders", |times, script| {
        script.witness(20.0);
        let leg = |side: &str, n: usize| request("INVITE", "100", &format!("{side}{n}"), &format!("{side}{n}"), "t", "");
        let caller = address("203.0.113.78:5060");
        // Few, as in a debug build it takes long to weigh them.
        for n in 0..times / 16 {
            script.at(2.0 + n as f64 * 5e-4, |out| out.udp(caller, pbx(), &leg("in", n)));
            script.at(4.0 + n as f64 * 5e-4, |out| out.answer(caller, &leg("out", n)));
        }
        for n in 0..times {
            let (id, pretender) = (format!("p{n}"), stranger(10 + n));
            let register = request("REGISTER", &id, &id, &id, "t", "Expires: 60\r\n");
            script.at(7.0 + n as f64 * 5e-4, |out| {
                out.udp(stranger(0), pretender, &register);
                out.udp(pretender, stranger(0), &response(&register, "200 OK", "Expires: 60\r\n"));
            });
        }
    });
}

#[test]
fn a_site_that_loses_its_line_costs_what_each_of_its_phones_costs() {
    assert_linear("site", |times, script| {
        script.witness(260.0);
        let phone = |n: usize| -> SocketAddr {
            let mut phone = socket(0);
            phone.set_port(10_000 + n as u16);
            phone
        };
        let apart = 20.0 / (4 * TIMES) as f64;
        for n in 0..times {
            let user = format!("s{n}");
            let register = request("REGISTER", &user, &user, &user, "t", "Expires: 120\r\n");
            let probe = |round: usize| request("OPTIONS", &user, &format!("{user}p{round}"), &format!("{user}p{round}"), "t", "");
            let begun = n as f64 * apart;
            script.at(2.0 + begun, |out| {
                out.udp(phone(n), pbx(), &register);
                out.answer(phone(n), &response(&register, "200 OK", "Expires: 120\r\n"));
            });
            script.at(30.0 + begun, |out| {
                out.answer(phone(n), &probe(0));
                out.udp(phone(n), pbx(), &response(&probe(0), "200 OK", ""));
            });
            for round in 1..4 {
                script.at(60.0 + begun + round as f64 * 2.0, |out| out.answer(phone(n), &probe(1)));
            }
        }
    });
}
