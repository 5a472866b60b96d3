//! The series of one inference: the seed's, and those of the `GenAI` conventions.
//!
//! They are found once for each label set; then an inference is a handful of additions.

use std::{sync::OnceLock, time::Duration};

use super::{
    Side,
    backend::{Backend, Count, Distribution, Level, Pairs},
    series::Origin,
};
use crate::{
    metrics::catalog::{self, Metric},
    observation::{InferenceEnd, Label, Labels, Outcome, TokenSource, TraceReference},
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

/// The seed's metrics and ours beside them.
struct ModelSeries<B: Backend> {
    active: B::Gauge,
    /// By the number of the outcome; `other` is made when first needed.
    ended: [B::Counter; 4],
    ended_otherwise: OnceLock<B::Counter>,
    duration: B::Histogram,
    tokens: B::Counter,
    prompt_tokens: B::Counter,
    tokens_per_second: B::Histogram,
    cached_tokens: OnceLock<B::Counter>,
    sources: [OnceLock<B::Counter>; TokenSource::ALL.len()],
    first_token: OnceLock<B::Histogram>,
    per_token: OnceLock<B::Histogram>,
    queue: OnceLock<B::Histogram>,
}

/// The conventions' metrics, on the configured side.
struct GenAiSeries<B: Backend> {
    duration: B::Histogram,
    input: OnceLock<B::Histogram>,
    output: OnceLock<B::Histogram>,
    first: OnceLock<B::Histogram>,
    each: OnceLock<B::Histogram>,
}

impl<B: Backend> InferenceSeries<B> {
    pub(super) fn new(backend: &B, labels: &Labels, side: Option<Side>) -> Self {
        let is_model_call = !NOT_A_MODEL_CALL.contains(&labels.value(Label::Operation));
        Self {
            model: is_model_call.then(|| ModelSeries::new(backend, &seed_labels(labels))),
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
            made(&gen_ai.each, origin, |origin| {
                of_gen_ai(origin, &catalog::GEN_AI_CLIENT_PER_CHUNK)
            })
            .record(gap);
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

impl<B: Backend> ModelSeries<B> {
    fn new(backend: &B, labels: Pairs<'_>) -> Self {
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
            cached_tokens: OnceLock::new(),
            sources: [const { OnceLock::new() }; TokenSource::ALL.len()],
            first_token: OnceLock::new(),
            per_token: OnceLock::new(),
            queue: OnceLock::new(),
        }
    }

    #[inline]
    fn ended(&self, origin: Origin<'_, B>, end: &InferenceEnd, seconds: f64) {
        let ended = match self.ended.get(end.outcome as usize) {
            Some(counter) => counter,
            None => made(&self.ended_otherwise, origin, |origin| {
                let status = ("status", Outcome::Other.as_str());
                of_seed_with(origin, &catalog::INFERENCES, status)
            }),
        };
        ended.add(1);
        self.duration.record(seconds);
        if let Some(tokens) = end.tokens.input {
            self.prompt_tokens.add(tokens);
        }
        if let Some(tokens) = end.tokens.output {
            self.tokens.add(tokens);
            if tokens > 0 && seconds > 0.0 {
                self.tokens_per_second.record(tokens as f64 / seconds);
            }
            let source = end.tokens.source;
            let find = move |origin| {
                of_seed_with(origin, &catalog::TOKEN_SOURCE, ("source", source.as_str()))
            };
            made(&self.sources[source as usize], origin, find).add(1);
        }
        if let Some(tokens) = end.tokens.cached {
            let find = |origin: Origin<'_, B>| {
                let labels = origin.labels();
                let labels = seed_labels(&labels);
                origin.backend().counter(&catalog::CACHED_TOKENS, &labels)
            };
            made(&self.cached_tokens, origin, find).add(tokens);
        }
        if let Some(waited) = end.queue_duration {
            let find = |origin| of_seed(origin, &catalog::QUEUE_DURATION);
            made(&self.queue, origin, find).record(waited.as_secs_f64());
        }
        if let Some(first) = end.time_to_first_token {
            self.streamed(origin, end, first);
        }
    }

    /// The first token came after `first`.
    fn streamed(&self, origin: Origin<'_, B>, end: &InferenceEnd, first: Duration) {
        let find = |origin| of_seed(origin, &catalog::TIME_TO_FIRST_TOKEN);
        made(&self.first_token, origin, find).record(first.as_secs_f64());
        if let Some(each) = end.time_per_output_token() {
            let find = |origin| of_seed(origin, &catalog::TIME_PER_OUTPUT_TOKEN);
            made(&self.per_token, origin, find).record(each.as_secs_f64());
        }
    }
}

impl<B: Backend> ModelSeries<B> {
    /// Keeps the trace beside what [`ModelSeries::ended`] recorded.
    fn exemplify(&self, end: &InferenceEnd, seconds: f64, trace: &TraceReference) {
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

impl<B: Backend> GenAiSeries<B> {
    /// Keeps the trace beside what [`GenAiSeries::ended`] recorded.
    fn exemplify(&self, end: &InferenceEnd, seconds: f64, trace: &TraceReference) {
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

    fn new(backend: &B, labels: &Labels, side: Side) -> Self {
        Self {
            duration: backend.histogram(duration_metric(side), &gen_ai_labels(labels, None)),
            input: OnceLock::new(),
            output: OnceLock::new(),
            first: OnceLock::new(),
            each: OnceLock::new(),
        }
    }

    #[inline]
    fn ended(&self, origin: Origin<'_, B>, side: Side, end: &InferenceEnd, seconds: f64) {
        // What did not succeed is recorded beside its error type, by the sink.
        if end.outcome == Outcome::Success {
            self.duration.record(seconds);
        }
        if side == Side::Client {
            if let Some(tokens) = end.tokens.input {
                made(&self.input, origin, |origin| usage(origin, "input")).record(tokens as f64);
            }
            if let Some(tokens) = end.tokens.output {
                made(&self.output, origin, |origin| usage(origin, "output")).record(tokens as f64);
            }
        }
        if let Some(first) = end.time_to_first_token {
            self.streamed(origin, side, end, first);
        }
    }

    /// The first token came after `first`.
    fn streamed(&self, origin: Origin<'_, B>, side: Side, end: &InferenceEnd, first: Duration) {
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
}

/// A series that exists from its first use on. `find` takes what it needs from `origin`, and should hold no more
/// than a number: what a closure holds is gathered before it is known whether it is needed.
#[inline]
fn made<'p, 's, T, B: Backend>(
    place: &'p OnceLock<T>,
    origin: Origin<'s, B>,
    find: impl FnOnce(Origin<'s, B>) -> T,
) -> &'p T {
    match place.get() {
        Some(series) => series,
        None => make(place, origin, find),
    }
}

#[cold]
#[inline(never)]
fn make<'p, 's, T, B: Backend>(
    place: &'p OnceLock<T>,
    origin: Origin<'s, B>,
    find: impl FnOnce(Origin<'s, B>) -> T,
) -> &'p T {
    place.get_or_init(|| find(origin))
}

/// The counter with the seed's labels and one more.
fn of_seed_with<B: Backend>(
    origin: Origin<'_, B>,
    metric: &'static Metric,
    more: (&str, &str),
) -> B::Counter {
    let labels = origin.labels();
    origin
        .backend()
        .counter(metric, &with(&seed_labels(&labels), more))
}

/// The histogram with the seed's labels.
fn of_seed<B: Backend>(origin: Origin<'_, B>, metric: &'static Metric) -> B::Histogram {
    let labels = origin.labels();
    origin.backend().histogram(metric, &seed_labels(&labels))
}

/// The histogram with the conventions' attributes.
fn of_gen_ai<B: Backend>(origin: Origin<'_, B>, metric: &'static Metric) -> B::Histogram {
    let labels = origin.labels();
    origin
        .backend()
        .histogram(metric, &gen_ai_labels(&labels, None))
}

/// The histogram of tokens of one type.
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

/// The histogram for durations of what failed with the error type that is among `labels`.
pub(super) fn failed_duration<B: Backend>(
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

/// `error.type` of a failure that named none: `_OTHER`, as the conventions say.
pub(super) const fn error_type(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Timeout => "timeout",
        Outcome::Cancelled => "cancelled",
        Outcome::Success | Outcome::Error | Outcome::Other => "_OTHER",
    }
}

/// The seed's three labels; what the conventions name stands in for what is missing.
fn seed_labels(labels: &Labels) -> [(&str, &str); 3] {
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

/// The conventions' attributes; the required ones are always there. What the seed names stands in for what is missing.
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

/// These labels and one more.
fn with<'a>(labels: Pairs<'a>, more: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    labels.iter().copied().chain([more]).collect()
}
