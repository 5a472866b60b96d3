//! A sink made of a function.

use std::fmt;

use super::{
    Handle, Inference, InferenceEnd, Labels, Observation, Sink,
    interner::{DEFAULT_LIMIT, Interner},
};

/// A sink that calls a function with each complete observation.
///
/// `FnSink` stores the labels of open inferences, up to 2,000 label sets, and calls the function once for each
/// inference, at its end. The function receives all values as they were recorded, with any secret in them.
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
    /// Returns a sink that calls `function` with every observation.
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
