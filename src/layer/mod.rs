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
#[cfg(feature = "otlp")]
mod traced;
#[cfg(not(feature = "otlp"))]
#[path = "untraced.rs"]
mod traced;
mod values;
mod visit;
mod watch;

#[cfg(feature = "otlp")]
use std::any::TypeId;
use std::{fmt, marker::PhantomData};

#[cfg(feature = "otlp")]
use tracing::level_filters::LevelFilter;
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
pub(crate) use self::{
    fields::is_known as is_known_field, kind::Kind, probe::hidden_kinds, registered::Registered,
};
use self::{traced::Traced, watch::Watch};
#[cfg(feature = "otlp")]
use crate::traces::Gate;
use crate::{observation::Sink, runtime::clock::Clock};

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
    parts: Parts<S>,
    registered: Registered,
    subscriber: PhantomData<fn(S)>,
}

/// What a Layer is made of. One question at each callback: metrics alone do not pay for traces.
///
/// Tagged outright: a tag in a niche of the fields takes two questions.
#[repr(u8)]
#[expect(
    clippy::large_enum_variant,
    reason = "a service has one of it, and a box would be a pointer to follow at each callback"
)]
enum Parts<S> {
    Nothing,
    Metrics(Watch),
    #[cfg_attr(
        not(feature = "otlp"),
        expect(dead_code, reason = "it gives the type its parameter")
    )]
    Traces(Box<Traced<S>>),
}

impl<S> ObservatoryLayer<S> {
    /// A Layer that gives what it observes to `sink`.
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self::with_options(sink, Mapping::default(), Clock::system())
    }

    /// A Layer with names of the application's own mapped, and with a clock.
    pub fn with_options(sink: impl Sink + 'static, mapping: Mapping, clock: Clock) -> Self {
        Self::of(Parts::Metrics(Watch::new(Box::new(sink), mapping, clock)))
    }

    /// A Layer that does nothing, and costs nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::of(Parts::Nothing)
    }

    fn of(parts: Parts<S>) -> Self {
        Self {
            parts,
            registered: Registered::default(),
            subscriber: PhantomData,
        }
    }

    /// Spans go through this gate, too.
    #[cfg(feature = "otlp")]
    pub(crate) fn with_gate(mut self, gate: Gate<S>) -> Self {
        let watch = match self.parts {
            Parts::Nothing => None,
            Parts::Metrics(watch) => Some(watch),
            Parts::Traces(traced) => traced.watch,
        };
        self.parts = Parts::Traces(Box::new(Traced {
            watch,
            gate,
            event_level: LevelFilter::TRACE,
        }));
        self
    }

    /// Events that are more verbose are none for it: they pass for somebody else's sake.
    #[cfg(feature = "otlp")]
    pub(crate) fn with_event_level(mut self, level: LevelFilter) -> Self {
        if let Parts::Traces(traced) = &mut self.parts {
            traced.event_level = level;
        }
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
            .field("is_on", &!matches!(self.parts, Parts::Nothing))
            .finish_non_exhaustive()
    }
}

/// A subscriber whose spans a Layer can look up.
trait Seen: Subscriber + for<'l> LookupSpan<'l> {}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Seen for S {}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for ObservatoryLayer<S> {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.registered.set(subscriber);
        #[cfg(feature = "otlp")]
        if let Parts::Traces(traced) = &self.parts {
            traced.gate.on_register_dispatch(subscriber);
        }
    }

    #[cfg(feature = "otlp")]
    fn on_layer(&mut self, subscriber: &mut S) {
        if let Parts::Traces(traced) = &mut self.parts {
            traced.gate.on_layer(subscriber);
        }
    }

    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // `always` here and a filtered layer beside us, and spans are lost (tokio-rs/tracing#2519).
        match &self.parts {
            Parts::Nothing => Interest::always(),
            Parts::Metrics(_) | Parts::Traces(_) => Interest::sometimes(),
        }
    }

    #[inline]
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        match &self.parts {
            Parts::Metrics(watch) => watch.on_new_span(attributes, id),
            Parts::Traces(traced) => traced.on_new_span(attributes, id, context),
            Parts::Nothing => {}
        }
    }

    #[inline]
    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        match &self.parts {
            Parts::Metrics(watch) => watch.on_record(id, values),
            Parts::Traces(traced) => traced.on_record(id, values, context),
            Parts::Nothing => {}
        }
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        match &self.parts {
            Parts::Metrics(watch) => watch.on_event(event, &context, || None),
            Parts::Traces(traced) => traced.on_event(event, context),
            Parts::Nothing => {}
        }
    }

    #[cfg(feature = "otlp")]
    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        if let Parts::Traces(traced) = &self.parts {
            traced.gate.on_follows_from(id, follows, &context);
        }
    }

    #[cfg(feature = "otlp")]
    #[inline]
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Parts::Traces(traced) = &self.parts {
            traced.on_enter(id, context);
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        match &self.parts {
            Parts::Metrics(watch) => watch.on_exit(id),
            Parts::Traces(traced) => traced.on_exit(id, context),
            Parts::Nothing => {}
        }
    }

    #[inline]
    fn on_close(&self, id: Id, context: Context<'_, S>) {
        match &self.parts {
            Parts::Metrics(watch) => watch.on_close(&id),
            Parts::Traces(traced) => traced.on_close(&id, context),
            Parts::Nothing => {}
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
        match &self.parts {
            Parts::Traces(traced) => traced.gate.downcast(id),
            Parts::Nothing | Parts::Metrics(_) => None,
        }
    }
}
