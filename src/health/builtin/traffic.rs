//! The checks of the error rate and of the mean response time, by `PromQL` over the stored series.
//!
//! Both are quiet without traffic: below 20 requests in five minutes, a ratio means nothing.

use std::{sync::Arc, time::Duration};

use crate::{
    health::{Check, CheckResult, HealthStatus},
    metrics::collect::{Queries, RunLimits},
    query::engine::Value,
};

/// Returns the check of the share of requests that failed.
pub(super) fn error_rate(queries: Arc<Queries>, prefix: &str, threshold: f64) -> Check {
    let requests = format!("{prefix}http_requests_total");
    let query = format!(
        r#"sum(rate({requests}{{status_code=~"5.."}}[5m])) / sum(rate({requests}[5m])) and sum(increase({requests}[5m])) >= 20"#
    );
    let message = move |share: f64| {
        let (percent, limit) = (100.0 * share, 100.0 * threshold);
        format!("{percent:.1} % of the requests of the last 5 minutes failed (limit {limit} %)")
    };
    check(queries, query, (threshold, "error_rate"), message)
}

/// Returns the check of the mean time of requests.
pub(super) fn response_time(queries: Arc<Queries>, prefix: &str, threshold: Duration) -> Check {
    let duration = format!("{prefix}http_request_duration_seconds");
    let query = format!(
        "sum(rate({duration}_sum[5m])) / sum(rate({duration}_count[5m])) and sum(increase({duration}_count[5m])) >= 20"
    );
    let message = move |seconds: f64| {
        format!(
            "requests of the last 5 minutes took {seconds:.3} s on average (limit {threshold:?})"
        )
    };
    check(
        queries,
        query,
        (threshold.as_secs_f64(), "mean_seconds"),
        message,
    )
}

/// Returns the check of a value: above its threshold, the service is degraded.
fn check(
    queries: Arc<Queries>,
    query: String,
    (threshold, name): (f64, &'static str),
    message: impl Fn(f64) -> String + Send + Sync + Clone + 'static,
) -> Check {
    Check::own(move || {
        let (queries, query, message) = (Arc::clone(&queries), query.clone(), message.clone());
        async move {
            match evaluate(&queries, &query) {
                Ok(Some(value)) => {
                    let is_above = value > threshold;
                    let status = if is_above {
                        HealthStatus::Degraded
                    } else {
                        HealthStatus::Healthy
                    };
                    CheckResult::new(status, message(value)).with_data(name, value)
                }
                Ok(None) => CheckResult::healthy(
                    "fewer than 20 requests in the last 5 minutes, or no failure",
                ),
                Err(error) => CheckResult::degraded(format!("cannot be evaluated: {error}")),
            }
        }
    })
}

/// Returns the value of a query with at most one series.
fn evaluate(queries: &Queries, query: &str) -> Result<Option<f64>, String> {
    let limits = RunLimits {
        engine: &queries.engine,
        share: &queries.own_budget.share(),
        cancel: None,
    };
    let now = queries.now().as_i64();
    let result = queries
        .run(query, &limits, |run| run.at(now))
        .map_err(|error| error.to_string())?;
    match result.value {
        Value::Vector(samples) => Ok(samples.first().map(|sample| sample.point.value)),
        _ => Err("the query does not return a vector".to_owned()),
    }
}
