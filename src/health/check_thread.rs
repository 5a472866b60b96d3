//! Threads of checks that block: one per check, so that a check that hangs delays nothing else.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use super::{CheckResult, check::Hint};
use crate::runtime::own_thread::Joinable;

/// The maximum number of threads of the application's checks.
pub(super) const MAX_THREADS: usize = 32;

/// Counts the threads of checks. A thread counts until it ends, even if its check is removed.
#[derive(Clone, Default)]
pub(super) struct ThreadCount(Arc<AtomicUsize>);

/// A thread that is counted until the value is dropped.
pub(super) struct CountedThread(ThreadCount);

impl ThreadCount {
    /// Counts one more thread; `None` if there are as many as there may be.
    pub(super) fn add(&self) -> Option<CountedThread> {
        let order = Ordering::AcqRel;
        let more = |count| (count < MAX_THREADS).then_some(count + 1);
        let added = self.0.fetch_update(order, Ordering::Acquire, more);
        added.ok().map(|_| CountedThread(self.clone()))
    }
}

impl Drop for CountedThread {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The thread of one check.
pub(super) struct CheckThread {
    attempts: Sender<oneshot::Sender<CheckResult>>,
    is_busy: Arc<AtomicBool>,
    hint: Option<Hint>,
}

impl CheckThread {
    /// Starts a thread that makes one attempt at a time by calling `check`.
    pub(super) fn start(
        counted: Option<CountedThread>,
        hint: Option<Hint>,
        check: impl FnMut() -> CheckResult + Send + 'static,
    ) -> io::Result<Self> {
        let (attempts, receiver) = channel();
        let is_busy = Arc::new(AtomicBool::new(false));
        let busy = Arc::clone(&is_busy);
        // The thread is not joined: it ends with its check, or outlives a check that hangs.
        Joinable::spawn("obs-check", move || {
            let _counted = counted;
            make_attempts(&receiver, &busy, check);
        })?;
        Ok(Self {
            attempts,
            is_busy,
            hint,
        })
    }

    /// Makes one attempt, and waits for its result at most for `timeout`.
    pub(super) async fn attempt(&self, timeout: Duration) -> CheckResult {
        let hint = || {
            let hint = self.hint.as_ref().and_then(|hint| hint());
            hint.map_or_else(String::new, |hint| format!(" ({hint})"))
        };
        if self.is_busy.swap(true, Ordering::AcqRel) {
            return CheckResult::unhealthy(format!("an earlier attempt has not ended{}", hint()));
        }
        let (sender, result) = oneshot::channel();
        if self.attempts.send(sender).is_err() {
            return CheckResult::unhealthy("the thread of the check has ended");
        }
        match tokio::time::timeout(timeout, result).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => CheckResult::unhealthy("the thread of the check has ended"),
            Err(_) => CheckResult::unhealthy(format!("no answer within {timeout:?}{}", hint())),
        }
    }
}

fn make_attempts(
    attempts: &Receiver<oneshot::Sender<CheckResult>>,
    is_busy: &AtomicBool,
    mut check: impl FnMut() -> CheckResult,
) {
    while let Ok(sender) = attempts.recv() {
        let result = catch_unwind(AssertUnwindSafe(&mut check))
            .unwrap_or_else(|panic| panicked(panic.as_ref()));
        is_busy.store(false, Ordering::Release);
        // The receiver is gone if the attempt timed out.
        let _ = sender.send(result);
    }
}

/// Returns the result of a check that panicked.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> CheckResult {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    CheckResult::unhealthy(format!(
        "the check panicked: {}",
        text.unwrap_or("without a text")
    ))
}
