//! One request of the client: planned, sent, and read to the end or dropped halfway.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header;
use futures_util::StreamExt as _;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use serde_json::json;

use super::workload::Arrival;
use super::{Client, Traffic};
use crate::server::{CLIENT_PREFIX, X_CACHE, X_REQUEST_ID};
use crate::sse::{Events, data};
use crate::text::{count_tokens, prompt};

/// Share of requests that stream.
const STREAMING: f64 = 0.7;
/// Share of requests at temperature 0, which the router may answer from its cache.
const REPEATABLE: f64 = 0.5;
/// Share of requests that let the router select the model.
const AUTO: f64 = 0.8;

/// The plan of one request.
#[derive(Debug)]
pub(super) struct Plan {
    number: u64,
    arrival: Arrival,
    model: String,
    is_streaming: bool,
    temperature: f64,
    disconnect: Option<Disconnect>,
}

/// The point at which the client drops the response.
#[derive(Debug)]
enum Disconnect {
    AfterTime(Duration),
    AfterTokens(u32),
}

/// The result of one request, as the client received it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestResult {
    pub(crate) number: u64,
    pub(crate) ending: Ending,
    pub(crate) status_code: Option<u16>,
    pub(crate) prompt_tokens: u32,
    pub(crate) output_tokens: u32,
    /// Output tokens of `usage`, if they must equal the number of words.
    pub(crate) usage_tokens: Option<u32>,
}

/// The end of a request for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    CacheHit,
    Failed,
    TimedOut,
    Disconnected,
    /// The connection broke, or the response was invalid; never expected.
    Broken,
}

/// A whole response or a chunk of it, with the fields that the client reads.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct ResponseBody<'a> {
    #[serde(default)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
    error: Option<ResponseError<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Choice<'a> {
    #[serde(alias = "delta")]
    message: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Text<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    completion_tokens: u32,
}

#[derive(Debug, Deserialize)]
struct ResponseError<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

impl Plan {
    /// Plans request `number`; the same seed gives the same plan.
    pub(super) fn draw(
        number: u64,
        arrival: Arrival,
        models: &[String],
        traffic: &Traffic,
    ) -> Self {
        let mut random = StdRng::seed_from_u64(
            traffic
                .seed
                .wrapping_add(number.wrapping_mul(0xD134_2543_DE82_EF95)),
        );
        let is_streaming = random.random_bool(STREAMING);
        let named = (!random.random_bool(AUTO)).then(|| random.random_range(0..models.len()));
        let disconnect = random.random_bool(traffic.disconnect_rate).then(|| {
            if is_streaming && random.random_bool(0.75) {
                Disconnect::AfterTokens(random.random_range(1..=arrival.output_tokens.max(1)))
            } else {
                // From before the response headers to the middle of the answer.
                let after = Duration::from_millis(random.random_range(0..3_000));
                Disconnect::AfterTime(traffic.speed.scale(after))
            }
        });
        Self {
            number,
            arrival,
            model: named.map_or_else(|| "auto".to_owned(), |index| models[index].clone()),
            is_streaming,
            temperature: if random.random_bool(REPEATABLE) {
                0.0
            } else {
                0.7
            },
            disconnect,
        }
    }

    fn body(&self) -> String {
        let Arrival {
            prompt_tokens,
            output_tokens,
            ..
        } = self.arrival;
        // Requests of equal lengths are equal, so that some of them are answered from the cache.
        let content = prompt(
            prompt_tokens,
            prompt_tokens.wrapping_mul(31).wrapping_add(output_tokens),
        );
        let mut body = json!({
            "model": self.model,
            "messages": [{ "role": "user", "content": content }],
            "max_tokens": output_tokens,
            "temperature": self.temperature,
            "stream": self.is_streaming,
        });
        if self.is_streaming {
            body["stream_options"] = json!({ "include_usage": true });
        }
        body.to_string()
    }
}

