//! A registered check with its runs.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_channel::oneshot;
use tokio::sync::Notify;

use super::{
    CheckKind, CheckReport, CheckState,
    plan::Plan,
    runner::Runner,
    state::{RunOutcome, Runs},
};
use crate::runtime::lock;

/// A registered check with its runs.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: CheckKind,
    pub(super) critical: bool,
    pub(super) plan: Plan,
    pub(super) runner: Runner,
    runs: Mutex<Runs>,
    /// The state that was reported last, and the time of the report.
    reported: Mutex<(CheckState, Duration)>,
    /// Wakes the loop of the check: for a run at once, or for its end.
    pub(super) wake: Notify,
    /// The callers that wait for a run which has not begun.
    waiting: Mutex<Vec<oneshot::Sender<()>>>,
    is_removed: AtomicBool,
    /// True if a loop runs the check.
    has_loop: AtomicBool,
}

/// Readings of both clocks at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) monotonic: Duration,
    pub(super) wall: SystemTime,
}

impl Now {
    /// Converts an earlier monotonic time to wall time.
    pub(super) fn wall_at(&self, at: Duration) -> SystemTime {
        let before = self.monotonic.saturating_sub(at);
        self.wall.checked_sub(before).unwrap_or(self.wall)
    }
}

impl Entry {
    pub(super) fn new(
        name: String,
        (kind, critical): (CheckKind, bool),
        plan: Plan,
        runner: Runner,
        now: Duration,
    ) -> Self {
        Self {
            name,
            kind,
            critical,
            plan,
            runner,
            runs: Mutex::new(Runs::new(now)),
            reported: Mutex::new((CheckState::Pending, now)),
            wake: Notify::new(),
            waiting: Mutex::default(),
            is_removed: AtomicBool::new(false),
            has_loop: AtomicBool::new(false),
        }
    }

    /// Returns whether the caller may start the loop of the check, and remembers that it does.
    pub(super) fn start_loop(&self, now: Duration) -> bool {
        if self.has_loop.swap(true, Ordering::AcqRel) {
            return false;
        }
        lock(&self.runs).await_from(now);
        true
    }

    /// Remembers that no loop runs the check any more, and releases the callers that wait for a run.
    pub(super) fn end_loop(&self) {
        self.has_loop.store(false, Ordering::Release);
        lock(&self.waiting).clear();
    }

    pub(super) fn remove(&self) {
        self.is_removed.store(true, Ordering::Release);
        self.wake.notify_one();
        // The check may have no loop yet, which would release the callers.
        lock(&self.waiting).clear();
    }

    pub(super) fn is_removed(&self) -> bool {
        self.is_removed.load(Ordering::Acquire)
    }

    /// Requests a run at once. The receiver ends with the run, or if the scheduler does not run.
    pub(super) fn request(&self, is_running: &AtomicBool) -> oneshot::Receiver<()> {
        let (done, is_done) = oneshot::channel();
        lock(&self.waiting).push(done);
        self.wake.notify_one();
        // Read after the push: the scheduler clears the list after it has reset the flag.
        if !is_running.load(Ordering::Acquire) || self.is_removed() {
            lock(&self.waiting).clear();
        }
        is_done
    }

    /// Returns the callers that the run which begins now is for.
    pub(super) fn take_waiting(&self) -> Vec<oneshot::Sender<()>> {
        std::mem::take(&mut lock(&self.waiting))
    }

    pub(super) fn record(&self, outcome: RunOutcome, started: Duration, now: Duration) {
        let duration = now.saturating_sub(started);
        lock(&self.runs).record(outcome, duration, &self.plan, now);
    }

    /// Returns the state at `now`.
    pub(super) fn report(&self, now: Now) -> CheckReport {
        let view = lock(&self.runs).view(&self.plan, now.monotonic);
        CheckReport {
            name: self.name.clone(),
            kind: self.kind,
            critical: self.critical,
            status: view.state,
            message: view.message,
            data: view.data,
            since: now.wall_at(view.since),
            age: view.last_run.map(|at| now.monotonic.saturating_sub(at)),
            duration: view.duration,
            last_success: view.last_success.map(|at| now.wall_at(at)),
            consecutive_failures: view.failures,
            stale: view.is_stale,
            is_not_run: view.is_not_run,
        }
    }

    /// Returns the state before and its duration if the state differs from the state that was reported last, and
    /// remembers the state as reported.
    pub(super) fn take_change(
        &self,
        state: CheckState,
        now: Duration,
    ) -> Option<(CheckState, Duration)> {
        let mut reported = lock(&self.reported);
        let (before, since) = *reported;
        if before == state {
            return None;
        }
        *reported = (state, now);
        Some((before, now.saturating_sub(since)))
    }
}
