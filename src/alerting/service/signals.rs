//! Alerts that events raise, on their way from the application's threads to the observatory's.

use std::sync::{
    Arc, Mutex,
    mpsc::{Receiver, SyncSender, sync_channel},
};

use super::lock;
use crate::{
    alerting::Severity,
    metrics::MetricsSink,
    observation::{AlertSignal, Dropped, Observation, Sink, forward_sink},
    privacy::Redaction,
};

/// Signals that wait at most; what comes beyond is dropped, and counted.
const MOST_WAITING: usize = 1_024;

/// Labels of an alert at most, and bytes of a name, a value and a message: all of it is kept, shown and sent, and
/// whoever passes a request's body by mistake must not fill the memory with it.
const MOST_LABELS: usize = 32;
const LONGEST_NAME: usize = 256;
const LONGEST_VALUE: usize = 1_024;
const LONGEST_MESSAGE: usize = 4_096;

/// What the application said of an alert, without what must not leave, and cut to what an alert may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) rule: String,
    pub(crate) is_over: bool,
    pub(crate) severity: Option<Severity>,
    pub(crate) message: String,
    pub(crate) labels: Vec<(String, String)>,
    /// The trace in which it was said.
    pub(crate) trace_id: Option<u128>,
}

/// The end at which signals are taken.
pub(crate) struct Signals(Mutex<Receiver<Signal>>);

/// The observatory's sink: metrics, and beside them a queue for alerts.
pub(crate) struct ObservatorySink {
    metrics: MetricsSink,
    signals: SyncSender<Signal>,
    redaction: Arc<Redaction>,
}

impl ObservatorySink {
    /// A sink, and the end at which its signals are taken.
    pub(crate) fn new(metrics: MetricsSink, redaction: Arc<Redaction>) -> (Self, Signals) {
        let (signals, taken) = sync_channel(MOST_WAITING);
        let sink = Self {
            metrics,
            signals,
            redaction,
        };
        (sink, Signals(Mutex::new(taken)))
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
        let is_over = signal.is_over;
        let signal = Signal {
            is_over,
            trace_id: signal.trace.map(|trace| trace.trace_id),
            ..Signal::new(signal, severity, &self.redaction)
        };
        if self.signals.try_send(signal).is_err() {
            self.metrics.dropped(Dropped::TooManyAlerts, "alert.rule");
        }
    }
}

impl Signal {
    /// What was said, as far as it may leave the process. Nobody sees more of it, not the history either. It is judged
    /// before it is cut, since half a secret does not look like one.
    pub(super) fn new(
        said: &AlertSignal<'_>,
        severity: Option<Severity>,
        redaction: &Redaction,
    ) -> Self {
        let AlertSignal {
            rule,
            message,
            labels,
            ..
        } = said;
        let shown =
            |name: &str, text: &str, longest| cut(&redaction.shown_uncut(name, text), longest);
        let labels = labels.iter().take(MOST_LABELS);
        // Alerts are told apart by their labels: two accounts in trouble are two alerts, whatever is shown of them.
        let cut_both = |(name, value): &(&str, &str)| {
            let value = redaction.shown_distinct(name, value);
            (cut(name, LONGEST_NAME), cut(&value, LONGEST_VALUE))
        };
        Self {
            rule: cut(&redaction.shown_distinct("alert.rule", rule), LONGEST_NAME),
            is_over: false,
            severity,
            message: shown("summary", message, LONGEST_MESSAGE),
            labels: labels.map(cut_both).collect(),
            trace_id: None,
        }
    }
}

/// As much of a text as fits, at a character's border.
fn cut(text: &str, longest: usize) -> String {
    text[..text.floor_char_boundary(longest)].to_owned()
}

impl Signals {
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
