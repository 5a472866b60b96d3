//! Remembers whole answers to requests that would be answered the same again.
//!
//! Only requests without streaming and at temperature 0 are remembered, and only byte for byte: the
//! key is the request's body, so that no field that could change the answer is overlooked.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use llm_observatory::instrument::observe_cache;

/// Answers held at most; the oldest makes room.
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
    /// Looks an answer up.
    pub(crate) fn get(&self, request: &Bytes) -> Option<Bytes> {
        observe_cache("get", "response", || {
            let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            entries.answers.get(request).cloned()
        })
    }

    /// Keeps an answer.
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
    fn the_oldest_answer_makes_room() {
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
