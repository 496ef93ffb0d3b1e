//! A rate that is not exceeded.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Lets through so many a second, and at first or after a silence those of one second at once.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When the next one would be due if none came early. Up to a second behind the clock.
    due: Instant,
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Self {
        let interval = Duration::from_secs_f64(1.0 / per_second);
        Self { interval, due: Instant::now() - Self::burst(interval) }
    }

    fn burst(interval: Duration) -> Duration {
        Duration::from_secs(1).saturating_sub(interval)
    }

    /// Wait for a turn.
    pub(super) async fn turn(&mut self) {
        let now = Instant::now();
        let earliest = now.checked_sub(Self::burst(self.interval)).unwrap_or(now);
        self.due = self.due.max(earliest);
        if self.due > now {
            sleep_until(self.due).await;
        }
        self.due += self.interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept_after_the_first_second() {
        let start = Instant::now();
        let mut pace = Pace::new(10.0);
        for _ in 0..10 {
            pace.turn().await;
        }
        assert!(start.elapsed() < Duration::from_millis(101), "{:?}", start.elapsed());
        for _ in 0..100 {
            pace.turn().await;
        }
        let took = start.elapsed().as_secs_f64();
        assert!((9.9..10.2).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn less_than_one_a_second_is_a_rate_too() {
        let mut pace = Pace::new(0.1);
        let start = Instant::now();
        for _ in 0..3 {
            pace.turn().await;
        }
        assert_eq!(start.elapsed().as_secs(), 20);
    }
}
