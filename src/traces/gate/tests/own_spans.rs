//! Tests of spans that the gate records itself, by the spans that reach the pipeline.

use opentelemetry::trace::Status;

use super::*;
use crate::{
    privacy::denying,
    traces::{SpanLimits, TracesConfig, TracesParts, component::Traces},
};

/// Runs `work` with the live view alone, after a first trace of each callsite, and returns the ended spans of the second
/// run by name.
fn recorded(ratio: f64, work: impl Fn()) -> Vec<crate::SpanRecord> {
    let mut options = TracesConfig {
        exporters: Vec::new(),
        ..TracesConfig::default()
    };
    options.sampling.ratio = ratio;
    let registry = crate::Registry::new(crate::RegistryOptions::default()).unwrap();
    let traces = Traces::new(&TracesParts {
        options: &options,
        mapping: &crate::Mapping::default(),
        gen_ai: None,
        registry: &registry,
        redaction: &denying(&[]),
        resource: &[],
    })
    .unwrap();
    let layer = ObservatoryLayer::new(FnSink::new(|_| ())).with_gate(traces.gate(Clock::system()));
    let live = Traces::live(Some(&traces), layer.registered());
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    tracing::dispatcher::with_default(&dispatch, || {
        work();
        work();
    });
    traces.start().unwrap();
    traces.stop(std::time::Instant::now() + Duration::from_secs(20));
    // The trace that started last is that of the second run.
    let all = live.recent(usize::MAX);
    let last = all.iter().max_by_key(|trace| trace.start);
    let mut spans = last.map_or_else(Vec::new, |trace| live.spans(trace.trace_id));
    spans.sort_by(|a, b| a.name.cmp(&b.name));
    spans
}

fn attribute<'s>(span: &'s crate::SpanRecord, name: &str) -> Option<&'s str> {
    let found = span.attributes.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| &**value)
}

#[test]
fn a_span_has_the_same_content_with_and_without_the_layer() {
    struct Loud;
    impl std::fmt::Debug for Loud {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("loud")
        }
    }
    let work = || {
        let root = info_span!(
            "a",
            otel.name = "named",
            otel.kind = "client",
            n = 7_u64,
            late = Empty
        );
        root.in_scope(|| {
            root.record("late", "recorded");
            tracing::error!(code = 3, "failed");
            info!(value = ?Loud, "loud");
            info!(error = "sold out");
            drop(info_span!("b", otel.status_code = "OK", flag = true, text = ?"quoted"));
        });
    };
    let always = SamplingConfig {
        ratio: 1.0,
        ..SamplingConfig::default()
    };
    let (gate, ended, _) = gate(&always);
    let layer = ObservatoryLayer::new(FnSink::new(|_| ())).with_gate(gate);
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    tracing::dispatcher::with_default(&dispatch, work);
    let mut of_layer = ended.taken();
    of_layer.sort_by(|a, b| a.name.cmp(&b.name));
    let own = recorded(1.0, work);
    let names: Vec<_> = own.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["b", "named"]);
    for (own, of_layer) in own.iter().zip(&of_layer) {
        assert_eq!(own.name, of_layer.name);
        assert_eq!(
            own.kind == "client",
            of_layer.span_kind == opentelemetry::trace::SpanKind::Client
        );
        for pair in &of_layer.attributes {
            let key = pair.key.as_str();
            // The time that the thread spends inside the span takes two clock readings at each poll.
            if !["busy_ns", "idle_ns", "thread.name", "thread.id"].contains(&key) {
                assert_eq!(attribute(own, key), Some(&*pair.value.as_str()), "{key}");
            }
        }
        let error = match &of_layer.status {
            Status::Error { description } => Some(description.to_string()),
            Status::Ok | Status::Unset => None,
        };
        assert_eq!(own.error, error);
        assert_eq!(own.events.len(), of_layer.events.events.len());
        for (own, of_layer) in own.events.iter().zip(&of_layer.events.events) {
            assert_eq!(own.name, of_layer.name);
            let pairs = of_layer.attributes.iter();
            let pairs: Vec<_> = pairs
                .map(|pair| (pair.key.to_string(), pair.value.to_string()))
                .collect();
            assert_eq!(own.attributes, pairs);
        }
    }
    assert_eq!(own[0].parent_id, Some(own[1].span_id));
    assert_eq!(own[0].error, None);
}

