//! How each type of value is read from TOML and written back.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use toml::Spanned;
use toml::de::DeValue;

use super::labels::{Label, LabelChoice};
use super::notify::{HttpUrl, MinSeverity, NotifyScope};
use super::tunnels::Tunnel;
use super::types::{Bytes, Interfaces, LogFormat, LogLevel, PbxAddress, PortRange, Ports, Rate, Ratio};
use crate::time::Span;

/// A value in the file that is not allowed where it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    /// Which bytes of the file it is.
    pub(super) at: Range<usize>,
    /// What would be allowed.
    pub(super) allowed: String,
}

impl Refusal {
    /// Refuses the whole of `value`.
    pub(super) fn new(value: &Spanned<DeValue<'_>>, allowed: impl Into<String>) -> Self {
        Self { at: value.span(), allowed: allowed.into() }
    }
}

/// A value of the configuration.
pub(super) trait Setting: Sized {
    /// Reads a value; a list tells each of its items that is refused.
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>>;

    /// The value as TOML.
    fn write(&self) -> String;
}

/// Reads a string that `T` understands.
fn read_text<T: FromStr>(value: &Spanned<DeValue<'_>>, allowed: &str) -> Result<T, Vec<Refusal>> {
    value.get_ref().as_str().and_then(|text| text.parse().ok()).ok_or_else(|| vec![Refusal::new(value, allowed)])
}

/// Writes `text` as a TOML string.
fn write_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Settings that are strings in the file.
macro_rules! text_settings {
    ($($ty:ty, $allowed:expr;)+) => {$(
        impl Setting for $ty {
            fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
                read_text(value, $allowed)
            }

            fn write(&self) -> String {
                write_text(&self.to_string())
            }
        }
    )+};
}

text_settings! {
    String, "a string";
    SocketAddr, "an IP address and a port such as \"127.0.0.1:15060\"";
    PbxAddress, PbxAddress::ALLOWED;
    Label, Label::ALLOWED;
    Bytes, Bytes::ALLOWED;
    Rate, Rate::ALLOWED;
}

/// An address, or nothing.
impl Setting for Option<SocketAddr> {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        if value.get_ref().as_str() == Some("") {
            return Ok(None);
        }
        read_text(value, "\"\", or an IP address and a port such as \"127.0.0.1:15061\"").map(Some)
    }

    fn write(&self) -> String {
        write_text(&self.map(|address| address.to_string()).unwrap_or_default())
    }
}

/// Settings that are one name of a few.
macro_rules! name_settings {
    ($($ty:ty),+) => {$(
        impl Setting for $ty {
            fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
                let name = value.get_ref().as_str();
                Self::ALL.into_iter().find(|one| Some(one.as_str()) == name).ok_or_else(|| {
                    let names: Vec<_> = Self::ALL.iter().map(|one| write_text(one.as_str())).collect();
                    vec![Refusal::new(value, format!("one of {}", names.join(", ")))]
                })
            }

            fn write(&self) -> String {
                write_text(self.as_str())
            }
        }
    )+};
}

name_settings!(LogLevel, LogFormat, MinSeverity, NotifyScope, Tunnel);

/// The reason for a refusal must not repeat a password in a URL, so no part of the value is shown.
impl Setting for HttpUrl {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        read_text(value, Self::ALLOWED).map_err(|refusals: Vec<Refusal>| {
            refusals.into_iter().map(|refusal| Refusal { at: refusal.at.start..refusal.at.start, ..refusal }).collect()
        })
    }

    fn write(&self) -> String {
        write_text(&self.to_string())
    }
}

impl Setting for PathBuf {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        let path = value.get_ref().as_str().map(Self::from).filter(|path| path.is_absolute());
        path.ok_or_else(|| vec![Refusal::new(value, "the absolute path of a file")])
    }

    fn write(&self) -> String {
        write_text(&self.to_string_lossy())
    }
}

/// Nothing, all, or a list of names.
impl Setting for LabelChoice {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        match value.get_ref().as_str() {
            Some("off") => Ok(Self::Off),
            Some("top") => Ok(Self::Top),
            None if value.get_ref().is_array() => Vec::read(value).map(Self::Only),
            _ => Err(vec![Refusal::new(value, Self::ALLOWED)]),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Off => write_text("off"),
            Self::Top => write_text("top"),
            Self::Only(names) => names.write(),
        }
    }
}

/// A value that a key may have to have.
pub(super) trait Needed {
    /// Whether it is as good as none.
    fn is_empty(&self) -> bool;
}

impl Needed for HttpUrl {
    fn is_empty(&self) -> bool {
        false
    }
}

impl Needed for Label {
    fn is_empty(&self) -> bool {
        false
    }
}

