//! The values of counters, gauges and histograms: atomics that are exact under concurrent writes, without a lock.

use std::{
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use metrics::{CounterFn, GaugeFn, HistogramFn};

use super::{
    bounds::Bounds,
    diagnostics::Diagnostics,
    exemplar::{Exemplar, Exemplars},
    label_set::LabelSet,
    striped::{Part, Striped, add, add_f64},
};
use crate::observation::{Dropped, TraceReference};

/// A value that only rises. The integer part is exact beyond 2⁵³; the fraction is stored apart.
pub(crate) struct Counter {
    cells: Striped<CounterPart>,
    /// True if the counter copies an external count, which did not start at 0 with this counter.
    is_raised: AtomicBool,
    /// A single slot.
    exemplar: OnceLock<Box<Exemplars>>,
}

struct CounterPart {
    whole: AtomicU64,
    fraction: AtomicU64,
}

impl Part for CounterPart {
    fn empty(&self) -> Self {
        Self {
            whole: AtomicU64::new(0),
            fraction: AtomicU64::new(0),
        }
    }
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            cells: Striped::new(CounterPart {
                whole: AtomicU64::new(0),
                fraction: AtomicU64::new(0),
            }),
            is_raised: AtomicBool::new(false),
            exemplar: OnceLock::new(),
        }
    }
}

impl Counter {
    #[inline]
    pub(crate) fn add(&self, value: u64) {
        match self.cells.only() {
            Some(part) => {
                if !add(&part.whole, value) {
                    self.cells.missed();
                }
            }
            None => self.add_striped(value),
        }
    }

    #[inline(never)]
    fn add_striped(&self, value: u64) {
        self.cells.mine().whole.fetch_add(value, Relaxed);
    }

    pub(crate) fn add_f64(&self, value: f64) -> Result<(), Dropped> {
        if !value.is_finite() {
            return Err(Dropped::NotANumber);
        }
        if value < 0.0 {
            return Err(Dropped::Negative);
        }
        if value.fract() == 0.0 && value < (1_u64 << 53) as f64 {
            self.add(value as u64);
        } else if !add_f64(&self.cells.mine().fraction, value) {
            self.cells.missed();
        }
        Ok(())
    }

    /// Raises the counter to `value` if it is lower; copies an external count.
    pub(crate) fn raise_to(&self, value: u64) {
        self.is_raised.store(true, Relaxed);
        let stripes: u64 = self
            .cells
            .parts()
            .skip(1)
            .map(|part| part.whole.load(Relaxed))
            .sum();
        if let Some(part) = self.cells.parts().next() {
            part.whole.fetch_max(value.saturating_sub(stripes), Relaxed);
        }
    }

    /// Raises the counter to `value`, which may have a fraction, if it is lower.
    #[cfg(feature = "health")]
    pub(crate) fn raise_to_f64(&self, value: f64) {
        self.is_raised.store(true, Relaxed);
        let missing = value - self.value().as_f64();
        if missing > 0.0 {
            add_f64(&self.cells.mine().fraction, missing);
        }
    }

    /// Stores the trace of an increment by 1, unless another thread is storing an exemplar.
    pub(crate) fn exemplify(&self, trace: &TraceReference) {
        let of_one = || Box::new(Exemplars::new(1));
        let exemplar = Exemplar {
            trace: *trace,
            value: 1.0,
        };
        self.exemplar.get_or_init(of_one).offer(0, exemplar);
    }

    /// Moves the time of the exemplar by a step of the wall clock.
    #[cfg(feature = "alerting")]
    pub(crate) fn shift_exemplars(&self, by_ms: i64) {
        self.exemplar
            .get()
            .inspect(|exemplars| exemplars.shift(by_ms));
    }

    /// Returns the exemplar.
    pub(crate) fn exemplar(&self) -> Option<Exemplar> {
        self.exemplar.get()?.all().into_iter().flatten().next()
    }

    /// Returns whether the counter started at 0; an external count did not.
    #[cfg(feature = "alerting")]
    pub(crate) fn began_at_zero(&self) -> bool {
        !self.is_raised.load(Relaxed)
    }

