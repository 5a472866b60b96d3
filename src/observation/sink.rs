//! Where observations go.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Inference, InferenceEnd, Labels, Observation,
    interner::{DEFAULT_LIMIT, Interner},
};

/// What a [`Sink`] gave out when an inference began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Handle(pub u32);

/// An HTTP request that is under way, served or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlight<'a> {
    /// Method; one that HTTP does not define becomes `_OTHER`.
    pub method: &'a str,
    /// `https`; `http` where empty.
    pub scheme: &'a str,
    /// Whom it was sent to; `None` where it is served here.
    pub peer: Option<&'a str>,
}

/// Takes observations.
///
/// Called on the application's own threads, in the middle of its work: an implementation must not block,
/// must not panic, must not emit a span or an event, and should not allocate once it has seen a label set.
///
/// An inference is in flight for a while, so it comes in parts: [`open`](Sink::open) when its span is
/// created, [`relabel`](Sink::relabel) when labels are recorded later, [`chunk`](Sink::chunk) between two
/// chunks of a stream, [`close`](Sink::close) when it ends. Everything else, and an inference made by
/// hand, comes whole, to [`record`](Sink::record).
pub trait Sink: Send + Sync {
    /// An inference with these labels began. What is returned comes back with its end.
    fn open(&self, labels: &mut Labels) -> Handle;

    /// An open inference got more labels, which stand over those it had.
    fn relabel(&self, handle: Handle, later: &Labels) -> Handle;

    /// A chunk of an open inference's answer came `gap` after the one before.
    fn chunk(&self, _handle: Handle, _gap: Duration) {}

    /// An open inference ended; where it failed, `failure` has the class of the error and the component, if known.
    fn close(&self, handle: Handle, end: &InferenceEnd, failure: Option<&Labels>);

    /// Something happened.
    fn record(&self, observation: &Observation<'_>);

    /// An open inference is not watched any more: it is in flight no longer, and how it ends is not known.
    fn abandon(&self, _handle: Handle) {}

    /// An HTTP request began. What is returned comes back with [`request_ended`](Sink::request_ended), whatever was
    /// recorded meanwhile; how it went comes as an observation.
    fn request_began(&self, _request: InFlight<'_>) -> Handle {
        Handle::default()
    }

    /// An HTTP request is under way no longer.
    fn request_ended(&self, _handle: Handle) {}

    /// An observation, or a part of one, could not be used; `what` names the field or the value.
    fn dropped(&self, _reason: Dropped, _what: &str) {}
}

/// A sink that is shared.
impl<T: Sink + ?Sized> Sink for Arc<T> {
    #[inline]
    fn open(&self, labels: &mut Labels) -> Handle {
        T::open(self, labels)
    }

    fn relabel(&self, handle: Handle, later: &Labels) -> Handle {
        T::relabel(self, handle, later)
    }

    fn chunk(&self, handle: Handle, gap: Duration) {
        T::chunk(self, handle, gap);
    }

    #[inline]
    fn close(&self, handle: Handle, end: &InferenceEnd, failure: Option<&Labels>) {
        T::close(self, handle, end, failure);
    }

    fn record(&self, observation: &Observation<'_>) {
        T::record(self, observation);
    }

    fn abandon(&self, handle: Handle) {
        T::abandon(self, handle);
    }

    fn request_began(&self, request: InFlight<'_>) -> Handle {
        T::request_began(self, request)
    }

    fn request_ended(&self, request: Handle) {
        T::request_ended(self, request);
    }

