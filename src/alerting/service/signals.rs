//! Passes the alert signals of events from the threads of the application to the working thread.

use std::sync::{
    Arc, Mutex,
    mpsc::{Receiver, SyncSender, sync_channel},
};

use super::lock;
use crate::{
    alerting::Severity,
    metrics::ServiceSink,
    observation::{AlertSignal, Dropped, Observation, Sink, forward_sink},
    privacy::Redaction,
};

/// The maximum number of queued signals; signals above the limit are dropped and counted.
const MAX_QUEUED_SIGNALS: usize = 1_024;

/// The maximum number of labels of an alert. The limits of this and the next constants bound the memory of an
/// alert if the application passes the body of a request by mistake.
const MAX_LABELS: usize = 32;
/// The maximum length of the name of a label or an alert.
const MAX_NAME_BYTES: usize = 256;
/// The maximum length of the value of a label.
const MAX_VALUE_BYTES: usize = 1_024;
/// The maximum length of a message.
const MAX_MESSAGE_BYTES: usize = 4_096;

/// An alert signal of the application, redacted and truncated to the limits of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) rule: String,
    pub(crate) is_resolved: bool,
    pub(crate) severity: Option<Severity>,
    pub(crate) message: String,
    pub(crate) labels: Vec<(String, String)>,
    /// The trace of the signal.
    pub(crate) trace_id: Option<u128>,
}

/// The receiving end of the queue of signals.
pub(crate) struct Signals(Mutex<Receiver<Signal>>);

/// The sink of the observatory: records metrics and queues alert signals.
pub(crate) struct ObservatorySink {
    metrics: ServiceSink,
    signals: SyncSender<Signal>,
    redaction: Arc<Redaction>,
}

impl ObservatorySink {
    /// Creates a sink and the receiving end of its signals.
    pub(crate) fn new(metrics: ServiceSink, redaction: Arc<Redaction>) -> (Self, Signals) {
        let (signals, receiver) = sync_channel(MAX_QUEUED_SIGNALS);
        let sink = Self {
            metrics,
            signals,
            redaction,
        };
        (sink, Signals(Mutex::new(receiver)))
    }

    #[cold]
    fn signal(&self, signal: &AlertSignal<'_>) {
        let severity = signal.severity.and_then(|text| {
            let severity = text.parse().ok();
            if severity.is_none() {
                self.metrics.dropped(Dropped::UnknownStatus, text);
            }
            severity
        });
        let is_resolved = signal.is_over;
        let signal = Signal {
            is_resolved,
            trace_id: signal.trace.map(|trace| trace.trace_id),
            ..Signal::new(signal, severity, &self.redaction)
        };
        if self.signals.try_send(signal).is_err() {
            self.metrics.dropped(Dropped::TooManyAlerts, "alert.rule");
        }
    }
}

impl Signal {
    /// Redacts and truncates a signal; no part of the observatory gets the original, not even the history. Redaction
    /// runs before truncation, because a truncated secret does not match the patterns of secrets.
    pub(super) fn new(
        signal: &AlertSignal<'_>,
        severity: Option<Severity>,
        redaction: &Redaction,
    ) -> Self {
        let AlertSignal {
            rule,
            message,
            labels,
            ..
        } = signal;
        let message = truncate(
            &redaction.shown_uncut("summary", message),
            MAX_MESSAGE_BYTES,
        );
        let labels = labels.iter().take(MAX_LABELS);
        // Labels identify alerts, so different values must stay different after redaction.
        let redact = |(name, value): &(&str, &str)| {
            let value = redaction.shown_distinct(name, value);
            (
                truncate(name, MAX_NAME_BYTES),
                truncate(&value, MAX_VALUE_BYTES),
            )
        };
        Self {
            rule: truncate(
                &redaction.shown_distinct("alert.rule", rule),
                MAX_NAME_BYTES,
            ),
            is_resolved: false,
            severity,
            message,
            labels: labels.map(redact).collect(),
            trace_id: None,
        }
    }
}

/// Truncates a text to at most `max_bytes`, at a character boundary.
fn truncate(text: &str, max_bytes: usize) -> String {
    text[..text.floor_char_boundary(max_bytes)].to_owned()
}

impl Signals {
    /// Returns the signals since the last call.
    pub(super) fn take(&self) -> Vec<Signal> {
        lock(&self.0).try_iter().collect()
    }
}

impl Sink for ObservatorySink {
    forward_sink!(self => self.metrics);

    fn record(&self, observation: &Observation<'_>) {
        self.metrics.record(observation);
        if let Observation::Alert(signal) = observation {
            self.signal(signal);
        }
    }
}
