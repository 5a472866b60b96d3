//! Evaluates the syntax tree of a query, once for each step.
//!
//! `source` reads samples from the store and from subqueries, `range_function` reduces ranges of samples to numbers,
//! `extended` does so for the modifiers `anchored` and `smoothed`, `call` evaluates the other functions, and `binary` and
//! `aggregate` evaluate the operators. An instant query reads samples into one reused buffer; a range query loads the
//! samples of each selector once and slices them for each step.

mod absent;
mod aggregate;
mod arithmetic;
mod binary;
mod call;
mod date;
mod extended;
mod heap;
mod histogram;
mod label_function;
mod math;
mod order;
mod projection;
mod range_function;
mod rate;
mod scalar_function;
mod source;
mod statistics;

use std::collections::HashMap;

use super::Range;
use super::annotation::Annotations;
use super::error::{QueryError, execution};
use super::limits::{Budget, Control};
use super::options::EngineOptions;
use super::prepared::Prepared;
use super::syntax::{Expr, ExprKind, Extension};
use super::value::{QueryResult, RangeSeries, Value, VectorSample};
use crate::labels::Labels;
use crate::store::{Point, SeriesStore};

use source::LoadedSamples;

/// The inputs of a run.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) store: &'a SeriesStore,
    pub(super) options: &'a EngineOptions,
    pub(super) prepared: &'a Prepared,
    pub(super) control: Control<'a>,
    pub(super) range: Range,
}

/// A run of a query.
#[derive(Debug)]
pub(super) struct Evaluator<'a> {
    store: &'a SeriesStore,
    options: &'a EngineOptions,
    prepared: &'a Prepared,
    /// The steps of the query, to which `start()` and `end()` refer.
    range: Range,
    budget: Budget<'a>,
    annotations: Annotations,
    /// The samples of selectors and subqueries that several steps share, by slot.
    loaded: Vec<Option<LoadedSamples>>,
}

/// The evaluated step, and the first and last step that share the loaded samples.
#[derive(Clone, Copy, Debug)]
struct Step {
    time: i64,
    first: i64,
    last: i64,
}

/// The value of an expression at a step.
#[derive(Debug)]
enum StepValue {
    Scalar(f64),
    Vector(Vec<Sample>),
    String(String),
}

#[derive(Clone, Debug)]
struct Sample {
    labels: Labels,
    value: f64,
    /// True if the metric name is dropped at the end of the query.
    drops_name: bool,
}

/// The number of samples from which a series without gaps gets room for many more.
const MIN_DENSE: usize = 4;
const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

impl<'a> Evaluator<'a> {
    pub(super) fn new(request: &Request<'a>) -> Self {
        let slots = request.prepared.slots();
        Self {
            store: request.store,
            options: request.options,
            prepared: request.prepared,
            range: request.range,
            budget: Budget::new(request.control, request.options),
            annotations: Annotations::default(),
            loaded: std::iter::repeat_with(|| None).take(slots).collect(),
        }
    }

    pub(super) fn instant(mut self) -> Result<QueryResult, QueryError> {
        let prepared = self.prepared;
        let time = self.range.start;
        let step = Step {
            time,
            first: time,
            last: time,
        };
        self.budget.check()?;
        let expr = prepared.expr();
        if let ExprKind::Range(..) | ExprKind::Subquery(_) = &expr.unwrap_parens().kind {
            let mut series = Vec::new();
            self.for_each_window(expr.unwrap_parens(), step, &mut |labels, points, window| {
                let labels = labels.clone();
                let points = match window.extension {
                    Extension::None => points.to_vec(),
                    Extension::Anchored | Extension::Smoothed => extended::samples(points, window),
                };
                let held = points.len();
                if !points.is_empty() {
                    series.push(RangeSeries { labels, points });
                }
                Ok(held)
            })?;
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            return self.finish(Value::Matrix(series));
        }
        let value = match self.eval(expr, step)? {
            StepValue::Scalar(value) => Value::Scalar(Point {
                timestamp: time,
                value,
            }),
            StepValue::String(text) => Value::String(time, text),
            StepValue::Vector(samples) => {
                let samples = self.finish_names(samples)?;
                let to_result = |sample: Sample| VectorSample {
                    labels: sample.labels,
                    point: Point {
                        timestamp: time,
                        value: sample.value,
                    },
                };
                Value::Vector(samples.into_iter().map(to_result).collect())
            }
        };
        self.finish(value)
    }

