//! Defers the decision on spans whose parent may be set after their creation.
//!
//! Web frameworks create the span of a request first and call `set_parent` on it afterwards. So these spans go through
//! the gate undecided, and the gate decides when such a span is entered, gets a child or an event, or is asked for its
//! context: by its parent, or else by the draw of the head sampler at its creation. Spans at the boundary of the service
//! are deferred, and root spans, if other code queries the spans of their callsite ([`Callsites`]). The middleware of this
//! crate attaches the remote parent before it creates a span, so that the span need not be deferred ([`Creation`]).
//!
//! The draw has to survive `set_parent`: frameworks set a parent for every request, an empty one if the request carries
//! no trace. So the gate hands the draw to the SDK's sampler through a thread-local while the span starts.

use std::{
    cell::Cell,
    sync::{
        PoisonError,
        atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed},
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
    static CREATION: Cell<Creation> = const { Cell::new(Creation::ByApplication) };
    static START: Cell<Start> = const { Cell::new(Start::LET_THROUGH) };
}

/// The code that creates spans on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::traces) enum Creation {
    /// The application, which may set a parent later.
    ByApplication,
    /// The middleware, inside the context of its request.
    Request,
    /// The middleware, inside the context of its request, whose entries the span has to keep.
    RequestWithEntries,
}

impl Creation {
    /// Calls `create`, which creates a span.
    pub(in crate::traces) fn of<R>(self, create: impl FnOnce() -> R) -> R {
        /// Resets the value, after a panic in a field of the span, too.
        struct Reset(Creation);
        impl Drop for Reset {
            fn drop(&mut self) {
                CREATION.set(self.0);
            }
        }
        let _reset = Reset(CREATION.replace(self));
        create()
    }

    #[inline]
    pub(super) fn current() -> Self {
        CREATION.get()
    }
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

/// Returns `true` if the root span that starts on this thread was drawn.
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
        let started = self.clock.raw();
        self.spans.insert(id.into_u64(), decision, started);
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

/// Returns true if a span is at the boundary of the service, by the fields of its callsite: a request that comes in or goes out.
pub(super) fn is_boundary(metadata: &Metadata<'_>) -> bool {
    metadata.fields().iter().any(|field| {
        matches!(
            field.name(),
            "otel.kind" | "http.request.method" | "rpc.system"
        )
    })
}

/// Callsites of spans that start a trace in this process, or are at the boundary of the service. The first spans of each
/// callsite are deferred. If other code queries such a span or a span inside it, all later spans of the callsite are
/// deferred.
pub(super) struct Callsites([Place; MAX_CALLSITES]);

/// Boundary spans of further callsites are always deferred, other spans never.
const MAX_CALLSITES: usize = 64;

/// Spans of a boundary callsite that are deferred until the first query. Only some requests may carry a parent.
const MAX_UNQUERIED_SPANS: u8 = 64;

/// A bit beside the address of a callsite, which is even: other code queries its spans.
const QUERIED: usize = 1;

#[derive(Default)]
struct Place {
    callsite: AtomicUsize,
    /// The number of deferred spans, until it is irrelevant.
    deferred: AtomicU8,
}

impl Callsites {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Place::default()))
    }

    /// Returns true if a span of this callsite is deferred; `is_boundary` is false for a span that starts a trace.
    #[inline]
    pub(super) fn defers(&self, callsite: &'static Metadata<'static>, is_boundary: bool) -> bool {
        let own = std::ptr::from_ref(callsite).addr();
        let max = if is_boundary { MAX_UNQUERIED_SPANS } else { 1 };
        for Place { callsite, deferred } in &self.0 {
            let known = match callsite.load(Relaxed) {
                0 => match callsite.compare_exchange(0, own, Relaxed, Relaxed) {
                    Ok(_) => own,
                    Err(known) => known,
                },
                known => known,
            };
            if known & !QUERIED == own {
                // Threads that come at once may defer a few spans more.
                let count = deferred.load(Relaxed);
                if count < max {
                    deferred.store(count + 1, Relaxed);
                }
                return known != own || count < max;
            }
        }
        is_boundary
    }

    /// Returns true if other code queries spans of this callsite, or may query such a span without notice to the gate.
    pub(super) fn is_queried(&self, callsite: &'static Metadata<'static>) -> bool {
        let own = std::ptr::from_ref(callsite).addr();
        let places = self.0.iter().map(|place| place.callsite.load(Relaxed));
        let known = places.into_iter().find(|known| known & !QUERIED == own);
        known != Some(own)
    }

    pub(super) fn set_queried(&self, callsite: &'static Metadata<'static>) {
        let own = std::ptr::from_ref(callsite).addr();
        for Place { callsite, .. } in &self.0 {
            if callsite.load(Relaxed) & !QUERIED == own {
                callsite.store(own | QUERIED, Relaxed);
            }
        }
    }
}
