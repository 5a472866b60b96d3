//! Reads the streams of Anthropic's messages API.
//!
//! A delta holds several tokens. If the stream ends without its usage, the count is estimated from the text.

use serde::Deserialize;

use super::{Protocol, json::Loose};
use crate::{
    instrument::{Progress, Usage},
    observation::Tokens,
};

/// Anthropic's messages API: streams, and the usage of a complete answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anthropic;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    #[serde(rename = "type")]
    kind: Loose,
    message: Option<Message>,
    delta: Loose,
    usage: Option<UsageCounts>,
    error: Option<Failure>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    model: Loose,
    usage: Option<UsageCounts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Failure {
    #[serde(rename = "type")]
    error_type: Loose,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "Anthropic's names")]
struct UsageCounts {
    input_tokens: Loose,
    output_tokens: Loose,
    cache_read_input_tokens: Loose,
    cache_creation_input_tokens: Loose,
}

impl UsageCounts {
    /// Returns the token counts. Anthropic's input count excludes cached tokens; [`Tokens`] includes them.
    fn tokens(&self) -> Tokens {
        let cached = self.cache_read_input_tokens.count();
        let beside = cached
            .unwrap_or(0)
            .saturating_add(self.cache_creation_input_tokens.count().unwrap_or(0));
        let mut tokens = Tokens::unknown();
        tokens.input = self
            .input_tokens
            .count()
            .map(|tokens| tokens.saturating_add(beside));
        tokens.output = self.output_tokens.count();
        tokens.cached = cached;
        tokens
    }
}

impl Protocol for Anthropic {
    fn event(&mut self, data: &[u8], progress: &mut Progress) {
        let Ok(event) = serde_json::from_slice::<Event>(data) else {
            return;
        };
        match event.kind.word() {
            "message_start" => {
                let Some(message) = &event.message else {
                    return;
                };
                progress.answered_by(message.model.word());
                if let Some(usage) = &message.usage {
                    // The output count of the start is partial; the last event has the total.
                    let mut tokens = usage.tokens();
                    tokens.output = None;
                    progress.used(tokens);
                }
            }
            "content_block_delta" => progress.text(event.delta.text_bytes()),
            "message_delta" => {
                if let Some(usage) = &event.usage {
                    progress.used(usage.tokens());
                }
                // The event holds the stop reason, so the answer is complete.
                progress.finished();
            }
            "message_stop" => progress.over(),
            "error" => {
                let class = event.error.as_ref().map(|error| error.error_type.word());
                progress.failed(class.unwrap_or_default());
            }
            // content_block_start, content_block_stop, ping, and future events.
            _ => {}
        }
    }
}

impl<T: AsRef<[u8]> + ?Sized> Usage<T> for Anthropic {
    fn usage(&self, answer: &T) -> Tokens {
        serde_json::from_slice::<Event>(answer.as_ref())
            .ok()
            .and_then(|answer| answer.usage)
            .map_or(Tokens::unknown(), |usage| usage.tokens())
    }
}
