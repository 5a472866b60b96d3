//! The wire format of `OpenAI`'s chat completions, limited to the fields that a router needs.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::EngineError;
use crate::text::count_tokens;

/// The event after the last chunk.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// A request. Fields that the router does not use are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct ChatRequest {
    pub(crate) model: String,
    messages: Vec<Message>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    temperature: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// The values that are the same in all chunks of one answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) number: u64,
    pub(crate) model: String,
    pub(crate) prompt_tokens: u32,
    pub(crate) max_tokens: Option<u32>,
    created: u64,
}

/// A refused or failed request, in `OpenAI`'s format.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl ChatRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let request: Self = serde_json::from_slice(body).map_err(|error| {
            ApiError::invalid(format!("the body is not a chat request: {error}"))
        })?;
        if request.messages.is_empty() {
            return Err(ApiError::invalid(
                "messages is empty; at least one is needed",
            ));
        }
        if request.max_tokens() == Some(0) {
            return Err(ApiError::invalid("max_tokens is 0; it must be at least 1"));
        }
        Ok(request)
    }

    pub(crate) fn is_streaming(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    pub(crate) fn wants_usage(&self) -> bool {
        self.stream_options
            .as_ref()
            .and_then(|options| options.include_usage)
            .unwrap_or(false)
    }

    pub(crate) fn max_tokens(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    /// Returns `true` if the same request always has the same answer.
    pub(crate) fn is_repeatable(&self) -> bool {
        !self.is_streaming() && self.temperature == Some(0.0)
    }

    pub(crate) fn prompt_tokens(&self) -> u32 {
        let contents = self
            .messages
            .iter()
            .filter_map(|message| message.content.as_ref());
        let tokens = contents.map(|content| match content {
            Content::Text(text) => count_tokens(text),
            Content::Parts(parts) => parts
                .iter()
                .filter_map(|part| part.text.as_deref())
                .map(count_tokens)
                .sum(),
        });
        tokens.sum()
    }
}

impl Answer {
    pub(crate) fn new(number: u64, model: &str, request: &ChatRequest, prompt_tokens: u32) -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            number,
            model: model.to_owned(),
            prompt_tokens,
            max_tokens: request.max_tokens(),
            created: since_epoch.as_secs(),
        }
    }

    /// Formats an answer that is not streamed.
    pub(crate) fn whole(&self, text: &str, output_tokens: u32) -> Bytes {
        let message = json!({ "role": "assistant", "content": text });
        let choice = json!({ "index": 0, "message": message, "finish_reason": self.finish_reason(output_tokens) });
        let mut answer = self.envelope("chat.completion", &json!([choice]));
        answer["usage"] = self.usage(output_tokens);
        Bytes::from(answer.to_string())
    }

    /// Formats the first event, which contains the role.
    pub(crate) fn role_event(&self) -> Bytes {
        self.event(&json!({ "role": "assistant", "content": "" }), None)
    }

    pub(crate) fn content_event(&self, text: &[u8]) -> Bytes {
        self.event(&json!({ "content": String::from_utf8_lossy(text) }), None)
    }

    /// Formats the last events: the finish reason, the usage if it was requested, and the end marker.
    pub(crate) fn final_events(&self, output_tokens: u32, wants_usage: bool) -> Bytes {
        let mut events = self
            .event(&json!({}), Some(self.finish_reason(output_tokens)))
            .to_vec();
        if wants_usage {
            let mut chunk = self.envelope("chat.completion.chunk", &json!([]));
            chunk["usage"] = self.usage(output_tokens);
            events.extend_from_slice(&event(&chunk));
        }
        events.extend_from_slice(DONE.as_bytes());
        Bytes::from(events)
    }

    fn event(&self, delta: &Value, finish_reason: Option<&str>) -> Bytes {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
        event(&self.envelope("chat.completion.chunk", &json!([choice])))
    }

    fn envelope(&self, object: &str, choices: &Value) -> Value {
        let id = format!("chatcmpl-{}", self.number);
        json!({ "id": id, "object": object, "created": self.created, "model": self.model, "choices": choices })
    }

    fn finish_reason(&self, output_tokens: u32) -> &'static str {
        let is_cut = self.max_tokens.is_some_and(|limit| output_tokens >= limit);
        if is_cut { "length" } else { "stop" }
    }

    fn usage(&self, output_tokens: u32) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": self.prompt_tokens.saturating_add(output_tokens),
        })
    }
}

impl ApiError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "invalid_request",
            message: message.into(),
        }
    }

    /// Formats an error in the middle of a stream, after the status code has been sent.
    pub(crate) fn into_event(self) -> Bytes {
        event(&self.body())
    }

    fn body(&self) -> Value {
        let error_type = if self.status.is_client_error() {
            "invalid_request_error"
        } else {
            "server_error"
        };
        json!({ "error": { "message": self.message, "type": error_type, "param": null, "code": self.code } })
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        Self {
            status: error.status,
            code: error.kind,
            message: error.message,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body())).into_response()
    }
}

fn event(body: &Value) -> Bytes {
    Bytes::from(format!("data: {body}\n\n"))
}
