//! The binary operators between scalars and vectors, with vector matching.

use std::collections::HashSet;

use super::arithmetic::apply;
use super::projection::{Groups, Projection};
use super::{Evaluator, Sample, Step, StepValue, check_distinct};
use crate::engine::error::{QueryError, execution};
use crate::engine::syntax::{Binary, BinaryOp, Cardinality, Matching};
use crate::labels::{Label, Labels, LabelsBuilder};

impl Evaluator<'_> {
    pub(super) fn binary(&mut self, binary: &Binary, step: Step) -> Result<StepValue, QueryError> {
        let left = self.eval(&binary.left, step)?;
        let right = self.eval(&binary.right, step)?;
        match (left, right) {
            (StepValue::Scalar(left), StepValue::Scalar(right)) => {
                let (value, keep) = apply(binary.op, left, right);
                let is_test = binary.op.is_comparison();
                Ok(StepValue::Scalar(if is_test { truth(keep) } else { value }))
            }
            (StepValue::Vector(samples), StepValue::Scalar(scalar)) => {
                self.with_scalar(binary, samples, |value| apply(binary.op, value, scalar))
            }
            (StepValue::Scalar(scalar), StepValue::Vector(samples)) => {
                self.with_scalar(binary, samples, |value| {
                    let (result, keep) = apply(binary.op, scalar, value);
                    // A comparison that filters keeps the value of the vector on either side.
                    (
                        if binary.op.is_comparison() {
                            value
                        } else {
                            result
                        },
                        keep,
                    )
                })
            }
            (StepValue::Vector(left), StepValue::Vector(right)) => {
                self.budget.work(left.len() + right.len())?;
                let samples = if binary.op.is_set() {
                    let samples = set_operation(binary, left, right);
                    check_distinct(&samples)?;
                    samples
                } else {
                    self.match_vectors(binary, left, right)?
                };
                Ok(StepValue::Vector(samples))
            }
            _ => Err(execution("operators do not work on strings")),
        }
    }

    fn with_scalar(
        &self,
        binary: &Binary,
        mut samples: Vec<Sample>,
        compute: impl Fn(f64) -> (f64, bool),
    ) -> Result<StepValue, QueryError> {
        samples.retain_mut(|sample| {
            let (value, keep) = compute(sample.value);
            sample.value = if binary.returns_bool {
                truth(keep)
            } else {
                value
            };
            keep || binary.returns_bool
        });
        if drops_name(binary) {
            self.drop_names(&mut samples)?;
        }
        Ok(StepValue::Vector(samples))
    }

    fn match_vectors(
        &self,
        binary: &Binary,
        left: Vec<Sample>,
        right: Vec<Sample>,
    ) -> Result<Vec<Sample>, QueryError> {
        if left.is_empty() || right.is_empty() {
            return Ok(Vec::new());
        }
        let matching = &binary.matching;
        let is_swapped = matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if is_swapped {
            (right, left)
        } else {
            (left, right)
        };
        let projection = projection(matching);
        let mut groups = Groups::new(projection);
        for sample in &one {
            let known = groups.first.len();
            let at = groups.find_or_insert(&sample.labels);
            if at < known {
                let side = if is_swapped { "left" } else { "right" };
                return Err(duplicates(
                    projection,
                    side,
                    [&groups.first[at], &sample.labels],
                ));
            }
        }
        // The order of the groups, which the series of the "one" side define.
        let mut matched: Vec<Matched> = one.iter().map(|_| Matched::default()).collect();
        let mut result = Vec::with_capacity(many.len());
        for sample in many {
            let Some(at) = groups.find(&sample.labels) else {
                continue;
            };
            let other = &one[at];
            let (a, b) = if is_swapped {
                (other.value, sample.value)
            } else {
                (sample.value, other.value)
            };
            let (value, keep) = apply(binary.op, a, b);
            let value = if binary.returns_bool {
                truth(keep)
            } else {
                value
            };
            let sample_result = self.matched_sample(binary, (&sample, other), value);
            // A wrong matching is an error whether or not the filter keeps the sample (prometheus/prometheus#17668).
            matched[at].insert(matching.cardinality, &sample_result.labels)?;
            if keep || binary.returns_bool {
                result.push(sample_result);
            }
        }
        if !self.options.delayed_name_removal {
            check_distinct(&result)?;
        }
        Ok(result)
    }

    fn matched_sample(
        &self,
        binary: &Binary,
        (many, one): (&Sample, &Sample),
        value: f64,
    ) -> Sample {
        let mut sample = Sample {
            value,
            ..many.clone()
        };
        if drops_name(binary) {
            if self.options.delayed_name_removal {
                sample.drops_name = true;
            } else {
                sample.labels.hide_name();
            }
        }
        let matching = &binary.matching;
        let is_one_to_one = matching.cardinality == Cardinality::OneToOne;
        let reduces = is_one_to_one && (matching.on || !matching.labels.is_empty());
        if !reduces && matching.include.is_empty() {
            return sample;
        }
        let mut builder = LabelsBuilder::from_labels(&sample.labels);
        if reduces {
            builder.retain(|name| matching.labels.iter().any(|l| l == name) == matching.on);
        }
        for name in &matching.include {
            match one.labels.label(name) {
                Some(label) => builder.set(label.clone()),
                None => builder.set(Label::new(name.as_str(), "")),
            }
        }
        sample.labels = builder.build();
        sample
    }
}

/// The matches of a series of the "one" side.
#[derive(Debug, Default)]
struct Matched {
    is_used: bool,
    results: HashSet<Labels>,
}

impl Matched {
    fn insert(&mut self, cardinality: Cardinality, result: &Labels) -> Result<(), QueryError> {
        if cardinality == Cardinality::OneToOne {
            if std::mem::replace(&mut self.is_used, true) {
                let message = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                return Err(execution(message));
            }
        } else if !self.results.insert(result.clone()) {
            let message = "multiple matches for labels: grouping labels must ensure unique matches";
            return Err(execution(message));
        }
        Ok(())
    }
}

fn truth(is_true: bool) -> f64 {
    if is_true { 1.0 } else { 0.0 }
}

fn drops_name(binary: &Binary) -> bool {
    binary.returns_bool || !binary.op.is_comparison()
}

fn projection(matching: &Matching) -> Projection<'_> {
    if matching.on {
        Projection::Only(&matching.labels)
    } else {
        Projection::Without(&matching.labels)
    }
}

fn duplicates(projection: Projection<'_>, side: &str, series: [&Labels; 2]) -> QueryError {
    execution(format!(
        "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
        projection.apply(series[0]),
        series[1],
        series[0]
    ))
}

fn set_operation(binary: &Binary, left: Vec<Sample>, right: Vec<Sample>) -> Vec<Sample> {
    let projection = projection(&binary.matching);
    let groups_of = |samples: &[Sample]| {
        let mut groups = Groups::new(projection);
        for sample in samples {
            groups.find_or_insert(&sample.labels);
        }
        groups
    };
    if binary.op == BinaryOp::Or {
        let groups = groups_of(&left);
        let mut result = left;
        let is_missing = |sample: &Sample| groups.find(&sample.labels).is_none();
        result.extend(right.into_iter().filter(is_missing));
        return result;
    }
    let groups = groups_of(&right);
    let wants_match = binary.op == BinaryOp::And;
    let mut result = left;
    result.retain(|sample| groups.find(&sample.labels).is_some() == wants_match);
    result
}
