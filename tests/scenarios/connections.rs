//! TCP connections that end, that are not to be had, and of which the capture lacks a part; each with one that only looks like it.

use std::net::SocketAddr;

use super::scenarios;
use crate::support::agent::cast::{a1, b1, c1};
use crate::support::call::Bridge;
use crate::support::stream::Stream;
use crate::support::upkeep::{PING, times};
use crate::support::wire::{self, Protocol, flag};
use crate::support::{Agent, Brand, Scene, Side};

scenarios! {
    "tcp-segment-uncaptured" => tcp_segment_uncaptured,
    "tcp-request-unanswered" => tcp_request_unanswered,
    "tcp-phone-gone" => tcp_phone_gone,
    "tcp-closed-after-register" => tcp_closed_after_register,
    "tcp-connections-end" => tcp_connections_end,
    "tcp-connection-each-time" => tcp_connection_each_time,
    "tcp-connections-anew" => tcp_connections_anew,
    "tcp-restarts" => tcp_restarts,
    "tcp-lines-end" => tcp_lines_end,
    "tcp-lines-renewed" => tcp_lines_renewed,
    "pbx-dead-tcp" => pbx_dead_tcp,
    "pbx-quiet-tcp" => pbx_quiet_tcp,
    "tcp-service-off" => tcp_service_off,
    "tcp-filtered" => tcp_filtered,
    "tcp-blocked" => tcp_blocked,
    "tcp-not-served" => tcp_not_served,
    "tcp-tried-beside-udp" => tcp_tried_beside_udp,
    "tcp-tried-for-calls" => tcp_tried_for_calls,
}

/// A phone over TCP that nothing is wrong with: registered, refreshed at half time, with a ping every 30 s, qualified every 60 s.
fn healthy(scene: &mut Scene, phone: &mut Agent, from: f64, until: f64) {
    let (pbx, half) = (scene.pbx.outer, f64::from(phone.expires) / 2.0);
    scene.reg_ok(from, phone);
    times(from + half, half, until).for_each(|at| scene.refresh(at, phone));
    for at in times(from + 20.0, 30.0, until) {
        scene.stream(at, phone.outer, pbx, &[PING]);
        scene.stream(at + 0.005, pbx, phone.outer, &[b"\r\n"]);
    }
    times(from + 33.0, 60.0, until).for_each(|at| scene.qualify(at, phone));
}

/// The segment of `source` that is sent at `at` is not captured.
fn lose(scene: &mut Scene, source: &Agent, at: f64) {
    scene.keep(|shot| shot.source != source.outer || (shot.at - at).abs() > 0.000_1);
}

/// A SYN to `server` and what it is sent again as, which nothing answers.
fn ask_in_vain(scene: &mut Scene, at: f64, client: &Agent, port: u16) {
    let (mut source, server) = (client.outer, scene.pbx.outer);
    source.set_port(port);
    let syn = wire::segment(source, server, scene.random.next() as u32, 0, flag::SYN, b"");
    for offset in [0.0, 1.0, 3.0, 7.0] {
        scene.ip(at + offset, source, server, Protocol::Tcp, &syn);
    }
}

/// Of two phones over TCP one segment each is not captured: an answer to OPTIONS, and what comes before a REGISTER.
fn tcp_segment_uncaptured(scene: &mut Scene) {
    let (mut probed, mut registers) = (a1().over_tcp(), b1().over_tcp());
    healthy(scene, &mut probed, 1.0, 400.0);
    scene.healthy(&mut c1(), 2.0, 400.0);
    scene.reg_ok(3.0, &mut registers);
    scene.stream(152.9, registers.outer, scene.pbx.outer, &[PING]);
    scene.refresh(153.0, &mut registers);
    scene.stream(200.0, registers.outer, scene.pbx.outer, &[PING]);
    lose(scene, &probed, 94.0 + probed.delay);
    lose(scene, &registers, 152.9);
}

