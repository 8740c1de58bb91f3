//! Packet time: the only time that exists below the pipeline.
//!
//! A [`PacketTime`] is a count of nanoseconds since the Unix epoch taken from a capture, a [`Span`] the signed distance between two
//! of them. Neither can be made from a clock here; the live source hands clock readings in from outside.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, AddAssign, Neg, Sub};

/// Nanoseconds in a second.
const NANOS: i64 = 1_000_000_000;

/// The bit that tells signed numbers apart; flipped, they are in order as unsigned ones.
const SIGN: u64 = 1 << 63;

/// A moment in a capture: nanoseconds since 1970-01-01T00:00:00Z. Covers the years 1678 to 2262; arithmetic saturates.
///
/// Kept so that zero stays free: an optional time, of which a call has many, is no larger than a time.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PacketTime(NonZeroU64);

/// A signed length of time in nanoseconds. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Span(i64);

impl PacketTime {
    /// Before every packet.
    pub const MIN: Self = Self(NonZeroU64::MIN);
    /// After every packet.
    pub const MAX: Self = Self(NonZeroU64::MAX);

    /// The moment `nanos` nanoseconds after the epoch.
    #[inline]
    pub const fn from_nanos(nanos: i64) -> Self {
        match NonZeroU64::new(nanos as u64 ^ SIGN) {
            Some(nanos) => Self(nanos),
            None => Self::MIN,
        }
    }

    /// The moment `seconds` and `nanos` after the epoch, as capture files write it.
    pub const fn from_parts(seconds: i64, nanos: u32) -> Self {
        Self::from_nanos(seconds.saturating_mul(NANOS).saturating_add(nanos as i64))
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub const fn as_nanos(self) -> i64 {
        (self.0.get() ^ SIGN) as i64
    }

    /// Seconds since the epoch with a fraction, as Prometheus wants timestamps.
    pub fn as_secs_f64(self) -> f64 {
        self.as_nanos() as f64 / NANOS as f64
    }

    /// The last whole multiple of `step` since the epoch that is not later; a step that is not positive changes nothing.
    pub fn floor(self, step: Span) -> Self {
        let nanos = self.as_nanos();
        Self::from_nanos(nanos.saturating_sub(if step > Span::ZERO { nanos.rem_euclid(step.0) } else { 0 }))
    }

    /// In a sentence, in UTC: `2026-01-31 09:00:00 UTC`.
    pub fn to_the_second(self) -> String {
        let text = self.rfc3339();
        let (day, time) = (text.get(..10).unwrap_or_default(), text.get(11..19).unwrap_or_default());
        format!("{day} {time} UTC")
    }

    /// As the report prints it. A report has many: digit by digit this takes a tenth of what the formatter of a calendar does.
    pub fn rfc3339(self) -> Rfc3339 {
        let mut text = Rfc3339(*b"0000-00-00T00:00:00.000000Z");
        // Every time that there can be here is one of the calendar.
        let stamp = jiff::Timestamp::from_microsecond(self.as_nanos().div_euclid(1_000)).unwrap_or_default();
        let moment = jiff::tz::Offset::UTC.to_datetime(stamp);
        let parts = [
            (0..4, u32::from(moment.year().unsigned_abs())),
            (5..7, u32::from(moment.month().unsigned_abs())),
            (8..10, u32::from(moment.day().unsigned_abs())),
            (11..13, u32::from(moment.hour().unsigned_abs())),
            (14..16, u32::from(moment.minute().unsigned_abs())),
            (17..19, u32::from(moment.second().unsigned_abs())),
            (20..26, moment.subsec_nanosecond().unsigned_abs() / 1_000),
        ];
        parts.into_iter().for_each(|(places, number)| text.put(places, number));
        text
    }

    /// The time since `earlier`, or zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Span {
        Span(self.as_nanos().saturating_sub(earlier.as_nanos()).max(0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than every capture.
    pub const MAX: Self = Self(i64::MAX);

    /// A span of `nanos` nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A span of `micros` microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// A span of `millis` milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// A span of `seconds` seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(NANOS))
    }

    /// The nearest span to `seconds`; not a number gives zero, too large saturates.
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * NANOS as f64) as i64)
    }

    /// The span in nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The span in whole seconds, rounded towards zero.
    pub const fn as_secs(self) -> i64 {
        self.0 / NANOS
    }

    /// The span in seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS as f64
    }

    /// The span without its sign.
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// The span `factor` times.
    pub const fn times(self, factor: i64) -> Self {
        Self(self.0.saturating_mul(factor))
    }

    /// The span scaled by `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor) as i64)
    }
}

