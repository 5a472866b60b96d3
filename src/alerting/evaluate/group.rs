//! A group that runs: its turns, and its rules one after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alert_runner::AlertRunner;
use super::options::RuleOptions;
use super::record_runner::RecordRunner;
use super::{Evaluation, RuleFailure, Source};
use crate::alerting::alert::fingerprint;
use crate::alerting::rule::compile::{CompiledGroup, CompiledRule};
use crate::alerting::rule::{Rule, RuleGroup, duration};
use crate::query::engine::{Prepared, QueryError, Value, VectorSample};
use crate::query::{Labels, Matcher};

#[derive(Debug)]
pub(super) struct Group {
    pub(super) file: String,
    /// As it was written; switching rules on and off shows in it.
    pub(super) written: RuleGroup,
    pub(super) rules: Vec<Runner>,
    pub(super) long: Vec<Vec<Matcher>>,
    /// Milliseconds.
    pub(super) interval: i64,
    /// The turn that was taken last.
    pub(super) last_slot: Option<i64>,
    pub(super) last_evaluation: Option<i64>,
    pub(super) duration: Duration,
}

#[derive(Debug)]
pub(super) enum Runner {
    Alert(Box<AlertRunner>),
    Record(Box<RecordRunner>),
}

/// What a group is evaluated in.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) options: &'a RuleOptions,
    pub(super) external_labels: &'a Labels,
}

/// What one rule is evaluated in, and when.
pub(super) struct RuleAt<'a> {
    pub(super) surroundings: &'a Surroundings<'a>,
    pub(super) now: i64,
    /// `now`, less the group's query offset: samples are written for this time, too.
    pub(super) query_time: i64,
    pub(super) limit: usize,
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
            written: compiled.group,
            long: compiled.long,
            interval: duration::to_milliseconds(interval).max(1),
            last_slot: None,
            last_evaluation: None,
            duration: Duration::ZERO,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.written.name
    }

    /// Switches rules on and off, by their ids.
    pub(super) fn switch(&mut self, switched: &BTreeMap<String, bool>) {
        for rule in &mut self.written.rules {
            if let Rule::Alert(rule) = rule
                && let Some(enabled) = switched.get(&rule.id)
            {
                rule.enabled = *enabled;
            }
        }
        for runner in &mut self.rules {
            if let Runner::Alert(runner) = runner
                && let Some(enabled) = switched.get(&runner.compiled.rule.id)
            {
                runner.enabled = *enabled;
            }
        }
    }

    /// The group's latest turn that is not after `now`.
    pub(super) fn slot_before(&self, now: i64) -> i64 {
        let identity = Labels::from_pairs([("name", self.name()), ("file", &self.file)]);
        let offset = (fingerprint(&identity) % self.interval.unsigned_abs()).cast_signed();
        let since = now.saturating_sub(offset).rem_euclid(self.interval);
        now.saturating_sub(since)
    }

    /// The turn that has come and was not taken yet.
    ///
    /// A clock that was put back by less than two intervals is waited for; one that was put back further is
    /// followed, for it may be hours.
    pub(super) fn due(&self, now: i64) -> Option<i64> {
        let slot = self.slot_before(now);
        let is_taken = |last: i64| {
            let ahead = last.saturating_sub(slot);
            (0..self.interval.saturating_mul(2)).contains(&ahead)
        };
        (!self.last_slot.is_some_and(is_taken)).then_some(slot)
    }

    /// When the group is due next: at once where it has missed its latest turn.
    pub(super) fn due_after(&self, now: i64) -> i64 {
        let next = self.last_slot.unwrap_or(now).saturating_add(self.interval);
        self.due(now).unwrap_or(next)
    }

    pub(super) fn evaluate(&mut self, around: &Surroundings<'_>, now: i64, out: &mut Evaluation) {
        let clock = || {
            around
                .source
                .control
                .clock
                .map_or(Duration::ZERO, |clock| clock())
        };
        let offset = duration::to_milliseconds(self.written.query_offset);
        let at = RuleAt {
            surroundings: around,
            now,
            query_time: now.saturating_sub(offset),
            limit: self.written.limit.unwrap_or(around.options.limit),
        };
        let group_started = clock();
        let control = around.source.control;
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
                    // What an error leaves standing is told again; see `OnError::KeepLast`.
                    runner.tell(&at, self.interval, &mut out.alerts);
                    (&runner.compiled.rule.id, &mut runner.health)
                }
                Runner::Record(runner) => (&runner.compiled.rule.record, &mut runner.health),
            };
            health.note(now, took, &outcome);
            if let Err(error) = outcome {
                out.failures.push(RuleFailure {
                    group: self.written.name.clone(),
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

/// A scalar is one sample without labels.
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
