//! Answers `query`, `query_range` and `format_query`.

use axum::{extract::State, http::HeaderMap, response::Response};

use super::{
    Context, answer,
    answer::{ApiError, Encoded, envelope},
    params::Params,
    pieces::Pieces,
};
use crate::{
    metrics::collect::RunLimits,
    query::engine::{Engine, QueryError, QueryResult, Range, Run, Value, syntax::parse},
    server::{Sources, endpoints::ServerState},
};

/// Prometheus's warning about a result that `limit` has cut.
pub(super) const CUT: &str = "results truncated due to limit";
/// Prometheus's error for a range query with too many steps.
const TOO_MANY_STEPS: &str = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";

pub(in crate::server) async fn instant(
    State(state): State<ServerState>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::answer(&state, &headers, move |context| {
        let now = context.sources.queries.now().as_i64();
        let time = params.time("time")?.unwrap_or(now);
        run(context, &params, |run| run.at(time))
    })
    .await
}

pub(in crate::server) async fn range(
    State(state): State<ServerState>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::answer(&state, &headers, move |context| {
        let max_steps = context.sources.queries.engine.options().max_steps;
        let range = requested_range(&params, max_steps)?;
        run(context, &params, |run| run.over(range))
    })
    .await
}

fn run(
    context: &Context<'_>,
    params: &Params,
    evaluate: impl FnOnce(Run<'_>) -> Result<QueryResult, QueryError>,
) -> Result<Encoded, ApiError> {
    let limit = params.limit()?;
    let limits = RunLimits {
        engine: &engine(context.sources, params)?,
        share: context.share,
        cancel: Some(context.cancel),
    };
    let queries = &context.sources.queries;
    let result = queries.run(params.query(), &limits, evaluate)?;
    encode(context, result, limit)
}

pub(in crate::server) async fn format(
    State(state): State<ServerState>,
    params: Params,
) -> Response {
    let limits = &state.sources.queries.engine.options().parse;
    match parse(params.query(), limits) {
        Ok(expr) => Encoded::success(expr.pretty()).into_response(),
        Err(error) => answer::error(&ApiError::parameter("query", error)),
    }
}

/// Returns the engine with the limits that the request asks for.
fn engine(sources: &Sources, params: &Params) -> Result<Engine, ApiError> {
    let options = sources.queries.engine.options().clone();
    let timeout = params.timeout(options.timeout)?;
    let lookback = params.duration("lookback_delta")?;
    let mut options = options.with_timeout(timeout);
    if let Some(lookback) = lookback.filter(|lookback| *lookback > 0) {
        options = options.with_lookback(std::time::Duration::from_millis(lookback.unsigned_abs()));
    }
    Ok(Engine::new(options))
}

fn requested_range(params: &Params, max_steps: i64) -> Result<Range, ApiError> {
    let start = params.required_time("start")?;
    let end = params.required_time("end")?;
    if end < start {
        return Err(ApiError::parameter(
            "end",
            "end timestamp must not be before start time",
        ));
    }
    let step = params
        .duration("step")?
        .ok_or_else(|| ApiError::parameter("step", "cannot parse \"\" to a valid duration"))?;
    if step <= 0 {
        return Err(ApiError::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if end.saturating_sub(start) / step > max_steps {
        return Err(ApiError::bad_data(TOO_MANY_STEPS));
    }
    Ok(Range { start, end, step })
}

fn encode(
    context: &Context<'_>,
    mut result: QueryResult,
    limit: usize,
) -> Result<Encoded, ApiError> {
    let is_cut = match &mut result.value {
        Value::Vector(samples) => cut(samples, limit),
        Value::Matrix(series) => cut(series, limit),
        Value::Scalar(_) | Value::String(..) => false,
    };
    if is_cut {
        result.warnings.push(CUT.to_owned());
    }
    let (warnings, infos) = (&result.warnings, &result.infos);
    let around = |kind| {
        let before = format!("{{\"resultType\":\"{kind}\",\"result\":[");
        envelope((&before, "]}"), warnings, infos)
    };
    let pieces = match result.value {
        Value::Matrix(series) => {
            let (prefix, suffix) = around("matrix");
            Pieces::of_series((prefix, series, suffix), context.share)
        }
        Value::Vector(samples) => {
            let (prefix, suffix) = around("vector");
            Pieces::of_list((prefix, samples, suffix), context.share)
        }
        value @ (Value::Scalar(_) | Value::String(..)) => {
            let (prefix, suffix) = envelope(("", ""), warnings, infos);
            Pieces::of_list((prefix, vec![value], suffix), context.share)
        }
    };
    pieces
        .map(Encoded::in_pieces)
        .map_err(ApiError::over_budget)
}

pub(super) fn cut<T>(list: &mut Vec<T>, limit: usize) -> bool {
    let is_cut = list.len() > limit;
    list.truncate(limit);
    is_cut
}