    pub(super) fn range(mut self) -> Result<QueryResult, QueryError> {
        let expr = self.prepared.expr();
        let value_type = expr.value_type();
        if !matches!(
            value_type,
            super::syntax::ValueType::Scalar | super::syntax::ValueType::Vector
        ) {
            return Err(QueryError::NotForRanges { value_type });
        }
        let range = self.range;
        let series = self.over_steps(expr, range)?;
        self.finish(Value::Matrix(series))
    }

    /// Evaluates an expression at each step of a range and collects the samples by series, sorted by labels.
    fn over_steps(&mut self, expr: &Expr, range: Range) -> Result<Vec<RangeSeries>, QueryError> {
        let mut series: HashMap<Labels, Vec<Point>> = HashMap::new();
        let mut time = range.start;
        let last = range.start + (range.end - range.start) / range.step * range.step;
        let before = self.budget.of_step();
        while time <= range.end {
            let step = Step {
                time,
                first: range.start,
                last,
            };
            self.budget.check()?;
            let samples = match self.eval(expr, step)? {
                StepValue::Scalar(value) => vec![Sample::new(Labels::empty(), value)],
                StepValue::Vector(samples) => self.finish_names(samples)?,
                StepValue::String(_) => Vec::new(),
            };
            self.budget.settle(before, 0)?;
            self.budget.keep(samples.len())?;
            for sample in samples {
                let point = Point {
                    timestamp: time,
                    value: sample.value,
                };
                let points = series.entry(sample.labels).or_default();
                if points.len() == points.capacity() {
                    points.reserve_exact(reserve(points.len(), time, range));
                }
                points.push(point);
            }
            if series.len() > self.options.max_result_series {
                return Err(self.too_many_series());
            }
            time = match time.checked_add(range.step) {
                Some(next) => next,
                None => break,
            };
        }
        let to_series = |(labels, points)| RangeSeries { labels, points };
        let mut series: Vec<_> = series.into_iter().map(to_series).collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(series)
    }

    fn too_many_series(&self) -> QueryError {
        QueryError::TooManySeries {
            limit: self.options.max_result_series,
        }
    }

    fn finish(self, value: Value) -> Result<QueryResult, QueryError> {
        let series = match &value {
            Value::Vector(samples) => samples.len(),
            Value::Matrix(series) => series.len(),
            Value::Scalar(_) | Value::String(..) => 1,
        };
        if series > self.options.max_result_series {
            return Err(self.too_many_series());
        }
        let (warnings, infos) = self.annotations.into_lists(self.prepared.text());
        Ok(QueryResult {
            value,
            warnings,
            infos,
        })
    }

    /// Evaluates an expression at a step. Of the samples that the evaluation held, the budget then holds the value's only.
    fn eval(&mut self, expr: &Expr, step: Step) -> Result<StepValue, QueryError> {
        let before = self.budget.of_step();
        let value = self.eval_node(expr, step)?;
        let samples = match &value {
            StepValue::Vector(samples) => samples.len(),
            StepValue::Scalar(_) | StepValue::String(_) => 0,
        };
        self.budget.settle(before, samples)?;
        Ok(value)
    }

    fn eval_node(&mut self, expr: &Expr, step: Step) -> Result<StepValue, QueryError> {
        match &expr.kind {
            ExprKind::Number(value) => Ok(StepValue::Scalar(*value)),
            ExprKind::String(text) => Ok(StepValue::String(text.clone())),
            ExprKind::Paren(inner) => self.eval(inner, step),
            ExprKind::Selector(selector) => {
                let mut samples = Vec::new();
                let mut push = |labels: &Labels, value| {
                    samples.push(Sample::new(labels.clone(), value));
                };
                match selector.extension {
                    Extension::Smoothed => self.for_each_smoothed(selector, step, &mut push)?,
                    // Prometheus ignores `anchored` without a range.
                    Extension::None | Extension::Anchored => {
                        let mut push = |labels: &Labels, point: Point| push(labels, point.value);
                        self.for_each_latest(selector, step, &mut push)?;
                    }
                }
                Ok(StepValue::Vector(samples))
            }
            // Functions read range vectors through `for_each_window`.
            ExprKind::Range(..) | ExprKind::Subquery(_) => {
                Err(execution("a range vector stands where none is expected"))
            }
            ExprKind::Negate(inner) => match self.eval(inner, step)? {
                StepValue::Scalar(value) => Ok(StepValue::Scalar(-value)),
                StepValue::Vector(mut samples) => {
                    for sample in &mut samples {
                        sample.value = -sample.value;
                    }
                    self.drop_names(&mut samples)?;
                    Ok(StepValue::Vector(samples))
                }
                StepValue::String(_) => Err(execution("a string cannot be negated")),
            },
            ExprKind::Call(function, args) => self.call(function.id, args, (expr, step)),
            ExprKind::Aggregate(aggregation) => {
                self.aggregate(aggregation, step).map(StepValue::Vector)
            }
            ExprKind::Binary(binary) => self.binary(binary, step),
        }
    }

