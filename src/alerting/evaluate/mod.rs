//! Evaluates rules over the series store at their intervals, and returns the alerts to be sent.
//!
//! [`RuleGroups`] holds all groups by file. [`evaluate_due`](RuleGroups::evaluate_due) evaluates the groups that are
//! due. Within a group, the samples of a recording rule are in the store before the next rule is evaluated. The
//! [`Evaluation`] contains the alerts that must be sent. A failing expression, closure or limit is an error of its rule
//! and does not affect other rules.
//!
//! The caller passes the time, and sends the alerts. The module reads no clock and does no I/O. It blocks only on
//! closures that run on threads of their own, until their timeout.

mod alert_runner;
mod change;
mod group;
mod health;
mod options;
mod record_runner;
mod restart;
mod series;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use self::change::CODE_FILE;
use self::group::Group;
pub use self::{
    options::RuleOptions,
    status::{AlertStatus, GroupStatus, RuleStatus},
};
use super::rule::{AlertRule, RuleGroup, closure::ClosureThreads};
use super::{Alert, AlertState, TraceLookup};
use crate::privacy::Redaction;
use crate::query::engine::{Control, Engine, syntax::Expr};
use crate::query::store::SeriesStore;
use crate::query::{Labels, Matcher};

/// All rules and the states of their alerts.
#[derive(Debug)]
pub struct RuleGroups {
    options: RuleOptions,
    external_labels: Labels,
    groups: Vec<Group>,
    /// Rules that were enabled or disabled at run time, by id.
    enabled_overrides: BTreeMap<String, bool>,
    /// Series of removed rules, which get a stale marker at the next evaluation.
    ended_series: BTreeSet<Labels>,
}

/// The inputs of an evaluation: the query engine and the series store.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The query engine.
    pub engine: &'a Engine,
    /// The series store; expressions read it, recording rules and alerts (`ALERTS`) write to it.
    pub store: &'a SeriesStore,
    /// A clock for the queries' time limit and for the durations in the status, and a cancellation flag.
    pub control: Control<'a>,
    /// Runs closures on threads of their own; `None` runs closures on the calling thread.
    pub(crate) closures: Option<ClosureThreads<'a>>,
    /// Finds the traces behind alerts; `None` links to no traces.
    pub(crate) trace_lookup: Option<TraceLookup<'a>>,
    /// Redacts annotations; `None` redacts nothing.
    pub(crate) redaction: Option<&'a Redaction>,
}

/// The outcome of an evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Alerts to send: new, resolved, or due to be sent again; in the order of their labels, rule by rule.
    pub alerts: Vec<Alert>,
    /// Errors of the rules that failed.
    pub failures: Vec<RuleFailure>,
    /// Number of rules that were evaluated.
    pub rules: u64,
    /// Number of samples that were written to the store, including stale markers.
    pub samples: u64,
}

/// The error of a rule that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleFailure {
    /// Name of the rule's group.
    pub group: String,
    /// Id or series name of the rule.
    pub rule: String,
    /// The error message.
    pub error: String,
}

impl<'a> Source<'a> {
    /// Evaluates over the given store, without a time limit.
    #[must_use]
    pub fn new(engine: &'a Engine, store: &'a SeriesStore) -> Self {
        Self {
            engine,
            store,
            control: Control::default(),
            closures: None,
            trace_lookup: None,
            redaction: None,
        }
    }

    /// Runs closures on threads of their own.
    pub(crate) fn with_closure_threads(mut self, threads: ClosureThreads<'a>) -> Self {
        self.closures = Some(threads);
        self
    }

    /// Redacts annotations as soon as their templates are expanded.
    pub(crate) const fn with_redaction(mut self, redaction: &'a Redaction) -> Self {
        self.redaction = Some(redaction);
        self
    }

    /// Links alerts to the traces behind them.
    pub(crate) fn with_trace_lookup(mut self, trace_lookup: TraceLookup<'a>) -> Self {
        self.trace_lookup = Some(trace_lookup);
        self
    }

    /// Sets a clock and a cancellation flag.
    #[must_use]
    pub fn with_control(mut self, control: Control<'a>) -> Self {
        self.control = control;
        self
    }
}

impl RuleGroups {
    /// Creates an empty set of rules.
    #[must_use]
    pub fn new(options: RuleOptions) -> Self {
        let pairs = options.external_labels.iter();
        Self {
            external_labels: Labels::from_pairs(pairs.map(|(k, v)| (k.as_str(), v.as_str()))),
            options,
            groups: Vec::new(),
            enabled_overrides: BTreeMap::new(),
            ended_series: BTreeSet::new(),
        }
    }

    /// Returns the options.
    #[must_use]
    pub fn options(&self) -> &RuleOptions {
        &self.options
    }

