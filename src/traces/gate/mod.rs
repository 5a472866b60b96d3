//! Lets the spans of sampled traces through to tracing-opentelemetry's layer, and no others.
//!
//! That layer costs the same whether a span is sampled or not, so it must not see those that are not. A per-layer
//! filter cannot do it: it sees neither explicit parents nor OpenTelemetry's context. So this wraps it, decides at the
//! first span of a trace, and has children follow. Only ids of spans that are let through are kept, in a lock-free set;
//! a span that is not there is unsampled, and leaves nothing behind.
//!
//! - A span's parent is OpenTelemetry's current context where there is one, as it is for that layer; else the span
//!   around it. What began elsewhere goes by its flag.
//! - A span whose callsite says `otel.kind`, or names an HTTP or RPC request, stands at the process's edge: foreign code
//!   calls `set_parent` on it when it exists already, or asks for its context to send it on. It is let through wherever
//!   the trace around it is not sampled, and decided at its first enter, child or event: by the parent that was set, else
//!   by what was drawn when it was made.
//! - An unsampled trace has one id, made when somebody asks. An unsampled span that is entered where a sampled one is
//!   current takes its place there.
//! - Where foreign code asks tracing-opentelemetry about an unsampled span, it is answered there and then ([`asked`]).

mod asked;
mod attached;
mod edge;
mod foreign;
mod identity;
mod ids;
mod lookup;
mod naming;
mod outcome;
mod sampled;
mod sampler;
mod verdict;

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
    asked::about_recorded,
    identity::{ids_of, name_of},
    lookup::{context_of, open_spans},
    sampled::Sampled,
    sampler::{GateIds, GateSampler},
    verdict::NOT_KEPT,
};
use self::{
    asked::{Asked, Callsites, Desk},
    edge::{is_edge, made_under},
    identity::Identity,
    ids::Ids,
    lookup::Lookup,
    outcome::says_ended,
    sampled::Naming,
    sampler::is_sampled,
};
#[cfg(any(feature = "http", feature = "grpc"))]
pub(super) use self::{
    lookup::{made_in, propagators_of},
    sampler::not_kept,
};
use super::sampling::HeadSampler;
use crate::{
    observation::TraceReference, runtime::clock::Clock, runtime::own_thread, traces::Propagator,
};

/// What the ids of a span that was entered for the first time are.
pub(crate) struct Entered {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
}

/// The parent that OpenTelemetry's current context names.
enum Current {
    None,
    Sampled,
    Unsampled(SpanContext),
}

/// The gate in front of tracing-opentelemetry's layer.
pub(crate) struct Gate<S> {
    inner: OpenTelemetryLayer<S, SdkTracer>,
    sampler: Arc<HeadSampler>,
    clock: Clock,
    origin: u64,
    /// Spans that are recorded.
    sampled: Arc<Sampled>,
    /// Spans at the edge that are not decided yet.
    undecided: Ids,
    /// Those that turned out unsampled.
    edges: Ids,
    dispatch: OnceLock<WeakDispatch>,
    /// First spans that are not decided yet, and were not drawn.
    refused: Ids,
    /// Held while one is decided.
    deciding: Mutex<()>,
    /// Where questions about spans go ([`asked`]).
    desk: Desk<S>,
    tracer: SdkTracer,
    callsites: Callsites,
    lookup: Lookup,
    /// Told of each field whose value panicked when it was printed.
    harmed: Box<dyn Fn(&str) + Send + Sync>,
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    pub(super) fn new(
        tracer: SdkTracer,
        sampler: Arc<HeadSampler>,
        recorded: Arc<Sampled>,
        clock: Clock,
    ) -> Self {
        Self {
            inner: OpenTelemetryLayer::new(tracer.clone()),
            sampler,
            origin: clock.raw(),
            clock,
            sampled: recorded,
            undecided: Ids::new(),
            edges: Ids::new(),
            dispatch: OnceLock::new(),
            refused: Ids::new(),
            deciding: Mutex::default(),
            desk: OpenTelemetryLayer::new(tracer.clone()),
            tracer,
            callsites: Callsites::new(),
            lookup: Lookup::of::<S>(),
            harmed: Box::new(|_| ()),
        }
    }

    /// Sets who is told of a field whose value panics when it is printed.
    pub(crate) fn with_harmed(mut self, harmed: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.harmed = Box::new(harmed);
        self
    }

    /// Sets the formats of headers that requests carry traces in.
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

