//! CPU time of the observatory's own threads, as each of them reads it for itself.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::metrics::{Registry, catalog};

thread_local! {
    /// What this thread has accounted for.
    static ACCOUNTED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Nanoseconds of CPU time of all threads of the observatory's own.
#[derive(Default)]
pub(crate) struct OwnCpu(AtomicU64);

impl OwnCpu {
    /// Adds what the calling thread, one of the observatory's own, has used since it last did so.
    pub(crate) fn update(&self, registry: &Registry) {
        let Some(used) = thread_time() else { return };
        let before = ACCOUNTED.replace(used);
        let more = u64::try_from(used.saturating_sub(before).as_nanos()).unwrap_or(0);
        let total = self.0.fetch_add(more, Ordering::Relaxed) + more;
        registry
            .counter(&catalog::OBSERVATORY_CPU, &[])
            .raise_to_f64(total as f64 / 1e9);
    }
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
