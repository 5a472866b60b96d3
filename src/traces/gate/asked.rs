//! Spans of unsampled traces that foreign code asks tracing-opentelemetry about.
//!
//! Its layer has never seen them: `Span::context()` would be empty, and a parent that is set would be lost. Whoever
//! asks finds that layer by a type that only it knows; from that the gate hears that a question comes on this thread,
//! though not about which span. It can be two: the one that is current, and the one that was made last and is not
//! entered yet, whose parent is still to be set, or whose context is to be sent on. Both are given what that layer
//! would have given them, a context that says that the trace is not kept.
//!
//! Known limits: of an unsampled span that is neither, the answer is empty; `propagation` knows all of them. Where a
//! sampled parent is set on a first span that was sampled out, the span is recorded without the fields that it was made
//! with. This happens once: from then on its callsite counts as one that stands at the edge.

use std::{
    cell::Cell,
    marker::PhantomData,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use opentelemetry::{Context as OtelContext, trace::TraceContextExt as _};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{
    Dispatch, Event, Metadata, Subscriber, Value,
    field::Field,
    span::{Attributes, Id, Record},
};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{
    Layer as _,
    registry::{LookupSpan, SpanRef},
};

use super::{
    Gate,
    identity::{self, Identity},
    sampler::NotKept,
};
use crate::own_thread;

thread_local! {
    /// The gate that let the span pass by that was made last here, and its id.
    static FRESH: Cell<(usize, u64)> = const { Cell::new((0, 0)) };
    /// Whether it is we who ask.
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Callsites that are remembered; a program has one or two that set parents.
const CALLSITES: usize = 32;

/// What the gate knows of questions.
pub(super) struct Questions {
    tracer: SdkTracer,
    /// One answer at a time: a span can be given one only.
    turn: Mutex<()>,
    /// Callsites of first spans that were asked about before they were entered.
    callsites: [AtomicUsize; CALLSITES],
}

/// In the extensions of a span that was given an answer.
struct Answered;

/// Asks tracing-opentelemetry about spans that it has seen.
pub(in crate::traces) fn about_recorded<R>(ask: impl FnOnce() -> R) -> R {
    let was = IS_OURS.replace(true);
    let answer = ask();
    IS_OURS.set(was);
    answer
}

impl Questions {
    pub(super) fn new(tracer: SdkTracer) -> Self {
        Self {
            tracer,
            turn: Mutex::default(),
            callsites: std::array::from_fn(|_| AtomicUsize::new(0)),
        }
    }

    /// Whether parents are set on the first spans of this callsite.
    #[inline]
    pub(super) fn came_for(&self, callsite: &'static Metadata<'static>) -> bool {
        let known = self.callsites.iter().map(|place| place.load(Relaxed));
        let mut known = known.take_while(|place| *place != 0);
        known.any(|place| place == address(callsite))
    }

    /// Called by one thread at a time.
    fn remember(&self, callsite: &'static Metadata<'static>) {
        let free = self.callsites.iter().find(|place| place.load(Relaxed) == 0);
        if let Some(place) = free {
            place.store(address(callsite), Relaxed);
        }
    }
}

fn address(callsite: &'static Metadata<'static>) -> usize {
    std::ptr::from_ref(callsite).addr()
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    /// Remembers a span that was just made and not let through.
    #[inline]
    pub(super) fn passed_by(&self, id: u64) {
        FRESH.set((std::ptr::from_ref(self).addr(), id));
    }

    /// Sees to it that a question on this thread has an answer.
    #[cold]
    pub(super) fn is_asked(&self) {
        if IS_OURS.get() || own_thread::is_marked() {
            return;
        }
        let Some(dispatch) = self.dispatch() else {
            return;
        };
        let Some(registry) = dispatch.downcast_ref::<S>() else {
            return;
        };
        let turn = self.questions.turn.lock();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        let current = dispatch.current_span().id().cloned();
        let current = current.and_then(|id| registry.span(&id));
        let (gate, fresh) = FRESH.replace((0, 0));
        if fresh != 0
            && gate == std::ptr::from_ref(self).addr()
            && let Some(span) = registry.span(&Id::from_u64(fresh))
            && current.as_ref().is_none_or(|other| other.id() != span.id())
        {
            if span.parent().is_none() && span.extensions().get::<Identity>().is_none() {
                self.leave_open(&dispatch, &span);
            } else {
                self.answer(&dispatch, &span);
            }
        }
        if let Some(span) = current {
            self.answer(&dispatch, &span);
        }
    }

    /// Lets the first span of a trace through after all, to be decided when it is entered.
    fn leave_open(&self, dispatch: &Dispatch, span: &SpanRef<'_, S>) {
        let id = span.id();
        if self.is_through(&id) || span.extensions().get::<Answered>().is_some() {
            return;
        }
        self.questions.remember(span.metadata());
        self.undecided.insert(id.into_u64());
        let under = OtelContext::new().with_value(NotKept);
        Lens::<S>::of(dispatch, id).show(
            OpenTelemetryLayer::new(self.questions.tracer.clone()),
            under,
            span.metadata(),
        );
    }

    /// Gives a span the context of its unsampled trace. It is not entered or ended there.
    fn answer(&self, dispatch: &Dispatch, span: &SpanRef<'_, S>) {
        let id = span.id();
        if self.is_through(&id) || span.extensions().get::<Answered>().is_some() {
            return;
        }
        let Some(trace) = identity::unsampled(span, &self.sampler) else {
            return;
        };
        span.extensions_mut().insert(Answered);
        let under = OtelContext::new().with_remote_span_context(trace);
        Lens::<S>::of(dispatch, id).show(
            OpenTelemetryLayer::new(self.questions.tracer.clone())
                // It would count exits of enters that it was not told of.
                .with_tracked_inactivity(false),
            under,
            span.metadata(),
        );
    }
}

/// A subscriber in which one span is made that exists in another.
struct Lens<S> {
    dispatch: Dispatch,
    id: Id,
    subscriber: PhantomData<fn() -> S>,
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Lens<S> {
    fn of(dispatch: &Dispatch, id: Id) -> Self {
        Self {
            dispatch: dispatch.clone(),
            id,
            subscriber: PhantomData,
        }
    }

    /// Has `layer` see the span as made under `under`, without fields.
    fn show(
        self,
        layer: OpenTelemetryLayer<Self, SdkTracer>,
        under: OtelContext,
        metadata: &'static Metadata<'static>,
    ) {
        let none: [(&Field, Option<&dyn Value>); 0] = [];
        let _current = under.attach();
        let values = metadata.fields().value_set(&none);
        layer
            .with_subscriber(self)
            .new_span(&Attributes::new(metadata, &values));
    }
}

impl<'l, S: Subscriber + LookupSpan<'l>> LookupSpan<'l> for Lens<S> {
    type Data = S::Data;

    fn span_data(&'l self, id: &Id) -> Option<Self::Data> {
        self.dispatch.downcast_ref::<S>()?.span_data(id)
    }
}

impl<S: 'static> Subscriber for Lens<S> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.id.clone()
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
