use proptest::prelude::*;

use super::*;
use crate::decode::testing::{address, ethernet, fragments, ipv4, tcp, udp};

const A: &str = "198.51.100.7:40001";
const B: &str = "203.0.113.10:5060";
const PAYLOAD: &[u8] = b"OPTIONS sip:x SIP/2.0\r\n\r\n";

fn payload(link: LinkType, bytes: &[u8]) -> Result<(Hop, &[u8]), Skip> {
    match dissect(link, bytes, Tunnels::ALL)? {
        Packet { hop, content: Content::Udp(datagram) } => Ok((hop, datagram.payload)),
        other => panic!("{other:?}"),
    }
}

fn inner() -> Vec<u8> {
    udp(A, B, 1, PAYLOAD)
}

fn assert_found(link: LinkType, bytes: &[u8]) {
    let (hop, found) = payload(link, bytes).unwrap();
    assert_eq!(found, PAYLOAD);
    assert_eq!(hop.source, IpAddr::V4(*address(A).ip()));
}

/// An IPv6 packet.
fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((body.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend([0x20; 32]);
    packet.extend(body);
    packet
}

#[test]
fn each_link_type_leads_to_the_datagram() {
    let ip = inner();
    assert_found(LinkType::RAW, &ip);
    assert_found(LinkType::IPV4, &ip);
    assert_found(LinkType(12), &ip);
    assert_found(LinkType::NULL, &[&[2, 0, 0, 0], &ip[..]].concat());
    assert_found(LinkType::LOOP, &[&[0, 0, 0, 2], &ip[..]].concat());
    assert_found(LinkType::LINUX_SLL, &[&[0; 14][..], &[8, 0], &ip].concat());
    assert_found(LinkType::LINUX_SLL2, &[&[8, 0][..], &[0; 18], &ip].concat());
    assert_found(LinkType::ETHERNET, &ethernet(&[], 0x0800, &ip));
}

#[test]
fn a_cooked_packet_is_read_whatever_hardware_it_came_in_over() {
    for hardware in [1u16, 512, 768, 772, 65_534] {
        let header = [&[0, 0][..], &hardware.to_be_bytes(), &[0; 10], &[8, 0]].concat();
        assert_found(LinkType::LINUX_SLL, &[&header, &inner()[..]].concat());
    }
}

#[test]
fn tags_labels_and_sessions_are_passed_through() {
    let ip = inner();
    let tagged = ethernet(&[0x88a8, 0x8100, 0x8100], 0x0800, &ip);
    assert_found(LinkType::ETHERNET, &tagged);
    assert_eq!(payload(LinkType::ETHERNET, &tagged).unwrap().0.tagging, Tagging::Tagged);
    assert_found(LinkType::ETHERNET, &ethernet(&[], 0x8864, &[&[0x11, 0, 0, 1, 0, 0, 0, 0x21][..], &ip].concat()));
    assert_found(LinkType::ETHERNET, &ethernet(&[], 0x8847, &[&[0, 0, 0x10, 64, 0, 0, 0x11, 64][..], &ip].concat()));
}

/// The datagram in each kind of tunnel.
fn tunnelled() -> Vec<(Tunnel, Vec<u8>)> {
    let ip = inner();
    let frame = ethernet(&[], 0x0800, &ip);
    let (a, b) = (*address(A).ip(), *address(B).ip());
    let gre = |header: &[u8], body: &[u8]| ipv4(b, a, 47, 0, &[header, body].concat());
    let extended = [&[0x34, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0], &ip[..]].concat();
    vec![
        (Tunnel::Ipip, ipv4(b, a, 4, 0, &ip)),
        (Tunnel::Ipip, ipv6(4, &ip)),
        (Tunnel::Gre, gre(&[0, 0, 0x08, 0x00], &ip)),
        (Tunnel::Gre, gre(&[0x20, 0, 0x65, 0x58, 0, 0, 0, 9], &frame)),
        (Tunnel::Erspan, gre(&[0, 0, 0x88, 0xbe], &frame)),
        (Tunnel::Erspan, gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &frame)),
        (Tunnel::Erspan, gre(&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &frame)),
        (Tunnel::Vxlan, udp("192.0.2.1:9", "192.0.2.2:4789", 0, &[&[8, 0, 0, 0, 0, 0, 7, 0], &frame[..]].concat())),
        (Tunnel::Gtp, udp("192.0.2.1:2152", "192.0.2.2:2152", 0, &[&[0x30, 0xff, 0, 0, 0, 0, 0, 1], &ip[..]].concat())),
        (Tunnel::Gtp, udp("192.0.2.1:2152", "192.0.2.2:5060", 0, &extended)),
    ]
}

