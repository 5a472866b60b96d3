//! CPU time of the observatory's own threads, as each of them reads it for itself.

use std::{cell::Cell, time::Duration};

use crate::{
    metrics::{Registry, catalog},
    runtime::own_thread,
};

thread_local! {
    /// What this thread has accounted for.
    static ACCOUNTED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Adds what the calling thread, one of the observatory's own, has used since it last did so. Each adds its own
/// share, so threads that do it at once lose and double nothing.
pub(crate) fn account_own_cpu(registry: &Registry) {
    // The endpoints may be mounted in the application's server, and answer on its threads.
    if !own_thread::is_marked() {
        return;
    }
    let Some(used) = thread_time() else { return };
    let more = used.saturating_sub(ACCOUNTED.replace(used));
    // A duration is neither negative nor infinite.
    let _ = registry
        .counter(&catalog::OBSERVATORY_CPU, &[])
        .add_f64(more.as_secs_f64());
}

#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).ok()
}

#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}
