//! An alert rule as a user writes it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::behaviour::{NoData, OnError};
use super::closure::{MetricsView, WhenClosure};
use crate::alerting::{Escalation, Severity, SimpleRule};

/// When an alert rule is met.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A `PromQL` expression: every element of its result is an alert.
    Expr(String),
    /// A closure: one alert while it says `true`.
    When(WhenClosure),
}

/// Says when something is wrong, and what is then said to whom.
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
    /// Identifies the rule, and is the label `alertname` of its alerts.
    pub id: String,
    /// What a person calls it; the annotation `summary` where none is given. Default: none.
    pub name: Option<String>,
    /// What it is about; the annotation `description` where none is given. Default: none.
    pub description: Option<String>,
    /// When it is met. A rule without one is refused.
    pub condition: Option<Condition>,
    /// Time for which it must be met before it fires. Default: 0, it fires at once.
    pub hold_for: Duration,
    /// Time for which it goes on firing after it was last met. Default: 0.
    pub keep_firing_for: Duration,
    /// Labels of its alerts, templates; `severity` is one of them.
    pub labels: BTreeMap<String, String>,
    /// What is said about its alerts, templates.
    pub annotations: BTreeMap<String, String>,
    /// Names of the channels that are told. Default: none, the router's default.
    pub channels: Vec<String>,
    /// Alerts of rules with one key are told together. Default: none, the rule's id.
    pub aggregation_key: Option<String>,
    /// Labels whose values tell groups of its alerts apart. Default: none, one group.
    pub group_by: Vec<String>,
    /// Whom its alerts reach when nobody acknowledges them. Default: nobody.
    pub escalation: Option<Escalation>,
    /// What it does when none of its series has a sample. Default: nothing is wrong.
    pub no_data: NoData,
    /// What it does when it fails. Default: its alerts stay as they are.
    pub on_error: OnError,
    /// Whether it is evaluated. Default: true.
    pub enabled: bool,
    /// Where it stands in its file.
    pub(crate) line: Option<u64>,
}

impl AlertRule {
    /// A rule without a condition.
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

    /// Sets what a person calls it.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets what it is about.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the label `severity`.
    #[must_use]
    pub fn severity(self, severity: Severity) -> Self {
        self.label("severity", severity.as_str())
    }

    /// Takes a `PromQL` expression for the condition: every element of its result is an alert.
    #[must_use]
    pub fn expr(mut self, expr: impl Into<String>) -> Self {
        self.condition = Some(Condition::Expr(expr.into()));
        self
    }

    /// Takes a closure for the condition, which runs on the observatory's own thread at every evaluation.
    ///
    /// A panic in it is this rule's error and nothing else's. It should not wait: the other rules of its group do.
    #[must_use]
    pub fn when(
        mut self,
        condition: impl Fn(&MetricsView<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.condition = Some(Condition::When(WhenClosure::new(condition)));
        self
    }

    /// Sets the time for which it must be met before it fires.
    #[must_use]
    pub fn hold_for(mut self, duration: Duration) -> Self {
        self.hold_for = duration;
        self
    }

    /// Sets the time for which it goes on firing after it was last met.
    #[must_use]
    pub fn keep_firing_for(mut self, duration: Duration) -> Self {
        self.keep_firing_for = duration;
        self
    }

    /// Adds a label to its alerts; the value is a template.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Adds something that is said about its alerts; the value is a template.
    #[must_use]
    pub fn annotation(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(name.into(), value.into());
        self
    }

    /// Sets the annotation `runbook_url`: where it stands what to do.
    #[must_use]
    pub fn runbook_url(self, url: impl Into<String>) -> Self {
        self.annotation("runbook_url", url)
    }

    /// Sets the channels that are told.
    #[must_use]
    pub fn channels<C: Into<String>>(mut self, channels: impl IntoIterator<Item = C>) -> Self {
        self.channels = channels.into_iter().map(Into::into).collect();
        self
    }

    /// Has its alerts told together with those of other rules with this key.
    #[must_use]
    pub fn aggregation_key(mut self, key: impl Into<String>) -> Self {
        self.aggregation_key = Some(key.into());
        self
    }

    /// Sets the labels whose values tell groups of its alerts apart.
    #[must_use]
    pub fn group_by<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.group_by = labels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whom its alerts reach when nobody acknowledges them.
    #[must_use]
    pub fn escalation(mut self, escalation: Escalation) -> Self {
        self.escalation = Some(escalation);
        self
    }

    /// Sets what it does when none of its series has a sample.
    #[must_use]
    pub fn no_data(mut self, behaviour: NoData) -> Self {
        self.no_data = behaviour;
        self
    }

    /// Sets what it does when it fails.
    #[must_use]
    pub fn on_error(mut self, behaviour: OnError) -> Self {
        self.on_error = behaviour;
        self
    }

    /// Has it known but not evaluated.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    /// The label `severity`, where it names one.
    #[must_use]
    pub fn severity_label(&self) -> Option<Severity> {
        self.labels.get("severity")?.parse().ok()
    }

    /// What routing has to know of it, with the configured aggregation window; `None` where it names no channel, so
    /// that the routing tree decides.
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

    /// Its annotations, with name and description standing in for those that are missing.
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