    pub(crate) fn value(&self) -> CounterValue {
        let whole = self.cells.parts().fold(0_u64, |sum, part| {
            sum.wrapping_add(part.whole.load(Relaxed))
        });
        CounterValue {
            whole,
            fraction: self
                .cells
                .parts()
                .map(|part| f64::from_bits(part.fraction.load(Relaxed)))
                .sum(),
        }
    }
}

/// A counter's value: the exact integer part and the fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CounterValue {
    pub(crate) whole: u64,
    pub(crate) fraction: f64,
}

impl CounterValue {
    pub(crate) fn as_f64(self) -> f64 {
        self.whole as f64 + self.fraction
    }
}

/// A value that rises and falls.
pub(crate) struct Gauge(Striped<GaugePart>);

struct GaugePart(AtomicU64);

impl Part for GaugePart {
    fn empty(&self) -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Default for Gauge {
    fn default() -> Self {
        Self(Striped::new(GaugePart(AtomicU64::new(0))))
    }
}

impl Gauge {
    /// Adds a number. Ignores an infinite number or NaN, which would stay in the sum.
    pub(crate) fn add(&self, value: f64) {
        if value.is_finite() {
            self.add_finite(value);
        }
    }

    /// Adds a finite number.
    #[inline]
    pub(crate) fn add_finite(&self, value: f64) {
        match self.0.only() {
            Some(part) => {
                if !add_f64(&part.0, value) {
                    self.0.missed();
                }
            }
            None => self.add_striped(value),
        }
    }

    #[inline(never)]
    fn add_striped(&self, value: f64) {
        add_f64(&self.0.mine().0, value);
    }

    pub(crate) fn set(&self, value: f64) {
        let mut parts = self.0.parts();
        let base = parts.next();
        // Stores the difference to the sum of the stripes in the base. Concurrent calls of `set` and `add` have no
        // defined result.
        let stripes: f64 = parts.map(|part| f64::from_bits(part.0.load(Relaxed))).sum();
        if let Some(base) = base {
            base.0.store((value - stripes).to_bits(), Relaxed);
        }
    }

    /// Subtracts 1, but stays at or above 0.
    pub(crate) fn lower(&self) {
        let mut parts = self.0.parts();
        let Some(base) = parts.next() else { return };
        let stripes: f64 = parts.map(|part| f64::from_bits(part.0.load(Relaxed))).sum();
        let lowered = |bits| {
            (f64::from_bits(bits) + stripes >= 1.0).then(|| (f64::from_bits(bits) - 1.0).to_bits())
        };
        // `Err` means that the value is below 1.
        let _ = base.0.fetch_update(Relaxed, Relaxed, lowered);
    }

