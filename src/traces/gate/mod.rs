//! Lets the spans of sampled traces through to tracing-opentelemetry's layer, and keeps other spans from it.
//!
//! That layer spends as much on an unsampled span as on a sampled one. A per-layer filter cannot spare it the work,
//! because a filter sees neither explicit parents nor the OpenTelemetry context. So the gate wraps the layer, decides at
//! the first span of a trace, and decides on children as on their parent. A [`SpanTable`] holds the spans that were let
//! through; an unsampled span that is not in the table leaves no state behind.
//!
//! - The parent of a span is the active span of the current OpenTelemetry context, if there is one, as for that layer;
//!   else the current `tracing` span. The flag of a remote parent decides.
//! - A span whose parent may be set after its creation is let through undecided ([`deferred_decision`]).
//! - An unsampled trace has one id ([`identity`]). If an unsampled span is entered while a sampled span is current, its
//!   context replaces the sampled one ([`unsampled_context`]).
//! - Without an exporter, the gate records spans itself ([`own`]).
//! - Queries of other code about unsampled spans are answered with that id ([`context_queries`]).

mod context_queries;
mod deferred_decision;
mod identity;
mod lookup;
mod new_span;
mod other_layer;
mod outcome;
mod own;
mod panicking_values;
mod sampler;
mod span_table;
mod unsampled_context;