impl Client {
    /// Sends a request, and drops it as planned or when the user interrupts the run.
    pub(super) async fn make(mut self, plan: Plan) -> RequestResult {
        let mut seen = RequestResult {
            number: plan.number,
            // The ending stays `Disconnected` if the future is dropped below.
            ending: Ending::Disconnected,
            status_code: None,
            prompt_tokens: plan.arrival.prompt_tokens,
            output_tokens: 0,
            usage_tokens: None,
        };
        let patience = match plan.disconnect {
            Some(Disconnect::AfterTime(time)) => time,
            _ => Duration::MAX,
        };
        let mut interrupted = self.interrupted.clone();
        tokio::select! {
            () = self.exchange(&plan, &mut seen) => {}
            () = tokio::time::sleep(patience) => {}
            _ = interrupted.wait_for(|interrupted| *interrupted) => {}
        }
        seen
    }

    async fn exchange(&mut self, plan: &Plan, seen: &mut RequestResult) {
        if let Err(error) = self.try_exchange(plan, seen).await {
            tracing::warn!(%error, request = plan.number, "the client could not finish a request");
            seen.ending = Ending::Broken;
        }
    }

    async fn try_exchange(
        &mut self,
        plan: &Plan,
        seen: &mut RequestResult,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let request = self
            .http
            .post(&self.url)
            .header(header::CONTENT_TYPE, "application/json");
        let request = request.header(X_REQUEST_ID, format!("{CLIENT_PREFIX}{}", plan.number));
        let response = request.body(plan.body()).send().await?;
        seen.status_code = Some(response.status().as_u16());

        if plan.is_streaming && response.status().is_success() {
            return self.read_events(response, plan, seen).await;
        }
        let is_hit = response
            .headers()
            .get(X_CACHE)
            .is_some_and(|value| value == "hit");
        let is_success = response.status().is_success();
        let body = response.bytes().await?;
        let received: ResponseBody<'_> = serde_json::from_slice(&body)?;
        self.count(&received, seen);
        seen.ending = match (&received.error, is_hit) {
            (Some(error), _) => error.ending(),
            (None, _) if !is_success => return Err("an error without a body that says so".into()),
            (None, true) => Ending::CacheHit,
            (None, false) => Ending::Completed,
        };
        Ok(())
    }

    async fn read_events(
        &self,
        response: reqwest::Response,
        plan: &Plan,
        seen: &mut RequestResult,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut bytes = response.bytes_stream();
        let mut events = Events::default();
        let mut failed = None;
        while let Some(received) = bytes.next().await {
            events.push(&received?);
            while let Some(event) = events.next() {
                let Some(data) = data(&event) else { continue };
                if data == "[DONE]" {
                    seen.ending = Ending::Completed;
                    continue;
                }
                let received: ResponseBody<'_> = serde_json::from_str(data)?;
                failed = failed.or(received.error.as_ref().map(ResponseError::ending));
                self.count(&received, seen);
                // Checked after each chunk, like a client that stops reading.
                if matches!(plan.disconnect, Some(Disconnect::AfterTokens(enough)) if seen.output_tokens >= enough)
                {
                    seen.ending = Ending::Disconnected;
                    return Ok(());
                }
            }
        }
        // The connection must be read to its end before it can be reused.
        match (failed, seen.ending) {
            (Some(failed), _) => seen.ending = failed,
            (None, Ending::Completed) => {}
            (None, _) => return Err("the stream ended without [DONE]".into()),
        }
        Ok(())
    }

    fn count(&self, received: &ResponseBody<'_>, seen: &mut RequestResult) {
        let texts = received
            .choices
            .iter()
            .filter_map(|choice| choice.message.as_ref()?.content.as_deref());
        let tokens = texts.map(|text| {
            if self.counts_words {
                count_tokens(text)
            } else {
                u32::from(!text.is_empty())
            }
        });
        seen.output_tokens += tokens.sum::<u32>();
        if let Some(Usage { completion_tokens }) = received.usage {
            if self.counts_words {
                seen.usage_tokens = Some(completion_tokens);
            } else {
                // As in the router, a chunk counts as one token until `usage` reports more.
                seen.output_tokens = seen.output_tokens.max(completion_tokens);
            }
        }
    }
}

impl ResponseError<'_> {
    fn ending(&self) -> Ending {
        if self.code.as_deref() == Some("timeout") {
            Ending::TimedOut
        } else {
            Ending::Failed
        }
    }
}
