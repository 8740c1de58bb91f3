//! Messages that few senders make: the constructs of RFC 4475, each in a request of its own.

use super::random::Random;

/// Ways to bend a message.
const WAYS: u64 = 20;

/// A torture message.
pub(super) fn message(random: &mut Random) -> Vec<u8> {
    let (user, id, branch, tag) = (1_000_000 + random.below(20_000), random.hex(16), random.hex(16), random.hex(8));
    let start = format!("OPTIONS sip:{user}@pbx.example.com SIP/2.0");
    let headers: Vec<String> = [
        format!("Via: SIP/2.0/UDP odd.example.net:5060;branch=z9hG4bK{branch};rport"),
        "Max-Forwards: 70".to_owned(),
        format!("From: \"Odd\" <sip:odd@example.net>;tag={tag}"),
        format!("To: <sip:{user}@pbx.example.com>"),
        format!("Call-ID: {id}@odd.example.net"),
        "CSeq: 7 OPTIONS".to_owned(),
        "Contact: <sip:odd@odd.example.net>".to_owned(),
        "Content-Length: 0".to_owned(),
    ]
    .to_vec();
    bend(random, &start, headers)
}

fn bend(random: &mut Random, start: &str, mut headers: Vec<String>) -> Vec<u8> {
    let (mut start, mut end, mut body) = (start.to_owned(), "\r\n", Vec::new());
    match random.below(WAYS) {
        0 => headers.iter_mut().for_each(|header| *header = header.replacen(": ", ":\r\n \t", 1)),
        1 => headers.iter_mut().for_each(|header| *header = compact(header)),
        2 => headers.iter_mut().for_each(|header| *header = spelled(header, str::to_uppercase)),
        3 => headers.iter_mut().for_each(|header| *header = header.replacen(": ", " \t :  ", 1)),
        4 => headers.push(format!("X-Long: {}", "abcdefgh ".repeat(250))),
        5 => end = "\n",
        6 => start.insert_str(0, "\r\n\r\n"),
        7 => drop(headers.remove(1)),
        8 => headers[7] = "Content-Length: 9999".to_owned(),
        9 => headers[7] = "Content-Length: -999".to_owned(),
        10 => headers.truncate(5),
        11 => headers[2].insert_str(7, "J\u{fc}rgen \u{2603} \\\" "),
        12 => headers[3] = "To: \"nul \0 byte\" <sip:null-%00-null@example.com>".to_owned(),
        13 => start = "OPTIONS sip:sips%3Auser%40example.com@%65xample.net;unknownparam SIP/2.0".to_owned(),
        14 => {
            start = start.replacen("OPTIONS", "!interesting-Method0123456789_*+`.%indeed'~", 1);
            headers[5] = "CSeq: 7 !interesting-Method0123456789_*+`.%indeed'~".to_owned();
        }
        15 => start = "OPTIONS nobodyKnowsThisScheme:totallyopaque SIP/2.0".to_owned(),
        16 => headers.extend((0..60).map(|hop| format!("v: SIP/2.0/TLS hop{hop}.example.net;branch=z9hG4bK{hop:016x}"))),
        17 => headers.push("Call-ID: another@odd.example.net".to_owned()),
        18 => headers[5] = "CSeq: 36893488147419103232 INVITE".to_owned(),
        _ => body = (0..200).map(|_| random.next() as u8).collect(),
    }
    let mut text = start.into_bytes();
    text.extend_from_slice(end.as_bytes());
    for header in &headers {
        text.extend_from_slice(header.as_bytes());
        text.extend_from_slice(end.as_bytes());
    }
    text.extend_from_slice(end.as_bytes());
    text.extend_from_slice(&body);
    text
}

fn compact(header: &str) -> String {
    let names = [("Via", "v"), ("From", "f"), ("To", "t"), ("Call-ID", "i"), ("Contact", "m"), ("Content-Length", "l")];
    let (name, value) = header.split_once(": ").unwrap_or_default();
    let short = names.iter().find(|(long, _)| *long == name).map_or(name, |(_, short)| short);
    format!("{short}:{value}")
}

fn spelled(header: &str, spelling: impl Fn(&str) -> String) -> String {
    let (name, value) = header.split_once(": ").unwrap_or_default();
    format!("{}: {value}", spelling(name))
}
