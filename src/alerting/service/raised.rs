//! Keeps the alerts that the application raised by a call or an event, until the application resolves them.
//!
//! Raised alerts have no expression, so only the application can resolve them. With a data directory, raised alerts are
//! saved and survive a restart. Without a data directory, their receivers count them as resolved some minutes after the
//! end of the process, unless the application raises them again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::signals::Signal;
use crate::{
    alerting::{Alert, Severity, TraceLink},
    query::{Label, Labels, LabelsBuilder, store::SeriesStore},
    runtime::unix_ms::UnixMs,
};

/// The maximum number of raised alerts.
const MAX_RAISED: usize = 10_000;

/// The time between two updates of an alert: Prometheus's resend delay.
const RESEND_DELAY: Duration = Duration::from_mins(1);
/// The validity of an update: four resend delays, as in Prometheus.
const VALIDITY: Duration = Duration::from_mins(4);
/// The time between two samples of the series `ALERTS`.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);

/// The raised alerts.
#[derive(Debug, Default)]
pub(crate) struct Raised {
    alerts: BTreeMap<Labels, Alert>,
    /// The alerts that are new or have new annotations since the last [`Raised::take_unsaved`].
    unsaved: BTreeSet<Labels>,
    link: TraceLink,
    /// The time of the next update of all raised alerts.
    next_resend: UnixMs,
    next_sample: UnixMs,
}

/// The reason why an alert was not raised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RaiseError {
    /// The alert has no name.
    #[error("an alert needs a name: `alert.rule` is empty")]
    Unnamed,
    /// The maximum number of alerts is raised.
    #[error("{MAX_RAISED} alerts are raised already, which is the maximum")]
    TooMany,
}

impl Raised {
    /// Creates a set of the alerts of the previous process; `link` builds the annotations of an alert from its trace.
    pub(super) fn new(link: TraceLink, restored: impl IntoIterator<Item = Alert>) -> Self {
        let alerts = restored.into_iter();
        Self {
            alerts: alerts.map(|alert| (alert.labels.clone(), alert)).collect(),
            link,
            ..Self::default()
        }
    }

    /// Raises an alert, or updates its annotations; returns the alert for the notifications.
    pub(crate) fn raise(
        &mut self,
        signal: &Signal,
        severity: Severity,
        now: UnixMs,
    ) -> Result<Alert, RaiseError> {
        if signal.rule.is_empty() {
            return Err(RaiseError::Unnamed);
        }
        let labels = labels_of(signal, severity);
        if self.alerts.len() >= MAX_RAISED && !self.alerts.contains_key(&labels) {
            return Err(RaiseError::TooMany);
        }
        let is_new = !self.alerts.contains_key(&labels);
        let alert = self
            .alerts
            .entry(labels.clone())
            .or_insert_with(|| Alert::new(labels, now.as_i64()));
        alert.ends_at = (now + VALIDITY).as_i64();
        let annotations = alert.annotations.clone();
        if !signal.message.is_empty() {
            let summary = signal.message.clone();
            alert.annotations.insert("summary".to_owned(), summary);
        }
        if let Some(id) = signal.trace_id {
            // The annotations name the trace that raised the alert last.
            alert
                .annotations
                .retain(|name, _| !name.starts_with("trace_"));
            self.link.annotate(&mut alert.annotations, id);
        }
        if is_new || alert.annotations != annotations {
            self.unsaved.insert(alert.labels.clone());
        }
        Ok(alert.clone())
    }

    /// Resolves the alerts with this name and all of these labels; returns the alerts for the notifications.
    pub(crate) fn resolve(
        &mut self,
        rule: &str,
        labels: &[(String, String)],
        store: &SeriesStore,
        now: UnixMs,
    ) -> Vec<Alert> {
        let matches = |known: &Labels, _: &mut Alert| {
            // Raised alerts have valid label names, and no labels with empty values.
            let has = |(name, value): &(String, String)| {
                known.get(&label_name(name)).unwrap_or_default() == value
            };
            known.get("alertname") == Some(rule) && labels.iter().all(has)
        };
        let now = now.as_i64();
        let resolved = self.alerts.extract_if(.., matches);
        let resolved = resolved.map(|(labels, mut alert)| {
            self.unsaved.remove(&labels);
            alert.ends_at = now;
            store.mark_stale(store.register(&series_of(&alert.labels)), now);
            alert
        });
        resolved.collect()
    }

    /// Returns the update of every alert if it is due. As the alerts of rules, each update is valid for four minutes: if
    /// the process ends, the receivers of the updates count the alerts as resolved then.
    pub(super) fn resend(&mut self, now: UnixMs) -> Vec<Alert> {
        if now < self.next_resend {
            return Vec::new();
        }
        self.next_resend = now + RESEND_DELAY;
        let alerts = self.alerts.values_mut();
        alerts
            .map(|alert| {
                alert.ends_at = (now + VALIDITY).as_i64();
                alert.clone()
            })
            .collect()
    }

    /// Appends a sample to the series `ALERTS` of each alert if it is due, as for the alerts of rules.
    pub(super) fn write_when_due(&mut self, store: &SeriesStore, now: UnixMs) {
        if now < self.next_sample {
            return;
        }
        self.next_sample = now + SAMPLE_INTERVAL;
        for labels in self.alerts.keys() {
            store.append(&series_of(labels), now.as_i64(), 1.0);
        }
    }

    /// Moves the alerts by a step of the wall clock.
    pub(super) fn shift(&mut self, by_ms: i64) {
        let alerts = self.alerts.values_mut();
        alerts.for_each(|alert| alert.shift(by_ms));
        self.unsaved.extend(self.alerts.keys().cloned());
        self.next_resend.shift(by_ms);
        self.next_sample.shift(by_ms);
    }

    /// Returns the alerts to save: new alerts, and alerts with new annotations.
    pub(super) fn take_unsaved(&mut self) -> impl Iterator<Item = &Alert> {
        let unsaved = std::mem::take(&mut self.unsaved).into_iter();
        unsaved.filter_map(|labels| self.alerts.get(&labels))
    }

    /// Returns the number of raised alerts.
    pub(super) fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Returns the raised alerts.
    pub(crate) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.values()
    }
}

fn labels_of(signal: &Signal, severity: Severity) -> Labels {
    let mut builder = LabelsBuilder::default();
    for (name, value) in &signal.labels {
        builder.set(Label::new(label_name(name), value.as_str()));
    }
    builder.set(Label::new("severity", severity.as_str()));
    builder.set(Label::new("alertname", signal.rule.as_str()));
    builder.build()
}

/// Converts the name of a field to the name of a label: `http.route` becomes `http_route`.
fn label_name(name: &str) -> String {
    let mut valid: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if valid.starts_with(|first: char| first.is_ascii_digit()) || valid.is_empty() {
        valid.insert(0, '_');
    }
    valid
}

/// Returns the labels of the series `ALERTS` of an alert.
fn series_of(labels: &Labels) -> Labels {
    let mut builder = LabelsBuilder::from_labels(labels);
    builder.set(Label::new("__name__", "ALERTS"));
    builder.set(Label::new("alertstate", "firing"));
    builder.build()
}
