//! One inference from the engine's first work to its last token, annotated.
//!
//! This file and `http.rs` are what monitoring asks of a streaming service: a span that lives as
//! long as the answer, an event for each chunk, the outcome at the end. A client that hangs up drops
//! the [`Completion`] halfway; nobody records a `status` then, and the Layer calls it `cancelled`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, StreamExt as _};
use tracing::field::Empty;
use tracing::{Instrument as _, Level, Span, event, info_span};

use crate::engine::{Chunk, Engine, EngineError, Generation, Job};
use crate::ledger::{Account, Ledger, Outcome};
use crate::models::Seat;

/// The chunks of an answer; the inference is over when it ends, or when it is dropped.
pub(crate) struct Completion {
    /// `None` once the last chunk or an error came. Dropped first, so that the engine stops first.
    generation: Option<Generation>,
    inference: Inference,
}

/// What is counted and recorded about an inference.
struct Inference {
    account: Account,
    span: Span,
    _seat: Seat,
}

impl Completion {
    /// Starts an inference; returns when the first token is about to come.
    ///
    /// # Errors
    ///
    /// The engine failed before its first token, so there is still time for a status code.
    pub(crate) async fn start(
        engine: &Engine,
        ledger: &Arc<Ledger>,
        job: Job,
    ) -> Result<Self, EngineError> {
        let span = info_span!(
            "inference",
            model_id = job.model.id.as_str(),
            model_type = job.model.model_type,
            engine = job.model.engine,
            streaming = job.streaming,
            prompt_tokens = job.prompt_tokens,
            completion_tokens = Empty,
            queue_seconds = Empty,
            status = Empty,
            error.type = Empty,
        );
        let mut inference = Inference {
            account: ledger.open(&job.model, job.client_request, job.prompt_tokens),
            span: span.clone(),
            _seat: job.model.take_seat(),
        };
        match engine.begin(job).instrument(span).await {
            Ok(generation) => Ok(Self {
                generation: Some(generation),
                inference,
            }),
            Err(error) => {
                inference.fail(&error);
                Err(error)
            }
        }
    }

    /// Output tokens so far.
    pub(crate) fn output_tokens(&self) -> u32 {
        self.inference.account.output_tokens()
    }
}

impl Stream for Completion {
    type Item = Result<Chunk, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(generation) = &mut self.generation else {
            return Poll::Ready(None);
        };
        let item = ready!(generation.poll_next_unpin(context));
        match &item {
            Some(Ok(chunk)) => self.inference.count(chunk),
            Some(Err(error)) => self.inference.fail(error),
            None => self.inference.succeed(),
        }
        if !matches!(item, Some(Ok(_))) {
            self.generation = None;
        }
        Poll::Ready(item)
    }
}

impl Inference {
    fn count(&mut self, chunk: &Chunk) {
        self.account.add_output(chunk.tokens);
        if chunk.tokens > 0 {
            event!(name: "token", parent: &self.span, Level::INFO, count = chunk.tokens);
        }
    }

    fn succeed(&mut self) {
        self.end(Outcome::Success);
    }

    fn fail(&mut self, error: &EngineError) {
        self.span.record("error.type", error.kind);
        self.end(error.outcome());
    }

    fn end(&mut self, outcome: Outcome) {
        self.account.end(outcome);
        self.span
            .record("completion_tokens", self.account.output_tokens());
        self.span.record("status", outcome.name());
    }
}