#[test]
fn tunnels_and_mirrors_lead_to_the_packet_inside() {
    tunnelled().iter().for_each(|(_, packet)| assert_found(LinkType::RAW, packet));
}

#[test]
fn a_tunnel_is_read_where_its_kind_is_believed_and_nowhere_else() {
    for (tunnel, packet) in tunnelled() {
        let alone = Tunnels::NONE.with(tunnel);
        assert!(dissect(LinkType::RAW, &packet, alone).is_ok(), "{tunnel:?}");
        let others = Tunnel::ALL.into_iter().filter(|other| *other != tunnel).collect();
        for tunnels in [Tunnels::NONE, others] {
            assert_eq!(dissect(LinkType::RAW, &packet, tunnels), Err(tunnel.into()));
        }
    }
}

#[test]
fn a_tunnel_in_a_tunnel_needs_both() {
    let (a, b) = (*address(A).ip(), *address(B).ip());
    let mirror = |inside: &[u8]| ipv4(b, a, 47, 0, &[&[0, 0, 0x88, 0xbe][..], &ethernet(&[], 0x0800, inside)].concat());
    for (tunnel, inside) in tunnelled().into_iter().filter(|(tunnel, packet)| *tunnel != Tunnel::Erspan && packet[0] >> 4 == 4) {
        let mirrored = mirror(&inside);
        let (outer, both) = (Tunnels::NONE.with(Tunnel::Erspan), Tunnels::NONE.with(Tunnel::Erspan).with(tunnel));
        assert_eq!(dissect(LinkType::RAW, &mirrored, Tunnels::NONE.with(tunnel)), Err(Skip::Erspan));
        assert_eq!(dissect(LinkType::RAW, &mirrored, outer), Err(tunnel.into()));
        assert!(dissect(LinkType::RAW, &mirrored, both).is_ok());
    }
}

#[test]
fn tags_are_no_tunnels() {
    for tags in [&[0x8100][..], &[0x88a8, 0x8100]] {
        assert!(dissect(LinkType::ETHERNET, &ethernet(tags, 0x0800, &inner()), Tunnels::NONE).is_ok());
    }
}

#[test]
fn what_only_looks_like_a_tunnel_stays_a_datagram() {
    let packet = udp(A, "192.0.2.2:4789", 0, PAYLOAD);
    assert_eq!(payload(LinkType::RAW, &packet).unwrap().1, PAYLOAD);
    assert!(dissect(LinkType::RAW, &packet, Tunnels::NONE).is_ok());
    let (a, b) = (*address(A).ip(), *address(B).ip());
    let signalling = ipv4(a, b, 47, 0, &[0x30, 0x01, 0x88, 0x0b, 0, 4, 0, 1, 0, 0, 0, 0, 0xc0, 0x21, 1, 1]);
    assert_eq!(dissect(LinkType::RAW, &signalling, Tunnels::NONE), Err(Skip::NotIp), "there is no packet in it");
}

#[test]
fn nesting_ends() {
    let (a, b) = (*address(A).ip(), *address(B).ip());
    let deep = (0..30).fold(inner(), |packet, _| ipv4(a, b, 4, 0, &packet));
    assert_eq!(dissect(LinkType::RAW, &deep, Tunnels::ALL), Err(Skip::Malformed));
}

#[test]
fn padding_is_cut_off_and_a_total_length_of_zero_is_taken_as_all() {
    let ip = inner();
    assert_found(LinkType::ETHERNET, &ethernet(&[], 0x0800, &[&ip[..], &[0; 20]].concat()));
    let mut offloaded = ip;
    offloaded[2..4].fill(0);
    assert_found(LinkType::RAW, &offloaded);
}

#[test]
fn ipv6_extension_headers_are_walked() {
    let datagram = &inner()[20..];
    let options = [&[17, 0, 1, 4, 0, 0, 0, 0], datagram].concat();
    let atomic = [&[17, 0, 0, 0, 0, 0, 0, 9], datagram].concat();
    for packet in [ipv6(17, datagram), ipv6(0, &options), ipv6(44, &atomic)] {
        assert_eq!(payload(LinkType::RAW, &packet).unwrap().1, PAYLOAD);
    }
}

