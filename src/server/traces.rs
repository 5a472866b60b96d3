//! Endpoints below `/api/observatory/traces` for the traces of the last minutes. The page that displays them is in
//! [`dashboard`].
//!
//! [`dashboard`]: super::dashboard

use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::endpoints::ServerState;
use super::{ServerOptions, Sources};
use crate::{
    runtime::unix_ms::UnixMs,
    traces::{LiveTraces, TraceSummary},
};

/// The default and the maximum number of traces in a list.
const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 500;

pub(super) fn router() -> Router<ServerState> {
    Router::new()
        .route("/api/observatory/traces", get(lists))
        .route("/api/observatory/traces/{id}", get(trace))
}

/// The parameters of the lists.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    view: Option<View>,
    limit: Option<usize>,
    model: Option<String>,
    route: Option<String>,
    /// `ok` or `failed`.
    status: Option<Outcome>,
    /// The minimum duration in seconds.
    min_seconds: Option<f64>,
}

/// The properties of the listed traces. Absent parameters allow every value.
struct Filter {
    model: Option<String>,
    route: Option<String>,
    status: Option<Outcome>,
    min_seconds: f64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Failed,
}

impl Filter {
    fn allows(&self, trace: &TraceSummary) -> bool {
        let is =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let is_long = trace.duration.as_secs_f64() >= self.min_seconds;
        let outcome = self.status.is_none_or(|outcome| match outcome {
            Outcome::Ok => trace.failed == 0,
            Outcome::Failed => trace.failed > 0,
        });
        is(&self.model, &trace.model) && is(&self.route, &trace.route) && is_long && outcome
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum View {
    Recent,
    Slowest,
    Failed,
    Open,
}

impl View {
    const ALL: [Self; 4] = [Self::Recent, Self::Slowest, Self::Failed, Self::Open];

    fn name(self) -> &'static str {
        match self {
            Self::Recent => "recent",
            Self::Slowest => "slowest",
            Self::Failed => "failed",
            Self::Open => "open",
        }
    }

    /// Returns the first traces that the filter allows, and the number of all of them.
    fn of(
        self,
        traces: &LiveTraces,
        (limit, filter): (usize, &Filter),
        options: &ServerOptions,
    ) -> (Value, usize) {
        let all = match self {
            Self::Recent => traces.recent(usize::MAX),
            Self::Slowest => traces.slowest(usize::MAX),
            Self::Failed => traces.failed(usize::MAX),
            Self::Open => {
                let open = traces.open(usize::MAX);
                return (
                    json!(open.iter().take(limit).collect::<Vec<_>>()),
                    open.len(),
                );
            }
        };
        let allowed: Vec<_> = all.into_iter().filter(|one| filter.allows(one)).collect();
        let total = allowed.len();
        let linked = allowed
            .into_iter()
            .take(limit)
            .map(|summary| LinkedSummary {
                url: trace_viewer_url(options, summary.trace_id),
                summary,
            });
        (json!(linked.collect::<Vec<_>>()), total)
    }
}

/// The summary of a trace, with its address in the trace viewer.
#[derive(Serialize)]
struct LinkedSummary {
    #[serde(flatten)]
    summary: TraceSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// Returns one list, or all of them.
async fn lists(
    State(state): State<ServerState>,
    params: Result<Query<ListParams>, QueryRejection>,
) -> Response {
    let params = match params {
        Ok(Query(params)) => params,
        Err(error) => return error_response(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let ListParams { view, limit, .. } = params;
    let filter = Filter {
        model: params.model,
        route: params.route,
        status: params.status,
        min_seconds: params.min_seconds.unwrap_or(0.0),
    };
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if limit > MAX_LIMIT {
        let error = format!("limit is {limit}; it must be at limit {MAX_LIMIT}");
        return error_response(StatusCode::BAD_REQUEST, &error);
    }
    on_blocking_thread(state, move |traces, sources| {
        let views = view.map_or(View::ALL.to_vec(), |view| vec![view]);
        let options = &sources.options;
        let mut body = json!({
            "isEnabled": traces.is_enabled(),
            // The page compares times with `now`, because the clock of the browser may differ.
            "now": UnixMs::from(sources.gatherer.clock.wall()),
            "samplingRatio": options.traces.sampling_ratio,
        });
        if !traces.is_enabled() {
            let is_on = options.traces.is_enabled;
            let key = if is_on {
                "traces.live.enabled"
            } else {
                "traces.enabled"
            };
            body["disabledBy"] = json!(key);
        }
        for view in views {
            let (list, total) = view.of(traces, (limit, &filter), options);
            body[view.name()] = list;
            body["totals"][view.name()] = json!(total);
        }
        json_response(&body)
    })
    .await
}

/// Returns the spans of a trace, both ended and open.
async fn trace(State(state): State<ServerState>, Path(id): Path<String>) -> Response {
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(trace_id) = u128::from_str_radix(&id, 16).ok().filter(|_| is_id) else {
        let error = "a trace's id has 32 hexadecimal digits";
        return error_response(StatusCode::BAD_REQUEST, error);
    };
    on_blocking_thread(state, move |traces, sources| {
        // The open spans are read first: a span that ends in between is then listed twice instead of never.
        let mut open = traces.open(usize::MAX);
        open.retain(|span| span.trace_id == Some(trace_id));
        let spans = traces.spans(trace_id);
        if spans.is_empty() && open.is_empty() {
            // The trace viewer may still have the trace.
            return error_response_with_url(
                StatusCode::NOT_FOUND,
                "this trace is not among the traces of the last minutes",
                trace_viewer_url(&sources.options, trace_id),
            );
        }
        let mut body = json!({
            "traceId": format!("{trace_id:032x}"),
            "now": UnixMs::from(sources.gatherer.clock.wall()),
            "leftOut": traces.left_out(trace_id),
            "spans": spans,
            "open": open,
        });
        if let Some(url) = trace_viewer_url(&sources.options, trace_id) {
            body["url"] = json!(url);
        }
        json_response(&body)
    })
    .await
}

/// Runs `work` on a blocking thread, since a large trace takes time to serialise.
async fn on_blocking_thread(
    state: ServerState,
    work: impl FnOnce(&LiveTraces, &Sources) -> Response + Send + 'static,
) -> Response {
    let work = |sources: &Sources| work(&(sources.live_traces)(), sources);
    let answered = state.places.run(&state.sources, work).await;
    answered.unwrap_or_else(|refused| refused)
}

/// Returns the address of a trace in the configured trace viewer.
#[cfg(feature = "alerting")]
fn trace_viewer_url(options: &ServerOptions, trace_id: u128) -> Option<String> {
    let template = options.trace_url.as_deref()?;
    Some(crate::alerting::trace_url(template, trace_id))
}

/// Returns `None`, since the address of the trace viewer is an option of alerting.
#[cfg(not(feature = "alerting"))]
fn trace_viewer_url(_: &ServerOptions, _: u128) -> Option<String> {
    None
}

fn json_response(body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, format!("{body}\n")).into_response()
}

/// Returns an error in the format of Prometheus's API.
fn error_response(status: StatusCode, error: &str) -> Response {
    error_response_with_url(status, error, None)
}

fn error_response_with_url(status: StatusCode, error: &str, url: Option<String>) -> Response {
    let mut body = json!({ "status": "error", "error": error });
    if let Some(url) = url {
        body["url"] = json!(url);
    }
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, format!("{body}\n")).into_response()
}
