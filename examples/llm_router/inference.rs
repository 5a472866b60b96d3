//! Monitors one inference from the engine's first work to its last token.
//!
//! A streaming service does two things: it begins the inference, and passes the stream to the wrapper. A client that
//! disconnects drops the [`Completion`] halfway, and the inference is recorded as `cancelled`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, StreamExt as _};
use llm_observatory::Model;
use llm_observatory::instrument::{InferenceCall, TokenStream};
use tracing::Instrument as _;

use crate::engine::{Chunk, Engine, EngineError, Generation, Job};
use crate::ledger::{Account, Ledger, Outcome};
use crate::models::Seat;

/// The monitored chunks, with the functions that return their tokens and the class of an error.
type Chunks = TokenStream<Generation, fn(&Chunk) -> u64, fn(&EngineError) -> &'static str>;

/// The chunks of an answer. The inference ends when the stream ends or is dropped.
pub(crate) struct Completion {
    /// Declared first, so that it is dropped first and the engine stops first.
    chunks: Chunks,
    is_over: bool,
    account: Account,
    _seat: Seat,
}

impl Completion {
    /// Starts an inference; returns when the first token is ready.
    ///
    /// # Errors
    ///
    /// Returns an error if the engine failed before its first token, when a status code can still be sent.
    pub(crate) async fn start(
        engine: &Engine,
        ledger: &Arc<Ledger>,
        job: Job,
    ) -> Result<Self, EngineError> {
        let model = Model::new(&job.model.id, job.model.model_type, job.model.engine);
        let inference = InferenceCall::new(model)
            .with_prompt_tokens(job.prompt_tokens.into())
            .begin();
        let mut account = ledger.open(&job.model, job.client_request, job.prompt_tokens);
        let seat = job.model.take_seat();
        let span = inference.span().clone();
        match engine.begin(job).instrument(span).await {
            Ok(generation) => Ok(Self {
                chunks: inference
                    .stream(generation, tokens as _)
                    .classify(kind as _),
                is_over: false,
                account,
                _seat: seat,
            }),
            Err(error) => {
                account.end(error.outcome());
                inference.fail(error.kind);
                Err(error)
            }
        }
    }

    /// Returns the number of output tokens so far.
    pub(crate) fn output_tokens(&self) -> u32 {
        self.account.output_tokens()
    }
}

fn tokens(chunk: &Chunk) -> u64 {
    chunk.tokens.into()
}

fn kind(error: &EngineError) -> &'static str {
    error.kind
}

impl Stream for Completion {
    type Item = Result<Chunk, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(self.chunks.poll_next_unpin(context));
        match &item {
            Some(Ok(chunk)) => self.account.add_output(chunk.tokens),
            _ if self.is_over => {}
            Some(Err(error)) => self.account.end(error.outcome()),
            None => self.account.end(Outcome::Success),
        }
        self.is_over |= !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}
