//! Answers `series`, `labels` and `label/<name>/values`: the stored series and their labels.

use std::collections::BTreeSet;

use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};

use super::{
    Context,
    answer::{ApiError, Encoded, envelope},
    params::Params,
    pieces::Pieces,
    query::{CUT, cut},
};
use crate::{
    query::Labels,
    server::{Sources, endpoints::ServerState},
};

/// Lists every label set that matches any `match[]`, of the series with samples in the requested time range.
pub(in crate::server) async fn series(
    State(state): State<ServerState>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::answer(&state, &headers, move |context| {
        if params.get("match[]").is_none() {
            return Err(ApiError::bad_data("no match[] parameter provided"));
        }
        let found = matching_series(context.sources, &params)?;
        encode(context, found.into_iter().collect(), &params)
    })
    .await
}

/// Lists the names of all labels.
pub(in crate::server) async fn names(
    State(state): State<ServerState>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::answer(&state, &headers, move |context| {
        let found = matching_series(context.sources, &params)?;
        let names: BTreeSet<String> = found
            .iter()
            .flat_map(Labels::iter)
            .map(|label| label.name().to_owned())
            .collect();
        encode(context, names.into_iter().collect(), &params)
    })
    .await
}

/// Lists the values of one label.
pub(in crate::server) async fn values(
    State(state): State<ServerState>,
    Path(name): Path<String>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::answer(&state, &headers, move |context| {
        if name.is_empty() {
            return Err(ApiError::bad_data(format!("invalid label name: {name:?}")));
        }
        let found = matching_series(context.sources, &params)?;
        let values: BTreeSet<String> = found
            .iter()
            .filter_map(|labels| labels.get(&name))
            .map(str::to_owned)
            .collect();
        encode(context, values.into_iter().collect(), &params)
    })
    .await
}

/// Returns the series with samples from `start` to `end` that match any `match[]`; without `match[]`, all series.
fn matching_series(sources: &Sources, params: &Params) -> Result<BTreeSet<Labels>, ApiError> {
    let start = params.time("start")?.unwrap_or(i64::MIN / 2);
    let end = params.time("end")?.unwrap_or(i64::MAX / 2);
    if end < start {
        return Err(ApiError::parameter(
            "end",
            "end timestamp must not be before start time",
        ));
    }
    let queries = &sources.queries;
    let mut sets = params.matchers(&queries.engine.options().parse)?;
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    let of_set = |matchers: &Vec<_>| queries.store.series_between(matchers, start, end);
    Ok(sets.iter().flat_map(of_set).collect())
}

fn encode<T: serde::Serialize + Send + 'static>(
    context: &Context<'_>,
    mut list: Vec<T>,
    params: &Params,
) -> Result<Encoded, ApiError> {
    let is_cut = cut(&mut list, params.limit()?);
    let warnings = if is_cut {
        vec![CUT.to_owned()]
    } else {
        Vec::new()
    };
    let (prefix, suffix) = envelope(("[", "]"), &warnings, &[]);
    let pieces = Pieces::of_list((prefix, list, suffix), context.share);
    pieces
        .map(Encoded::in_pieces)
        .map_err(ApiError::over_budget)
}
