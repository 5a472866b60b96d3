//! The prefixed metrics of an inference.

use std::{sync::OnceLock, time::Duration};

use super::{
    super::{
        backend::{Backend, Count as _, Distribution as _, Pairs},
        origin::{Origin, made},
    },
    as_f64, exemplify, with,
};
use crate::{
    metrics::catalog::{self, Metric},
    observation::{InferenceEnd, Label, Labels, Outcome, TokenDetail, TokenSource, TraceReference},
};

/// The series of the prefixed metrics.
pub(super) struct ModelSeries<B: Backend> {
    pub(super) active: B::Gauge,
    /// Inferences by the number of the outcome; the counter of `other` is created on first use.
    ended: [B::Counter; 4],
    ended_otherwise: OnceLock<B::Counter>,
    duration: B::Histogram,
    tokens: B::Counter,
    prompt_tokens: B::Counter,
    tokens_per_second: B::Histogram,
    details: [OnceLock<B::Counter>; TokenDetail::ALL.len()],
    sources: [OnceLock<B::Counter>; TokenSource::ALL.len()],
    first_token: OnceLock<B::Histogram>,
    per_token: OnceLock<B::Histogram>,
    queue: OnceLock<B::Histogram>,
}

impl<B: Backend> ModelSeries<B> {
    pub(super) fn new(backend: &B, labels: Pairs<'_>) -> Self {
        let ended = |outcome: Outcome| {
            backend.counter(
                &catalog::INFERENCES,
                &with(labels, ("status", outcome.as_str())),
            )
        };
        Self {
            active: backend.gauge(&catalog::ACTIVE_INFERENCES, labels),
            ended: [
                Outcome::Success,
                Outcome::Error,
                Outcome::Timeout,
                Outcome::Cancelled,
            ]
            .map(ended),
            ended_otherwise: OnceLock::new(),
            duration: backend.histogram(&catalog::INFERENCE_DURATION, labels),
            tokens: backend.counter(&catalog::TOKENS_GENERATED, labels),
            prompt_tokens: backend.counter(&catalog::PROMPT_TOKENS, labels),
            tokens_per_second: backend.histogram(&catalog::TOKENS_PER_SECOND, labels),
            details: [const { OnceLock::new() }; TokenDetail::ALL.len()],
            sources: [const { OnceLock::new() }; TokenSource::ALL.len()],
            first_token: OnceLock::new(),
            per_token: OnceLock::new(),
            queue: OnceLock::new(),
        }
    }

    #[inline]
    pub(super) fn ended(&self, origin: Origin<'_, B>, end: &InferenceEnd, seconds: f64) {
        let [succeeded, ..] = &self.ended;
        let ended = match self.ended.get(end.outcome as usize) {
            // The common case.
            _ if end.outcome == Outcome::Success => succeeded,
            Some(counter) => counter,
            None => made(&self.ended_otherwise, origin, |origin| {
                let status = ("status", Outcome::Other.as_str());
                model_counter(origin, &catalog::INFERENCES, status)
            }),
        };
        ended.add(1);
        self.duration.record(seconds);
        if let Some(tokens) = end.tokens.input {
            self.prompt_tokens.add(tokens);
        }
        if let Some(tokens) = end.tokens.output {
            self.tokens.add(tokens);
            let speed = as_f64(tokens) / seconds;
            // Positive and finite, so there were tokens and a duration. The comparison of the bits is a single branch.
            if (1..f64::INFINITY.to_bits()).contains(&speed.to_bits()) {
                self.tokens_per_second.record(speed);
            }
            let source = end.tokens.source;
            let find = move |origin| {
                model_counter(origin, &catalog::TOKEN_SOURCE, ("source", source.as_str()))
            };
            made(&self.sources[source as usize], origin, find).add(1);
        }
    }

    /// Records the values that few inferences have.
    pub(super) fn ended_with_details(&self, origin: Origin<'_, B>, end: &InferenceEnd) {
        for (detail, counter) in TokenDetail::ALL.into_iter().zip(&self.details) {
            if let Some(tokens) = end.tokens.detail(detail) {
                let find = |origin: Origin<'_, B>| {
                    let labels = origin.labels();
                    let labels = model_labels(&labels);
                    origin
                        .backend()
                        .counter(catalog::token_detail(detail), &labels)
                };
                made(counter, origin, find).add(tokens);
            }
        }
        if let Some(waited) = end.queue_duration {
            let find = |origin| model_histogram(origin, &catalog::QUEUE_DURATION);
            made(&self.queue, origin, find).record(waited.as_secs_f64());
        }
        if let Some(first) = end.time_to_first_token {
            self.streamed(origin, end, first);
        }
    }

    /// Records the time to first token and the time per output token.
    fn streamed(&self, origin: Origin<'_, B>, end: &InferenceEnd, first: Duration) {
        let find = |origin| model_histogram(origin, &catalog::TIME_TO_FIRST_TOKEN);
        made(&self.first_token, origin, find).record(first.as_secs_f64());
        if let Some(each) = end.time_per_output_token() {
            let find = |origin| model_histogram(origin, &catalog::TIME_PER_OUTPUT_TOKEN);
            made(&self.per_token, origin, find).record(each.as_secs_f64());
        }
    }

    /// Stores the trace of the inference as an exemplar of each recorded value.
    pub(super) fn exemplify(&self, end: &InferenceEnd, seconds: f64, trace: &TraceReference) {
        let ended = match self.ended.get(end.outcome as usize) {
            Some(counter) => Some(counter),
            None => self.ended_otherwise.get(),
        };
        if let Some(ended) = ended {
            ended.exemplify(trace);
        }
        self.duration.exemplify(seconds, trace);
        if let Some(tokens) = end
            .tokens
            .output
            .filter(|tokens| *tokens > 0 && seconds > 0.0)
        {
            self.tokens_per_second
                .exemplify(tokens as f64 / seconds, trace);
        }
        exemplify(&self.queue, end.queue_duration, trace);
        exemplify(&self.first_token, end.time_to_first_token, trace);
        exemplify(&self.per_token, end.time_per_output_token(), trace);
    }
}

/// Returns the counter with the model's labels and the label `more`.
fn model_counter<B: Backend>(
    origin: Origin<'_, B>,
    metric: &'static Metric,
    more: (&str, &str),
) -> B::Counter {
    let labels = origin.labels();
    origin
        .backend()
        .counter(metric, &with(&model_labels(&labels), more))
}

/// Returns the histogram with the model's labels.
fn model_histogram<B: Backend>(origin: Origin<'_, B>, metric: &'static Metric) -> B::Histogram {
    let labels = origin.labels();
    origin.backend().histogram(metric, &model_labels(&labels))
}

/// Returns the model's three labels; the conventions' attributes replace missing labels.
pub(super) fn model_labels(labels: &Labels) -> [(&str, &str); 3] {
    let first = |wanted: &[Label]| {
        wanted
            .iter()
            .find_map(|label| labels.get(*label))
            .unwrap_or_default()
    };
    [
        (
            "model_id",
            first(&[Label::ModelId, Label::RequestModel, Label::ResponseModel]),
        ),
        ("model_type", labels.value(Label::ModelType)),
        ("engine", first(&[Label::Engine, Label::Provider])),
    ]
}
