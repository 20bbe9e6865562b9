//! What people type: times, numbers without end, names with values, items as JSON.

mod items;

pub use items::Items;

use std::time::Duration;

/// A length of time such as `500ms`, `30s`, `5m`, `2h` or `1d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("expected a number with ms, s, m, h or d, such as 30s, found {text:?}")),
    };
    let number: u64 = number.parse().map_err(|_| format!("expected a number before the unit, found {text:?}"))?;
    number.checked_mul(factor).map(Duration::from_millis).ok_or_else(|| format!("{text:?} is too long"))
}

/// A time such as `2026-01-31T12:00:00Z`, the beginning of a day in UTC such as `2026-01-31`, or how long ago, such as `15m`.
pub fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        let midnight = day.at(0, 0, 0, 0);
        return jiff::tz::Offset::UTC.to_timestamp(midnight).map_err(|error| error.to_string());
    }
    let ago = duration(text).ok().and_then(|ago| jiff::SignedDuration::try_from(ago).ok());
    ago.and_then(|ago| jiff::Timestamp::now().checked_sub(ago).ok()).ok_or_else(|| {
        format!("expected a time such as 2026-01-31T12:00:00Z, a day, or how long ago such as 15m, found {text:?}")
    })
}

/// A size such as `64MiB`, `512KiB`, `1GiB`, or a plain number of bytes.
pub fn bytes(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(format!("expected a number with B, KiB, MiB or GiB, such as 64MiB, found {text:?}")),
    };
    let number: u64 = number.parse().map_err(|_| format!("expected a number before the unit, found {text:?}"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text:?} is too large"))
}

/// A number, or a word that stands for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Limited(u32),
    /// No end of them.
    Unlimited,
}

/// A number, or `unlimited`.
pub fn count(text: &str) -> Result<Count, String> {
    match text {
        "unlimited" | "all" => Ok(Count::Unlimited),
        number => {
            number.parse().map(Count::Limited).map_err(|_| format!("expected a number or unlimited, found {text:?}"))
        }
    }
}

/// `NAME=N`; the value may be `none`, and the name may hold `=`.
pub fn limit(text: &str) -> Result<(String, Option<u32>), String> {
    let (name, value) = text.rsplit_once('=').ok_or_else(|| format!("expected NAME=N, found {text:?}"))?;
    let value = match value {
        "none" => None,
        number => Some(number.parse().map_err(|_| format!("expected a number or none after =, found {number:?}"))?),
    };
    Ok((name.to_owned(), value))
}

/// The most there may be; none is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most(pub Option<u32>);

/// A number, or `none`.
pub fn most(text: &str) -> Result<Most, String> {
    match text {
        "none" => Ok(Most(None)),
        number => number
            .parse()
            .map(|most| Most(Some(most)))
            .map_err(|_| format!("expected a number or none, found {text:?}")),
    }
}

/// What a job's pace is limited by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Documents a second.
    Documents,
    /// Bytes a second.
    Bytes,
    /// Chunks at a time.
    Operations,
}

impl Rate {
    /// Puts a new value into rates.
    pub fn set(self, rates: &mut capstan_client::v1::Rates, value: Option<u64>) {
        match self {
            Self::Documents => rates.documents = value,
            Self::Bytes => rates.bytes = value,
            // More than fit are refused by the server, as every number out of range is.
            Self::Operations => rates.operations = value.map(|value| u32::try_from(value).unwrap_or(u32::MAX)),
        }
    }
}

/// `documents=N`, `bytes=SIZE` or `operations=N`; the value may be `none`.
pub fn rate(text: &str) -> Result<(Rate, Option<u64>), String> {
    let bad = || format!("expected documents=N, bytes=SIZE or operations=N, or none after =, found {text:?}");
    let (name, value) = text.split_once('=').ok_or_else(bad)?;
    let rate = match name {
        "documents" => Rate::Documents,
        "bytes" => Rate::Bytes,
        "operations" => Rate::Operations,
        _ => return Err(bad()),
    };
    let value = match (rate, value) {
        (_, "none") => None,
        (Rate::Bytes, size) => Some(bytes(size)?),
        (_, number) => Some(number.parse().map_err(|_| bad())?),
    };
    Ok((rate, value))
}

/// `DB.COLL=N`; higher goes first, and the name may hold `=`.
pub fn priority(text: &str) -> Result<(String, i16), String> {
    let bad = || format!("expected DB.COLL=N with N from -100 to 100, found {text:?}");
    let (collection, priority) =
        text.rsplit_once('=').filter(|(collection, _)| !collection.is_empty()).ok_or_else(bad)?;
    let priority: i16 = priority.parse().map_err(|_| bad())?;
    if (-100..=100).contains(&priority) { Ok((collection.to_owned(), priority)) } else { Err(bad()) }
}

/// `INITIAL..CAP`, or `none`.
pub fn backoff(text: &str) -> Result<capstan_client::v1::Backoff, String> {
    if text == "none" {
        return Ok(capstan_client::v1::Backoff::default());
    }
    let (initial, cap) = text
        .split_once("..")
        .ok_or_else(|| format!("expected INITIAL..CAP, such as 1s..5m, or none, found {text:?}"))?;
    let millis = |text| duration(text).map(|length| length.as_millis() as u64);
    Ok(capstan_client::v1::Backoff { initial_ms: millis(initial)?, cap_ms: millis(cap)? })
}

/// JSON text.
pub fn json(text: &str) -> Result<String, String> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("expected JSON, found {error}; text needs quotes: '\"text\"'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7_200)));
        for bad in ["5", "s", "5 s", "-1s", "1.5s", "99999999999999999999d", "999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_moment_is_a_time_a_day_or_how_long_ago() {
        let day = moment("2026-01-31").unwrap();
        assert_eq!((day, moment("2026-01-31T01:00:00+01:00").unwrap()), ("2026-01-31T00:00:00Z".parse().unwrap(), day));
        let ago = jiff::Timestamp::now().duration_since(moment("15m").unwrap()).as_secs();
        assert!((899..=960).contains(&ago), "{ago}");
        for bad in ["yesterday", "", "15", "-15m", "2026-02-30", "99999999999999d"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limits_name_may_hold_an_equals_sign() {
        assert_eq!(limit("host:a=b=4"), Ok(("host:a=b".into(), Some(4))));
        assert_eq!(limit("dump=none"), Ok(("dump".into(), None)));
        assert!(limit("dump").is_err() && limit("dump=x").is_err());
    }

    #[test]
    fn a_back_off_is_a_range() {
        assert_eq!(backoff("1s..5m"), Ok(capstan_client::v1::Backoff { initial_ms: 1_000, cap_ms: 300_000 }));
        assert!(backoff("1s").is_err());
    }
}
