//! Quantiles of durations, in buckets whose bounds grow by a quarter at most.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Buckets per power of two.
const STEPS: usize = 4;
/// Powers of two: from 1 ns to 2⁴⁸ ns, three days.
const POWERS: usize = 48;
const BUCKETS: usize = STEPS * POWERS;

/// Counts of durations.
pub(super) struct Quantiles(Box<[AtomicU32]>);

impl Quantiles {
    pub(super) fn new() -> Self {
        Self(
            std::iter::repeat_with(AtomicU32::default)
                .take(BUCKETS)
                .collect(),
        )
    }

    pub(super) fn record(&self, nanoseconds: u64) {
        if let Some(count) = self.0.get(bucket(nanoseconds)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Returns the middle of the bucket that holds the quantile, in nanoseconds; 0 without durations.
    pub(super) fn value(&self, quantile: f64) -> u64 {
        let total: u64 = self
            .0
            .iter()
            .map(|count| u64::from(count.load(Relaxed)))
            .sum();
        let rank = (quantile * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.0.iter().enumerate() {
            seen += u64::from(count.load(Relaxed));
            if seen >= rank {
                return middle(index);
            }
        }
        0
    }
}

fn bucket(nanoseconds: u64) -> usize {
    let value = nanoseconds.max(STEPS as u64);
    let power = value.ilog2() as usize;
    let step = (value >> (power - 2)) as usize % STEPS;
    (power * STEPS + step).min(BUCKETS - 1)
}

fn middle(bucket: usize) -> u64 {
    let (power, step) = (bucket / STEPS, (bucket % STEPS) as u64);
    if power < 2 {
        return 0;
    }
    let width = 1_u64 << (power - 2);
    (STEPS as u64 + step) * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_within_an_eighth_of_the_value() {
        let quantiles = Quantiles::new();
        for value in 1..=1000 {
            quantiles.record(value * 1_000);
        }
        for (quantile, value) in [(0.5, 500_000.0), (0.95, 950_000.0), (0.99, 990_000.0)] {
            let found = quantiles.value(quantile) as f64;
            assert!((found / value - 1.0).abs() < 0.125, "{quantile}: {found}");
        }
        assert_eq!(Quantiles::new().value(0.5), 0);
        Quantiles::new().record(u64::MAX);
    }
}
