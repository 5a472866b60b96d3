//! Reports the rules that name metrics which do not exist.
//!
//! A name that is near a name of the catalog is reported at the start. Other names are reported ten minutes after the
//! start and at shutdown, since most metrics of an application exist from their first use.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{Alerting, assemble::DEFAULTS, lock};
use crate::{
    alerting::{GroupStatus, RuleGroups},
    metrics::collect::UnknownMetric,
};

/// The time after which a metric should have been used.
const FIRST_USE: Duration = Duration::from_mins(10);
/// The maximum number of rules that a message names.
const MAX_RULES: usize = 5;

/// The times of the next reports.
#[derive(Debug)]
pub(super) struct UnknownReports {
    is_near_due: bool,
    /// The uptime at which all unknown names are reported.
    all_due: Option<Duration>,
}

impl Default for UnknownReports {
    fn default() -> Self {
        Self {
            is_near_due: true,
            all_due: Some(FIRST_USE),
        }
    }
}

impl Alerting {
    /// Returns the status of every rule, with warnings about the metrics that it names.
    pub(super) fn rule_status(&self) -> Vec<GroupStatus> {
        let rules = self.rules();
        let mut groups = rules.status();
        let prefix = self.context.queries.gatherer.registry.prefix();
        let mut warnings: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (rule, metric) in self.unknown_metrics(&rules, self.has_been_used()) {
            let of_rule = warnings.entry(rule).or_default();
            of_rule.insert(metric.message(prefix));
        }
        for rule in groups.iter_mut().flat_map(|group| &mut group.rules) {
            let of_rule = warnings.get(&*rule.name);
            rule.warnings = of_rule.into_iter().flatten().cloned().collect();
        }
        groups
    }

    /// Returns a message about each unknown metric that rules name.
    pub(crate) fn unknown_metric_problems(&self) -> Vec<String> {
        self.messages(self.has_been_used())
    }

    /// Logs the unknown metrics once their time has come.
    pub(super) fn report_unknown_metrics(&self) {
        let uptime = self.context.queries.gatherer.uptime();
        let (is_near_due, is_all_due) = {
            let mut reports = lock(&self.unknown_reports);
            let is_near_due = std::mem::take(&mut reports.is_near_due);
            (
                is_near_due,
                reports.all_due.take_if(|due| *due <= uptime).is_some(),
            )
        };
        if is_near_due || is_all_due {
            self.log_unknown_metrics(is_all_due);
        }
    }

    /// Logs the unknown metrics that have not been logged.
    pub(super) fn log_unknown_metrics(&self, are_all: bool) {
        let registry = &self.context.queries.gatherer.registry;
        for message in self.messages(are_all) {
            registry.diagnostics().notice(message);
        }
    }

    /// Notes that the rules have changed.
    pub(super) fn check_metrics_again(&self) {
        let uptime = self.context.queries.gatherer.uptime();
        *lock(&self.unknown_reports) = UnknownReports {
            is_near_due: true,
            all_due: Some(uptime + FIRST_USE),
        };
    }

    fn has_been_used(&self) -> bool {
        self.context.queries.gatherer.uptime() >= FIRST_USE
    }

    fn messages(&self, are_all: bool) -> Vec<String> {
        let rules = self.rules();
        let mut by_metric: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        let prefix = self.context.queries.gatherer.registry.prefix();
        for (rule, metric) in self.unknown_metrics(&rules, are_all) {
            by_metric
                .entry(metric.message(prefix))
                .or_default()
                .insert(rule);
        }
        let messages = by_metric.into_iter().map(|(message, of_rules)| {
            let count = of_rules.len();
            let named: Vec<&str> = of_rules.into_iter().take(MAX_RULES).collect();
            let more = if count > MAX_RULES { ", …" } else { "" };
            format!(
                "alert rules have no data ({}{more}): {message}",
                named.join(", ")
            )
        });
        messages.collect()
    }

    /// Returns the unknown metrics of enabled rules of the application, each with the name of the rule: all, or those near a name of the
    /// catalog.
    fn unknown_metrics<'r>(
        &self,
        rules: &'r RuleGroups,
        are_all: bool,
    ) -> Vec<(&'r str, UnknownMetric)> {
        if !self.is_on {
            return Vec::new();
        }
        let recorded: BTreeSet<&str> = rules.recorded_metrics().collect();
        let unknown = rules
            .expressions_outside(DEFAULTS)
            .flat_map(|(rule, expr)| {
                let metrics = self.context.queries.unknown_metrics(expr).into_iter();
                metrics.map(move |metric| (rule, metric))
            });
        unknown
            .filter(|(_, metric)| are_all || metric.nearest.is_some())
            .filter(|(_, metric)| !recorded.contains(&*metric.name))
            .collect()
    }
}
