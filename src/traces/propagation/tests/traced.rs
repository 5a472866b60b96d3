//! Tests of remote parents in a subscriber that records spans.

use opentelemetry_sdk::trace::SpanData;
use tracing::info_span;

use super::*;
use crate::{traces::SamplingConfig, traces::gate::tests::ended};

const ALL: [Propagator; 5] = Propagator::ALL;

fn sampling(ratio: f64) -> SamplingConfig {
    SamplingConfig {
        ratio,
        ..SamplingConfig::default()
    }
}

/// A request with these headers, in each of the ways that a server may set its parent: its two spans, and the headers
/// that each of them sends to the next service.
fn requests(
    config: &SamplingConfig,
    pairs: &[(&'static str, &str)],
) -> Vec<(Vec<SpanData>, [HeaderMap; 2])> {
    let came = headers(pairs);
    let attached = |span: fn() -> Span| {
        let attached = extract(&came, &ALL).attach();
        let span = span();
        drop(attached);
        span
    };
    let edge = || info_span!("request", otel.kind = "server");
    let ways: [&dyn Fn() -> Span; 4] = [
        &|| attached(|| info_span!("request")),
        &|| attached(|| info_span!("request", otel.kind = "server")),
        &|| {
            let span = edge();
            extract(&came, &ALL).set_parent_of(&span);
            span
        },
        &|| {
            #[cfg(any(feature = "http", feature = "grpc"))]
            let span = received(&came, true, edge);
            #[cfg(not(any(feature = "http", feature = "grpc")))]
            let span = edge();
            #[cfg(not(any(feature = "http", feature = "grpc")))]
            extract(&came, &ALL).set_parent_of(&span);
            span
        },
    ];
    let served = ways.map(|way| {
        let mut sent = [HeaderMap::new(), HeaderMap::new()];
        let ended = ended(config, &ALL, || {
            let request = way();
            request.in_scope(|| {
                let call = info_span!("call");
                inject(&request, &mut sent[0], &ALL);
                inject(&call, &mut sent[1], &ALL);
            });
        });
        (ended, sent)
    });
    served.into()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn a_decision_without_ids_is_that_of_the_trace_that_begins() {
    for (name, value) in [("b3", "0"), ("x-b3-sampled", "0")] {
        for (spans, sent) in requests(&sampling(1.0), &[(name, value)]) {
            assert!(spans.is_empty(), "{name}: {value}: {spans:?}");
            for sent in &sent {
                assert!(text(sent, "b3").unwrap().ends_with("-0"));
                assert!(text(sent, "traceparent").unwrap().ends_with("-00"));
            }
        }
    }
    for (name, value) in [("b3", "1"), ("b3", "d"), ("x-b3-flags", "1")] {
        for (spans, sent) in requests(&sampling(0.0), &[(name, value)]) {
            let [call, request] = &spans[..] else {
                panic!("{name}: {value}: {spans:?}");
            };
            assert_eq!(request.parent_span_id, SpanId::INVALID);
            assert_eq!(call.parent_span_id, request.span_context.span_id());
            assert!(text(&sent[1], "traceparent").unwrap().ends_with("-01"));
        }
    }
    // The decision of a caller that is not respected has no effect.
    let config = SamplingConfig {
        respects_parent: false,
        ..sampling(1.0)
    };
    for (spans, _) in requests(&config, &[("b3", "0")]) {
        assert_eq!(spans.len(), 2);
    }
}

#[test]
fn ids_without_a_decision_are_kept_by_the_share_that_holds_them() {
    // A ratio of one half contains an id by its bit 63.
    for (trace, is_kept) in [
        ("4bf92f3577b34da623ce929d0e0e4736", true),
        ("4bf92f3577b34da6a3ce929d0e0e4736", false),
    ] {
        let single = format!("{trace}-{SPAN}");
        let multi = [("x-b3-traceid", trace), ("x-b3-spanid", SPAN)];
        for pairs in [&[("b3", &*single)][..], &multi] {
            for (spans, sent) in requests(&sampling(0.5), pairs) {
                assert_eq!(spans.len(), if is_kept { 2 } else { 0 }, "{pairs:?}");
                let b3 = text(&sent[0], "b3").unwrap();
                assert!(b3.starts_with(trace));
                assert!(b3.ends_with(if is_kept { "-1" } else { "-0" }), "{b3}");
            }
        }
    }
}

#[test]
fn a_debug_flag_goes_on() {
    let single = format!("{TRACE}-{SPAN}-d");
    let multi = [
        ("x-b3-traceid", TRACE),
        ("x-b3-spanid", SPAN),
        ("x-b3-flags", "1"),
    ];
    let jaeger = format!("{TRACE}:{SPAN}:0:3");
    for pairs in [
        &[("b3", &*single)][..],
        &multi,
        &[("uber-trace-id", &*jaeger)],
    ] {
        for (spans, sent) in requests(&sampling(0.0), pairs) {
            assert_eq!(spans.len(), 2, "{pairs:?}");
            for sent in &sent {
                assert!(text(sent, "b3").unwrap().ends_with("-d"));
                assert_eq!(text(sent, "x-b3-flags"), Some("1"));
                // B3: not sent with the debug flag, which implies it.
                assert_eq!(text(sent, "x-b3-sampled"), None);
                assert!(text(sent, "uber-trace-id").unwrap().ends_with(":3"));
                assert!(text(sent, "traceparent").unwrap().ends_with("-01"));
            }
        }
    }
}

#[cfg(any(feature = "http", feature = "grpc"))]
#[test]
fn a_request_of_a_span_that_nobody_wants_carries_on_what_is_around_it() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    for ratio in [0.0, 1.0] {
        let mut sent_on = HeaderMap::new();
        let mut around = [HeaderMap::new(), HeaderMap::new()];
        let spans = ended(&sampling(ratio), &ALL, || {
            let came = extract(&headers(&[("traceparent", &parent)]), &ALL);
            let attached = came.attach();
            sent(&Span::none(), &mut sent_on);
            drop(attached);
            let request = info_span!("request");
            request.in_scope(|| sent(&Span::none(), &mut around[0]));
            sent(&request, &mut around[1]);
        });
        assert_eq!(spans.len(), usize::from(ratio > 0.0));
        assert_eq!(text(&sent_on, "traceparent"), Some(&*parent));
        let around = around.map(|headers| text(&headers, "traceparent").unwrap().to_owned());
        assert_eq!(around[0], around[1]);
    }
}
