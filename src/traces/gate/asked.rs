//! Answers whoever asks tracing-opentelemetry about a span that its layer has never seen.
//!
//! `Span::context()` and its like look that layer up by types that only tracing-opentelemetry knows, then the
//! subscriber by the layer's own type parameter, and then the span by its id. So the gate holds one more of those
//! layers, over [`Asked`], and has questions go there: `Asked` is the subscriber, but for spans that are not recorded.
//!
//! - A question for the context of one is answered with a stand-in, made for it in a registry of ours under the ids of
//!   its unsampled trace. Nothing is put into the span itself.
//! - A first span that was made last on this thread, and is not entered, may be given a parent: it is let through after
//!   all, to be decided when it is entered. What it was made with is missing from its record, once: from then on its
//!   callsite counts as one at the edge.
//!
//! Known limit: asked while another layer closes a span, the registry of stand-ins keeps one for good.

use std::{
    cell::Cell,
    marker::PhantomData,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use opentelemetry::{
    Context as OtelContext,
    trace::{TraceContextExt as _, noop::NoopTracer},
};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{
    Dispatch, Event, Metadata, Subscriber, Value,
    dispatcher::WeakDispatch,
    field::Field,
    span::{Attributes, Id, Record},
};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, Layered},
    prelude::*,
    registry::{Extensions, ExtensionsMut, LookupSpan, SpanData},
};

use super::{Gate, identity, verdict};
use crate::runtime::own_thread;

thread_local! {
    /// The gate that let the span pass by that was made last here, and its id.
    static FRESH: Cell<(usize, u64)> = const { Cell::new((0, 0)) };
    /// A question that has found its layer, and not its span yet.
    static QUESTION: Cell<Option<Question>> = const { Cell::new(None) };
    /// Whether it is we who ask.
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Callsites that are remembered; a program has one or two that set parents.
const CALLSITES: usize = 32;

/// The layer that questions find.
pub(super) type Desk<S> = OpenTelemetryLayer<Asked<S>, SdkTracer>;

/// A subscriber as questions see it.
#[repr(transparent)]
pub(super) struct Asked<S>(S);

struct Question {
    dispatch: WeakDispatch,
    /// It is the context that is asked for; else something is set.
    is_for_context: bool,
}

/// Asks tracing-opentelemetry about a span that it has seen.
pub(in crate::traces) fn about_recorded<R>(ask: impl FnOnce() -> R) -> R {
    let was = IS_OURS.replace(true);
    let answer = ask();
    IS_OURS.set(was);
    answer
}

/// Whether this happens while [`about_recorded`] asks.
pub(super) fn is_ours() -> bool {
    IS_OURS.get()
}

/// Callsites of first spans that something was set on before they were entered.
pub(super) struct Callsites([AtomicUsize; CALLSITES]);

impl Callsites {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicUsize::new(0)))
    }

    #[inline]
    pub(super) fn contains(&self, callsite: &'static Metadata<'static>) -> bool {
        let known = self.0.iter().map(|place| place.load(Relaxed));
        let mut known = known.take_while(|place| *place != 0);
        known.any(|place| place == address(callsite))
    }

    fn insert(&self, callsite: &'static Metadata<'static>) {
        let own = address(callsite);
        for place in &self.0 {
            match place.compare_exchange(0, own, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) if other == own => return,
                Err(_) => {}
            }
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

    /// A question has found its layer.
    #[cold]
    pub(super) fn is_asked(&self, is_for_context: bool) {
        let dispatch = self.dispatch.get().cloned();
        QUESTION.set(dispatch.map(|dispatch| Question {
            dispatch,
            is_for_context,
        }));
    }

    /// What a question sees of a span; `None`: the span itself.
    fn answer(
        &self,
        dispatch: &Dispatch,
        id: &Id,
        is_for_context: bool,
    ) -> Option<<Registry as LookupSpan<'static>>::Data> {
        if IS_OURS.get() || own_thread::is_marked() {
            return None;
        }
        if self.is_through(id) {
            // To read its context starts it: from here on it is what it is.
            if is_for_context {
                self.decide(id);
            }
            return None;
        }
        if is_for_context {
            return self.stand_in(dispatch, id);
        }
        let own = (std::ptr::from_ref(self).addr(), id.into_u64());
        let is_current = dispatch.current_span().id() == Some(id);
        if FRESH.get() == own && !is_current {
            FRESH.set((0, 0));
            self.leave_open(dispatch, id);
        }
        None
    }

    /// Lets the first span of a trace through after all, to be decided when it is entered.
    fn leave_open(&self, dispatch: &Dispatch, id: &Id) {
        let span = dispatch.downcast_ref::<S>().and_then(|all| all.span(id));
        let Some(metadata) = span
            .filter(|span| {
                span.parent().is_none() && identity::known(span, &self.sampled).is_none()
            })
            .map(|span| span.metadata())
        else {
            return;
        };
        self.callsites.insert(metadata);
        let lens = Lens::<S> {
            dispatch: dispatch.clone(),
            id: id.clone(),
            subscriber: PhantomData,
        };
        // It may be entered elsewhere already: nobody would tell of the enter that an exit belongs to.
        let layer = OpenTelemetryLayer::new(self.tracer.clone()).with_tracked_inactivity(false);
        let shown = Layer::<Lens<S>>::with_subscriber(layer, lens);
        made(&shown, metadata, OtelContext::new());
        verdict::write_not_kept(|record| shown.record(id, record));
        self.refused.insert(id.into_u64());
        self.undecided.insert(id.into_u64());
    }

    /// A span that says that the trace of this one is not kept.
    fn stand_in(
        &self,
        dispatch: &Dispatch,
        id: &Id,
    ) -> Option<<Registry as LookupSpan<'static>>::Data> {
        let span = dispatch.downcast_ref::<S>()?.span(id)?;
        let trace = identity::unsampled(&span, &self.sampler, &self.sampled)?;
        let metadata = span.metadata();
        drop(span);
        let stack: &'static Layered<NewOnly, Registry> = &STAND_INS;
        let registry: &'static Registry = (stack as &dyn Subscriber).downcast_ref()?;
        let under = OtelContext::current().with_remote_span_context(trace);
        let id = made(stack, metadata, under);
        let data = registry.span_data(&id);
        // What holds its data holds its place.
        stack.try_close(id);
        data
    }
}

