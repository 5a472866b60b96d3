//! Handles new spans: decides on the first span of a trace, and lets a child through if its parent is sampled.

use std::sync::atomic::Ordering::Relaxed;

use opentelemetry::{
    Context as OtelContext,
    trace::{SpanContext, TraceContextExt as _},
};
use tracing::{
    Metadata, Subscriber,
    span::{Attributes, Id},
};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

use super::{
    Gate,
    deferred_decision::{Creation, context_of_creation, is_boundary},
    identity::{self, Identity},
    sampler::{is_never_sampled, is_sampled},
    span_table::{Decision, SampledIds, keep_active},
};
use crate::runtime::own_thread;

/// The parent in the current OpenTelemetry context.
enum ContextParent {
    Absent,
    /// The headers of a request start a new trace, whatever span is around.
    NewTrace,
    Sampled,
    Unsampled(SpanContext),
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    /// Returns the ids of a sampled span that the gate records itself.
    #[inline]
    pub(crate) fn on_new_span(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) -> Option<SampledIds> {
        if own_thread::is_marked() {
            return None;
        }
        if self.has_other_layer() {
            return self.new_beside_other_layer(attributes, id, context);
        }
        let metadata = attributes.metadata();
        let creation = Creation::current();
        let mut current = None;
        let mut is_allowed = true;
        if attributes.is_contextual() {
            let parent;
            (parent, is_allowed) = OtelContext::map_current(|current| {
                (
                    self.context_parent(current, creation),
                    !is_never_sampled(current),
                )
            });
            match parent {
                ContextParent::Absent => current = context.current_span().id().cloned(),
                ContextParent::NewTrace => {}
                ContextParent::Sampled => {
                    self.note_foreign(creation, context);
                    return self.let_through(attributes, id, context, None);
                }
                ContextParent::Unsampled(parent) => {
                    if parent.is_sampled() {
                        self.note_foreign(creation, context);
                    }
                    self.new_below_unsampled(&parent, attributes, id, context);
                    return None;
                }
            }
        }
        if let Some(parent) = attributes.parent().or(current.as_ref()) {
            self.decide_if_deferred(parent);
            if self.spans.is_sampled(parent.into_u64()) {
                return self.let_through(attributes, id, context, Some(parent));
            }
            if self.defers_boundary(metadata, creation) {
                self.defer_in_unsampled(attributes, id, context);
            }
            return None;
        }
        let is_drawn = is_allowed && self.sampler.draw(attributes, || self.now());
        if self.defers(metadata, creation) {
            let under = context_of_creation(attributes);
            self.defer(under, is_drawn, attributes, id, context);
        } else if is_drawn {
            return self.let_through(attributes, id, context, None);
        }
        None
    }

    #[inline]
    fn context_parent(&self, current: &OtelContext, creation: Creation) -> ContextParent {
        if !current.has_active_span() {
            return ContextParent::Absent;
        }
        let span = current.span();
        let parent = span.span_context();
        if !parent.is_valid() {
            match creation {
                Creation::ByApplication => ContextParent::Absent,
                Creation::RequestWithEntries | Creation::Request => ContextParent::NewTrace,
            }
        } else if is_sampled(&self.sampler, parent, current) && !is_never_sampled(current) {
            ContextParent::Sampled
        } else {
            ContextParent::Unsampled(parent.clone())
        }
    }

    /// Notes a sampled context that is current, unless it belongs to the span around.
    #[inline]
    fn note_foreign(&self, creation: Creation, context: &Context<'_, S>) {
        if creation != Creation::ByApplication || self.has_foreign.load(Relaxed) {
            return;
        }
        let span = context.current_span();
        let is_known = span
            .id()
            .is_some_and(|id| self.spans.contains(id.into_u64()));
        if !is_known {
            self.set_foreign();
        }
    }

    /// The contexts of the application have to be read at each enter from now on.
    #[cold]
    fn set_foreign(&self) {
        if !self.has_foreign.swap(true, Relaxed) {
            keep_active();
        }
    }

    /// Returns true if the decision on a span that may start a trace is deferred.
    fn defers(&self, metadata: &'static Metadata<'static>, creation: Creation) -> bool {
        creation == Creation::RequestWithEntries
            || self.callsites.defers(metadata, is_boundary(metadata))
    }

    /// As [`Gate::defers`], for a span whose parent is not sampled.
    fn defers_boundary(&self, metadata: &'static Metadata<'static>, creation: Creation) -> bool {
        creation == Creation::RequestWithEntries
            || (is_boundary(metadata) && self.callsites.defers(metadata, true))
    }

    /// Handles a new sampled span; `parent` is its parent among the spans of `tracing`, unless the current OpenTelemetry
    /// context has one.
    fn let_through(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
        parent: Option<&Id>,
    ) -> Option<SampledIds> {
        let started = self.clock.raw();
        self.spans.insert(id.into_u64(), Decision::Sampled, started);
        if let Some(own) = &self.own {
            let span = context.current_span();
            let current = span.id().filter(|_| attributes.is_contextual());
            let ids = self.open_own(own, attributes, id, parent.or(current));
            if ids.is_some() {
                return ids;
            }
        }
        self.forward_new_span(attributes, id, context);
        None
    }

    /// Handles a new span beside another OpenTelemetry layer: records the span for the live view, if spans are not
    /// exported. The contexts of the other layer do not decide, since its sampling is its own.
    #[cold]
    fn new_beside_other_layer(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) -> Option<SampledIds> {
        let own = self.own.as_ref()?;
        let current = context.current_span();
        let around = attributes
            .parent()
            .or_else(|| current.id().filter(|_| attributes.is_contextual()));
        let is_sampled = match around {
            Some(parent) => self.spans.is_sampled(parent.into_u64()),
            None => self.sampler.draw(attributes, || self.now()),
        };
        if !is_sampled {
            return None;
        }
        let started = self.clock.raw();
        self.spans.insert(id.into_u64(), Decision::Sampled, started);
        Some(self.open_own_with(own, attributes, id, around))
    }

    /// Handles a new span whose parent, of the current OpenTelemetry context, is not sampled.
    #[cold]
    fn new_below_unsampled(
        &self,
        parent: &SpanContext,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        let (metadata, creation) = (attributes.metadata(), Creation::current());
        if self.defers_boundary(metadata, creation) {
            let under = context_of_creation(attributes);
            return self.defer(under, false, attributes, id, context);
        }
        // The `tracing` span around may belong to another trace, such as a worker that handles many messages.
        let Some(span) = context.span(id) else { return };
        let around = span.parent();
        let known = around.and_then(|span| identity::known(&span, &self.spans));
        if known.is_some_and(|known| known.trace_id() == parent.trace_id()) {
            return;
        }
        if !is_boundary(metadata) && self.defers(metadata, creation) {
            let under = context_of_creation(attributes);
            return self.defer(under, false, attributes, id, context);
        }
        let own = identity::unsampled_below(parent);
        span.extensions_mut().replace(Identity(own));
    }
}
