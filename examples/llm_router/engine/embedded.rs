//! Simulates a real engine: a queue, the time to read the prompt, then one token after the other.
//!
//! Time to first token = queue + prompt tokens / prefill rate. After that, a token is due every 1 / decode rate, all
//! divided by the speed. All tokens that are due at a wake-up are sent in one chunk, so a late wake-up does not delay
//! the following tokens.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Span;

use super::{Chunk, EngineError, Generation, Job};
use crate::cli::Speed;
use crate::faults::Fault;
use crate::text::Prose;

/// The minimum time between two chunks of an answer. At high speeds a chunk contains many tokens, since tokio's timer
/// has millisecond resolution and each chunk costs two system calls.
const MIN_CHUNK_GAP: Duration = Duration::from_millis(4);

pub(super) async fn begin(job: Job, speed: Speed) -> Result<Generation, EngineError> {
    let arrived = Instant::now();
    let slot = job.model.slots.clone().acquire_owned().await.map_err(|_| {
        EngineError::new(
            "engine_stopped",
            StatusCode::SERVICE_UNAVAILABLE,
            "the engine is stopped",
        )
    })?;
    Span::current().record("queue_seconds", arrived.elapsed().as_secs_f64());

    if let Some(Fault::BeforeFirstToken { delay, error }) = job.fault {
        sleep(speed.scale(delay)).await;
        return Err(error);
    }
    let traits = &job.model.traits;
    sleep(speed.scale(seconds(
        f64::from(job.prompt_tokens) / traits.prefill_tokens_per_second,
    )))
    .await;
    let gap = speed.scale(seconds(1.0 / traits.decode_tokens_per_second));

    let length = job.max_tokens.unwrap_or_else(|| natural_length(job.seed));
    let broken = match job.fault {
        Some(Fault::MidStream {
            at_percent,
            delay,
            error,
        }) => Some((length * at_percent / 100, speed.scale(delay), error)),
        _ => None,
    };
    let tokens = broken.as_ref().map_or(length, |(tokens, ..)| *tokens);
    let mut prose = Prose::new(job.seed);
    Ok(async_stream::stream! {
        // Held until the last token, or until the client disconnects.
        let _slot = slot;
        let started = Instant::now();
        let mut made = 0;
        while made < tokens {
            let due = tokens_due(started.elapsed(), gap).clamp(made + 1, tokens);
            let mut text = String::with_capacity((due - made) as usize * 8);
            prose.write(due - made, &mut text);
            yield Ok(Chunk { content: Bytes::from(text), tokens: due - made });
            made = due;
            if made < tokens {
                sleep_until((started + gap * made).max(Instant::now() + MIN_CHUNK_GAP)).await;
            }
        }
        if let Some((_, delay, error)) = broken {
            sleep(delay).await;
            yield Err(error);
        }
    }
    .boxed())
}

/// Returns the number of tokens that are due after `elapsed`; the first token is due immediately.
fn tokens_due(elapsed: Duration, gap: Duration) -> u32 {
    let gaps = elapsed.as_nanos() / gap.as_nanos().max(1);
    u32::try_from(gaps).unwrap_or(u32::MAX).saturating_add(1)
}

/// Returns the length of an answer without a limit.
fn natural_length(seed: u64) -> u32 {
    40 + u32::try_from(seed % 160).unwrap_or(0)
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 1_000_000)
}
