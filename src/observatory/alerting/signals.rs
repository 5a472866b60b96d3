//! Alerts that events raise, on their way from the application's threads to the observatory's.

use std::{
    sync::{
        Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use super::lock;
use crate::{
    alerting::Severity,
    metrics::MetricsSink,
    observation::{
        AlertSignal, Dropped, Handle, InFlight, InferenceEnd, Labels, Observation, Sink,
    },
};

/// Signals that wait at most; what comes beyond is dropped, and counted.
const MOST_WAITING: usize = 1_024;

/// What the application said of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) rule: String,
    pub(crate) is_over: bool,
    pub(crate) severity: Option<Severity>,
    pub(crate) message: String,
    pub(crate) labels: Vec<(String, String)>,
}

/// The end at which signals are taken.
pub(crate) struct Signals(Mutex<Receiver<Signal>>);

/// The observatory's sink: metrics, and beside them a queue for alerts.
pub(crate) struct ObservatorySink {
    metrics: MetricsSink,
    signals: SyncSender<Signal>,
}

impl ObservatorySink {
    /// A sink, and the end at which its signals are taken.
    pub(crate) fn new(metrics: MetricsSink) -> (Self, Signals) {
        let (signals, taken) = sync_channel(MOST_WAITING);
        (Self { metrics, signals }, Signals(Mutex::new(taken)))
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
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let signal = Signal {
            rule: signal.rule.to_owned(),
            is_over: signal.is_over,
            severity,
            message: signal.message.to_owned(),
            labels: signal.labels.iter().map(own).collect(),
        };
        if self.signals.try_send(signal).is_err() {
            self.metrics.dropped(Dropped::TooManyAlerts, "alert.rule");
        }
    }
}

impl Signals {
    pub(super) fn take(&self) -> Vec<Signal> {
        lock(&self.0).try_iter().collect()
    }
}

impl Sink for ObservatorySink {
    #[inline]
    fn open(&self, labels: &mut Labels) -> Handle {
        self.metrics.open(labels)
    }

    fn relabel(&self, handle: Handle, later: &Labels) -> Handle {
        self.metrics.relabel(handle, later)
    }

    fn chunk(&self, handle: Handle, gap: Duration) {
        self.metrics.chunk(handle, gap);
    }

    #[inline]
    fn close(&self, handle: Handle, end: &InferenceEnd, failure: Option<&Labels>) {
        self.metrics.close(handle, end, failure);
    }

    fn record(&self, observation: &Observation<'_>) {
        self.metrics.record(observation);
        if let Observation::Alert(signal) = observation {
            self.signal(signal);
        }
    }

    fn abandon(&self, handle: Handle) {
        self.metrics.abandon(handle);
    }

    fn request_began(&self, request: InFlight<'_>) -> Handle {
        self.metrics.request_began(request)
    }

    fn request_ended(&self, request: Handle) {
        self.metrics.request_ended(request);
    }

    fn dropped(&self, reason: Dropped, what: &str) {
        self.metrics.dropped(reason, what);
    }
}
