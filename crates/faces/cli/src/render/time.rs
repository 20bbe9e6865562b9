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
    let sign = if length < SignedDuration::ZERO { "in " } else { "" };
    let seconds = length.unsigned_abs().as_secs();
    let (number, unit) = match seconds {
        0..=119 => (seconds, "s"),
        120..=7_199 => (seconds / 60, "m"),
        7_200..=172_799 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    format!("{sign}{number}{unit}")
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
    fn ages_have_one_unit() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ago = |seconds: i64| age(&prost_types::Timestamp { seconds: 1_000_000 - seconds, nanos: 0 }, now);
        assert_eq!(
            [ago(0), ago(119), ago(120), ago(7_200), ago(200_000), ago(-30)],
            ["0s", "119s", "2m", "2h", "2d", "in 30s"]
        );
    }
}