    pub(crate) fn value(&self) -> f64 {
        self.0
            .parts()
            .map(|part| f64::from_bits(part.0.load(Relaxed)))
            .sum()
    }
}

/// A distribution over fixed buckets.
pub(crate) struct Histogram {
    bounds: Arc<Bounds>,
    /// Counts dropped values.
    diagnostics: Arc<Diagnostics>,
    cells: Striped<HistogramPart>,
    exemplars: OnceLock<Box<Exemplars>>,
}

struct HistogramPart {
    /// Bits of the sum of all values.
    sum: AtomicU64,
    /// Number of values in each bucket, `+Inf` last.
    buckets: Box<[AtomicU64]>,
}

/// Extra words after a stripe's buckets, so that the next allocation starts on another cache line.
const PADDING_WORDS: usize = 16;

impl HistogramPart {
    fn with_buckets(buckets: usize) -> Self {
        Self {
            sum: AtomicU64::new(0),
            buckets: (0..buckets).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Returns `false` if another thread wrote at the same time; the value is added in both cases.
    #[inline]
    fn add(&self, bucket: usize, value: f64, count: u64) -> bool {
        // The bucket exists; `get` avoids the code of a panic.
        if let Some(cell) = self.buckets.get(bucket) {
            // The update of the sum detects contention.
            cell.fetch_add(count, Relaxed);
        }
        add_f64(&self.sum, value * count as f64)
    }
}

impl Part for HistogramPart {
    fn empty(&self) -> Self {
        Self::with_buckets(self.buckets.len() + PADDING_WORDS)
    }
}

impl Histogram {
    pub(crate) fn new(bounds: Arc<Bounds>, diagnostics: Arc<Diagnostics>) -> Self {
        let part = HistogramPart::with_buckets(bounds.len());
        Self {
            bounds,
            diagnostics,
            cells: Striped::new(part),
            exemplars: OnceLock::new(),
        }
    }

    /// Records a value. Drops and counts an infinite value or NaN, which would stay in the sum.
    pub(crate) fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    pub(crate) fn record_many(&self, value: f64, count: u64) {
        if value.is_finite() {
            self.add(value, count);
        } else {
            self.diagnostics.dropped(Dropped::NotANumber);
        }
    }

    /// Records a finite value: a duration, a count, a ratio.
    #[inline]
    pub(crate) fn record_finite(&self, value: f64) {
        self.add(value, 1);
    }

    #[inline]
    fn add(&self, value: f64, count: u64) {
        match self.cells.only() {
            Some(part) => {
                if !part.add(self.bounds.bucket(value), value, count) {
                    self.cells.missed();
                }
            }
            None => self.record_striped(value, count),
        }
    }

    #[inline(never)]
    fn record_striped(&self, value: f64, count: u64) {
        let bucket = self.bounds.bucket(value);
        self.cells.mine().add(bucket, value, count);
    }

    /// Stores the trace of a recorded value, unless another thread is storing an exemplar.
    pub(crate) fn exemplify(&self, exemplar: Exemplar) {
        if exemplar.value.is_finite() {
            let exemplars = self
                .exemplars
                .get_or_init(|| Box::new(Exemplars::new(self.bounds.len())));
            exemplars.offer(self.bounds.bucket(exemplar.value), exemplar);
        }
    }

    pub(crate) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Returns the number of values in each bucket (not cumulative), `+Inf` last.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = u64> {
        (0..self.bounds.len()).map(|bucket| {
            let parts = self
                .cells
                .parts()
                .filter_map(|part| part.buckets.get(bucket));
            parts.fold(0_u64, |sum, cell| sum.wrapping_add(cell.load(Relaxed)))
        })
    }

    pub(crate) fn count(&self) -> u64 {
        self.buckets().fold(0, u64::wrapping_add)
    }

    pub(crate) fn sum(&self) -> f64 {
        let sums = self.cells.parts().map(|part| &part.sum);
        sums.map(|sum| f64::from_bits(sum.load(Relaxed))).sum()
    }

    /// Moves the times of the exemplars by a step of the wall clock.
    #[cfg(feature = "alerting")]
    pub(crate) fn shift_exemplars(&self, by_ms: i64) {
        self.exemplars
            .get()
            .inspect(|exemplars| exemplars.shift(by_ms));
    }

    pub(crate) fn exemplars(&self) -> Option<Vec<Option<Exemplar>>> {
        self.exemplars.get().map(|exemplars| exemplars.all())
    }
}

/// A series: labels and value.
pub(crate) struct Series<T> {
    pub(crate) labels: LabelSet,
    pub(crate) cell: T,
}

impl<T> Deref for Series<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.cell
    }
}

impl CounterFn for Series<Counter> {
    fn increment(&self, value: u64) {
        self.cell.add(value);
    }

    fn absolute(&self, value: u64) {
        self.cell.raise_to(value);
    }
}

impl GaugeFn for Series<Gauge> {
    fn increment(&self, value: f64) {
        self.cell.add(value);
    }

    fn decrement(&self, value: f64) {
        self.cell.add(-value);
    }

    fn set(&self, value: f64) {
        self.cell.set(value);
    }
}

impl HistogramFn for Series<Histogram> {
    fn record(&self, value: f64) {
        self.cell.record(value);
    }

    fn record_many(&self, value: f64, count: usize) {
        self.cell.record_many(value, count as u64);
    }
}
