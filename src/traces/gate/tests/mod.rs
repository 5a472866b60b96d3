//! Tests of the gate in a subscriber, by the spans that come out of it.

mod orphans;
mod own_spans;
mod parents;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use opentelemetry::{
    Context as OtelContext, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceState, TracerProvider as _},
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData, SpanProcessor},
};
use tracing::{Dispatch, Span as TracingSpan, field::Empty, info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::prelude::*;

use super::*;
use crate::{FnSink, ObservatoryLayer, runtime::own_thread, traces::SamplingConfig};

#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>, Arc<AtomicUsize>);

/// Counts the spans that OpenTelemetry's layer starts, sampled or not.
#[derive(Clone, Debug)]
struct CountingSampler(GateSampler, Arc<AtomicUsize>);

impl ShouldSample for CountingSampler {
    fn should_sample(
        &self,
        parent: Option<&OtelContext>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        self.1.fetch_add(1, Ordering::Relaxed);
        let sampler = &self.0;
        sampler.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &OtelContext) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Ended {
    /// Removes and returns the sampled spans, by name.
    fn taken(&self) -> Vec<SpanData> {
        let mut spans = std::mem::take(&mut *self.0.lock().unwrap());
        spans.retain(|span| span.span_context.is_sampled());
        spans.sort_by(|a, b| a.name.cmp(&b.name));
        spans
    }
}

/// The spans of `work` in the order of their end, behind a gate with these header formats.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(in crate::traces) fn ended(
    config: &SamplingConfig,
    formats: &[Propagator],
    work: impl FnOnce(),
) -> Vec<SpanData> {
    let (gate, ended, _) = gate(config);
    let layer =
        ObservatoryLayer::new(FnSink::new(|_| ())).with_gate(gate.with_propagators(formats));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::dispatcher::with_default(&Dispatch::new(subscriber), work);
    std::mem::take(&mut *ended.0.lock().unwrap())
}

fn gate(config: &SamplingConfig) -> (Gate<tracing_subscriber::Registry>, Ended, Arc<HeadSampler>) {
    let sampler = Arc::new(HeadSampler::new(config));
    let ended = Ended::default();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(ended.clone())
        .with_sampler(CountingSampler(
            GateSampler(Arc::clone(&sampler)),
            Arc::clone(&ended.1),
        ))
        .with_id_generator(GateIds(Arc::clone(&sampler)))
        .build();
    let gate = Gate::new(
        provider.tracer("test"),
        Arc::clone(&sampler),
        Arc::new(SpanTable::new()),
        Clock::system(),
    );
    let formats = [Propagator::TraceContext, Propagator::Baggage];
    (gate.with_propagators(&formats), ended, sampler)
}

/// The sampled spans of `work` at a sampling ratio, by name.
fn spans(ratio: f64, work: impl FnOnce()) -> Vec<SpanData> {
    let config = SamplingConfig {
        ratio,
        ..SamplingConfig::default()
    };
    let (gate, ended, _) = gate(&config);
    let layer = ObservatoryLayer::new(FnSink::new(|_| ())).with_gate(gate);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::dispatcher::with_default(&Dispatch::new(subscriber), work);
    ended.taken()
}

fn names(spans: &[SpanData]) -> Vec<&str> {
    spans.iter().map(|span| &*span.name).collect()
}

fn remote(is_sampled: bool) -> OtelContext {
    let flags = TraceFlags::default().with_sampled(is_sampled);
    let (trace, span) = (TraceId::from(7_u128), SpanId::from(9_u64));
    let context = SpanContext::new(trace, span, flags, true, TraceState::default());
    OtelContext::new().with_remote_span_context(context)
}

fn context_for_headers(span: &TracingSpan) -> SpanContext {
    span.with_subscriber(|(id, dispatch)| context_of(dispatch, id))
        .flatten()
        .unwrap()
}

fn tree() {
    let root = info_span!("a");
    root.in_scope(|| {
        info_span!("b").in_scope(|| info!("inside"));
        let explicit = info_span!(parent: &root, "c");
        explicit.follows_from(&root);
    });
}

#[test]
fn a_kept_trace_comes_out_whole_and_another_not_at_all() {
    let kept = spans(1.0, tree);
    assert_eq!(names(&kept), ["a", "b", "c"]);
    let [a, b, c] = &kept[..] else { panic!() };
    assert_eq!(
        (b.parent_span_id, c.parent_span_id),
        (a.span_context.span_id(), a.span_context.span_id())
    );
    assert!(
        kept.iter()
            .all(|span| span.span_context.trace_id() == a.span_context.trace_id())
    );
    assert_eq!((b.events.events.len(), c.links.links.len()), (1, 1));
    assert!(spans(0.0, tree).is_empty());
}

#[test]
fn a_remote_parent_s_flag_counts_however_it_comes() {
    for is_sampled in [true, false] {
        // The draw alone would decide the opposite.
        let ratio = if is_sampled { 0.0 } else { 1.0 };
        let attached = spans(ratio, || {
            let _attached = remote(is_sampled).attach();
            info_span!("a").in_scope(|| drop(info_span!("b")));
        });
        let set = spans(ratio, || {
            let root = info_span!("a", otel.kind = "server");
            root.set_parent(remote(is_sampled)).unwrap();
            root.in_scope(|| drop(info_span!("b")));
        });
        for found in [attached, set] {
            let expected: &[&str] = if is_sampled { &["a", "b"] } else { &[] };
            assert_eq!(names(&found), expected);
            assert!(
                found
                    .iter()
                    .all(|span| span.span_context.trace_id() == TraceId::from(7_u128))
            );
        }
    }
}

#[test]
fn a_boundary_span_without_a_parent_is_decided_by_the_draw() {
    let work = || {
        let root = info_span!("a", otel.kind = "server", late = Empty);
        root.record("late", 1);
        root.in_scope(|| drop(info_span!("b")));
    };
    assert_eq!(names(&spans(1.0, work)), ["a", "b"]);
    assert!(spans(0.0, work).is_empty());
    // Queried for its context before the first enter.
    assert!(
        spans(0.0, || drop(
            info_span!("a", otel.kind = "server").context()
        ))
        .is_empty()
    );
}

#[test]
fn an_unsampled_trace_has_one_id_in_queries_of_other_crates_too() {
    let found = spans(0.0, || {
        let root = info_span!("a");
        let _entered = root.enter();
        let inner = info_span!("b");
        let _inner = inner.enter();
        let client = info_span!("c", otel.kind = "client");
        let explicit = info_span!(parent: &inner, "d", otel.kind = "client");
        let own = context_for_headers(&root);
        assert!(own.is_valid() && !own.is_sampled());
        assert_eq!(context_for_headers(&inner), own);
        for edge in [client, explicit] {
            let foreign = edge.context().span().span_context().clone();
            assert_eq!(
                (foreign.trace_id(), foreign.is_sampled()),
                (own.trace_id(), false)
            );
            assert_eq!(context_for_headers(&edge).trace_id(), own.trace_id());
        }
    });
    assert!(found.is_empty());
}

#[test]
fn queries_about_any_unsampled_span_are_answered_with_its_trace() {
    let asked = |span: &TracingSpan| span.context().span().span_context().clone();
    let found = spans(0.0, || {
        let root = info_span!("a");
        // Before the enter, as by a client that propagates it.
        let first = asked(&root);
        assert!(first.is_valid() && !first.is_sampled());
        root.in_scope(|| {
            let inner = info_span!("b");
            for span in [&TracingSpan::current(), &inner, &inner] {
                let own = asked(span);
                assert_eq!(
                    (own.trace_id(), own.is_sampled()),
                    (first.trace_id(), false)
                );
            }
            inner.in_scope(|| {
                let own = asked(&TracingSpan::current());
                assert_eq!(own.trace_id(), first.trace_id());
                drop(info_span!("c"));
            });
            // Entered before the query, and entered again.
            let late = info_span!("d");
            late.in_scope(|| {
                let own = asked(&TracingSpan::current());
                assert_eq!(own.trace_id(), first.trace_id());
            });
            late.in_scope(|| drop(info_span!("e")));
            assert_eq!(context_for_headers(&late).trace_id(), first.trace_id());
        });
    });
    assert!(found.is_empty());
}

#[test]
fn a_parent_that_is_set_counts_on_root_spans_of_any_callsite() {
    let serve = || info_span!("a", path = "/");
    for is_sampled in [true, false] {
        let ratio = if is_sampled { 0.0 } else { 1.0 };
        let found = spans(ratio, || {
            for _ in 0..2 {
                let root = serve();
                root.set_parent(remote(is_sampled)).unwrap();
                root.in_scope(|| {
                    assert_eq!(context_for_headers(&root).is_sampled(), is_sampled);
                    drop(info_span!("b"));
                });
            }
        });
        let expected: &[&str] = if is_sampled {
            &["a", "a", "b", "b"]
        } else {
            &[]
        };
        assert_eq!(names(&found), expected);
        let trace = TraceId::from(7_u128);
        assert!(
            found
                .iter()
                .all(|span| span.span_context.trace_id() == trace)
        );
        let with_path = found.iter().filter(|span| span.name == "a").filter(|span| {
            let mut keys = span.attributes.iter().map(|pair| pair.key.as_str());
            keys.any(|key| key == "path")
        });
        assert_eq!(with_path.count(), if is_sampled { 2 } else { 0 });
    }
}

#[test]
fn an_unsampled_remote_trace_keeps_its_id() {
    let found = spans(1.0, || {
        let attached = remote(false).attach();
        let root = info_span!("a");
        drop(attached);
        let _entered = root.enter();
        assert_eq!(
            context_for_headers(&info_span!("b")).trace_id(),
            TraceId::from(7_u128)
        );
    });
    assert!(found.is_empty());
}

#[test]
fn an_unsampled_trace_inside_a_sampled_span_takes_its_place() {
    // The parent of the first root is sampled; the second root is not drawn.
    let found = spans(0.0, || {
        let attached = remote(true).attach();
        let sampled = info_span!("a");
        drop(attached);
        let _outer = sampled.enter();
        let unsampled = info_span!(parent: None, "b");
        {
            let _inner = unsampled.enter();
            let current = OtelContext::map_current(|c| c.span().span_context().clone());
            assert_eq!(current, context_for_headers(&unsampled).clone());
            drop(info_span!("c"));
        }
        drop(info_span!("d"));
        sampled.follows_from(&unsampled);
    });
    assert_eq!(names(&found), ["a", "d"]);
    let link = &found[0].links.links[0].span_context;
    assert!(link.is_valid() && !link.is_sampled());
    assert_ne!(link.trace_id(), found[0].span_context.trace_id());
}

#[test]
fn the_observatory_s_own_threads_are_not_traced() {
    let found = spans(1.0, || {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let thread = std::thread::spawn(move || {
            own_thread::mark();
            tracing::dispatcher::with_default(&dispatch, tree);
        });
        thread.join().unwrap();
    });
    assert!(found.is_empty());
}

#[test]
fn nothing_is_left_behind() {
    let config = SamplingConfig {
        ratio: 0.5,
        ..SamplingConfig::default()
    };
    let sampler = Arc::new(HeadSampler::new(&config));
    let provider = SdkTracerProvider::builder().build();
    let gate = Gate::new(
        provider.tracer("test"),
        sampler,
        Arc::new(SpanTable::new()),
        Clock::system(),
    );
    let layer = ObservatoryLayer::new(FnSink::new(|_| ())).with_gate(gate);
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
    tracing::dispatcher::with_default(&dispatch, || {
        for _ in 0..200 {
            tree();
            info_span!("s", otel.kind = "server").in_scope(tree);
            drop(info_span!("s", otel.kind = "server"));
            let asked = info_span!("t");
            asked.context();
            asked.in_scope(|| TracingSpan::current().context());
            // Becomes unsampled at its enter.
            let set = info_span!("u");
            set.set_parent(remote(false)).unwrap();
            set.in_scope(tree);
        }
    });
    let gate = dispatch
        .downcast_ref::<Gate<tracing_subscriber::Registry>>()
        .unwrap();
    assert!(gate.spans.is_empty() && !gate.spans.has_deferred());
}
