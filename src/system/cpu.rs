//! Counts the CPU time of the observatory's own threads. Each thread reads its own time.

use std::{cell::Cell, time::Duration};

use crate::{
    metrics::{Registry, catalog},
    runtime::own_thread,
};

thread_local! {
    /// The CPU time that this thread has already reported.
    static ACCOUNTED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Reports the CPU time that the calling thread has used since its last report, if the thread is the observatory's own.
/// Each thread adds only its own share, so concurrent reports neither lose nor double any time.
pub(crate) fn account_own_cpu(registry: &Registry) {
    // The endpoints may be mounted in the application's server, and then run on its threads.
    if !own_thread::is_marked() {
        return;
    }
    let Some(used) = thread_time() else { return };
    let more = used.saturating_sub(ACCOUNTED.replace(used));
    // A duration is never negative or infinite.
    let _ = registry
        .counter(&catalog::OBSERVATORY_CPU, &[])
        .add_f64(more.as_secs_f64());
}

#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    use nix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
    Some(Duration::from(time))
}

#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}
