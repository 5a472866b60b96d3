//! What a span is called elsewhere: the ids that headers, log lines and exemplars carry.

use opentelemetry::{
    SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceState},
};
use tracing::span::Id;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::sampled::Sampled;
use crate::traces::sampling::{HeadSampler, random};

/// In the extensions of the first span of an unsampled trace, once somebody asked: all spans in it go by it. Those of a
/// sampled one have a name of their own from their first enter on, which stands with the gate ([`Sampled`]) or, where
/// that has no place for it, here.
pub(super) struct Identity(pub(super) SpanContext);

/// The ids that a log line inside a span names; `None` for a span that is sampled and has none yet, since nobody has
/// entered it.
pub(in crate::traces) fn ids_of<'a, R: LookupSpan<'a>>(
    span: &SpanRef<'a, R>,
    recorded: &Sampled,
    sampler: &HeadSampler,
) -> Option<SpanContext> {
    if let Some(name) = name_of(&span.id(), recorded) {
        return Some(name);
    }
    if recorded.contains(span.id().into_u64()) {
        // Where there was no place for its name.
        let extensions = span.extensions();
        return extensions.get().map(|Identity(own)| own.clone());
    }
    unsampled(span, sampler, recorded)
}

/// The ids of a sampled span that has been entered.
pub(in crate::traces) fn name_of(id: &Id, recorded: &Sampled) -> Option<SpanContext> {
    let name = recorded.name_of(id.into_u64())?;
    Some(SpanContext::new(
        TraceId::from(name.trace_id),
        SpanId::from(name.span_id),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    ))
}

/// What an unsampled span goes by, as far as anybody has asked: the identity of the nearest one around it that has one.
pub(super) fn known<'a, R: LookupSpan<'a>>(
    span: &SpanRef<'a, R>,
    recorded: &Sampled,
) -> Option<SpanContext> {
    unsampled_scope(span, recorded).find_map(|span| {
        let extensions = span.extensions();
        extensions.get().map(|Identity(own)| own.clone())
    })
}

/// The identity of the unsampled trace that a span belongs to; made when it is asked for first, and then the same.
pub(super) fn unsampled<'a, R: LookupSpan<'a>>(
    span: &SpanRef<'a, R>,
    sampler: &HeadSampler,
    recorded: &Sampled,
) -> Option<SpanContext> {
    if let Some(known) = known(span, recorded) {
        return Some(known);
    }
    let outermost = unsampled_scope(span, recorded).last()?;
    let fresh = SpanContext::new(
        TraceId::from(sampler.trace_id(false)),
        SpanId::from(random().max(1)),
        TraceFlags::default(),
        false,
        TraceState::default(),
    );
    let mut extensions = outermost.extensions_mut();
    // Somebody else may have been first.
    if let Some(Identity(context)) = extensions.get_mut::<Identity>() {
        return Some(context.clone());
    }
    extensions.insert(Identity(fresh.clone()));
    Some(fresh)
}

/// A span and those around it, up to one that is recorded.
fn unsampled_scope<'a, R: LookupSpan<'a>>(
    span: &SpanRef<'a, R>,
    recorded: &Sampled,
) -> impl Iterator<Item = SpanRef<'a, R>> {
    let is_recorded = |span: &SpanRef<'a, R>| recorded.contains(span.id().into_u64());
    span.scope().take_while(move |span| !is_recorded(span))
}

/// What goes on under a parent elsewhere that is not kept here, whatever that one says.
pub(super) fn not_kept(parent: &SpanContext) -> SpanContext {
    SpanContext::new(
        parent.trace_id(),
        parent.span_id(),
        parent.trace_flags().with_sampled(false),
        false,
        parent.trace_state().clone(),
    )
}
