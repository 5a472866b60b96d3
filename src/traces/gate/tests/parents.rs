//! Tests of parents that are set, remote, or current: the trace of a span, and whether it is sampled.

#[cfg(any(feature = "http", feature = "grpc"))]
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::Status;

use super::*;

/// As [`spans`], with a sampler of this configuration.
fn sampled_by(
    config: &SamplingConfig,
    work: impl FnOnce(&HeadSampler, &dyn Fn(&TracingSpan) -> Option<SpanContext>),
) -> Vec<SpanData> {
    let (gate, ended, sampler) = gate(config);
    let table = Arc::clone(&gate.spans);
    let layer = ObservatoryLayer::new(FnSink::new(|_| ())).with_gate(gate);
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    let in_log = |span: &TracingSpan| {
        let of = |id: &Id, dispatch: &Dispatch| {
            let registry = dispatch.downcast_ref::<tracing_subscriber::Registry>()?;
            ids_of(&registry.span(id)?, &table, &sampler)
        };
        span.with_subscriber(|(id, dispatch)| of(id, dispatch))?
    };
    tracing::dispatcher::with_default(&dispatch, || work(&sampler, &in_log));
    ended.taken()
}

fn ratio(ratio: f64) -> SamplingConfig {
    SamplingConfig {
        ratio,
        ..SamplingConfig::default()
    }
}

/// Sets the parent of a request without trace headers.
type SetsNone = fn(&TracingSpan);

#[test]
fn an_empty_parent_does_not_change_the_draw() {
    let by_hand: SetsNone = |span| span.set_parent(OtelContext::new()).unwrap();
    let by_headers: SetsNone = |span| {
        let headers = http::HeaderMap::new();
        let formats = [Propagator::TraceContext];
        crate::traces::propagation::extract(&headers, &formats).set_parent_of(span);
    };
    let with_baggage: SetsNone = |span| {
        let mut headers = http::HeaderMap::new();
        headers.insert("baggage", "tenant=a".parse().unwrap());
        let formats = [Propagator::Baggage];
        crate::traces::propagation::extract(&headers, &formats).set_parent_of(span);
    };
    for sets in [by_hand, by_headers, with_baggage] {
        for (share, expected) in [(0.0, 0..=0), (0.5, 1..=299), (1.0, 300..=300)] {
            let kept = spans(share, || {
                for _ in 0..100 {
                    for span in [
                        info_span!("a", otel.kind = "server"),
                        info_span!("b", http.request.method = "GET"),
                        info_span!("c"),
                    ] {
                        sets(&span);
                        span.in_scope(|| ());
                    }
                }
            });
            assert!(expected.contains(&kept.len()), "{share}: {}", kept.len());
        }
    }
}

#[cfg(any(feature = "http", feature = "grpc"))]
#[test]
fn baggage_alone_does_not_change_the_parent_of_a_request() {
    let request = || {
        let mut headers = http::HeaderMap::new();
        headers.insert("baggage", "tenant=a".parse().unwrap());
        let create = || info_span!("request", otel.kind = "server");
        crate::traces::propagation::received(&headers, true, create)
    };
    for share in [0.0, 1.0] {
        let found = spans(share, || {
            let outer = info_span!("outer");
            let _outer = outer.enter();
            let span = request();
            span.in_scope(|| {
                let tenant = OtelContext::map_current(|c| c.baggage().get("tenant").cloned());
                assert_eq!(tenant.unwrap().as_str(), "a");
                assert_eq!(
                    context_for_headers(&span).trace_id(),
                    context_for_headers(&outer).trace_id()
                );
            });
        });
        assert_eq!(found.len(), if share == 0.0 { 0 } else { 2 });
        let own = |name: &str| found.iter().find(|span| span.name == name);
        if let (Some(outer), Some(inner)) = (own("outer"), own("request")) {
            assert_eq!(inner.parent_span_id, outer.span_context.span_id());
            assert!(!inner.parent_span_is_remote);
        }
    }
    assert!(spans(0.0, || request().in_scope(|| ())).is_empty());
}

#[test]
fn a_sampled_parent_that_is_set_inside_an_unsampled_span_makes_a_whole_trace() {
    let found = sampled_by(&ratio(0.0), |_, in_log| {
        let connection = info_span!("connection");
        let _entered = connection.enter();
        let request = info_span!("a", otel.kind = "server");
        request.set_parent(remote(true)).unwrap();
        request.in_scope(|| {
            info!("something");
            drop(info_span!("b"));
            drop(info_span!(parent: &request, "c"));
            let own = in_log(&request).unwrap();
            assert_eq!(
                (own.trace_id(), own.is_sampled()),
                (TraceId::from(7_u128), true)
            );
        });
    });
    assert_eq!(names(&found), ["a", "b", "c"]);
    assert_eq!(found[0].events.events.len(), 1);
}

