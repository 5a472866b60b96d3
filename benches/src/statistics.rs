//! Computes a median and its confidence interval.

use std::fmt;

/// A median with its 95 % interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Median {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Median {
    /// The interval is that of the order statistics, which assumes no distribution.
    ///
    /// # Panics
    ///
    /// Panics if there is no sample.
    pub(crate) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let middle = samples.len() / 2;
        let value = if samples.len().is_multiple_of(2) {
            f64::midpoint(samples[middle - 1], samples[middle])
        } else {
            samples[middle]
        };
        let rank = low_rank(samples.len());
        Self {
            value,
            low: samples[rank],
            high: samples[samples.len() - 1 - rank],
        }
    }
}

impl fmt::Display for Median {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { value, low, high } = self;
        write!(f, "{value:.digits$} [{low:.digits$}, {high:.digits$}]")
    }
}

/// The largest `r` with `P(Binomial(n, ½) ≤ r − 1) ≤ 2.5 %`, as an index from 0: the r-th smallest and the r-th
/// largest sample then hold the median between them with at least 95 %.
fn low_rank(samples: usize) -> usize {
    let mut probability = 0.5_f64.powf(samples as f64);
    let mut sum = 0.0;
    let mut rank = 0;
    for below in 0..samples {
        sum += probability;
        if sum > 0.025 {
            break;
        }
        rank = below;
        probability *= (samples - below) as f64 / (below + 1) as f64;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ranks that tables of the sign test give: 2 of 10, 6 of 20, 10 of 30 (from 1).
    #[test]
    fn intervals_have_the_ranks_of_the_sign_test() {
        assert_eq!([10, 20, 30].map(low_rank), [1, 5, 9]);
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        let median = Median::of((1..=20).rev().map(f64::from).collect());
        assert_eq!(format!("{median:.1}"), "10.5 [6.0, 15.0]");
    }
}
