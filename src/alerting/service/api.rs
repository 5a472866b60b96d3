//! Provides the alert API of the application: rules, raised alerts, silences, acknowledgements, history and tests.

use std::sync::Arc;

use serde::Serialize;

use super::{Alerting, assemble::UnknownRuleChannel, raised::RaiseError, signals::Signal};
use crate::{
    alerting::{
        AcknowledgeError, AcknowledgeTarget, AlertRule, AlertState, AlertStatus, ExportedRules,
        GroupStatus, GroupView, HistoryQuery, HistoryRecord, HistoryStatistics, NotDurable,
        Routing, RuleErrors, Severity, Silence, SilenceError, SilenceRequest, TestResult,
        UnknownChannel, export_rules,
    },
    observation::AlertSignal,
    query::{Label, Labels, LabelsBuilder},
    runtime::unix_ms::UnixMs,
};

/// A handle to the alerts of an observatory: rules, active alerts, notifications and history.
#[derive(Clone)]
pub struct Alerts {
    alerting: Arc<Alerting>,
}

/// An error of a change of rules or alerts. The change had no effect, except for [`AlertsError::NotDurable`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertsError {
    /// A rule is invalid.
    #[error(transparent)]
    Rules(#[from] RuleErrors),
    /// A rule names an unknown channel.
    #[error(transparent)]
    UnknownChannel(#[from] UnknownRuleChannel),
    /// The alert was not raised.
    #[error(transparent)]
    Raise(#[from] RaiseError),
    /// No rule has this id.
    #[error("there is no alert rule {0:?}")]
    UnknownRule(String),
    /// No rules were loaded under this name.
    #[error("no rules were loaded under the name {0:?}")]
    UnknownFile(String),
    /// The name is reserved.
    #[error("the name {0:?} is reserved for rules that are added singly; choose another name")]
    ReservedName(String),
    /// The routes of the rules are invalid.
    #[error(transparent)]
    Routing(#[from] crate::alerting::RoutingError),
    /// The change is in effect, but a crash or a restart loses the change.
    #[error(transparent)]
    NotDurable(#[from] NotDurable),
}

/// The status of alerting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AlertsStatus {
    /// The number of alerting and recording rules.
    pub rules: usize,
    /// The number of rules whose last evaluation failed.
    pub failing_rules: usize,
    /// The number of pending alerts: their condition is met, but not yet for the required time.
    pub pending: usize,
    /// The number of firing alerts.
    pub firing: usize,
    /// The number of alerts that the application raised.
    pub raised: usize,
    /// The number of notifications that are neither accepted nor failed yet.
    pub outbox: usize,
    /// True if the state is in memory only because the disk failed.
    pub is_store_degraded: bool,
    /// The path and the reason of the failure while the state is in memory only.
    pub store_problem: Option<String>,
    /// The channels with a notifier of the application that has not returned from an attempt after its time limit.
    pub hanging_channels: Vec<String>,
}

impl Alerts {
    pub(crate) fn new(alerting: &Arc<Alerting>) -> Self {
        Self {
            alerting: Arc::clone(alerting),
        }
    }

    /// Returns every rule with its alerts, in the form of `/api/v1/rules`.
    #[must_use]
    pub fn rules(&self) -> Vec<GroupStatus> {
        self.alerting().rule_status()
    }

    /// Returns the pending and firing alerts, including the alerts that the application raised.
    #[must_use]
    pub fn active(&self) -> Vec<AlertStatus> {
        self.alerting.active_alerts()
    }

    fn signal(
        &self,
        rule: &str,
        severity: Option<Severity>,
        message: &str,
        labels: &[(&str, &str)],
    ) -> Signal {
        let signal = AlertSignal {
            rule,
            is_over: false,
            severity: None,
            message,
            labels,
            trace: None,
        };
        Signal::new(&signal, severity, &self.alerting.context.redaction)
    }

    /// Raises an alert until [`Alerts::resolve`]; a second call with the same labels updates the message.
    ///
    /// An alert has at most 32 labels, with names of at most 256 bytes and values of at most 1,024 bytes; the message is
    /// truncated to 4,096 bytes. The redaction of traces and logs also applies to alerts. Different values of a redacted
    /// label still make different alerts (`[masked]#5f0c71a2`).
    ///
    /// If `id` is the id of a rule and `severity` is `None`, the alert has the severity of the rule.
    ///
    /// The call returns before the alert is on the disk: a crash in the next milliseconds can lose it.
    /// [`Alerts::trigger_durably`] waits for the disk. With a data directory, the alert fires until it is resolved, also
    /// over restarts. Without a data directory, the alert ends with the process, and its receivers count it as resolved
    /// four minutes after its last update.
    ///
    /// # Errors
    ///
    /// If `id` is empty, or the maximum number of alerts is raised.
    pub fn trigger(
        &self,
        id: &str,
        severity: impl Into<Option<Severity>>,
        message: &str,
        labels: &[(&str, &str)],
    ) -> Result<(), AlertsError> {
        let signal = self.signal(id, severity.into(), message, labels);
        Ok(self.alerting().raise(&signal)?)
    }

    /// Resolves the raised alerts with this id and these labels; returns their number.
    ///
    /// The call returns before the change is on the disk: after a crash in the next milliseconds, the alerts can fire
    /// again. [`Alerts::resolve_durably`] waits for the disk.
    #[expect(
        clippy::must_use_candidate,
        reason = "callers may ignore the number of resolved alerts"
    )]
    pub fn resolve(&self, id: &str, labels: &[(&str, &str)]) -> usize {
        let signal = self.signal(id, None, "", labels);
        self.alerting().resolve_raised(&signal)
    }

    /// Acknowledges the matching firing alerts: stops their repeats and their escalation. Resolved notifications are
    /// still sent. Returns the keys of the groups.
    ///
    /// A crash in the next milliseconds can lose the change; [`Alerts::flush`] waits for the disk.
    ///
    /// # Errors
    ///
    /// If no firing alert matches, or the name is empty.
    pub fn acknowledge(
        &self,
        target: &AcknowledgeTarget,
        by: &str,
        comment: &str,
    ) -> Result<Vec<String>, AcknowledgeError> {
        self.alerting()
            .notifications()
            .acknowledge(target, by, comment)
    }

    /// Creates or changes a silence; returns its id.
    ///
    /// A crash in the next milliseconds can lose the change; [`Alerts::flush`] waits for the disk.
    ///
    /// # Errors
    ///
    /// If the request is incomplete, or its id is unknown.
    pub fn silence(&self, request: SilenceRequest) -> Result<String, SilenceError> {
        self.alerting().notifications().set_silence(request)
    }

    /// Ends a silence.
    ///
    /// A crash in the next milliseconds can lose the change; [`Alerts::flush`] waits for the disk.
    ///
    /// # Errors
    ///
    /// If the id is unknown, or the silence has expired.
    pub fn expire_silence(&self, id: &str) -> Result<(), SilenceError> {
        self.alerting().notifications().expire_silence(id)
    }

    /// Returns all silences, active silences first.
    #[must_use]
    pub fn silences(&self) -> Vec<Silence> {
        self.alerting().notifications().silences()
    }

    /// Returns the groups that have alerts, with their receivers and acknowledgements.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupView> {
        self.alerting().notifications().groups()
    }

    /// Returns the records of the history that match the query, with their deliveries, latest first.
    #[must_use]
    pub fn history(&self, query: &HistoryQuery) -> Vec<Arc<HistoryRecord>> {
        self.alerting().notifications().history(query)
    }

    /// Returns the statistics of the history.
    #[must_use]
    pub fn statistics(&self) -> HistoryStatistics {
        self.alerting().notifications().statistics()
    }

    /// Returns the names of the enabled channels, each with the names of its addresses.
    #[must_use]
    pub fn channels(&self) -> std::collections::BTreeMap<String, Vec<String>> {
        self.alerting().notifications().channel_addresses()
    }

    /// Sends a test message to every address of a channel; returns the answer or the error of each address.
    ///
    /// Needs a tokio runtime with time and I/O.
    ///
    /// # Errors
    ///
    /// If no channel has this name.
    pub async fn send_test(&self, channel: &str) -> Result<Vec<TestResult>, UnknownChannel> {
        self.alerting().notifications().send_test(channel).await
    }

    /// Sends a test message to every step of the escalation of a rule's alerts. The messages are routed by the labels of
    /// the rule; the labels that its expression adds are not known in advance.
    ///
    /// Needs a tokio runtime with time and I/O.
    pub async fn test_escalation(&self, rule: &str) -> Vec<TestResult> {
        let labels = self.labels_of(rule);
        self.alerting()
            .notifications()
            .test_escalation(&labels)
            .await
    }

    /// Returns the status of alerting.
    #[must_use]
    pub fn status(&self) -> AlertsStatus {
        self.alerting().status()
    }

    /// Exports all rules as a Prometheus rule file; a comment replaces each rule with a closure.
    #[must_use]
    pub fn export_rules(&self) -> ExportedRules {
        let rules = self.alerting().rules();
        export_rules(rules.groups().map(|(_, group)| group))
    }

    /// Exports the routes as an Alertmanager configuration, with placeholders for addresses, because addresses may be
    /// secret.
    ///
    /// # Errors
    ///
    /// If serialization fails; no valid configuration causes this.
    pub fn export_routing(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let alerting = self.alerting();
        let routing: Routing = alerting.routes.routing(&alerting.rules());
        Ok(routing.to_alertmanager_yaml(alerting.routes.exported())?)
    }

    /// Returns the labels of a rule's alerts that do not depend on the result of the expression.
    fn labels_of(&self, rule: &str) -> Labels {
        let severity = self.alerting().severity_of(rule);
        let mut labels = LabelsBuilder::default();
        for (name, value) in &self.alerting.context.labels {
            labels.set(Label::new(name.as_str(), value.as_str()));
        }
        let rules = self.alerting().rules();
        if let Some(alert_rule) = rules.alert_rules().find(|candidate| candidate.id == rule) {
            for (name, value) in alert_rule.labels.iter().filter(|(_, v)| !v.contains("{{")) {
                labels.set(Label::new(name.as_str(), value.as_str()));
            }
        }
        labels.set(Label::new("alertname", rule));
        labels.set(Label::new("severity", severity.as_str()));
        labels.build()
    }

    pub(super) fn alerting(&self) -> &Alerting {
        &self.alerting
    }

    pub(super) fn now(&self) -> UnixMs {
        self.alerting.context.queries.now()
    }
}

