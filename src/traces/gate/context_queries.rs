//! Answers queries of `OpenTelemetrySpanExt` about spans that tracing-opentelemetry's layer has not seen.
//!
//! `Span::context()` and its siblings ask the dispatch for that layer, then for the subscriber type of the layer, then
//! for the span. So the gate holds a second layer, over [`QueriedSubscriber`], and queries go there. A query about an
//! unsampled span is answered with the nearest span around it that the layer has seen: the context has the id of the
//! trace and the flag 00. A deferred span is decided before its context is read.
//!
//! Limit: without such a span around, the context is empty, and the receiver of its headers starts a new trace. A query
//! marks the callsite of the first span of the trace in this process, whose spans the layer sees from then on
//! ([`Callsites`]).
//!
//! [`Callsites`]: super::deferred_decision::Callsites

use std::cell::Cell;

use opentelemetry_sdk::trace::SdkTracer;
use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    dispatcher::WeakDispatch,
    span::{Attributes, Id, Record},
};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use super::{
    Gate,
    identity::{Identity, unsampled_scope},
};

thread_local! {
    /// A query that has found its layer and not its span yet.
    static QUERY: Cell<Option<Query>> = const { Cell::new(None) };
    static IS_INTERNAL: Cell<bool> = const { Cell::new(false) };
}

/// The layer that queries find.
pub(super) type QueryLayer<S> = OpenTelemetryLayer<QueriedSubscriber<S>, SdkTracer>;

/// A subscriber as queries see it.
#[repr(transparent)]
pub(super) struct QueriedSubscriber<S>(S);

struct Query {
    dispatch: WeakDispatch,
    /// The query reads the context; else it sets a property of the span.
    is_for_context: bool,
}

/// Runs a query of this crate about a span that the layer has seen. The gate does not interfere.
pub(in crate::traces) fn internal<R>(query: impl FnOnce() -> R) -> R {
    let previous = IS_INTERNAL.replace(true);
    let answer = query();
    IS_INTERNAL.set(previous);
    answer
}

/// Returns `true` if [`internal`] runs on this thread.
pub(super) fn is_internal() -> bool {
    IS_INTERNAL.get()
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    /// Notes a query that has found its layer.
    #[cold]
    pub(super) fn note_query(&self, is_for_context: bool) {
        let dispatch = self.dispatch.get().filter(|_| !is_internal()).cloned();
        QUERY.set(dispatch.map(|dispatch| Query {
            dispatch,
            is_for_context,
        }));
    }

    /// The span that answers a query about another span, if it is not that span itself.
    fn answering(&self, dispatch: &Dispatch, id: &Id, is_for_context: bool) -> Option<Id> {
        let span = dispatch.downcast_ref::<S>()?.span(id)?;
        let is_seen = |id: &Id| self.spans.contains(id.into_u64());
        // A span with an identity starts an unsampled trace of its own.
        let nearest = unsampled_scope(&span, &self.spans)
            .find(|span| is_seen(&span.id()) || span.extensions().get::<Identity>().is_some());
        for known in nearest.iter().chain(&span.scope().last()).chain([&span]) {
            self.callsites.set_queried(known.metadata());
        }
        if !is_seen(id) {
            return nearest.map(|span| span.id()).filter(is_seen);
        }
        if is_for_context {
            self.decide(id);
        }
        None
    }
}

impl<'l, S: Subscriber + for<'a> LookupSpan<'a>> LookupSpan<'l> for QueriedSubscriber<S> {
    type Data = <S as LookupSpan<'l>>::Data;

    fn span_data(&'l self, id: &Id) -> Option<Self::Data> {
        let answering = QUERY.take().and_then(|query| {
            let dispatch = query.dispatch.upgrade()?;
            let gate = dispatch.downcast_ref::<Gate<S>>()?;
            gate.answering(&dispatch, id, query.is_for_context)
        });
        self.0.span_data(answering.as_ref().unwrap_or(id))
    }
}

/// The layer's type requires a subscriber; no span is created through this implementation.
impl<S: 'static> Subscriber for QueriedSubscriber<S> {
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
