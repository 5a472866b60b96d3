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
//! - Queries of other code about unsampled spans are answered with that id ([`context_queries`]).

mod context_queries;
mod deferred_decision;
mod identity;
mod lookup;
mod outcome;
mod panicking_values;
mod sampler;
mod span_table;
mod unsampled_context;

use std::{
    any::TypeId,
    sync::{Arc, Mutex, OnceLock},
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
    span::{Attributes, Id, Record},
};
use tracing_opentelemetry::{OpenTelemetryLayer, get_otel_context};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

pub(super) use self::{
    context_queries::internal,
    identity::{ids_of, sampled_ids_of},
    lookup::{context_of, open_spans},
    sampler::{GateIds, GateSampler},
    span_table::SpanTable,
};
use self::{
    context_queries::{QueriedSubscriber, QueryLayer},
    deferred_decision::{Callsites, context_of_creation, is_boundary},
    identity::Identity,
    lookup::Lookup,
    outcome::is_end,
    sampler::is_sampled,
    span_table::{Decision, SampledIds},
};
#[cfg(any(feature = "http", feature = "grpc"))]
pub(super) use self::{
    lookup::{context_of_creation as context_around, with_propagators},
    sampler::never_sampled,
};
use super::sampling::HeadSampler;
use crate::{
    observation::TraceReference, runtime::clock::Clock, runtime::own_thread, traces::Propagator,
};