#[test]
fn an_unsampled_parent_that_is_set_inside_a_sampled_span_ends_what_is_kept() {
    let found = sampled_by(&ratio(1.0), |_, in_log| {
        let connection = info_span!("connection");
        let _entered = connection.enter();
        let request = info_span!("a", otel.kind = "server");
        request.set_parent(remote(false)).unwrap();
        request.in_scope(|| {
            let inner = info_span!("b");
            for span in [&request, &inner] {
                let own = in_log(span).unwrap();
                assert_eq!(
                    (own.trace_id(), own.is_sampled()),
                    (TraceId::from(7_u128), false)
                );
            }
        });
    });
    assert_eq!(names(&found), ["connection"]);
}

#[test]
fn an_unsampled_remote_trace_has_one_id_whatever_span_is_current() {
    let seven = TraceId::from(7_u128);
    for share in [0.0, 1.0] {
        sampled_by(&ratio(share), |_, in_log| {
            let attached = remote(false).attach();
            let edge = info_span!("a", otel.kind = "server");
            drop(attached);
            edge.in_scope(|| {
                let inner = info_span!("b");
                for span in [&edge, &inner] {
                    let asked = span.context().span().span_context().clone();
                    let all = [context_for_headers(span), asked, in_log(span).unwrap()];
                    assert!(
                        all.iter()
                            .all(|own| own.trace_id() == seven && !own.is_sampled())
                    );
                }
            });
            // A worker that handles one message after the other.
            let worker = info_span!("worker");
            let _worker = worker.enter();
            {
                let _message = remote(false).attach();
                let message = info_span!("message");
                message.in_scope(|| {
                    assert_eq!(context_for_headers(&info_span!("step")).trace_id(), seven);
                });
                assert_eq!(context_for_headers(&message).trace_id(), seven);
            }
            assert_ne!(context_for_headers(&worker).trace_id(), seven);
            assert_ne!(in_log(&worker).unwrap().trace_id(), seven);
        });
    }
}

#[test]
fn a_remote_parent_that_is_not_respected_is_passed_on_as_unsampled() {
    let config = SamplingConfig {
        respects_parent: false,
        ..ratio(0.0)
    };
    sampled_by(&config, |_, _| {
        let _attached = remote(true).attach();
        for span in [info_span!("a"), info_span!("b", otel.kind = "server")] {
            let own = context_for_headers(&span);
            assert_eq!(
                (own.trace_id(), own.is_sampled()),
                (TraceId::from(7_u128), false)
            );
        }
    });
}

#[test]
fn ids_of_unsampled_traces_are_outside_the_ratio_of_other_services() {
    sampled_by(&ratio(0.1), |sampler, _| {
        let judge = SamplingConfig {
            respects_parent: false,
            ..ratio(0.1)
        };
        let judge = HeadSampler::new(&judge);
        let mut unsampled = 0;
        for _ in 0..500 {
            for span in [info_span!("a", otel.kind = "server"), info_span!("b")] {
                let own = context_for_headers(&span);
                let id = u128::from_be_bytes(own.trace_id().to_bytes());
                assert_eq!(judge.continues(id, None), own.is_sampled());
                unsampled += usize::from(!own.is_sampled());
            }
        }
        assert!(unsampled > 800);
        let id = sampler.trace_id(true);
        assert!(judge.continues(id, None));
    });
}

#[test]
fn remote_traces_do_not_count_against_the_rate_limit() {
    let config = SamplingConfig {
        traces_per_second: Some(5.0),
        ..ratio(1.0)
    };
    for is_sampled in [true, false] {
        let found = sampled_by(&config, |_, _| {
            for _ in 0..50 {
                let span = info_span!("theirs", otel.kind = "server");
                span.set_parent(remote(is_sampled)).unwrap();
                span.in_scope(|| ());
            }
            for _ in 0..50 {
                info_span!("ours", otel.kind = "server").in_scope(|| ());
            }
        });
        let ours = found.iter().filter(|span| span.name == "ours").count();
        assert_eq!(ours, 5);
        assert_eq!(found.len(), if is_sampled { 55 } else { 5 });
    }
}

