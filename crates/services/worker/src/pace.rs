//! How fast an item may go: a token bucket that follows its share of the job's rates.

use capstan_migration::RateShare;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// What may be taken at once after a while of nothing: so many seconds' worth.
const BURST_SECONDS: f64 = 0.25;

/// Lets documents through at the rate that the job's coordinator gives this item.
///
/// A batch is let through whole as soon as nothing is owed, and paid for by the wait of the next: no batch is too large
/// for any rate, and over a second or two the rate is kept.
#[derive(Debug)]
pub(crate) struct Pace {
    share: watch::Sender<RateShare>,
    documents: Bucket,
    bytes: Bucket,
}

#[derive(Debug, Default)]
struct Bucket(std::sync::Mutex<Option<Level>>);

#[derive(Clone, Copy, Debug)]
struct Level {
    tokens: f64,
    at: Instant,
}

impl Pace {
    pub fn new(share: RateShare) -> Self {
        Self { share: watch::Sender::new(share), documents: Bucket::default(), bytes: Bucket::default() }
    }

    /// Whether there is any limit now.
    pub fn is_limited(&self) -> bool {
        *self.share.borrow() != RateShare::default()
    }

    /// From now on this fast; whoever waits is told at once.
    pub fn set(&self, share: RateShare) {
        self.share.send_if_modified(|old| std::mem::replace(old, share) != share);
    }

    /// Waits until so much may go.
    pub async fn take(&self, documents: u64, bytes: u64) {
        self.documents.take(documents as f64, &self.share, |share| share.documents).await;
        self.bytes.take(bytes as f64, &self.share, |share| share.bytes).await;
    }
}

impl Bucket {
    async fn take(&self, amount: f64, share: &watch::Sender<RateShare>, rate: fn(&RateShare) -> Option<f64>) {
        let mut changes = share.subscribe();
        loop {
            let rate = rate(&changes.borrow_and_update());
            let Some(wait) = self.owed(rate) else { break };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = changes.changed() => {}
            }
        }
        if let Some(level) = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_mut() {
            level.tokens -= amount;
        }
    }

    /// How long it is until nothing is owed at that rate; none where nothing is.
    fn owed(&self, rate: Option<f64>) -> Option<Duration> {
        let mut kept = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(rate) = rate.filter(|rate| rate.is_finite()).map(|rate| rate.max(f64::MIN_POSITIVE)) else {
            // Debts of a limit that was lifted are forgiven.
            *kept = None;
            return None;
        };
        let now = Instant::now();
        let level = kept.get_or_insert(Level { tokens: 0.0, at: now });
        let earned = now.duration_since(level.at).as_secs_f64() * rate;
        *level = Level { tokens: (level.tokens + earned).min(rate * BURST_SECONDS), at: now };
        // Looked at again at least once an hour, so that any rate makes a valid time.
        (level.tokens < 0.0).then(|| Duration::from_secs_f64((-level.tokens / rate).clamp(0.001, 3_600.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn documents(rate: f64) -> RateShare {
        RateShare { documents: Some(rate), bytes: None }
    }

    #[tokio::test(start_paused = true)]
    async fn over_some_seconds_the_rate_is_kept_whatever_the_batches() {
        for batch in [1, 10, 100, 250] {
            let pace = Pace::new(documents(100.0));
            let began = Instant::now();
            for _ in 0..1_000 / batch {
                pace.take(batch, 1).await;
            }
            // What was taken is paid once the next may go.
            pace.take(0, 0).await;
            let seconds = began.elapsed().as_secs_f64();
            assert!((9.5..=10.1).contains(&seconds), "{batch}: 1,000 documents at 100 a second in {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_at_once_of_another_rate() {
        let pace = Pace::new(documents(1.0));
        pace.take(1_000_000, 1).await;
        let waiting = pace.take(1, 1);
        tokio::pin!(waiting);
        assert_eq!(waiting.as_mut().now_or_never(), None, "a million seconds are owed");

        let began = Instant::now();
        pace.set(RateShare::default());
        waiting.await;

        assert_eq!(began.elapsed(), Duration::ZERO);
        pace.set(documents(10.0));
        assert_eq!(pace.take(1, 1).now_or_never(), Some(()), "the old debt is forgiven");
    }

    #[tokio::test(start_paused = true)]
    async fn both_rates_hold_and_none_is_no_limit() {
        let free = Pace::new(RateShare::default());
        assert_eq!(free.take(u64::MAX, u64::MAX).now_or_never(), Some(()));

        let pace = Pace::new(RateShare { documents: Some(1_000.0), bytes: Some(100.0) });
        let began = Instant::now();
        for _ in 0..10 {
            pace.take(1, 100).await;
        }
        pace.take(0, 0).await;
        assert!((9.5..=10.1).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    }
}
