//! SIP as a script speaks it: few users, calls, tags and branches, so that messages meet, and every header that tracking reads.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::script::Script;
use super::segments::address;

/// Who there is: the PBX, three phones behind one router, a phone elsewhere, a carrier, a stranger, another server.
const CAST: [[&str; 2]; 8] = [
    ["203.0.113.10:5060", "[2001:db8:1::a]:5060"],
    ["198.51.100.7:40001", "[2001:db8:2::1]:40001"],
    ["198.51.100.7:40002", "[2001:db8:2::2]:40002"],
    ["198.51.100.7:5060", "[2001:db8:2::3]:5060"],
    ["192.168.77.11:5062", "[fd00::b]:5062"],
    ["192.0.2.50:5060", "[2001:db8:5::32]:5060"],
    ["198.19.0.1:5060", "[2001:db8:6::1]:5060"],
    ["203.0.113.11:5060", "[2001:db8:1::b]:5060"],
];
const USERS: [&str; 8] = ["1001", "1002", "2001", "+4930123456", "echo", "anonymous", "a%20b;x=y", "\u{202e}9"];
const METHODS: [&str; 16] = [
    "REGISTER",
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "NOTIFY",
    "SUBSCRIBE",
    "UPDATE",
    "PRACK",
    "INFO",
    "REFER",
    "MESSAGE",
    "PUBLISH",
    "INVITE",
    "FROB",
];
const STATUSES: [&str; 32] = [
    "100 Trying",
    "180 Ringing",
    "183 Session Progress",
    "200 OK",
    "202 Accepted",
    "301 Moved Permanently",
    "302 Moved Temporarily",
    "400 Bad Request",
    "401 Unauthorized",
    "403 Forbidden",
    "404 Not Found",
    "405 Method Not Allowed",
    "407 Proxy Authentication Required",
    "408 Request Timeout",
    "422 Session Interval Too Small",
    "423 Interval Too Brief",
    "480 Temporarily Unavailable",
    "481 Call/Transaction Does Not Exist",
    "482 Loop Detected",
    "483 Too Many Hops",
    "484 Address Incomplete",
    "486 Busy Here",
    "487 Request Terminated",
    "488 Not Acceptable Here",
    "491 Request Pending",
    "500 Server Internal Error",
    "501 Not Implemented",
    "503 Service Unavailable",
    "504 Server Time-out",
    "600 Busy Everywhere",
    "603 Decline",
    "699 Odd",
];
const SECONDS: [&str; 8] = ["0", "1", "30", "60", "120", "3600", "4294967295", "99999999999"];
const AGENTS: [&str; 6] =
    ["Yealink SIP-T46S 66.86.0.15", "snomD785/10.1", "Asterisk PBX 18.20.0", "friendly-scanner", "kamailio (5.7.4)", "\u{1b}[2J"];

pub(crate) fn party(index: usize, v6: bool) -> SocketAddr {
    address(CAST[index % CAST.len()][usize::from(v6)])
}

/// A message that was said, with what an answer copies of it.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) source: usize,
    pub(crate) destination: usize,
    vias: Vec<String>,
    from: String,
    to: String,
    call_id: String,
    number: u32,
    method: &'static str,
    start: String,
    rest: String,
}

