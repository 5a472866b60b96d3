//! The aggregation operators: `sum by (…)`, `topk`, `quantile`, `count_values` and the others.

use super::heap::BestOf;
use super::math::{KahanSum, Mean, Spread, quantile};
use super::order::sorted;
use super::projection::{Groups, Projection};
use super::{Evaluator, Sample, Step, StepValue, check_distinct};
use crate::engine::error::{QueryError, execution};
use crate::engine::format_number;
use crate::engine::number::format_literal;
use crate::engine::syntax::{AggregateOp, Aggregation};
use crate::labels::{Label, Labels, LabelsBuilder};

/// The running aggregate of a group.
#[derive(Clone, Copy, Debug)]
enum State {
    Sum(KahanSum),
    Mean(Mean),
    Count(f64),
    Extreme(f64, Extreme),
    Spread(Spread),
    One,
}

#[derive(Clone, Copy, Debug)]
enum Extreme {
    Min,
    Max,
}

impl State {
    /// Starts an aggregate. Returns `None` for the operators that keep all samples.
    fn first(op: AggregateOp, value: f64) -> Option<Self> {
        Some(match op {
            AggregateOp::Sum => {
                // As in Prometheus, the first value starts the sum, so that -0 stays -0.
                Self::Sum(KahanSum {
                    sum: value,
                    lost: 0.0,
                })
            }
            AggregateOp::Avg => {
                let mut mean = Mean::default();
                mean.add(value);
                Self::Mean(mean)
            }
            AggregateOp::Count => Self::Count(1.0),
            AggregateOp::Group => Self::One,
            AggregateOp::Min => Self::Extreme(value, Extreme::Min),
            AggregateOp::Max => Self::Extreme(value, Extreme::Max),
            AggregateOp::StdDev | AggregateOp::StdVar => {
                let mut spread = Spread::default();
                spread.add(value);
                Self::Spread(spread)
            }
            AggregateOp::TopK
            | AggregateOp::BottomK
            | AggregateOp::Quantile
            | AggregateOp::CountValues => return None,
        })
    }

    fn add(&mut self, value: f64) {
        match self {
            Self::Sum(sum) => sum.add(value),
            Self::Mean(mean) => mean.add(value),
            Self::Count(count) => *count += 1.0,
            Self::Spread(spread) => spread.add(value),
            Self::Extreme(best, Extreme::Min) if value < *best || best.is_nan() => *best = value,
            Self::Extreme(best, Extreme::Max) if value > *best || best.is_nan() => *best = value,
            Self::Extreme(..) | Self::One => {}
        }
    }

    fn value(self, op: AggregateOp) -> f64 {
        match self {
            Self::Sum(sum) => sum.value(),
            Self::Mean(mean) => mean.value(),
            Self::Count(value) | Self::Extreme(value, _) => value,
            Self::Spread(spread) if op == AggregateOp::StdDev => spread.variance().sqrt(),
            Self::Spread(spread) => spread.variance(),
            Self::One => 1.0,
        }
    }
}

impl Evaluator<'_> {
    pub(super) fn aggregate(
        &mut self,
        aggregation: &Aggregation,
        step: Step,
    ) -> Result<Vec<Sample>, QueryError> {
        let param = match &aggregation.param {
            Some(param) => Some(self.eval(param, step)?),
            None => None,
        };
        let samples = self.eval_vector(&aggregation.expr, step)?;
        let labels = &aggregation.grouping.labels;
        let projection = if aggregation.grouping.without {
            Projection::Without(labels)
        } else {
            Projection::Only(labels)
        };
        match (aggregation.op, param) {
            (op @ (AggregateOp::TopK | AggregateOp::BottomK), Some(StepValue::Scalar(count))) => {
                top(op, count, samples, projection)
            }
            (AggregateOp::Quantile, Some(StepValue::Scalar(q))) => {
                let span = aggregation.param.as_ref().map(|param| param.span);
                self.annotations
                    .check_quantile_of_aggregation(q, span.unwrap_or_default());
                let (groups, values) = collect(samples, projection);
                let quantiles = values.into_iter().map(|group| {
                    let mut values: Vec<f64> = group.iter().map(|sample| sample.value).collect();
                    let drops_name = group.iter().any(|sample| sample.drops_name);
                    (quantile(q, &mut values), drops_name)
                });
                Ok(results(&groups, projection, quantiles))
            }
            (AggregateOp::CountValues, Some(StepValue::String(label))) => {
                count_values(&label, samples, projection)
            }
            (op, _) => fold(op, &samples, projection),
        }
    }
}