impl Alerting {
    /// Returns the pending and firing alerts, including the alerts that the application raised.
    pub(crate) fn active_alerts(&self) -> Vec<AlertStatus> {
        let mut active = self.rules().alerts();
        let raised = self.raised();
        active.extend(raised.alerts().map(AlertStatus::from));
        active
    }
}

impl Alerting {
    /// Raises an alert for a signal of the application.
    pub(super) fn raise(&self, signal: &Signal) -> Result<(), RaiseError> {
        let severity = signal
            .severity
            .unwrap_or_else(|| self.severity_of(&signal.rule));
        // The lock orders this update before the update of a concurrent call that resolves the alert, and before or after
        // a step of the wall clock.
        let mut raised = self.raised();
        let now = self.context.queries.now();
        let count = raised.len();
        let alert = raised.raise(signal, severity, now)?;
        // Updates of the message are saved with the next update of all alerts: an application may update it for each
        // request, and each save is a write to the disk.
        if raised.len() > count {
            self.save_raised(&mut raised);
        }
        self.put(vec![alert]);
        Ok(())
    }

    /// Resolves raised alerts for a signal of the application; returns their number.
    pub(super) fn resolve_raised(&self, signal: &Signal) -> usize {
        let mut raised = self.raised();
        let now = self.context.queries.now();
        let store = &self.context.queries.store;
        let resolved = raised.resolve(&signal.rule, &signal.labels, store, now);
        let count = resolved.len();
        self.forget_raised(&resolved);
        self.put(resolved);
        count
    }

