//! One request as a real client makes it: planned, sent, read to the end or dropped halfway.

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
/// Share of requests that leave the choice of a model to the router.
const AUTO: f64 = 0.8;

/// What the client is going to do.
#[derive(Debug)]
pub(super) struct Plan {
    number: u64,
    arrival: Arrival,
    model: String,
    is_streaming: bool,
    temperature: f64,
    hang_up: Option<HangUp>,
}

/// When the client drops the response.
#[derive(Debug)]
enum HangUp {
    AfterTime(Duration),
    AfterTokens(u32),
}

/// What the client saw of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) ending: Ending,
    pub(crate) status_code: Option<u16>,
    pub(crate) prompt_tokens: u32,
    pub(crate) output_tokens: u32,
    /// Output tokens as `usage` has them, where they must equal the words.
    pub(crate) usage_tokens: Option<u32>,
}

/// How a request ended for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Completed,
    CacheHit,
    Failed,
    TimedOut,
    HungUp,
    /// The connection broke, or the answer made no sense; never expected.
    Broken,
}

/// Whole answers and chunks of them, as far as the client reads them.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Received<'a> {
    #[serde(default)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
    error: Option<ReceivedError<'a>>,
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
struct ReceivedError<'a> {
    #[serde(borrow)]
    code: Option<Cow<'a, str>>,
}

impl Plan {
    /// Plans request `number`: the same for the same seed.
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
        let hang_up = random.random_bool(traffic.disconnect_rate).then(|| {
            if is_streaming && random.random_bool(0.75) {
                HangUp::AfterTokens(random.random_range(1..=arrival.output_tokens.max(1)))
            } else {
                // From before the response headers to amid the answer.
                let after = Duration::from_millis(random.random_range(0..3_000));
                HangUp::AfterTime(traffic.speed.scale(after))
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
            hang_up,
        }
    }

    fn body(&self) -> String {
        let Arrival {
            prompt_tokens,
            output_tokens,
            ..
        } = self.arrival;
        // Requests of equal lengths are equal, so that some find their answer in the cache.
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
    /// Makes a request, and gives it up as planned or when the user interrupts the run.
    pub(super) async fn make(mut self, plan: Plan) -> Seen {
        let mut seen = Seen {
            number: plan.number,
            // Whatever is dropped below has not got another ending.
            ending: Ending::HungUp,
            status_code: None,
            prompt_tokens: plan.arrival.prompt_tokens,
            output_tokens: 0,
            usage_tokens: None,
        };
        let patience = match plan.hang_up {
            Some(HangUp::AfterTime(time)) => time,
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

    async fn exchange(&mut self, plan: &Plan, seen: &mut Seen) {
        if let Err(error) = self.try_exchange(plan, seen).await {
            tracing::warn!(%error, request = plan.number, "the client could not finish a request");
            seen.ending = Ending::Broken;
        }
    }

    async fn try_exchange(
        &mut self,
        plan: &Plan,
        seen: &mut Seen,
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
        let received: Received<'_> = serde_json::from_slice(&body)?;
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
        seen: &mut Seen,
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
                let received: Received<'_> = serde_json::from_str(data)?;
                failed = failed.or(received.error.as_ref().map(ReceivedError::ending));
                self.count(&received, seen);
                // Looked at after each chunk, as a client that has read enough would do.
                if matches!(plan.hang_up, Some(HangUp::AfterTokens(enough)) if seen.output_tokens >= enough)
                {
                    seen.ending = Ending::HungUp;
                    return Ok(());
                }
            }
        }
        // The connection is read to its end: only then can it be used again.
        match (failed, seen.ending) {
            (Some(failed), _) => seen.ending = failed,
            (None, Ending::Completed) => {}
            (None, _) => return Err("the stream ended without [DONE]".into()),
        }
        Ok(())
    }

    fn count(&self, received: &Received<'_>, seen: &mut Seen) {
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
                // As the router does: a chunk is a token until `usage` says that it was more.
                seen.output_tokens = seen.output_tokens.max(completion_tokens);
            }
        }
    }
}

impl ReceivedError<'_> {
    fn ending(&self) -> Ending {
        if self.code.as_deref() == Some("timeout") {
            Ending::TimedOut
        } else {
            Ending::Failed
        }
    }
}
