//! `query_exemplars`: the traces behind the buckets of histograms.
//!
//! The registry holds the newest exemplar of each bucket, so that is what there is to be found.

use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Serialize;

use super::{
    answer::{ApiError, Encoded},
    params::Params,
};
use crate::{
    metrics::registry::{Exemplar, Family, Histogram, Registry, Series, Tables},
    query::{
        Labels, Matcher,
        collector::labels,
        engine::{format_number, syntax::parse},
    },
    server::endpoints::Answers,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfSeries {
    series_labels: Labels,
    exemplars: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    labels: Ids,
    value: String,
    timestamp: f64,
}

#[derive(Serialize)]
struct Ids {
    trace_id: String,
    span_id: String,
}

pub(in crate::server) async fn query(
    State(answers): State<Answers>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    super::answer(&answers, &headers, move |core, _| {
        let start = params.time("start")?.unwrap_or(i64::MIN / 2);
        let end = params.time("end")?.unwrap_or(i64::MAX / 2);
        if end < start {
            return Err(ApiError::bad_data(
                "end timestamp must not be before start timestamp",
            ));
        }
        let expr = parse(params.query(), &core.query.engine.options().parse)
            .map_err(|error| ApiError::parameter("query", error))?;
        let selectors = expr.selectors();
        let wanted: Vec<&[Matcher]> = selectors
            .iter()
            .map(|selector| selector.matchers.as_slice())
            .collect();
        Ok(Encoded::success(found(
            &core.registry,
            &wanted,
            (start, end),
        )))
    })
    .await
}

fn found(registry: &Registry, wanted: &[&[Matcher]], time: (i64, i64)) -> Vec<OfSeries> {
    let mut all = Vec::new();
    for family in registry.families() {
        if let Tables::Histogram(table, ..) = &family.series {
            for series in table.sorted().iter() {
                of_histogram(&family, series, wanted, time, &mut all);
            }
        }
    }
    all.sort_by(|a, b| a.series_labels.cmp(&b.series_labels));
    all
}

fn of_histogram(
    family: &Family,
    series: &Series<Histogram>,
    wanted: &[&[Matcher]],
    (start, end): (i64, i64),
    all: &mut Vec<OfSeries>,
) {
    let bucket_name = format!("{}_bucket", family.name);
    let buckets = series.exemplars().into_iter().flatten().enumerate();
    for (bucket, exemplar) in buckets {
        let Some(exemplar) = exemplar else { continue };
        let time = (exemplar.seconds() * 1e3) as i64;
        if !(start..=end).contains(&time) {
            continue;
        }
        let le = series.bounds().le().get(bucket);
        let le = le.map_or("+Inf", String::as_str);
        let labels = labels(&bucket_name, &series.labels, Some(le));
        let meets = |matchers: &&[Matcher]| matchers.iter().all(|m| m.is_met_by(&labels));
        if wanted.iter().any(meets) {
            all.push(OfSeries {
                series_labels: labels,
                exemplars: vec![shown(&exemplar)],
            });
        }
    }
}

fn shown(exemplar: &Exemplar) -> Found {
    Found {
        labels: Ids {
            trace_id: format!("{:032x}", exemplar.trace.trace_id),
            span_id: format!("{:016x}", exemplar.trace.span_id),
        },
        value: format_number(exemplar.value),
        timestamp: exemplar.seconds(),
    }
}
