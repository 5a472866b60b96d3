//! Sends a batch, and repeats failed requests with exponential backoff and jitter until the deadline.
//!
//! OTLP, "Failures": failed connections and retryable statuses are repeated, after the time that the receiver names if
//! it names one; any other failure is final.

use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;

use super::{Encoded, Export, ExportError, deadline::Deadline, split_batch::Part};
use crate::{net::Backoff, traces::sampling::random};

/// About the wait before the second attempt.
const INITIAL_WAIT: Duration = Duration::from_millis(250);
/// The longest wait between two attempts, jitter included.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The result of a batch. The counts hold at any time: a receiver keeps the items that it accepted before a failure.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Items that the receiver accepted.
    pub(in crate::traces) accepted: usize,
    /// Items that the receiver rejected; points, of metrics.
    pub(crate) rejected: usize,
    /// The failure of the other items; `None` if every item was sent.
    pub(crate) error: Option<ExportError>,
}

/// Sends a batch in as many requests as the receiver needs, until every request is settled or the deadline passes.
pub(in crate::traces) async fn send(
    export: &dyn Export,
    spans: Vec<SpanData>,
    deadline: &mut Deadline,
    sent: &mut Sent,
) {
    let attempt = |encoded: Encoded| async move { export.send(&encoded).await };
    deliver_parts(export.encode(spans), attempt, deadline, sent).await;
}

/// Sends one request after the other, until every request is settled or the deadline passes.
pub(crate) async fn deliver_parts<F: Future<Output = Result<usize, ExportError>>>(
    parts: Vec<Part>,
    attempt: impl Fn(Encoded) -> F,
    deadline: &mut Deadline,
    sent: &mut Sent,
) {
    for Part {
        encoded,
        items,
        is_too_large,
    } in parts
    {
        let attempt = || async {
            let result = attempt(encoded.clone()).await;
            result.map_err(|error| {
                if is_too_large {
                    without_retry(error)
                } else {
                    error
                }
            })
        };
        match deliver(attempt, deadline).await {
            Ok(rejected) => {
                sent.rejected += rejected;
                sent.accepted += items - rejected.min(items);
            }
            Err(error) => {
                let is_about_this_part = matches!(error, ExportError::Rejected(_));
                sent.error = Some(error);
                // The other requests would fail, too: no receiver, no time, or a receiver that asks to wait.
                if !is_about_this_part {
                    return;
                }
            }
        }
    }
}

/// Makes the failure of a request above the size limit final. Some receivers reject such a request with a retryable
/// status (`OUT_OF_RANGE`), and its retries would delay all other requests. A retry that the receiver asks for stays.
fn without_retry(error: ExportError) -> ExportError {
    match error {
        ExportError::Retryable {
            status,
            after: None,
        } => ExportError::Rejected(status),
        error => error,
    }
}

/// Sends a request until it is accepted, finally rejected, or the deadline passes.
async fn deliver<F: Future<Output = Result<usize, ExportError>>>(
    attempt: impl Fn() -> F,
    deadline: &mut Deadline,
) -> Result<usize, ExportError> {
    let backoff = backoff();
    let mut failures = 0;
    loop {
        let error = match deadline.within(attempt()).await {
            Some(Ok(rejected)) => return Ok(rejected),
            Some(Err(error)) => error,
            None => return Err(ExportError::Timeout),
        };
        failures += 1;
        let Some(pause) = pause(&error, backoff.wait(failures, unit(random()))) else {
            return Err(error);
        };
        if !deadline.pause(pause, &error).await {
            return Err(error);
        }
    }
}

fn backoff() -> Backoff {
    Backoff {
        initial: INITIAL_WAIT,
        factor: 2.0,
        max: MAX_WAIT,
        ..Backoff::default()
    }
}

