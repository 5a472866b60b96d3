//! Evaluates the modifiers `anchored` and `smoothed`, which give both boundaries of a range a value.
//!
//! `rate`, `increase` and `delta` estimate the value at a boundary from the average interval of the samples inside the
//! range. The two modifiers read samples outside the range instead, as far away as the lookback:
//!
//! - `anchored` takes the last sample at or before the start, or else the first sample after the start, and the last
//!   sample at or before the end. The results are differences of real samples: counters of whole numbers give whole
//!   numbers.
//! - `smoothed` interpolates between the samples on both sides of a boundary. A query for the present has no sample
//!   after the end and takes the last sample.
//!
//! Example: a counter with the samples 1, 2, 3 at 0 s, 15 s and 30 s. For the range from 5 s to 20 s,
//! `increase(x[15s] anchored)` is 2 - 1 = 1 and `increase(x[15s] smoothed)` is 2⅓ - 1⅓ = 1.

use super::rate::RateKind;
use super::source::Window;
use crate::engine::error::{QueryError, execution};
use crate::engine::syntax::{Expr, ExprKind, Extension, Function, FunctionId};
use crate::store::Point;

/// Functions that take an anchored range, in the order in which the error message lists them.
const ANCHORED_FUNCTIONS: [FunctionId; 5] = [
    FunctionId::Changes,
    FunctionId::Delta,
    FunctionId::Increase,
    FunctionId::Rate,
    FunctionId::Resets,
];
/// Functions that take a smoothed range.
const SMOOTHED_FUNCTIONS: [FunctionId; 3] =
    [FunctionId::Delta, FunctionId::Increase, FunctionId::Rate];

/// Refuses a function that does not take the modifier of its argument, in Prometheus's words.
pub(super) fn check_function(function: &Function, arg: &Expr) -> Result<(), QueryError> {
    let ExprKind::Range(selector, _) = &arg.unwrap_parens().kind else {
        return Ok(());
    };
    let (functions, names): (&[FunctionId], _) = match selector.extension {
        Extension::None => return Ok(()),
        Extension::Anchored => (
            &ANCHORED_FUNCTIONS,
            "changes, delta, increase, rate, resets",
        ),
        Extension::Smoothed => (&SMOOTHED_FUNCTIONS, "delta, increase, rate"),
    };
    if functions.contains(&function.id) {
        return Ok(());
    }
    Err(execution(format!(
        "{} modifier can only be used with: {names} - not with {}",
        selector.extension, function.name
    )))
}

/// The samples of a range and the values at its boundaries.
struct ExtendedRange<'p> {
    left: f64,
    right: f64,
    /// The samples strictly between the boundaries.
    inside: &'p [Point],
}

impl<'p> ExtendedRange<'p> {
    /// Finds the boundary values. `None` if no sample lies after the start, or if no sample of a smoothed range lies
    /// at or before the end.
    fn new(points: &'p [Point], window: Window, is_counter: bool) -> Option<Self> {
        let is_smoothed = window.extension == Extension::Smoothed;
        let mut last = points.len().checked_sub(1)?;
        let first = last_at_or_before(&points[..last], window.start);
        if is_smoothed {
            last = points[..last].partition_point(|point| point.timestamp < window.end);
        }
        let (first_point, last_point) = (points[first], points[last]);
        if last_point.timestamp <= window.start {
            return None;
        }
        if is_smoothed && first_point.timestamp > window.end {
            return None;
        }
        let starts_before = is_smoothed && first_point.timestamp < window.start;
        let left = match points.get(first + 1) {
            Some(next) if starts_before => {
                interpolate((first_point, *next), window.start, is_counter)
            }
            _ => first_point.value,
        };
        let ends_after = is_smoothed && last_point.timestamp > window.end;
        let right = match last.checked_sub(1) {
            Some(previous) if ends_after => {
                interpolate((points[previous], last_point), window.end, is_counter)
            }
            _ => last_point.value,
        };
        let from = first + usize::from(first_point.timestamp <= window.start);
        let to = last + usize::from(last_point.timestamp < window.end);
        let inside = points.get(from..to).unwrap_or_default();
        Some(Self {
            left,
            right,
            inside,
        })
    }

    /// Returns the sum of the values that a counter had before each of its resets.
    fn counted_before_resets(&self) -> f64 {
        let mut sum = 0.0;
        let mut previous = self.left;
        let values = self.inside.iter().map(|point| point.value);
        for value in values.chain([self.right]) {
            if value < previous {
                sum += previous;
            }
            previous = value;
        }
        sum
    }
}

/// Returns the index of the last sample at or before `start`, or 0.
fn last_at_or_before(points: &[Point], start: i64) -> usize {
    let after = points.partition_point(|point| point.timestamp <= start);
    after.saturating_sub(1)
}

/// Returns the value at `time` on the line through two samples. A counter that was reset between the samples counts
/// up from zero.
#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus computes with the same floats"
)]
fn interpolate((before, after): (Point, Point), time: i64, is_counter: bool) -> f64 {
    let was_reset = is_counter && after.value < before.value;
    let from = if was_reset { 0.0 } else { before.value };
    let elapsed = (time - before.timestamp) as f64;
    let interval = (after.timestamp - before.timestamp) as f64;
    from + (after.value - from) * elapsed / interval
}

/// Computes `rate`, `increase` or `delta` of an extended range.
#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus computes with the same floats"
)]
pub(super) fn rate(points: &[Point], window: Window, kind: RateKind) -> Option<f64> {
    let is_counter = kind != RateKind::Delta;
    let range = ExtendedRange::new(points, window, is_counter)?;
    let mut result = range.right - range.left;
    if is_counter {
        result += range.counted_before_resets();
    }
    if kind == RateKind::Rate {
        result /= (window.end - window.start) as f64 / 1000.0;
    }
    Some(result)
}

/// Returns the samples that `changes` and `resets` compare: the last one at or before the start and all after it.
/// `None` if no sample lies after the start.
pub(super) fn anchored_samples(points: &[Point], window: Window) -> Option<&[Point]> {
    let (last, earlier) = points.split_last()?;
    if last.timestamp <= window.start {
        return None;
    }
    points.get(last_at_or_before(earlier, window.start)..)
}

/// Returns the samples of an extended range as a result: one at each boundary and the samples between.
///
/// Prometheus also returns both boundaries of a smoothed range whose only samples lie after its end; no function
/// takes such a range, and here the range is empty.
pub(super) fn samples(points: &[Point], window: Window) -> Vec<Point> {
    let Some(range) = ExtendedRange::new(points, window, false) else {
        return Vec::new();
    };
    let boundary = |timestamp, value| Point { timestamp, value };
    let mut samples = Vec::with_capacity(range.inside.len() + 2);
    samples.push(boundary(window.start, range.left));
    samples.extend_from_slice(range.inside);
    samples.push(boundary(window.end, range.right));
    samples
}

/// Returns the value of a smoothed instant selector: the sample at `time`, or the value between the samples before
/// and after it, or the last sample before it. `None` if no sample lies at or before `time`.
pub(super) fn smoothed_value(points: &[Point], time: i64) -> Option<f64> {
    let at = points.partition_point(|point| point.timestamp < time);
    let next = points.get(at).copied();
    if let Some(next) = next.filter(|next| next.timestamp == time) {
        return Some(next.value);
    }
    let previous = *points.get(at.checked_sub(1)?)?;
    Some(next.map_or(previous.value, |next| {
        // A selector does not know whether its series is a counter.
        interpolate((previous, next), time, false)
    }))
}
