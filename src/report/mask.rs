//! Numbers of people, hidden in what leaves the process.
//!
//! A number becomes a keyed pseudonym that keeps its last two digits: `+49 170 1234567` reads `n5c1e0-67` everywhere. The same number has
//! the same pseudonym as long as the key is the same, so that who called whom can still be followed.

use std::net::{IpAddr, SocketAddr};

use super::filter::user_of;
use super::model::{CallEntry, FindingEntry, RegistrationEntry, Verdict};
use crate::detect::catalog::{FindingId, SubjectKind};
use crate::table::Digester;

/// Digits from which on a run of them is a number wherever it stands.
const LONG: usize = 7;
/// Digits from which on it is one where a user stands.
const SHORT: usize = 3;
/// After these words stands a user.
const BEFORE_USER: [&str; 13] = [
    "call of ",
    "call to ",
    "calls to ",
    "calls for ",
    "INVITE of ",
    "diagnose ",
    "User ",
    "user ",
    "caller ",
    "called ",
    "sip:",
    "sips:",
    "tel:",
];

/// Whether numbers are hidden, and by which key.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mask(Option<Digester>);

impl Mask {
    /// Hides numbers; who does not know the seed cannot try numbers out.
    pub fn keyed(seed: u64) -> Self {
        Self(Some(Digester::new(seed)))
    }

    /// Hides nothing.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether it hides anything.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A user as parties of calls are named: a number, or a number at a host.
    pub fn user(&self, user: &mut String) {
        let Some(key) = self.0 else { return };
        let (name, host) = user.split_at(user.find('@').unwrap_or(user.len()));
        let digits = name.bytes().filter(u8::is_ascii_digit).count();
        let is_number = digits >= SHORT && name.bytes().all(|byte| byte.is_ascii_digit() || b"+-.() *#".contains(&byte));
        if is_number {
            *user = format!("{}{host}", pseudonym(key, name));
        } else {
            self.text(user, &[]);
        }
    }

    /// A text in which numbers may stand: long ones anywhere, short ones where a user stands, and those that are `known` to be users.
    pub fn text(&self, text: &mut String, known: &[&str]) {
        let Some(key) = self.0 else { return };
        let mut masked = String::with_capacity(text.len());
        let mut rest = text.as_str();
        let mut follows_user = false;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let run = &rest[start..];
            let end = start + run.find(|c: char| !c.is_ascii_digit()).unwrap_or(run.len());
            let number = &rest[start..end];
            masked.push_str(&rest[..start]);
            let is_party = follows_user && &rest[..start] == " to ";
            follows_user = is_number(&masked, number, &rest[end..], known) || (is_party && number.len() >= SHORT);
            match follows_user {
                true => {
                    masked.truncate(masked.strip_suffix('+').map_or(masked.len(), str::len));
                    masked.push_str(&pseudonym(key, number));
                }
                false => masked.push_str(number),
            }
            rest = &rest[end..];
        }
        masked.push_str(rest);
        *text = masked;
    }

    /// A registration.
    pub fn registration(&self, entry: &mut RegistrationEntry) {
        self.user(&mut entry.aor);
        for device in &mut entry.devices {
            self.text(&mut device.contact, &[]);
        }
    }

    /// A call. Its Call-ID stays: it is what the call is asked for by.
    pub fn call(&self, entry: &mut CallEntry) {
        let parties = [entry.from.clone(), entry.to.clone()];
        let known: Vec<_> = parties.iter().flatten().map(String::as_str).collect();
        if let Some(reason) = &mut entry.end_reason {
            self.text(reason, &known);
        }
        entry.from.iter_mut().chain(&mut entry.to).for_each(|user| self.user(user));
    }

    /// A finding.
    pub fn finding(&self, entry: &mut FindingEntry) {
        let subject = entry.subject.clone();
        let known = [user_of(&subject)];
        let facts = entry.evidence.iter_mut().map(|evidence| &mut evidence.fact);
        facts.chain([&mut entry.message, &mut entry.remedy]).for_each(|text| self.text(text, &known));
        let is_of_user = FindingId::from_name(entry.id).is_some_and(|id| id.row().subjects.contains(&SubjectKind::Aor));
        match entry.subject.contains('@') {
            true => self.text(&mut entry.subject, &[]),
            false if is_of_user && !is_site(&entry.subject) => self.user(&mut entry.subject),
            false => {}
        }
    }

    /// A verdict, with the names of those whom it may speak of.
    pub fn verdict(&self, verdict: &mut Verdict, known: &[&str]) {
        let asked = verdict.user.clone();
        let facts = verdict.evidence.iter_mut().map(|evidence| &mut evidence.fact);
        let others = verdict.ruled_out.iter_mut().map(|other| &mut other.why);
        facts.chain(others).chain([&mut verdict.headline, &mut verdict.next_step]).for_each(|text| self.text(text, known));
        if !is_site(&asked) {
            self.user(&mut verdict.user);
        }
    }
}

/// Whether a run of digits between these texts is somebody's number; not a part of an address, a time, a port or a name.
fn is_number(before: &str, number: &str, after: &str, known: &[&str]) -> bool {
    let plain = before.strip_suffix('+').unwrap_or(before);
    let user = BEFORE_USER.iter().any(|word| plain.ends_with(word));
    let next = after.chars().next();
    let joined = next.is_some_and(|next| next.is_alphanumeric() || next == '_')
        || after.strip_prefix(['.', ':', '-']).is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()));
    let previous = plain.chars().next_back();
    let continued = previous.is_some_and(|previous| previous.is_alphanumeric() || ".:-_/+".contains(previous)) && !user;
    if joined || continued {
        return false;
    }
    let is_user = user || next == Some('@') || known.contains(&number) || known.iter().any(|known| known.strip_prefix('+') == Some(number));
    number.len() >= LONG || (is_user && number.len() >= SHORT)
}

