//! Parses and compares the responses of the HTTP API.

use std::collections::BTreeMap;

use serde_json::Value;

/// The tolerance, relative to the larger value.
const TOLERANCE: f64 = 1e-9;

/// Returns the first difference between two responses, relative to the size of the numbers.
pub(super) fn difference(theirs: &Value, ours: &Value) -> Option<String> {
    if theirs["status"] != ours["status"] {
        return Some(format!("theirs {} ours {}", short(theirs), short(ours)));
    }
    if theirs["status"] == "error" {
        return None;
    }
    let (theirs, ours) = (&theirs["data"], &ours["data"]);
    if theirs["resultType"] != ours["resultType"] {
        return Some(format!(
            "types: theirs {} ours {}",
            short(theirs),
            short(ours)
        ));
    }
    let (a, b) = (by_series(theirs), by_series(ours));
    for (labels, points) in &a {
        let Some(other) = b.get(labels) else {
            return Some(format!(
                "ours lacks {labels}: theirs {} ours {}",
                short(theirs),
                short(ours)
            ));
        };
        if points.len() != other.len() {
            return Some(format!(
                "{labels}: {} points, ours {}",
                points.len(),
                other.len()
            ));
        }
        for (point, other) in points.iter().zip(other) {
            if !is_close(point.0, other.0, 0.0) || !is_close(point.1, other.1, TOLERANCE) {
                return Some(format!("{labels}: theirs {point:?} ours {other:?}"));
            }
        }
    }
    b.keys()
        .find(|labels| !a.contains_key(*labels))
        .map(|labels| format!("ours has {labels} too"))
}

pub(super) fn short(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}

fn is_close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

fn by_series(data: &Value) -> BTreeMap<String, Vec<(f64, f64)>> {
    let point = |pair: &Value| (pair[0].as_f64().unwrap(), number(&pair[1]));
    let mut all = BTreeMap::new();
    match data["resultType"].as_str().unwrap() {
        "scalar" => {
            all.insert(String::new(), vec![point(&data["result"])]);
        }
        "string" => {
            all.insert(
                data["result"][1].to_string(),
                vec![(data["result"][0].as_f64().unwrap(), 0.0)],
            );
        }
        _ => {
            for series in data["result"].as_array().unwrap() {
                let points = series.get("values").and_then(Value::as_array).cloned();
                let points = points.unwrap_or_else(|| vec![series["value"].clone()]);
                // Equal label sets must not hide each other.
                let key = format!(
                    "{} {}",
                    series["metric"],
                    if all.contains_key(&series["metric"].to_string()) {
                        "again"
                    } else {
                        ""
                    }
                );
                all.insert(key, points.iter().map(point).collect());
            }
        }
    }
    all
}

fn number(value: &Value) -> f64 {
    match value.as_str().unwrap() {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse().unwrap(),
    }
}