/// A phone over TCP acknowledges an OPTIONS, and then neither answers it nor says anything else.
fn tcp_request_unanswered(scene: &mut Scene) {
    let mut phone = a1().over_tcp();
    scene.healthy(&mut c1(), 2.0, 300.0);
    healthy(scene, &mut phone, 1.0, 90.0);
    times(94.0, 60.0, 300.0).for_each(|at| scene.qualify_lost(at, &[0.0], &phone));
}

/// The connection of a phone ends five minutes after it registered, and it opens no other.
fn tcp_phone_gone(scene: &mut Scene) {
    let mut phone = a1().over_tcp().expiring(3600);
    healthy(scene, &mut phone, 1.0, 300.0);
    let pbx = scene.pbx.outer;
    scene.hang_up(301.0, phone.outer, pbx);
    scene.healthy(&mut c1(), 2.0, 700.0);
}

/// A phone ends its connection as soon as it has registered, and the PBX opens one to it for each of its requests.
fn tcp_closed_after_register(scene: &mut Scene) {
    let mut phone = Agent::phone("3001", Brand::Snom, "203.0.113.60:5060", "203.0.113.60:41000").over_tcp();
    let pbx = scene.pbx.outer;
    for at in times(1.0, 150.0, 700.0) {
        scene.refresh(at, &mut phone);
        scene.hang_up(at + 0.3, phone.outer, pbx);
        phone.outer.set_port(phone.outer.port() + 1);
    }
    scene.healthy(&mut c1(), 2.0, 700.0);
}

/// The PBX ends the connection of a phone whenever it was idle for 40 s; the phone notices 20 s later.
fn tcp_connections_end(scene: &mut Scene) {
    let mut phone = a1().over_tcp().expiring(3600);
    let pbx = scene.pbx.outer;
    scene.reg_ok(1.0, &mut phone);
    for at in times(61.0, 60.0, 400.0) {
        scene.hang_up(at - 20.0, pbx, phone.outer);
        phone.outer.set_port(phone.outer.port() + 1);
        scene.refresh(at, &mut phone);
    }
    scene.healthy(&mut c1(), 2.0, 400.0);
}

/// A phone opens a new connection for each refresh, at half time, and ends the old one for it.
fn tcp_connection_each_time(scene: &mut Scene) {
    let mut phone = a1().over_tcp().expiring(120);
    let pbx = scene.pbx.outer;
    scene.reg_ok(1.0, &mut phone);
    for at in times(61.0, 60.0, 400.0) {
        scene.hang_up(at - 0.2, phone.outer, pbx);
        phone.outer.set_port(phone.outer.port() + 1);
        scene.refresh(at, &mut phone);
    }
    scene.healthy(&mut c1(), 2.0, 400.0);
}

/// The PBX ends the connection of a phone whenever it was idle for 40 s; 20 s later the phone begins anew, under another Call-ID.
fn tcp_connections_anew(scene: &mut Scene) {
    let pbx = scene.pbx.outer;
    begun_anew(scene).for_each(|(at, phone)| scene.hang_up(at + 40.0, pbx, phone.outer));
    scene.healthy(&mut c1(), 2.0, 400.0);
}

/// A phone is restarted each minute: it ends its connection, and is back after 20 s.
fn tcp_restarts(scene: &mut Scene) {
    let pbx = scene.pbx.outer;
    begun_anew(scene).for_each(|(at, phone)| scene.hang_up(at + 40.0, phone.outer, pbx));
    scene.healthy(&mut c1(), 2.0, 400.0);
}

/// A phone registers each minute, under another Call-ID and from another port, as if it had never been there. Returns when and as whom.
fn begun_anew(scene: &mut Scene) -> impl Iterator<Item = (f64, Agent)> + use<> {
    let register = |(nth, at): (usize, f64)| {
        let port = 40_001 + nth as u16;
        let mut phone = a1().over_tcp().expiring(3600);
        phone.outer.set_port(port);
        phone.written.set_port(port);
        scene.reg_ok(at, &mut phone);
        (at, phone)
    };
    times(1.0, 60.0, 400.0).enumerate().map(register).collect::<Vec<_>>().into_iter()
}

