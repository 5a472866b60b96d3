//! Trends over a range: linear regression and double exponential smoothing.

use super::math::KahanSum;
use crate::store::Point;

/// Linear regression by least squares. Returns the slope per second and the value at `time`.
pub(super) fn linear_regression(points: &[Point], time: i64) -> (f64, f64) {
    let (mut times, mut values) = (KahanSum::default(), KahanSum::default());
    let (mut products, mut squares) = (KahanSum::default(), KahanSum::default());
    let first = points.first().map_or(f64::NAN, |point| point.value);
    let mut is_constant = true;
    let mut count = 0.0;
    for (at, point) in points.iter().enumerate() {
        #[expect(clippy::float_cmp, reason = "constant means exactly the same value")]
        if at > 0 && point.value != first {
            is_constant = false;
        }
        count += 1.0;
        #[expect(
            clippy::cast_precision_loss,
            reason = "Prometheus computes with the same floats"
        )]
        let x = (point.timestamp - time) as f64 / 1000.0;
        times.add(x);
        values.add(point.value);
        products.add(x * point.value);
        squares.add(x * x);
    }
    if is_constant {
        // Equal values have a slope of exactly zero, without rounding errors.
        return if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        };
    }
    let total = |sum: KahanSum| sum.sum + sum.lost;
    let (times, values) = (total(times), total(values));
    let covariance = total(products) - times * values / count;
    let variance = total(squares) - times * times / count;
    let slope = covariance / variance;
    (slope, values / count - slope * times / count)
}

/// Computes `holt_winters`. Returns `None` for fewer than two samples.
pub(super) fn double_exponential(points: &[Point], smoothing: f64, trend: f64) -> Option<f64> {
    let [first, second, ..] = points else {
        return None;
    };
    let mut before = 0.0;
    let mut smoothed = first.value;
    let mut slope = second.value - first.value;
    for (at, point) in points.iter().enumerate().skip(1) {
        if at > 1 {
            slope = trend * (smoothed - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * point.value + (1.0 - smoothing) * (smoothed + slope);
        before = smoothed;
        smoothed = next;
    }
    Some(smoothed)
}