/// The parent in the current OpenTelemetry context.
enum ContextParent {
    Absent,
    Sampled,
    Unsampled(SpanContext),
}

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
            inner: OpenTelemetryLayer::new(tracer.clone()),
            queried: OpenTelemetryLayer::new(tracer),
            sampler,
            origin: clock.raw(),
            clock,
            spans,
            callsites: Callsites::new(),
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

    /// Sets the header formats of requests.
    pub(super) fn with_propagators(mut self, propagators: &[Propagator]) -> Self {
        self.lookup.propagators = propagators.into();
        self
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
        let started = self.started(&id)?;
        let own = SampledIds::of(started.span().span_context())?;
        Some(TraceReference {
            trace_id: own.trace_id,
            span_id: own.span_id,
            time: self.clock.wall(),
        })
    }

    // The caller, `layer::traced`, is out of line already.
    #[inline]
    pub(crate) fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        if own_thread::is_marked() {
            return;
        }
        let metadata = attributes.metadata();
        let mut current = None;
        if attributes.is_contextual() {
            match OtelContext::map_current(|current| self.context_parent(current)) {
                ContextParent::Absent => {}
                ContextParent::Sampled => return self.let_through(attributes, id, context),
                ContextParent::Unsampled(parent) => {
                    return self.new_below_unsampled(&parent, attributes, id, context);
                }
            }
            current = context.current_span().id().cloned();
        }
        if let Some(parent) = attributes.parent().or(current.as_ref()) {
            self.decide_if_deferred(parent);
            if self.spans.is_sampled(parent.into_u64()) {
                self.let_through(attributes, id, context);
            } else if is_boundary(metadata) {
                self.defer_in_unsampled(attributes, id, context);
            }
            return;
        }
        let is_drawn = self.sampler.draw(attributes, || self.now());
        if is_boundary(metadata) || self.callsites.defers(metadata) {
            let under = context_of_creation(attributes);
            self.defer(under, is_drawn, attributes, id, context);
        } else if is_drawn {
            self.let_through(attributes, id, context);
        }
    }

    #[inline]
    fn context_parent(&self, current: &OtelContext) -> ContextParent {
        if !current.has_active_span() {
            return ContextParent::Absent;
        }
        let span = current.span();
        let parent = span.span_context();
        if !parent.is_valid() {
            ContextParent::Absent
        } else if is_sampled(&self.sampler, parent, current) {
            ContextParent::Sampled
        } else {
            ContextParent::Unsampled(parent.clone())
        }
    }

    fn let_through(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>) {
        let now = || self.clock.raw();
        self.spans.insert(id.into_u64(), Decision::Sampled, now);
        self.forward_new_span(attributes, id, context);
    }

    /// Handles a new span whose parent, of the current OpenTelemetry context, is not sampled.
    #[cold]
    fn new_below_unsampled(
        &self,
        parent: &SpanContext,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        if is_boundary(attributes.metadata()) {
            let under = context_of_creation(attributes);
            return self.defer(under, false, attributes, id, context);
        }
        // The `tracing` span around may belong to another trace, such as a worker that handles many messages.
        let Some(span) = context.span(id) else { return };
        let around = span.parent();
        let known = around.and_then(|span| identity::known(&span, &self.spans));
        if known.is_some_and(|known| known.trace_id() == parent.trace_id()) {
            return;
        }
        if self.callsites.defers(attributes.metadata()) {
            let under = context_of_creation(attributes);
            return self.defer(under, false, attributes, id, context);
        }
        let own = identity::unsampled_below(parent);
        span.extensions_mut().replace(Identity(own));
    }

    #[inline]
    pub(crate) fn on_record(&self, id: &Id, values: &Record<'_>, context: &Context<'_, S>) {
        if self.spans.contains(id.into_u64()) {
            self.forward_record(id, values, context);
            if is_end(values) {
                self.decide_if_deferred(id);
                self.end_early(id);
            }
        }
    }

    pub(crate) fn on_follows_from(&self, id: &Id, follows: &Id, context: &Context<'_, S>) {
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
        if self.spans.is_empty() {
            return;
        }
        let has_deferred = self.spans.has_deferred();
        // The OpenTelemetry context is that of the current span, and cheaper to read than the span.
        let is_inside = !has_deferred && event.is_contextual() && is_sampled_current();
        // A span keeps a limited number of events: those of tokens would displace those of a failure after them.
        if (is_inside || self.is_of_sampled(event, context)) && event.metadata().name() != "token" {
            self.forward_event(event, context);
        }
    }

    fn is_of_sampled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        let is_contextual = event.is_contextual();
        let current = is_contextual.then(|| context.current_span().id().cloned());
        let current = current.flatten();
        event.parent().or(current.as_ref()).is_some_and(|id| {
            self.decide_if_deferred(id);
            self.spans.is_sampled(id.into_u64())
        })
    }

    /// Returns the ids of a sampled span at its first enter.
    #[inline]
    pub(crate) fn on_enter(&self, id: &Id, context: &Context<'_, S>) -> Option<SampledIds> {
        self.decide_if_deferred(id);
        let number = id.into_u64();
        match self.spans.lacks_ids(number) {
            Some(lacks_ids) => {
                self.inner.on_enter(id, context.clone());
                return lacks_ids.then(|| self.on_first_enter(id, context))?;
            }
            None if is_sampled_current() => {
                if let Some(own) = context.span(id).and_then(|span| self.identity(&span)) {
                    unsampled_context::attach(number, own);
                }
            }
            None => unsampled_context::enter(number),
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
        if self.spans.contains(id.into_u64()) {
            if std::thread::panicking() {
                self.record_panic(id);
            }
            return self.inner.on_exit(id, context.clone());
        }
        unsampled_context::exit(id.into_u64());
    }

    #[inline]
    pub(crate) fn on_close(&self, id: &Id, context: &Context<'_, S>) {
        self.decide_if_deferred(id);
        if self.spans.remove(id.into_u64()) {
            self.inner.on_close(id.clone(), context.clone());
        }
    }

    pub(crate) fn on_register_dispatch(&self, dispatch: &Dispatch) {
        // A layer is part of one subscriber.
        let _ = self.dispatch.set(dispatch.downgrade());
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

/// Whether the active span of the current OpenTelemetry context is sampled.
#[inline]
fn is_sampled_current() -> bool {
    OtelContext::map_current(|current| {
        current.has_active_span() && current.span().span_context().is_sampled()
    })
}

#[cfg(test)]
pub(super) mod tests;
