//! Sends a batch again where the protocol says so: with exponential backoff and jitter, until its deadline.
//!
//! OTLP, "Failures": connections that fail and statuses that may pass are tried again, after the time that the
//! receiver names if it names one; all others are final.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use opentelemetry_sdk::trace::SpanData;

use super::{ExportError, Exporter};
use crate::traces::sampling::random;

/// Time before the second attempt, about.
const FIRST: Duration = Duration::from_millis(250);
/// Time between two attempts at most.
const LONGEST: Duration = Duration::from_secs(5);

/// How many of the spans were refused.
pub(in crate::traces) async fn send(
    exporter: &Exporter,
    spans: Vec<SpanData>,
    deadline: Instant,
) -> Result<usize, ExportError> {
    let encoded = catch_unwind(AssertUnwindSafe(|| exporter.encode(spans)))
        .map_err(|_| ExportError::Io("the encoder panicked".to_owned()))?;
    deliver(|| exporter.send(&encoded), deadline).await
}

/// Sends until it is taken, refused for good, or `deadline` has passed.
pub(crate) async fn deliver<F: Future<Output = Result<usize, ExportError>>>(
    attempt: impl Fn() -> F,
    deadline: Instant,
) -> Result<usize, ExportError> {
    let mut backoff = FIRST;
    loop {
        let sent = tokio::time::timeout_at(deadline.into(), attempt()).await;
        let error = match sent {
            Ok(Ok(refused)) => return Ok(refused),
            Ok(Err(error)) => error,
            Err(_) => return Err(ExportError::Timeout),
        };
        let Some(pause) = pause(&error, backoff, random()) else {
            return Err(error);
        };
        // Not `now + pause`: a receiver may name a time that no clock can tell.
        if pause >= deadline.saturating_duration_since(Instant::now()) {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        backoff = (backoff * 2).min(LONGEST);
    }
}

/// Time until the next attempt; `None` where there is to be none. `backoff` is spread by half of itself.
fn pause(error: &ExportError, backoff: Duration, random: u64) -> Option<Duration> {
    let jitter = backoff.mul_f64(0.5 + (random >> 11) as f64 / (1_u64 << 53) as f64);
    match error {
        ExportError::Unreachable(_) => Some(jitter),
        // At least that long: a receiver that says 0, or a time that has passed, would be asked without a pause.
        ExportError::Later { after, .. } => Some(after.map_or(jitter, |after| after.max(jitter))),
        ExportError::Timeout | ExportError::Refused(_) | ExportError::Io(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again_and_the_receiver_says_when() {
        let second = Duration::from_secs(1);
        let later = |after| ExportError::Later {
            status: "503".to_owned(),
            after,
        };
        assert_eq!(pause(&later(Some(3 * second)), second, 0), Some(3 * second));
        assert_eq!(pause(&later(None), second, 0), Some(second / 2));
        let now = Some(Duration::ZERO);
        assert_eq!(pause(&later(now), second, 0), Some(second / 2));
        let nearly = pause(&later(None), second, u64::MAX).unwrap();
        assert!(nearly > second && nearly <= second * 3 / 2);
        assert_eq!(
            pause(&ExportError::Refused("400".to_owned()), second, 0),
            None
        );
        assert_eq!(pause(&ExportError::Timeout, second, 0), None);
    }

    #[tokio::test]
    async fn a_pause_longer_than_any_clock_can_tell_fails_the_batch_and_no_more() {
        let later = ExportError::Later {
            status: "503".to_owned(),
            after: Some(Duration::MAX),
        };
        let answer = later.clone();
        let exporter = Exporter::Test(Box::new(move |_| Err(answer.clone())));
        let deadline = Instant::now() + Duration::from_secs(10);
        assert_eq!(send(&exporter, Vec::new(), deadline).await, Err(later));
    }

    #[tokio::test]
    async fn a_receiver_that_comes_back_gets_the_batch() {
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&attempts);
        let exporter = Exporter::Test(Box::new(move |_| {
            if counted.fetch_add(1, Relaxed) < 2 {
                return Err(ExportError::Unreachable("refused".to_owned()));
            }
            Ok(0)
        }));
        let deadline = Instant::now() + Duration::from_secs(10);
        assert_eq!(send(&exporter, Vec::new(), deadline).await, Ok(0));
        assert_eq!(attempts.load(Relaxed), 3);
    }
}
