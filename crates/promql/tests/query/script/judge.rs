//! Compares a result with the expectation of a script.

use std::collections::BTreeMap;

use promql_engine::engine::{QueryError, QueryResult, Value};
use promql_engine::{Labels, LabelsBuilder};

use super::format::{Expectation, Wanted};

type Points = Vec<(i64, f64)>;

pub(super) fn judge(
    result: &Result<QueryResult, QueryError>,
    expected: &Expectation,
    times: &[i64],
) -> Result<(), String> {
    match result {
        Err(error) if expected.fails => {
            let message = error.to_string();
            match &expected.failure {
                Some(wanted) if !wanted.is_met_by(&message) => {
                    Err(format!("fails otherwise: {message}"))
                }
                _ => Ok(()),
            }
        }
        Ok(result) if expected.fails => Err(format!("should fail, gave {result:?}")),
        Err(error) => Err(error.to_string()),
        Ok(result) => {
            notes("warning", expected.warnings.as_deref(), &result.warnings)?;
            notes("info", expected.infos.as_deref(), &result.infos)?;
            values(&result.value, expected, times)
        }
    }
}

/// Checks that each expected message exists, and no other message.
fn notes(kind: &str, wanted: Option<&[Wanted]>, got: &[String]) -> Result<(), String> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    // The format's messages name no place.
    let place = |text: &String| text.rfind(" (").unwrap_or(text.len());
    let got: Vec<&str> = got.iter().map(|text| &text[..place(text)]).collect();
    let all_there = wanted.iter().all(|w| got.iter().any(|g| w.is_met_by(g)));
    let none_else = got.iter().all(|g| wanted.iter().any(|w| w.is_met_by(g)));
    if all_there && none_else {
        Ok(())
    } else {
        Err(format!("{kind}s are not as expected: {got:?}"))
    }
}

pub(super) fn values(value: &Value, expected: &Expectation, times: &[i64]) -> Result<(), String> {
    let is_wanted = |condition: bool| {
        if condition {
            Ok(())
        } else {
            Err(format!("gave {value:?}"))
        }
    };
    let got: Vec<(Labels, Points)> = match value {
        Value::Scalar(point) => {
            let close = |wanted| is_close(wanted, point.value);
            return is_wanted(expected.scalar.is_some_and(close));
        }
        Value::String(_, text) => return is_wanted(expected.text.as_ref() == Some(text)),
        Value::Vector(samples) => samples
            .iter()
            .map(|s| (s.labels.clone(), vec![(s.point.timestamp, s.point.value)]))
            .collect(),
        Value::Matrix(series) => series
            .iter()
            .map(|s| {
                let points = s.points.iter().map(|p| (p.timestamp, p.value));
                (s.labels.clone(), points.collect())
            })
            .collect(),
    };
    let times = expected.times.as_deref().unwrap_or(times);
    let wanted: Vec<(Labels, Points)> = expected
        .series
        .iter()
        .map(|(labels, values)| {
            let points = times.iter().zip(values);
            let points = points.filter_map(|(time, value)| Some((*time, (*value)?)));
            // The same set, whichever way it came about.
            (LabelsBuilder::from_labels(labels).build(), points.collect())
        })
        .filter(|(_, points): &(_, Points)| !points.is_empty())
        .collect();
    if expected.is_ordered {
        let labels = |all: &[(Labels, Points)]| -> Vec<Labels> {
            all.iter().map(|series| series.0.clone()).collect()
        };
        is_wanted(labels(&got) == labels(&wanted))?;
    }
    let mut rest: BTreeMap<Labels, Points> = BTreeMap::new();
    for (labels, points) in got {
        if rest.insert(labels.clone(), points).is_some() {
            return Err(format!("{labels} comes twice"));
        }
    }
    for (labels, wanted) in wanted {
        let points = rest.remove(&labels);
        let points = points.ok_or_else(|| format!("{labels} is missing"))?;
        let mut pairs = wanted.iter().zip(&points);
        let is_same = |(a, b): (&(i64, f64), &(i64, f64))| a.0 == b.0 && is_close(a.1, b.1);
        if wanted.len() != points.len() || !pairs.all(is_same) {
            return Err(format!("{labels}: expected {wanted:?}, got {points:?}"));
        }
    }
    match rest.keys().next() {
        Some(labels) => Err(format!("{labels} was not expected")),
        None => Ok(()),
    }
}

/// Prometheus's tolerance: a millionth of the sum of both values, and almost zero if a value is zero.
fn is_close(a: f64, b: f64) -> bool {
    const EPSILON: f64 = 1e-6;
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}