#[test]
fn a_span_that_was_queried_counts_against_the_rate_limit() {
    let config = SamplingConfig {
        traces_per_second: Some(5.0),
        ..ratio(1.0)
    };
    let found = sampled_by(&config, |_, _| {
        for _ in 0..50 {
            let span = info_span!("ours", otel.kind = "server");
            let asked = span.context().span().span_context().clone();
            span.in_scope(|| assert_eq!(context_for_headers(&span), asked));
        }
    });
    assert_eq!(found.len(), 5);
}

#[test]
fn a_panic_that_drops_the_owner_of_a_span_is_recorded_before_the_span_ends() {
    struct Owner(TracingSpan);
    impl Drop for Owner {
        fn drop(&mut self) {
            self.0.record("observatory.ended", true);
        }
    }
    let found = spans(1.0, || {
        let work = || {
            let _owner = Owner(info_span!("a", observatory.ended = Empty));
            panic!("a test's own");
        };
        assert!(std::panic::catch_unwind(work).is_err());
    });
    assert_eq!(found[0].status, Status::error("panic"));
}

#[test]
fn a_span_that_is_entered_on_another_thread_may_get_attributes() {
    for share in [0.0, 1.0] {
        spans(share, || {
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            let span = info_span!("task");
            let (entered, is_entered) = std::sync::mpsc::channel();
            let (go, goes) = std::sync::mpsc::channel::<()>();
            let task = span.clone();
            let thread = std::thread::spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    task.in_scope(|| {
                        entered.send(()).unwrap();
                        goes.recv().unwrap();
                    });
                });
            });
            is_entered.recv().unwrap();
            span.set_attribute("key", "value");
            go.send(()).unwrap();
            thread.join().unwrap();
        });
    }
}

#[test]
fn a_query_may_come_while_the_extensions_of_a_span_are_read() {
    spans(0.0, || {
        let root = info_span!("a");
        root.in_scope(|| {
            context_for_headers(&root);
            let inner = info_span!("b");
            inner.with_subscriber(|(id, dispatch)| {
                let registry = dispatch
                    .downcast_ref::<tracing_subscriber::Registry>()
                    .unwrap();
                let span = registry.span(id).unwrap();
                let _read = span.extensions();
                let context = get_otel_context(id, dispatch).unwrap();
                let own = context.span().span_context().clone();
                assert_eq!(
                    (own.trace_id(), own.is_sampled()),
                    (context_for_headers(&root).trace_id(), false)
                );
            });
        });
    });
}

#[test]
fn an_unsampled_span_that_is_entered_twice_stays_current_until_both_exits() {
    let found = spans(0.0, || {
        let attached = remote(true).attach();
        let sampled = info_span!("a");
        drop(attached);
        let _outer = sampled.enter();
        let unsampled = info_span!(parent: None, "b");
        let _once = unsampled.enter();
        unsampled.in_scope(|| ());
        drop(info_span!("c"));
    });
    assert_eq!(names(&found), ["a"]);
}

#[test]
fn a_link_does_not_start_a_span() {
    spans(1.0, || {
        let linked = info_span!("a");
        let span = info_span!("b", otel.kind = "server");
        span.follows_from(&linked);
        span.set_parent(remote(true)).unwrap();
    });
}

/// Counts the spans that OpenTelemetry's layer makes, sampled or not.
fn made(config: &SamplingConfig, work: impl FnOnce()) -> usize {
    let (gate, ended, _) = gate(config);
    let layer = ObservatoryLayer::new(FnSink::new(|_| ())).with_gate(gate);
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    tracing::dispatcher::with_default(&dispatch, work);
    ended.1.load(Ordering::Relaxed)
}

#[test]
fn unsampled_boundary_spans_reach_the_layer_only_until_no_parent_is_expected() {
    let requests = |count: usize| {
        move || {
            for _ in 0..count {
                info_span!("a", otel.kind = "server").in_scope(|| {
                    info_span!("b", otel.kind = "client").in_scope(|| ());
                });
            }
        }
    };
    assert_eq!(made(&ratio(0.0), requests(64)), 128);
    assert_eq!(made(&ratio(0.0), requests(1_000)), 128);
    // Spans of a callsite that is queried are always made.
    let queried = made(&ratio(0.0), || {
        for _ in 0..200 {
            let span = info_span!("c", otel.kind = "server");
            span.set_parent(remote(false)).unwrap();
            span.in_scope(|| ());
        }
    });
    assert_eq!(queried, 200);
}
