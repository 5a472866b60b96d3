//! What is done with spans: opened, recorded into, closed.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::{
    Event,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::layer::Context;

use super::{
    Seen,
    callsite::{Callsites, Interest, Mapping, Plan},
    elsewhere::{Elsewhere, Entry, Found},
    kind::{AnInference, Kind},
    open::{OpenTable, State},
    operation::Operation,
    probe,
    values::Values,
    visit::{KindReader, Read, Reader},
};
use crate::{
    interner::{DEFAULT_LIMIT, Interner},
    observation::{
        Dropped, ErrorEvent, InferenceEnd, Label, Labels, Observation, Sink, Text, TraceReference,
    },
    runtime::clock::Clock,
    runtime::own_thread,
};

/// Locks for [`Watch::relabel`], by span.
const RELABELLINGS: usize = 16;

/// The interpretation of spans and events, under way.
pub(super) struct Watch {
    /// In a box: an `Arc` computes where its content is at each call.
    pub(super) sink: Box<dyn Sink>,
    pub(super) clock: Clock,
    pub(super) callsites: Callsites,
    pub(super) open: OpenTable,
    pub(super) elsewhere: Elsewhere,
    /// Classes and components of failures, so that an open inference needs a number only.
    failures: Interner<()>,
    relabellings: [Mutex<()>; RELABELLINGS],
}

impl Watch {
    pub(super) fn new(sink: Box<dyn Sink>, mapping: Mapping, clock: Clock) -> Self {
        Self {
            sink,
            clock,
            callsites: Callsites::new(mapping),
            open: OpenTable::new(),
            elsewhere: Elsewhere::default(),
            failures: Interner::new(DEFAULT_LIMIT),
            relabellings: Default::default(),
        }
    }

