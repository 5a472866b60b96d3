//! Reaches the gate of a subscriber from code that does not know the type of the subscriber.

use std::sync::Arc;

use opentelemetry::{
    KeyValue,
    trace::{SpanContext, TraceContextExt as _},
};
use tracing::{Dispatch, Subscriber, span::Id};
use tracing_subscriber::registry::LookupSpan;

use super::{Gate, OwnSpans, other_layer, span_table::Seen};
use crate::{traces::Propagator, traces::live::OpenSpan};

/// The functions of a gate, found through a dispatch.
pub(crate) struct Lookup {
    context_of: fn(&Dispatch, &Id) -> Option<SpanContext>,
    open_spans: fn(&Dispatch) -> Option<Vec<OpenSpan>>,
    pub(super) own: Option<Arc<OwnSpans>>,
    /// The header formats of requests.
    pub(super) propagators: Box<[Propagator]>,
}

impl Lookup {
    pub(super) fn of<S: Subscriber + for<'l> LookupSpan<'l>>() -> Self {
        Self {
            context_of: Gate::<S>::context_of,
            open_spans: Gate::<S>::open_spans,
            own: None,
            propagators: Box::default(),
        }
    }
}

/// Calls `with` on the configured header formats; returns `None` without traces.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(in crate::traces) fn with_propagators<R>(
    dispatch: &Dispatch,
    with: impl FnOnce(&[Propagator]) -> R,
) -> Option<R> {
    Some(with(&dispatch.downcast_ref::<Lookup>()?.propagators))
}

/// The context that requests of a span carry: of the span itself, or of its unsampled trace.
pub(in crate::traces) fn context_of(dispatch: &Dispatch, id: &Id) -> Option<SpanContext> {
    let lookup = dispatch.downcast_ref::<Lookup>()?;
    (lookup.context_of)(dispatch, id)
}

/// The context of an open span that the gate records itself.
pub(in crate::traces) fn own_context(
    dispatch: &Dispatch,
    id: &Id,
) -> Option<opentelemetry::Context> {
    let own = dispatch.downcast_ref::<Lookup>()?.own.as_ref()?;
    own.context(id.into_u64())
}

/// Sets an attribute of an open span that the gate records itself.
pub(in crate::traces) fn set_own_attribute(dispatch: &Dispatch, id: &Id, attribute: KeyValue) {
    let lookup = dispatch.downcast_ref::<Lookup>();
    if let Some(own) = lookup.and_then(|lookup| lookup.own.as_ref()) {
        own.set_attribute(id.into_u64(), attribute);
    }
}

/// The context that a span is created in by this thread.
#[cfg(any(feature = "http", feature = "grpc"))]
pub(in crate::traces) fn context_of_creation(dispatch: &Dispatch) -> opentelemetry::Context {
    let current = opentelemetry::Context::current();
    if current.has_active_span() {
        return current;
    }
    let around = dispatch.current_span();
    match around.id().and_then(|id| context_of(dispatch, id)) {
        Some(parent) => current.with_remote_span_context(parent),
        None => current,
    }
}

/// Sampled spans that are open, in no order, without those beyond the slots of the table.
pub(in crate::traces) fn open_spans(dispatch: &Dispatch) -> Vec<OpenSpan> {
    let lookup = dispatch.downcast_ref::<Lookup>();
    let spans = lookup.and_then(|lookup| (lookup.open_spans)(dispatch));
    spans.unwrap_or_default()
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    fn context_of(dispatch: &Dispatch, id: &Id) -> Option<SpanContext> {
        let gate = dispatch.downcast_ref::<Self>()?;
        if gate.has_other_layer() {
            return other_layer::span_context(id, dispatch);
        }
        gate.decide_if_deferred(id);
        if let (Some(Seen::Own { .. }), Some(own)) = (gate.spans.seen(id.into_u64()), &gate.own) {
            return gate.own_context(own, id);
        }
        if gate.spans.contains(id.into_u64()) {
            // Starts the span: its id leaves the process.
            return Some(gate.started(id)?.span().span_context().clone());
        }
        let registry = dispatch.downcast_ref::<S>()?;
        gate.identity(&registry.span(id)?)
    }

    fn open_spans(dispatch: &Dispatch) -> Option<Vec<OpenSpan>> {
        let gate = dispatch.downcast_ref::<Self>()?;
        let registry = dispatch.downcast_ref::<S>()?;
        let now = gate.clock.raw();
        let open = gate.spans.open_entries().filter_map(|open| {
            let span = registry.span(&Id::from_u64(open.id))?;
            let parent = span
                .parent()
                .and_then(|parent| gate.spans.ids_of(parent.id().into_u64()));
            Some(OpenSpan {
                name: span.name(),
                target: span.metadata().target(),
                trace_id: open.ids.map(|own| own.trace_id),
                span_id: open.ids.map(|own| own.span_id),
                parent_id: parent.map(|parent| parent.span_id),
                age: gate.clock.between(open.started, now),
            })
        });
        Some(open.collect())
    }
}
