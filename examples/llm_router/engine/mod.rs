//! Turns a job into a stream of tokens, by the embedded engine or by another server.

mod embedded;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use futures_util::stream::BoxStream;

use crate::cli::Speed;
use crate::faults::Fault;
use crate::ledger::Outcome;
use crate::models::Model;

pub(crate) use upstream::Upstream;

/// The source of tokens.
#[derive(Debug)]
pub(crate) enum Engine {
    /// Simulates the timing of a real engine.
    Embedded(Speed),
    /// Another OpenAI-compatible server, whose responses pass unchanged.
    Upstream(Upstream),
}

/// A job for an engine.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) model: Arc<Model>,
    /// The original request, for an upstream server.
    pub(crate) body: Bytes,
    /// The request number of the built-in client, if the request is from it.
    pub(crate) client_request: Option<u64>,
    pub(crate) streaming: bool,
    pub(crate) prompt_tokens: u32,
    /// The exact number of tokens to generate; `None` lets the engine choose the length.
    pub(crate) max_tokens: Option<u32>,
    /// The seed of the answer's text.
    pub(crate) seed: u64,
    pub(crate) fault: Option<Fault>,
}

/// The answer as a stream. Dropping the stream stops the engine.
pub(crate) type Generation = BoxStream<'static, Result<Chunk, EngineError>>;

/// A part of an answer.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Text of the embedded engine, or the original bytes of an upstream server.
    pub(crate) content: Bytes,
    pub(crate) tokens: u32,
}

/// A failure of an engine.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct EngineError {
    /// A short, stable name that is suitable as a label.
    pub(crate) kind: &'static str,
    /// The status code for the client, if the answer has not begun.
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Engine {
    /// Waits for a free slot and reads the prompt; the first token follows immediately.
    pub(crate) async fn begin(&self, job: Job) -> Result<Generation, EngineError> {
        match self {
            Self::Embedded(speed) => embedded::begin(job, *speed).await,
            Self::Upstream(upstream) => upstream.begin(job).await,
        }
    }

    /// Returns `true` if chunks can be sent without conversion.
    pub(crate) fn is_verbatim(&self) -> bool {
        matches!(self, Self::Upstream(_))
    }
}

impl EngineError {
    pub(crate) fn new(kind: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            kind,
            status,
            message: message.into(),
        }
    }

    pub(crate) fn timeout(after: Duration) -> Self {
        let message = format!("the engine did not answer within {after:?}");
        Self::new("timeout", StatusCode::GATEWAY_TIMEOUT, message)
    }

    pub(crate) fn outcome(&self) -> Outcome {
        if self.kind == "timeout" {
            Outcome::Timeout
        } else {
            Outcome::Error
        }
    }
}
