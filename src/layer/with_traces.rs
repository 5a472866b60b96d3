//! Passes the callbacks of a Layer with traces to the gate and to the interpreter.
//!
//! The methods with work are never inlined: a Layer without traces must not pay for this code.

use tracing::{
    Event,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::layer::Context;

use super::{SpanLookup, interpreter::Interpreter};
use crate::traces::{Gate, InferenceFacts};

/// The gate of the traces, and the interpreter unless metrics are off.
pub(super) struct Traced<S> {
    pub(super) interpreter: Option<Interpreter>,
    pub(super) gate: Gate<S>,
    /// Max level of events; more verbose events pass the outer filter only for other layers.
    pub(super) event_level: LevelFilter,
}

impl<S> Traced<S> {
    /// Returns the interpreter; `None` if metrics are off.
    pub(super) fn interpreter(&self) -> Option<&Interpreter> {
        self.interpreter.as_ref()
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a context passed by reference would be spilled to the stack in a Layer without traces, too"
)]
impl<S: SpanLookup> Traced<S> {
    #[inline(never)]
    pub(super) fn on_new_span(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        context: Context<'_, S>,
    ) {
        let sampled = self.gate.on_new_span(attributes, id, &context);
        if let Some(interpreter) = &self.interpreter {
            interpreter.on_new_span(attributes, id);
            if let Some(ids) = sampled {
                interpreter.set_trace(id, ids.trace_id, ids.span_id);
            }
        }
    }

    #[inline(never)]
    pub(super) fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(interpreter) = &self.interpreter else {
            return self.gate.on_record(id, values, None, &context);
        };
        let has_ended = interpreter.record(id, values);
        let facts = if has_ended { self.facts(id) } else { None };
        self.gate.on_record(id, values, facts, &context);
        if has_ended {
            interpreter.on_close(id);
        }
    }

    #[inline(never)]
    pub(super) fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if *event.metadata().level() > self.event_level {
            return;
        }
        self.gate.on_event(event, &context);
        if let Some(interpreter) = &self.interpreter {
            interpreter.on_event(event, &context, || self.gate.trace_of(event, &context));
        }
    }

    #[inline(never)]
    pub(super) fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        if let Some(entered) = self.gate.on_enter(id, &context)
            && let Some(interpreter) = &self.interpreter
        {
            interpreter.set_trace(id, entered.trace_id, entered.span_id);
        }
    }

    #[inline]
    pub(super) fn is_idle_at_exit(&self) -> bool {
        self.gate.is_idle_at_exit() && !std::thread::panicking()
    }

    #[inline(never)]
    pub(super) fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.gate.on_exit(id, &context);
        if let Some(interpreter) = &self.interpreter {
            interpreter.on_exit(id);
        }
    }

    #[inline(never)]
    pub(super) fn on_close(&self, id: &Id, context: Context<'_, S>) {
        let facts = self.facts(id);
        if let Some(interpreter) = &self.interpreter {
            interpreter.on_close(id);
        }
        self.gate.on_close(id, facts, &context);
    }

    /// The facts about an inference that ends, for its sampled span.
    #[inline]
    fn facts(&self, id: &Id) -> Option<InferenceFacts> {
        let interpreter = self.interpreter.as_ref();
        interpreter.filter(|_| self.gate.has_seen(id))?.facts(id)
    }
}
