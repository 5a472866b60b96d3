//! CPU time of the observatory's own threads, as each of them reads it for itself.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

use super::Own;
use crate::metrics::{Registry, catalog};

/// Nanoseconds of CPU time, by thread.
#[derive(Default)]
pub(crate) struct OwnCpu {
    work: AtomicU64,
    serve: AtomicU64,
}

impl OwnCpu {
    /// Reads the CPU time of the calling thread, which is `own`, and sets the metric.
    pub(crate) fn update(&self, own: Own, registry: &Registry) {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
        let place = match own {
            Own::Work => &self.work,
            Own::Serve => &self.serve,
        };
        place.store(seconds * 1_000_000_000 + nanoseconds, Ordering::Relaxed);
        let total = self.work.load(Ordering::Relaxed) + self.serve.load(Ordering::Relaxed);
        registry
            .counter(&catalog::OBSERVATORY_CPU, &[])
            .raise_to_f64(total as f64 / 1e9);
    }
}