use std::{
    any::TypeId,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use opentelemetry::{
    Context as OtelContext,
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{
    Dispatch, Event, Subscriber,
    dispatcher::WeakDispatch,
    span::{Id, Record},
};
use tracing_opentelemetry::{OpenTelemetryLayer, get_otel_context};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

pub(crate) use self::span_table::is_active;
pub(super) use self::{
    context_queries::internal,
    deferred_decision::Creation,
    identity::{ids_of, sampled_ids_of},
    lookup::{context_of, open_spans, own_context, set_own_attribute},
    own::OwnSpans,
    sampler::{GateIds, GateSampler},
    span_table::SpanTable,
};
use self::{
    context_queries::{QueriedSubscriber, QueryLayer},
    deferred_decision::Callsites,
    identity::Identity,
    lookup::Lookup,
    outcome::is_end,
    own::span_of,
    span_table::{Removed, SampledIds, Seen, allow_idle},
};
#[cfg(any(feature = "http", feature = "grpc"))]
pub(super) use self::{
    lookup::{context_of_creation as context_around, with_propagators},
    sampler::never_sampled,
};
use super::sampling::HeadSampler;
use crate::{
    observation::TraceReference,
    runtime::clock::Clock,
    traces::{
        InferenceFacts, Propagator,
        pipeline::{Activity, Ending},
    },
};

/// The gate in front of tracing-opentelemetry's layer.
pub(crate) struct Gate<S> {
    inner: OpenTelemetryLayer<S, SdkTracer>,
    /// Takes the queries of other code.
    queried: QueryLayer<S>,
    sampler: Arc<HeadSampler>,
    clock: Clock,
    /// The reading of the clock that times for the sampler count from.
    origin: u64,
    /// The spans that `inner` has seen.
    spans: Arc<SpanTable>,
    callsites: Callsites,
    /// True if the application attaches sampled contexts of its own, which the context of an unsampled span replaces.
    has_foreign: AtomicBool,
    /// `None` if spans are exported.
    own: Option<Arc<OwnSpans>>,
    /// True if the subscriber has another OpenTelemetry layer; shared with the status.
    has_other_layer: Arc<AtomicBool>,
    /// Held while a deferred span is decided.
    deciding: Mutex<()>,
    dispatch: OnceLock<WeakDispatch>,
    lookup: Lookup,
    on_panicking_field: Box<dyn Fn(&str) + Send + Sync>,
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    pub(super) fn new(
        tracer: SdkTracer,
        sampler: Arc<HeadSampler>,
        spans: Arc<SpanTable>,
        clock: Clock,
    ) -> Self {
        Self {
            // The gate measures the time inside a span itself, with a cheaper clock and without the span's extensions.
            inner: OpenTelemetryLayer::new(tracer.clone()).with_tracked_inactivity(false),
            queried: OpenTelemetryLayer::new(tracer),
            sampler,
            origin: clock.raw(),
            clock,
            spans,
            callsites: Callsites::new(),
            has_foreign: AtomicBool::new(false),
            own: None,
            has_other_layer: Arc::default(),
            deciding: Mutex::default(),
            dispatch: OnceLock::new(),
            lookup: Lookup::of::<S>(),
            on_panicking_field: Box::new(|_| ()),
        }
    }

    /// Sets the function that is called with the name of each field whose value panics when it is printed.
    pub(crate) fn with_on_panicking_field(
        mut self,
        on_panicking_field: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        self.on_panicking_field = Box::new(on_panicking_field);
        self
    }

    /// Records spans without OpenTelemetry's layer, where no other code needs that layer.
    pub(super) fn with_own_spans(mut self, own: Option<&Arc<OwnSpans>>) -> Self {
        self.own = own.cloned();
        self.lookup.own = own.cloned();
        self
    }

    /// Sets the header formats of requests.
    pub(super) fn with_propagators(mut self, propagators: &[Propagator]) -> Self {
        self.lookup.propagators = propagators.into();
        self
    }

    /// Sets the flag that becomes true if the subscriber has another OpenTelemetry layer.
    pub(super) fn with_other_layer_flag(mut self, flag: &Arc<AtomicBool>) -> Self {
        self.has_other_layer = Arc::clone(flag);
        self
    }

    #[inline]
    fn has_other_layer(&self) -> bool {
        self.has_other_layer.load(Relaxed)
    }

    fn now(&self) -> Duration {
        self.clock.between(self.origin, self.clock.raw())
    }

    fn dispatch(&self) -> Option<Dispatch> {
        self.dispatch.get()?.upgrade()
    }

    /// The context of a span that `inner` has seen; starts the span.
    fn started(&self, id: &Id) -> Option<OtelContext> {
        let dispatch = self.dispatch()?;
        internal(|| get_otel_context(id, &dispatch))
    }

    /// The identity of an unsampled span.
    fn identity(&self, span: &SpanRef<'_, S>) -> Option<SpanContext> {
        identity::unsampled(span, &self.sampler, &self.spans)
    }

    /// The sampled span that an event belongs to.
    #[cold]
    pub(crate) fn trace_of(
        &self,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) -> Option<TraceReference> {
        let id = context.event_span(event)?.id();
        self.spans.is_sampled(id.into_u64()).then_some(())?;
        let known = self.spans.ids_of(id.into_u64());
        let start = || SampledIds::of(self.started(&id)?.span().span_context());
        let own = known.or_else(start)?;
        Some(TraceReference {
            trace_id: own.trace_id,
            span_id: own.span_id,
            time: self.clock.wall(),
        })
    }

    // The caller, `layer::traced`, is out of line already.
    #[inline]
    pub(crate) fn on_record(
        &self,
        id: &Id,
        values: &Record<'_>,
        facts: Option<InferenceFacts>,
        context: &Context<'_, S>,
    ) {
        match (self.spans.seen(id.into_u64()), &self.own) {
            (None, _) => {}
            (Some(Seen::Own { .. }), Some(own)) => {
                self.record_own(own, id.into_u64(), values, facts);
            }
            (Some(_), _) => {
                self.forward_record(id, values, context);
                if is_end(values) {
                    self.decide_if_deferred(id);
                    self.end_early(id, facts);
                }
            }
        }
    }

    pub(crate) fn on_follows_from(&self, id: &Id, follows: &Id, context: &Context<'_, S>) {
        if self.has_other_layer() {
            return;
        }
        self.decide_if_deferred(follows);
        let is_seen = |id: &Id| self.spans.contains(id.into_u64());
        if is_seen(id) && is_seen(follows) {
            return self.inner.on_follows_from(id, follows, context.clone());
        }
        self.decide_if_deferred(id);
        if !self.spans.is_sampled(id.into_u64()) {
            return;
        }
        // A link to an unsampled span names its trace.
        let linked = context.span(follows).and_then(|span| self.identity(&span));
        if let (Some(linked), Some(own)) = (linked, self.started(id)) {
            own.span().add_link(linked, Vec::new());
        }
    }

    #[inline]
    pub(crate) fn on_event(&self, event: &Event<'_>, context: &Context<'_, S>) {
        // A span keeps a limited number of events: those of tokens would displace those of a failure after them.
        if self.spans.is_empty() || event.metadata().name() == "token" {
            return;
        }
        if let Some(own) = &self.own
            && let Some(id) = span_of(event, context)
            && let Some(Seen::Own { .. }) = self.spans.seen(id.into_u64())
        {
            return self.event_own(own, id.into_u64(), event);
        }
        if self.has_other_layer() {
            return;
        }
        let has_deferred = self.spans.has_deferred();
        // The OpenTelemetry context is that of the current span, and cheaper to read than the span.
        let is_inside = !has_deferred && event.is_contextual() && is_sampled_current();
        if is_inside || self.is_of_sampled(event, context) {
            self.forward_event(event, context);
        }
    }

    fn is_of_sampled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        span_of(event, context).is_some_and(|id| {
            self.decide_if_deferred(&id);
            self.spans.is_sampled(id.into_u64())
        })
    }

    /// Returns true if an enter needs no work: no span is sampled, here or around. The current context is read only if the
    /// application attaches contexts, since a future enters its spans at each poll.
    #[inline]
    pub(crate) fn is_idle_at_enter(&self) -> bool {
        self.is_idle_at_exit() && !(self.has_foreign.load(Relaxed) && is_sampled_current())
    }

    /// Returns true if an exit needs no work.
    #[inline]
    pub(crate) fn is_idle_at_exit(&self) -> bool {
        self.spans.is_empty() && !unsampled_context::is_any()
    }

    /// Returns the ids of a sampled span at its first enter.
    #[inline]
    pub(crate) fn on_enter(&self, id: &Id, context: &Context<'_, S>) -> Option<SampledIds> {
        self.decide_if_deferred(id);
        let number = id.into_u64();
        match (self.spans.enter(number, || self.clock.raw()), &self.own) {
            (Some(Seen::Own { attaches, .. }), Some(own)) if self.has_other_layer() => {
                return attaches.then(|| self.adopt_ids(own, id))?;
            }
            (Some(Seen::Own { ids, attaches }), Some(own)) => {
                own.enter(number, ids, attaches);
            }
            (Some(seen), _) => {
                self.inner.on_enter(id, context.clone());
                let lacks_ids = seen == Seen::OfLayer { lacks_ids: true };
                return lacks_ids.then(|| self.on_first_enter(id, context))?;
            }
            (None, _) if self.has_other_layer() => {}
            (None, _) if is_sampled_current() => {
                if let Some(own) = context.span(id).and_then(|span| self.identity(&span)) {
                    let own = OtelContext::current().with_remote_span_context(own);
                    unsampled_context::attach(number, own);
                }
            }
            (None, _) => unsampled_context::enter(number),
        }
        None
    }

    /// Sets the ids of a span, which `inner` has just made current. Not earlier: reading the ids starts the span, and a
    /// parent that is set after that has no effect.
    fn on_first_enter(&self, id: &Id, context: &Context<'_, S>) -> Option<SampledIds> {
        let own = OtelContext::map_current(|current| current.span().span_context().clone());
        let ids = SampledIds::of(&own);
        if let Some(ids) = ids {
            self.spans.set_ids(id.into_u64(), ids);
        } else if let Some(span) = context.span(id).filter(|_| own.is_valid()) {
            // An unsampled parent was set after the span was let through.
            span.extensions_mut().replace(Identity(own));
            self.spans.decide(id.into_u64(), false);
        }
        ids
    }

    #[inline]
    pub(crate) fn on_exit(&self, id: &Id, context: &Context<'_, S>) {
        let seen = self.spans.exit(id.into_u64(), || self.clock.raw());
        match (seen, &self.own) {
            (None, _) => unsampled_context::exit(id.into_u64()),
            (Some(Seen::Own { .. }), Some(own)) => own.exit(id.into_u64()),
            (Some(_), _) => {
                if std::thread::panicking() {
                    self.record_panic(id);
                }
                self.inner.on_exit(id, context.clone());
            }
        }
    }

    #[inline]
    pub(crate) fn on_close(
        &self,
        id: &Id,
        facts: Option<InferenceFacts>,
        context: &Context<'_, S>,
    ) {
        self.decide_if_deferred(id);
        let Some(removed) = self.spans.remove(id.into_u64()) else {
            return;
        };
        match (removed.seen, &self.own) {
            (Seen::Own { .. }, Some(own)) => self.end_own(own, id.into_u64(), facts),
            _ => self
                .ending(removed, facts)
                .during(|| self.inner.on_close(id.clone(), context.clone())),
        }
    }

    fn ending(&self, removed: Removed, facts: Option<InferenceFacts>) -> Ending {
        Ending {
            activity: Some(Activity {
                busy: self.clock.between(0, removed.busy),
                idle: self.clock.between(0, removed.idle),
            }),
            facts,
        }
    }

    /// Returns true if a span is sampled, or may be.
    #[inline]
    pub(crate) fn has_seen(&self, id: &Id) -> bool {
        self.spans.contains(id.into_u64())
    }

    pub(crate) fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A layer is part of one subscriber.
        let _ = self.dispatch.set(dispatch.downgrade());
        if other_layer::is_present(dispatch) {
            self.has_other_layer.store(true, Relaxed);
        }
        self.inner.on_register_dispatch(dispatch);
    }

    pub(crate) fn on_layer(&mut self, subscriber: &mut S) {
        self.inner.on_layer(subscriber);
    }

    /// As [`Layer::downcast_raw`].
    #[expect(
        unsafe_code,
        reason = "OpenTelemetrySpanExt finds its layer by this, and the trait declares it unsafe"
    )]
    pub(crate) fn downcast(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        if id == TypeId::of::<Lookup>() {
            return Some(std::ptr::from_ref(&self.lookup).cast());
        }
        if other_layer::counts_question() || self.has_other_layer() {
            return None;
        }
        if id == TypeId::of::<OpenTelemetryLayer<S, SdkTracer>>() {
            return Some(std::ptr::from_ref(&self.inner).cast());
        }
        let dispatch = self.dispatch()?;
        if id == TypeId::of::<QueriedSubscriber<S>>() {
            let subscriber: &S = dispatch.downcast_ref()?;
            // The caller holds the dispatch, too.
            return Some(std::ptr::from_ref(subscriber).cast());
        }
        // SAFETY: the layer compares type ids and returns pointers into itself, which live as long as `self`.
        let found = unsafe { self.queried.downcast_raw(id) }?;
        self.note_query(id == TypeId::of::<QueryLayer<S>>());
        Some(found)
    }
}

impl<S> Drop for Gate<S> {
    fn drop(&mut self) {
        if *self.has_foreign.get_mut() {
            allow_idle();
        }
    }
}

/// Returns true if the active span of the current OpenTelemetry context is sampled.
#[inline]
fn is_sampled_current() -> bool {
    OtelContext::map_current(|current| {
        current.has_active_span() && current.span().span_context().is_sampled()
    })
}

#[cfg(test)]
pub(super) mod tests;
