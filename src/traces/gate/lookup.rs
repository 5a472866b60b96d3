//! How those find the gate of a subscriber who do not know its type: they have a dispatch, and the id of a span.

use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::{Dispatch, Subscriber, span::Id};
use tracing_subscriber::registry::LookupSpan;

use super::{Gate, seen};
use crate::{traces::Propagator, traces::live::OpenSpan};

/// Finds the gate of a subscriber, whose type the one who asks does not know.
pub(crate) struct Lookup {
    context_of: fn(&Dispatch, &Id) -> Option<SpanContext>,
    #[cfg(any(feature = "http", feature = "grpc"))]
    unsampled_around: fn(&Dispatch, &Id) -> Option<SpanContext>,
    open_spans: fn(&Dispatch) -> Vec<OpenSpan>,
    /// Formats of headers that requests carry traces in.
    pub(super) propagators: Box<[Propagator]>,
}

impl Lookup {
    pub(super) fn of<S: Subscriber + for<'l> LookupSpan<'l>>() -> Self {
        Self {
            context_of: Gate::<S>::context_of,
            #[cfg(any(feature = "http", feature = "grpc"))]
            unsampled_around: Gate::<S>::unsampled_around,
            open_spans: Gate::<S>::open_spans,
            propagators: Box::default(),
        }
    }
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
pub(in crate::traces) fn made_in(dispatch: &Dispatch, id: &Id) -> opentelemetry::Context {
    let current = opentelemetry::Context::current();
    if current.has_active_span() {
        return current;
    }
    let lookup = dispatch.downcast_ref::<Lookup>();
    match lookup.and_then(|lookup| (lookup.unsampled_around)(dispatch, id)) {
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
    pub(super) fn context_of(dispatch: &Dispatch, id: &Id) -> Option<SpanContext> {
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
    fn unsampled_around(dispatch: &Dispatch, id: &Id) -> Option<SpanContext> {
        let gate = dispatch.downcast_ref::<Self>()?;
        let parent = dispatch.downcast_ref::<S>()?.span(id)?.parent()?;
        let is_sampled = gate.sampled.contains(parent.id().into_u64());
        (!is_sampled).then(|| gate.identity(&parent))?
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
}
