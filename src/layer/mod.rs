//! A Layer for `tracing-subscriber` that interprets spans and events as observations.
//!
//! The Layer evaluates each callsite once: the kind of the span and the role of each field. Open inferences are stored
//! in a table ([`open`]), all other open spans in a map ([`overflow_spans`]), and no span in the extensions of the
//! registry. The Layer holds no lock while it calls a sink or the application's `Debug` and `Display` implementations:
//! both may call the Layer again.
//!
//! | Module | Content |
//! |---|---|
//! | [`callsite`], [`fields`] | kind and roles of a callsite, by the tables of names |
//! | [`field_reader`], [`values`] | reads the fields of a span or an event |
//! | [`interpreter`], [`events`] | the callbacks for spans and for events |
//! | [`open`], [`operation`], [`overflow_spans`] | open spans |
//! | `watch`, `thread_slots`, `open_tasks`, `span_reader` | entered and open spans for the watchdog |

mod alert_fields;
mod callsite;
mod event_fields;
mod events;
mod field_reader;
mod fields;
mod interpreter;
mod open;
#[cfg(feature = "health")]
mod open_tasks;
mod operation;
mod overflow_spans;
mod probe;
#[cfg(feature = "health")]
mod span_reader;
#[cfg(feature = "health")]
mod thread_slots;
mod values;
#[cfg(feature = "health")]
mod watch;
#[cfg(feature = "otlp")]
mod with_traces;
#[cfg(not(feature = "otlp"))]
mod without_traces;
#[cfg(not(feature = "health"))]
mod without_watch;

#[cfg(feature = "otlp")]
use std::any::TypeId;
use std::{fmt, marker::PhantomData, sync::Arc};

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

use self::interpreter::Interpreter;
#[cfg(feature = "otlp")]
use self::with_traces::Traced;
#[cfg(not(feature = "otlp"))]
use self::without_traces::{Traced, is_active};
#[cfg(not(feature = "health"))]
use self::without_watch::Watch;
pub(crate) use self::{fields::is_known as is_known_field, probe::HiddenSpans};
#[cfg(feature = "health")]
pub(crate) use self::{
    span_reader::{SpanReader, SpanView},
    watch::{TaskReading, ThreadReading, Watch, runtime_key},
};
#[cfg(feature = "otlp")]
use crate::traces::{Gate, is_active};
use crate::{
    journal::Journal,
    observation::{Labels, Mapping, Sink},
    runtime::Registered,
    runtime::clock::Clock,
};

/// A Layer that interprets spans and events and passes the observations to a [`Sink`].
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
/// The Layer never disables a callsite, because other layers may need the callsite. Without an outer level filter, a
/// disabled `trace!` therefore misses tracing's fastest path: put a `LevelFilter` around the subscriber.
///
/// The destructor of a thread-local must not open a span: the thread-locals of tracing and OpenTelemetry may be destroyed
/// already, and a panic in such a destructor aborts the process.
pub struct ObservatoryLayer<S = Registry> {
    mode: Mode<S>,
    /// `None` if the watchdog is off.
    watch: Option<Arc<Watch>>,
    /// `None` if the journal is off.
    journal: Option<Arc<Journal>>,
    registered: Registered,
    on_assembled: Vec<OnAssembled>,
    subscriber: PhantomData<fn(S)>,
}

/// A function that is called with the subscriber when the subscriber is assembled.
type OnAssembled = Box<dyn Fn(&Dispatch) + Send + Sync>;

/// The mode of a Layer. Each callback takes a single branch, so that metrics alone do not pay for traces.
///
/// `repr(u8)` gives the enum a tag of its own: a tag in a niche of the fields takes two comparisons.
#[repr(u8)]
#[expect(
    clippy::large_enum_variant,
    reason = "a service has a single Layer, and a box would cost a pointer dereference at each callback"
)]
enum Mode<S> {
    Off,
    Metrics(Interpreter),
    Traces(Box<Traced<S>>),
}

impl<S> From<Traced<S>> for Mode<S> {
    fn from(traced: Traced<S>) -> Self {
        Self::Traces(Box::new(traced))
    }
}

impl<S> ObservatoryLayer<S> {
    /// Returns a Layer that passes observations to `sink`.
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self::with_options(sink, Mapping::default(), Clock::system())
    }

    /// Returns a Layer with a mapping of the application's names, and with a clock.
    pub fn with_options(sink: impl Sink + 'static, mapping: Mapping, clock: Clock) -> Self {
        Self::of(Mode::Metrics(Interpreter::new(
            Box::new(sink),
            mapping,
            clock,
        )))
    }

    /// Returns a Layer that does nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::of(Mode::Off)
    }

    fn of(mode: Mode<S>) -> Self {
        Self {
            mode,
            watch: None,
            journal: None,
            registered: Registered::default(),
            on_assembled: Vec::new(),
            subscriber: PhantomData,
        }
    }

    /// Measures spans in `journal`.
    pub(crate) fn with_journal(mut self, journal: Option<Arc<Journal>>) -> Self {
        self.journal = journal;
        self
    }

    /// Adds the gate of the traces.
    #[cfg(feature = "otlp")]
    pub(crate) fn with_gate(mut self, gate: Gate<S>) -> Self {
        let interpreter = match self.mode {
            Mode::Off => None,
            Mode::Metrics(interpreter) => Some(interpreter),
            Mode::Traces(traced) => traced.interpreter,
        };
        self.mode = Mode::from(Traced {
            interpreter,
            gate,
            event_level: LevelFilter::TRACE,
        });
        self
    }

    /// Sets the max level of events; more verbose events pass the outer filter only for other layers.
    #[cfg(feature = "otlp")]
    pub(crate) fn with_event_level(mut self, level: LevelFilter) -> Self {
        if let Mode::Traces(traced) = &mut self.mode {
            traced.event_level = level;
        }
        self
    }

    /// Calls `hook` with the subscriber that this Layer becomes part of, once all of its layers are known.
    pub(crate) fn on_assembled(mut self, hook: impl Fn(&Dispatch) + Send + Sync + 'static) -> Self {
        self.on_assembled.push(Box::new(hook));
        self
    }

    /// Records the entered and the open spans in `watch`.
    #[cfg(feature = "health")]
    pub(crate) fn with_watch(mut self, watch: Option<Arc<Watch>>) -> Self {
        self.watch = watch;
        self
    }

    /// Returns the labels of an open span that the Layer interprets.
    fn labels(&self, id: u64) -> Option<Labels> {
        match &self.mode {
            Mode::Off => None,
            Mode::Metrics(interpreter) => interpreter.labels(id),
            Mode::Traces(traced) => traced.interpreter()?.labels(id),
        }
    }

    /// Returns the handle of the subscriber that this Layer becomes part of.
    pub(crate) fn registered(&self) -> Registered {
        self.registered.clone()
    }
}

