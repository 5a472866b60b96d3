//! Runs an attempt of an address within its time limit, and converts a panic of the notifier into an error.
//!
//! The notifiers of this crate wait asynchronously on the thread of the runner. A notifier of the application may block
//! its thread, so each of its attempts runs on a thread of its own, which polls the future in the runtime of the runner.
//! An attempt that does not end within its limit is cancelled: a future ends at its next await. A thread that does not
//! end is a hang: it is counted and logged, and the address makes no further attempt until the thread has returned.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{runtime::Handle, sync::oneshot};

use crate::{
    alerting::{FailureClass, Message, Notifier, NotifyError, NotifyFuture, Receipt},
    runtime::{lock, own_thread::Joinable},
};

/// The name of the thread of an attempt; Linux shows fifteen characters of it.
const THREAD_NAME: &str = "obs-notifier";
/// The time in which a cancelled attempt must end: a future that waits asynchronously ends at once.
const MAX_CANCEL_TIME: Duration = Duration::from_millis(250);

/// An address of a channel.
#[derive(Debug)]
pub(super) struct Address {
    /// The channel, with the index of the address after the first: `webhook`, `webhook/1`.
    pub(super) name: String,
    pub(super) notifier: Arc<dyn Notifier>,
    /// True if each attempt runs on a thread of its own.
    has_own_threads: bool,
    /// The thread that did not return within the limit of its attempt; dangling after its end.
    hanging: Mutex<Weak<()>>,
    hangs: AtomicU64,
}

impl Address {
    pub(super) fn new(
        channel: &str,
        index: usize,
        notifier: &Arc<dyn Notifier>,
        has_own_threads: bool,
    ) -> Self {
        Self {
            name: if index == 0 {
                channel.to_owned()
            } else {
                format!("{channel}/{index}")
            },
            notifier: Arc::clone(notifier),
            has_own_threads,
            hanging: Mutex::default(),
            hangs: AtomicU64::new(0),
        }
    }

    /// Returns whether the thread of an attempt has not returned within its limit, and still runs.
    pub(super) fn is_hanging(&self) -> bool {
        self.hanging().strong_count() > 0
    }

    /// Returns the number of attempts that did not return.
    pub(super) fn hangs(&self) -> u64 {
        self.hangs.load(Ordering::Relaxed)
    }

    /// Runs one attempt. The attempt fails after `timeout`, or if the notifier panics.
    pub(super) async fn attempt(
        &self,
        message: &Message,
        timeout: Duration,
    ) -> Result<Receipt, NotifyError> {
        if self.has_own_threads {
            return self.attempt_on_thread(message, timeout).await;
        }
        let attempt = tokio::time::timeout(timeout, notify(&*self.notifier, message)).await;
        attempt.unwrap_or_else(|_| Err(unanswered(format!("no answer within {timeout:?}"))))
    }

    async fn attempt_on_thread(
        &self,
        message: &Message,
        timeout: Duration,
    ) -> Result<Receipt, NotifyError> {
        if self.is_hanging() {
            let text = "the notifier has not returned from an earlier attempt";
            return Err(NotifyError::new(FailureClass::DeadlineExceeded, text).retryable());
        }
        let is_alive = Arc::new(());
        // Also if this future is dropped, the next attempt finds a thread that blocks.
        let _unfinished = Unfinished(self, Arc::downgrade(&is_alive));
        let (sender, mut receiver) = oneshot::channel();
        let (cancel, mut is_canceled) = oneshot::channel::<()>();
        let (notifier, message) = (Arc::clone(&self.notifier), message.clone());
        let runtime = Handle::current();
        let started = Joinable::spawn(THREAD_NAME, move || {
            let result = runtime.block_on(async {
                tokio::select! {
                    result = notify(&*notifier, &message) => Some(result),
                    _ = &mut is_canceled => None,
                }
            });
            drop(is_alive);
            if let Some(result) = result {
                // The receiver is gone if the limit has passed.
                let _ = sender.send(result);
            }
        });
        if let Err(error) = started {
            let text = format!("the thread of the notifier cannot be started: {error}");
            return Err(NotifyError::new(FailureClass::Other, text).retryable());
        }
        if let Ok(result) = tokio::time::timeout(timeout, &mut receiver).await {
            return result.unwrap_or_else(|_| Err(panicked()));
        }
        drop(cancel);
        match tokio::time::timeout(MAX_CANCEL_TIME, receiver).await {
            Ok(Ok(late)) => late,
            Ok(Err(_)) => Err(unanswered(format!("no answer within {timeout:?}"))),
            Err(_) => {
                self.hangs.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    channel = self.name,
                    "the notifier of the application has not returned within {timeout:?} and blocks its thread: the channel waits until it returns, and other channels are unaffected; let Notifier::notify wait asynchronously, with a time limit"
                );
                let text = format!("the notifier has not returned within {timeout:?}");
                Err(unanswered(text))
            }
        }
    }

    fn hanging(&self) -> MutexGuard<'_, Weak<()>> {
        lock(&self.hanging)
    }
}

/// Remembers the thread of an attempt at the end of the attempt.
struct Unfinished<'a>(&'a Address, Weak<()>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.1.strong_count() > 0 {
            *self.0.hanging() = Weak::clone(&self.1);
        }
    }
}

/// Calls the notifier. A panic of the call or of its future is an error.
async fn notify(notifier: &dyn Notifier, message: &Message) -> Result<Receipt, NotifyError> {
    let future = catch_unwind(AssertUnwindSafe(|| notifier.notify(message)));
    let Ok(future) = future else {
        return Err(panicked());
    };
    CatchUnwind(future).await
}

/// Resolves to an error if the inner future panics.
struct CatchUnwind<'a>(NotifyFuture<'a>);

impl Future for CatchUnwind<'_> {
    type Output = Result<Receipt, NotifyError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.0.as_mut();
        catch_unwind(AssertUnwindSafe(|| future.poll(context)))
            .unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    }
}

fn unanswered(text: String) -> NotifyError {
    let error = NotifyError::new(FailureClass::DeadlineExceeded, text);
    error.retryable().maybe_received()
}

fn panicked() -> NotifyError {
    NotifyError::new(FailureClass::Other, "the notifier panicked").maybe_received()
}