/// The PBX ends the connection of a phone with two lines whenever it was idle for 40 s; the phone notices 20 s later.
fn tcp_lines_end(scene: &mut Scene) {
    let (mut lines, pbx) = (two_lines(), scene.pbx.outer);
    for at in times(1.0, 60.0, 400.0) {
        let source = connect(scene, at, &mut lines);
        scene.hang_up(at + 40.0, pbx, source);
    }
    scene.healthy(&mut c1(), 2.0, 400.0);
}

/// A phone with two lines opens another connection for both of them each minute, and then ends the one before.
fn tcp_lines_renewed(scene: &mut Scene) {
    let (mut lines, pbx) = (two_lines(), scene.pbx.outer);
    let mut before = connect(scene, 1.0, &mut lines);
    for at in times(61.0, 60.0, 400.0) {
        let source = connect(scene, at, &mut lines);
        scene.hang_up(at + 2.0, before, pbx);
        before = source;
    }
    scene.healthy(&mut c1(), 2.0, 400.0);
}

/// Two lines of a phone over TCP.
fn two_lines() -> [Agent; 2] {
    let line = a1().over_tcp().expiring(3600);
    [line.clone(), Agent { user: "1009".to_owned(), ..line }]
}

/// Both lines register over another connection. Returns where it comes from.
fn connect(scene: &mut Scene, at: f64, lines: &mut [Agent; 2]) -> SocketAddr {
    for (line, at) in lines.iter_mut().zip([at, at + 0.5]) {
        line.outer.set_port(line.outer.port() + 1);
        scene.refresh(at, line);
    }
    lines[0].outer
}

/// Four phones over TCP; the PBX crashes, which ends their connections, and is started again after minutes in which its host refuses some
/// connections and then is silent.
fn pbx_dead_tcp(scene: &mut Scene) {
    let pbx = scene.pbx.outer;
    for index in 0..4_u8 {
        let mut phone = site_phone(index);
        let begin = f64::from(index);
        healthy(scene, &mut phone, 1.0 + begin, 280.0);
        scene.hang_up(290.0, pbx, phone.outer);
        for (nth, at) in times(295.0 + begin, 15.0, 410.0).enumerate() {
            let port = 30_000 + nth as u16;
            match nth {
                0..2 => refuse(scene, at, &phone, port),
                _ => ask_in_vain(scene, at, &phone, port),
            }
        }
        phone.outer.set_port(phone.outer.port() + 100);
        scene.refresh(420.0 + begin, &mut phone);
    }
}

/// The same phones at a PBX that has nothing to say for minutes, and of which one asks in vain for a second connection.
fn pbx_quiet_tcp(scene: &mut Scene) {
    for index in 0..4_u8 {
        let mut phone = site_phone(index).expiring(900);
        let begin = f64::from(index);
        healthy(scene, &mut phone, 1.0 + begin, 100.0);
        if index == 0 {
            times(150.0, 15.0, 400.0).enumerate().for_each(|(nth, at)| ask_in_vain(scene, at, &phone, 30_000 + nth as u16));
        }
        scene.refresh(451.0 + begin, &mut phone);
    }
}

/// The PBX goes on over UDP, with a phone that has little to say, and takes no TCP connections any more.
fn tcp_service_off(scene: &mut Scene) {
    let pbx = scene.pbx.outer;
    scene.reg_ok(0.5, &mut c1().expiring(3600));
    for index in 0..4_u8 {
        let mut phone = site_phone(index);
        healthy(scene, &mut phone, 1.0 + f64::from(index), 100.0);
        scene.hang_up(110.0, pbx, phone.outer);
        for (nth, at) in times(115.0 + f64::from(index), 15.0, 300.0).enumerate() {
            refuse(scene, at, &phone, 30_000 + nth as u16);
        }
    }
    scene.reg_ok(302.0, &mut c1().expiring(3600));
}

