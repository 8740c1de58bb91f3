//! Messages as senders write them: with the liberties that RFC 3261 gives in names, case, white space, folding, lists and quotes.

use super::random::Random;

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len() as u64) as usize]
}

/// Yes once in `n` times.
fn once_in(random: &mut Random, n: u64) -> bool {
    random.below(n) == 0
}

/// White space where the grammar has SWS: mostly none, sometimes a fold.
fn space<'a>(random: &mut Random) -> &'a str {
    if once_in(random, 8) { pick(random, &[" ", "  ", "\t", "\r\n ", " \r\n\t"]) } else { "" }
}

/// A name in some case.
fn cased(random: &mut Random, name: &str) -> String {
    match random.below(6) {
        0 => name.to_ascii_lowercase(),
        1 => name.to_ascii_uppercase(),
        _ => name.to_owned(),
    }
}

/// A header line.
fn header(random: &mut Random, long: &str, short: &str, value: &str) -> String {
    let name = if once_in(random, 4) { short } else { long };
    let name = cased(random, name);
    let before = if once_in(random, 12) { pick(random, &[" ", "\t"]) } else { "" };
    let after = if once_in(random, 6) { pick(random, &["", "  ", "\t", "\r\n "]) } else { " " };
    format!("{name}{before}:{after}{value}\r\n")
}

fn token(random: &mut Random) -> String {
    let length = 4 + random.below(12) as usize;
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~";
    (0..length).map(|_| char::from(LETTERS[random.below(LETTERS.len() as u64) as usize])).collect()
}

fn host(random: &mut Random) -> String {
    let host = pick(random, &["pbx.example.com", "198.51.100.7", "[2001:db8::1]", "a.b-c.example", "192.168.1.20", "localhost"]);
    let port = if once_in(random, 2) { format!(":{}", 1 + random.below(65_535)) } else { String::new() };
    format!("{host}{port}")
}

fn uri(random: &mut Random) -> String {
    let scheme = pick(random, &["sip", "sip", "sip", "sips", "SIP"]);
    let user = pick(random, &["1001", "alice", "+49301234567", "a.b-c_d", "x%40y", "bob;ext=7", "u&=+$,;?/", "*97", "(30)1234"]);
    let password = if once_in(random, 12) { ":secret" } else { "" };
    let params = pick(random, &["", "", "", ";transport=tcp", ";user=phone;lr", ";ob", ";transport=UDP;foo=\"bar\""]);
    let headers = pick(random, &["", "", "", "?subject=x&priority=urgent"]);
    format!("{scheme}:{user}{password}@{}{}{headers}", host(random), if params.contains('"') { "" } else { params })
}

/// A name-addr with parameters, the tag among them where there is one.
fn party(random: &mut Random, tag: Option<&str>) -> String {
    let display = pick(
        random,
        &[
            "",
            "",
            "Alice ",
            "\"Alice\" ",
            "\"Bob \\\"B\\\" <sip:x@y>;tag=no\" ",
            "Alice B. ",
            "\"a, b; c\"",
            "\"\\\\\" ",
            "\"J\u{fc}rgen\" ",
        ],
    );
    let (before, between) = (space(random), space(random));
    let mut text = format!("{before}{display}<{}>{between}", uri(random));
    if once_in(random, 4) {
        text.push_str(pick(random, &[";x=y", ";flag", ";x=\"a;tag=b\"", ";epid=12ab"]));
    }
    if let Some(tag) = tag {
        let name = cased(random, "tag");
        let (one, two, three) = (space(random), space(random), space(random));
        text.push_str(&format!("{one};{two}{name}{three}={tag}"));
    }
    if once_in(random, 5) {
        text.push_str(pick(random, &[";z=1", "; z", " ;z=\"q\""]));
    }
    text
}