/// A list is empty without a first item that says something.
impl<T: Setting> Needed for Vec<T> {
    fn is_empty(&self) -> bool {
        self.first().is_none_or(|first| first.write() == "\"\"")
    }
}

impl Setting for bool {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        value.get_ref().as_bool().ok_or_else(|| vec![Refusal::new(value, "true or false")])
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Setting for u32 {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        let integer = value.get_ref().as_integer();
        integer
            .and_then(|integer| Self::from_str_radix(integer.as_str(), integer.radix()).ok())
            .ok_or_else(|| vec![Refusal::new(value, "a whole number")])
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// A whole number may be written without a fraction.
impl Setting for Ratio {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        let text = match value.get_ref() {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => "",
        };
        text.parse().map_err(|_| vec![Refusal::new(value, Self::ALLOWED)])
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Setting for Span {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        let span = value.get_ref().as_str().and_then(parse_span);
        span.ok_or_else(|| vec![Refusal::new(value, "a time such as \"40ms\", \"30s\", \"15min\" or \"24h\"")])
    }

    fn write(&self) -> String {
        write_text(&print_span(*self))
    }
}

/// A list whose refused items are all told.
impl<T: Setting> Setting for Vec<T> {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        let Some(array) = value.get_ref().as_array() else {
            return Err(vec![Refusal::new(value, "a list between [ and ]")]);
        };
        let mut items = Self::with_capacity(array.len());
        let mut refusals = Vec::new();
        for item in array.iter() {
            match T::read(item) {
                Ok(item) => items.push(item),
                Err(refused) => refusals.extend(refused),
            }
        }
        if refusals.is_empty() { Ok(items) } else { Err(refusals) }
    }

    fn write(&self) -> String {
        let items: Vec<_> = self.iter().map(T::write).collect();
        format!("[{}]", items.join(", "))
    }
}

/// A number or a string with a range.
impl Setting for PortRange {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        match value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok(),
            other => other.as_str().and_then(|text| text.parse().ok()),
        }
        .ok_or_else(|| vec![Refusal::new(value, Self::ALLOWED)])
    }

    fn write(&self) -> String {
        if self.0.start() == self.0.end() { self.to_string() } else { write_text(&self.to_string()) }
    }
}

impl Setting for Ports {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        Self::new(Vec::<PortRange>::read(value)?).ok_or_else(|| vec![Refusal::new(value, "a list of at least one port")])
    }

    fn write(&self) -> String {
        self.ranges().iter().cloned().map(PortRange).collect::<Vec<_>>().write()
    }
}

impl Setting for Interfaces {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Refusal>> {
        Self::new(Vec::read(value)?).ok_or_else(|| vec![Refusal::new(value, "a list of at least one interface name, such as [\"any\"]")])
    }

    fn write(&self) -> String {
        self.names().to_vec().write()
    }
}

/// The units of time, largest first, in nanoseconds.
const UNITS: [(&str, i64); 5] = [("h", 3_600_000_000_000), ("min", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];

/// Reads a time of one unit: a whole number or a decimal fraction, then `us`, `ms`, `s`, `min` or `h`.
pub(crate) fn parse_span(text: &str) -> Option<Span> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let (_, nanos) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let number = number.trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let scale = 10_i64.pow(fraction.len() as u32);
    let part = i128::from(fraction.parse::<i64>().ok()?) * i128::from(nanos) / i128::from(scale);
    whole.parse::<i64>().ok()?.checked_mul(nanos)?.checked_add(part as i64).map(Span::from_nanos)
}

/// Prints a time in the largest unit that needs no fraction, as [`parse_span`] reads it.
pub(super) fn print_span(span: Span) -> String {
    let nanos = span.as_nanos();
    match UNITS.into_iter().find(|(_, unit)| nanos != 0 && nanos % unit == 0) {
        Some((name, unit)) => format!("{}{name}", nanos / unit),
        None => format!("{}s", span.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_each_unit() {
        for (text, millis) in [("40ms", 40), ("0.5s", 500), ("30s", 30_000), ("15min", 900_000), ("24 h", 86_400_000), ("1.25ms", 1)] {
            assert_eq!(parse_span(text).map(|span| span.as_nanos() / 1_000_000), Some(millis), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1e3s", "1m", "1.s", ".5s", "1..5s", "1d", "30ss", "99999999999h", "１s"] {
            assert_eq!(parse_span(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(micros in 0..i64::MAX / 1_000) {
            let span = Span::from_micros(micros);
            prop_assert_eq!(parse_span(&print_span(span)), Some(span));
        }

        #[test]
        fn no_text_upsets_the_reader(text in ".{0,20}") {
            let _ = parse_span(&text);
        }
    }
}
