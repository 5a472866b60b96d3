//! Interprets spans and events as [`Observation`]s. The only module that knows `tracing`'s callbacks.
//!
//! A callsite is looked at once: is it a span of a kind we know, which field means what. The spans of an
//! inference, which are the hot ones, live in a table of our own, the others in a map; none in extensions. No
//! foreign `Debug` runs, and no sink is called, while anything is held: either may come back here.

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
            subscriber: PhantomData,
        }
    }

    /// A Layer that does nothing, and costs nothing.
    #[must_use]
    pub fn off() -> Self {
        Self {
            watch: None,
            registered: Registered::default(),
            subscriber: PhantomData,
        }
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
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
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
    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let Some(watch) = &self.watch else { return };
        if let Some(state) = watch.open.get(id.into_u64()) {
            return watch.record_inference(state, values);
        }
        watch.record_elsewhere(id, values);
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(watch) = &self.watch else { return };
        let plan = watch.callsites.plan(event.metadata());
        if let PlanInterest::Event(event_plan) = &plan.interest {
            watch.event(plan, event_plan, event, &context);
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        if std::thread::panicking()
            && let Some(watch) = &self.watch
        {
            watch.panicked(id);
        }
    }

    #[inline]
    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let Some(watch) = &self.watch else { return };
        if let Some(state) = watch.open.get(id.into_u64()) {
            watch.close_inference(state);
            return state.free();
        }
        watch.close_elsewhere(&id);
    }
}
