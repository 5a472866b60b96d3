//! Splits a request of any signal into requests of a limited size.

use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
        trace::v1::ExportTraceServiceRequest,
    },
    logs::v1::{LogRecord, ResourceLogs},
    metrics::v1::{Metric, ResourceMetrics, metric::Data},
    trace::v1::{ResourceSpans, Span},
};
use prost::Message;

use crate::traces::exporter::split_batch::group_sizes;

/// Bytes of the tag and the length before a message, at most: a protobuf message is below 2 GiB.
const MAX_PREFIX_BYTES: usize = 1 + 5;
/// Bytes by which the lengths of the enclosing messages grow with the items: of a resource and a scope, or of the data
/// of a metric.
const MAX_GROWTH_BYTES: usize = 2 * 4;

/// A request whose items can be split among several requests.
pub(crate) trait Divisible: Message + Sized {
    type Item: Message;

    /// The number of items.
    fn count(&self) -> usize;

    /// For each scope, the request around its items, without items, and the items.
    fn scopes(self) -> impl Iterator<Item = (Self, Vec<Self::Item>)>;

    /// The request around the items of a scope, with these items.
    fn with(around: &Self, items: Vec<Self::Item>) -> Self;

    /// Splits an item that is above the limit.
    fn pieces(item: Self::Item, max_bytes: usize) -> Vec<Self::Item>;
}

/// Requests of at most `max_bytes`, each with the number of its items.
pub(super) fn split<R: Divisible>(request: R, max_bytes: usize) -> Vec<(R, usize)> {
    if request.encoded_len() <= max_bytes {
        let count = request.count();
        return vec![(request, count)];
    }
    let mut parts = Vec::new();
    for (around, items) in request.scopes() {
        let max_bytes = max_bytes.saturating_sub(around.encoded_len() + MAX_GROWTH_BYTES);
        let pieces = |item: R::Item| {
            if item.encoded_len() + MAX_PREFIX_BYTES <= max_bytes {
                vec![item]
            } else {
                R::pieces(item, max_bytes.saturating_sub(MAX_PREFIX_BYTES))
            }
        };
        let items: Vec<R::Item> = items.into_iter().flat_map(pieces).collect();
        let sizes: Vec<usize> = sizes(&items).collect();
        let mut items = items.into_iter();
        for count in group_sizes(sizes, max_bytes) {
            let items = items.by_ref().take(count).collect();
            parts.push((R::with(&around, items), count));
        }
    }
    parts
}

fn sizes<M: Message>(items: &[M]) -> impl Iterator<Item = usize> {
    items
        .iter()
        .map(|item| item.encoded_len() + MAX_PREFIX_BYTES)
}

/// All signals have one shape: resources contain scopes, and scopes contain items.
macro_rules! divisible {
    ($request:ident: $resource:ident.$resources:ident, $scopes:ident, $item:ident.$items:ident, $pieces:expr) => {
        impl Divisible for $request {
            type Item = $item;

            fn count(&self) -> usize {
                let scopes = self
                    .$resources
                    .iter()
                    .flat_map(|resource| &resource.$scopes);
                scopes.map(|scope| scope.$items.len()).sum()
            }

            fn scopes(self) -> impl Iterator<Item = (Self, Vec<$item>)> {
                self.$resources.into_iter().flat_map(|mut resource| {
                    let scopes = std::mem::take(&mut resource.$scopes);
                    scopes.into_iter().map(move |mut scope| {
                        let items = std::mem::take(&mut scope.$items);
                        let around = Self {
                            $resources: vec![$resource {
                                $scopes: vec![scope],
                                ..resource.clone()
                            }],
                        };
                        (around, items)
                    })
                })
            }

            fn with(around: &Self, items: Vec<$item>) -> Self {
                let mut whole = around.clone();
                let scopes = whole.$resources.iter_mut().flat_map(|all| &mut all.$scopes);
                if let Some(scope) = scopes.last() {
                    scope.$items = items;
                }
                whole
            }

            fn pieces(item: $item, max_bytes: usize) -> Vec<$item> {
                $pieces(item, max_bytes)
            }
        }
    };
}

divisible!(ExportTraceServiceRequest: ResourceSpans.resource_spans, scope_spans, Span.spans, whole);
divisible!(ExportLogsServiceRequest: ResourceLogs.resource_logs, scope_logs, LogRecord.log_records, whole);
divisible!(ExportMetricsServiceRequest: ResourceMetrics.resource_metrics, scope_metrics, Metric.metrics, by_points);

/// An item that cannot be split goes alone, and its result is counted.
fn whole<I>(item: I, _: usize) -> Vec<I> {
    vec![item]
}