    /// The sampled trace that an event belongs to.
    #[cold]
    pub(crate) fn trace_of(
        &self,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) -> Option<TraceReference> {
        let span = context.event_span(event)?;
        self.sampled.contains(span.id().into_u64()).then_some(())?;
        let own = Self::context_of(&self.dispatch()?, &span.id())?;
        own.is_sampled().then(|| TraceReference {
            trace_id: u128::from_be_bytes(own.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(own.span_id().to_bytes()),
            time: self.clock.wall(),
        })
    }

    /// Whether the inner layer knows this span.
    #[inline]
    fn is_through(&self, id: &Id) -> bool {
        let id = id.into_u64();
        self.sampled.contains(id) || self.edges.contains(id) || self.undecided.contains(id)
    }

    #[inline]
    fn decide_if_waiting(&self, id: &Id) {
        if !self.undecided.is_empty() {
            self.decide(id);
        }
    }

    /// What an unsampled span goes by.
    fn identity(&self, span: &SpanRef<'_, S>) -> Option<SpanContext> {
        identity::unsampled(span, &self.sampler, &self.sampled)
    }

    // Parts of the one who calls them, who is out of line already: see `layer::traced`.
    #[inline]
    pub(crate) fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        if own_thread::is_marked() {
            return;
        }
        let number = id.into_u64();
        if attributes.is_contextual() {
            match OtelContext::map_current(|current| self.current(current)) {
                Current::None => {}
                Current::Sampled => return self.let_through(attributes, id, context),
                Current::Unsampled(parent) => {
                    return self.unsampled_below(&parent, attributes, id, context);
                }
            }
        }
        let current = if attributes.is_contextual() {
            context.current_span().id().cloned()
        } else {
            None
        };
        if let Some(parent) = attributes.parent().or(current.as_ref()) {
            self.decide_if_waiting(parent);
            if self.sampled.contains(parent.into_u64()) {
                self.let_through(attributes, id, context);
            } else if is_edge(attributes.metadata()) {
                self.let_edge_through(attributes, id, context);
            } else {
                self.passed_by(number);
            }
            return;
        }
        let is_kept = self.sampler.begins(attributes, || self.now());
        if is_edge(attributes.metadata()) || self.callsites.contains(attributes.metadata()) {
            self.leave_undecided(made_under(attributes), is_kept, attributes, id, context);
        } else if is_kept {
            self.let_through(attributes, id, context);
        } else {
            self.passed_by(number);
        }
    }

    /// What OpenTelemetry's current context says of spans that are made in it.
    #[inline]
    fn current(&self, current: &OtelContext) -> Current {
        if !current.has_active_span() {
            return Current::None;
        }
        let span = current.span();
        let parent = span.span_context();
        if !parent.is_valid() {
            Current::None
        } else if is_sampled(&self.sampler, parent, current) {
            Current::Sampled
        } else {
            Current::Unsampled(parent.clone())
        }
    }

    fn let_through(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>) {
        self.sampled.insert(id.into_u64(), || self.clock.raw());
        self.make(attributes, id, context);
    }

    /// The parent of this span, which OpenTelemetry's current context names, is not sampled.
    #[cold]
    fn unsampled_below(
        &self,
        parent: &SpanContext,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        if is_edge(attributes.metadata()) {
            return self.leave_undecided(made_under(attributes), false, attributes, id, context);
        }
        self.passed_by(id.into_u64());
        // What is around it, if anything, may be of another trace: of a worker that serves many.
        let Some(span) = context.span(id) else { return };
        let known = span
            .parent()
            .and_then(|span| identity::known(&span, &self.sampled));
        if known.is_none_or(|known| known.trace_id() != parent.trace_id()) {
            let own = identity::not_kept(parent);
            span.extensions_mut().replace(Identity(own));
        }
    }

    #[inline]
    pub(crate) fn on_record(&self, id: &Id, values: &Record<'_>, context: &Context<'_, S>) {
        if self.is_through(id) {
            self.fill(id, values, context);
            if self.sampled.contains(id.into_u64()) && says_ended(values) {
                self.ended(id);
            }
        }
    }

