//! Builds OTLP metrics as protobuf messages, for the push to a Collector; `otlp` writes the same data as JSON.

use std::time::Duration;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Exemplar, Gauge, Histogram as HistogramData, HistogramDataPoint,
        Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, metric,
        number_data_point::Value,
    },
    resource::v1::Resource,
};

use super::{Fingerprint, Moment, otlp::ucum, shown};
use crate::metrics::registry::{
    Exemplar as Own, Family, Histogram, LabelSet, Registry, Series, Tables,
};

/// Returns a request with all series that are shown at `moment`.
pub(crate) fn request(registry: &Registry, moment: &Moment) -> ExportMetricsServiceRequest {
    let resource = moment.resource.iter();
    let scope = ScopeMetrics {
        scope: Some(InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        }),
        metrics: registry
            .families()
            .iter()
            .filter_map(|family| metric(registry, family, moment))
            .collect(),
        ..ScopeMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: resource.map(|(key, value)| attribute(key, value)).collect(),
                ..Resource::default()
            }),
            scope_metrics: vec![scope],
            ..ResourceMetrics::default()
        }],
    }
}

/// Returns a metric; `None` if no series is shown.
fn metric(registry: &Registry, family: &Family, moment: &Moment) -> Option<Metric> {
    let cumulative = AggregationTemporality::Cumulative.into();
    let (data, is_empty) = match &family.series {
        Tables::Counter(table) => {
            let points = points(registry, &table.sorted(), moment, |series| {
                let value = series.value();
                let value = match i64::try_from(value.whole) {
                    Ok(whole) if value.fraction == 0.0 => Value::AsInt(whole),
                    _ => Value::AsDouble(value.as_f64()),
                };
                NumberDataPoint {
                    exemplars: series.exemplar().iter().map(exemplar_of).collect(),
                    ..number(series, moment, value)
                }
            });
            let is_empty = points.is_empty();
            let sum = Sum {
                data_points: points,
                aggregation_temporality: cumulative,
                is_monotonic: true,
            };
            (metric::Data::Sum(sum), is_empty)
        }
        Tables::Gauge(table) => {
            let points = points(registry, &table.sorted(), moment, |series| {
                number(series, moment, Value::AsDouble(series.value()))
            });
            let is_empty = points.is_empty();
            let gauge = Gauge {
                data_points: points,
            };
            (metric::Data::Gauge(gauge), is_empty)
        }
        Tables::Histogram(table, ..) => {
            let points = points(registry, &table.sorted(), moment, |series| {
                histogram(series, moment)
            });
            let is_empty = points.is_empty();
            let histogram = HistogramData {
                data_points: points,
                aggregation_temporality: cumulative,
            };
            (metric::Data::Histogram(histogram), is_empty)
        }
    };
    let about = family.about();
    (!is_empty).then(|| Metric {
        name: family.name.to_string(),
        description: about.help.map(|help| help.to_string()).unwrap_or_default(),
        unit: about
            .unit
            .map(|unit| ucum(unit).to_owned())
            .unwrap_or_default(),
        data: Some(data),
        ..Metric::default()
    })
}

fn points<T: Fingerprint, P>(
    registry: &Registry,
    series: &[std::sync::Arc<Series<T>>],
    moment: &Moment,
    point: impl Fn(&Series<T>) -> P,
) -> Vec<P> {
    shown(registry, series, moment).map(point).collect()
}

fn number<T>(series: &Series<T>, moment: &Moment, value: Value) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(&series.labels),
        start_time_unix_nano: nanoseconds(moment.start),
        time_unix_nano: nanoseconds(moment.wall),
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn histogram(series: &Series<Histogram>, moment: &Moment) -> HistogramDataPoint {
    let buckets: Vec<u64> = series.buckets().collect();
    let exemplars = series.exemplars().into_iter().flatten().flatten();
    HistogramDataPoint {
        attributes: attributes(&series.labels),
        start_time_unix_nano: nanoseconds(moment.start),
        time_unix_nano: nanoseconds(moment.wall),
        count: buckets
            .iter()
            .fold(0, |sum: u64, count| sum.wrapping_add(*count)),
        sum: Some(series.sum()),
        bucket_counts: buckets,
        explicit_bounds: series.bounds().upper().to_vec(),
        exemplars: exemplars.map(|own| exemplar_of(&own)).collect(),
        ..HistogramDataPoint::default()
    }
}

fn exemplar_of(own: &Own) -> Exemplar {
    Exemplar {
        time_unix_nano: nanoseconds(Duration::from_secs_f64(own.seconds())),
        trace_id: own.trace.trace_id.to_be_bytes().to_vec(),
        span_id: own.trace.span_id.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(own.value)),
        ..Exemplar::default()
    }
}

fn attributes(labels: &LabelSet) -> Vec<KeyValue> {
    labels
        .pairs()
        .map(|(key, value)| attribute(key, value))
        .collect()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn nanoseconds(since_epoch: Duration) -> u64 {
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::{Format, to_string};
    use super::*;
    use crate::metrics::{catalog, registry::RegistryOptions};

    /// The same metrics, points and numbers as the JSON has.
    #[test]
    fn what_is_pushed_is_what_is_written_as_json() {
        let registry = Registry::new(RegistryOptions::default()).unwrap();
        let counter = registry.counter(&catalog::TOKENS_GENERATED, &[("model_id", "a")]);
        counter.add(7);
        let histogram = registry.histogram(&catalog::INFERENCE_DURATION, &[]);
        histogram.record(0.02);
        registry.gauge(&catalog::ERROR_RATE, &[]).set(0.5);
        let moment = Moment {
            wall: Duration::from_secs(2),
            start: Duration::from_secs(1),
            resource: [("service.name".into(), "router".into())].into(),
            ..Moment::default()
        };
        let request = request(&registry, &moment);
        let [resource] = request.resource_metrics.as_slice() else {
            panic!("one resource");
        };
        let metrics = &resource.scope_metrics[0].metrics;
        let json = to_string(&registry, Format::OpenTelemetry, &moment);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let written = json["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array();
        let written = written.unwrap();
        assert_eq!(metrics.len(), written.len());
        for (metric, written) in metrics.iter().zip(written) {
            assert_eq!(metric.name, written["name"]);
            assert_eq!(metric.description, written["description"].as_str().unwrap());
            match metric.data.as_ref().unwrap() {
                metric::Data::Sum(sum) => {
                    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
                    let point = &sum.data_points[0];
                    let value = &written["sum"]["dataPoints"][0]["asInt"];
                    let Some(Value::AsInt(whole)) = point.value else {
                        panic!("{point:?}");
                    };
                    assert_eq!(whole.to_string(), value.as_str().unwrap());
                    assert_eq!(point.start_time_unix_nano, 1_000_000_000);
                }
                metric::Data::Gauge(gauge) => {
                    let Some(Value::AsDouble(value)) = gauge.data_points[0].value else {
                        panic!("{gauge:?}");
                    };
                    assert_eq!(value, written["gauge"]["dataPoints"][0]["asDouble"]);
                }
                metric::Data::Histogram(histogram) => {
                    let point = &histogram.data_points[0];
                    let written = &written["histogram"]["dataPoints"][0];
                    assert_eq!((point.count, point.sum), (1, Some(0.02)));
                    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                    let bounds = written["explicitBounds"].as_array().unwrap();
                    assert_eq!(bounds.len(), point.explicit_bounds.len());
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