#[test]
fn behind_a_fragment_header_there_is_payload_whatever_it_announces() {
    for protocol in [IpNumber::UDP, IpNumber::IPV6_DESTINATION_OPTIONS] {
        let packet = ipv6(44, &[protocol.0, 0, 0, 9, 0, 0, 0, 9, 1, 0, 3, 4, 5, 6, 7, 8]);
        let Content::Fragment(fragment) = dissect(LinkType::RAW, &packet, Tunnels::ALL).unwrap().content else { panic!("a fragment") };
        let payload = &[1, 0, 3, 4, 5, 6, 7, 8][..];
        assert_eq!(fragment, Fragment { ident: 9, protocol, offset: 8, position: Position::Inner, payload });
    }
}

#[test]
fn fragments_are_told_from_whole_packets() {
    for fragment in fragments(&inner(), 16) {
        assert!(matches!(dissect(LinkType::RAW, &fragment, Tunnels::ALL).unwrap().content, Content::Fragment(_)));
    }
}

#[test]
fn a_cut_frame_gives_what_was_captured() {
    let ip = inner();
    let packet = dissect(LinkType::RAW, &ip[..ip.len() - 5], Tunnels::ALL).unwrap();
    let Content::Udp(datagram) = packet.content else { panic!("a datagram") };
    assert_eq!((datagram.payload.len(), datagram.completeness), (PAYLOAD.len() - 5, Completeness::Cut { missing: 5 }));
    assert_eq!(dissect(LinkType::RAW, &ip[..24], Tunnels::ALL), Err(Skip::Truncated));
}

#[test]
fn contradictions_are_malformed_and_strangers_not_ip() {
    let mut short = inner();
    short[0] = 0x44;
    assert_eq!(dissect(LinkType::RAW, &short, Tunnels::ALL), Err(Skip::Malformed));
    let mut total = inner();
    total[2..4].copy_from_slice(&[0, 19]);
    assert_eq!(dissect(LinkType::RAW, &total, Tunnels::ALL), Err(Skip::Malformed));
    let mut offset = tcp(A, B, 1, 0x18, b"x");
    offset[32] = 0x40;
    assert_eq!(dissect(LinkType::RAW, &offset, Tunnels::ALL), Err(Skip::Malformed));
    assert_eq!(dissect(LinkType::ETHERNET, &ethernet(&[], 0x0806, &[0; 28]), Tunnels::ALL), Err(Skip::NotIp));
    assert_eq!(dissect(LinkType(9_999), &inner(), Tunnels::ALL), Err(Skip::NotIp));
}

#[test]
fn an_icmp_error_names_the_flow_of_the_datagram_it_quotes() {
    let (a, b) = (*address(A).ip(), *address(B).ip());
    let error = |code| ipv4(a, b, 1, 0, &[&[3, code, 0, 0, 0, 0, 0, 0], &udp(B, A, 0, PAYLOAD)[..28]].concat());
    let content = |packet: &[u8]| match dissect(LinkType::RAW, packet, Tunnels::ALL).unwrap().content {
        Content::Icmp(undelivered) => undelivered.map(|undelivered| undelivered.flow.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(content(&error(3)), Some("udp 203.0.113.10:5060 > 198.51.100.7:40001".to_owned()));
    assert_eq!(content(&error(3)[..52]), content(&error(3)), "a snap length of 66 bytes leaves the ports");
    assert_eq!(content(&error(4)), None, "path MTU discovery");
    assert_eq!(content(&ipv4(a, b, 1, 0, &[8, 0, 0, 0, 0, 0, 0, 0])), None, "a ping");
}

proptest! {
    #[test]
    fn no_bytes_can_make_it_panic(link in prop::sample::select(vec![0u16, 1, 12, 101, 108, 113, 228, 276]), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = dissect(LinkType(link), &bytes, Tunnels::ALL);
    }

    #[test]
    fn nor_can_a_packet_with_wrong_bytes_in_it(at in 0usize..60, value: u8, cut in 0usize..80) {
        let (a, b) = (*address(A).ip(), *address(B).ip());
        let mut packet = ipv4(a, b, 47, 0, &[&[0x30, 0, 0x88, 0xbe, 0, 0, 0, 1, 0, 0, 0, 2], &ethernet(&[0x8100], 0x0800, &inner())[..]].concat());
        if let Some(byte) = packet.get_mut(at) {
            *byte = value;
        }
        packet.truncate(packet.len().saturating_sub(cut));
        let _ = dissect(LinkType::RAW, &packet, Tunnels::ALL);
    }
}
