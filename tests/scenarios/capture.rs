//! The server, strangers, and the capture itself.

use super::calls::call_ok_auth;
use super::scenarios;
use crate::support::agent::address;
use crate::support::agent::cast::{a1, a2, b1, c1, l1, scanner};
use crate::support::call::{Bridge, Plan};
use crate::support::scene::schedule;
use crate::support::stream::Stream;
use crate::support::upkeep::times;
use crate::support::wire::{Link, Protocol, port_unreachable};
use crate::support::{Agent, Brand, Leg, Message, Scene, Side};

scenarios! {
    "server-outage" => server_outage,
    "db-slow" => db_slow,
    "scanner" => scanner_sweep,
    "any-dup" => any_dup,
    "one-way" => one_way,
    "one-way-to-the-end" => one_way_to_the_end,
    "one-way-mended" => one_way_mended,
    "clock-step" => clock_step,
    "expiry-on-a-quiet-pbx" => expiry_on_a_quiet_pbx,
    "torture" => torture,
    "wrong-port" => wrong_port,
    "cut-file" => cut_file,
    "snaplen-cut" => snaplen_cut,
    "vlan" => vlan,
    "icmp-unreachable" => icmp_unreachable,
    "quiet-day" => quiet_day,
    "quiet-night" => quiet_night,
}

fn server_outage(scene: &mut Scene) {
    let pbx = scene.pbx.clone();
    for (index, mut phone) in [a1(), a2(), b1(), c1()].into_iter().enumerate() {
        let offset = index as f64 * 0.5;
        phone.expires = 200;
        scene.healthy(&mut phone, offset, 100.0);
        scene.keepalives(&phone, 100.0 + offset, 20.0, 145.0);
        let refresh = scene.register_message(&mut phone);
        scene.repeat(100.0 + offset, &schedule::CAPPED, &phone, &pbx, &refresh);
        scene.healthy(&mut phone, 145.0 + offset, 240.0);
    }
    Leg::new(scene, &b1(), &pbx, "2001", "1001").invite_repeated(scene, 102.0, &schedule::INVITE, &[]);
    // Something else keeps the capture alive: two phones that talk to each other without the PBX.
    for at in times(1.0, 2.0, 240.0) {
        scene.udp(at, l1().outer, address("203.0.113.61:5060"), b"\r\n\r\n");
    }
    // From 100 to 140 the PBX says nothing; the REGISTERs of that time stay unanswered.
    scene.keep(|shot| !(shot.source == pbx.outer && (99.9..140.0).contains(&shot.at)));
}

fn db_slow(scene: &mut Scene) {
    let mut phones: Vec<Agent> = (0..6)
        .map(|index| {
            let local = format!("192.168.{index}.20:5060");
            Agent::phone(&(4000 + index).to_string(), Brand::Yealink, &local, &format!("198.18.{index}.1:40000")).expiring(50)
        })
        .collect();
    for (index, phone) in phones.iter_mut().enumerate() {
        for (round, at) in times(index as f64 * 4.0, 25.0, 600.0).enumerate() {
            phone.nonce = None;
            scene.reg_rejected(at, phone, 401);
            let request = scene.register(at + 0.04, phone);
            let took = if at < 300.0 { 0.015 } else { 1.8 + (round % 3) as f64 * 0.01 };
            if took > 0.5 {
                let pbx = scene.pbx.clone();
                scene.repeat(at + 0.04, &[0.5, 1.5], phone, &pbx, &request);
            }
            scene.accept(at + 0.04 + took, phone, &request, &[]);
        }
        for at in times(12.0 + index as f64 * 4.0, 60.0, 600.0) {
            options_to_pbx(scene, at, phone);
        }
        // Calls are begun as quickly as ever.
        let pbx = scene.pbx.clone();
        for at in times(14.0 + index as f64 * 4.0, 60.0, 560.0) {
            let talk = 12.0 + scene.random.unit() * 40.0;
            let plan = Plan { invite: at, ring: at + 0.3, answer: at + 3.0, bye: at + 3.0 + talk, bye_by: Side::Caller };
            Leg::new(scene, phone, &pbx, &phone.user, "900").ordinary(scene, plan);
        }
    }
}

/// OPTIONS of a phone, answered by the PBX 4 ms later.
fn options_to_pbx(scene: &mut Scene, at: f64, phone: &Agent) {
    let pbx = scene.pbx.clone();
    let request = options(scene, phone);
    scene.send(at, phone, &pbx, &request);
    let tag = pbx.tag(&mut scene.random);
    let response = pbx.introduce(request.response(200, phone.outer, &tag));
    scene.send(at + 0.004, &pbx, phone, &response);
}

