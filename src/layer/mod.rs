//! Interprets spans and events as [`Observation`]s. The only module that knows `tracing`'s callbacks.
//!
//! A callsite is looked at once: is it a span of a kind we know, which field means what. The spans of an
//! inference, which are the hot ones, live in a table of our own; the others in their extensions. No foreign
//! `Debug` runs, and no sink is called, while extensions are held: either may come back here.

mod callsite;
mod event;
mod fields;
mod kind;
mod open;
mod operation;
mod probe;
mod visit;

use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::Context,
    registry::{LookupSpan, Registry},
};

pub use self::callsite::Mapping;
use self::{
    callsite::{Callsites, EventPlan, Interest as PlanInterest, Plan},
    event::{Message, MetricsReader, Named},
    open::{OpenTable, State},
    operation::Operation,
    visit::{KindReader, Reader, Values},
};
pub(crate) use self::{fields::is_known as is_known_field, kind::Kind, probe::hidden_kinds};
use crate::{
    clock::Clock,
    observation::{Dropped, ErrorEvent, Label, Labels, Model, Observation, Sink, Text},
    own_thread,
};

/// Open spans that are kept in extensions at most; more are not observed, and counted.
const MOST_IN_EXTENSIONS: usize = 65_536;

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
    subscriber: PhantomData<fn(S)>,
}

struct Watch {
    sink: Arc<dyn Sink>,
    clock: Clock,
    callsites: Callsites,
    open: OpenTable,
    in_extensions: AtomicUsize,
}

impl<S> ObservatoryLayer<S> {
    /// A Layer that gives what it observes to `sink`.
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self::with_options(Arc::new(sink), Mapping::default(), Clock::system())
    }

    /// A Layer with names of the application's own mapped, and with a clock.
    pub fn with_options(sink: Arc<dyn Sink>, mapping: Mapping, clock: Clock) -> Self {
        let watch = Watch {
            sink,
            clock,
            callsites: Callsites::new(mapping),
            open: OpenTable::new(),
            in_extensions: AtomicUsize::new(0),
        };
        Self {
            watch: Some(watch),
            subscriber: PhantomData,
        }
    }

    /// A Layer that does nothing, and costs nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self {
            watch: None,
            subscriber: PhantomData,
        }
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
        let Some(watch) = &self.watch else { return };
        let plan = watch.callsites.plan(attributes.metadata());
        if plan.interest == PlanInterest::Span(Kind::Inference) {
            return watch.open_inference(plan, attributes, id, &context);
        }
        match plan.interest {
            PlanInterest::Span(kind) => watch.open_operation(plan, kind, attributes, id, &context),
            PlanInterest::SpanByField => watch.open_by_field(plan, attributes, id, &context),
            PlanInterest::Nothing | PlanInterest::Event(_) => {}
        }
    }

    #[inline]
    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(watch) = &self.watch else { return };
        if let Some(state) = watch.open.get(id.into_u64()) {
            return watch.record_inference(state, values);
        }
        watch.record_in_extensions(id, values, &context);
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
    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if std::thread::panicking()
            && let Some(watch) = &self.watch
        {
            watch.panicked(id, &context);
        }
    }

    #[inline]
    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(watch) = &self.watch else { return };
        if let Some(state) = watch.open.get(id.into_u64()) {
            watch.close_inference(state);
            return state.free();
        }
        watch.close_in_extensions(&id, &context);
    }
}

impl Watch {
    #[inline]
    fn open_inference<S>(
        &self,
        plan: &Plan,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        if own_thread::is_marked() {
            return probe::saw(attributes.metadata());
        }
        let start = self.clock.raw();
        if let Some(state) = self.open.open(id.into_u64(), start, plan) {
            return self.begin_inference(state, plan, attributes);
        }
        self.open_in_extensions(start, plan, attributes, id, context);
    }

