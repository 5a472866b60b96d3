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
mod identity;
mod ids;
mod naming;
mod sampled;
mod sampler;
mod verdict;

use std::{
    any::TypeId,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use opentelemetry::{
    Context as OtelContext, KeyValue,
    trace::{SpanContext, Status, TraceContextExt as _},
};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    dispatcher::WeakDispatch,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_opentelemetry::{OpenTelemetryLayer, get_otel_context};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

pub(super) use self::asked::about_recorded;
#[cfg(any(feature = "http", feature = "grpc"))]
pub(super) use self::sampler::not_kept;
use self::{
    asked::{Asked, Callsites, Desk},
    identity::Identity,
    ids::Ids,
    sampler::is_sampled,
};
pub(super) use self::{
    identity::{ids_of, name_of},
    sampled::Sampled,
    sampler::{GateIds, GateSampler},
    verdict::NOT_KEPT,
};
use super::{live::OpenSpan, sampling::HeadSampler};
use crate::{clock::Clock, config::Propagator, observation::TraceReference, own_thread};

/// What the ids of a span that was entered for the first time are.
pub(crate) struct Entered {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
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
}

/// Finds the gate of a subscriber, whose type the one who asks does not know.
pub(crate) struct Lookup {
    context_of: fn(&Dispatch, &Id) -> Option<SpanContext>,
    #[cfg(any(feature = "http", feature = "grpc"))]
    around: fn(&Dispatch, &Id) -> Option<SpanContext>,
    open_spans: fn(&Dispatch) -> Vec<OpenSpan>,
    /// Formats of headers that requests carry traces in.
    propagators: Box<[Propagator]>,
}

/// What `with` makes of the configured formats of headers; `None` where there are no traces.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(in crate::traces) fn propagators_of<R>(
    dispatch: &Dispatch,
    with: impl FnOnce(&[Propagator]) -> R,
) -> Option<R> {
    Some(with(&dispatch.downcast_ref::<Lookup>()?.propagators))
}

/// What others are to be told of a span: its own ids, or those of its unsampled trace.
pub(in crate::traces) fn context_of(dispatch: &Dispatch, id: &Id) -> Option<SpanContext> {
    let lookup = dispatch.downcast_ref::<Lookup>()?;
    (lookup.context_of)(dispatch, id)
}

/// What a span was made under that nobody has entered yet, on the thread that made it.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(in crate::traces) fn made_in(dispatch: &Dispatch, id: &Id) -> OtelContext {
    let current = OtelContext::current();
    if current.has_active_span() {
        return current;
    }
    let lookup = dispatch.downcast_ref::<Lookup>();
    match lookup.and_then(|lookup| (lookup.around)(dispatch, id)) {
        Some(unsampled) => current.with_remote_span_context(unsampled),
        None => current,
    }
}

