//! [`Bucket`]: how many frames a socket may still send.

use runtime::settings::RateLimit;
use std::time::Duration;
use tokio::time::Instant;

/// Holds a period's frames at most and fills evenly.
pub(crate) struct Bucket {
    size: f64,
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    pub fn new(limit: RateLimit) -> Self {
        let size = f64::from(limit.count);
        let per_second = size / limit.period.max(Duration::from_millis(1)).as_secs_f64();
        Self { size, per_second, left: size, at: Instant::now() }
    }

    /// Takes one; or says after how many seconds there will be one again.
    pub fn take(&mut self) -> Result<(), u64> {
        let now = Instant::now();
        self.left = (self.left + self.per_second * (now - self.at).as_secs_f64()).min(self.size);
        self.at = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        let seconds = Duration::try_from_secs_f64((1.0 - self.left) / self.per_second).unwrap_or_default();
        Err(seconds.as_secs() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_a_periods_frames_at_once_and_fills_evenly() {
        let mut bucket = Bucket::new(RateLimit { count: 50, period: Duration::from_secs(1) });
        assert_eq!((0..60).filter(|_| bucket.take().is_ok()).count(), 50);
        assert_eq!(bucket.take(), Err(1));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!((0..60).filter(|_| bucket.take().is_ok()).count(), 25);
    }
}
