//! Answers `query_exemplars`: the trace ids that are attached to counters and histogram buckets.

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Serialize;

use super::{
    answer::{ApiError, Encoded},
    params::Params,
};
use crate::{
    metrics::{
        collect::exemplars::{self, TimeRange},
        registry::{Exemplar, Registry},
    },
    query::{
        Labels, Matcher,
        engine::{format_number, syntax::parse},
    },
    server::endpoints::ServerState,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SeriesExemplars {
    series_labels: Labels,
    exemplars: Vec<ExemplarJson>,
}

#[derive(Serialize)]
struct ExemplarJson {
    labels: TraceIds,
    value: String,
    timestamp: f64,
}

#[derive(Serialize)]
struct TraceIds {
    trace_id: String,
    span_id: String,
}

pub(in crate::server) async fn query(
    State(state): State<ServerState>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::answer(&state, &headers, move |context| {
        let sources = context.sources;
        let start = params.time("start")?.unwrap_or(i64::MIN / 2);
        let end = params.time("end")?.unwrap_or(i64::MAX / 2);
        if end < start {
            return Err(ApiError::bad_data(
                "end timestamp must not be before start timestamp",
            ));
        }
        let expr = parse(params.query(), &sources.queries.engine.options().parse)
            .map_err(|error| ApiError::parameter("query", error))?;
        let selectors = expr.selectors();
        let wanted: Vec<&[Matcher]> = selectors
            .iter()
            .map(|selector| selector.matchers.as_slice())
            .collect();
        Ok(Encoded::success(series_exemplars(
            &sources.gatherer.registry,
            &wanted,
            &(start..=end),
        )))
    })
    .await
}

fn series_exemplars(
    registry: &Registry,
    wanted: &[&[Matcher]],
    times: &TimeRange,
) -> Vec<SeriesExemplars> {
    let mut all: Vec<SeriesExemplars> = exemplars::matching(registry, wanted, times)
        .into_iter()
        .map(|found| SeriesExemplars {
            exemplars: vec![exemplar_json(&found.exemplar)],
            series_labels: found.labels,
        })
        .collect();
    all.sort_by(|a, b| a.series_labels.cmp(&b.series_labels));
    all
}

fn exemplar_json(exemplar: &Exemplar) -> ExemplarJson {
    ExemplarJson {
        labels: TraceIds {
            trace_id: format!("{:032x}", exemplar.trace.trace_id),
            span_id: format!("{:016x}", exemplar.trace.span_id),
        },
        value: format_number(exemplar.value),
        timestamp: exemplar.seconds(),
    }
}