    /// Returns the severity of the rule with this id; the default severity if no rule defines it.
    fn severity_of(&self, id: &str) -> Severity {
        let rules = self.rules();
        let mut matching = rules.alert_rules().filter(|rule| rule.id == id);
        matching
            .find_map(AlertRule::severity_label)
            .unwrap_or_default()
    }

    /// Returns the status of alerting.
    pub(crate) fn status(&self) -> AlertsStatus {
        let (rules, failing_rules, pending, firing) = {
            let groups = self.rules();
            let status = groups.status();
            let rules = status.iter().flat_map(|group| &group.rules);
            (
                rules.clone().count(),
                rules.filter(|rule| rule.health == "err").count(),
                groups.count(AlertState::Pending),
                groups.count(AlertState::Firing),
            )
        };
        let counts = self.notifications().counts();
        AlertsStatus {
            rules,
            failing_rules,
            pending,
            firing,
            raised: self.raised().alerts().count(),
            outbox: counts.outbox_depth,
            is_store_degraded: counts.is_store_degraded,
            store_problem: counts.store_problem,
            hanging_channels: counts
                .channels
                .into_iter()
                .filter(|(_, count)| count.hanging > 0)
                .map(|(name, _)| name)
                .collect(),
        }
    }
}

impl std::fmt::Debug for Alerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alerts")
            .field("status", &self.status())
            .finish()
    }
}