impl Said {
    /// The message as bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for via in &self.vias {
            let _ = write!(text, "Via: {via}\r\n");
        }
        let Self { from, to, call_id, number, method, rest, .. } = self;
        let _ = write!(text, "From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n{rest}");
        text.into_bytes()
    }

    /// A request out of nothing.
    pub(crate) fn request(script: &mut Script<'_>, v6: bool) -> Self {
        let [ways, users, names, branch] = [(); 4].map(|()| usize::from(script.next::<u8>()));
        let (source, destination) = (ways & 7, ways >> 4 & 7);
        let method = script.pick(&METHODS);
        let (host, domain) = (party(source, v6), domain(ways));
        let (from, to) = (USERS[users & 7], USERS[users >> 3 & 7]);
        let tag = |bits: usize| format!(";tag=t{bits}");
        Self {
            source,
            destination,
            vias: vec![format!("SIP/2.0/UDP {host};branch=z9hG4bKb{branch};rport")],
            from: format!("<sip:{from}@{domain}>{}", tag(names & 3)),
            to: format!("<sip:{to}@{domain}>{}", if names & 0x30 == 0 { String::new() } else { tag(names >> 4 & 3) }),
            call_id: format!("c{}", names >> 2 & 3 | users >> 6 << 2),
            number: u32::from(script.next::<u8>()),
            method,
            start: format!("{method} sip:{to}@{domain} SIP/2.0"),
            rest: rest(script, from, host),
        }
    }

    /// An answer to this message, were it a request.
    pub(crate) fn answer(&self, script: &mut Script<'_>, v6: bool) -> Self {
        let status = script.pick(&STATUSES);
        let mut answer = self.clone();
        (answer.source, answer.destination) = (self.destination, self.source);
        answer.start = format!("SIP/2.0 {status}");
        if !answer.to.contains(";tag=") {
            let _ = write!(answer.to, ";tag=u{}", script.next::<u8>() & 1);
        }
        answer.rest = rest(script, "2001", party(answer.source, v6));
        answer
    }

    /// A further request of the same dialog, from either end, or the same one with another number, branch or credentials.
    pub(crate) fn follow(&self, script: &mut Script<'_>, v6: bool) -> Self {
        let method = script.pick(&METHODS);
        let how = script.next::<u8>();
        let mut next = self.clone();
        if how & 1 != 0 {
            (next.source, next.destination) = (self.destination, self.source);
            (next.from, next.to) = (self.to.clone(), self.from.clone());
        }
        if how & 2 != 0 && !next.to.contains(";tag=") {
            let _ = write!(next.to, ";tag=u{}", how >> 7);
        }
        next.number = self.number.wrapping_add(u32::from(how >> 2 & 3));
        if how & 0x10 == 0 {
            let branch = script.next::<u8>();
            next.vias = vec![format!("SIP/2.0/UDP {};branch=z9hG4bKf{branch}", party(next.source, v6))];
        }
        next.method = method;
        next.start = format!("{method} sip:2001@{} SIP/2.0", domain(usize::from(how)));
        next.rest = rest(script, "1001", party(next.source, v6));
        next
    }

    /// The same message one hop further, or back.
    pub(crate) fn forward(&self, script: &mut Script<'_>, v6: bool) -> Self {
        let how = usize::from(script.next::<u8>());
        let mut next = self.clone();
        (next.source, next.destination) = (self.destination, how & 7);
        if self.start.starts_with("SIP/2.0") {
            next.vias.drain(..next.vias.len().min(1));
        } else {
            next.vias.insert(0, format!("SIP/2.0/UDP {};branch=z9hG4bKp{}", party(next.source, v6), how >> 3));
        }
        next
    }
}

fn domain(bits: usize) -> &'static str {
    ["pbx.example.com", "PBX.example.com", "203.0.113.10", "other.example"][bits >> 7 & 1 | bits >> 2 & 2]
}

