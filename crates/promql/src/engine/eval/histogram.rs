//! Quantiles and fractions of classic histograms, computed from the counts of their `le` buckets.

use std::collections::BTreeSet;

use super::call::argument;
use super::projection::{Groups, Projection};
use super::{Evaluator, Sample, Step, StepValue};
use crate::engine::error::QueryError;
use crate::engine::syntax::{Expr, Span};
use crate::labels::LabelsBuilder;

const BUCKET_LABEL: &str = "le";
/// The relative difference up to which Prometheus treats two counts as equal except for rounding.
const SMALL_DIFFERENCE: f64 = 1e-12;

/// The number of observations at or below a bound.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    bound: f64,
    count: f64,
}

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(
        &mut self,
        args: &[Expr],
        step: Step,
    ) -> Result<StepValue, QueryError> {
        let q = self.eval_scalar(argument(args, 0)?, step)?;
        let span = argument(args, 0)?.span;
        self.annotations.check_quantile(q, span);
        let vector = argument(args, 1)?;
        let samples = self.eval_vector(vector, step)?;
        let mut forced_names = BTreeSet::new();
        let result = self.by_histogram(&samples, vector.span, |name, buckets| {
            let (value, was_forced) = quantile(q, buckets);
            if was_forced && !forced_names.contains(name) {
                forced_names.insert(name.to_owned());
            }
            value
        })?;
        for name in forced_names {
            let message = format!(
                "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name {name:?}"
            );
            self.annotations.inform(&message, vector.span);
        }
        Ok(StepValue::Vector(result))
    }

    pub(super) fn histogram_fraction(
        &mut self,
        args: &[Expr],
        step: Step,
    ) -> Result<StepValue, QueryError> {
        let lower = self.eval_scalar(argument(args, 0)?, step)?;
        let upper = self.eval_scalar(argument(args, 1)?, step)?;
        let vector = argument(args, 2)?;
        let samples = self.eval_vector(vector, step)?;
        let result = self.by_histogram(&samples, vector.span, |_, buckets| {
            fraction(lower, upper, buckets)
        })?;
        Ok(StepValue::Vector(result))
    }

    /// Groups the buckets by histogram and computes a value for each histogram.
    fn by_histogram(
        &mut self,
        samples: &[Sample],
        span: Span,
        mut compute: impl FnMut(&str, &mut Vec<Bucket>) -> f64,
    ) -> Result<Vec<Sample>, QueryError> {
        let mut groups = Groups::new(Projection::WithoutLabel(BUCKET_LABEL));
        let mut histograms: Vec<(Vec<Bucket>, bool)> = Vec::new();
        for sample in samples {
            let text = sample.labels.get(BUCKET_LABEL).unwrap_or("");
            let Ok(bound) = text.parse::<f64>() else {
                let name = sample.labels.metric_name().unwrap_or("");
                let message = format!(
                    "bucket label \"le\" is missing or has a malformed value of {text:?} for metric name {name:?}"
                );
                self.annotations.warn(&message, span);
                continue;
            };
            let at = groups.find_or_insert(&sample.labels);
            let bucket = Bucket {
                bound,
                count: sample.value,
            };
            match histograms.get_mut(at) {
                Some((buckets, _)) => buckets.push(bucket),
                None => histograms.push((vec![bucket], sample.drops_name)),
            }
        }
        let mut result = Vec::with_capacity(histograms.len());
        for (first, (buckets, drops_name)) in groups.first.iter().zip(&mut histograms) {
            let mut builder = LabelsBuilder::from_labels(first);
            builder.remove(BUCKET_LABEL);
            result.push(Sample {
                labels: builder.build(),
                value: compute(first.metric_name().unwrap_or(""), buckets),
                drops_name: *drops_name,
            });
        }
        self.drop_names(&mut result)?;
        Ok(result)
    }
}

/// Sorts the buckets, merges equal bounds and makes the counts monotonic. Returns whether a correction was larger than
/// rounding, or `None` without a `+Inf` bucket or without any other bucket.
fn prepare(buckets: &mut Vec<Bucket>) -> Option<bool> {
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets.last()?.bound != f64::INFINITY {
        return None;
    }
    #[expect(
        clippy::float_cmp,
        reason = "equal bounds are written differently: 1 and 1.0"
    )]
    buckets.dedup_by(|later, earlier| {
        let is_same = later.bound == earlier.bound;
        if is_same {
            earlier.count += later.count;
        }
        is_same
    });
    let mut was_forced = false;
    let mut highest = buckets.first()?.count;
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count < highest || is_almost_equal(highest, bucket.count) {
            was_forced |= !is_almost_equal(highest, bucket.count);
            bucket.count = highest;
        } else {
            highest = bucket.count;
        }
    }
    Some(was_forced)
}

fn is_almost_equal(a: f64, b: f64) -> bool {
    if a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DIFFERENCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DIFFERENCE
}

fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    let Some(was_forced) = prepare(buckets) else {
        return (f64::NAN, false);
    };
    let [lower @ .., _, last] = buckets.as_slice() else {
        return (f64::NAN, false);
    };
    let highest_finite = buckets[lower.len()].bound;
    let observations = last.count;
    if observations == 0.0 {
        return (f64::NAN, false);
    }
    let rank = q * observations;
    let finite = &buckets[..=lower.len()];
    let at = finite.partition_point(|bucket| bucket.count < rank || bucket.count.is_nan());
    let value = match finite.get(at) {
        None => highest_finite,
        Some(bucket) if at == 0 && bucket.bound <= 0.0 => bucket.bound,
        Some(bucket) => {
            let below = at.checked_sub(1).map(|at| finite[at]);
            let (start, below) = below.map_or((0.0, 0.0), |b| (b.bound, b.count));
            start + (bucket.bound - start) * ((rank - below) / (bucket.count - below))
        }
    };
    (value, was_forced)
}

/// Returns the fraction of observations between two values, interpolated within the buckets.
fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if prepare(buckets).is_none() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    let total = buckets.last().map_or(0.0, |bucket| bucket.count);
    if total == 0.0 {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank(upper, buckets) - rank(lower, buckets)) / total
}

/// Returns the number of observations at or below a value, interpolated within its bucket.
///
/// As in Prometheus (prometheus/prometheus#17424), the first bucket begins at 0 if its bound is above 0, and at -Inf otherwise. A
/// bucket of infinite width is not interpolated: the observations of a first bucket that begins at -Inf lie at -Inf, and
/// the observations of the `+Inf` bucket lie at +Inf.
fn rank(value: f64, buckets: &[Bucket]) -> f64 {
    let total = buckets.last().map_or(0.0, |bucket| bucket.count);
    let at = buckets.partition_point(|bucket| bucket.bound <= value);
    let Some(bucket) = buckets.get(at) else {
        return total;
    };
    let (start, below) = match at.checked_sub(1).map(|before| buckets[before]) {
        Some(before) => (before.bound, before.count),
        None if bucket.bound > 0.0 => (0.0, 0.0),
        None => (f64::NEG_INFINITY, 0.0),
    };
    if value <= start || bucket.bound == f64::INFINITY {
        return below;
    }
    if start == f64::NEG_INFINITY {
        return bucket.count;
    }
    below + (bucket.count - below) * ((value - start) / (bucket.bound - start))
}