fn scanner_sweep(scene: &mut Scene) {
    let source = scanner();
    let mut phone = a1();
    scene.healthy(&mut phone, 0.0, 120.0);
    for index in 0..51 {
        let mut guess = Agent { user: (100 + index).to_string(), ..source.clone() };
        guess.domain = "203.0.113.10".to_owned();
        scene.reg_rejected(30.0 + f64::from(index) * 0.4, &mut guess, 401);
    }
}

/// The host translates to a container and captures both sides.
fn any_dup(scene: &mut Scene) {
    scene.link = Link::Cooked;
    call_ok_auth(scene);
    let inside = address("172.17.0.2:5060");
    let pbx = scene.pbx.outer;
    let copies: Vec<(f64, _, _, Vec<u8>)> = scene
        .shots
        .iter()
        .map(|shot| {
            let swap = |address| if address == pbx { inside } else { address };
            let payload = shot.packet[28..].to_vec();
            // What comes in is seen outside first, what goes out inside first.
            let delay = if shot.destination == pbx { 0.000_1 } else { -0.000_1 };
            (shot.at + delay, swap(shot.source), swap(shot.destination), payload)
        })
        .collect();
    for (at, source, destination, payload) in copies {
        scene.udp(at, source, destination, &payload);
    }
}

fn one_way(scene: &mut Scene) {
    let phones = [a1(), b1(), c1()];
    for (index, mut phone) in phones.into_iter().enumerate() {
        scene.healthy(&mut phone, index as f64, 300.0);
        let pbx = scene.pbx.clone();
        let mut leg = Leg::new(scene, &phone, &pbx, &phone.user, "900");
        let at = 20.0 + index as f64 * 30.0;
        leg.invite(scene, at, &[]);
        leg.challenge(scene, at + 0.005);
        leg.invite(scene, at + 0.04, &[]);
        leg.answer(scene, at + 5.0, &[]);
        leg.bye(scene, at + 65.0, Side::Caller);
    }
    let pbx = scene.pbx.outer;
    scene.keep(|shot| shot.destination == pbx);
}

/// Phones whose port is captured in one direction alone. They are challenged in the first minutes and then refresh with what they hold, so
/// that nothing shows any more what is missing. The PBX is seen from `until` on.
fn seldom_challenged(scene: &mut Scene, until: f64) {
    for (index, phone) in [a1(), b1(), c1()].into_iter().enumerate() {
        let mut phone = phone.expiring(120);
        for at in times(index as f64, 60.0, 250.0) {
            scene.reg_ok(at, &mut phone);
        }
        scene.keepalives(&phone, 260.0, 20.0, 3000.0);
        for at in times(300.0 + index as f64, 60.0, 3000.0) {
            scene.qualify(at, &phone);
        }
    }
    let pbx = scene.pbx.outer;
    scene.keep(|shot| shot.destination == pbx || shot.at >= until);
}

/// What the PBX sends is never captured.
fn one_way_to_the_end(scene: &mut Scene) {
    seldom_challenged(scene, f64::MAX);
}

/// The mirror is mended after a while.
fn one_way_mended(scene: &mut Scene) {
    seldom_challenged(scene, 900.0);
}

fn clock_step(scene: &mut Scene) {
    for (index, mut phone) in [a1(), b1()].into_iter().enumerate() {
        scene.healthy(&mut phone, index as f64, 600.0);
    }
    scene.step_clock(310.5, -3600.0);
}

/// Phones that nobody asks for and that send no keep-alives: only now and then one registers. One of them is unplugged.
fn expiry_on_a_quiet_pbx(scene: &mut Scene) {
    for (phone, from, until) in [(a1(), 0.0, 301.0), (b1(), 60.0, 1800.0), (c1(), 110.0, 1800.0)] {
        let mut phone = phone.expiring(300);
        scene.reg_ok(from, &mut phone);
        for at in times(from + 150.0, 150.0, until) {
            scene.refresh(at, &mut phone);
        }
    }
}

fn wrong_port(scene: &mut Scene) {
    let (phone, pbx) = (b1(), scene.pbx.clone());
    for (index, at) in [10.0, 20.0, 30.0].into_iter().enumerate() {
        let mut client = phone.outer;
        client.set_port(50_000 + index as u16);
        Stream::refused(scene, at, client, pbx.outer);
    }
    let mut client = phone.outer;
    client.set_port(50_010);
    let hello = [&[0x16, 3, 1, 0, 0x2e, 1, 0, 0, 0x2a, 3, 3][..], &[0x55; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0]].concat();
    scene.stream(40.1, client, pbx.outer, &[&hello]);
    scene.hang_up(41.0, client, pbx.outer);
    scene.healthy(&mut c1(), 1.0, 80.0);
}

