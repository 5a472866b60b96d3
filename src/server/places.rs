//! Reserves threads for each kind of request, so that queries and other requests cannot take those of `/metrics`.
//!
//! `/health` needs none: the thread of the server itself answers.

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Sources, refusal::Refusal};

/// The maximum number of scrapes that are rendered at a time.
pub(super) const MAX_SCRAPES: usize = 2;
/// The maximum number of queries that are evaluated at a time.
const MAX_QUERIES: usize = 2;
/// The maximum number of other requests that are answered at a time.
const MAX_OTHERS: usize = 2;
pub(super) const MAX_PLACES: usize = MAX_SCRAPES + MAX_QUERIES + MAX_OTHERS;
/// The time that a request may wait for a place.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The places for requests that need a thread.
#[derive(Clone)]
pub(super) struct Places {
    #[cfg(feature = "alerting")]
    pub(super) queries: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            #[cfg(feature = "alerting")]
            queries: Arc::new(Semaphore::new(MAX_QUERIES)),
            others: Arc::new(Semaphore::new(MAX_OTHERS)),
        }
    }
}

impl Places {
    /// Runs `work` on a blocking thread, since `work` takes time or waits for an evaluation of rules.
    ///
    /// # Errors
    ///
    /// Returns the answer to the request if there is no place, or if `work` panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        sources: &Arc<Sources>,
        work: impl FnOnce(&Sources) -> T + Send + 'static,
    ) -> Result<T, Response> {
        let Some(place) = wait(&self.others, MAX_WAIT).await else {
            let message = "the server answers as many requests as it can; try again later";
            return Err(Refusal::Busy.answer(sources, message));
        };
        let of_work = Arc::clone(sources);
        let worked = tokio::task::spawn_blocking(move || {
            let worked = work(&of_work);
            drop(place);
            worked
        });
        worked
            .await
            .map_err(|_| super::refusal::internal("the answer panicked"))
    }
}

/// Waits for a place, at most for `timeout`.
pub(super) async fn wait(
    places: &Arc<Semaphore>,
    timeout: Duration,
) -> Option<OwnedSemaphorePermit> {
    let place = Arc::clone(places).acquire_owned();
    tokio::time::timeout(timeout, place).await.ok()?.ok()
}
