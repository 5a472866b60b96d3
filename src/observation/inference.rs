//! Inferences: calls of a model, their labels, outcome and token counts.

use std::time::{Duration, SystemTime};

use super::{Label, Labels, Outcome, Tokens};

/// A model: id, type and engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Model<'a> {
    /// `gpt-4o`.
    pub model_id: &'a str,
    /// `transformer`.
    pub model_type: &'a str,
    /// `openai`, `vllm`.
    pub engine: &'a str,
}

impl<'a> Model<'a> {
    /// Returns a model by its id, type and engine. An empty string means unknown.
    #[must_use]
    pub const fn new(model_id: &'a str, model_type: &'a str, engine: &'a str) -> Self {
        Self {
            model_id,
            model_type,
            engine,
        }
    }
}

/// The trace that an observation belongs to; exposed as an exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceReference {
    /// W3C trace id.
    pub trace_id: u128,
    /// W3C span id.
    pub span_id: u64,
    /// Time of the observation.
    pub time: SystemTime,
}

/// A call of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Inference<'a> {
    /// The model.
    pub model: Model<'a>,
    /// Attributes of the OpenTelemetry `GenAI` conventions, if known.
    pub gen_ai: GenAi<'a>,
    /// Outcome, duration and counts.
    pub end: InferenceEnd,
}

impl<'a> Inference<'a> {
    /// Returns a successful inference that took `duration`.
    #[must_use]
    pub fn new(model: Model<'a>, duration: Duration) -> Self {
        Self {
            model,
            gen_ai: GenAi::default(),
            end: InferenceEnd {
                duration,
                ..InferenceEnd::default()
            },
        }
    }

    /// Sets the token counts.
    #[must_use]
    pub const fn with_tokens(mut self, tokens: Tokens) -> Self {
        self.end.tokens = tokens;
        self
    }

    /// Sets the outcome.
    #[must_use]
    pub const fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.end.outcome = outcome;
        self
    }

    /// Sets the time to the first content token and marks the inference as streamed.
    #[must_use]
    pub const fn with_time_to_first_token(mut self, duration: Duration) -> Self {
        self.end.time_to_first_token = Some(duration);
        self.end.is_streaming = true;
        self
    }

    /// Returns the labels of the called model, without outcome and failure.
    #[must_use]
    pub fn labels(&self) -> Labels {
        let Self { model, gen_ai, .. } = self;
        [
            (Label::ModelId, model.model_id),
            (Label::ModelType, model.model_type),
            (Label::Engine, model.engine),
            (Label::Operation, gen_ai.operation),
            (Label::Provider, gen_ai.provider),
            (Label::RequestModel, gen_ai.request_model),
            (Label::ResponseModel, gen_ai.response_model),
            (Label::ServerAddress, gen_ai.server_address),
            (Label::ServerPort, gen_ai.server_port),
        ]
        .into_iter()
        .collect()
    }

    /// Returns the labels of the failure: error type and component.
    #[must_use]
    pub fn failure(&self) -> Labels {
        [
            (Label::ErrorType, self.gen_ai.error_type),
            (Label::Component, self.gen_ai.component),
        ]
        .into_iter()
        .collect()
    }

    /// Returns the inference with these labels, which may include the labels of a failure.
    #[must_use]
    pub fn from_labels(labels: &'a Labels, end: InferenceEnd) -> Self {
        Self {
            model: Model::new(
                labels.value(Label::ModelId),
                labels.value(Label::ModelType),
                labels.value(Label::Engine),
            ),
            gen_ai: GenAi {
                operation: labels.value(Label::Operation),
                provider: labels.value(Label::Provider),
                request_model: labels.value(Label::RequestModel),
                response_model: labels.value(Label::ResponseModel),
                server_address: labels.value(Label::ServerAddress),
                server_port: labels.value(Label::ServerPort),
                error_type: labels.value(Label::ErrorType),
                component: labels.value(Label::Component),
            },
            end,
        }
    }
}

/// Attributes of the OpenTelemetry `GenAI` semantic conventions (v1.41.1). An empty string means unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GenAi<'a> {
    /// `gen_ai.operation.name`; `chat` if unknown.
    pub operation: &'a str,
    /// `gen_ai.provider.name`; the engine if unknown.
    pub provider: &'a str,
    /// `gen_ai.request.model`; the model id if unknown.
    pub request_model: &'a str,
    /// `gen_ai.response.model`.
    pub response_model: &'a str,
    /// `server.address`.
    pub server_address: &'a str,
    /// `server.port`.
    pub server_port: &'a str,
    /// `error.type`, a class such as `rate_limited`, never a message.
    pub error_type: &'a str,
    /// The component that a failure counts for; `inference` if unknown.
    pub component: &'a str,
}

/// The end of an inference: outcome, duration and counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InferenceEnd {
    /// The outcome.
    pub outcome: Outcome,
    /// Time from the request to the last token.
    pub duration: Duration,
    /// The token counts.
    pub tokens: Tokens,
    /// Time from the request to the first content token.
    pub time_to_first_token: Option<Duration>,
    /// Time that the request waited for the engine.
    pub queue_duration: Option<Duration>,
    /// True if the answer was streamed.
    pub is_streaming: bool,
    /// The trace that the inference belongs to, for exemplars.
    pub trace: Option<TraceReference>,
}

impl InferenceEnd {
    /// Returns `(duration − time to first token) / (output tokens − 1)`, if both are known.
    #[must_use]
    #[inline]
    pub fn time_per_output_token(&self) -> Option<Duration> {
        let first = self.time_to_first_token?;
        let gaps = self
            .tokens
            .output?
            .checked_sub(1)
            .filter(|gaps| *gaps > 0)?;
        let decode = self.duration.checked_sub(first)?;
        Some(Duration::from_secs_f64(decode.as_secs_f64() / gaps as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_per_output_token_is_the_mean_gap_after_the_first() {
        let end = InferenceEnd {
            duration: Duration::from_secs(5),
            tokens: Tokens::new(10, 5),
            time_to_first_token: Some(Duration::from_secs(1)),
            ..InferenceEnd::default()
        };
        assert_eq!(end.time_per_output_token(), Some(Duration::from_secs(1)));
        for (tokens, first) in [
            (1, Some(Duration::ZERO)),
            (0, Some(Duration::ZERO)),
            (5, None),
        ] {
            let end = InferenceEnd {
                tokens: Tokens::new(0, tokens),
                time_to_first_token: first,
                ..end
            };
            assert_eq!(end.time_per_output_token(), None, "{tokens} tokens");
        }
    }

    #[test]
    fn an_inference_is_rebuilt_from_its_labels() {
        let inference = Inference {
            gen_ai: GenAi {
                provider: "openai",
                error_type: "rate_limited",
                ..GenAi::default()
            },
            ..Inference::new(
                Model::new("gpt-4o", "transformer", "openai"),
                Duration::from_secs(1),
            )
        };
        let mut labels = inference.labels();
        labels.extend(&inference.failure());
        assert_eq!(Inference::from_labels(&labels, inference.end), inference);
    }
}