    /// Returns the time at which the next group is due, in milliseconds since the epoch; `None` without groups.
    ///
    /// The groups are spread over their interval by a hash of their names, as in Prometheus, so that not all rules run
    /// at once.
    #[must_use]
    pub fn next_evaluation(&self, now: i64) -> Option<i64> {
        self.groups.iter().map(|group| group.due_after(now)).min()
    }

    /// Moves the states of all alerts and the schedules of all groups by a step of the wall clock.
    pub(crate) fn shift(&mut self, by_ms: i64) {
        self.groups.iter_mut().for_each(|group| group.shift(by_ms));
    }

    /// Evaluates every group that is due, at the time at which it was due.
    ///
    /// A group that has missed several evaluations is evaluated only for the latest.
    pub fn evaluate_due(&mut self, source: &Source<'_>, now: i64) -> Evaluation {
        let mut evaluation = Evaluation::default();
        evaluation.samples += self.mark_ended_series_stale(source.store, now);
        for group in &mut self.groups {
            if let Some(slot) = group.due(now) {
                group.last_slot = Some(slot);
                let context = group::EvaluationContext {
                    source,
                    options: &self.options,
                    external_labels: &self.external_labels,
                };
                group.evaluate(&context, slot, &mut evaluation);
            }
        }
        evaluation
    }

    /// Evaluates every group at `now`, in order.
    pub fn evaluate_all(&mut self, source: &Source<'_>, now: i64) -> Evaluation {
        let mut evaluation = Evaluation::default();
        evaluation.samples += self.mark_ended_series_stale(source.store, now);
        for group in &mut self.groups {
            group.last_slot = Some(group.slot_before(now));
            let context = group::EvaluationContext {
                source,
                options: &self.options,
                external_labels: &self.external_labels,
            };
            group.evaluate(&context, now, &mut evaluation);
        }
        evaluation
    }

    /// Sorts the groups for evaluation; the sort is stable.
    pub(crate) fn sort_groups(&mut self, order: impl Fn(&str) -> usize) {
        self.groups.sort_by_key(|group| order(group.name()));
    }

    fn mark_ended_series_stale(&mut self, store: &SeriesStore, now: i64) -> u64 {
        let ended = std::mem::take(&mut self.ended_series);
        series::mark_stale(store, &ended, now)
    }

    /// Returns the selectors whose samples must be kept in the store's coarse tier. Pass them to
    /// [`SeriesStore::keep_long`] after every change of rules.
    #[must_use]
    pub fn long_selectors(&self) -> Vec<Vec<Matcher>> {
        let groups = self.groups.iter();
        groups
            .flat_map(|group| group.long_selectors.iter().cloned())
            .collect()
    }

    /// Returns the definition of every group, with the name of its file.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &RuleGroup)> {
        self.groups
            .iter()
            .map(|group| (&*group.file, &group.definition))
    }

    /// Returns every alert rule; routing reads their channels, aggregation keys and escalations.
    pub fn alert_rules(&self) -> impl Iterator<Item = &AlertRule> {
        self.groups
            .iter()
            .flat_map(|group| group.definition.alert_rules())
    }

    /// Returns the expression of every enabled rule that is not from `file`, with the id or the series name of the rule.
    pub(crate) fn expressions_outside(&self, file: &str) -> impl Iterator<Item = (&str, &Expr)> {
        let groups = self.groups.iter().filter(move |group| group.file != file);
        let runners = groups.flat_map(|group| &group.rules);
        runners.filter_map(group::Runner::expression)
    }

    /// Returns the names of the series that recording rules write.
    pub(crate) fn recorded_metrics(&self) -> impl Iterator<Item = &str> {
        let runners = self.groups.iter().flat_map(|group| &group.rules);
        runners.filter_map(|runner| match runner {
            group::Runner::Record(runner) => Some(&*runner.compiled.rule.record),
            group::Runner::Alert(_) => None,
        })
    }

    /// Returns the `data` of `/api/v1/rules`.
    #[must_use]
    pub fn status(&self) -> Vec<GroupStatus> {
        self.groups
            .iter()
            .map(|group| group.status(&self.options))
            .collect()
    }

    /// Returns the alerts of `/api/v1/alerts`: the pending and firing alerts.
    #[must_use]
    pub fn alerts(&self) -> Vec<AlertStatus> {
        self.groups.iter().flat_map(Group::alerts).collect()
    }

    /// Returns the number of alerts in a state.
    #[must_use]
    pub fn count(&self, state: AlertState) -> usize {
        self.groups.iter().map(|group| group.count(state)).sum()
    }
}

impl Default for RuleGroups {
    fn default() -> Self {
        Self::new(RuleOptions::default())
    }
}