/// Spans of sampled traces that are open, in no order. Where more are open than the set has places, some are missing.
pub(in crate::traces) fn open_spans(dispatch: &Dispatch) -> Vec<OpenSpan> {
    let lookup = dispatch.downcast_ref::<Lookup>();
    lookup.map_or_else(Vec::new, |lookup| (lookup.open_spans)(dispatch))
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
            lookup: Lookup {
                context_of: Self::context_of,
                #[cfg(any(feature = "http", feature = "grpc"))]
                around: Self::around,
                open_spans: Self::open_spans,
                propagators: Box::default(),
            },
        }
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

    fn context_of(dispatch: &Dispatch, id: &Id) -> Option<SpanContext> {
        let gate = dispatch.downcast_ref::<Self>()?;
        gate.decide_if_waiting(id);
        if gate.is_through(id) {
            // Starts the span, which whoever sends its id on wants.
            return Some(seen(id, dispatch)?.span().span_context().clone());
        }
        let registry = dispatch.downcast_ref::<S>()?;
        gate.identity(&registry.span(id)?)
    }

    /// The unsampled trace that a span was made in.
    #[cfg(any(feature = "http", feature = "grpc"))]
    fn around(dispatch: &Dispatch, id: &Id) -> Option<SpanContext> {
        let gate = dispatch.downcast_ref::<Self>()?;
        let parent = dispatch.downcast_ref::<S>()?.span(id)?.parent()?;
        let is_sampled = gate.sampled.contains(parent.id().into_u64());
        (!is_sampled).then(|| gate.identity(&parent))?
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

    fn open_spans(dispatch: &Dispatch) -> Vec<OpenSpan> {
        let gate = dispatch.downcast_ref::<Self>();
        let Some((gate, registry)) = gate.zip(dispatch.downcast_ref::<S>()) else {
            return Vec::new();
        };
        let now = gate.clock.raw();
        let open = gate.sampled.open().filter_map(|open| {
            let span = registry.span(&Id::from_u64(open.id))?;
            Some(OpenSpan {
                name: span.name(),
                target: span.metadata().target(),
                trace_id: open.name.as_ref().map(|own| own.trace_id),
                span_id: open.name.as_ref().map(|own| own.span_id),
                parent_id: span
                    .parent()
                    .and_then(|parent| gate.sampled.name_of(parent.id().into_u64()))
                    .map(|parent| parent.span_id),
                age: gate.clock.between(open.since, now),
            })
        });
        open.collect()
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

    /// Starts an undecided span, if it is one: from here on a parent that is set comes too late.
    #[cold]
    fn decide(&self, id: &Id) {
        let number = id.into_u64();
        // While one is started, the SDK may speak.
        if !self.undecided.contains(number) || asked::is_ours() {
            return;
        }
        let deciding = self.deciding.lock();
        let _one_at_a_time = deciding.unwrap_or_else(PoisonError::into_inner);
        if !self.undecided.contains(number) {
            return;
        }
        if let Some(dispatch) = self.dispatch() {
            self.decide_now(id, &dispatch);
        }
        self.refused.remove(number);
        // Last: it is let through all the time.
        self.undecided.remove(number);
    }

    fn decide_now(&self, id: &Id, dispatch: &Dispatch) {
        let number = id.into_u64();
        let (context, has_begun) = verdict::begins(|| seen(id, dispatch));
        let Some(context) = context else { return };
        let context = context.span().span_context().clone();
        let is_sampled = context.is_sampled();
        let is_ours = dispatch.downcast_ref::<S>().and_then(|all| all.span(id));
        let is_first = is_ours.as_ref().is_some_and(|span| span.parent().is_none());
        if is_first && !has_begun && !self.refused.contains(number) {
            self.sampler.began_elsewhere();
        }
        if is_sampled {
            return self.sampled.insert(number, || self.clock.raw());
        }
        self.edges.insert(number);
        if let Some(span) = is_ours {
            span.extensions_mut().replace(Identity(context));
        }
    }

    // These stay functions of their own: inlined into the Layer's callbacks, their registers would be saved for every
    // span of a service without traces.
    #[inline(never)]
    pub(crate) fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        if own_thread::is_marked() {
            return;
        }
        let number = id.into_u64();
        if attributes.is_contextual() {
            let current = OtelContext::map_current(|current| {
                current
                    .has_active_span()
                    .then(|| current.span().span_context().clone())
                    .filter(SpanContext::is_valid)
            });
            if let Some(parent) = current {
                if OtelContext::map_current(|under| is_sampled(&self.sampler, &parent, under)) {
                    return self.let_through(attributes, id, context);
                }
                return self.unsampled_below(&parent, attributes, id, context);
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
            self.leave_undecided(around(attributes), is_kept, attributes, id, context);
        } else if is_kept {
            self.let_through(attributes, id, context);
        } else {
            self.passed_by(number);
        }
    }

    fn let_through(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>) {
        self.sampled.insert(id.into_u64(), || self.clock.raw());
        self.inner.on_new_span(attributes, id, context.clone());
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
            return self.leave_undecided(around(attributes), false, attributes, id, context);
        }
        self.passed_by(id.into_u64());
        // What is around it, if anything, may be of another trace: of a worker that serves many.
        let Some(span) = context.span(id) else { return };
        let known = span.parent().and_then(|span| self.known_identity(&span));
        if known.is_none_or(|known| known.trace_id() != parent.trace_id()) {
            let own = identity::not_kept(parent);
            span.extensions_mut().replace(Identity(own));
        }
    }

    /// What spans inside this one go by, if anybody has asked, or it came in with its first.
    fn known_identity(&self, span: &SpanRef<'_, S>) -> Option<SpanContext> {
        let is_sampled = |span: &SpanRef<'_, S>| self.sampled.contains(span.id().into_u64());
        let mut around = span.scope().take_while(|span| !is_sampled(span));
        around.find_map(|span| {
            let extensions = span.extensions();
            extensions.get().map(|Identity(own)| own.clone())
        })
    }

    /// A span at the edge of an unsampled trace: unless a parent is set, it records nothing, and its context says so.
    #[cold]
    fn let_edge_through(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(parent) = self.identity(&span) {
            let under = around(attributes).with_remote_span_context(parent);
            self.leave_undecided(under, false, attributes, id, context);
        }
    }

    /// Lets a span through as a child of `under`, to be decided when it is entered. Until then a parent may be set;
    /// without any, it is kept if it was drawn.
    fn leave_undecided(
        &self,
        under: OtelContext,
        is_drawn: bool,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        self.pass(under, attributes, id, context);
        if !is_drawn {
            verdict::write_not_kept(|record| self.inner.on_record(id, record, context.clone()));
            self.refused.insert(id.into_u64());
        }
        self.undecided.insert(id.into_u64());
    }

    /// Lets a span through as a child of `under`.
    fn pass(
        &self,
        under: OtelContext,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        let _current = under.attach();
        let contextual = Attributes::new(attributes.metadata(), attributes.values());
        self.inner.on_new_span(&contextual, id, context.clone());
    }

    #[inline(never)]
    pub(crate) fn on_record(&self, id: &Id, values: &Record<'_>, context: &Context<'_, S>) {
        if self.is_through(id) {
            self.inner.on_record(id, values, context.clone());
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

    #[inline(never)]
    pub(crate) fn on_event(&self, event: &Event<'_>, context: &Context<'_, S>) {
        let current = if event.is_contextual() {
            context.current_span().id().cloned()
        } else {
            None
        };
        let Some(id) = event.parent().or(current.as_ref()) else {
            return;
        };
        self.decide_if_waiting(id);
        // A span keeps so many events and no more: tokens would take the place of what went wrong after them.
        if self.sampled.contains(id.into_u64()) && event.metadata().name() != "token" {
            self.inner.on_event(event, context.clone());
        }
    }

    /// The ids of a sampled span that is entered for the first time.
    #[inline(never)]
    pub(crate) fn on_enter(&self, id: &Id, context: &Context<'_, S>) -> Option<Entered> {
        self.decide_if_waiting(id);
        if self.is_through(id) {
            self.inner.on_enter(id, context.clone());
            return self.first_enter(id, context);
        }
        let is_inside_a_sampled_one = OtelContext::map_current(|current| {
            current.has_active_span() && current.span().span_context().is_sampled()
        });
        if is_inside_a_sampled_one {
            self.take_its_place(id, context);
        } else {
            attached::enter_again(id.into_u64());
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

    #[inline(never)]
    pub(crate) fn on_exit(&self, id: &Id, context: &Context<'_, S>) {
        if self.is_through(id) {
            if std::thread::panicking() {
                self.panicked(id);
            }
            return self.inner.on_exit(id, context.clone());
        }
        attached::detach(id.into_u64());
    }

    /// A panic goes through a span: it failed, whatever it has said of itself.
    #[cold]
    fn panicked(&self, id: &Id) {
        if !self.sampled.contains(id.into_u64()) {
            return;
        }
        let context = self.dispatch().and_then(|dispatch| seen(id, &dispatch));
        if let Some(context) = context {
            let span = context.span();
            span.set_attribute(KeyValue::new("error.type", "panic"));
            span.set_status(Status::error("panic"));
        }
    }

    /// What a span watched is over, though something holds it open: it ends here and now.
    #[cold]
    fn ended(&self, id: &Id) {
        let context = self.dispatch().and_then(|dispatch| seen(id, &dispatch));
        if let Some(context) = context {
            context.span().end();
        }
    }

    #[inline(never)]
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

/// What a span is made in.
fn around(attributes: &Attributes<'_>) -> OtelContext {
    if attributes.is_contextual() {
        OtelContext::current()
    } else {
        OtelContext::new()
    }
}

/// Whether `observatory.ended = true` is among the values.
fn says_ended(values: &Record<'_>) -> bool {
    struct Ended(bool);
    impl Visit for Ended {
        fn record_bool(&mut self, field: &Field, value: bool) {
            self.0 |= value && field.name() == "observatory.ended";
        }

        fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
    }
    let mut ended = Ended(false);
    values.record(&mut ended);
    ended.0
}

/// The context of a span that the inner layer has seen; starts it.
fn seen(id: &Id, dispatch: &Dispatch) -> Option<OtelContext> {
    about_recorded(|| get_otel_context(id, dispatch))
}

/// Whether a span stands at the process's edge, as its callsite says.
fn is_edge(metadata: &Metadata<'_>) -> bool {
    metadata.fields().iter().any(|field| {
        matches!(
            field.name(),
            "otel.kind" | "http.request.method" | "rpc.system"
        )
    })
}

#[cfg(test)]
mod tests;
