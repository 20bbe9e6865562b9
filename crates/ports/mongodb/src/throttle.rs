//! Waiting as long as a server asks for, or a little longer each time.

use std::time::Duration;

/// How often a request that is throttled is made again. With the pauses below that takes about 20 seconds, within any lease.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// What services that meter requests say in the text of their refusal.
const ADVICE: &str = "RetryAfterMs=";

/// Counts how often in a row a server has asked to slow down.
#[derive(Debug)]
pub(crate) struct Throttle {
    times: u32,
    tries: u32,
}

impl Default for Throttle {
    fn default() -> Self {
        Self::of(TRIES)
    }
}

impl Throttle {
    /// One that gives up after so many pauses.
    pub fn of(tries: u32) -> Self {
        Self { times: 0, tries }
    }

    /// How long to wait now; nothing where that is for those to decide who hand out work: too often, or too long.
    pub fn pause(&mut self, advised: Option<Duration>) -> Option<Duration> {
        self.times += 1;
        let growing = PAUSE.saturating_mul(1 << (self.times - 1).min(16)).min(PAUSE_MAX);
        Some(advised.unwrap_or(growing)).filter(|pause| self.times <= self.tries && *pause <= PAUSE_MAX)
    }

    /// Something went through.
    pub fn ease(&mut self) {
        self.times = 0;
    }
}

/// The pause that a refusal names.
pub(crate) fn advised(message: &str) -> Option<Duration> {
    let (_, after) = message.split_once(ADVICE)?;
    let digits = after.trim_start().split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_most_and_come_to_an_end() {
        let mut throttle = Throttle::default();
        let pauses: Vec<u128> = std::iter::from_fn(|| throttle.pause(None)).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000]);

        throttle.ease();
        assert_eq!(throttle.pause(None), Some(PAUSE));
    }

    #[test]
    fn what_the_server_advises_is_done_unless_it_is_long() {
        let said = |text| advised(text);
        assert_eq!(said("Request rate is large. RetryAfterMs=34, Details"), Some(Duration::from_millis(34)));
        assert_eq!(
            (said("RetryAfterMs="), said("RetryAfterMs=99999999999999999999"), said("slow")),
            (None, None, None)
        );

        let mut throttle = Throttle::default();
        assert_eq!(throttle.pause(said("RetryAfterMs=34")), Some(Duration::from_millis(34)));
        assert_eq!(throttle.pause(said("RetryAfterMs=5001")), None);
    }
}
