//! Schedules a rule group and evaluates its rules in order.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alert_runner::AlertRunner;
use super::options::RuleOptions;
use super::record_runner::RecordRunner;
use super::{Evaluation, RuleFailure, Source};
use crate::alerting::alert::fingerprint;
use crate::alerting::rule::compile::{CompiledCondition, CompiledGroup, CompiledRule};
use crate::alerting::rule::{Rule, RuleGroup, duration};
use crate::query::engine::{Prepared, QueryError, Value, VectorSample, syntax::Expr};
use crate::query::{Labels, Matcher};
use crate::runtime::unix_ms::shift_ms;

#[derive(Debug)]
pub(super) struct Group {
    pub(super) file: String,
    /// The definition of the group, updated when rules are enabled or disabled.
    pub(super) definition: RuleGroup,
    pub(super) rules: Vec<Runner>,
    pub(super) long_selectors: Vec<Vec<Matcher>>,
    /// Milliseconds.
    pub(super) interval: i64,
    /// The slot of the last evaluation.
    pub(super) last_slot: Option<i64>,
    pub(super) last_evaluation: Option<i64>,
    pub(super) duration: Duration,
}

#[derive(Debug)]
pub(super) enum Runner {
    Alert(Box<AlertRunner>),
    Record(Box<RecordRunner>),
}

/// The inputs and options of a group's evaluation.
#[derive(Clone, Copy)]
pub(super) struct EvaluationContext<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) options: &'a RuleOptions,
    pub(super) external_labels: &'a Labels,
}

/// The inputs, options and time of a rule's evaluation.
pub(super) struct RuleContext<'a> {
    pub(super) context: &'a EvaluationContext<'a>,
    pub(super) now: i64,
    /// `now` minus the group's query offset; also the timestamp of the written samples.
    pub(super) query_time: i64,
    pub(super) limit: usize,
}

impl Runner {
    /// Returns the id or the series name of an enabled rule, and its expression.
    pub(super) fn expression(&self) -> Option<(&str, &Expr)> {
        match self {
            Self::Alert(runner) => match &runner.compiled.condition {
                CompiledCondition::Expr(prepared) if runner.enabled => {
                    Some((&runner.compiled.rule.id, prepared.expr()))
                }
                CompiledCondition::Expr(_) | CompiledCondition::When(_) => None,
            },
            Self::Record(runner) => {
                let expr = runner.compiled.prepared.expr();
                runner
                    .enabled
                    .then_some((&runner.compiled.rule.record, expr))
            }
        }
    }
}