fn cut_file(scene: &mut Scene) {
    call_ok_auth(scene);
    scene.cut(100);
}

fn snaplen_cut(scene: &mut Scene) {
    call_ok_auth(scene);
    scene.snap(400);
}

fn vlan(scene: &mut Scene) {
    scene.link = Link::Vlan(42);
    call_ok_auth(scene);
}

/// A phone that was switched off: its host says that nobody listens.
fn icmp_unreachable(scene: &mut Scene) {
    let mut phone = l1();
    scene.reg_ok(0.0, &mut phone);
    scene.healthy(&mut c1(), 1.0, 120.0);
    let pbx = scene.pbx.clone();
    let options = scene.qualify_message(&phone).to_bytes(pbx.spelling());
    for offset in schedule::QUALIFY_CHAN_SIP {
        scene.udp(60.0 + offset, pbx.outer, phone.outer, &options);
        let quoted = scene.shots.last().map(|shot| shot.packet.clone()).unwrap_or_default();
        scene.ip(60.001 + offset, phone.outer, pbx.outer, Protocol::Icmp, &port_unreachable(&quoted));
    }
}

/// Fifty phones behind five NATs and two hundred ordinary calls among them, in half an hour.
fn quiet_day(scene: &mut Scene) {
    let brands = [Brand::Yealink, Brand::Snom, Brand::Grandstream, Brand::Gigaset];
    let mut phones: Vec<Agent> = (0..50)
        .map(|index| {
            let (site, place) = (index % 5, index / 5);
            let local = format!("192.168.{site}.{}:5060", 20 + place);
            let outer = format!("198.18.{site}.1:{}", 40_000 + place);
            Agent::phone(&(5000 + index).to_string(), brands[index % 4], &local, &outer).expiring(1800)
        })
        .collect();
    for (index, phone) in phones.iter_mut().enumerate() {
        let start = index as f64 * 0.6;
        scene.reg_ok(start, phone);
        scene.refresh(start + 900.0, phone);
        scene.keepalives(phone, start + 25.0, 25.0, 1800.0);
        for at in times(start + 40.0, 300.0, 1800.0) {
            scene.qualify(at, phone);
        }
    }
    // Each turn 25 pairs talk, so that nobody is in two calls at once.
    for turn in 0..8_usize {
        for pair in 0..25_usize {
            let (caller, callee) = (&phones[pair], &phones[25 + (pair + turn * 3) % 25]);
            let at = 60.0 + turn as f64 * 210.0 + pair as f64 * 1.3;
            ordinary_call(scene, at, caller, callee);
        }
    }
}

/// Three phones send keep-alives for a quarter of an hour, which nobody has to answer; then they are refreshed as ever.
fn quiet_night(scene: &mut Scene) {
    for (index, phone) in [a1(), b1(), c1()].into_iter().enumerate() {
        let mut phone = phone.expiring(1800);
        let start = index as f64;
        scene.reg_ok(start, &mut phone);
        scene.keepalives(&phone, start + 15.0, 15.0, 950.0);
        scene.refresh(start + 900.0, &mut phone);
    }
}

/// A call as people make them: most are answered, some not.
fn ordinary_call(scene: &mut Scene, at: f64, caller: &Agent, callee: &Agent) {
    let ring = 2.0 + scene.random.unit() * 10.0;
    let talk = 15.0 + scene.random.unit() * 120.0;
    let by = if scene.random.below(2) == 0 { Side::Caller } else { Side::Callee };
    let mut bridge = Bridge::new(scene, caller, callee);
    match scene.random.below(20) {
        0 => {
            bridge.invite(scene, at);
            bridge.b.invite(scene, at + 0.05, &[]);
            bridge.b.fail(scene, at + 0.2, 486, &[]);
            bridge.a.fail(scene, at + 0.21, 486, &[("Reason", "Q.850;cause=17")]);
        }
        1 => {
            bridge.ring(scene, at);
            bridge.a.cancel(scene, at + 20.0, &[]);
            bridge.b.cancel(scene, at + 20.01, &[]);
        }
        _ => bridge.ordinary(scene, at, ring, talk, by),
    }
}

