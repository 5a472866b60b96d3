//! What was decided elsewhere that the flag of a parent cannot say.

use opentelemetry::{
    Context, TraceId,
    trace::{SpanContext, TraceContextExt as _},
};

/// In a context: the decision on a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::traces) enum Elsewhere {
    /// There is one, of a trace that has no ids yet: it begins here.
    Begins {
        /// Whether it is kept.
        is_kept: bool,
    },
    /// There is none of this trace, which has begun: it is left to us.
    Deferred(TraceId),
}

impl Elsewhere {
    /// Whether a trace that begins under this context is kept, if that is decided.
    pub(super) fn begins(context: &Context) -> Option<bool> {
        // What began there, or goes on there, says itself whether it is kept.
        if context.span().span_context().is_valid() {
            return None;
        }
        match context.get()? {
            Self::Begins { is_kept } => Some(*is_kept),
            Self::Deferred(_) => None,
        }
    }

    /// Whether the trace of this parent, which came with the context, is kept where it comes from; `None` where that is
    /// left to us.
    pub(in crate::traces) fn continues(context: &Context, parent: &SpanContext) -> Option<bool> {
        let is_deferred = match context.get() {
            Some(Self::Deferred(trace_id)) => *trace_id == parent.trace_id(),
            Some(Self::Begins { .. }) | None => false,
        };
        (!is_deferred).then(|| parent.is_sampled())
    }
}
