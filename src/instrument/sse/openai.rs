//! Reads the streams of `OpenAI`'s API and compatible APIs: chat completions, completions, responses.
//!
//! A delta with content counts as a token, because engines send token by token. `usage` takes precedence over the count.

use serde::Deserialize;

use super::{Protocol, json::Loose};
use crate::{
    instrument::{Progress, Usage},
    observation::Tokens,
};

/// `OpenAI`'s API and compatible APIs: streams, and the usage of a complete answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenAi;

/// A chunk of chat completions or completions, an event of responses, or a complete answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "type")]
    kind: Loose,
    model: Loose,
    choices: Option<Vec<Choice>>,
    usage: Option<UsageCounts>,
    error: Option<Failure>,
    // Fields of responses.
    delta: Loose,
    response: Option<Response>,
    code: Loose,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choice {
    /// Field of chat completions.
    delta: Loose,
    /// Field of completions.
    text: Loose,
    finish_reason: Loose,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Response {
    model: Loose,
    usage: Option<UsageCounts>,
    error: Option<Failure>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UsageCounts {
    prompt_tokens: Loose,
    completion_tokens: Loose,
    prompt_tokens_details: Option<Details>,
    // Fields of responses.
    input_tokens: Loose,
    output_tokens: Loose,
    input_tokens_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Loose,
}

/// An error: type or code, or, in the streams of a few engines, only a message.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Failure {
    Typed {
        #[serde(default)]
        code: Loose,
        #[serde(default, rename = "type")]
        error_type: Loose,
    },
    Other(Loose),
}

impl Failure {
    fn class(&self) -> &str {
        match self {
            Self::Typed { code, error_type } if code.word().is_empty() => error_type.word(),
            Self::Typed { code, .. } => code.word(),
            Self::Other(other) => other.word(),
        }
    }
}

impl UsageCounts {
    fn tokens(&self) -> Tokens {
        let details = self
            .prompt_tokens_details
            .as_ref()
            .or(self.input_tokens_details.as_ref());
        let mut tokens = Tokens::unknown();
        tokens.input = self.prompt_tokens.count().or(self.input_tokens.count());
        tokens.output = self
            .completion_tokens
            .count()
            .or(self.output_tokens.count());
        tokens.cached = details.and_then(|details| details.cached_tokens.count());
        tokens
    }
}

impl Protocol for OpenAi {
    fn event(&mut self, data: &[u8], progress: &mut Progress) {
        if data.trim_ascii() == b"[DONE]" {
            return progress.over();
        }
        let Ok(event) = serde_json::from_slice::<Event>(data) else {
            return;
        };
        progress.answered_by(event.model.word());
        if let Some(usage) = &event.usage {
            progress.used(usage.tokens());
        }
        if let Some(error) = &event.error {
            return progress.failed(error.class());
        }
        if !event.kind.word().is_empty() {
            responses_event(&event, progress);
        }
        for choice in event.choices.iter().flatten() {
            let has_content = choice.delta.text_bytes() > 0 || choice.text.text_bytes() > 0;
            progress.tokens(u64::from(has_content));
            if !choice.finish_reason.word().is_empty() {
                progress.finished();
            }
        }
    }
}

/// Reads an event of the responses API.
fn responses_event(event: &Event, progress: &mut Progress) {
    let event_type = event.kind.word();
    if let Some(response) = &event.response {
        progress.answered_by(response.model.word());
        if let Some(usage) = &response.usage {
            progress.used(usage.tokens());
        }
    }
    match event_type {
        // An answer that was truncated at its token limit is complete.
        "response.completed" | "response.incomplete" => progress.over(),
        "response.failed" => {
            let error = event
                .response
                .as_ref()
                .and_then(|response| response.error.as_ref());
            progress.failed(error.map_or("", Failure::class));
        }
        "error" => progress.failed(event.code.word()),
        _ if event_type.starts_with("response.")
            && event_type.rsplit('.').next() == Some("delta") =>
        {
            progress.tokens(u64::from(event.delta.text_bytes() > 0));
        }
        _ => {}
    }
}

impl<T: AsRef<[u8]> + ?Sized> Usage<T> for OpenAi {
    fn usage(&self, answer: &T) -> Tokens {
        serde_json::from_slice::<Event>(answer.as_ref())
            .ok()
            .and_then(|answer| answer.usage)
            .map_or(Tokens::unknown(), |usage| usage.tokens())
    }
}