/// The headers that are there or not, and the body.
fn rest(script: &mut Script<'_>, user: &str, host: SocketAddr) -> String {
    let (flags, detail) = (script.next::<u16>(), script.next::<u8>());
    let seconds = SECONDS[usize::from(detail & 7)];
    let kind = usize::from(detail >> 3 & 3);
    let mut text = String::new();
    let mut add = |bit: u16, line: &dyn Fn() -> String| {
        if flags & 1 << bit != 0 {
            let _ = write!(text, "{}\r\n", line());
        }
    };
    let expires = if flags & 2 == 0 { String::new() } else { format!(";expires={seconds}") };
    let private = ["10.0.0.5:5060", "192.168.1.20:5066", "pbx.example.com", "[fd00::1]:5060"][kind];
    add(0, &|| match detail >> 5 {
        0..4 => format!("Contact: <sip:{user}@{host}>{expires}"),
        4 => format!("Contact: <sip:{user}@{private}>{expires}"),
        5 => format!("Contact: <sip:{user}@{private};ob>;+sip.instance=\"<urn:uuid:{kind}>\";reg-id=1{expires}"),
        6 => format!("m: <sip:{user}@{host}>{expires}, <sip:1002@{private}>;expires=60;q=0.5"),
        _ => "Contact: *".to_owned(),
    });
    add(2, &|| format!("Expires: {seconds}"));
    add(3, &|| match kind {
        0 => format!("Authorization: Digest username=\"{user}\", realm=\"r\", nonce=\"n{}\", uri=\"sip:x\", response=\"0\"", detail & 7),
        1 => format!("Proxy-Authorization: Digest username=\"{user}\", realm=\"r\", nonce=\"n{}\", response=\"0\"", detail & 7),
        2 => {
            format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"n{}\"{}", detail & 7, if detail >> 5 == 0 { ", stale=true" } else { "" })
        }
        _ => format!("Proxy-Authenticate: Digest realm=\"r\", nonce=\"n{}\"", detail & 7),
    });
    add(5, &|| format!("Session-Expires: {seconds};refresher={}", ["uac", "uas"][kind & 1]));
    add(6, &|| format!("{}: {}", ["User-Agent", "Server"][kind & 1], AGENTS[usize::from(detail) % AGENTS.len()]));
    add(7, &|| format!("Record-Route: <sip:{private};lr>\r\nPath: <sip:{private};lr>"));
    add(8, &|| format!("Reason: {}", ["Q.850;cause=16", "SIP;cause=200;text=\"elsewhere\"", "Q.850;cause=18;text=\"\u{7}\"", "x"][kind]));
    add(9, &|| format!("Supported: 100rel, timer\r\nRequire: 100rel\r\nRSeq: {}\r\nRAck: {} 1 INVITE", detail & 7, detail & 7));
    add(10, &|| format!("Retry-After: {seconds}\r\nMin-Expires: {seconds}\r\nMin-SE: {seconds}"));
    add(11, &|| format!("P-Asserted-Identity: <sip:{}@pbx.example.com>\r\nPrivacy: id", USERS[usize::from(detail & 7)]));
    add(12, &|| format!("X-Asterisk-HangupCauseCode: {}\r\nX-Asterisk-HangupCause: \u{9b}", detail));
    add(13, &|| format!("Max-Forwards: {}", ["70", "69", "1", "0"][kind]));
    add(14, &|| {
        [
            "Event: keep-alive",
            "Refer-To: <sip:2001@x?Replaces=c1%3Bto-tag%3Dt1%3Bfrom-tag%3Du0>",
            "Event: presence",
            "Replaces: c1;to-tag=t1;from-tag=u0",
        ][kind]
            .to_owned()
    });
    add(15, &|| format!("Date: Sat, 31 Jan 2026 09:00:0{} GMT\r\nWarning: 399 x \"w\"", detail & 7));
    let body = if flags & 16 == 0 { String::new() } else { sdp(host, detail) };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let _ = write!(text, "{kind}Content-Length: {}\r\n\r\n{body}", body.len());
    text
}

fn sdp(host: SocketAddr, detail: u8) -> String {
    let address = if detail & 0x80 == 0 { host.ip().to_string() } else { "10.0.0.5".to_owned() };
    let family = if address.contains(':') { "IP6" } else { "IP4" };
    let [port, payload, direction] = [
        [4000, 0, 65535][usize::from(detail % 3)].to_string(),
        (detail & 9).to_string(),
        ["sendrecv", "sendonly", "inactive"][usize::from(detail / 3 % 3)].to_owned(),
    ];
    format!(
        "v=0\r\no=- {} {detail} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP {payload}\r\na={direction}\r\n",
        detail & 3
    )
}