#[test]
fn children_have_their_parents_however_they_are_created() {
    let spans = recorded(1.0, || {
        let root = info_span!("a");
        let explicit = info_span!(parent: &root, "b");
        root.in_scope(|| {
            info_span!("c").in_scope(|| drop(info_span!("d")));
            std::thread::scope(|scope| {
                let dispatch = tracing::dispatcher::get_default(Clone::clone);
                let inside = &explicit;
                scope.spawn(move || {
                    tracing::dispatcher::with_default(&dispatch, || {
                        inside.in_scope(|| {
                            // A context of the trace is current on the other thread, too.
                            let current = OtelContext::current().span().span_context().clone();
                            assert_eq!(current.trace_id(), context_for_headers(inside).trace_id());
                            drop(info_span!("e"));
                        });
                    });
                });
            });
        });
    });
    let id = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let parents = [("b", "a"), ("c", "a"), ("d", "c"), ("e", "b")];
    for (child, parent) in parents {
        assert_eq!(id(child).parent_id, Some(id(parent).span_id), "{child}");
    }
    assert_eq!((spans.len(), id("a").parent_id), (5, None));
}

#[test]
fn baggage_goes_on_to_children_however_they_are_created() {
    use opentelemetry::baggage::BaggageExt as _;
    let tenant = || OtelContext::map_current(|current| current.baggage().get("tenant").cloned());
    recorded(1.0, || {
        let baggage = vec![opentelemetry::KeyValue::new("tenant", "a")];
        let attached = OtelContext::new().with_baggage(baggage).attach();
        let root = info_span!("a");
        drop(attached);
        let explicit = info_span!(parent: &root, "b");
        explicit.in_scope(|| assert!(tenant().is_some()));
        root.in_scope(|| info_span!("c").in_scope(|| assert!(tenant().is_some())));
        assert!(tenant().is_none());
    });
}

#[test]
fn a_remote_parent_and_its_headers_go_on() {
    let spans = recorded(0.0, || {
        let _attached = remote(true).attach();
        let span = info_span!("a");
        let _outside = OtelContext::new().attach();
        span.in_scope(|| {
            let own = context_for_headers(&span);
            assert_eq!(
                (own.trace_id(), own.is_sampled()),
                (TraceId::from(7_u128), true)
            );
            let current = OtelContext::current().span().span_context().clone();
            assert_eq!(current, own);
        });
        // The context of the span is not current any more.
        assert!(!OtelContext::current().span().span_context().is_valid());
    });
    assert_eq!(
        (spans.len(), spans[0].parent_id, spans[0].parent_is_remote),
        (2, Some(9), true)
    );
}

#[test]
fn an_unsampled_trace_inside_a_recorded_span_has_an_unsampled_context() {
    let spans = recorded(1.0, || {
        info_span!("a").in_scope(|| {
            let attached = remote(false).attach();
            let other = info_span!("b");
            drop(attached);
            other.in_scope(|| {
                let current = OtelContext::current().span().span_context().clone();
                assert!(current.is_valid() && !current.is_sampled());
            });
            let current = OtelContext::current().span().span_context().clone();
            assert!(current.is_sampled());
        });
    });
    assert_eq!(spans.len(), 1);
}

#[test]
fn a_callsite_whose_spans_other_code_queries_goes_through_the_layer() {
    let runs = AtomicUsize::new(0);
    let spans = recorded(1.0, || {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        for queried in [run == 0, true] {
            let span = info_span!("a");
            span.in_scope(|| {
                if queried {
                    span.set_attribute("set", "by other code");
                }
            });
        }
    });
    assert_eq!(attribute(&spans[0], "set"), Some("by other code"));
}

#[test]
fn an_early_end_and_a_panic_are_recorded() {
    let spans = recorded(1.0, || {
        let span = info_span!("a", observatory.ended = Empty);
        span.record("observatory.ended", true);
        span.record("observatory.ended", true);
        span.in_scope(|| info!("after the end"));
        let panic = || info_span!(parent: &span, "b").in_scope(|| panic!("expected"));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(panic)).unwrap_err();
    });
    assert_eq!((spans.len(), spans[0].events.len()), (2, 0));
    assert_eq!(attribute(&spans[1], "error.type"), Some("panic"));
    assert_eq!(spans[1].error.as_deref(), Some("panic"));
}

#[test]
fn the_limits_of_a_span_hold() {
    assert_eq!(SpanLimits::default().events, 128);
    let spans = recorded(1.0, || {
        info_span!("a").in_scope(|| {
            for number in 0..130 {
                info!(number, "event");
            }
        });
    });
    assert_eq!((spans[0].events.len(), spans[0].events_left_out), (128, 2));
}
