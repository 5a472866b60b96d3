//! Writes OTLP metrics as JSON: an `ExportMetricsServiceRequest` by the rules of OTLP/JSON. 64-bit integers and
//! non-finite numbers are strings; ids are hexadecimal.

use std::{ops::ControlFlow, time::Duration};

use serde_json::{Value, json};

use super::{Chunks, Moment, shown};
use crate::metrics::registry::{Exemplar, Family, Histogram, LabelSet, Registry, Series, Tables};

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`: values since the start of the process.
const CUMULATIVE: u8 = 2;

pub(super) fn write(registry: &Registry, moment: &Moment, out: &mut Chunks<'_>) -> ControlFlow<()> {
    let resource: Vec<Value> = moment
        .resource
        .iter()
        .map(|(key, value)| attribute(key, value))
        .collect();
    let scope = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
    let text = out.text();
    text.push_str(r#"{"resourceMetrics":[{"resource":{"attributes":"#);
    text.push_str(&Value::from(resource).to_string());
    text.push_str(r#"},"scopeMetrics":[{"scope":"#);
    text.push_str(&scope.to_string());
    text.push_str(r#","metrics":["#);
    let mut separator = "";
    for family in registry.families() {
        if let Some(metric) = metric(registry, &family, moment) {
            out.text().push_str(std::mem::replace(&mut separator, ","));
            out.text().push_str(&metric.to_string());
            out.pass()?;
        }
    }
    out.text().push_str("]}]}]}\n");
    ControlFlow::Continue(())
}

/// Returns a metric; `None` if no series is shown.
fn metric(registry: &Registry, family: &Family, moment: &Moment) -> Option<Value> {
    let (data, points) = match &family.series {
        Tables::Counter(table) => {
            let sorted = table.sorted();
            let points = shown(registry, &sorted, moment).map(|series| {
                let value = series.value();
                let mut point = point(&series.labels, moment);
                if value.fraction == 0.0 {
                    point["asInt"] = value.whole.to_string().into();
                } else {
                    point["asDouble"] = double(value.as_f64());
                }
                set_exemplars(&mut point, series.exemplar());
                point
            });
            ("sum", points.collect::<Vec<_>>())
        }
        Tables::Gauge(table) => {
            let sorted = table.sorted();
            let points = shown(registry, &sorted, moment).map(|series| {
                let mut point = point(&series.labels, moment);
                point["asDouble"] = double(series.value());
                point
            });
            ("gauge", points.collect())
        }
        Tables::Histogram(table, ..) => {
            let sorted = table.sorted();
            let points =
                shown(registry, &sorted, moment).map(|series| histogram_point(series, moment));
            ("histogram", points.collect())
        }
    };
    if points.is_empty() {
        return None;
    }
    let mut values = json!({ "dataPoints": points });
    if data != "gauge" {
        values["aggregationTemporality"] = CUMULATIVE.into();
    }
    if data == "sum" {
        values["isMonotonic"] = true.into();
    }
    let about = family.about();
    let mut metric = json!({ "name": &*family.name, data: values });
    if let Some(help) = about.help {
        metric["description"] = help.to_string().into();
    }
    if let Some(unit) = about.unit {
        metric["unit"] = ucum(unit).into();
    }
    Some(metric)
}

fn point(labels: &LabelSet, moment: &Moment) -> Value {
    let attributes: Vec<Value> = labels
        .pairs()
        .map(|(key, value)| attribute(key, value))
        .collect();
    json!({
        "attributes": attributes,
        "startTimeUnixNano": nanoseconds(moment.start),
        "timeUnixNano": nanoseconds(moment.wall),
    })
}

fn histogram_point(series: &Series<Histogram>, moment: &Moment) -> Value {
    let buckets: Vec<u64> = series.buckets().collect();
    let mut point = point(&series.labels, moment);
    point["count"] = buckets
        .iter()
        .fold(0_u64, |sum, count| sum.wrapping_add(*count))
        .to_string()
        .into();
    point["sum"] = double(series.sum());
    point["bucketCounts"] = buckets.iter().map(u64::to_string).collect();
    point["explicitBounds"] = series
        .bounds()
        .upper()
        .iter()
        .copied()
        .map(double)
        .collect();
    set_exemplars(
        &mut point,
        series.exemplars().into_iter().flatten().flatten(),
    );
    point
}

fn set_exemplars(point: &mut Value, exemplars: impl IntoIterator<Item = Exemplar>) {
    let exemplars: Vec<Value> = exemplars
        .into_iter()
        .map(|exemplar| {
            json!({
                "timeUnixNano": nanoseconds(Duration::from_secs_f64(exemplar.seconds())),
                "asDouble": double(exemplar.value),
                "traceId": format!("{:032x}", exemplar.trace.trace_id),
                "spanId": format!("{:016x}", exemplar.trace.span_id),
            })
        })
        .collect();
    if !exemplars.is_empty() {
        point["exemplars"] = exemplars.into();
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn nanoseconds(since_epoch: Duration) -> String {
    since_epoch.as_nanos().to_string()
}

/// Returns a number; NaN and infinities, which JSON lacks, as the strings of protobuf's JSON mapping.
fn double(value: f64) -> Value {
    match value {
        value if value.is_nan() => "NaN".into(),
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        value => value.into(),
    }
}

/// Returns the UCUM code of a unit, as OpenTelemetry requires.
pub(super) fn ucum(unit: &str) -> &str {
    match unit {
        "seconds" => "s",
        "bytes" => "By",
        "ratio" => "1",
        "celsius" => "Cel",
        "joules" => "J",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, to_string};
    use super::*;
    use crate::metrics::{catalog, registry::RegistryOptions};

    #[test]
    fn sums_are_cumulative_and_monotonic_and_histograms_have_one_count_more_than_bounds() {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        registry
            .counter(&catalog::TOKENS_GENERATED, &[("model_id", "a")])
            .add(7);
        registry
            .histogram(&catalog::INFERENCE_DURATION, &[])
            .record(0.02);
        registry.gauge(&catalog::ERROR_RATE, &[]).set(f64::NAN);
        let moment = Moment {
            wall: Duration::from_secs(2),
            start: Duration::from_secs(1),
            resource: [("service.name".into(), "router".into())].into(),
            ..Moment::default()
        };
        let json: Value =
            serde_json::from_str(&to_string(&registry, Format::OpenTelemetry, &moment)).unwrap();
        let resource = &json["resourceMetrics"][0];
        assert_eq!(
            resource["resource"]["attributes"][0]["value"]["stringValue"],
            "router"
        );
        let metrics = resource["scopeMetrics"][0]["metrics"].as_array().unwrap();
        let named = |name: &str| {
            metrics
                .iter()
                .find(|metric| metric["name"] == name)
                .unwrap()
        };
        let tokens = &named("llm_router_tokens_generated_total")["sum"];
        assert_eq!(tokens["isMonotonic"], true);
        assert_eq!(tokens["dataPoints"][0]["asInt"], "7");
        assert_eq!(tokens["dataPoints"][0]["startTimeUnixNano"], "1000000000");
        let durations =
            &named("llm_router_model_inference_duration_seconds")["histogram"]["dataPoints"][0];
        assert_eq!(
            durations["bucketCounts"].as_array().unwrap().len(),
            durations["explicitBounds"].as_array().unwrap().len() + 1
        );
        assert_eq!(
            named("llm_router_error_rate")["gauge"]["dataPoints"][0]["asDouble"],
            "NaN"
        );
    }
}