    fn dropped(&self, reason: Dropped, what: &str) {
        T::dropped(self, reason, what);
    }
}

/// Why an observation, or a part of one, was not used; the label `reason` of
/// `observatory_dropped_observations_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dropped {
    /// A count, size or duration below zero was ignored.
    Negative,
    /// A value outside its range, a share above 1, say, was ignored.
    OutOfRange,
    /// A value that is not a finite number was ignored.
    NotANumber,
    /// A field held text where a number belongs.
    NotNumeric,
    /// A label value was cut at [`MAX_VALUE_BYTES`](super::MAX_VALUE_BYTES).
    Truncated,
    /// A status outside the known ones was counted as `other`.
    UnknownStatus,
    /// `observatory.kind` named no kind there is.
    UnknownKind,
    /// A metric's name is in use for another kind of metric.
    KindConflict,
    /// There are too many metrics: a name seems to be made of an id.
    TooManyMetrics,
    /// Too many spans were open at once.
    TooManyOpenSpans,
    /// The `Debug` or `Display` of a field panicked.
    PanickingField,
    /// The application raised more alerts at once than there is room for.
    TooManyAlerts,
    /// A label of a metric or alert would have said what users and models say; it was left out.
    Content,
}

impl Dropped {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 13] = [
        Self::Negative,
        Self::OutOfRange,
        Self::NotANumber,
        Self::NotNumeric,
        Self::Truncated,
        Self::UnknownStatus,
        Self::UnknownKind,
        Self::KindConflict,
        Self::TooManyMetrics,
        Self::TooManyOpenSpans,
        Self::PanickingField,
        Self::TooManyAlerts,
        Self::Content,
    ];

    /// The value of the label `reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::OutOfRange => "out_of_range",
            Self::NotANumber => "not_a_number",
            Self::NotNumeric => "not_numeric",
            Self::Truncated => "truncated",
            Self::UnknownStatus => "unknown_status",
            Self::UnknownKind => "unknown_kind",
            Self::KindConflict => "kind_conflict",
            Self::TooManyMetrics => "too_many_metrics",
            Self::TooManyOpenSpans => "too_many_open_spans",
            Self::PanickingField => "panicking_field",
            Self::TooManyAlerts => "too_many_alerts",
            Self::Content => "content",
        }
    }
}

/// A sink made of a function that takes whole observations.
///
/// It remembers the labels of open inferences, 2,000 sets of them, so that the function sees each
/// inference once, at its end.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use llm_observatory::{FnSink, Observation, ObservatoryLayer};
/// use tracing_subscriber::prelude::*;
///
/// static TOKENS: AtomicU64 = AtomicU64::new(0);
/// let sink = FnSink::new(|observation: &Observation<'_>| {
///     if let Observation::Inference(inference) = observation {
///         TOKENS.fetch_add(inference.end.tokens.output.unwrap_or(0), Ordering::Relaxed);
///     }
/// });
/// let subscriber = tracing_subscriber::registry().with(ObservatoryLayer::new(sink));
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::info_span!("inference", model_id = "gpt-4o", tokens = 42).in_scope(|| {});
/// });
/// assert_eq!(TOKENS.load(Ordering::Relaxed), 42);
/// ```
pub struct FnSink<F> {
    function: F,
    open: Interner<()>,
}

impl<F: Fn(&Observation<'_>) + Send + Sync> FnSink<F> {
    /// A sink that calls `function` with every observation.
    pub fn new(function: F) -> Self {
        Self {
            function,
            open: Interner::new(DEFAULT_LIMIT),
        }
    }
}

impl<F> fmt::Debug for FnSink<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnSink").finish_non_exhaustive()
    }
}

impl<F: Fn(&Observation<'_>) + Send + Sync> Sink for FnSink<F> {
    fn open(&self, labels: &mut Labels) -> Handle {
        Handle(self.open.resolve(labels, |_| ()).number)
    }

    fn relabel(&self, handle: Handle, later: &Labels) -> Handle {
        let mut labels = self.open.labels(handle.0);
        labels.extend(later);
        self.open(&mut labels)
    }

    fn close(&self, handle: Handle, end: &InferenceEnd, failure: Option<&Labels>) {
        let mut labels = self.open.labels(handle.0);
        if let Some(failure) = failure {
            labels.extend(failure);
        }
        self.record(&Inference::from_labels(&labels, *end).into());
    }

    fn record(&self, observation: &Observation<'_>) {
        (self.function)(observation);
    }
}
