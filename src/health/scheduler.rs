//! Runs the checks on a thread of the observatory: a loop per check, and a look for results that have expired.

use std::{
    io,
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{entry::Entry, shared::Shared};
use crate::runtime::own_thread::{Executor, ShutdownDeadline};

/// The name of the thread; Linux shows fifteen characters of it.
pub(crate) const THREAD_NAME: &str = "obs-health";
/// The maximum number of threads that resolve names.
const MAX_BLOCKING_THREADS: usize = 8;
/// The interval at which expired results are reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Starts the thread.
pub(super) fn start(shared: &Arc<Shared>) -> io::Result<Executor> {
    let shared = Arc::clone(shared);
    Executor::start(THREAD_NAME, MAX_BLOCKING_THREADS, move |end| {
        schedule(shared, end)
    })
}

async fn schedule(shared: Arc<Shared>, mut end: ShutdownDeadline) {
    let mut loops = JoinSet::new();
    let mut reports = tokio::time::interval(REPORT_INTERVAL);
    loop {
        for entry in shared.entries() {
            if entry.start_loop(shared.now().monotonic) {
                loops.spawn(run_loop(Arc::downgrade(&shared), entry));
            }
        }
        tokio::select! {
            // An error means that the sender is gone, which means shutdown, too.
            _ = end.wait_for(Option::is_some) => break,
            () = shared.registered.notified() => {}
            _ = reports.tick() => {
                shared.report_changes();
                crate::system::account_own_cpu(&shared.gatherer.registry);
            }
            // A loop ends after the removal of its check.
            _ = loops.join_next(), if !loops.is_empty() => {}
        }
    }
    loops.abort_all();
    shared.is_running.store(false, Ordering::Release);
    for entry in shared.entries() {
        entry.end_loop();
    }
}

/// Runs one check until it is removed.
async fn run_loop(shared: Weak<Shared>, entry: Arc<Entry>) {
    let Some(start) = shared.upgrade().map(|shared| shared.now().monotonic) else {
        return;
    };
    let mut due = start + entry.plan.start_delay;
    while !entry.is_removed() {
        tokio::select! {
            () = wait_until(&shared, due) => {}
            () = entry.wake.notified() => {}
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        if entry.is_removed() {
            break;
        }
        let waiting = entry.take_waiting();
        let started = shared.now().monotonic;
        let is_blocked = || shared.is_runtime_blocked();
        let outcome = entry.runner.run(&entry.plan, &is_blocked).await;
        shared.record(&entry, outcome, started);
        due = entry.plan.next_run(started, shared.now().monotonic);
        for done in waiting {
            // The caller may have stopped to wait.
            let _ = done.send(());
        }
    }
    entry.end_loop();
}

/// Waits until a time on the observatory's clock.
async fn wait_until(shared: &Weak<Shared>, due: Duration) {
    while let Some(wait) = shared.upgrade().and_then(|shared| {
        let clock = &shared.gatherer.clock;
        let wait = due.checked_sub(clock.monotonic())?;
        (!wait.is_zero()).then(|| clock.step(wait))
    }) {
        tokio::time::sleep(wait).await;
    }
}