fn fold(
    op: AggregateOp,
    samples: &[Sample],
    projection: Projection<'_>,
) -> Result<Vec<Sample>, QueryError> {
    let mut groups = Groups::new(projection);
    let mut states: Vec<(State, bool)> = Vec::new();
    for sample in samples {
        let at = groups.find_or_insert(&sample.labels);
        if let Some((state, drops_name)) = states.get_mut(at) {
            state.add(sample.value);
            *drops_name |= sample.drops_name;
        } else {
            let state = State::first(op, sample.value);
            let state = state.ok_or_else(|| execution("the aggregation lacks its parameter"))?;
            states.push((state, sample.drops_name));
        }
    }
    let values = states
        .into_iter()
        .map(|(state, drops_name)| (state.value(op), drops_name));
    Ok(results(&groups, projection, values))
}

fn results(
    groups: &Groups<'_>,
    projection: Projection<'_>,
    values: impl Iterator<Item = (f64, bool)>,
) -> Vec<Sample> {
    let firsts = groups.first.iter();
    firsts
        .zip(values)
        .map(|(first, (value, drops_name))| Sample {
            labels: projection.apply(first),
            value,
            drops_name,
        })
        .collect()
}

fn collect(samples: Vec<Sample>, projection: Projection<'_>) -> (Groups<'_>, Vec<Vec<Sample>>) {
    let mut groups = Groups::new(projection);
    let mut members: Vec<Vec<Sample>> = Vec::new();
    for sample in samples {
        let at = groups.find_or_insert(&sample.labels);
        match members.get_mut(at) {
            Some(group) => group.push(sample),
            None => members.push(vec![sample]),
        }
    }
    (groups, members)
}

/// Returns the largest or smallest samples of each group, with NaN last.
fn top(
    op: AggregateOp,
    count: f64,
    samples: Vec<Sample>,
    projection: Projection<'_>,
) -> Result<Vec<Sample>, QueryError> {
    if count.is_nan() {
        return Err(execution("Parameter value is NaN"));
    }
    if count.abs() >= 9.223_372_036_854_776e18 {
        return Err(execution(format!(
            "Scalar value {} {} int64",
            format_literal(count),
            if count < 0.0 {
                "underflows"
            } else {
                "overflows"
            }
        )));
    }
    if count < 1.0 {
        return Ok(Vec::new());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range has just been checked"
    )]
    let count = count as usize;
    let is_top = op == AggregateOp::TopK;
    let (_, members) = collect(samples, projection);
    let mut result = Vec::new();
    for group in members {
        let mut best = BestOf::new(is_top);
        for sample in group {
            best.offer(sample, count);
        }
        result.extend(sorted(best.heap, is_top));
    }
    Ok(result)
}

fn count_values(
    label: &str,
    mut samples: Vec<Sample>,
    projection: Projection<'_>,
) -> Result<Vec<Sample>, QueryError> {
    // The parser reads bytes that are not UTF-8 as the replacement character. Prometheus refuses such bytes.
    if label.is_empty() || label.contains(char::REPLACEMENT_CHARACTER) {
        return Err(execution(format!("invalid label name {label:?}")));
    }
    // The label is part of the group, even if `by` does not list it or `without` does.
    let labels: Vec<Labels> = samples
        .iter()
        .map(|sample| {
            let mut builder = LabelsBuilder::from_labels(&projection.apply(&sample.labels));
            builder.set(Label::new(label, format_number(sample.value)));
            builder.build()
        })
        .collect();
    for (sample, labels) in samples.iter_mut().zip(labels) {
        sample.labels = labels;
    }
    let everything = Projection::WithoutLabel("");
    let result = fold(AggregateOp::Count, &samples, everything)?;
    check_distinct(&result)?;
    Ok(result)
}
