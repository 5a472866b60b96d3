//! Serializes rules and alerts for Prometheus's `/api/v1/rules` and `/api/v1/alerts`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::group::{Group, Runner};
use super::options::RuleOptions;
use crate::alerting::rule::compile::CompiledCondition;
use crate::alerting::state::AlertInstance;
use crate::alerting::template;
use crate::alerting::{Alert, AlertState};
use crate::query::Labels;

/// A group in `/api/v1/rules`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct GroupStatus {
    /// Name of the group.
    pub name: String,
    /// File of the group.
    pub file: String,
    /// The rules.
    pub rules: Vec<RuleStatus>,
    /// Time between two evaluations, in seconds.
    pub interval: f64,
    /// Maximum number of alerts or series per rule.
    pub limit: usize,
    /// Duration of the last evaluation, in seconds.
    pub evaluation_time: f64,
    /// Time of the last evaluation, as RFC 3339; year 1 before the first evaluation.
    pub last_evaluation: String,
}

/// A rule in `/api/v1/rules`. Keys that do not apply to the kind of the rule are omitted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RuleStatus {
    /// Highest state of the rule's alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<AlertState>,
    /// Id or series name of the rule.
    pub name: String,
    /// The expression; a comment for a closure.
    pub query: String,
    /// `for`, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// `keep_firing_for`, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<f64>,
    /// Labels of the definition, with unexpanded templates.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the definition, with unexpanded templates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// The pending and firing alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Vec<AlertStatus>>,
    /// `ok`, `err` or `unknown`.
    pub health: &'static str,
    /// Error of the last evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Duration of the last evaluation, in seconds.
    pub evaluation_time: f64,
    /// Time of the last evaluation, as RFC 3339.
    pub last_evaluation: String,
    /// `alerting` or `recording`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// True if the rule is evaluated. Not in Prometheus.
    pub enabled: bool,
    /// Number of evaluations since the start. Not in Prometheus.
    pub evaluations: u64,
    /// Number of failed evaluations since the start. Not in Prometheus.
    pub failures: u64,
    /// Warnings about metrics that the expression names and that do not exist. Not in Prometheus.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// An alert in `/api/v1/alerts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AlertStatus {
    /// Labels of the alert.
    pub labels: Labels,
    /// Annotations of the alert.
    pub annotations: BTreeMap<String, String>,
    /// State of the alert.
    pub state: AlertState,
    /// Time at which the condition was first met, as RFC 3339.
    pub active_at: String,
    /// Time since which the alert fires although its condition is not met, as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<String>,
    /// Value of the expression, in exponent notation.
    pub value: String,
}

impl From<&AlertInstance> for AlertStatus {
    fn from(alert: &AlertInstance) -> Self {
        Self {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            state: alert.state,
            active_at: rfc3339(Some(alert.active_at)),
            keep_firing_since: alert.keep_firing_since.map(|at| rfc3339(Some(at))),
            value: template::value_text(alert.value.unwrap_or(f64::NAN)),
        }
    }
}

impl From<&Alert> for AlertStatus {
    /// Converts an alert that was raised without a rule.
    fn from(alert: &Alert) -> Self {
        Self {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            state: AlertState::Firing,
            active_at: rfc3339(Some(alert.starts_at)),
            keep_firing_since: None,
            value: template::value_text(alert.value.unwrap_or(1.0)),
        }
    }
}

/// Formats a time as Go does; a missing time becomes Go's zero time.
fn rfc3339(at: Option<i64>) -> String {
    at.and_then(|at| Timestamp::from_millisecond(at).ok())
        .map_or_else(
            || "0001-01-01T00:00:00Z".to_owned(),
            |time| time.to_string(),
        )
}

impl Group {
    pub(super) fn alerts(&self) -> Vec<AlertStatus> {
        let runners = self.rules.iter().filter_map(|runner| match runner {
            Runner::Alert(runner) => Some(runner),
            Runner::Record(_) => None,
        });
        runners
            .flat_map(|runner| runner.state.active().map(AlertStatus::from))
            .collect()
    }

    pub(super) fn count(&self, state: AlertState) -> usize {
        let count = |runner: &Runner| match runner {
            Runner::Alert(runner) => {
                let in_state = |alert: &&AlertInstance| alert.state == state;
                runner.state.alerts().filter(in_state).count()
            }
            Runner::Record(_) => 0,
        };
        self.rules.iter().map(count).sum()
    }

    pub(super) fn status(&self, options: &RuleOptions) -> GroupStatus {
        GroupStatus {
            name: self.definition.name.clone(),
            file: self.file.clone(),
            rules: self.rules.iter().map(RuleStatus::from).collect(),
            interval: self.interval as f64 / 1000.0,
            limit: self.definition.limit.unwrap_or(options.limit),
            evaluation_time: self.duration.as_secs_f64(),
            last_evaluation: rfc3339(self.last_evaluation),
        }
    }
}

impl From<&Runner> for RuleStatus {
    fn from(runner: &Runner) -> Self {
        let health = match runner {
            Runner::Alert(runner) => &runner.health,
            Runner::Record(runner) => &runner.health,
        };
        let status = Self {
            state: None,
            name: String::new(),
            query: String::new(),
            duration: None,
            keep_firing_for: None,
            labels: BTreeMap::new(),
            annotations: None,
            alerts: None,
            health: health.name(),
            last_error: health.error.clone(),
            evaluation_time: health.duration.as_secs_f64(),
            last_evaluation: rfc3339(health.last_evaluation),
            kind: "recording",
            enabled: true,
            evaluations: health.evaluations,
            failures: health.failures,
            warnings: Vec::new(),
        };
        match runner {
            Runner::Record(runner) => Self {
                name: runner.compiled.rule.record.clone(),
                query: runner.compiled.prepared.expr().to_string(),
                labels: runner.compiled.rule.labels.clone(),
                enabled: runner.enabled,
                ..status
            },
            Runner::Alert(runner) => {
                let rule = &runner.compiled.rule;
                Self {
                    state: Some(runner.state.worst()),
                    name: rule.id.clone(),
                    query: match &runner.compiled.condition {
                        CompiledCondition::Expr(prepared) => prepared.expr().to_string(),
                        CompiledCondition::When(_) => "# a closure".to_owned(),
                    },
                    duration: Some(rule.hold_for.as_secs_f64()),
                    keep_firing_for: Some(rule.keep_firing_for.as_secs_f64()),
                    labels: rule.labels.clone(),
                    annotations: Some(rule.all_annotations()),
                    alerts: Some(runner.state.active().map(AlertStatus::from).collect()),
                    kind: "alerting",
                    enabled: runner.enabled,
                    ..status
                }
            }
        }
    }
}