/// Makes a span under `under`, without fields.
fn made(stack: &impl Subscriber, metadata: &'static Metadata<'static>, under: OtelContext) -> Id {
    let none: [(&Field, Option<&dyn Value>); 0] = [];
    let _current = under.attach();
    let values = metadata.fields().value_set(&none);
    stack.new_span(&Attributes::new(metadata, &values))
}

/// What a question finds for its span.
pub(super) enum Found<'l, S: LookupSpan<'l>> {
    Own(S::Data),
    StandIn(<Registry as LookupSpan<'static>>::Data),
}

impl<'l, S: LookupSpan<'l>> SpanData<'l> for Found<'l, S> {
    fn id(&self) -> Id {
        match self {
            Self::Own(span) => span.id(),
            Self::StandIn(span) => span.id(),
        }
    }

    fn metadata(&self) -> &'static Metadata<'static> {
        match self {
            Self::Own(span) => span.metadata(),
            Self::StandIn(span) => span.metadata(),
        }
    }

    fn parent(&self) -> Option<&Id> {
        match self {
            Self::Own(span) => span.parent(),
            Self::StandIn(span) => span.parent(),
        }
    }

    fn extensions(&self) -> Extensions<'_> {
        match self {
            Self::Own(span) => span.extensions(),
            Self::StandIn(span) => span.extensions(),
        }
    }

    fn extensions_mut(&self) -> ExtensionsMut<'_> {
        match self {
            Self::Own(span) => span.extensions_mut(),
            Self::StandIn(span) => span.extensions_mut(),
        }
    }
}

impl<'l, S: Subscriber + for<'a> LookupSpan<'a>> LookupSpan<'l> for Asked<S> {
    type Data = Found<'l, S>;

    fn span_data(&'l self, id: &Id) -> Option<Self::Data> {
        let stand_in = QUESTION.take().and_then(|question| {
            let dispatch = question.dispatch.upgrade()?;
            let gate = dispatch.downcast_ref::<Gate<S>>()?;
            gate.answer(&dispatch, id, question.is_for_context)
        });
        match stand_in {
            Some(stand_in) => Some(Found::StandIn(stand_in)),
            None => self.0.span_data(id).map(Found::Own),
        }
    }
}

/// Nobody makes spans through it.
impl<S: 'static> Subscriber for Asked<S> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Stand-ins while they are looked at, of every gate.
static STAND_INS: LazyLock<Layered<NewOnly, Registry>> = LazyLock::new(|| {
    let layer = OpenTelemetryLayer::new(NoopTracer::new())
        .with_tracked_inactivity(false)
        .with_location(false)
        .with_threads(false)
        .with_target(false);
    tracing_subscriber::registry().with(NewOnly(layer))
});

/// Makes what is asked for and leaves it there: it goes with the span.
struct NewOnly(OpenTelemetryLayer<Registry, NoopTracer>);

impl Layer<Registry> for NewOnly {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, Registry>) {
        self.0.on_new_span(attributes, id, context);
    }
}

/// A subscriber in which one span is made that exists in another.
struct Lens<S> {
    dispatch: Dispatch,
    id: Id,
    subscriber: PhantomData<fn() -> S>,
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
