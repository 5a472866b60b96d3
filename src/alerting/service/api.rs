//! What the application asks of its alerts.

use std::sync::Arc;

use serde::Serialize;

use super::{Alerting, assemble::UnknownRuleChannel, raised::RaiseError, signals::Signal};
use crate::{
    alerting::{
        AcknowledgeError, AcknowledgeTarget, AlertRule, AlertState, AlertStatus, ExportedRules,
        GroupStatus, GroupView, HistoryQuery, HistoryRecord, HistoryStatistics, Routing,
        RuleErrors, Severity, Silence, SilenceError, SilenceRequest, TestResult, UnknownChannel,
        export_rules,
    },
    observation::AlertSignal,
    query::{Label, Labels, LabelsBuilder},
};

/// The alerts of an observatory: rules, what fires, who was told.
#[derive(Clone)]
pub struct Alerts {
    alerting: Arc<Alerting>,
}

/// A change of rules or alerts that was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertsError {
    /// The rule is wrong.
    #[error(transparent)]
    Rules(#[from] RuleErrors),
    /// It names a channel that there is not.
    #[error(transparent)]
    UnknownChannel(#[from] UnknownRuleChannel),
    /// The alert was not raised.
    #[error(transparent)]
    Raise(#[from] RaiseError),
    /// There is no rule of this name.
    #[error("there is no alert rule {0:?}")]
    UnknownRule(String),
    /// Nothing was loaded under this name.
    #[error("no rules were loaded under the name {0:?}")]
    UnknownFile(String),
    /// Rules of this name cannot be loaded.
    #[error("the name {0:?} is that of rules that are added one by one; choose another")]
    ReservedName(String),
    /// The routes cannot be made.
    #[error(transparent)]
    Routing(#[from] crate::alerting::RoutingError),
}

/// How alerting is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AlertsStatus {
    /// Rules of all kinds.
    pub rules: usize,
    /// Rules that failed when they were last evaluated.
    pub failing_rules: usize,
    /// Alerts that are met, but not for long enough.
    pub pending: usize,
    /// Alerts that fire.
    pub firing: usize,
    /// Alerts that the application has raised itself.
    pub raised: usize,
    /// Notifications that nobody has accepted yet.
    pub outbox: usize,
    /// Whether what should be on disk is in memory only.
    pub is_store_degraded: bool,
}

impl Alerts {
    pub(crate) fn new(alerting: &Arc<Alerting>) -> Self {
        Self {
            alerting: Arc::clone(alerting),
        }
    }

    /// Every rule with its alerts, as `/api/v1/rules` shows them.
    #[must_use]
    pub fn rules(&self) -> Vec<GroupStatus> {
        self.alerting().rules().status()
    }

    /// The alerts that are pending or firing, those that were raised by hand included.
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
        let said = AlertSignal {
            rule,
            is_over: false,
            severity: None,
            message,
            labels,
            trace: None,
        };
        Signal::new(&said, severity, &self.alerting.context.redaction)
    }

    /// Raises an alert by hand, until [`Alerts::resolve`]; raising it again says anew what is said about it.
    ///
    /// It has 32 labels at most, of 256 bytes each and 1,024 in the value; of the message 4,096 bytes are kept. What is
    /// redacted in traces and logs is redacted in an alert, too; labels that differ are still different alerts
    /// (`[masked]#5f0c71a2`).
    ///
    /// The id need not be that of a rule; where it is, the alert takes that rule's severity unless it has its own.
    ///
    /// # Errors
    ///
    /// When it has no name, or too many are raised.
    pub fn trigger(
        &self,
        id: &str,
        severity: impl Into<Option<Severity>>,
        message: &str,
        labels: &[(&str, &str)],
    ) -> Result<(), AlertsError> {
        let signal = self.signal(id, severity.into(), message, labels);
        Ok(self.alerting().signalled(&signal, self.now())?)
    }

    /// Takes back the alerts that were raised by hand under this id and have these labels; returns how many.
    #[expect(
        clippy::must_use_candidate,
        reason = "what it does matters more than what it returns"
    )]
    pub fn resolve(&self, id: &str, labels: &[(&str, &str)]) -> usize {
        let signal = self.signal(id, None, "", labels);
        self.alerting().take_back(&signal, self.now())
    }

    /// Acknowledges what fires: stops its repeats and its escalation until it is over. Returns the groups' keys.
    ///
    /// # Errors
    ///
    /// When nothing that fires matches, or nobody is named.
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
    /// # Errors
    ///
    /// When the request is not complete, or names a silence that there is not.
    pub fn silence(&self, request: SilenceRequest) -> Result<String, SilenceError> {
        self.alerting().notifications().set_silence(request)
    }

    /// Ends a silence.
    ///
    /// # Errors
    ///
    /// When there is none of this id, or it is over.
    pub fn expire_silence(&self, id: &str) -> Result<(), SilenceError> {
        self.alerting().notifications().expire_silence(id)
    }

    /// All silences, the active ones first.
    #[must_use]
    pub fn silences(&self) -> Vec<Silence> {
        self.alerting().notifications().silences()
    }

    /// The groups that have alerts: who is told, and who has acknowledged.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupView> {
        self.alerting().notifications().groups()
    }

    /// Who was told of what, when, through what, and with which answer; the latest first.
    #[must_use]
    pub fn history(&self, query: &HistoryQuery) -> Vec<Arc<HistoryRecord>> {
        self.alerting().notifications().history(query)
    }

    /// The history in numbers.
    #[must_use]
    pub fn statistics(&self) -> HistoryStatistics {
        self.alerting().notifications().statistics()
    }

    /// Sends a test to every address of a channel; each says precisely what went wrong.
    ///
    /// Needs a tokio runtime with time and I/O.
    ///
    /// # Errors
    ///
    /// When there is no such channel.
    pub async fn send_test(&self, channel: &str) -> Result<Vec<TestResult>, UnknownChannel> {
        self.alerting().notifications().send_test(channel).await
    }

    /// Walks every step of the escalation of a rule's alerts, with test messages. They go where an alert with the
    /// rule's own labels goes; labels that its expression would give are not known.
    ///
    /// Needs a tokio runtime with time and I/O.
    pub async fn test_escalation(&self, rule: &str) -> Vec<TestResult> {
        let labels = self.labels_of(rule);
        self.alerting()
            .notifications()
            .test_escalation(&labels)
            .await
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> AlertsStatus {
        self.alerting().status()
    }

    /// All rules as a rule file of Prometheus; closures are left out, with a comment.
    #[must_use]
    pub fn export_rules(&self) -> ExportedRules {
        let rules = self.alerting().rules();
        export_rules(rules.groups().map(|(_, group)| group))
    }

    /// The routes as a configuration of Alertmanager; addresses, which may be secret, are left to be filled in.
    ///
    /// # Errors
    ///
    /// When the text cannot be written, which no configuration in use makes happen.
    pub fn export_routing(&self) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        let alerting = self.alerting();
        let routing: Routing = alerting.routes.routing(&alerting.rules());
        Ok(routing.to_alertmanager_yaml(alerting.routes.exported())?)
    }

    /// The labels that every alert of this rule has, as far as they do not depend on what it finds.
    fn labels_of(&self, rule: &str) -> Labels {
        let severity = self.alerting().severity_of(rule);
        let mut labels = LabelsBuilder::default();
        for (name, value) in &self.alerting.context.labels {
            labels.set(Label::new(name.as_str(), value.as_str()));
        }
        let rules = self.alerting().rules();
        if let Some(found) = rules.alert_rules().find(|known| known.id == rule) {
            for (name, value) in found.labels.iter().filter(|(_, v)| !v.contains("{{")) {
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

    pub(super) fn now(&self) -> i64 {
        self.alerting.context.queries.now_ms()
    }
}

impl Alerting {
    /// The alerts that are pending or firing, including those that the application raised.
    pub(crate) fn active_alerts(&self) -> Vec<AlertStatus> {
        let mut active = self.rules().alerts();
        let raised = self.raised();
        active.extend(raised.alerts().map(AlertStatus::from));
        active
    }
}

impl Alerting {
    /// Does what the application said of an alert.
    pub(super) fn signalled(&self, signal: &Signal, now: i64) -> Result<(), RaiseError> {
        let severity = signal
            .severity
            .unwrap_or_else(|| self.severity_of(&signal.rule));
        // Told under the lock, so that nobody who takes it back is overtaken.
        let mut raised = self.raised();
        self.put(vec![raised.raise(signal, severity, now)?]);
        Ok(())
    }

    /// Takes back what the application had raised; returns how many alerts that were.
    pub(super) fn take_back(&self, signal: &Signal, now: i64) -> usize {
        let mut raised = self.raised();
        let store = &self.context.queries.store;
        let over = raised.resolve(&signal.rule, &signal.labels, store, now);
        let count = over.len();
        self.put(over);
        count
    }

    /// The severity of the rule of this name, or what alerts have where nobody says.
    fn severity_of(&self, id: &str) -> Severity {
        let rules = self.rules();
        let mut of_this_name = rules.alert_rules().filter(|rule| rule.id == id);
        of_this_name
            .find_map(AlertRule::severity_label)
            .unwrap_or_default()
    }

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
