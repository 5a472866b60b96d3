//! Alerts that the application raised itself, by a call or an event, until it takes them back.
//!
//! They have no expression, so nothing but the application knows when they are over. They do not outlive the
//! process: whoever was told hears that they are over some minutes after a restart, unless they are raised again.

use std::collections::BTreeMap;

use super::signals::Signal;
use crate::{
    alerting::{Alert, Severity, TraceLink},
    query::{Label, Labels, LabelsBuilder, store::SeriesStore},
};

/// Alerts that are raised at one time, at most.
const MOST_RAISED: usize = 10_000;

/// Milliseconds between two times that an alert is told again, and for which it holds good: Prometheus's.
const RESEND: i64 = 60_000;
const GOOD_FOR: i64 = 4 * RESEND;
/// Milliseconds between two samples of `ALERTS`.
const WRITE: i64 = 10_000;

/// The alerts that are raised now.
#[derive(Debug, Default)]
pub(crate) struct Raised {
    alerts: BTreeMap<Labels, Alert>,
    link: TraceLink,
    /// When all of them are told again.
    next_again: i64,
    next_write: i64,
}

/// Why an alert was not raised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RaiseError {
    /// It has no name.
    #[error("an alert needs a name: `alert.rule` is empty")]
    Unnamed,
    /// There are as many as memory allows.
    #[error("{MOST_RAISED} alerts are raised already; resolve some")]
    TooMany,
}

impl Raised {
    /// None, of which each will name its trace like this.
    pub(super) fn new(link: TraceLink) -> Self {
        Self {
            link,
            ..Self::default()
        }
    }

    /// Raises an alert, or says anew what is said about it; returns what must be told.
    pub(crate) fn raise(
        &mut self,
        signal: &Signal,
        severity: Severity,
        now: i64,
    ) -> Result<Alert, RaiseError> {
        if signal.rule.is_empty() {
            return Err(RaiseError::Unnamed);
        }
        let labels = labels_of(signal, severity);
        if self.alerts.len() >= MOST_RAISED && !self.alerts.contains_key(&labels) {
            return Err(RaiseError::TooMany);
        }
        let alert = self
            .alerts
            .entry(labels.clone())
            .or_insert_with(|| Alert::new(labels, now));
        alert.ends_at = now.saturating_add(GOOD_FOR);
        if !signal.message.is_empty() {
            let summary = signal.message.clone();
            alert.annotations.insert("summary".to_owned(), summary);
        }
        if let Some(id) = signal.trace_id {
            // Of the trace that raised it last.
            alert
                .annotations
                .retain(|name, _| !name.starts_with("trace_"));
            self.link.annotate(&mut alert.annotations, id);
        }
        Ok(alert.clone())
    }

    /// Takes back the alerts of this name that have all of these labels; returns what must be told.
    pub(crate) fn resolve(
        &mut self,
        rule: &str,
        labels: &[(String, String)],
        store: &SeriesStore,
        now: i64,
    ) -> Vec<Alert> {
        let is_meant = |known: &Labels, _: &mut Alert| {
            // As they were raised: under clean names, and without those that are empty.
            let has = |(name, value): &(String, String)| {
                known.get(&label_name(name)).unwrap_or_default() == value
            };
            known.get("alertname") == Some(rule) && labels.iter().all(has)
        };
        let over = self.alerts.extract_if(.., is_meant);
        let over = over.map(|(_, mut alert)| {
            alert.ends_at = now;
            store.mark_stale(store.register(&series_of(&alert.labels)), now);
            alert
        });
        over.collect()
    }

    /// What must be told again: as the alerts of rules, each holds good for four minutes from now. Who is told
    /// nothing more, because the process is gone, takes it for over then.
    pub(super) fn again(&mut self, now: i64) -> Vec<Alert> {
        if now < self.next_again {
            return Vec::new();
        }
        self.next_again = now.saturating_add(RESEND);
        let alerts = self.alerts.values_mut();
        alerts
            .map(|alert| {
                alert.ends_at = now.saturating_add(GOOD_FOR);
                alert.clone()
            })
            .collect()
    }

    /// Writes the series `ALERTS` of each, as those of rules are written.
    pub(super) fn write_when_due(&mut self, store: &SeriesStore, now: i64) {
        if now < self.next_write {
            return;
        }
        self.next_write = now.saturating_add(WRITE);
        for labels in self.alerts.keys() {
            store.append(&series_of(labels), now, 1.0);
        }
    }

    /// Every alert that is raised.
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

/// A field's name as a label's: `http.route` becomes `http_route`.
fn label_name(name: &str) -> String {
    let mut clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if clean.starts_with(|first: char| first.is_ascii_digit()) || clean.is_empty() {
        clean.insert(0, '_');
    }
    clean
}

fn series_of(labels: &Labels) -> Labels {
    let mut builder = LabelsBuilder::from_labels(labels);
    builder.set(Label::new("__name__", "ALERTS"));
    builder.set(Label::new("alertstate", "firing"));
    builder.build()
}