/// A number from 0 up to 1 from random bits.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Time until the next attempt; `None` for a final failure.
fn pause(error: &ExportError, backoff: Duration) -> Option<Duration> {
    match error {
        ExportError::Unreachable(_) => Some(backoff),
        // At least the backoff: a receiver that asks for 0 s, or names a past date, would get requests without a pause.
        ExportError::Retryable { after, .. } => {
            Some(after.map_or(backoff, |after| after.max(backoff)))
        }
        ExportError::Timeout | ExportError::Rejected(_) | ExportError::Io(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{
        super::{Sending, split_batch::group_sizes},
        *,
    };
    use crate::traces::tail::tests::span;

    /// The most bytes of names that a request to [`Recorder`] holds.
    const MAX_NAME_BYTES: usize = 8;

    /// A receiver that is given the number of spans of each request, and returns the result.
    struct Recorder<F>(F);

    impl<F: Fn(usize) -> Result<usize, ExportError> + Send + Sync> Export for Recorder<F> {
        fn address(&self) -> String {
            "nowhere".to_owned()
        }

        fn encode(&self, spans: Vec<SpanData>) -> Vec<Part> {
            let sizes: Vec<usize> = spans.iter().map(|span| span.name.len()).collect();
            let mut rest = sizes.iter();
            let part = |items| Part {
                encoded: Encoded {
                    body: vec![0; items].into(),
                },
                items,
                is_too_large: rest.by_ref().take(items).sum::<usize>() > MAX_NAME_BYTES,
            };
            let groups = group_sizes(sizes.iter().copied(), MAX_NAME_BYTES);
            groups.into_iter().map(part).collect()
        }

        fn send<'a>(&'a self, request: &'a Encoded) -> Sending<'a> {
            Box::pin(async { (self.0)(request.body.len()) })
        }
    }

    #[test]
    fn only_a_retryable_failure_is_repeated_and_the_receiver_names_the_time() {
        let second = Duration::from_secs(1);
        let pause = |error: &ExportError, random| {
            let backoff = Backoff {
                initial: second,
                ..backoff()
            };
            pause(error, backoff.wait(1, random))
        };
        let later = |after| ExportError::Retryable {
            status: "503".to_owned(),
            after,
        };
        assert_eq!(pause(&later(Some(3 * second)), 0.0), Some(3 * second));
        assert_eq!(pause(&later(None), 0.0), Some(second / 2));
        let now = Some(Duration::ZERO);
        assert_eq!(pause(&later(now), 0.0), Some(second / 2));
        let nearly = pause(&later(None), unit(u64::MAX)).unwrap();
        assert!(nearly > second && nearly <= second * 3 / 2);
        assert_eq!(pause(&ExportError::Rejected("400".to_owned()), 0.0), None);
        assert_eq!(pause(&ExportError::Timeout, 0.0), None);
    }

    #[tokio::test]
    async fn a_pause_beyond_the_range_of_clocks_fails_only_the_batch() {
        let later = ExportError::Retryable {
            status: "503".to_owned(),
            after: Some(Duration::MAX),
        };
        let answer = later.clone();
        let found = sent(["a"], move |_| Err(answer.clone())).await;
        let error = Some(later);
        assert_eq!(found, (Sent { error, ..all(0) }, vec![1]));
    }

    #[tokio::test]
    async fn a_receiver_that_recovers_gets_the_batch() {
        let found = sent(["a", "b"], |attempt| match attempt {
            0 | 1 => Err(ExportError::Unreachable("refused".to_owned())),
            _ => Ok(0),
        });
        assert_eq!(found.await, (all(2), vec![2, 2, 2]));
    }

    #[tokio::test]
    async fn a_large_batch_is_split_and_each_request_is_settled() {
        let spans = ["1234", "1234", "1", "123456789", "12"];
        let found = sent(spans, |_| Ok(0)).await;
        assert_eq!(found, (all(5), vec![2, 1, 1, 1]));
        // The first request is rejected in part, the second is repeated.
        let found = sent(spans, |attempt| match attempt {
            0 => Ok(1),
            1 => Err(ExportError::Unreachable("reset".to_owned())),
            _ => Ok(0),
        });
        let rejected = Sent {
            rejected: 1,
            ..all(4)
        };
        assert_eq!(found.await, (rejected, vec![2, 1, 1, 1, 1]));
        // A receiver that rejects more spans than it got rejects all of them.
        let found = sent(spans, |_| Ok(7)).await;
        let rejected = Sent {
            rejected: 4 * 7,
            ..all(0)
        };
        assert_eq!(found, (rejected, vec![2, 1, 1, 1]));
    }

    #[tokio::test]
    async fn a_rejected_request_costs_no_other_and_a_request_that_has_to_wait_ends_the_batch() {
        let spans = ["1234", "1234", "1", "123456789", "12"];
        let refused = ExportError::Rejected("413".to_owned());
        let error = Some(refused.clone());
        let found = sent(spans, move |attempt| match attempt {
            2 => Err(refused.clone()),
            _ => Ok(0),
        });
        assert_eq!(found.await, (Sent { error, ..all(4) }, vec![2, 1, 1, 1]));
        let later = ExportError::Retryable {
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
    async fn a_span_above_the_limit_is_not_repeated_unless_the_receiver_asks_for_it() {
        let later = |after| ExportError::Retryable {
            status: "gRPC status 11".to_owned(),
            after,
        };
        let spans = ["123456789", "1"];
        let found = sent(spans, move |attempt| match attempt {
            0 => Err(later(None)),
            _ => Ok(0),
        });
        let error = Some(ExportError::Rejected("gRPC status 11".to_owned()));
        assert_eq!(found.await, (Sent { error, ..all(1) }, vec![1, 1]));
        let found = sent(spans, move |attempt| match attempt {
            0 => Err(later(Some(Duration::from_millis(1)))),
            _ => Ok(0),
        });
        assert_eq!(found.await, (all(2), vec![1, 1, 1]));
    }

    fn all(accepted: usize) -> Sent {
        Sent {
            accepted,
            ..Sent::default()
        }
    }

    /// The result of spans with these names, and the number of spans in each request.
    async fn sent<const N: usize>(
        names: [&'static str; N],
        answer: impl Fn(usize) -> Result<usize, ExportError> + Send + Sync + 'static,
    ) -> (Sent, Vec<usize>) {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let recorder = Recorder(move |count| {
            let mut kept = kept.lock().unwrap();
            kept.push(count);
            answer(kept.len() - 1)
        });
        let spans = names.map(|name| SpanData {
            name: name.into(),
            ..span(1, 1, 0)
        });
        let (_shutdown, end) = tokio::sync::watch::channel(None);
        let mut deadline = Deadline::new(end);
        deadline.begin(Duration::from_secs(10));
        let mut sent = Sent::default();
        send(&recorder, spans.into(), &mut deadline, &mut sent).await;
        let requests = requests.lock().unwrap().clone();
        (sent, requests)
    }
}
