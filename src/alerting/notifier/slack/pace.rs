//! One message, a pause, the next one.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// Gives out turns.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Mutex::new(None),
        }
    }

    /// Waits for a turn. It is taken when this is called, so that nobody holds a lock while waiting.
    pub(super) async fn wait(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.map_or(now, |next| next.max(now));
            *next = Some(turn + self.interval);
            turn
        };
        sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_an_interval_apart() {
        let start = Instant::now();
        let pace = Pace::new(Duration::from_secs(1));
        let turn = async || {
            pace.wait().await;
            start.elapsed().as_secs()
        };
        let (first, second, third) = tokio::join!(turn(), turn(), turn());
        assert_eq!([first, second, third], [0, 1, 2]);
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(turn().await, 62);
    }
}
