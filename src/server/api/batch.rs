//! Answers `POST /api/observatory/panels`: the queries of all panels of a page, in one request.
//!
//! A page with twenty charts would otherwise hold the browser's six connections and twenty places of the queue. The
//! queries of a batch run one after the other, at the same time for all of them.

use axum::{
    Json,
    extract::{State, rejection::JsonRejection},
    http::HeaderMap,
    response::Response,
};
use serde::{Deserialize, Serialize};

use super::{
    Context,
    answer::{self, ApiError, Encoded},
    query::cut,
};
use crate::{
    alerting::AlertState,
    metrics::collect::RunLimits,
    query::engine::{ApiResponse, QueryResult, Range, Value},
    server::endpoints::ServerState,
};

/// The maximum number of queries in a batch.
const MAX_QUERIES: usize = 100;
/// The maximum number of series in the answer to a query.
const MAX_SERIES: usize = 1_000;
/// The maximum number of alerts that a batch lists.
const MAX_ALERTS: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct Batch {
    /// The end of every range, and the time of instant queries, in seconds since the epoch. Default: now.
    end: Option<f64>,
    queries: Vec<BatchQuery>,
}

/// A query: over a range if `range` and `step` are given, else at the end of the range.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchQuery {
    id: String,
    query: String,
    /// The length of the range, in seconds.
    range: Option<f64>,
    /// The distance of two points, in seconds.
    step: Option<f64>,
}

#[derive(Serialize)]
struct Answered<'a> {
    id: &'a str,
    #[serde(flatten)]
    response: ApiResponse<'a>,
}

#[derive(Serialize)]
struct AlertCounts {
    firing: usize,
    pending: usize,
    /// The firing alerts, the oldest first.
    list: Vec<crate::alerting::AlertStatus>,
}

/// Evaluates a batch. An error of a query is a part of the answer, so that the other panels are drawn.
pub(in crate::server) async fn panels(
    State(state): State<ServerState>,
    headers: HeaderMap,
    body: Result<Json<Batch>, JsonRejection>,
) -> Response {
    let batch = match body {
        Ok(Json(batch)) => batch,
        Err(error) => return answer::error(&ApiError::bad_data(error.body_text())),
    };
    super::answer(&state, &headers, move |context| evaluate(context, &batch)).await
}

fn evaluate(context: &Context<'_>, batch: &Batch) -> Result<Encoded, ApiError> {
    if batch.queries.len() > MAX_QUERIES {
        let message = format!(
            "queries has {} entries; a batch has at most {MAX_QUERIES}",
            batch.queries.len()
        );
        return Err(ApiError::bad_data(message));
    }
    let sources = context.sources;
    let now = sources.queries.now().as_i64();
    let end = batch.end.map_or(now, milliseconds);
    // The encoded answers; the share of the context holds only the samples of the query that runs.
    let kept = sources.budget.share();
    let mut body =
        format!("{{\"status\":\"success\",\"data\":{{\"now\":{now},\"alerts\":").into_bytes();
    append(&mut body, &alerts(context));
    body.extend_from_slice(b",\"results\":[");
    for (at, asked) in batch.queries.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        append_answer(context, asked, end, &mut body)?;
        kept.hold(body.len()).map_err(ApiError::over_budget)?;
    }
    body.extend_from_slice(b"]}}");
    Ok(Encoded::whole(body))
}

fn append_answer(
    context: &Context<'_>,
    asked: &BatchQuery,
    end: i64,
    body: &mut Vec<u8>,
) -> Result<(), ApiError> {
    let queries = &context.sources.queries;
    let range = range(asked, end, queries.engine.options().max_steps)?;
    let limits = RunLimits {
        engine: &queries.engine,
        share: context.share,
        cancel: Some(context.cancel),
    };
    let mut result = queries.run(&asked.query, &limits, |run| match range {
        Some(range) => run.over(range),
        None => run.at(end),
    });
    if let Ok(result) = &mut result {
        limit(result);
    }
    let answered = Answered {
        id: &asked.id,
        response: ApiResponse::from(&result),
    };
    append(body, &answered);
    Ok(())
}

/// Returns the range of a query. Its points lie on multiples of the step, so that the points of successive polls are the
/// same and a chart does not flicker.
fn range(asked: &BatchQuery, end: i64, max_steps: i64) -> Result<Option<Range>, ApiError> {
    let (range, step) = match (asked.range, asked.step) {
        (None, None) => return Ok(None),
        (Some(range), Some(step)) => (milliseconds(range), milliseconds(step)),
        _ => {
            let message = format!("query {:?} has only one of range and step", asked.id);
            return Err(ApiError::bad_data(message));
        }
    };
    if step <= 0 || range < 0 || range / step > max_steps {
        let message = format!(
            "query {:?}: step must be above 0, range at least 0, and the range at most {max_steps} steps",
            asked.id
        );
        return Err(ApiError::bad_data(message));
    }
    let end = end - end.rem_euclid(step);
    Ok(Some(Range {
        start: end - range,
        end,
        step,
    }))
}

/// Returns milliseconds; a number beyond a century is as good as a century.
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1e3).clamp(-1e13, 1e13) as i64
}

fn limit(result: &mut QueryResult) {
    let is_cut = match &mut result.value {
        Value::Vector(samples) => cut(samples, MAX_SERIES),
        Value::Matrix(series) => cut(series, MAX_SERIES),
        Value::Scalar(_) | Value::String(..) => false,
    };
    if is_cut {
        result
            .warnings
            .push(format!("only {MAX_SERIES} series are shown"));
    }
}

fn alerts(context: &Context<'_>) -> AlertCounts {
    let mut active = context.sources.alerts.active();
    let count = |state| active.iter().filter(|alert| alert.state == state).count();
    let (firing, pending) = (count(AlertState::Firing), count(AlertState::Pending));
    active.retain(|alert| alert.state == AlertState::Firing);
    active.sort_by(|one, other| one.active_at.cmp(&other.active_at));
    active.truncate(MAX_ALERTS);
    AlertCounts {
        firing,
        pending,
        list: active,
    }
}

fn append(body: &mut Vec<u8>, value: &impl Serialize) {
    // Strings, numbers, lists and maps always serialise, and writing to a vector cannot fail.
    if serde_json::to_writer(&mut *body, value).is_err() {
        body.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: Option<f64>, step: Option<f64>) -> BatchQuery {
        BatchQuery {
            id: "a".to_owned(),
            query: String::new(),
            range,
            step,
        }
    }

    #[test]
    fn the_points_of_successive_polls_are_the_same() {
        for (end, expected) in [(60_000, 60_000), (64_999, 60_000), (65_000, 65_000)] {
            let range = range(&asked(Some(20.0), Some(5.0)), end, 100)
                .unwrap()
                .unwrap();
            assert_eq!((range.start, range.end), (expected - 20_000, expected));
        }
        assert!(range(&asked(None, None), 0, 100).unwrap().is_none());
    }

    #[test]
    fn a_range_has_a_step_and_not_too_many_points() {
        for (length, step, is_valid) in [
            (Some(100.0), Some(1.0), true),
            (Some(101.0), Some(1.0), false),
            (Some(10.0), Some(0.0), false),
            (Some(-1.0), Some(1.0), false),
            (Some(f64::NAN), Some(f64::NAN), false),
            (Some(1.0), None, false),
            (None, Some(1.0), false),
        ] {
            let found = range(&asked(length, step), 0, 100);
            assert_eq!(found.is_ok(), is_valid, "{length:?} {step:?}");
        }
    }
}
