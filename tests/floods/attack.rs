//! The floods, each a way to make something new with every packet.

use std::net::SocketAddr;

use crate::parsing;
use crate::site;
use crate::support::wire::{Link, Protocol, datagram, flag, port_unreachable};
use crate::wire::{Packets, pbx, socket, stranger};

/// What is sent again and again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Attack {
    CallIds,
    Tags,
    Branches,
    Aors,
    AorsRefused,
    AorsChallenged,
    Passwords,
    SelfRegistered,
    Contacts,
    Sources,
    Tools,
    OptionsAnswered,
    Ringing,
    SelfAnswered,
    TollFraud,
    Subscriptions,
    Methods,
    Responses,
    Byes,
    ForgedTool,
    Icmp,
    Keepalives,
    Fragments,
    Overlaps,
    Syns,
    TalkingConnections,
    HalfMessages,
    Gaps,
    WebSockets,
    LongHeaders,
    ManyHeaders,
    Vias,
    Sdp,
    Reasons,
    Findings,
    Tunnels,
}

/// A request of a stranger whose identifying parts are as given.
pub(crate) fn request(method: &str, user: &str, name: &str, branch: &str, tag: &str, extra: &str) -> Vec<u8> {
    format!(
        "{method} sip:{user}@pbx.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.19.0.1:5060;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@pbx.example.com>;tag={tag}\r\nTo: <sip:{user}@pbx.example.com>\r\nCall-ID: {name}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:{user}@198.19.0.1>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// What the PBX says to such a request.
pub(crate) fn response(request: &[u8], status: &str, extra: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(request).into_owned();
    let headers = text.split_once("\r\n").map_or("", |(_, headers)| headers);
    format!("SIP/2.0 {status}\r\n{extra}{}", headers.replacen("com>\r\nCall-ID", "com>;tag=pbx\r\nCall-ID", 1)).into_bytes()
}

fn challenge(nonce: usize) -> String {
    format!("WWW-Authenticate: Digest realm=\"asterisk\", nonce=\"n{nonce}\"\r\n")
}

fn credentials(user: &str, nonce: usize) -> String {
    format!("Authorization: Digest username=\"{user}\", realm=\"asterisk\", nonce=\"n{nonce}\", uri=\"sip:x\", response=\"00\"\r\n")
}

impl Attack {
    /// The phone under whose name it is done, which is told of what is done under its name.
    pub(crate) fn victim(self) -> Option<usize> {
        matches!(self, Self::Passwords | Self::SelfRegistered).then_some(10)
    }

    /// The packets of step `n`.
    pub(crate) fn step(self, n: usize, out: &mut Packets) {
        let id = format!("f{n}");
        let ask = |method: &str| request(method, "100", &id, &id, &id, "");
        match self {
            Self::CallIds => out.udp(stranger(n % 7), pbx(), &ask("INVITE")),
            Self::Tags => out.udp(stranger(0), pbx(), &request("INVITE", "100", "one", &id, &id, "")),
            Self::Branches => out.udp(stranger(0), pbx(), &request("OPTIONS", "100", "one", &id, "t", "")),
            Self::Aors => out.udp(stranger(n), pbx(), &request("REGISTER", &id, &id, &id, "t", "")),
            Self::AorsRefused => exchange(out, stranger(n), &request("REGISTER", &id, &id, &id, "t", ""), "403 Forbidden", ""),
            Self::AorsChallenged => {
                exchange(out, stranger(n), &request("REGISTER", &id, &id, &id, "t", ""), "401 Unauthorized", &challenge(n));
            }
            Self::Passwords => guess(out, stranger(n), &site::phone(10).user, n),
            Self::SelfRegistered => {
                // Its own user, a device of a real one, and none of that one's any more.
                let victim = site::phone(10).user;
                let user = if n.is_multiple_of(3) { &id } else { &victim };
                let mut register = request("REGISTER", user, &id, &id, "t", "Expires: 3600\r\n");
                if n % 3 == 2 {
                    let all = format!("Contact: <sip:{user}@198.19.0.1>\r\nExpires: 3600");
                    register = String::from_utf8_lossy(&register).replace(&all, "Contact: *\r\nExpires: 0").into_bytes();
                }
                self_answered(out, stranger(n), &register, "200 OK");
            }
            Self::SelfAnswered => self_answered(out, stranger(n), &ask("INVITE"), "200 OK"),
            Self::Contacts => {
                let contacts: String =
                    (0..20).map(|port| format!("Contact: <sip:100@198.19.0.1:{}>\r\n", 2_000 + (n * 20 + port) % 60_000)).collect();
                exchange(out, stranger(0), &request("REGISTER", "100", "c", &id, "t", &contacts), "200 OK", "Expires: 60\r\n");
            }
            Self::Sources => out.udp(socket(n), pbx(), &ask("OPTIONS")),
            Self::Tools => {
                let agent = "User-Agent: friendly-scanner\r\n";
                exchange(out, stranger(n), &request("OPTIONS", "100", &id, &id, "t", agent), "404 Not Found", "");
            }
            Self::OptionsAnswered => exchange(out, socket(n), &ask("OPTIONS"), "200 OK", ""),
            Self::Ringing => {
                let invite = ask("INVITE");
                exchange(out, stranger(n), &invite, "100 Trying", "");
                out.answer(stranger(n), &response(&invite, "180 Ringing", ""));
            }
            Self::TollFraud => {
                let number = format!("00972{n:08}");
                exchange(out, stranger(n % 400), &request("INVITE", &number, &id, &id, &id, ""), "404 Not Found", "");
            }
            Self::Subscriptions => {
                let subscribe = request("SUBSCRIBE", "100", &id, &id, &id, "Event: message-summary\r\nExpires: 3600\r\n");
                exchange(out, stranger(n), &subscribe, "489 Bad Event", "");
            }
            Self::Methods => out.udp(stranger(n), pbx(), &request(&format!("M{n}X"), "100", &id, &id, "t", "")),
            Self::Responses => {
                let answer = response(&ask("INVITE"), "200 OK", "");
                out.udp(stranger(n), pbx(), &answer);
            }
            Self::Byes => out.udp(
                stranger(n),
                pbx(),
                &String::from_utf8_lossy(&ask("BYE")).replace("com>\r\nCall", "com>;tag=x\r\nCall").into_bytes(),
            ),
            Self::ForgedTool => {
                let mut source = site::phone(7 + n % 13).outer;
                source.set_port(9_999);
                exchange(out, source, &request("OPTIONS", "100", &id, &id, "t", "User-Agent: friendly-scanner\r\n"), "200 OK", "");
            }
            Self::Icmp => {
                let quoted = out.datagram(pbx(), stranger(n), &ask("OPTIONS")).swap_remove(0);
                out.ip(stranger(n), pbx(), Protocol::Icmp, &port_unreachable(&quoted));
            }
            Self::Keepalives => out.udp(socket(n), pbx(), b"\r\n\r\n"),
            Self::Fragments | Self::Overlaps => self.fragments(n, out),
            Self::Syns | Self::TalkingConnections | Self::HalfMessages | Self::Gaps | Self::WebSockets => self.segments(n, out),
            Self::LongHeaders => out.udp(stranger(n), pbx(), &parsing::long_header(n, 60_000)),
            Self::ManyHeaders => out.udp(stranger(n), pbx(), &parsing::many_headers(n, 10_000)),
            Self::Vias => out.udp(stranger(n), pbx(), &parsing::deep_via(n, 1_000)),
            Self::Sdp => out.udp(stranger(n), pbx(), &parsing::long_sdp(n, 4_000)),
            Self::Reasons => exchange(out, stranger(n), &ask("INVITE"), &format!("486 {}", "long ".repeat(2_000)), ""),
            Self::Findings => {
                let user = format!("f{}", n / 3);
                exchange(out, stranger(n / 3), &request("REGISTER", &user, &id, &id, "t", ""), "404 Not Found", "");
            }
            Self::Tunnels => {
                let (phone, number) = (site::phone(n % site::PHONES), format!("{}", n / 10));
                let register = request("REGISTER", &phone.user, &id, &id, "t", &credentials(&phone.user, n));
                let refused = response(&register, "403 Forbidden", "");
                let invite = request("INVITE", &number, &number, &number, "t", "");
                for (from, to, payload) in [(phone.outer, pbx(), register), (pbx(), phone.outer, refused), (phone.outer, pbx(), invite)] {
                    tunnelled(out, stranger(n), n, &Packets::default().datagram(from, to, &payload).concat());
                }
            }
        }
    }

    fn fragments(self, n: usize, out: &mut Packets) {
        let long = request("MESSAGE", "100", &n.to_string(), "b", "t", &format!("X: {}\r\n", "x".repeat(4_000)));
        let pieces = out.datagram(stranger(n), pbx(), &long);
        if self == Self::Fragments {
            // All but the last.
            pieces.iter().take(2).for_each(|piece| out.push(piece));
        } else {
            // The second one twice, and never the first.
            pieces.iter().skip(1).take(1).cycle().take(2).for_each(|piece| out.push(piece));
        }
    }

    fn segments(self, n: usize, out: &mut Packets) {
        let options = request("OPTIONS", "100", &n.to_string(), &n.to_string(), "t", "");
        match self {
            Self::Syns => out.tcp(socket(n), 1, flag::SYN, b""),
            Self::TalkingConnections => out.tcp(socket(n), 2, flag::ACK | flag::PSH, &options[..60]),
            Self::HalfMessages => {
                let body = "b".repeat(1_300);
                let half = request("MESSAGE", "100", "half", "half", "t", &format!("Content-Length: 1000000\r\n\r\n{body}"));
                out.tcp(socket(n), 2, flag::ACK | flag::PSH, &half[..1_300]);
                (1..4).for_each(|part| out.tcp(socket(n), 2 + part * 1_300, flag::ACK | flag::PSH, body.as_bytes()));
            }
            Self::Gaps => {
                let source = socket(n / 60);
                if n.is_multiple_of(60) {
                    out.tcp(source, 1, flag::SYN, b"");
                }
                out.tcp(source, 1_000 + (n % 60 * 3_000) as u32, flag::ACK | flag::PSH, &[b'g'; 1_400]);
            }
            _ => {
                let hello = "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
                out.tcp(socket(n), 1, flag::SYN, b"");
                out.tcp(socket(n), 2, flag::ACK | flag::PSH, hello.as_bytes());
                // A frame that says it is eight exabytes long.
                let frame = [&[0x82, 0xff, 0x7f][..], &[0xff; 7], &[0; 4], &options].concat();
                out.tcp(socket(n), 2 + hello.len() as u32, flag::ACK | flag::PSH, &frame);
            }
        }
    }
}

/// A request, and what the PBX says to it.
fn exchange(out: &mut Packets, source: SocketAddr, request: &[u8], status: &str, extra: &str) {
    out.udp(source, pbx(), request);
    out.answer(source, &response(request, status, extra));
}

/// A request, and what its sender says to it in the name of the PBX.
fn self_answered(out: &mut Packets, source: SocketAddr, request: &[u8], status: &str) {
    out.udp(source, pbx(), request);
    out.udp(source, pbx(), &response(request, status, ""));
}

/// A packet in one of the tunnels that siphound can read, sent to the PBX.
fn tunnelled(out: &mut Packets, source: SocketAddr, n: usize, packet: &[u8]) {
    let frame = Link::Ethernet.frame(packet);
    let gre = |header: &[u8], inside: &[u8]| (Protocol::Gre, [header, inside].concat());
    let udp = |port: u16, header: &[u8], inside: &[u8]| {
        let destination = SocketAddr::new(pbx().ip(), port);
        (Protocol::Udp, datagram(source, destination, &[header, inside].concat()))
    };
    let (protocol, payload) = match n % 6 {
        0 => udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &frame),
        1 => udp(2152, &[0x30, 0xff, 0, 0, 0, 0, 0, 1], packet),
        2 => gre(&[0, 0, 8, 0], packet),
        3 => gre(&[0, 0, 0x65, 0x58], &frame),
        4 => gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &frame),
        _ => (Protocol::IpInIp, packet.to_vec()),
    };
    out.ip(source, pbx(), protocol, &payload);
}

/// A challenge and a wrong password.
fn guess(out: &mut Packets, source: SocketAddr, user: &str, n: usize) {
    let (first, second) = (format!("{n}a"), format!("{n}b"));
    exchange(out, source, &request("REGISTER", user, &first, &first, "t", ""), "401 Unauthorized", &challenge(n));
    let again = request("REGISTER", user, &first, &second, "t", &credentials(user, n));
    let again = String::from_utf8_lossy(&again).replace("CSeq: 1", "CSeq: 2").into_bytes();
    exchange(out, source, &again, "401 Unauthorized", &challenge(n + 1_000_000));
}
