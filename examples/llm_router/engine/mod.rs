//! Turns a job into a stream of tokens: by the embedded engine or by another server.

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

/// Where tokens come from.
#[derive(Debug)]
pub(crate) enum Engine {
    /// Makes them itself, with the timing of a real engine.
    Embedded(Speed),
    /// Another OpenAI-compatible server, whose answers pass through unchanged.
    Upstream(Upstream),
}

/// What an engine is to do.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) model: Arc<Model>,
    /// The request as it came, for an upstream server.
    pub(crate) body: Bytes,
    /// The number that the built-in client gave the request, if it sent it.
    pub(crate) client_request: Option<u64>,
    pub(crate) streaming: bool,
    pub(crate) prompt_tokens: u32,
    /// Exactly so many tokens are made; `None` leaves the length to the engine.
    pub(crate) max_tokens: Option<u32>,
    /// Seed of the answer's text.
    pub(crate) seed: u64,
    pub(crate) fault: Option<Fault>,
}

/// The answer, as it is made. Dropping it stops the engine.
pub(crate) type Generation = BoxStream<'static, Result<Chunk, EngineError>>;

/// A piece of an answer.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Text of the embedded engine; an upstream's own bytes otherwise.
    pub(crate) content: Bytes,
    pub(crate) tokens: u32,
}

/// An engine failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct EngineError {
    /// A short stable name, fit for a label.
    pub(crate) kind: &'static str,
    /// What a client is told if its answer has not begun.
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl Engine {
    /// Waits for a free slot and reads the prompt; the first token follows at once.
    pub(crate) async fn begin(&self, job: Job) -> Result<Generation, EngineError> {
        match self {
            Self::Embedded(speed) => embedded::begin(job, *speed).await,
            Self::Upstream(upstream) => upstream.begin(job).await,
        }
    }

    /// Whether chunks are ready to be sent as they are.
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
