//! Limits the memory of all queries under way together.
//!
//! A query counts the samples that the engine holds and the bytes of its answer that are not yet written. The limit holds
//! for the sum over all queries, since many clients can ask at once, and a client need not read the answer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// The memory of a sample, a time and a value, in bytes.
#[cfg(feature = "alerting")]
pub(crate) const SAMPLE_BYTES: usize = 16;

/// The memory that all queries under way may hold together.
#[derive(Debug)]
pub(crate) struct QueryBudget {
    max_bytes: usize,
    held_bytes: AtomicUsize,
}

impl QueryBudget {
    pub(crate) fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            max_bytes,
            held_bytes: AtomicUsize::new(0),
        })
    }

    /// Returns an empty share for one query.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share {
            budget: Arc::clone(self),
            held_bytes: AtomicUsize::new(0),
        }
    }

    #[cfg(any(test, feature = "alerting"))]
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Ordering::Relaxed)
    }
}

/// The memory that one query holds. The end of the share returns it to the budget.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<QueryBudget>,
    held_bytes: AtomicUsize,
}

impl Share {
    /// Sets the memory that the query holds. Only one thread at a time calls this function.
    ///
    /// # Errors
    ///
    /// Returns the text for the client if the budget has not enough memory left; the share stays as it is.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), String> {
        let before = self.held_bytes.load(Ordering::Relaxed);
        let QueryBudget {
            max_bytes,
            held_bytes,
        } = &*self.budget;
        let replaced = |held: usize| {
            let held = held.saturating_sub(before).saturating_add(bytes);
            (bytes <= before || held <= *max_bytes).then_some(held)
        };
        held_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, replaced)
            .map_err(|held| {
                format!(
                    "the queries under way would hold more than {max_bytes} bytes, the limit of query.max_memory \
                     (OBSERVATORY_QUERY_MAX_MEMORY); other queries hold {} bytes: ask for fewer series or a longer step, try \
                     again later, or raise the limit",
                    held.saturating_sub(before)
                )
            })?;
        self.held_bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Sets the samples that the query holds; see [`Share::hold`].
    #[cfg(feature = "alerting")]
    pub(crate) fn hold_samples(&self, samples: u64) -> Result<(), String> {
        let samples = usize::try_from(samples).unwrap_or(usize::MAX);
        self.hold(samples.saturating_mul(SAMPLE_BYTES))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let held = *self.held_bytes.get_mut();
        self.budget.held_bytes.fetch_sub(held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_get_no_more_than_the_budget_together() {
        let budget = QueryBudget::new(160);
        let (first, second) = (budget.share(), budget.share());
        first.hold(96).unwrap();
        second.hold(64).unwrap();
        let refused = second.hold(65).unwrap_err();
        assert!(
            refused.contains("query.max_memory") && refused.contains("hold 96 bytes"),
            "{refused}"
        );
        assert_eq!(budget.held_bytes(), 160);
        first.hold(95).unwrap();
        second.hold(65).unwrap();
        drop(first);
        assert_eq!(budget.held_bytes(), 65);
        drop(second);
        assert_eq!(budget.held_bytes(), 0);
    }
}