fn via(random: &mut Random, number: usize, place: u64) -> String {
    let transport = pick(random, &["UDP", "TCP", "TLS", "udp", "WSS"]);
    let gap = if once_in(random, 12) { " / " } else { "/" };
    let mut text = format!("SIP{gap}2.0{gap}{transport} {}", host(random));
    let mut params = vec![format!("{}=z9hG4bK{number}-{place}{}", cased(random, "branch"), token(random))];
    for param in ["rport", "rport=5060", "received=192.0.2.1", "maddr=224.0.1.75", "ttl=16", "alias", "x=\"a;branch=no\""] {
        if once_in(random, 5) {
            params.push(param.to_owned());
        }
    }
    let first = random.below(params.len() as u64) as usize;
    params.rotate_left(first);
    for param in params {
        let (before, after) = (space(random), space(random));
        text.push_str(&format!("{before};{after}{param}"));
    }
    text
}

fn contact(random: &mut Random) -> String {
    let mut text = if once_in(random, 5) {
        format!("sip:{}", host(random))
    } else {
        format!("{}<{}>", pick(random, &["", "\"C, D\" ", "C "]), uri(random))
    };
    for param in ["expires=60", "q=0.5", "+sip.instance=\"<urn:uuid:1,2>\"", "reg-id=1", "methods=\"INVITE, BYE\"", "x"] {
        if once_in(random, 5) {
            let before = space(random);
            text.push_str(&format!("{before};{param}"));
        }
    }
    text
}

/// One message, its headers in some order.
pub(crate) fn message(random: &mut Random, number: usize) -> Vec<u8> {
    const METHODS: [&str; 14] = [
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
    ];
    let method = pick(random, &METHODS);
    let start = if once_in(random, 2) {
        format!("{method} {} SIP/2.0\r\n", uri(random).replace(['?', '"'], ""))
    } else {
        let status = 100 + random.below(600);
        format!("SIP/2.0 {status} {}\r\n", pick(random, &["OK", "", "Busy Here", "\u{dc}berlast", "a: b", "100 Trying"]))
    };
    let mut headers = Vec::new();
    let count = 1 + random.below(3);
    let vias: Vec<_> = (0..count).map(|place| via(random, number, place)).collect();
    let via_lines = if once_in(random, 3) {
        let between = pick(random, &[",", ", ", " ,\r\n "]);
        header(random, "Via", "v", &vias.join(between))
    } else {
        vias.iter().map(|via| header(random, "Via", "v", via)).collect()
    };
    headers.push(via_lines);
    let (from_tag, to_tag) = (token(random), token(random));
    let to_tag = Some(&*to_tag).filter(|_| once_in(random, 2));
    let (from, to) = (party(random, Some(&from_tag)), party(random, to_tag));
    headers.push(header(random, "From", "f", &from));
    headers.push(header(random, "To", "t", &to));
    let at = if once_in(random, 2) { "@198.51.100.7" } else { "" };
    let call_id = format!("{number}-{}{at}", token(random));
    headers.push(header(random, "Call-ID", "i", &call_id));
    let (sequence, gap) = (random.below(1 << 31), pick(random, &[" ", " ", "  ", "\t", "\r\n "]));
    headers.push(header(random, "CSeq", "CSeq", &format!("{sequence}{gap}{method}")));
    if once_in(random, 2) {
        let contacts: Vec<_> = (0..1 + random.below(3)).map(|_| contact(random)).collect();
        let between = pick(random, &[",", ", ", ",\r\n\t"]);
        headers.push(header(random, "Contact", "m", &contacts.join(between)));
    }
    if once_in(random, 3) {
        let seconds = random.below(1 << 32).to_string();
        headers.push(header(random, "Expires", "Expires", &seconds));
    }
    for (long, short, value) in [
        ("User-Agent", "User-Agent", "X: y/1.0 (a; b, \"c\")"),
        ("Supported", "k", "path, 100rel"),
        ("Subject", "s", "Via: SIP/2.0/UDP x;branch=no"),
        ("X-Odd", "X-Odd", ""),
        ("Reason", "Reason", "Q.850;cause=16;text=\"From: <sip:x@y>;tag=no\""),
        ("Max-Forwards", "Max-Forwards", "70"),
    ] {
        if once_in(random, 3) {
            headers.push(header(random, long, short, value));
        }
    }
    let first = random.below(headers.len() as u64) as usize;
    headers.rotate_left(first);
    format!("{start}{}Content-Length: 0\r\n\r\n", headers.concat()).into_bytes()
}
