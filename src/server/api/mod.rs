//! Implements Prometheus's HTTP API over the observatory's own series, for Grafana, promtool and other clients.
//!
//! Paths, parameters, response formats and status codes are those of Prometheus 3. Queries run on blocking threads, at
//! most two at a time, so that scrapes and probes are answered meanwhile. A query is cancelled when its client
//! disconnects. An answer is encoded while its client reads it; the samples and bytes that it holds until then count
//! towards `query.max_memory`.

mod answer;
mod batch;
mod exemplars;
mod metadata;
mod params;
mod pieces;
mod query;
mod rules;
mod series;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    http::HeaderMap,
    response::Response,
    routing::{get, post},
};

use self::answer::{ApiError, Encoded};
use super::{Sources, endpoints::ServerState, places, refusal::Refusal};
use crate::metrics::Share;

/// Returns the routes below `/api/v1`, and the route for the queries of a page's panels.
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
        .route("/api/observatory/panels", post(batch::panels))
}

/// Cancels a query when it is dropped, because the client disconnected or the query has ended.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The sources of an answer, and the limits of the query.
struct Context<'a> {
    sources: &'a Sources,
    cancel: &'a AtomicBool,
    /// Counts the memory of the query and of its answer.
    share: &'a Arc<Share>,
}

/// Runs `work` on a blocking thread, and returns its result as the response.
async fn answer(
    state: &ServerState,
    headers: &HeaderMap,
    work: impl FnOnce(&Context<'_>) -> Result<Encoded, ApiError> + Send + 'static,
) -> Response {
    let is_gzip = answer::accepts_gzip(headers);
    let sources = Arc::clone(&state.sources);
    let timeout = sources.options.query_timeout;
    let Some(place) = places::wait(&state.places.queries, timeout).await else {
        return answer::error(&ApiError::timeout("query timed out in query queue"));
    };
    let cancel = Arc::new(AtomicBool::new(false));
    let is_cancelled = CancelOnDrop(Arc::clone(&cancel));
    let task = tokio::task::spawn_blocking(move || {
        let share = Arc::new(sources.budget.share());
        let context = Context {
            sources: &sources,
            cancel: &cancel,
            share: &share,
        };
        let answered = work(&context).map(|encoded| encoded.compressed(is_gzip));
        if let Err(error) = &answered
            && error.is_over_budget()
        {
            Refusal::QueryBytes.count(&sources, error.message());
        }
        crate::system::account_own_cpu(&sources.gatherer.registry);
        drop(place);
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
