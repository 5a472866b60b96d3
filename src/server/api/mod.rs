//! Implements Prometheus's HTTP API over the observatory's own series, for Grafana, promtool and other clients.
//!
//! Paths, parameters, response formats and status codes are those of Prometheus 3. Queries run on blocking threads, at
//! most two at a time, so that scrapes and probes are answered meanwhile. A query is cancelled when its client
//! disconnects.

mod answer;
mod exemplars;
mod metadata;
mod params;
mod query;
mod rules;
mod series;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, http::HeaderMap, response::Response, routing::get};
use tokio::sync::Semaphore;

use self::answer::{ApiError, Encoded};
use super::endpoints::ServerState;
use crate::server::Sources;

/// The maximum number of concurrent queries. The other blocking threads are reserved for scrapes.
const MAX_CONCURRENT_QUERIES: usize = 2;

/// Returns the routes below `/api/v1`.
pub(super) fn router() -> Router<ServerState> {
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route(
            "/api/v1/format_query",
            get(query::format).post(query::format),
        )
        .route(
            "/api/v1/query_exemplars",
            get(exemplars::query).post(exemplars::query),
        )
        .route("/api/v1/series", get(series::series).post(series::series))
        .route("/api/v1/labels", get(series::names).post(series::names))
        .route("/api/v1/label/{name}/values", get(series::values))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/metadata", get(metadata::metadata))
        .route("/api/v1/status/buildinfo", get(metadata::build_info))
}

/// Limits the number of concurrent queries.
#[derive(Clone)]
pub(super) struct QueryLimit(Arc<Semaphore>);

impl Default for QueryLimit {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CONCURRENT_QUERIES)))
    }
}

/// Cancels a query when it is dropped, because the client disconnected or the query has ended.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on a blocking thread, and returns its result as the response.
async fn answer(
    state: &ServerState,
    headers: &HeaderMap,
    work: impl FnOnce(&Sources, &AtomicBool) -> Result<Encoded, ApiError> + Send + 'static,
) -> Response {
    let is_gzip = answer::accepts_gzip(headers);
    let sources = Arc::clone(&state.sources);
    let timeout = sources.options.query_timeout;
    let permits = Arc::clone(&state.query_limit.0);
    let Ok(Ok(permit)) = tokio::time::timeout(timeout, permits.acquire_owned()).await else {
        return answer::error(&ApiError::timeout("query timed out in query queue"));
    };
    let cancel = Arc::new(AtomicBool::new(false));
    let is_cancelled = CancelOnDrop(Arc::clone(&cancel));
    let task = tokio::task::spawn_blocking(move || {
        let answered = work(&sources, &cancel).map(|encoded| encoded.compressed(is_gzip));
        crate::system::account_own_cpu(&sources.gatherer.registry);
        drop(permit);
        answered
    });
    let answered = task
        .await
        .unwrap_or_else(|_| Err(ApiError::internal("the evaluation of the query panicked")));
    drop(is_cancelled);
    match answered {
        Ok(encoded) => encoded.into_response(),
        Err(error) => answer::error(&error),
    }
}
