//! The capture filter that siphound makes of the watched ports.
//!
//! A plain `port 5060` loses what carries no port where libpcap looks for it: later IP fragments, tagged frames, the ICMP errors that say
//! why nothing arrives (DETECTION §0.7). All of these are kept; what turns out not to be SIP is sorted out afterwards.

use std::ops::RangeInclusive;

use pcap::{BpfProgram, Capture, Linktype};

use crate::capture::error::CaptureError;
use crate::config::{Tunnel, Tunnels};
use crate::decode::frame::LinkType;

/// Later fragments carry no ports. All fragments of IPv6 are kept, as libpcap does not look for ports behind the fragment header.
const FRAGMENTS: &str = "ip[6:2] & 0x1fff != 0 or ip6[6] = 44";
/// Destination unreachable, time exceeded and parameter problem, RFC 792; the errors of ICMPv6, RFC 4443 §2.1, have types below 128.
const ICMP_ERRORS: &str = "icmp[0] = 3 or icmp[0] = 11 or icmp[0] = 12 or (ip6[6] = 58 and ip6[40] < 128)";

/// The text of the filter for `ports`, and for the `tunnels` that are read, narrowed to what `user` matches, for frames of type `link`.
///
/// All that comes in a tunnel that is read is kept. Of the others it keeps what looks like SIP inside, so that it can be told of.
///
/// `user` is applied within VLAN tags as well, unless it deals with tags or tunnels itself: such a word moves the place where libpcap
/// looks for all that follows it, and then the ports are looked for there alone. On a link type in whose frames libpcap cannot look for
/// ports, the text is the user's alone.
///
/// # Errors
///
/// When the user's filter does not compile, or libpcap finds that it lets nothing pass that comes on the ports.
pub fn filter_text(ports: &[RangeInclusive<u16>], tunnels: Tunnels, user: Option<&str>, link: LinkType) -> Result<String, CaptureError> {
    accepted(ports, tunnels, user, link, |text| compile(text, link, true).map(|_| ()))
}

/// As [`filter_text`], with what puts a text in force or says why not: it may be called twice, and the text that it took is returned.
pub(super) fn accepted(
    ports: &[RangeInclusive<u16>],
    tunnels: Tunnels,
    user: Option<&str>,
    link: LinkType,
    mut accepts: impl FnMut(&str) -> Result<(), CaptureError>,
) -> Result<String, CaptureError> {
    let user = user.map(str::trim).unwrap_or_default();
    check(user, link)?;
    let encapsulation = Encapsulation::of(link);
    let read: String = tunnels.iter().map(|tunnel| format!(" or {}", tunnel_clause(tunnel))).collect();
    let wanted = format!("{}{read} or {FRAGMENTS} or {ICMP_ERRORS}{}", port_clauses(ports), encapsulation.unseen());
    let narrow = |wanted: String| if user.is_empty() { wanted } else { format!("({user}) and ({wanted})") };
    let text = if moves_offsets(user) { narrow(wanted) } else { encapsulation.wrap(&narrow(wanted), hints(ports, tunnels).map(narrow)) };
    match accepts(&text) {
        Ok(()) => Ok(text),
        // The text is not what was wrong.
        Err(error) if compile(&text, link, true).is_ok() => Err(error),
        // The optimiser has found that nothing would pass: what the user wrote excludes what is watched.
        Err(CaptureError::Filter { reason, .. }) if !user.is_empty() && compile(&text, link, false).is_ok() => {
            Err(CaptureError::Filter { text: user.to_owned(), reason: format!("{reason} on the watched ports") })
        }
        // Where libpcap does not know how to look for IP, all frames are taken.
        Err(_) => accepts(user).map(|()| user.to_owned()),
    }
}

/// Compiles a filter of the user alone, lest parentheses of its own widen the whole.
///
/// # Errors
///
/// When it does not compile.
pub fn check(user: &str, link: LinkType) -> Result<(), CaptureError> {
    compile(user.trim(), link, false).map(|_| ())
}

/// Compiles a filter for frames of type `link` as a capture on such an interface would. The error holds libpcap's reason.
fn compile(text: &str, link: LinkType, optimised: bool) -> Result<BpfProgram, CaptureError> {
    let refused = |error: pcap::Error| CaptureError::filter(text, &error);
    Capture::dead(data_link(link)).map_err(refused)?.compile(text, optimised).map_err(refused)
}