    #[inline]
    pub(super) fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id) {
        let plan = self.callsites.plan(attributes.metadata());
        if plan.is_inference {
            return self.open_inference(plan, attributes, id);
        }
        match plan.interest {
            Interest::Span(kind) => self.open_operation(plan, kind, attributes, id),
            Interest::SpanByField => self.open_by_field(plan, attributes, id),
            Interest::Nothing | Interest::Event(_) => {}
        }
    }

    #[inline]
    pub(super) fn on_record(&self, id: &Id, values: &Record<'_>) {
        let has_ended = match self.open.get(id.into_u64()) {
            Some(state) => self.record_inference(state, values),
            None => self.record_elsewhere(id, values),
        };
        if has_ended {
            // Its span may live on, in a clone or in a task that it began: that is no time of its.
            self.on_close(id);
        }
    }

    #[inline]
    pub(super) fn on_event<S: Seen>(
        &self,
        event: &Event<'_>,
        context: &Context<'_, S>,
        trace: impl FnOnce() -> Option<TraceReference>,
    ) {
        let plan = self.callsites.plan(event.metadata());
        if let Interest::Event(event_plan) = &plan.interest {
            self.event(plan, event_plan, event, context, trace);
        }
    }

    #[inline]
    pub(super) fn on_exit(&self, id: &Id) {
        if std::thread::panicking() {
            self.panicked(id);
        }
    }

    #[inline]
    pub(super) fn on_close(&self, id: &Id) {
        match self.open.get(id.into_u64()) {
            Some(state) => {
                self.close_inference(state);
                state.free();
            }
            None if self.elsewhere.is_empty() => {}
            None => self.close_elsewhere(id),
        }
    }

    #[inline]
    fn open_inference(&self, plan: &Plan, attributes: &Attributes<'_>, id: &Id) {
        if own_thread::is_marked() {
            return probe::saw(attributes.metadata());
        }
        let start = self.clock.raw();
        match self.open.open(id.into_u64(), start, plan) {
            Some(state) => self.begin_inference(state, plan, attributes),
            None => self.open_elsewhere(start, plan, attributes, id),
        }
    }

    /// There is no place in the table.
    #[cold]
    #[inline(never)]
    fn open_elsewhere(&self, start: u64, plan: &Plan, attributes: &Attributes<'_>, id: &Id) {
        let state = Arc::new(State::new(start, plan));
        self.begin_inference(&state, plan, attributes);
        let handle = state.handle();
        if !self
            .elsewhere
            .insert(id.into_u64(), Entry::Inference(state))
        {
            self.too_many();
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
        let mut reader = Reader::new(plan, self, AnInference, state);
        attributes.record(&mut reader);
        // Where they were read they stay: moved out they would be copied.
        let labels = reader.words.checked(&*self.sink);
        state.set_handle(self.sink.open(labels));
        if let Some(failure) = reader.words.failure {
            self.note_failure(state, &failure);
        }
    }

    fn open_operation(&self, plan: &Plan, kind: Kind, attributes: &Attributes<'_>, id: &Id) {
        if own_thread::is_marked() {
            return probe::saw(attributes.metadata());
        }
        let start = self.clock.raw();
        let mut reader = Reader::new(plan, self, kind, Values::new());
        attributes.record(&mut reader);
        let (labels, values) = reader.into_parts();
        let mut operation = Box::new(Operation {
            kind,
            start,
            labels,
            values,
            has_panicked: false,
            was_opened_in_panic: std::thread::panicking(),
            declares_status: plan.declares_status,
            under_way: None,
            plan: plan.number,
        });
        operation.under_way = operation
            .begins_as()
            .map(|request| self.sink.request_began(request));
        let under_way = operation.under_way;
        let connection_type = operation.connection_type().map(str::to_owned);
        if !self
            .elsewhere
            .insert(id.into_u64(), Entry::Operation(operation))
        {
            if let Some(handle) = under_way {
                self.sink.request_ended(handle);
            }
            return self.too_many();
        }
        if let Some(connection_type) = connection_type {
            self.connection(&connection_type, true);
        }
    }

    #[cold]
    fn open_by_field(&self, plan: &Plan, attributes: &Attributes<'_>, id: &Id) {
        let mut reader = KindReader {
            plan,
            name: Text::new(),
        };
        attributes.record(&mut reader);
        match self.callsites.kind_named(reader.name.as_str()) {
            Some(Kind::Inference) => self.open_inference(plan, attributes, id),
            Some(kind) => self.open_operation(plan, kind, attributes, id),
            None => self
                .sink
                .dropped(Dropped::UnknownKind, reader.name.as_str()),
        }
    }

    fn too_many(&self) {
        self.sink.dropped(
            Dropped::TooManyOpenSpans,
            "spans are opened and never closed",
        );
    }

    fn connection(&self, connection_type: &str, is_open: bool) {
        self.sink.record(&Observation::Connection {
            connection_type,
            is_open,
        });
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "two callers, of which one is hot: a frame saved at each inference"
    )]
    fn record_inference(&self, state: &State, values: &Record<'_>) -> bool {
        let Some(plan) = self.callsites.numbered(state.plan()) else {
            return false;
        };
        let mut reader = Reader::late(plan, self, AnInference, state);
        values.record(&mut reader);
        match reader.words {
            None => false,
            Some(read) => self.recorded_more(state, read),
        }
    }

    /// Labels or a failure were recorded: what few inferences record late.
    #[inline(never)]
    fn recorded_more(&self, state: &State, mut read: Read) -> bool {
        let labels = read.checked(&*self.sink);
        if !labels.is_empty() {
            self.relabel(state, labels);
        }
        if let Some(failure) = read.failure {
            self.note_failure(state, &failure);
        }
        read.has_ended
    }

    /// Two threads that record labels into one span must not both leave the label set it had.
    #[cold]
    fn relabel(&self, state: &State, later: &Labels) {
        let _one_at_a_time = self.relabelling(state);
        state.set_handle(self.sink.relabel(state.handle(), later));
    }

    #[cold]
    pub(super) fn note_failure(&self, state: &State, later: &Labels) {
        let _one_at_a_time = self.relabelling(state);
        let mut failure = self.failures.labels(state.failure());
        failure.extend(later);
        state.set_failure(self.failures.resolve(&mut failure, |_| ()).number);
    }

    fn relabelling(&self, state: &State) -> std::sync::MutexGuard<'_, ()> {
        // States lie 128 bytes apart.
        let lock = &self.relabellings[(std::ptr::from_ref(state).addr() >> 7) % RELABELLINGS];
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline(never)]
    fn record_elsewhere(&self, id: &Id, values: &Record<'_>) -> bool {
        let number = id.into_u64();
        let (kind, plan) = match self.elsewhere.find(number) {
            None => return false,
            Some(Found::Inference(state)) => return self.record_inference(&state, values),
            Some(Found::Operation { kind, plan }) => (kind, plan),
        };
        let Some(plan) = self.callsites.numbered(plan) else {
            return false;
        };
        let mut reader = Reader::late(plan, self, kind, Values::new());
        values.record(&mut reader);
        // Looked at first, as it reports what was cut, which nothing may be held for.
        if let Some(read) = &mut reader.words {
            read.checked(&*self.sink);
        }
        let types = self.elsewhere.operation(number, |operation| {
            let before = operation.connection_type().map(str::to_owned);
            for labels in reader.words.iter().flat_map(Read::all) {
                operation.labels.extend(labels);
            }
            operation.values.extend(&reader.values);
            (before, operation.connection_type().map(str::to_owned))
        });
        if let Some((Some(before), Some(now))) = types
            && before != now
        {
            self.connection(&before, false);
            self.connection(&now, true);
        }
        reader.words.is_some_and(|read| read.has_ended)
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "two callers, of which one is hot: a frame saved at each inference"
    )]
    fn close_inference(&self, state: &State) {
        let now = self.clock.raw();
        if std::thread::panicking() {
            state.closed_in_panic();
        }
        // Where it is made it stays: given back by a function of its own it would be copied.
        let mut end = state.end(&self.clock, now);
        if state.is_plain() {
            return self.sink.close(state.handle(), &end, None);
        }
        self.close_with_more(state, &mut end);
        state.forget();
    }

    /// There is more to say of its end than most inferences say.
    #[inline(never)]
    fn close_with_more(&self, state: &State, end: &mut InferenceEnd) {
        state.add_more(end, &self.clock);
        if state.has_failed() {
            self.close_failed(state, end);
        } else {
            self.sink.close(state.handle(), end, None);
        }
    }

    #[cold]
    fn close_failed(&self, state: &State, end: &InferenceEnd) {
        let mut failure = self.failures.labels(state.failure());
        if state.has_panicked() {
            failure.set(Label::ErrorType, "panic");
        }
        self.sink.close(state.handle(), end, Some(&failure));
    }

    /// A span belongs to a sampled trace: what is measured of it names that.
    #[cfg(feature = "otlp")]
    pub(super) fn is_traced(&self, id: &Id, trace_id: u128, span_id: u64) {
        use super::values::Target as _;
        if let Some(mut state) = self.open.get(id.into_u64()) {
            state.trace_id(trace_id);
            state.span_id(span_id);
        } else if !self.elsewhere.is_empty() {
            self.is_traced_elsewhere(id, trace_id, span_id);
        }
    }

    #[cfg(feature = "otlp")]
    fn is_traced_elsewhere(&self, id: &Id, trace_id: u128, span_id: u64) {
        use super::values::Target as _;
        let id = id.into_u64();
        if let Some(state) = self.elsewhere.inference(id) {
            (&*state).trace_id(trace_id);
            (&*state).span_id(span_id);
            return;
        }
        self.elsewhere.operation(id, |operation| {
            operation.values.trace_id(trace_id);
            operation.values.span_id(span_id);
        });
    }

    #[inline(never)]
    fn close_elsewhere(&self, id: &Id) {
        match self.elsewhere.remove(id.into_u64()) {
            None => {}
            Some(Entry::Inference(state)) => self.close_inference(&state),
            Some(Entry::Operation(mut operation)) => self.close_operation(&mut operation),
        }
    }

    fn close_operation(&self, operation: &mut Operation) {
        operation.closed(std::thread::panicking());
        let duration = self.clock.between(operation.start, self.clock.raw());
        if let Some(handle) = operation.under_way {
            self.sink.request_ended(handle);
        }
        if let Some(observation) = operation.observation(duration, &self.clock) {
            self.sink.record(&observation);
        }
        // Kinds that have no place for it: a failure is an error all the same.
        if let Some((error_type, component)) = operation.failure_beside() {
            self.sink.record(
                &ErrorEvent {
                    error_type,
                    component,
                }
                .into(),
            );
        }
    }

    #[cold]
    fn panicked(&self, id: &Id) {
        if self
            .with_inference(id.into_u64(), State::panicked)
            .is_none()
        {
            self.elsewhere.operation(id.into_u64(), Operation::panicked);
        }
    }

    /// Calls `with` if this span is an open inference.
    pub(super) fn with_inference<R>(&self, id: u64, with: impl FnOnce(&State) -> R) -> Option<R> {
        if let Some(state) = self.open.get(id) {
            return Some(with(state));
        }
        self.elsewhere.inference(id).map(|state| with(&state))
    }
}
