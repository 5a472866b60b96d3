//! Carries a sampling decision of the caller that the flag of a parent cannot express.

use opentelemetry::{
    Context, TraceId,
    trace::{SpanContext, TraceContextExt as _},
};

/// A context value: the decision of the caller on a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::traces) enum RemoteDecision {
    /// The caller has decided on a trace that has no ids yet: the trace starts in this process.
    NewTrace { is_sampled: bool },
    /// The caller has started this trace and left the decision open.
    Deferred(TraceId),
}

impl RemoteDecision {
    /// The decision on a trace that starts under this context.
    pub(super) fn of_new_trace(context: &Context) -> Option<bool> {
        // An active span has a decision of its own.
        if context.span().span_context().is_valid() {
            return None;
        }
        match context.get()? {
            Self::NewTrace { is_sampled } => Some(*is_sampled),
            Self::Deferred(_) => None,
        }
    }

    /// The decision on the trace of `parent`, which came with the context; `None` if the caller has left it open.
    pub(in crate::traces) fn of_parent(context: &Context, parent: &SpanContext) -> Option<bool> {
        let is_deferred = match context.get() {
            Some(Self::Deferred(trace_id)) => *trace_id == parent.trace_id(),
            Some(Self::NewTrace { .. }) | None => false,
        };
        (!is_deferred).then(|| parent.is_sampled())
    }
}
