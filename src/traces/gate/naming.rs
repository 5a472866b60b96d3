//! Gives a recorded span its name, the ids that headers, log lines and exemplars carry, when it is first entered.
//!
//! Not earlier: reading the ids starts the span, and a parent that is set after that is lost.

use opentelemetry::{Context as OtelContext, trace::TraceContextExt as _};
use tracing::{Subscriber, span::Id};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

use super::{Entered, Gate, identity::Identity, sampled::Naming};

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    /// The name of a span that had none yet when it was entered.
    #[inline]
    pub(super) fn entered(
        &self,
        naming: Naming<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) -> Option<Entered> {
        match naming {
            Naming::Known | Naming::Absent => None,
            Naming::Open(nameless) => {
                let Some(own) = current_name() else {
                    self.turns_out_unsampled(id, context);
                    return None;
                };
                nameless.set(&own);
                Some(own)
            }
            Naming::Elsewhere => first_enter_elsewhere(id, context),
        }
    }
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Gate<S> {
    /// A span was let through, and then given a parent that is not sampled: it goes on as one at the edge.
    #[cold]
    fn turns_out_unsampled(&self, id: &Id, context: &Context<'_, S>) {
        let own = OtelContext::map_current(|current| current.span().span_context().clone());
        if own.is_valid() && self.sampled.remove(id.into_u64()) {
            self.edges.insert(id.into_u64());
            if let Some(span) = context.span(id) {
                span.extensions_mut().replace(Identity(own));
            }
        }
    }
}

/// The name of the span that the inner layer has just made current, if it is sampled.
fn current_name() -> Option<Entered> {
    OtelContext::map_current(|current| {
        let span = current.span();
        let own = span.span_context();
        own.is_sampled().then(|| Entered {
            trace_id: u128::from_be_bytes(own.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(own.span_id().to_bytes()),
        })
    })
}

/// As [`Gate::first_enter`], for a span that found no place.
#[cold]
fn first_enter_elsewhere<S>(id: &Id, context: &Context<'_, S>) -> Option<Entered>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    let span = context.span(id)?;
    if span.extensions().get::<Identity>().is_some() {
        return None;
    }
    let own = OtelContext::map_current(|current| current.span().span_context().clone());
    let name = current_name()?;
    span.extensions_mut().replace(Identity(own));
    Some(name)
}