/// libpcap's `DLT_RAW` on Linux; the other link types that matter have the same number in files and in memory.
const DLT_RAW: i32 = 12;

/// libpcap's number for a link type.
fn data_link(link: LinkType) -> Linktype {
    Linktype(if link == LinkType::RAW { DLT_RAW } else { i32::from(link.0) })
}

/// The link type of libpcap's number, as files have it.
pub(super) fn link_type(data_link: Linktype) -> LinkType {
    match data_link {
        Linktype(DLT_RAW) => LinkType::RAW,
        Linktype(number) => LinkType(u16::try_from(number).unwrap_or(u16::MAX)),
    }
}

/// How tags may stand between the link header and IP.
#[derive(Clone, Copy)]
enum Encapsulation {
    /// Up to two VLAN tags. The kernel takes the outer one off before it filters, so that on a live interface the case of no tag covers it.
    Tags,
    /// A cooked header whose protocol field lies at this offset. The kernel takes the outer tag off; frames with an inner one, which
    /// libpcap's `vlan` does not know there, are kept whatever they carry.
    Cooked(u8),
    /// IP comes at once.
    None,
}

impl Encapsulation {
    fn of(link: LinkType) -> Self {
        match link {
            LinkType::ETHERNET => Self::Tags,
            LinkType::LINUX_SLL => Self::Cooked(14),
            LinkType::LINUX_SLL2 => Self::Cooked(0),
            _ => Self::None,
        }
    }

    /// A further clause for frames whose tags cannot be looked behind.
    fn unseen(self) -> String {
        match self {
            Self::Cooked(at) => format!(" or link[{at}:2] = 0x8100 or link[{at}:2] = 0x88a8"),
            Self::Tags | Self::None => String::new(),
        }
    }

    /// Extends a filter, and the `hints` that may look far into a frame, to frames whose tags can be looked behind.
    fn wrap(self, filter: &str, hints: Option<String>) -> String {
        // A filter that looks beyond the end of a frame refuses it, so the hints come behind the rest. Frames with another tag do not get into
        // them: they are not IP yet.
        let all = hints.map_or_else(|| format!("({filter})"), |hints| format!("({filter}) or ({hints})"));
        match self {
            // Each `vlan` moves on, by one tag, where all that stands behind it is looked for.
            Self::Tags => format!("{all} or (vlan and ({all} or (vlan and ({all}))))"),
            Self::Cooked(_) | Self::None => all,
        }
    }
}

/// Whether a filter changes where libpcap looks for what stands behind it, pcap-filter(7).
fn moves_offsets(filter: &str) -> bool {
    let mut words = filter.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.any(|word| matches!(word, "vlan" | "mpls" | "pppoes" | "geneve" | "vxlan"))
}

fn port_clauses(ports: &[RangeInclusive<u16>]) -> String {
    let clauses = ports.iter().map(|range| match (range.start(), range.end()) {
        (first, last) if first == last => format!("port {first}"),
        (first, last) => format!("portrange {first}-{last}"),
    });
    clauses.collect::<Vec<_>>().join(" or ")
}

/// What carries a kind of tunnel.
fn tunnel_clause(tunnel: Tunnel) -> &'static str {
    match tunnel {
        Tunnel::Vxlan => "udp dst port 4789",
        Tunnel::Gtp => "udp port 2152",
        Tunnel::Gre | Tunnel::Erspan => "proto 47",
        Tunnel::Ipip => "proto 4 or proto 41",
    }
}

/// Where the ports of a packet of IPv4 in a tunnel stand, in bytes from the outer header of IPv4 on, when no header has options: in rising
/// order.
fn inner_ports(tunnel: Tunnel) -> &'static [u8] {
    match tunnel {
        // The last with a tag inside.
        Tunnel::Vxlan => &[70, 74],
        // With a key; then with Ethernet inside.
        Tunnel::Gre => &[44, 48, 58, 62],
        // Type I; II; III or a tag inside II; III with its subheader.
        Tunnel::Erspan => &[58, 70, 74, 82],
        // With a sequence number; with the extension of a session.
        Tunnel::Gtp => &[56, 60, 64],
        Tunnel::Ipip => &[40],
    }
}

