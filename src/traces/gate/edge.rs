//! Spans at the process's edge: let through while it is open whether their trace is kept, and decided when they are
//! entered, or somebody asks for their context. Until then a parent may be set, by foreign code too.

use std::sync::PoisonError;

use opentelemetry::{Context as OtelContext, trace::TraceContextExt as _};
use tracing::{
    Dispatch, Metadata, Subscriber,
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer as _, layer::Context, registry::LookupSpan};

use super::{Gate, asked, identity::Identity, seen, verdict};

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    /// Starts an undecided span, if it is one: from here on a parent that is set comes too late.
    #[cold]
    pub(super) fn decide(&self, id: &Id) {
        let number = id.into_u64();
        // While one is started, the SDK may speak.
        if !self.undecided.contains(number) || asked::is_ours() {
            return;
        }
        let deciding = self.deciding.lock();
        let _one_at_a_time = deciding.unwrap_or_else(PoisonError::into_inner);
        if !self.undecided.contains(number) {
            return;
        }
        if let Some(dispatch) = self.dispatch() {
            self.decide_now(id, &dispatch);
        }
        self.refused.remove(number);
        // Last: it is let through all the time.
        self.undecided.remove(number);
    }

    fn decide_now(&self, id: &Id, dispatch: &Dispatch) {
        let number = id.into_u64();
        let is_refused = self.refused.contains(number);
        let (context, has_begun) = verdict::begins(is_refused, || seen(id, dispatch));
        let Some(context) = context else { return };
        if !is_refused && !has_begun {
            self.sampler.began_elsewhere();
        }
        let context = context.span().span_context().clone();
        if context.is_sampled() {
            return self.sampled.insert(number, || self.clock.raw());
        }
        self.edges.insert(number);
        let span = dispatch.downcast_ref::<S>().and_then(|all| all.span(id));
        if let Some(span) = span {
            span.extensions_mut().replace(Identity(context));
        }
    }

    /// A span at the edge of an unsampled trace: unless a parent is set, it records nothing, and its context says so.
    #[cold]
    pub(super) fn let_edge_through(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        let Some(span) = context.span(id) else { return };
        if let Some(parent) = self.identity(&span) {
            let under = made_under(attributes).with_remote_span_context(parent);
            self.leave_undecided(under, false, attributes, id, context);
        }
    }

    /// Lets a span through as a child of `under`, to be decided when it is entered. Until then a parent may be set;
    /// without any, it is kept if it was drawn.
    pub(super) fn leave_undecided(
        &self,
        under: OtelContext,
        is_drawn: bool,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        self.pass(under, attributes, id, context);
        if !is_drawn {
            verdict::write_not_kept(|record| self.inner.on_record(id, record, context.clone()));
            self.refused.insert(id.into_u64());
        }
        self.undecided.insert(id.into_u64());
    }

    /// Lets a span through as a child of `under`.
    fn pass(
        &self,
        under: OtelContext,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) {
        let _current = under.attach();
        let contextual = Attributes::new(attributes.metadata(), attributes.values());
        self.give_span(&contextual, id, context);
    }
}

/// What a span is made in.
pub(super) fn made_under(attributes: &Attributes<'_>) -> OtelContext {
    if attributes.is_contextual() {
        OtelContext::current()
    } else {
        OtelContext::new()
    }
}

/// Whether a span stands at the process's edge, as its callsite says.
pub(super) fn is_edge(metadata: &Metadata<'_>) -> bool {
    metadata.fields().iter().any(|field| {
        matches!(
            field.name(),
            "otel.kind" | "http.request.method" | "rpc.system"
        )
    })
}
