//! How long to try, and how long to rest in between.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The times of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A connection that takes longer does not come.
    pub connect: Duration,
    /// An answer that takes longer, with the connection, does not come.
    pub answer: Duration,
    /// The rest after the first attempt; doubles with each further one.
    pub rest: Duration,
    /// The longest rest, but for what a receiver asks for.
    pub rest_max: Duration,
    /// The longest rest that a receiver may ask for with `Retry-After`.
    pub asked_max: Duration,
    /// No attempt begins later than this after the first.
    pub give_up: Duration,
}

impl Default for Patience {
    /// Ten seconds for an answer; rests of a second to five minutes, for an hour.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(10),
            rest: Duration::from_secs(1),
            rest_max: Duration::from_secs(300),
            asked_max: Duration::from_secs(900),
            give_up: Duration::from_secs(3_600),
        }
    }
}

impl Patience {
    /// The rest after so many attempts, and at least as long as the receiver asked for.
    pub(crate) fn rest_after(&self, attempts: u32, asked: Option<Duration>) -> Duration {
        self.rest_with(attempts, asked, RandomState::new().hash_one(attempts))
    }

    /// Between half of the rest and all of it, so that many who failed together do not come again together.
    fn rest_with(&self, attempts: u32, asked: Option<Duration>, dice: u64) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
        let whole = self.rest.saturating_mul(doubled).min(self.rest_max);
        let share = (dice % 1_000) as f64 / 1_000.0;
        let rest = whole / 2 + (whole / 2).mul_f64(share);
        rest.max(asked.unwrap_or_default().min(self.asked_max))
    }
}

/// What `Retry-After` asks for: seconds, or a date.
pub(crate) fn asked(header: &str, now: jiff::Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(header).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_their_limit_and_vary_by_half() {
        let patience = Patience::default();
        for (attempts, whole) in [(1, 1), (2, 2), (5, 16), (9, 256), (10, 300), (4_000_000_000, 300)] {
            let whole = Duration::from_secs(whole);
            assert_eq!(patience.rest_with(attempts, None, 0), whole / 2);
            let most = patience.rest_with(attempts, None, 999);
            assert!(most > whole.mul_f64(0.99) && most <= whole, "{most:?} after {attempts}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_rest_but_not_for_any() {
        let patience = Patience::default();
        let rest = |seconds| patience.rest_with(3, Some(Duration::from_secs(seconds)), 0).as_secs();
        assert_eq!((rest(0), rest(60), rest(86_400)), (2, 60, 900));
    }

    #[test]
    fn a_rest_is_asked_for_in_seconds_or_with_a_date() {
        let now = "2026-11-24T01:00:00Z".parse().unwrap();
        let table = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Tue, 24 Nov 2026 01:00:30 GMT", Some(30)),
            ("Tue, 24 Nov 2026 00:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ];
        for (header, seconds) in table {
            assert_eq!(asked(header, now), seconds.map(Duration::from_secs), "{header}");
        }
    }
}
