//! Interpretation and traces together, for those who have both.
//!
//! Out of line: spans that are only measured go another way, and must not carry the code of those that are traced.

use tracing::{
    Event,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::layer::Context;

use super::{Seen, watch::Watch};
use crate::traces::Gate;

/// A gate for traces, and the interpretation unless metrics are off.
pub(super) struct Traced<S> {
    pub(super) watch: Option<Watch>,
    pub(super) gate: Gate<S>,
    /// Events that are more verbose pass for somebody else's sake.
    pub(super) event_level: LevelFilter,
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "what is passed by reference would be written down for those who have no traces, too"
)]
impl<S: Seen> Traced<S> {
    #[inline(never)]
    pub(super) fn on_new_span(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        context: Context<'_, S>,
    ) {
        self.gate.on_new_span(attributes, id, &context);
        if let Some(watch) = &self.watch {
            watch.on_new_span(attributes, id);
        }
    }

    #[inline(never)]
    pub(super) fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.gate.on_record(id, values, &context);
        if let Some(watch) = &self.watch {
            watch.on_record(id, values);
        }
    }

    #[inline(never)]
    pub(super) fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() > self.event_level {
            return;
        }
        self.gate.on_event(event, &context);
        if let Some(watch) = &self.watch {
            watch.on_event(event, &context, || self.gate.trace_of(event, &context));
        }
    }

    #[inline(never)]
    pub(super) fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(entered) = self.gate.on_enter(id, &context)
            && let Some(watch) = &self.watch
        {
            watch.is_traced(id, entered.trace_id, entered.span_id);
        }
    }

    #[inline(never)]
    pub(super) fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.gate.on_exit(id, &context);
        if let Some(watch) = &self.watch {
            watch.on_exit(id);
        }
    }

    #[inline(never)]
    pub(super) fn on_close(&self, id: &Id, context: Context<'_, S>) {
        if let Some(watch) = &self.watch {
            watch.on_close(id);
        }
        self.gate.on_close(id, &context);
    }
}
