//! Series of inferences: the prefixed metrics, and the metrics of the `GenAI` conventions.
//!
//! The sink finds the series of a label set once; a later inference costs a few additions.

mod gen_ai;
mod model;

use std::{sync::OnceLock, time::Duration};

pub(super) use self::gen_ai::failed_duration;
use self::{gen_ai::GenAiSeries, model::ModelSeries};
use super::{
    Side,
    backend::{Backend, Distribution, Level as _, Pairs},
    origin::Origin,
};
use crate::{
    metrics::catalog::{self, Metric},
    observation::{InferenceEnd, Label, Labels, Outcome, TraceReference},
};

/// The metrics in which a new label set creates series; the sink counts an overflow for each of them.
pub(super) const METRICS: &[Metric] = &[
    catalog::INFERENCES,
    catalog::INFERENCE_DURATION,
    catalog::TOKENS_GENERATED,
    catalog::TOKENS_PER_SECOND,
    catalog::ACTIVE_INFERENCES,
    catalog::PROMPT_TOKENS,
    catalog::TOKEN_SOURCE,
];

/// Operations of the conventions that call no model: they have a duration but count as no inference.
const NOT_A_MODEL_CALL: [&str; 5] = [
    "execute_tool",
    "invoke_agent",
    "create_agent",
    "invoke_workflow",
    "retrieval",
];

/// The series of a label set.
pub(super) struct InferenceSeries<B: Backend> {
    /// `None` for an operation that calls no model.
    model: Option<ModelSeries<B>>,
    /// `None` if the conventions' metrics are off.
    gen_ai: Option<GenAiSeries<B>>,
}

impl<B: Backend> InferenceSeries<B> {
    pub(super) fn new(backend: &B, labels: &Labels, side: Option<Side>) -> Self {
        let is_model_call = !NOT_A_MODEL_CALL.contains(&labels.value(Label::Operation));
        Self {
            model: is_model_call.then(|| ModelSeries::new(backend, &model::model_labels(labels))),
            gen_ai: side.map(|side| GenAiSeries::new(backend, labels, side)),
        }
    }

    #[inline]
    pub(super) fn began(&self) {
        if let Some(model) = &self.model {
            model.active.add(1.0);
        }
    }

    #[inline]
    pub(super) fn left(&self) {
        if let Some(model) = &self.model {
            model.active.add(-1.0);
        }
    }

    /// Records the time between two chunks, in seconds.
    pub(super) fn chunk(&self, origin: Origin<'_, B>, gap: f64) {
        if let (Some(gen_ai), Some(Side::Client)) = (&self.gen_ai, origin.side()) {
            gen_ai.chunk(origin, gap);
        }
    }

    #[inline]
    pub(super) fn ended(&self, origin: Origin<'_, B>, end: &InferenceEnd) {
        let seconds = end.duration.as_secs_f64();
        if let Some(model) = &self.model {
            model.ended(origin, end, seconds);
        }
        if let (Some(gen_ai), Some(side)) = (&self.gen_ai, origin.side()) {
            gen_ai.ended(origin, side, end, seconds);
        }
        if end.tokens.has_details()
            || end.queue_duration.is_some()
            || end.time_to_first_token.is_some()
            || end.trace.is_some()
        {
            self.ended_with_details(origin, end, seconds);
        }
    }

    /// Records the values that few inferences have.
    #[inline(never)]
    fn ended_with_details(&self, origin: Origin<'_, B>, end: &InferenceEnd, seconds: f64) {
        if let Some(model) = &self.model {
            model.ended_with_details(origin, end);
        }
        if let (Some(gen_ai), Some(side), Some(first)) =
            (&self.gen_ai, origin.side(), end.time_to_first_token)
        {
            gen_ai.streamed(origin, side, end, first);
        }
        if let Some(trace) = &end.trace {
            self.exemplify(end, seconds, trace);
        }
    }

    #[cold]
    fn exemplify(&self, end: &InferenceEnd, seconds: f64, trace: &TraceReference) {
        if let Some(model) = &self.model {
            model.exemplify(end, seconds, trace);
        }
        if let Some(gen_ai) = &self.gen_ai {
            gen_ai.exemplify(end, seconds, trace);
        }
    }
}

/// Converts a count. The processor converts signed integers; unsigned integers take half a dozen instructions.
#[inline]
fn as_f64(count: u64) -> f64 {
    match i64::try_from(count) {
        Ok(count) => count as f64,
        Err(_) => count as f64,
    }
}

/// Stores the trace of a recorded duration as an exemplar.
fn exemplify<D: Distribution>(
    recorded: &OnceLock<D>,
    duration: Option<Duration>,
    trace: &TraceReference,
) {
    if let (Some(histogram), Some(duration)) = (recorded.get(), duration) {
        histogram.exemplify(duration.as_secs_f64(), trace);
    }
}

/// Returns the `error.type` of a failure without an error type: `_OTHER`, as in the conventions.
pub(super) const fn error_type(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Timeout => "timeout",
        Outcome::Success | Outcome::Error | Outcome::Cancelled | Outcome::Other => "_OTHER",
    }
}

/// Returns `labels` and the label `more`.
fn with<'a>(labels: Pairs<'a>, more: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    labels.iter().copied().chain([more]).collect()
}
