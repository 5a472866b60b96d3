//! The callbacks of the gate for spans that it records itself.

use opentelemetry::{
    Context as OtelContext, SpanId, TraceFlags, TraceId,
    trace::{SpanContext, TraceContextExt as _, TraceState},
};
use tracing::{
    Event, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

use super::{
    super::{
        Gate, other_layer,
        outcome::is_end,
        span_table::{SampledIds, Seen},
        unsampled_context,
    },
    NewSpan, OwnSpans,
    fields::{self, Fields},
    is_own,
};
use crate::traces::{InferenceFacts, sampling::random};

/// The parent of a sampled span, for the choice between the gate and OpenTelemetry's layer.
enum Parent {
    /// A span that the gate records.
    Own(Id),
    /// A span of OpenTelemetry's layer.
    OfLayer,
    /// No span of this process, or a span of other code.
    Elsewhere(Option<SpanContext>),
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    /// Records a new sampled span without OpenTelemetry's layer, unless the trace needs that layer. `around` is its parent
    /// among the spans of `tracing`.
    #[inline(never)]
    pub(in super::super) fn open_own(
        &self,
        own: &OwnSpans,
        attributes: &Attributes<'_>,
        id: &Id,
        around: Option<&Id>,
    ) -> Option<SampledIds> {
        let metadata = attributes.metadata();
        let mut under = if attributes.is_contextual() {
            OtelContext::current()
        } else {
            OtelContext::new()
        };
        let is_inside_own = is_own(&under);
        let parent = match self.parent_of(around, &under, is_inside_own) {
            Parent::OfLayer => return None,
            Parent::Elsewhere(_) if self.needs_layer(metadata) => return None,
            Parent::Elsewhere(parent) => parent,
            Parent::Own(parent) => {
                // A child of an explicit parent has the entries of its parent.
                if !attributes.is_contextual() {
                    under = own.context(parent.into_u64()).unwrap_or_default();
                }
                self.own_context(own, &parent)
            }
        };
        let (trace_id, state) = match &parent {
            Some(parent) => (
                u128::from_be_bytes(parent.trace_id().to_bytes()),
                parent.trace_state().clone(),
            ),
            None => (self.sampler.trace_id(true), TraceState::default()),
        };
        let ids = SampledIds {
            trace_id,
            span_id: random().max(1),
        };
        let record = |visit: &mut dyn tracing::field::Visit| attributes.record(visit);
        let new = NewSpan {
            name: metadata.name(),
            context: span_context(ids, state),
            parent,
            start: self.clock.raw(),
            start_time: self.clock.wall(),
            under,
            fields: Fields::of_new_span(metadata, &*self.on_panicking_field, record),
        };
        own.open(id.into_u64(), new);
        self.spans.set_own(id.into_u64(), ids, !is_inside_own);
        Some(ids)
    }

    /// Records a new span beside another OpenTelemetry layer. The span has ids of its own until its first enter.
    pub(in super::super) fn open_own_with(
        &self,
        own: &OwnSpans,
        attributes: &Attributes<'_>,
        id: &Id,
        around: Option<&Id>,
    ) -> SampledIds {
        let metadata = attributes.metadata();
        let parent = around.and_then(|parent| self.own_context(own, parent));
        let trace_id = match &parent {
            Some(parent) => u128::from_be_bytes(parent.trace_id().to_bytes()),
            None => self.sampler.trace_id(true),
        };
        let ids = SampledIds {
            trace_id,
            span_id: random().max(1),
        };
        let record = |visit: &mut dyn tracing::field::Visit| attributes.record(visit);
        let new = NewSpan {
            name: metadata.name(),
            context: span_context(ids, TraceState::default()),
            parent,
            start: self.clock.raw(),
            start_time: self.clock.wall(),
            under: OtelContext::new(),
            fields: Fields::of_new_span(metadata, &*self.on_panicking_field, record),
        };
        own.open(id.into_u64(), new);
        // The flag marks a span whose ids are not those of the other layer yet.
        self.spans.set_own(id.into_u64(), ids, true);
        ids
    }

    /// Gives a span the ids that it has in the other layer, at its first enter: an earlier query would start it there,
    /// and a parent that is set after that would have no effect.
    #[cold]
    pub(in super::super) fn adopt_ids(&self, own: &OwnSpans, id: &Id) -> Option<SampledIds> {
        let context = other_layer::span_context(id, &self.dispatch()?)?;
        let ids = SampledIds {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
        };
        own.adopt(id.into_u64(), span_context(ids, TraceState::default()));
        self.spans.set_own(id.into_u64(), ids, false);
        Some(ids)
    }

    fn parent_of(&self, around: Option<&Id>, under: &OtelContext, is_inside_own: bool) -> Parent {
        let span = under.span();
        let of_context = Some(span.span_context()).filter(|context| context.is_valid());
        let known = around.and_then(|around| {
            let ids = self.spans.ids_of(around.into_u64());
            // Another context may be current inside the span around.
            let is_parent = is_inside_own
                || of_context.is_none_or(|context| {
                    ids.is_some_and(|ids| TraceId::from(ids.trace_id) == context.trace_id())
                });
            let seen = self.spans.seen(around.into_u64()).filter(|_| is_parent)?;
            Some((around, seen))
        });
        match known {
            Some((around, Seen::Own { .. })) => Parent::Own(around.clone()),
            Some((_, Seen::OfLayer { .. })) => Parent::OfLayer,
            None => Parent::Elsewhere(of_context.cloned()),
        }
    }

    /// Returns true if the spans of a trace that starts at a callsite go through OpenTelemetry's layer: the first trace, and all
    /// traces if other code queries them.
    fn needs_layer(&self, metadata: &'static Metadata<'static>) -> bool {
        self.callsites.defers(metadata, false) || self.callsites.is_queried(metadata)
    }

    /// The ids of a span that the gate records, after its end, too.
    pub(in super::super) fn own_context(&self, own: &OwnSpans, id: &Id) -> Option<SpanContext> {
        own.span_context(id.into_u64()).or_else(|| {
            let ids = self.spans.ids_of(id.into_u64())?;
            Some(span_context(ids, TraceState::default()))
        })
    }

    pub(in super::super) fn record_own(
        &self,
        own: &OwnSpans,
        id: u64,
        values: &Record<'_>,
        facts: Option<InferenceFacts>,
    ) {
        let record = |visit: &mut dyn tracing::field::Visit| values.record(visit);
        let fields = Fields::read(values.len(), &*self.on_panicking_field, record);
        own.add_fields(id, fields);
        if is_end(values) {
            // A panic may drop the owner of the span.
            if std::thread::panicking() {
                own.set_panicked(id);
            }
            self.end_own(own, id, facts);
        }
    }

    pub(in super::super) fn event_own(&self, own: &OwnSpans, id: u64, event: &Event<'_>) {
        let (event, status) = fields::event(event, &*self.on_panicking_field);
        let now = self.clock.raw();
        own.add_event(id, event, status, |start| self.clock.between(start, now));
    }

    pub(in super::super) fn end_own(&self, own: &OwnSpans, id: u64, facts: Option<InferenceFacts>) {
        let now = self.clock.raw();
        own.end(id, facts, |start| self.clock.between(start, now));
    }
}

fn span_context(ids: SampledIds, state: TraceState) -> SpanContext {
    let (trace_id, span_id) = (TraceId::from(ids.trace_id), SpanId::from(ids.span_id));
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, state)
}

impl OwnSpans {
    /// Makes the context of the trace current, unless it is.
    pub(in super::super) fn enter(&self, id: u64, ids: SampledIds, attaches: bool) {
        let is_current = !attaches
            && OtelContext::map_current(|current| {
                let span = current.span();
                let context = span.span_context();
                current.has_active_span()
                    && context.is_sampled()
                    && !context.is_remote()
                    && context.trace_id() == TraceId::from(ids.trace_id)
            });
        match (!is_current).then(|| self.context(id)).flatten() {
            Some(context) => unsampled_context::attach(id, context),
            None => unsampled_context::enter(id),
        }
    }

    pub(in super::super) fn exit(&self, id: u64) {
        if std::thread::panicking() {
            self.set_panicked(id);
        }
        unsampled_context::exit(id);
    }
}

/// The id of the span that an event belongs to.
pub(in super::super) fn span_of<S: Subscriber + for<'l> LookupSpan<'l>>(
    event: &Event<'_>,
    context: &Context<'_, S>,
) -> Option<Id> {
    let contextual = || context.current_span().id().cloned();
    let parent = event.parent().cloned();
    parent.or_else(|| event.is_contextual().then(contextual).flatten())
}
