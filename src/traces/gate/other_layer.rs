//! Detects a tracing-opentelemetry layer of the application in the same subscriber, above or below this crate's Layer.
//!
//! Two such layers cannot share a span: each stores its data in the extensions of the span under the same type, and the
//! second insertion panics. So the gate passes no span to its own OpenTelemetry layer beside another one. Without an
//! exporter, it records spans for the live view with the ids of the other layer.
//!
//! The type by which tracing-opentelemetry finds its layer is private, so the probe makes a query about an empty span
//! and counts the questions that reach the gate, which answers none of them. Without another layer, the gate gets a
//! single question. With a layer below, a question about the type of that layer follows; a layer above answers before
//! the gate is asked. The span is made in the registry alone, so no layer sees it; its slot is not freed.

use std::cell::Cell;

use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt as _},
};
use tracing::{
    Dispatch, Metadata, Subscriber as _,
    callsite::{DefaultCallsite, Identifier},
    field::FieldSet,
    metadata::Kind,
    span::{Attributes, Id},
};
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Registry;

use super::lookup::Lookup;

thread_local! {
    /// The number of questions that have reached the gate during a query of this module.
    static QUESTIONS: Cell<Option<u32>> = const { Cell::new(None) };
}

static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
static METADATA: Metadata<'static> = Metadata::new(
    "probe",
    "llm_observatory",
    tracing::Level::TRACE,
    None,
    None,
    None,
    FieldSet::new(&[], Identifier(&CALLSITE)),
    Kind::SPAN,
);

/// Returns true if a query of this module runs on this thread, and counts the question.
#[inline]
pub(super) fn counts_question() -> bool {
    match QUESTIONS.get() {
        None => false,
        Some(count) => {
            QUESTIONS.set(Some(count + 1));
            true
        }
    }
}

/// Makes a query that only another layer answers; returns the answer and the number of questions.
fn ask(id: &Id, dispatch: &Dispatch) -> (Option<Context>, u32) {
    QUESTIONS.set(Some(0));
    let context = get_otel_context(id, dispatch);
    (context, QUESTIONS.take().unwrap_or_default())
}

/// Returns true if the subscriber contains another layer.
pub(super) fn is_present(dispatch: &Dispatch) -> bool {
    // A gate that cannot be reached would look like another layer.
    let is_reachable = dispatch.downcast_ref::<Lookup>().is_some();
    let Some(registry) = dispatch.downcast_ref::<Registry>().filter(|_| is_reachable) else {
        return false;
    };
    let values: [Option<&dyn tracing::field::Value>; 0] = [];
    let values = METADATA.fields().value_set_all(&values[..]);
    let span = registry.new_span(&Attributes::new_root(&METADATA, &values));
    ask(&span, dispatch).1 != 1
}

/// The ids of a span in the other layer, which starts the span.
pub(super) fn span_context(id: &Id, dispatch: &Dispatch) -> Option<SpanContext> {
    let context = ask(id, dispatch).0?;
    Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
}
