//! Defines the receiver of observations, and the reasons why an observation is dropped.

use std::{sync::Arc, time::Duration};

use super::{InferenceEnd, Labels, Observation};
use crate::runtime::named;

/// A number that a [`Sink`] returns for an open inference or a request in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Handle(pub u32);

/// An HTTP request in flight, served or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight<'a> {
    /// Method; a method that HTTP does not define becomes `_OTHER`.
    pub method: &'a str,
    /// `https`; `http` if empty.
    pub scheme: &'a str,
    /// The called server; `None` for a request that this process serves.
    pub peer: Option<&'a str>,
}

/// Receives observations.
///
/// A sink of the application receives all values as they were recorded. Redaction applies to spans, log lines, alerts
/// and the series of the observatory, so a sink that stores or sends labels masks keys and tokens itself. The sinks
/// [`MetricsSink`](crate::MetricsSink) and [`FacadeSink`](crate::FacadeSink) mask them when they create a series.
///
/// The Layer calls a sink on the application's threads, between two steps of the application's work. An
/// implementation must not block, must not panic, must not emit a span or an event, and should not allocate for a label
/// set that it has seen before.
///
/// The Layer reports an inference in several calls: [`open`](Sink::open) when the span is created,
/// [`relabel`](Sink::relabel) when the span records further labels, [`chunk`](Sink::chunk) between two chunks of a
/// stream, and [`close`](Sink::close) when the inference ends. [`record`](Sink::record) receives every other
/// observation, and the inferences of `record_inference`, in one call.
pub trait Sink: Send + Sync {
    /// Starts an inference with these labels. The Layer passes the returned handle to the later calls.
    fn open(&self, labels: &mut Labels) -> Handle;

    /// Adds labels to an open inference; a label of `later` replaces an earlier value. Returns the new handle.
    fn relabel(&self, handle: Handle, later: &Labels) -> Handle;

    /// Records the time between two chunks of an open inference's stream.
    fn chunk(&self, _handle: Handle, _gap: Duration) {}

    /// Ends an open inference. `failure` holds the error type and the component of a failed inference, if known.
    fn close(&self, handle: Handle, end: &InferenceEnd, failure: Option<&Labels>);

    /// Records a complete observation.
    fn record(&self, observation: &Observation<'_>);

    /// Ends an open inference whose outcome stays unknown: the inference is in flight no longer.
    fn abandon(&self, _handle: Handle) {}

    /// Starts an HTTP request. The Layer passes the returned handle to [`request_ended`](Sink::request_ended), and
    /// records outcome and duration as an observation of their own.
    fn request_began(&self, _request: InFlight<'_>) -> Handle {
        Handle::default()
    }

    /// Ends an HTTP request in flight.
    fn request_ended(&self, _handle: Handle) {}

    /// Returns the labels of an open inference, which the report of a blocked worker shows; `None` if the sink does not
    /// keep labels.
    fn labels(&self, _handle: Handle) -> Option<Labels> {
        None
    }

    /// Reports a dropped observation, or a dropped part of an observation; `what` names the field or the value.
    fn dropped(&self, _reason: Dropped, _what: &str) {}
}

/// Implements every method of [`Sink`] but `record` by a call of `$inner`, an expression over `$self`.
macro_rules! forward_sink {
    ($self:ident => $inner:expr) => {
        #[inline]
        fn open(&$self, labels: &mut $crate::Labels) -> $crate::Handle {
            $inner.open(labels)
        }

        fn relabel(&$self, handle: $crate::Handle, later: &$crate::Labels) -> $crate::Handle {
            $inner.relabel(handle, later)
        }

        fn chunk(&$self, handle: $crate::Handle, gap: std::time::Duration) {
            $inner.chunk(handle, gap);
        }

        #[inline]
        fn close(
            &$self,
            handle: $crate::Handle,
            end: &$crate::InferenceEnd,
            failure: Option<&$crate::Labels>,
        ) {
            $inner.close(handle, end, failure);
        }

        fn abandon(&$self, handle: $crate::Handle) {
            $inner.abandon(handle);
        }

        fn request_began(&$self, request: $crate::InFlight<'_>) -> $crate::Handle {
            $inner.request_began(request)
        }

        fn request_ended(&$self, handle: $crate::Handle) {
            $inner.request_ended(handle);
        }

        fn labels(&$self, handle: $crate::Handle) -> Option<$crate::Labels> {
            $inner.labels(handle)
        }

        fn dropped(&$self, reason: $crate::Dropped, what: &str) {
            $inner.dropped(reason, what);
        }
    };
}
pub(crate) use forward_sink;

/// A shared sink.
impl<T: Sink + ?Sized> Sink for Arc<T> {
    forward_sink!(self => (**self));

    fn record(&self, observation: &Observation<'_>) {
        (**self).record(observation);
    }
}

named! {
    /// The reason why an observation, or a part of an observation, was dropped; the label `reason` of
    /// `observatory_dropped_observations_total`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Dropped {
        /// A negative count, size or duration.
        Negative = "negative",
        /// A value outside its range, for example a score above 1.
        OutOfRange = "out_of_range",
        /// A value that is NaN or infinite.
        NotANumber = "not_a_number",
        /// A text in a field that requires a number.
        NotNumeric = "not_numeric",
        /// A label value above [`MAX_VALUE_BYTES`](super::MAX_VALUE_BYTES): the value was truncated.
        Truncated = "truncated",
        /// An unknown status: the operation counts as `other`.
        UnknownStatus = "unknown_status",
        /// An unknown kind in `observatory.kind`.
        UnknownKind = "unknown_kind",
        /// A metric name that another kind of metric uses.
        KindConflict = "kind_conflict",
        /// Too many metrics; the application probably puts an id into a metric name.
        TooManyMetrics = "too_many_metrics",
        /// Too many open spans.
        TooManyOpenSpans = "too_many_open_spans",
        /// A panic in the `Debug` or `Display` implementation of a field.
        PanickingField = "panicking_field",
        /// More alerts of the application than the queue holds.
        TooManyAlerts = "too_many_alerts",
        /// A label of a metric or an alert with the content of a prompt or an answer: the label was left out.
        Content = "content",
    }
}