    fn eval_scalar(&mut self, expr: &Expr, step: Step) -> Result<f64, QueryError> {
        match self.eval(expr, step)? {
            StepValue::Scalar(value) => Ok(value),
            StepValue::Vector(_) | StepValue::String(_) => Err(execution("a scalar was expected")),
        }
    }

    fn eval_vector(&mut self, expr: &Expr, step: Step) -> Result<Vec<Sample>, QueryError> {
        match self.eval(expr, step)? {
            StepValue::Vector(samples) => Ok(samples),
            StepValue::Scalar(_) | StepValue::String(_) => {
                Err(execution("an instant vector was expected"))
            }
        }
    }

    /// Drops the metric name of each sample, now or at the end of the query, and checks that the label sets stay distinct.
    fn drop_names(&self, samples: &mut [Sample]) -> Result<(), QueryError> {
        if self.options.delayed_name_removal {
            for sample in samples {
                sample.drops_name = true;
            }
            return Ok(());
        }
        let had_one_name = have_one_name(samples);
        for sample in samples.iter_mut() {
            sample.labels.hide_name();
        }
        if had_one_name {
            return Ok(());
        }
        check_distinct(samples)
    }

    fn finish_names(&self, mut samples: Vec<Sample>) -> Result<Vec<Sample>, QueryError> {
        if !self.options.delayed_name_removal {
            return Ok(samples);
        }
        for sample in samples.iter_mut().filter(|sample| sample.drops_name) {
            sample.labels.hide_name();
        }
        check_distinct(&samples)?;
        Ok(samples)
    }
}

impl Sample {
    fn new(labels: Labels, value: f64) -> Self {
        Self {
            labels,
            value,
            drops_name: false,
        }
    }
}

/// Returns the number of samples for which a full vector of a series gets room at a step. The budget counts samples, so
/// a series gets room for a quarter more. A series with a sample at each step so far gets room for three times as many, but
/// for no more than the remaining steps: few moves leave few holes in the heap. It must not get room for all steps, since
/// a filter can end every series after some steps.
fn reserve(samples: usize, time: i64, range: Range) -> usize {
    let count =
        |from: i64, to: i64| to.saturating_sub(from).unsigned_abs() / range.step.unsigned_abs();
    let is_dense = samples as u64 >= count(range.start, time) && samples >= MIN_DENSE;
    if is_dense {
        let remaining = usize::try_from(count(time, range.end) + 1);
        return remaining.unwrap_or(usize::MAX).min(3 * samples);
    }
    (samples / 4).max(MIN_DENSE)
}

/// Returns whether all samples have the same metric name. The label sets of a vector are distinct, and stay distinct
/// without a common name.
fn have_one_name(samples: &[Sample]) -> bool {
    let name = |sample: &Sample| {
        sample
            .labels
            .name_label()
            .map(|label| label.shared_value().clone())
    };
    let Some(first) = samples.first().map(name) else {
        return true;
    };
    samples
        .iter()
        .all(|sample| match (sample.labels.name_label(), &first) {
            (Some(label), Some(first)) => {
                std::sync::Arc::ptr_eq(label.shared_value(), first)
                    || **label.shared_value() == **first
            }
            (None, None) => true,
            _ => false,
        })
}

fn check_distinct(samples: &[Sample]) -> Result<(), QueryError> {
    if samples.len() < 2 {
        return Ok(());
    }
    let mut seen = std::collections::HashSet::with_capacity(samples.len());
    if samples.iter().all(|sample| seen.insert(&sample.labels)) {
        Ok(())
    } else {
        Err(execution(SAME_LABELS))
    }
}