/// Splits a metric with many series into several with the same name, each with some of the points.
fn by_points(mut metric: Metric, max_bytes: usize) -> Vec<Metric> {
    let Some(data) = metric.data.take() else {
        return vec![metric];
    };
    macro_rules! divided {
        ($kind:ident, $data:ident) => {{
            let points = std::mem::take(&mut $data.data_points);
            let with = |points| {
                let mut data = $data.clone();
                data.data_points = points;
                Metric {
                    data: Some(Data::$kind(data)),
                    ..metric.clone()
                }
            };
            let around = with(Vec::new()).encoded_len() + MAX_GROWTH_BYTES;
            let groups = group_sizes(sizes(&points), max_bytes.saturating_sub(around));
            let mut points = points.into_iter();
            let pieces = groups.into_iter();
            pieces
                .map(|count| with(points.by_ref().take(count).collect()))
                .collect()
        }};
    }
    match data {
        Data::Gauge(mut data) => divided!(Gauge, data),
        Data::Sum(mut data) => divided!(Sum, data),
        Data::Histogram(mut data) => divided!(Histogram, data),
        Data::ExponentialHistogram(mut data) => divided!(ExponentialHistogram, data),
        Data::Summary(mut data) => divided!(Summary, data),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{
        common::v1::InstrumentationScope,
        metrics::v1::{NumberDataPoint, ScopeMetrics, Sum},
        resource::v1::Resource,
        trace::v1::ScopeSpans,
    };

    use super::*;

    /// Two scopes with a hundred spans of about one kilobyte each; the last span is large.
    fn request() -> ExportTraceServiceRequest {
        let span = |id: usize, size| Span {
            span_id: vec![id as u8],
            name: "x".repeat(size),
            ..Span::default()
        };
        let scope = |name: &str, size| ScopeSpans {
            scope: Some(InstrumentationScope {
                name: name.to_owned(),
                ..InstrumentationScope::default()
            }),
            spans: (0..99)
                .map(|id| span(id, 900 + id))
                .chain([span(99, size)])
                .collect(),
            schema_url: "of the scope".to_owned(),
        };
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource::default()),
                scope_spans: vec![scope("a", 1_000), scope("b", 20_000)],
                schema_url: "of the resource".to_owned(),
            }],
        }
    }

    #[test]
    fn requests_are_below_the_limit_and_hold_every_span_in_its_scope() {
        let whole = request();
        let size = whole.encoded_len();
        assert_eq!(split(whole.clone(), size).len(), 1);
        assert!(split(whole.clone(), size - 1).len() > 1);
        let mut found = request();
        for scope in &mut found.resource_spans[0].scope_spans {
            scope.spans.clear();
        }
        let max_bytes = 10_000;
        let parts = split(whole.clone(), max_bytes);
        for (part, count) in &parts {
            let [resource] = &part.resource_spans[..] else {
                unreachable!("{part:?}");
            };
            assert_eq!(resource.schema_url, "of the resource");
            let [scope] = &resource.scope_spans[..] else {
                unreachable!("{part:?}");
            };
            assert_eq!(scope.schema_url, "of the scope");
            assert_eq!(scope.spans.len(), *count);
            assert!(part.encoded_len() <= max_bytes || *count == 1);
            let scopes = &mut found.resource_spans[0].scope_spans;
            let same = scopes.iter_mut().find(|s| s.scope == scope.scope).unwrap();
            same.spans.extend(scope.spans.clone());
        }
        assert_eq!(found, whole);
        let (large, _) = parts.last().unwrap();
        assert!(large.encoded_len() > 20_000);
        // No more requests than are needed.
        assert_eq!(parts.len(), 2 * 11 + 1);
    }

    #[test]
    fn a_metric_with_many_series_is_split_and_each_piece_keeps_its_unit_and_kind() {
        let point = |number: u64| NumberDataPoint {
            time_unix_nano: number + 1,
            ..NumberDataPoint::default()
        };
        let sum = |count: u64| Sum {
            data_points: (0..count).map(point).collect(),
            aggregation_temporality: 2,
            is_monotonic: true,
        };
        let metric = |name: &str, count| Metric {
            name: name.to_owned(),
            unit: "s".to_owned(),
            data: Some(Data::Sum(sum(count))),
            ..Metric::default()
        };
        let whole = ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics {
                    metrics: vec![metric("small", 1), metric("large", 500), metric("last", 1)],
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }],
        };
        let max_bytes = 1_000;
        let parts = split(whole.clone(), max_bytes);
        assert!(parts.len() > 3, "{}", parts.len());
        let mut series = Vec::new();
        for (part, _) in &parts {
            assert!(part.encoded_len() <= max_bytes, "{}", part.encoded_len());
            for metric in &part.resource_metrics[0].scope_metrics[0].metrics {
                assert_eq!(metric.unit, "s");
                let Some(Data::Sum(sum)) = &metric.data else {
                    panic!("a sum");
                };
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
                let times = sum.data_points.iter().map(|point| point.time_unix_nano);
                series.extend(times.map(|time| (metric.name.clone(), time)));
            }
        }
        let large = (1..=500).map(|time| ("large".to_owned(), time));
        let all: Vec<_> = [("small".to_owned(), 1)]
            .into_iter()
            .chain(large)
            .chain([("last".to_owned(), 1)])
            .collect();
        assert_eq!(series, all);
    }
}
