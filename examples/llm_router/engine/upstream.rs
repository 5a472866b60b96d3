//! Forwards requests to another OpenAI-compatible server and its responses back unchanged, and counts their tokens.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{StatusCode, header};
use futures_util::StreamExt as _;
use llm_observatory::middleware::client::MonitoredClient;
use serde::Deserialize;
use serde_json::Value;

use super::{Chunk, EngineError, Generation, Job};
use crate::faults::Fault;
use crate::sse::{Events, data};

/// The time without data after which the server has timed out.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A client of the upstream server.
#[derive(Debug)]
pub(crate) struct Upstream {
    base: String,
    client: MonitoredClient,
}

/// The upstream server cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    #[error(
        "--upstream {base}: cannot list its models; is an OpenAI-compatible server listening there?"
    )]
    Unreachable {
        base: String,
        source: reqwest::Error,
    },
    #[error("--upstream {base}: the server lists no models under /v1/models")]
    NoModels { base: String },
}

/// The fields of a response, or of a chunk of it, that are counted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CountedFields {
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    delta: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    completion_tokens: Option<u32>,
}

impl Upstream {
    /// Returns the client, and the names of the server's models.
    pub(crate) async fn connect(base: &str) -> Result<(Self, Vec<String>), UpstreamError> {
        let unreachable = |source| UpstreamError::Unreachable {
            base: base.to_owned(),
            source,
        };
        let builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(TIMEOUT);
        let client = builder.build().map_err(unreachable)?;
        let client = MonitoredClient::new(client, "upstream");
        let answer = client.get(format!("{base}/v1/models")).send().await;
        let list: Value = answer
            .and_then(reqwest::Response::error_for_status)
            .map_err(unreachable)?
            .json()
            .await
            .map_err(unreachable)?;
        let models = list["data"].as_array().into_iter().flatten();
        let ids: Vec<String> = models
            .filter_map(|model| model["id"].as_str())
            .map(str::to_owned)
            .collect();
        if ids.is_empty() {
            return Err(UpstreamError::NoModels {
                base: base.to_owned(),
            });
        }
        Ok((
            Self {
                base: base.to_owned(),
                client,
            },
            ids,
        ))
    }

    pub(super) async fn begin(&self, job: Job) -> Result<Generation, EngineError> {
        if let Some(Fault::BeforeFirstToken { error, .. }) = job.fault {
            return Err(error);
        }
        let answer = self
            .client
            .post(format!("{}/v1/chat/completions", self.base))
            .header(header::CONTENT_TYPE, "application/json")
            .body(with_model(&job)?)
            .send()
            .await
            .map_err(|error| broken(&error))?;
        if !answer.status().is_success() {
            let status =
                StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
            let message = format!("the upstream server answered {status}");
            return Err(EngineError::new("upstream_status", status, message));
        }
        if job.streaming {
            return Ok(pass_events(answer, job.fault));
        }
        let body = answer.bytes().await.map_err(|error| broken(&error))?;
        let counted: CountedFields = serde_json::from_slice(&body).unwrap_or_default();
        let tokens = counted
            .usage
            .and_then(|usage| usage.completion_tokens)
            .unwrap_or(0);
        let chunk = Chunk {
            content: body,
            tokens,
        };
        Ok(futures_util::stream::iter([Ok(chunk)]).boxed())
    }
}

/// Returns the client's request with the name of the model that the router selected.
fn with_model(job: &Job) -> Result<Vec<u8>, EngineError> {
    let invalid = |error: serde_json::Error| {
        EngineError::new(
            "invalid_request",
            StatusCode::BAD_REQUEST,
            error.to_string(),
        )
    };
    let mut body: Value = serde_json::from_slice(&job.body).map_err(invalid)?;
    body["model"] = Value::from(job.model.id.as_str());
    serde_json::to_vec(&body).map_err(invalid)
}

fn pass_events(answer: reqwest::Response, fault: Option<Fault>) -> Generation {
    let (mut chunks_left, fault) = match fault {
        Some(Fault::MidStream {
            at_percent, error, ..
        }) => (at_percent, Some(error)),
        _ => (0, None),
    };
    let mut bytes = answer.bytes_stream();
    async_stream::stream! {
        let mut events = Events::default();
        let mut tokens = 0;
        while let Some(received) = bytes.next().await {
            match received {
                Ok(received) => events.push(&received),
                Err(error) => {
                    yield Err(broken(&error));
                    return;
                }
            }
            while let Some(event) = events.next() {
                if let Some(error) = &fault && chunks_left == 0 {
                    yield Err(error.clone());
                    return;
                }
                chunks_left = chunks_left.saturating_sub(1);
                if data(&event) == Some("[DONE]") {
                    // The router ends the inference before it sends the end marker.
                    return;
                }
                let chunk = count(event, tokens);
                tokens += chunk.as_ref().map_or(0, |chunk| chunk.tokens);
                yield chunk;
            }
        }
        yield Err(EngineError::new("upstream_closed", StatusCode::BAD_GATEWAY, "the upstream server ended its answer early"));
    }
    .boxed()
}

/// Counts a chunk with content as one token; at the end, adds the tokens of `usage` beyond `so_far`.
///
/// A `usage` below the count changes nothing, since the tokens have already been reported.
fn count(event: Bytes, so_far: u32) -> Result<Chunk, EngineError> {
    let counted: CountedFields = data(&event)
        .and_then(|data| serde_json::from_str(data).ok())
        .unwrap_or_default();
    if let Some(error) = counted.error.filter(|error| !error.is_null()) {
        let message = error["message"]
            .as_str()
            .unwrap_or("the upstream server failed");
        return Err(EngineError::new(
            "upstream_error",
            StatusCode::BAD_GATEWAY,
            message,
        ));
    }
    let has_content = |choice: &Choice| {
        let delta = choice.delta.as_ref().and_then(Value::as_object);
        let mut fields = delta
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "role");
        fields.any(|(_, value)| !value.is_null() && value != "")
    };
    let tokens = u32::from(counted.choices.iter().any(has_content));
    let reported = counted.usage.and_then(|usage| usage.completion_tokens);
    let missing = reported.unwrap_or(0).saturating_sub(so_far + tokens);
    Ok(Chunk {
        content: event,
        tokens: tokens + missing,
    })
}

fn broken(error: &reqwest::Error) -> EngineError {
    if error.is_timeout() {
        return EngineError::timeout(TIMEOUT);
    }
    EngineError::new(
        "engine_unreachable",
        StatusCode::BAD_GATEWAY,
        "the connection to the upstream server broke",
    )
}
