//! Makes of a request of spans as many as its receiver takes.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use prost::Message as _;

use crate::traces::exporter::parts::{Pack, packs};

/// Tag and length before a message, at most: protobuf's messages are below 2 GiB.
const BEFORE: usize = 1 + 5;
/// By how much the lengths of a resource and a scope grow with what is in them.
const GROWTH: usize = 2 * 4;

/// Requests of `most` bytes, each with what is in it.
pub(super) fn split(
    request: ExportTraceServiceRequest,
    most: usize,
) -> Vec<(ExportTraceServiceRequest, Pack)> {
    if request.encoded_len() <= most {
        let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
        let spans = scopes.map(|scope| scope.spans.len()).sum();
        return vec![(request, Pack::of(spans))];
    }
    let mut parts = Vec::new();
    for mut resource in request.resource_spans {
        for mut scope in std::mem::take(&mut resource.scope_spans) {
            let mut spans = std::mem::take(&mut scope.spans).into_iter();
            let with = |spans: Vec<Span>| ExportTraceServiceRequest {
                resource_spans: vec![ResourceSpans {
                    scope_spans: vec![ScopeSpans {
                        spans,
                        ..scope.clone()
                    }],
                    ..resource.clone()
                }],
            };
            let around = with(Vec::new()).encoded_len() + GROWTH;
            let sizes = spans
                .as_slice()
                .iter()
                .map(|span| span.encoded_len() + BEFORE);
            for pack in packs(sizes, most.saturating_sub(around)) {
                parts.push((with(spans.by_ref().take(pack.spans).collect()), pack));
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::{common::v1::InstrumentationScope, resource::v1::Resource};

    use super::*;

    /// Two scopes with a hundred spans each, of one kilobyte or so; the last is large.
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
    fn parts_are_small_enough_and_hold_every_span_in_its_scope() {
        let whole = request();
        let size = whole.encoded_len();
        assert_eq!(split(whole.clone(), size).len(), 1);
        assert!(split(whole.clone(), size - 1).len() > 1);
        let mut found = request();
        for scope in &mut found.resource_spans[0].scope_spans {
            scope.spans.clear();
        }
        let most = 10_000;
        let parts = split(whole.clone(), most);
        for (part, pack) in &parts {
            let [resource] = &part.resource_spans[..] else {
                unreachable!("{part:?}");
            };
            assert_eq!(resource.schema_url, "of the resource");
            let [scope] = &resource.scope_spans[..] else {
                unreachable!("{part:?}");
            };
            assert_eq!(scope.schema_url, "of the scope");
            assert_eq!(scope.spans.len(), pack.spans);
            assert_eq!(part.encoded_len() > most, pack.is_too_large);
            let scopes = &mut found.resource_spans[0].scope_spans;
            let same = scopes.iter_mut().find(|s| s.scope == scope.scope).unwrap();
            same.spans.extend(scope.spans.clone());
        }
        assert_eq!(found, whole);
        let (large, _) = parts.last().unwrap();
        assert!(large.encoded_len() > 20_000);
        // No more of them than are needed.
        assert_eq!(parts.len(), 2 * 11 + 1);
    }
}
