//! Defines alert rules.

use std::collections::BTreeMap;
use std::time::Duration;

use super::behaviour::{NoData, OnError};
use super::closure::{MetricsView, WhenClosure};
use crate::alerting::{Escalation, Severity, SimpleRule};
use crate::settings::setters;

/// The condition under which a rule's alerts are pending or firing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Condition {
    /// A `PromQL` expression; every element of its result is an alert.
    Expr(String),
    /// A closure; there is a single alert, which is active while the closure returns `true`.
    When(WhenClosure),
}

/// Defines an alert: its condition, its labels and annotations, and the channels that are notified.
///
/// ```
/// use std::time::Duration;
///
/// use llm_observatory::alerting::{AlertRule, Severity};
///
/// let rule = AlertRule::new("token_limit_exceeded")
///     .severity(Severity::Critical)
///     .expr("sum(increase(llm_router_tokens_generated_total[1h])) > 1e6")
///     .hold_for(Duration::from_secs(60))
///     .annotation("summary", "{{ $value | humanize }} tokens in an hour")
///     .channels(["slack"]);
/// assert_eq!(rule.id, "token_limit_exceeded");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AlertRule {
    /// Identifies the rule; the label `alertname` of its alerts.
    pub id: String,
    /// Display name; the annotation `summary` unless the rule sets one. Default: none.
    pub name: Option<String>,
    /// Description for people; the annotation `description` unless the rule sets one. Default: none.
    pub description: Option<String>,
    /// A rule without a condition is rejected. Default: none.
    pub(crate) condition: Option<Condition>,
    /// Time for which the condition must be met before an alert fires, `for` in Prometheus. Default: 0.
    pub hold_for: Duration,
    /// Time for which an alert keeps firing after its condition was last met. Default: 0.
    pub keep_firing_for: Duration,
    /// Labels added to the alerts, as templates; `severity` is one of them.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the alerts, as templates.
    pub annotations: BTreeMap<String, String>,
    /// Names of the channels that are notified. Default: none, which leaves the choice to the routing tree.
    pub channels: Vec<String>,
    /// Alerts of rules with the same key share notifications. Default: none, which uses the rule's id.
    pub aggregation_key: Option<String>,
    /// Labels by whose values the rule's alerts are grouped into notifications. Default: none, a single group.
    pub group_by: Vec<String>,
    /// Further channels that are notified while an alert is not acknowledged. Default: none.
    pub escalation: Option<Escalation>,
    /// Behaviour when none of the rule's series has a sample. Default: [`NoData::Ok`].
    pub no_data: NoData,
    /// Behaviour when the evaluation fails. Default: [`OnError::KeepLast`].
    pub on_error: OnError,
    /// True if the rule is evaluated. Default: true.
    pub enabled: bool,
    /// Line of the rule in its file.
    pub(crate) line: Option<u64>,
}