impl Group {
    pub(super) fn new(file: &str, compiled: CompiledGroup, options: &RuleOptions) -> Self {
        let interval = compiled.group.interval.unwrap_or(options.interval);
        let rules = compiled.rules.into_iter().map(|rule| match rule {
            CompiledRule::Alert(rule) => Runner::Alert(Box::new(AlertRunner::new(*rule))),
            CompiledRule::Record(rule) => Runner::Record(Box::new(RecordRunner::new(*rule))),
        });
        Self {
            file: file.to_owned(),
            rules: rules.collect(),
            definition: compiled.group,
            long_selectors: compiled.long_selectors,
            interval: duration::to_milliseconds(interval).max(1),
            last_slot: None,
            last_evaluation: None,
            duration: Duration::ZERO,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.definition.name
    }

    /// Enables and disables rules, by id.
    pub(super) fn apply_enabled(&mut self, overrides: &BTreeMap<String, bool>) {
        for rule in &mut self.definition.rules {
            if let Rule::Alert(rule) = rule
                && let Some(enabled) = overrides.get(&rule.id)
            {
                rule.enabled = *enabled;
            }
        }
        for runner in &mut self.rules {
            if let Runner::Alert(runner) = runner
                && let Some(enabled) = overrides.get(&runner.compiled.rule.id)
            {
                runner.enabled = *enabled;
            }
        }
    }

    /// Moves the states of the alerts and the last evaluation by a step of the wall clock.
    pub(super) fn shift(&mut self, by_ms: i64) {
        // Slots are multiples of the interval on the wall clock, so the step may shorten the time to the next slot.
        let last_slot = self.last_slot.map(|slot| slot.saturating_add(by_ms));
        self.last_slot = last_slot.map(|slot| self.slot_before(slot));
        self.last_evaluation
            .iter_mut()
            .for_each(|at| shift_ms(at, by_ms));
        for runner in &mut self.rules {
            let health = match runner {
                Runner::Alert(runner) => {
                    runner.state.shift(by_ms);
                    &mut runner.health
                }
                Runner::Record(runner) => &mut runner.health,
            };
            if let Some(at) = &mut health.last_evaluation {
                shift_ms(at, by_ms);
            }
        }
    }

    /// Returns the group's latest slot that is not after `now`.
    pub(super) fn slot_before(&self, now: i64) -> i64 {
        let identity = Labels::from_pairs([("name", self.name()), ("file", &self.file)]);
        let offset = (fingerprint(&identity) % self.interval.unsigned_abs()).cast_signed();
        let since = now.saturating_sub(offset).rem_euclid(self.interval);
        now.saturating_sub(since)
    }

    /// Returns the latest slot unless it was evaluated already.
    ///
    /// If the clock goes back by less than two intervals without [`Group::shift`], evaluation pauses until the clock has
    /// caught up. If it goes back further, evaluation follows the clock, because the pause could take hours.
    pub(super) fn due(&self, now: i64) -> Option<i64> {
        let slot = self.slot_before(now);
        let is_evaluated = |last: i64| {
            let ahead = last.saturating_sub(slot);
            (0..self.interval.saturating_mul(2)).contains(&ahead)
        };
        (!self.last_slot.is_some_and(is_evaluated)).then_some(slot)
    }

    /// Returns the time of the next evaluation, which is past if the latest slot was missed.
    pub(super) fn due_after(&self, now: i64) -> i64 {
        let next = self.last_slot.unwrap_or(now).saturating_add(self.interval);
        self.due(now).unwrap_or(next)
    }

    pub(super) fn evaluate(
        &mut self,
        context: &EvaluationContext<'_>,
        now: i64,
        out: &mut Evaluation,
    ) {
        let clock = || {
            context
                .source
                .control
                .clock
                .map_or(Duration::ZERO, |clock| clock())
        };
        let offset = duration::to_milliseconds(self.definition.query_offset);
        let at = RuleContext {
            context,
            now,
            query_time: now.saturating_sub(offset),
            limit: self.definition.limit.unwrap_or(context.options.limit),
        };
        let group_started = clock();
        let control = context.source.control;
        for runner in &mut self.rules {
            if control.is_canceled() {
                return;
            }
            let started = clock();
            let outcome = match runner {
                Runner::Alert(runner) if runner.enabled => runner.evaluate(&at),
                Runner::Record(runner) if runner.enabled => runner.evaluate(&at),
                Runner::Alert(_) | Runner::Record(_) => continue,
            };
            if outcome.is_err() && control.is_canceled() {
                return;
            }
            let took = clock().saturating_sub(started);
            out.rules += 1;
            let outcome = outcome.map(|samples| out.samples += samples);
            let (name, health) = match runner {
                Runner::Alert(runner) => {
                    // Alerts that keep their state in spite of an error are sent again; see `OnError::KeepLast`.
                    runner.take_due_alerts(&at, self.interval, &mut out.alerts);
                    (&runner.compiled.rule.id, &mut runner.health)
                }
                Runner::Record(runner) => (&runner.compiled.rule.record, &mut runner.health),
            };
            health.record(now, took, &outcome);
            if let Err(error) = outcome {
                out.failures.push(RuleFailure {
                    group: self.definition.name.clone(),
                    rule: name.clone(),
                    error,
                });
            }
        }
        self.duration = clock().saturating_sub(group_started);
        self.last_evaluation = Some(now);
    }
}

/// Evaluates an expression of a rule.
pub(super) fn query(
    source: &Source<'_>,
    prepared: &Prepared,
    at: i64,
) -> Result<Vec<VectorSample>, String> {
    let run = source.engine.run(source.store, prepared);
    run.with_control(source.control)
        .at(at)
        .and_then(|result| samples_of(result.value))
        .map_err(|error| error.to_string())
}

/// Converts the result of a query into samples; a scalar becomes a sample without labels.
pub(super) fn samples_of(value: Value) -> Result<Vec<VectorSample>, QueryError> {
    match value {
        Value::Vector(samples) => Ok(samples),
        Value::Scalar(point) => Ok(vec![VectorSample {
            labels: Labels::empty(),
            point,
        }]),
        Value::Matrix(_) | Value::String(..) => Err(QueryError::Execution(
            "rule result is not a vector or scalar".to_owned(),
        )),
    }
}
