//! Interprets the callbacks for spans: new span, record, exit, close.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::{
    Event,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::layer::Context;

use super::{
    SpanLookup,
    callsite::{CallsitePlan, Callsites, Interest},
    field_reader::{FieldReader, KindReader, ReadLabels},
    open::{OpenTable, State},
    operation::Operation,
    overflow_spans::{Entry, OpenSpan, OverflowSpans},
    values::{AnInference, Values},
};
use crate::{
    observation::{
        Dropped, ErrorEvent, InferenceEnd, Kind, Label, Labels, Mapping, Observation, Outcome,
        Sink, Text, TraceReference,
        interner::{DEFAULT_LIMIT, Interner},
    },
    runtime::clock::Clock,
    runtime::own_thread,
};

/// Number of locks for [`Interpreter::relabel`]; a span's address selects the lock.
const RELABEL_LOCKS: usize = 16;

/// Interprets spans and events and passes observations to a sink.
pub(super) struct Interpreter {
    /// A box: an `Arc` would compute the address of its content at each call.
    pub(super) sink: Box<dyn Sink>,
    pub(super) clock: Clock,
    pub(super) callsites: Callsites,
    pub(super) open: OpenTable,
    pub(super) overflow: OverflowSpans,
    /// Label sets of failures, so that an open inference stores only a number.
    failures: Interner<()>,
    relabel_locks: [Mutex<()>; RELABEL_LOCKS],
}

impl Interpreter {
    pub(super) fn new(sink: Box<dyn Sink>, mapping: Mapping, clock: Clock) -> Self {
        Self {
            sink,
            clock,
            callsites: Callsites::new(mapping),
            open: OpenTable::new(),
            overflow: OverflowSpans::default(),
            failures: Interner::new(DEFAULT_LIMIT),
            relabel_locks: Default::default(),
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
            Interest::Unused | Interest::Event(_) => {}
        }
    }

    #[inline]
    pub(super) fn on_record(&self, id: &Id, values: &Record<'_>) {
        if self.record(id, values) {
            // The span may live on, in a clone or in a spawned task; that time is no part of the operation.
            self.on_close(id);
        }
    }

    /// Records values; returns true if the operation has ended, and the caller closes it.
    #[inline]
    pub(super) fn record(&self, id: &Id, values: &Record<'_>) -> bool {
        match self.open.get(id.into_u64()) {
            Some(state) => self.record_inference(state, values),
            None => self.record_overflow(id, values),
        }
    }

    #[inline]
    pub(super) fn on_event<S: SpanLookup>(
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

    /// Returns the labels of an open span.
    pub(super) fn labels(&self, id: u64) -> Option<Labels> {
        match self.open.get(id) {
            Some(state) => self.sink.labels(state.handle()),
            None => match self.overflow.inference(id) {
                Some(state) => self.sink.labels(state.handle()),
                None => self
                    .overflow
                    .operation(id, |operation| operation.labels.clone()),
            },
        }
    }

    #[inline]
    pub(super) fn on_exit(&self, id: &Id) {
        if std::thread::panicking() {
            self.mark_panicked(id);
        }
    }

    #[inline]
    pub(super) fn on_close(&self, id: &Id) {
        match self.open.get(id.into_u64()) {
            Some(state) => {
                self.close_inference(state);
                state.free();
            }
            None if self.overflow.is_empty() => {}
            None => self.close_overflow(id),
        }
    }

    #[inline]
    fn open_inference(&self, plan: &CallsitePlan, attributes: &Attributes<'_>, id: &Id) {
        if own_thread::is_marked() {
            return;
        }
        let start = self.clock.raw();
        match self.open.open(id.into_u64(), start, plan) {
            Some(state) => self.begin_inference(state, plan, attributes),
            None => self.open_overflow(start, plan, attributes, id),
        }
    }

    /// Opens an inference outside the table, whose slots are taken.
    #[cold]
    #[inline(never)]
    fn open_overflow(&self, start: u64, plan: &CallsitePlan, attributes: &Attributes<'_>, id: &Id) {
        let state = Arc::new(State::new(start, plan));
        self.begin_inference(&state, plan, attributes);
        let handle = state.handle();
        if !self.overflow.insert(id.into_u64(), Entry::Inference(state)) {
            self.report_too_many_open();
            // No close will follow, so the inference must not stay in flight.
            self.sink.abandon(handle);
        }
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "two callers, a hot one among them: saves a stack frame for each inference"
    )]
    fn begin_inference(&self, state: &State, plan: &CallsitePlan, attributes: &Attributes<'_>) {
        let mut reader = FieldReader::new(plan, self, AnInference, state);
        attributes.record(&mut reader);
        // Borrowed from the reader: a move would copy the labels.
        let labels = reader.labels.checked(&*self.sink);
        state.set_handle(self.sink.open(labels));
        if let Some(failure) = reader.labels.failure {
            self.record_failure(state, &failure);
        }
    }

