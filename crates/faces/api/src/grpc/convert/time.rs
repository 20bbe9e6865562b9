//! Wall-clock times: microseconds here, seconds and nanoseconds there.

use super::Malformed;
use capstan_ids::WallTime;
use prost_types::Timestamp;

const MICROS: i64 = 1_000_000;

/// A time as it goes out.
pub fn timestamp(time: WallTime) -> Timestamp {
    let nanos = (time.micros().rem_euclid(MICROS) * 1_000) as i32;
    Timestamp { seconds: time.micros().div_euclid(MICROS), nanos }
}

/// A time as it came in; parts of a microsecond are cut off.
pub fn wall_time(time: &Timestamp, field: &str) -> Result<WallTime, Malformed> {
    let in_range = (0..1_000_000_000).contains(&time.nanos);
    let micros = time.seconds.checked_mul(MICROS).and_then(|m| m.checked_add(i64::from(time.nanos / 1_000)));
    micros.filter(|_| in_range).map(WallTime).ok_or_else(|| {
        Malformed::new(
            field,
            "a time within 290,000 years of 1970, with 0 to 999,999,999 nanoseconds",
            format_args!("{time:?}"),
        )
    })
}
