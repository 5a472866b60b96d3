//! Extrapolates `rate`, `increase` and `delta` from the samples of a range, with Prometheus's formulas.

use super::source::Window;
use crate::store::Point;

/// The computed function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RateKind {
    Rate,
    Increase,
    Delta,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus computes with the same floats"
)]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// Computes the function. Returns `None` for fewer than two samples.
pub(super) fn extrapolated(points: &[Point], window: Window, kind: RateKind) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    let is_counter = kind != RateKind::Delta;
    let mut result = last.value - first.value;
    if is_counter {
        // A lower value means a reset of the counter: the value before the reset is added.
        for pair in points.windows(2) {
            if pair[1].value < pair[0].value {
                result += pair[0].value;
            }
        }
    }
    let mut to_start = seconds(first.timestamp - window.start);
    let mut to_end = seconds(window.end - last.timestamp);
    let sampled = seconds(last.timestamp - first.timestamp);
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of samples are exact in a float"
    )]
    let average = sampled / (points.len() - 1) as f64;
    // A gap of more than 1.1 intervals at a boundary means that the series began or ended inside the range: extrapolate by
    // half an interval. For a smaller gap, extrapolate to the boundary.
    let threshold = average * 1.1;
    let to_edge = |to_start: f64| {
        if to_start >= threshold {
            average / 2.0
        } else {
            to_start
        }
    };
    // Prometheus 2 limits the extrapolation at zero before it compares the gap.
    if !window.is_left_closed {
        to_start = to_edge(to_start);
    }
    if is_counter && result > 0.0 && first.value >= 0.0 {
        // A counter is not extrapolated below zero.
        let to_zero = sampled * (first.value / result);
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    if window.is_left_closed {
        to_start = to_edge(to_start);
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if kind == RateKind::Rate {
        factor /= seconds(window.end - window.start);
    }
    Some(result * factor)
}

/// Computes `irate` and `idelta` from the last two samples.
pub(super) fn instant(points: &[Point], is_rate: bool) -> Option<f64> {
    let [.., before, last] = points else {
        return None;
    };
    let interval = last.timestamp - before.timestamp;
    if interval == 0 {
        return None;
    }
    let was_reset = is_rate && last.value < before.value;
    let change = if was_reset {
        last.value
    } else {
        last.value - before.value
    };
    Some(if is_rate {
        change / seconds(interval)
    } else {
        change
    })
}
