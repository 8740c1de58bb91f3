//! Numbers and times in the form the report prints them.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

use crate::time::{PacketTime, Span};

/// Digits after the point that a printed number keeps, as a power of ten.
const SCALE: f64 = 1e6;

/// A length of time, printed as a number of seconds with at most six decimals: `0.12`, `60.0`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Seconds(pub Span);

/// A moment, printed as RFC 3339 in UTC with microseconds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Stamp(pub PacketTime);

/// A share, printed as a number with at most six decimals.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Ratio(f64);

impl Seconds {
    /// The value as printed.
    pub fn as_f64(self) -> f64 {
        (self.0.as_nanos() as f64 / 1e3).round() / SCALE
    }
}

impl Ratio {
    /// A share that was computed elsewhere; `None` where it is not a finite number.
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value))
    }

    /// `part` of `whole`; `None` where there is no whole.
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        (whole > 0).then(|| Self(part as f64 / whole as f64))
    }

    /// The value as printed.
    pub fn as_f64(self) -> f64 {
        (self.0 * SCALE).round() / SCALE
    }
}

impl From<Span> for Seconds {
    fn from(span: Span) -> Self {
        Self(span)
    }
}

impl From<PacketTime> for Stamp {
    fn from(time: PacketTime) -> Self {
        Self(time)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.rfc3339())
    }
}

/// Serialises an address as the library does: `192.0.2.1:5060`. Those of IPv4, of which a report has many, in a tenth of the time.
pub(super) fn address<S: Serializer>(address: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
    let SocketAddr::V4(v4) = address else { return address.serialize(serializer) };
    let mut text = Digits::default();
    let [first, rest @ ..] = v4.ip().octets();
    text.number(u16::from(first));
    for part in rest {
        text.push(b'.');
        text.number(u16::from(part));
    }
    text.push(b':');
    text.number(v4.port());
    serializer.serialize_str(text.as_str())
}

/// A short text of digits and signs: `255.255.255.255:65535` at most.
#[derive(Default)]
struct Digits {
    bytes: [u8; 21],
    length: usize,
}

impl Digits {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn number(&mut self, number: u16) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.push(b'0' + (number % 10) as u8);
    }

    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "description": "Seconds, with at most six decimals." })
    }
}

impl JsonSchema for Stamp {
    fn schema_name() -> Cow<'static, str> {
        "Stamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "description": "RFC 3339 in UTC, with microseconds." })
    }
}

impl JsonSchema for Ratio {
    fn schema_name() -> Cow<'static, str> {
        "Ratio".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1, "description": "A share of one." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: impl Serialize) -> String {
        serde_json::to_string(&value).expect("a number serialises")
    }

    #[test]
    fn seconds_print_without_float_noise() {
        assert_eq!(json(Seconds(Span::from_millis(120))), "0.12");
        assert_eq!(json(Seconds(Span::from_secs(60))), "60.0");
        assert_eq!(json(Seconds(Span::from_nanos(1_234_567_890))), "1.234568");
        assert_eq!(json(Seconds(Span::from_micros(-300_000))), "-0.3");
        assert_eq!(json(Seconds(Span::ZERO)), "0.0");
    }

    #[test]
    fn seconds_keep_at_most_six_decimals_over_a_year() {
        for micros in (0..31_536_000_000_000).step_by(7_777_777_777) {
            let text = json(Seconds(Span::from_micros(micros)));
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            assert!(decimals <= 6, "{text}");
        }
    }

    #[test]
    fn an_address_is_what_the_library_makes_of_it() {
        struct Shown(SocketAddr);
        impl Serialize for Shown {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                address(&self.0, serializer)
            }
        }
        for text in ["0.0.0.0:0", "255.255.255.255:65535", "192.0.2.1:5060", "10.100.9.200:80", "[2001:db8::1]:5060"] {
            assert_eq!(json(Shown(text.parse().expect("an address"))), format!("\"{text}\""));
        }
    }

    #[test]
    fn a_ratio_of_nothing_is_unknown_not_zero() {
        assert_eq!(Ratio::of(0, 0), None);
        assert_eq!(Ratio::new(f64::NAN), None);
        assert_eq!(json(Ratio::of(1, 3)), "0.333333");
        assert_eq!(json(Ratio::of(0, 3)), "0.0");
    }
}
