//! Times.

use jiff::{SignedDuration, Timestamp};

/// A time as it goes over the wire.
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    // A time before 1970 has its nanoseconds counted towards zero here, and forward on the wire.
    if nanos < 0 {
        prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 }
    } else {
        prost_types::Timestamp { seconds, nanos }
    }
}

fn read(time: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(time.seconds, time.nanos).ok()
}

/// RFC 3339 in UTC with microseconds.
pub fn text(time: &prost_types::Timestamp) -> String {
    read(time).map_or_else(|| format!("{}.{:09}", time.seconds, time.nanos), |time| format!("{time:.6}"))
}

/// How long ago it was, or how long it is until then, in one unit.
pub fn age(time: &prost_types::Timestamp, now: Timestamp) -> String {
    let Some(time) = read(time) else { return "?".to_owned() };
    let length = now.duration_since(time);
    let is_ahead = length < SignedDuration::ZERO;
    let (sign, length) = (if is_ahead { "in " } else { "" }, length.unsigned_abs());
    // What was asked for as ten minutes a moment ago ends in ten minutes.
    let seconds = length.as_secs() + u64::from(is_ahead && length.subsec_nanos() > 0);
    format!("{sign}{}", in_one_unit(seconds))
}

fn in_one_unit(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..=119 => (seconds, "s"),
        120..=7_199 => (seconds / 60, "m"),
        7_200..=172_799 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{number}{unit}")
}

/// A length as it is typed: exactly, in the largest unit that has it whole.
pub fn length(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.into_iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_utc_with_microseconds() {
        let time: Timestamp = "2026-01-31T12:00:00.25+01:00".parse().unwrap();
        assert_eq!(text(&timestamp(time)), "2026-01-31T11:00:00.250000Z");
        let before: Timestamp = "1969-12-31T23:59:59.5Z".parse().unwrap();
        assert_eq!(timestamp(before), prost_types::Timestamp { seconds: -1, nanos: 500_000_000 });
        assert_eq!(text(&timestamp(before)), "1969-12-31T23:59:59.500000Z");
    }

    #[test]
    fn lengths_are_told_as_they_are_typed() {
        let told = [0, 1_500, 90_000, 120_000, 3_600_000, 604_800_000].map(length);
        assert_eq!(told, ["0ms", "1500ms", "90s", "2m", "1h", "7d"]);
        for text in told {
            assert!(crate::input::duration(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn ages_have_one_unit() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ago = |seconds: i64| age(&prost_types::Timestamp { seconds: 1_000_000 - seconds, nanos: 0 }, now);
        assert_eq!(
            [ago(0), ago(119), ago(120), ago(7_200), ago(200_000), ago(-30)],
            ["0s", "119s", "2m", "2h", "2d", "in 30s"]
        );
        let soon = prost_types::Timestamp { seconds: 1_000_599, nanos: 900_000_000 };
        assert_eq!(age(&soon, now), "in 10m");
    }
}
