//! Times as they are written: RFC 3339, UTC, microseconds, `Z`.

use capstan_ids::WallTime;
use serde::Serializer;

/// The time as text: `2026-01-31T12:00:00.000000Z`.
pub fn text(time: WallTime) -> String {
    let mut buffer = [0; LENGTH];
    write(time, &mut buffer).to_owned()
}

/// For serde.
pub fn serialize<S: Serializer>(time: &WallTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(write(*time, &mut [0; LENGTH]))
}

/// For serde, of a time that may not be there.
pub fn serialize_option<S: Serializer>(time: &Option<WallTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serialize(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// Reads RFC 3339 with any offset.
pub fn parse(text: &str) -> Option<WallTime> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(WallTime(time.as_microsecond()))
}

/// The present.
pub fn now() -> WallTime {
    WallTime(jiff::Timestamp::now().as_microsecond())
}

const LENGTH: usize = 27;
const DAY_MICROS: i64 = 86_400_000_000;
/// The first and the last moment whose year has four digits.
const FIRST: i64 = -719_528 * DAY_MICROS;
const LAST: i64 = 2_932_897 * DAY_MICROS - 1;

/// Writes the time without asking for memory; years are kept within 0 and 9999.
fn write(time: WallTime, buffer: &mut [u8; LENGTH]) -> &str {
    let micros = time.micros().clamp(FIRST, LAST);
    let (days, of_day) = (micros.div_euclid(DAY_MICROS), micros.rem_euclid(DAY_MICROS));
    let (year, month, day) = civil(days);
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    *buffer = *b"0000-00-00T00:00:00.000000Z";
    let parts = [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, seconds / 3_600),
        (14, 2, seconds / 60 % 60),
        (17, 2, seconds % 60),
        (20, 6, fraction),
    ];
    for (start, digits, mut number) in parts {
        for place in (start..start + digits).rev() {
            buffer[place] = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    std::str::from_utf8(buffer).expect("digits and punctuation are ASCII")
}

/// Year, month and day of a day counted from 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_microseconds_and_a_z() {
        assert_eq!(text(WallTime(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(WallTime(1_582_934_400_000_001)), "2020-02-29T00:00:00.000001Z");
        assert_eq!(text(WallTime(-1)), "1969-12-31T23:59:59.999999Z");
        assert_eq!(text(WallTime(i64::MAX)), "9999-12-31T23:59:59.999999Z");
        assert_eq!(text(WallTime(i64::MIN)), "0000-01-01T00:00:00.000000Z");
    }

    #[test]
    fn every_written_time_reads_back_as_itself() {
        let mut micros = -30_000_000_000_000_000_i64;
        while micros < 200_000_000_000_000_000 {
            assert_eq!(parse(&text(WallTime(micros))), Some(WallTime(micros)));
            micros += 86_399_999_999 * 17;
        }
    }

    #[test]
    fn a_time_with_an_offset_is_the_same_moment() {
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), Some(WallTime(0)));
        assert_eq!(parse("yesterday"), None);
    }
}
