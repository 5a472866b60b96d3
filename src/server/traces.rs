//! Endpoints below `/api/observatory/traces` for the traces of the last minutes. The page that displays them is in
//! [`dashboard`].
//!
//! [`dashboard`]: super::dashboard

use std::time::SystemTime;

use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::endpoints::Answers;
use super::{ServerOptions, Sources};
use crate::traces::{LiveTraces, TraceSummary};

/// The default and the maximum number of traces in a list.
const FEW: usize = 20;
const MOST: usize = 500;

pub(super) fn router() -> Router<Answers> {
    Router::new()
        .route("/api/observatory/traces", get(lists))
        .route("/api/observatory/traces/{id}", get(one))
}

/// The parameters of the lists.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    view: Option<View>,
    limit: Option<usize>,
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

    fn of(
        self,
        traces: &LiveTraces,
        most: usize,
        options: &ServerOptions,
    ) -> (&'static str, Value) {
        let linked = |summaries: Vec<TraceSummary>| {
            let linked = summaries.into_iter().map(|summary| Linked {
                url: url_of(options, summary.trace_id),
                summary,
            });
            json!(linked.collect::<Vec<_>>())
        };
        match self {
            Self::Recent => ("recent", linked(traces.recent(most))),
            Self::Slowest => ("slowest", linked(traces.slowest(most))),
            Self::Failed => ("failed", linked(traces.failed(most))),
            Self::Open => ("open", json!(traces.open(most))),
        }
    }
}

/// The summary of a trace, with its address in the trace viewer.
#[derive(Serialize)]
struct Linked {
    #[serde(flatten)]
    summary: TraceSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// Returns one list, or all of them.
async fn lists(
    State(answers): State<Answers>,
    question: Result<Query<Question>, QueryRejection>,
) -> Response {
    let Question { view, limit } = match question {
        Ok(Query(question)) => question,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let most = limit.unwrap_or(FEW);
    if most > MOST {
        let error = format!("limit is {most}; it must be at most {MOST}");
        return refuse(StatusCode::BAD_REQUEST, &error);
    }
    on_pool(answers, move |traces, sources| {
        let views = view.map_or(View::ALL.to_vec(), |view| vec![view]);
        let options = &sources.options;
        let mut body = json!({
            "isEnabled": traces.is_enabled(),
            "now": milliseconds_of(sources.gatherer.clock.wall()),
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
            let (name, list) = view.of(traces, most, options);
            body[name] = list;
        }
        json_of(&body)
    })
    .await
}

/// Returns the spans of a trace, both ended and open.
async fn one(State(answers): State<Answers>, Path(id): Path<String>) -> Response {
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(trace_id) = u128::from_str_radix(&id, 16).ok().filter(|_| is_id) else {
        let error = "a trace's id has 32 hexadecimal digits";
        return refuse(StatusCode::BAD_REQUEST, error);
    };
    on_pool(answers, move |traces, sources| {
        // The open spans are read first: a span that ends in between is then listed twice instead of never.
        let mut open = traces.open(usize::MAX);
        open.retain(|span| span.trace_id == Some(trace_id));
        let spans = traces.spans(trace_id);
        if spans.is_empty() && open.is_empty() {
            // The trace viewer may still have the trace.
            return refuse_with(
                StatusCode::NOT_FOUND,
                "there is no such trace among those of the last minutes",
                url_of(&sources.options, trace_id),
            );
        }
        let mut body = json!({
            "traceId": format!("{trace_id:032x}"),
            "now": milliseconds_of(sources.gatherer.clock.wall()),
            "leftOut": traces.left_out(trace_id),
            "spans": spans,
            "open": open,
        });
        if let Some(url) = url_of(&sources.options, trace_id) {
            body["url"] = json!(url);
        }
        json_of(&body)
    })
    .await
}

/// Runs `work` on a blocking thread, since a large trace takes time to serialise.
async fn on_pool(
    answers: Answers,
    work: impl FnOnce(&LiveTraces, &Sources) -> Response + Send + 'static,
) -> Response {
    let sources = answers.sources;
    let worked =
        tokio::task::spawn_blocking(move || work(&(sources.live_traces)(), &sources)).await;
    worked.unwrap_or_else(|error| refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))
}

/// Returns the address of a trace in the configured trace viewer.
#[cfg(feature = "alerting")]
fn url_of(options: &ServerOptions, trace_id: u128) -> Option<String> {
    let template = options.trace_url.as_deref()?;
    Some(crate::alerting::trace_url(template, trace_id))
}

/// Returns `None`, since the address of the trace viewer is an option of alerting.
#[cfg(not(feature = "alerting"))]
fn url_of(_: &ServerOptions, _: u128) -> Option<String> {
    None
}

/// Converts a time to milliseconds since the epoch. The page compares it with `now` of the same response, since the
/// browser's clock may differ.
fn milliseconds_of(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as u64
}

fn json_of(body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, format!("{body}\n")).into_response()
}

/// Returns an error in the format of Prometheus's API.
fn refuse(status: StatusCode, error: &str) -> Response {
    refuse_with(status, error, None)
}

fn refuse_with(status: StatusCode, error: &str, url: Option<String>) -> Response {
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
