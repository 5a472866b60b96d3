//! A bounded queue of spans: who puts one in never waits, and who takes them waits for enough of them, or long enough.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::traces::BatchConfig;

/// A bounded queue.
#[derive(Debug)]
pub(in crate::traces) struct Queue<T> {
    state: Mutex<State<T>>,
    most: usize,
    /// As many as are worth waking somebody up for.
    enough: usize,
    bell: Notify,
    /// Rung when there is room again.
    room: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    is_closed: bool,
}

/// Why something was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::traces) enum Refused {
    Full,
    Closed,
}

impl<T> Queue<T> {
    /// For batches as they are configured.
    pub(in crate::traces) fn of(batch: &BatchConfig) -> Self {
        // Without a delay whatever comes is sent at once.
        let enough = if batch.delay.is_zero() {
            1
        } else {
            batch.batch_size
        };
        Self::new(batch.queue_size, enough)
    }

    pub(in crate::traces) fn new(most: usize, enough: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                is_closed: false,
            }),
            most,
            enough: enough.min(most),
            bell: Notify::new(),
            room: Notify::new(),
        }
    }

    pub(in crate::traces) fn put(&self, item: T) -> Result<(), Refused> {
        let waiting = self.admit(|waiting| waiting.push_back(item))?;
        if waiting == self.enough {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// All of them, where there is room for the first; else none.
    pub(super) fn put_together(&self, items: impl IntoIterator<Item = T>) -> Result<(), Refused> {
        let waiting = self.admit(|waiting| waiting.extend(items))?;
        // Whoever waits looks for himself how many there are.
        if waiting >= self.enough {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Says how many wait with what was added.
    #[inline]
    fn admit(&self, add: impl FnOnce(&mut VecDeque<T>)) -> Result<usize, Refused> {
        let mut state = self.state();
        if state.is_closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= self.most {
            return Err(Refused::Full);
        }
        add(&mut state.waiting);
        Ok(state.waiting.len())
    }

    /// Until something is taken out.
    pub(super) async fn has_room(&self) {
        loop {
            let room = self.room.notified();
            if self.state().waiting.len() < self.most {
                return;
            }
            room.await;
        }
    }

    /// Takes in again.
    pub(in crate::traces) fn open(&self) {
        self.state().is_closed = false;
    }

    /// Nothing more is taken in. What is there can still be taken out.
    pub(in crate::traces) fn close(&self) {
        self.state().is_closed = true;
        self.bell.notify_one();
    }

    /// Some that wait, in their order.
    pub(in crate::traces) fn take(&self, most: usize) -> Vec<T> {
        let taken = {
            let mut state = self.state();
            let count = most.min(state.waiting.len());
            state.waiting.drain(..count).collect()
        };
        self.room.notify_one();
        taken
    }

    /// The next batch: a full one, or what is there `delay` from now; without a delay, as soon as there is one. `None`:
    /// closed and empty.
    pub(in crate::traces) async fn next(&self, most: usize, delay: Duration) -> Option<Vec<T>> {
        // A delay beyond what a clock can tell is one that never ends.
        let due = (!delay.is_zero())
            .then(|| Instant::now().checked_add(delay))
            .flatten();
        loop {
            let (waiting, is_closed) = {
                let state = self.state();
                (state.waiting.len(), state.is_closed)
            };
            if is_closed && waiting == 0 {
                return None;
            }
            if is_closed || waiting >= most.min(self.enough) {
                return Some(self.take(most));
            }
            tokio::select! {
                () = self.bell.notified() => {}
                () = sleep_until(due) => return Some(self.take(most)),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_batch_comes_when_it_is_full_or_due_and_the_last_at_once() {
        let queue = Queue::new(4, 2);
        let start = Instant::now();
        let delay = Duration::from_secs(5);
        queue.put(1).unwrap();
        assert_eq!(queue.next(2, delay).await, Some(vec![1]));
        assert_eq!(start.elapsed(), delay);
        for item in 2..6 {
            queue.put(item).unwrap();
        }
        assert_eq!(queue.put(6), Err(Refused::Full));
        assert_eq!(queue.next(2, delay).await, Some(vec![2, 3]));
        assert_eq!(queue.next(2, delay).await, Some(vec![4, 5]));
        queue.put(7).unwrap();
        queue.close();
        assert_eq!(queue.put(8), Err(Refused::Closed));
        assert_eq!(queue.next(2, delay).await, Some(vec![7]));
        assert_eq!(queue.next(2, delay).await, None);
        assert_eq!(start.elapsed(), delay);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_delay_what_comes_is_sent_at_once_and_nobody_asks_before_it_comes() {
        let queue = Queue::of(&BatchConfig {
            delay: Duration::ZERO,
            ..BatchConfig::default()
        });
        let next = queue.next(512, Duration::ZERO);
        let none = tokio::time::timeout(Duration::from_hours(1), next).await;
        assert!(none.is_err(), "{none:?}");
        queue.put(1).unwrap();
        assert_eq!(queue.next(512, Duration::ZERO).await, Some(vec![1]));
        let soon = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            queue.put(2).unwrap();
        };
        let (next, ()) = tokio::join!(queue.next(512, Duration::ZERO), soon);
        assert_eq!(next, Some(vec![2]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_belongs_together_comes_in_whole_or_not_at_all() {
        let queue = Queue::new(2, 2);
        queue.put_together(1..=5).unwrap();
        assert_eq!(queue.put_together(6..=7), Err(Refused::Full));
        assert_eq!(queue.take(4), [1, 2, 3, 4]);
        queue.has_room().await;
        queue.put_together(8..=9).unwrap();
        assert_eq!(queue.take(9), [5, 8, 9]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_that_no_clock_can_tell_waits_for_a_full_batch() {
        let queue = Queue::new(4, 2);
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        assert_eq!(queue.next(2, Duration::MAX).await, Some(vec![1, 2]));
    }
}