/// Whether it reads as a site or the address of a PBX does.
fn is_site(subject: &str) -> bool {
    let address = subject.strip_suffix("/64").unwrap_or(subject);
    address.parse::<IpAddr>().is_ok() || address.parse::<SocketAddr>().is_ok()
}

fn pseudonym(key: Digester, number: &str) -> String {
    let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).collect();
    let last = String::from_utf8_lossy(&digits[digits.len().saturating_sub(2)..]).into_owned();
    format!("n{:05x}-{last}", key.bytes(&digits).low64() & 0xf_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample;
    use super::*;

    fn mask() -> Mask {
        Mask::keyed(7)
    }

    fn text(text: &str) -> String {
        let mut masked = text.to_owned();
        mask().text(&mut masked, &["2002"]);
        masked
    }

    fn user(user: &str) -> String {
        let mut masked = user.to_owned();
        mask().user(&mut masked);
        masked
    }

    #[test]
    fn a_number_has_one_pseudonym_that_keeps_its_last_two_digits() {
        let one = user("+491701234567");
        assert!(one.ends_with("-67") && !one.contains("12345"), "{one}");
        assert_eq!(one, user("491701234567"), "with and without +");
        assert_ne!(one, user("491701234667"), "another number with the same end");
        assert_eq!(user("491701234567@pbx.example.com"), format!("{one}@pbx.example.com"));
        assert_eq!(text("a call to +491701234567 failed"), format!("a call to {one} failed"));
        let mut other = "+491701234567".to_owned();
        Mask::keyed(8).user(&mut other);
        assert_ne!(other, one, "another key");
    }

    #[test]
    fn short_numbers_are_hidden_where_a_user_stands() {
        let extension = user("1001");
        assert!(extension.ends_with("-01") && extension != "1001");
        for (plain, masked) in [
            ("1001@pbx.example.com registered", "X@pbx.example.com registered"),
            ("INVITE of 1001 to 1001", "INVITE of X to X"),
            ("run diagnose 1001 --problem cannot-receive", "run diagnose X --problem cannot-receive"),
            ("sip:1001@192.168.77.11:5060", "sip:X@192.168.77.11:5060"),
        ] {
            assert_eq!(text(plain), masked.replace('X', &extension), "{plain}");
        }
        assert_eq!(text("then 2002 rang"), format!("then {} rang", user("2002")), "known to be a user");
    }

    #[test]
    fn other_figures_stay() {
        for plain in [
            "486 Busy Here after 4.1 s",
            "no answer for 32 s, sent 11 times",
            "198.51.100.7:40311 to [2001:db8::1]:5060",
            "at 2026-01-31T09:00:00.123456Z",
            "10:15:00",
            "alice@example.com",
            "Call-ID a84b4c76e66710@192.168.77.11",
            "from 200 ms to 500 ms",
        ] {
            assert_eq!(text(plain), plain);
        }
        assert_eq!(user("alice"), "alice");
        assert_eq!(user("11"), "11");
    }

    #[test]
    fn no_number_of_an_office_is_left() {
        let report = sample::office();
        let mut out = String::new();
        for mut entry in report.registrations {
            mask().registration(&mut entry);
            out += &serde_json::to_string(&entry).expect("JSON");
        }
        for mut entry in report.calls {
            mask().call(&mut entry);
            entry.call_id.clear();
            entry.linked.clear();
            out += &serde_json::to_string(&entry).expect("JSON");
        }
        for extension in ["1001", "1002", "1004", "1005"] {
            assert!(!out.contains(&format!("\"{extension}")) && !out.contains(&format!("{extension}@")), "{extension} in {out}");
        }
    }

    #[test]
    fn the_subject_of_a_finding_is_hidden_where_it_is_a_user() {
        let mut entry = sample::office().findings.remove(0);
        for (id, subject, hidden) in [
            ("auth-failed-loop", "1001@pbx.example.com", true),
            ("auth-failed-loop", "1001", true),
            ("nat-binding-timeout", "198.51.100.7", false),
            ("nat-binding-timeout", "2001:db8:1:2::/64", false),
            ("pbx-not-responding", "203.0.113.10:5060", false),
            ("hung-call", "84711", false),
        ] {
            (entry.id, entry.subject) = (id, subject.to_owned());
            mask().finding(&mut entry);
            assert_eq!(entry.subject != subject, hidden, "{id} of {subject}");
        }
    }

    #[test]
    fn without_a_key_nothing_changes() {
        let mut plain = "call to 491701234567".to_owned();
        Mask::none().text(&mut plain, &[]);
        assert_eq!(plain, "call to 491701234567");
    }

    proptest! {
        #[test]
        fn no_text_upsets_it_and_no_long_number_survives(before in "[^0-9+]{0,8}", digits in "[0-9]{7,15}", after in "\\PC{0,8}") {
            let masked = text(&format!("{before} {digits} {after}"));
            prop_assert!(!masked.contains(&format!(" {digits} ")), "{masked}");
        }
    }
}
