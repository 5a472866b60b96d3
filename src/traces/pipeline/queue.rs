//! Implements a bounded queue: producers never wait, and the consumer waits for a full batch or a delay.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::runtime::lock;
use crate::traces::BatchConfig;

/// A bounded queue.
#[derive(Debug)]
pub(in crate::traces) struct Queue<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    /// The number of items at which the consumer is woken.
    wake_at: usize,
    /// Notified when a batch is full or the queue is closed.
    ready: Notify,
    /// Notified when items are taken out.
    room: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    is_closed: bool,
}

/// The reason for refusing an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::traces) enum Refused {
    Full,
    Closed,
}

impl<T> Queue<T> {
    /// A queue for batches of this configuration.
    pub(in crate::traces) fn of(batch: &BatchConfig) -> Self {
        // Without a delay, every item is sent at once.
        let wake_at = if batch.delay.is_zero() {
            1
        } else {
            batch.batch_size
        };
        Self::new(batch.queue_size, wake_at)
    }

    pub(in crate::traces) fn new(capacity: usize, wake_at: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                is_closed: false,
            }),
            capacity,
            wake_at: wake_at.min(capacity),
            ready: Notify::new(),
            room: Notify::new(),
        }
    }

    pub(in crate::traces) fn put(&self, item: T) -> Result<(), Refused> {
        let waiting = self.admit(|waiting| waiting.push_back(item))?;
        if waiting == self.wake_at {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Puts all items into the queue if there is room for the first, else no item.
    pub(super) fn put_together(&self, items: impl IntoIterator<Item = T>) -> Result<(), Refused> {
        let waiting = self.admit(|waiting| waiting.extend(items))?;
        // The consumer checks the number of items itself.
        if waiting >= self.wake_at {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Adds items and returns the length of the queue.
    #[inline]
    fn admit(&self, add: impl FnOnce(&mut VecDeque<T>)) -> Result<usize, Refused> {
        let mut state = self.state();
        if state.is_closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= self.capacity {
            return Err(Refused::Full);
        }
        add(&mut state.waiting);
        Ok(state.waiting.len())
    }

    /// Waits until the queue has room.
    pub(super) async fn has_room(&self) {
        loop {
            let room = self.room.notified();
            if self.state().waiting.len() < self.capacity {
                return;
            }
            room.await;
        }
    }

    /// Accepts items again.
    pub(in crate::traces) fn open(&self) {
        self.state().is_closed = false;
    }

    /// Refuses further items. Items in the queue can still be taken.
    pub(in crate::traces) fn close(&self) {
        self.state().is_closed = true;
        self.ready.notify_one();
    }

    /// Takes up to `max` items in their order.
    pub(in crate::traces) fn take(&self, max: usize) -> Vec<T> {
        let taken = {
            let mut state = self.state();
            let count = max.min(state.waiting.len());
            state.waiting.drain(..count).collect()
        };
        self.room.notify_one();
        taken
    }

    /// Waits for the next batch: up to `max` items as soon as the batch is full, or all items after `delay`. Returns `None`
    /// if the queue is closed and empty.
    pub(in crate::traces) async fn next(&self, max: usize, delay: Duration) -> Option<Vec<T>> {
        // A delay beyond the range of the clock never ends.
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
            if is_closed || waiting >= max.min(self.wake_at) {
                return Some(self.take(max));
            }
            tokio::select! {
                () = self.ready.notified() => {}
                () = sleep_until(due) => return Some(self.take(max)),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
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
    async fn without_a_delay_an_item_is_taken_at_once_and_an_empty_queue_waits() {
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
    async fn items_that_belong_together_are_accepted_or_refused_together() {
        let queue = Queue::new(2, 2);
        queue.put_together(1..=5).unwrap();
        assert_eq!(queue.put_together(6..=7), Err(Refused::Full));
        assert_eq!(queue.take(4), [1, 2, 3, 4]);
        queue.has_room().await;
        queue.put_together(8..=9).unwrap();
        assert_eq!(queue.take(9), [5, 8, 9]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_beyond_the_clock_waits_for_a_full_batch() {
        let queue = Queue::new(4, 2);
        queue.put(1).unwrap();
        queue.put(2).unwrap();
        assert_eq!(queue.next(2, Duration::MAX).await, Some(vec![1, 2]));
    }
}
