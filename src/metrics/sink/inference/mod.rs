//! The series of one inference: the seed's, and those of the `GenAI` conventions.
//!
//! They are found once for each label set; then an inference is a handful of additions.

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

/// Metrics that a new label set makes series in; those that an overflow is counted for.
pub(super) const METRICS: &[Metric] = &[
    catalog::INFERENCES,
    catalog::INFERENCE_DURATION,
    catalog::TOKENS_GENERATED,
    catalog::TOKENS_PER_SECOND,
    catalog::ACTIVE_INFERENCES,
    catalog::PROMPT_TOKENS,
    catalog::TOKEN_SOURCE,
];

/// Operations of the conventions that call no model: they have a duration, but are no inference.
const NOT_A_MODEL_CALL: [&str; 5] = [
    "execute_tool",
    "invoke_agent",
    "create_agent",
    "invoke_workflow",
    "retrieval",
];

/// Series of one label set.
pub(super) struct InferenceSeries<B: Backend> {
    /// `None` where the operation calls no model.
    model: Option<ModelSeries<B>>,
    /// `None` where the conventions' series are turned off.
    gen_ai: Option<GenAiSeries<B>>,
}

impl<B: Backend> InferenceSeries<B> {
    pub(super) fn new(backend: &B, labels: &Labels, side: Option<Side>) -> Self {
        let is_model_call = !NOT_A_MODEL_CALL.contains(&labels.value(Label::Operation));
        Self {
            model: is_model_call.then(|| ModelSeries::new(backend, &model::seed_labels(labels))),
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

    /// A chunk came `gap` seconds after the one before.
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
            self.ended_with_more(origin, end, seconds);
        }
    }

    /// What most inferences do not say.
    #[inline(never)]
    fn ended_with_more(&self, origin: Origin<'_, B>, end: &InferenceEnd, seconds: f64) {
        if let Some(model) = &self.model {
            model.ended_with_more(origin, end);
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

/// A count as a number. The processor converts signed ones; unsigned ones take half a dozen instructions.
#[inline]
fn as_f64(count: u64) -> f64 {
    match i64::try_from(count) {
        Ok(count) => count as f64,
        Err(_) => count as f64,
    }
}

/// Keeps the trace beside a duration that was recorded, if it was.
fn exemplify<D: Distribution>(
    recorded: &OnceLock<D>,
    duration: Option<Duration>,
    trace: &TraceReference,
) {
    if let (Some(histogram), Some(duration)) = (recorded.get(), duration) {
        histogram.exemplify(duration.as_secs_f64(), trace);
    }
}

/// `error.type` of a failure that named none: `_OTHER`, as the conventions say.
pub(super) const fn error_type(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Timeout => "timeout",
        Outcome::Cancelled => "cancelled",
        Outcome::Success | Outcome::Error | Outcome::Other => "_OTHER",
    }
}

/// These labels and one more.
fn with<'a>(labels: Pairs<'a>, more: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    labels.iter().copied().chain([more]).collect()
}
