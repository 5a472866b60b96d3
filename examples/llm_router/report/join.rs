//! Joins the client's result of each request with the server's record of it.

use std::collections::BTreeMap;

use crate::client::{ClientResults, Ending, RequestResult};
use crate::ledger::{Ended, Ledger, Outcome};

/// The client's requests, summed up and compared individually.
#[derive(Debug, Default)]
pub(super) struct Join {
    pub(super) completed: u64,
    pub(super) cache_hits: u64,
    pub(super) failed: u64,
    pub(super) timed_out: u64,
    pub(super) hung_up: u64,
    pub(super) output_tokens: u64,
    /// Tokens of completed requests, without answers from the cache.
    pub(super) completed_tokens: u64,
    /// The tokens of the same requests in the ledger.
    pub(super) ledger_completed_tokens: u64,
    /// Tokens of the prompts that reached an engine.
    pub(super) prompt_tokens: u64,
    pub(super) status_codes: BTreeMap<u16, u64>,
    /// The server-side ends of the requests that the client dropped.
    pub(super) ends_of_disconnected: BTreeMap<&'static str, u64>,
    /// The number of requests on which client and server disagree, and a description of the first.
    pub(super) disagreements: u64,
    pub(super) first_disagreement: Option<String>,
}

impl Join {
    pub(super) fn new(memory: &ClientResults, ledger: &Ledger) -> Self {
        let mut join = Self::default();
        for seen in &memory.seen {
            let ended = ledger.request(seen.number);
            join.add(seen, ended);
            if !agree(seen, ended) {
                join.disagreements += 1;
                join.first_disagreement
                    .get_or_insert_with(|| format!("client {seen:?}, ledger {ended:?}"));
            }
        }
        join
    }

    fn add(&mut self, seen: &RequestResult, ended: Option<Ended>) {
        match seen.ending {
            Ending::Completed => self.completed += 1,
            Ending::CacheHit => self.cache_hits += 1,
            Ending::Failed => self.failed += 1,
            Ending::TimedOut => self.timed_out += 1,
            Ending::Disconnected => {
                self.hung_up += 1;
                *self
                    .ends_of_disconnected
                    .entry(end_name(ended))
                    .or_default() += 1;
            }
            Ending::Broken => {}
        }
        if let Some(status_code) = seen.status_code {
            *self.status_codes.entry(status_code).or_default() += 1;
        }
        // An answer from the cache has tokens that no engine generated.
        if let Some(Ended::Inference { output_tokens, .. }) = ended {
            self.output_tokens += u64::from(seen.output_tokens);
            self.prompt_tokens += u64::from(seen.prompt_tokens);
            if seen.ending == Ending::Completed {
                self.completed_tokens += u64::from(seen.output_tokens);
                self.ledger_completed_tokens += u64::from(output_tokens);
            }
        }
    }
}

/// Returns `true` if both sides can be right.
fn agree(seen: &RequestResult, ended: Option<Ended>) -> bool {
    let (outcome, prompt_tokens, output_tokens) = match (ended, seen.ending) {
        (
            Some(Ended::Inference {
                outcome,
                prompt_tokens,
                output_tokens,
            }),
            _,
        ) => (outcome, prompt_tokens, output_tokens),
        (Some(Ended::CacheHit), ending) => {
            return matches!(ending, Ending::CacheHit | Ending::Disconnected);
        }
        // The client dropped the request before the server read it, so it has no response.
        (None, ending) => return ending == Ending::Disconnected && seen.status_code.is_none(),
    };
    let is_possible = match seen.ending {
        Ending::Completed => {
            let usage_agrees = seen.usage_tokens.is_none_or(|usage| usage == output_tokens);
            outcome == Outcome::Success && seen.output_tokens == output_tokens && usage_agrees
        }
        Ending::Failed => outcome == Outcome::Error,
        Ending::TimedOut => outcome == Outcome::Timeout,
        // The server may have finished before it noticed that the client had disconnected.
        Ending::Disconnected => true,
        Ending::CacheHit | Ending::Broken => false,
    };
    is_possible && seen.output_tokens <= output_tokens && seen.prompt_tokens == prompt_tokens
}

fn end_name(ended: Option<Ended>) -> &'static str {
    match ended {
        Some(Ended::Inference { outcome, .. }) => outcome.name(),
        Some(Ended::CacheHit) => "answered from the cache",
        None => "never reached the router",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ending: Ending, output_tokens: u32) -> RequestResult {
        let status_code = (ending != Ending::Disconnected).then_some(200);
        RequestResult {
            number: 0,
            ending,
            status_code,
            prompt_tokens: 5,
            output_tokens,
            usage_tokens: None,
        }
    }

    fn ended(outcome: Outcome, output_tokens: u32) -> Option<Ended> {
        Some(Ended::Inference {
            outcome,
            prompt_tokens: 5,
            output_tokens,
        })
    }

    #[test]
    fn a_completed_request_has_the_same_tokens_on_both_sides() {
        assert!(agree(
            &seen(Ending::Completed, 7),
            ended(Outcome::Success, 7)
        ));
        assert!(!agree(
            &seen(Ending::Completed, 7),
            ended(Outcome::Success, 8)
        ));
        assert!(!agree(
            &seen(Ending::Completed, 7),
            ended(Outcome::Cancelled, 7)
        ));
        assert!(!agree(&seen(Ending::Completed, 7), None));
    }

    #[test]
    fn an_abandoned_request_has_at_most_the_tokens_that_were_sent() {
        assert!(agree(
            &seen(Ending::Disconnected, 7),
            ended(Outcome::Cancelled, 9)
        ));
        assert!(agree(
            &seen(Ending::Disconnected, 7),
            ended(Outcome::Success, 7)
        ));
        assert!(!agree(
            &seen(Ending::Disconnected, 7),
            ended(Outcome::Cancelled, 6)
        ));
        assert!(agree(&seen(Ending::Disconnected, 0), None));
    }
}
