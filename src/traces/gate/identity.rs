//! Gives each span the ids that headers, log lines and exemplars carry.
//!
//! All spans of an unsampled trace share one identity, made on the first request for it. A sampled span has ids of its
//! own from its first enter on, in the [`SpanTable`].

use opentelemetry::{
    SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceState},
};
use tracing::span::Id;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::span_table::{SampledIds, SpanTable};
use crate::traces::sampling::{HeadSampler, random};

/// The identity of an unsampled trace, in the extensions of the outermost span of the trace in this process.
pub(super) struct Identity(pub(super) SpanContext);

/// The ids that a log line inside a span names; `None` for a sampled span that has not been entered yet.
pub(in crate::traces) fn ids_of<'a, R: LookupSpan<'a>>(
    span: &SpanRef<'a, R>,
    spans: &SpanTable,
    sampler: &HeadSampler,
) -> Option<SpanContext> {
    let own = sampled_ids_of(&span.id(), spans);
    if own.is_some() || spans.is_sampled(span.id().into_u64()) {
        return own;
    }
    unsampled(span, sampler, spans)
}

/// The ids of a sampled span that has been entered.
pub(in crate::traces) fn sampled_ids_of(id: &Id, spans: &SpanTable) -> Option<SpanContext> {
    let SampledIds { trace_id, span_id } = spans.ids_of(id.into_u64())?;
    let flags = TraceFlags::SAMPLED;
    Some(span_context(trace_id, span_id, flags))
}

/// The identity of the unsampled trace that a span belongs to, if it has been made.
pub(super) fn known<'a, R: LookupSpan<'a>>(
    span: &SpanRef<'a, R>,
    spans: &SpanTable,
) -> Option<SpanContext> {
    unsampled_scope(span, spans).find_map(|span| {
        let extensions = span.extensions();
        extensions.get().map(|Identity(own)| own.clone())
    })
}

/// The identity of the unsampled trace that a span belongs to, made on the first call.
pub(super) fn unsampled<'a, R: LookupSpan<'a>>(
    span: &SpanRef<'a, R>,
    sampler: &HeadSampler,
    spans: &SpanTable,
) -> Option<SpanContext> {
    if let Some(known) = known(span, spans) {
        return Some(known);
    }
    let outermost = unsampled_scope(span, spans).last()?;
    let mut extensions = outermost.extensions_mut();
    // Another thread may have been first.
    if let Some(Identity(context)) = extensions.get_mut() {
        return Some(context.clone());
    }
    let span_id = random().max(1);
    let fresh = span_context(sampler.trace_id(false), span_id, TraceFlags::default());
    extensions.insert(Identity(fresh.clone()));
    Some(fresh)
}

/// A span and the spans around it, up to a sampled span.
pub(super) fn unsampled_scope<'a, R: LookupSpan<'a>>(
    span: &SpanRef<'a, R>,
    spans: &SpanTable,
) -> impl Iterator<Item = SpanRef<'a, R>> {
    let is_sampled = |span: &SpanRef<'a, R>| spans.is_sampled(span.id().into_u64());
    span.scope().take_while(move |span| !is_sampled(span))
}

/// The identity of spans below a remote parent that are not sampled here, whatever the flag of the parent is.
pub(super) fn unsampled_below(parent: &SpanContext) -> SpanContext {
    SpanContext::new(
        parent.trace_id(),
        parent.span_id(),
        parent.trace_flags().with_sampled(false),
        false,
        parent.trace_state().clone(),
    )
}

fn span_context(trace_id: u128, span_id: u64, flags: TraceFlags) -> SpanContext {
    let (trace_id, span_id) = (TraceId::from(trace_id), SpanId::from(span_id));
    SpanContext::new(trace_id, span_id, flags, false, TraceState::default())
}