impl AlertRule {
    /// Creates a rule without a condition.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: None,
            description: None,
            condition: None,
            hold_for: Duration::ZERO,
            keep_firing_for: Duration::ZERO,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            channels: Vec::new(),
            aggregation_key: None,
            group_by: Vec::new(),
            escalation: None,
            no_data: NoData::default(),
            on_error: OnError::default(),
            enabled: true,
            line: None,
        }
    }

    setters! {
        /// Sets the display name.
        name(name: impl Into<String>) { self.name = Some(name.into()) }

        /// Sets the description.
        description(description: impl Into<String>) { self.description = Some(description.into()) }
    }

    /// Sets the label `severity`.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        self.label("severity", severity.as_str())
    }

    /// Sets a `PromQL` expression as the condition; every element of its result is an alert.
    #[must_use]
    pub fn expr(mut self, expr: impl Into<String>) -> Self {
        self.condition = Some(Condition::Expr(expr.into()));
        self
    }

    /// Returns the `PromQL` expression; `None` if the condition is a closure, or missing.
    #[must_use]
    pub fn expression(&self) -> Option<&str> {
        match &self.condition {
            Some(Condition::Expr(expr)) => Some(expr),
            Some(Condition::When(_)) | None => None,
        }
    }

    setters! {
        /// Sets a closure as the condition. The closure runs on a thread of the observatory at every evaluation.
        ///
        /// A panic in the closure is an error of this rule only. The closure should not block: the other rules of the group
        /// wait for it.
        when(condition: impl Fn(&MetricsView<'_>) -> bool + Send + Sync + 'static) {
            self.condition = Some(Condition::When(WhenClosure::new(condition)))
        }

        /// Sets the time for which the condition must be met before an alert fires.
        hold_for(duration: Duration) { self.hold_for = duration }

        /// Sets the time for which an alert keeps firing after its condition was last met.
        keep_firing_for(duration: Duration) { self.keep_firing_for = duration }

        /// Adds a label to the alerts; the value is a template.
        label(name: impl Into<String>, value: impl Into<String>) {
            self.labels.insert(name.into(), value.into())
        }

        /// Adds an annotation to the alerts; the value is a template.
        annotation(name: impl Into<String>, value: impl Into<String>) {
            self.annotations.insert(name.into(), value.into())
        }
    }

    /// Sets the annotation `runbook_url`, the address of the instructions for this alert.
    #[must_use]
    pub fn runbook_url(self, url: impl Into<String>) -> Self {
        self.annotation("runbook_url", url)
    }

    /// Sets the channels that are notified.
    #[must_use]
    pub fn channels<C: Into<String>>(mut self, channels: impl IntoIterator<Item = C>) -> Self {
        self.channels = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the aggregation key: alerts of rules with the same key share notifications.
    #[must_use]
    pub fn aggregation_key(mut self, key: impl Into<String>) -> Self {
        self.aggregation_key = Some(key.into());
        self
    }

    /// Sets the labels by whose values the alerts are grouped into notifications.
    #[must_use]
    pub fn group_by<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.group_by = labels.into_iter().map(Into::into).collect();
        self
    }

    setters! {
        /// Sets the further channels that are notified while an alert is not acknowledged.
        escalation(escalation: Escalation) { self.escalation = Some(escalation) }

        /// Sets the behaviour when none of the rule's series has a sample.
        no_data(behaviour: NoData) { self.no_data = behaviour }

        /// Sets the behaviour when the evaluation fails.
        on_error(behaviour: OnError) { self.on_error = behaviour }
    }

    /// Disables the rule: it is loaded and listed, but not evaluated.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    /// Returns the label `severity`, or `None` if its value is not a [`Severity`].
    #[must_use]
    pub fn severity_label(&self) -> Option<Severity> {
        self.labels.get("severity")?.parse().ok()
    }

    /// Returns the routing of the rule's alerts, with the given aggregation window; `None` if the rule names no
    /// channel, so that the routing tree applies.
    #[must_use]
    pub fn routing(&self, window: Duration) -> Option<SimpleRule> {
        if self.channels.is_empty() {
            return None;
        }
        let mut simple = SimpleRule::new(self.id.clone(), self.channels.iter().cloned());
        simple.aggregation_key.clone_from(&self.aggregation_key);
        simple.group_by.clone_from(&self.group_by);
        simple.aggregation_window = window;
        simple.escalation.clone_from(&self.escalation);
        Some(simple)
    }

    /// Returns the annotations, with name and description in place of a missing `summary` and `description`.
    #[must_use]
    pub fn all_annotations(&self) -> BTreeMap<String, String> {
        let mut annotations = self.annotations.clone();
        for (key, text) in [("summary", &self.name), ("description", &self.description)] {
            if let Some(text) = text {
                annotations
                    .entry(key.to_owned())
                    .or_insert_with(|| text.clone());
            }
        }
        annotations
    }
}