impl<S> fmt::Debug for ObservatoryLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservatoryLayer")
            .field("is_on", &!matches!(self.mode, Mode::Off))
            .finish_non_exhaustive()
    }
}

/// A subscriber with span look-up.
trait SpanLookup: Subscriber + for<'l> LookupSpan<'l> {}

impl<S: Subscriber + for<'l> LookupSpan<'l>> SpanLookup for S {}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for ObservatoryLayer<S> {
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.registered.set(subscriber);
        #[cfg(feature = "otlp")]
        if let Mode::Traces(traced) = &self.mode {
            traced.gate.on_register_dispatch(subscriber);
        }
        for hook in &self.on_assembled {
            hook(subscriber);
        }
    }

    #[cfg(feature = "otlp")]
    fn on_layer(&mut self, subscriber: &mut S) {
        if let Mode::Traces(traced) = &mut self.mode {
            traced.gate.on_layer(subscriber);
        }
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        probe::count(metadata);
        // With `always`, a filtered layer beside this Layer loses spans (tokio-rs/tracing#2519).
        match &self.mode {
            Mode::Off => Interest::always(),
            Mode::Metrics(_) | Mode::Traces(_) => Interest::sometimes(),
        }
    }

    #[inline]
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(watch) = &self.watch {
            watch.open(id.into_u64());
        }
        match &self.mode {
            Mode::Metrics(interpreter) => interpreter.on_new_span(attributes, id),
            Mode::Traces(traced) => traced.on_new_span(attributes, id, context),
            Mode::Off => {}
        }
        // After the interpreter, whose labels the journal takes.
        if let Some(journal) = &self.journal {
            journal.on_new_span(attributes, id, &|| self.labels(id.into_u64()));
        }
    }

    #[inline]
    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(journal) = &self.journal {
            journal.on_record(id, values);
        }
        match &self.mode {
            Mode::Metrics(interpreter) => interpreter.on_record(id, values),
            Mode::Traces(traced) => traced.on_record(id, values, context),
            Mode::Off => {}
        }
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if let Some(journal) = &self.journal {
            journal.on_event(event);
        }
        match &self.mode {
            Mode::Metrics(interpreter) => interpreter.on_event(event, &context, || None),
            Mode::Traces(traced) => traced.on_event(event, context),
            Mode::Off => {}
        }
    }

    #[cfg(feature = "otlp")]
    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        if let Mode::Traces(traced) = &self.mode {
            traced.gate.on_follows_from(id, follows, &context);
        }
    }

    #[inline]
    #[cfg_attr(
        not(feature = "otlp"),
        expect(unused_variables, reason = "the context is for the gate")
    )]
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(journal) = &self.journal {
            journal.on_enter(id);
        }
        if let Some(watch) = &self.watch {
            watch.enter(id.into_u64());
        }
        // A future enters its spans at each poll: with no sampled span in the process, that takes one comparison.
        #[cfg(feature = "otlp")]
        if is_active()
            && let Mode::Traces(traced) = &self.mode
            && !traced.gate.is_idle_at_enter()
        {
            traced.on_enter(id, context);
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if let Some(watch) = &self.watch {
            watch.exit(id.into_u64());
        }
        if let Some(journal) = &self.journal {
            journal.on_exit(id);
        }
        if !is_active() && !std::thread::panicking() {
            return;
        }
        match &self.mode {
            Mode::Metrics(interpreter) => interpreter.on_exit(id),
            Mode::Traces(traced) if traced.is_idle_at_exit() => {}
            Mode::Traces(traced) => traced.on_exit(id, context),
            Mode::Off => {}
        }
    }

    #[inline]
    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(watch) = &self.watch {
            watch.close(id.into_u64());
        }
        if let Some(journal) = &self.journal {
            journal.on_close(&id);
        }
        match &self.mode {
            Mode::Metrics(interpreter) => interpreter.on_close(&id),
            Mode::Traces(traced) => traced.on_close(&id, context),
            Mode::Off => {}
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
        match &self.mode {
            Mode::Traces(traced) => traced.gate.downcast(id),
            Mode::Off | Mode::Metrics(_) => None,
        }
    }
}
