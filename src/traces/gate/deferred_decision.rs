//! Defers the decision on spans whose parent may be set after their creation.
//!
//! Web frameworks create the span of a request first and call `set_parent` on it afterwards. So these spans go through
//! the gate undecided, and the gate decides when such a span is entered, gets a child or an event, or is asked for its
//! context: by its parent, or else by the draw of the head sampler at its creation. Spans at the boundary of the service
//! are deferred, and root spans of a callsite whose spans other code queries ([`Callsites`]).
//!
//! The draw has to survive `set_parent`: frameworks set a parent for every request, an empty one if the request carries
//! no trace. So the gate hands the draw to the SDK's sampler through a thread-local while the span starts.

use std::{
    cell::Cell,
    sync::{
        PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use opentelemetry::{Context as OtelContext, trace::TraceContextExt as _};
use tracing::{
    Metadata, Subscriber,
    span::{Attributes, Id},
};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::{layer::Context, registry::LookupSpan};

use super::{Gate, context_queries, identity::Identity, span_table::Decision};

thread_local! {
    static START: Cell<Start> = const { Cell::new(Start::LET_THROUGH) };
}

/// The span that the SDK starts on this thread.
#[derive(Clone, Copy)]
struct Start {
    is_drawn: bool,
    is_first_of_trace: bool,
}

impl Start {
    /// A root span that is not deferred was let through because it was drawn.
    const LET_THROUGH: Self = Self {
        is_drawn: true,
        is_first_of_trace: false,
    };
}

/// Whether the root span that starts on this thread was drawn.
pub(super) fn is_drawn() -> bool {
    START.get().is_drawn
}

/// Notes that the span that starts on this thread is the first of a trace; returns whether it was drawn.
pub(super) fn start_trace() -> bool {
    let start = START.get();
    START.set(Start {
        is_first_of_trace: true,
        ..start
    });
    start.is_drawn
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    #[inline]
    pub(super) fn decide_if_deferred(&self, id: &Id) {
        if self.spans.has_deferred() {
            self.decide(id);
        }
    }

    /// Starts a deferred span: a parent that is set later has no effect.
    #[cold]
    pub(super) fn decide(&self, id: &Id) {
        let number = id.into_u64();
        let deferred = || match self.spans.decision(number)? {
            Decision::Deferred { is_drawn } => Some(is_drawn),
            Decision::Sampled | Decision::Unsampled => None,
        };
        // The SDK may emit an event while a span starts.
        if deferred().is_none() || context_queries::is_internal() {
            return;
        }
        let lock = self.deciding.lock();
        let _one_at_a_time = lock.unwrap_or_else(PoisonError::into_inner);
        let (Some(is_drawn), Some(dispatch)) = (deferred(), self.dispatch()) else {
            return;
        };
        START.set(Start {
            is_drawn,
            is_first_of_trace: false,
        });
        let context = context_queries::internal(|| get_otel_context(id, &dispatch));
        let start = START.replace(Start::LET_THROUGH);
        if is_drawn && !start.is_first_of_trace {
            self.sampler.release_rate_limit();
        }
        let context = context.unwrap_or_default().span().span_context().clone();
        // Last: other threads wait for the identity while the span is deferred.
        if context.is_sampled() {
            return self.spans.decide(number, true);
        }
        let registry = dispatch.downcast_ref::<S>();
        if let Some(span) = registry.and_then(|registry| registry.span(id)) {
            span.extensions_mut().replace(Identity(context));
        }
        self.spans.decide(number, false);
    }

    /// Defers the decision on a boundary span inside an unsampled trace: it is not sampled unless a sampled parent is
    /// set.
    #[cold]
    pub(super) fn defer_in_unsampled(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        let span = context.span(id);
        if let Some(parent) = span.and_then(|span| self.identity(&span)) {
            let under = context_of_creation(attributes).with_remote_span_context(parent);
            self.defer(under, false, attributes, id, context);
        }
    }

    /// Lets a span through as a child of `under`, undecided.
    pub(super) fn defer(
        &self,
        under: OtelContext,
        is_drawn: bool,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        let _current = under.attach();
        let contextual = Attributes::new(attributes.metadata(), attributes.values());
        self.forward_new_span(&contextual, id, context);
        let decision = Decision::Deferred { is_drawn };
        self.spans
            .insert(id.into_u64(), decision, || self.clock.raw());
    }
}

/// The context that a span is created in.
pub(super) fn context_of_creation(attributes: &Attributes<'_>) -> OtelContext {
    if attributes.is_contextual() {
        OtelContext::current()
    } else {
        OtelContext::new()
    }
}

/// Whether a span is at the boundary of the service, by the fields of its callsite: a request that comes in or goes out.
pub(super) fn is_boundary(metadata: &Metadata<'_>) -> bool {
    metadata.fields().iter().any(|field| {
        matches!(
            field.name(),
            "otel.kind" | "http.request.method" | "rpc.system"
        )
    })
}

/// Callsites of spans that start a trace in this process, without those of boundary spans. The first such span of each
/// callsite is deferred. If other code queries the span or a span inside it, all such spans of the callsite are deferred
/// from then on.
pub(super) struct Callsites([AtomicUsize; MAX_CALLSITES]);

/// Spans of further callsites are not deferred.
const MAX_CALLSITES: usize = 64;

/// A bit beside the address of a callsite, which is even: other code queries its spans.
const QUERIED: usize = 1;

impl Callsites {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicUsize::new(0)))
    }

    /// Whether a span of this callsite that starts a trace is to be deferred.
    #[inline]
    pub(super) fn defers(&self, callsite: &'static Metadata<'static>) -> bool {
        let own = std::ptr::from_ref(callsite).addr();
        for place in &self.0 {
            let known = match place.load(Relaxed) {
                0 => match place.compare_exchange(0, own, Relaxed, Relaxed) {
                    Ok(_) => return true,
                    Err(known) => known,
                },
                known => known,
            };
            if known & !QUERIED == own {
                return known != own;
            }
        }
        false
    }

    pub(super) fn set_queried(&self, callsite: &'static Metadata<'static>) {
        let own = std::ptr::from_ref(callsite).addr();
        for place in &self.0 {
            if place.load(Relaxed) & !QUERIED == own {
                place.store(own | QUERIED, Relaxed);
            }
        }
    }
}
