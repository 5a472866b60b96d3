//! What a span is called elsewhere: the ids that headers, log lines and exemplars carry.

use opentelemetry::{
    SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceState},
};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::ids::Ids;
use crate::traces::sampling::{HeadSampler, random};

/// In the extensions of a span of a sampled trace, from its first enter on; and in those of the first span of an
/// unsampled one, once somebody asked: all its spans go by it.
pub(super) struct Identity(pub(super) SpanContext);

/// The ids that a log line inside a span names; `None` for a span that is sampled and has none yet, since nobody has
/// entered it.
pub(in crate::traces) fn ids_of<'a, R: LookupSpan<'a>>(
    span: &SpanRef<'a, R>,
    recorded: &Ids,
    sampler: &HeadSampler,
) -> Option<SpanContext> {
    if let Some(Identity(context)) = span.extensions().get() {
        return Some(context.clone());
    }
    if recorded.contains(span.id().into_u64()) {
        return None;
    }
    unsampled(span, sampler)
}

/// The identity of the unsampled trace that a span belongs to; made when it is asked for first, and then the same.
pub(super) fn unsampled<'a, R: LookupSpan<'a>>(
    span: &SpanRef<'a, R>,
    sampler: &HeadSampler,
) -> Option<SpanContext> {
    let root = span.scope().from_root().next()?;
    if let Some(Identity(context)) = root.extensions().get() {
        return Some(context.clone());
    }
    let fresh = SpanContext::new(
        TraceId::from(sampler.trace_id(false)),
        SpanId::from(random().max(1)),
        TraceFlags::default(),
        false,
        TraceState::default(),
    );
    let mut extensions = root.extensions_mut();
    // Somebody else may have been first.
    if let Some(Identity(context)) = extensions.get_mut::<Identity>() {
        return Some(context.clone());
    }
    extensions.insert(Identity(fresh.clone()));
    Some(fresh)
}
