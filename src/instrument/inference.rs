//! Opens and ends the span of an inference.

use std::time::Duration;

use tracing::{Level, Span, event, field::Empty, info_span};

use super::{owned::Owned, stream::TokenStream};
use crate::observation::{GenAi, Model, Tokens, numbers};

/// The call of a model, before it begins.
///
/// A [`Model`] converts into an `InferenceCall`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a call does nothing until `begin`"]
pub struct InferenceCall<'a> {
    model: Model<'a>,
    gen_ai: GenAi<'a>,
    prompt_tokens: Option<u64>,
    is_streaming: bool,
}

impl<'a> InferenceCall<'a> {
    /// Returns a call of `model`.
    pub const fn new(model: Model<'a>) -> Self {
        Self {
            model,
            gen_ai: GenAi {
                operation: "",
                provider: "",
                request_model: "",
                response_model: "",
                server_address: "",
                server_port: "",
                error_type: "",
                component: "",
            },
            prompt_tokens: None,
            is_streaming: false,
        }
    }

    /// Sets attributes of the `GenAI` conventions beside the model: operation, provider, server.
    pub const fn with_gen_ai(mut self, gen_ai: GenAi<'a>) -> Self {
        self.gen_ai = gen_ai;
        self
    }

    /// Sets the number of prompt tokens, if known in advance.
    pub const fn with_prompt_tokens(mut self, tokens: u64) -> Self {
        self.prompt_tokens = Some(tokens);
        self
    }

    /// Marks the answer as streamed. [`ActiveInference::stream`] does this, too.
    pub const fn streaming(mut self) -> Self {
        self.is_streaming = true;
        self
    }

    /// Begins the inference: starts its time and counts it as in flight.
    pub fn begin(self) -> ActiveInference {
        let Self {
            model,
            gen_ai,
            prompt_tokens,
            is_streaming,
        } = self;
        /// Opens the span. The labels stand in canonical order, which saves the Layer the sorting.
        macro_rules! inference_span {
            ($(
                $(#[$doc:meta])*
                $detail:ident: $count:ident, $with:ident, $field:ident, $attribute:literal, [$($name:literal)*];
            )*) => {
                info_span!(
                    "inference",
                    model_id = known(model.model_id),
                    model_type = known(model.model_type),
                    engine = known(model.engine),
                    gen_ai.operation.name = known(gen_ai.operation),
                    gen_ai.provider.name = known(gen_ai.provider),
                    gen_ai.request.model = known(gen_ai.request_model),
                    gen_ai.response.model = known(gen_ai.response_model),
                    server.address = known(gen_ai.server_address),
                    server.port = known(gen_ai.server_port),
                    error.r#type = Empty,
                    component = known(gen_ai.component),
                    streaming = is_streaming,
                    prompt_tokens,
                    completion_tokens = Empty,
                    $($field = Empty,)*
                    token_source = Empty,
                    queue_seconds = Empty,
                    status = Empty,
                    observatory.ended = Empty,
                )
            };
        }
        let span = numbers!(inference_span);
        ActiveInference {
            span: Owned::new(span),
        }
    }
}

impl<'a> From<Model<'a>> for InferenceCall<'a> {
    fn from(model: Model<'a>) -> Self {
        Self::new(model)
    }
}

/// Returns `None` for an empty string, which means unknown and is not recorded.
fn known(value: &str) -> Option<&str> {
    Some(value).filter(|value| !value.is_empty())
}

/// An inference in flight.
///
/// [`succeed`](Self::succeed), [`fail`](Self::fail) and [`time_out`](Self::time_out) end the inference. An inference that
/// is dropped before counts as cancelled.
///
/// ```
/// use llm_observatory::{Model, instrument::InferenceCall};
///
/// let inference = InferenceCall::new(Model::new("gpt-4o", "transformer", "openai")).begin();
/// for word in ["It", "watches."] {
///     inference.tokens(1); // the first token ends the time to first token
///     print!("{word} ");
/// }
/// inference.succeed();
/// ```
#[derive(Debug)]
#[must_use = "an inference that is dropped without an end counts as cancelled"]
pub struct ActiveInference {
    span: Owned,
}

impl ActiveInference {
    /// Returns the span, to instrument futures and to parent other spans.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Records the time that the inference waited for its engine.
    pub fn queued(&self, duration: Duration) {
        self.span.record("queue_seconds", duration.as_secs_f64());
    }

    /// Marks the first content token, for callers that do not report each token.
    pub fn first_token(&self) {
        event!(name: "first_token", parent: &*self.span, Level::INFO, {});
    }

    /// Adds `count` content tokens; 0, for a chunk without content, changes nothing.
    pub fn tokens(&self, count: u64) {
        if count > 0 {
            event!(name: "token", parent: &*self.span, Level::INFO, count);
        }
    }

    /// Records token counts, which replace the counts of [`tokens`](Self::tokens).
    pub fn used(&self, tokens: Tokens) {
        macro_rules! record {
            ($(
                $(#[$doc:meta])*
                $detail:ident: $count:ident, $with:ident, $field:ident, $attribute:literal, [$($name:literal)*];
            )*) => {
                tracing::record_all!(
                    self.span,
                    prompt_tokens = tokens.input,
                    completion_tokens = tokens.output,
                    $($field = tokens.$count,)*
                    token_source = tokens.output.map(|_| tokens.source.as_str()),
                )
            };
        }
        numbers!(record);
    }

    /// Records the model of the provider's answer.
    pub fn answered_by(&self, model: &str) {
        self.span.record("gen_ai.response.model", model);
    }

    /// Ends the inference as successful.
    pub fn succeed(self) {
        self.span.record("status", "success");
    }

    /// Ends the inference as failed, with an error class such as `rate_limited`, never a message. The class `timeout`
    /// ends it as timed out.
    pub fn fail(self, error_type: &str) {
        if error_type == "timeout" {
            return self.time_out();
        }
        tracing::record_all!(self.span, error.r#type = error_type, status = "error");
    }

    /// Ends the inference as timed out.
    pub fn time_out(self) {
        tracing::record_all!(self.span, error.r#type = "timeout", status = "timeout");
    }

    /// Wraps the stream or the body of the answer and measures it.
    ///
    /// `reader` counts the tokens of each chunk: [`Sse::openai`](super::Sse::openai),
    /// [`Sse::anthropic`](super::Sse::anthropic), or a closure that returns the number of tokens in a chunk.
    pub fn stream<S, R>(self, stream: S, reader: R) -> TokenStream<S, R> {
        self.span.record("streaming", true);
        TokenStream::new(self, stream, reader)
    }
}
