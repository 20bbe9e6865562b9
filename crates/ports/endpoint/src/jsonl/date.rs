//! Dates as text in `$date`: ISO 8601 with a zone, as exports write them.

/// Milliseconds since 1970 of `YYYY-MM-DDTHH:MM[:SS[.fraction]]` and a zone (`Z`, `+HH:MM`, `+HHMM`, `+HH`).
///
/// Digits beyond milliseconds are cut off, as mongoimport does. A text without a zone is no moment: `None`.
pub(super) fn millis(text: &[u8]) -> Option<i64> {
    let mut rest = Rest(text);
    let year = rest.number(4)?;
    rest.take(b'-')?;
    let month = rest.number(2)?;
    rest.take(b'-')?;
    let day = rest.number(2)?;
    rest.take(b'T')?;
    let hour = rest.number(2)?;
    rest.take(b':')?;
    let minute = rest.number(2)?;
    let second = if rest.take(b':').is_some() { rest.number(2)? } else { 0 };
    let fraction = if rest.take(b'.').is_some() { rest.fraction()? } else { 0 };
    let offset = rest.zone()?;
    if !rest.0.is_empty() || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let minutes = (days_before(year, month, day) * 24 + hour) * 60 + minute - offset;
    Some((minutes * 60 + second) * 1_000 + fraction)
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn digit(&mut self) -> Option<i64> {
        let (first, rest) = self.0.split_first()?;
        let digit = char::from(*first).to_digit(10)?;
        self.0 = rest;
        Some(digit.into())
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        (0..digits).try_fold(0, |number, _| Some(number * 10 + self.digit()?))
    }

    /// Milliseconds from the digits behind a point; at least one.
    fn fraction(&mut self) -> Option<i64> {
        let mut millis = self.digit()? * 100;
        let mut weight = 10;
        while let Some(digit) = self.digit() {
            millis += digit * weight;
            weight /= 10;
        }
        Some(millis)
    }

    /// Minutes east of Greenwich.
    fn zone(&mut self) -> Option<i64> {
        if self.take(b'Z').is_some() {
            return Some(0);
        }
        let sign = if self.take(b'+').is_some() { 1 } else { self.take(b'-').map(|()| -1)? };
        let hours = self.number(2)?;
        let has_minutes = self.take(b':').is_some() || !self.0.is_empty();
        let minutes = if has_minutes { self.number(2)? } else { 0 };
        (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counted in years that begin in March.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_form_that_exports_write() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.001Z", 1),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2012-11-20T20:02:24.386Z", 1_353_441_744_386),
            ("2012-11-20T20:02:24.386+0000", 1_353_441_744_386),
            ("2012-11-20T21:02:24.386+01:00", 1_353_441_744_386),
            ("2012-11-20T14:32:24.386-0530", 1_353_441_744_386),
            ("2012-11-20T22:02:24.3869999+02", 1_353_441_744_386),
            ("2012-11-20T20:02:24.3Z", 1_353_441_744_300),
            ("2012-11-20T20:02Z", 1_353_441_720_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ] {
            assert_eq!(millis(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_no_date() {
        for bad in [
            "",
            "2012",
            "2012-11-20",
            "2012-11-20T20:02:24",
            "2012-11-20 20:02:24Z",
            "2012-13-20T20:02:24Z",
            "2012-11-31T20:02:24Z",
            "2011-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2012-11-20T24:00:00Z",
            "2012-11-20T20:60:00Z",
            "2012-11-20T20:02:60Z",
            "2012-11-20T20:02:24.Z",
            "2012-11-20T20:02:24Zx",
            "2012-11-20T20:02:24+1",
            "2012-11-20T20:02:24+2400",
            "+012-11-20T20:02:24Z",
            "2012-00-20T20:02:24Z",
            "2012-11-00T20:02:24Z",
        ] {
            assert_eq!(millis(bad.as_bytes()), None, "{bad}");
        }
    }
}