    fn open_operation(
        &self,
        plan: &CallsitePlan,
        kind: Kind,
        attributes: &Attributes<'_>,
        id: &Id,
    ) {
        if own_thread::is_marked() {
            return;
        }
        let start = self.clock.raw();
        let mut reader = FieldReader::new(plan, self, kind, Values::new());
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
            in_flight: None,
            plan: plan.number,
        });
        operation.in_flight = operation
            .in_flight_request()
            .map(|request| self.sink.request_began(request));
        let in_flight = operation.in_flight;
        let connection_type = operation.connection_type().map(str::to_owned);
        if !self
            .overflow
            .insert(id.into_u64(), Entry::Operation(operation))
        {
            if let Some(handle) = in_flight {
                self.sink.request_ended(handle);
            }
            return self.report_too_many_open();
        }
        if let Some(connection_type) = connection_type {
            self.connection(&connection_type, true);
        }
    }

    #[cold]
    fn open_by_field(&self, plan: &CallsitePlan, attributes: &Attributes<'_>, id: &Id) {
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

    fn report_too_many_open(&self) {
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
        reason = "two callers, a hot one among them: saves a stack frame for each inference"
    )]
    fn record_inference(&self, state: &State, values: &Record<'_>) -> bool {
        let Some(plan) = self.callsites.by_number(state.plan()) else {
            return false;
        };
        let mut reader = FieldReader::late(plan, self, AnInference, state);
        values.record(&mut reader);
        match reader.labels {
            None => false,
            Some(read) => self.record_labels(state, read),
        }
    }

    /// Records labels, a failure or the end of an inference; few inferences record these late.
    #[inline(never)]
    fn record_labels(&self, state: &State, mut read: ReadLabels) -> bool {
        let labels = read.checked(&*self.sink);
        if !labels.is_empty() {
            self.relabel(state, labels);
        }
        if let Some(failure) = read.failure {
            self.record_failure(state, &failure);
        }
        read.has_ended
    }

    /// Moves an inference to the label set with these labels. The lock keeps two threads from both leaving the earlier
    /// label set.
    #[cold]
    fn relabel(&self, state: &State, later: &Labels) {
        let _guard = self.lock_labels(state);
        state.set_handle(self.sink.relabel(state.handle(), later));
    }

    #[cold]
    pub(super) fn record_failure(&self, state: &State, later: &Labels) {
        let _guard = self.lock_labels(state);
        let mut failure = self.failures.labels(state.failure());
        failure.extend(later);
        state.set_failure(self.failures.resolve(&mut failure, |_| ()).number);
    }

    fn lock_labels(&self, state: &State) -> std::sync::MutexGuard<'_, ()> {
        // States have a distance of 128 bytes or a multiple.
        let lock = &self.relabel_locks[(std::ptr::from_ref(state).addr() >> 7) % RELABEL_LOCKS];
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline(never)]
    fn record_overflow(&self, id: &Id, values: &Record<'_>) -> bool {
        let number = id.into_u64();
        let (kind, plan) = match self.overflow.find(number) {
            None => return false,
            Some(OpenSpan::Inference(state)) => return self.record_inference(&state, values),
            Some(OpenSpan::Operation { kind, plan }) => (kind, plan),
        };
        let Some(plan) = self.callsites.by_number(plan) else {
            return false;
        };
        let mut reader = FieldReader::late(plan, self, kind, Values::new());
        values.record(&mut reader);
        // Reports truncated values before the lock of the map is taken, because the report calls the sink.
        if let Some(read) = &mut reader.labels {
            read.checked(&*self.sink);
        }
        let types = self.overflow.operation(number, |operation| {
            let before = operation.connection_type().map(str::to_owned);
            for labels in reader.labels.iter().flat_map(ReadLabels::all) {
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
        reader.labels.is_some_and(|read| read.has_ended)
    }

    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "two callers, a hot one among them: saves a stack frame for each inference"
    )]
    fn close_inference(&self, state: &State) {
        let now = self.clock.raw();
        if std::thread::panicking() {
            state.close_in_panic();
        }
        // Created here: the return value of another function would be copied.
        let mut end = state.end(&self.clock, now);
        if state.is_plain() {
            return self.sink.close(state.handle(), &end, None);
        }
        self.close_with_details(state, &mut end);
        state.reset_details();
    }

    /// Closes an inference with values that few inferences have.
    #[inline(never)]
    fn close_with_details(&self, state: &State, end: &mut InferenceEnd) {
        state.add_details(end, &self.clock);
        if state.has_failed() {
            self.close_failed(state, end);
        } else {
            self.sink.close(state.handle(), end, None);
        }
    }

    #[cold]
    fn close_failed(&self, state: &State, end: &mut InferenceEnd) {
        let mut failure = self.failures.labels(state.failure());
        if state.has_panicked() {
            failure.set(Label::ErrorType, "panic");
        } else if is_cancelled(&failure) {
            end.outcome = Outcome::Cancelled;
            failure.set(Label::ErrorType, "");
        }
        self.sink.close(state.handle(), end, Some(&failure));
    }

    /// The facts about an open inference that ends now, for its exported span.
    #[cfg(feature = "otlp")]
    pub(super) fn facts(&self, id: &Id) -> Option<crate::traces::InferenceFacts> {
        let with = |state: &State| {
            if std::thread::panicking() {
                state.close_in_panic();
            }
            let mut facts = state.facts(&self.clock);
            let may_be_named = state.has_failed() && !state.has_panicked();
            facts.is_cancelled |=
                may_be_named && is_cancelled(&self.failures.labels(state.failure()));
            facts
        };
        if let Some(state) = self.open.get(id.into_u64()) {
            return Some(with(state));
        }
        (!self.overflow.is_empty())
            .then(|| self.overflow.inference(id.into_u64()))
            .flatten()
            .map(|state| with(&state))
    }

    /// Sets the sampled trace of a span, for exemplars.
    #[cfg(feature = "otlp")]
    pub(super) fn set_trace(&self, id: &Id, trace_id: u128, span_id: u64) {
        use super::values::ValueTarget as _;
        if let Some(mut state) = self.open.get(id.into_u64()) {
            state.trace_id(trace_id);
            state.span_id(span_id);
        } else if !self.overflow.is_empty() {
            self.set_trace_of_overflow(id, trace_id, span_id);
        }
    }

    #[cfg(feature = "otlp")]
    fn set_trace_of_overflow(&self, id: &Id, trace_id: u128, span_id: u64) {
        use super::values::ValueTarget as _;
        let id = id.into_u64();
        if let Some(state) = self.overflow.inference(id) {
            (&*state).trace_id(trace_id);
            (&*state).span_id(span_id);
            return;
        }
        self.overflow.operation(id, |operation| {
            operation.values.trace_id(trace_id);
            operation.values.span_id(span_id);
        });
    }

    #[inline(never)]
    fn close_overflow(&self, id: &Id) {
        match self.overflow.remove(id.into_u64()) {
            None => {}
            Some(Entry::Inference(state)) => self.close_inference(&state),
            Some(Entry::Operation(mut operation)) => self.close_operation(&mut operation),
        }
    }

    fn close_operation(&self, operation: &mut Operation) {
        operation.closed(std::thread::panicking());
        let duration = self.clock.between(operation.start, self.clock.raw());
        if let Some(handle) = operation.in_flight {
            self.sink.request_ended(handle);
        }
        if let Some(observation) = operation.observation(duration, &self.clock) {
            self.sink.record(&observation);
        }
        // Kinds whose observation carries no failure count the failure as an error.
        if let Some((error_type, component)) = operation.separate_failure() {
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
    fn mark_panicked(&self, id: &Id) {
        if self
            .with_inference(id.into_u64(), State::mark_panicked)
            .is_none()
        {
            self.overflow
                .operation(id.into_u64(), Operation::mark_panicked);
        }
    }

    /// Calls `with` with the state of an open inference.
    pub(super) fn with_inference<R>(&self, id: u64, with: impl FnOnce(&State) -> R) -> Option<R> {
        if let Some(state) = self.open.get(id) {
            return Some(with(state));
        }
        self.overflow.inference(id).map(|state| with(&state))
    }
}

/// Returns true if the recorded error type says that the caller cancelled the operation.
fn is_cancelled(failure: &Labels) -> bool {
    failure.get(Label::ErrorType) == Some(Outcome::Cancelled.as_str())
}
