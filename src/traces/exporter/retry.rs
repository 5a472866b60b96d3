//! Sends a batch again where the protocol says so: with exponential backoff and jitter, until its deadline.
//!
//! OTLP, "Failures": connections that fail and statuses that may pass are tried again, after the time that the
//! receiver names if it names one; all others are final.

use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;

use super::{Encoded, ExportError, Exporter, parts::Part, patience::Patience};
use crate::traces::sampling::random;

/// Time before the second attempt, about.
const FIRST: Duration = Duration::from_millis(250);
/// Time between two attempts at most.
const LONGEST: Duration = Duration::from_secs(5);

/// What became of a batch. It holds whenever the sending ends: what was taken by then was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Items that the receiver has.
    pub(in crate::traces) taken: usize,
    /// How many it said that it refused: of metrics, points.
    pub(crate) refused: usize,
    /// Why others were not sent; `None` where they were, though the receiver may have refused some.
    pub(crate) error: Option<ExportError>,
}

/// Sends a batch, in as many parts as the receiver needs, until all of them are settled or there is no time left.
pub(in crate::traces) async fn send(
    exporter: &Exporter,
    spans: Vec<SpanData>,
    patience: &mut Patience,
    sent: &mut Sent,
) {
    let attempt = |encoded: Encoded| async move { exporter.send(&encoded).await };
    deliver_parts(exporter.encode(spans), attempt, patience, sent).await;
}

/// Sends one part after the other, until all of them are settled or there is no time left.
pub(crate) async fn deliver_parts<F: Future<Output = Result<usize, ExportError>>>(
    parts: Vec<Part>,
    attempt: impl Fn(Encoded) -> F,
    patience: &mut Patience,
    sent: &mut Sent,
) {
    for Part {
        encoded,
        items,
        is_too_large,
    } in parts
    {
        let attempt = || async {
            let answer = attempt(encoded.clone()).await;
            answer.map_err(|error| {
                if is_too_large {
                    of_too_large(error)
                } else {
                    error
                }
            })
        };
        match deliver(attempt, patience).await {
            Ok(refused) => {
                sent.refused += refused;
                sent.taken += items - refused.min(items);
            }
            Err(error) => {
                let is_about_this_part = matches!(error, ExportError::Refused(_));
                sent.error = Some(error);
                // Nobody is there, or there is no time left, or the receiver wants to be left alone.
                if !is_about_this_part {
                    return;
                }
            }
        }
    }
}

/// Some receivers refuse what is too large with a status that may pass (`OUT_OF_RANGE`): it would be tried again for
/// nothing, while all others wait. One that says when to come back is believed.
fn of_too_large(error: ExportError) -> ExportError {
    match error {
        ExportError::Later {
            status,
            after: None,
        } => ExportError::Refused(status),
        error => error,
    }
}