impl Add<Span> for PacketTime {
    type Output = Self;
    #[inline]
    fn add(self, span: Span) -> Self {
        Self::from_nanos(self.as_nanos().saturating_add(span.0))
    }
}

impl AddAssign<Span> for PacketTime {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for PacketTime {
    type Output = Self;
    #[inline]
    fn sub(self, span: Span) -> Self {
        Self::from_nanos(self.as_nanos().saturating_sub(span.0))
    }
}

impl Sub for PacketTime {
    type Output = Span;
    #[inline]
    fn sub(self, other: Self) -> Span {
        Span(self.as_nanos().saturating_sub(other.as_nanos()))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Span {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

/// The epoch.
impl Default for PacketTime {
    fn default() -> Self {
        Self::from_nanos(0)
    }
}

/// Nanoseconds since the epoch.
impl fmt::Debug for PacketTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PacketTime").field(&self.as_nanos()).finish()
    }
}

/// RFC 3339 in UTC with microseconds, rounded down, as the report prints times.
impl fmt::Display for PacketTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// A moment as text.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339([u8; 27]);

impl Rfc3339 {
    /// Writes `number` in the decimal places `places`.
    fn put(&mut self, places: std::ops::Range<usize>, mut number: u32) {
        for digit in self.0.get_mut(places).unwrap_or_default().iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
}

impl std::ops::Deref for Rfc3339 {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// As people write it: `23 ms`, `4.1 s`, `60 s`, `2 min 03 s`, `5 min`, `1 h 02 min`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let millis = self.0.saturating_abs().saturating_add(500_000) / 1_000_000;
        let seconds = millis.saturating_add(500) / 1_000;
        match millis {
            0 => f.write_str("0 s"),
            ..1_000 => write!(f, "{sign}{millis} ms"),
            1_000..119_950 => match millis.saturating_add(50) / 100 {
                tenths if tenths % 10 == 0 => write!(f, "{sign}{} s", tenths / 10),
                tenths => write!(f, "{sign}{}.{} s", tenths / 10, tenths % 10),
            },
            119_950..3_599_500 if seconds % 60 == 0 => write!(f, "{sign}{} min", seconds / 60),
            119_950..3_599_500 => write!(f, "{sign}{} min {:02} s", seconds / 60, seconds % 60),
            3_599_500..172_800_000 if seconds % 3_600 < 60 => write!(f, "{sign}{} h", seconds / 3_600),
            3_599_500..172_800_000 => write!(f, "{sign}{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
            _ => write!(f, "{sign}{} days", seconds / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_utc_with_microseconds() {
        assert_eq!(PacketTime::from_parts(1_769_850_000, 123_456_789).to_string(), "2026-01-31T09:00:00.123456Z");
        assert_eq!(PacketTime::from_nanos(-1).to_string(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(PacketTime::MIN.to_string(), "1677-09-21T00:12:43.145224Z");
        assert_eq!(PacketTime::MAX.to_string(), "2262-04-11T23:47:16.854775Z");
    }

    #[test]
    fn order_is_that_of_the_nanoseconds_and_nothing_is_lost() {
        let nanos = [-i64::MAX, -1, 0, 1, i64::MAX];
        let times = nanos.map(PacketTime::from_nanos);
        assert!(times.is_sorted());
        assert_eq!(times.map(PacketTime::as_nanos), nanos);
        assert_eq!((times[0], times[4]), (PacketTime::MIN, PacketTime::MAX));
        assert_eq!(size_of::<Option<PacketTime>>(), size_of::<PacketTime>());
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(PacketTime::MAX + Span::from_secs(1), PacketTime::MAX);
        assert_eq!(PacketTime::MIN - Span::MAX, PacketTime::MIN);
        assert_eq!(PacketTime::MIN.since(PacketTime::MAX), Span::ZERO);
    }

    #[test]
    fn moments_print_to_the_second() {
        assert_eq!(PacketTime::from_parts(1_769_850_000, 723_456_789).to_the_second(), "2026-01-31 09:00:00 UTC");
    }

    #[test]
    fn spans_print_as_people_write_them() {
        let printed = |millis| Span::from_millis(millis).to_string();
        assert_eq!([0, 125, 4_130, 32_000, 44_900].map(printed), ["0 s", "125 ms", "4.1 s", "32 s", "44.9 s"]);
        assert_eq!([-5_000, -80].map(printed), ["-5 s", "-80 ms"]);
        assert_eq!(
            [123_400, 300_000, 3_600_000, 5_520_000, 259_200_000].map(printed),
            ["2 min 03 s", "5 min", "1 h", "1 h 32 min", "3 days"]
        );
    }
}
