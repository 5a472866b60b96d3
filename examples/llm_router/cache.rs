//! Caches complete answers to deterministic requests.
//!
//! Only requests without streaming and at temperature 0 are cached. The key is the whole body of the request, byte for
//! byte, so that every field that could change the answer is part of the key.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use llm_observatory::instrument::observe_cache;

/// The maximum number of cached answers; the oldest is evicted first.
const CAPACITY: usize = 1_000;

/// The answers to recent requests.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    answers: HashMap<Bytes, Bytes>,
    by_age: VecDeque<Bytes>,
}

impl Cache {
    /// Returns the cached answer to a request.
    pub(crate) fn get(&self, request: &Bytes) -> Option<Bytes> {
        observe_cache("get", "response", || {
            let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            entries.answers.get(request).cloned()
        })
    }

    /// Stores an answer.
    pub(crate) fn put(&self, request: Bytes, answer: Bytes) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.answers.insert(request.clone(), answer).is_some() {
            return;
        }
        entries.by_age.push_back(request);
        if entries.by_age.len() > CAPACITY
            && let Some(oldest) = entries.by_age.pop_front()
        {
            entries.answers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_answer_is_evicted() {
        let cache = Cache::default();
        for number in 0..=CAPACITY {
            cache.put(
                Bytes::from(number.to_string()),
                Bytes::from_static(b"answer"),
            );
        }
        assert_eq!(cache.get(&Bytes::from_static(b"0")), None);
        assert!(cache.get(&Bytes::from_static(b"1")).is_some());
    }
}
