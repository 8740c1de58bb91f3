//! Moments as people write them on the command line.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::NotAllowed;
use crate::time::PacketTime;

const WANTED: &str = "a time such as 2026-01-31T09:00:00+01:00, \"2026-01-31 09:00\" (UTC) or 1769850000 (seconds since 1970)";

/// Reads RFC 3339, a date and time of day in UTC, or seconds since the epoch.
pub fn parse_moment(text: &str) -> Result<PacketTime, NotAllowed> {
    rfc3339(text).or_else(|| epoch_seconds(text)).or_else(|| utc(text)).ok_or(NotAllowed(WANTED))
}

fn rfc3339(text: &str) -> Option<PacketTime> {
    text.parse::<Timestamp>().ok().and_then(moment)
}

fn utc(text: &str) -> Option<PacketTime> {
    // An offset or a zone would be lost here without a word.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-: T.".contains(&byte));
    let civil: DateTime = plain.then(|| text.parse().ok())??;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()).and_then(moment)
}

fn epoch_seconds(text: &str) -> Option<PacketTime> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || seconds.len() > 10 || fraction.len() > 9 || !digits(seconds) || !digits(fraction) {
        return None;
    }
    // Eight digits are a date without its dashes, not a second of 1970.
    if seconds.len() == 8 {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(PacketTime::from_parts(seconds.parse().ok()?, nanos))
}

fn moment(stamp: Timestamp) -> Option<PacketTime> {
    i64::try_from(stamp.as_nanosecond()).ok().map(PacketTime::from_nanos)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_way_of_writing_a_moment_means_the_same() {
        for text in [
            "2026-01-31T09:00:00Z",
            "2026-01-31T10:00:00+01:00",
            "2026-01-31 09:00",
            "2026-01-31 09:00:00",
            "2026-01-31T09:00",
            "2026-01-31 10:00+01",
            "1769850000",
        ] {
            assert_eq!(parse_moment(text), Ok(PacketTime::from_parts(1_769_850_000, 0)), "{text}");
        }
        let half = Ok(PacketTime::from_parts(1_769_850_000, 500_000_000));
        assert_eq!(parse_moment("1769850000.5"), half);
        assert_eq!(parse_moment("2026-01-31T09:00:00.5Z"), half);
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "now",
            "09:00",
            "2026-13-01 00:00",
            "2026-01-31 25:00",
            "2026-01-31 09:00[Europe/Berlin]",
            "-1",
            "1.2.3",
            "31.01.2026",
            "9999999999999",
        ] {
            assert!(parse_moment(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_siphound_prints_is_read_back(micros in 0..4_000_000_000_000_000_i64) {
            let time = PacketTime::from_nanos(micros * 1_000);
            prop_assert_eq!(parse_moment(&time.to_string()), Ok(time));
        }

        #[test]
        fn no_text_upsets_the_reader(text in ".{0,30}") {
            let _ = parse_moment(&text);
        }
    }
}
