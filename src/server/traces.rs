//! `/api/observatory/traces`: the traces of the last minutes.

use axum::{
    Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::endpoints::Answers;
use crate::traces::LiveTraces;

/// Traces of a list where nothing is said, and at most.
const FEW: usize = 20;
const MOST: usize = 500;

pub(super) fn router() -> Router<Answers> {
    Router::new()
        .route("/api/observatory/traces", get(lists))
        .route("/api/observatory/traces/{id}", get(one))
}

/// What is asked of the lists.
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

    fn of(self, traces: &LiveTraces, most: usize) -> (&'static str, Value) {
        match self {
            Self::Recent => ("recent", json!(traces.recent(most))),
            Self::Slowest => ("slowest", json!(traces.slowest(most))),
            Self::Failed => ("failed", json!(traces.failed(most))),
            Self::Open => ("open", json!(traces.open(most))),
        }
    }
}

/// One list, or all of them.
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
    on_pool(answers, move |traces| {
        let views = view.map_or(View::ALL.to_vec(), |view| vec![view]);
        let mut body = json!({ "isEnabled": traces.is_enabled() });
        for view in views {
            let (name, list) = view.of(traces, most);
            body[name] = list;
        }
        json_of(&body)
    })
    .await
}

/// The spans of a trace.
async fn one(State(answers): State<Answers>, Path(id): Path<String>) -> Response {
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(trace_id) = u128::from_str_radix(&id, 16).ok().filter(|_| is_id) else {
        let error = "a trace's id has 32 hexadecimal digits";
        return refuse(StatusCode::BAD_REQUEST, error);
    };
    on_pool(answers, move |traces| {
        let spans = traces.spans(trace_id);
        if spans.is_empty() {
            let error = "there is no such trace among those of the last minutes";
            return refuse(StatusCode::NOT_FOUND, error);
        }
        json_of(&json!({ "traceId": format!("{trace_id:032x}"), "spans": spans }))
    })
    .await
}

/// Many spans are written there, and nobody else waits for it.
async fn on_pool(
    answers: Answers,
    work: impl FnOnce(&LiveTraces) -> Response + Send + 'static,
) -> Response {
    let traces = answers.core.live_traces();
    let worked = tokio::task::spawn_blocking(move || work(&traces)).await;
    worked.unwrap_or_else(|error| refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))
}

fn json_of(body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, format!("{body}\n")).into_response()
}

/// A refusal, in the shape of Prometheus's errors.
fn refuse(status: StatusCode, error: &str) -> Response {
    let body = json!({ "status": "error", "error": error });
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (status, headers, format!("{body}\n")).into_response()
}
