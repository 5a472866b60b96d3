//! The functions that reduce a range of samples to a number: `rate`, `*_over_time`, `deriv` and the others.

use super::math::{KahanSum, Mean, Spread, quantile};
use super::rate::{self, RateKind};
use super::source::Window;
use super::statistics::{double_exponential, linear_regression};
use super::{Evaluator, Sample, Step, StepValue, extended};
use crate::engine::error::{QueryError, execution};
use crate::engine::syntax::{Expr, Extension, FunctionId, ValueType};
use crate::store::Point;

/// The suffixes of counter names.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

impl Evaluator<'_> {
    /// Calls a function whose arguments are one range vector and scalars.
    pub(super) fn range_call(
        &mut self,
        id: FunctionId,
        args: &[Expr],
        step: Step,
    ) -> Result<StepValue, QueryError> {
        let mut range = None;
        let mut scalars = [0.0; 2];
        let mut places = scalars.iter_mut();
        for arg in args {
            if arg.value_type() == ValueType::Matrix {
                range = Some(arg);
            } else if let Some(place) = places.next() {
                *place = self.eval_scalar(arg, step)?;
            }
        }
        let range = range.ok_or_else(|| execution("a range vector was expected"))?;
        let mut samples = Vec::new();
        let mut checked_parameters = false;
        let mut not_counters: Vec<String> = Vec::new();
        let mut scratch = Vec::new();
        self.for_each_window(range, step, &mut |labels, points, window| {
            if !checked_parameters {
                check_parameters(id, scalars)?;
                checked_parameters = true;
            }
            let call = RangeCall {
                window,
                time: step.time,
                scalars,
                scratch: &mut scratch,
            };
            let Some(value) = call.apply(id, points) else {
                return Ok(0);
            };
            samples.push(Sample::new(labels.clone(), value));
            if matches!(id, FunctionId::Rate | FunctionId::Increase)
                && let Some(name) = labels.metric_name()
                && !COUNTER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
                && not_counters.last().is_none_or(|last| last != name)
            {
                not_counters.push(name.to_owned());
            }
            Ok(1)
        })?;
        for name in not_counters {
            let message = format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"
            );
            self.annotations.inform(&message, range.span);
        }
        if id == FunctionId::QuantileOverTime && !samples.is_empty() {
            let span = args.first().map(|arg| arg.span).unwrap_or_default();
            self.annotations.check_quantile(scalars[0], span);
        }
        if id == FunctionId::LastOverTime {
            return Ok(StepValue::Vector(samples));
        }
        self.drop_names(&mut samples)?;
        Ok(StepValue::Vector(samples))
    }
}

/// Checks the parameters of `holt_winters`. Prometheus checks them only if a series exists.
fn check_parameters(id: FunctionId, [smoothing, trend]: [f64; 2]) -> Result<(), QueryError> {
    if id != FunctionId::HoltWinters {
        return Ok(());
    }
    let fault = |what: &str, letter: &str, got: f64| {
        Err(execution(format!(
            "invalid {what} factor. Expected: 0 < {letter} < 1, got: {got:.6}"
        )))
    };
    if smoothing <= 0.0 || smoothing >= 1.0 {
        return fault("smoothing", "sf", smoothing);
    }
    if trend <= 0.0 || trend >= 1.0 {
        return fault("trend", "tf", trend);
    }
    Ok(())
}

struct RangeCall<'a> {
    window: Window,
    time: i64,
    scalars: [f64; 2],
    scratch: &'a mut Vec<f64>,
}

impl RangeCall<'_> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of samples are exact in a float"
    )]
    fn apply(self, id: FunctionId, points: &[Point]) -> Option<f64> {
        let values = || points.iter().map(|point| point.value);
        let spread = || {
            let mut spread = Spread::default();
            values().for_each(|value| spread.add(value));
            spread.variance()
        };
        let extreme = |is_better: fn(f64, f64) -> bool| {
            values().reduce(|best, value| {
                if is_better(value, best) || best.is_nan() {
                    value
                } else {
                    best
                }
            })
        };
        match id {
            FunctionId::Rate => self.rate(points, RateKind::Rate),
            FunctionId::Increase => self.rate(points, RateKind::Increase),
            FunctionId::Delta => self.rate(points, RateKind::Delta),
            FunctionId::Irate => rate::instant(points, true),
            FunctionId::Idelta => rate::instant(points, false),
            FunctionId::AvgOverTime => {
                let mut mean = Mean::default();
                values().for_each(|value| mean.add(value));
                Some(mean.value())
            }
            FunctionId::SumOverTime => Some(KahanSum::of(values())),
            FunctionId::CountOverTime => Some(points.len() as f64),
            FunctionId::MinOverTime => extreme(|value, best| value < best),
            FunctionId::MaxOverTime => extreme(|value, best| value > best),
            FunctionId::LastOverTime => values().next_back(),
            FunctionId::PresentOverTime => Some(1.0),
            FunctionId::StddevOverTime => Some(spread().sqrt()),
            FunctionId::StdvarOverTime => Some(spread()),
            FunctionId::QuantileOverTime => {
                self.scratch.clear();
                self.scratch.extend(values());
                Some(quantile(self.scalars[0], self.scratch))
            }
            FunctionId::Changes => Some(count_pairs(self.compared(points)?, |before, value| {
                #[expect(clippy::float_cmp, reason = "any difference is a change")]
                let differs = before != value;
                differs && !(before.is_nan() && value.is_nan())
            })),
            FunctionId::Resets => {
                let points = self.compared(points)?;
                Some(count_pairs(points, |before, value| value < before))
            }
            FunctionId::Deriv if points.len() > 1 => {
                // A reference time close to the samples keeps the squares small.
                Some(linear_regression(points, points[0].timestamp).0)
            }
            FunctionId::PredictLinear if points.len() > 1 => {
                let (slope, intercept) = linear_regression(points, self.time);
                Some(slope * self.scalars[0] + intercept)
            }
            FunctionId::HoltWinters => double_exponential(points, self.scalars[0], self.scalars[1]),
            _ => None,
        }
    }

    fn rate(&self, points: &[Point], kind: RateKind) -> Option<f64> {
        match self.window.extension {
            Extension::None => rate::extrapolated(points, self.window, kind),
            Extension::Anchored | Extension::Smoothed => extended::rate(points, self.window, kind),
        }
    }

    /// Returns the samples that `changes` and `resets` compare with one another.
    fn compared<'p>(&self, points: &'p [Point]) -> Option<&'p [Point]> {
        match self.window.extension {
            Extension::Anchored => extended::anchored_samples(points, self.window),
            Extension::None | Extension::Smoothed => Some(points),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of samples are exact in a float"
)]
fn count_pairs(points: &[Point], mut is_counted: impl FnMut(f64, f64) -> bool) -> f64 {
    let pairs = points.windows(2);
    pairs
        .filter(|pair| is_counted(pair[0].value, pair[1].value))
        .count() as f64
}
