//! The `GenAI` conventions' metrics of an inference.

use std::{sync::OnceLock, time::Duration};

use super::{
    super::{
        Side,
        backend::{Backend, Distribution as _},
        origin::{Origin, made},
    },
    as_f64, exemplify, with,
};
use crate::{
    metrics::catalog::{self, Metric},
    observation::{InferenceEnd, Label, Labels, Outcome, TraceReference},
};

/// The series of the conventions' metrics, on the configured side.
pub(super) struct GenAiSeries<B: Backend> {
    duration: B::Histogram,
    input: OnceLock<B::Histogram>,
    output: OnceLock<B::Histogram>,
    first: OnceLock<B::Histogram>,
    each: OnceLock<B::Histogram>,
}

impl<B: Backend> GenAiSeries<B> {
    pub(super) fn new(backend: &B, labels: &Labels, side: Side) -> Self {
        Self {
            duration: backend.histogram(duration_metric(side), &gen_ai_labels(labels, None)),
            input: OnceLock::new(),
            output: OnceLock::new(),
            first: OnceLock::new(),
            each: OnceLock::new(),
        }
    }

    #[inline]
    pub(super) fn ended(
        &self,
        origin: Origin<'_, B>,
        side: Side,
        end: &InferenceEnd,
        seconds: f64,
    ) {
        // The sink records the duration of other outcomes by error type.
        if end.outcome == Outcome::Success {
            self.duration.record(seconds);
        }
        if side == Side::Client {
            if let Some(tokens) = end.tokens.input {
                made(&self.input, origin, |origin| usage(origin, "input")).record(as_f64(tokens));
            }
            if let Some(tokens) = end.tokens.output {
                made(&self.output, origin, |origin| usage(origin, "output")).record(as_f64(tokens));
            }
        }
    }

    /// Records the time between two chunks, in seconds.
    pub(super) fn chunk(&self, origin: Origin<'_, B>, gap: f64) {
        let find = |origin| of_gen_ai(origin, &catalog::GEN_AI_CLIENT_PER_CHUNK);
        made(&self.each, origin, find).record(gap);
    }

    /// Records the time to first token and the time per output token.
    pub(super) fn streamed(
        &self,
        origin: Origin<'_, B>,
        side: Side,
        end: &InferenceEnd,
        first: Duration,
    ) {
        if end.is_streaming || side == Side::Server {
            let metric = match side {
                Side::Client => &catalog::GEN_AI_CLIENT_FIRST_CHUNK,
                Side::Server => &catalog::GEN_AI_SERVER_FIRST_TOKEN,
            };
            let find = |origin| of_gen_ai(origin, metric);
            made(&self.first, origin, find).record(first.as_secs_f64());
        }
        if let (Side::Server, Some(each)) = (side, end.time_per_output_token()) {
            let find = |origin| of_gen_ai(origin, &catalog::GEN_AI_SERVER_PER_TOKEN);
            made(&self.each, origin, find).record(each.as_secs_f64());
        }
    }

    /// Stores the trace of the inference as an exemplar of each recorded value.
    pub(super) fn exemplify(&self, end: &InferenceEnd, seconds: f64, trace: &TraceReference) {
        if end.outcome == Outcome::Success {
            self.duration.exemplify(seconds, trace);
        }
        for (recorded, tokens) in [
            (&self.input, end.tokens.input),
            (&self.output, end.tokens.output),
        ] {
            if let (Some(histogram), Some(tokens)) = (recorded.get(), tokens) {
                histogram.exemplify(tokens as f64, trace);
            }
        }
        exemplify(&self.first, end.time_to_first_token, trace);
        exemplify(&self.each, end.time_per_output_token(), trace);
    }
}

/// Returns the histogram with the conventions' attributes.
fn of_gen_ai<B: Backend>(origin: Origin<'_, B>, metric: &'static Metric) -> B::Histogram {
    let labels = origin.labels();
    origin
        .backend()
        .histogram(metric, &gen_ai_labels(&labels, None))
}

/// Returns the histogram of a type of tokens.
fn usage<B: Backend>(origin: Origin<'_, B>, token_type: &'static str) -> B::Histogram {
    let labels = origin.labels();
    let labels = gen_ai_labels(&labels, Some(token_type));
    origin
        .backend()
        .histogram(&catalog::GEN_AI_CLIENT_TOKEN_USAGE, &labels)
}

const fn duration_metric(side: Side) -> &'static Metric {
    match side {
        Side::Client => &catalog::GEN_AI_CLIENT_DURATION,
        Side::Server => &catalog::GEN_AI_SERVER_DURATION,
    }
}

/// Returns the histogram of durations with the error type in `labels`.
pub(in super::super) fn failed_duration<B: Backend>(
    backend: &B,
    labels: &Labels,
    side: Side,
) -> B::Histogram {
    let error_type = ("error_type", labels.value(Label::ErrorType));
    backend.histogram(
        duration_metric(side),
        &with(&gen_ai_labels(labels, None), error_type),
    )
}

/// Returns the conventions' attributes. Required attributes always have a value; the model's labels replace missing
/// attributes.
fn gen_ai_labels<'a>(
    labels: &'a Labels,
    token_type: Option<&'static str>,
) -> [(&'a str, &'a str); 7] {
    let first = |wanted: &[Label]| wanted.iter().find_map(|label| labels.get(*label));
    [
        (
            "gen_ai_operation_name",
            labels.get(Label::Operation).unwrap_or("chat"),
        ),
        (
            "gen_ai_provider_name",
            first(&[Label::Provider, Label::Engine]).unwrap_or("_OTHER"),
        ),
        (
            "gen_ai_request_model",
            first(&[Label::RequestModel, Label::ModelId]).unwrap_or_default(),
        ),
        ("gen_ai_response_model", labels.value(Label::ResponseModel)),
        ("server_address", labels.value(Label::ServerAddress)),
        ("server_port", labels.value(Label::ServerPort)),
        ("gen_ai_token_type", token_type.unwrap_or_default()),
    ]
}
