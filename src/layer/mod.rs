//! Interprets spans and events as [`Observation`]s. The only module that knows `tracing`'s callbacks.
//!
//! A callsite is looked at once: is it a span of a kind we know, which field means what. The spans of an
//! inference, which are the hot ones, live in a table of our own, the others in a map; none in extensions. No
//! foreign `Debug` runs, and no sink is called, while anything is held: either may come back here.

mod alert_fields;
mod callsite;
mod elsewhere;
mod event_fields;
mod events;
mod fields;
mod kind;
mod open;
mod operation;
mod probe;
mod registered;
mod values;
mod visit;
mod watch;

#[cfg(feature = "otlp")]
use std::any::TypeId;
use std::{fmt, marker::PhantomData, sync::Arc};

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, Registry},
};

pub use self::callsite::Mapping;
use self::{callsite::Interest as PlanInterest, watch::Watch};
pub(crate) use self::{
    fields::is_known as is_known_field, kind::Kind, probe::hidden_kinds, registered::Registered,
};
#[cfg(feature = "otlp")]
use crate::traces::Gate;
use crate::{clock::Clock, observation::Sink};

/// The interpretation of spans and events, for a [`Sink`].
///
/// ```
/// use llm_observatory::{MetricsSink, ObservatoryLayer, Registry, RegistryOptions, SinkOptions};
/// use tracing_subscriber::prelude::*;
///
/// let registry = Registry::new(RegistryOptions::default())?;
/// let sink = MetricsSink::new(registry.clone(), SinkOptions::default());
/// tracing_subscriber::registry().with(ObservatoryLayer::new(sink)).init();
/// # Ok::<(), llm_observatory::BucketsError>(())
/// ```
///
/// It never vetoes a callsite: what it does not want it leaves to others. In a stack without an outer level
/// filter that keeps disabled `trace!`s from tracing's fastest path; put a `LevelFilter` around the stack.
pub struct ObservatoryLayer<S = Registry> {
    watch: Option<Watch>,
    registered: Registered,
    /// Traces. In a box, so that a Layer without them stays small.
    #[cfg(feature = "otlp")]
    gate: Option<Box<Gate<S>>>,
    subscriber: PhantomData<fn(S)>,
}

impl<S> ObservatoryLayer<S> {
    /// A Layer that gives what it observes to `sink`.
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self::with_options(Arc::new(sink), Mapping::default(), Clock::system())
    }

    /// A Layer with names of the application's own mapped, and with a clock.
    pub fn with_options(sink: Arc<dyn Sink>, mapping: Mapping, clock: Clock) -> Self {
        Self {
            watch: Some(Watch::new(sink, mapping, clock)),
            registered: Registered::default(),
            #[cfg(feature = "otlp")]
            gate: None,
            subscriber: PhantomData,
        }
    }

    /// A Layer that does nothing, and costs nothing.
    #[must_use]
    pub fn off() -> Self {
        Self {
            watch: None,
            registered: Registered::default(),
            #[cfg(feature = "otlp")]
            gate: None,
            subscriber: PhantomData,
        }
    }

    /// Spans go through this gate, too.
    #[cfg(feature = "otlp")]
    pub(crate) fn with_gate(mut self, gate: Gate<S>) -> Self {
        self.gate = Some(Box::new(gate));
        self
    }

    /// The subscriber that it will be part of.
    pub(crate) fn registered(&self) -> Registered {
        self.registered.clone()
    }
}

impl<S> fmt::Debug for ObservatoryLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservatoryLayer")
            .field("is_on", &self.watch.is_some())
            .finish_non_exhaustive()
    }
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for ObservatoryLayer<S> {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.registered.set(subscriber);
        #[cfg(feature = "otlp")]
        if let Some(gate) = &self.gate {
            gate.on_register_dispatch(subscriber);
        }
    }

    #[cfg(feature = "otlp")]
    fn on_layer(&mut self, subscriber: &mut S) {
        if let Some(gate) = &mut self.gate {
            gate.on_layer(subscriber);
        }
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // `always` here and a filtered layer beside us, and spans are lost (tokio-rs/tracing#2519).
        if self.watch.is_some() {
            Interest::sometimes()
        } else {
            Interest::always()
        }
    }

    #[inline]
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        #[cfg(feature = "otlp")]
        if let Some(gate) = &self.gate {
            gate.on_new_span(attributes, id, &context);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = &context;
        let Some(watch) = &self.watch else { return };
        let plan = watch.callsites.plan(attributes.metadata());
        if plan.interest == PlanInterest::Span(Kind::Inference) {
            return watch.open_inference(plan, attributes, id);
        }
        match plan.interest {
            PlanInterest::Span(kind) => watch.open_operation(plan, kind, attributes, id),
            PlanInterest::SpanByField => watch.open_by_field(plan, attributes, id),
            PlanInterest::Nothing | PlanInterest::Event(_) => {}
        }
    }

    #[inline]
    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        #[cfg(feature = "otlp")]
        if let Some(gate) = &self.gate {
            gate.on_record(id, values, &context);
        }
        let Some(watch) = &self.watch else { return };
        if let Some(state) = watch.open.get(id.into_u64()) {
            return watch.record_inference(state, values);
        }
        watch.record_elsewhere(id, values, &context);
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        #[cfg(feature = "otlp")]
        if let Some(gate) = &self.gate {
            gate.on_event(event, &context);
        }
        let Some(watch) = &self.watch else { return };
        let plan = watch.callsites.plan(event.metadata());
        if let PlanInterest::Event(event_plan) = &plan.interest {
            watch.event(plan, event_plan, event, &context);
        }
    }

    #[cfg(feature = "otlp")]
    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        if let Some(gate) = &self.gate {
            gate.on_follows_from(id, follows, &context);
        }
    }

    #[cfg(feature = "otlp")]
    #[inline]
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(gate) = &self.gate
            && let Some(entered) = gate.on_enter(id, &context)
            && let Some(watch) = &self.watch
        {
            watch.is_traced(id, entered.trace_id, entered.span_id);
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        #[cfg(feature = "otlp")]
        if let Some(gate) = &self.gate {
            gate.on_exit(id, &context);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = &context;
        if std::thread::panicking()
            && let Some(watch) = &self.watch
        {
            watch.panicked(id);
        }
    }

    #[inline]
    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(watch) = &self.watch {
            watch.close(&id, &context);
        }
        #[cfg(feature = "otlp")]
        if let Some(gate) = &self.gate {
            gate.on_close(&id, &context);
        }
    }

    #[cfg(feature = "otlp")]
    #[expect(
        unsafe_code,
        reason = "OpenTelemetrySpanExt finds its layer by this, and the trait declares it unsafe"
    )]
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        // SAFETY: the pointer leads into the gate, which lives as long as `self`.
        self.gate.as_ref()?.downcast(id)
    }
}