    pub(crate) fn on_follows_from(&self, id: &Id, follows: &Id, context: &Context<'_, S>) {
        self.decide_if_waiting(follows);
        if self.is_through(id) && self.is_through(follows) {
            return self.inner.on_follows_from(id, follows, context.clone());
        }
        self.decide_if_waiting(id);
        if !self.sampled.contains(id.into_u64()) {
            return;
        }
        // A link towards an unsampled span names its trace.
        let linked = context.span(follows).and_then(|span| self.identity(&span));
        let own = self.dispatch().and_then(|dispatch| seen(id, &dispatch));
        if let (Some(linked), Some(own)) = (linked, own) {
            own.span().add_link(linked, Vec::new());
        }
    }

    #[inline]
    pub(crate) fn on_event(&self, event: &Event<'_>, context: &Context<'_, S>) {
        let is_decided = self.undecided.is_empty();
        if is_decided && self.sampled.is_empty() {
            return;
        }
        // Whoever is inside an unsampled span has that as OpenTelemetry's context. To look there is cheaper than to look
        // for the span, which the inner layer does.
        let is_within = is_decided && event.is_contextual() && is_inside_a_sampled_one();
        // A span keeps so many events and no more: tokens would take the place of what went wrong after them.
        if (is_within || self.is_of_a_sampled_one(event, context))
            && event.metadata().name() != "token"
        {
            self.tell(event, context);
        }
    }

    fn is_of_a_sampled_one(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        let current = if event.is_contextual() {
            context.current_span().id().cloned()
        } else {
            None
        };
        event.parent().or(current.as_ref()).is_some_and(|id| {
            self.decide_if_waiting(id);
            self.sampled.contains(id.into_u64())
        })
    }

    /// The ids of a sampled span that is entered for the first time.
    #[inline]
    pub(crate) fn on_enter(&self, id: &Id, context: &Context<'_, S>) -> Option<Entered> {
        self.decide_if_waiting(id);
        let number = id.into_u64();
        let naming = self.sampled.naming(number);
        let is_through = match naming {
            Naming::Absent => self.edges.contains(number) || self.undecided.contains(number),
            Naming::Known | Naming::Open(_) | Naming::Elsewhere => true,
        };
        if is_through {
            self.inner.on_enter(id, context.clone());
            return self.entered(naming, id, context);
        }
        if is_inside_a_sampled_one() {
            self.take_its_place(id, context);
        } else {
            attached::enter_again(number);
        }
        None
    }

    #[cold]
    fn take_its_place(&self, id: &Id, context: &Context<'_, S>) {
        let unsampled = context.span(id).and_then(|span| self.identity(&span));
        if let Some(unsampled) = unsampled {
            attached::attach(id.into_u64(), unsampled);
        }
    }

    #[inline]
    pub(crate) fn on_exit(&self, id: &Id, context: &Context<'_, S>) {
        if self.is_through(id) {
            if std::thread::panicking() {
                self.panicked(id);
            }
            return self.inner.on_exit(id, context.clone());
        }
        attached::detach(id.into_u64());
    }

    #[inline]
    pub(crate) fn on_close(&self, id: &Id, context: &Context<'_, S>) {
        self.decide_if_waiting(id);
        let number = id.into_u64();
        if self.sampled.remove(number) {
            return self.inner.on_close(id.clone(), context.clone());
        }
        if self.edges.remove(number) {
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
        if id == TypeId::of::<Asked<S>>() {
            let dispatch = self.dispatch()?;
            let subscriber: &S = dispatch.downcast_ref()?;
            // The one who asks holds the subscriber, too.
            return Some(std::ptr::from_ref(subscriber).cast());
        }
        if id == TypeId::of::<OpenTelemetryLayer<S, SdkTracer>>() {
            return Some(std::ptr::from_ref(&self.inner).cast());
        }
        // SAFETY: they only compare type ids and hand out pointers into themselves, which live as long as `self`.
        let found = unsafe {
            match self.dispatch() {
                Some(_) => self.desk.downcast_raw(id),
                None => self.inner.downcast_raw(id),
            }
        }?;
        self.is_asked(id == TypeId::of::<Desk<S>>());
        Some(found)
    }
}

/// Whether OpenTelemetry's current span is sampled.
#[inline]
fn is_inside_a_sampled_one() -> bool {
    OtelContext::map_current(|current| {
        current.has_active_span() && current.span().span_context().is_sampled()
    })
}

/// The context of a span that the inner layer has seen; starts it.
fn seen(id: &Id, dispatch: &Dispatch) -> Option<OtelContext> {
    about_recorded(|| get_otel_context(id, dispatch))
}

#[cfg(test)]
pub(super) mod tests;
