//! One inference under way: the span, and everything that is said about it.

use std::time::Duration;

use tracing::{Level, Span, event, field::Empty, info_span};

use super::{owned::Owned, stream::TokenStream};
use crate::observation::{GenAi, Model, Tokens};

/// Who is called: what is known of an inference before it begins.
///
/// A [`Model`] alone is enough, and turns into one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "it begins nothing by itself; see begin"]
pub struct InferenceCall<'a> {
    model: Model<'a>,
    gen_ai: GenAi<'a>,
    prompt_tokens: Option<u64>,
    is_streaming: bool,
}

impl<'a> InferenceCall<'a> {
    /// A call of this model.
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

    /// Sets attributes of the `GenAI` conventions, where they say more than the model: operation, provider, server.
    pub const fn with_gen_ai(mut self, gen_ai: GenAi<'a>) -> Self {
        self.gen_ai = gen_ai;
        self
    }

    /// Sets the tokens of the prompt, where they are known beforehand.
    pub const fn with_prompt_tokens(mut self, tokens: u64) -> Self {
        self.prompt_tokens = Some(tokens);
        self
    }

    /// Says that the answer comes in a stream. [`ActiveInference::stream`] says so by itself.
    pub const fn streaming(mut self) -> Self {
        self.is_streaming = true;
        self
    }

    /// Begins the inference: from here on it is in flight, and its time runs.
    pub fn begin(self) -> ActiveInference {
        let Self {
            model,
            gen_ai,
            prompt_tokens,
            is_streaming,
        } = self;
        // In the canonical order of labels, which saves the Layer the sorting.
        let span = info_span!(
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
            cached_tokens = Empty,
            token_source = Empty,
            queue_seconds = Empty,
            status = Empty,
            observatory.ended = Empty,
        );
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

/// An empty string means unknown, and is not recorded.
fn known(value: &str) -> Option<&str> {
    Some(value).filter(|value| !value.is_empty())
}

/// An inference under way.
///
/// How it ends is said once, by [`succeed`](Self::succeed), [`fail`](Self::fail) or [`time_out`](Self::time_out). One
/// that is dropped before was cancelled: nobody waited for its answer any more. It counts as in flight until then.
///
/// ```
/// use llm_observatory::{Model, instrument::InferenceCall};
///
/// let inference = InferenceCall::new(Model::new("gpt-4o", "transformer", "openai")).begin();
/// for word in ["It", "watches."] {
///     inference.tokens(1); // the first ends the time to first token; all are counted
///     print!("{word} ");
/// }
/// inference.succeed();
/// ```
#[derive(Debug)]
#[must_use = "an inference that is dropped without an end was cancelled"]
pub struct ActiveInference {
    span: Owned,
}

impl ActiveInference {
    /// Its span: to instrument what it waits for, and to give spans inside it their parent.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// It waited so long for its engine.
    pub fn queued(&self, duration: Duration) {
        self.span.record("queue_seconds", duration.as_secs_f64());
    }

    /// The first content token came, where tokens are not told one by one.
    pub fn first_token(&self) {
        event!(name: "first_token", parent: &*self.span, Level::INFO, {});
    }

    /// So many content tokens came now; none is a framing chunk, and changes nothing.
    pub fn tokens(&self, count: u64) {
        if count > 0 {
            event!(name: "token", parent: &*self.span, Level::INFO, count);
        }
    }

    /// What it used, over what was counted.
    pub fn used(&self, tokens: Tokens) {
        let Tokens {
            input,
            output,
            cached,
            source,
        } = tokens;
        tracing::record_all!(
            self.span,
            prompt_tokens = input,
            completion_tokens = output,
            cached_tokens = cached,
            token_source = output.map(|_| source.as_str()),
        );
    }

    /// The provider answered with this model.
    pub fn answered_by(&self, model: &str) {
        self.span.record("gen_ai.response.model", model);
    }

    /// It did what was asked.
    pub fn succeed(self) {
        self.span.record("status", "success");
    }

    /// It failed with an error of this class, `rate_limited`, say; never a message. `timeout` is a timeout.
    pub fn fail(self, error_type: &str) {
        if error_type == "timeout" {
            return self.time_out();
        }
        tracing::record_all!(self.span, error.r#type = error_type, status = "error");
    }

    /// It took too long and was given up.
    pub fn time_out(self) {
        tracing::record_all!(self.span, error.r#type = "timeout", status = "timeout");
    }

    /// Watches the answer as it comes: any stream of results, or a body.
    ///
    /// `reader` tells content from framing: [`Sse::openai`](super::Sse::openai),
    /// [`Sse::anthropic`](super::Sse::anthropic), or a closure that says how many tokens a chunk has.
    pub fn stream<S, R>(self, stream: S, reader: R) -> TokenStream<S, R> {
        self.span.record("streaming", true);
        TokenStream::new(self, stream, reader)
    }
}
