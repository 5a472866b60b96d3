//! What headers say of a trace: its parent, and whether it is kept. Not every format has both.

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::traces::{gate, sampling::Elsewhere};

/// Whether a trace is kept, in B3's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SamplingState {
    Accept,
    Deny,
    /// Nobody has decided yet.
    Defer,
    /// It is kept, and backends are asked to keep it, too.
    Debug,
}

/// What is read, or is to be written.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// The span that is the parent of what comes next; not valid where there are no ids yet.
    pub(super) parent: SpanContext,
    pub(super) sampling: SamplingState,
}

/// In a context: its trace is to be debugged.
#[derive(Clone, Copy, Debug)]
struct Debugged;

impl Said {
    /// What was read, unless it is nothing.
    pub(super) fn new(parent: Option<SpanContext>, sampling: SamplingState) -> Option<Self> {
        if parent.is_none() && sampling == SamplingState::Defer {
            return None;
        }
        let parent = parent.unwrap_or(SpanContext::NONE);
        Some(Self { parent, sampling })
    }

    /// Of a parent whose flag says all.
    pub(super) fn flagged(parent: SpanContext) -> Self {
        let sampling = SamplingState::of_flag(parent.is_sampled());
        Self { parent, sampling }
    }

    /// Whether a trace is named.
    pub(super) fn has_parent(&self) -> bool {
        self.parent.is_valid()
    }

    /// The context that the next spans are made under. A trace without ids has a parent that is none: it begins here,
    /// whatever is around.
    pub(super) fn into_context(self) -> Context {
        let context = Context::new();
        let context = match (self.has_parent(), self.sampling) {
            (true, SamplingState::Defer) => {
                context.with_value(Elsewhere::Deferred(self.parent.trace_id()))
            }
            (true, _) | (false, SamplingState::Defer) => context,
            (false, sampling) => {
                let is_kept = sampling.is_kept();
                context.with_value(Elsewhere::Begins { is_kept })
            }
        };
        let context = match self.sampling {
            SamplingState::Debug => context.with_value(Debugged),
            SamplingState::Accept | SamplingState::Deny | SamplingState::Defer => context,
        };
        context.with_remote_span_context(self.parent)
    }

    /// What the next service is told of `span`; where that is none, or there are no traces, what came in goes on.
    pub(super) fn of(span: &Span) -> Self {
        Self::own(span).unwrap_or_else(|| {
            let came = Context::map_current(Self::passed_on);
            if came.has_parent() {
                return came;
            }
            // In an unsampled trace, nothing is current.
            Self::own(&Span::current()).unwrap_or(came)
        })
    }

    /// What a span is called elsewhere.
    fn own(span: &Span) -> Option<Self> {
        let own = span.with_subscriber(|(id, dispatch)| gate::context_of(dispatch, id));
        let own = own.flatten()?;
        // Only a sampled span has a context of its own.
        let is_debugged = own.is_sampled()
            && gate::about_recorded(|| span.context())
                .get::<Debugged>()
                .is_some();
        Some(Self::flagged(own).debugged(is_debugged))
    }

    /// What came in with a context.
    fn passed_on(context: &Context) -> Self {
        let parent = context.span().span_context().clone();
        let is_sampled = match context.get() {
            Some(Elsewhere::Begins { is_kept }) if !parent.is_valid() => Some(*is_kept),
            _ if parent.is_remote() => Elsewhere::continues(context, &parent),
            _ if parent.is_valid() => Some(parent.is_sampled()),
            _ => None,
        };
        let sampling = is_sampled.map_or(SamplingState::Defer, SamplingState::of_flag);
        Self { parent, sampling }.debugged(context.get::<Debugged>().is_some())
    }

    /// What is not kept here is not debugged either.
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

    pub(super) const fn is_kept(self) -> bool {
        matches!(self, Self::Accept | Self::Debug)
    }
}