/// Messages that are hard to read, among good ones.
fn torture(scene: &mut Scene) {
    let (phone, pbx) = (a1(), scene.pbx.clone());
    for (index, bytes) in TORTURE.iter().enumerate() {
        scene.udp(1.0 + index as f64, phone.outer, pbx.outer, bytes);
    }
    // Two requests in one datagram.
    let mut leg = Leg::new(scene, &phone, &pbx, "1001", "2001");
    let mut pair = options(scene, &phone).to_bytes(phone.spelling());
    pair.extend(options(scene, &phone).to_bytes(phone.spelling()));
    scene.udp(30.0, phone.outer, pbx.outer, &pair);
    // A call over TCP, its INVITE in three segments; the capture joins in the middle of an earlier message.
    let remote = b1().over_tcp();
    let ping = options(scene, &remote).to_bytes(remote.spelling());
    scene.stream(40.0, remote.outer, pbx.outer, &[&ping[..60], &ping[60..]]);
    let next = options(scene, &remote).to_bytes(remote.spelling());
    scene.stream(41.0, remote.outer, pbx.outer, &[&next[..30], &next[30..200], &next[200..]]);
    // The datagrams before are followed by an ordinary call.
    leg.invite(scene, 50.0, &[]);
    leg.progress(scene, 50.2, 180);
    leg.answer(scene, 52.0, &[]);
    leg.bye(scene, 70.0, Side::Caller);
    scene.keep(|shot| !(39.9..40.000_1).contains(&shot.at));
}

/// An OPTIONS of a phone to the PBX, not sent.
fn options(scene: &mut Scene, phone: &Agent) -> Message {
    let random = &mut scene.random;
    let request = Message::request("OPTIONS", "sip:pbx.example.com")
        .with("Via", phone.via(random))
        .with("Max-Forwards", "70")
        .with("From", format!("<{}>;tag={}", phone.aor(), phone.tag(random)))
        .with("To", "<sip:pbx.example.com>")
        .with("Call-ID", phone.call_id(random))
        .with("CSeq", "1 OPTIONS");
    phone.introduce(request)
}

/// Datagrams in the spirit of RFC 4475 and RFC 5118, each an OPTIONS or nothing at all.
const TORTURE: [&[u8]; 10] = [
    // Folded and oddly spaced headers, mixed case, compact forms, LF line ends: valid after all.
    b"OPTIONS sip:vivekg@chair.example.com;unknownparam SIP/2.0\r\nTO :\r\n sip:vivekg@chair.example.com ;   tag    = 1918181833n\r\n\
      from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\nMaX-fOrWaRdS: 0068\r\n\
      Call-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 0\r\ncseq: 0009\r\n  OPTIONS\r\n\
      Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=z9hG4bKwsinv1\r\n\r\n",
    b"OPTIONS sip:user@example.com SIP/2.0\nv: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKlf1\nf: <sip:a@example.com>;tag=1\n\
      t: <sip:user@example.com>\ni: lf.only@192.0.2.1\nCSeq: 1 OPTIONS\nl: 0\n\n",
    // Eight-bit bytes and escaped NUL in a display name.
    b"OPTIONS sip:null-%00-null@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKesc1\r\n\
      From: \"\xc3\xa9\xff\" <sip:null-%00-null@example.com>;tag=8\r\nTo: <sip:x@example.com>\r\nCall-ID: esc.1@192.0.2.1\r\n\
      CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
    // A CSeq and a Content-Length beyond all numbers.
    b"OPTIONS sip:user@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKbig1\r\nFrom: <sip:a@example.com>;tag=1\r\n\
      To: <sip:user@example.com>\r\nCall-ID: big.1@192.0.2.1\r\nCSeq: 36893488147419103232 OPTIONS\r\n\
      Max-Forwards: 300\r\nContent-Length: 99999999999999999999\r\n\r\n",
    // A negative Content-Length.
    b"OPTIONS sip:user@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKneg1\r\nFrom: <sip:a@example.com>;tag=1\r\n\
      To: <sip:user@example.com>\r\nCall-ID: neg.1@192.0.2.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: -999\r\n\r\n",
    // Several Vias in one line, an IPv6 literal without brackets.
    b"OPTIONS sip:user@[2001:db8::10] SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKv61, \
      SIP/2.0/UDP 192.0.2.3;branch=z9hG4bKv62\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:user@[2001:db8::10]>\r\n\
      Call-ID: v6.1@192.0.2.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
    // A method nobody knows.
    b"NEWMETHOD sip:user@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKnew1\r\nFrom: <sip:a@example.com>;tag=1\r\n\
      To: <sip:user@example.com>\r\nCall-ID: new.1@192.0.2.1\r\nCSeq: 1 NEWMETHOD\r\nContent-Length: 0\r\n\r\n",
    // No headers at all.
    b"OPTIONS sip:user@example.com SIP/2.0\r\n\r\n",
    // A tel: URI.
    b"OPTIONS tel:+49301234 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKtel1\r\nFrom: <tel:+49301>;tag=1\r\n\
      To: <tel:+49301234>\r\nCall-ID: tel.1@192.0.2.1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
    // Not SIP: SSDP looks like it and is none.
    b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: upnp:rootdevice\r\nNTS: ssdp:alive\r\n\r\n",
];