/// A filter before the PBX drops all TCP from some time on, and lets UDP pass.
fn tcp_filtered(scene: &mut Scene) {
    scene.healthy(&mut c1(), 0.5, 400.0);
    for index in 0..3_u8 {
        let mut phone = site_phone(index);
        healthy(scene, &mut phone, 1.0 + f64::from(index), 100.0);
        for (nth, at) in times(135.0 + f64::from(index), 30.0, 330.0).enumerate() {
            ask_in_vain(scene, at, &phone, 30_000 + nth as u16);
        }
    }
}

/// A phone of a site of its own, over TCP.
fn site_phone(index: u8) -> Agent {
    let (user, local) = ((1100 + u16::from(index)).to_string(), format!("192.168.7.{}:5060", 20 + index));
    Agent::phone(&user, Brand::Yealink, &local, &format!("198.51.100.{}:{}", 20 + index, 41_000 + u16::from(index))).over_tcp()
}

/// Two phones over TCP lose their connections; one comes back after a minute, the other asks for new ones and none is answered.
fn tcp_blocked(scene: &mut Scene) {
    let (mut blocked, mut other) = (a1().over_tcp(), b1().over_tcp());
    let pbx = scene.pbx.outer;
    for phone in [&mut blocked, &mut other] {
        healthy(scene, phone, 1.0, 100.0);
        scene.hang_up(110.0, pbx, phone.outer);
        phone.outer.set_port(phone.outer.port() + 1);
    }
    healthy(scene, &mut other, 175.0, 400.0);
    scene.healthy(&mut c1(), 2.0, 400.0);
    times(115.0, 30.0, 250.0).enumerate().for_each(|(nth, at)| ask_in_vain(scene, at, &blocked, 30_000 + nth as u16));
}

/// A phone that is set to TCP at a PBX that serves UDP alone, and whose host drops what it does not serve.
fn tcp_not_served(scene: &mut Scene) {
    times(20.0, 30.0, 200.0).enumerate().for_each(|(nth, at)| ask_in_vain(scene, at, &a1(), 30_000 + nth as u16));
    scene.healthy(&mut c1(), 2.0, 300.0);
    scene.healthy(&mut b1(), 3.0, 300.0);
}

/// A phone over UDP tries TCP for its large INVITEs, is refused, and sends them over UDP all the same.
fn tcp_tried_beside_udp(scene: &mut Scene) {
    let (mut caller, mut callee) = (a1(), b1());
    scene.healthy(&mut caller, 1.0, 400.0);
    scene.healthy(&mut callee, 2.0, 400.0);
    for (nth, at) in times(20.0, 120.0, 300.0).enumerate() {
        refuse(scene, at, &caller, 30_000 + nth as u16);
        Bridge::new(scene, &caller, &callee).ordinary(scene, at + 0.3, 3.0, 20.0 + nth as f64 * 7.0, Side::Caller);
    }
}

/// The same phone, which does not: its calls never come.
fn tcp_tried_for_calls(scene: &mut Scene) {
    let (mut caller, mut callee) = (a1(), b1());
    scene.healthy(&mut caller, 1.0, 400.0);
    scene.healthy(&mut callee, 2.0, 400.0);
    times(20.0, 120.0, 300.0).enumerate().for_each(|(nth, at)| refuse(scene, at, &caller, 30_000 + nth as u16));
}

/// The PBX refuses a TCP connection from a port of `client`'s address.
fn refuse(scene: &mut Scene, at: f64, client: &Agent, port: u16) {
    let (mut source, server) = (client.outer, scene.pbx.outer);
    source.set_port(port);
    Stream::refused(scene, at, source, server);
}
