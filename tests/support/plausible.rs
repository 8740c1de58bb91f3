//! Messages as senders write them, each in two styles: with the liberties that RFC 3261 gives in white space, folding, case, quotes and
//! lists, and without those that TShark does not read. Both say the same.
//!
//! What TShark 4.0 reads otherwise than the RFC, and is therefore [`Style::Free`] alone:
//!
//! * white space before the colon of a header (§7.3.1, `HCOLON` of §25.1): its value is not read;
//! * white space around the `=` of a parameter (`EQUAL`): a tag is not read, a branch is taken for its name;
//! * white space around a `;` (`SEMI`): behind it a branch is not read, before it it becomes a part of a tag or of a bare URI;
//! * schemes in capitals, and `tag` in capitals (§7.3.1): user and tag are not read;
//! * a password (§19.1.1): it becomes a part of the user;
//! * `;` within a quoted value, and `,` between angle brackets within one (`gen-value`): they separate all the same.

use siphound::sip::method::Method;

use super::random::Random;

/// How a message is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    /// As TShark reads it.
    Plain,
    /// With all liberties.
    Free,
}

/// The message of that number. Its styles say the same, since the same is drawn for both.
pub(crate) fn message(number: usize, style: Style) -> Vec<u8> {
    let mut writer = Writer { random: Random::seeded(&format!("plausible {number}")), style };
    writer.message(number)
}

/// White space where the grammar has SWS.
const SPACE: [&str; 5] = [" ", "  ", "\t", "\r\n ", " \r\n\t"];

struct Writer {
    random: Random,
    style: Style,
}

