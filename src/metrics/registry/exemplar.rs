//! Stores exemplars: the newest observation of a sampled trace, for each bucket of a histogram and for a counter.

use std::{fmt::Write as _, sync::Mutex, time::SystemTime};

use crate::observation::TraceReference;
#[cfg(feature = "alerting")]
use crate::runtime::clock::moved;
use crate::runtime::lock;

/// An observed value with its trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) trace: TraceReference,
    pub(crate) value: f64,
}

impl Exemplar {
    /// Returns the time in seconds since the Unix epoch.
    pub(crate) fn seconds(&self) -> f64 {
        self.trace
            .time
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64())
    }

    /// Writes the label set as in `OpenMetrics`.
    pub(crate) fn write_labels(&self, out: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "{{trace_id=\"{:032x}\",span_id=\"{:016x}\"}}",
            self.trace.trace_id, self.trace.span_id
        );
    }
}

/// A slot for each bucket; a counter has a single slot.
pub(crate) struct Exemplars(Mutex<Box<[Option<Exemplar>]>>);

impl Exemplars {
    pub(crate) fn new(buckets: usize) -> Self {
        Self(Mutex::new(vec![None; buckets].into()))
    }

    /// Stores the exemplar, unless another thread holds the lock: the caller never waits.
    pub(crate) fn offer(&self, bucket: usize, exemplar: Exemplar) {
        if let Ok(mut places) = self.0.try_lock()
            && let Some(place) = places.get_mut(bucket)
        {
            *place = Some(exemplar);
        }
    }

    /// Moves the times of the exemplars by a step of the wall clock.
    #[cfg(feature = "alerting")]
    pub(crate) fn shift(&self, by_ms: i64) {
        let mut places = lock(&self.0);
        for exemplar in places.iter_mut().flatten() {
            exemplar.trace.time = moved(exemplar.trace.time, by_ms);
        }
    }

    pub(crate) fn all(&self) -> Vec<Option<Exemplar>> {
        lock(&self.0).to_vec()
    }
}
