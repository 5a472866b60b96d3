//! Measures orphan roots over two services whose calls are propagated with `Span::context()`, without this crate.

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::*;

const REQUESTS: usize = 5_000;

#[derive(Default)]
struct Headers(std::collections::HashMap<String, String>);

impl Injector for Headers {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}

impl Extractor for Headers {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// The number of sampled spans of the second service that start a trace of their own, and of all its sampled spans.
fn orphans(calls: impl Fn(usize) -> Headers) -> (usize, usize) {
    let config = SamplingConfig {
        ratio: 0.1,
        ..SamplingConfig::default()
    };
    let [(first, _), (second, ended)] = [(), ()].map(|()| {
        let (gate, ended, _) = gate(&config);
        let layer = ObservatoryLayer::new(FnSink::new(|_| ())).with_gate(gate);
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        (dispatch, ended)
    });
    for request in 0..REQUESTS {
        let headers = tracing::dispatcher::with_default(&first, || calls(request));
        tracing::dispatcher::with_default(&second, || {
            let span = info_span!("serve", otel.kind = "server");
            let parent = TraceContextPropagator::new().extract(&headers);
            span.set_parent(parent).unwrap();
            span.in_scope(|| ());
        });
    }
    let sampled = ended.taken();
    let is_root = |span: &&SpanData| span.parent_span_id == SpanId::INVALID;
    let roots = sampled.iter().filter(is_root).count();
    eprintln!("{roots} orphan roots of {} sampled", sampled.len());
    (roots, sampled.len())
}

fn inject_current(headers: &mut Headers) {
    let context = TracingSpan::current().context();
    TraceContextPropagator::new().inject_context(&context, headers);
}

#[test]
fn other_crates_propagate_the_trace_of_unsampled_spans() {
    let plain = |_| {
        let mut headers = Headers::default();
        info_span!("root").in_scope(|| {
            info_span!("call").in_scope(|| inject_current(&mut headers));
        });
        headers
    };
    let (roots, sampled) = orphans(plain);
    assert_eq!(roots, 0);
    assert!((300..700).contains(&sampled), "{sampled}");
}

#[test]
fn a_root_callsite_that_is_queried_late_costs_one_orphan_at_most() {
    let late = |request| {
        let mut headers = Headers::default();
        info_span!("root").in_scope(|| {
            // The first trace of the callsite is not queried for its context.
            if request > 0 {
                inject_current(&mut headers);
            } else {
                let formats = [Propagator::TraceContext];
                let mut own = http::HeaderMap::new();
                let span = TracingSpan::current();
                crate::traces::propagation::inject(&span, &mut own, &formats);
                let parent = own["traceparent"].to_str().unwrap().to_owned();
                headers.set("traceparent", parent);
            }
        });
        headers
    };
    let (roots, _) = orphans(late);
    assert!(roots <= 1, "{roots}");
}

#[test]
fn a_plain_span_below_an_attached_remote_parent_propagates_its_trace() {
    let message = |_| {
        let mut headers = Headers::default();
        let _attached = remote(false).attach();
        info_span!("message").in_scope(|| {
            info_span!("call").in_scope(|| inject_current(&mut headers));
        });
        headers
    };
    assert_eq!(orphans(message), (0, 0));
}