impl Writer {
    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.random.below(from.len() as u64) as usize]
    }

    /// Yes once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.random.below(n) == 0
    }

    /// One of these once in `n` times, but `plain` in the style that takes no liberties.
    fn liberty<'a>(&mut self, n: u64, from: &[&'a str], plain: &'a str) -> &'a str {
        let chosen = if self.once_in(n) { self.pick(from) } else { plain };
        if self.style == Style::Free { chosen } else { plain }
    }

    fn space(&mut self) -> &'static str {
        self.liberty(8, &SPACE, "")
    }

    /// A name in some case.
    fn cased(&mut self, name: &str) -> String {
        match self.random.below(6) {
            0 => name.to_ascii_lowercase(),
            1 => name.to_ascii_uppercase(),
            _ => name.to_owned(),
        }
    }

    /// A header line.
    fn header(&mut self, long: &str, short: &str, value: &str) -> String {
        let name = if self.once_in(4) { short } else { long };
        let name = self.cased(name);
        let before = self.liberty(12, &[" ", "\t"], "");
        let after = if self.once_in(6) { self.pick(&["", "  ", "\t", "\r\n "]) } else { " " };
        format!("{name}{before}:{after}{value}\r\n")
    }

    fn token(&mut self) -> String {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~";
        let length = 4 + self.random.below(12);
        (0..length).map(|_| char::from(LETTERS[self.random.below(LETTERS.len() as u64) as usize])).collect()
    }

    fn host(&mut self) -> String {
        let host = self.pick(&["pbx.example.com", "198.51.100.7", "[2001:db8::1]", "a.b-c.example", "192.168.1.20", "localhost"]);
        let port = if self.once_in(2) { format!(":{}", 1 + self.random.below(65_535)) } else { String::new() };
        format!("{host}{port}")
    }

    fn uri(&mut self, password: &str) -> String {
        let scheme = self.pick(&["sip", "sip", "sip", "sips"]);
        let scheme = self.liberty(6, &[if scheme == "sip" { "SIP" } else { "SipS" }], scheme);
        let user = self.pick(&["1001", "alice", "+49301234567", "a.b-c_d", "x%40y", "bob;ext=7", "u&=+$,;?/", "*97", "(30)1234"]);
        let params = self.pick(&["", "", "", ";transport=tcp", ";user=phone;lr", ";ob"]);
        let headers = self.pick(&["", "", "", "?subject=x&priority=urgent"]);
        format!("{scheme}:{user}{password}@{}{params}{headers}", self.host())
    }

    /// A name-addr with parameters, the tag among them where there is one.
    fn party(&mut self, tag: Option<&str>) -> String {
        const DISPLAYS: [&str; 9] = [
            "",
            "",
            "Alice ",
            "\"Alice\" ",
            "\"Bob \\\"B\\\" <sip:x@y>;tag=no\" ",
            "Alice B. ",
            "\"a, b; c\"",
            "\"\\\\\" ",
            "\"J\u{fc}rgen\" ",
        ];
        let display = self.pick(&DISPLAYS);
        let password = self.liberty(12, &[":secret"], "");
        let mut text = format!("{}{display}<{}>", self.space(), self.uri(password));
        if self.once_in(4) {
            let param = self.pick(&["x=y", "flag", "epid=12ab"]);
            let param = self.liberty(4, &["x=\"a;tag=b\""], param);
            text.push_str(&self.param(param));
        }
        if let Some(tag) = tag {
            let name = self.liberty(3, &["TAG", "Tag"], "tag");
            let equal = self.liberty(8, &[" =", "= ", "\t=\r\n "], "=");
            text.push_str(&self.param(&format!("{name}{equal}{tag}")));
        }
        if self.once_in(5) {
            text.push_str(&self.param("z=1"));
        }
        text
    }

    /// A parameter behind its semicolon.
    fn param(&mut self, param: &str) -> String {
        format!("{};{}{param}", self.space(), self.space())
    }

    fn via(&mut self, number: usize, place: u64) -> String {
        let transport = self.pick(&["UDP", "TCP", "TLS", "udp", "WSS"]);
        let slash = if self.once_in(12) { self.pick(&[" / ", "/ ", " /"]) } else { "/" };
        let mut text = format!("SIP{slash}2.0{slash}{transport} {}", self.host());
        let mut params = vec![format!("{}=z9hG4bK{number}-{place}{}", self.cased("branch"), self.token())];
        for param in ["rport", "rport=5060", "received=192.0.2.1", "maddr=224.0.1.75", "ttl=16", "alias"] {
            if self.once_in(5) {
                params.push(param.to_owned());
            }
        }
        params.push(self.liberty(5, &["x=\"a;branch=no\""], "x=\"a\"").to_owned());
        let first = self.random.below(params.len() as u64) as usize;
        params.rotate_left(first);
        params.iter().for_each(|param| text.push_str(&self.param(param)));
        text
    }

    fn contact(&mut self) -> String {
        let mut text = if self.once_in(5) {
            format!("sip:{}", self.host())
        } else {
            let display = self.pick(&["", "\"C, D\" ", "C "]);
            format!("{display}<{}>", self.uri(""))
        };
        for (param, free) in [
            ("expires=60", "expires =60"),
            ("q=0.5", "q= 0.5"),
            ("+sip.instance=\"<urn:uuid:1>\"", "+sip.instance=\"<urn:uuid:1,2>\""),
            ("reg-id=1", "reg-id=1"),
            ("methods=\"INVITE, BYE\"", "methods=\"INVITE;BYE\""),
            ("x", "x"),
        ] {
            if self.once_in(5) {
                let param = self.liberty(2, &[free], param);
                text.push_str(&self.param(param));
            }
        }
        text
    }

    /// One message, its headers in some order.
    fn message(&mut self, number: usize) -> Vec<u8> {
        let [known @ .., _other] = Method::ALL;
        let method = self.pick(&known.map(Method::as_str));
        let start = if self.once_in(2) {
            format!("{method} sip:{} SIP/2.0\r\n", self.host())
        } else {
            let status = 100 + self.random.below(600);
            format!("SIP/2.0 {status} {}\r\n", self.pick(&["OK", "", "Busy Here", "\u{dc}berlast", "a: b", "100 Trying"]))
        };
        let mut headers = vec![self.vias(number)];
        let (from_tag, to_tag) = (self.token(), self.token());
        let to_tag = Some(&*to_tag).filter(|_| self.once_in(2));
        let (from, to) = (self.party(Some(&from_tag)), self.party(to_tag));
        headers.push(self.header("From", "f", &from));
        headers.push(self.header("To", "t", &to));
        let at = if self.once_in(2) { "@198.51.100.7" } else { "" };
        let call_id = format!("{number}-{}{at}", self.token());
        headers.push(self.header("Call-ID", "i", &call_id));
        let (sequence, gap) = (self.random.below(1 << 31), if self.once_in(4) { self.pick(&SPACE) } else { " " });
        headers.push(self.header("CSeq", "CSeq", &format!("{sequence}{gap}{method}")));
        if self.once_in(2) {
            let contacts: Vec<_> = (0..1 + self.random.below(3)).map(|_| self.contact()).collect();
            let between = self.pick(&[",", ", ", ",\r\n\t"]);
            headers.push(self.header("Contact", "m", &contacts.join(between)));
        }
        if self.once_in(3) {
            let seconds = self.random.below(1 << 32).to_string();
            headers.push(self.header("Expires", "Expires", &seconds));
        }
        for (long, short, value) in [
            ("User-Agent", "User-Agent", "X: y/1.0 (a; b, \"c\")"),
            ("Supported", "k", "path, 100rel"),
            ("Subject", "s", "Via: SIP/2.0/UDP x;branch=no"),
            ("X-Odd", "X-Odd", ""),
            ("Reason", "Reason", "Q.850;cause=16;text=\"From: <sip:x@y>;tag=no\""),
            ("Max-Forwards", "Max-Forwards", "70"),
        ] {
            if self.once_in(3) {
                headers.push(self.header(long, short, value));
            }
        }
        let first = self.random.below(headers.len() as u64) as usize;
        headers.rotate_left(first);
        format!("{start}{}Content-Length: 0\r\n\r\n", headers.concat()).into_bytes()
    }

    /// The way it came, in one header or in several.
    fn vias(&mut self, number: usize) -> String {
        let vias: Vec<_> = (0..1 + self.random.below(3)).map(|place| self.via(number, place)).collect();
        if self.once_in(3) {
            let between = self.pick(&[",", ", ", " ,\r\n "]);
            self.header("Via", "v", &vias.join(between))
        } else {
            vias.iter().map(|via| self.header("Via", "v", via)).collect()
        }
    }
}