    /// There is no place in the table.
    #[cold]
    #[inline(never)]
    fn open_in_extensions<S>(
        &self,
        start: u64,
        plan: &Plan,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let state = Arc::new(State::new(start, plan));
        self.begin_inference(&state, plan, attributes);
        let handle = state.handle();
        if !self.insert(id, context, state) {
            // Not watched to its end: it must not stay in flight for ever.
            self.sink.abandon(handle);
        }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "two callers, of which one is hot: a frame saved at each inference"
    )]
    fn begin_inference(&self, state: &State, plan: &Plan, attributes: &Attributes<'_>) {
        let mut reader = Reader::new(plan, &self.sink, Kind::Inference, state);
        attributes.record(&mut reader);
        if let Some(labels) = reader.labels() {
            state.set_handle(self.sink.open(labels));
        }
    }

    fn open_operation<S>(
        &self,
        plan: &Plan,
        kind: Kind,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        if own_thread::is_marked() {
            return probe::saw(attributes.metadata());
        }
        let start = self.clock.raw();
        let mut reader = Reader::new(plan, &self.sink, kind, Values::new());
        attributes.record(&mut reader);
        let (labels, values) = reader.into_parts();
        let operation = Operation {
            kind,
            plan: plan.number,
            start,
            labels,
            values,
            has_panicked: false,
            was_opened_in_panic: std::thread::panicking(),
            declares_status: plan.declares_status,
        };
        let connection_type =
            (kind == Kind::Connection).then(|| operation.connection_type().to_owned());
        if self.insert(id, context, operation)
            && let Some(connection_type) = &connection_type
        {
            self.sink.record(&Observation::Connection {
                connection_type,
                is_open: true,
            });
        }
    }

    #[cold]
    fn open_by_field<S>(
        &self,
        plan: &Plan,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let mut reader = KindReader {
            plan,
            name: Text::new(),
        };
        attributes.record(&mut reader);
        match self.callsites.kind_named(reader.name.as_str()) {
            Some(Kind::Inference) => self.open_inference(plan, attributes, id, context),
            Some(kind) => self.open_operation(plan, kind, attributes, id, context),
            None => {}
        }
    }

    /// Keeps the state of a span in its extensions; false, and counted, if there are too many.
    fn insert<S, T: Send + Sync + 'static>(
        &self,
        id: &Id,
        context: &Context<'_, S>,
        state: T,
    ) -> bool
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let Some(span) = context.span(id) else {
            return false;
        };
        if self.in_extensions.fetch_add(1, Ordering::Relaxed) >= MOST_IN_EXTENSIONS {
            self.in_extensions.fetch_sub(1, Ordering::Relaxed);
            self.sink.dropped(
                Dropped::TooManyOpenSpans,
                "spans are opened and never closed",
            );
            return false;
        }
        span.extensions_mut().insert(state);
        true
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "two callers, of which one is hot: a frame saved at each inference"
    )]
    fn record_inference(&self, state: &State, values: &Record<'_>) {
        let Some(plan) = self.callsites.numbered(state.plan()) else {
            return;
        };
        let mut reader = Reader::late(plan, &self.sink, Kind::Inference, state);
        values.record(&mut reader);
        if let Some(labels) = reader.labels() {
            self.relabel(state, labels);
        }
    }

    fn relabel(&self, state: &State, later: &Labels) {
        state.set_handle(self.sink.relabel(state.handle(), later));
    }

    fn record_in_extensions<S>(&self, id: &Id, values: &Record<'_>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let Some(span) = context.span(id) else { return };
        let kind_and_plan = {
            let extensions = span.extensions();
            let operation = extensions
                .get::<Operation>()
                .map(|operation| (operation.kind, operation.plan));
            operation.or_else(|| {
                extensions
                    .get::<Arc<State>>()
                    .map(|state| (Kind::Inference, state.plan()))
            })
        };
        let Some((kind, plan)) = kind_and_plan else {
            return;
        };
        if kind == Kind::Inference {
            let state = span.extensions().get::<Arc<State>>().cloned();
            return state.map_or((), |state| self.record_inference(&state, values));
        }
        let Some(plan) = self.callsites.numbered(plan) else {
            return;
        };
        let mut reader = Reader::new(plan, &self.sink, kind, Values::new());
        values.record(&mut reader);
        let (labels, values) = reader.into_parts();
        if let Some(operation) = span.extensions_mut().get_mut::<Operation>() {
            operation.labels.extend(&labels);
            operation.values.extend(&values);
        }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "two callers, of which one is hot: a frame saved at each inference"
    )]
    fn close_inference(&self, state: &State) {
        let now = self.clock.raw();
        if std::thread::panicking() {
            state.panicked();
        }
        if state.has_panicked() {
            let mut labels = Labels::new();
            labels.set(Label::ErrorType, "panic");
            self.relabel(state, &labels);
        }
        let mut end = state.end(&self.clock, now);
        if state.has_more() {
            state.add_more(&mut end, &self.clock);
        }
        self.sink.close(state.handle(), &end);
    }

    fn close_in_extensions<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let Some(span) = context.span(id) else { return };
        let (operation, state) = {
            let mut extensions = span.extensions_mut();
            (
                extensions.remove::<Operation>(),
                extensions.remove::<Arc<State>>(),
            )
        };
        if let Some(state) = state {
            self.in_extensions.fetch_sub(1, Ordering::Relaxed);
            self.close_inference(&state);
        }
        if let Some(mut operation) = operation {
            self.in_extensions.fetch_sub(1, Ordering::Relaxed);
            operation.has_panicked |= std::thread::panicking() && !operation.was_opened_in_panic;
            let duration = self.clock.between(operation.start, self.clock.raw());
            if let Some(observation) = operation.observation(duration) {
                self.sink.record(&observation);
            }
        }
    }

    #[cold]
    fn panicked<S>(&self, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        self.with_inference(id, context, State::panicked);
        if let Some(span) = context.span(id)
            && let Some(operation) = span.extensions_mut().get_mut::<Operation>()
            && !operation.was_opened_in_panic
        {
            operation.has_panicked = true;
        }
    }

    /// Calls `with` if this span is an open inference.
    fn with_inference<S, R>(
        &self,
        id: &Id,
        context: &Context<'_, S>,
        with: impl FnOnce(&State) -> R,
    ) -> Option<R>
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        if let Some(state) = self.open.get(id.into_u64()) {
            return Some(with(state));
        }
        let state = context
            .span(id)?
            .extensions()
            .get::<Arc<State>>()
            .cloned()?;
        Some(with(&state))
    }

    fn event<S>(
        &self,
        plan: &Plan,
        event_plan: &EventPlan,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        if own_thread::is_marked() {
            return;
        }
        if event_plan.has_metrics {
            let mut reader = MetricsReader::new(plan, &*self.sink);
            event.record(&mut reader);
            reader.record();
        }
        let named = event_plan.named.or_else(|| {
            let mut message = Message::default();
            if event_plan.may_be_named {
                event.record(&mut message);
            }
            message.named()
        });
        if let Some(named) = named {
            self.named_event(plan, named, event, context);
        }
        if event_plan.is_error {
            self.error_event(plan, event, context);
        }
    }

    fn named_event<S>(&self, plan: &Plan, named: Named, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let now = self.clock.raw();
        let mut reader = Reader::new(plan, &self.sink, Kind::Inference, Values::new());
        event.record(&mut reader);
        let (labels, values) = reader.into_parts();
        let model = Model::new(
            labels.value(Label::ModelId),
            labels.value(Label::ModelType),
            labels.value(Label::Engine),
        );
        match named {
            Named::FirstToken => self.in_inference(event, context, |state| state.first_token(now)),
            Named::Token => self.in_inference(event, context, |state| {
                let count = values.amount.map_or(1, |count| count as u64);
                if let Some(before) = state.tokens(now, count) {
                    self.sink
                        .chunk(state.handle(), self.clock.between(before, now));
                }
            }),
            Named::CacheSize => {
                if let Some(bytes) = values.amount {
                    let cache_type = labels.value(Label::CacheType);
                    self.sink.record(&Observation::CacheSize {
                        cache_type,
                        bytes: bytes as u64,
                    });
                }
            }
            Named::ModelQuality => {
                if let Some(score) = values.amount {
                    self.sink
                        .record(&Observation::ModelQuality { model, score });
                }
            }
            Named::ResponseSimilarity => {
                if let Some(similarity) = values.amount {
                    let comparison_model = labels.value(Label::ComparisonModel);
                    self.sink.record(&Observation::ResponseSimilarity {
                        model,
                        comparison_model,
                        similarity,
                    });
                }
            }
        }
    }

    /// Calls `with` with the innermost inference around an event.
    fn in_inference<S>(
        &self,
        event: &Event<'_>,
        context: &Context<'_, S>,
        with: impl FnOnce(&State),
    ) where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let Some(scope) = context.event_scope(event) else {
            return;
        };
        for span in scope {
            if let Some(state) = self.open.get(span.id().into_u64()) {
                return with(state);
            }
            let state = span.extensions().get::<Arc<State>>().cloned();
            if let Some(state) = state {
                return with(&state);
            }
        }
    }

    /// An ERROR event inside a span of ours is that span's failure; one outside counts by itself.
    #[cold]
    fn error_event<S>(&self, plan: &Plan, event: &Event<'_>, context: &Context<'_, S>)
    where
        S: Subscriber + for<'l> LookupSpan<'l>,
    {
        let mut reader = Reader::new(plan, &self.sink, Kind::Inference, Values::new());
        event.record(&mut reader);
        let (labels, mut values) = reader.into_parts();
        values.has_failed = true;
        for span in context.event_scope(event).into_iter().flatten() {
            if self
                .with_inference(&span.id(), context, |state| self.fail(state, &labels))
                .is_some()
            {
                return;
            }
            if let Some(operation) = span.extensions_mut().get_mut::<Operation>() {
                operation.values.has_failed = true;
                operation.values.has_timed_out |= values.has_timed_out;
                if let Some(error_type) = labels.get(Label::ErrorType) {
                    operation.labels.set(Label::ErrorType, error_type);
                }
                return;
            }
        }
        let component = labels
            .get(Label::Component)
            .unwrap_or(event.metadata().target());
        self.sink.record(
            &ErrorEvent {
                error_type: labels.value(Label::ErrorType),
                component,
            }
            .into(),
        );
    }

    fn fail(&self, state: &State, labels: &Labels) {
        state.fail();
        if let Some(error_type) = labels.get(Label::ErrorType) {
            let mut later = Labels::new();
            later.set(Label::ErrorType, error_type);
            self.relabel(state, &later);
        }
    }
}