/// Ranges of ports that are looked for in tunnels that are not read: each stands in a filter 168 times, and a filter has its bounds.
const HINTED: usize = 2;

/// The outer headers, and how many bytes more each has than that of IPv4.
const OUTER: [(&str, u8); 2] = [("ip", 0), ("ip6", 20)];

/// Matches what comes in a tunnel that is not read and has SIP's ports inside, as far as its headers are the usual ones.
fn hints(ports: &[RangeInclusive<u16>], read: Tunnels) -> Option<String> {
    let ports = ports.get(..HINTED).unwrap_or(ports);
    let is_at = |outer: &str, at: u8| {
        let is_in = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
            (first, last) if first == last => format!("{outer}[{at}:2] = {first}"),
            (first, last) => format!("({outer}[{at}:2] >= {first} and {outer}[{at}:2] <= {last})"),
        };
        ports.iter().map(is_in).collect::<Vec<_>>().join(" or ")
    };
    let hint = |tunnel: Tunnel, (outer, more): (&str, u8)| {
        let places = inner_ports(tunnel).iter().flat_map(|&at| [is_at(outer, at + more), is_at(outer, at + more + 2)]);
        format!("({outer} and ({}) and ({}))", tunnel_clause(tunnel), places.collect::<Vec<_>>().join(" or "))
    };
    let unread = Tunnel::ALL.into_iter().filter(|tunnel| !read.contains(*tunnel));
    let hints: Vec<_> = unread.flat_map(|tunnel| OUTER.map(|outer| hint(tunnel, outer))).collect();
    (!hints.is_empty()).then(|| hints.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIP: &[RangeInclusive<u16>] = &[5060..=5060];
    const LINKS: [LinkType; 8] = [
        LinkType::NULL,
        LinkType::ETHERNET,
        LinkType::RAW,
        LinkType::LOOP,
        LinkType::LINUX_SLL,
        LinkType::IPV4,
        LinkType::IPV6,
        LinkType::LINUX_SLL2,
    ];

    fn program(ports: &[RangeInclusive<u16>], user: Option<&str>, link: LinkType) -> BpfProgram {
        let text = filter_text(ports, Tunnels::NONE, user, link).expect("a filter");
        compile(&text, link, true).expect("a filter that compiles")
    }

    /// An IPv4 packet from 192.0.2.1 to 198.51.100.1.
    fn ipv4(protocol: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
        let [high, low] = fragment.to_be_bytes();
        let mut packet = vec![0x45, 0, 0, 20 + body.len() as u8, 0, 1, high, low, 64, protocol, 0, 0];
        packet.extend([192, 0, 2, 1, 198, 51, 100, 1]);
        packet.extend(body);
        packet
    }

    fn ipv6(next_header: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, body.len() as u8, next_header, 64];
        packet.extend([0x20; 32]);
        packet.extend(body);
        packet
    }

    fn ports(source: u16, destination: u16) -> Vec<u8> {
        [source.to_be_bytes(), destination.to_be_bytes(), [0, 8], [0, 0]].concat()
    }

    fn sip() -> Vec<u8> {
        ipv4(17, 0, &ports(40_000, 5060))
    }

    fn web() -> Vec<u8> {
        ipv4(6, 0, &[ports(40_000, 80), vec![0; 12]].concat())
    }

    fn ether_type(packet: &[u8]) -> [u8; 2] {
        if packet.first().is_some_and(|first| first >> 4 == 6) { [0x86, 0xdd] } else { [8, 0] }
    }

    /// An Ethernet frame with these tags, outermost first.
    fn ethernet(tags: &[[u8; 4]], packet: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend(tags.concat());
        frame.extend(ether_type(packet));
        frame.extend(packet);
        frame
    }

    fn framed(link: LinkType, packet: &[u8]) -> Vec<u8> {
        let kind = ether_type(packet);
        let family = if kind == [8, 0] { 2 } else { 10 };
        let header = match link {
            LinkType::ETHERNET => return ethernet(&[], packet),
            LinkType::NULL => vec![family, 0, 0, 0],
            LinkType::LOOP => vec![0, 0, 0, family],
            LinkType::LINUX_SLL => [vec![0; 14], kind.to_vec()].concat(),
            LinkType::LINUX_SLL2 => [kind.to_vec(), vec![0; 18]].concat(),
            _ => Vec::new(),
        };
        [header, packet.to_vec()].concat()
    }

    #[test]
    fn compiles_and_keeps_sip_on_every_link_type() {
        for link in LINKS {
            let program = program(SIP, None, link);
            let packet = if link == LinkType::IPV6 { ipv6(17, &ports(5060, 5060)) } else { sip() };
            assert!(program.filter(&framed(link, &packet)), "{link:?}");
            assert!(!program.filter(&framed(link, &web())), "{link:?}");
        }
    }

    #[test]
    fn keeps_both_directions_both_transports_and_ipv6() {
        let program = program(SIP, None, LinkType::ETHERNET);
        for packet in [
            ipv4(17, 0, &ports(5060, 40_000)),
            ipv4(6, 0, &[ports(40_000, 5060), vec![0; 12]].concat()),
            ipv6(17, &ports(40_000, 5060)),
            ipv6(6, &[ports(5060, 40_000), vec![0; 12]].concat()),
        ] {
            assert!(program.filter(&ethernet(&[], &packet)), "{packet:02x?}");
        }
    }

    #[test]
    fn keeps_later_fragments_which_carry_no_port() {
        let program = program(SIP, None, LinkType::ETHERNET);
        assert!(program.filter(&ethernet(&[], &ipv4(17, 185, b"no ports here"))));
        assert!(program.filter(&ethernet(&[], &ipv6(44, &[17, 0, 5, 0xa8, 0, 0, 0, 1]))));
        assert!(!program.filter(&ethernet(&[], &ipv4(17, 0x2000, &ports(1, 2)))), "the first fragment of something else");
    }

    #[test]
    fn keeps_icmp_errors_and_leaves_pings() {
        let program = program(SIP, None, LinkType::ETHERNET);
        for (icmp, wanted) in [(3, true), (11, true), (12, true), (8, false), (0, false)] {
            assert_eq!(program.filter(&ethernet(&[], &ipv4(1, 0, &[icmp, 0, 0, 0, 0, 0, 0, 0]))), wanted, "ICMP {icmp}");
        }
        for (icmp, wanted) in [(1, true), (4, true), (128, false), (135, false)] {
            assert_eq!(program.filter(&ethernet(&[], &ipv6(58, &[icmp, 0, 0, 0, 0, 0, 0, 0]))), wanted, "ICMPv6 {icmp}");
        }
    }

    #[test]
    fn looks_behind_vlan_tags() {
        let program = program(SIP, None, LinkType::ETHERNET);
        let (c_tag, s_tag) = ([0x81, 0, 0, 100], [0x88, 0xa8, 0, 5]);
        for tags in [&[c_tag][..], &[s_tag, c_tag], &[c_tag, c_tag]] {
            assert!(program.filter(&ethernet(tags, &sip())), "{tags:02x?}");
            assert!(program.filter(&ethernet(tags, &ipv6(17, &ports(1, 5060)))), "{tags:02x?}");
            assert!(program.filter(&ethernet(tags, &ipv4(17, 185, b"later fragment"))), "{tags:02x?}");
            assert!(!program.filter(&ethernet(tags, &web())), "{tags:02x?}");
        }
    }

    #[test]
    fn keeps_what_is_still_tagged_in_a_cooked_frame() {
        let inner = [vec![0, 100], ether_type(&sip()).to_vec(), sip()].concat();
        let cooked = [vec![0; 14], vec![0x81, 0], inner.clone()].concat();
        assert!(program(SIP, None, LinkType::LINUX_SLL).filter(&cooked));
        let cooked = [vec![0x81, 0], vec![0; 18], inner].concat();
        assert!(program(SIP, None, LinkType::LINUX_SLL2).filter(&cooked));
        assert!(!program(SIP, Some("udp"), LinkType::LINUX_SLL2).filter(&cooked), "the user's filter holds for them too");
    }

    #[test]
    fn takes_several_ports_and_ranges() {
        let program = program(&[5060..=5061, 5080..=5080], None, LinkType::RAW);
        for (port, wanted) in [(5059, false), (5060, true), (5061, true), (5062, false), (5080, true)] {
            assert_eq!(program.filter(&ipv4(17, 0, &ports(9, port))), wanted, "{port}");
        }
    }

    #[test]
    fn a_user_narrows_the_filter_at_every_depth_of_tags() {
        let (here, elsewhere) = ("host 192.0.2.1", "host 203.0.113.9");
        for tags in [&[][..], &[[0x81, 0, 0, 100]]] {
            let frame = ethernet(tags, &sip());
            assert!(program(SIP, Some(here), LinkType::ETHERNET).filter(&frame));
            assert!(!program(SIP, Some(elsewhere), LinkType::ETHERNET).filter(&frame));
            assert!(!program(SIP, Some(here), LinkType::ETHERNET).filter(&ethernet(tags, &web())), "the ports still hold");
        }
    }

    #[test]
    fn a_user_may_choose_a_vlan() {
        let program = program(SIP, Some("vlan 100"), LinkType::ETHERNET);
        assert!(program.filter(&ethernet(&[[0x81, 0, 0, 100]], &sip())));
        assert!(!program.filter(&ethernet(&[[0x81, 0, 0, 101]], &sip())));
        assert!(!program.filter(&ethernet(&[], &sip())));
    }

    #[test]
    fn a_filter_that_lets_nothing_pass_is_refused() {
        let refused = filter_text(SIP, Tunnels::NONE, Some("ether proto 0x88cc and tcp"), LinkType::ETHERNET);
        let told = refused.expect_err("LLDP carries no SIP").to_string();
        assert_eq!(told, r#"the filter "ether proto 0x88cc and tcp" is not accepted: expression rejects all packets on the watched ports"#);
    }

    #[test]
    fn what_the_kernel_refuses_is_no_fault_of_the_text() {
        for user in [None, Some("host 192.0.2.1")] {
            let refused = accepted(SIP, Tunnels::NONE, user, LinkType::ETHERNET, |text| {
                assert!(!text.is_empty(), "all frames would be taken");
                Err(CaptureError::Filter { text: text.to_owned(), reason: "no memory".to_owned() })
            });
            let told = refused.expect_err("nothing is accepted").to_string();
            assert!(told.ends_with("is not accepted: no memory"), "{told}");
        }
    }

    #[test]
    fn a_users_filter_cannot_widen_the_ports() {
        for broken in ["udp) or (tcp", "host", "port sip and"] {
            assert!(
                matches!(filter_text(SIP, Tunnels::NONE, Some(broken), LinkType::ETHERNET), Err(CaptureError::Filter { .. })),
                "{broken}"
            );
        }
        let either = program(SIP, Some("udp or tcp"), LinkType::ETHERNET);
        assert!(!either.filter(&ethernet(&[], &web())));
    }

    #[test]
    fn takes_all_frames_where_libpcap_cannot_look_into_them() {
        let bluetooth = LinkType(201);
        assert_eq!(filter_text(SIP, Tunnels::NONE, None, bluetooth).expect("text"), "");
    }

    #[test]
    fn an_empty_filter_of_a_user_is_none() {
        assert_eq!(
            filter_text(SIP, Tunnels::NONE, Some("  "), LinkType::RAW).expect("text"),
            filter_text(SIP, Tunnels::NONE, None, LinkType::RAW).expect("text")
        );
    }

    /// A packet in each kind of tunnel, in the usual form and in another one.
    fn tunnelled(inside: &[u8]) -> Vec<(Tunnel, Vec<u8>)> {
        tunnelled_by(|protocol, body| ipv4(protocol, 0, body), inside)
    }

    fn tunnelled_by(outer: impl Fn(u8, &[u8]) -> Vec<u8>, inside: &[u8]) -> Vec<(Tunnel, Vec<u8>)> {
        let frame = ethernet(&[], inside);
        let udp = |port: u16, header: &[u8], inside: &[u8]| outer(17, &[&ports(40_000, port), header, inside].concat());
        let gre = |header: &[u8], inside: &[u8]| outer(47, &[header, inside].concat());
        vec![
            (Tunnel::Vxlan, udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &frame)),
            (Tunnel::Vxlan, udp(4789, &[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(&[[0x81, 0, 0, 7]], inside))),
            (Tunnel::Gre, gre(&[0, 0, 8, 0], inside)),
            (Tunnel::Gre, gre(&[0x20, 0, 0x65, 0x58, 0, 0, 0, 9], &frame)),
            (Tunnel::Erspan, gre(&[0, 0, 0x88, 0xbe], &frame)),
            (Tunnel::Erspan, gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], &frame)),
            (Tunnel::Erspan, gre(&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &frame)),
            (Tunnel::Gtp, udp(2152, &[0x30, 0xff, 0, 0, 0, 0, 0, 1], inside)),
            (Tunnel::Gtp, udp(2152, &[0x34, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0], inside)),
            (Tunnel::Ipip, outer(4, inside)),
        ]
    }

    fn within(tunnels: Tunnels, link: LinkType) -> BpfProgram {
        compile(&filter_text(SIP, tunnels, None, link).expect("a filter"), link, true).expect("a filter that compiles")
    }

    #[test]
    fn keeps_all_that_comes_in_a_tunnel_that_is_read() {
        // What is not SIP outside or behind the usual headers may be SIP inside.
        for (tunnel, packet) in tunnelled(&web()) {
            for link in [LinkType::ETHERNET, LinkType::LINUX_SLL, LinkType::RAW] {
                assert!(within(Tunnels::NONE.with(tunnel), link).filter(&framed(link, &packet)), "{tunnel:?} on {link:?}");
            }
            assert!(within(Tunnels::ALL, LinkType::ETHERNET).filter(&ethernet(&[[0x81, 0, 0, 100]], &packet)), "{tunnel:?}");
        }
    }

    #[test]
    fn of_a_tunnel_that_is_not_read_sip_is_kept_to_be_told_of() {
        for link in [LinkType::ETHERNET, LinkType::LINUX_SLL, LinkType::RAW] {
            let program = within(Tunnels::NONE, link);
            // There is more behind the ports of SIP than of the header alone.
            let inside = [sip(), vec![0; 40]].concat();
            for ((tunnel, sip), (_, web)) in tunnelled(&inside).into_iter().zip(tunnelled(&[web(), vec![0; 40]].concat())) {
                assert!(program.filter(&framed(link, &sip)), "{tunnel:?} on {link:?}");
                assert!(!program.filter(&framed(link, &web)), "{tunnel:?} on {link:?}");
            }
        }
    }

    #[test]
    fn what_may_be_sip_in_a_tunnel_is_told_of_behind_tags_and_over_ipv6() {
        let program = within(Tunnels::NONE, LinkType::ETHERNET);
        let (c_tag, s_tag) = ([0x81, 0, 0, 100], [0x88, 0xa8, 0, 5]);
        let both = |inside: &[u8]| [tunnelled(inside), tunnelled_by(ipv6, inside)].concat();
        let [sip, web] = [sip(), web()].map(|inside| both(&[inside, vec![0; 40]].concat()));
        for tags in [&[][..], &[c_tag], &[s_tag, c_tag]] {
            for ((tunnel, sip), (_, web)) in sip.iter().zip(&web) {
                assert!(program.filter(&ethernet(tags, sip)), "{tunnel:?} {tags:02x?} {:#x}", sip[0]);
                assert!(!program.filter(&ethernet(tags, web)), "{tunnel:?} {tags:02x?} {:#x}", web[0]);
            }
        }
    }

    #[test]
    fn a_user_narrows_what_is_kept_of_tunnels() {
        let (tunnel, packet) = tunnelled(&[sip(), vec![0; 40]].concat()).swap_remove(4);
        for tunnels in [Tunnels::NONE, Tunnels::NONE.with(tunnel)] {
            for (user, wanted) in [("host 192.0.2.1", true), ("host 203.0.113.9", false)] {
                let text = filter_text(SIP, tunnels, Some(user), LinkType::ETHERNET).expect("a filter");
                let program = compile(&text, LinkType::ETHERNET, true).expect("a filter that compiles");
                assert_eq!(program.filter(&ethernet(&[], &packet)), wanted, "{user}");
            }
        }
    }

    #[test]
    fn stays_small_however_many_ports_there_are() {
        let many: Vec<_> = (0..32).map(|port| 5_000 + port * 10..=5_005 + port * 10).collect();
        for link in LINKS {
            let text = filter_text(&many, Tunnels::NONE, Some("not host 192.0.2.99"), link).expect("a filter");
            let length = compile(&text, link, true).expect("a filter that compiles").get_instructions().len();
            // The kernel takes 4096 instructions, and a live capture needs some more to look at the tags that it took off.
            assert!(length < 3_000, "{length} on {link:?}");
        }
    }
}