/// Sends until it is taken, refused for good, or there is no time left.
async fn deliver<F: Future<Output = Result<usize, ExportError>>>(
    attempt: impl Fn() -> F,
    patience: &mut Patience,
) -> Result<usize, ExportError> {
    let mut backoff = FIRST;
    loop {
        let error = match patience.within(attempt()).await {
            Some(Ok(refused)) => return Ok(refused),
            Some(Err(error)) => error,
            None => return Err(ExportError::Timeout),
        };
        let Some(pause) = pause(&error, backoff, random()) else {
            return Err(error);
        };
        if !patience.pause(pause, &error).await {
            return Err(error);
        }
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
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::traces::tail::tests::span;

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
        let found = sent(["a"], move |_| Err(answer.clone())).await;
        let error = Some(later);
        assert_eq!(found, (Sent { error, ..all(0) }, vec![1]));
    }

    #[tokio::test]
    async fn a_receiver_that_comes_back_gets_the_batch() {
        let found = sent(["a", "b"], |attempt| match attempt {
            0 | 1 => Err(ExportError::Unreachable("refused".to_owned())),
            _ => Ok(0),
        });
        assert_eq!(found.await, (all(2), vec![2, 2, 2]));
    }

    #[tokio::test]
    async fn a_batch_that_is_too_large_goes_in_parts_and_each_is_settled() {
        let spans = ["1234", "1234", "1", "123456789", "12"];
        let found = sent(spans, |_| Ok(0)).await;
        assert_eq!(found, (all(5), vec![2, 1, 1, 1]));
        // The first is refused in part, the second is tried again.
        let found = sent(spans, |attempt| match attempt {
            0 => Ok(1),
            1 => Err(ExportError::Unreachable("reset".to_owned())),
            _ => Ok(0),
        });
        let refused = Sent {
            refused: 1,
            ..all(4)
        };
        assert_eq!(found.await, (refused, vec![2, 1, 1, 1, 1]));
        // More than there are is all of them.
        let found = sent(spans, |_| Ok(7)).await;
        let refused = Sent {
            refused: 4 * 7,
            ..all(0)
        };
        assert_eq!(found, (refused, vec![2, 1, 1, 1]));
    }

    #[tokio::test]
    async fn a_part_that_is_refused_costs_no_other_and_one_that_has_to_wait_ends_the_batch() {
        let spans = ["1234", "1234", "1", "123456789", "12"];
        let refused = ExportError::Refused("413".to_owned());
        let error = Some(refused.clone());
        let found = sent(spans, move |attempt| match attempt {
            2 => Err(refused.clone()),
            _ => Ok(0),
        });
        assert_eq!(found.await, (Sent { error, ..all(4) }, vec![2, 1, 1, 1]));
        let later = ExportError::Later {
            status: "503".to_owned(),
            after: Some(Duration::from_mins(1)),
        };
        let error = Some(later.clone());
        let found = sent(spans, move |attempt| match attempt {
            1 => Err(later.clone()),
            _ => Ok(0),
        });
        assert_eq!(found.await, (Sent { error, ..all(2) }, vec![2, 1]));
    }

    #[tokio::test]
    async fn a_span_that_is_too_large_is_not_tried_again_unless_the_receiver_asks_for_it() {
        let later = |after| ExportError::Later {
            status: "gRPC status 11".to_owned(),
            after,
        };
        let spans = ["123456789", "1"];
        let found = sent(spans, move |attempt| match attempt {
            0 => Err(later(None)),
            _ => Ok(0),
        });
        let error = Some(ExportError::Refused("gRPC status 11".to_owned()));
        assert_eq!(found.await, (Sent { error, ..all(1) }, vec![1, 1]));
        let found = sent(spans, move |attempt| match attempt {
            0 => Err(later(Some(Duration::from_millis(1)))),
            _ => Ok(0),
        });
        assert_eq!(found.await, (all(2), vec![1, 1, 1]));
    }

    fn all(taken: usize) -> Sent {
        Sent {
            taken,
            ..Sent::default()
        }
    }

    /// What became of spans with these names, and how many there were in each request.
    async fn sent<const N: usize>(
        names: [&'static str; N],
        answer: impl Fn(usize) -> Result<usize, ExportError> + Send + Sync + 'static,
    ) -> (Sent, Vec<usize>) {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let exporter = Exporter::Test(Box::new(move |count| {
            let mut kept = kept.lock().unwrap();
            kept.push(count);
            answer(kept.len() - 1)
        }));
        let spans = names.map(|name| SpanData {
            name: name.into(),
            ..span(1, 1, 0)
        });
        let (_nobody_ends_it, end) = tokio::sync::watch::channel(None);
        let mut patience = Patience::new(end);
        patience.begin(Duration::from_secs(10));
        let mut sent = Sent::default();
        send(&exporter, spans.into(), &mut patience, &mut sent).await;
        let requests = requests.lock().unwrap().clone();
        (sent, requests)
    }
}
