//! Turns rules and the series store into alerts for the router, at the times at which rules are due.
//!
//! [`RuleGroups`] holds every group, file by file. [`evaluate_due`](RuleGroups::evaluate_due) evaluates those whose
//! time has come: rule by rule, what a recording rule gives is in the store before the next rule looks; alerts that
//! must be told come back in the [`Evaluation`]. A rule that fails, by its expression, its closure or its limit, is
//! an error of that rule, with the others untouched.
//!
//! Nothing here reads a clock, waits or does I/O: the caller brings the time, and delivers the alerts.

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

pub(crate) use self::change::CODE;
use self::group::Group;
pub use self::{
    options::RuleOptions,
    status::{AlertStatus, GroupStatus, RuleStatus},
};
use super::rule::{AlertRule, RuleGroup, closure::ClosureThreads};
use super::{Alert, AlertState, Evidence};
use crate::privacy::Redaction;
use crate::query::engine::{Control, Engine};
use crate::query::store::SeriesStore;
use crate::query::{Labels, Matcher};

/// Every rule there is, with the state of its alerts.
#[derive(Debug)]
pub struct RuleGroups {
    options: RuleOptions,
    external_labels: Labels,
    groups: Vec<Group>,
    /// Rules that were switched on or off at run time, by id.
    switched: BTreeMap<String, bool>,
    /// Series of rules that are gone: they end at the next evaluation.
    ended: BTreeSet<Labels>,
}

/// What rules are evaluated over.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The store: read by expressions, written by recording rules and with `ALERTS`.
    pub store: &'a SeriesStore,
    /// A clock for the queries' time limit and for the durations in the status, and a way to cancel.
    pub control: Control<'a>,
    /// Where closures are asked; `None`: right here.
    pub(crate) closures: Option<ClosureThreads<'a>>,
    /// Where the traces behind alerts are found; `None`: nowhere.
    pub(crate) evidence: Option<Evidence<'a>>,
    /// What may leave of annotations; `None`: all of them.
    pub(crate) redaction: Option<&'a Redaction>,
}

/// What an evaluation gives.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// What must be told to the router: new, resolved, or told again. In the order of their labels, rule by rule.
    pub alerts: Vec<Alert>,
    /// The rules that failed.
    pub failures: Vec<RuleFailure>,
    /// How many rules were evaluated.
    pub rules: u64,
    /// How many samples were written to the store, stale markers included.
    pub samples: u64,
}

/// A rule that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleFailure {
    /// Its group.
    pub group: String,
    /// Its id or series name.
    pub rule: String,
    /// Why.
    pub error: String,
}

impl<'a> Source<'a> {
    /// Evaluates over this store, without a time limit.
    #[must_use]
    pub fn new(engine: &'a Engine, store: &'a SeriesStore) -> Self {
        Self {
            engine,
            store,
            control: Control::default(),
            closures: None,
            evidence: None,
            redaction: None,
        }
    }

    /// Asks closures on threads of their own.
    pub(crate) fn with_closure_threads(mut self, threads: ClosureThreads<'a>) -> Self {
        self.closures = Some(threads);
        self
    }

    /// Takes out of annotations what must not leave the process, as soon as they are made of labels.
    pub(crate) const fn with_redaction(mut self, redaction: &'a Redaction) -> Self {
        self.redaction = Some(redaction);
        self
    }

    /// Has alerts name the traces behind them.
    pub(crate) fn with_evidence(mut self, evidence: Evidence<'a>) -> Self {
        self.evidence = Some(evidence);
        self
    }

    /// Sets a clock and a way to cancel.
    #[must_use]
    pub fn with_control(mut self, control: Control<'a>) -> Self {
        self.control = control;
        self
    }
}

impl RuleGroups {
    /// No rules yet.
    #[must_use]
    pub fn new(options: RuleOptions) -> Self {
        let pairs = options.external_labels.iter();
        Self {
            external_labels: Labels::from_pairs(pairs.map(|(k, v)| (k.as_str(), v.as_str()))),
            options,
            groups: Vec::new(),
            switched: BTreeMap::new(),
            ended: BTreeSet::new(),
        }
    }

    /// Returns the options.
    #[must_use]
    pub fn options(&self) -> &RuleOptions {
        &self.options
    }

    /// Returns when the next group is due, in milliseconds since the epoch; `None` where there is none.
    ///
    /// Each group has its own moment within its interval, by a hash of its name, as in Prometheus: not all rules
    /// run at once.
    #[must_use]
    pub fn next_evaluation(&self, now: i64) -> Option<i64> {
        self.groups.iter().map(|group| group.due_after(now)).min()
    }

    /// Evaluates every group that is due, at the time at which it was due.
    ///
    /// A group that has missed several turns is evaluated once, for the latest.
    pub fn evaluate_due(&mut self, source: &Source<'_>, now: i64) -> Evaluation {
        let mut evaluation = Evaluation::default();
        evaluation.samples += self.end_series(source.store, now);
        for group in &mut self.groups {
            if let Some(slot) = group.due(now) {
                group.last_slot = Some(slot);
                let surroundings = group::Surroundings {
                    source,
                    options: &self.options,
                    external_labels: &self.external_labels,
                };
                group.evaluate(&surroundings, slot, &mut evaluation);
            }
        }
        evaluation
    }

    /// Evaluates every group now, in order.
    pub fn evaluate_all(&mut self, source: &Source<'_>, now: i64) -> Evaluation {
        let mut evaluation = Evaluation::default();
        evaluation.samples += self.end_series(source.store, now);
        for group in &mut self.groups {
            group.last_slot = Some(group.slot_before(now));
            let surroundings = group::Surroundings {
                source,
                options: &self.options,
                external_labels: &self.external_labels,
            };
            group.evaluate(&surroundings, now, &mut evaluation);
        }
        evaluation
    }

    /// Sets the order in which groups are evaluated; equal ones keep theirs.
    pub(crate) fn sort_groups(&mut self, order: impl Fn(&str) -> usize) {
        self.groups.sort_by_key(|group| order(group.name()));
    }

    fn end_series(&mut self, store: &SeriesStore, now: i64) -> u64 {
        let ended = std::mem::take(&mut self.ended);
        series::end(store, &ended, now)
    }

    /// Returns the selectors whose series need the store's second tier; hand them to
    /// [`SeriesStore::keep_long`] whenever rules have changed.
    #[must_use]
    pub fn long_selectors(&self) -> Vec<Vec<Matcher>> {
        let groups = self.groups.iter();
        groups
            .flat_map(|group| group.long.iter().cloned())
            .collect()
    }

    /// Returns every group as it was written, with the name of its file.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &RuleGroup)> {
        self.groups
            .iter()
            .map(|group| (&*group.file, &group.written))
    }

    /// Returns every alert rule: the router takes channels, aggregation and escalation from them.
    pub fn alert_rules(&self) -> impl Iterator<Item = &AlertRule> {
        self.groups
            .iter()
            .flat_map(|group| group.written.alert_rules())
    }

    /// Returns the `data` of `/api/v1/rules`.
    #[must_use]
    pub fn status(&self) -> Vec<GroupStatus> {
        self.groups
            .iter()
            .map(|group| group.status(&self.options))
            .collect()
    }

    /// Returns the alerts of `/api/v1/alerts`: those that are pending or firing.
    #[must_use]
    pub fn alerts(&self) -> Vec<AlertStatus> {
        self.groups.iter().flat_map(Group::alerts).collect()
    }

    /// Counts the alerts that are in a state.
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
