//! Holds the parent and the sampling decision that headers carry. Not every format has both.

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::traces::{gate, sampling::RemoteDecision};

/// A sampling decision, in B3's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SamplingState {
    Accept,
    Deny,
    /// The decision is left to the receiver.
    Defer,
    /// The trace is sampled, and backends are asked to keep it, too.
    Debug,
}

/// The content of the headers that were read, or are to be written.
#[derive(Clone, Debug)]
pub(super) struct RemoteParent {
    /// The parent of the receiver's spans; invalid in headers without ids.
    pub(super) context: SpanContext,
    pub(super) sampling: SamplingState,
}

/// A context value: the debug flag of the trace is set.
#[derive(Clone, Copy, Debug)]
struct Debugged;

impl RemoteParent {
    /// `None` for headers with neither ids nor a decision.
    pub(super) fn new(context: Option<SpanContext>, sampling: SamplingState) -> Option<Self> {
        if context.is_none() && sampling == SamplingState::Defer {
            return None;
        }
        let context = context.unwrap_or(SpanContext::NONE);
        Some(Self { context, sampling })
    }

    /// Takes the decision from the sampled flag of a parent.
    pub(super) fn flagged(context: SpanContext) -> Self {
        let sampling = SamplingState::of_flag(context.is_sampled());
        Self { context, sampling }
    }

    pub(super) fn has_ids(&self) -> bool {
        self.context.is_valid()
    }

    /// The context that the receiver creates its spans in. Without ids, the active span of the context is invalid, so that
    /// the receiver starts a new trace whatever spans are around.
    pub(super) fn into_context(self) -> Context {
        let context = Context::new();
        let context = match (self.has_ids(), self.sampling) {
            (true, SamplingState::Defer) => {
                context.with_value(RemoteDecision::Deferred(self.context.trace_id()))
            }
            (true, _) | (false, SamplingState::Defer) => context,
            (false, sampling) => {
                let is_sampled = sampling.is_sampled();
                context.with_value(RemoteDecision::NewTrace { is_sampled })
            }
        };
        let context = match self.sampling {
            SamplingState::Debug => context.with_value(Debugged),
            SamplingState::Accept | SamplingState::Deny | SamplingState::Defer => context,
        };
        context.with_remote_span_context(self.context)
    }

    /// The content of the headers for a request of `span`. Passes on the current context if the span is disabled or
    /// traces are off.
    pub(super) fn of(span: &Span) -> Self {
        Self::of_span(span).unwrap_or_else(|| {
            let current = Context::map_current(Self::of_context);
            if current.has_ids() {
                return current;
            }
            // In an unsampled trace, the current context has no active span.
            Self::of_span(&Span::current()).unwrap_or(current)
        })
    }

    fn of_span(span: &Span) -> Option<Self> {
        let contexts = span.with_subscriber(|(id, dispatch)| {
            let own = gate::context_of(dispatch, id)?;
            Some((own, gate::own_context(dispatch, id)))
        });
        let (own, context) = contexts.flatten()?;
        // Only a sampled span has a context of its own.
        let of_layer = || gate::internal(|| span.context());
        let context = context.or_else(|| own.is_sampled().then(of_layer));
        let is_debugged = context.is_some_and(|context| context.get::<Debugged>().is_some());
        Some(Self::flagged(own).debugged(is_debugged))
    }

    fn of_context(context: &Context) -> Self {
        let parent = context.span().span_context().clone();
        let is_sampled = match context.get() {
            Some(RemoteDecision::NewTrace { is_sampled }) if !parent.is_valid() => {
                Some(*is_sampled)
            }
            _ if parent.is_remote() => RemoteDecision::of_parent(context, &parent),
            _ if parent.is_valid() => Some(parent.is_sampled()),
            _ => None,
        };
        let sampling = is_sampled.map_or(SamplingState::Defer, SamplingState::of_flag);
        let is_debugged = context.get::<Debugged>().is_some();
        Self {
            context: parent,
            sampling,
        }
        .debugged(is_debugged)
    }

    /// Sets the debug flag, which only a sampled trace may carry.
    fn debugged(mut self, is_debugged: bool) -> Self {
        if is_debugged && self.sampling == SamplingState::Accept {
            self.sampling = SamplingState::Debug;
        }
        self
    }
}

impl SamplingState {
    pub(super) const fn of_flag(is_sampled: bool) -> Self {
        if is_sampled { Self::Accept } else { Self::Deny }
    }

    pub(super) const fn is_sampled(self) -> bool {
        matches!(self, Self::Accept | Self::Debug)
    }
}
