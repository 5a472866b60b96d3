//! Limits the number of sampled traces per second.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Allows a number of traces per second, and bursts of one second. Uses the generic cell rate algorithm, whose only state
/// is the time at which the next trace would be due at an even rate.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "the unit of each")]
pub(in crate::traces) struct RateLimit {
    interval_ns: u64,
    burst_ns: u64,
    due_ns: AtomicU64,
}

impl RateLimit {
    /// A limit above 0.
    pub(in crate::traces) fn new(traces_per_second: f64) -> Self {
        let interval_ns = (1e9 / traces_per_second).max(1.0) as u64;
        Self {
            interval_ns,
            // A limit below one trace per second allows one trace at a time.
            burst_ns: 1_000_000_000_u64.saturating_sub(interval_ns),
            due_ns: AtomicU64::new(0),
        }
    }

    /// Returns `true` if a trace may be sampled at `now`, a time since a fixed start.
    pub(in crate::traces) fn allows(&self, now: Duration) -> bool {
        let now = now.as_nanos() as u64;
        let next = |due: u64| {
            let due = due.max(now);
            (due - now <= self.burst_ns).then_some(due + self.interval_ns)
        };
        self.due_ns.fetch_update(Relaxed, Relaxed, next).is_ok()
    }

    /// Returns the permit of one trace.
    pub(in crate::traces) fn give_back(&self) {
        let earlier = |due: u64| Some(due.saturating_sub(self.interval_ns));
        // Cannot fail: the closure returns a value in every case.
        let _ = self.due_ns.fetch_update(Relaxed, Relaxed, earlier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(limit: &RateLimit, at: f64) -> usize {
        let now = Duration::from_secs_f64(100.0 + at);
        (0..1_000).filter(|_| limit.allows(now)).count()
    }

    #[test]
    fn a_second_of_traces_at_once_and_then_an_even_stream() {
        let limit = RateLimit::new(10.0);
        assert_eq!(allowed(&limit, 0.0), 10);
        assert_eq!(allowed(&limit, 0.05), 0);
        assert_eq!(allowed(&limit, 0.1), 1);
        assert_eq!(allowed(&limit, 0.3), 2);
        assert_eq!(
            allowed(&limit, 100.0),
            10,
            "unused permits do not accumulate"
        );
        limit.give_back();
        assert_eq!(allowed(&limit, 100.0), 1);
        let slow = RateLimit::new(0.5);
        assert_eq!(
            (
                allowed(&slow, 0.0),
                allowed(&slow, 1.9),
                allowed(&slow, 2.0)
            ),
            (1, 0, 1)
        );
    }
}
