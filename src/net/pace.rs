//! Spaces the messages to one URL at least an interval apart, across all channels that send to the URL.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::privacy::Secret;
use crate::runtime::lock;

/// Time that an attempt waits for its turn. An attempt with a later turn fails and is retried then, since an attempt has
/// a timeout.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The pace of each URL.
#[derive(Clone, Default)]
pub(super) struct Paces(Arc<Mutex<BTreeMap<String, Arc<Pace>>>>);

/// Assigns turns to the messages for one URL.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    interval: Duration,
    next: Option<Instant>,
}

impl Paces {
    /// The pace of a URL, with the longest interval that was asked for.
    pub(super) fn of(&self, url: &Secret, interval: Duration) -> Arc<Pace> {
        let mut paces = lock(&self.0);
        let pace = paces.entry(url.expose().to_owned());
        let pace = pace.or_insert_with(|| Arc::new(Pace::new(interval)));
        {
            let mut state = pace.state();
            state.interval = state.interval.max(interval);
        }
        Arc::clone(pace)
    }
}

impl Pace {
    fn new(interval: Duration) -> Self {
        Self(Mutex::new(State {
            interval,
            next: None,
        }))
    }

    /// Waits for a turn, or returns the time until the turn if it is more than [`MAX_WAIT`] away.
    ///
    /// The turn is assigned before the wait, so no task holds the lock while it waits. A turn that is too far away stays
    /// unassigned.
    pub(crate) async fn wait(&self) -> Result<(), Duration> {
        let turn = self.take(Instant::now())?;
        sleep_until(turn).await;
        Ok(())
    }

    fn take(&self, now: Instant) -> Result<Instant, Duration> {
        let mut state = self.state();
        let turn = state.next.map_or(now, |next| next.max(now));
        let wait = turn - now;
        // With an interval above MAX_WAIT, the next turn is still assigned.
        if wait > MAX_WAIT.max(state.interval) {
            return Err(wait);
        }
        state.next = turn.checked_add(state.interval);
        Ok(turn)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://hooks.example/token";

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_an_interval_apart() {
        let start = Instant::now();
        let pace = Pace::new(seconds(1));
        let turn = async || {
            pace.wait().await.unwrap();
            start.elapsed().as_secs()
        };
        let (first, second, third) = tokio::join!(turn(), turn(), turn());
        assert_eq!([first, second, third], [0, 1, 2]);
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert_eq!(turn().await, 62);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_far_off_is_not_taken() {
        let (pace, now) = (Pace::new(seconds(1)), Instant::now());
        for turn in 0..=5 {
            assert_eq!(pace.take(now), Ok(now + seconds(turn)));
        }
        for _ in 0..100 {
            assert_eq!(pace.take(now), Err(seconds(6)));
        }
        // The attempt that returns at that time gets the turn.
        let then = now + seconds(6);
        assert_eq!(pace.take(then), Ok(then));
        // A single message always gets its turn, whatever the interval.
        let slow = Pace::new(seconds(10));
        assert_eq!(slow.take(now), Ok(now));
        assert_eq!(slow.take(now), Ok(now + seconds(10)));
    }

    #[test]
    fn a_url_has_one_pace_and_the_longest_interval() {
        let paces = Paces::default();
        let clone = paces.clone();
        let url = Secret::new(URL);
        let first = paces.of(&url, seconds(2));
        let second = clone.of(&url, seconds(1));
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(first.state().interval, seconds(2));
        clone.of(&url, seconds(3));
        assert_eq!(first.state().interval, seconds(3));
        let other = paces.of(&Secret::new("https://hooks.example/other"), seconds(1));
        assert!(!Arc::ptr_eq(&first, &other));
    }
}
